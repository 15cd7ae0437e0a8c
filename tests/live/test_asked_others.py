"""`fairlead status` is of the config's own run, and what it makes of a sign that is old."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import QUICK, Desk
from tests.support import configs
from tests.support.page import OBSERVE
from tests.support.processes import command, wait_for

pytestmark = pytest.mark.slow
STUCK = QUICK + "[run]\nstuck_secs = 2\nstop_timeout_secs = 30\n"


def asked(config: Path, *more: str) -> tuple[int, str]:
    """The exit code, and both outputs in one line."""
    done = command("status", str(config), *more)
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


def recorded(desk: Desk, name: str = "test", more: str = STUCK) -> Path:
    return configs.write(desk.folder, desk.served, strategies=[], name=name, more=more)


def is_well(config: Path, *more: str) -> bool:
    return asked(config, *more)[1].startswith("all is well")


@pytest.mark.parametrize("page", ["", OBSERVE])
def test_a_config_is_answered_by_no_other_run_of_its_folder(desk: Desk, page: str) -> None:
    config = desk.config("rest", more=QUICK + page)
    process = desk.start("live", config)
    desk.wait_resting(process)
    wait_for(lambda: is_well(config), "the run to be up")
    text = config.read_text().replace('name = "test"', 'name = "other"')
    same_account = desk.folder / "same_account.toml"
    same_account.write_text(text)
    account = "[venues.oceanex]"
    other = desk.folder / "other.toml"
    other.write_text(text.replace(account, f'{account}\naccount = "second"'))
    named_alike = desk.folder / "named_alike.toml"
    named_alike.write_text(config.read_text().replace(account, f'{account}\naccount = "second"'))
    for one in (other, named_alike):
        code, told = asked(one)
        assert code == Exit.NO_DATA, told
        assert f"process {process.pid}" not in told
        assert command("orders", str(one), "--json").stdout.strip() == "[]"
    code, told = asked(same_account)
    assert code == Exit.NO_DATA
    holder = f"a run of test (process {process.pid}) has its account oceanex-main"
    assert f"no live run of other is up; {holder}" in told
    assert command("orders", str(same_account), "--json").stdout.strip() != "[]"
    # Two runs of one state folder are both found
    second = desk.start("record", other)
    wait_for(lambda: is_well(other), "the second run")
    assert f"(process {second.pid})" in asked(other)[1]
    assert f"(process {process.pid})" in asked(config)[1]
    assert [desk.stop(one) for one in (second, process)] == [0, 0]
    assert not [*(desk.folder / "state").glob("*.up"), *(desk.folder / "state").glob("*.sign*")]


def test_of_two_runs_of_one_name_the_sign_of_one_is_not_the_others(desk: Desk) -> None:
    first = recorded(desk)
    second = desk.folder / "second.toml"
    second.write_text(f'{first.read_text()}\n[record]\ndir = "elsewhere"\n')
    one, two = desk.start("record", first), desk.start("record", second)
    for config, process in ((first, one), (second, two)):
        wait_for(lambda config=config: is_well(config), "both to be up")
        assert f"(process {process.pid})" in asked(config)[1]
    two.send_signal(signal.SIGSTOP)
    wait_for(lambda: asked(second)[0] == Exit.TIMED_OUT, "the sign of the one that hangs")
    assert is_well(first)
    # What it leaves when it is killed goes with the next start
    two.kill()
    two.wait(20)
    wait_for(lambda: asked(second)[0] == Exit.NO_DATA, "its end to be seen")
    assert is_well(first)
    third = desk.start("record", second)
    wait_for(lambda: is_well(second), "the next one")
    assert len([*(desk.folder / "state").glob("*.sign.json")]) == 2
    assert [desk.stop(process) for process in (one, third)] == [0, 0]


def slow(desk: Desk, where: str, secs: int, page: str) -> Path:
    strategy = {"id": "S-1", "path": "tests.live.slow_start:SlowStart"}
    strategy |= {"params": {"where": where, "secs": secs}}
    more = STUCK + page
    return configs.write(desk.folder, desk.served, strategies=[strategy], more=more)


@pytest.mark.parametrize("page", ["", OBSERVE])
def test_a_start_that_takes_long_is_no_loop_that_stands_still(desk: Desk, page: str) -> None:
    config = slow(desk, "init", 12, page)
    process = desk.start("live", config)
    seen = [asked(config)]
    wait_for(lambda: seen.append(asked(config)) or is_well(config), "the run to be up")
    assert Exit.TIMED_OUT not in {code for code, _ in seen}, seen
    assert any("given no sign for" in told or "does not answer" in told for _, told in seen)
    assert desk.stop(process) == 0


@pytest.mark.parametrize("page", ["", OBSERVE])
def test_a_strategy_that_blocks_the_loop_at_its_start_is_told(desk: Desk, page: str) -> None:
    """As its log tells it: the run has said that it runs."""
    config = slow(desk, "on_start", 600, page)
    process = desk.start("live", config)
    wait_for(lambda: asked(config)[0] == Exit.TIMED_OUT, "the word")
    wait_for(lambda: "LOOP-STUCK" in desk.log.read_text(), "the log's")
    process.kill()


def test_a_hung_run_is_not_well_though_its_clock_was_set_back(desk: Desk) -> None:
    config = recorded(desk)
    process = desk.start("record", config)
    wait_for(lambda: is_well(config), "the run to be up")
    process.send_signal(signal.SIGSTOP)
    (sign,) = (desk.folder / "state").glob("*.sign.json")
    ahead = time.time() + 3600  # what the clock said before
    os.utime(sign, (ahead, ahead))
    code, told = asked(config)
    assert code == Exit.FAILED
    assert "NO-SIGN" in told
    assert "the clock was set back" in told
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: is_well(config), "a new sign")
    assert desk.stop(process) == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    def mount(*words: str) -> None:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no mount for this user: {done.stderr}")

    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_state_folder_that_takes_no_file_is_no_loop_that_stands_still(desk: Desk) -> None:
    config = recorded(desk)
    process = desk.start("record", config)
    wait_for(lambda: is_well(config), "the run to be up")
    since = time.monotonic()
    with read_only(desk.folder / "state"):
        seen = []
        while time.monotonic() - since < 12:
            seen.append((time.monotonic() - since, *asked(config)))
        late = [one for one in seen if one[0] > 4]
        assert {code for _, code, _ in late} == {Exit.FAILED}, seen
        assert Exit.TIMED_OUT not in {code for _, code, _ in seen}
        assert all("takes no file" in told for _, _, told in late)
    wait_for(lambda: is_well(config), "signs again")
    assert desk.stop(process) == 0
