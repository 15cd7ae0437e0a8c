"""A served gateway in the test's process, and live runs of `two_targets.py` against it."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead.adapters.mudawyl.simulator import MudawylSimOptions, MudawylSimulator
from fairlead.adapters.simulation.venue import SimRequest, SimResponse
from fairlead.engine.cli.venue import write_credentials
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Process, start
from tests.support.serving import Serving
from tests.venues.mudawyl.test_desk import SYMBOL, move

HERE = Path(__file__).parent
PERSON = """
import json, os, sys, time, urllib.request
while os.path.exists(sys.argv[0] + ".slow"):
    time.sleep(0.05)
if os.path.exists(sys.argv[0] + ".away"):
    sys.exit(1)
body = json.dumps({"captcha": True}).encode()
with urllib.request.urlopen(sys.argv[1] + "/_sim/venue", body) as answer:
    print(json.load(answer)["captcha"])
"""
CONFIG = """
name = "two"
[venues.mudawyl]
adapter = "mudawyl"
account_type = "margin"
instruments = ["BTC_USDT.MUDAWYL"]
credentials = {{ token = "{token}" }}
[venues.mudawyl.options]
http_url = "{url}"
key_id = "{key}"
requests_per_second = 100
{options}
{captcha}
[[venues.mudawyl.options.markets]]
symbol = "BTC/USDT"
price_precision = 1
quantity_precision = 3
min_quantity = "0.001"
{market}
[[strategies]]
id = "two-1"
path = "{here}/two_targets.py:TwoTargets"
params = {{ instrument_id = "BTC_USDT.MUDAWYL"{params} }}
[execution]
poll_ms = 100
balance_poll_ms = 500
absent_quarantine_secs = 1.0
{execution}
[run]
stop_timeout_secs = 30
[risk]
price_collar_bps = "1000"
"""


class Gateway:
    """`asked` are the methods and paths of all requests but the simulator's own."""

    def __init__(self, folder: Path, **options: Any) -> None:
        made = MudawylSimOptions(is_market_live=False, requests_per_sec=1_000, **options)
        self.sim = MudawylSimulator(made, now_ns=time.time_ns(), seed=1)
        self.folder = folder
        self.asked: list[str] = []
        self._answer = self.sim.http
        self.sim.http = self._heard  # type: ignore[method-assign]
        self._serving = Serving(self.sim, time.time_ns)
        self.do = self._serving.do
        line = dict(self._serving.served.describe())
        self._url = line["rest"]
        self._token = write_credentials(folder / "keys", line["credentials"])["token"]
        self.log, self.toml = folder / "run.log", folder / "run.toml"
        self._runs: list[Process] = []
        self.move("60000")

    def _heard(self, request: SimRequest) -> SimResponse:
        if request.path.startswith("/v1/"):
            self.asked.append(f"{request.method} {request.path}")
        return self._answer(request)

    def move(self, price: str) -> None:
        self.do(lambda: move(self.sim, price))
        self.do(lambda: self.sim.advance(time.time_ns()))

    def ask(self, *, slowly: bool) -> None:
        """Whether the person who is asked for a captcha gives none for now."""
        mark = self.folder / "person.py.slow"
        if slowly:
            mark.touch()
        else:
            mark.unlink()

    def fail(self, kind: str) -> None:
        self.do(lambda: self.sim.control({"fail": kind}))

    def changes(self) -> list[str]:
        return [one.partition("/v1/priv/")[2] for one in self.asked if not one.startswith("GET")]

    def held(self) -> Decimal:
        return self.do(lambda: self.sim.holdings[SYMBOL].quantity)

    def open(self) -> list[str]:
        return self.do(lambda: sorted(row.type for row in self.sim.open_rows(SYMBOL)))

    # -- runs --------------------------------------------------------------------------------------

    def config(
        self,
        *,
        params: str = "",
        has_person: bool = True,
        execution: str = "",
        market: str = "",
        options: str = "",
        more: str = "",
    ) -> Path:
        person = self.folder / "person.py"
        person.write_text(PERSON)
        command = json.dumps([sys.executable, "-S", str(person), self._url])
        captcha = f'captcha = "command"\ncaptcha_command = {command}' if has_person else ""
        path = self.folder / "run.toml"
        text = CONFIG.format(
            token=self._token,
            url=self._url,
            key=self.sim.main.id,
            here=HERE,
            captcha=captcha,
            params=params,
            execution=execution,
            market=market,
            options=options,
        )
        path.write_text(text + more)
        return path

    def start(self, **config: Any) -> Process:
        run = start("live", self.config(**config), log=self.log)
        self._runs.append(run)
        return run

    def stop(self, run: Process) -> int:
        run.send_signal(signal.SIGTERM)
        return run.wait(PATIENCE_SECS)

    def kill(self, run: Process) -> None:
        run.kill()
        run.wait(PATIENCE_SECS)

    def wait(self, is_so: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECS
        while not is_so():
            assert time.monotonic() < deadline, f"{what}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def is_marked(self) -> bool:
        """Whether the gate knows what is held and its price, from which a loss is measured."""
        path = self.folder / "state" / "mudawyl-main.risk.json"
        held = json.loads(path.read_text())["held"] if path.exists() else {}
        return any(one["mark"] is not None for one in held.values())

    def states(self) -> list[tuple[str, str]]:
        """Role and state of every journaled order, sorted."""
        rows = self._journaled("intent, state")
        return sorted((json.loads(intent).get("role", ""), state) for intent, state in rows)

    def id_of(self, role: str) -> str:
        """The client order id of the one order, or the first, of a role."""
        rows = self._journaled("client_order_id, intent")
        return next(name for name, text in rows if json.loads(text).get("role", "") == role)

    def ids(self) -> list[str]:
        return [name for (name,) in self._journaled("client_order_id")]

    def noted(self, kind: str) -> int:
        """How many records of a kind the journal has."""
        rows = self._journaled("kind", "records")
        return sum(one == kind for (one,) in rows)

    def _journaled(self, columns: str, table: str = "orders") -> list[Any]:
        path = self.folder / "state" / "mudawyl-main.journal.sqlite"
        if not path.exists():
            return []
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return db.execute(f"SELECT {columns} FROM {table}").fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            db.close()

    def close(self) -> None:
        for run in self._runs:
            self.kill(run)
        self._serving.stop()
