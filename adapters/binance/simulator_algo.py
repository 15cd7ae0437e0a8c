"""The futures' Algo Service of the simulated Binance: conditional orders with numbers of their own.

Source: USD-M "New Algo Order", "Cancel Algo Order", "Query Algo Order", "Event: Algo Order Update".
One waits beside the exchange; when the last (or mark) price reaches its trigger, an order is placed
whose client id is the algo order's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.binance.simulator_algobook import OVER, AlgoOrder
from fairlead.adapters.binance.simulator_auth import ApiError, missing
from fairlead.adapters.binance.simulator_info import OPEN_ORDERS_MAX, USDM_TIMES
from fairlead.adapters.binance.simulator_markets import SimMarket
from fairlead.adapters.binance.simulator_orders import (
    flag,
    name_of,
    number_of,
    side_of,
)
from fairlead.adapters.binance.simulator_positions import ZERO
from fairlead.adapters.binance.simulator_state import USDM_ACCOUNT, BinanceState, Call
from fairlead.adapters.binance.simulator_usdm_orders import (
    ALGO_TYPES,
    WORKING_TYPES,
    Asked,
    check_notional,
    check_price,
    check_quantity,
    good_till,
    is_reducing,
    place,
    position_side_of,
)
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import SimOrder
from fairlead.engine.orders.model import Side

CALLBACK_MIN, CALLBACK_MAX = Decimal("0.1"), Decimal(10)


def create(venue: BinanceState, call: Call) -> AlgoOrder:
    """Raises ApiError."""
    if call.need("algoType") != "CONDITIONAL":
        raise ApiError(-1130, "Data sent for parameter 'algoType' is not valid.")
    algo = _read(venue, call)
    last = venue.last_price(algo.market)
    if algo.is_trailing:
        if algo.activate is None or algo.activate == last:
            algo.best = last
        elif (algo.activate < last) is (algo.side is Side.SELL):
            raise ApiError(-2021)
    elif algo.is_reached(last):
        raise ApiError(-2021)
    held = venue.algos.named(algo.name)
    if held is not None and held.status not in OVER:
        raise ApiError(-4116)
    if len(venue.algos.open()) >= OPEN_ORDERS_MAX:
        raise ApiError(-4045, "Reach max stop order limit.")
    venue.algos.add(algo)
    venue.algos.change(algo, "NEW", venue.now_ms)
    return algo


def _read(venue: BinanceState, call: Call) -> AlgoOrder:
    """Raises ApiError with the code of the first thing that is wrong."""
    market, side, kind = venue.market_of(call), side_of(call), call.need("type")
    if kind not in ALGO_TYPES:
        raise ApiError(-1116)
    trigger, quantity = number_of(call, "triggerPrice"), number_of(call, "quantity")
    callback, activate = ZERO, None
    if kind == "TRAILING_STOP_MARKET":
        callback, activate = _trail(market, call)
        trigger = activate or ZERO
    elif trigger is None:
        raise missing("triggerPrice")
    else:
        check_price(market, trigger)
    price, times = number_of(call, "price"), call.params.get("timeInForce") or "GTC"
    if times not in USDM_TIMES:
        raise ApiError(-1115)
    if kind.endswith("MARKET"):
        if price is not None:
            raise ApiError(-1106, "Parameter 'price' sent when not required.")
    elif price is None:
        raise missing("price")
    else:
        check_price(market, price)
    position_side, is_closing = position_side_of(venue, call), flag(call, "closePosition")
    if is_closing and (quantity is not None or not kind.endswith("MARKET")):
        raise ApiError(-4137, "Quantity must be zero with closePosition equals true")
    if quantity is None and not is_closing:
        raise missing("quantity")
    if quantity is not None:
        check_quantity(market, quantity)
    working = call.params.get("workingType") or "CONTRACT_PRICE"
    if working not in WORKING_TYPES:
        raise ApiError(-1130, "Data sent for parameter 'workingType' is not valid.")
    return AlgoOrder(
        id=venue.algos.new_id(),
        name=name_of(venue, call, "clientAlgoId"),
        market=market,
        side=side,
        type=kind,
        time_in_force=times,
        price=price,
        quantity=quantity or ZERO,
        trigger=trigger,
        working_type=working,
        position_side=position_side,
        is_reduce_only=is_closing or is_reducing(venue, call, position_side, side),
        is_closing=is_closing,
        good_till_ms=good_till(venue, call) if times == "GTD" else 0,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        callback=callback,
        activate=activate,
    )


def _trail(market: SimMarket, call: Call) -> tuple[Decimal, Decimal | None]:
    """Callback rate in percent, and the activation price. Raises ApiError."""
    callback = number_of(call, "callbackRate")
    activate = number_of(call, "activatePrice") or number_of(call, "activationPrice")
    if callback is None:
        raise missing("callbackRate")
    if not CALLBACK_MIN <= callback <= CALLBACK_MAX:
        raise ApiError(-2007, "Invalid callBack rate.")
    if activate is not None:
        check_price(market, activate)
    return callback, activate


def find(venue: BinanceState, call: Call, code: int) -> AlgoOrder:
    """By `algoId` or `clientAlgoId`. Raises ApiError."""
    number, name = call.params.get("algoId"), call.params.get("clientAlgoId")
    if not number and not name:
        raise ApiError(
            -1102, "Param 'clientalgoid' or 'algoid' must be sent, but both were empty/null!"
        )
    found = venue.algos.orders.get(natural(number) or 0) if number else venue.algos.named(str(name))
    if found is None:
        raise ApiError(code)
    return found


def cancel(venue: BinanceState, algo: AlgoOrder) -> None:
    """Raises ApiError -2011."""
    if algo.status != "NEW":
        raise ApiError(-2011)
    venue.algos.change(algo, "CANCELED", venue.now_ms)


def run(venue: BinanceState) -> None:
    """Fire what the trades since the last call have reached, and end what is past its date."""
    prices = venue.algos.take_prices()
    for algo in venue.algos.open():
        seen = prices.get(algo.market.id, ())
        if algo.good_till_ms and venue.now_ms >= algo.good_till_ms:
            venue.algos.change(algo, "EXPIRED", venue.now_ms)
        elif any(algo.is_fired(price) for price in seen):
            _fire(venue, algo)
    for algo in [*venue.algos.live.values()]:
        if algo.status == "TRIGGERED":
            order = order_of(venue, algo)
            if order is None or order.status.is_terminal:
                venue.algos.change(algo, "FINISHED", venue.now_ms)


def order_of(venue: BinanceState, algo: AlgoOrder) -> SimOrder | None:
    """The order that the algo order has become."""
    return venue.exchange.order(USDM_ACCOUNT, algo.order_id)


def _fire(venue: BinanceState, algo: AlgoOrder) -> None:
    algo.triggered_ms = venue.now_ms
    venue.algos.change(algo, "TRIGGERING", venue.now_ms)
    quantity = algo.quantity
    if algo.is_closing:
        quantity = venue.usdm.reducible(algo.market.symbol, algo.position_side, algo.side)
    asked = Asked(
        market=algo.market,
        side=algo.side,
        type="LIMIT" if algo.price is not None else "MARKET",
        time_in_force=algo.time_in_force,
        price=algo.price,
        quantity=quantity,
        client_order_id=algo.name,
        position_side=algo.position_side,
        is_reduce_only=algo.is_reduce_only,
        good_till_ms=algo.good_till_ms,
        is_closing=algo.is_closing,
        working_type=algo.working_type,
        stop_price=algo.trigger_now,
        original_type=algo.type,
    )
    try:
        check_notional(venue, asked)
        algo.order_id = place(venue, asked).id
    except ApiError:
        venue.algos.change(algo, "REJECTED", venue.now_ms)
        return
    venue.algos.change(algo, "TRIGGERED", venue.now_ms)


def row(venue: BinanceState, algo: AlgoOrder) -> dict[str, Any]:
    market, order = algo.market, order_of(venue, algo)
    return {
        "algoId": algo.id,
        "clientAlgoId": algo.name,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": market.symbol,
        "side": algo.side.value,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": market.size_text(algo.quantity),
        "algoStatus": algo.status,
        "actualOrderId": str(algo.order_id) if algo.order_id else "",
        "actualPrice": market.price_text(order.avg_price or ZERO) if order else "0.00",
        "actualQty": market.size_text(order.executed if order else ZERO),
        "triggerPrice": market.price_text(algo.trigger_now),
        "price": market.price_text(algo.price or ZERO),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_TAKER",
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.is_closing,
        "priceProtect": False,
        "reduceOnly": algo.is_reduce_only and algo.position_side == "BOTH",
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        **_trail_fields(algo),
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.good_till_ms,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
    }


def _trail_fields(algo: AlgoOrder) -> dict[str, Any]:
    if not algo.is_trailing:
        return {}
    activate = algo.market.price_text(algo.activate or ZERO)
    return {"activatePrice": activate, "callbackRate": f"{algo.callback:f}"}


def update(venue: BinanceState, algo: AlgoOrder) -> dict[str, Any]:
    """`ALGO_UPDATE` of a change."""
    market, order = algo.market, order_of(venue, algo)
    told: dict[str, Any] = {
        "caid": algo.name,
        "aid": algo.id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": market.symbol,
        "S": algo.side.value,
        "ps": algo.position_side,
        "f": algo.time_in_force,
        "q": market.size_text(algo.quantity),
        "X": algo.status,
        "ai": str(algo.order_id) if algo.order_id else "",
        "ap": market.price_text(order.avg_price or ZERO) if order else "0.00000",
        "aq": market.size_text(order.executed if order else ZERO),
        "act": ("LIMIT" if algo.price is not None else "MARKET") if algo.order_id else "0",
        "tp": market.price_text(algo.trigger_now),
        "p": market.price_text(algo.price or ZERO),
        "V": "EXPIRE_TAKER",
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.is_closing,
        "pP": False,
        "R": algo.is_reduce_only and algo.position_side == "BOTH",
        "tt": algo.triggered_ms,
        "gtd": algo.good_till_ms,
        "rm": "" if algo.status != "REJECTED" else "the order was refused",
    }
    if algo.is_trailing:
        told |= {"AP": market.price_text(algo.activate or ZERO), "cr": f"{algo.callback:f}"}
    return {"e": "ALGO_UPDATE", "T": algo.updated_ms, "E": venue.now_ms, "o": told}
