"""What a run did, in numbers: orders, fills, fees, profit and loss, gaps.

Everything is counted from the orders and fills in the cache, so that live, paper and backtest are
summed up by the same arithmetic. Amounts are exact decimals.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId, OrderFilled

from fairlead.engine.guard.run_state import Fault
from fairlead.engine.observe.account import Account, Books, InstrumentSummary, StrategySummary
from fairlead.engine.observe.arrivals import Arrivals
from fairlead.engine.observe.assumptions import Assumptions
from fairlead.engine.observe.equity import Equity
from fairlead.engine.observe.reasons import counted, is_unsent
from fairlead.engine.observe.recorded import Recorded
from fairlead.engine.recording.gaps import GapSummary

__all__ = [
    "Account",
    "InstrumentSummary",
    "RunSummary",
    "StrategySummary",
    "Trading",
]
REACHED = frozenset({"OrderAccepted", "OrderRejected", "OrderFilled"})


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one run. Times are UNIX nanoseconds.

    `sent` counts the orders that reached the venue (accepted, rejected, or both), and `fill_ratio`
    is the share of them of which something was filled; `rejection_reasons` counts rejections by the
    venue's reason, numbers and ids left out of it, `unsent_reasons` those of orders that never left
    this machine, `absent_reasons` those of orders that the venue never had, of a run that was
    killed before among them. `strategies` is each strategy's part of
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
    unsent_reasons: dict[str, int] = {}
    absent_reasons: dict[str, int] = {}
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
    arrivals: Arrivals | None = None  # on paper, beside the latency of `assumptions`
    faults: list[Fault] = []
    notes: list[str] = []
    files: dict[str, str] = {}

    def json(self) -> bytes:
        """One JSON document; decimals are text."""
        built = msgspec.to_builtins(self, builtin_types=(Decimal,))
        return msgspec.json.format(msgspec.json.encode(plain_numbers(built)), indent=2)


def plain_numbers(value: Any) -> Any:
    """Decimals in full: an exponent (`0E-12`) is no number to many readers."""
    if isinstance(value, dict):
        return {name: plain_numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(one) for one in value]
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
    unsent_reasons: dict[str, int] = {}
    absent_reasons: dict[str, int] = {}
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


def unvalued(instruments: Iterable[InstrumentSummary]) -> list[str]:
    """What a person must know of fees that are in no net."""
    paid = ((one, *fee) for one in instruments for fee in sorted(one.fees_unvalued.items()))
    return [
        f"FEES-UNVALUED {one.instrument}: {fee:f} {currency} of fees are in no net, as nothing "
        f"tells their price in {one.quote}"
        for one, currency, fee in paid
    ]


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


def mark_source(cache: Any, instrument_id: InstrumentId, *, had_book: bool = False) -> str:
    """What `mark_price` takes its price from. `had_book`: until the run closed its own streams."""
    if had_book or cache.top_of_book(instrument_id) is not None:
        return "mid of the book"
    quote = cache.quote(instrument_id)
    if quote is not None:
        if cache.book_update_count(instrument_id):
            return "last mid of the book, which was gone at the end"
        is_price = quote.bid_price == quote.ask_price and not quote.bid_size.as_decimal()
        return "last price of the ticker" if is_price else "mid of the last quote"
    return "no mark" if cache.trade(instrument_id) is None else "last trade"


def trading(cache: Any, instruments: Iterable[str]) -> Trading:
    """Add up all orders of a cache. Instruments are NautilusTrader instrument ids."""
    orders = cache.orders()
    ids = {name: InstrumentId.from_str(name) for name in instruments}
    known = {name: found for name, one in ids.items() if (found := cache.instrument(one))}
    books = Books(known)
    placed: list[tuple[tuple[int, int, str, int], OrderFilled]] = []
    rejected: list[str] = []
    unsent: list[str] = []
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
                (unsent if is_unsent(event.reason) else rejected).append(event.reason)
                if is_unsent(event.reason):
                    names.discard(name)
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
        unsent_reasons=counted(unsent),
        fees=dict(sorted(fees.items())),
        instruments=books.instruments(marks),
        strategies=books.strategies(marks),
        orders_digest=hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(),
    )


def denials_of(orders: Iterable[Any]) -> dict[str, int]:
    """Orders that NautilusTrader itself denied, by the reason's name."""
    events = (event for order in orders for event in order.events())
    return denials_by_name(
        event.reason for event in events if type(event).__name__ == "OrderDenied"
    )


def denials_by_name(reasons: Iterable[str]) -> dict[str, int]:
    """How often NautilusTrader gave each reason, by its name."""
    return dict(sorted(Counter(reason.partition(":")[0] for reason in reasons).items()))


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
