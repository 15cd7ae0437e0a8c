"""The durable kill state: scopes, durability, damage, and the places that ask it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.base.plain_transport import PlainTransport
from fairlead.adapters.base.ratelimit import Rate, RateLimited, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, TransportError
from fairlead.engine.kill.state import (
    ALL,
    PAST_MAX,
    SETTLED_NS,
    Action,
    Kill,
    KillState,
    KillStateError,
    Scope,
)
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.permit import asking, refusal

BTC = "BTC_USDT.OCEANEX"
WORD = {"reason": "looked at", "by": "tests"}
ACCOUNTS = {"oceanex": "main", "poloniex": "other"}


@pytest.fixture
def state(tmp_path: Path) -> KillState:
    return KillState(tmp_path / "state" / "kill-switch", ACCOUNTS)


def engage(state: KillState, scope: Scope, action: Action = Action.CANCEL) -> Kill:
    return state.engage(scope, action, reason="a test", by="tests")


def test_no_kill_without_a_file(state: KillState) -> None:
    assert state.in_force() == ()
    assert state.of_order("S-1", BTC) is None
    assert KillSwitch(None, state).reason("S-1", BTC) is None


@pytest.mark.parametrize(
    ("scope", "covered", "free"),
    [
        (ALL, ("S-1", BTC), None),
        (Scope("strategy", "S-1"), ("S-1", BTC), ("S-2", BTC)),
        (Scope("venue", "oceanex"), ("S-2", BTC), ("S-2", "BTC_USDT.POLONIEX")),
        (Scope("account", "main"), ("S-2", BTC), ("S-2", "BTC_USDT.POLONIEX")),
    ],
)
def test_scopes(
    state: KillState, scope: Scope, covered: tuple[str, str], free: tuple[str, str] | None
) -> None:
    kill = engage(state, scope)
    assert state.of_order(*covered) == kill
    assert state.action_of(*covered) is Action.CANCEL
    if free is not None:
        assert state.of_order(*free) is None
        assert state.action_of(*free) is None
    reason = KillSwitch(None, state).reason(*covered)
    assert reason is not None
    assert f"kill {scope} --clear" in reason


def test_what_this_run_has_flattened_is_refused_after_the_clear_too(state: KillState) -> None:
    switch, scope = KillSwitch(None, state), Scope("venue", "oceanex")
    state.closes_positions()
    engage(state, scope, Action.FLATTEN)
    state.clear(scope, **WORD)
    why = switch.reason("S-1", BTC)
    assert why is not None
    assert why.startswith("FLATTENED by kill switch (venue oceanex, flatten) by tests: a test")
    assert "start a new one" in why
    assert switch.reason("S-1", "BTC_USDT.POLONIEX") is None
    assert switch.reason() is None  # not all of the run is stopped
    again = KillSwitch(None, KillState(state.folder, ACCOUNTS))  # of the next run
    assert again.reason("S-1", BTC) is None
    state.kept = frozenset({"oceanex"})  # a venue where a kill closes nothing: it is traded on
    assert switch.reason("S-1", BTC) is None


def test_a_flatten_that_came_and_went_while_nobody_looked_is_refused_too(state: KillState) -> None:
    """Whatever came after it: a run whose loop stood still knows it by the words that ended it."""
    other, run = KillState(state.folder, ACCOUNTS), KillSwitch(None, state)
    before = other.engage(ALL, Action.FLATTEN, reason="earlier", by="tests")
    other.clear(ALL, **WORD)
    state.closes_positions()
    assert run.reason("S-1", BTC) is None, "what was over when the run began is not its own"
    assert state.past() == []
    flatten = engage(other, ALL, Action.FLATTEN)
    other.clear(ALL, **WORD)
    halt = engage(other, ALL, Action.HALT)
    other.clear(ALL, **WORD)
    why = run.reason("S-1", BTC)
    assert why is not None
    assert why.startswith("FLATTENED by kill switch (all, flatten)")
    assert [kill for kill, _ in state.past()] == [flatten, halt]
    assert before not in (flatten, halt)
    paper = KillState(state.folder, ACCOUNTS)
    assert KillSwitch(None, paper).reason("S-1", BTC) is None


def test_the_words_of_many_kills_stay_short(state: KillState) -> None:
    state.closes_positions()
    for _ in range(3 * PAST_MAX):
        engage(state, ALL, Action.HALT)
        state.clear(ALL, **WORD)
    assert len(state.past()) == PAST_MAX


def test_a_kill_is_there_for_other_processes_and_after_a_restart(state: KillState) -> None:
    code = (
        "import sys; from pathlib import Path; from fairlead.engine.kill.state import *;"
        "KillState(Path(sys.argv[1])).engage(ALL, Action.HALT, reason='other', by='other')"
    )
    assert state.in_force() == ()
    subprocess.run([sys.executable, "-c", code, str(state.folder)], check=True)
    (kill,) = state.in_force()
    assert kill.reason == "other"
    assert KillState(state.folder).in_force() == (kill,)


def test_a_weaker_kill_does_not_soften_a_stronger_one(state: KillState) -> None:
    strong = engage(state, ALL, Action.FLATTEN)
    assert engage(state, ALL, Action.HALT) == strong
    assert state.in_force() == (strong,)
    engage(state, Scope("venue", "oceanex"), Action.HALT)
    assert state.action_of("S-1", BTC) is Action.FLATTEN


def test_every_change_is_seen_though_folder_times_move_in_steps(state: KillState) -> None:
    """Changes within one step of the folder's time must not hide behind the first."""
    engage(state, ALL)
    stamp = os.stat(state.folder).st_mtime_ns
    for number in range(20):
        scope = Scope("strategy", f"S-{number}")
        engage(state, scope)
        os.utime(state.folder, ns=(stamp, stamp))
        assert state.of_order(f"S-{number}", BTC) is not None
        assert any(kill.scope == scope for kill in state.in_force())


def test_a_settled_folder_is_not_read_again(state: KillState) -> None:
    engage(state, ALL)
    later = KillState(
        state.folder, now_ns=lambda: os.stat(state.folder).st_mtime_ns + SETTLED_NS * 2
    )
    first = later.in_force()
    assert later.in_force() is first


def test_only_clear_takes_a_kill_away(state: KillState) -> None:
    venue = Scope("venue", "oceanex")
    engage(state, ALL)
    engage(state, venue)
    assert state.clear(ALL, **WORD) == ["all.json"]
    assert [kill.scope for kill in state.in_force()] == [venue]
    assert state.clear(ALL, **WORD) == []
    assert state.clear(venue, **WORD) == ["venue-oceanex.json"]
    assert state.in_force() == ()


def test_any_key_has_a_file_of_its_own(state: KillState) -> None:
    for key in ("../../etc", "a/b", "", "all", "é", "x" * 60):
        scope = Scope("account", key)
        engage(state, scope)
        assert (state.folder / scope.file_name).exists()
    assert len(list(state.folder.iterdir())) == len(state.in_force()) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"",
        lambda whole: b"\x00" * len(whole),
        lambda whole: whole.replace(b'"version":1', b'"version":2'),
        lambda whole: whole.replace(b'"kind":"strategy"', b'"kind":"venue"'),
        lambda whole: b"[" * 100_000,
    ],
    ids=["torn", "empty", "zeros", "other version", "other scope", "nested"],
)
def test_damage_counts_as_a_kill_of_everything(
    state: KillState, damage: Callable[[bytes], bytes]
) -> None:
    scope = Scope("strategy", "S-1")
    engage(state, scope)
    path = state.folder / scope.file_name
    path.write_bytes(damage(path.read_bytes()))
    found = state.of_order("S-2", BTC)
    assert found is not None
    assert found.scope == ALL
    assert str(path) in found.reason
    refusal = KillSwitch(None, state).reason("S-2", BTC)
    assert refusal is not None
    assert refusal.count("kill all --clear") == 1
    assert state.clear(ALL, **WORD) == [scope.file_name]
    assert state.in_force() == ()


def test_a_kill_that_died_while_it_was_written_is_none(state: KillState) -> None:
    state.folder.mkdir(parents=True)
    (state.folder / ".new-1-2").write_bytes(b'{"scope":')
    assert state.in_force() == ()
    state.clear(ALL, **WORD)
    assert [path.name for path in state.folder.iterdir()] == [".cleared-all.json"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_kill_whose_file_goes_away_by_hand_stays_in_force_here(
    state: KillState, what: str
) -> None:
    kill = engage(state, ALL)
    narrow = engage(state, Scope("strategy", "S-1"))
    assert len(state.in_force()) == 2
    if what == "file":
        (state.folder / ALL.file_name).unlink()
    else:
        shutil.rmtree(state.folder)
    assert kill in state.in_force()
    assert kill in state.without_file
    assert KillSwitch(None, state).reason("S-2", BTC) is not None
    other = KillState(state.folder)
    other.clear(ALL, **WORD)  # a person's word, through another process
    assert kill not in state.in_force()
    word = state.cleared(kill)
    assert word is not None
    assert word.reason == "looked at"
    assert narrow in state.in_force()
    again = engage(state, ALL)
    assert again in state.in_force()
    assert state.cleared(again) is None


def test_damage_over_a_kill_that_then_goes_leaves_the_kill_in_force(state: KillState) -> None:
    for scope in (ALL, Scope("strategy", "S-1")):
        engage(state, scope)
        state.clear(scope, **WORD)  # old words lie beside
        kill = engage(state, scope, Action.FLATTEN)
        assert state.in_force() == (kill,)
        path = state.folder / scope.file_name
        path.write_bytes(b'{"a')
        os.utime(state.folder)
        assert kill in state.in_force(), "the damage hides no kill"
        assert state.action_of("S-1", BTC) is Action.FLATTEN
        path.unlink()
        assert kill in state.in_force()
        assert state.of_order("S-2", BTC) is not None, "it counted as a kill of everything"
        KillState(state.folder).clear(scope, **WORD)
        assert kill not in state.in_force()
        KillState(state.folder).clear(ALL, **WORD)
        assert state.in_force() == ()


def test_garbage_that_goes_without_a_word_stays_a_kill(state: KillState) -> None:
    engage(state, ALL)
    state.clear(ALL, **WORD)
    path = state.folder / "all.json"
    path.write_bytes(b"garbage")
    os.utime(path, ns=(1, 1))  # a copy of an old one
    (kill,) = state.in_force()
    assert not kill.is_readable
    path.unlink()
    assert state.in_force() == (kill,)
    assert state.without_file == (kill,)
    KillState(state.folder).clear(ALL, **WORD)
    assert state.in_force() == ()


def test_a_word_of_a_clock_that_was_ahead_clears_no_later_kill(state: KillState) -> None:
    now = [2_000]
    one = KillState(state.folder, now_ns=lambda: now[0])
    engage(one, ALL)
    one.clear(ALL, **WORD)
    now[0] = 1_000
    kill = engage(one, ALL)
    assert one.in_force() == (kill,)
    (one.folder / "all.json").unlink()
    assert one.in_force() == (kill,)
    engage(one, ALL)
    now[0] = 500
    one.clear(ALL, **WORD)
    assert one.in_force() == ()


def test_a_kill_that_grows_weaker_by_hand_does_not(state: KillState) -> None:
    kill = engage(state, ALL, Action.FLATTEN)
    assert state.in_force() == (kill,)
    weaker = msgspec.structs.replace(kill, action=Action.HALT)
    (state.folder / "all.json").write_bytes(msgspec.json.encode(weaker))
    os.utime(state.folder)
    assert state.action_of("S-1", BTC) is Action.FLATTEN


def test_a_narrow_kill_or_clear_ends_no_damage(state: KillState) -> None:
    scope = Scope("strategy", "S-1")
    engage(state, scope)
    (state.folder / scope.file_name).write_bytes(b"{")
    assert state.clear(scope, **WORD) == []
    assert state.of_order("S-2", BTC) is not None
    engage(state, scope)
    for one in (state, KillState(state.folder)):
        assert [kill.is_readable for kill in one.in_force()] == [False, True]
        assert one.of_order("S-2", BTC) is not None
    assert state.clear(ALL, **WORD) == [f"damaged-{scope.file_name}"]
    assert [kill.scope for kill in state.in_force()] == [scope]


def test_a_folder_that_cannot_be_read_counts_as_a_kill(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    (kill,) = KillState(tmp_path / "state" / "kill-switch").in_force()
    assert kill.scope == ALL
    (tmp_path / "file").write_text("no folder either")
    (kill,) = KillState(tmp_path / "file").in_force()
    assert "can't be read" in kill.reason


def _file_in_its_place(folder: Path) -> None:
    folder.touch()


def _loop_in_its_place(folder: Path) -> None:
    folder.symlink_to(folder)


@pytest.mark.parametrize("stand_in", [_file_in_its_place, _loop_in_its_place])
@pytest.mark.parametrize("was_there", [False, True], ids=["no folder before", "a folder before"])
def test_what_stood_in_the_place_of_the_folder_and_goes_leaves_a_kill(
    state: KillState, stand_in: Callable[[Path], None], was_there: bool
) -> None:
    state.folder.parent.mkdir()
    engage(state, ALL)
    state.clear(ALL, **WORD)  # an old word, which is not about it
    assert state.in_force() == ()
    if not was_there:
        shutil.rmtree(state.folder)
    assert state.in_force() == ()
    shutil.rmtree(state.folder, ignore_errors=True)
    stand_in(state.folder)
    (kill,) = state.in_force()
    assert state.in_force() == (kill,), "the same at each look"
    state.folder.unlink()
    assert state.in_force() == (kill,)
    assert state.in_force() == (kill,)
    KillState(state.folder).clear(ALL, **WORD)
    assert state.in_force() == ()


def test_a_folder_that_could_not_be_listed_and_can_again_has_nothing_to_hide(
    state: KillState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a process has too many files open for a moment."""
    engage(state, Scope("venue", "oceanex"))
    old = os.stat(state.folder).st_mtime_ns + 2 * SETTLED_NS
    later = KillState(state.folder, ACCOUNTS, now_ns=lambda: old)
    listed = os.listdir

    def refuse(path: str) -> list[str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "listdir", refuse)
    assert later.in_force()[0].scope == ALL
    monkeypatch.setattr(os, "listdir", listed)
    assert [kill.scope for kill in later.in_force()] == [Scope("venue", "oceanex")]


@pytest.mark.parametrize("what", ["file", "folder", "damage", "weaker"])
def test_a_run_writes_again_what_was_taken_away(state: KillState, what: str) -> None:
    kill = engage(state, ALL)
    venue = engage(state, Scope("venue", "oceanex"), Action.FLATTEN)
    assert state.in_force() == (kill, venue)
    path = state.folder / venue.scope.file_name
    if what == "damage":
        path.write_bytes(b"garbage")
        os.utime(state.folder)
        assert state.action_of("S-1", BTC) is Action.FLATTEN
        assert state.restore() == [], "it is a person's to look at"
        assert path.read_bytes() == b"garbage"
        path.unlink()
    elif what == "weaker":
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(venue, action=Action.HALT)))
        os.utime(state.folder)
    elif what == "folder":
        shutil.rmtree(state.folder)
    else:
        path.unlink()
    assert state.action_of("S-1", BTC) is Action.FLATTEN
    assert venue in state.without_file
    state.restore()
    other = KillState(state.folder, ACCOUNTS)
    assert {str(kill), str(venue)} <= {str(one) for one in other.in_force()}
    state.in_force()
    assert state.without_file == ()
    assert other.action_of("S-1", BTC) is Action.FLATTEN
    other.clear(venue.scope, **WORD)
    other.clear(ALL, **WORD)
    assert state.in_force() == other.in_force() == ()


def test_damage_that_goes_is_written_as_the_kill_that_it_counted_as(state: KillState) -> None:
    state.folder.mkdir(parents=True)
    (state.folder / "strategy-S.json").write_bytes(b"garbage")
    assert state.in_force()[0].scope == ALL
    (state.folder / "strategy-S.json").unlink()
    assert state.of_order("S-2", BTC) is not None
    state.restore()
    (found,) = KillState(state.folder).in_force()
    assert (found.scope, found.action, found.is_readable) == (ALL, Action.HALT, True)
    assert "strategy-S.json can't be read" in found.reason
    assert [str(kill) for kill in state.in_force()] == [str(found)]
    KillState(state.folder).clear(ALL, **WORD)
    assert state.in_force() == ()


def test_what_no_disk_took_is_written_once_it_takes_something(state: KillState) -> None:
    state.folder.parent.write_text("a file, no folder")
    with pytest.raises(KillStateError):
        engage(state, ALL)
    assert state.restore() == []
    state.folder.parent.unlink()
    assert len(state.restore()) == 1
    assert "a test" in [kill.reason for kill in KillState(state.folder).in_force()]


def test_a_file_that_is_written_again_during_its_clear_is_none(state: KillState) -> None:
    """A run found no word, a person clears, and the run writes only then."""
    kill = engage(state, ALL, Action.FLATTEN)
    content = (state.folder / "all.json").read_bytes()
    state.clear(ALL, **WORD)
    (state.folder / "all.json").write_bytes(content)
    for one in (state, KillState(state.folder)):
        assert one.in_force() == ()
    again = engage(state, ALL, Action.HALT)
    assert again != kill
    assert KillState(state.folder).in_force() == (again,)


def test_a_disk_that_refuses_stops_this_process_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    state = KillState(tmp_path / "state")
    with pytest.raises(KillStateError, match="no other process"):
        engage(state, Scope("strategy", "S-1"), Action.FLATTEN)
    assert any(kill.reason == "a test" for kill in state.in_force())


def test_the_file_still_stops_everything(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "KILL", KillState(tmp_path / "kill-switch"))
    assert switch.reason("S-1", BTC) is None
    (tmp_path / "KILL").touch()
    assert "KILL exists" in (switch.reason("S-1", BTC) or "")


def test_a_look_that_found_no_file_holds_for_a_while_where_no_venue_is_reached(
    tmp_path: Path,
) -> None:
    now = [0]
    switch = KillSwitch(tmp_path / "KILL", look_every_ns=100, monotonic_ns=lambda: now[0])
    assert switch.reason() is None
    (tmp_path / "KILL").touch()
    now[0] = 99
    assert switch.reason() is None
    now[0] = 100
    assert "KILL exists" in (switch.reason() or "")
    assert "KILL exists" in (switch.reason() or "")  # a file that is there is looked at each time
    (tmp_path / "KILL").unlink()
    assert switch.reason() is None


def test_a_kill_is_written_whole(state: KillState) -> None:
    kill = engage(state, ALL)
    assert msgspec.json.decode((state.folder / "all.json").read_bytes(), type=Kill) == kill
    assert [path.name for path in state.folder.iterdir()] == ["all.json"]


# -- asked right before the wire --------------------------------------------------------------


def test_nobody_asks_outside_of_a_create() -> None:
    assert refusal() is None
    with asking(lambda: "killed"):
        assert refusal() == "killed"
    assert refusal() is None


async def test_a_create_that_waits_for_rate_budget_is_stopped_by_a_kill() -> None:
    limiter = RateLimiter({"orders": Rate(2, 0.2)}, reserve=0.0)
    killed: list[str] = []
    with asking(lambda: killed[0] if killed else None):
        await limiter.acquire("orders", "create")
        await limiter.acquire("orders", "create")
        waiting = asyncio.ensure_future(limiter.acquire("orders", "create"))
        await asyncio.sleep(0)
        killed.append("kill switch")
        with pytest.raises(RateLimited, match="kill switch"):
            await waiting
    await limiter.acquire("orders", "cancel")  # cancels go on


async def test_transports_send_nothing_that_was_killed() -> None:
    from fairlead.adapters.base.aiohttp_transport import AiohttpTransport

    reached: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(1000):
            reached.append(part)
            if b"".join(reached).endswith(b"x=1"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/orders"
    request = HttpRequest(method="POST", url=url, body=b"x=1", timeout_secs=2.0)
    for transport in (AiohttpTransport(), PlainTransport()):
        for _ in range(2):  # on a new connection, and on a kept one
            with asking(lambda: "kill switch"), pytest.raises(TransportError) as stopped:
                await transport.request(request)
            assert stopped.value.code == "HTTP-STOPPED"
            assert not stopped.value.sent
            assert reached == []
            assert (await transport.request(request)).body == b"ok"
            assert b"".join(reached).startswith(b"POST /orders HTTP/1.1\r\n")
            reached.clear()
        await transport.close()
    server.close()


def test_a_link_that_leads_nowhere_is_a_kill_file_too(tmp_path: Path) -> None:
    """Any entry of the name counts: what it is can't be looked at."""
    switch = KillSwitch(tmp_path / "KILL")
    (tmp_path / "KILL").symlink_to("/nonexistent/x")
    assert "kill switch file" in str(switch.reason("S-1", BTC))
    (tmp_path / "KILL").unlink()
    assert switch.reason("S-1", BTC) is None
    (tmp_path / "KILL").symlink_to("KILL")  # to itself
    assert "kill switch file" in str(switch.reason("S-1", BTC))


def test_a_link_that_leads_nowhere_in_the_kills_folder_is_a_kill(
    state: KillState,
) -> None:
    state.folder.mkdir(parents=True)
    (state.folder / ALL.file_name).symlink_to("/nonexistent/x")
    (kill,) = state.in_force()
    assert not kill.is_readable


def test_a_link_that_leads_nowhere_in_the_place_of_the_kills_folder_is_a_kill(
    state: KillState,
) -> None:
    state.folder.parent.mkdir(parents=True)
    state.folder.symlink_to("/nonexistent/x")
    (kill,) = state.in_force()
    assert not kill.is_readable


def test_that_there_is_no_kill_is_told_by_one_call_and_one_that_comes_is_seen(
    state: KillState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order asks: what costs it most is the system's calls."""
    looks: list[str] = []
    for name in ("lstat", "stat"):
        real = getattr(os, name)
        counted = lambda path, *more, real=real, **named: looks.append(path) or real(path)  # noqa: E731
        monkeypatch.setattr(os, name, counted)
    assert state.in_force() == ()
    looks.clear()
    assert state.in_force() == ()
    assert looks == [str(state.folder)]
    monkeypatch.undo()
    kill = engage(KillState(state.folder, ACCOUNTS), ALL)
    assert state.in_force() == (kill,)


def test_a_kills_folder_may_be_a_link(state: KillState, tmp_path: Path) -> None:
    elsewhere = KillState(tmp_path / "elsewhere", ACCOUNTS)
    kill = engage(elsewhere, ALL)
    state.folder.parent.mkdir(parents=True)
    state.folder.symlink_to(elsewhere.folder)
    assert state.in_force() == (kill,)
    other = engage(elsewhere, Scope("venue", "oceanex"))
    assert state.in_force() == (kill, other)
