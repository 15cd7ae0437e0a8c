"""`fairlead check`: everything that can be known of a config before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from engine.cli.exits import Exit
from engine.config.loader import load
from engine.config.problems import ConfigError, ConfigProblem


def command(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.")],
    mode: Annotated[
        Literal["live", "paper", "backtest"] | None,
        typer.Option(help="Check for this mode: live needs the secrets, a recorded venue fails."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a config: the file, each strategy's import and parameters, what the venues can do,
    and whether the secrets are there and readable by nobody else.

    Prints every finding as FILE:LINE:COLUMN CODE TEXT. Exit code 0 when there is none, 3 otherwise.
    """
    from engine.config.checks import check_loaded

    loaded = None
    try:
        loaded = load(config)
        problems = check_loaded(loaded, mode)
    except ConfigError as e:
        problems = list(e.problems)
    if as_json:
        _print_json(loaded.config.name if loaded else None, problems)
    else:
        for problem in problems:
            typer.echo(str(problem))
    if problems:
        if not as_json:
            count = len(problems)
            typer.echo(f"{config}: {count} problem{'' if count == 1 else 's'}", err=True)
        raise typer.Exit(Exit.CONFIG)
    if loaded is not None and not as_json:
        venues, strategies = len(loaded.config.venues), len(loaded.config.strategies)
        typer.echo(
            f"ok: {loaded.config.name}, {venues} venue{'' if venues == 1 else 's'}, "
            f"{strategies} strateg{'y' if strategies == 1 else 'ies'}"
        )


def _print_json(name: str | None, problems: list[ConfigProblem]) -> None:
    found = [{**msgspec.structs.asdict(problem), "text": problem.text} for problem in problems]
    answer = {"ok": not problems, "name": name, "problems": found}
    typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
