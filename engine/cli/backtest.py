"""`fairlead backtest`: run a config over recorded data."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import Settings, exit_with, kept, out_folder, show_result
from fairlead.engine.config.changes import parsed
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
            help="Folder for the run's files; default: one of its own in `runs` of the state "
            "folder (`fairlead runs ls`).",
        ),
    ] = None,
    settings: Settings = None,
) -> None:
    """Run the strategies of CONFIG over the data of its [backtest] section.

    Prints orders, fills, fees and profit and loss, and what they rest on. The same file runs live
    and on paper. `fairlead explain` tells the story of one of its orders.
    """
    from fairlead.engine.research.runs import Stamp
    from fairlead.engine.run.backtest import run_backtest

    stamp = Stamp(begun_ns=time.time_ns())
    loaded = load(config, parsed(settings or ()))
    with out_folder(out), process.logs_on_stderr():
        with _progress() as progress:
            result = run_backtest(loaded, progress=progress)
        process.end_by_signals(int(Exit.INTERRUPTED))
        try:
            summary = kept(result.record(stamp), out, loaded.state_dir)
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
