"""What a run did, in numbers: orders, fills, fees, profit and loss, gaps; as a table or as JSON.

Everything is counted from the orders and fills in the cache, so that live, paper and backtest are
summed up by the same arithmetic. Amounts are exact decimals.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId, OrderFilled, OrderSide
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.recording.gaps import GapSummary
from engine.run_state import Fault

ZERO = Decimal(0)
SHOWN_DECIMALS = 8
DATE_CHARS = len("2025-01-31")
MONEY_DECIMALS = 12


class InstrumentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's trading. Money is in `quote`, positions in base units.

    `opening_position` was held at the start and `opening_cost` is what it cost by the journal
    (signed, at its average price); `position` is held at the end. `realized` is by average cost and
    before fees; `fees_value` values fees taken in base currency at the mark; `net` is realized +
    unrealized - fees_value: the change of equity, with the opening position at `opening_cost`.
    """

    instrument: str
    base: str
    quote: str
    fills: int
    bought: Decimal
    sold: Decimal
    turnover: Decimal
    opening_position: Decimal
    opening_cost: Decimal
    position: Decimal
    position_max: Decimal
    mark: Decimal | None
    realized: Decimal
    unrealized: Decimal
    fees_value: Decimal
    net: Decimal


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one run. Times are UNIX nanoseconds; `fill_ratio` is filled over accepted.

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
    fills: int
    maker_fills: int | None  # None: the venue does not tell
    fill_ratio: float | None
    denials: dict[str, int]
    rejections: int
    fees: dict[str, Decimal]
    instruments: list[InstrumentSummary]
    net: dict[str, Decimal]
    equity: dict[str, dict[str, Decimal]]
    orders_digest: str
    gaps: GapSummary | None = None
    book_clears: int | None = None
    events: int | None = None
    wall_secs: float | None = None
    tick_to_order_ns: dict[str, int | None] | None = None
    faults: list[Fault] = []
    notes: list[str] = []
    files: dict[str, str] = {}

    def json(self) -> bytes:
        """One JSON document; decimals are text."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=_plain), indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise NotImplementedError(f"{type(value).__name__} in a summary")


class Account:
    """Average-cost account of one instrument, fed with its fills in time order."""

    def __init__(self, instrument: Any) -> None:
        self.instrument = instrument
        self.base: str = instrument.base_currency.code
        self.quote: str = getattr(instrument, "settlement_currency", instrument.quote_currency).code
        self._multiplier = instrument.multiplier.as_decimal()
        self.fills = 0
        self.bought = self.sold = self.turnover = ZERO
        self.position = self.position_max = ZERO
        self.opening = self.opening_cost = ZERO
        self.average = ZERO
        self.cash = ZERO  # quote currency in and out, without fees
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)

    def open(self, quantity: Decimal, cost: Decimal) -> None:
        """Held before the first fill: signed base units, signed cost in quote currency."""
        self.opening += quantity
        self.opening_cost += cost
        self.cash -= cost
        self.position += quantity
        at = self.opening_cost / self.opening / self._multiplier if self.opening else ZERO
        self.average = at
        self.position_max = max(self.position_max, abs(self.position))

    def apply(self, fill: OrderFilled) -> None:
        paid = fill.commission
        self.book(
            fill.order_side == OrderSide.BUY,
            fill.last_qty.as_decimal(),
            fill.last_px.as_decimal(),
            ZERO if paid is None else paid.as_decimal(),
            self.quote if paid is None else paid.currency.code,
        )

    def book(
        self, buying: bool, quantity: Decimal, price: Decimal, fee: Decimal, fee_currency: str
    ) -> None:
        """One execution: base units, price in quote currency, fee positive when paid."""
        value = quantity * price * self._multiplier
        self.fills += 1
        self.turnover += value
        if buying:
            self.bought += quantity
            self.cash -= value
        else:
            self.sold += quantity
            self.cash += value
        self._move(quantity if buying else -quantity, price)
        if fee:
            self.fees[fee_currency] += fee
        self.position_max = max(self.position_max, abs(self.held))

    @property
    def held(self) -> Decimal:
        """The position after the fees that were taken out of it, in base units."""
        return self.position - self.fees.get(self.base, ZERO)

    def _move(self, signed: Decimal, price: Decimal) -> None:
        before = self.position
        after = before + signed
        if before * signed >= 0:  # opens or adds
            self.average = (self.average * abs(before) + price * abs(signed)) / abs(after)
        elif before * after < 0:  # went through zero
            self.average = price
        elif not after:
            self.average = ZERO
        self.position = after

    def summary(self, mark: Decimal | None) -> InstrumentSummary:
        at = mark if mark is not None else self.average
        gross = self.cash + self.position * at * self._multiplier
        # The average may be a periodic decimal: what is rounded here goes to the realized part.
        unrealized = self.position * (at - self.average) * self._multiplier
        unrealized = round(unrealized, MONEY_DECIMALS)
        value = self.fees.get(self.quote, ZERO) + self.fees.get(self.base, ZERO) * at
        return InstrumentSummary(
            instrument=str(self.instrument.id),
            base=self.base,
            quote=self.quote,
            fills=self.fills,
            bought=self.bought,
            sold=self.sold,
            turnover=self.turnover,
            opening_position=self.opening,
            opening_cost=self.opening_cost,
            position=self.held,
            position_max=self.position_max,
            mark=mark,
            realized=gross - unrealized,
            unrealized=unrealized,
            fees_value=value,
            net=gross - value,
        )


class Trading(msgspec.Struct, frozen=True, kw_only=True):
    """What the orders of a cache add up to."""

    orders: int
    orders_by_kind: dict[str, int]
    orders_by_status: dict[str, int]
    accepted: int
    filled: int
    fills: int
    maker_fills: int | None  # None: the venue does not tell
    native_denials: dict[str, int]
    rejections: int
    fees: dict[str, Decimal]
    instruments: list[InstrumentSummary]
    orders_digest: str


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


def trading(cache: Any, instruments: Iterable[str]) -> Trading:
    """Add up all orders of a cache. Instruments are NautilusTrader instrument ids."""
    orders = cache.orders()
    accounts = {
        name: Account(found)
        for name in instruments
        if (found := cache.instrument(InstrumentId.from_str(name))) is not None
    }
    fills: list[OrderFilled] = []
    accepted = filled = rejected = 0
    lines: list[str] = []
    for order in orders:
        names = set()
        for event in order.events():
            name = type(event).__name__
            names.add(name)
            if name == "OrderFilled":
                fills.append(event)
        accepted += "OrderAccepted" in names or "OrderFilled" in names
        filled += "OrderFilled" in names
        rejected += "OrderRejected" in names
        lines.append(order_line(order))
    fills.sort(key=lambda one: (one.ts_event, _fill_line(one)))
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        lines.append(_fill_line(fill))
        if fill.commission is not None:
            fees[fill.commission.currency.code] += fill.commission.as_decimal()
        account = accounts.get(str(fill.instrument_id))
        if account is not None:
            account.apply(fill)
    return Trading(
        orders=len(orders),
        orders_by_kind=dict(sorted(Counter(one.order_type.name for one in orders).items())),
        orders_by_status=dict(sorted(Counter(one.status.name for one in orders).items())),
        accepted=accepted,
        filled=filled,
        fills=len(fills),
        maker_fills=sum(fill.liquidity_side.name == "MAKER" for fill in fills),
        native_denials=denials_of(orders),
        rejections=rejected,
        fees=dict(sorted(fees.items())),
        instruments=[
            account.summary(mark_price(cache, account.instrument.id))
            for account in accounts.values()
        ],
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


def rows(summary: RunSummary) -> list[tuple[str, str]]:
    """Label and text of every figure, in the order of the table."""
    found = [("outcome", f"{summary.outcome} (exit {summary.exit_code})")]
    found.append(("data", _span(summary)))
    if summary.events is not None and summary.wall_secs:
        rate = summary.events / summary.wall_secs
        found.append(("events", f"{summary.events:,} in {summary.wall_secs:.2f} s ({rate:,.0f}/s)"))
    found.append(("orders", f"{summary.orders:,} ({_counts(summary.orders_by_status)})"))
    found.append(("order kinds", _counts(summary.orders_by_kind)))
    made = "maker not told" if summary.maker_fills is None else None
    found.append(("fills", f"{summary.fills:,} ({made or f'{summary.maker_fills:,} maker'})"))
    if summary.fill_ratio is not None:
        found.append(("orders filled", f"{summary.fill_ratio:.1%} of accepted"))
    found.append(("denials", _counts(summary.denials)))
    found.append(("venue rejections", str(summary.rejections)))
    found.append(("fees", _amounts(summary.fees)))
    venues = {one.instrument.rpartition(".")[2] for one in summary.instruments}
    for one in summary.instruments:
        name = one.instrument if len(venues) > 1 else one.instrument.rpartition(".")[0]
        found.extend(_instrument_rows(name, one))
    found.append(("net PnL", _amounts(summary.net, signed=True)))
    for venue, change in summary.equity.items():
        found.append((f"balances {venue}", _amounts(change, signed=True)))
    if summary.tick_to_order_ns is not None:
        took = summary.tick_to_order_ns
        both = (f"{name} {_micros(took.get(f'{name}_ns'))}" for name in ("p50", "p99"))
        found.append(("tick to order", ", ".join(both)))
    found.append(("gaps", "not recorded" if summary.gaps is None else str(summary.gaps)))
    if summary.book_clears is not None:
        found.append(("book snapshots", f"{summary.book_clears:,}"))
    found.extend(("fault", str(fault)) for fault in summary.faults)
    found.extend(("note", text) for text in summary.notes)
    found.extend(summary.files.items())
    return found


def _span(summary: RunSummary) -> str:
    seconds = max(0, summary.end_ns - summary.start_ns) / 1e9
    start, end = _utc(summary.start_ns), _utc(summary.end_ns)
    if start[:DATE_CHARS] == end[:DATE_CHARS]:
        end = end[DATE_CHARS + 1 :]
    return f"{start} to {end} ({seconds:,.1f} s)"


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _instrument_rows(name: str, one: InstrumentSummary) -> list[tuple[str, str]]:
    held = f"{_exact(one.position)} {one.base}"
    told = f"marked at {shown(one.mark)}"
    if one.opening_position:
        held = f"{_exact(one.opening_position)} at the start, {held} at the end"
        told += f"; the position at the start at its cost, {shown(one.opening_cost)}"
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
            f" ({told})",
        ),
    ]


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
        for label, text in rows(summary):
            column[label] = f"{column[label]}\n{text}" if label in column else text
            if label not in labels:
                labels.append(label)
        columns.append(column)
    for label in labels:
        drawn.add_row(label, *(Text(column.get(label, "-")) for column in columns))
    return drawn


def show(summaries: Sequence[RunSummary], console: Console, title: str = "") -> None:
    console.print(table(summaries, title))
