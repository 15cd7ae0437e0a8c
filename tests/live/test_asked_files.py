"""`fairlead status` of a run without a page: by its files it says what the page would."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.recording.gaps import GapKind, read_gaps
from tests.live.blocked_run import Run
from tests.live.desk import QUICK, Desk
from tests.live.stopped_once import once
from tests.support import configs
from tests.support.processes import command, wait_for

pytestmark = pytest.mark.slow
HELD = "0.000999"  # less the buyer's fee
STUCK = "[run]\nstuck_secs = 1\nstop_timeout_secs = 30\n"


def asked(config: Path) -> tuple[int, str]:
    """The exit code, and all in one line."""
    done = command("status", str(config))
    return done.returncode, " ".join(done.stdout.split())


def status(live: Run) -> tuple[int, str]:
    return asked(live.config)


def test_a_loop_that_stands_still_is_not_well(live: Run) -> None:
    live.more = configs.ROOMY + STUCK
    live.start({"goes_on": False, "rests": 1, "block_secs": 600})
    live.at_least(1)
    wait_for(lambda: status(live)[1].startswith("all is well"), "the run to be up")
    live.block()
    wait_for(lambda: status(live)[0] == Exit.TIMED_OUT, "the sign to be old")
    text = status(live)[1]
    assert text.startswith("NOT WELL: ")
    assert "the run has given no sign for" in text
    assert "its loop stands still, or it can't write" in text
    live.release()
    wait_for(lambda: "no sign" not in status(live)[1], "the loop to turn")
    text = status(live)[1]
    assert "LOOP-STUCK the event loop stood still for" in text, "it is over by now"
    assert "goes on" not in text
    live.end()
    assert not list((live.folder / "state").glob("*.sign.json"))


def test_what_was_flattened_is_told_after_the_clear(live: Run) -> None:
    live.start({"goes_on": False, "buys": 1, "rests": 1})
    live.at_least(2)
    wait_for(lambda: live.held() > 0, "the buy to be journaled")
    assert live.kill("all", "--action", "flatten")["is_clean"]
    wait_for(lambda: "kill switch" in live.log.read_text(), "the run to see it")
    assert status(live)[0] == Exit.KILLED
    live.kill("all", "--clear", "--reason", "looked at")
    wait_for(lambda: "FLATTENED" in status(live)[1], "the word")
    code, text = status(live)
    assert code == Exit.KILLED
    assert f"every order of {live.instrument} is refused until a new run is started" in text
    assert live.end() == Exit.OK


def test_a_run_that_can_give_no_sign_is_not_called_well(live: Run) -> None:
    live.start({"goes_on": False, "rests": 1})
    live.at_least(1)
    (sign,) = (live.folder / "state").glob("*.sign.json")
    beside = sign.with_name(f".{sign.name}.new")
    beside.mkdir()  # so that nothing is written there
    sign.unlink()
    wait_for(lambda: "SIGN: " in live.log.read_text(), "the word in the log")
    code, text = status(live)
    assert (code, text.split(":")[0]) == (Exit.OK, "LOOK")
    assert "were not looked at" in text
    beside.rmdir()
    wait_for(lambda: status(live)[1].startswith("all is well"), "a sign again")
    assert live.end() == Exit.OK


@pytest.mark.parametrize("is_up", [True, False])
def test_a_position_that_a_kill_left_without_its_stop_is_told(desk: Desk, is_up: bool) -> None:
    config = once(desk)
    process = desk.start("live", config)
    wait_for(lambda: sorted(desk.states()) == ["FILLED", "WAITING"], "a stop under what is held")
    wait_for(lambda: asked(config)[1].startswith("all is well"), "a run whose stop lives")
    done = command("kill", "all", "--config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the run to have booked it")
    assert command("kill", "all", "--clear", "--reason", "x", "--config", str(config)).stdout
    if not is_up:
        assert desk.stop(process) == Exit.NOT_FLAT
    code, text = asked(config)
    assert code == Exit.KILLED
    assert f"NO-STOP S-1 holds {HELD} of BTC_USDT.OCEANEX without a stop" in text
    assert "was cancelled by the kill of all" in text


@pytest.mark.parametrize("verb", ["live", "paper"])
@pytest.mark.parametrize("page", ["", '[observe]\npage = "127.0.0.1:0"\n'])
def test_raw_recording_that_has_stopped_is_told_until_the_end(
    desk: Desk, verb: str, page: str
) -> None:
    config = desk.config("nothing", more=QUICK + '[record]\ndir = "rec"\n' + page)
    process = desk.start(verb, config)
    wait_for(lambda: asked(config)[1].startswith("all is well"), "the run to be up")
    raw = desk.folder / "rec" / "raw"
    wait_for(lambda: any(raw.rglob("*.zst")), "its raw frames")
    shutil.rmtree(raw)
    wait_for(lambda: "RAW-STOPPED: " in desk.log.read_text(), "the word in the log")
    time.sleep(2)  # a sign, and a loss that lasts
    for more in ((), ("--files",)):
        done = command("status", str(config), "--json", *more)
        (wrong,) = json.loads(done.stdout)["wrong"]
        assert (done.returncode, wrong["level"], wrong["code"]) == (1, "bad", "RAW-STOPPED")
        assert "the file of the recording was removed under the run" in wrong["text"]
    assert desk.stop(process) == Exit.OK, desk.log.read_text()[-3000:]
    rows, _ = read_gaps(desk.folder / "rec" / "catalog")
    stopped = [row for row in rows if row.kind is GapKind.STOPPED]
    assert sum(row.seconds for row in stopped) >= 1.5, stopped
