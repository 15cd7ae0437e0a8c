"""A command reaches the simulated exchange when its latency is over, whatever else is going on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from tests.support.order_lines import order_lines
from tests.unit.backtest_kit import (
    MAKER,
    MAKER_PARAMS,
    START_NS,
    book,
    config,
    perpetual,
    run,
    trade,
    write_catalog,
)

MS = 1_000_000
IID = "BTCUSDT.TEST"
TIMED = "tests.data.timed:Timed"
# The event that tells of a command, and those that tell of its arrival.
ANSWERS = {
    "OrderSubmitted": ("OrderAccepted", "OrderFilled"),
    "OrderPendingUpdate": ("OrderUpdated",),
    "OrderPendingCancel": ("OrderCanceled",),
}
LOOSE = "max_open_orders = 1000\nstale_after_ms = 60000"


def steady(root: Path, step_ms: int, count: int) -> Path:
    """A book that stands still, told anew each `step_ms`, with a trade 1 ns later."""
    instrument = perpetual(IID)
    root.mkdir(parents=True)
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    deltas: list[Any] = []
    trades = []
    for at in range(count):
        ts = START_NS + at * step_ms * MS
        deltas += book(instrument, Decimal(60_000), ts, at)
        trades.append(trade(instrument, Decimal(60_000), ts + 1, at, "0.100"))
    catalog.write_order_book_deltas(deltas)
    catalog.write_trade_ticks(trades)
    return root


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("steady")
    return {
        "sparse": steady(folder / "sparse", 3_000, 6),
        "dense": steady(folder / "dense", 5, 800),
    }


def named(path: str, params: dict[str, Any]) -> dict[str, Any]:
    """The kit names the instrument to shipped strategies itself."""
    return params if path.startswith("fairlead.strategies.") else {"instrument_id": IID, **params}


def delays(result: RunResult) -> Iterator[tuple[str, str, int]]:
    """Kind of order, of command, and nanoseconds from the command to its arrival."""
    for order in result.cache.orders():
        events = [(type(event).__name__, event.ts_event) for event in order.events()]
        for at, (name, sent_ns) in enumerate(events):
            if (answers := ANSWERS.get(name)) is not None:
                later = [ts for kind, ts in events[at + 1 :] if kind in answers]
                assert later, events
                yield order.order_type.name, name, later[0] - sent_ns


@pytest.mark.parametrize("driver", [{"every_us": 150_300}, {"every_books": 1}])
@pytest.mark.parametrize("data", ["sparse", "dense"])
@pytest.mark.parametrize("latency_ms", [0, 1, 5, 20, 50, 100])
def test_delay_is_what_the_config_says(
    tmp_path: Path, catalogs: dict[str, Path], latency_ms: int, data: str, driver: dict[str, int]
) -> None:
    """With commands from timers in between the data, and from the data's callbacks."""
    if data == "dense" and "every_books" in driver:
        driver = {"every_books": 33}  # each command's order is there before the next
    more = {"latency_ms": str(latency_ms), "risk": LOOSE}
    result = run(tmp_path, catalogs[data], TIMED, named(TIMED, driver), **more)
    found = list(delays(result))
    assert (result.summary.faults, result.summary.denials) == ([], {})
    assert {delay for _, _, delay in found} == {latency_ms * MS}
    commands = {(kind, name) for kind, name, _ in found}
    if len(found) > 12:
        assert commands >= {
            ("MARKET", "OrderSubmitted"),
            *(("LIMIT", name) for name in ANSWERS),
        }
    result.dispose()


def test_neither_timers_nor_callbacks_of_the_strategy_know_of_it(
    tmp_path: Path, catalogs: dict[str, Path]
) -> None:
    looking = "tests.data.timed:Looking"
    more = {"latency_ms": "20", "risk": LOOSE}
    result = run(tmp_path, catalogs["sparse"], looking, named(looking, {}), **more)
    (strategy,) = result.parts.strategies
    assert strategy.names == []
    assert strategy.heard == [START_NS + 4 * 3_000 * MS + 20 * MS]  # its timers were cancelled
    result.dispose()


# -- other timers, strategies and limits change nothing --------------------------------------------


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    return write_catalog(folder / "catalog", perpetual(IID), seconds=90, seed=11)


def traded(file: Path) -> tuple[bytes, list[Any]]:
    """`orders.jsonl`, and every event of every order but for its random id."""
    result = run_backtest(load(file))
    assert result.exit_code == 0, result.summary.outcome
    events = [
        {name: value for name, value in event.to_dict().items() if name != "event_id"}
        for order in sorted(result.cache.orders(), key=lambda one: str(one.client_order_id))
        for event in order.events()
    ]
    lines = order_lines(result.cache)
    result.dispose()
    return lines, events


IDLE = '\n[[strategies]]\nid = "Idle-002"\npath = "tests.data.timed:Idle"\n'
LATENCIES = ["5", *(pytest.param(ms, marks=pytest.mark.long) for ms in ("0", "30"))]
LIMIT = 'max_daily_loss = ["1000000 USDT"]\nmax_drawdown = ["1000000 USDT"]'
CASES = {
    "timed": (TIMED, "tests.data.timed:TickingTimed", {"every_us": 113_100}),
    "maker": (MAKER, "tests.data.timed:TickingMaker", MAKER_PARAMS),
    "brackets": (
        "fairlead.strategies.bracketed_breakout:BracketedBreakout",
        "tests.data.timed:TickingBrackets",
        {
            "order_quantity": "0.010",
            "bar": "1-SECOND-LAST",
            "lookback": 3,
            "stop_bps": "0.5",
            "target_bps": "1",
        },
    ),
}


@pytest.mark.parametrize("latency_ms", LATENCIES)
@pytest.mark.parametrize("case", CASES)
def test_timers_strategies_and_limits_that_do_nothing_change_nothing(
    tmp_path: Path, market: Path, case: str, latency_ms: str
) -> None:
    path, ticking, params = CASES[case]

    def outcome(
        path: str, *, risk: str = "", more: str = "", backtest: str = ""
    ) -> tuple[bytes, list[Any]]:
        file = config(
            tmp_path,
            market,
            path,
            named(path, params),
            latency_ms=latency_ms,
            risk=f"{LOOSE}\n{risk}",
            backtest=backtest,
        )
        file.write_text(file.read_text() + more)
        return traded(file)

    plain = outcome(path)
    assert len(plain[1]) > 40
    assert outcome(ticking) == plain
    assert outcome(path, more=IDLE) == plain
    assert outcome(path, risk=LIMIT) == plain
    assert outcome(path, backtest="chunk_size = 1000") == plain


# -- the end of the data ---------------------------------------------------------------------------


@pytest.mark.parametrize(("sent_ms", "latency_ms"), [(14_990, "20"), (14_900, "20"), (14_990, "0")])
def test_what_fills_after_the_data_has_ended_is_said(
    tmp_path: Path, catalogs: dict[str, Path], sent_ms: int, latency_ms: str
) -> None:
    """The last data is at 15 s, and 1 ns."""
    steps = [[sent_ms, "market", "last", "BUY", "0.010"]]
    params = {"steps": json.dumps(steps).replace('"', '\\"'), "begin_ns": START_NS}
    path = "tests.data.exits:BracketSteps"
    more = {"latency_ms": latency_ms, "risk": LOOSE}
    result = run(tmp_path, catalogs["sparse"], path, named(path, params), **more)
    (strategy,) = result.parts.strategies
    is_told = len(strategy.held) == 1
    said = [note for note in result.summary.notes if "no strategy was told" in note]
    assert result.summary.fills == 1
    assert (is_told, len(said)) == (
        (False, 1) if (sent_ms, latency_ms) == (14_990, "20") else (True, 0)
    )
    result.dispose()
