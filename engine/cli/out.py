"""Where the results of a run go: the folder of `--out`, stdout, and the exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fairlead.engine.cli import process
from fairlead.engine.errors import FairleadError
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from rich.console import Console

    from fairlead.engine.observe.summary import RunSummary

WIDE = 118  # columns where nothing says how many there are: rich's 80 break every second line


@contextlib.contextmanager
def out_folder(out: Path | None) -> Iterator[None]:
    """Make the folder for the run within, and take away what was made of it and is still empty.

    Raises FairleadError `OUT-UNWRITABLE`.
    """
    from fairlead.engine.errors import Exit
    from fairlead.engine.orders.files import require_writable

    if out is None:
        yield
        return
    made = [one for one in (out, *out.parents) if not one.exists()]
    undone = "nothing was run"
    require_writable(out, "OUT-UNWRITABLE", "choose another --out", undone, Exit.USAGE)
    try:
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def written(
    folder: Path, summary: RunSummary, files: tuple[bytes, bytes], *, may_fail: bool = False
) -> RunSummary:
    """The summary with the files that could be written: a full disk ends no run otherwise."""
    from fairlead.engine.observe.orders_file import write_run

    try:
        return write_run(folder, summary, *files)
    except FairleadError as error:
        if not may_fail:
            typer.echo(f"error {error.code}: {error.message}", err=True)
        return summary


def show_result(summary: RunSummary, *, as_json: bool) -> None:
    """On stdout, alone there."""
    process.name_files(summary.files)
    if as_json:
        typer.echo(summary.json().decode())
    else:
        from fairlead.engine.observe.table import show

        show([summary], result_console())


def exit_with(summary: RunSummary) -> None:
    """Raises typer.Exit with the run's code, where that is not 0."""
    if summary.exit_code:
        process.result_first()
        typer.echo(redact(f"error {summary.outcome}"), err=True)
        raise typer.Exit(summary.exit_code)


def result_console(record: bool = False) -> Console:
    """Stdout as wide as the terminal; into a file or a pipe as wide as two runs need.

    `record` keeps what is printed, to export it.
    """
    from rich.console import Console

    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(record=record, width=WIDE if record or not told else None)
