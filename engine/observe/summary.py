"""What a run did, in numbers: orders, fills, fees, profit and loss, gaps; as a table or as JSON.

Everything is counted from the orders and fills in the cache, so that live, paper and backtest are
summed up by the same arithmetic. Amounts are exact decimals.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId, OrderFilled
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.guard.run_state import Fault
from engine.observe import assumptions as assumed
from engine.observe import recorded as of_recording
from engine.observe.account import Account, Books, InstrumentSummary, StrategySummary
from engine.observe.assumptions import Assumptions
from engine.observe.equity import Equity
from engine.observe.reasons import counted
from engine.observe.recorded import Recorded
from engine.recording.gaps import GapSummary

__all__ = [
    "Account",
    "InstrumentSummary",
    "RunSummary",
    "StrategySummary",
    "Trading",
]
SHOWN_DECIMALS = 8
DATE_CHARS = len("2025-01-31")
RESULTS = frozenset({"summary", "orders", "denials"})  # files that a run writes of itself
REACHED = frozenset({"OrderAccepted", "OrderRejected", "OrderFilled"})
REJECTED_LOUD = Decimal("0.1")  # from this share of the orders sent on, the first line says so


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one run. Times are UNIX nanoseconds.

    `sent` counts the orders that reached the venue (accepted, rejected, or both), and `fill_ratio`
    is the share of them of which something was filled; `rejection_reasons` counts rejections by the
    venue's reason, numbers and ids left out of it. `strategies` is each strategy's part of
    `instruments`; `assumptions` is what all of it rests on.

    `orders_digest` is a hash over every order's fields, states and fills in time order: two runs
    with the same digest traded the same.
    """

    name: str
    mode: str
    exit_code: int
    outcome: str
    start_ns: int
    end_ns: int
    orders: int
    orders_by_kind: dict[str, int]
    orders_by_status: dict[str, int]
    accepted: int
    sent: int
    fills: int
    maker_fills: int | None  # None: the venue does not tell
    fill_ratio: float | None
    denials: dict[str, int]
    rejections: int
    rejection_reasons: dict[str, int] = {}
    fees: dict[str, Decimal]
    instruments: list[InstrumentSummary]
    strategies: list[StrategySummary] = []
    net: dict[str, Decimal]
    equity: dict[str, dict[str, Equity]] = {}  # by venue and quote currency, see `Equity`
    balance_changes: dict[str, dict[str, Decimal]] = {}  # of simulated accounts, by venue
    orders_digest: str
    assumptions: Assumptions | None = None
    gaps: GapSummary | None = None
    recorded: Recorded | None = None  # None: nothing was recorded
    events: int | None = None
    wall_secs: float | None = None
    tick_to_order_ns: dict[str, int | None] | None = None
    faults: list[Fault] = []
    notes: list[str] = []
    files: dict[str, str] = {}

    def json(self) -> bytes:
        """One JSON document; decimals are text."""
        built = msgspec.to_builtins(self, builtin_types=(Decimal,))
        return msgspec.json.format(msgspec.json.encode(_plain(built)), indent=2)


def _plain(value: Any) -> Any:
    """Decimals in full: an exponent (`0E-12`) is no number to many readers."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return format(value, "f") if isinstance(value, Decimal) else value


class Trading(msgspec.Struct, frozen=True, kw_only=True):
    """What the orders of a cache add up to."""

    orders: int
    orders_by_kind: dict[str, int]
    orders_by_status: dict[str, int]
    accepted: int
    sent: int
    filled: int
    fills: int
    maker_fills: int | None  # None: the venue does not tell
    native_denials: dict[str, int]
    rejection_reasons: dict[str, int]
    fees: dict[str, Decimal]
    instruments: list[InstrumentSummary]
    strategies: list[StrategySummary]
    orders_digest: str

    @property
    def rejections(self) -> int:
        return sum(self.rejection_reasons.values())

    @property
    def fill_ratio(self) -> float | None:
        """Of the orders that reached the venue; None: none did."""
        return self.filled / self.sent if self.sent else None


def mark_price(cache: Any, instrument_id: InstrumentId) -> Decimal | None:
    """The mid of the book, else of the last quote, else the last trade's price."""
    top = cache.top_of_book(instrument_id)
    if top is not None:
        return (top[0].as_decimal() + top[2].as_decimal()) / 2  # type: ignore[no-any-return]
    quote = cache.quote(instrument_id)
    if quote is not None:
        return (quote.bid_price.as_decimal() + quote.ask_price.as_decimal()) / 2  # type: ignore[no-any-return]
    trade = cache.trade(instrument_id)
    return None if trade is None else trade.price.as_decimal()


def mark_source(cache: Any, instrument_id: InstrumentId) -> str:
    """What `mark_price` takes its price from."""
    if cache.top_of_book(instrument_id) is not None:
        return "mid of the book"
    if cache.quote(instrument_id) is not None:
        return "mid of the last quote"
    return "no mark" if cache.trade(instrument_id) is None else "last trade"


def trading(cache: Any, instruments: Iterable[str]) -> Trading:
    """Add up all orders of a cache. Instruments are NautilusTrader instrument ids."""
    orders = cache.orders()
    ids = {name: InstrumentId.from_str(name) for name in instruments}
    known = {name: found for name, one in ids.items() if (found := cache.instrument(one))}
    books = Books(known)
    placed: list[tuple[tuple[int, int, str, int], OrderFilled]] = []
    rejected: list[str] = []
    accepted = filled = sent = 0
    lines: list[str] = []
    for order in orders:
        names = set()
        known_by = (order.ts_init, str(order.client_order_id))
        for index, event in enumerate(order.events()):
            name = type(event).__name__
            names.add(name)
            if name == "OrderFilled":  # those of one instant in the order of their order
                placed.append(((event.ts_event, *known_by, index), event))
            elif name == "OrderRejected":
                rejected.append(event.reason)
        accepted += "OrderAccepted" in names or "OrderFilled" in names
        sent += bool(names & REACHED)
        filled += "OrderFilled" in names
        lines.append(order_line(order))
    fills = [fill for _, fill in sorted(placed, key=lambda one: one[0])]
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        lines.append(_fill_line(fill))
        if fill.commission is not None:
            fees[fill.commission.currency.code] += fill.commission.as_decimal()
        for account in books.accounts(str(fill.strategy_id), str(fill.instrument_id)):
            account.apply(fill)
    marks = {name: mark for name in known if (mark := mark_price(cache, ids[name])) is not None}
    return Trading(
        orders=len(orders),
        orders_by_kind=dict(sorted(Counter(one.order_type.name for one in orders).items())),
        orders_by_status=dict(sorted(Counter(one.status.name for one in orders).items())),
        accepted=accepted,
        sent=sent,
        filled=filled,
        fills=len(fills),
        maker_fills=sum(fill.liquidity_side.name == "MAKER" for fill in fills),
        native_denials=denials_of(orders),
        rejection_reasons=counted(rejected),
        fees=dict(sorted(fees.items())),
        instruments=books.instruments(marks),
        strategies=books.strategies(marks),
        orders_digest=hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(),
    )


def denials_of(orders: Iterable[Any]) -> dict[str, int]:
    """Orders that NautilusTrader itself denied, by the reason's name."""
    events = (event for order in orders for event in order.events())
    denied = Counter(
        event.reason.partition(":")[0] for event in events if type(event).__name__ == "OrderDenied"
    )
    return dict(sorted(denied.items()))


def order_line(order: Any) -> str:
    """What identifies an order's course; its ids are random and left out."""
    parts = (
        "order",
        order.strategy_id,
        order.ts_init,
        order.instrument_id,
        order.side.name,
        order.order_type.name,
        order.quantity,
        getattr(order, "price", None),
        getattr(order, "trigger_price", None),
        order.status.name,
        order.filled_qty,
        order.ts_last,
    )
    return "|".join(str(part) for part in parts)


def _fill_line(fill: OrderFilled) -> str:
    parts = (
        "fill",
        fill.ts_event,
        fill.instrument_id,
        fill.order_side,
        fill.last_px,
        fill.last_qty,
        fill.commission,
    )
    return "|".join(str(part) for part in parts)


def figures(traded: Trading) -> dict[str, Any]:
    """The fields of a RunSummary that its orders decide, however they are known."""
    same = set(Trading.__struct_fields__) & set(RunSummary.__struct_fields__)
    return {
        **{name: getattr(traded, name) for name in same},
        "rejections": traded.rejections,
        "fill_ratio": traded.fill_ratio,
        "net": net_by_currency(traded.instruments),
    }


def net_by_currency(instruments: Iterable[InstrumentSummary]) -> dict[str, Decimal]:
    total: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in instruments:
        total[one.quote] += one.net
    return dict(sorted(total.items()))


def merged(*counts: Mapping[str, int]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


# Display


def shown(value: Decimal | None, signed: bool = False) -> str:
    """A decimal for people: at most 8 decimals, no exponent, no trailing zeros."""
    if value is None:
        return "-"
    rounded = round(value, SHOWN_DECIMALS)
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
        yield "orders filled", f"{summary.fill_ratio:.1%} of {summary.sent:,} that were sent"
    yield "denials", _counts(summary.denials)
    yield "venue rejections", _reasons(summary)
    yield "fees", _amounts(summary.fees)
    venues = {one.instrument.rpartition(".")[2] for one in summary.instruments}
    for one in summary.instruments:
        name = one.instrument if len(venues) > 1 else one.instrument.rpartition(".")[0]
        yield from _instrument_rows(name, one, brief=brief)
    yield "net PnL", _amounts(summary.net, signed=True)
    if not (brief and _is_apart(summary)):
        yield from (("net by strategy", text) for text in _parts(summary))
    for venue, worths in summary.equity.items():
        for quote, worth in worths.items():
            change = f"{shown(worth.change, signed=True)}, all at the last marks"
            text = f"{shown(worth.start)} to {shown(worth.end)} {quote} ({change})"
            yield f"equity {venue}", text
    for venue, moved in summary.balance_changes.items():
        yield f"balances {venue}", _amounts(moved, signed=True)
    if summary.tick_to_order_ns is not None:
        took = summary.tick_to_order_ns
        both = (f"{name} {_micros(took.get(f'{name}_ns'))}" for name in ("p50", "p99"))
        yield "tick to order", ", ".join(both)


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
    held = f"{_exact(one.position)} {one.base}"
    told = "" if brief else f" (marked at {shown(one.mark)})"
    if one.opening_position:
        held = f"{_exact(one.opening_position)} at the start, {held} at the end"
        cost = f"the position at the start at its cost, {shown(one.opening_cost)}"
        told = f" ({cost})" if brief else f"{told[:-1]}; {cost})"
    return [
        (
            f"{name} turnover",
            f"{shown(one.turnover)} {one.quote} "
            f"(bought {shown(one.bought)}, sold {shown(one.sold)} {one.base})",
        ),
        (
            f"{name} position",
            f"{held}, at most {_exact(one.position_max)}",
        ),
        (
            f"{name} PnL",
            f"{shown(one.net, signed=True)} {one.quote} = realized {shown(one.realized, True)}, "
            f"unrealized {shown(one.unrealized, True)}, fees {shown(-one.fees_value, True)}"
            f"{told}",
        ),
    ]


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
    for one in summary.strategies:
        yield (
            f"{one.strategy}: {shown(one.net, signed=True)} {one.quote} "
            f"({one.fills:,} fills, holds {_exact(one.position)} {one.base})"
        )
    yield from (f"{name}: no fills" for name in idle if name not in traded)


def _rejected(summary: RunSummary) -> str:
    """Said in the first line, where it is much of what was sent."""
    if not summary.rejections or summary.rejections < summary.sent * REJECTED_LOUD:
        return ""
    return f"; {summary.rejections:,} OF {summary.sent:,} ORDERS REJECTED by the venue"


def _reasons(summary: RunSummary) -> str:
    counts = summary.rejection_reasons
    lines = [f"{number:,} {reason}" for reason, number in counts.items()]
    return "\n".join([f"{summary.rejections:,}{':' if lines else ''}", *lines])


def _exact(value: Decimal) -> str:
    text = f"{value:,f}"
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
