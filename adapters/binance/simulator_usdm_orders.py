"""Futures orders of the simulated Binance: read, checked, placed, changed, and told.

Source: USD-M "New Order", "Modify Order", "Cancel Order", "Query Order", "Error Codes".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.binance.simulator_auth import ApiError, missing
from fairlead.adapters.binance.simulator_info import (
    OPEN_ORDERS_MAX,
    PERCENT_DOWN,
    PERCENT_UP,
    USDM_TIMES,
)
from fairlead.adapters.binance.simulator_markets import Product, SimMarket, fixed, millis
from fairlead.adapters.binance.simulator_orders import (
    book_of,
    check_step,
    find,
    flag,
    name_of,
    number_of,
    side_of,
    status_of,
)
from fairlead.adapters.binance.simulator_positions import ZERO, OrderMeta
from fairlead.adapters.binance.simulator_public import stamp
from fairlead.adapters.binance.simulator_state import USDM_ACCOUNT, BinanceState, Call
from fairlead.adapters.simulation.orders import (
    FillEntry,
    NewOrder,
    Refusal,
    RefusalCode,
    SimOrder,
    Status,
)
from fairlead.engine.orders.model import Side, Tif

ALGO_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
WORKING_TYPES = ("CONTRACT_PRICE", "MARK_PRICE")
GOOD_TILL_AHEAD_MS = 600_000
GOOD_TILL_END_MS = 253_402_300_799_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A new order after the checks that need no book; `type` is LIMIT or MARKET."""

    market: SimMarket
    side: Side
    type: str
    time_in_force: str
    price: Decimal | None
    quantity: Decimal
    client_order_id: str
    position_side: str
    is_reduce_only: bool
    good_till_ms: int = 0
    is_closing: bool = False
    working_type: str = "CONTRACT_PRICE"
    stop_price: Decimal = ZERO
    original_type: str = ""


def read(venue: BinanceState, call: Call) -> Asked:
    """Raises ApiError with the code of the first thing that is wrong."""
    market = venue.market_of(call)
    side, kind = side_of(call), call.need("type")
    if kind in ALGO_TYPES:
        raise ApiError(-4120)
    if kind not in ("LIMIT", "MARKET"):
        raise ApiError(-1116)
    price, quantity = number_of(call, "price"), number_of(call, "quantity")
    if quantity is None:
        raise missing("quantity")
    times = call.params.get("timeInForce")
    if kind == "LIMIT":
        price = _limit_price(market, price)
        if not times:
            raise missing("timeInForce")
    elif price is not None:
        raise ApiError(-1106, "Parameter 'price' sent when not required.")
    check_quantity(market, quantity)
    time_in_force = _time_in_force(times or "GTC")
    position_side = position_side_of(venue, call)
    asked = Asked(
        market=market,
        side=side,
        type=kind,
        time_in_force=time_in_force,
        price=price,
        quantity=quantity,
        client_order_id=name_of(venue, call),
        position_side=position_side,
        is_reduce_only=is_reducing(venue, call, position_side, side),
        good_till_ms=good_till(venue, call) if time_in_force == "GTD" else 0,
    )
    check_notional(venue, asked)
    return asked


def _limit_price(market: SimMarket, price: Decimal | None) -> Decimal:
    """Raises ApiError -1102, -4001, -1111, -4014 or -4016."""
    if price is None:
        raise missing("price")
    check_price(market, price)
    return price


def check_price(market: SimMarket, price: Decimal) -> None:
    """Raises ApiError -4001, -1111, -4014 or -4016."""
    if price <= 0:
        raise ApiError(-4001, "Price less than 0.")
    tick = ApiError(-4014, "Price not increased by tick size.")
    check_step(market, price, market.tick_scale, tick)
    if price > market.max_price:
        raise ApiError(-4016, f"Limit price can't be higher than {market.max_price}.")


def check_quantity(market: SimMarket, quantity: Decimal) -> None:
    """Raises ApiError -4003, -1111 or -4005."""
    if quantity < market.step:
        raise ApiError(-4003, "Quantity less than or equal to zero.")
    precision = ApiError(-1111, "Precision is over the maximum defined for this asset.")
    check_step(market, quantity, market.step_scale, precision)
    if quantity > market.max_quantity:
        raise ApiError(-4005, "Quantity greater than max quantity.")


def check_notional(venue: BinanceState, asked: Asked) -> None:
    """Raises ApiError -4164. A market order counts at the last price."""
    market = asked.market
    price = venue.last_price(market) if asked.price is None else asked.price
    if not asked.is_reduce_only and price * asked.quantity < market.min_notional:
        raise ApiError(-4164, limit=market.min_notional)


def _check_percent(
    venue: BinanceState, market: SimMarket, side: Side, price: Decimal | None
) -> None:
    """PERCENT_PRICE: a BUY not too far above the mark price, a SELL not too far below; an order
    without a price by the best that it would meet. Raises ApiError -4016, -4024 or -4131.
    """
    mark, told = venue.last_price(market), price
    if told is None:
        best = book_of(venue, market).book.opposite(side).best()
        told = mark if best is None else best.price
    cap, floor = mark * PERCENT_UP, mark * PERCENT_DOWN
    if told <= cap if side is Side.BUY else told >= floor:
        return
    if price is None:
        raise ApiError(-4131)
    if side is Side.BUY:
        text = f"Limit price can't be higher than {market.price_text(cap)}."
        raise ApiError(-4016, text)
    raise ApiError(-4024, f"Limit price can't be lower than {market.price_text(floor)}.")


def _time_in_force(text: str) -> str:
    if text not in USDM_TIMES:
        raise ApiError(-1115)
    return text


def good_till(venue: BinanceState, call: Call) -> int:
    """In ms, to the second. Raises ApiError -1102 or -5040."""
    found = stamp(call, "goodTillDate")
    if found is None:
        raise missing("goodTillDate")
    if not venue.now_ms + GOOD_TILL_AHEAD_MS < found < GOOD_TILL_END_MS:
        raise ApiError(-5040)
    return found // 1000 * 1000


def position_side_of(venue: BinanceState, call: Call) -> str:
    """Raises ApiError -4061."""
    side = call.params.get("positionSide") or "BOTH"
    if side not in venue.usdm.sides():
        raise ApiError(-4061)
    return side


def is_reducing(venue: BinanceState, call: Call, position_side: str, side: Side) -> bool:
    """Whether the order may only close. Raises ApiError -1106: hedge mode has no such flag."""
    is_told = flag(call, "reduceOnly")
    if position_side == "BOTH":
        return is_told
    if call.params.get("reduceOnly") is not None:
        raise ApiError(-1106, "Parameter 'reduceonly' sent when not required.")
    return (position_side == "LONG") == (side is Side.SELL)


def place(venue: BinanceState, asked: Asked) -> SimOrder:
    """Raises ApiError."""
    usdm, market = venue.usdm, asked.market
    _check_percent(venue, market, asked.side, asked.price)
    quantity = asked.quantity
    if asked.is_reduce_only:
        quantity = min(quantity, usdm.reducible(market.symbol, asked.position_side, asked.side))
        if quantity == 0:
            raise ApiError(-2022)
    else:
        _check_margin(venue, asked)
    if len(venue.exchange.open_orders(USDM_ACCOUNT, market.id)) >= OPEN_ORDERS_MAX:
        raise ApiError(-2025, "Reach max open order limit.")
    venue.news.pending = meta_of(asked)
    is_post_only = asked.time_in_force == "GTX"
    made = venue.exchange.submit(
        USDM_ACCOUNT,
        NewOrder(
            market=market.id,
            side=asked.side,
            quantity=quantity,
            price=asked.price,
            time_in_force=Tif(asked.time_in_force)
            if asked.time_in_force in ("IOC", "FOK")
            else Tif.GTC,
            post_only=is_post_only,
            client_order_id=asked.client_order_id,
        ),
        venue.exchange.now_ns,
    )
    if isinstance(made, Refusal):
        raise _refused(made)
    tidy(venue)
    return made


def meta_of(asked: Asked) -> OrderMeta:
    return OrderMeta(
        type=asked.type,
        time_in_force=asked.time_in_force,
        position_side=asked.position_side,
        is_reduce_only=asked.is_reduce_only,
        is_closing=asked.is_closing,
        working_type=asked.working_type,
        asked=asked.quantity,
        stop_price=asked.stop_price,
        original_type=asked.original_type or asked.type,
        good_till_ms=asked.good_till_ms,
    )


def _check_margin(venue: BinanceState, asked: Asked) -> None:
    """Raises ApiError -2019."""
    price = asked.price
    if price is None:
        best = book_of(venue, asked.market).book.opposite(asked.side).best()
        price = best.price if best else venue.last_price(asked.market)
    extra = (asked.market.symbol, asked.side, price * asked.quantity)
    needed, _ = margins(venue, extra)
    if needed > venue.usdm.wallet + unrealized(venue):
        raise ApiError(-2019)


def unrealized(venue: BinanceState) -> Decimal:
    marks = {market.symbol: market for market in venue.of_product(Product.USDM)}
    return sum(
        (one.unrealized(venue.last_price(marks[one.symbol])) for one in venue.usdm.held()), ZERO
    )


def margins(
    venue: BinanceState, extra: tuple[str, Side, Decimal] | None = None
) -> tuple[Decimal, Decimal]:
    """Initial margin of all, and what of it is positions'. `extra` is one more order's value."""
    whole = positions = ZERO
    for market in venue.of_product(Product.USDM):
        usdm, symbol = venue.usdm, market.symbol
        value = ZERO
        for side in ("BOTH", "LONG", "SHORT"):
            value += usdm.position(symbol, side).amount * venue.last_price(market)
        bids = asks = ZERO
        for order in venue.exchange.open_orders(USDM_ACCOUNT, market.id):
            if usdm.metas[order.id].is_reduce_only or order.price is None:
                continue
            if order.side is Side.BUY:
                bids += order.price * order.remaining
            else:
                asks += order.price * order.remaining
        if extra is not None and extra[0] == symbol:
            bids += extra[2] if extra[1] is Side.BUY else ZERO
            asks += extra[2] if extra[1] is Side.SELL else ZERO
        leverage = usdm.leverages[symbol]
        whole += max(abs(value + bids), abs(value - asks), abs(value)) / leverage
        positions += abs(value) / leverage
    return whole, positions


def _refused(refusal: Refusal) -> ApiError:
    codes = {
        RefusalCode.INSUFFICIENT_FUNDS: -2019,
        RefusalCode.DUPLICATE_CLIENT_ID: -4116,
        RefusalCode.UNKNOWN_MARKET: -1121,
        RefusalCode.WOULD_TAKE: -5022,
    }
    if refusal.code is RefusalCode.MARKET_HALTED:
        return ApiError(-4140, "Invalid symbol status for opening position.")
    code = codes.get(refusal.code)
    return ApiError(-1130, refusal.message) if code is None else ApiError(code)


def cancel(venue: BinanceState, order: SimOrder) -> SimOrder:
    """Raises ApiError -2011."""
    made = venue.exchange.cancel(USDM_ACCOUNT, order.id, venue.exchange.now_ns)
    if isinstance(made, Refusal):
        raise ApiError(-2011)
    return made


def tidy(venue: BinanceState) -> None:
    """End what is past its date, and cut reduce-only orders to what there is to reduce."""
    now_ns, usdm = venue.exchange.now_ns, venue.usdm
    for order in venue.exchange.open_orders(USDM_ACCOUNT):
        meta, market = usdm.metas[order.id], venue.markets[order.market]
        if meta.good_till_ms and venue.now_ms >= meta.good_till_ms:
            meta.is_expired = True
        if meta.is_reduce_only:
            left = usdm.reducible(market.symbol, meta.position_side, order.side)
            if left == 0:
                meta.is_expired = True
            elif left < order.remaining and order.price is not None:
                meta.is_clipped_now = True
                wanted = order.executed + left
                venue.exchange.amend(USDM_ACCOUNT, order.id, order.price, wanted, now_ns)
                meta.is_clipped_now = False
        if meta.is_expired:
            venue.exchange.cancel(USDM_ACCOUNT, order.id, now_ns, 0)


def modify(venue: BinanceState, call: Call) -> SimOrder:
    """Price and whole quantity of a limit order. Raises ApiError."""
    order = find(venue, call, -2013)
    market = venue.market_of(call)
    if side_of(call) is not order.side:
        raise ApiError(-1117)
    meta = venue.usdm.metas[order.id]
    if meta.type != "LIMIT":
        raise ApiError(-5025, "Only limit order is supported.")
    quantity, price = number_of(call, "quantity"), number_of(call, "price")
    if quantity is None:
        raise missing("quantity")
    price = _limit_price(market, price)
    check_quantity(market, quantity)
    _check_percent(venue, market, order.side, price)
    if (price, quantity) == (order.price, order.quantity):
        raise ApiError(-5027, "No need to modify the order.")
    before, meta.asked = meta.asked, quantity
    made = venue.exchange.amend(USDM_ACCOUNT, order.id, price, quantity, venue.exchange.now_ns)
    if isinstance(made, Refusal):
        meta.asked = before
        raise ApiError(-2013) if made.code is RefusalCode.NOT_OPEN else _refused(made)
    tidy(venue)
    return made


# -- what is told ---------------------------------------------------------------------------------


def usdm_status(venue: BinanceState, order: SimOrder) -> str:
    """What was clipped and is filled ends EXPIRED: the rest had nothing to reduce."""
    meta = venue.usdm.metas[order.id]
    if meta.is_expired and order.status.is_terminal:
        return "EXPIRED"
    if order.status is Status.FILLED and order.executed < meta.asked:
        return "EXPIRED"
    return status_of(order)


def average_text(market: SimMarket, order: SimOrder) -> str:
    return market.price_text(order.avg_price or ZERO)


def order_row(venue: BinanceState, order: SimOrder) -> dict[str, Any]:
    meta, market = venue.usdm.metas[order.id], venue.markets[order.market]
    return {
        "orderId": order.id,
        "symbol": market.symbol,
        "status": usdm_status(venue, order),
        "clientOrderId": order.client_order_id or "",
        "price": market.price_text(order.price or ZERO),
        "origQty": market.size_text(meta.asked),
        "side": order.side.value,
        **_executed(market, order),
        **_meant(market, meta),
        "time": millis(order.ts_created),
        "updateTime": millis(order.ts_updated),
    }


def tested_row(venue: BinanceState, asked: Asked) -> dict[str, Any]:
    """Of an order that was only checked: there is none, and it has no id."""
    market = asked.market
    return {
        "orderId": 0,
        "symbol": market.symbol,
        "status": "NEW",
        "clientOrderId": asked.client_order_id,
        "price": market.price_text(asked.price or ZERO),
        "origQty": market.size_text(asked.quantity),
        "side": asked.side.value,
        **_executed(market),
        **_meant(market, meta_of(asked)),
        "updateTime": venue.now_ms,
    }


def _executed(market: SimMarket, order: SimOrder | None = None) -> dict[str, Any]:
    executed = market.size_text(ZERO if order is None else order.executed)
    return {
        "avgPrice": market.price_text(ZERO) if order is None else average_text(market, order),
        "executedQty": executed,
        "cumQty": executed,
        "cumQuote": fixed(ZERO if order is None else order.funds, 5),
    }


def _meant(market: SimMarket, meta: OrderMeta) -> dict[str, Any]:
    return {
        "timeInForce": meta.time_in_force,
        "type": meta.type,
        "reduceOnly": meta.is_reduce_only and meta.position_side == "BOTH",
        "closePosition": meta.is_closing,
        "positionSide": meta.position_side,
        "stopPrice": market.price_text(meta.stop_price),
        "workingType": meta.working_type,
        "priceProtect": False,
        "origType": meta.original_type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_TAKER",
        "goodTillDate": meta.good_till_ms,
    }


def trade_row(venue: BinanceState, fill: FillEntry) -> dict[str, Any]:
    market, meta = venue.markets[fill.market], venue.usdm.metas[fill.order_id]
    return {
        "symbol": market.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side.value,
        "price": market.price_text(fill.price),
        "qty": market.size_text(fill.quantity),
        "realizedPnl": fixed(venue.news.profits.get((fill.order_id, fill.trade_id), ZERO), 8),
        "quoteQty": fixed(fill.price * fill.quantity, 5),
        "commission": fixed(fill.fee, 8),
        "commissionAsset": fill.fee_currency,
        "time": millis(fill.ts_event),
        "positionSide": meta.position_side,
        "buyer": fill.side is Side.BUY,
        "maker": fill.is_maker,
    }
