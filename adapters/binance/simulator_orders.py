"""What both products of the simulated Binance do alike with orders: numbers, names, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.binance.simulator_markets import Product, SimMarket, millis
from fairlead.adapters.binance.simulator_public import stamp
from fairlead.adapters.binance.simulator_state import SPOT_ACCOUNT, USDM_ACCOUNT, BinanceState, Call
from fairlead.adapters.simulation.core import Market
from fairlead.adapters.simulation.numbers import exact, natural
from fairlead.adapters.simulation.orders import SimOrder, Status
from fairlead.adapters.simulation.validate import is_on_step
from fairlead.engine.orders.model import Side

DECIMALS_MAX = 8
ACCOUNTS = {Product.SPOT: SPOT_ACCOUNT, Product.USDM: USDM_ACCOUNT}
_NAMES = {
    Product.SPOT: re.compile(r"[a-zA-Z0-9\-_]{1,36}"),
    Product.USDM: re.compile(r"[.A-Z:/a-z0-9_\-]{1,36}"),
}
BY_USER, SELF_TRADE = "canceled by user", "self-trade prevented"


def number_of(call: Call, name: str) -> Decimal | None:
    """A number that is not negative; None when absent. Raises ApiError -1100."""
    text = call.params.get(name)
    if text is None or text == "":
        return None
    value = exact(text)
    if value is None or value < 0 or text[0] == "-" or "e" in text.lower():
        raise ApiError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is "
            r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
        )
    return value


def flag(call: Call, name: str) -> bool:
    """Raises ApiError -1100."""
    text = call.params.get(name, "false").lower()
    if text not in ("true", "false"):
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
    return text == "true"


def side_of(call: Call) -> Side:
    """Raises ApiError -1102 or -1117."""
    text = call.need("side")
    if text not in ("BUY", "SELL"):
        raise ApiError(-1117)
    return Side(text)


def name_of(venue: BinanceState, call: Call, name: str = "newClientOrderId") -> str:
    """A new client id. Raises ApiError -1100, futures -4015."""
    text = call.params.get(name) or venue.new_name()
    if not _NAMES[call.product].fullmatch(text):
        if call.product is Product.USDM:
            raise ApiError(-4015)
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
    return text


def check_step(market: SimMarket, value: Decimal | None, scale: int, code: ApiError) -> None:
    """Raises ApiError -1111 for what no symbol takes, else `code`."""
    if value is None:
        return
    if not is_on_step(value, DECIMALS_MAX):
        raise ApiError(-1111)
    if not is_on_step(value, scale):
        raise code


def find(
    venue: BinanceState,
    call: Call,
    code: int,
    names: tuple[str, str] = ("orderId", "origClientOrderId"),
) -> SimOrder:
    """By the venue's number or the client's id, of the symbol. Raises ApiError."""
    market = venue.market_of(call)
    account = ACCOUNTS[call.product]
    number, name = (call.params.get(one) for one in names)
    if not number and not name:
        raise ApiError(
            -1102, f"Param '{names[1]}' or '{names[0]}' must be sent, but both were empty/null!"
        )
    found: SimOrder | None
    if number:
        found = venue.exchange.order(account, natural(number) or 0)
    else:
        found = venue.exchange.order_by_client_id(account, str(name))
    if found is None or found.market != market.id:
        raise ApiError(code)
    return found


def status_of(order: SimOrder) -> str:
    if order.status is Status.FILLED:
        return "FILLED"
    if order.status is Status.CANCELED:
        if order.reason == SELF_TRADE:
            return "EXPIRED_IN_MATCH"
        return "CANCELED" if order.reason == BY_USER else "EXPIRED"
    return "PARTIALLY_FILLED" if order.executed else "NEW"


def open_of(venue: BinanceState, call: Call) -> list[SimOrder]:
    """Open orders of the symbol, of all without one."""
    market = venue.market_of(call).id if call.params.get("symbol") else None
    return venue.exchange.open_orders(ACCOUNTS[call.product], market)


def page[T](
    rows: Iterable[T], call: Call, key: Callable[[T], int], ts_ns: Callable[[T], int], id_name: str
) -> list[T]:
    """Oldest first: from an id or a start the first `limit`, else the last."""
    limit = min(natural(call.params.get("limit", "500")) or 500, 1000)
    first = stamp(call, id_name)
    start, end = stamp(call, "startTime"), stamp(call, "endTime")
    chosen = [
        row
        for row in rows
        if (first is None or key(row) >= first)
        and (start is None or millis(ts_ns(row)) >= start)
        and (end is None or millis(ts_ns(row)) <= end)
    ]
    return chosen[-limit:] if first is None and start is None else chosen[:limit]


def book_of(venue: BinanceState, market: SimMarket) -> Market:
    return venue.exchange.markets[market.id]
