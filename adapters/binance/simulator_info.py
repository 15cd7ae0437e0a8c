"""`exchangeInfo` of both products: symbols with their filters, and the limits of requests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.binance.simulator_markets import Product, SimMarket, fixed, plain
from fairlead.adapters.binance.simulator_state import BinanceState, Call

SPOT_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
USDM_TYPES = (
    *("LIMIT", "MARKET", "STOP", "STOP_MARKET"),
    *("TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"),
)
USDM_TIMES = ("GTC", "IOC", "FOK", "GTX", "GTD")
OPEN_ORDERS_MAX = 200
PERCENT_UP, PERCENT_DOWN = Decimal("1.0500"), Decimal("0.9500")  # of the mark price
FOREVER_MS = 4_133_404_800_000  # the delivery of a perpetual


def exchange_info(venue: BinanceState, call: Call) -> object:
    rows = _spot_rows(venue, call) if call.product is Product.SPOT else _usdm_rows(venue)
    told: dict[str, Any] = {
        "timezone": "UTC",
        "serverTime": venue.now_ms,
        "rateLimits": rate_limits(venue, call.product),
        "exchangeFilters": [],
        "symbols": rows,
    }
    if call.product is Product.USDM:
        told["futuresType"] = "U_MARGINED"
        told["assets"] = [
            {"asset": name, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for name in dict.fromkeys(one.quote for one in venue.of_product(Product.USDM))
        ]
    return told


def rate_limits(venue: BinanceState, product: Product) -> list[dict[str, Any]]:
    limits = venue.limits[product]
    rows = [
        ("REQUEST_WEIGHT", "MINUTE", 1, limits.weights),
        ("ORDERS", "SECOND", 10, limits.orders_10s),
    ]
    return [
        {"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit}
        for kind, unit, number, limit in rows
    ]


def _spot_rows(venue: BinanceState, call: Call) -> list[dict[str, Any]]:
    """Raises ApiError -1121, -1100."""
    params = call.params
    if "symbol" in params:
        chosen = [venue.market_of(call)]
    elif "symbols" in params:
        try:
            names = msgspec.json.decode(params["symbols"], type=list[str])
        except msgspec.MsgspecError:
            raise ApiError(-1100, "Illegal characters found in parameter 'symbols'.") from None
        chosen = [venue.market(Product.SPOT, name) for name in names]
    else:
        chosen = venue.of_product(Product.SPOT)
    return [spot_row(market) for market in chosen]


def spot_row(market: SimMarket) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(SPOT_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            _price_filter(market, 8),
            _size_filter("LOT_SIZE", market, 8),
            _size_filter("MARKET_LOT_SIZE", market, 8) | {"minQty": fixed(market.step * 0, 8)},
            {
                "filterType": "NOTIONAL",
                "minNotional": fixed(market.min_notional, 8),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 0,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": OPEN_ORDERS_MAX},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_TAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER"],
    }


def _usdm_rows(venue: BinanceState) -> list[dict[str, Any]]:
    return [usdm_row(market, venue.started_ms) for market in venue.of_product(Product.USDM)]


def usdm_row(market: SimMarket, started_ms: int) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "pair": market.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": FOREVER_MS,
        "onboardDate": started_ms,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": market.quote,
        "pricePrecision": max(2, market.tick_scale),
        "quantityPrecision": market.step_scale,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            _price_filter(market, max(2, market.tick_scale)),
            _size_filter("LOT_SIZE", market, market.step_scale),
            _size_filter("MARKET_LOT_SIZE", market, market.step_scale),
            {"filterType": "MAX_NUM_ORDERS", "limit": OPEN_ORDERS_MAX},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": OPEN_ORDERS_MAX},
            {"filterType": "MIN_NOTIONAL", "notional": plain(market.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": str(PERCENT_UP),
                "multiplierDown": str(PERCENT_DOWN),
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": list(USDM_TYPES),
        "timeInForce": list(USDM_TIMES),
    }


def _price_filter(market: SimMarket, decimals: int) -> dict[str, Any]:
    return {
        "filterType": "PRICE_FILTER",
        "minPrice": fixed(market.tick, decimals),
        "maxPrice": fixed(market.max_price, decimals),
        "tickSize": fixed(market.tick, decimals),
    }


def _size_filter(name: str, market: SimMarket, decimals: int) -> dict[str, Any]:
    return {
        "filterType": name,
        "minQty": fixed(market.step, decimals),
        "maxQty": fixed(market.max_quantity, decimals),
        "stepSize": fixed(market.step, decimals),
    }
