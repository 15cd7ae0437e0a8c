"""`fairlead download`: bars and trades of the past, from a venue into a catalog."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead.engine.cli import out, process

SECOND_NS = 1_000_000_000


def command(
    venue: Annotated[str, typer.Argument(help="An adapter's name, or a venue of --config.")],
    instrument: Annotated[str, typer.Argument(help="Its id, SYMBOL.VENUE.")],
    catalog: Annotated[Path, typer.Option("--catalog", help="Catalog folder; made if absent.")],
    start: Annotated[
        str, typer.Option("--start", help="ISO 8601, UTC where it has no offset: 2026-11-01")
    ],
    end: Annotated[str, typer.Option("--end", help="The same; now without it.")] = "",
    bar: Annotated[
        str, typer.Option("--bar", help="Length of the bars; without it trades: 1-MINUTE, 1-HOUR")
    ] = "",
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file whose [venues] have the options.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Download bars or trades that the venue's REST offers, as far as the catalog lacks them.

    Needs no account. A download that is cut short goes on where it was.
    """
    import asyncio

    import msgspec

    from fairlead.engine.run.config import load
    from fairlead.engine.run.download import Wanted, download_over_http, summary_of

    loaded = None if config is None else load(config)
    begin_ns, end_ns = _ns("--start", start), _ns("--end", end) if end else time.time_ns()
    if begin_ns >= end_ns:
        raise typer.BadParameter(f"--start: expected a time before the end, received {start!r}")
    wanted = Wanted(instrument=instrument, bar=bar, start_ns=begin_ns, end_ns=end_ns)
    with _progress() as progress:
        told = asyncio.run(download_over_http(venue, wanted, catalog, loaded, progress))
    process.name_files({"catalog": str(catalog)})
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        typer.echo(summary_of(told, catalog))


def _ns(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        whole = int(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError) as error:
        text = f"{option}: expected a date or time as 2026-11-01T12:00, received {text!r}"
        raise typer.BadParameter(text) from error
    return whole * SECOND_NS + moment.microsecond * 1000


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """On stderr: a bar on a terminal, else a line for each tenth."""
    if not sys.stderr.isatty():
        seen = 0

        def plain(done: int, total: int) -> None:
            nonlocal seen
            if (tenth := done * 10 // total) > seen:
                seen = tenth
                out.progress(f"download: {tenth * 10} %")

        yield plain
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress("download", *columns, console=out.progress_console()) as bars:
        task = bars.add_task("download")

        def show(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield show
