"""The end of a run says of a position whose stop is gone that it is, and why."""

from __future__ import annotations

import subprocess

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import QUICK, Desk
from tests.live.stopped_once import once
from tests.support import configs
from tests.support.page import OBSERVE, PageOf
from tests.support.processes import PATIENCE_SECS, command, wait_for

pytestmark = pytest.mark.slow


def protected(desk: Desk, more: str = "") -> tuple[subprocess.Popen[str], str]:
    config = once(desk, more)
    process = desk.start("live", config)
    wait_for(lambda: sorted(desk.states()) == ["FILLED", "WAITING"], "a stop under what is held")
    return process, str(config)


def test_a_stop_that_the_end_took_is_told_and_no_failure(desk: Desk) -> None:
    process, _ = protected(desk)
    assert desk.stop(process) == Exit.OK
    assert "(S-1), unprotected: its stop was cancelled with the run's" in desk.log.read_text()


def test_a_stop_that_a_kill_took_is_no_success_though_it_was_cleared(desk: Desk) -> None:
    process, config = protected(desk)
    assert command("kill", "all", "--config", config).returncode == Exit.OK
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the run to have booked it")
    command("kill", "all", "--clear", "--reason", "x", "--config", config)
    assert desk.stop(process) == Exit.NOT_FLAT
    log = desk.log.read_text()
    assert "NOT-FLAT: held without its stop at the venue: " in log
    assert "was cancelled by the kill of all" in log


def test_a_stop_that_a_kill_in_force_took_is_told(desk: Desk) -> None:
    process, config = protected(desk)
    assert command("kill", "all", "--config", config).returncode == Exit.OK
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the run to have booked it")
    assert desk.stop(process) == Exit.KILLED
    assert "NOT-FLAT: held without its stop at the venue: " in desk.log.read_text()


@pytest.mark.parametrize("on_stop", ["cancel", "keep"])
def test_a_stop_that_went_with_a_fault_is_told(desk: Desk, on_stop: str) -> None:
    config = once(desk, f'[run]\non_stop = "{on_stop}"\nstop_timeout_secs = 30\n', "Raising")
    process = desk.start("live", config)
    assert process.wait(PATIENCE_SECS) == Exit.FAULTED
    log = desk.log.read_text()
    assert "NOT-FLAT: held without its stop at the venue: " in log
    assert "was cancelled as its strategy was stopped for a fault" in log


@pytest.mark.parametrize("market", ["BTC_USDT", "ETH_USDT"])
def test_a_stop_whose_strategy_is_not_in_the_run_went_with_its_end(desk: Desk, market: str) -> None:
    """Nobody is there who could have asked: with its instrument in the config, and without."""
    process, _ = protected(desk)
    process.kill()
    process.wait(PATIENCE_SECS)
    strategy = {
        "id": "Scripted-1",
        "path": "tests.live.scripted:Scripted",
        "params": {
            "instrument_id": f"{market}.OCEANEX",
            "does": "nothing",
            "seen": str(desk.seen),
        },
    }
    config = configs.write(
        desk.folder, desk.served, strategies=[strategy], instruments=(market,), more=QUICK
    )
    ended = desk.run_until("live", config, desk.did("book"), "a book")
    assert ended.returncode == Exit.OK, ended.stderr[-2000:]
    assert sorted(desk.states()) == ["CANCELED", "FILLED"]
    assert "(S-1), unprotected: its stop was cancelled with the run's other orders" in ended.stderr


def test_a_stop_that_a_person_cancelled_on_the_page_is_told_as_that(desk: Desk) -> None:
    process, _ = protected(desk, OBSERVE)
    page = PageOf(desk.log, desk.folder / "state")
    (stop,) = (one["client_order_id"] for one in page.get("orders"))
    page.do(f"orders/{stop}/cancel")
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the cancel")
    assert desk.stop(process) == Exit.OK
    told = f"(S-1), unprotected: {stop} was cancelled, as the page, with its second token, from "
    assert told in desk.log.read_text()
