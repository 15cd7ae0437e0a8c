"""The rows of a venue's JSON that every venue has, under the venue's own names (part of `kit`).

    ORDER, ORDERS = decoders(OrderRow, venue_order_id="id", quantity="size")

reads `{"id": 7, "size": "0.5", ...}`. A venue with another shape has a struct of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from fairlead.adapters.base.decode import Answer, above_zero, not_negative
from fairlead.adapters.base.kit_stream import TradeNews
from fairlead.adapters.base.spot import FeeTable, spot_instrument
from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.engine.orders.model import (
    Kind,
    OrderRef,
    OrderState,
    Side,
    VenueFill,
    VenueOrder,
)

MS = 1_000_000
MS_MAX = 10**13
_ZERO = Decimal(0)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What `decoders` takes."""


class MarketRow(Row, frozen=True, kw_only=True):
    """A spot market; `fee` is of makers and takers, a fraction of the value."""

    symbol: str
    base: str
    quote: str
    price_precision: int
    size_precision: int
    fee: Decimal
    min_quantity: Decimal = _ZERO
    min_notional: Decimal = _ZERO

    def instrument(self, venue: str, ts_ns: int) -> VenueInstrument:
        """Raises ParseError."""
        return spot_instrument(
            id=f"{self.symbol}.{venue}",
            symbol=self.symbol,
            base=self.base.upper(),
            quote=self.quote.upper(),
            price_precision=self.price_precision,
            size_precision=self.size_precision,
            min_quantity=self.min_quantity,
            min_notional=self.min_notional,
            fees=FeeTable(maker=self.fee, taker=self.fee),
            tradable=True,
            state="online",
            ts_ns=ts_ns,
        )


class OrderRow(Row, frozen=True, kw_only=True):
    """An order. `value` is what its executions cost in quote; without a price it is MARKET."""

    venue_order_id: str | int
    side: str
    quantity: Decimal
    filled: Decimal
    state: str
    client_order_id: str | None = None
    price: Decimal | None = None
    value: Decimal = _ZERO
    created_ms: int = 0
    updated_ms: int = 0

    def order(self, market: VenueInstrument, states: Mapping[str, OrderState]) -> VenueOrder:
        """`states` are the venue's words. Raises ParseError for another."""
        if self.state not in states:
            raise ParseError("order", f"state {self.state[:40]!r}, expected {', '.join(states)}")
        return VenueOrder(
            venue_order_id=str(self.venue_order_id),
            client_order_id=self.client_order_id,
            instrument=market.id,
            side=_side(self.side),
            kind=Kind.MARKET if self.price is None else Kind.LIMIT,
            state=states[self.state],
            quantity=above_zero(self.quantity, "order"),
            filled=not_negative(self.filled, "order"),
            avg_price=self.value / self.filled if self.filled and self.value else None,
            price=self.price,
            ts_created=ns_of(self.created_ms),
            ts_updated=ns_of(self.updated_ms),
        )


class FillRow(Row, frozen=True, kw_only=True):
    """An execution of an order, or a trade of the market, whose side is then the aggressor's."""

    trade_id: str | int
    side: str
    price: Decimal
    quantity: Decimal
    ms: int
    fee: Decimal = _ZERO
    fee_currency: str = ""
    is_maker: bool | None = None

    def fill(self, ref: OrderRef, market: VenueInstrument) -> VenueFill:
        """Raises ParseError."""
        return VenueFill(
            venue_order_id=ref.venue_order_id or "",
            client_order_id=ref.client_order_id,
            trade_id=str(self.trade_id),
            instrument=market.id,
            side=_side(self.side),
            quantity=above_zero(self.quantity, "trade"),
            price=above_zero(self.price, "trade"),
            fee=self.fee,
            fee_currency=self.fee_currency.upper() or market.quote,
            is_maker=self.is_maker,
            ts_event=ns_of(self.ms),
        )

    def trade(self, symbol: str) -> TradeNews:
        """Raises ParseError."""
        number, side = str(self.trade_id), _side(self.side)
        price, quantity = above_zero(self.price, "trade"), above_zero(self.quantity, "trade")
        return TradeNews(symbol, number, side, price, quantity, ns_of(self.ms))


def decoders[R: Row](kind: type[R], **names: str) -> tuple[Answer[R], Answer[list[R]]]:
    """Of one row and of a list; `names` are those of the venue's JSON, by ours."""
    unknown = names.keys() - set(kind.__struct_fields__)
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    fields = [
        (
            one.name,
            one.type,
            msgspec.field(name=names.get(one.name, one.name), default=one.default),
        )
        for one in msgspec.structs.fields(kind)
    ]
    named = msgspec.defstruct(kind.__name__, fields, bases=(kind,), frozen=True, kw_only=True)
    return Answer(named), Answer(list[named])  # type: ignore[valid-type, arg-type]


def ns_of(ms: int) -> int:
    """Milliseconds of a venue as nanoseconds. Raises ParseError beyond the year 2286."""
    if not 0 <= ms <= MS_MAX:
        raise ParseError("time", f"{ms} is no time in milliseconds")
    return ms * MS


def _side(text: str) -> Side:
    if text.upper() not in Side.__members__:
        raise ParseError("side", f"expected buy or sell, received {text[:40]!r}")
    return Side(text.upper())
