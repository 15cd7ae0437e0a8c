"""Private spot endpoints of the simulated Binance: orders, account, its stream.

Sources: Spot "Trading endpoints", "Account Endpoints", "User Data Stream".
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.binance.simulator_info import rate_limits
from fairlead.adapters.binance.simulator_lists import all_orders, open_orders, query, trades
from fairlead.adapters.binance.simulator_markets import Product, fixed
from fairlead.adapters.binance.simulator_orders import find, open_of
from fairlead.adapters.binance.simulator_spot_orders import (
    cancel,
    cancel_row,
    name_of_cancel,
    new_row,
    place,
    read,
)
from fairlead.adapters.binance.simulator_state import SPOT_ACCOUNT, BinanceState, Call
from fairlead.adapters.simulation.routes import Endpoint

RESPONSES = ("ACK", "RESULT", "FULL")


class CancelReplaceError(ApiError):
    """The two halves' answers go with it."""

    def __init__(self, code: int, message: str, data: dict[str, Any], status: int) -> None:
        super().__init__(code, message, status=status)
        self.data = data


def create(venue: BinanceState, call: Call) -> object:
    venue.limits[Product.SPOT].take_order(venue.exchange.now_ns)
    asked = read(venue, call)
    default = "FULL" if asked.type in ("MARKET", "LIMIT") else "ACK"
    wanted = call.params.get("newOrderRespType") or default
    if wanted not in RESPONSES:
        raise ApiError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return new_row(venue, place(venue, asked), wanted)


def _test(venue: BinanceState, call: Call) -> object:
    """The checks of a new order, and nothing else."""
    read(venue, call)
    return {}


def cancel_order(venue: BinanceState, call: Call) -> object:
    name = name_of_cancel(venue, call)
    return cancel_row(venue, cancel(venue, find(venue, call, -2011), name))


def cancel_all(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -2011 where there is nothing to cancel."""
    venue.market_of(call)
    orders = open_of(venue, call)
    if not orders:
        raise ApiError(-2011)
    return [cancel_row(venue, cancel(venue, order, venue.new_name())) for order in orders]


def cancel_replace(venue: BinanceState, call: Call) -> object:
    """Cancel, then create; what the first half's failure means is the caller's to say.

    Raises CancelReplaceError -2022 (nothing was done) or -2021 (half).
    """
    mode = call.need("cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise ApiError(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
    asked = read(venue, call)
    told: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED"}
    told |= {"cancelResponse": None, "newOrderResponse": None}
    try:
        order = find(venue, call, -2011, ("cancelOrderId", "cancelOrigClientOrderId"))
        name = call.params.get("cancelNewClientOrderId") or venue.new_name()
        told["cancelResponse"] = cancel_row(venue, cancel(venue, order, name))
    except ApiError as error:
        told |= {"cancelResult": "FAILURE", "cancelResponse": _error(error)}
    if told["cancelResult"] == "SUCCESS" or mode == "ALLOW_FAILURE":
        try:
            venue.limits[Product.SPOT].take_order(venue.exchange.now_ns)
            wanted = call.params.get("newOrderRespType") or "FULL"
            told["newOrderResponse"] = new_row(venue, place(venue, asked), wanted)
            told["newOrderResult"] = "SUCCESS"
        except ApiError as error:
            told |= {"newOrderResult": "FAILURE", "newOrderResponse": _error(error)}
    results = [told["cancelResult"], told["newOrderResult"]]
    if results == ["SUCCESS", "SUCCESS"]:
        return told
    if "SUCCESS" in results:
        raise CancelReplaceError(-2021, "Order cancel-replace partially failed.", told, 409)
    raise CancelReplaceError(-2022, "Order cancel-replace failed.", told, 400)


def _error(error: ApiError) -> dict[str, Any]:
    return {"code": error.code, "msg": error.message}


# -- account --------------------------------------------------------------------------------------


def _basis_points(rate: Decimal) -> int:
    return int(rate * 10_000)


def _rates(venue: BinanceState) -> dict[str, str]:
    options, zero = venue.options, "0.00000000"
    maker, taker = fixed(options.spot_maker_rate, 8), fixed(options.spot_taker_rate, 8)
    return {"maker": maker, "taker": taker, "buyer": zero, "seller": zero}


def account(venue: BinanceState, call: Call) -> object:
    options = venue.options
    is_short = call.params.get("omitZeroBalances") == "true"
    balances = [
        {"asset": name, "free": fixed(held.free, 8), "locked": fixed(held.locked, 8)}
        for name, held in venue.exchange.ledger.balances(SPOT_ACCOUNT).items()
        if held.total or not is_short
    ]
    return {
        "makerCommission": _basis_points(options.spot_maker_rate),
        "takerCommission": _basis_points(options.spot_taker_rate),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(venue),
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": venue.now_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 354937868,
    }


def _commission(venue: BinanceState, call: Call) -> object:
    none = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
    discount = {"enabledForAccount": False, "enabledForSymbol": False}
    return {
        "symbol": venue.market_of(call).symbol,
        "standardCommission": _rates(venue),
        "specialCommission": none,
        "taxCommission": none,
        "discount": {**discount, "discountAsset": "BNB", "discount": "0.75000000"},
    }


def _order_count(venue: BinanceState, call: Call) -> object:
    return [row for row in rate_limits(venue, Product.SPOT) if row["rateLimitType"] == "ORDERS"]


def _coins(venue: BinanceState, call: Call) -> object:
    """`/sapi`: what clients read of currencies."""
    markets = venue.of_product(Product.SPOT)
    names = dict.fromkeys(name for one in markets for name in (one.base, one.quote))
    balances = venue.exchange.ledger.balances(SPOT_ACCOUNT)
    return [
        {
            "coin": name,
            "name": name,
            "depositAllEnable": True,
            "withdrawAllEnable": True,
            "free": fixed(balances[name].free, 8) if name in balances else "0",
            "locked": fixed(balances[name].locked, 8) if name in balances else "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for name in names
    ]


def _nothing(venue: BinanceState, call: Call) -> object:
    return []


# -- listen key -----------------------------------------------------------------------------------


def start_key(venue: BinanceState, call: Call) -> object:
    venue.auth.check_key(call.key)
    return {"listenKey": venue.keys.start(Product.SPOT, venue.now_ms)}


def keep_key(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -1125."""
    venue.auth.check_key(call.key)
    if not venue.keys.keep(Product.SPOT, call.need("listenKey"), venue.now_ms):
        raise ApiError(-1125)
    return {}


def end_key(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -1125."""
    venue.auth.check_key(call.key)
    if not venue.keys.end(Product.SPOT, call.need("listenKey")):
        raise ApiError(-1125)
    return {}


def _private(
    methods: str, path: str, handler: Callable[[BinanceState, Call], object], weight: int = 1
) -> Endpoint[BinanceState, Call]:
    return Endpoint(methods, path, handler, str(weight), True)


SPOT: tuple[Endpoint[BinanceState, Call], ...] = (
    _private("POST", "/api/v3/order", create),
    _private("POST", "/api/v3/order/test", _test),
    _private("DELETE", "/api/v3/order", cancel_order),
    _private("GET", "/api/v3/order", query, 4),
    _private("POST", "/api/v3/order/cancelReplace", cancel_replace),
    _private("GET", "/api/v3/openOrders", open_orders, 6),
    _private("DELETE", "/api/v3/openOrders", cancel_all),
    _private("GET", "/api/v3/allOrders", all_orders, 20),
    _private("GET", "/api/v3/myTrades", trades, 20),
    _private("GET", "/api/v3/account", account, 20),
    _private("GET", "/api/v3/account/commission", _commission, 20),
    _private("GET", "/api/v3/rateLimit/order", _order_count, 40),
    _private("GET", "/sapi/v1/capital/config/getall", _coins, 10),
    _private("GET", "/sapi/v1/margin/isolated/allPairs", _nothing),
    Endpoint("GET", "/sapi/v1/margin/allPairs", _nothing, "1"),
    Endpoint("POST", "/api/v3/userDataStream", start_key, "2"),
    Endpoint("PUT", "/api/v3/userDataStream", keep_key, "2"),
    Endpoint("DELETE", "/api/v3/userDataStream", end_key, "2"),
)
