"""What the verbs live, paper and record share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import process
from engine.cli.out import out_folder
from engine.errors import FairleadError

if TYPE_CHECKING:
    from engine.run.ended import Ended, Mode


RunSeconds = Annotated[
    float | None,
    typer.Option("--for", min=0, help="Stop in order so many seconds after the run is up."),
]


def run(
    config: Path,
    mode: Mode,
    *,
    seconds: float | None,
    as_json: bool,
    out: Path | None = None,
) -> None:
    """Run, print the summary on stdout, and exit with the run's code.

    `out` is a folder for the results as files; a paper run's own is in the state folder.
    """
    from engine.cli.console import result_console
    from engine.config.checks import check_loaded
    from engine.config.loader import load
    from engine.config.problems import ConfigError, told_once
    from engine.observe import summary
    from engine.observe.backtest_story import FOLDERS
    from engine.observe.orders_file import write_run
    from engine.run.live import run_node, sum_up
    from engine.secrets import redact

    loaded = load(config)
    problems = [] if mode == "record" else check_loaded(loaded, mode)
    if problems:
        raise ConfigError(told_once(problems))
    with out_folder(out), process.logs_on_stderr():
        ended = run_node(loaded, mode, run_secs=seconds)
        process.ended(int(ended.exit))
        if out is None and mode == "paper" and ended.node is not None:
            out = loaded.state_dir / FOLDERS["paper"]
        files = _files(ended) if out is not None else ()
        figures = sum_up(loaded, mode, ended)
        if out is not None:
            try:
                figures = write_run(out, figures, *files)
            except FairleadError as error:  # the disk is full: the run has ended as it has
                typer.echo(f"error {error.code}: {error.message}", err=True)
        process.name_files(figures.files)
        if as_json:
            sys.stdout.write(figures.json().decode() + "\n")
        else:
            summary.show([figures], result_console())
    if ended.exit:
        typer.echo(redact(f"error {ended.reason}"), err=True)
    raise typer.Exit(int(ended.exit))


def _files(ended: Ended) -> tuple[bytes, bytes]:
    """Orders and refusals of a run, before its cache is gone."""
    from engine.observe.orders_file import denial_lines, order_lines

    state = ended.run_state
    return order_lines(ended.cache, state.markets), denial_lines(state.denials)
