"""Endpoints of the exchange behind the simulated gateway (section 3, execution and state)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.mudawyl.simulator_checks import MISSING, Call, Check, external, number_of
from fairlead.adapters.mudawyl.simulator_markets import iso, number
from fairlead.adapters.mudawyl.simulator_matching import Asked, Leg, split
from fairlead.adapters.mudawyl.simulator_rows import (
    created_row,
    flat_row,
    listed_row,
    position_row,
    trade_row,
)
from fairlead.adapters.mudawyl.simulator_state import MudawylState
from fairlead.adapters.simulation.orders import ORDER_VALUE_MAX
from fairlead.adapters.simulation.routes import Endpoint
from fairlead.engine.orders.model import Side

TARGETS_MAX = 25
LEVERAGE_MAX = 125
TYPES = ("LIMIT", "MARKET", "TRAILING_STOP")
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
Handler = Endpoint[MudawylState, Call]


def _asked_for(call: Call, location: str = "query") -> tuple[str, str]:
    """The key's id and the symbol. Raises Refusal (422)."""
    check = Check(call)
    key_id, symbol = check.id(), check.symbol(location)
    check.end()
    return key_id, symbol


# -- reading ---------------------------------------------------------------------------------------


def _open_orders(state: MudawylState, call: Call) -> object:
    key_id, symbol = _asked_for(call)
    is_traded = state.is_traded(key_id, symbol, futures=False)
    return [listed_row(row) for row in state.open_rows(symbol)] if is_traded else []


def _order_history(state: MudawylState, call: Call) -> object:
    key_id, symbol = _asked_for(call)
    if not state.is_traded(key_id, symbol, futures=False):
        return []
    shows_open = state.options.history_has_open
    rows = [r for r in state.rows.values() if r.symbol == symbol and (shows_open or not r.is_open)]
    return [listed_row(row) for row in rows[::-1][: state.options.history_kept]]


def _trade_history(state: MudawylState, call: Call) -> object:
    key_id, symbol = _asked_for(call)
    if not state.is_traded(key_id, symbol, futures=False):
        return []
    fills = state.fills(symbol)[::-1][: state.options.history_kept]
    return [trade_row(row, fill) for row, fill in fills]


def _position(state: MudawylState, call: Call) -> object:
    key_id, symbol = _asked_for(call)
    is_traded = state.is_traded(key_id, symbol)
    holding = state.holdings[symbol]
    if not is_traded or holding.quantity == 0:
        return flat_row(symbol, holding, state.options.flat_position)
    mark, wallet = state.mark(symbol), state.wallet()
    return position_row(symbol, holding, mark, wallet, state.liquidation(symbol))


# -- a new order -----------------------------------------------------------------------------------


def _targets(check: Check, *, is_trailing: bool) -> list[Decimal]:
    value = check.call.body.get("takeProfitPrices", MISSING)
    if value is MISSING or value is None:
        return []
    found = [number_of(item) for item in value] if isinstance(value, list) else [None]
    prices = [price for price in found if price is not None and 0 < price <= ORDER_VALUE_MAX]
    if len(prices) != len(found):
        check.fail("takeProfitPrices", "must be array of numbers", value, "body")
    elif len(prices) > TARGETS_MAX:
        check.fail("takeProfitPrices", f"must have at most {TARGETS_MAX}", value, "body")
    elif is_trailing:
        check.fail("takeProfitPrices", "must not use with type traililng stop", value, "body")
    return prices


def _stop(check: Check, *, is_trailing: bool) -> tuple[Decimal | None, str, Decimal | None]:
    """The stop's trigger, its type, and its limit. One that is named by its type alone is refused,
    as a limit is without its price: taken, it would be no stop.
    """
    trigger = check.number("stopTriggerPrice", is_needed=False)
    value = check.call.body.get("stopTriggerPrice", MISSING)
    if value is not MISSING and is_trailing:
        check.fail("stopTriggerPrice", "must not use with type traililng stop", value, "body")
    is_named = check.call.body.get("stopTriggerType") is not None
    if trigger is None and not is_named:
        return None, "", None
    if value in (MISSING, None) and not is_trailing:
        check.fail("stopTriggerPrice", "must be a number", value, "body")
    kind = check.choice("stopTriggerType", ("LIMIT", "MARKET"))
    limit = check.number("stopPrice", is_needed=False)
    if kind == "LIMIT" and limit is None:
        text = "must require stopPrice with type limit"
        check.fail("stopTriggerType", text, kind, "body")
    return trigger, kind, limit


def _callback(check: Check, *, is_trailing: bool) -> Decimal | None:
    rate = check.number("callbackRate", is_needed=is_trailing)
    if not is_trailing:
        return None
    if rate is not None and not Decimal("0.1") <= rate <= 5:
        value = check.call.body["callbackRate"]
        check.fail("callbackRate", "must be between 0.1 and 5", value, "body")
    return None if rate is None else rate / 100


def _read_order(state: MudawylState, call: Call) -> tuple[str, Asked]:
    """Raises Refusal (422)."""
    check = Check(call)
    key_id, symbol = check.id(), check.symbol("body")
    kind, side = check.choice("type", TYPES), check.choice("side", ("BUY", "SELL"))
    is_trailing = kind == "TRAILING_STOP"
    amount = check.number("amount")
    price = check.number("price", is_needed=kind in ("LIMIT", "TRAILING_STOP"))
    callback = _callback(check, is_trailing=is_trailing)
    targets = _targets(check, is_trailing=is_trailing)
    trigger, stop_type, limit = _stop(check, is_trailing=is_trailing)
    check.end()
    state.is_traded(key_id, symbol, manual=True)
    assert amount is not None, "checked"
    parts = split(amount, len(targets), state.markets[symbol].spec.size_step) if targets else []
    legs = [
        Leg(type="take_profit", stop_price=target, price=target, amount=part)
        for target, part in zip(targets, parts, strict=True)
    ]
    if trigger is not None:
        legs.append(_stop_leg(state, trigger, limit if stop_type == "LIMIT" else None, amount))
    return key_id, Asked(
        symbol=symbol,
        type=kind,  # type: ignore[arg-type]
        side=_SIDES[side],
        amount=amount,
        price=None if kind == "MARKET" else price,
        callback=callback,
        legs=tuple(legs),
    )


def _stop_leg(state: MudawylState, trigger: Decimal, limit: Decimal | None, amount: Decimal) -> Leg:
    if limit is not None:
        return Leg(type="stop", stop_price=trigger, price=limit, amount=amount, tif="GTE_GTC")
    is_closing = state.options.market_stop_closes
    return Leg(
        type="stop_market",
        stop_price=trigger,
        price=None,
        amount=None if is_closing else amount,
        tif="GTE_GTC",
    )


def _create(state: MudawylState, call: Call) -> object:
    key_id, asked = _read_order(state, call)
    if key_id != state.main.id:
        raise external("1500")  # an account without funds
    rows = state.create(asked)
    body, entry = call.body, rows[0]
    is_trailing = asked.type == "TRAILING_STOP"
    state.manual_trades.append(
        {
            "orderId": str(entry.id),
            "price": number(entry.average or asked.price),
            "amount": number(asked.amount),
            "cost": number((entry.average or asked.price or Decimal(0)) * asked.amount),
            "stop": number(number_of(body.get("stopTriggerPrice"))),
            "stopType": body.get("stopTriggerType"),
            "takeProfit": [leg.price for leg in asked.legs if leg.type == "take_profit"],
            "trailingTriggerPrice": number(asked.price) if is_trailing else None,
            "callbackRate": number(asked.callback * 100) if asked.callback else None,
            "riskProfilePercent": number(number_of(body.get("riskProfilePercent"))),
            "createdAt": iso(entry.ts_ns),
        }
    )
    return [created_row(row) for row in rows]


# -- other changes ---------------------------------------------------------------------------------


def _close(state: MudawylState, call: Call) -> None:
    key_id, symbol = _asked_for(call, "body")
    if state.is_traded(key_id, symbol):
        state.clear(symbol)


def _leverage(state: MudawylState, call: Call) -> None:
    check = Check(call)
    key_id, symbol, leverage = check.id(), check.symbol("body"), check.number("leverage")
    if leverage is not None and (leverage % 1 or not 1 <= leverage <= LEVERAGE_MAX):
        text = f"must be between 1 and {LEVERAGE_MAX}"
        check.fail("leverage", text, call.body["leverage"], "body")
    check.end()
    assert leverage is not None, "checked"
    is_traded = state.is_traded(key_id, symbol)
    if leverage > state.markets[symbol].max_leverage:
        raise external("1500")
    if is_traded:
        state.holdings[symbol].leverage = int(leverage)


def _margin(state: MudawylState, call: Call) -> None:
    check = Check(call)
    key_id, symbol = check.id(), check.symbol("body")
    kind = check.choice("type", ("ISOLATED", "CROSSED"))
    check.end()
    if state.is_traded(key_id, symbol):
        state.holdings[symbol].is_isolated = kind == "ISOLATED"


def _rows(*rows: tuple[str, str, Any]) -> tuple[Handler, ...]:
    return tuple(
        Endpoint(method, f"/v1/priv/exchange{path}", h, "", True) for method, path, h in rows
    )


TRADING = _rows(
    ("GET", "/order/{id}/list", _open_orders),
    ("GET", "/order/{id}/history", _order_history),
    ("GET", "/trade/{id}/history", _trade_history),
    ("GET", "/position/{id}", _position),
    ("POST", "/order/{id}", _create),
    ("DELETE", "/position/{id}", _close),
    ("PUT", "/order/{id}/leverage", _leverage),
    ("PUT", "/order/{id}/margin", _margin),
)
