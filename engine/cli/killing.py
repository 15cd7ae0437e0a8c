"""What `fairlead kill` does: the state first, everything else after it.

Imports are part of the time to the first cancel: what the durable state does not need is imported
after it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import tomllib
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError, clear_command
from fairlead.engine.kill.state import (
    ALL,
    FOLDER,
    SCOPE_KINDS,
    Action,
    Cleared,
    Kill,
    KillState,
    KillStateError,
    Scope,
)

if TYPE_CHECKING:
    from fairlead.engine.kill.command import VenueReport
    from fairlead.engine.kill.halts import Account

TIMEOUT_SECS = 30.0
LEAVE_SECS = 1.0  # for what is left of a kill that is over
_stuck: list[object] = []  # loops with something that does not end
TIMEOUT_SECS_LEAST, TIMEOUT_SECS_MOST = 1, 86_400


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The verb's arguments."""

    config: Path
    scope: str = "all"
    key: str = ""
    action: Action = Action.CANCEL
    reason: str = ""  # a kill may go without one, a clear may not
    clear: bool = False
    status: bool = False
    timeout_secs: float = TIMEOUT_SECS
    as_json: bool = False


class Misspelt(ValueError):
    """Arguments that name nothing; nothing was stopped."""


def carry_out(wanted: Wanted) -> int:
    """The process's exit code. Raises Misspelt, FairleadError."""
    code = _carried_out(wanted)
    if _stuck:  # all is said, and the interpreter would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _carried_out(wanted: Wanted) -> int:
    if wanted.clear and wanted.status:
        raise Misspelt("--clear and --status don't go together")
    if wanted.clear and not wanted.reason.strip():
        raise Misspelt("--clear needs --reason TEXT: it is kept in the journal")
    raw = _read(wanted.config)
    scope = _scope(wanted.scope, wanted.key)
    state = KillState(_state_dir(wanted.config, raw) / FOLDER)
    if wanted.status:
        return _show(wanted, raw, state)
    if wanted.clear:
        return _clear(wanted, raw, state, scope)
    _check_key(scope, raw)
    return _kill(wanted, raw, state, scope)


def _kill(wanted: Wanted, raw: dict[str, Any], state: KillState, scope: Scope) -> int:
    """Put it in force, then act; a disk that does not take the kill keeps no cancel back."""
    is_stored = True
    begun_ns = time.time_ns()
    try:
        kill = state.engage(scope, wanted.action, reason=wanted.reason or "none given", by=who())
    except KillStateError as error:
        if error.kill is None:
            raise
        kill, is_stored = error.kill, False
        _warn(f"error {error.code}: {error.message}")
    since_ns, since_cpu_ns = time.time_ns(), time.process_time_ns()
    if is_stored and not wanted.as_json:
        _say(f"in force: {kill}")
    since = {
        "ts_in_force": since_ns,
        "in_force_cpu_ms": since_cpu_ns / 1e6,
        "is_stored": is_stored,
        "begun_ns": begun_ns,
    }
    asked = msgspec.structs.replace(kill, action=wanted.action)
    try:
        code = _act(wanted, asked, since)
    except FairleadError as error:
        if is_stored:
            raise
        _warn(f"error {error.code}: {error.message}")
        code = error.exit_code
    if is_stored:
        _note(wanted, raw, kill)
        return code
    reason = f"{kill.reason} (not stored: it ended with the command)"
    _note(wanted, raw, msgspec.structs.replace(kill, reason=reason))
    _warn(
        f"NOT STORED: the kill of {scope} is over with this command. A run that is up goes on "
        "creating orders, and so does the next start: stop the run, free the disk, kill again"
    )
    return Exit.NOT_STORED


def who(verb: str = "kill") -> str:
    """Who says so, for the journal."""
    import pwd

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "nobody known"
    return f"fairlead {verb}, user {name} (uid {uid}), process {os.getpid()}"


def _note(wanted: Wanted, raw: dict[str, Any], kill: Kill, cleared: Cleared | None = None) -> None:
    """In the journals of the accounts that it covers; a run that holds one notes what it sees."""
    from fairlead.engine.kill.records import note_kill

    covered = [
        one.files
        for one in _accounts(wanted.config, raw)
        if not one.files.is_paper
        and (
            kill.scope.kind == "strategy"
            or kill.scope.covers(strategy="", venue=one.venue, account=one.name)
        )
    ]
    for problem in note_kill(covered, kill, cleared):
        _warn(problem)


def _accounts(config: Path, raw: dict[str, Any]) -> list[Account]:
    """Live and paper accounts that the config names."""
    from fairlead.engine.kill.halts import accounts_of

    venues = {
        key: str(venue.get("account", "main"))
        for key, venue in _table(raw, "venues").items()
        if isinstance(venue, dict)
    }
    return accounts_of(_state_dir(config, raw), venues)


def _act(wanted: Wanted, kill: Kill, since: dict[str, Any]) -> int:
    """Cancel and flatten; everything that takes time to import is imported here."""
    if wanted.action is Action.HALT:
        if wanted.as_json:
            _say_json({"kill": kill, **since, "venues": [], "is_clean": since["is_stored"]})
        return Exit.OK
    import gc

    gc.disable()  # the process is short, and imports make garbage collections that find nothing
    from fairlead.engine.kill.command import kill_venues
    from fairlead.engine.run.config import load
    from fairlead.engine.run.reach import reach
    from fairlead.engine.secrets import redact

    def tell(line: str) -> None:
        if not wanted.as_json:
            _say(redact(line))

    try:
        loaded = load(wanted.config)
    except FairleadError:
        halt = "halt is in force, but" if since["is_stored"] else "no halt is in force, and"
        _warn(f"{halt} NOTHING WAS CANCELLED: mend the config")
        raise
    reports = _ended(
        kill_venues(
            loaded,
            kill,
            reach,
            since_ns=since["ts_in_force"],
            begun_ns=since.pop("begun_ns"),
            timeout_secs=wanted.timeout_secs,
            tell=tell,
        )
    )
    is_clean = all(report.is_clean for report in reports)
    if wanted.as_json:
        is_all = is_clean and since["is_stored"]
        _say_json({"kill": kill, **since, "venues": reports, "is_clean": is_all})
    else:
        for report in reports:
            _say(_summary(report, "in force" if since["is_stored"] else "asked for"))
    if is_clean:
        return Exit.OK
    unreachable = any(report.is_unreachable for report in reports)
    return Exit.VENUE if unreachable else Exit.UNRESOLVED


def _ended(work: Coroutine[Any, Any, list[VenueReport]]) -> list[VenueReport]:
    """What it gives, and not a wait for what of it does not end: a node of NautilusTrader's whose
    venue stands still takes no cancel.
    """
    import asyncio

    async def all_of_it() -> list[VenueReport]:
        reports = await work
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left and (await asyncio.wait(left, timeout=LEAVE_SECS))[1]:
            _stuck.append(runner)  # closing it would wait for them
        return reports

    runner = asyncio.Runner()
    try:
        return runner.run(all_of_it())
    finally:
        if runner not in _stuck:
            runner.close()


def _summary(report: VenueReport, since: str) -> str:
    from fairlead.engine.kill.command import closing_words

    gone = len(report.orders) - len(report.left)
    text = f"{report.venue}: {gone} orders gone, {len(report.left)} left"
    if report.unbooked:
        still = f"{report.unbooked} of them open in the journal"
        text += f" ({still} until the run, or the next start, books the end)"
    if report.is_journal_gone:
        text += "; NOT KNOWN what its journal named, which was taken away"
    if report.by_run:
        text += f"; the run itself cancelled {report.by_run} of them"
    if report.closed:
        flat = sum(one.is_flat for one in report.closed)
        text += f"; {flat} of {len(report.closed)} positions flat"
    for name, bought in report.closed_by_run.items():
        text += f"; the run itself {closing_words(bought)} of {name}"
    if report.stays:
        bare = sum(one.is_stop_gone for one in report.stays)
        text += f"; {len(report.stays)} positions stay"
        text += f", {bare} WITHOUT A STOP" if bare else ""
    first_ms = report.run_first_cancel_ms
    if first_ms is None:
        first_ms = report.first_cancel_ms
    if first_ms is not None:
        text += f"; first cancel {first_ms:.0f} ms after the kill was {since}"
    return text


def _read(config: Path) -> dict[str, Any]:
    """The file as it is: a kill must not fail for a config that is wrong somewhere else."""
    try:
        return tomllib.loads(config.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _unknown_state(config, error) from error


def _unknown_state(config: Path, error: Exception) -> FairleadError:
    return FairleadError(
        "KILL-CONFIG",
        f"{config} can't be read ({error}), so its state_dir is not known; nothing was "
        "stopped. Create the file KILL in the state_dir by hand, or send SIGUSR1 to the run",
        Exit.CONFIG,
    )


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name)
    return table if isinstance(table, dict) else {}


def _state_dir(config: Path, raw: dict[str, Any]) -> Path:
    relative = str(_table(raw, "run").get("state_dir", "state"))
    try:
        return config.absolute().parent.joinpath(Path(relative).expanduser()).resolve()
    except (RuntimeError, ValueError) as error:  # a ~ without a home, a NUL
        raise _unknown_state(config, error) from error


def _kill_file(config: Path, raw: dict[str, Any]) -> Path:
    return _state_dir(config, raw) / str(_table(raw, "risk").get("kill_switch_file", "KILL"))


def _scope(kind: str, key: str) -> Scope:
    if kind not in SCOPE_KINDS:
        raise Misspelt(f"expected one of {', '.join(SCOPE_KINDS)}, received {kind!r}")
    if (kind == "all") == bool(key):
        raise Misspelt("`all` takes no KEY, the other scopes need one")
    return Scope(kind, key)


def _check_key(scope: Scope, raw: dict[str, Any], to_clear: Sequence[str] | None = None) -> None:
    """A misspelt key would stop nothing: refuse it. `to_clear` are accounts to clear besides."""
    venues = _table(raw, "venues")
    strategies = raw.get("strategies")
    tables = strategies if isinstance(strategies, list) else []
    known = {
        "all": [""],
        "venue": list(venues),
        "account": [str(v.get("account", "main")) for v in venues.values() if isinstance(v, dict)]
        + list(to_clear or ()),
        "strategy": [str(s.get("id")) for s in tables if isinstance(s, dict)],
    }[scope.kind]
    if scope.key not in known:
        raise Misspelt(
            f"the config has no {scope.kind} {scope.key!r}; expected one of "
            f"{', '.join(sorted(set(known))) or 'none'}. "
            + (
                "Nothing was cleared"
                if to_clear is not None
                else "Nothing was stopped; `kill all` stops all"
            )
        )


def _clear(wanted: Wanted, raw: dict[str, Any], state: KillState, scope: Scope) -> int:
    """Kills of exactly this scope, and halts of the accounts within it.

    Those of another config are cleared by their own name only.
    """
    from fairlead.engine.kill.halts import clear_halts, halts_in, others_in
    from fairlead.engine.orders.files import PAPER

    folder, kill_file = _state_dir(wanted.config, raw), _kill_file(wanted.config, raw)
    accounts, by = _accounts(wanted.config, raw), who()
    others = others_in(folder, accounts)
    _check_key(scope, raw, [PAPER, *(one.name for one in others)])
    before = [kill for kill in state.in_force() if kill.scope == scope and kill.is_readable]
    removed = state.clear(scope, reason=wanted.reason, by=by)
    if scope.kind == "all" and kill_file.exists():
        kill_file.unlink()
        removed.append(kill_file.name)
    for kill in before:
        _note(wanted, raw, kill, state.cleared(kill))
    covered = [
        one for one in accounts if scope.covers(strategy="", venue=one.venue, account=one.name)
    ]
    if scope.kind == "account":
        covered += [one for one in others if one.name == scope.key]
    outcomes = clear_halts(accounts, covered, reason=wanted.reason, by=by)
    kept = state.in_force()
    halts = halts_in(folder, accounts)
    is_file = kill_file.exists()
    is_over = all(one.is_cleared for one in outcomes) and not (kept or halts or is_file)
    if wanted.as_json:
        answer = {"removed": removed, "halts_cleared": outcomes, "in_force": kept, "halts": halts}
        _say_json(answer | {"kill_switch_file": str(kill_file) if is_file else None})
        return Exit.OK if is_over else Exit.KILLED
    if removed:
        _say(f"removed {', '.join(removed)}")
    for one in outcomes:
        _say(f"{'cleared' if one.is_cleared else 'NOT CLEARED'}: {one.halt} ({one.detail})")
    if not removed and not outcomes:
        _say(
            f"no file says that a kill of {scope} was in force, and there was no halt; a run that "
            "had seen a kill's file go trades on by this"
        )
    _say_flattened(before, accounts, _table(raw, "venues"))
    told = {str(one.halt) for one in outcomes if not one.is_cleared}
    for kill in kept:
        _say(f"still in force: {kill}{_how(wanted, kill.scope)}")
    if is_file:
        _say(f"still in force: the file {kill_file} (all, halt){_how(wanted, ALL)}")
    for halt in halts:
        if str(halt) not in told:
            _say(f"still in force: {halt}{_how(wanted, halt.scope, is_told=bool(halt.problem))}")
    return Exit.OK if is_over else Exit.KILLED


def _say_flattened(
    cleared: Sequence[Kill], accounts: Sequence[Account], venues: Mapping[str, Any]
) -> None:
    """A run that is up does not trade on with what it flattened, where a kill closes positions."""
    from fairlead.engine.kill.switch import NONE_CLOSED
    from fairlead.engine.orders.lock import holder_of
    from fairlead.engine.run.native.found import PREFIX

    for kill in cleared:
        for one in accounts if kill.action is Action.FLATTEN else ():
            pid = None if one.files.is_paper else holder_of(one.files.lock)
            is_covered = kill.scope.kind == "strategy" or kill.scope.covers(
                strategy="", venue=one.venue, account=one.name
            )
            if pid is None or not is_covered:
                continue
            if str(venues.get(one.venue, {}).get("adapter", "")).startswith(PREFIX):
                _say(f"{one.venue} {one.name}: {kill.scope} {NONE_CLOSED}")
            else:
                whose = f" of {kill.scope}" if kill.scope.kind == "strategy" else ""
                _say(
                    f"{one.venue} {one.name}: the run that is up (process {pid}) sends no order"
                    f"{whose} any more, as that was flattened: stop it and start a new one"
                )


def _how(wanted: Wanted, scope: object, *, is_told: bool = False) -> str:
    """How a person ends it; a state that can't be read tells that itself."""
    return "" if is_told else f"\n  to clear it: {clear_command(scope, wanted.config)}"


def _show(wanted: Wanted, raw: dict[str, Any], state: KillState) -> int:
    from fairlead.engine.kill.halts import halts_in

    kills, kill_file = state.in_force(), _kill_file(wanted.config, raw)
    is_file = kill_file.exists()
    halts = halts_in(_state_dir(wanted.config, raw), _accounts(wanted.config, raw))
    if wanted.as_json:
        shown = str(kill_file) if is_file else None
        _say_json({"in_force": kills, "kill_switch_file": shown, "halts": halts})
    else:
        for kill in kills:
            _say(f"in force: {kill}{_how(wanted, kill.scope)}")
        if is_file:
            _say(f"in force: the file {kill_file} (all, halt){_how(wanted, ALL)}")
        for halt in halts:
            _say(f"in force: {halt}{_how(wanted, halt.scope, is_told=bool(halt.problem))}")
        if not kills and not is_file and not halts:
            _say("no kill and no halt is in force")
    return Exit.KILLED if kills or is_file or halts else Exit.OK


def _say(line: str) -> None:
    try:
        print(line, flush=True)  # noqa: T201
    except OSError:  # nobody reads any more: the kill goes on
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def _warn(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: the kill goes on
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _say_json(value: object) -> None:
    _say(msgspec.json.encode(value).decode())
