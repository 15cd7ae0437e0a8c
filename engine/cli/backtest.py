"""`fairlead backtest`: run a config over recorded data."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import exit_with, out_folder, show_result, written
from fairlead.engine.errors import Exit
from fairlead.engine.run.config import load

Progress = Callable[[float], None]


def command(
    config: Annotated[Path, typer.Argument(help="TOML file of the run")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for summary.json, orders.jsonl and denials.jsonl; default: backtest in "
            "the state folder, where each run replaces the one before.",
        ),
    ] = None,
) -> None:
    """Run the strategies of CONFIG over the data of its [backtest] section.

    Prints orders, fills, fees and profit and loss, and what they rest on. The same file runs live
    and on paper. `fairlead explain` tells the story of one of its orders.
    """
    from fairlead.engine.observe.backtest_story import FOLDERS
    from fairlead.engine.observe.orders_file import run_files
    from fairlead.engine.run.backtest import run_backtest

    loaded = load(config)
    with out_folder(out), process.logs_on_stderr():
        with _progress() as progress:
            result = run_backtest(loaded, progress=progress)
        process.end_by_signals(int(Exit.INTERRUPTED))
        try:
            files = run_files(result.cache, result.parts.run_state)
            folder = out or loaded.state_dir / FOLDERS["backtest"]  # that one may be read-only
            summary = written(folder, result.summary, files, may_fail=out is None)
        finally:
            result.dispose()
        show_result(summary, as_json=as_json)
    exit_with(summary)


@contextlib.contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("backtest", total=1.0)
        yield lambda done: bars.update(task, completed=done)
