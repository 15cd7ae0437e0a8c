"""`fairlead import`: a recorded file into a NautilusTrader Parquet catalog."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from fairlead.engine.cli import out, process
from fairlead.engine.config.model import FEE_RATE_MAX
from fairlead.engine.config.walk import is_exact_decimal
from fairlead.engine.errors import Exit
from fairlead.engine.recording.importers.binance import FORMAT
from fairlead.engine.recording.importers.binance_instruments import Fees, Rules
from fairlead.engine.recording.importers.binance_wire import DECIMALS_MAX
from fairlead.engine.recording.importers.diffbook import DEPTH
from fairlead.engine.recording.importers.events import Contract
from fairlead.engine.recording.importers.flat import Asked, Progress
from fairlead.engine.recording.importers.markets import decimals_of
from fairlead.engine.recording.importers.report import ImportReport, InstrumentReport, MalformedLine
from fairlead.engine.recording.importers.staging import HELD, ImportFailed
from fairlead.engine.recording.importers.table import IMPORTERS, Importer

OPTIONS = {  # of what is asked of some formats
    "symbol": "--symbol",
    "id": "--id",
    "contract": "--contract",
    "multiplier": "--multiplier",
    "mapping": "--map",
    "snapshot": "--snapshot",
    "depth": "--depth",
    "fold_tops": "--no-fold-quotes",
}
MALFORMED_SHOWN = 5
_PARTIAL = re.compile(r"depth[0-9]")
FEE_MAX = Decimal(FEE_RATE_MAX)


def _formats() -> str:
    return "; ".join(f"{name}: {one.line}" for name, one in IMPORTERS.items())


def command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Recorded files: plain, gzip or zip")
    ],
    catalog: Annotated[Path, typer.Option("--catalog", help="Catalog folder; made if absent")],
    instrument: Annotated[
        list[str] | None,
        typer.Option("--instrument", help="Import only this instrument id; repeatable"),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=_formats())] = "binance",
    maker_fee: Annotated[
        str | None,
        typer.Option("--maker-fee", help="Fraction of the executed value, e.g. 0.0002"),
    ] = None,
    taker_fee: Annotated[
        str | None,
        typer.Option("--taker-fee", help="Fraction of the executed value, e.g. 0.0005"),
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
    symbol: Annotated[
        str, typer.Option("--symbol", help="BASE/QUOTE, where the file does not tell them")
    ] = "",
    id_: Annotated[
        str, typer.Option("--id", help="The instrument's id, SYMBOL.VENUE, in the catalog")
    ] = "",
    contract: Annotated[
        Contract | None,
        typer.Option("--contract", help="Sizes of an inverse one are contracts"),
    ] = None,
    multiplier: Annotated[
        str | None, typer.Option("--multiplier", help="Worth of one contract")
    ] = None,
    mapping: Annotated[
        str,
        typer.Option("--map", help="Columns of a table, e.g. time=ts,price=px,size=qty,side=side"),
    ] = "",
    snapshot: Annotated[
        Path | None,
        typer.Option("--snapshot", help="A file of the same format with the book at the begin"),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            min=1,
            max=1000,
            help="Levels of each side that must be known to be complete where a book is shown "
            f"(binance; default {DEPTH})",
        ),
    ] = None,
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
    be read, and exit code 9. Nothing of a file is written when its import fails. Of several files
    those that the catalog holds already are passed over, so that an import that was cut short goes
    on where it was.
    """
    if (importer := IMPORTERS.get(format_)) is None:
        raise typer.BadParameter(f"expected one of {', '.join(IMPORTERS)}, received {format_!r}")
    given: dict[str, Any] = {
        "symbol": symbol,
        "id": id_,
        "contract": contract,
        "multiplier": _above_zero("--multiplier", multiplier),
        "mapping": mapping,
        "snapshot": snapshot,
        "depth": depth or 0,
        "fold_tops": fold_quotes,
    }
    _check_options(format_, importer, given)
    asked = Asked(
        instruments=instrument or (),
        fees=Fees(maker=_fee("--maker-fee", maker_fee), taker=_fee("--taker-fee", taker_fee)),
        rules=Rules(
            tick_size=_above_zero("--tick-size", tick_size),
            step_size=_above_zero("--step-size", step_size),
            min_notional=_above_zero("--min-notional", min_notional),
        ),
        listing=instruments,
        **given,
    )
    reports = _imported(importer, files, catalog, asked, as_json)
    if as_json:
        told = [report.as_dict() for report in reports]
        typer.echo(json.dumps(told[0] if len(files) == 1 else told, indent=2))
    damaged = [report for report in reports if report.damage]
    for report in damaged:
        text = f"WARNING: {report.damage}; what was readable before it is imported"
        typer.echo(text if len(files) == 1 else f"{report.file}: {text}", err=True)
    if damaged:
        raise typer.Exit(Exit.BAD_DATA)


def _imported(
    importer: Importer, files: Sequence[Path], catalog: Path, asked: Asked, as_json: bool
) -> list[ImportReport]:
    """Of each file that the catalog does not hold. Raises typer.Exit at the first that fails."""
    reports = []
    for file in files:
        try:
            with _progress(quiet=as_json and not sys.stderr.isatty()) as progress:
                asked = msgspec.structs.replace(asked, progress=progress)
                report = importer.run(file, catalog, asked)
        except ImportFailed as e:
            if e.code == HELD and len(files) > 1:
                typer.echo(f"{file}: {e.message}; passed over", err=True)
                continue
            typer.echo(f"error {e}", err=True)
            raise typer.Exit(e.exit_code) from e
        reports.append(report)
        process.name_files({"catalog": str(catalog)})
        if not as_json:
            typer.echo(render(report))
    return reports


def _check_options(name: str, importer: Importer, given: Mapping[str, Any]) -> None:
    """Raises typer.BadParameter for one that the format has no use for, or that it lacks."""
    for field in msgspec.structs.fields(Asked):
        is_given = field.name in given and given[field.name] != field.default
        if is_given and field.name not in importer.takes:
            raise typer.BadParameter(f"{OPTIONS[field.name]}: the format {name} has no use for it")
        if field.name in importer.needs and not is_given:
            raise typer.BadParameter(f"the format {name} needs {OPTIONS[field.name]}")


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
                out.progress(f"{phase}: {total / 1e6:.1f} MB")
            seen.add(phase)

        yield plain
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:>6}"), BarColumn(), DownloadColumn())
    with Bars(*columns, TimeRemainingColumn(), console=out.progress_console()) as bars:
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
    if report.gaps_of_any:
        lines.append(f"  gaps           {report.gaps_of_any:,} of lines of nobody knows which")
    for each in report.instruments:
        lines += _render_instrument(each, has_tops=report.format == FORMAT)
    lines.append(
        f"  took           {report.seconds:.2f} s; {report.file_bytes / 1e6:.2f} MB read, "
        f"{report.catalog_bytes / 1e6:.2f} MB in {report.files} files written"
    )
    return "\n".join(lines)


def _first_malformed(report: ImportReport) -> list[MalformedLine]:
    return report.malformed_first[:MALFORMED_SHOWN]


def _render_instrument(each: InstrumentReport, *, has_tops: bool) -> list[str]:
    """`has_tops`: the format tells tops of the book beside its changes, which check each other."""
    lines = [
        f"{each.id} ({each.market}; {each.price_precision} price and {each.size_precision} size "
        f"decimals; fees {each.maker_fee or 'unknown'} maker, {each.taker_fee or 'unknown'} taker)",
        f"  rules          tick {each.tick_size}, step {each.step_size}, "
        + (f"min notional {each.min_notional}" if each.min_notional else "no min notional"),
        *_level_updates(each),
        *([f"  bars           {each.bars:,}"] if each.bars else []),
        *_ticks(each, is_all=has_tops),
        f"  gaps           {each.gaps:,} ({each.gap_seconds:.3f} s"
        + (
            f" without a book), and {each.unseen_seconds:.3f} s before there was one"
            if each.depth_messages
            else ")"
        )
        + (
            f"; {each.missing_seconds:.3f} s in which trades, bars or lines are missing"
            if each.missing_seconds
            else ""
        )
        + (
            f"; {each.between_seconds:.3f} s between it and other files of the catalog"
            if each.between_seconds
            else ""
        ),
        *_book(each, has_tops=has_tops),
    ]
    if each.depth_messages and not each.book_from_ns:
        what = "no snapshot connects to the depth messages"
        what += ", and no bookTicker proves them complete" if has_tops else ""
        lines.append(f"  WARNING        there is no book of it in the catalog: {what}")
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
    if each.float_noise:
        lines.append(
            f"  float error    {each.float_noise:,} numbers were within it of a shorter decimal, "
            "and were taken as that"
        )
    low, high = each.exchange_ahead_ns
    if low is not None and high is not None and low > 0:
        lines.append(
            f"  clock          the local clock was {low / 1e6:.0f} to {high / 1e6:.0f} ms behind "
            "the exchange; times are as recorded"
        )
    return lines


def _level_updates(each: InstrumentReport) -> list[str]:
    if not each.depth_messages:
        return []
    return [
        f"  level updates  {each.level_updates:,} in {each.depth_messages:,} messages; "
        f"{each.delta_rows:,} delta rows"
    ]


def _ticks(each: InstrumentReport, *, is_all: bool) -> list[str]:
    """Of a format whose files have one kind each only what there is."""
    lines = []
    if is_all or each.trades or each.trades_repeated:
        lines.append(
            f"  trades         {each.trades:,}"
            + _also(each.trades_off_book, "off the book, skipped")
            + _also(each.trades_repeated, "told again, once in the catalog")
            + _also(each.trades_missing, "missing by their ids")
        )
    if is_all or each.quotes or each.quotes_unusable:
        lines.append(
            f"  quotes         {each.quotes:,}"
            + _also(each.quotes_unusable, "unusable, skipped")
            + _also(each.quotes_repeated, "told again, skipped")
        )
    return lines


def _book(each: InstrumentReport, *, has_tops: bool) -> list[str]:
    book = each.book
    if not each.depth_messages:
        return []
    if not has_tops:
        return [
            f"  book           {book.snapshots:,} snapshots; {book.withheld_changes:,} messages "
            "while there was none",
            f"  book repairs   {book.crossed_levels:,} crossed levels; {book.unknown_deletes:,} "
            f"deletes of unknown levels, {book.old_changes:,} old messages skipped",
        ]
    return [
        f"  book           {book.snapshots:,} snapshots; top equal to the venue's at "
        f"{book.tops_agreed:,} of {book.tops_checked:,} checks; "
        f"{book.withheld_changes:,} messages while it was not known to be whole to {each.depth} "
        f"levels; {book.folded_tops:,} quotes folded in",
        f"  book repairs   {book.crossed_levels:,} crossed, {book.contradicted_levels:,} "
        f"contradicted, {book.seeded_levels:,} seeded levels; {book.unknown_deletes:,} deletes of "
        f"unknown levels, {book.old_changes:,} old messages skipped",
    ]


def _also(count: int, what: str) -> str:
    return f" ({count:,} {what})" if count else ""


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
