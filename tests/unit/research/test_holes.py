"""A run over a gap: no price is carried through it, in tables, figures and what is explained."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow, gaps_path
from fairlead.engine.research import page, pictures, report
from fairlead.engine.research.runs import Run
from fairlead.engine.run.backtest import RunResult
from fairlead.engine.run.trial import slices
from tests.unit import backtest_kit as kit

NAME = InstrumentId.from_str("BTCUSDT.TEST")
GONE, BACK, END = 5, 14, 20  # seconds


class Holds(GuardedStrategy):
    """Buys with the first prices, and asks for more when the book is gone."""

    def on_start(self) -> None:
        self.asked: set[bool] = set()
        self.subscribe_book_deltas(NAME, BookType.L2_MBP, managed=True)
        self.subscribe_trades(NAME)

    def on_book_deltas(self, deltas: Any) -> None:
        self._buy(is_gone=self.cache.top_of_book(NAME) is None)

    def on_trade(self, trade: Any) -> None:
        if self.cache.book_update_count(NAME) == 0:
            self._buy(is_gone=False)

    def _buy(self, *, is_gone: bool) -> None:
        if is_gone not in self.asked:
            self.asked.add(is_gone)
            quantity = self.cache.instrument(NAME).make_qty(Decimal(1))
            self.submit_order(self.order_factory.market(NAME, OrderSide.BUY, quantity))


def _result(folder: Path, seconds: Any, *, has_book: bool, ends: int) -> RunResult:
    """Each second a trade, and a book but from GONE to BACK."""
    instrument = kit.perpetual(str(NAME))
    root = folder / "catalog"
    root.mkdir()
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    at = {second: kit.START_NS + second * kit.SECOND_NS for second in range(ends)}
    mids = {second: Decimal(1000 + second) for second in at}
    deltas = []
    for second, ts in at.items():
        if second == GONE:
            deltas.append(kit.cleared(instrument, second, ts))
        elif not GONE < second < BACK:
            deltas += kit.book(instrument, mids[second], ts, second)
    if has_book:
        catalog.write_order_book_deltas(deltas)
    catalog.write_trade_ticks(
        [kit.trade(instrument, mids[one], at[one] + 1, one, "0.100") for one in seconds]
    )
    with GapLog(gaps_path(root)) as log:
        begin, end = (kit.START_NS + second * kit.SECOND_NS for second in (GONE - 1, BACK))
        span = {"from_ns": begin + 2, "to_ns": end}
        log.append(GapRow(kind=GapKind.GAP, instrument=str(NAME), reason="lost", **span))
    return kit.run(folder, root, f"{__name__}:Holds", {})


def _ran(folder: Path, seconds: Any, *, has_book: bool, ends: int = END) -> Run:
    result = _result(folder, seconds, has_book=has_book, ends=ends)
    result.record().write(folder / "run")
    result.dispose()
    return Run.at(folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trades go on in the gap of the book."""
    return _ran(tmp_path_factory.mktemp("hole"), range(END), has_book=True)


def _seconds(rows: list[dict[str, Any]]) -> list[float]:
    return [(row["ts"] - kit.START_NS) / kit.SECOND_NS for row in rows]


def test_no_price_is_carried_through_a_gap(run: Run) -> None:
    marks = run.rows("marks")
    known = [row for row in marks if row["bid"] is not None]
    assert not [one for one in _seconds(known) if GONE <= one < BACK]
    assert [_seconds([row]) for row in marks if row["bid"] is None] == [[GONE]]
    assert all(row["ask"] is None for row in marks if row["bid"] is None)
    assert not [one for one in _seconds(run.rows("equity")) if GONE <= one < BACK]
    (fill,) = run.rows("fills")
    assert Decimal(fill["mid_1s"]) == 1001
    assert fill["mid_10s"] is None, "the book was gone then"
    assert run.frame("marks")["bid"].isna().sum() == 1


def test_what_is_not_known_is_counted_and_drawn_as_nothing(run: Run) -> None:
    told = report.report(run)
    (one,) = told["execution"]
    outs = one["mark_outs"]["all"]
    assert [(out["count"], out["unknown"]) for out in outs.values()] == [(1, 0), (0, 1), (0, 1)]
    assert "(0, 1 not known)" in page.page_of(told, run, None)
    band = pictures.price(run, str(NAME))["data"][0]
    assert band["x"].count(None) == band["y"].count(None) == 2, "a shape before it, and one after"
    for line in pictures.equity(run, "TEST", "USDT")["data"]:
        assert line["x"].count(None) == line["y"].count(None) == 1
    for line in pictures.pnl(run, run, "TEST", "USDT")["data"]:
        assert line["y"].count(None) == 1


def test_an_order_that_was_asked_for_in_it_knew_no_market(run: Run) -> None:
    (denied,) = run.rows("denials")
    assert "market" not in denied or denied["market"] is None
    (order,) = [row for row in run.rows("orders") if row["status"] == "FILLED"]
    assert order["market"]["bid"] == "999.9"


def test_it_is_summed_up_at_the_last_price_when_it_ends_in_a_gap(tmp_path: Path) -> None:
    found = _ran(tmp_path, range(9), has_book=True, ends=9)
    (one,) = found.summary["instruments"]
    *_, known, hole = found.rows("marks")
    assert (Decimal(one["mark"]), known["bid"]) == (1004, "1003.9")
    assert (_seconds([hole]), hole["bid"], hole["ask"]) == ([GONE], None, None)
    for line in pictures.equity(found, "TEST", "USDT")["data"]:
        assert line["y"].count(None) == 1, "no line is drawn to the end"
    last = found.rows("equity")[-1]
    assert Decimal(last["pnl"]) == Decimal(one["net"])
    assert found.summary["assumptions"]["marks"] == {
        str(NAME): "last mid of the book, which was gone at the end"
    }


@pytest.mark.parametrize("ends", [9, END])
def test_a_trial_of_a_search_counts_what_is_held_at_the_last_price(
    tmp_path: Path, ends: int
) -> None:
    result = _result(tmp_path, range(ends), has_book=True, ends=ends)
    try:
        result.marks.finish(result.summary.end_ns)
        span = result.summary.start_ns, result.summary.end_ns
        (values,) = slices(result.cache, [str(NAME)], result.marks.by_parts(), span).values()
        (one,) = result.summary.instruments
    finally:
        result.dispose()
    assert values[-1] == pytest.approx(float(one.net))
    secs = [part * (span[1] - span[0]) / kit.SECOND_NS / len(values) for part in range(1, 241)]
    in_hole = [
        value for sec, value in zip(secs, values, strict=True) if GONE < sec < min(BACK, ends - 1)
    ]
    assert len(in_hole) > 10
    assert len(set(in_hole)) == 1


def test_a_gap_of_trades_is_a_hole_where_there_is_no_book(tmp_path: Path) -> None:
    seconds = [*range(GONE), *range(BACK, END)]
    found = _ran(tmp_path, seconds, has_book=False)
    marks = found.rows("marks")
    known = _seconds([row for row in marks if row["bid"] is not None])
    assert not [one for one in known if GONE <= one < BACK]
    assert sum(row["bid"] is None for row in marks) == 1
    fill = found.rows("fills")[0]
    assert (fill["mid_1s"] is None, fill["mid_10s"] is None) == (False, True)
