"""Brackets and exits in a backtest: the strategy, and what became of its orders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import AggressorSide
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.run.backtest import RunResult
from tests.kernel.bench import BEGIN, book, pair, trade
from tests.kernel.bench import IID as BENCH_IID
from tests.support.order_lines import order_lines
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
