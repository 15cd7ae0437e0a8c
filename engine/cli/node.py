"""What the verbs live, paper and record share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import process

if TYPE_CHECKING:
    from engine.modes.ended import Mode


RunSeconds = Annotated[
    float | None,
    typer.Option("--for", min=0, help="Stop in order so many seconds after the run is up."),
]


def run(config: Path, mode: Mode, *, seconds: float | None, as_json: bool) -> None:
    """Run, print the summary on stdout, and exit with the run's code."""
    from engine.cli.console import result_console
    from engine.config.checks import check_loaded
    from engine.config.loader import load
    from engine.config.problems import ConfigError
    from engine.modes.live import run_node, sum_up
    from engine.observe import summary
    from engine.secrets import redact

    loaded = load(config)
    problems = [] if mode == "record" else check_loaded(loaded, mode)
    if problems:
        raise ConfigError(problems)
    ended = run_node(loaded, mode, run_secs=seconds)
    process.ended(int(ended.exit))
    figures = sum_up(loaded, mode, ended)
    process.name_files(figures.files)
    if as_json:
        sys.stdout.write(figures.json().decode() + "\n")
    else:
        summary.show([figures], result_console())
    if ended.exit:
        typer.echo(redact(f"error {ended.reason}"), err=True)
    raise typer.Exit(int(ended.exit))
