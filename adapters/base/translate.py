"""Between NautilusTrader's order objects and the words of the order path. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AvgPxReconciliation,
    FillReport,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    OrderStatus,
    OrderStatusReport,
    OrderType,
    PositionSide,
    PositionStatusReport,
    Price,
    Quantity,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine import identifiers
from fairlead.engine.currencies import currency
from fairlead.engine.orders.journal import Position
from fairlead.engine.orders.live import STOP_KINDS, LiveOrder
from fairlead.engine.orders.model import (
    REDUCE_TAG,
    Intent,
    Kind,
    OrderState,
    Side,
    Tif,
    VenueBalance,
    VenueFill,
    VenueOrder,
    role_of,
    room_of,
)
from fairlead.engine.orders.trigger import condition_of

ORDER_TYPES: Mapping[Kind, Any] = {
    Kind.LIMIT: OrderType.LIMIT,
    Kind.MARKET: OrderType.MARKET,
    Kind.STOP_LIMIT: OrderType.STOP_LIMIT,
    Kind.LIMIT_IF_TOUCHED: OrderType.LIMIT_IF_TOUCHED,
    Kind.STOP_MARKET: OrderType.STOP_MARKET,
    Kind.MARKET_IF_TOUCHED: OrderType.MARKET_IF_TOUCHED,
    Kind.TRAILING_STOP_MARKET: OrderType.TRAILING_STOP_MARKET,
}
SIDES: Mapping[Side, Any] = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
TIFS: Mapping[Tif, Any] = {
    Tif.GTC: TimeInForce.GTC,
    Tif.IOC: TimeInForce.IOC,
    Tif.FOK: TimeInForce.FOK,
}
STATUSES: Mapping[OrderState, Any] = {
    state: getattr(OrderStatus, state.status) for state in OrderState
}


def dec(value: object) -> Decimal | None:
    """A NautilusTrader Price or Quantity, exact; None stays None."""
    return None if value is None else Decimal(str(value))


def intent_of(order: Any, ts_init: int) -> Intent:
    """The intent that sends this NautilusTrader order.

    Raises ValueError for what no venue can be asked: an order type, time in force or quantity
    denomination that the order path does not know.
    """
    kind = _kind_of(order)
    if getattr(order, "is_quote_quantity", False):
        raise ValueError("quantity is in quote currency; expected base units")
    if getattr(order, "display_qty", None) is not None:
        raise ValueError("display quantity; expected an order that is shown whole")
    tif = order.time_in_force.name
    if tif not in Tif.__members__:
        raise ValueError(f"time in force {tif}; expected one of {', '.join(Tif.__members__)}")
    side = Side(order.side.name)
    quantity = dec(order.quantity)
    assert quantity is not None
    tags = getattr(order, "tags", None)
    reduce_only = bool(getattr(order, "is_reduce_only", False)) or REDUCE_TAG in (tags or ())
    return Intent(
        client_order_id=str(order.client_order_id),
        strategy=str(order.strategy_id),
        instrument=str(order.instrument_id),
        side=side,
        kind=kind,
        quantity=quantity,
        price=dec(getattr(order, "price", None)),
        trigger_price=_trigger_of(order, kind),
        trigger_condition=condition_of(kind, side) if kind in STOP_KINDS else None,
        time_in_force=Tif(tif),
        post_only=bool(getattr(order, "is_post_only", False)),
        reduce_only=reduce_only,
        ts_init=ts_init,
        role=role_of(tags, reduce_only=reduce_only),
        trailing_offset=_offset_of(order, kind),
        room_for=room_of(tags),
    )


def _kind_of(order: Any) -> Kind:
    name = order.order_type.name
    if name not in Kind.__members__:
        raise ValueError(f"order type {name}; expected one of {', '.join(Kind.__members__)}")
    return Kind(name)


def _trigger_of(order: Any, kind: Kind) -> Decimal | None:
    if kind is Kind.TRAILING_STOP_MARKET:
        return dec(order.activation_price)
    return dec(getattr(order, "trigger_price", None)) if kind in STOP_KINDS else None


def _offset_of(order: Any, kind: Kind) -> Decimal | None:
    if kind is not Kind.TRAILING_STOP_MARKET:
        return None
    how = order.trailing_offset_type
    if how != TrailingOffsetType.BASIS_POINTS:
        raise ValueError(f"trailing offset in {how.name}; expected BASIS_POINTS")
    return dec(order.trailing_offset)


def price_of(value: Decimal, instrument: VenueInstrument) -> Any:
    return Price.from_str(f"{value:.{instrument.price_precision}f}")


def quantity_of(value: Decimal, instrument: VenueInstrument) -> Any:
    return Quantity.from_str(f"{value:.{instrument.size_precision}f}")


def whole(value: Decimal, instrument: VenueInstrument) -> Decimal:
    """What of it, towards zero, is whole size increments."""
    return value.quantize(Decimal(1).scaleb(-instrument.size_precision), rounding=ROUND_DOWN)


def money_of(value: Decimal, code: str) -> Any:
    known = currency(code)
    return Money.from_decimal(round(value, known.precision), known)


def liquidity_of(fill: VenueFill, kind: Kind) -> Any:
    """Maker or taker; where the venue doesn't say, what the order type makes likely."""
    maker = fill.is_maker if fill.is_maker is not None else kind is Kind.LIMIT
    return LiquiditySide.MAKER if maker else LiquiditySide.TAKER


def account_balances(balances: list[VenueBalance]) -> list[Any]:
    told = []
    for balance in balances:
        free = money_of(balance.free, balance.currency)
        locked = money_of(balance.locked, balance.currency)
        told.append(AccountBalance(free + locked, locked, free))
    return told


def live_report(order: LiveOrder, account: Any, instrument: VenueInstrument, now: int) -> Any:
    """What the desk knows of one of its orders."""
    intent = order.told
    status = STATUSES[order.state]
    if order.held is not None and not order.is_proven and not order.is_held:
        status = OrderStatus.TRIGGERED  # released, and the venue has not shown it yet
    if order.filled > 0 and order.state in (OrderState.OPEN, OrderState.WAITING):
        status = OrderStatus.PARTIALLY_FILLED
    return _report(
        intent,
        account,
        instrument,
        venue_order_id=order.venue_order_id or intent.client_order_id,
        status=status,
        filled=order.filled,
        avg_price=order.cost / order.filled if order.filled else None,
        ts_accepted=order.ts_sent,
        now=now,
    )


def external_report(state: VenueOrder, account: Any, instrument: VenueInstrument, now: int) -> Any:
    """What the venue says of an order that is not the desk's."""
    intent = Intent(
        client_order_id=state.client_order_id or state.venue_order_id,
        strategy="EXTERNAL",
        instrument=state.instrument,
        side=state.side,
        kind=state.kind,
        quantity=state.quantity,
        price=state.price,
        trigger_price=state.trigger_price,
        trigger_condition=state.trigger_condition,
        time_in_force=state.time_in_force,
        post_only=state.post_only,
    )
    partial = state.filled > 0 and not state.state.is_terminal
    return _report(
        intent,
        account,
        instrument,
        venue_order_id=state.venue_order_id,
        status=OrderStatus.PARTIALLY_FILLED if partial else STATUSES[state.state],
        filled=state.filled,
        avg_price=state.avg_price,
        ts_accepted=state.ts_created or now,
        now=now,
    )


def filled_report(
    intent: Intent,
    venue_order_id: str,
    fills: Sequence[VenueFill],
    ended: Any | None,
    account: Any,
    instrument: VenueInstrument,
    now: int,
) -> Any:
    """An order as its executions tell it; `ended` is the status it ended with, None if by them."""
    filled = sum((fill.quantity for fill in fills), Decimal(0))
    cost = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    is_full = filled >= intent.quantity
    return _report(
        intent,
        account,
        instrument,
        venue_order_id=venue_order_id,
        status=ended or (OrderStatus.FILLED if is_full else OrderStatus.PARTIALLY_FILLED),
        filled=filled,
        avg_price=cost / filled if filled else None,
        ts_accepted=fills[0].ts_event if fills else now,
        now=now,
    )


def _report(
    intent: Intent,
    account: Any,
    instrument: VenueInstrument,
    *,
    venue_order_id: str,
    status: Any,
    filled: Decimal,
    avg_price: Decimal | None,
    ts_accepted: int,
    now: int,
) -> Any:
    trigger, offset = intent.trigger_price, intent.trailing_offset
    level = None if trigger is None else price_of(trigger, instrument)
    return OrderStatusReport(
        AccountId(str(account)),
        InstrumentId.from_str(intent.instrument),
        identifiers.venue_order_id(venue_order_id),
        SIDES[intent.side],
        ORDER_TYPES[intent.kind],
        TIFS[intent.time_in_force],
        status,
        quantity_of(intent.quantity, instrument),
        quantity_of(filled, instrument),
        ts_accepted,
        now,
        now,
        client_order_id=identifiers.client_order_id(intent.client_order_id),
        price=None if intent.price is None else price_of(intent.price, instrument),
        activation_price=None if offset is None else level,
        trigger_price=level if offset is None else None,
        trigger_type=None if trigger is None else TriggerType.LAST_PRICE,
        trailing_offset=offset,
        trailing_offset_type=None if offset is None else TrailingOffsetType.BASIS_POINTS,
        avg_px=avg_price,
        post_only=intent.post_only,
        reduce_only=intent.reduce_only,
    )


def fill_report(fill: VenueFill, kind: Kind, account: Any, instrument: VenueInstrument) -> Any:
    assert fill.client_order_id is not None
    return FillReport(
        AccountId(str(account)),
        InstrumentId.from_str(fill.instrument),
        identifiers.venue_order_id(fill.venue_order_id),
        identifiers.trade_id(fill.trade_id),
        SIDES[fill.side],
        quantity_of(fill.quantity, instrument),
        price_of(fill.price, instrument),
        money_of(fill.fee, fill.fee_currency),
        liquidity_of(fill, kind),
        fill.ts_event,
        fill.ts_event,
        client_order_id=identifiers.client_order_id(fill.client_order_id),
    )


def position_report(position: Position, quantity: Decimal, account: Any, now: int) -> Any:
    """The position as `quantity`, signed base units, at the average price that it cost."""
    side = PositionSide.LONG if quantity > 0 else PositionSide.SHORT
    return PositionStatusReport(
        AccountId(str(account)),
        InstrumentId.from_str(position.instrument),
        side if quantity else PositionSide.FLAT,
        Quantity.from_str(f"{abs(quantity):f}"),
        now,
        now,
        avg_px_open=position.avg_price,
        avg_px_open_reconciliation=AvgPxReconciliation.OPENING_ONLY,
    )
