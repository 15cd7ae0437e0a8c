"""A run's summary for people: a table, one column a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairlead.engine.observe import assumptions as assumed
from fairlead.engine.observe import recorded as of_recording
from fairlead.engine.observe.account import InstrumentSummary
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.orders.live import KILL_STRATEGY

SHOWN_DECIMALS = 8
DATE_CHARS = len("2025-01-31")
RESULTS = frozenset({"summary", "orders", "denials"})  # files that a run writes of itself
REJECTED_LOUD = Decimal("0.1")  # from this share of the orders sent on, the first line says so


def shown(value: Decimal | None, signed: bool = False) -> str:
    """A decimal for people: at most 8 decimals, no exponent, no trailing zeros."""
    if value is None:
        return "-"
    rounded = round(value, SHOWN_DECIMALS)
    rounded = rounded or abs(rounded)  # never -0
    text = format(rounded, "+,f" if signed and rounded else ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rows(summary: RunSummary, *, brief: bool = False) -> list[tuple[str, str]]:
    """Label and text of every figure, in the order of the table; `brief`: beside another run."""
    found = [("outcome", f"{summary.outcome} (exit {summary.exit_code}){_rejected(summary)}")]
    found.append(("data", _span(summary)))
    if summary.events is not None and summary.wall_secs:
        rate = summary.events / summary.wall_secs
        found.append(("events", f"{summary.events:,} in {summary.wall_secs:.2f} s ({rate:,.0f}/s)"))
    if summary.mode == "record" and summary.recorded is not None:  # nothing was traded
        found.extend(of_recording.rows(summary.recorded))
    else:
        found.extend(_trading_rows(summary, brief=brief))
    found.append(("gaps", "not recorded" if summary.gaps is None else str(summary.gaps)))
    if summary.assumptions is not None:
        found.extend(assumed.rows(summary.assumptions, brief=brief))
    if summary.arrivals is not None:
        found.append(("latency measured", str(summary.arrivals)))
    found.extend(("fault", str(fault)) for fault in summary.faults)
    found.extend(("note", text) for text in summary.notes)
    found.extend(_files(summary.files))
    return found


def _trading_rows(summary: RunSummary, *, brief: bool) -> Iterator[tuple[str, str]]:
    yield "orders", f"{summary.orders:,} ({_counts(summary.orders_by_status)})"
    yield "order kinds", _counts(summary.orders_by_kind)
    made = "maker not told" if summary.maker_fills is None else None
    yield "fills", f"{summary.fills:,} ({made or f'{summary.maker_fills:,} maker'})"
    if summary.fill_ratio is not None:
        yield (
            "orders filled",
            f"{summary.fill_ratio:.1%} of {summary.sent:,} that were sent, whole or in part",
        )
    yield "denials", _counts(summary.denials)
    yield "venue rejections", _reasons(summary.rejection_reasons)
    if summary.unsent_reasons:
        yield "never sent", _reasons(summary.unsent_reasons)
    if summary.absent_reasons:
        yield "never at the venue", _reasons(summary.absent_reasons)
    yield "fees", _amounts(summary.fees)
    names = _names(summary)
    for one in summary.instruments:
        yield from _instrument_rows(names[one.instrument], one, brief=brief)
    yield "net PnL", _amounts(summary.net, signed=True)
    if not (brief and _is_apart(summary)):
        yield from (("net by strategy", text) for text in _parts(summary))
    yield from _equity_rows(summary)
    for venue, moved in summary.balance_changes.items():
        yield f"balances {venue}", _amounts(moved, signed=True)
    took = summary.tick_to_order_ns
    if took is not None and took.get("p50_ns") is not None:  # none was measured: paper, no order
        both = (f"{name} {_micros(took.get(f'{name}_ns'))}" for name in ("p50", "p99"))
        yield "tick to order", ", ".join(both)


def _equity_rows(summary: RunSummary) -> Iterator[tuple[str, str]]:
    for venue, worths in summary.equity.items():
        for quote, worth in worths.items():
            change = f"{shown(worth.change, signed=True)}, all at the last marks"
            if worth.crossed:
                more = shown(worth.crossed, signed=True)
                change += f"; {more} of it by what is quoted in other currencies, in no net PnL"
            if worth.taken_over:
                more = shown(worth.taken_over, signed=True)
                change += f"; net PnL has {more} more, of what was taken over, since its cost"
            if worth.rounding:
                change += f", balances rounded by {worth.rounding:+f}"
            text = f"{shown(worth.start)} to {shown(worth.end)} {quote} ({change})"
            yield f"equity {venue}", text


def _files(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where what is; the results themselves by their folder, as `fairlead explain --run` takes it.

    Their names are those of figures.
    """
    for name, path in files.items():
        if name not in RESULTS:
            yield name, path
    if "summary" in files:
        yield "results", str(Path(files["summary"]).parent)


def _span(summary: RunSummary) -> str:
    seconds = max(0, summary.end_ns - summary.start_ns) / 1e9
    start, end = _utc(summary.start_ns), _utc(summary.end_ns)
    if start[:DATE_CHARS] == end[:DATE_CHARS]:
        end = end[DATE_CHARS + 1 :]
    return f"{start} to {end} ({seconds:,.1f} s)"


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _instrument_rows(name: str, one: InstrumentSummary, *, brief: bool) -> list[tuple[str, str]]:
    held = f"{_exact(one.position)} {one.unit}"
    told = "" if brief else f" (marked at {shown(one.mark)})"
    if one.opening_position:
        held = f"{_exact(one.opening_position)} at the start, {held} at the end"
        cost = f"the position at the start at its cost, {shown(one.opening_cost)}"
        told = f" ({cost})" if brief else f"{told[:-1]}; {cost})"
    parts = (
        f" = realized {shown(one.realized, True)}, unrealized {shown(one.unrealized, True)}, "
        f"fees {shown(-one.fees_value, True)}"
    )
    split = "" if brief else parts  # in half a screen its three figures fold over four lines
    return [
        (
            f"{name} turnover",
            f"{shown(one.turnover)} {one.quote} "
            f"(bought {shown(one.bought)}, sold {shown(one.sold)} {one.unit})",
        ),
        (
            f"{name} position",
            f"{held}, at most {_exact(one.position_max)}",
        ),
        (
            f"{name} PnL",
            f"{shown(one.net, signed=True)} {one.quote}{split}{told}",
        ),
    ]


def _names(summary: RunSummary) -> dict[str, str]:
    """Of the instruments; with their venue where there are several."""
    venues = {one.instrument.rpartition(".")[2] for one in summary.instruments}
    return {
        one.instrument: one.instrument if len(venues) > 1 else one.instrument.rpartition(".")[0]
        for one in summary.instruments
    }


def _is_apart(summary: RunSummary) -> bool:
    """Whether each strategy has an instrument of its own, whose figures are the strategy's."""
    instruments = {one.instrument for one in summary.strategies}
    return len(instruments) == len(summary.strategies)


def _parts(summary: RunSummary) -> Iterator[str]:
    """Of a run of several strategies, each one's: those that traded nothing too."""
    idle = [one.id for one in summary.assumptions.strategies] if summary.assumptions else []
    traded = {one.strategy for one in summary.strategies}
    if len(traded.union(idle)) < 2:
        return
    names = _names(summary)
    for one in summary.strategies:
        of = f" of {names[one.instrument]}" if len(names) > 1 else ""
        fills = f"{one.fills:,} fills{of}"
        if one.strategy == KILL_STRATEGY and not one.fills:
            fills = f"positions{of} that a kill set off against one another"
        yield (
            f"{one.strategy}: {shown(one.net, signed=True)} {one.quote} "
            f"({fills}, holds {_exact(one.position)} {one.unit})"
        )
    yield from (f"{name}: no fills" for name in idle if name not in traded)


def _rejected(summary: RunSummary) -> str:
    """Said in the first line, where it is much of what was sent."""
    if not summary.rejections or summary.rejections < summary.sent * REJECTED_LOUD:
        return ""
    return f"; {summary.rejections:,} OF {summary.sent:,} ORDERS REJECTED by the venue"


def _reasons(counts: Mapping[str, int]) -> str:
    lines = [f"{number:,} {reason}" for reason, number in counts.items()]
    return "\n".join([f"{sum(counts.values()):,}{':' if lines else ''}", *lines])


def _exact(value: Decimal) -> str:
    text = f"{value or abs(value):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items()) or "none"


def _amounts(amounts: Mapping[str, Decimal], signed: bool = False) -> str:
    return ", ".join(f"{shown(value, signed)} {name}" for name, value in amounts.items()) or "none"


def _micros(ns: int | None) -> str:
    return "-" if ns is None else f"{ns / 1000:,.0f} us"


def table(summaries: Sequence[RunSummary], title: str = "") -> Table:
    """One column per run, side by side."""
    drawn = Table(title=title or None, title_justify="left", show_header=True)
    drawn.add_column("")
    labels: list[str] = []
    columns: list[dict[str, str]] = []
    for summary in summaries:
        drawn.add_column(f"{summary.name} ({summary.mode})", overflow="fold")
        column: dict[str, str] = {}
        for label, text in rows(summary, brief=len(summaries) > 1):
            column[label] = f"{column[label]}\n{text}" if label in column else text
            if label not in labels:
                labels.append(label)
        columns.append(column)
    for label in labels:
        drawn.add_row(label, *(Text(column.get(label, "-")) for column in columns))
    return drawn


def show(summaries: Sequence[RunSummary], console: Console, title: str = "") -> None:
    console.print(table(summaries, title))
