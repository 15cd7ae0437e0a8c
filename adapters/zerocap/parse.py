"""Bytes of the venue to values and events. Pure and total: any bytes give one or `ParseError`.

One parser for all dialects (section 7): see `schemas` for how they are laid over one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from fairlead.adapters.base.decode import (
    MAX_EXPONENT,
    MISREAD,
    Answer,
    bounded,
    check_written,
    not_negative,
)
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.zerocap import errors
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.ladder import Ladder, Tier
from fairlead.adapters.zerocap.symbols import (
    ORDER_CHANNELS,
    TRADE_CHANNELS,
    channel_symbol,
    instrument_id,
    split_name,
)
from fairlead.engine.orders.model import (
    Fee,
    Kind,
    OrderState,
    Side,
    Tif,
    VenueBalance,
    VenueFill,
    VenueOrder,
)

MAX_FRAME_BYTES = 1024 * 1024
MAX_TEXTS_DEEP = 3  # JSON texts within JSON texts
MAX_TIERS = 200  # of one side of a ladder
MAX_VALUE = 10**15  # of a tier's price and size: with 12 decimals the context's digits do
NS_PER_MS = 1_000_000
NS_PER_SEC = 1_000_000_000
# 2001 to 2255: of a time in another unit none lies in it.
_MS_MIN, _MS_MAX = 1_000_000_000_000, 9_000_000_000_000

_BLANK = ("", None)
_TEXTS = frozenset({"data", "balancesdata"})  # fields that may be a JSON text of what they hold

_untyped = msgspec.json.Decoder(Any, float_hook=Decimal)


def untyped(data: bytes | str | msgspec.Raw) -> Any:
    """JSON with its decimals as they stand. Raises ParseError."""
    try:
        return _untyped.decode(data)
    except MISREAD as e:
        raise ParseError("json", bounded(str(e))) from e


def overlaid(value: Any, texts: int = MAX_TEXTS_DEEP) -> Any:
    """`value` with bare names, without what is blank, and with the texts in `data` opened.

    Raises ParseError for a name that comes twice, and for numbers that can't be money.
    """
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for name, item in value.items():
            if item in _BLANK:
                continue
            key = s.bare(name)
            if key in found:
                raise ParseError("json", f"the field {key[:40]} comes twice")
            if key in _TEXTS and isinstance(item, str):
                item = _opened(item, texts)
                found[key] = overlaid(item, texts - 1)
            else:
                found[key] = overlaid(item, texts)
        return found
    if isinstance(value, list):
        return [overlaid(item, texts) for item in value]
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        decimal(Decimal(value), "json")
    return value


def _opened(text: str, texts: int) -> Any:
    """The JSON in `text`; raw newlines within strings are the document's own (section 4)."""
    if texts <= 0:
        raise ParseError("json", f"expected at most {MAX_TEXTS_DEEP} texts within each other")
    try:
        return untyped(text)
    except ParseError:
        return untyped(" ".join(text.splitlines()))


def read(data: bytes | str | msgspec.Raw) -> Any:
    """JSON of any dialect, overlaid. Raises ParseError."""
    try:
        return overlaid(untyped(data))
    except RecursionError as e:
        raise ParseError("json", "nested too deeply") from e


def decimal(value: Decimal, where: str) -> Decimal:
    """`value` if it is finite and of a sane size, else raises ParseError."""
    if not value.is_finite() or (value and abs(value.adjusted()) > MAX_EXPONENT):
        raise ParseError(where, f"expected a finite decimal, received {str(value)[:40]}")
    if len(value.as_tuple().digits) > 2 * MAX_EXPONENT:
        raise ParseError(where, f"expected at most {2 * MAX_EXPONENT} digits")
    return value


def converted[T](value: Any, type_: type[T]) -> T:
    """What `overlaid` gave, as a payload. Raises ParseError."""
    try:
        found = msgspec.convert(value, type_, strict=False)
        check_written(found, value)
        _check_money(found)
    except MISREAD as e:
        raise ParseError(type_.__name__, bounded(str(e))) from e
    return found


def _check_money(value: Any) -> None:
    """Numbers that came as text are bounded as those that came as numbers."""
    if isinstance(value, list | tuple):
        for item in value:
            _check_money(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_money(getattr(value, name))
    elif isinstance(value, Decimal):
        decimal(value, "number")


class Reader[T](Answer[T]):
    """An `Answer` that takes every dialect of one payload."""

    def __init__(self, type_: type[T]) -> None:
        super().__init__(type_)
        self._payload = type_

    def __call__(self, data: bytes | str | msgspec.Raw) -> T:
        return converted(read(data), self._payload)


class BalancesReader(Answer[s.Balances]):
    """`get_balances`, whose names are assets and account types: they keep their case."""

    def __init__(self) -> None:
        super().__init__(s.Balances)

    def __call__(self, data: bytes | str | msgspec.Raw) -> s.Balances:
        return balances_payload(data)


_ACCOUNT_TYPES_KNOWN = frozenset(
    {"custody", "prime", "prime_locked", "trading", "DiscountNote", "YieldEntryNotes"}
)


def balances_payload(data: bytes | str | msgspec.Raw) -> s.Balances:
    """The maps by asset; those by account type hold the same again and are left out (section 3).

    Which a map is is told by its inner names: an asset's are account types. Raises ParseError.
    """
    raw = untyped(data)
    if isinstance(raw, dict) and isinstance(raw.get("balances_data"), str):
        raw = {**raw, **_as_dict(untyped(raw["balances_data"]), "balances_data")}
    table = _as_dict(raw, "balances")
    accounts: dict[str, dict[str, s.Holding]] = {}
    for outer, inner in table.items():
        if not isinstance(inner, dict) or not all(isinstance(x, dict) for x in inner.values()):
            continue
        for name, leaf in inner.items():
            asset, account = (name, outer) if outer in _ACCOUNT_TYPES_KNOWN else (outer, name)
            holding = converted(overlaid(leaf), s.Holding)
            held = accounts.setdefault(account, {})
            if held.setdefault(asset.upper(), holding) != holding:
                raise ParseError("balances", f"{asset[:20]} in {account[:20]} is told two ways")
    told = table.get("timestamp")
    stamp = Decimal(told) if isinstance(told, int | Decimal) else None
    return s.Balances(accounts, (ms_to_ns(stamp) or 0) // NS_PER_MS)


def _as_dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ParseError(where, f"expected an object, received {type(value).__name__}")
    return value


def ms_to_ns(value: Decimal | None) -> int:
    """Epoch milliseconds to nanoseconds; 0, which means not told, for a time in another unit."""
    if value is None or not _MS_MIN <= value <= _MS_MAX:
        return 0
    return int(value * NS_PER_MS)


# -- orders and fills ------------------------------------------------------------------------------


class Source(StrEnum):
    """Where an order was told: a trade's price and an order's cost mean different things."""

    CREATE = "create"  # the create's answer, or the accepted quote's
    FETCH = "fetch"
    PUSH = "push"


_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_KINDS = {"limit": Kind.LIMIT, "market": Kind.MARKET}


def side_of(text: str, where: str) -> Side:
    """Raises ParseError."""
    side = _SIDES.get(text.lower())
    if side is None:
        raise ParseError(where, f"unknown side {text[:20]!r}")
    return side


def order(row: s.OrderRow, venue: str, source: Source) -> VenueOrder:
    """An order to a VenueOrder, its instrument at `venue`. Raises ParseError (section 5)."""
    order_id = row.id or row.order_id
    if not order_id:
        raise ParseError("order", "expected an id, received none")
    instrument = instrument_id(row.symbol, venue)
    kind = _KINDS.get(row.type.lower())
    if kind is None:
        raise ParseError("order", f"unknown type {row.type[:20]!r}")
    quantity, filled = row.amount, row.filled or Decimal(0)
    if quantity is None or quantity <= 0 or not 0 <= filled <= quantity:
        raise ParseError("order", f"expected 0 <= {filled} filled <= {quantity} amount, above 0")
    state = _state(row, quantity, kind)
    average = _average(row) if filled else None
    if average is None and filled and source is not Source.PUSH and row.cost:
        average = row.cost / filled
    if average is not None and average <= 0:
        raise ParseError("order", f"expected an average above 0, received {average}")
    return VenueOrder(
        venue_order_id=order_id,
        instrument=instrument,
        side=side_of(row.side, "order"),
        kind=kind,
        state=state,
        quantity=quantity,
        filled=filled,
        client_order_id=row.client_order_id or None,
        avg_price=average,
        price=not_negative(row.price, "price") if kind is Kind.LIMIT and row.price else None,
        time_in_force=Tif.FOK,
        trades_count=sum(not trade.is_blank for trade in row.trades),
        ts_created=ms_to_ns(row.timestamp or row.created_at),
        ts_updated=ms_to_ns(row.last_trade_timestamp or row.updated_at or row.timestamp),
        reason=bounded(row.error_message),
        fees=Fee(row.fee, split_name(row.symbol)[1]) if row.fee else None,
    )


def _average(row: s.OrderRow) -> Decimal | None:
    return row.average or row.average_price or row.exec_price or None


def _state(row: s.OrderRow, quantity: Decimal, kind: Kind) -> OrderState:
    """A limit order that is `rejected` was killed: its price could not be had, and the venue has no
    other word for it. A simulated exchange cancels it too, and refuses a market order."""
    status, filled = row.status.lower(), row.filled
    if status == "open":
        return OrderState.OPEN
    if status == "rejected":
        if filled:
            raise ParseError("order", f"rejected, and {filled} filled")
        return OrderState.CANCELED if kind is Kind.LIMIT else OrderState.REFUSED
    if status != "closed":
        raise ParseError("order", f"unknown status {row.status[:20]!r}")
    if filled is None:
        raise ParseError("order", "closed, and how much is filled is not told")
    return OrderState.FILLED if filled == quantity else OrderState.CANCELED


def fills(row: s.OrderRow, venue: str, source: Source) -> list[VenueFill]:
    """An order's executions, each once, without blank records. Raises ParseError.

    The price of a fetched trade is the order's limit, so the order's average is taken instead:
    in sum it is what was paid, however many trades there are.
    """
    order_id = row.id or row.order_id
    found: dict[str, VenueFill] = {}
    # The order's fee where its trades tell none: with the first of them.
    fee = None if any(trade.fee for trade in row.trades) else row.fee
    for trade in row.trades:
        if trade.is_blank:
            continue
        if trade.order and order_id and trade.order != order_id:
            raise ParseError("trade", f"of order {trade.order[:40]}, told by {order_id[:40]}")
        price = trade.price
        if source is Source.FETCH:
            price = _average(row) or (
                trade.cost / trade.amount if trade.cost and trade.amount else None
            )
        whole = msgspec.structs.replace(
            trade,
            price=price,
            order=trade.order or order_id,
            symbol=trade.symbol or row.symbol,
            side=trade.side or row.side,
            client_order_id=trade.client_order_id or row.client_order_id,
            fee=trade.fee or (fee if not found else None),
        )
        found.setdefault(trade.id, fill(whole, venue))
    filled = row.filled or Decimal(0)
    if sum(each.quantity for each in found.values()) > filled:
        raise ParseError("order", f"its trades are more than {filled} filled")
    return list(found.values())


def fill(row: s.TradeRow, venue: str) -> VenueFill:
    """A trade, of an order or pushed alone, to a VenueFill. Raises ParseError.

    No fee is told in dialect A, and 0 in C: the spread holds it (section 5).
    """
    if not row.id or not row.order:
        raise ParseError("trade", "expected the ids of the trade and of its order")
    if row.price is None or row.price <= 0 or row.amount is None or row.amount <= 0:
        raise ParseError(
            "trade", f"expected a price and an amount, received {row.price}, {row.amount}"
        )
    _, quote = split_name(row.symbol)
    maker = row.taker_or_maker.lower()
    return VenueFill(
        venue_order_id=row.order,
        trade_id=row.id,
        instrument=instrument_id(row.symbol, venue),
        side=side_of(row.side, "trade"),
        quantity=row.amount,
        price=row.price,
        fee=row.fee or Decimal(0),
        fee_currency=quote,
        client_order_id=row.client_order_id or None,
        is_maker=None if not maker else maker == "maker",
        ts_event=ms_to_ns(row.timestamp),
    )


def balances(payload: s.Balances, account: str) -> list[VenueBalance]:
    """One account type's assets. Raises ParseError where it is not among the types told."""
    held = payload.accounts.get(account)
    if held is None:
        told = ", ".join(sorted(payload.accounts)) or "none"
        raise ParseError("balances", f"expected account type {account}, received {told[:200]}")
    return [
        VenueBalance(
            currency=asset,
            free=not_negative(holding.free, asset),
            locked=not_negative(holding.used, asset),
        )
        for asset, holding in held.items()
    ]


# -- the WebSocket ---------------------------------------------------------------------------------


class Notice(StrEnum):
    """What a frame says that is neither data nor an error."""

    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    UNAVAILABLE = "unavailable"  # the price feed is down
    PONG = "pong"
    OTHER = "other"


class Said(msgspec.Struct, frozen=True):
    """A message; `subject` of a subscription is the word before it: price, order."""

    notice: Notice
    subject: str = ""


class Fault(msgspec.Struct, frozen=True):
    """An error frame. `code` is 0 where it is no number."""

    code: int
    message: str


class OrderTold(msgspec.Struct, frozen=True):
    row: s.OrderRow


class TradeTold(msgspec.Struct, frozen=True):
    row: s.TradeRow


Event = Ladder | OrderTold | TradeTold | Said | Fault
_SUBSCRIBED = " subscription successful"


def frame(data: bytes | str) -> Event:
    """A frame of the WebSocket, of any dialect. Raises ParseError."""
    if len(data) > MAX_FRAME_BYTES:
        raise ParseError("frame", f"expected at most {MAX_FRAME_BYTES} bytes, received {len(data)}")
    told = read(data)
    if not isinstance(told, dict):
        raise ParseError("frame", f"expected an object, received {type(told).__name__}")
    if "errorcode" in told or told.get("type") == "error":
        code = told.get("errorcode")
        number = errors.code_of(int(code) if isinstance(code, Decimal) else code)
        return Fault(number or 0, bounded(str(told.get("errormessage", ""))))
    return _event(told)


def _event(told: Mapping[str, Any]) -> Event:
    type_, channel, data = told.get("type"), told.get("channel"), told.get("data")
    channel = channel if isinstance(channel, str) else ""
    if channel_symbol(channel) or type_ == "price" or _levels_of(data) is not None:
        return _ladder(data, channel_symbol(channel))
    if channel in ORDER_CHANNELS or (type_ in ("order", "orders") and data is not None):
        return OrderTold(converted(data, s.OrderRow))
    if channel in TRADE_CHANNELS or (type_ == "trade" and data is not None):
        return TradeTold(converted(data, s.TradeRow))
    words = told.get("message")
    return _said(words) if isinstance(words, str) else Said(Notice.OTHER)


def _said(words: str) -> Said:
    plain = words.strip().rstrip(".").lower()
    if plain == "successfully connected":
        return Said(Notice.CONNECTED)
    if plain == "price stream unavailable":
        return Said(Notice.UNAVAILABLE)
    if plain == "pong":
        return Said(Notice.PONG)
    if plain.endswith(_SUBSCRIBED):
        return Said(Notice.SUBSCRIBED, plain.removesuffix(_SUBSCRIBED)[:20])
    return Said(Notice.OTHER)


def _levels_of(data: Any) -> Mapping[str, Any] | None:
    """The object with levels: `data` itself, or the one within it."""
    while isinstance(data, dict):
        if "bids" in data or "asks" in data:
            return data
        data = data.get("data")
    return None


def _ladder(data: Any, named: str) -> Ladder:
    levels = _levels_of(data)
    if levels is None:
        raise ParseError("ladder", "expected bids and asks, received none")
    symbol = data.get("symbol", named)
    if not isinstance(symbol, str) or (named and named != symbol):
        raise ParseError("ladder", f"of {str(symbol)[:40]!r}, in the channel of {named[:40]!r}")
    split_name(symbol)
    body = converted({"bids": [], "asks": [], **levels}, s.LadderBody)
    bids, asks = _tiers(body.bids), _tiers(body.asks)
    return Ladder(symbol, bids, asks, _seconds_to_ns(data.get("timestamp")))


def _tiers(rows: list[tuple[Decimal, Decimal]]) -> tuple[Tier, ...]:
    if len(rows) > MAX_TIERS:
        raise ParseError("ladder", f"expected at most {MAX_TIERS} tiers, received {len(rows)}")
    if any(not 0 < price < MAX_VALUE or not 0 <= size < MAX_VALUE for price, size in rows):
        raise ParseError("ladder", f"expected prices above 0, sizes of 0 or more, < {MAX_VALUE}")
    return tuple(Tier(price, size) for price, size in rows if size)


def _seconds_to_ns(value: Any) -> int:
    """Epoch seconds, with a fraction, to nanoseconds; 0 where none is told. Raises ParseError."""
    if value is None:
        return 0
    try:
        seconds = decimal(Decimal(value), "timestamp")
    except (ArithmeticError, ValueError, TypeError) as e:
        raise ParseError("timestamp", "expected epoch seconds") from e
    if not _MS_MIN <= seconds * 1000 <= _MS_MAX:
        raise ParseError("timestamp", f"expected epoch seconds, received {str(seconds)[:40]}")
    return int(seconds * NS_PER_SEC)
