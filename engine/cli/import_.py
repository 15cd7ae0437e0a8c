"""`fairlead import`: a recorded file into a NautilusTrader Parquet catalog."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.config.model import FEE_RATE_MAX
from fairlead.engine.config.walk import is_exact_decimal
from fairlead.engine.errors import Exit
from fairlead.engine.recording.importers.binance import Progress, import_binance
from fairlead.engine.recording.importers.binance_instruments import Rules, decimals_of
from fairlead.engine.recording.importers.binance_wire import DECIMALS_MAX
from fairlead.engine.recording.importers.diffbook import DEPTH
from fairlead.engine.recording.importers.report import ImportReport, InstrumentReport, MalformedLine
from fairlead.engine.recording.importers.staging import ImportFailed

# What `--format` takes: each reads its files into a catalog, and tells what it found in one form
IMPORTERS: Mapping[str, Callable[..., ImportReport]] = {"binance": import_binance}
MALFORMED_SHOWN = 5
_PARTIAL = re.compile(r"depth[0-9]")
FEE_MAX = Decimal(FEE_RATE_MAX)


def command(
    file: Annotated[Path, typer.Argument(help="Recorded file: plain text, gzip or zip")],
    catalog: Annotated[Path, typer.Option("--catalog", help="Catalog folder; made if absent")],
    instrument: Annotated[
        list[str] | None,
        typer.Option("--instrument", help="Import only this instrument id; repeatable"),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="binance: raw combined streams, `<local_ns> <json>`")
    ] = "binance",
    maker_fee: Annotated[
        str | None,
        typer.Option(
            "--maker-fee",
            help="Fraction of the executed value, e.g. 0.0002 (the default on USD-M; spot 0.001)",
        ),
    ] = None,
    taker_fee: Annotated[
        str | None,
        typer.Option(
            "--taker-fee",
            help="Fraction of the executed value, e.g. 0.0005 (the default on USD-M; spot 0.001)",
        ),
    ] = None,
    instruments: Annotated[
        Path | None,
        typer.Option(
            "--instruments",
            metavar="FILE",
            help="Rules of the instruments: Binance's exchangeInfo answer (JSON), or a catalog "
            "that has them; the options for fees, sizes and notional win",
        ),
    ] = None,
    tick_size: Annotated[
        str | None,
        typer.Option("--tick-size", help="Price increment; default: the decimals of the file"),
    ] = None,
    step_size: Annotated[
        str | None,
        typer.Option("--step-size", help="Size increment; default: the decimals of the file"),
    ] = None,
    min_notional: Annotated[
        str | None,
        typer.Option("--min-notional", help="Least value of an order, quote currency"),
    ] = None,
    depth: Annotated[
        int,
        typer.Option(
            "--depth",
            min=1,
            max=1000,
            help="Levels of each side that must be known to be complete where a book is shown",
        ),
    ] = DEPTH,
    fold_quotes: Annotated[
        bool,
        typer.Option(
            "--fold-quotes/--no-fold-quotes",
            help="Bring the book's top up to date with each bookTicker between two depth messages",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
) -> None:
    """Import recorded market data into a catalog that backtests read.

    Malformed lines are counted and named, and do not stop the rest. A damaged file gives what could
    be read, and exit code 9. Nothing is written when the import fails.
    """
    if (importer := IMPORTERS.get(format_)) is None:
        raise typer.BadParameter(f"expected one of {', '.join(IMPORTERS)}, received {format_!r}")
    maker, taker = _fee("--maker-fee", maker_fee), _fee("--taker-fee", taker_fee)
    rules = Rules(
        tick_size=_above_zero("--tick-size", tick_size),
        step_size=_above_zero("--step-size", step_size),
        min_notional=_above_zero("--min-notional", min_notional),
    )
    try:
        with _progress(quiet=as_json and not sys.stderr.isatty()) as progress:
            report = importer(
                file,
                catalog,
                instruments=instrument or (),
                maker_fee=maker,
                taker_fee=taker,
                rules=rules,
                listing=instruments,
                progress=progress,
                depth=depth,
                fold_tops=fold_quotes,
            )
    except ImportFailed as e:
        typer.echo(f"error {e}", err=True)
        raise typer.Exit(e.exit_code) from e
    process.name_files({"catalog": str(catalog)})
    typer.echo(json.dumps(report.as_dict(), indent=2) if as_json else render(report))
    if report.damage:
        typer.echo(f"WARNING: {report.damage}; what was readable before it is imported", err=True)
        raise typer.Exit(Exit.BAD_DATA)


def _fee(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    fee = Decimal(text if is_exact_decimal(text) else "NaN")
    if not fee.is_finite() or abs(fee) > FEE_MAX:
        raise typer.BadParameter(
            f"{option}: expected a fraction between -{FEE_MAX} and {FEE_MAX}, received {text!r}"
        )
    return fee


def _above_zero(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    value = Decimal(text if is_exact_decimal(text) else "NaN")
    if not value.is_finite() or not 0 < value < 10**12 or decimals_of(value) > DECIMALS_MAX:
        raise typer.BadParameter(
            f"{option}: expected a number above 0 with at most {DECIMALS_MAX} decimals, "
            f"received {text!r}"
        )
    return value


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """Bars on a terminal; else one plain line at the start of each phase."""
    if not sys.stderr.isatty():
        seen: set[str] = set()

        def plain(phase: str, _done: int, total: int) -> None:
            if phase not in seen and not quiet:
                typer.echo(f"{phase}: {total / 1e6:.1f} MB", err=True)
            seen.add(phase)

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:>6}"), BarColumn(), DownloadColumn())
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done)

        yield show


def render(report: ImportReport) -> str:
    """The result as text, for people."""
    lines = [
        f"imported {report.file} into {report.catalog}",
        f"  lines          {report.lines:,} ({report.malformed:,} malformed)",
        f"  time           {_time(report.start_ns)} to {_time(report.end_ns)}"
        f" ({(report.end_ns - report.start_ns) / 1e9:.3f} s)",
    ]
    lines += [f"    line {bad.line}: {bad.reason}" for bad in _first_malformed(report)]
    if report.malformed > MALFORMED_SHOWN:
        lines.append(f"    and {report.malformed - MALFORMED_SHOWN:,} more")
    if report.skipped:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(report.skipped.items()))
        lines.append(f"  skipped        {kinds}")
    for kind in sorted(report.skipped):
        if _PARTIAL.match(kind):
            lines.append(
                f"  WARNING        {kind} is left out: partial depth is no depth stream; record "
                "depth@100ms and a REST snapshot for a book"
            )
    if report.clock_steps:
        lines.append(f"  clock steps    {report.clock_steps:,} backward")
    for each in report.instruments:
        lines += _render_instrument(each)
    lines.append(
        f"  took           {report.seconds:.2f} s; {report.file_bytes / 1e6:.2f} MB read, "
        f"{report.catalog_bytes / 1e6:.2f} MB in {report.files} files written"
    )
    return "\n".join(lines)


def _first_malformed(report: ImportReport) -> list[MalformedLine]:
    return report.malformed_first[:MALFORMED_SHOWN]


def _render_instrument(each: InstrumentReport) -> list[str]:
    book = each.book
    lines = [
        f"{each.id} ({each.market}; {each.price_precision} price and {each.size_precision} size "
        f"decimals; fees {each.maker_fee} maker, {each.taker_fee} taker)",
        f"  rules          tick {each.tick_size}, step {each.step_size}, "
        + (f"min notional {each.min_notional}" if each.min_notional else "no min notional"),
        f"  level updates  {each.level_updates:,} in {each.depth_messages:,} messages; "
        f"{each.delta_rows:,} delta rows",
        f"  trades         {each.trades:,}"
        + _also(each.trades_off_book, "off the book, skipped")
        + _also(each.trades_repeated, "told again, once in the catalog"),
        f"  quotes         {each.quotes:,}"
        + _also(each.quotes_unusable, "unusable, skipped")
        + _also(each.quotes_repeated, "told again, skipped"),
        f"  gaps           {each.gaps:,} ({each.gap_seconds:.3f} s without a book), and "
        f"{each.unseen_seconds:.3f} s before there was one"
        + (
            f"; {each.between_seconds:.3f} s between it and other files of the catalog"
            if each.between_seconds
            else ""
        ),
        f"  book           {book.snapshots:,} snapshots; top equal to the venue's at "
        f"{book.tops_agreed:,} of {book.tops_checked:,} checks; "
        f"{book.withheld_changes:,} messages while it was not known to be whole to {each.depth} "
        f"levels; {book.folded_tops:,} quotes folded in",
        f"  book repairs   {book.crossed_levels:,} crossed, {book.contradicted_levels:,} "
        f"contradicted, {book.seeded_levels:,} seeded levels; {book.unknown_deletes:,} deletes of "
        f"unknown levels, {book.old_changes:,} old messages skipped",
    ]
    if each.depth_messages and not each.book_from_ns:
        lines.append(
            "  WARNING        there is no book of it in the catalog: no snapshot connects to the "
            "depth messages, and no bookTicker proves them complete"
        )
    if each.depth_stops:
        lines.append(
            f"  WARNING        depth messages stopped {each.depth_stops:,} times while other lines "
            "went on; there is no book until they are whole again"
        )
    if each.off_tick or each.off_step:
        lines.append(
            f"  WARNING        {each.off_tick:,} prices and {each.off_step:,} sizes are no "
            "multiple of the increments that were given"
        )
    low, high = each.exchange_ahead_ns
    if low is not None and high is not None and low > 0:
        lines.append(
            f"  clock          the local clock was {low / 1e6:.0f} to {high / 1e6:.0f} ms behind "
            "the exchange; times are as recorded"
        )
    return lines


def _also(count: int, what: str) -> str:
    return f" ({count:,} {what})" if count else ""


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
