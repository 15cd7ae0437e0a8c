"""Order endpoints of the simulated Poloniex (the venue document's sections 2 and 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_markets import millis
from fairlead.adapters.poloniex.simulator_orders import (
    SMART_TYPES,
    asked_again,
    cancel,
    check_modes,
    client_id,
    create,
    find_regular,
    find_smart,
    flag,
    history_row,
    is_regular,
    is_smart,
    order_row,
    read_order,
    regular_id,
    smart_row,
    smart_state_of,
    smart_type_of,
    state_of,
)
from fairlead.adapters.poloniex.simulator_public import Call
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import SimOrder, Status
from fairlead.adapters.simulation.routes import Endpoint

BATCH_MAX = 20
OPEN_LIMIT_MAX = 2000
HISTORY_LIMIT_MAX = 1000
DAY_MS = 86_400_000
HISTORY_DEFAULT_MS = 7 * DAY_MS
HISTORY_WINDOW_MS = 30 * DAY_MS
ARCHIVED_CANCELED_MS = 7 * DAY_MS
ARCHIVED_MS = 90 * DAY_MS
OVER = ("FAILED", "FILLED", "CANCELED", "PARTIALLY_CANCELED")
SMART_OVER = ("FAILED", "CANCELED", "REJECTED", "EXPIRED", "TRIGGERED")


# -- create ---------------------------------------------------------------------------------------


def _created(order: SimOrder) -> dict[str, Any]:
    return {"id": str(order.id), "clientOrderId": order.client_order_id or ""}


def _create(venue: PoloniexState, call: Call) -> object:
    return _created(create(venue, read_order(venue, call.body, smart=False)))


def _create_smart(venue: PoloniexState, call: Call) -> object:
    return _created(create(venue, read_order(venue, call.body, smart=True)))


def _create_batch(venue: PoloniexState, call: Call) -> object:
    """Positional; each on its own. A failed element has a code and no id."""
    rows = call.body
    if not isinstance(rows, list) or not 0 < len(rows) <= BATCH_MAX:
        raise ApiError(601, f"A batch has 1 to {BATCH_MAX} orders")
    answers: list[dict[str, Any]] = []
    for row in rows:
        try:
            answers.append(_created(create(venue, read_order(venue, row, smart=False))))
        except ApiError as error:
            name = row.get("clientOrderId") if isinstance(row, dict) else None
            answers.append(
                {"code": error.code, "message": error.message, "clientOrderId": name or ""}
            )
    return answers


# -- replace --------------------------------------------------------------------------------------


def _replace(venue: PoloniexState, call: Call) -> object:
    return _replaced(venue, find_regular(venue, call.path["id"]), call)


def _replace_smart(venue: PoloniexState, call: Call) -> object:
    return _replaced(venue, find_smart(venue, call.path["id"], 25015), call)


def _replaced(venue: PoloniexState, order: SimOrder, call: Call) -> object:
    """Cancel, then create. Parameters are checked first, so that a wrong one changes nothing."""
    if not isinstance(call.body, dict):
        raise ApiError(602, "Missing request body")
    asked = asked_again(venue, order, call.body)
    check_modes(venue, asked)
    try:
        if is_smart(order) and order.ts_triggered is not None and asked.is_smart:
            raise ApiError(21359)
        cancel(venue, order, at_once=True)
    except ApiError:
        if not flag(call.body.get("proceedOnFailure")):
            raise
    return _created(create(venue, asked))


# -- cancel ---------------------------------------------------------------------------------------


def cancel_row(venue: PoloniexState, order: SimOrder) -> dict[str, Any]:
    """Ask for the cancel of a regular order. Raises ApiError."""
    cancel(venue, order)
    return {
        "orderId": str(regular_id(order)),
        "clientOrderId": client_id(venue, order),
        "state": "PENDING_CANCEL",
        "code": 200,
        "message": "",
    }


def cancel_smart_row(venue: PoloniexState, order: SimOrder) -> dict[str, Any]:
    """Cancel a smart order that waits: final at once. Raises ApiError 25013."""
    if order.status is not Status.WAIT_TRIGGER:
        raise ApiError(25013)
    cancel(venue, order, at_once=True)
    return {
        "orderId": str(order.id),
        "clientOrderId": order.client_order_id or "",
        "state": "CANCELED",
        "code": 200,
        "message": "",
    }


def _cancel(venue: PoloniexState, call: Call) -> object:
    return cancel_row(venue, find_regular(venue, call.path["id"]))


def _cancel_smart(venue: PoloniexState, call: Call) -> object:
    return cancel_smart_row(venue, find_smart(venue, call.path["id"], 25013))


def cancel_named(
    body: object,
    find: Callable[[str], SimOrder],
    ask: Callable[[SimOrder], dict[str, Any]],
) -> list[dict[str, Any]]:
    """`orderIds` and `clientOrderIds`; a failed one has its code. Raises ApiError 602."""
    if not isinstance(body, dict):
        raise ApiError(602, "Missing parameter orderIds")
    ids, names = _texts(body, "orderIds"), _texts(body, "clientOrderIds")
    if not ids and not names:
        raise ApiError(602, "Missing parameter orderIds")
    rows = []
    for order_id, name in [*((i, "") for i in ids), *(("0", n) for n in names)]:
        try:
            rows.append(ask(find(f"cid:{name}" if name else order_id)))
        except ApiError as error:
            rows.append(
                {
                    "orderId": order_id,
                    "clientOrderId": name,
                    "state": "",
                    "code": error.code,
                    "message": error.message,
                }
            )
    return rows


def _cancel_by_ids(venue: PoloniexState, call: Call) -> object:
    return cancel_named(
        call.body,
        lambda text: find_regular(venue, text),
        lambda order: cancel_row(venue, order),
    )


def _cancel_smart_by_ids(venue: PoloniexState, call: Call) -> object:
    return cancel_named(
        call.body,
        lambda text: find_smart(venue, text, 25013),
        lambda order: cancel_smart_row(venue, order),
    )


def _texts(body: dict[str, Any], name: str) -> list[str]:
    """A list of texts or numbers, or a single one. Raises ApiError 601."""
    value = body.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ApiError(601, f"Invalid {name}")
    return [str(item) for item in value]


def cancel_all(venue: PoloniexState, body: object, *, smart: bool) -> list[dict[str, Any]]:
    """`symbols` and `accountTypes` (or singular); no symbols: everything. Raises ApiError 601.

    A body that is no object may name a market: it is refused, and nothing is cancelled.
    """
    wanted = {} if body is None else body
    if not isinstance(wanted, dict):
        raise ApiError(601, "The request body is not an object")
    symbols = _texts(wanted, "symbols") or _texts(wanted, "symbol")
    kinds = _texts(wanted, "accountTypes") or _texts(wanted, "accountType")
    if any(kind != "SPOT" for kind in kinds):
        raise ApiError(21324)
    if any(symbol not in venue.markets for symbol in symbols):
        raise ApiError(10040)
    rows = []
    for order in _open(venue, smart=smart):
        if order.status is not Status.CANCELLING and (not symbols or order.market in symbols):
            ask = cancel_smart_row if smart else cancel_row
            rows.append(ask(venue, order))
    return rows


def _open(venue: PoloniexState, *, smart: bool) -> list[SimOrder]:
    orders = venue.exchange.open_orders(ACCOUNT)
    if smart:
        return [order for order in orders if order.status is Status.WAIT_TRIGGER]
    return [order for order in orders if is_regular(order)]


def _cancel_all(venue: PoloniexState, call: Call) -> object:
    return cancel_all(venue, call.body, smart=False)


def _cancel_all_smart(venue: PoloniexState, call: Call) -> object:
    return cancel_all(venue, call.body, smart=True)


# -- read -----------------------------------------------------------------------------------------


def _get(venue: PoloniexState, call: Call) -> object:
    return order_row(venue, find_regular(venue, call.path["id"]))


def _get_smart(venue: PoloniexState, call: Call) -> object:
    row = smart_row(venue, find_smart(venue, call.path["id"], 25015))
    return [row] if venue.options.smart_get == "list" else row


def _open_orders(venue: PoloniexState, call: Call) -> object:
    """Newest first; `from` is an order id, NEXT goes to older ones."""
    limit = call.count(500, OPEN_LIMIT_MAX)
    orders = _filtered(_open(venue, smart=False), call)
    shown = page(orders, call, regular_id, created_ns)[:limit]
    return [order_row(venue, order) for order in shown]


def created_ns(order: SimOrder) -> int:
    """Of a regular order: a smart order's child begins when it triggers."""
    return order.ts_triggered or order.ts_created


def page[T](
    rows: list[T],
    call: Call,
    key: Callable[[T], int],
    ts_of: Callable[[T], int],
    direction: str = "PRE",
) -> list[T]:
    """Newest first by time, whatever the ids; from beyond `from` in `direction`.

    Raises ApiError 601.
    """
    newest_first = sorted(rows, key=lambda row: (ts_of(row), key(row)), reverse=True)
    start = call.params.get("from")
    if start is None or start == "0":
        return newest_first
    direction = call.params.get("direction", direction)
    first = natural(start)
    if first is None or direction not in ("PRE", "NEXT"):
        raise ApiError(601, "Invalid from or direction")
    at = next((i for i, row in enumerate(newest_first) if key(row) == first), None)
    if at is not None:
        return newest_first[at + 1 :] if direction == "NEXT" else newest_first[:at]
    if direction == "NEXT":
        return [row for row in newest_first if key(row) < first]
    return [row for row in newest_first if key(row) > first]


def _filtered(orders: Iterable[SimOrder], call: Call) -> list[SimOrder]:
    symbol, side = call.params.get("symbol"), call.params.get("side")
    if call.params.get("accountType", "SPOT") != "SPOT":
        raise ApiError(21324)
    return [
        order
        for order in orders
        if symbol in (None, "", order.market) and side in (None, "", order.side.value)
    ]


def _open_smart(venue: PoloniexState, call: Call) -> object:
    limit = call.count(OPEN_LIMIT_MAX, OPEN_LIMIT_MAX)
    orders = sorted(_filtered(_open(venue, smart=True), call), key=lambda o: o.id, reverse=True)
    return [smart_row(venue, order) for order in orders[:limit]]


def window(venue: PoloniexState, call: Call, longest_ms: int) -> tuple[int, int]:
    """Times of a history; 7 days where one or both are absent. Raises ApiError 21355."""
    start, end = call.time("startTime", None), call.time("endTime", None)
    if start is None:
        end = venue.now_ms if end is None else end
        start = max(0, end - HISTORY_DEFAULT_MS)
    elif end is None:
        end = start + HISTORY_DEFAULT_MS
    if end - start > longest_ms:
        raise ApiError(21355)
    return start, end


def _history(venue: PoloniexState, call: Call) -> object:
    start, end = window(venue, call, HISTORY_WINDOW_MS)
    limit = call.count(500, HISTORY_LIMIT_MAX)
    states = _wanted_states(call, OVER)
    kind = call.params.get("type")
    chosen = []
    for order in _filtered(venue.exchange.orders(ACCOUNT), call):
        if not is_regular(order) or not order.status.is_terminal:
            continue
        row = history_row(venue, order)
        is_canceled = row["state"] in ("CANCELED", "FAILED")
        if is_canceled and flag(call.params.get("hideCancel")):
            continue
        if row["state"] not in states or kind not in (None, row["type"]):
            continue
        if start <= row["createTime"] <= end and not _is_archived(venue, order, is_canceled):
            chosen.append(order)
    shown = page(chosen, call, regular_id, created_ns)[:limit]
    return [history_row(venue, order) for order in shown]


def _is_archived(venue: PoloniexState, order: SimOrder, is_canceled: bool) -> bool:
    age_ms = venue.now_ms - millis(order.ts_updated)
    return age_ms > (ARCHIVED_CANCELED_MS if is_canceled else ARCHIVED_MS)


def _smart_history(venue: PoloniexState, call: Call) -> object:
    start, end = window(venue, call, HISTORY_WINDOW_MS)
    limit = call.count(500, HISTORY_LIMIT_MAX)
    states = _wanted_states(call, SMART_OVER)
    kind = call.params.get("type")
    if kind not in (None, "", *SMART_TYPES):
        raise ApiError(21320)
    is_hiding = flag(call.params.get("hideCancel"))
    chosen = []
    for order in _filtered(venue.exchange.orders(ACCOUNT), call):
        if not is_smart(order) or not start <= millis(order.ts_created) <= end:
            continue
        state = smart_state_of(order)
        if state not in states or (is_hiding and state == "CANCELED"):
            continue
        if kind in (None, "", smart_type_of(order)):
            chosen.append(order)
    shown = page(chosen, call, lambda o: o.id, lambda o: o.ts_created)[:limit]
    return [smart_row(venue, order) for order in shown]


def _wanted_states(call: Call, known: tuple[str, ...]) -> list[str]:
    """`states`, with commas; absent or empty: all. Raises ApiError 601."""
    wanted = [state for state in call.params.get("states", "").split(",") if state]
    if any(state not in known for state in wanted):
        raise ApiError(601, "Invalid states")
    return wanted or list(known)


TRADING: tuple[Endpoint[PoloniexState, Call], ...] = (
    Endpoint("POST", "/orders", _create, "private", True),
    Endpoint("POST", "/orders/batch", _create_batch, "private bulk", True),
    Endpoint("PUT", "/orders/{id}", _replace, "private bulk", True),
    Endpoint("GET", "/orders", _open_orders, "private bulk", True),
    Endpoint("GET", "/orders/history", _history, "private bulk", True),
    Endpoint("DELETE", "/orders", _cancel_all, "private bulk", True),
    Endpoint("DELETE", "/orders/cancelByIds", _cancel_by_ids, "private bulk", True),
    Endpoint("DELETE", "/orders/{id}", _cancel, "private", True),
    Endpoint("POST", "/smartorders", _create_smart, "private", True),
    Endpoint("PUT", "/smartorders/{id}", _replace_smart, "private bulk", True),
    Endpoint("GET", "/smartorders", _open_smart, "private bulk", True),
    Endpoint("GET", "/smartorders/history", _smart_history, "private bulk", True),
    Endpoint("DELETE", "/smartorders", _cancel_all_smart, "private bulk", True),
    Endpoint("DELETE", "/smartorders/cancelByIds", _cancel_smart_by_ids, "private bulk", True),
    Endpoint("DELETE", "/smartorders/{id}", _cancel_smart, "private", True),
    Endpoint("GET", "/orders/{id}", _get, "private", True),
    Endpoint("GET", "/smartorders/{id}", _get_smart, "private", True),
)

__all__ = ["TRADING", "cancel_all", "cancel_named", "cancel_row", "cancel_smart_row", "state_of"]
