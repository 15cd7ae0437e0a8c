"""`fairlead kill`: the state first, everything else after it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from engine.cli.exits import Exit
from engine.errors import FairleadError
from engine.risk.killswitch import FOLDER, SCOPE_KINDS, Action, Kill, KillState, Scope

if TYPE_CHECKING:
    from engine.modes.kill import VenueReport

TIMEOUT_SECS = 30.0


def command(
    scope: Annotated[
        str, typer.Argument(help="all, or account, venue, strategy with a KEY.")
    ] = "all",
    key: Annotated[
        str, typer.Argument(help="The account's name, the venue's key, or the strategy's id.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option("--config", help="The run's TOML file (required).")
    ] = None,
    action: Annotated[
        Action, typer.Option("--action", help="Each includes the ones before it.")
    ] = Action.CANCEL,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the kill.")] = "none given",
    clear: Annotated[
        bool, typer.Option("--clear", help="Take the kill of this scope away.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what is in force.")] = False,
    timeout_secs: Annotated[
        float, typer.Option("--timeout", min=1, help="Longest time to cancel, in seconds.")
    ] = TIMEOUT_SECS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Stop creating orders, cancel what is open, close positions: also when the run hangs.

    \b
    fairlead kill all --config run.toml                        halt and cancel everything
    fairlead kill venue oceanex --config run.toml              one venue
    fairlead kill account main --config run.toml               every venue with this account name
    fairlead kill strategy maker-1 --config run.toml           one strategy
    fairlead kill all --action flatten --config run.toml       and close the positions
    fairlead kill --status --config run.toml                   exit 8 while something is in force
    fairlead kill all --clear --config run.toml                a person lets orders through again

    Halt is durable before anything else happens, and survives restarts until it is cleared. Exit
    0 only when nothing is left open.
    """
    if config is None:
        raise typer.BadParameter("name the run's TOML file: --config CONFIG")
    if clear and status:
        raise typer.BadParameter("--clear and --status don't go together")
    raw = _read(config)
    wanted = _scope(scope, key)
    state = KillState(_state_dir(config, raw) / FOLDER)
    kill_file = _kill_file(config, raw)
    if status:
        _show(state, kill_file, as_json)
        return
    _check_key(wanted, raw)
    if clear:
        _clear(state, wanted, kill_file, as_json)
        return
    by = f"fairlead kill, uid {os.getuid()}, process {os.getpid()}"
    kill = state.engage(wanted, action, reason=reason, by=by)
    if not as_json:
        typer.echo(f"in force: {kill}")
    if action is Action.HALT:
        if as_json:
            _print_json({"kill": kill, "venues": [], "is_clean": True})
        return
    _act(config, msgspec.structs.replace(kill, action=action), timeout_secs, as_json)


def _act(config: Path, kill: Kill, timeout_secs: float, as_json: bool) -> None:
    """Cancel and flatten; everything that takes time to import is imported here."""
    import asyncio
    import gc
    import time

    since_ns = time.time_ns()
    gc.disable()  # the process is short, and imports make garbage collections that find nothing
    from engine.config.loader import load
    from engine.modes.kill import kill_venues
    from engine.secrets import redact

    def tell(line: str) -> None:
        if not as_json:
            typer.echo(redact(line))

    try:
        loaded = load(config)
    except FairleadError:
        typer.echo("halt is in force, but NOTHING WAS CANCELLED: mend the config", err=True)
        raise
    work = kill_venues(loaded, kill, since_ns=since_ns, timeout_secs=timeout_secs, tell=tell)
    reports = asyncio.run(work)
    is_clean = all(report.is_clean for report in reports)
    if as_json:
        _print_json({"kill": kill, "venues": reports, "is_clean": is_clean})
    else:
        for report in reports:
            typer.echo(_summary(report))
    if not is_clean:
        unreachable = any(report.is_unreachable for report in reports)
        raise typer.Exit(int(Exit.VENUE if unreachable else Exit.UNRESOLVED))


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
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FairleadError(
            "KILL-CONFIG",
            f"{config} can't be read ({error}), so its state_dir is not known; nothing was "
            "stopped. Create the file KILL in the state_dir by hand, or send SIGUSR1 to the run",
            Exit.CONFIG,
        ) from error


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name)
    return table if isinstance(table, dict) else {}


def _state_dir(config: Path, raw: dict[str, Any]) -> Path:
    relative = str(_table(raw, "run").get("state_dir", "state"))
    return config.absolute().parent.joinpath(Path(relative).expanduser()).resolve()


def _kill_file(config: Path, raw: dict[str, Any]) -> Path:
    return _state_dir(config, raw) / str(_table(raw, "risk").get("kill_switch_file", "KILL"))


def _scope(kind: str, key: str) -> Scope:
    if kind not in SCOPE_KINDS:
        raise typer.BadParameter(f"expected one of {', '.join(SCOPE_KINDS)}, received {kind!r}")
    if (kind == "all") == bool(key):
        raise typer.BadParameter("`all` takes no KEY, the other scopes need one")
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
        raise typer.BadParameter(
            f"the config has no {scope.kind} {scope.key!r}; expected one of "
            f"{', '.join(sorted(set(known))) or 'none'}. Nothing was stopped; `kill all` stops all"
        )


def _clear(state: KillState, scope: Scope, kill_file: Path, as_json: bool) -> None:
    removed = state.clear(scope)
    if scope.kind == "all" and kill_file.exists():
        kill_file.unlink()
        removed.append(kill_file.name)
    kept = state.in_force()
    if as_json:
        _print_json({"removed": removed, "in_force": kept})
        return
    typer.echo(f"removed {', '.join(removed)}" if removed else f"no kill of {scope} was in force")
    for kill in kept:
        typer.echo(f"still in force: {kill}")


def _show(state: KillState, kill_file: Path, as_json: bool) -> None:
    kills = state.in_force()
    is_file = kill_file.exists()
    if as_json:
        _print_json({"in_force": kills, "kill_switch_file": str(kill_file) if is_file else None})
    else:
        for kill in kills:
            typer.echo(f"in force: {kill}")
        if is_file:
            typer.echo(f"in force: the file {kill_file} (all, halt)")
        if not kills and not is_file:
            typer.echo("no kill is in force")
    if kills or is_file:
        raise typer.Exit(int(Exit.KILLED))


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.encode(value).decode())
