"""A kill whose process dies in the middle, and one beside a run that has not booked all: what is
sold is nobody's any more, in the journal of the run and of the next.
"""

from __future__ import annotations

import signal
import time
from contextlib import closing
from decimal import Decimal

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Intent, Kind, Role, Side
from tests.live.blocked_run import Run
from tests.support.processes import command, wait_for

pytestmark = pytest.mark.slow

BOUGHT = Decimal("0.0245")  # by two buys, less the fees
STEP = Decimal("0.000001")
LEFT = "11111111-2222-4333-8444-555555555555"
DUST = {"oceanex": STEP, "poloniex": Decimal("0.00001")}


def positions(live: Run) -> dict[str, Decimal]:
    rows = live.journaled("SELECT strategy, quantity FROM positions")
    return {strategy: Decimal(quantity) for strategy, quantity in rows}


def leave(live: Run) -> None:
    """What `fairlead kill all --action flatten` leaves that dies before its order is sent."""
    path = live.folder / "state" / f"{live.key}-main.journal.sqlite"
    with closing(Journal(path, fsync=False, now_ns=time.time_ns)) as journal:
        (held,) = (one for one in journal.positions() if one.quantity)
        assert held.avg_price is not None
        journal.hand_over(held.strategy, KILL_STRATEGY, held.instrument, held.avg_price)
        order = Intent(
            client_order_id=LEFT,
            strategy=KILL_STRATEGY,
            instrument=live.instrument,
            side=Side.SELL,
            kind=Kind.MARKET,
            quantity=held.quantity // STEP * STEP,
            ts_init=time.time_ns(),
            role=Role.EXIT,
        )
        journal.intend([order])


def test_a_closing_order_that_was_left_is_proven_by_the_run(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 2, "rests": 1})
    live.at_least(3)
    wait_for(lambda: live.held() == live.btc() - before > BOUGHT, "the buys in the journal")
    leave(live)
    state = "SELECT state FROM orders WHERE strategy = 'KILL'"
    wait_for(lambda: live.journaled(state) == [("REFUSED",)], f"its proof; see {live.log}")
    assert live.kill("all", "--action", "flatten")["is_clean"]
    wait_for(lambda: live.btc() - before < STEP, "the position to be closed")
    wait_for(lambda: abs(live.held()) < STEP, "the journal to have it")
    assert abs(positions(live)["B-1"]) < STEP
    assert live.end() == Exit.KILLED


def test_of_a_run_that_hangs_the_command_says_what_to_do(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 2, "rests": 1})
    live.at_least(3)
    wait_for(lambda: live.held() == live.btc() - before > BOUGHT, "the buys in the journal")
    wait_for(live.frozen, "a moment between two writes")
    leave(live)
    arguments = ["all", "--action", "flatten", "--config", str(live.config)]
    done = command("kill", *arguments, "--timeout", "8")
    assert live.process is not None
    assert done.returncode == Exit.UNRESOLVED
    assert f"{LEFT} of an earlier kill is of unknown outcome" in done.stdout
    assert f"(process {live.process.pid})" in done.stdout
    assert "end it first (kill -9)" in done.stdout
    assert live.btc() - before > BOUGHT
    live.process.send_signal(signal.SIGKILL)
    live.process.wait()
    assert live.kill(*arguments[:-2], "--timeout", "60")["is_clean"]
    assert live.btc() - before < STEP


@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
@pytest.mark.parametrize("wakes", [True, False])
def test_what_was_closed_before_it_was_booked_is_nobodys(live: Run, wakes: bool) -> None:
    before, dust = live.btc(), DUST[live.key]
    live.start({"goes_on": False, "buys": 2, "block_secs": 120, "block_at_buy": True})
    wait_for(live.block_file.with_suffix(".blocked").exists, f"the block; see {live.log}")
    wait_for(lambda: live.btc() - before > BOUGHT, "the buys at the venue")
    assert live.kill("all", "--action", "flatten")["is_clean"]
    assert live.btc() - before < dust
    assert live.process is not None
    if wakes:
        live.release()
    else:
        live.process.kill()
        live.process.wait()
        live.kill("all", "--clear", "--reason", "looked at")
        live.block_file.with_suffix(".blocked").unlink()
        live.log = live.folder / "again.log"
        count = len(live.orders())
        live.start({"goes_on": False, "rests": 1})
        live.at_least(count + 1)
    wait_for(
        lambda: all(abs(one) < dust for one in positions(live).values()),
        f"the executions to be booked; see {live.log}",
    )
    assert live.end() == (Exit.KILLED if wakes else Exit.OK)
    assert all(abs(one) < dust for one in positions(live).values()), positions(live)
