"""Each exit sells the units of its own entry, in a backtest as at a venue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import AggressorSide
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.observe.orders_file import order_lines
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from tests.kernel.bench import BEGIN, book, pair, trade
from tests.kernel.bench import IID as BENCH_IID
from tests.support.processes import ROOT
from tests.unit import backtest_kit as kit

CASES = ROOT / "tests" / "data" / "cases"
CASE_BEGIN = 1_800_000_000_000_500_000
MS = 1_000_000
GUARDED, PLAIN = "tests.data.exits:BracketSteps", "tests.data.exits:PlainSteps"
FREE = '{ maker = "0", taker = "0" }'
RISK = 'max_order_notional = "10000000 USDT"\nprice_collar_bps = 100000'
LATENCY_MS = 5
ZERO = Decimal(0)
Rows = list[dict[str, Any]]


def outcome(
    folder: Path,
    catalog: Path,
    steps: Sequence[Sequence[Any]],
    *,
    path: str = GUARDED,
    instrument: str = str(BENCH_IID),
    begin_ns: int = BEGIN,
    account: str = "margin",
    latency_ms: int = LATENCY_MS,
    risk: str = "",
) -> tuple[Any, Rows]:
    """The strategy after its run, and the lines of `orders.jsonl`."""
    params = {
        "instrument_id": instrument,
        "steps": json.dumps(steps).replace('"', '\\"'),
        "begin_ns": begin_ns,
    }
    result: RunResult = kit.run(
        folder,
        catalog,
        path,
        params,
        instrument=instrument,
        account=account,
        fees=FREE,
        balances=("10000000 USDT",),
        latency_ms=str(latency_ms),
        risk=f"{RISK}\n{risk}",
    )
    assert result.exit_code == 0, result.summary.outcome
    rows = [json.loads(line) for line in order_lines(result.cache).splitlines()]
    (strategy,) = result.parts.strategies
    result.dispose()
    require_own(rows)
    return strategy, rows


def require_own(rows: Rows) -> None:
    """At no moment have a bracket's exits more than its entry: an independent sum of fills."""
    moves = []
    for row in rows:
        sign = 1 if row["side"] == "BUY" else -1
        owner = row["entry"] or row["client_order_id"]
        moves += [(f["ts_event"], owner, sign * Decimal(f["quantity"])) for f in row["fills"]]
    entries = {row["entry"]: ZERO for row in rows if row["entry"]}
    sides = {row["client_order_id"]: row["side"] for row in rows}
    for ts, owner, signed in sorted(moves):
        if owner in entries:
            entries[owner] += signed
            held = entries[owner] if sides[owner] == "BUY" else -entries[owner]
            assert held >= 0, (ts, owner, held)


def exits_of(rows: Rows, strategy: Any, name: str) -> Rows:
    entry = str(strategy.ids[name])
    return [row for row in rows if row["entry"] == entry]


def sold(rows: Rows) -> Decimal:
    return sum((Decimal(row["filled"]) for row in rows), ZERO)


def one(rows: Rows, strategy: Any, name: str) -> dict[str, Any]:
    (row,) = [row for row in rows if row["client_order_id"] == str(strategy.ids[name])]
    return row


def fills(row: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Milliseconds, price, quantity."""
    return [
        ((f["ts_event"] - BEGIN) / MS, float(f["price"]), float(f["quantity"]))
        for f in row["fills"]
    ]


def changes(row: dict[str, Any]) -> list[tuple[float, str]]:
    """Milliseconds and quantity of each change; the first line of all is the order as it was."""
    return [((c["ts_event"] - BEGIN) / MS, c["quantity"]) for c in row["changes"][1:]]


# -- the made-up markets ---------------------------------------------------------------------------


def imported(name: str, folder: Path) -> Path:
    import_binance(CASES / f"brackets-{name}.txt.gz", folder / "catalog")
    return folder / "catalog"


def follow(folder: Path, name: str, steps: Sequence[Sequence[Any]], **more: Any) -> Any:
    where = {"instrument": "AAAUSDT.BINANCE", "begin_ns": CASE_BEGIN}
    return outcome(folder, imported(name, folder), steps, **where, **more)


@pytest.mark.parametrize("account", ["cash", "margin"])
def test_two_touched_stops_sell_their_own_and_the_third_stays(tmp_path: Path, account: str) -> None:
    steps = [
        [100, "bracket", "a", "BUY", "1.0", "98.60", "120.00"],
        [100, "bracket", "b", "BUY", "1.0", "98.50", "120.00"],
        [100, "bracket", "c", "BUY", "1.0", "95.00", "120.00"],
    ]
    strategy, rows = follow(tmp_path, "min", steps, account=account)
    assert [sold(exits_of(rows, strategy, name)) for name in "abc"] == [1, 1, 0]
    (third,) = exits_of(rows, strategy, "c")
    assert (third["status"], third["quantity"]) == ("ACCEPTED", "1.0")
    assert {row["reduce_only"] for row in rows if row["entry"]} == {True}  # as it was asked for
    assert strategy.refused == []


@pytest.mark.parametrize("latency_ms", [0, 5, 60])
def test_bracket_has_its_stop_at_once_whatever_others_have(tmp_path: Path, latency_ms: int) -> None:
    steps = [
        [100, "bracket", "a", "BUY", "1.0", "98.60", "120.00"],
        [200, "bracket", "b", "BUY", "1.0", "97.60", "120.00"],
        [300, "bracket", "c", "BUY", "1.0", "95.00", "120.00"],
    ]
    strategy, rows = follow(tmp_path, "fall", steps, latency_ms=latency_ms)
    for name, taken in zip("abc", (1, 1, 0), strict=True):
        (stop,) = exits_of(rows, strategy, name)
        (bought,) = one(rows, strategy, name)["fills"]
        assert stop["ts_accepted"] - bought["ts_event"] == latency_ms * MS
        assert (sold([stop]), stop["changes"]) == (taken, [])
    assert strategy.refused == []


def test_each_part_of_an_entry_has_a_stop_of_its_size_at_once(tmp_path: Path) -> None:
    steps = [[100, "bracket", "a", "BUY", "3.0", "98.60", "120.00", "99.95"]]
    strategy, rows = follow(tmp_path, "part", steps, account="cash")
    parts = one(rows, strategy, "a")["fills"]
    stops = exits_of(rows, strategy, "a")
    assert len(parts) == len(stops) == 3
    for part, stop in zip(parts, stops, strict=True):
        assert stop["ts_accepted"] - part["ts_event"] == LATENCY_MS * MS
        assert (stop["quantity"], stop["filled"], stop["changes"]) == (part["quantity"],) * 2 + (
            [],
        )
    assert strategy.refused == []


# -- siblings: both sides, sizes, targets, parts ---------------------------------------------------

MIRROR = Decimal(200)


def mirrored(side: str, price: str) -> str:
    """A price of a rising market's story as it is told of a falling one."""
    return price if side == "BUY" else str(MIRROR - Decimal(price))


class Told:
    """A market by script, told for an entry of one side; for the other it is its mirror image."""

    def __init__(self, side: str) -> None:
        self.side = side
        self.data: list[Any] = []

    def price(self, value: float) -> float:
        return value if self.side == "BUY" else float(MIRROR) - value

    def book(self, ms: float, below: dict[float, float], above: dict[float, float]) -> None:
        """What an exit of the story meets is `below`."""
        low = {self.price(at): size for at, size in below.items()}
        high = {self.price(at): size for at, size in above.items()}
        sides = (low, high) if self.side == "BUY" else (high, low)
        self.data.append(book(ms, *sides))

    def trade(self, ms: float, price: float, size: float = 1.0, *, against: bool = True) -> None:
        """`against` the entry: who trades takes what stands on the entry's side."""
        falls = against is (self.side == "BUY")
        aggressor = AggressorSide.SELL if falls else AggressorSide.BUY
        self.data.append(trade(ms, self.price(price), size, aggressor))

    def write(self, folder: Path) -> Path:
        root = folder / "catalog"
        root.mkdir()
        catalog = ParquetDataCatalog(str(root))
        catalog.write_instruments([pair(BENCH_IID)])
        deltas = [one for told in self.data if hasattr(told, "deltas") for one in told.deltas]
        catalog.write_order_book_deltas(deltas)
        catalog.write_trade_ticks([told for told in self.data if not hasattr(told, "deltas")])
        return root


def calm(told: Told, begin: int = 0, end: int = 1000) -> None:
    """A deep book, the touch at 99.90 and 100.10, and a trade at 100."""
    for ms in range(begin, end, 100):
        told.book(ms, {99.9: 50, 99.8: 50}, {100.1: 50, 100.2: 50})
        told.trade(ms + 50, 100.0, 0.01)


def other(side: str) -> str:
    return "SELL" if side == "BUY" else "BUY"


SIDES = pytest.mark.parametrize("side", ["BUY", "SELL"])


def three(side: str) -> list[list[Any]]:
    return [
        [
            at,
            "bracket",
            name,
            side,
            size,
            mirrored(side, stop),
            mirrored(side, target),
        ]
        for at, name, size, stop, target in (
            (110, "a", "0.500", "98.60", "104.00"),
            (230, "b", "1.000", "98.50", "106.00"),
            (310, "c", "2.000", "95.00", "102.00"),
        )
    ]


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_brackets_of_different_sizes_stop_and_reach_their_targets_alone(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    told = Told(side)
    calm(told)
    for at in range(5):  # the first two stops
        told.book(1000 + at * 100, {98.4: 50, 98.3: 50}, {98.6: 50})
        told.trade(1050 + at * 100, 98.4, 0.01)
    for at in range(10):  # the third's target
        told.book(2000 + at * 100, {102.1: 50}, {102.3: 50})
        told.trade(2050 + at * 100, 102.2, 0.01, against=False)
    steps = three(side)
    strategy, rows = outcome(tmp_path, told.write(tmp_path), steps, latency_ms=latency_ms)
    assert [sold(exits_of(rows, strategy, name)) for name in "abc"] == [
        Decimal("0.5"),
        1,
        2,
    ]
    roles = [{row["role"] for row in exits_of(rows, strategy, n) if sold([row])} for n in "abc"]
    assert roles == [{"stop"}, {"stop"}, {"target"}]
    assert strategy.held[-1][1] == 0
    assert strategy.refused == []


@SIDES
def test_stop_that_fills_in_parts_leaves_the_other_brackets_alone(
    tmp_path: Path, side: str
) -> None:
    told = Told(side)
    calm(told)
    told.trade(1000, 98.55, 0.01)  # fires the first stop, 98.60 with the limit near 97.60
    told.book(1010, {98.5: 0.2}, {98.9: 50})
    for at in range(5):
        told.book(1100 + at * 100, {97.7: 0.1, 97.0: 50}, {98.9: 50})
        told.trade(1150 + at * 100, 98.7, 0.01, against=False)
    strategy, rows = outcome(tmp_path, told.write(tmp_path), three(side))
    (first,) = exits_of(rows, strategy, "a")
    assert 0 < Decimal(first["filled"]) <= Decimal("0.5")
    assert (first["quantity"], first["changes"]) == ("0.500", [])
    for name, size in (("b", "1.000"), ("c", "2.000")):
        (stop,) = exits_of(rows, strategy, name)
        assert (stop["quantity"], stop["filled"], stop["changes"]) == (size, "0.000", [])


@SIDES
def test_entries_filled_in_parts_have_their_stops_beside_another_bracket(
    tmp_path: Path, side: str
) -> None:
    told = Told(side)
    calm(told, 0, 500)
    parts = [(600, 0.3), (650, 0.5), (900, 0.2)]
    for ms, size in parts:
        told.book(ms - 20, {99.0: 50}, {99.8: 50})
        told.trade(ms, 99.5, size)
    for at in range(10):
        told.book(1000 + at * 100, {98.9: 50}, {99.1: 50})
        told.trade(1050 + at * 100, 99.0, 0.01)
    steps = [
        [110, "bracket", "whole", side, "2.000", mirrored(side, "90"), mirrored(side, "120")],
        [
            120,
            "bracket",
            "parts",
            side,
            "1.000",
            mirrored(side, "98.00"),
            mirrored(side, "120"),
            mirrored(side, "99.50"),
        ],
    ]
    strategy, rows = outcome(tmp_path, told.write(tmp_path), steps, risk='off = ["SELF_CROSS"]')
    filled = one(rows, strategy, "parts")["fills"]
    stops = exits_of(rows, strategy, "parts")
    assert [Decimal(f["quantity"]) for f in filled] == [Decimal(str(size)) for _, size in parts]
    for part, stop in zip(filled, stops, strict=True):
        assert stop["ts_accepted"] - part["ts_event"] == LATENCY_MS * MS
        assert (stop["quantity"], stop["status"]) == (part["quantity"], "ACCEPTED")
    (whole,) = exits_of(rows, strategy, "whole")
    assert (whole["quantity"], whole["changes"]) == ("2.000", [])


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_entry_that_takes_many_levels_has_one_stop_at_once(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    told = Told(side)
    calm(told, 0, 100)
    for ms in range(100, 1000, 100):
        above = {round(100.1 + at / 100, 2): 0.2 for at in range(10)}
        told.book(ms, {99.9: 50, 99.8: 50}, above)
        told.trade(ms + 50, 100.0, 0.01)
    steps = [[110, "bracket", "a", side, "1.300", mirrored(side, "98"), mirrored(side, "120")]]
    catalog = told.write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, latency_ms=latency_ms)
    parts = one(rows, strategy, "a")["fills"]
    (stop,) = exits_of(rows, strategy, "a")
    assert len(parts) == 7
    assert (stop["quantity"], stop["status"], stop["changes"]) == ("1.300", "ACCEPTED", [])
    assert {stop["ts_accepted"] - part["ts_event"] for part in parts} == {latency_ms * MS}


# -- a strategy's own reduce-only orders -----------------------------------------------------------


def rising(side: str) -> Told:
    told = Told(side)
    calm(told)
    for at in range(10):
        told.book(1000 + at * 100, {105.1: 50}, {105.3: 50})
        told.trade(1050 + at * 100, 105.2, 50.0, against=False)
    return told


@SIDES
def test_own_reduce_only_exit_sells_what_it_says_beside_a_bracket(
    tmp_path: Path, side: str
) -> None:
    steps = [
        [110, "bracket", "kept", side, "1.000", mirrored(side, "95.00"), mirrored(side, "120.00")],
        [130, "market", "own", side, "1.500"],
        [150, "limit", "out", other(side), "1.500", mirrored(side, "105.00"), True],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert one(rows, strategy, "out")["filled"] == "1.500"
    (stop,) = exits_of(rows, strategy, "kept")
    assert (stop["status"], stop["quantity"], stop["changes"]) == ("ACCEPTED", "1.000", [])
    assert abs(strategy.held[-1][1]) == 1.0


@SIDES
@pytest.mark.parametrize("path", [GUARDED, PLAIN])
def test_second_exit_of_a_whole_position_is_refused(tmp_path: Path, side: str, path: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [160, "limit", "more", other(side), "1.000", mirrored(side, "104.50"), True],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps, path=path)
    assert [one(rows, strategy, name)["filled"] for name in ("own", "out")] == ["1.000"] * 2
    assert [row["client_order_id"] for row in rows].count(str(strategy.ids["more"])) == 0
    assert strategy.held[-1][1] == 0


@SIDES
def test_where_nothing_holds_exits_together_the_exchange_does(tmp_path: Path, side: str) -> None:
    """Both are touched by the same print; the position never turns over."""
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [160, "limit", "more", other(side), "1.000", mirrored(side, "104.50"), True],
    ]
    off = 'off = ["EXIT_EXCEEDS", "SELF_CROSS"]'
    catalog = rising(side).write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, path=PLAIN, risk=off)
    signed = [held if side == "BUY" else -held for _, held in strategy.held]
    assert min(signed) == 0
    taken = [one(rows, strategy, name) for name in ("out", "more")]
    assert sold(taken) == 1
    assert "CANCELED" in {row["status"] for row in taken}


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_exit_is_cut_to_what_other_orders_have_left(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [300, "market", "some", other(side), "0.300"],
        [302, "market", "more", other(side), "0.200"],  # before the first cut has arrived
    ]
    catalog = rising(side).write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, latency_ms=latency_ms)
    cut = one(rows, strategy, "out")
    assert (cut["filled"], cut["status"]) == ("0.500", "FILLED")
    assert changes(cut) == [
        (300 + 2 * latency_ms, "0.700"),
        (302 + 2 * latency_ms, "0.500"),
    ]
    assert strategy.held[-1][1] == 0


@SIDES
def test_an_exit_told_in_few_digits_is_cut_on_the_grid(tmp_path: Path, side: str) -> None:
    """A size of no decimals can be cut to one of three all the same."""
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1", mirrored(side, "105.00"), True],
        [300, "market", "some", other(side), "0.300"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    cut = one(rows, strategy, "out")
    assert (Decimal(cut["filled"]), cut["status"]) == (Decimal("0.7"), "FILLED")
    assert strategy.held[-1][1] == 0


@SIDES
def test_exit_is_cancelled_when_the_position_is_closed_or_turned(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [300, "market", "turn", other(side), "1.500"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    gone = one(rows, strategy, "out")
    assert (gone["status"], gone["filled"]) == ("CANCELED", "0.000")
    assert (gone["ts_last"] - BEGIN) / MS == 300 + 2 * LATENCY_MS
    assert abs(strategy.held[-1][1]) == 0.5


@SIDES
def test_cut_that_is_smaller_than_two_exits_takes_the_newest(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "first", other(side), "0.600", mirrored(side, "105.00"), True],
        [160, "limit", "second", other(side), "0.400", mirrored(side, "104.00"), True],
        [300, "market", "some", other(side), "0.500"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    first, second = (one(rows, strategy, name) for name in ("first", "second"))
    assert (first["filled"], second["filled"], second["status"]) == ("0.500", "0.000", "CANCELED")
    assert strategy.held[-1][1] == 0


@SIDES
def test_change_of_an_order_that_is_being_changed_arrives_when_it_is_due(
    tmp_path: Path, side: str
) -> None:
    steps = [
        [110, "limit", "out", side, "1.000", mirrored(side, "95.00")],
        [301, "resize", "out", "0.700"],
        [303, "resize", "out", "0.500"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert changes(one(rows, strategy, "out")) == [(306, "0.700"), (308, "0.500")]


@SIDES
def test_resized_exit_is_held_to_the_position_still(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "0.400", mirrored(side, "105.00"), True],
        [300, "resize", "out", "0.900"],
        [400, "resize", "out", "1.100"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert one(rows, strategy, "out")["filled"] == "0.900"
    assert len(strategy.refused) == 1


@SIDES
def test_exits_that_never_rest_are_cut_when_they_arrive(tmp_path: Path, side: str) -> None:
    """A plain order that was on its way first has left less than the exit asks for."""
    steps = [
        [110, "market", "own", side, "1.000"],
        [300, "market", "plain", other(side), "0.700"],
        [302, "market", "out", other(side), "1.000", True],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert one(rows, strategy, "out")["filled"] == "0.300"
    assert strategy.held[-1][1] == 0


@SIDES
@pytest.mark.parametrize("leave", ["close", "leave"])
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_everything_is_left_once(tmp_path: Path, side: str, leave: str, latency_ms: int) -> None:
    steps = [
        *three(side),
        [400, "market", "own", side, "1.500"],
        [450, "stop", "out", other(side), "1.500", mirrored(side, "97.00"), mirrored(side, "96")],
        [600, leave],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps, latency_ms=latency_ms)
    assert strategy.held[-1][1] == 0
    taken = sum(Decimal(r["filled"]) for r in rows if r["side"] == other(side))
    assert taken == 5
    assert {row["status"] for row in rows} <= {"FILLED", "CANCELED"}


# -- order lists of NautilusTrader's ---------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_exits_of_order_lists_sell_their_own_beside_others(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    """NautilusTrader sizes them after their entries, so that they are left to it."""
    far = mirrored(side, "120.00")
    steps = [
        [110, "list", "a", side, "1.000", mirrored(side, "95.00"), mirrored(side, "105.00")],
        [210, "list", "b", side, "2.000", mirrored(side, "90.00"), far],
        [310, "bracket", "c", side, "0.500", mirrored(side, "91.00"), far],
        [410, "market", "own", side, "0.700"],
        [510, "limit", "out", other(side), "0.700", mirrored(side, "105.00"), True],
    ]
    catalog = rising(side).write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, latency_ms=latency_ms)
    taken = [(row["kind"], row["filled"]) for row in rows if row["side"] != side and sold([row])]
    assert sorted(taken) == [("LIMIT", "0.700"), ("LIMIT", "1.000")]
    standing = [(row["kind"], row["quantity"]) for row in rows if row["status"] == "ACCEPTED"]
    assert sorted(standing) == [
        ("LIMIT", "2.000"),
        ("STOP_LIMIT", "0.500"),
        ("STOP_MARKET", "2.000"),
    ]
    assert abs(strategy.held[-1][1]) == 2.5


@SIDES
def test_exits_of_an_order_list_end_with_the_position(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "list", "a", side, "1.000", mirrored(side, "95.00"), mirrored(side, "105.00")],
        [410, "market", "out", other(side), "1.000"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps, path=PLAIN)
    assert sorted(row["status"] for row in rows) == ["CANCELED", "CANCELED", "FILLED", "FILLED"]
    assert strategy.held[-1][1] == 0


@SIDES
def test_another_strategy_has_its_own(tmp_path: Path, side: str) -> None:
    """Both hold the same instrument; one of them the other way round."""
    told = Told(side)
    calm(told)
    for at in range(5):
        told.book(1000 + at * 100, {98.4: 50, 98.3: 50}, {98.6: 50})
        told.trade(1050 + at * 100, 98.4, 0.01)
    against = [
        [
            150,
            "bracket",
            "d",
            other(side),
            "0.300",
            mirrored(side, "104.00"),
            mirrored(side, "98.70"),
        ],
        [250, "market", "own", other(side), "0.200"],
        [270, "limit", "out", side, "0.200", mirrored(side, "97.00"), True],
    ]
    catalog = told.write(tmp_path)
    params = {
        "instrument_id": str(BENCH_IID),
        "steps": json.dumps(three(side)).replace('"', '\\"'),
        "begin_ns": BEGIN,
    }
    more = {"instrument": str(BENCH_IID), "fees": FREE, "balances": ("10000000 USDT",)}
    risk = f'{RISK}\noff = ["SELF_CROSS"]'
    file = kit.config(tmp_path, catalog, GUARDED, params, latency_ms="5", risk=risk, **more)
    steps = json.dumps(against).replace('"', '\\"')
    second = f"""
[[strategies]]
id = "Test-002"
path = "{GUARDED}"
[strategies.params]
instrument_id = "{BENCH_IID}"
steps = "{steps}"
begin_ns = {BEGIN}
"""
    file.write_text(file.read_text() + second)
    result = run_backtest(load(file))
    assert result.exit_code == 0, result.summary.outcome
    rows = [json.loads(line) for line in order_lines(result.cache).splitlines()]
    require_own(rows)
    first, last = result.parts.strategies
    assert [sold(exits_of(rows, first, name)) for name in "abc"] == [Decimal("0.5"), 1, 0]
    assert sold(exits_of(rows, last, "d")) == Decimal("0.3")
    assert (one(rows, last, "out")["quantity"], one(rows, last, "out")["status"]) == (
        "0.200",
        "ACCEPTED",
    )
    assert (first.refused, last.refused) == ([], [])
    result.dispose()


# -- orders with an end ----------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5, 60])
@pytest.mark.parametrize(
    ("kind", "prices"),
    [("limit", ["99.00"]), ("stop_market", ["101.50"]), ("stop_limit", ["102.00", "101.50"])],
)
def test_order_is_over_at_its_end(
    tmp_path: Path, side: str, kind: str, prices: list[str], latency_ms: int
) -> None:
    """The first data after it would fill it."""
    told = Told(side)
    calm(told)
    for ms in (3000, 4000):
        told.book(
            ms, {98.0 if kind == "limit" else 101.6: 50}, {98.3 if kind == "limit" else 101.8: 50}
        )
        told.trade(ms + 1, 98.3 if kind == "limit" else 101.8, 50.0, against=kind == "limit")
    given = [mirrored(side, price) for price in prices]
    steps = [
        [110, "until", "late", kind, side, 2000, *given],
        [120, "until", "in time", kind, side, 5000, *given],
    ]
    catalog = told.write(tmp_path)
    more = {"risk": "max_cancels_per_second = 1\nstale_after_ms = 60000", "latency_ms": latency_ms}
    strategy, rows = outcome(tmp_path, catalog, steps, **more)
    late, in_time = (one(rows, strategy, name) for name in ("late", "in time"))
    assert (late["status"], late["fills"]) == ("CANCELED", [])
    assert (late["ts_last"] - BEGIN) / MS == 2000
    assert (in_time["status"], in_time["filled"]) == ("FILLED", "1.000")
