"""Parity of a live run for which an order of an earlier run was executed: while nothing ran, or as
it was up. What it then sells it held, and so does its replay."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.research.runs import newest
from tests.live.test_parity import SIMULATED
from tests.support import configs
from tests.support.processes import Venue, run, start, venue, wait_for

KEEP = '[run]\non_stop = "keep"\nstop_timeout_secs = 30\n' + configs.ROOMY + SIMULATED
SIZE = Decimal("0.03")
PART = Decimal("0.01")


# Where the venue tells of orders that are not open
READS = ("tradeOrderHistory", "canceledOrderHistory", "orderHistory", "orderInfo")


class Away:
    """A run that rested a BUY and ended, or was killed, with it open."""

    def __init__(self, served: Venue, folder: Path) -> None:
        key = str(served.line["venue"])
        name = f"BTC_USDT.{key.upper()}"
        strategy = {
            "id": "Keeping-1",
            "path": "tests.live.pairing:Keeping",
            "params": {"instrument_id": name},
        }
        self.served, self.folder = served, folder
        self.config = configs.write(folder, served, strategies=[strategy], more=KEEP)
        self._journal = folder / "state" / f"{key}-main.journal.sqlite"

    def rest(self, number: int, state: str = "OPEN") -> None:
        process = start("live", self.config, log=self.folder / "run.log")
        try:
            wait_for(lambda: self.states() == [state], "an order at the venue")
        finally:
            process.send_signal(number)
            code = process.wait(60)
        assert code == (0 if number == signal.SIGTERM else -number)
        self.order = next(
            entry["order"]
            for entry in self.served.ledger()["entries"]
            if entry["type"] == "order" and entry["order"]["account"] in self.served.balances()
        )

    def meet(self, size: Decimal) -> None:
        """Someone sells down to its price, which is under the market."""
        at = {"market": self.order["market"], "price": self.order["price"]}
        post = self.served.post
        post("market", action="pause")
        try:
            post("market", **at, quantity=str(size), aggressor="SELL")
            post("market", **at, side="SELL", size=str(size))
        finally:
            post("market", **at, side="SELL", size="0")
            post("market", action="resume")

    def fall(self) -> None:
        """The whole market goes below its price, and stays there."""
        below = Decimal(self.order["price"]) * Decimal("0.998")
        mid = str(below.quantize(Decimal("0.01")))
        self.served.post("market", market=self.order["market"], mid=mid)

    def withhold(self) -> None:
        """The venue loses its answer to the next order, and tells of none that is over."""
        post = self.served.post
        post("faults", method="POST", path="/api/v1/order$", kind="lose_answer")
        for name in READS:
            post("faults", method="POST", path=f"/api/v1/{name}", kind="unavailable", times=500)

    @contextmanager
    def again(self) -> Iterator[Path]:
        """Another run, stopped in order once both orders are filled; gives its log."""
        log = self.folder / "again.log"
        process = start("live", self.config, log=log)
        try:
            yield log
            wait_for(lambda: self.states() == ["FILLED"] * 2, "what it was, and its exit")
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        assert code == 0, log.read_text()[-3000:]

    def states(self) -> list[str]:
        return [state for state, _ in self._rows("SELECT state, 0 FROM orders")]

    def held(self) -> Decimal | int:
        return sum(
            (Decimal(size) for size, _ in self._rows("SELECT quantity, 0 FROM positions")),
            Decimal(),
        )

    def _rows(self, query: str) -> list[Any]:
        if not self._journal.exists():
            return []
        with closing(sqlite3.connect(f"file:{self._journal}?mode=ro", uri=True)) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are not there yet

    def parity(self) -> dict[str, Any]:
        kept = next(newest(self.folder / "state"))
        done = run("parity", kept, "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        rows = [json.loads(line) for line in (kept / "orders.jsonl").read_text().splitlines()]
        sold = [row for row in rows if row["side"] == "SELL"]
        assert [row["status"] for row in sold] == ["FILLED"], sold
        assert done.returncode == 0, done.stdout[-3000:]
        return found


@pytest.fixture(params=["piexgo", "poloniex"])
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Away]:
    with venue(request.param, tmp_path / request.param, "--seed", "5") as served:
        yield Away(served, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_executed_while_nothing_ran_is_held_by_the_replay(away: Away, number: int) -> None:
    """The start books it: its exits are compared, and it is in no net."""
    away.rest(number)
    away.meet(SIZE)
    done = run("live", away.config, "--for", "6", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    found = away.parity()
    assert_alike(found, 1)
    assert any("of orders of earlier runs" in note for note in found["notes"]), found["notes"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_order_taken_over_is_executed_in_parts(away: Away, number: int) -> None:
    """One while nothing ran, which the start books, the other one as the run is up."""
    away.rest(number)
    away.meet(PART)
    with away.again() as log:
        wait_for(lambda: "trades of" in log.read_text() and away.held() > 0, "the first part")
        away.fall()
    found = away.parity()
    assert_alike(found, 2)


@pytest.mark.parametrize("away", ["piexgo"], indirect=True)
def test_an_order_whose_end_the_run_hears_of_as_it_is_up(away: Away) -> None:
    """It was sent, and executed, before: nobody could tell, until the venue answers again."""
    away.withhold()
    away.rest(signal.SIGKILL, "UNKNOWN")
    away.meet(SIZE)
    with away.again() as log:
        wait_for(lambda: "trades of" in log.read_text(), "the run to be up")
        assert not away.held()
        away.served.post("faults", clear=True)
    found = away.parity()
    assert_alike(found, 1)
    assert any("1 orders were of unknown outcome" in note for note in found["notes"])


def assert_alike(found: dict[str, Any], orders: int) -> None:
    """All of it was compared; where nothing differs (of a busy machine, an exit's price may), the
    nets are the same but for the decimals of an average."""
    assert found["orders"] == orders
    kinds = {one["kind"] for one in found["differences"]}
    assert not kinds & {"refusal", "unexplained"}, found
    (net,) = found["net"].values()
    assert kinds or abs(Decimal(net["run"]) - Decimal(net["replay"])) < Decimal("0.01"), found
