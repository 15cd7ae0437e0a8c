"""`fairlead kill --status` and `--clear` of halts, by the files of a folder that no run uses."""

from __future__ import annotations

import gc
import json
import os
import shlex
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.adapters import registry
from fairlead.engine.cli import kill_fast
from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.kill.command import VenueKill
from fairlead.engine.kill.records import HaltRecord, halt_of, note
from fairlead.engine.kill.state import FOLDER, Action, KillState, Scope
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.journal import Journal
from fairlead.engine.risk.state import Halt, RiskState, RiskStateFile
from fairlead.engine.risk.states import Clearing, clearing_file

BTC = "BTC_USDT.OCEANEX"
HALT = Halt(reason="DAILY_LOSS: lost 25.3 USDT today", ts_ns=1, code="DAILY_LOSS")


def config(folder: Path, name: str, account: str, *venues: str) -> Path:
    path = folder / f"{name}.toml"
    tables = [f'[venues.{venue}]\naccount = "{account}"\n' for venue in venues or ("oceanex",)]
    path.write_text(f'name = "{name}"\n' + "".join(tables))
    return path


def halted(folder: Path, name: str, *, journal: bool = True, file: bool = True) -> None:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    if journal:
        with closing(journal_of(folder, name)) as opened:
            note(opened, HaltRecord(halt=HALT))
    if file:
        (state / f"{name}.risk.json").write_bytes(msgspec.json.encode(RiskState(halt=HALT)))


def journal_of(folder: Path, name: str) -> Journal:
    path = folder / "state" / f"{name}.journal.sqlite"
    return Journal(path, fsync=False, now_ns=time.time_ns)


def kill(*arguments: str) -> tuple[int, str]:
    assert kill_fast.read(list(arguments)) is None
    done = CliRunner().invoke(app, ["kill", *arguments])
    return done.exit_code, done.output


def status(path: Path) -> tuple[int, str]:
    return kill("--status", "--config", str(path))


def told_command(text: str) -> list[str]:
    """The arguments of the command that the status names."""
    (line,) = [one for one in text.splitlines() if "to clear it: " in one]
    words = shlex.split(line.partition("to clear it: fairlead kill ")[2])
    return [{"TEXT": "seen"}.get(word, word) for word in words]


@pytest.mark.parametrize("is_other", [False, True], ids=["own", "of another config"])
@pytest.mark.parametrize("kept", ["both", "journal", "file"])
def test_the_command_that_the_status_names_clears_the_halt(
    tmp_path: Path, kept: str, is_other: bool
) -> None:
    halted(tmp_path, "oceanex-alpha", journal=kept != "file", file=kept != "journal")
    path = config(tmp_path, "run of mine", "beta" if is_other else "alpha")
    code, text = status(path)
    assert code == Exit.KILLED, text
    assert HALT.reason in text
    command = told_command(text)
    assert command[-1] == str(path)
    if is_other:
        code, text = kill("all", "--clear", "--reason", "x", "--config", str(path))
        assert code == Exit.KILLED
        assert "still in force: halt of oceanex-alpha, of another config, since" in text
        assert told_command(text) == command
    code, text = kill(*command)
    assert code == Exit.OK, text
    assert "cleared: halt of" in text
    assert status(path)[0] == Exit.OK
    if kept != "file":
        with closing(journal_of(tmp_path, "oceanex-alpha")) as journal:
            assert halt_of(journal) is None
            cleared = journal.last_note("halt", HaltRecord)
        assert cleared is not None
        assert cleared[1].cleared is not None
        assert cleared[1].cleared.reason == "seen"


def test_a_clear_ends_with_8_while_something_else_stays_in_force(tmp_path: Path) -> None:
    path = config(tmp_path, "run", "main", "oceanex", "poloniex")
    halted(tmp_path, "oceanex-main")
    halted(tmp_path, "poloniex-main", file=False)
    code, text = kill("venue", "oceanex", "--clear", "--reason", "x", "--config", str(path))
    assert code == Exit.KILLED
    assert "cleared: halt of oceanex main" in text
    assert "still in force: halt of poloniex main" in text
    assert kill(*told_command(text))[0] == Exit.OK
    (tmp_path / "state" / "KILL").touch()
    code, text = kill("venue", "oceanex", "--clear", "--reason", "x", "--config", str(path))
    assert code == Exit.KILLED
    assert "still in force: the file" in text
    assert kill(*told_command(text))[0] == Exit.OK


@pytest.mark.parametrize("damaged", [False, True])
def test_the_command_that_the_status_names_clears_a_kill(tmp_path: Path, damaged: bool) -> None:
    path = config(tmp_path, "run of mine", "main")
    state = KillState(tmp_path / "state" / FOLDER)
    scope = Scope("venue", "oceanex")
    state.engage(scope, Action.HALT, reason="a look", by="me")
    if damaged:
        (tmp_path / "state" / FOLDER / scope.file_name).write_text("{")
    code, text = status(path)
    assert code == Exit.KILLED
    assert text.count("fairlead kill") == 1
    reason = KillSwitch(None, state).reason("S-1", BTC)
    assert reason is not None
    assert reason.count("fairlead kill") == 1
    assert kill(*told_command(text))[0] == Exit.OK
    assert status(path)[0] == Exit.OK


def test_a_key_that_nothing_has_clears_nothing(tmp_path: Path) -> None:
    path = config(tmp_path, "run", "beta")
    halted(tmp_path, "oceanex-alpha")
    for scope in (("account", "alpha"), ("venue", "oceanex-alpha")):
        code, text = kill(*scope, "--clear", "--reason", "x", "--config", str(path))
        assert code == Exit.USAGE, text
    assert status(path)[0] == Exit.KILLED


@pytest.mark.parametrize("damaged", ["risk.json", "journal.sqlite"])
def test_a_state_that_cannot_be_read_is_told_once_and_names_no_clear(
    tmp_path: Path, damaged: str
) -> None:
    path = config(tmp_path, "run", "main", "oceanex", "poloniex")
    halted(tmp_path, "oceanex-main", file=False)
    file = tmp_path / "state" / f"oceanex-main.{damaged}"
    file.write_bytes(b"{" * 5000)
    code, text = status(path)
    assert code == Exit.KILLED
    assert text.count(str(file)) == 1, "the other venue's state is whole"
    assert "to clear it" not in text
    code, text = kill("venue", "oceanex", "--clear", "--reason", "x", "--config", str(path))
    assert code == Exit.KILLED
    assert text.count("NOT CLEARED: halt of oceanex main: ") == 1
    assert text.count(str(file)) == 1


@pytest.mark.parametrize("kept", ["both", "journal", "file"])
def test_a_clear_that_no_run_has_taken_yet_is_shown(tmp_path: Path, kept: str) -> None:
    halted(tmp_path, "oceanex-main", journal=kept != "file", file=kept != "journal")
    path = config(tmp_path, "run", "main")
    said = clearing_file(RiskStateFile(tmp_path / "state" / "oceanex-main.risk.json"))
    assert "its clear waits" not in status(path)[1]
    said.write(Clearing(halt_ts_ns=HALT.ts_ns + 1, reason="of another", by="me", ts_ns=1))
    assert "its clear waits" not in status(path)[1]
    word = Clearing(halt_ts_ns=HALT.ts_ns, reason="it is safe", by="user me", ts_ns=10**18)
    said.write(word)
    code, text = status(path)
    assert code == Exit.KILLED
    assert HALT.reason in text
    assert "its clear waits since 2001-09-09 01:46:40 UTC, by user me: it is safe" in text
    answer = json.loads(kill("--status", "--json", "--config", str(path))[1])
    assert answer["halts"][0]["clearing"]["reason"] == "it is safe"


FLATTEN = """\
name = "run"
[venues.oceanex]
adapter = "oceanex"
account = "main"
instruments = ["BTC_USDT.OCEANEX"]
[venues.oceanex.credentials]
uid = "env:NO_SUCH_UID"
private_key = "file:nowhere.pem"
[venues.oceanex.options]
http_url = "http://127.0.0.1:1"
"""


def killed(*arguments: str) -> tuple[int, str]:
    """In this process; the command turns the collector off, for its own short life."""
    done = CliRunner().invoke(app, ["kill", "all", *arguments])
    gc.enable()
    return done.exit_code, done.output


def test_a_flatten_that_knows_no_position_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(FLATTEN)
    code, told = killed("--action", "flatten", "--config", str(path))
    assert code == Exit.UNRESOLVED, told
    journal = tmp_path / "state" / "oceanex-main.journal.sqlite"
    assert f"oceanex: NOTHING WAS CLOSED: there is no journal {journal}" in told
    code, told = killed("--config", str(path))  # there is nothing to cancel, and no key
    assert (code, "NOTHING WAS CLOSED" in told) == (Exit.OK, False)


class EmptyOrders:
    async def open_orders(self, *_: object) -> list[object]:
        return []

    async def orders(self, *_: object) -> list[object]:
        return []


class EmptyVenue:
    """A venue that is there, with nothing on it."""

    orders = EmptyOrders()

    def __init__(self, *, lists_stops: bool) -> None:
        able = registry.spec("oceanex").capabilities
        self.capabilities = msgspec.structs.replace(able, lists_stops=lists_stops)

    async def connect(self) -> None: ...

    async def close(self) -> None: ...


def test_nor_does_one_whose_venue_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VenueKill, "_reached", lambda _: EmptyVenue(lists_stops=True))
    path = tmp_path / "run.toml"
    path.write_text(FLATTEN)
    code, told = killed("--action", "flatten", "--config", str(path))
    assert (code, "NOTHING WAS CLOSED" in told) == (Exit.UNRESOLVED, True), told
    assert killed("--config", str(path))[0] == Exit.OK
    monkeypatch.setattr(VenueKill, "_reached", lambda _: EmptyVenue(lists_stops=False))
    code, told = killed("--config", str(path))
    assert (code, "STOPS-UNLISTED" in told) == (Exit.UNRESOLVED, True), told


def test_a_clear_says_what_the_run_does_not_trade_on_with(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(FLATTEN)
    killed("--action", "flatten", "--config", str(path))
    lock = tmp_path / "state" / "oceanex-main.lock"
    lock.write_text(f"{os.getpid()}\n")
    with lock.open():
        _, told = killed("--clear", "--reason", "x", "--config", str(path))
    assert "any more, as that was flattened" in told
    assert f"process {os.getpid()}" in told
    killed("--action", "flatten", "--config", str(path))
    lock.unlink()
    assert "was flattened" not in killed("--clear", "--reason", "x", "--config", str(path))[1]


def test_a_clear_says_that_a_venue_of_nautilustraders_own_closed_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "run"\n[venues.oceanex]\nadapter = "nautilus:binance"\n')
    KillState(tmp_path / "state" / FOLDER).engage(
        Scope("all"), Action.FLATTEN, reason="x", by="a test"
    )
    lock = tmp_path / "state" / "oceanex-main.lock"
    lock.write_text(f"{os.getpid()}\n")
    with lock.open():
        _, told = killed("--clear", "--reason", "x", "--config", str(path))
    assert "closed no position" in told
    assert "was flattened" not in told
