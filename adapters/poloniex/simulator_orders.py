"""Orders as the simulated Poloniex writes and reads them (the venue document's sections 2 to 2.2).

Regular orders, smart orders and the children of smart orders are rows of one exchange. A smart
order and its child are one exchange order: the child's id is the parent's plus CHILD_OFFSET, so
that the two id spaces never meet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_markets import SimMarket, millis, number
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState
from fairlead.adapters.simulation.core import NO_FUNDS_AT_TRIGGER, POST_ONLY_TAKES
from fairlead.adapters.simulation.numbers import exact, natural
from fairlead.adapters.simulation.orders import (
    FillEntry,
    NewOrder,
    Offset,
    Refusal,
    RefusalCode,
    SimOrder,
    Status,
    Trail,
)
from fairlead.adapters.simulation.trailing import first_trigger
from fairlead.adapters.simulation.validate import is_on_step
from fairlead.engine.orders.model import Side, Tif, TriggerCondition
from fairlead.engine.orders.trigger import default_condition

CHILD_OFFSET = 100_000_000_000_000_000
PAGE_OFFSET = 32_164_924_271_503_616  # pageId - id
OPEN_ORDERS_MAX = 2000
STOP_TYPES = ("STOP", "STOP_LIMIT")
TRAILING_TYPES = ("TRAILING_STOP", "TRAILING_STOP_LIMIT")
SMART_TYPES = STOP_TYPES + TRAILING_TYPES
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]*")
CLIENT_ID_CHARS_MAX = 64
_NUMBER_MAX = Decimal(10) ** 12


# -- which order is which -------------------------------------------------------------------------


def is_smart(order: SimOrder) -> bool:
    return order.trigger_price is not None


def is_regular(order: SimOrder) -> bool:
    """Whether `/orders` knows it: placed as one, or the child of a smart order that triggered."""
    return order.trigger_price is None or order.ts_triggered is not None


def regular_id(order: SimOrder) -> int:
    return order.id + CHILD_OFFSET if is_smart(order) else order.id


def client_id(venue: PoloniexState, order: SimOrder) -> str:
    """As `/orders` shows it."""
    if is_smart(order) and venue.options.child_client_id == "none":
        return ""
    return order.client_order_id or ""


def find_regular(venue: PoloniexState, text: str) -> SimOrder:
    """By id, or `cid:` and client order id. Raises ApiError 21301 or 21346."""
    if text.startswith("cid:"):
        return _find_client_id(venue, text.removeprefix("cid:"))
    wanted = natural(text)
    if wanted is None:
        raise ApiError(21346)
    for candidate in (wanted, wanted - CHILD_OFFSET):
        order = venue.exchange.order(ACCOUNT, candidate)
        if order is not None and is_regular(order) and regular_id(order) == wanted:
            return order
    raise ApiError(21301)


def _find_client_id(venue: PoloniexState, name: str) -> SimOrder:
    order = venue.exchange.order_by_client_id(ACCOUNT, name)
    if order is None or not name or not is_regular(order) or client_id(venue, order) != name:
        raise ApiError(21301)
    return order


def find_smart(venue: PoloniexState, text: str, code: int) -> SimOrder:
    """By id, or `cid:` and client order id. Raises ApiError with `code`."""
    order = None
    if text.startswith("cid:"):
        order = venue.exchange.order_by_client_id(ACCOUNT, text.removeprefix("cid:"))
    elif (wanted := natural(text)) is not None:
        order = venue.exchange.order(ACCOUNT, wanted)
    if order is None or not is_smart(order):
        raise ApiError(code)
    return order


# -- rows -----------------------------------------------------------------------------------------


def state_of(order: SimOrder) -> str:
    """Of a regular order, or of a smart order's child."""
    if order.status is Status.CANCELLING:
        return "PENDING_CANCEL"
    if order.status is Status.FILLED:
        return "FILLED"
    if order.status is Status.CANCELED:
        if order.reason == POST_ONLY_TAKES:
            return "FAILED"
        return "PARTIALLY_CANCELED" if order.executed else "CANCELED"
    return "PARTIALLY_FILLED" if order.executed else "NEW"


def smart_state_of(order: SimOrder) -> str:
    if order.ts_triggered is not None:
        return "TRIGGERED"
    if order.status is Status.CANCELED:
        return "FAILED" if order.reason == NO_FUNDS_AT_TRIGGER else "CANCELED"
    return "PENDING_NEW"


def smart_type_of(order: SimOrder) -> str:
    if order.trail is not None:
        return TRAILING_TYPES[order.trail.limit is not None]
    return STOP_TYPES[not order.is_market]


def type_of(order: SimOrder) -> str:
    if order.is_market:
        return "MARKET"
    return "LIMIT_MAKER" if order.post_only else "LIMIT"


def quantity_text(order: SimOrder) -> str:
    """A market buy by value has no quantity."""
    return "0" if order.quote_amount is not None else number(order.quantity)


def order_row(venue: PoloniexState, order: SimOrder) -> dict[str, Any]:
    return {
        "id": str(regular_id(order)),
        "clientOrderId": client_id(venue, order),
        "symbol": order.market,
        "state": state_of(order),
        "accountType": "SPOT",
        "side": order.side.value,
        "type": type_of(order),
        "timeInForce": order.time_in_force.value,
        "quantity": quantity_text(order),
        "price": number(order.price or Decimal(0)),
        "avgPrice": number(round(order.avg_price or Decimal(0), 12)),
        "amount": number(order.quote_amount or Decimal(0)),
        "filledQuantity": number(order.executed),
        "filledAmount": number(order.funds),
        "createTime": millis(order.ts_triggered or order.ts_created),
        "updateTime": millis(order.ts_updated),
    }


def history_row(venue: PoloniexState, order: SimOrder) -> dict[str, Any]:
    return order_row(venue, order) | {"orderSource": "API"}


def _stop_price(order: SimOrder) -> Decimal:
    """Of a trailing stop it is the activation price: its trigger is the venue's own business."""
    if order.trail is not None:
        return order.trail.activation or Decimal(0)
    assert order.trigger_price is not None
    return order.trigger_price


def _trail_fields(order: SimOrder) -> dict[str, str]:
    """`trailingOffset`, `limitOffset` and `operator`, as they were asked for."""
    trail = order.trail
    if trail is None:
        return {}
    fields = {"trailingOffset": _offset_text(trail.offset)}
    if trail.limit is not None:
        fields["limitOffset"] = _offset_text(trail.limit)
    if trail.operator is not None:
        fields["operator"] = trail.operator.value.upper()
    return fields


def _offset_text(offset: Offset) -> str:
    return f"{number(offset.value * 100)}%" if offset.is_ratio else number(offset.value)


def smart_row(venue: PoloniexState, order: SimOrder) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": str(order.id),
        "clientOrderId": order.client_order_id or "",
        "symbol": order.market,
        "state": smart_state_of(order),
        "accountType": "SPOT",
        "side": order.side.value,
        "type": smart_type_of(order),
        "timeInForce": order.time_in_force.value,
        "quantity": quantity_text(order),
        "price": number(order.price or Decimal(0)),
        "amount": number(order.quote_amount or Decimal(0)),
        "stopPrice": number(_stop_price(order)),
        "createTime": millis(order.ts_created),
        "updateTime": millis(order.ts_triggered or order.ts_updated),
    }
    row |= _trail_fields(order)
    if order.ts_triggered is not None:
        row["triggeredOrder"] = order_row(venue, order)
    return row


def fill_row(venue: PoloniexState, fill: FillEntry) -> dict[str, Any]:
    order = venue.exchange.order(ACCOUNT, fill.order_id)
    assert order is not None, "a fill without its order"
    return {
        "id": str(fill.trade_id),
        "symbol": fill.market,
        "accountType": "SPOT",
        "orderId": str(regular_id(order)),
        "side": fill.side.value,
        "type": type_of(order),
        "matchRole": "MAKER" if fill.is_maker else "TAKER",
        "createTime": millis(fill.ts_event),
        "price": number(fill.price),
        "quantity": number(fill.quantity),
        "amount": number(fill.price * fill.quantity),
        "feeCurrency": fill.fee_currency,
        "feeAmount": number(fill.fee),
        "pageId": str(fill.trade_id + PAGE_OFFSET),
        "clientOrderId": client_id(venue, order),
    }


# -- requests -------------------------------------------------------------------------------------


def positive(body: Mapping[str, Any], name: str, code: int) -> Decimal | None:
    """A number, as text or (ccxt) as a JSON number; None when absent. Raises ApiError `code`."""
    value = body.get(name)
    if value is None or value == "":
        return None
    parsed = exact(value)
    if parsed is None:
        raise ApiError(601, f"Invalid {name}")
    if not 0 < parsed <= _NUMBER_MAX:
        raise ApiError(code)
    return parsed


def flag(value: object) -> bool:
    """JSON true, or the text `true`."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A create after the checks that need no price; `type` is the venue's word."""

    market: SimMarket
    side: Side
    type: str
    tif: Tif
    price: Decimal | None
    quantity: Decimal | None
    amount: Decimal | None
    stop_price: Decimal | None
    client_order_id: str | None
    self_trade: Literal["allow", "expire_taker"]
    slippage: Decimal | None = None
    trail: Trail | None = None

    @property
    def is_market(self) -> bool:
        return self.type in ("MARKET", "STOP", "TRAILING_STOP")

    @property
    def is_smart(self) -> bool:
        return self.stop_price is not None or self.trail is not None


def read_order(venue: PoloniexState, body: object, *, smart: bool) -> Asked:
    """Raises ApiError with the documented code of the first thing that is wrong."""
    if not isinstance(body, dict):
        raise ApiError(601)
    for name in ("symbol", "side"):
        if not body.get(name):
            raise ApiError(602, f"Missing parameter {name}")
    market = venue.markets.get(str(body["symbol"]))
    if market is None:
        raise ApiError(10040)
    if body["side"] not in ("BUY", "SELL"):
        raise ApiError(21319)
    if body.get("accountType", "SPOT") != "SPOT":
        raise ApiError(21324)
    tif = body.get("timeInForce") or "GTC"
    if tif not in ("GTC", "IOC", "FOK"):
        raise ApiError(21321)
    if body.get("stpMode", "EXPIRE_TAKER") not in ("EXPIRE_TAKER", "NONE"):
        raise ApiError(601, "Invalid stpMode")
    slippage = positive(body, "slippageTolerance", 601)
    if slippage is not None and slippage >= 1:
        raise ApiError(601, "slippageTolerance is above 0 and below 1")
    kind = _type(body, smart=smart)
    asked = Asked(
        market=market,
        side=Side(body["side"]),
        type=kind,
        tif=Tif(tif),
        price=positive(body, "price", 21309),
        quantity=positive(body, "quantity", 21328),
        amount=positive(body, "amount", 21317),
        stop_price=positive(body, "stopPrice", 21347) if smart else None,
        client_order_id=_client_order_id(body),
        self_trade="allow" if body.get("stpMode") == "NONE" else "expire_taker",
        slippage=slippage,
        trail=_trail(body, kind, market) if kind in TRAILING_TYPES else None,
    )
    _check_numbers(asked)
    return asked


def _type(body: Mapping[str, Any], *, smart: bool) -> str:
    """Section 2.1: MARKET by default; 2.2: STOP without a price, STOP_LIMIT with one."""
    known: tuple[str, ...] = SMART_TYPES if smart else ("MARKET", "LIMIT", "LIMIT_MAKER")
    if smart:
        found = body.get("type") or ("STOP_LIMIT" if body.get("price") else "STOP")
    else:
        found = body.get("type") or "MARKET"
    if found not in known:
        raise ApiError(21320)
    return str(found)


def _trail(body: Mapping[str, Any], kind: str, market: SimMarket) -> Trail:
    """Section 2.2. Raises ApiError 601 or 602."""
    offset = _offset(body, "trailingOffset", market)
    limit = _offset(body, "limitOffset", market)
    if offset is None:
        raise ApiError(602, "Missing parameter trailingOffset")
    if kind == "TRAILING_STOP_LIMIT" and limit is None:
        raise ApiError(602, "Missing parameter limitOffset")
    activation = positive(body, "stopPrice", 21347)
    operator = body.get("operator") or None
    if operator not in (None, "GTE", "LTE") or (operator is None) != (activation is None):
        raise ApiError(601, "operator is GTE or LTE, and goes with stopPrice")
    return Trail(
        offset=offset,
        limit=limit if kind == "TRAILING_STOP_LIMIT" else None,
        activation=activation,
        operator=None if operator is None else TriggerCondition(str(operator).lower()),
    )


def _offset(body: Mapping[str, Any], name: str, market: SimMarket) -> Offset | None:
    """With `%` a share of the price, else a distance in price. Raises ApiError 601."""
    value = body.get(name)
    if value is None or value == "":
        return None
    is_ratio = isinstance(value, str) and value.endswith("%")
    text = str(value).removesuffix("%") if is_ratio else value
    found = positive({name: text}, name, 601)
    assert found is not None
    if is_ratio:
        found /= 100
    if (is_ratio and found >= 1) or (not is_ratio and not is_on_step(found, market.price_scale)):
        raise ApiError(601, f"Invalid {name}")
    return Offset(found, is_ratio)


def _client_order_id(body: Mapping[str, Any]) -> str | None:
    name = str(body.get("clientOrderId") or "")
    if len(name) > CLIENT_ID_CHARS_MAX:
        raise ApiError(21315)
    if not _CLIENT_ID.fullmatch(name):
        raise ApiError(601, "Invalid clientOrderId")
    return name or None


def _check_numbers(asked: Asked) -> None:
    """Presence, scales and minimums."""
    market = asked.market
    if asked.type in STOP_TYPES and asked.stop_price is None:
        raise ApiError(21347)
    if not asked.is_market and asked.trail is None and asked.price is None:
        raise ApiError(602, "Missing parameter price")
    by_amount = asked.is_market and asked.side is Side.BUY
    if by_amount and asked.amount is None:
        raise ApiError(602, "Missing parameter amount")
    if not by_amount and asked.quantity is None:
        raise ApiError(602, "Missing parameter quantity")
    for value, scale, code in (
        (asked.price, market.price_scale, 21335),
        (asked.stop_price, market.price_scale, 21335),
        (asked.quantity, market.quantity_scale, 21336),
        (asked.amount, market.amount_scale, 21337),
    ):
        if value is not None and not is_on_step(value, scale):
            raise ApiError(code)
    if not by_amount and asked.quantity is not None and asked.quantity < market.min_quantity:
        raise ApiError(21330)
    value = asked.amount if by_amount else None
    if asked.price is not None and asked.quantity is not None and not asked.is_market:
        value = asked.price * asked.quantity
    if value is not None and value < market.min_amount:
        raise ApiError(21322)


def check_modes(venue: PoloniexState, asked: Asked) -> None:
    """Maintenance, post-only mode, and the market's state (section 2.3)."""
    modes, symbol = venue.modes, asked.market.symbol
    state = modes.state(symbol)
    if venue.options.account_state == "LOCKED":
        raise ApiError(21601)
    if modes.maintenance:
        raise ApiError(21340)
    if state not in ("NORMAL", "POST_ONLY"):
        raise ApiError(10041)
    is_post_only = modes.post_only or state == "POST_ONLY"
    if is_post_only and asked.type not in ("LIMIT_MAKER", *SMART_TYPES):
        raise ApiError(21341)
    bid, ask = modes.limits.get(symbol, (Decimal(0), Decimal(0)))
    if asked.price is not None and asked.side is Side.BUY and 0 < bid < asked.price:
        raise ApiError(21342)
    if asked.price is not None and asked.side is Side.SELL and asked.price < ask:
        raise ApiError(21343)


def create(venue: PoloniexState, asked: Asked) -> SimOrder:
    """Place it. Raises ApiError."""
    check_modes(venue, asked)
    stop_price, condition = _trigger_of(venue, asked)
    by_amount = asked.is_market and asked.side is Side.BUY
    new = NewOrder(
        market=asked.market.symbol,
        side=asked.side,
        quantity=None if by_amount else asked.quantity,
        quote_amount=asked.amount if by_amount else None,
        price=None if asked.is_market else asked.price,
        trigger_price=stop_price,
        trigger_condition=condition,
        time_in_force=Tif.GTC if asked.type == "LIMIT_MAKER" else asked.tif,
        post_only=asked.type == "LIMIT_MAKER",
        client_order_id=asked.client_order_id,
        self_trade=asked.self_trade,
        trail=asked.trail,
        slippage=asked.slippage if asked.type == "MARKET" else None,
    )
    if len(venue.exchange.open_orders(ACCOUNT)) >= OPEN_ORDERS_MAX:
        raise ApiError(21314)
    made = venue.exchange.submit(ACCOUNT, new, venue.exchange.now_ns)
    if isinstance(made, Refusal):
        raise _refused(made, smart=asked.is_smart)
    return made


def _trigger_of(
    venue: PoloniexState, asked: Asked
) -> tuple[Decimal | None, TriggerCondition | None]:
    """Trigger price and condition of a smart order; a trailing one sells below, buys above."""
    if asked.trail is not None:
        market = venue.exchange.markets[asked.market.symbol]
        last = market.tape.last_price or asked.market.start_price
        found = first_trigger(asked.trail, asked.side, last)
        if found <= 0:
            raise ApiError(601, "trailingOffset is more than the price")
        return found, default_condition(asked.side)
    if asked.stop_price is None:
        return None, None
    return asked.stop_price, _condition(venue, asked.market.symbol, asked.stop_price)


def _condition(venue: PoloniexState, symbol: str, stop_price: Decimal) -> TriggerCondition:
    """The venue has no direction field: it waits for a cross from the side of the last price."""
    last = venue.exchange.markets[symbol].tape.last_price
    if last is None or last <= stop_price:
        return TriggerCondition.GTE
    return TriggerCondition.LTE


def _refused(refusal: Refusal, *, smart: bool) -> ApiError:
    codes = {
        RefusalCode.INSUFFICIENT_FUNDS: 21709,
        RefusalCode.DUPLICATE_CLIENT_ID: 25004 if smart else 21312,
        RefusalCode.UNKNOWN_ACCOUNT: 21600,
        RefusalCode.UNKNOWN_MARKET: 10040,
        RefusalCode.MARKET_HALTED: 10041,
        RefusalCode.BAD_PRICE: 21335,
        RefusalCode.BAD_QUANTITY: 21336,
    }
    if refusal.code is RefusalCode.WOULD_TAKE:
        return ApiError(601, "A LIMIT_MAKER order would trade at once")
    return ApiError(codes.get(refusal.code, 601))


def cancel(venue: PoloniexState, order: SimOrder, *, at_once: bool = False) -> None:
    """Ask for the cancel. Raises ApiError 21359 when the order is over."""
    settle_ns = 0 if at_once else None
    made = venue.exchange.cancel(ACCOUNT, order.id, venue.exchange.now_ns, settle_ns)
    if isinstance(made, Refusal):
        raise ApiError(21359)


def asked_again(venue: PoloniexState, order: SimOrder, change: Mapping[str, Any]) -> Asked:
    """What replaces `order`: its fields with those of `change`, read as a create is."""
    smart = is_smart(order)
    kind = smart_type_of(order) if smart else type_of(order)
    body: dict[str, Any] = {
        "symbol": order.market,
        "side": order.side.value,
        "type": kind,
        "timeInForce": order.time_in_force.value,
    }
    if order.price is not None:
        body["price"] = number(order.price)
    if order.quote_amount is not None:
        body["amount"] = number(order.quote_amount)
    else:
        body["quantity"] = number(order.remaining or order.quantity)
    if smart and _stop_price(order):
        body["stopPrice"] = number(_stop_price(order))
    body |= _trail_fields(order)
    names = (
        *("price", "quantity", "amount", "type", "timeInForce", "clientOrderId", "stopPrice"),
        *("trailingOffset", "limitOffset", "operator"),
    )
    body |= {name: change[name] for name in names if change.get(name) is not None}
    return read_order(venue, body, smart=smart)
