"""A signal ends a backtest in order, and is never an exception in what a callback is at.

Strategies send their own process the signal, so that it comes where a test wants it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import OrderSide

from fairlead.engine.errors import Exit
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.recording.catalog import utc
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.backtest_engine import Engine
from tests.data.plain_strategy import Plain
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import wait_for
from tests.unit.backtest_kit import START_NS, config, loaded, perpetual, write_catalog

PERP = "BTCUSDT.TEST"
PARAMS: dict[str, Any] = {"instrument_id": PERP, "size": "0.100", "every": 7}
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of a seeded market."""
    root = tmp_path_factory.mktemp("interrupts") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=60, seed=11)


class Signalling(Plain):
    """Sends a signal, once, `where` that is, and goes on with what it is at."""

    where = ""
    number = signal.SIGTERM
    told: list[str]

    def _at(self, where: str) -> None:
        if where == type(self).where:
            type(self).where = ""
            os.kill(os.getpid(), type(self).number)
            type(self).told.append(f"after {where}")

    def on_start(self) -> None:
        super().on_start()
        self.clock.set_timer_ns("second", SECOND_NS, callback=self.on_second)
        self._at("on_start")

    def on_second(self, event: Any) -> None:
        self._at("timer")

    def on_book_deltas(self, deltas: Any) -> None:
        super().on_book_deltas(deltas)
        if self.count == 70:
            self._at("book")
            assert self.order_factory.market(deltas.instrument_id, OrderSide.BUY, self._size())

    def _size(self) -> Any:
        return self.cache.instrument(self.settings.instrument_id).make_qty(Decimal("0.1"))

    def on_trade(self, trade: Any) -> None:
        super().on_trade(trade)
        if self.trades == 20:
            self._at("trade")

    def on_order_initialized(self, event: Any) -> None:
        if self.count > 30:
            self._at("initialized")  # within a native call, which has borrowed the strategy

    def on_order_filled(self, event: Any) -> None:
        if self.count > 30:
            self._at("filled")

    def on_stop(self) -> None:
        type(self).told.append("on_stop")
        self._at("on_stop")


@pytest.fixture
def strategy(monkeypatch: pytest.MonkeyPatch) -> type[Signalling]:
    monkeypatch.setattr(Signalling, "told", [], raising=False)
    monkeypatch.setattr(Signalling, "where", "")
    monkeypatch.setattr(Signalling, "number", signal.SIGTERM)
    return Signalling


def run(folder: Path, catalog: Path, **more: Any) -> RunResult:
    return run_backtest(
        loaded(folder, catalog, "tests.unit.run.test_interrupts:Signalling", PARAMS, **more)
    )


def orders(result: RunResult) -> list[tuple[Any, ...]]:
    """Each order, and what was filled of it, in their order."""
    found = [
        (
            order.ts_init,
            str(order.client_order_id),
            order.side,
            order.quantity,
            [(e.ts_event, e.last_px, e.last_qty) for e in order.events() if hasattr(e, "last_px")],
        )
        for order in result.cache.orders()
    ]
    return sorted(found, key=lambda one: one[:2])


def is_cut(result: RunResult, name: str = "SIGTERM") -> None:
    told = result.summary
    assert told.exit_code == Exit.INTERRUPTED
    assert told.outcome == f"INTERRUPTED: ended by {name} at {utc(told.end_ns)}"
    assert told.notes[0].startswith(f"{told.outcome}; the data after that, until ")
    assert told.faults == []
    assert told.orders_by_status.keys() <= {"FILLED", "CANCELED"}


@pytest.mark.parametrize("where", ["timer", "book", "trade", "initialized", "filled"])
def test_the_run_is_the_whole_runs_beginning(
    tmp_path: Path, catalog: Path, strategy: type[Signalling], where: str
) -> None:
    whole = run(tmp_path, catalog)
    assert whole.summary.exit_code == 0
    assert strategy.told == ["on_stop"]
    strategy.told.clear()
    strategy.where = where
    cut = run(tmp_path, catalog)
    is_cut(cut)
    assert strategy.told == [f"after {where}", "on_stop"]
    part, all_ = orders(cut), orders(whole)
    assert len(part) < len(all_)
    for mine, its in zip(part, all_, strict=False):
        assert mine[:4] == its[:4]
        assert mine[4] == its[4] or mine[0] >= cut.summary.end_ns - 2 * SECOND_NS
    assert START_NS <= cut.summary.end_ns < whole.summary.end_ns
    assert (cut.summary.events or 0) < (whole.summary.events or 0)
    whole.dispose()
    cut.dispose()


@pytest.mark.parametrize("number", NUMBERS)
def test_every_signal_does(
    tmp_path: Path, catalog: Path, strategy: type[Signalling], number: signal.Signals
) -> None:
    strategy.where, strategy.number = "book", number
    before = [signal.getsignal(one) for one in NUMBERS]
    result = run(tmp_path, catalog)
    is_cut(result, number.name)
    assert [signal.getsignal(one) for one in NUMBERS] == before
    result.dispose()


def test_a_signal_at_the_start_and_at_the_stop(
    tmp_path: Path, catalog: Path, strategy: type[Signalling]
) -> None:
    strategy.where = "on_start"
    result = run(tmp_path, catalog)
    is_cut(result)
    result.dispose()
    strategy.where = "on_stop"  # nothing is left to cut
    result = run(tmp_path, catalog)
    assert result.summary.exit_code == 0
    result.dispose()


def sends_at(times: int, before: Callable[..., Any]) -> Callable[..., Any]:
    calls = [0]

    def sending(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == times:
            os.kill(os.getpid(), signal.SIGTERM)
        return before(*arguments)

    return sending


@pytest.mark.parametrize(
    ("cls", "method", "times"),
    [
        (MarketFills, "get_orderbook_for_fill_simulation", 3),
        (Engine, "_next", 1),
        (Engine, "_next", 2),
    ],
)
def test_a_signal_where_no_strategy_is_at_work(
    tmp_path: Path,
    catalog: Path,
    strategy: type[Signalling],
    monkeypatch: pytest.MonkeyPatch,
    cls: type,
    method: str,
    times: int,
) -> None:
    monkeypatch.setattr(cls, method, sends_at(times, getattr(cls, method)))
    result = run(tmp_path, catalog, backtest="chunk_size = 1000")
    is_cut(result)
    result.dispose()


MODULE = """
import os, signal, sys
from pathlib import Path
from tests.data.plain_strategy import Plain
class Signalling(Plain):
    def on_book_deltas(self, deltas):
        super().on_book_deltas(deltas)
        if self.count == 10:
            os.kill(os.getpid(), {first})
            {then}
"""
UNTIL_TOLD = (
    "import threading; from fairlead.engine.run import stopguard as g; told = threading.Event(); "
    "say = g.say; g.say = lambda text: (say(text), told.set()); told.wait(50)"
)
MAIN = "from fairlead.engine.cli.main import main; main()"


def command(folder: Path, catalog: Path, *words: str) -> list[str]:
    file = config(folder, catalog, "signalling:Signalling", PARAMS)
    return [sys.executable, "-c", MAIN, "backtest", str(file), *words]


def ended(
    folder: Path, catalog: Path, first: str, then: str, *words: str
) -> subprocess.CompletedProcess[str]:
    (folder / "signalling.py").write_text(MODULE.format(first=first, then=then))
    return subprocess.run(
        command(folder, catalog, "--json", "--out", str(folder / "out"), *words),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_the_command_has_one_document_and_one_code(
    tmp_path: Path, catalog: Path, number: signal.Signals
) -> None:
    done = ended(tmp_path, catalog, f"signal.{number.name}", "")
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"]) == (130, 130)
    assert told["outcome"].startswith(f"INTERRUPTED: ended by {number.name} at ")
    assert done.stderr.splitlines()[-1] == f"error {told['outcome']}"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["exit_code"] == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, catalog: Path, number: signal.Signals
) -> None:
    later = "import time; time.sleep(0.2); " if number == signal.SIGTERM else ""
    again = f"{later}os.kill(os.getpid(), signal.{number.name})\n            while True: pass"
    done = ended(tmp_path, catalog, "signal.SIGTERM", again)
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"]) == (130, 130)
    assert told["error"]["code"] == "STOP-AT-ONCE"
    assert "error STOP-AT-ONCE: ended at once by a second signal" in done.stderr


def test_a_callback_that_does_not_come_back_is_told_and_cut_off(
    tmp_path: Path, catalog: Path
) -> None:
    limit = ("--set", "run.stop_timeout_secs=6")
    done = ended(tmp_path, catalog, "signal.SIGTERM", "while True: pass", *limit)
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"]) == (124, 124)
    place = "blocks the backtest in on_book_deltas (signalling.py:"
    waits, cut = done.stderr.splitlines()[-2:]
    assert waits.startswith("warning STOP-WAITS: the stop (signal SIGTERM) waits: strategy ")
    assert place in waits
    assert cut.startswith("error STOP-TIMEOUT: the run did not stop within 6 s (signal SIGTERM)")
    assert place in cut
    assert cut.endswith("nothing was summed up")


def test_a_slow_callback_is_told_and_ends_in_order(tmp_path: Path, catalog: Path) -> None:
    limit = ("--set", "run.stop_timeout_secs=60")
    done = ended(tmp_path, catalog, "signal.SIGTERM", UNTIL_TOLD, *limit)
    assert done.returncode == 130
    assert "warning STOP-WAITS: the stop (signal SIGTERM) waits: strategy " in done.stderr
    assert "STOP-TIMEOUT" not in done.stderr


@pytest.mark.parametrize("number", NUMBERS)
def test_before_its_run_it_has_the_same_code_and_one_document(
    tmp_path: Path, catalog: Path, number: signal.Signals
) -> None:
    (tmp_path / "signalling.py").write_text(
        MODULE.format(first="0", then="") + f"os.kill(os.getpid(), signal.{number.name})\n"
    )
    done = subprocess.run(
        command(tmp_path, catalog, "--json"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"], told["error"]["code"]) == (130, 130, "INTERRUPTED")
    line = f"error INTERRUPTED: ended by {number.name} before it was done"
    assert done.stderr.splitlines()[-1] == line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_many_sessions_are_cut_short_with_their_processes(number: signal.Signals) -> None:
    words = ["simulate", "--seeds", "1..100000", "--venues", "oceanex", "--jobs", "2", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            wait_for(lambda: len(children(process.pid)) > 2, "processes of its own")
            mine = children(process.pid)
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE_SECS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    told = json.loads(out)
    assert (process.returncode, told["exit_code"], told["error"]["code"]) == (
        130,
        130,
        "INTERRUPTED",
    )
    assert f"error INTERRUPTED: ended by {number.name} before it was done\n" in err
    wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in mine), "their end")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_an_interrupt_while_the_command_is_loaded_ends_it_without_a_traceback() -> None:
    early = (
        "import sys\n"
        "class Early:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'fairlead.engine.cli.process': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Early())\n"
    )
    words = [sys.executable, "-c", early + MAIN]
    done = subprocess.run(words, capture_output=True, timeout=PATIENCE_SECS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (int(Exit.INTERRUPTED), b"", b"")
