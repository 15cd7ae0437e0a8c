"""Where the results of a run go: the folder of `--out`, stdout, and the exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.errors import FairleadError
from fairlead.engine.processes import speech
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.observe.summary import RunSummary
    from fairlead.engine.research.kept import Record
    from fairlead.engine.research.runs import Stamp

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


def begun(loaded: LoadedConfig, mode: str, stamp: Stamp) -> contextlib.AbstractContextManager[None]:
    """Within it the run is on: one that is killed there is told by `fairlead runs ls`."""
    from fairlead.engine.research.begun import marked

    return marked(
        loaded.state_dir,
        name=loaded.config.name,
        mode=mode,
        begun_ns=stamp.begun_ns,
        config_path=loaded.path,
    )


def kept(record: Record, out: Path | None, state_dir: Path) -> RunSummary:
    """The summary of a run that was written to `out`, else kept in the state folder.

    A full disk, or a state folder that takes no file, ends no run otherwise.
    """
    try:
        return record.keep(state_dir) if out is None else record.write(out)
    except FairleadError as error:
        if out is not None:
            typer.echo(f"error {error.code}: {error.message}", err=True)
        return record.summary


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


def progress(text: str) -> None:
    """A line for who waits, on stderr; none with `--quiet`."""
    if not speech.is_quiet:
        typer.echo(text, err=True)


def progress_console() -> Console:
    """Of what moves on stderr meanwhile; it shows nothing with `--quiet`."""
    from rich.console import Console

    return Console(stderr=True, quiet=speech.is_quiet)


def result_console(record: bool = False) -> Console:
    """Stdout as wide as the terminal; into a file or a pipe as wide as two runs need.

    `record` keeps what is printed, to export it.
    """
    from rich.console import Console

    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(record=record, width=WIDE if record or not told else None)


def print_whole(table: Table) -> None:
    """On stdout, wider than a narrow terminal rather than that a column of `no_wrap` is cut."""
    console = result_console()
    least = console.measure(table, options=console.options.update(width=10_000)).minimum
    console.width = max(console.width, least)
    console.print(table)


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A value in place of the file's; repeatable. Keys as `fairlead config` lists them.",
    ),
]
