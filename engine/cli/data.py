"""`fairlead data`: what a recording holds, whether it is whole, and its rows as tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.cli.out import progress
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.convert import TableFormat

if TYPE_CHECKING:
    from fairlead.engine.recording.checking import Checked
    from fairlead.engine.recording.inventory import Inventory
    from fairlead.engine.run.raw_replay import Replayed

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Look at a recording: what it holds, whether it is whole, what it lacks, its rows.",
)
Folder = Annotated[
    Path, typer.Argument(help="A recording ([record] dir), a catalog, or a folder of raw frames.")
]
Instruments = Annotated[
    list[str] | None, typer.Option("--instrument", help="Only this instrument id; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LOST = (
    "lost: what numbers tell (update ids of a depth stream, of which a message has many; trades; "
    "bars; messages; records of the recorder)"
)
SHOWN_MAX = 20  # faults and differences on the screen; JSON has all that are kept


@command.command()
def ls(folder: Folder, as_json: AsJson = False) -> None:
    """List instruments, types, rows, first and last time, gaps and sizes."""
    from fairlead.engine.recording.inventory import inventory, places

    with _told(folder):
        found = inventory(places(folder))
    if as_json:
        _print_json(found)
    else:
        _show_inventory(found)
    faults = [fault for one in found.data for fault in one.faults]
    _end_with(faults, "files cannot be read")


def _show_inventory(found: Inventory) -> None:
    from fairlead.engine.recording.catalog import utc

    rows = [
        (
            one.name,
            one.kind,
            f"{one.rows:,}",
            utc(one.start_ns),
            utc(one.end_ns),
            f"{one.gaps:,} ({one.gap_seconds:,.3f} s)" if one.gaps else "none",
            f"{one.files:,}",
            _size(one.bytes),
        )
        for one in found.data
    ]
    if rows:
        _table(("instrument", "kind", "rows", "from", "to", "gaps", "files", "size"), rows)
    frames = [
        (one.venue, "raw frames", utc(one.start_ns), f"{one.files:,}", _size(one.bytes))
        for one in found.raw
    ]
    if frames:
        _table(("venue", "kind", "from", "files", "size"), frames)
    if not rows and not frames:
        typer.echo(f"{found.folder} holds nothing yet")
    for note in found.notes:
        typer.echo(f"note: {note}")
    if found.unreadable_gap_lines:
        typer.echo(f"WARNING: {found.unreadable_gap_lines} lines of gaps.jsonl are no rows")


@command.command()
def verify(
    folder: Folder,
    write: Annotated[
        bool, typer.Option("--write", help="Note checksums, where all of it is whole.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every row and frame; check every checksum. A fault ends with exit code 9."""
    from fairlead.engine.recording.checking import check
    from fairlead.engine.recording.inventory import places

    where = places(folder)
    with _told(folder), _still(where.catalog):
        found = check(where, write=write)
    if as_json:
        _print_json(found)
    else:
        _show_checked(found, folder)
    _end_with(found.faults, f"faults in {folder}", found.fault_count)


def _show_checked(found: Checked, folder: Path) -> None:
    lines = [
        ("catalog", f"{found.files:,} files, {found.rows:,} rows read"),
        (
            "checksums",
            f"{found.checksums:,} as written down, {found.unlisted:,} files without"
            + (f", {found.joined:,} joined into others since" if found.joined else "")
            + (f"; {found.written:,} written now" if found.written else ""),
        ),
        (
            "raw",
            f"{found.raw_files:,} files, {found.raw_records:,} records, "
            f"{found.dropped:,} dropped by the recorder",
        ),
    ]
    for label, value in lines:
        typer.echo(f"{label:10} {value}")
    for torn in found.torn:
        typer.echo(f"note: {torn} (a crash; no fault)")
    if found.is_good and found.unlisted and not found.written:
        typer.echo(f"note: `fairlead data verify {folder} --write` notes their checksums")


@command.command()
def gaps(folder: Folder, instrument: Instruments = None, as_json: AsJson = False) -> None:
    """List what the recording lacks: gaps, reconnects, clock steps, time between runs."""
    import msgspec

    from fairlead.engine.recording.catalog import utc
    from fairlead.engine.recording.gaps import crossing, read_gaps, summarize
    from fairlead.engine.recording.inventory import inventory, no_such, places

    where = places(folder)
    rows, unreadable = read_gaps(where.catalog or where.folder)
    if instrument and where.catalog is not None:
        there = {one.instrument for one in inventory(where).data} | {row.instrument for row in rows}
        for name in instrument:
            if name not in there:
                raise no_such(folder, name, sorted(there - {""}))
    wanted = frozenset(instrument) if instrument else None
    found = sorted(crossing(rows, instruments=wanted), key=lambda row: row.from_ns)
    told = summarize(found, unreadable)
    if as_json:
        _print_json({"rows": [msgspec.to_builtins(row) for row in found], "summary": told})
        return
    cells = [
        (
            utc(row.from_ns),
            utc(row.to_ns),
            f"{row.seconds:.3f}",
            row.kind.value,
            row.instrument or "(all)",
            f"{row.count:,}" if row.count else "",
            row.reason,
        )
        for row in found
    ]
    if cells:
        _table(("from", "to", "seconds", "kind", "instrument", "lost", "reason"), cells)
        if any(row.count for row in found):
            typer.echo(LOST)
    typer.echo(str(told))
    if unreadable:
        typer.echo(f"WARNING: {unreadable} lines of gaps.jsonl are no rows", err=True)


@command.command()
def replay(
    folder: Folder,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The run's TOML file, for its venues' adapters and options."),
    ] = None,
    venue: Annotated[str, typer.Option("--venue", help="Only this venue's frames.")] = "",
    as_json: AsJson = False,
) -> None:
    """Parse the raw frames again, by today's parser, and compare with the recorded rows.

    A difference ends with exit code 6.
    """
    from fairlead.engine.recording.inventory import places
    from fairlead.engine.run.config import load
    from fairlead.engine.run.raw_replay import replayed

    loaded = None if config is None else load(config)
    where = places(folder)
    with _told(folder), _still(where.catalog):
        found = replayed(where, loaded, venue)
    if as_json:
        _print_json(found)
    else:
        _show_replayed(found)
    count = sum(one.difference_count for each in found for one in each.streams)
    if count:
        text = f"error DATA-REPLAY: {count:,} rows differ from what today's parser makes of them"
        typer.echo(text, err=True)
        raise typer.Exit(int(Exit.DRIFT))


def _show_replayed(found: Sequence[Replayed]) -> None:
    for each in found:
        typer.echo(f"{each.venue}: {each.frames:,} frames, {each.refused:,} refused by the parser")
        cells = [
            (
                one.name,
                one.kind,
                f"{one.recorded:,}",
                f"{one.replayed:,}",
                f"{one.equal:,}",
                f"{one.clears:,}",
                f"{one.difference_count:,}",
            )
            for one in each.streams
        ]
        columns = ("instrument", "kind", "recorded", "parsed", "equal", "CLEARs", "different")
        if cells:
            _table(columns, cells)
        for one in each.streams:
            for difference in one.differences[:SHOWN_MAX]:
                typer.echo(f"  {one.name} {one.kind}: {difference.what} {difference.row}")
        for note in each.notes:
            typer.echo(f"note: {note}")


@command.command()
def convert(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder of the tables; made if absent.")],
    format_: Annotated[
        TableFormat, typer.Option("--format", help="parquet needs the extra `research`.")
    ] = TableFormat.CSV,
    instrument: Instruments = None,
    as_json: AsJson = False,
) -> None:
    """Write the rows as CSV or Parquet tables, one a type and instrument."""
    from fairlead.engine.recording.inventory import places
    from fairlead.engine.research.convert import convert as write_tables

    catalog = places(folder).require_catalog()
    with _told(folder), _still(catalog):
        done = write_tables(catalog, out, format_, instrument or ())
    if as_json:
        _print_json(done)
        return
    if not done:
        typer.echo(f"{folder} has no rows of a kind that has tables")
        return
    _table(("rows", "file"), [(f"{one.rows:,}", one.file) for one in done])


@command.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A catalog folder, or s3://...")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The other one of the two.")],
    as_json: AsJson = False,
) -> None:
    """Copy a catalog into an object store (s3://BUCKET/PATH), or out of it.

    What is there already is passed over. Keys and address are those of the environment:
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL.
    """
    from fairlead.engine.recording.inventory import places
    from fairlead.engine.research.remote import fetch, is_remote, push

    if is_remote(source) == is_remote(target):
        raise typer.BadParameter("expected a folder and an s3:// address, or the other way round")
    if is_remote(target):
        done = push(places(Path(source)).require_catalog(), target)
    else:
        done = fetch(source, Path(target))
    if as_json:
        _print_json(done)
        return
    typer.echo(
        f"copied {done.source} to {done.target}: {done.files:,} files ({_size(done.bytes)}), "
        f"{done.same:,} there already, {done.removed:,} removed that are gone at {done.source}"
    )


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the disk refuses, in one line."""
    try:
        yield
    except OSError as error:
        text = f"{folder} cannot be read, or written: {error}"
        raise FairleadError("DATA-DISK", text, int(Exit.FAILED)) from error


@contextlib.contextmanager
def _still(catalog: Path | None) -> Iterator[None]:
    """No run moves its files meanwhile; what killed runs left is brought in before."""
    from fairlead.engine.recording.reading import reading

    with contextlib.ExitStack() as stack:
        if catalog is not None:
            for note in stack.enter_context(reading(catalog)):
                progress(f"note: {note}")
        yield


def _end_with(faults: Sequence[str], what: str, count: int | None = None) -> None:
    """Raises typer.Exit where there are any."""
    if not faults:
        return
    for fault in faults[:SHOWN_MAX]:
        typer.echo(f"FAULT: {fault}", err=True)
    total = len(faults) if count is None else count
    text = f"{total:,} {what}; import or record it again, or remove the file"
    typer.echo(f"error DATA-FAULT: {text}", err=True)
    raise typer.Exit(int(Exit.BAD_DATA))


def _print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As wide as its rows: an id or a path that is cut is none."""
    widths = [max(len(one) for one in each) for each in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _size(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"
