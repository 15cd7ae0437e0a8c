"""Worth where instruments of two quote currencies share one: by balances with each fill and fee."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    BookType,
    CurrencyPair,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.currencies import currency
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.observe.table import rows
from fairlead.engine.research.page import page_of
from fairlead.engine.research.report import report
from fairlead.engine.research.runs import Run
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from tests.unit import backtest_kit as kit

D = Decimal
SECONDS = 40
# name -> first mid, what it moves by in a second, decimals of the price
PAIRS: dict[str, tuple[str, str, int]] = {
    "BTC_USDT": ("60000.05", "13.3", 2),
    "ETH_USDT": ("3000.05", "-1.7", 2),
    "ETH_BTC": ("0.0500005", "-0.0000131", 7),
}
STARTED = {"USDT": D(100_000), "BTC": D(2), "ETH": D(20)}
# second, pair, BUY or SELL, quantity: BTC is bought with USDT, ETH with BTC and sold for USDT
SCRIPT = [
    (3, "BTC_USDT", "BUY", "0.137"),
    (5, "ETH_BTC", "BUY", "3.331"),
    (9, "ETH_USDT", "SELL", "1.913"),
    (14, "ETH_BTC", "SELL", "0.777"),
    (20, "BTC_USDT", "SELL", "0.051"),
    (27, "ETH_BTC", "BUY", "2.113"),
]


class Triangle(GuardedStrategy):
    """Sends the script's market orders, each once its second has come."""

    def on_start(self) -> None:
        self.left = list(SCRIPT)
        for name in PAIRS:
            instrument = InstrumentId.from_str(f"{name}.OCEANEX")
            self.subscribe_book_deltas(instrument, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        after = (self.clock.timestamp_ns() - kit.START_NS) / kit.SECOND_NS
        while self.left and self.left[0][0] <= after:
            _, pair, side, quantity = self.left.pop(0)
            name = InstrumentId.from_str(f"{pair}.OCEANEX")
            size = self.cache.instrument(name).make_qty(D(quantity))
            self.submit_order(self.order_factory.market(name, getattr(OrderSide, side), size))


def _pair(name: str, info: dict[str, Any]) -> CurrencyPair:
    base, _, quote = name.partition("_")
    decimals = PAIRS[name][2]
    instrument_id = InstrumentId.from_str(f"{name}.OCEANEX")
    return CurrencyPair(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        base_currency=currency(base),
        quote_currency=currency(quote),
        price_precision=decimals,
        size_precision=3,
        price_increment=Price.from_str(f"{D(1).scaleb(-decimals):f}"),
        size_increment=Quantity.from_str("0.001"),
        min_quantity=Quantity.from_str("0.001"),
        ts_event=kit.START_NS,
        ts_init=kit.START_NS,
        info=info,
    )


def _mid(name: str, second: int) -> Decimal:
    first, step, _ = PAIRS[name]
    return D(first) + D(step) * second


def _written(root: Path, info: dict[str, Any]) -> Path:
    root.mkdir()
    catalog = ParquetDataCatalog(str(root))
    pairs = {name: _pair(name, info) for name in PAIRS}
    catalog.write_instruments(list(pairs.values()))
    for name, pair in pairs.items():
        deltas, trades = [], []
        tick, decimals = pair.price_increment.as_decimal(), PAIRS[name][2]
        for second in range(SECONDS):
            ts, mid = kit.START_NS + second * kit.SECOND_NS, _mid(name, second)
            deltas.append(OrderBookDelta.clear(pair.id, second, ts, ts))
            for side, away in ((OrderSide.BUY, -5), (OrderSide.SELL, 5)):
                flags = RecordFlag.F_SNAPSHOT.value
                flags |= RecordFlag.F_LAST.value if side == OrderSide.SELL else 0
                price = Price.from_str(f"{mid + away * tick:.{decimals}f}")
                order = BookOrder(side, price, Quantity.from_str("50.000"), 0)
                deltas.append(OrderBookDelta(pair.id, BookAction.ADD, order, flags, second, ts, ts))
            trades.append(
                TradeTick(
                    *(pair.id, price, Quantity.from_str("0.010"), AggressorSide.BUY),
                    *(TradeId(str(second)), ts + 1, ts + 1),
                )
            )
        catalog.write_order_book_deltas(deltas)
        catalog.write_trade_ticks(trades)
    return root


FEES = {
    "in quote": {"buy_fee": "0.002", "sell_fee": "0.001"},
    "bought in base": {"buy_fee": "0.002", "sell_fee": "0.001", "buy_fee_in_base": True},
}


@pytest.fixture(scope="module", params=sorted(FEES))
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("triangle")
    catalog = _written(folder / "catalog", FEES[request.param])
    path = kit.config(
        *(folder, catalog, f"{__name__}:Triangle", {}),
        instrument="BTC_USDT.OCEANEX",
        adapter="oceanex",
        account="cash",
        fees=None,
        balances=[f"{amount} {name}" for name, amount in STARTED.items()],
    )
    names = ", ".join(f'"{name}.OCEANEX"' for name in PAIRS)
    path.write_text(path.read_text().replace('"BTC_USDT.OCEANEX"]', f"{names}]"))
    made = run_backtest(load(path))
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def kept(result: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("kept") / "run"
    result.record().write(folder)
    return Run.at(folder)


def _balances(kept: Run, until_ns: int) -> dict[str, Decimal]:
    """The config's, with each fill and each fee until then."""
    held = defaultdict(Decimal, STARTED)
    for fill in kept.rows("fills"):
        if fill["ts_event"] <= until_ns:
            base, _, quote = fill["instrument"].partition(".")[0].partition("_")
            sign = 1 if fill["side"] == "BUY" else -1
            held[base] += sign * D(fill["quantity"])
            held[quote] -= sign * D(fill["quantity"]) * D(fill["price"])
            held[fill["fee_currency"]] -= D(fill["fee"])
    return dict(held)


def _worth(held: dict[str, Decimal], second: int) -> dict[str, Decimal]:
    btc, eth, cross = (_mid(name, second) for name in PAIRS)
    return {
        "USDT": held["USDT"] + held["BTC"] * btc + held["ETH"] * eth,
        "BTC": held["BTC"] + held["ETH"] * cross,
    }


LEAST = {"USDT": D("0.01"), "BTC": D("0.0000001")}  # what rounded balances may lack


def test_start_and_end_are_the_accounts_worth_at_the_last_marks(
    result: RunResult, kept: Run
) -> None:
    assert result.summary.fills == len(SCRIPT)
    started, ended = _worth(STARTED, SECONDS - 1), _worth(_balances(kept, 2**63), SECONDS - 1)
    for quote, one in result.summary.equity["OCEANEX"].items():
        assert one.start == started[quote], "what the config says"
        assert abs(one.end - ended[quote]) < LEAST[quote]
        assert abs(one.change - (ended[quote] - started[quote])) < D("1e-15"), "exact"
        assert one.end == one.start + one.change + one.rounding
        assert one.change - one.crossed + one.taken_over == result.summary.net[quote]
        assert one.crossed


def test_the_curve_is_the_accounts_worth_and_ends_with_the_summarys(
    result: RunResult, kept: Run
) -> None:
    last = {}
    for row in kept.rows("equity"):
        second = min((row["ts"] - kit.START_NS) // kit.SECOND_NS, SECONDS - 1)
        quote = row["currency"]
        assert D(row["kept"]) == _worth(STARTED, second)[quote]
        expected = _worth(_balances(kept, row["ts"]), second)[quote]
        assert abs(D(row["equity"]) - expected) < D("1e-15"), row
        assert D(row["equity"]) == sum(D(row[name]) for name in ("kept", "pnl", "crossed"))
        last[quote] = row
    for quote, one in result.summary.equity["OCEANEX"].items():
        row = last[quote]
        told = (one.start, one.change + one.start, one.crossed, result.summary.net[quote])
        names = ("kept", "equity", "crossed", "pnl")
        assert all(
            abs(D(row[name]) - value) < D("1e-12") for name, value in zip(names, told, strict=True)
        )


def test_table_and_report_say_what_is_of_other_quote_currencies(
    result: RunResult, kept: Run
) -> None:
    texts = [text for name, text in rows(result.summary) if name == "equity OCEANEX"]
    assert len(texts) == 2
    assert all(re.search(r"; [+-]\S+ of it by what is quoted in other", one) for one in texts)
    told = report(kept)
    first = (kept.rows("equity")[0]["ts"] - kit.START_NS) // kit.SECOND_NS
    for one in told["worth"]:
        started = float(_worth(STARTED, first)[one["currency"]])
        assert one["start"] == pytest.approx(started, rel=1e-9)
        moved = one["kept"] + one["pnl"] + one["crossed"]
        assert one["end"] - one["start"] == pytest.approx(moved)
    pytest.importorskip("plotly")
    assert "by what is quoted in other currencies" in page_of(told, kept, None)
