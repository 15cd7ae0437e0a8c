"""Runs of the scripted strategy against the served venue, and what became of them."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support import configs
from tests.support.processes import PATIENCE_SECS, Venue, run, run_until, start, wait_for

INSTRUMENT = "BTC_USDT.OCEANEX"
QUICK = """
[execution]
poll_ms = 100
absent_quarantine_secs = 0.5
settle_timeout_secs = 1.5
"""


class Desk:
    """One test's folder: config, state, outputs, and the processes it started."""

    def __init__(self, served: Venue, folder: Path) -> None:
        self.served = served
        self.folder = folder
        self.log = folder / "run.log"
        self.seen = folder / "seen.json"
        self.journal = folder / "state" / "oceanex-main.journal.sqlite"
        self._processes: list[subprocess.Popen[str]] = []
        self._first = len(served.ledger()["entries"])

    def config(
        self, does: str = "rest", more: str = QUICK, cls: str = "Scripted", **params: Any
    ) -> Path:
        named = {"instrument_id": INSTRUMENT, "does": does, "seen": str(self.seen), **params}
        path = f"tests.live.scripted:{cls}"
        strategy = {"id": "Scripted-1", "path": path, "params": named}
        return configs.write(self.folder, self.served, strategies=[strategy], more=more)

    def start(self, verb: str, config: Path, *arguments: str) -> subprocess.Popen[str]:
        process = start(verb, config, *arguments, log=self.log)
        self._processes.append(process)
        return process

    def run(self, verb: str, config: Path, seconds: float) -> subprocess.CompletedProcess[str]:
        return run(verb, config, "--for", str(seconds), "--json")

    def run_until(
        self, verb: str, config: Path, done: Callable[[], Any], what: str
    ) -> subprocess.CompletedProcess[str]:
        """A run that is stopped once `done` is true, or ends by itself before."""
        return run_until(verb, config, done, what, folder=self.folder)

    def did(self, what: str) -> Callable[[], bool]:
        """Whether the strategy comes so far, from now on: book, acted, filled, refused ..."""
        mark = self.seen.with_suffix(f".{what}")
        mark.unlink(missing_ok=True)  # of an earlier run
        return mark.exists

    def told(self) -> str:
        """What the run that `run_until` has started told on stderr, so far."""
        file = self.folder / "run.err"
        return file.read_text() if file.exists() else ""

    def end(self) -> None:
        """Leave the venue as it was: no process, no fault, no order of this test."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_SECS)
        self.served.post("faults", clear=True)
        if self.is_resting():
            ended = self.run_until("live", self.config("nothing"), self.did("book"), "a book")
            assert ended.returncode == 0
            assert not self.is_resting(), "the test left orders at the venue"

    # -- the venue's truth ---------------------------------------------------------------------

    def entries(self, kind: str) -> list[dict[str, Any]]:
        since = self.served.ledger()["entries"][self._first :]
        return [entry for entry in since if entry["type"] == kind and self._is_ours(entry)]

    def _is_ours(self, entry: dict[str, Any]) -> bool:
        owner = entry.get("account") or entry.get("order", {}).get("account")
        return owner in self.served.balances()

    def orders(self) -> set[str]:
        """Ids of every order that this test brought to the venue."""
        return {str(entry["order"]["id"]) for entry in self.entries("order")}

    def open_orders(self) -> set[str]:
        """Ids of this test's orders that the venue has not ended."""
        status = {str(e["order"]["id"]): e["order"]["status"] for e in self.entries("order")}
        return {number for number, now in status.items() if now not in ("filled", "canceled")}

    def is_resting(self) -> bool:
        """Whether an order holds funds of the account."""
        (account,) = self.served.balances().values()
        return any(Decimal(balance["locked"]) for balance in account.values())

    def fault(self, method: str, path: str, kind: str, times: int = 1, secs: float = 0.5) -> None:
        self.served.post("faults", method=method, path=path, kind=kind, times=times, secs=secs)

    def faults_applied(self, kind: str) -> int:
        return int(self.served._get("faults")["applied"].get(kind, 0))

    # -- the journal ---------------------------------------------------------------------------

    def states(self) -> list[str]:
        if not self.journal.exists():
            return []
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            try:
                return [row[0] for row in db.execute("SELECT state FROM orders")]
            except sqlite3.OperationalError:
                return []  # its tables are not there yet

    def position(self) -> Decimal:
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT quantity FROM positions").fetchall()
        return sum((Decimal(row[0]) for row in rows), Decimal(0))

    # -- waiting -------------------------------------------------------------------------------

    def wait_resting(self, process: subprocess.Popen[str]) -> None:
        wait_for(
            lambda: (self.is_resting() and "OPEN" in self.states()) or process.poll() is not None,
            "an order at the venue",
        )
        assert process.poll() is None, self.log.read_text()[-3000:]

    def stop(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
        """Signal once; the exit code."""
        process.send_signal(number)
        return process.wait(PATIENCE_SECS)


def summary(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
