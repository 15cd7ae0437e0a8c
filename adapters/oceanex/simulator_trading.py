"""Private endpoints of the simulated OceanEx: key, balances, orders (sections 1.2 and 4)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.oceanex.simulator_auth import funds_error, rate_error
from fairlead.adapters.oceanex.simulator_markets import SimMarket, epoch, iso, number
from fairlead.adapters.oceanex.simulator_rest import (
    BOTH,
    ORDER_SCOPE,
    QUERY_SCOPE,
    Params,
    integer,
    is_descending,
    is_true,
    listed,
    need_market,
)
from fairlead.adapters.oceanex.simulator_state import ACCOUNT, OceanexState
from fairlead.adapters.oceanex.simulator_wallet import WALLET
from fairlead.adapters.simulation.numbers import exact, whole
from fairlead.adapters.simulation.orders import NewOrder, Refusal, RefusalCode, SimOrder, Status
from fairlead.adapters.simulation.routes import ApiError, Endpoint
from fairlead.engine.orders.model import Side, TriggerCondition

FILTER_STATES = ("wait", "done", "cancel")
FILTER_LIMIT_MAX = 1000
AVG_PRICE_DECIMALS = Decimal("1e-12")
_STATES = {
    Status.WAIT_TRIGGER: "wait_trigger",
    Status.OPEN: "wait",
    Status.CANCELLING: "cancelling",
    Status.FILLED: "done",
    Status.CANCELED: "cancel",
}


# -- rows ------------------------------------------------------------------------------------------


def order_row(order: SimOrder, *, as_entered: bool = False) -> dict[str, Any]:
    """The order object; `as_entered` shows it before it met the book."""
    executed = Decimal(0) if as_entered else order.executed
    average = order.avg_price if executed else None
    state = _STATES[order.status]
    if as_entered:
        state = "wait" if order.trigger_price is None else "wait_trigger"
    row: dict[str, Any] = {
        "created_at": iso(order.ts_created),
        "trades_count": 0 if as_entered else order.trades_count,
        "remaining_volume": number(order.quantity - executed),
        "price": None if order.price is None else number(order.price),
        "created_on": str(epoch(order.ts_created)),
        "side": order.side.value.lower(),
        "volume": number(order.quantity),
        "state": state,
        "ord_type": _order_type(order),
        "avg_price": number((average or Decimal(0)).quantize(AVG_PRICE_DECIMALS)),
        "executed_volume": number(executed),
        "id": order.id,
        "market": order.market,
    }
    if order.trigger_price is not None and order.trigger_condition is not None:
        row["stop_price"] = number(order.trigger_price)
        row["trigger_condition"] = order.trigger_condition.value
    return row


def _order_type(order: SimOrder) -> str:
    if order.trigger_price is not None:
        return "stop_limit"
    return "market" if order.is_market else "limit"


def _filter_row(order: SimOrder, market: SimMarket, with_price: bool) -> dict[str, Any]:
    row = order_row(order)
    row["market_id"] = row.pop("market")
    row["market_name"] = row["market_display_name"] = market.name
    row["created_at"] = row["created_at"].replace("Z", ".000Z")
    if not with_price:
        del row["price"]
    return row


# -- key and balances ------------------------------------------------------------------------------


def _key(venue: OceanexState, params: Params) -> object:
    options = venue.options
    return [
        {
            "scopes": list(options.scopes),
            "apikey_id": options.key_id,
            "created_at": "2018-01-01T00:00:00.000Z",
            "ips": list(options.allowed_ips),
            "state": "1" if options.key_enabled else "0",
            "pub_key": "*******",
            "alias_name": "test1",
            "id": "21",
        }
    ]


def _members_me(venue: OceanexState, params: Params) -> object:
    balances = venue.exchange.ledger.balances(ACCOUNT)
    currencies = dict.fromkeys(c for m in venue.markets.values() for c in (m.base, m.quote))
    rows = []
    for currency in currencies | dict.fromkeys(balances):
        balance = balances.get(currency)
        rows.append(
            {
                "currency": currency.lower(),
                "balance": number(balance.free) if balance else "0.0",
                "locked": number(balance.locked) if balance else "0.0",
            }
        )
    return {"accounts": rows}


# -- creating --------------------------------------------------------------------------------------


def _decimal(params: Params, name: str) -> Decimal | None:
    value = params.get(name)
    if value is None or value == "":
        return None
    found = exact(value)
    if found is None:
        raise ApiError(2002, f"{name} does not have a valid value")
    return found


def _new_order(venue: OceanexState, params: Params) -> NewOrder:
    """Read a create's fields. Raises ApiError 2002 or 1004."""
    market = need_market(venue, params, code=2002)
    side = {"buy": Side.BUY, "sell": Side.SELL}.get(str(params.get("side")))
    if side is None:
        raise ApiError(2002, "side does not have a valid value")
    order_type = params.get("ord_type") or "limit"
    if order_type not in ("limit", "market", "stop_limit"):
        raise ApiError(2002, "ord_type does not have a valid value")
    volume, price = _decimal(params, "volume"), _decimal(params, "price")
    stop_price, condition = None, None
    if volume is None:
        raise ApiError(1004, "Missing parameter: volume")
    if order_type == "market":
        price = None
    elif price is None:
        raise ApiError(1004, "Missing parameter: price")
    if order_type == "stop_limit":
        stop_price = _decimal(params, "stop_price")
        if stop_price is None:
            raise ApiError(1004, "Missing parameter: stop_price")
        if params.get("trigger_condition") not in ("gte", "lte"):
            raise ApiError(2002, "trigger_condition does not have a valid value")
        condition = TriggerCondition(params["trigger_condition"])
    if venue.options.excess_precision == "round":
        tick, step = market.spec.tick, market.spec.size_step
        volume = volume.quantize(step)
        price = None if price is None else price.quantize(tick)
        stop_price = None if stop_price is None else stop_price.quantize(tick)
    return NewOrder(
        market=market.id,
        side=side,
        quantity=volume,
        price=price,
        trigger_price=stop_price,
        trigger_condition=condition,
    )


def _submit(venue: OceanexState, params: Params) -> dict[str, Any]:
    order = venue.exchange.submit(ACCOUNT, _new_order(venue, params), venue.exchange.now_ns)
    if isinstance(order, Refusal):
        if order.code is RefusalCode.INSUFFICIENT_FUNDS:
            raise funds_error(venue.options)
        raise ApiError(2002, order.message)
    return order_row(order, as_entered=venue.options.create_reply == "entry")


def _take_order_rate(venue: OceanexState, count: int) -> None:
    limit = venue.options.orders_per_minute
    if not venue.limits.take("create", limit, venue.exchange.now_ns, count):
        raise rate_error("create order")


def _create(venue: OceanexState, params: Params) -> object:
    _take_order_rate(venue, 1)
    return _submit(venue, params)


def _create_multi(venue: OceanexState, params: Params) -> object:
    """Refused orders are left out of the reply; if all are refused, the first error is it."""
    need_market(venue, params, code=2002)
    orders = listed(params, "orders")
    if not all(isinstance(order, dict) for order in orders):
        raise ApiError(9002, "orders does not have a valid value")
    _take_order_rate(venue, len(orders))
    rows: list[dict[str, Any]] = []
    errors: list[ApiError] = []
    for order in orders:
        try:
            rows.append(_submit(venue, {**order, "market": params["market"]}))
        except ApiError as e:
            errors.append(e)
    if not rows:
        raise errors[0]
    return rows


# -- reading ---------------------------------------------------------------------------------------


def _ids(params: Params) -> list[int]:
    ids = [whole(value) for value in listed(params, "ids")]
    found = [each for each in ids if each is not None]
    if len(found) < len(ids):
        raise ApiError(9002, "ids does not have a valid value")
    return found


def _status(venue: OceanexState, params: Params) -> object:
    """Known ids only, newest first whatever the order asked."""
    found = [venue.exchange.order(ACCOUNT, order_id) for order_id in set(_ids(params))]
    orders = sorted((o for o in found if o is not None), key=lambda o: -o.id)
    return [order_row(order) for order in orders]


def _filter(venue: OceanexState, params: Params) -> object:
    market = need_market(venue, params)
    states = params.get("states") or ["wait"]
    if isinstance(states, str):
        states = [states]
    known = list(_STATES.values())
    if not isinstance(states, list) or not all(state in known for state in states):
        raise ApiError(9002, "states does not have a valid value")
    limit = min(FILTER_LIMIT_MAX, integer(params, "limit", 100, 1))
    page = integer(params, "page", 1, 1)
    first, last = integer(params, "from", 0), integer(params, "to", 2**62)
    with_price = is_true(params.get("need_price", ""))
    orders = [o for o in venue.exchange.orders(ACCOUNT, market.id) if first <= o.id <= last]
    if is_descending(params):
        orders.reverse()
    groups = []
    for state in dict.fromkeys(states):
        is_hidden = venue.options.filter_hides_waiting and state not in FILTER_STATES
        rows = [] if is_hidden else [o for o in orders if _STATES[o.status] == state]
        shown = rows[(page - 1) * limit : page * limit]
        groups.append(
            {
                "state": state,
                "num_of_orders": len(rows),
                "orders": [_filter_row(o, market, with_price) for o in shown],
            }
        )
    return groups


# -- cancelling ------------------------------------------------------------------------------------


def _cancel(venue: OceanexState, order_id: int) -> SimOrder:
    """Ask for the cancel; a filled order is no error (the document's own example)."""
    result = venue.exchange.cancel(ACCOUNT, order_id, venue.exchange.now_ns)
    if not isinstance(result, Refusal):
        return result
    if result.code is RefusalCode.UNKNOWN_ORDER:
        raise ApiError(2004, "Order does not exist")
    assert result.subject is not None
    if result.subject.status is Status.FILLED:
        return result.subject
    raise ApiError(2003, "Failed to cancel order. Reason: the order is already canceled")


def _delete(venue: OceanexState, params: Params) -> object:
    if "id" not in params:
        raise ApiError(1004, "Missing parameter: id")
    return order_row(_cancel(venue, integer(params, "id", 0)))


def _delete_multi(venue: OceanexState, params: Params) -> object:
    """Every order that is known, as it is now; unknown ids are left out."""
    rows = []
    for order_id in _ids(params):
        order = venue.exchange.order(ACCOUNT, order_id)
        if order is None:
            continue
        if not order.status.is_terminal:
            order = _cancel(venue, order_id)
        rows.append(order_row(order))
    return rows


def _clear(venue: OceanexState, params: Params) -> object:
    """All open orders of all markets, of one side if `side` is given."""
    side = params.get("side")
    if side not in (None, "buy", "sell"):
        raise ApiError(9002, "side does not have a valid value")
    orders = venue.exchange.open_orders(ACCOUNT)
    chosen = [o for o in orders if side is None or o.side.value.lower() == side]
    return [order_row(_cancel(venue, order.id)) for order in chosen]


PRIVATE: tuple[Endpoint[OceanexState, Params], ...] = (
    Endpoint(BOTH, "/key", _key, QUERY_SCOPE, True),
    Endpoint(BOTH, "/members/me", _members_me, QUERY_SCOPE, True),
    Endpoint("POST", "/orders", _create, ORDER_SCOPE, True),
    Endpoint("GET", "/orders", _status, QUERY_SCOPE, True),
    Endpoint("POST", "/orders/multi", _create_multi, ORDER_SCOPE, True),
    Endpoint(BOTH, "/orders/filter", _filter, QUERY_SCOPE, True),
    Endpoint("POST", "/order/delete", _delete, ORDER_SCOPE, True),
    Endpoint("POST", "/order/delete/multi", _delete_multi, ORDER_SCOPE, True),
    Endpoint("POST", "/orders/clear", _clear, ORDER_SCOPE, True),
    *WALLET,
)
