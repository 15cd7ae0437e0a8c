"""REST of the simulated Zerocap: orders, quotes, and what is known of markets (section 3)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Literal

import msgspec

from fairlead.adapters.simulation.market import MS, SECOND_NS
from fairlead.adapters.simulation.numbers import exact, whole
from fairlead.adapters.simulation.orders import ORDER_VALUE_MAX
from fairlead.adapters.simulation.routes import ApiError, Endpoint
from fairlead.adapters.zerocap.config import Dialect
from fairlead.adapters.zerocap.simulator_rows import created, fetched, iso
from fairlead.adapters.zerocap.simulator_state import Deal, FirmQuote, ZerocapState
from fairlead.engine.orders.model import Side

PAGE_MAX = 500
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_SYMBOL = re.compile(r"[A-Za-z0-9]{1,20}/[A-Za-z0-9]{1,20}")
_ID = re.compile(r"[A-Za-z0-9._:-]{0,128}")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was let in: its parameters, from the query or the body's JSON object."""

    dialect: Dialect
    params: dict[str, Any]


def invalid(name: str, words: str) -> ApiError:
    return ApiError(422, f"{name}: {words}")


def worded(asked: Asked, name: str, default: str | None = None) -> str:
    """A parameter that is text. Raises ApiError 422; `default` None: it must be there."""
    value = asked.params.get(name, default)
    if not isinstance(value, str):
        raise invalid(name, "field required" if value is None else "str type expected")
    return value


def numbered(asked: Asked, name: str, default: int) -> int:
    """A parameter that is a whole number, or its text; "" and 0 stand for the default."""
    value = asked.params.get(name, default)
    found = whole(default if value in ("", 0, None) else value)
    if found is None:
        raise invalid(name, "value is not a valid integer")
    return found


def decimal_of(asked: Asked, name: str, default: str | None = None) -> Decimal:
    raw = asked.params.get(name, default)
    if raw is None:
        raise invalid(name, "field required")
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise invalid(name, "str type expected")
    value = exact(raw)
    if value is None or not 0 <= value <= ORDER_VALUE_MAX:
        raise invalid(name, "value is not a valid decimal")
    return value


def symbol_of(asked: Asked) -> str:
    symbol = worded(asked, "symbol")
    if _SYMBOL.fullmatch(symbol) is None:
        raise invalid("symbol", "characters outside the allowed set")
    return symbol


def side_of(asked: Asked) -> Side:
    side = _SIDES.get(worded(asked, "side").lower())
    if side is None:
        raise invalid("side", "buy or sell expected")
    return side


def client_id(state: ZerocapState, asked: Asked) -> str:
    given = worded(asked, "client_order_id", "")
    if _ID.fullmatch(given) is None:
        raise invalid("client_order_id", "characters outside the allowed set")
    return given + state.options.id_suffix if given else ""


# -- orders ----------------------------------------------------------------------------------------


def _create(state: ZerocapState, asked: Asked) -> object:
    kind = worded(asked, "type").lower()
    if kind not in ("limit", "market") or (kind == "market" and asked.dialect == "C"):
        raise invalid("type", "limit expected" if asked.dialect == "C" else "unknown type")
    type_: Literal["limit", "market"] = "limit" if kind == "limit" else "market"
    amount = decimal_of(asked, "amount")
    price = decimal_of(asked, "price", "0" if asked.dialect == "A" else None)
    if amount <= 0 or (type_ == "limit" and price <= 0):
        raise invalid("amount" if amount <= 0 else "price", "greater than 0 expected")
    symbol, side = symbol_of(asked), side_of(asked)
    deal = Deal(
        id=state.new_id(),
        client_order_id=client_id(state, asked),
        symbol=symbol,
        side=side,
        type=type_,
        price=price,
        amount=amount,
        ts_ns=_whole_second(state),
        status="rejected",
    )
    market = state.markets.get(symbol)
    dealt = None if market is None else state.price_of(market, side, amount)
    state.deal(deal, market, dealt, is_quoted=False)
    return created(deal, asked.dialect)


def _whole_second(state: ZerocapState) -> int:
    """The documented times end in 000."""
    return state.exchange.now_ns // SECOND_NS * SECOND_NS


def _fetch_order(state: ZerocapState, asked: Asked) -> object:
    deal = state.deals.get(worded(asked, "id"))
    if asked.dialect == "C":
        if deal is None:
            raise invalid("id", "order does not exist")
        return fetched(deal, "C", is_listed=False)
    rows = [] if deal is None else [fetched(deal, "A", is_listed=False)]
    return {"order_list": rows, "status": "success"}


def _fetch_orders(state: ZerocapState, asked: Asked) -> object:
    limit = min(PAGE_MAX, max(1, numbered(asked, "limit", PAGE_MAX)))
    first = 0 if asked.dialect == "A" else 1
    page = max(first, numbered(asked, "page", first))
    start, end = numbered(asked, "start_datetime", 0), numbered(asked, "end_datetime", 0)
    ids = {name for name in worded(asked, "ids", "").split(",") if name}
    wanted = {
        name: worded(asked, name, "").lower() for name in ("symbol", "status", "order_type", "side")
    }
    chosen = [
        deal
        for deal in state.deals.values()
        if (not ids or deal.id in ids)
        and deal.ts_ns // MS >= start
        and (not end or deal.ts_ns // MS < end)
        and wanted["symbol"] in ("", deal.symbol.lower())
        and wanted["status"] in ("", deal.status)
        and wanted["order_type"] in ("", deal.type)
        and wanted["side"] in ("", deal.side.value.lower())
    ]
    if worded(asked, "sort_order", "").lower() != "asc":
        chosen.reverse()
    shown = chosen[(page - first) * limit : (page - first + 1) * limit]
    rows = [fetched(deal, asked.dialect, is_listed=True) for deal in shown]
    told: object = str(page) if asked.dialect == "A" else page
    return {"order_list": rows, "status": "success", "total": len(chosen), "page": told}


# -- quotes ----------------------------------------------------------------------------------------


def _priced(state: ZerocapState, asked: Asked) -> tuple[Side, Decimal, Decimal]:
    symbol, side = symbol_of(asked), side_of(asked)
    amount, market = decimal_of(asked, "amount"), state.markets.get(symbol)
    currency = worded(asked, "currency", "").upper()
    if market is None:
        raise invalid("symbol", "not tradable")
    base, quote = symbol.split("/")
    if currency not in ("", base, quote):
        raise invalid("currency", "neither base nor quote")
    if currency == quote:  # as many base units as this much of the quote currency is worth
        first = state.price_of(market, side, market.min_quantity)
        step = market.spec.size_step
        amount = (amount / first).quantize(step) if first else Decimal(0)
    price = state.price_of(market, side, amount) if amount > 0 else None
    if price is None:
        raise invalid("amount", "no price for it")
    return side, amount, price


def _rfq(state: ZerocapState, asked: Asked) -> object:
    side, amount, price = _priced(state, asked)
    return {
        "rfq_id": state.new_id(),
        "client_order_id": client_id(state, asked),
        "amount": float(amount),
        "side": side.value.lower(),
        "symbol": symbol_of(asked),
        "price": float(price),
        "created": iso(state.exchange.now_ns),
    }


def _firm(state: ZerocapState, asked: Asked) -> object:
    side, amount, price = _priced(state, asked)
    symbol = symbol_of(asked)
    quote = FirmQuote(
        id=state.new_id(),
        symbol=symbol,
        side=side,
        amount=amount,
        price=price,
        expires_ns=state.exchange.now_ns + state.options.quote_secs * SECOND_NS,
    )
    state.quotes[quote.id] = quote
    return {
        "quote_id": quote.id,
        "client_order_id": client_id(state, asked),
        "amount": float(amount),
        "side": side.value.lower(),
        "symbol": symbol,
        "price": float(price),
        "created": iso(state.exchange.now_ns),
        "currency": worded(asked, "currency", "") or symbol.split("/")[0],
        "base_amount": float(amount),
        "quote_amount": float(amount * price),
        "expires_at": quote.expires_ns // MS,
    }


def _accept(state: ZerocapState, asked: Asked) -> object:
    quote = state.quotes.get(worded(asked, "quote_id"))
    if quote is None:
        raise invalid("quote_id", "no such quote")
    if quote.is_used or quote.expires_ns <= state.exchange.now_ns:
        raise invalid("quote_id", "the quote is used" if quote.is_used else "the quote expired")
    quote.is_used = True
    market = state.markets[quote.symbol]
    deal = Deal(
        id=state.new_id(),
        client_order_id=client_id(state, asked),
        symbol=quote.symbol,
        side=quote.side,
        type="limit",
        price=quote.price,
        amount=quote.amount,
        ts_ns=_whole_second(state),
        status="rejected",
    )
    state.deal(deal, market, quote.price, is_quoted=True)
    return created(deal, asked.dialect)


# -- what needs no account -------------------------------------------------------------------------


def _key_proof(state: ZerocapState, asked: Asked) -> object:
    """Dialect A's look at its key: 200 in the body, or what it would be refused with."""
    key, signature = worded(asked, "api_key", ""), worded(asked, "signature", "")
    try:
        state.authenticated(key, signature, None, "")
    except ApiError as e:
        return {"status_code": e.code}
    return {"status_code": 200}


def _time(state: ZerocapState, asked: Asked) -> object:
    return {"server_time": str(state.exchange.now_ns // SECOND_NS)}


def _instruments(state: ZerocapState, asked: Asked) -> object:
    rows = [
        {
            "name": market.symbol,
            "type": "SPOT",
            "is_tradable": market.is_tradable,
            "quantity_precision": float(market.quantity_precision),
            "max_quantity": float(market.max_quantity),
            "min_quantity": float(market.min_quantity),
            "price_precision": float(market.price_precision),
        }
        for market in state.markets.values()
    ]
    return {"status": "successful", "instruments": rows}


# `group` is the dialects that have it.
REST: tuple[Endpoint[ZerocapState, Asked], ...] = (
    Endpoint("POST", "/orders/api_key_signature_valid", _key_proof, "A"),
    Endpoint("GET", "/systems/get_time", _time, "AC"),
    Endpoint("POST", "/orders/create_order", _create, "AC", True),
    Endpoint("POST", "/orders/fetch_order", _fetch_order, "A", True),
    Endpoint("GET", "/orders/fetch_order", _fetch_order, "C", True),
    Endpoint("POST", "/orders/fetch_orders", _fetch_orders, "AC", True),
    Endpoint("GET", "/orders/get_instruments", _instruments, "C", True),
    Endpoint("POST", "/orders/request_for_quote", _rfq, "C", True),
    Endpoint("POST", "/orders/request_for_firm_quote", _firm, "C", True),
    Endpoint("POST", "/orders/accept_quote", _accept, "C", True),
)
