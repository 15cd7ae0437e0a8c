"""A live run that can be blocked, `fairlead kill` on it, and the venue's truth about both."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead.engine.errors import Exit
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, start, wait_for

ACCOUNTS = {
    "oceanex": "main",
    "piexgo": "main",
    "poloniex": "spot",
    "zerocap": "main",
}  # at the simulated venue


class Run:
    """A live run that can be blocked, and `fairlead kill` on it."""

    def __init__(self, folder: Path, served: Venue, key: str = "oceanex") -> None:
        self.folder = folder
        self.key = key
        self.instrument = f"BTC_USDT.{key.upper()}"
        self.account = ACCOUNTS[key]
        self.served = served
        self.log = folder / "live.log"
        self.block_file = folder / "block"
        self.state = folder / "state" / "kill-switch"
        self.process: subprocess.Popen[str] | None = None
        self.config = folder / "test.toml"
        self.more = configs.ROOMY
        self.verb = "live"

    def start(self, *strategies: dict[str, Any]) -> None:
        always = {"instrument_id": self.instrument, "block_file": str(self.block_file)}
        named = [
            {
                "id": one.pop("id", "B-1"),
                "path": "tests.live.blocker:Blocker",
                "params": {**always, **one},
            }
            for one in strategies
        ]
        self.config = configs.write(self.folder, self.served, strategies=named, more=self.more)
        self.process = start(self.verb, self.config, log=self.log)

    def block(self) -> None:
        """Have the strategy block the loop, until `release`."""
        blocked = self.block_file.with_suffix(".blocked")
        blocked.unlink(missing_ok=True)
        self.block_file.with_suffix(".release").unlink(missing_ok=True)
        self.block_file.touch()
        wait_for(blocked.exists, f"the block; see {self.log}")
        self.block_file.unlink()

    def release(self) -> None:
        self.block_file.with_suffix(".release").touch()

    def kill(self, *arguments: str, code: Exit = Exit.OK) -> dict[str, Any]:
        done = command("kill", *arguments, "--config", str(self.config), "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout else {}

    def end(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(PATIENCE_SECS)

    def end_at(self, text: str) -> int:
        """End the run once its log has the text."""

        def there() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            return text in self.log.read_text()

        wait_for(there, f"{text!r}; see {self.log}")
        return self.end()

    # -- the run's journal ----------------------------------------------------------------------

    def journaled(self, query: str) -> list[tuple[Any, ...]]:
        path = self.folder / "state" / f"{self.key}-main.journal.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def frozen(self) -> bool:
        """Stop the process; False: within a write of the journal, so that it goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        path = self.folder / "state" / f"{self.key}-main.journal.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
            except sqlite3.OperationalError:
                self.process.send_signal(signal.SIGCONT)
                return False
        return True

    def held(self) -> Decimal:
        """What it has of the instrument, all strategies together."""
        rows = self.journaled("SELECT quantity FROM positions")
        return sum((Decimal(quantity) for (quantity,) in rows), Decimal(0))

    # -- the venue's truth ---------------------------------------------------------------------

    def orders(self) -> dict[int, dict[str, Any]]:
        """The account's orders at the venue, as they are now, by id."""
        entries = self.served.ledger()["entries"]
        orders = [e["order"] for e in entries if e["type"] == "order"]
        return {order["id"]: order for order in orders if order["account"] == self.account}

    def open(self) -> list[dict[str, Any]]:
        return [o for o in self.orders().values() if o["status"] not in ("canceled", "filled")]

    def at_least(self, count: int) -> None:
        def there() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            return len(self.orders()) >= count

        wait_for(there, f"{count} orders; see {self.log}")

    def created_after(self, ts_ns: int) -> list[dict[str, Any]]:
        return [o for o in self.orders().values() if o["ts_created"] > ts_ns]

    def btc(self) -> Decimal:
        account = self.served.balances()[self.account]["BTC"]
        return Decimal(account["free"]) + Decimal(account["locked"])
