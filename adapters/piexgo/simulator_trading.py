"""Signed endpoints of the simulated PiexGo: orders, cancels, lists, balances (section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from fairlead.adapters.piexgo.simulator_auth import EMPTY, Params
from fairlead.adapters.piexgo.simulator_markets import (
    LEAST_VOLUME,
    SimMarket,
    money_text,
    price_text,
    seconds,
    size_text,
)
from fairlead.adapters.piexgo.simulator_public import need_market
from fairlead.adapters.piexgo.simulator_state import ACCOUNT, PiexgoState
from fairlead.adapters.simulation.core import NO_FUNDS_AT_TRIGGER
from fairlead.adapters.simulation.ledger import Balance
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import NewOrder, Refusal, RefusalCode, SimOrder, Status
from fairlead.adapters.simulation.routes import ApiError, Endpoint
from fairlead.engine.orders.model import Side, TriggerCondition

SIGNED, TIMED = "signed", "timed"  # groups: `timed` demands a timestamp

BAD_PRICE, BAD_VOLUME, BAD_PRECISION, BAD_TYPE, NO_FUNDS, TOO_SMALL = range(10301, 10307)
# The document does not say how these are told.
NO_ORDER, NOT_OPEN, HALTED = 10400, 10401, 10402

CANCELS_MAX = 50
PAGE = 50
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")

_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_FLAGS = {"LIMIT": 0, "MARKET": 1, "STOP_LIMIT": 2}
_WAITING = -1
_STATUSES = {
    Status.OPEN: 0,
    Status.CANCELLING: 0,
    Status.FILLED: 2,
    Status.CANCELED: 4,
}
REFUSED_STATUS = 5
_REFUSALS = {
    RefusalCode.BAD_PRICE: (BAD_PRICE, "Price must be greater than 0."),
    RefusalCode.BAD_QUANTITY: (BAD_VOLUME, "Volume is invalid."),
    RefusalCode.MIN_NOTIONAL: (TOO_SMALL, "Transaction amount is too small."),
    RefusalCode.INSUFFICIENT_FUNDS: (NO_FUNDS, "Insufficient balance."),
    RefusalCode.MARKET_HALTED: (HALTED, "Trading of the symbol is suspended."),
}


# -- rows ------------------------------------------------------------------------------------------


def status_of(order: SimOrder) -> int:
    if order.status is Status.CANCELED and order.reason == NO_FUNDS_AT_TRIGGER:
        return REFUSED_STATUS
    return _WAITING if is_waiting(order) else _STATUSES[order.status]


def is_waiting(order: SimOrder) -> bool:
    """Whether it is a stop that has not fired; one whose cancel is settling too."""
    is_stop = order.trigger_price is not None and order.ts_triggered is None
    return is_stop and not order.status.is_terminal


def flag_of(order: SimOrder) -> int:
    if order.trigger_price is not None:
        return _FLAGS["STOP_LIMIT"]
    return _FLAGS["MARKET" if order.is_market else "LIMIT"]


def average_of(order: SimOrder, market: SimMarket) -> Decimal:
    """Rounded to the market's precision; of what has not traded, the limit, as the examples say."""
    if order.avg_price is None:
        return order.price or Decimal(0)
    return order.avg_price.quantize(market.spec.tick, ROUND_HALF_EVEN)


def order_row(venue: PiexgoState, order: SimOrder) -> dict[str, Any]:
    """An order of a list, and `data` of its event but for the event's id."""
    return {
        "order_price": price_text(order.price),
        "stop": price_text(order.trigger_price),
        "price": price_text(average_of(order, venue.markets[order.market])),
        "market_price": price_text(None),
        "volume": size_text(order.quantity),
        "remain": size_text(order.remaining),
        "amount": size_text(order.funds),
        "type": order.side.value.lower(),
        "timestamp": seconds(order.ts_created),
        "order_id": str(order.id),
        "market": order.market,
        "status": status_of(order),
        "flag": flag_of(order),
    }


# -- orders ----------------------------------------------------------------------------------------


def _needed(params: Params, name: str) -> str:
    if not params.get(name):
        raise ApiError(EMPTY, f"Parameter {name} is empty.")
    return params[name]


def _number(params: Params, name: str) -> Decimal:
    text = _needed(params, name)
    if _NUMBER.fullmatch(text) is None:
        raise ApiError(EMPTY, f"Parameter {name} is empty.")
    return Decimal(text)


def _price(params: Params, name: str, market: SimMarket) -> Decimal:
    price = _number(params, name)
    if price <= 0:
        raise ApiError(BAD_PRICE, "Price must be greater than 0.")
    if price != price.quantize(market.spec.tick):
        raise ApiError(BAD_PRECISION, "Precision of the price is invalid.")
    return price


def _condition(
    venue: PiexgoState, market: SimMarket, side: Side, stop: Decimal
) -> TriggerCondition:
    """No parameter tells the direction: the option says which way the stop waits."""
    own = TriggerCondition.GTE if side is Side.BUY else TriggerCondition.LTE
    last = venue.exchange.markets[market.id].tape.last_price
    how = venue.options.stop_direction
    if how == "side" or last is None or stop == last:
        return own
    inferred = TriggerCondition.GTE if stop > last else TriggerCondition.LTE
    if how == "refuse" and inferred is not own:
        raise ApiError(BAD_PRICE, "The stop price is invalid.")
    return inferred


def _order(venue: PiexgoState, params: Params) -> object:
    """Source of the checks' order: section 3.3 lists them so."""
    market = need_market(venue, params)
    side, kind = _SIDES.get(_needed(params, "side")), _needed(params, "type")
    if side is None or kind not in _FLAGS:
        raise ApiError(BAD_TYPE, "Side or type is invalid.")
    quantity = _number(params, "quantity")
    price = None if kind == "MARKET" else _price(params, "price", market)
    stop, condition = None, None
    if kind == "STOP_LIMIT":
        stop = _price(params, "stop_price", market)
        condition = _condition(venue, market, side, stop)
    if quantity <= LEAST_VOLUME:
        raise ApiError(BAD_VOLUME, "Volume must be greater than 0.0001.")
    if quantity != quantity.quantize(market.spec.size_step):
        raise ApiError(BAD_PRECISION, "Precision of the volume is invalid.")
    new = NewOrder(
        market=market.id,
        side=side,
        quantity=quantity,
        price=price,
        trigger_price=stop,
        trigger_condition=condition,
    )
    order = venue.exchange.submit(ACCOUNT, new, venue.exchange.now_ns)
    if isinstance(order, Refusal):
        raise ApiError(*_REFUSALS.get(order.code, (BAD_TYPE, order.message)))
    return {"order_id": str(order.id)}


def _find(venue: PiexgoState, market: SimMarket, text: str) -> SimOrder:
    wanted = natural(text)
    order = None if wanted is None else venue.exchange.order(ACCOUNT, wanted)
    if order is None or order.market != market.id:
        raise ApiError(NO_ORDER, "Order does not exist.")
    return order


def _cancel_order(venue: PiexgoState, params: Params) -> object:
    order = _find(venue, need_market(venue, params), _needed(params, "order_id"))
    if isinstance(venue.exchange.cancel(ACCOUNT, order.id, venue.exchange.now_ns), Refusal):
        raise ApiError(NOT_OPEN, "Order is finished.")
    return {}


def _cancel_orders(venue: PiexgoState, params: Params) -> object:
    """What can't be cancelled is passed over: the answer tells nothing of each."""
    market = need_market(venue, params)
    texts = _needed(params, "order_id").split(",")
    if len(texts) > CANCELS_MAX:
        raise ApiError(EMPTY, f"At most {CANCELS_MAX} orders.")
    for text in texts:
        try:
            order = _find(venue, market, text)
        except ApiError:
            continue
        venue.exchange.cancel(ACCOUNT, order.id, venue.exchange.now_ns)
    return {}


# -- reading ---------------------------------------------------------------------------------------


def _order_info(venue: PiexgoState, params: Params) -> object:
    market = need_market(venue, params)
    order = _find(venue, market, _needed(params, "order_id"))
    fills = venue.exchange.ledger.fills_of(order.id)
    return {
        "data": {
            "order_price": price_text(order.price),
            "price": price_text(average_of(order, market)),
            "volume": size_text(order.quantity),
            "filled_volume": size_text(order.executed),
            "fee": money_text(sum((fill.fee for fill in fills), Decimal(0))),
            "type": order.side.value.lower(),
            "timestamp": seconds(order.ts_created),
            "update_time": seconds(order.ts_updated),
            "order_id": str(order.id),
            "market": order.market,
            "status": status_of(order),
            "flag": flag_of(order),
        }
    }


def _page(venue: PiexgoState, params: Params, orders: Sequence[SimOrder]) -> object:
    """Newest first; `orders` come oldest first."""
    page = natural(params.get("page") or "0")
    if page is None:
        raise ApiError(EMPTY, "Parameter page is empty.")
    first = page * PAGE
    newest = orders[::-1]
    return {
        "total": len(orders),
        "next_page": len(orders) > first + PAGE,
        "list": [order_row(venue, order) for order in newest[first : first + PAGE]],
    }


def _open_orders(venue: PiexgoState, params: Params) -> object:
    orders = venue.exchange.open_orders(ACCOUNT)
    if venue.options.hides_waiting:
        orders = [order for order in orders if not is_waiting(order)]
    return _page(venue, params, orders)


def _ended(venue: PiexgoState, *statuses: Status) -> list[SimOrder]:
    orders = [o for o in venue.exchange.orders(ACCOUNT) if o.status in statuses]
    return orders[-venue.options.history_kept :]


def _trade_order_history(venue: PiexgoState, params: Params) -> object:
    return _page(venue, params, _ended(venue, Status.FILLED))


def _canceled_order_history(venue: PiexgoState, params: Params) -> object:
    return _page(venue, params, _ended(venue, Status.CANCELED))


def _order_history(venue: PiexgoState, params: Params) -> object:
    market = need_market(venue, params)
    ended = _ended(venue, Status.FILLED, Status.CANCELED)
    return _page(venue, params, [order for order in ended if order.market == market.id])


def _account(venue: PiexgoState, params: Params) -> object:
    balances = venue.exchange.ledger.balances(ACCOUNT)
    currencies = dict.fromkeys(c for m in venue.markets.values() for c in (m.base, m.quote))
    rows = []
    for currency in currencies | dict.fromkeys(balances):
        balance = balances.get(currency) or Balance()
        rows.append(
            {
                "market": currency,
                "balance": money_text(balance.free),
                "locked": money_text(balance.locked),
                "otc_balance": size_text(Decimal(0)),
                "otc_locked": size_text(Decimal(0)),
            }
        )
    return {"data": rows}


PRIVATE: tuple[Endpoint[PiexgoState, Params], ...] = (
    Endpoint("POST", "/api/v1/order", _order, TIMED, True),
    Endpoint("POST", "/api/v1/cancelOrder", _cancel_order, TIMED, True),
    Endpoint("POST", "/api/v1/cancelOrders", _cancel_orders, TIMED, True),
    Endpoint("POST", "/api/v1/orderInfo", _order_info, SIGNED, True),
    Endpoint("POST", "/api/v1/openOrders", _open_orders, SIGNED, True),
    Endpoint("POST", "/api/v1/tradeOrderHistory", _trade_order_history, SIGNED, True),
    Endpoint("POST", "/api/v1/canceledOrderHistory", _canceled_order_history, SIGNED, True),
    Endpoint("POST", "/api/v1/orderHistory", _order_history, SIGNED, True),
    Endpoint("POST", "/api/v1/account", _account, SIGNED, True),
)
