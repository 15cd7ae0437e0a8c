"""A journal that goes away under a running engine ends the run, and is not started on unseen."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.key_lock import FOLDER_VARIABLE
from tests.live import hosted
from tests.live.blocked_run import Run
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, run, wait_for

SECOND_NS = 1_000_000_000


@pytest.fixture
def live(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    key = str(getattr(request, "param", "oceanex"))
    options = {"oceanex": OceanexSimOptions(), "poloniex": PoloniexSimOptions()}[key]
    with hosted.simulated(tmp_path / "keys", options) as line:
        made = Run(tmp_path, Venue(None, line), key)  # type: ignore[arg-type]  # no process
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(PATIENCE_SECS)


def _removed(path: Path) -> None:
    for one in path.parent.glob(path.name + "*"):
        one.unlink()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


@pytest.mark.parametrize(
    ("live", "harm", "said"),
    [
        ("oceanex", _removed, "was removed"),
        ("poloniex", _removed, "was removed"),
        ("oceanex", _emptied, "was truncated"),
        ("poloniex", _replaced, "was replaced by another file"),
    ],
    indirect=["live"],
)
def test_a_journal_that_goes_away_ends_the_run(
    live: Run, harm: Callable[[Path], None], said: str
) -> None:
    live.start({"every_ms": 20})
    live.at_least(5)
    path = live.folder / "state" / f"{live.key}-main.journal.sqlite"
    since_ns = time.time_ns()
    harm(path)
    assert live.process is not None
    assert live.process.wait(PATIENCE_SECS) == Exit.FAILED, live.log.read_text()[-3000:]
    last = live.log.read_text().splitlines()[-1]
    assert last.startswith(f"error JRN-CHANGED: the order journal {path} {said} while this run")
    assert not live.created_after(since_ns + SECOND_NS // 4)
    status = command("status", live.config, "--json")
    levels = {one["code"]: one["level"] for one in json.loads(status.stdout)["wrong"]}
    assert levels["LAST-RUN"] == "bad", "no start is safe before a person has acted"
    wait_for(lambda: not live.open(), "the cancels")


def test_an_idle_run_notices_too(live: Run) -> None:
    """It leaves when the venue has ended what it cancelled, which takes the venue a while here."""
    exchange = live.served.line["simulator"].exchange
    exchange.options = msgspec.structs.replace(exchange.options, settle_ns=2 * SECOND_NS)
    live.start({"rests": 1, "goes_on": False})
    live.at_least(1)
    _removed(live.folder / "state" / "oceanex-main.journal.sqlite")
    assert live.process is not None
    assert live.process.wait(PATIENCE_SECS) == Exit.FAILED, live.log.read_text()[-3000:]
    assert len(live.orders()) == 1
    assert not live.open()
    assert "LEFT-OPEN" not in live.log.read_text()


@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_an_empty_journal_meets_an_account_with_orders(live: Run) -> None:
    """Where the venue keeps our ids the start is refused; where it does not it is told."""
    live.start({"rests": 2, "goes_on": False})
    live.at_least(2)
    assert live.process is not None
    live.process.kill()
    live.process.wait(PATIENCE_SECS)
    _removed(live.folder / "state" / f"{live.key}-main.journal.sqlite")
    if live.key == "poloniex":
        refused = run("live", live.config, "--for", "5", "--json")
        assert refused.returncode == Exit.DRIFT, refused.stderr
        assert "2 open orders, 2 with ids as an engine gives them" in refused.stderr
        assert "execution.accept_unjournaled = true" in refused.stderr.splitlines()[-1]
        live.more += "accept_unjournaled = true\n"
        live.start({"rests": 0, "goes_on": False})
        assert live.end_at("ORDER-OF-ANOTHER-ENGINE") == Exit.OK
    else:
        live.start({"rests": 0, "goes_on": False})
        told = "CRITICAL fairlead.adapters.base.journaled_account: JOURNAL-EMPTY"
        assert live.end_at(told) == Exit.OK
    assert len(live.open()) == 2, "they are left alone"


def _bought(live: Run) -> Path:
    """A run has bought, and its journal was removed under it; no order is left. The journal."""
    live.start({"buys": 1, "rests": 0, "goes_on": False})
    path = live.folder / "state" / f"{live.key}-main.journal.sqlite"
    wait_for(lambda: path.exists() and _position(path), f"the position; see {live.log}")
    return path


def _position(path: Path) -> bool:
    try:
        with closing(Journal.reading(path)) as journal:
            return any(one.quantity for one in journal.positions())
    except JournalError:  # it is being made
        return False


@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_a_start_beside_a_saved_journal_is_refused_until_a_person_says(live: Run) -> None:
    path = _bought(live)
    _removed(path)
    assert live.process is not None
    assert live.process.wait(PATIENCE_SECS) == Exit.FAILED, live.log.read_text()[-3000:]
    (saved,) = path.parent.glob("*.saved-*")
    refused = run("live", live.config, "--for", "3", "--json")
    assert refused.returncode == Exit.DRIFT, refused.stderr
    last = refused.stderr.splitlines()[-1]
    assert last.startswith(f"error JOURNAL-SAVED: {saved} holds records that {path} lacks")
    assert f"mv {saved} {path}" in last
    assert "execution.accept_unjournaled = true" in last
    assert not path.exists(), "nothing lies in the place that it is to be put back to"
    left = live.kill("all", "--action", "flatten", code=Exit.UNRESOLVED)
    assert "JOURNAL-SAVED" in json.dumps(left), "an unknown position is not flat"
    beside = sorted(path.parent.glob("*.saved-*"))
    assert beside == [saved], "the command of the message takes all of it along"
    live.kill("all", "--clear", "--reason", "looked")

    kept = saved.rename(path.with_name("kept"))
    _removed_saved_is_told_by_what_was_held(live, path)
    kept.rename(saved)
    live.more += "accept_unjournaled = true\n"
    assert _started_anew(live) == Exit.OK
    assert "started without it, as the config says" in live.log.read_text()
    live.more = live.more.replace("accept_unjournaled = true\n", "")
    assert _started_anew(live) == Exit.OK, "said once, it stays said"

    for one in path.parent.glob(f"{path.name}*"):
        if one != saved:
            one.unlink()
    shutil.copy(saved, path)
    assert _started_anew(live) == Exit.OK, "put back, and the copy still beside"
    assert _position(path)


def _started_anew(live: Run) -> int:
    live.log.write_text("")
    live.start({"rests": 0, "goes_on": False})
    return live.end_at("trades live")


def _removed_saved_is_told_by_what_was_held(live: Run, path: Path) -> None:
    """Neither the journal nor a copy is there, but the gate's own state says what was held."""
    for _ in range(2):  # a refused start does not forget it
        refused = run("live", live.config, "--for", "3", "--json")
        assert refused.returncode == Exit.DRIFT, refused.stderr
        last = refused.stderr.splitlines()[-1]
        assert last.startswith(f"error JOURNAL-EMPTY: {path} is new and knows no order, but by ")
        assert f" {live.instrument}: the journal was taken away" in last


@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_an_account_is_traded_once_whatever_the_state_folder(live: Run, tmp_path: Path) -> None:
    live.start({"rests": 1, "goes_on": False})
    live.at_least(1)
    assert live.process is not None
    other = _elsewhere(live)
    (tmp_path / "apart").mkdir(mode=0o700)
    names = ("XDG_RUNTIME_DIR", "TMPDIR", "HOME")  # cron's, a service's and a shell's differ
    for env in ({}, *({name: str(tmp_path / "apart")} for name in names)):
        second = run("live", other, "--for", "3", "--json", env=env)
        assert second.returncode == Exit.LOCKED, second.stderr
        (line,) = second.stderr.splitlines()
        assert f"process {live.process.pid}, state folder {tmp_path / 'state'}," in line
    assert live.end() == Exit.OK
    for path in (tmp_path / "state").rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def _elsewhere(live: Run) -> Path:
    """The config with another state folder."""
    other = live.folder / "other.toml"
    other.write_text(live.config.read_text().replace("[run]", '[run]\nstate_dir = "elsewhere"'))
    return other


@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_an_account_is_traded_once_though_its_locks_are_removed(live: Run) -> None:
    """As what cleans temporary folders up does after days."""
    live.start({"rests": 1, "goes_on": False})
    live.at_least(1)
    assert live.process is not None
    state, shared = live.folder / "state", Path(os.environ[FOLDER_VARIABLE])
    own = state / f"{live.key}-main.lock"
    shutil.rmtree(shared)
    own.unlink()
    second = run("live", _elsewhere(live), "--for", "3", "--json")
    assert second.returncode == Exit.LOCKED, second.stderr
    wait_for(lambda: own.exists() and any(shared.glob("*.place.json")), "locks and place")
    third = run("live", live.config, "--for", "3", "--json")
    assert third.returncode == Exit.LOCKED, third.stderr
    assert str(live.process.pid) in third.stderr.splitlines()[-1]
    assert live.end() == Exit.OK
    text = live.log.read_text()
    assert f"WARNING fairlead: {FOLDER_VARIABLE} is set" in text
    assert f"LOCK-LOST: the lock {own} was taken away" in text
    assert f"LOCK-LOST: the lock {shared}" in text
    assert len(live.orders()) == 1


def test_a_lock_that_is_a_link_is_refused(live: Run) -> None:
    target = live.folder / "target"
    target.write_text("precious")
    (live.folder / "state").mkdir()
    (live.folder / "state" / "oceanex-main.lock").symlink_to(target)
    live.start({"rests": 1, "goes_on": False})
    assert live.process is not None
    assert live.process.wait(PATIENCE_SECS) == Exit.FAILED
    assert "oceanex-main.lock can't be opened" in live.log.read_text()
    assert target.read_text() == "precious"
