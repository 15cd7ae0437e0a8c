"""`fairlead check`: everything that can be known of a config before it runs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from fairlead.engine.cli.out import Settings, progress
from fairlead.engine.config.changes import parsed
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigError, ConfigProblem, told_once
from fairlead.engine.errors import Exit
from fairlead.engine.run.config import load


def command(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.")],
    mode: Annotated[
        Literal["live", "paper", "backtest"] | None,
        typer.Option(help="Check for this mode: live needs the secrets, a recorded venue fails."),
    ] = None,
    journals: Annotated[
        bool, typer.Option("--journals", help="Read the order journals whole, each checksum too.")
    ] = False,
    lookahead: Annotated[
        bool,
        typer.Option(
            "--lookahead",
            help="Backtest it on data that ends earlier, too: its orders until then are the same "
            "unless it knows what it can not know.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    settings: Settings = None,
) -> None:
    """Check a config: the file, each strategy's import and parameters, what the venues can do,
    and whether the secrets are there and readable by nobody else. Each strategy is built, so that
    an exception in its __init__ is found, and asked what it declares. What a start in this mode
    would be refused for is found, too: fees that nobody tells, folders that take no file, a catalog
    without the data.

    Prints every finding as FILE:LINE:COLUMN CODE TEXT, and as a note what a journal holds in an
    instrument that the config names no more, balances of no use, and methods of a strategy that are
    named nearly as a callback is, and never called. With --lookahead the config is
    backtested, on all of its data and on parts that end earlier. Exit code 0 when there is
    none, 3 otherwise; 9 when a journal of the state_dir is damaged (with --journals; a run may go
    on meanwhile).
    """
    from fairlead.engine.config.resolved import resolve
    from fairlead.engine.guard.building import build_problems
    from fairlead.engine.guard.near_names import misnamed
    from fairlead.engine.run.readiness import start_look

    loaded = None
    noted: list[str] = []
    try:
        loaded = load(config, parsed(settings or ()))
        resolved = resolve(loaded, mode)
        problems = [*resolved.problems]
        problems += build_problems(loaded, resolved.strategies, problems)
        more, noted = start_look(loaded, mode)
        named = dict.fromkeys(line for one in resolved.strategies for line in misnamed(one.cls))
        noted = [*noted, *named]
        problems = told_once(problems + more)
    except ConfigError as e:
        problems = list(e.problems)
    if loaded is not None and lookahead and not problems:
        _look_ahead(loaded, as_json=as_json)
        return
    damage = _damage(loaded.state_dir) if loaded is not None and journals else {}
    if as_json:
        _print_json(loaded.config.name if loaded else None, problems, noted, damage)
    else:
        _print_text(config, loaded, problems, noted, damage)
    if problems:
        raise typer.Exit(Exit.CONFIG)
    if any(damage.values()):
        raise typer.Exit(Exit.BAD_DATA)


def _look_ahead(loaded: LoadedConfig, *, as_json: bool) -> None:
    """Raises typer.Exit with 3 where it is found, or can't be told."""
    from fairlead.engine.run.lookahead import look

    found = look(loaded, lambda what: progress(f"backtest of {what}"))
    if as_json:
        told = {"ok": found.is_ok, "name": loaded.config.name, **msgspec.to_builtins(found)}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    elif found.repeats is not None:
        typer.echo(
            f"two backtests on the same data differ, so nothing can be said: {found.repeats}"
        )
    else:
        for one in found.cuts:
            typer.echo(one.words if one.difference is None else f"LOOK-AHEAD {one.words}")
        if found.is_ok:
            typer.echo("ok: the same orders with no later data")
    for kind in found.left_out:
        typer.echo(f"note: {kind} were left out of the cut data: they can't be copied", err=True)
    if not found.is_ok:
        raise typer.Exit(Exit.CONFIG)


def _print_text(
    config: Path,
    loaded: LoadedConfig | None,
    problems: list[ConfigProblem],
    noted: list[str],
    damage: dict[str, list[str]],
) -> None:
    for problem in problems:
        typer.echo(str(problem))
    for problem in problems:
        if problem.traceback:
            typer.echo(problem.traceback.rstrip(), err=True)
    if problems:
        count = len(problems)
        typer.echo(f"{config}: {count} problem{'' if count == 1 else 's'}", err=True)
    elif loaded is not None:
        venues, strategies = len(loaded.config.venues), len(loaded.config.strategies)
        typer.echo(
            f"ok: {loaded.config.name}, {venues} venue{'' if venues == 1 else 's'}, "
            f"{strategies} strateg{'y' if strategies == 1 else 'ies'}"
        )
    for note in noted:
        typer.echo(f"note: {note}")
    for path, found in damage.items():
        typer.echo("\n".join(f"{path}: {problem}" for problem in found or ["ok"]))


def _damage(state_dir: Path) -> dict[str, list[str]]:
    """What is wrong with each journal, by path."""
    from fairlead.engine.orders.journal import Journal, JournalError

    found: dict[str, list[str]] = {}
    for path in sorted(state_dir.glob("*.journal.sqlite")):
        try:
            with closing(Journal.reading(path)) as journal:
                found[str(path)] = journal.problems()
        except JournalError as error:
            found[str(path)] = [error.message]
    return found


def _print_json(
    name: str | None,
    problems: list[ConfigProblem],
    noted: list[str],
    damage: dict[str, list[str]],
) -> None:
    found = [{**msgspec.structs.asdict(problem), "text": problem.text} for problem in problems]
    is_ok = not problems and not any(damage.values())
    answer: dict[str, Any] = {"ok": is_ok, "name": name, "problems": found, "notes": noted}
    if damage:
        answer["journals"] = damage
    typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
