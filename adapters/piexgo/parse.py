"""Bytes of the venue to values. Pure and total: any bytes give a value or raise `ParseError`.

Quantities are base units, prices quote currency, times nanoseconds. The venue has three units of
time, and each is refused where another belongs: a second read as a millisecond is a wrong trade.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from enum import IntEnum

import msgspec
from nautilus_trader.model import AggressorSide, InstrumentId, TradeTick

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.decode import MISREAD, Answer, bounded, check_numbers, not_negative
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.symbols import instrument_id, split_symbol
from fairlead.engine.identifiers import trade_id
from fairlead.engine.orders.model import Fee, Kind, OrderState, Side, VenueBalance, VenueOrder

MAX_FRAME_BYTES = 4 * 1024 * 1024
MAX_DEALS = 5_000  # of one message
MAX_DEALS_KEPT = 20_000  # deals remembered, so that identical ones are told apart
MAX_DECIMALS = 18
MAX_MAGNITUDE = 20  # digits before the point
MAX_FEE = Decimal("0.1")  # of what was executed
NOISE = Decimal("1e-13")  # of the number: what a double adds to a decimal of a book

_QUOTE = ord('"')
_CURRENCY = re.compile(r"[0-9A-Za-z]{1,20}")
_ORDER_ID = re.compile(s.ORDER_ID)
_ZERO = Decimal(0)


class Unit(IntEnum):
    """A unit of time, as nanoseconds."""

    SECONDS = 1_000_000_000
    MILLISECONDS = 1_000_000
    NANOSECONDS = 1


# The years 1973 to 2255: in each unit a range of its own, so that units can't be mistaken.
_EPOCH_NS = range(100_000_000 * 10**9, 9_000_000_000 * 10**9)


def time_ns(value: int, unit: Unit, where: str) -> int:
    """An epoch time of the venue in nanoseconds. Raises ParseError, for another unit too."""
    if value * unit not in _EPOCH_NS:
        raise ParseError(where, f"expected {unit.name.lower()}, received {str(value)[:40]}")
    return value * unit


class Reader[T](Answer[T]):
    """Decodes one type; a field that is an empty text counts as one that is not there."""

    def __call__(self, data: bytes | str | msgspec.Raw) -> T:
        """Raises ParseError."""
        try:
            return super().__call__(data)
        except ParseError as error:
            try:
                filled = _without_blanks(msgspec.Raw(data))
            except MISREAD:
                raise error from None
            if filled is None:
                raise
        return super().__call__(filled)


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


def _without_blanks(data: msgspec.Raw) -> msgspec.Raw | None:
    """JSON without the fields that are "", or None where it has none."""
    first = bytes(data).lstrip()[:1]
    if first == b"{":
        fields = _fields.decode(data)
        kept = {name: value for name, value in fields.items() if bytes(value) != b'""'}
        changed = {name: _without_blanks(value) for name, value in kept.items()}
        if len(kept) == len(fields) and not any(value is not None for value in changed.values()):
            return None
        filled = {name: changed[name] or value for name, value in kept.items()}
        return msgspec.Raw(msgspec.json.encode(filled))
    if first == b"[":
        items = _items.decode(data)
        cleaned = [_without_blanks(item) for item in items]
        if not any(item is not None for item in cleaned):
            return None
        pairs = zip(cleaned, items, strict=True)
        return msgspec.Raw(msgspec.json.encode([new or old for new, old in pairs]))
    return None


# -- numbers ---------------------------------------------------------------------------------------


def number(value: Decimal, where: str) -> Decimal:
    """`value`, finite and of a sane size. Raises ParseError."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() > MAX_MAGNITUDE:
        raise ParseError(where, f"expected a finite number, received {str(value)[:40]}")
    if exponent < -MAX_DECIMALS:
        raise ParseError(
            where, f"expected at most {MAX_DECIMALS} decimals, received {str(value)[:40]}"
        )
    return value


def plain(value: Decimal, precision: int, where: str) -> str:
    """A number of a book or a trade as text, at most `precision` decimals.

    The digits are the venue's, exactly. Only what a double adds to a decimal (`0.30000000000000004`
    for 0.3) is taken off; other digits beyond the precision raise ParseError.
    """
    text = str(value)
    point = text.find(".")
    is_short = len(text) <= 40 and (point < 0 or len(text) - point - 1 <= precision)
    if is_short and "E" not in text and text[0] != "-" and value.is_finite():
        return text
    if not value.is_finite() or value < 0 or value.adjusted() > MAX_MAGNITUDE:
        raise ParseError(where, f"expected a sane number above 0, received {text[:40]}")
    with localcontext(prec=60):
        rounded = value.quantize(Decimal(1).scaleb(-precision))
        if abs(rounded - value) > value * NOISE:
            raise ParseError(where, f"expected at most {precision} decimals, received {text[:40]}")
    return f"{rounded:f}"


# -- frames ----------------------------------------------------------------------------------------

_frame = msgspec.json.Decoder(s.Frame, strict=False)
_text = msgspec.json.Decoder(str)
_levels = msgspec.json.Decoder(list[s.Level], strict=False)
_change_id = msgspec.json.Decoder(int, strict=False)
_deal = Reader(s.Deal)
_deals = msgspec.json.Decoder(list[s.Deal], strict=False)
_order = Reader(s.Order)
_balance = Reader(s.BalanceEvent)


def _read[T](decoder: msgspec.json.Decoder[T], data: bytes | str | msgspec.Raw) -> T:
    value = decoder.decode(data)
    check_numbers(value, data)
    return value


def frame(data: bytes | str) -> s.Frame:
    """Any message of the stream. Raises ParseError."""
    if len(data) > MAX_FRAME_BYTES:
        raise ParseError("frame", f"expected at most {MAX_FRAME_BYTES} bytes, received {len(data)}")
    try:
        return _read(_frame, data)
    except MISREAD as e:
        raise ParseError("frame", bounded(str(e))) from e


def inner(data: msgspec.Raw) -> msgspec.Raw:
    """A part of a frame, taken out of a JSON text if it is one. Raises ParseError."""
    if memoryview(data)[0] != _QUOTE:
        return data
    try:
        return msgspec.Raw(_text.decode(data))
    except MISREAD as e:
        raise ParseError("data", bounded(str(e))) from e


# -- books and trades ------------------------------------------------------------------------------


class Depth(msgspec.Struct, frozen=True, gc=False):
    """The top levels of a book: (price, size) as text. `change_id` grows within a connection."""

    asks: list[tuple[str, str]]
    bids: list[tuple[str, str]]
    change_id: int


def depth(message: s.Frame, price_precision: int, size_precision: int) -> Depth:
    """A `depth` message. Raises ParseError (section 2.2)."""
    try:
        sides = [_read(_levels, inner(part)) for part in (message.sell_book, message.buy_book)]
        change_id = _read(_change_id, inner(message.change_id))
    except MISREAD as e:
        raise ParseError("depth", bounded(str(e))) from e
    asks, bids = (
        [
            (plain(row.price, price_precision, "price"), plain(row.qty, size_precision, "qty"))
            for row in side
        ]
        for side in sides
    )
    return Depth(asks, bids, change_id)


def deals(message: s.Frame) -> tuple[list[s.Deal], list[ParseError]]:
    """The deals of a `dealinfo` message, and what of it is none. Raises ParseError (2.1)."""
    rows = inner(message.deals)
    try:
        return _bounded_deals(_read(_deals, rows)), []
    except MISREAD:
        pass  # one of them: look at each
    try:
        each = _bounded_deals(_items.decode(rows))
    except MISREAD as e:
        raise ParseError("deals", bounded(str(e))) from e
    found, faults = [], []
    for row in each:
        try:
            found.append(_deal(row))
        except ParseError as e:
            faults.append(e)
    return found, faults


def _bounded_deals[T](rows: list[T]) -> list[T]:
    if len(rows) > MAX_DEALS:
        raise ParseError("deals", f"expected at most {MAX_DEALS}, received {len(rows)}")
    return rows


_AGGRESSORS = {0: AggressorSide.BUY, 1: AggressorSide.SELL}


class DealNames:
    """Gives deals, which have no id, one that is the same wherever they are read.

    It is made of the deal's fields and of how many with the same fields came before, so that
    identical deals are told apart. Feed one market's deals in the order of their time.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[int, int, Decimal, Decimal], int] = OrderedDict()

    def name(self, deal: s.Deal) -> str:
        key = (deal.time, deal.direct, deal.price, deal.vol)
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        if not count and len(self._counts) > MAX_DEALS_KEPT:
            self._counts.popitem(last=False)
        fields = f"{deal.direct} {deal.price.normalize():f} {deal.vol.normalize():f}".encode()
        digest = hashlib.blake2b(fields, digest_size=6).hexdigest()
        return f"{deal.time}-{digest}-{count}"


def tick(
    deal: s.Deal,
    names: DealNames,
    instrument: InstrumentId,
    numbers: Numbers,
    ts_init: int | None = None,
) -> TradeTick:
    """A deal as a TradeTick; `ts_init` None is the deal's time. Raises ParseError (2.1, 3.2)."""
    aggressor = _AGGRESSORS.get(deal.direct)
    if aggressor is None:
        raise ParseError("deal", f"expected direct 0 or 1, received {str(deal.direct)[:20]}")
    ts_event = time_ns(deal.time, Unit.MILLISECONDS, "deal")
    price = numbers.prices[plain(deal.price, numbers.prices.precision, "price")]
    size = numbers.sizes[plain(deal.vol, numbers.sizes.precision, "vol")]
    if not price.raw or not size.raw:
        raise ParseError("deal", "expected a price and a volume above 0")
    name = trade_id(names.name(deal))  # last: a deal that is refused is not counted
    try:
        return TradeTick(
            instrument,
            price,
            size,
            aggressor,
            name,
            ts_event,
            ts_event if ts_init is None else ts_init,
        )
    except (ValueError, OverflowError, TypeError) as e:
        raise ParseError("deal", bounded(str(e))) from e


def ticks(rows: Iterable[s.Deal], instrument: InstrumentId, numbers: Numbers) -> list[TradeTick]:
    """The deals of a REST answer, oldest first whatever their order. Raises ParseError."""
    ordered = sorted(rows, key=lambda deal: deal.time)
    names = DealNames()
    return [tick(deal, names, instrument, numbers) for deal in ordered]


def sides(
    book: s.OrderBook | s.OrderBookV2, price_precision: int, size_precision: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(asks, bids) of a REST book as text. Raises ParseError."""

    def texts(rows: Sequence[s.BookRow] | Sequence[s.BookRowV2]) -> list[tuple[str, str]]:
        return [
            (
                plain(row.price, price_precision, "price"),
                plain(_size(row), size_precision, "quantity"),
            )
            for row in rows
        ]

    return texts(book.asks), texts(book.bids)


def _size(row: s.BookRow | s.BookRowV2) -> Decimal:
    return row.volume if isinstance(row, s.BookRow) else row.quantity


# -- orders and balances ---------------------------------------------------------------------------

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_KINDS = {0: Kind.LIMIT, 1: Kind.MARKET, 2: Kind.STOP_LIMIT}
STOP_WAITING = -1
_STATES = {
    STOP_WAITING: OrderState.WAITING,
    0: OrderState.OPEN,
    2: OrderState.FILLED,
    4: OrderState.CANCELED,
    5: OrderState.REFUSED,
}


def order(row: s.Order, venue: str) -> VenueOrder:
    """A row of a list, or `data` of a `pinfo` order. Raises ParseError (sections 2.3, 3.2).

    `avg_price` is `amount` over what is filled, to so many digits that the product is `amount`
    again: the venue's own average is rounded. A stop's direction is not told; `trigger_condition`
    stays None.
    """
    quantity, remain = number(row.volume, "volume"), number(row.remain, "remain")
    if not 0 <= remain <= quantity:
        raise ParseError("order", f"expected 0 <= {remain} remain <= {quantity} volume")
    with localcontext(prec=60):
        filled = quantity - remain
    stop = _above_0(row.stop, "stop")
    found = _venue_order(row, venue, quantity, filled, row.amount)
    if found.kind is not Kind.STOP_LIMIT:
        return found
    return msgspec.structs.replace(found, trigger_price=stop)


def detail(row: s.OrderDetail, venue: str) -> VenueOrder:
    """`orderInfo`: its average is the venue's, rounded; what the order has paid. Raises ParseError.

    Which currency the fee is of is not told: a buyer is taken to pay in base, a seller in quote.
    """
    quantity = number(row.volume, "volume")
    filled = number(row.filled_volume, "filled_volume")
    if not 0 <= filled <= quantity:
        raise ParseError("order", f"expected 0 <= {filled} filled <= {quantity} volume")
    found = _venue_order(row, venue, quantity, filled, None)
    return msgspec.structs.replace(found, fees=_fees(row.fee, found))


def _fees(told: Decimal | None, order: VenueOrder) -> Fee | None:
    """None for what can't be the fee of what is filled: it may be in another currency."""
    if told is None or order.avg_price is None:
        return None
    base, quote = split_symbol(order.instrument.rpartition(".")[0])
    is_buy = order.side is Side.BUY
    with localcontext(prec=60):
        most = MAX_FEE * order.filled * (1 if is_buy else order.avg_price)
    is_fee = told.is_finite() and 0 <= told <= most
    return Fee(told, base if is_buy else quote) if is_fee else None


def _venue_order(
    row: s.Order | s.OrderDetail,
    venue: str,
    quantity: Decimal,
    filled: Decimal,
    amount: Decimal | None,
) -> VenueOrder:
    if _ORDER_ID.fullmatch(row.order_id) is None:
        raise ParseError("order", f"expected an order_id, received {row.order_id[:40]!r}")
    side, kind = _SIDES.get(row.type.lower()), _KINDS.get(row.flag)
    if side is None:
        raise ParseError("order", f"expected type buy or sell, received {row.type[:20]!r}")
    if kind is None:
        raise ParseError("order", f"expected flag 0, 1 or 2, received {str(row.flag)[:20]}")
    if quantity <= 0:
        raise ParseError("order", f"expected a volume above 0, received {quantity}")
    price = _above_0(row.order_price, "order_price")
    if price is None and kind is not Kind.MARKET:
        raise ParseError("order", f"{kind} without order_price")
    state = _state(row.status, kind, quantity, filled)
    is_stop = kind is Kind.STOP_LIMIT
    return VenueOrder(
        venue_order_id=row.order_id,
        instrument=instrument_id(row.market, venue),
        side=side,
        kind=kind,
        state=state,
        quantity=quantity,
        filled=filled,
        avg_price=_average(filled, amount, row.price),
        price=None if kind is Kind.MARKET else price,
        triggered=is_stop and (state in (OrderState.OPEN, OrderState.FILLED) or filled > 0),
        ts_created=_seconds(row.timestamp),
        ts_updated=_updated(row),
        reason="refused by the venue" if state is OrderState.REFUSED else "",
    )


def _state(status: int, kind: Kind, quantity: Decimal, filled: Decimal) -> OrderState:
    """What `status` says, where it agrees with what is filled: all filled is FILLED."""
    state = _STATES.get(status)
    if state is None:
        raise ParseError("order", f"unknown status {str(status)[:20]}")
    if state is OrderState.WAITING and (kind is not Kind.STOP_LIMIT or filled):
        raise ParseError("order", f"status {STOP_WAITING} of a {kind} order, {filled} filled")
    if filled == quantity:
        return OrderState.FILLED
    if state is OrderState.FILLED:
        if kind is not Kind.MARKET:
            raise ParseError("order", f"status 2, but {quantity - filled} of {quantity} remain")
        return OrderState.CANCELED  # a market order that found no more
    if state is OrderState.REFUSED and filled:
        return OrderState.CANCELED  # what has traded was not refused
    return state


def _average(filled: Decimal, amount: Decimal | None, told: Decimal | None) -> Decimal | None:
    value, told = _above_0(amount, "amount"), _above_0(told, "price")
    if not filled:
        if value is not None:
            raise ParseError("order", f"amount {value}, but nothing is filled")
        return None
    if value is None:
        if told is None:
            raise ParseError("order", f"{filled} filled, but neither amount nor price")
        return told
    with localcontext(prec=60):
        return value / filled


def _above_0(value: Decimal | None, where: str) -> Decimal | None:
    """None for nothing and for 0, which the venue writes for nothing. Raises ParseError."""
    if value is None or not number(value, where):
        return None
    if value < 0:
        raise ParseError(where, f"expected a number above 0, received {value}")
    return value


def _seconds(value: int | None) -> int:
    return 0 if value is None else time_ns(value, Unit.SECONDS, "timestamp")


def _updated(row: s.Order | s.OrderDetail) -> int:
    """`id` of an event is its time in nanoseconds, as far as is known: 0 where it is none."""
    if isinstance(row, s.OrderDetail):
        return 0 if row.update_time is None else time_ns(row.update_time, Unit.SECONDS, "update")
    return row.id if row.id is not None and row.id in _EPOCH_NS else 0


def private(message: s.Frame, venue: str) -> VenueOrder | s.BalanceEvent:
    """A `pinfo` message. Raises ParseError (2.3)."""
    data = inner(message.data)
    if message.type == "order":
        return order(_order(data), venue)
    if message.type == "balance":
        found = _balance(data)
        number(found.value, "value")
        _currency(found.token)
        return found
    raise ParseError("pinfo", f"expected type order or balance, received {message.type[:20]!r}")


def balances(account: s.Account) -> list[VenueBalance]:
    """The spot balances. Raises ParseError."""
    return [
        VenueBalance(
            currency=_currency(row.market),
            free=not_negative(number(row.balance, "balance"), "balance"),
            locked=not_negative(number(row.locked, "locked"), "locked"),
        )
        for row in account.data
    ]


def _currency(text: str) -> str:
    if _CURRENCY.fullmatch(text) is None:
        raise ParseError("balance", f"expected a currency, received {text[:40]!r}")
    return text.upper()
