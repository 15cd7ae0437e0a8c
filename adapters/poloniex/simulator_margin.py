"""Margin reads of the simulated Poloniex: what an account that never borrows is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_markets import number
from fairlead.adapters.poloniex.simulator_public import Call, currencies_of, mark_price
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState
from fairlead.adapters.simulation.routes import Endpoint

DOLLAR = "USDT"
HOURLY_RATE = Decimal("0.000001")
BORROW_LIMIT = Decimal(100_000)


def _value(venue: PoloniexState, currency: str, amount: Decimal) -> Decimal:
    """In USDT by the mark price; nothing for a currency without such a market."""
    if currency == DOLLAR:
        return amount
    market = venue.markets.get(f"{currency}_{DOLLAR}")
    return Decimal(0) if market is None else amount * mark_price(venue, market)


def _account_margin(venue: PoloniexState, call: Call) -> object:
    if call.params.get("accountType", "SPOT") != "SPOT":
        raise ApiError(21324)
    balances = venue.exchange.ledger.balances(ACCOUNT)
    total = sum((_value(venue, name, b.free + b.locked) for name, b in balances.items()), Decimal())
    text = f"{total:.2f}"
    return {
        "totalAccountValue": text,
        "totalMargin": text,
        "usedMargin": "0.00",
        "freeMargin": text,
        "maintenanceMargin": "0.00",
        "marginRatio": "0",
        "time": venue.now_ms,
    }


def _borrow_status(venue: PoloniexState, call: Call) -> object:
    wanted = call.params.get("currency")
    if wanted and wanted not in currencies_of(venue):
        raise ApiError(601, "Invalid currency")
    return [
        {
            "currency": name,
            "available": number(balance.free),
            "borrowed": "0",
            "hold": number(balance.locked),
            "maxAvailable": number(balance.free),
            "hourlyBorrowRate": number(HOURLY_RATE),
            "version": "1",
        }
        for name, balance in venue.exchange.ledger.balances(ACCOUNT).items()
        if wanted in (None, "", name)
    ]


def _max_size(venue: PoloniexState, call: Call) -> object:
    symbol = call.params.get("symbol")
    if not symbol:
        raise ApiError(602, "Missing parameter symbol")
    market = venue.markets.get(symbol)
    if market is None or market.leverage_max == 0:
        raise ApiError(10040)
    ledger = venue.exchange.ledger
    quote = ledger.balance(ACCOUNT, market.quote).free
    base = ledger.balance(ACCOUNT, market.base).free
    return {
        "symbol": symbol,
        "maxLeverage": market.leverage_max,
        "availableBuy": number(quote),
        "maxAvailableBuy": number(quote * market.leverage_max),
        "availableSell": number(base),
        "maxAvailableSell": number(base * market.leverage_max),
    }


def _collateral_row(name: str) -> dict[str, str]:
    return {
        "currency": name,
        "collateralRate": "1" if name == DOLLAR else "0.95",
        "initialMarginRate": "0.333",
        "maintenanceMarginRate": "0.1",
    }


def _margin_currencies(venue: PoloniexState) -> list[str]:
    names = {DOLLAR: None} | {m.base: None for m in venue.markets.values() if m.leverage_max}
    return [*names]


def _collaterals(venue: PoloniexState, call: Call) -> object:
    return [_collateral_row(name) for name in _margin_currencies(venue)]


def _collateral(venue: PoloniexState, call: Call) -> object:
    if call.path["currency"] not in _margin_currencies(venue):
        raise ApiError(601, "Invalid currency")
    return _collateral_row(call.path["currency"])


def _borrow_rates(venue: PoloniexState, call: Call) -> object:
    rates: list[dict[str, Any]] = [
        {
            "currency": name,
            "dailyBorrowRate": number(HOURLY_RATE * 24),
            "hourlyBorrowRate": number(HOURLY_RATE),
            "borrowLimit": number(BORROW_LIMIT),
        }
        for name in _margin_currencies(venue)
    ]
    return [{"tier": "TIER1", "rates": rates}]


MARGIN: tuple[Endpoint[PoloniexState, Call], ...] = (
    Endpoint("GET", "/margin/accountMargin", _account_margin, "private", True),
    Endpoint("GET", "/margin/borrowStatus", _borrow_status, "private", True),
    Endpoint("GET", "/margin/maxSize", _max_size, "private", True),
    Endpoint("GET", "/markets/collateralInfo", _collaterals, "public"),
    Endpoint("GET", "/markets/borrowRatesInfo", _borrow_rates, "public"),
    Endpoint("GET", "/markets/{currency}/collateralInfo", _collateral, "public"),
)
