"""Account, execution and kill-switch endpoints of the simulated Poloniex (section 2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_markets import millis, number
from fairlead.adapters.poloniex.simulator_orders import (
    PAGE_OFFSET,
    fill_row,
    find_regular,
)
from fairlead.adapters.poloniex.simulator_public import Call, currencies_of
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState
from fairlead.adapters.poloniex.simulator_trading import page, window
from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.numbers import whole
from fairlead.adapters.simulation.orders import FillEntry
from fairlead.adapters.simulation.routes import Endpoint

TRADES_MAX = 1000
TRADES_WINDOW_MS = 180 * 86_400_000
KILL_SECS_MIN, KILL_SECS_MAX, KILL_OFF = 10, 600, -1


def _accounts(venue: PoloniexState, call: Call) -> object:
    options = venue.options
    return [
        {
            "accountId": options.account_id,
            "accountType": "SPOT",
            "accountState": options.account_state,
        }
    ]


def _balances(venue: PoloniexState, call: Call) -> object:
    if call.params.get("accountType", "SPOT") != "SPOT":
        raise ApiError(21324)
    known = currencies_of(venue)
    rows: list[dict[str, Any]] = [
        {
            "currencyId": str(known.index(currency) + 1 if currency in known else 0),
            "currency": currency,
            "available": number(balance.free),
            "hold": number(balance.locked),
        }
        for currency, balance in venue.exchange.ledger.balances(ACCOUNT).items()
    ]
    return [{"accountId": venue.options.account_id, "accountType": "SPOT", "balances": rows}]


def _account_balances(venue: PoloniexState, call: Call) -> object:
    if call.path["id"] != venue.options.account_id:
        raise ApiError(21600)
    return _balances(venue, call)


def _fee_info(venue: PoloniexState, call: Call) -> object:
    since_ns = venue.exchange.now_ns - 30 * 86_400 * 1000 * MS
    fills = venue.exchange.ledger.fills(ACCOUNT)
    volume = sum((f.price * f.quantity for f in fills if f.ts_event >= since_ns), Decimal(0))
    return {
        "trxDiscount": False,
        "makerRate": number(venue.options.maker_rate),
        "takerRate": number(venue.options.taker_rate),
        "volume30D": f"{volume:.2f}",
    }


def _filled_ns(fill: FillEntry) -> int:
    return fill.ts_event


def _page_id(fill: FillEntry) -> int:
    return fill.trade_id + PAGE_OFFSET


def _trades(venue: PoloniexState, call: Call) -> object:
    """Newest first; `from` is a pageId."""
    start, end = window(venue, call, TRADES_WINDOW_MS)
    limit = call.count(500, TRADES_MAX)
    symbols = [s for s in call.params.get("symbols", "").split(",") if s]
    chosen = [
        fill
        for fill in venue.exchange.ledger.fills(ACCOUNT)
        if start <= millis(fill.ts_event) <= end and (not symbols or fill.market in symbols)
    ]
    return [fill_row(venue, fill) for fill in page(chosen, call, _page_id, _filled_ns)[:limit]]


def _order_trades(venue: PoloniexState, call: Call) -> object:
    order = find_regular(venue, call.path["id"])
    return [fill_row(venue, fill) for fill in venue.exchange.ledger.fills_of(order.id)]


def _kill_switch(venue: PoloniexState, call: Call) -> object:
    secs = whole(call.body.get("timeout")) if isinstance(call.body, dict) else None
    if secs is None:
        raise ApiError(602, "Missing parameter timeout")
    if secs == KILL_OFF:
        venue.kill_switch.due_ms = None
        return {"startTime": venue.now_ms, "cancellationTime": 0}
    if not KILL_SECS_MIN <= secs <= KILL_SECS_MAX:
        raise ApiError(601, f"timeout is -1, or {KILL_SECS_MIN} to {KILL_SECS_MAX}")
    venue.kill_switch.arm(secs, venue.now_ms)
    return venue.kill_switch.row()


def _kill_switch_status(venue: PoloniexState, call: Call) -> object:
    return venue.kill_switch.row()


ACCOUNTS: tuple[Endpoint[PoloniexState, Call], ...] = (
    Endpoint("GET", "/accounts", _accounts, "private", True),
    Endpoint("GET", "/accounts/balances", _balances, "private", True),
    Endpoint("GET", "/accounts/{id}/balances", _account_balances, "private", True),
    Endpoint("GET", "/feeinfo", _fee_info, "private bulk", True),
    Endpoint("GET", "/trades", _trades, "private bulk", True),
    Endpoint("POST", "/orders/killSwitch", _kill_switch, "private", True),
    Endpoint("GET", "/orders/killSwitchStatus", _kill_switch_status, "private", True),
    Endpoint("GET", "/orders/{id}/trades", _order_trades, "private", True),
)
