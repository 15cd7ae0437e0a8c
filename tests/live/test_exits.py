"""Exits in live runs on spot venues, which know no reduce-only orders: they close, and once.

The account has no base currency at first, so the buyer's fee leaves less than was bought, and the
whole of it is the position.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from tests.live import hosted
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, start, wait_for

HALTED = 8
STEP = Decimal("0.000001")  # the size increment of BTC_USDT on both
BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(0)}
OPTIONS = {
    "oceanex": OceanexSimOptions(balances=BALANCES),
    "poloniex": PoloniexSimOptions(balances=BALANCES),
}
CREATE = {"oceanex": "/v1/orders$", "poloniex": "/orders$"}
FLATTENS = 'max_daily_loss = ["0.1 USDT"]\non_breach = "halt+cancel+flatten"\n'  # a fee breaks it
QUICK = """
[run]
on_stop = "keep"
[execution]
poll_ms = 100
absent_quarantine_secs = 0.5
unknown_query_ms = [1500, 3000]
settle_timeout_secs = 1.5
"""


class Exit:
    """A live run of `Exiting` on a venue of its own."""

    def __init__(self, folder: Path, served: Venue) -> None:
        self.folder = folder
        self.served = served
        self.key = str(served.line["venue"])
        self.log = folder / "run.log"
        self.told = folder / "told"
        self.process: subprocess.Popen[str] | None = None

    def start(self, risk: str = "", **params: Any) -> None:
        params["instrument_id"] = f"BTC_USDT.{self.key.upper()}"
        params["told"] = str(self.told)
        if "fault" in params:
            fault = {"method": "POST", "path": CREATE[self.key]} | params["fault"]
            params["fault"] = json.dumps(fault)
            params["faults"] = f"{self.served.line['control']}faults"
        strategy = {"id": "Exiting-1", "path": "tests.live.exiting:Exiting", "params": params}
        more = f"[risk]\n{risk}{QUICK}"
        config = configs.write(self.folder, self.served, strategies=[strategy], more=more)
        self.process = start("live", config, log=self.log)

    def wait(self, condition: Any, what: str) -> None:
        def now() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return bool(condition())

        wait_for(now, f"{what}; see {self.log}")

    def ticks(self, count: int) -> None:
        """Wait for so many more seconds of the gate's timer: it writes its state each."""
        state = self.folder / "state" / f"{self.key}-main.risk.json"
        for _ in range(count):
            before = state.stat().st_mtime_ns
            self.wait(lambda before=before: state.stat().st_mtime_ns != before, "the gate's tick")

    def end(self, code: int = 0) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECS) == code, self.log.read_text()[-3000:]

    # -- the venue's truth, and the journal's ------------------------------------------------------

    def orders(self, side: str, *statuses: str) -> list[dict[str, Any]]:
        (account,) = self.served.balances()
        entries = [e["order"] for e in self.served.ledger()["entries"] if e["type"] == "order"]
        last = {order["id"]: order for order in entries if order["account"] == account}
        return [
            order
            for order in last.values()
            if order["side"] == side and (not statuses or order["status"] in statuses)
        ]

    def btc(self) -> Decimal:
        (account,) = self.served.balances().values()
        return Decimal(account["BTC"]["free"]) + Decimal(account["BTC"]["locked"])

    def journal(self, query: str) -> list[Any]:
        path = self.folder / "state" / f"{self.key}-main.journal.sqlite"
        if not path.exists():
            return []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are not there yet

    def exits(self) -> list[tuple[str, dict[str, Any]]]:
        """State and intent of the journal's reduce-only orders, in the order of their sending."""
        rows = self.journal("SELECT state, intent FROM orders")
        found = [(str(state), json.loads(intent)) for state, intent in rows]
        found = [(state, intent) for state, intent in found if intent["reduce_only"]]
        return sorted(found, key=lambda one: int(one[1]["ts_init"]))

    def is_flat(self) -> bool:
        return bool(self.orders("SELL", "filled")) and self.btc() < STEP

    def closed_once(self) -> None:
        """One filled exit, of what the fee left in whole increments; both accounts agree."""
        (bought,), (sold,) = self.orders("BUY", "filled"), self.orders("SELL")
        assert sold["status"] == "filled"
        assert Decimal(sold["quantity"]) % STEP == 0
        assert 0 < Decimal(bought["quantity"]) - Decimal(sold["quantity"]) < 30 * STEP
        assert 0 <= self.btc() < STEP
        ((state, intent),) = self.exits()
        assert (state, intent["side"], intent["kind"]) == ("FILLED", "SELL", "MARKET")
        assert Decimal(intent["quantity"]) == Decimal(sold["quantity"])
        ((held,),) = self.journal("SELECT quantity FROM positions")
        assert Decimal(held) == self.btc()
        assert self.told.read_text() == "", "the gate refused an exit"


@pytest.fixture(params=sorted(OPTIONS))
def live(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Exit]:
    with hosted.simulated(tmp_path / "keys", OPTIONS[str(request.param)]) as line:
        run = Exit(tmp_path, Venue(None, line))  # type: ignore[arg-type]  # no process of its own
        yield run
        if run.process is not None and run.process.poll() is None:
            run.process.kill()
            run.process.wait(PATIENCE_SECS)


@pytest.mark.parametrize("how", ["close_position", "close_all_positions"])
def test_a_strategy_closes_its_position(live: Exit, how: str) -> None:
    live.start(how=how)
    live.wait(live.is_flat, "the position to be closed")
    live.end()
    live.closed_once()


def test_a_market_exit_cancels_and_closes(live: Exit) -> None:
    live.start(how="market_exit", resting="BUY")
    live.wait(lambda: live.is_flat() and live.orders("BUY", "canceled"), "the exit")
    live.end()
    live.closed_once()


def test_a_market_exit_waits_for_what_its_own_orders_hold(live: Exit) -> None:
    """A resting exit holds the base currency until the venue has cancelled it."""
    live.start(how="market_exit", resting="SELL")
    live.wait(live.is_flat, "the exit")
    live.end()
    assert len(live.orders("SELL", "canceled")) == len(live.orders("SELL", "filled")) == 1
    assert sorted(state for state, _ in live.exits()) == ["CANCELED", "FILLED"]
    assert live.told.read_text() == ""


def test_a_refused_exit_is_tried_again_with_backoff(live: Exit) -> None:
    live.start(FLATTENS, fault={"kind": "too_many", "times": 2})
    live.wait(live.is_flat, "the position to be closed")
    live.end(HALTED)
    states, times = zip(*[(state, i["ts_init"]) for state, i in live.exits()], strict=True)
    assert states == ("REFUSED", "REFUSED", "FILLED")
    waits = [(after - before) / 1e9 for before, after in pairwise(times)]
    assert all(wait > least - 0.5 for wait, least in zip(waits, (1, 2), strict=True)), waits
    log = live.log.read_text()
    assert log.count("the exit before closed nothing") == 2
    assert "try 3 to close" in log


@pytest.mark.parametrize(
    "kind", ["", "lose_answer", pytest.param("lose_request", marks=pytest.mark.slow)]
)
def test_a_broken_limit_flattens_once(live: Exit, kind: str) -> None:
    """Also when nothing is heard of the first exit, whether it came or not."""
    live.start(FLATTENS, **({"fault": {"kind": kind}} if kind else {}))
    if kind:
        live.wait(lambda: live.served._get("faults")["applied"].get(kind), "the exit to be lost")
        if (live.key, kind) != ("poloniex", "lose_answer"):  # its stream tells of the order at once
            live.wait(lambda: [s for s, _ in live.exits()] == ["UNKNOWN"], "the unknown outcome")
            live.ticks(1)
            assert [state for state, _ in live.exits()] == ["UNKNOWN"], "another one was sent"
    live.wait(live.is_flat, "the position to be closed")
    live.ticks(2)
    live.end(HALTED)
    if kind == "lose_request":  # proven absent, and only then sent again
        assert [state for state, _ in live.exits()] == ["REFUSED", "FILLED"]
        assert len(live.orders("SELL")) == 1
    else:
        live.closed_once()
