"""What `fairlead kill` does: the state first, everything else after it.

Imports are part of the time to the first cancel: what the durable state does not need is imported
after it.
"""

from __future__ import annotations

import os
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.cli.exits import Exit
from engine.errors import FairleadError
from engine.risk.killswitch import FOLDER, SCOPE_KINDS, Action, Kill, KillState, Scope

if TYPE_CHECKING:
    from engine.modes.kill import VenueReport

TIMEOUT_SECS = 30.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The verb's arguments."""

    config: Path
    scope: str = "all"
    key: str = ""
    action: Action = Action.CANCEL
    reason: str = "none given"
    clear: bool = False
    status: bool = False
    timeout_secs: float = TIMEOUT_SECS
    as_json: bool = False


class Misspelt(ValueError):
    """Arguments that name nothing; nothing was stopped."""


def carry_out(wanted: Wanted) -> int:
    """The process's exit code. Raises Misspelt, FairleadError."""
    if wanted.clear and wanted.status:
        raise Misspelt("--clear and --status don't go together")
    raw = _read(wanted.config)
    scope = _scope(wanted.scope, wanted.key)
    state = KillState(_state_dir(wanted.config, raw) / FOLDER)
    kill_file = _kill_file(wanted.config, raw)
    if wanted.status:
        return _show(state, kill_file, wanted.as_json)
    _check_key(scope, raw)
    if wanted.clear:
        return _clear(state, scope, kill_file, wanted.as_json)
    by = f"fairlead kill, uid {os.getuid()}, process {os.getpid()}"
    kill = state.engage(scope, wanted.action, reason=wanted.reason, by=by)
    since_ns, since_cpu_ns = time.time_ns(), time.process_time_ns()
    if not wanted.as_json:
        _say(f"in force: {kill}")
    if wanted.action is Action.HALT:
        if wanted.as_json:
            _say_json({"kill": kill, "venues": [], "is_clean": True})
        return Exit.OK
    since = {"ts_in_force": since_ns, "in_force_cpu_ms": since_cpu_ns / 1e6}
    return _act(wanted, msgspec.structs.replace(kill, action=wanted.action), since)


def _act(wanted: Wanted, kill: Kill, since: dict[str, Any]) -> int:
    """Cancel and flatten; everything that takes time to import is imported here."""
    import asyncio
    import gc

    gc.disable()  # the process is short, and imports make garbage collections that find nothing
    from engine.config.loader import load
    from engine.modes.kill import kill_venues
    from engine.secrets import redact

    def tell(line: str) -> None:
        if not wanted.as_json:
            _say(redact(line))

    try:
        loaded = load(wanted.config)
    except FairleadError:
        print(  # noqa: T201
            "halt is in force, but NOTHING WAS CANCELLED: mend the config", file=sys.stderr
        )
        raise
    reports = asyncio.run(
        kill_venues(
            loaded,
            kill,
            since_ns=since["ts_in_force"],
            timeout_secs=wanted.timeout_secs,
            tell=tell,
        )
    )
    is_clean = all(report.is_clean for report in reports)
    if wanted.as_json:
        _say_json({"kill": kill, **since, "venues": reports, "is_clean": is_clean})
    else:
        for report in reports:
            _say(_summary(report))
    if is_clean:
        return Exit.OK
    unreachable = any(report.is_unreachable for report in reports)
    return Exit.VENUE if unreachable else Exit.UNRESOLVED


def _summary(report: VenueReport) -> str:
    gone = len(report.orders) - len(report.left)
    text = f"{report.venue}: {gone} orders gone, {len(report.left)} left"
    if report.closed:
        flat = sum(one.is_flat for one in report.closed)
        text += f"; {flat} of {len(report.closed)} positions flat"
    if report.first_cancel_ms is not None:
        text += f"; first cancel {report.first_cancel_ms:.0f} ms after the kill was in force"
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


def _check_key(scope: Scope, raw: dict[str, Any]) -> None:
    """A misspelt key would stop nothing: refuse it."""
    venues = _table(raw, "venues")
    strategies = raw.get("strategies")
    tables = strategies if isinstance(strategies, list) else []
    known = {
        "all": [""],
        "venue": list(venues),
        "account": [str(v.get("account", "main")) for v in venues.values() if isinstance(v, dict)],
        "strategy": [str(s.get("id")) for s in tables if isinstance(s, dict)],
    }[scope.kind]
    if scope.key not in known:
        raise Misspelt(
            f"the config has no {scope.kind} {scope.key!r}; expected one of "
            f"{', '.join(sorted(set(known))) or 'none'}. Nothing was stopped; `kill all` stops all"
        )


def _clear(state: KillState, scope: Scope, kill_file: Path, as_json: bool) -> int:
    removed = state.clear(scope)
    if scope.kind == "all" and kill_file.exists():
        kill_file.unlink()
        removed.append(kill_file.name)
    kept = state.in_force()
    if as_json:
        _say_json({"removed": removed, "in_force": kept})
        return Exit.OK
    _say(f"removed {', '.join(removed)}" if removed else f"no kill of {scope} was in force")
    for kill in kept:
        _say(f"still in force: {kill}")
    return Exit.OK


def _show(state: KillState, kill_file: Path, as_json: bool) -> int:
    kills = state.in_force()
    is_file = kill_file.exists()
    if as_json:
        _say_json({"in_force": kills, "kill_switch_file": str(kill_file) if is_file else None})
    else:
        for kill in kills:
            _say(f"in force: {kill}")
        if is_file:
            _say(f"in force: the file {kill_file} (all, halt)")
        if not kills and not is_file:
            _say("no kill is in force")
    return Exit.KILLED if kills or is_file else Exit.OK


def _say(line: str) -> None:
    try:
        print(line, flush=True)  # noqa: T201
    except OSError:  # nobody reads any more: the kill goes on
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def _say_json(value: object) -> None:
    _say(msgspec.json.encode(value).decode())
