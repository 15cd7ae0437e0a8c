"""`fairlead backtest`: run a config over recorded data."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from engine.cli import process
from engine.cli.exits import Exit
from engine.config.loader import load
from engine.errors import FairleadError
from engine.secrets import redact

Progress = Callable[[float], None]


def command(
    config: Annotated[Path, typer.Argument(help="TOML file of the run")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for summary.json and orders.jsonl")
    ] = None,
) -> None:
    """Run the strategies of CONFIG over the data of its [backtest] section.

    Prints orders, fills, fees and profit and loss. The same file runs live and on paper.
    """
    from engine.modes.backtest import run_backtest
    from engine.modes.lock import require_writable

    loaded = load(config)
    if out is not None:
        require_writable(out, "OUT-UNWRITABLE", "choose another --out")
    with _logs_on_stderr():
        with _terminable(), _progress() as progress:
            result = run_backtest(loaded, progress=progress)
        summary = result.summary
        try:
            if out is not None:
                from engine.observe.orders_file import order_lines, write_run

                summary = write_run(out, summary, order_lines(result.cache))
                process.name_files(summary.files)
        except FairleadError as error:  # the disk is full: the run has ended as it has
            typer.echo(f"error {error.code}: {error.message}", err=True)
        finally:
            result.dispose()
        if as_json:
            typer.echo(summary.json().decode())
        else:
            from engine.cli.console import result_console
            from engine.observe.summary import show

            show([summary], result_console())
    if summary.exit_code != Exit.OK:
        typer.echo(redact(f"error {summary.outcome}"), err=True)
        raise typer.Exit(summary.exit_code)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the run as SIGINT does: in order, with what was done so far summed up."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _logs_on_stderr() -> Iterator[None]:
    """NautilusTrader logs to file descriptor 1; the result must be alone there, to be parsed.

    The descriptor is stderr's from now on: its thread may write a last line at any time.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    with process.guarded(kept, sys.stdout) as ours, contextlib.redirect_stdout(ours):
        yield
    os.close(kept)


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
