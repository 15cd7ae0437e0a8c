"""The locks of an account: where they are, what they hold against, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders import key_lock as key_locks
from fairlead.engine.orders.key_lock import (
    FOLDER_VARIABLE,
    IN_HOME,
    KeyLock,
    addresses_of,
    key_lock,
    lock_folder,
)
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.run.accounts import HeldAccounts
from fairlead.engine.secrets import Secret
from fairlead.engine.status import RunStatus

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="names without files are Linux'")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of the system's list of users; nothing is chosen by the environment."""
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=str(made)))
    monkeypatch.setattr(key_locks, "WITHOUT_HOME", str(tmp_path))
    return made


def of_account(tmp_path: Path, url: str = "") -> KeyLock:
    """Of the same account in each call of one test."""
    secrets = {"key": Secret("the key of an account", "a test")}
    return key_lock("stub", {"url": url or str(tmp_path)}, secrets, tmp_path / "state")


def refused(lock: AccountLock) -> FairleadError:
    with pytest.raises(FairleadError) as error, lock:
        pass
    return error.value


# -- the folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["XDG_RUNTIME_DIR", "TMPDIR", "HOME", "XDG_STATE_HOME"])
def test_no_environment_parts_two_runs_of_an_account(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A login shell, cron and a service differ in exactly this."""
    with of_account(tmp_path) as first:
        assert first.path.parent == home / IN_HOME
        (tmp_path / "other").mkdir()
        monkeypatch.setenv(name, str(tmp_path / "other"))
        error = refused(of_account(tmp_path))
        assert (error.code, error.exit_code) == ("STATE-LOCKED", Exit.LOCKED)
        assert f"process {os.getpid()}, state folder {tmp_path / 'state'}," in error.message
    monkeypatch.delenv(name)
    with of_account(tmp_path):
        pass


def test_a_folder_that_is_chosen_is_told_and_parts_the_runs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with of_account(tmp_path) as one:
        assert not one.remark
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "chosen"))
        with of_account(tmp_path) as other:
            assert other.path.parent == tmp_path / "chosen"
            assert f"{FOLDER_VARIABLE} is set" in other.remark
    monkeypatch.setenv(FOLDER_VARIABLE, "relative")
    with pytest.raises(FairleadError, match=f"absolute path in {FOLDER_VARIABLE}"):
        lock_folder()


def _missing(home: Path) -> None:
    home.rmdir()


def _closed(home: Path) -> None:
    home.joinpath(".local").write_text("a file where a folder is to be")


@pytest.mark.parametrize("spoil", [_missing, _closed])
def test_without_a_home_there_is_a_named_place_and_it_is_told(
    home: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(home)
    with of_account(tmp_path) as lock:
        assert lock.path.parent == tmp_path / f"fairlead-{os.getuid()}"
        assert lock.remark.startswith("LOCK-FOLDER: the locks of accounts are in ")


def test_a_place_that_a_stranger_could_write_to_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.rmdir()
    (tmp_path / f"fairlead-{os.getuid()}").mkdir(mode=0o777)
    os.chmod(tmp_path / f"fairlead-{os.getuid()}", 0o777)
    with pytest.raises(FairleadError, match=f"only this user writes to.*{FOLDER_VARIABLE}"):
        lock_folder()


@only_linux
def test_runs_that_have_other_home_folders_meet_all_the_same(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a service that may not see the home folder."""
    with of_account(tmp_path):
        monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir="/nonexistent"))
        error = refused(of_account(tmp_path))
        assert error.exit_code == Exit.LOCKED
        assert f"process {os.getpid()}, of which this file does not know" in error.message
        with of_account(tmp_path, url="another account"):
            pass
    with of_account(tmp_path):
        pass


# -- what is taken away ------------------------------------------------------------------------


@only_linux
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_second_start_is_refused_though_the_lock_was_removed(tmp_path: Path, what: str) -> None:
    with of_account(tmp_path) as lock:
        if what == "file":
            lock.path.unlink()
        else:
            shutil.rmtree(lock.path.parent)
        for _ in range(3 * key_locks.ASKING_MAX):
            assert refused(of_account(tmp_path)).exit_code == Exit.LOCKED
        lock.look()
        assert refused(of_account(tmp_path)).exit_code == Exit.LOCKED
    with of_account(tmp_path):
        pass


@only_linux
def test_a_name_that_another_user_owns_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with of_account(tmp_path) as lock:
        lock.path.unlink()
        monkeypatch.setattr(key_locks, "_owner", lambda _: (1, os.getuid() + 1))
        with of_account(tmp_path):
            assert "LOCK-NAME: another user owns the name" in caplog.text


@pytest.mark.parametrize("what", ["removed", "replaced", "folder"])
def test_a_lock_that_is_taken_away_is_made_anew_and_told(tmp_path: Path, what: str) -> None:
    path = tmp_path / "folder" / "a.lock"
    with AccountLock(path) as lock:
        assert lock.look() is None
        if what == "folder":
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        if what == "replaced":
            path.write_text("4711\n")
        told = lock.look()
        assert told is not None
        assert f"the lock {path} was taken away" in told
        assert lock.look() is None
        assert not lock.is_lost
        assert f"process {os.getpid()} already trades" in refused(AccountLock(path)).message
    with AccountLock(path):
        pass


def test_a_lock_that_another_took_meanwhile_is_lost_for_good(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with AccountLock(path) as lock:
        path.unlink()
        with AccountLock(path):
            told = lock.look()
            assert told is not None
            assert f"process {os.getpid()} already trades" in told
            assert lock.is_lost
        assert lock.is_lost, "the account is what the other left"


def test_a_lock_that_cannot_be_made_anew_is_told_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.lock"
    with AccountLock(path) as lock:
        shutil.rmtree(path.parent)
        path.parent.write_text("a file")
        told = lock.look()
        assert told is not None
        assert "can't be opened" in told
        assert lock.look() == told
        path.parent.unlink()
        assert "made anew" in (lock.look() or "")
        assert lock.look() is None


def test_a_file_that_goes_between_its_opening_and_its_lock_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.lock"
    opened = AccountLock._open
    gone: list[int] = []

    def open_and_lose(lock: AccountLock) -> int:
        file = opened(lock)
        if not gone:
            gone.append(file)
            path.unlink()
        return file

    monkeypatch.setattr(AccountLock, "_open", open_and_lose)
    with AccountLock(path):
        assert refused(AccountLock(path)).exit_code == Exit.LOCKED


def test_a_lock_is_kept_young_while_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cleans up temporary folders goes by age."""
    path = tmp_path / "a.lock"
    monkeypatch.setattr("fairlead.engine.orders.lock.TOUCH_SECS", 0.0)
    with AccountLock(path) as lock:
        os.utime(path, ns=(1, 1))
        assert lock.look() is None
        assert path.stat().st_mtime_ns > 1


# -- the run that holds them -------------------------------------------------------------------


async def _look(accounts: HeldAccounts, switch: KillSwitch, status: RunStatus) -> None:
    """One look of the watch."""
    watch = asyncio.ensure_future(accounts.watch(switch, status))
    await asyncio.sleep(0)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_a_run_tells_loudly_and_notes_its_place_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noted: list[str] = []
    accounts, status, switch = HeldAccounts(), RunStatus(), KillSwitch(None)
    with ExitStack() as held:
        lock = held.enter_context(AccountLock(tmp_path / "a.lock"))
        accounts.locks.append(lock)
        accounts.places["a"] = lambda: noted.append("a")
        accounts.kept("a")
        await _look(accounts, switch, status)
        assert noted == ["a"]
        assert not caplog.records
        lock.path.unlink()
        await _look(accounts, switch, status)
        assert noted == ["a", "a"]
        (record,) = caplog.records
        assert record.levelno == logging.CRITICAL
        assert record.getMessage().startswith("LOCK-LOST: ")
        assert [problem.code for problem in status.problems] == ["LOCK-LOST"]
        assert switch.reason("S-1", "BTC_USDT.X") is None
        lock.path.unlink()
        with AccountLock(lock.path):
            await _look(accounts, switch, status)
        await _look(accounts, switch, status)
        assert "another process holds " in (switch.reason("S-1", "BTC_USDT.X") or "")


HOLDER = """
import os, sys, time
from pathlib import Path
from fairlead.engine.orders.lock import AccountLock
with AccountLock(Path(sys.argv[1])):
    if os.fork() == 0:  # as a process that is begun has it for a moment
        print("begun", flush=True)
        time.sleep(0.5)
        os._exit(0)
    time.sleep(1000)
"""


@only_linux
def test_a_start_waits_for_what_a_killed_run_was_just_beginning(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == b"begun\n"
        assert refused(AccountLock(path)).exit_code == Exit.LOCKED  # at once: its holder lives
        holder.kill()
        holder.wait()
        with AccountLock(path):
            pass


# -- what tells accounts apart that one key opens ------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"http_url": "http://127.0.0.1:1"}, {"http_url": "http://127.0.0.1:2"}, False),
        ({"base_url_http": "http://127.0.0.1:1"}, {"base_url_http": "http://127.0.0.1:2"}, False),
        ({"base_url_http": "http://[::1]:1"}, {"base_url_http": None}, False),
        ({"base_url_ws": "ws://localhost:1/ws"}, {"base_url_ws": "ws://localhost:1/ws"}, True),
        # a venue's own key is one account, whether its address is written or not
        ({"base_url_http": "https://api.binance.com"}, {"base_url_http": None}, True),
        ({"base_url_http": "https://[bad"}, {"base_url_http": None}, True),
        ({"curl": None, "use_gtd": True}, {"use_gtd": False, "curl": None}, True),
    ],
)
def test_addresses_that_tell_simulators_apart(
    one: dict[str, object], other: dict[str, object], is_same: bool
) -> None:
    assert (addresses_of(one) == addresses_of(other)) is is_same


def test_two_simulators_of_one_key_do_not_lock_each_other_out(home: Path, tmp_path: Path) -> None:
    secrets = {"key": Secret("the key of every simulator", "a test")}
    locks = [
        key_lock("nautilus:stub", addresses_of({"base_url_http": url}), secrets, tmp_path / "state")
        for url in ("http://127.0.0.1:8712", "http://127.0.0.1:8719", "http://127.0.0.1:8712")
    ]
    with locks[0], locks[1]:
        assert refused(locks[2]).code == "STATE-LOCKED"
