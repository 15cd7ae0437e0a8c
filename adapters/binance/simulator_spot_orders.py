"""Spot orders of the simulated Binance: read, filtered, placed, cancelled, and told.

Source: Spot "Trading endpoints", "Filters", "Error Codes".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.binance.simulator_auth import ApiError, missing
from fairlead.adapters.binance.simulator_info import OPEN_ORDERS_MAX, SPOT_TYPES
from fairlead.adapters.binance.simulator_markets import SimMarket, fixed, millis
from fairlead.adapters.binance.simulator_orders import (
    check_step,
    name_of,
    number_of,
    side_of,
    status_of,
)
from fairlead.adapters.binance.simulator_state import SPOT_ACCOUNT, BinanceState, Call
from fairlead.adapters.simulation.orders import (
    FillEntry,
    NewOrder,
    Refusal,
    RefusalCode,
    SimOrder,
    Status,
)
from fairlead.adapters.simulation.validate import is_on_step
from fairlead.engine.orders.model import Side, Tif, TriggerCondition

ZERO = Decimal(0)
STOP_TYPES = ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
_SELF_TRADE: dict[str, Any] = {"NONE": "allow", "EXPIRE_TAKER": "expire_taker"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A new order after the checks that need no book. One of quantity and value is there."""

    market: SimMarket
    side: Side
    type: str
    time_in_force: Tif
    price: Decimal | None
    quantity: Decimal | None
    value: Decimal | None  # quoteOrderQty
    stop_price: Decimal | None
    client_order_id: str
    self_trade: str


def read(venue: BinanceState, call: Call) -> Asked:
    """Raises ApiError with the code of the first thing that is wrong."""
    market = venue.market_of(call)
    side, kind = side_of(call), call.need("type")
    if kind not in SPOT_TYPES:
        raise ApiError(-1116)
    numbers = {n: number_of(call, n) for n in ("price", "quantity", "quoteOrderQty", "stopPrice")}
    _check_presence(call, kind, numbers)
    time_in_force = call.params.get("timeInForce") or "GTC"
    if time_in_force not in ("GTC", "IOC", "FOK"):
        raise ApiError(-1115)
    self_trade = call.params.get("selfTradePreventionMode") or "EXPIRE_TAKER"
    if self_trade not in _SELF_TRADE:
        raise ApiError(-1130, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
    asked = Asked(
        market=market,
        side=side,
        type=kind,
        time_in_force=Tif(time_in_force),
        price=numbers["price"],
        quantity=numbers["quantity"],
        value=numbers["quoteOrderQty"],
        stop_price=numbers["stopPrice"],
        client_order_id=name_of(venue, call),
        self_trade=self_trade,
    )
    if number_of(call, "icebergQty"):
        raise ApiError(-2010, "Iceberg orders are not supported for this symbol.")
    _filter(venue, asked)
    return asked


def _check_presence(call: Call, kind: str, numbers: dict[str, Decimal | None]) -> None:
    """What each type needs, and what it takes not. Raises ApiError -1102 or -1106."""
    needed: tuple[str, ...] = ("quantity", "price")
    refused: tuple[str, ...] = ("quoteOrderQty", "stopPrice")
    if kind == "MARKET":
        by_value = numbers["quoteOrderQty"] is not None
        needed = ("quoteOrderQty",) if by_value else ("quantity",)
        refused = ("price", "stopPrice", "timeInForce", *(("quantity",) if by_value else ()))
    elif kind in STOP_TYPES:
        needed, refused = (*needed, "stopPrice"), ("quoteOrderQty",)
    elif kind == "LIMIT_MAKER":
        refused = (*refused, "timeInForce")
    if kind in ("LIMIT", *STOP_TYPES) and not call.params.get("timeInForce"):
        raise missing("timeInForce")
    for name in needed:
        if numbers[name] is None:
            raise missing(name)
    for name in refused:
        if call.params.get(name):
            raise ApiError(-1106, f"Parameter '{name}' sent when not required.")


def _failure(name: str) -> ApiError:
    return ApiError(-1013, f"Filter failure: {name}")


def _filter(venue: BinanceState, asked: Asked) -> None:
    """PRICE_FILTER, LOT_SIZE, NOTIONAL, MAX_NUM_ORDERS. Raises ApiError -1111 or -1013."""
    market = asked.market
    for price in (asked.price, asked.stop_price):
        if price is not None:
            check_step(market, price, market.tick_scale, _failure("PRICE_FILTER"))
            if not market.tick <= price <= market.max_price:
                raise _failure("PRICE_FILTER")
    if asked.quantity is not None:
        check_step(market, asked.quantity, market.step_scale, _failure("LOT_SIZE"))
        if not market.step <= asked.quantity <= market.max_quantity:
            raise _failure("LOT_SIZE")
    if asked.value is not None and not is_on_step(asked.value, 8):
        raise ApiError(-1111)
    price = venue.last_price(market) if asked.price is None else asked.price
    value = price * asked.quantity if asked.quantity is not None else asked.value
    if value is not None and value < market.min_notional:
        raise _failure("NOTIONAL")
    if len(venue.exchange.open_orders(SPOT_ACCOUNT, market.id)) >= OPEN_ORDERS_MAX:
        raise _failure("MAX_NUM_ORDERS")


def place(venue: BinanceState, asked: Asked) -> SimOrder:
    """Raises ApiError."""
    condition = _condition(venue, asked)
    quantity, value = asked.quantity, asked.value
    if value is not None and asked.side is Side.SELL:
        quantity, value = _quantity_of(venue, asked, value), None
    if value is not None:
        scale = asked.market.tick_scale + asked.market.step_scale
        value = value.quantize(Decimal(1).scaleb(-scale)) if not is_on_step(value, scale) else value
    made = venue.exchange.submit(
        SPOT_ACCOUNT,
        NewOrder(
            market=asked.market.id,
            side=asked.side,
            quantity=quantity,
            quote_amount=value,
            price=asked.price,
            trigger_price=asked.stop_price,
            trigger_condition=condition,
            time_in_force=asked.time_in_force,
            post_only=asked.type == "LIMIT_MAKER",
            client_order_id=asked.client_order_id,
            self_trade=_SELF_TRADE[asked.self_trade],
        ),
        venue.exchange.now_ns,
    )
    if isinstance(made, Refusal):
        raise _refused(made)
    return made


def _quantity_of(venue: BinanceState, asked: Asked, value: Decimal) -> Decimal:
    """What a market sell by value sells: as much as brings it in, by whole steps.

    Raises ApiError -1013.
    """
    left, quantity = value, ZERO
    for price, size in venue.exchange.markets[asked.market.id].book.bids.levels(5000):
        taken = min(size, left / price)
        quantity, left = quantity + taken, left - taken * price
        if left <= 0:
            break
    quantity = quantity // asked.market.step * asked.market.step
    if quantity <= 0:
        raise _failure("LOT_SIZE")
    return quantity


def _condition(venue: BinanceState, asked: Asked) -> TriggerCondition | None:
    """Which way the price has to go. Raises ApiError -2010 if it is there."""
    if asked.stop_price is None:
        return None
    is_rising = (asked.type == "STOP_LOSS_LIMIT") == (asked.side is Side.BUY)
    last = venue.last_price(asked.market)
    if last >= asked.stop_price if is_rising else last <= asked.stop_price:
        raise ApiError(-2010, "Stop price would trigger immediately.")
    return TriggerCondition.GTE if is_rising else TriggerCondition.LTE


def _refused(refusal: Refusal) -> ApiError:
    messages = {
        RefusalCode.INSUFFICIENT_FUNDS: "Account has insufficient balance for requested action.",
        RefusalCode.DUPLICATE_CLIENT_ID: "Duplicate order sent.",
        RefusalCode.WOULD_TAKE: "Order would immediately match and take.",
        RefusalCode.MARKET_HALTED: "Market is closed.",
    }
    return ApiError(-2010, messages.get(refusal.code, refusal.message))


def cancel(venue: BinanceState, order: SimOrder, name: str) -> SimOrder:
    """`name` is the cancel's own client id. Raises ApiError -2011."""
    if order.status.is_terminal:
        raise ApiError(-2011)
    venue.news.cancel_names[order.id] = name
    made = venue.exchange.cancel(SPOT_ACCOUNT, order.id, venue.exchange.now_ns)
    if isinstance(made, Refusal):
        raise ApiError(-2011)
    return made


# -- what is told ---------------------------------------------------------------------------------


def spot_type(order: SimOrder) -> str:
    if order.trigger_price is not None:
        is_rising = order.trigger_condition is TriggerCondition.GTE
        is_stop = is_rising == (order.side is Side.BUY)
        return "STOP_LOSS_LIMIT" if is_stop else "TAKE_PROFIT_LIMIT"
    if order.is_market:
        return "MARKET"
    return "LIMIT_MAKER" if order.post_only else "LIMIT"


def _common(venue: BinanceState, order: SimOrder) -> dict[str, Any]:
    market = venue.markets[order.market]
    row = {
        "price": market.price_text(order.price or ZERO),
        "origQty": market.size_text(order.quantity),
        "executedQty": market.size_text(order.executed),
        "origQuoteOrderQty": fixed(order.quote_amount or ZERO, 8),
        "cummulativeQuoteQty": fixed(order.funds, 8),
        "status": status_of(order),
        "timeInForce": order.time_in_force.value,
        "type": spot_type(order),
        "side": order.side.value,
    }
    if order.trigger_price is not None:
        row["stopPrice"] = market.price_text(order.trigger_price)
    return row


def _ids(venue: BinanceState, order: SimOrder) -> dict[str, Any]:
    return {
        "symbol": venue.markets[order.market].symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id or "",
    }


def new_row(venue: BinanceState, order: SimOrder, wanted: str) -> dict[str, Any]:
    """The answer to a new order: ACK, RESULT or FULL."""
    row = _ids(venue, order) | {"transactTime": millis(order.ts_created)}
    if wanted == "ACK":
        return row
    row |= _common(venue, order)
    row |= {"workingTime": _working(order), "selfTradePreventionMode": "EXPIRE_TAKER"}
    if wanted == "FULL":
        fills = venue.exchange.ledger.fills_of(order.id)
        row["fills"] = [_part(venue, fill) for fill in fills]
    return row


def _part(venue: BinanceState, fill: FillEntry) -> dict[str, Any]:
    market = venue.markets[fill.market]
    return {
        "price": market.price_text(fill.price),
        "qty": market.size_text(fill.quantity),
        "commission": fixed(fill.fee, 8),
        "commissionAsset": fill.fee_currency,
        "tradeId": fill.trade_id,
    }


def _working(order: SimOrder) -> int:
    """When it came on the book; -1 for a stop that waits."""
    if order.trigger_price is not None and order.ts_triggered is None:
        return -1
    return millis(order.ts_triggered or order.ts_created)


def order_row(venue: BinanceState, order: SimOrder) -> dict[str, Any]:
    return {
        **_ids(venue, order),
        "stopPrice": venue.markets[order.market].price_text(ZERO),
        **_common(venue, order),
        "icebergQty": "0.00000000",
        "time": millis(order.ts_created),
        "updateTime": millis(order.ts_updated),
        "isWorking": order.status is not Status.WAIT_TRIGGER,
        "workingTime": _working(order),
        "selfTradePreventionMode": "EXPIRE_TAKER",
    }


def cancel_row(venue: BinanceState, order: SimOrder) -> dict[str, Any]:
    return {
        **_ids(venue, order),
        "origClientOrderId": order.client_order_id or "",
        "clientOrderId": venue.news.cancel_names.get(order.id, ""),
        "transactTime": millis(order.ts_updated),
        **_common(venue, order),
        "selfTradePreventionMode": "EXPIRE_TAKER",
    }


def trade_row(venue: BinanceState, fill: FillEntry) -> dict[str, Any]:
    market = venue.markets[fill.market]
    return {
        "symbol": market.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": market.price_text(fill.price),
        "qty": market.size_text(fill.quantity),
        "quoteQty": fixed(fill.price * fill.quantity, 8),
        "commission": fixed(fill.fee, 8),
        "commissionAsset": fill.fee_currency,
        "time": millis(fill.ts_event),
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def name_of_cancel(venue: BinanceState, call: Call) -> str:
    """`newClientOrderId` of a cancel, or one of ours. Raises ApiError."""
    return name_of(venue, call)
