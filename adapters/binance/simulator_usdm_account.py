"""The futures account as the simulated Binance tells it: wallet, margins, positions.

Sources: USD-M "Account Information V2/V3", "Futures Account Balance", "Position Information V2/V3".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.binance.simulator_markets import Product, SimMarket, fixed
from fairlead.adapters.binance.simulator_positions import MAINTENANCE_RATE, ZERO, Position
from fairlead.adapters.binance.simulator_state import USDM_ACCOUNT, BinanceState, Call
from fairlead.adapters.binance.simulator_usdm_orders import margins, unrealized

MONEY = 8  # decimals
MAX_NOTIONAL = "50000000"


def money(value: Decimal) -> str:
    return fixed(value, MONEY)


class _Sums(msgspec.Struct, frozen=True):
    wallet: Decimal
    profit: Decimal
    initial: Decimal
    positions: Decimal
    maintenance: Decimal

    @property
    def available(self) -> Decimal:
        return max(ZERO, self.wallet + self.profit - self.initial)


def _sums(venue: BinanceState) -> _Sums:
    initial, positions = margins(venue)
    marks = {one.symbol: venue.last_price(one) for one in venue.of_product(Product.USDM)}
    held = sum((abs(p.amount) * marks[p.symbol] for p in venue.usdm.held()), ZERO)
    profit = unrealized(venue)
    return _Sums(venue.usdm.wallet, profit, initial, positions, held * MAINTENANCE_RATE)


def _margin_fields(sums: _Sums) -> dict[str, Any]:
    return {
        "maintMargin": money(sums.maintenance),
        "initialMargin": money(sums.initial),
        "positionInitialMargin": money(sums.positions),
        "openOrderInitialMargin": money(sums.initial - sums.positions),
        "crossWalletBalance": money(sums.wallet),
        "crossUnPnl": money(sums.profit),
        "availableBalance": money(sums.available),
        "maxWithdrawAmount": money(min(sums.available, sums.wallet)),
    }


def _assets(venue: BinanceState, sums: _Sums) -> list[dict[str, Any]]:
    names = dict.fromkeys(one.quote for one in venue.of_product(Product.USDM))
    return [
        {
            "asset": name,
            "walletBalance": money(sums.wallet),
            "unrealizedProfit": money(sums.profit),
            "marginBalance": money(sums.wallet + sums.profit),
            **_margin_fields(sums),
            "marginAvailable": True,
            "updateTime": venue.now_ms,
        }
        for name in names
    ]


def account(venue: BinanceState, call: Call) -> object:
    sums = _sums(venue)
    return {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "totalInitialMargin": money(sums.initial),
        "totalMaintMargin": money(sums.maintenance),
        "totalWalletBalance": money(sums.wallet),
        "totalUnrealizedProfit": money(sums.profit),
        "totalMarginBalance": money(sums.wallet + sums.profit),
        "totalPositionInitialMargin": money(sums.positions),
        "totalOpenOrderInitialMargin": money(sums.initial - sums.positions),
        "totalCrossWalletBalance": money(sums.wallet),
        "totalCrossUnPnl": money(sums.profit),
        "availableBalance": money(sums.available),
        "maxWithdrawAmount": money(min(sums.available, sums.wallet)),
        "assets": _assets(venue, sums),
        "positions": [_account_position(venue, one) for one in venue.usdm.told()],
    }


def _market(venue: BinanceState, position: Position) -> SimMarket:
    return venue.market(Product.USDM, position.symbol)


def _account_position(venue: BinanceState, position: Position) -> dict[str, Any]:
    market = _market(venue, position)
    value = position.amount * venue.last_price(market)
    initial = money(abs(value) / venue.usdm.leverages[position.symbol])
    return {
        "symbol": position.symbol,
        "initialMargin": initial,
        "maintMargin": money(abs(value) * MAINTENANCE_RATE),
        "unrealizedProfit": money(position.unrealized(venue.last_price(market))),
        "positionInitialMargin": initial,
        "openOrderInitialMargin": "0",
        "leverage": str(venue.usdm.leverages[position.symbol]),
        "isolated": position.symbol in venue.usdm.isolated,
        "entryPrice": _price(position.entry),
        "breakEvenPrice": _price(position.entry),
        "maxNotional": MAX_NOTIONAL,
        "positionSide": position.side,
        "positionAmt": market.size_text(position.amount),
        "notional": money(value),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
        "bidNotional": "0",
        "askNotional": "0",
    }


def _price(value: Decimal) -> str:
    return fixed(value, 8)


def position_risk(venue: BinanceState, call: Call) -> object:
    symbol = venue.market_of(call).symbol if call.params.get("symbol") else None
    return [_risk_row(venue, position) for position in venue.usdm.told(symbol)]


def position_risk_v3(venue: BinanceState, call: Call) -> object:
    """Only what is held, or has orders."""
    symbol = venue.market_of(call).symbol if call.params.get("symbol") else None
    with_orders = {
        venue.markets[order.market].symbol for order in venue.exchange.open_orders(USDM_ACCOUNT)
    }
    return [
        _risk_row(venue, position)
        for position in venue.usdm.told(symbol)
        if position.amount or position.symbol in with_orders
    ]


def _risk_row(venue: BinanceState, position: Position) -> dict[str, Any]:
    market = _market(venue, position)
    mark = venue.last_price(market)
    value = position.amount * mark
    is_isolated = position.symbol in venue.usdm.isolated
    initial = money(abs(value) / venue.usdm.leverages[position.symbol])
    return {
        "symbol": position.symbol,
        "positionAmt": market.size_text(position.amount),
        "entryPrice": _price(position.entry),
        "breakEvenPrice": _price(position.entry),
        "markPrice": _price(mark),
        "unRealizedProfit": money(position.unrealized(mark)),
        "liquidationPrice": "0",
        "leverage": str(venue.usdm.leverages[position.symbol]),
        "maxNotionalValue": MAX_NOTIONAL,
        "marginType": "isolated" if is_isolated else "cross",
        "isolatedMargin": "0.00000000",
        "isAutoAddMargin": "false",
        "positionSide": position.side,
        "notional": money(value),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
        "isolated": is_isolated,
        "adlQuantile": 0,
        "initialMargin": initial,
        "maintMargin": money(abs(value) * MAINTENANCE_RATE),
        "positionInitialMargin": initial,
        "openOrderInitialMargin": "0",
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
        "marginAsset": market.quote,
    }


def balance(venue: BinanceState, call: Call) -> object:
    sums = _sums(venue)
    names = dict.fromkeys(one.quote for one in venue.of_product(Product.USDM))
    return [
        {
            "accountAlias": "SgsR",
            "asset": name,
            "balance": money(sums.wallet),
            "crossWalletBalance": money(sums.wallet),
            "crossUnPnl": money(sums.profit),
            "availableBalance": money(sums.available),
            "maxWithdrawAmount": money(min(sums.available, sums.wallet)),
            "marginAvailable": True,
            "updateTime": venue.now_ms,
        }
        for name in names
    ]
