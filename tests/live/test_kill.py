"""The kill switch against real runs: own process, own connection, judged by the venue's ledger."""

from __future__ import annotations

import json
import re
import signal
from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.page import OBSERVE, PageOf
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import command, wait_for

STEP = Decimal("0.000001")
DUST = {"oceanex": STEP, "poloniex": Decimal("0.00001")}  # below what can be sold
BOUGHT = Decimal("0.0245")  # two buys, less fees
# Requests that were on the wire when the kill took effect: a create may reach the venue so late.
IN_FLIGHT_NS = 250_000_000
BLOCK_SECS = 60  # at most: a test releases the loop


def nothing_new(run: Run, kill: dict[str, Any]) -> None:
    late = run.created_after(kill["kill"]["ts_ns"] + IN_FLIGHT_NS)
    assert not late, f"created after the kill: {late}"


def blocked_with_orders(live: Run) -> None:
    """Five orders rest, the journal has the venue's ids of all, and the loop stands still."""
    live.start({"goes_on": False, "rests": 5, "block_secs": BLOCK_SECS})
    live.at_least(5)
    known = "SELECT count(*) FROM orders WHERE state = 'OPEN'"
    wait_for(lambda: live.journaled(known) == [(5,)], "the answers")
    live.block()


@pytest.mark.slow
def test_kill_of_a_burst_holds_until_a_person_clears_it(live: Run) -> None:
    live.start({"every_ms": 10})
    live.at_least(20)
    kill = live.kill("all", "--reason", "a test")
    assert kill["is_clean"]
    assert not live.open()
    nothing_new(live, kill)
    assert live.process is not None
    assert live.process.poll() is None, "the run goes on, halted"
    assert live.end() == Exit.KILLED
    count = len(live.orders())
    assert [k["reason"] for k in live.kill("--status", code=Exit.KILLED)["in_force"]] == ["a test"]

    before = _denials(live)
    live.start({"every_ms": 10})  # a restart creates nothing
    wait_for(lambda: _denials(live) > before, "a denial")
    assert live.end() == Exit.KILLED
    assert len(live.orders()) == count

    assert live.kill("all", "--clear", "--reason", "looked at")["removed"] == ["all.json"]
    assert live.kill("--status")["in_force"] == []
    live.start({"every_ms": 10, "goes_on": False})
    live.at_least(count + 3)
    assert live.end() == Exit.OK


def _denials(run: Run) -> int:
    """Orders refused by the kill switch in all runs; the gate writes its counters each second."""
    path = run.folder / "state" / f"{run.key}-main.risk.json"
    if not path.exists():
        return 0
    refused = json.loads(path.read_bytes())["counters"].get("KILL_SWITCH", {}).get("refused", 0)
    return int(refused)


@pytest.mark.slow
def test_kill_while_a_strategy_blocks_the_loop(live: Run) -> None:
    live.start({"goes_on": False, "rests": 60, "every_ms": 10, "block_secs": BLOCK_SECS})
    live.at_least(60)
    live.block()
    kill = live.kill("all")
    assert kill["is_clean"]
    (report,) = kill["venues"]
    assert report["first_cancel_ms"] > 0
    assert len(report["orders"]) >= 60
    assert not live.open()
    log = live.log.read_text()
    assert "kill switch" not in log, "the loop was blocked to the end"
    live.release()
    wait_for(lambda: "kill switch" in live.log.read_text(), "the loop to wake up")
    assert live.end() == Exit.KILLED
    nothing_new(live, kill)  # what the strategy sent right before it blocked stayed here
    assert not live.open()


@pytest.mark.slow
@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_the_first_cancel_is_the_runs_own_where_that_came_first(live: Run) -> None:
    blocked_with_orders(live)
    done = command("kill", "strategy", "B-1", "--config", str(live.config))
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert "cancels of 5 orders went out past the loop" in live.log.read_text()
    last = done.stdout.splitlines()[-1]
    assert "; the run itself cancelled 5 of them" in last
    figure = re.search(r"; first cancel (\d+) ms after the kill was in force", last)
    assert figure, last
    assert not live.open()
    live.release()
    wait_for(lambda: "kill switch" in live.log.read_text(), "the loop to wake up")
    again = live.kill("strategy", "B-1")
    assert again["venues"][0]["run_first_cancel_ms"] is None, "it is the kill before that did it"
    assert live.end() == Exit.OK


@pytest.mark.slow
def test_flatten_leaves_nothing_while_the_loop_is_blocked(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 2, "rests": 3, "block_secs": BLOCK_SECS})
    live.at_least(5)
    wait_for(lambda: live.held() == live.btc() - before > BOUGHT, "the buys to be journaled")
    live.block()
    kill = live.kill("all", "--action", "flatten")
    assert kill["is_clean"]
    (closed,) = kill["venues"][0]["closed"]
    assert closed["is_flat"]
    assert Decimal(0) <= live.btc() - before < STEP
    sold = [o for o in live.orders().values() if o["side"] == "SELL"]
    assert len(sold) == 1
    mine = live.journaled("SELECT strategy, state FROM orders WHERE strategy = 'KILL'")
    assert Decimal(0) <= live.held() < STEP
    assert mine == [("KILL", "FILLED")]
    live.release()
    wait_for(lambda: "kill switch" in live.log.read_text(), "the loop to wake up")
    assert live.end() == Exit.KILLED
    denials = _denials(live)
    live.start({})  # and the next run sells nothing again
    wait_for(lambda: _denials(live) > denials, "a denial")
    assert live.end() == Exit.KILLED
    assert [o for o in live.orders().values() if o["side"] == "SELL"] == sold


@pytest.mark.slow
@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_flatten_closes_what_the_blocked_loop_has_not_journaled(live: Run) -> None:
    """It is blocked before it has booked the last buy, and books it when it comes back."""
    before = live.btc()
    live.start({"goes_on": False, "buys": 2, "block_secs": BLOCK_SECS, "block_at_buy": True})
    wait_for(live.block_file.with_suffix(".blocked").exists, f"the block; see {live.log}")
    wait_for(lambda: live.btc() - before > BOUGHT, "the buys to fill")
    kill = live.kill("all", "--action", "flatten")
    assert kill["is_clean"]
    (closed,) = kill["venues"][0]["closed"]
    assert closed["is_flat"]
    assert Decimal(0) <= live.btc() - before < DUST[live.key]
    live.release()
    wait_for(lambda: "kill switch" in live.log.read_text(), "the loop to wake up")
    assert live.end() == Exit.KILLED
    assert live.held() == live.btc() - before
    assert len([o for o in live.orders().values() if o["side"] == "SELL"]) == 1


@pytest.mark.slow
def test_a_strategy_is_killed_alone_and_an_account_whole(live: Run) -> None:
    rests = {"goes_on": False, "rests": 4}
    live.start({"id": "B-1", **rests}, {"id": "B-2", **rests, "every_ms": 30})
    live.at_least(8)
    live.kill("strategy", "B-9", code=Exit.USAGE)
    live.kill("venue", "poloniex", code=Exit.USAGE)
    assert not live.state.exists(), "a misspelt key kills nothing, and says so"
    kill = live.kill("strategy", "B-1")
    assert {o["strategy"] for o in kill["venues"][0]["orders"]} <= {"B-1"}
    assert len(live.open()) == 4
    kill = live.kill("account", "main")
    assert kill["is_clean"]
    assert not live.open()
    in_force = live.kill("--status", code=Exit.KILLED)["in_force"]
    assert [k["scope"]["kind"] for k in in_force] == ["account", "strategy"]
    assert live.end() == Exit.OK  # only a kill of everything is the run's end


@pytest.mark.slow
def test_a_signal_kills_while_the_loop_is_blocked(live: Run) -> None:
    blocked_with_orders(live)
    assert live.process is not None
    live.process.send_signal(signal.SIGUSR1)
    wait_for((live.state / "all.json").exists, "the durable state")
    kill = {"kill": json.loads((live.state / "all.json").read_bytes())}
    wait_for(lambda: not live.open(), "the cancels past the loop")
    assert "kill switch" not in live.log.read_text(), "the loop was blocked to the end"
    live.release()
    wait_for(lambda: "kill switch" in live.log.read_text(), "the loop to wake up")
    assert live.end() == Exit.KILLED
    nothing_new(live, kill)


@pytest.mark.slow
def test_a_run_flattens_by_itself(live: Run) -> None:
    """A kill that was written without `fairlead kill`, as a limit does it."""
    from fairlead.engine.kill.state import ALL, Action, KillState

    live.more = configs.ROOMY + OBSERVE
    before = live.btc()
    live.start({"goes_on": False, "buys": 1, "rests": 3})
    live.at_least(4)
    wait_for(lambda: live.btc() > before, "the buy to fill")
    KillState(live.state).engage(ALL, Action.FLATTEN, reason="a limit", by="a test")
    wait_for(lambda: Decimal(0) <= live.btc() - before < STEP, f"flat; see {live.log}")
    assert not live.open()
    page = PageOf(live.log, live.folder / "state")
    assert "KILLED" in page.wrong()
    live.kill("all", "--clear", "--reason", "looked at")
    wait_for(lambda: "KILLED" not in page.wrong(), "the clear to be seen")
    told = command("status", str(live.config))
    assert told.returncode == Exit.KILLED, "it is not traded on with, and somebody has to know"
    assert f"every order of {live.instrument} is refused until a new run is started" in " ".join(
        told.stdout.split()
    )
    assert live.end() == Exit.OK
    live.log = live.folder / "again.log"
    live.start({"goes_on": False, "rests": 1})
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: page.get("status")["open_orders"] == 1, "a new run to trade")
    assert "FLATTENED" not in page.wrong()
    assert live.end() == Exit.OK


@pytest.mark.slow
def test_after_a_clear_a_run_trades_on_but_not_with_what_it_flattened(live: Run) -> None:
    """And says so: each order is denied by the gate, none is rejected by the desk."""
    live.start({"every_ms": 200, "buys": 1})
    live.at_least(3)
    live.kill("all")
    live.kill("all", "--clear", "--reason", "looked at")
    count = len(live.orders())
    live.at_least(count + 3)
    wait_for(lambda: live.held() > 0, "the buy to be journaled")
    assert live.kill("all", "--action", "flatten")["is_clean"]
    assert "FLATTENED" not in live.log.read_text()
    live.kill("all", "--clear", "--reason", "looked at")
    wait_for(lambda: "FLATTENED: what the kill of all closed" in live.log.read_text(), "the word")
    refused = "SELECT count(*) FROM orders WHERE state = 'REFUSED'"
    before, count, denials = live.journaled(refused), len(live.orders()), _denials(live)
    wait_for(lambda: _denials(live) > denials, "a denial")
    assert live.journaled(refused) == before
    assert len(live.orders()) == count
    assert live.end() == Exit.OK


@pytest.mark.slow
@pytest.mark.parametrize("stops", [True, False], ids=["stopped", "blocked"])
def test_a_flatten_that_is_cleared_while_the_run_stands_still_is_not_traded_on(
    live: Run, stops: bool
) -> None:
    before = live.btc()
    live.start({"every_ms": 200, "buys": 1, "block_secs": BLOCK_SECS})
    live.at_least(3)
    wait_for(lambda: live.held() == live.btc() - before > 0, "the buy to be journaled")
    assert live.process is not None
    if stops:
        wait_for(live.frozen, "a moment at which the run can be stopped")
    else:
        live.block()
    assert live.kill("all", "--action", "flatten")["is_clean"]
    live.kill("all", "--clear", "--reason", "looked at")
    count = len(live.orders())
    if stops:
        live.process.send_signal(signal.SIGCONT)
    live.release()
    wait_for(lambda: "FLATTENED: what the kill of all closed" in live.log.read_text(), "the word")
    denials = _denials(live)
    wait_for(lambda: _denials(live) > denials, "a denial")
    assert len(live.orders()) == count
    assert 0 <= live.btc() - before < STEP
    kinds = "SELECT kind FROM records WHERE kind LIKE 'KILL%' ORDER BY seq"
    assert live.journaled(kinds) == [("KILL",), ("KILL-CLEARED",)]
    assert live.end() == Exit.OK


@pytest.mark.slow
def test_a_run_and_the_command_close_a_position_once_between_them(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 1, "rests": 3})
    live.at_least(4)
    wait_for(lambda: live.btc() > before, "the buy to fill")
    kill = live.kill("all", "--action", "flatten")
    assert kill["is_clean"]
    assert Decimal(0) <= live.btc() - before < STEP
    assert live.end() == Exit.KILLED
    assert len([o for o in live.orders().values() if o["side"] == "SELL"]) == 1
    rows = _parts(live)
    assert all(0 <= Decimal(one["position"]) < STEP for one in rows.values()), "as the journal says"
    name = next(one for one in rows if one != "KILL")
    assert rows[name]["fills"] == 2, "what was sold was the strategy's"
    assert rows.get("KILL", {"fills": 0})["fills"] == 0


def _parts(run: Run) -> dict[str, dict[str, Any]]:
    """Each strategy's part of the last run, by its summary."""
    (summary,) = (run.folder / "state").glob("runs/*/summary.json")
    return {one["strategy"]: one for one in json.loads(summary.read_text())["strategies"]}


@pytest.mark.slow
@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_what_a_dead_run_left_is_cancelled_and_closed(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 1, "rests": 4})
    live.at_least(5)
    wait_for(lambda: live.btc() > before, "the buy to fill")
    assert live.process is not None
    live.process.kill()
    live.process.wait(PATIENCE_SECS)
    kill = live.kill("all", "--action", "flatten")
    assert kill["is_clean"]
    assert not live.open()
    assert Decimal(0) <= live.btc() - before < Decimal("0.00001")
    count = len(live.orders())
    live.start({})  # the next run takes the journal over, and creates nothing
    wait_for(lambda: _denials(live) > 0, "a denial")
    assert live.end() == Exit.KILLED
    assert len(live.orders()) == count
