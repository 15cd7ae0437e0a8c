"""Private futures endpoints of the simulated Binance: orders, algo orders, settings, its stream.

Sources: USD-M "Trade", "Account" and "User Data Streams" of the venue's document.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead.adapters.binance import simulator_algo as algo
from fairlead.adapters.binance.simulator_auth import ApiError, missing
from fairlead.adapters.binance.simulator_limits import TooMany
from fairlead.adapters.binance.simulator_lists import all_orders, open_orders, query, trades
from fairlead.adapters.binance.simulator_markets import Product, SimMarket, millis
from fairlead.adapters.binance.simulator_orders import find, open_of, page
from fairlead.adapters.binance.simulator_positions import LEVERAGE_MAX, MAINTENANCE_RATE, ZERO
from fairlead.adapters.binance.simulator_state import USDM_ACCOUNT, BinanceState, Call
from fairlead.adapters.binance.simulator_usdm_account import (
    MAX_NOTIONAL,
    account,
    balance,
    money,
    position_risk,
    position_risk_v3,
)
from fairlead.adapters.binance.simulator_usdm_orders import (
    cancel,
    modify,
    order_row,
    place,
    read,
    tested_row,
)
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.routes import Endpoint

BATCH_MAX, BATCH_CANCEL_MAX = 5, 10
DONE = {"code": 200, "msg": "success"}

# -- orders ---------------------------------------------------------------------------------------


def _counted(venue: BinanceState) -> None:
    """Raises TooMany."""
    venue.limits[Product.USDM].take_order(venue.exchange.now_ns)


def create(venue: BinanceState, call: Call) -> object:
    """As an ACK tells it unless RESULT is asked for: new, and nothing executed yet."""
    _counted(venue)
    wanted = call.params.get("newOrderRespType") or "ACK"
    if wanted not in ("ACK", "RESULT"):
        raise ApiError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    order = place(venue, read(venue, call))
    row = order_row(venue, order)
    if wanted != "RESULT":
        market = venue.markets[order.market]
        row |= {"status": "NEW", "executedQty": market.size_text(ZERO), "cumQuote": "0.00000"}
        row |= {"cumQty": row["executedQty"], "avgPrice": market.price_text(ZERO)}
    return row


def _test(venue: BinanceState, call: Call) -> object:
    """The checks of a new order that need no book, and nothing else."""
    return tested_row(venue, read(venue, call))


def _each(
    venue: BinanceState, calls: list[Call], do: Callable[[BinanceState, Call], object]
) -> list[object]:
    """Each by itself; a failed one has its code."""
    rows: list[object] = []
    for call in calls:
        try:
            rows.append(do(venue, call))
        except ApiError as error:
            if isinstance(error, TooMany):
                raise
            rows.append({"code": error.code, "msg": error.message})
    return rows


def _batch(call: Call) -> list[Call]:
    """Raises ApiError."""
    try:
        orders = msgspec.json.decode(call.need("batchOrders"), type=list[dict[str, Any]])
    except msgspec.MsgspecError:
        raise ApiError(-1130, "Data sent for parameter 'batchOrders' is not valid.") from None
    if not 0 < len(orders) <= BATCH_MAX:
        raise ApiError(-4082, "Invalid number of batch place orders.")
    return [
        Call(product=call.product, params={k: _text(v) for k, v in one.items()}) for one in orders
    ]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _create_batch(venue: BinanceState, call: Call) -> object:
    return _each(venue, _batch(call), create)


def modify_order(venue: BinanceState, call: Call) -> object:
    _counted(venue)
    return order_row(venue, modify(venue, call))


def _modify_batch(venue: BinanceState, call: Call) -> object:
    return _each(venue, _batch(call), modify_order)


def cancel_order(venue: BinanceState, call: Call) -> object:
    return order_row(venue, cancel(venue, find(venue, call, -2011)))


def _cancel_batch(venue: BinanceState, call: Call) -> object:
    """`orderIdList` or `origClientOrderIdList`, JSON, also in lower case. Raises ApiError."""
    symbol, calls = call.need("symbol"), []
    lowered = {name.lower(): value for name, value in call.params.items()}
    for source, name in (
        ("orderIdList", "orderId"),
        ("origClientOrderIdList", "origClientOrderId"),
    ):
        try:
            text = lowered.get(source.lower(), "[]")
            listed = msgspec.json.decode(text, type=list[int | str])
        except msgspec.MsgspecError:
            raise ApiError(-1130, f"Data sent for parameter '{source}' is not valid.") from None
        calls += [
            Call(product=call.product, params={"symbol": symbol, name: str(one)}) for one in listed
        ]
    if not 0 < len(calls) <= BATCH_CANCEL_MAX:
        raise missing("orderIdList")
    return _each(venue, calls, cancel_order)


def _cancel_all(venue: BinanceState, call: Call) -> object:
    venue.market_of(call)
    for order in open_of(venue, call):
        cancel(venue, order)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _query_open(venue: BinanceState, call: Call) -> object:
    order = find(venue, call, -2013)
    if order.status.is_terminal:
        raise ApiError(-2013)
    return order_row(venue, order)


# -- algo orders ----------------------------------------------------------------------------------


def _create_algo(venue: BinanceState, call: Call) -> object:
    _counted(venue)
    return algo.row(venue, algo.create(venue, call))


def _cancel_algo(venue: BinanceState, call: Call) -> object:
    found = algo.find(venue, call, -2011)
    algo.cancel(venue, found)
    return {"algoId": found.id, "clientAlgoId": found.name, "code": "200", "msg": "success"}


def _cancel_algos(venue: BinanceState, call: Call) -> object:
    for one in venue.algos.open(venue.market_of(call).symbol):
        algo.cancel(venue, one)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _query_algo(venue: BinanceState, call: Call) -> object:
    return algo.row(venue, algo.find(venue, call, -2013))


def _open_algos(venue: BinanceState, call: Call) -> object:
    return [algo.row(venue, one) for one in venue.algos.open(call.params.get("symbol"))]


def _all_algos(venue: BinanceState, call: Call) -> object:
    symbol = venue.market_of(call).symbol
    chosen = [one for one in venue.algos.orders.values() if one.market.symbol == symbol]
    return [
        algo.row(venue, one)
        for one in page(chosen, call, lambda a: a.id, lambda a: a.created_ms * 10**6, "algoId")
    ]


# -- settings -------------------------------------------------------------------------------------


def _dual(venue: BinanceState, call: Call) -> object:
    return {"dualSidePosition": venue.usdm.is_hedged}


def _set_dual(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -4059, -4067 or -4068."""
    wanted = call.need("dualSidePosition").lower() == "true"
    if wanted is venue.usdm.is_hedged:
        raise ApiError(-4059)
    if venue.exchange.open_orders(USDM_ACCOUNT) or venue.algos.open():
        raise ApiError(-4067)
    if venue.usdm.held():
        raise ApiError(-4068)
    venue.usdm.is_hedged = wanted
    return DONE


def _set_leverage(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -4028."""
    symbol, wanted = venue.market_of(call).symbol, natural(call.need("leverage"))
    if wanted is None or not 1 <= wanted <= LEVERAGE_MAX:
        raise ApiError(-4028, f"Leverage {call.need('leverage')} is not valid")
    venue.usdm.leverages[symbol] = wanted
    return {"leverage": wanted, "maxNotionalValue": MAX_NOTIONAL, "symbol": symbol}


def _set_margin_type(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -4046, -4047 or -4048."""
    symbol, wanted = venue.market_of(call).symbol, call.need("marginType")
    if wanted not in ("ISOLATED", "CROSSED"):
        raise ApiError(-1130, "Data sent for parameter 'marginType' is not valid.")
    if (wanted == "ISOLATED") is (symbol in venue.usdm.isolated):
        raise ApiError(-4046)
    if open_of(venue, call):
        raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.")
    if any(position.amount for position in venue.usdm.told(symbol)):
        raise ApiError(-4048, "Margin type cannot be changed if there exists position.")
    (venue.usdm.isolated.add if wanted == "ISOLATED" else venue.usdm.isolated.discard)(symbol)
    return DONE


def _multi_assets(venue: BinanceState, call: Call) -> object:
    return {"multiAssetsMargin": False}


def _commission(venue: BinanceState, call: Call) -> object:
    options = venue.options
    return {
        "symbol": venue.market_of(call).symbol,
        "makerCommissionRate": f"{options.usdm_maker_rate:f}",
        "takerCommissionRate": f"{options.usdm_taker_rate:f}",
    }


def _chosen(venue: BinanceState, call: Call) -> list[SimMarket]:
    return [venue.market_of(call)] if call.params.get("symbol") else venue.of_product(Product.USDM)


def _symbol_config(venue: BinanceState, call: Call) -> object:
    return [
        {
            "symbol": market.symbol,
            "marginType": "ISOLATED" if market.symbol in venue.usdm.isolated else "CROSSED",
            "isAutoAddMargin": "false",
            "leverage": venue.usdm.leverages[market.symbol],
            "maxNotionalValue": MAX_NOTIONAL,
        }
        for market in _chosen(venue, call)
    ]


def _account_config(venue: BinanceState, call: Call) -> object:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": venue.usdm.is_hedged,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def _brackets(venue: BinanceState, call: Call) -> object:
    bracket = {
        "bracket": 1,
        "initialLeverage": LEVERAGE_MAX,
        "notionalCap": int(MAX_NOTIONAL),
        "notionalFloor": 0,
        "maintMarginRatio": float(MAINTENANCE_RATE),
        "cum": 0.0,
    }
    return [{"symbol": market.symbol, "brackets": [bracket]} for market in _chosen(venue, call)]


def _income(venue: BinanceState, call: Call) -> object:
    """Realized profits and commissions of fills, oldest first."""
    rows = []
    for fill in venue.exchange.ledger.fills(USDM_ACCOUNT):
        profit = venue.news.profits[fill.order_id, fill.trade_id]
        for kind, amount in (("REALIZED_PNL", profit), ("COMMISSION", -fill.fee)):
            if amount:
                rows.append(
                    {
                        "symbol": venue.markets[fill.market].symbol,
                        "incomeType": kind,
                        "income": money(amount),
                        "asset": fill.fee_currency,
                        "info": "",
                        "time": millis(fill.ts_event),
                        "tranId": fill.trade_id,
                        "tradeId": str(fill.trade_id),
                    }
                )
    return rows[-(natural(call.params.get("limit", "100")) or 100) :]


# -- listen key -----------------------------------------------------------------------------------


def _start_key(venue: BinanceState, call: Call) -> object:
    venue.auth.check_key(call.key)
    return {"listenKey": venue.keys.start(Product.USDM, venue.now_ms)}


def _keep_key(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -1125."""
    venue.auth.check_key(call.key)
    key = venue.keys.only(Product.USDM, venue.now_ms)
    if not venue.keys.keep(Product.USDM, key, venue.now_ms):
        raise ApiError(-1125)
    return {"listenKey": key}


def _end_key(venue: BinanceState, call: Call) -> object:
    venue.auth.check_key(call.key)
    venue.keys.end(Product.USDM, venue.keys.only(Product.USDM, venue.now_ms))
    return {}


def _private(
    methods: str, path: str, handler: Callable[[BinanceState, Call], object], weight: int = 1
) -> Endpoint[BinanceState, Call]:
    return Endpoint(methods, f"/fapi/{path}", handler, str(weight), True)


USDM: tuple[Endpoint[BinanceState, Call], ...] = (
    _private("POST", "v1/order", create, 0),
    _private("POST", "v1/order/test", _test),
    _private("PUT", "v1/order", modify_order),
    _private("DELETE", "v1/order", cancel_order),
    _private("GET", "v1/order", query),
    _private("POST", "v1/batchOrders", _create_batch, 5),
    _private("PUT", "v1/batchOrders", _modify_batch, 5),
    _private("DELETE", "v1/batchOrders", _cancel_batch),
    _private("DELETE", "v1/allOpenOrders", _cancel_all),
    _private("GET", "v1/openOrder", _query_open),
    _private("GET", "v1/openOrders", open_orders),
    _private("GET", "v1/allOrders", all_orders, 5),
    _private("GET", "v1/userTrades", trades, 5),
    _private("POST", "v1/algoOrder", _create_algo, 0),
    _private("DELETE", "v1/algoOrder", _cancel_algo),
    _private("GET", "v1/algoOrder", _query_algo),
    _private("DELETE", "v1/algoOpenOrders", _cancel_algos),
    _private("GET", "v1/openAlgoOrders", _open_algos),
    _private("GET", "v1/allAlgoOrders", _all_algos, 5),
    *(_private("GET", f"v{version}/account", account, 5) for version in (1, 2, 3)),
    *(_private("GET", f"v{version}/balance", balance, 5) for version in (1, 2, 3)),
    *(_private("GET", f"v{version}/positionRisk", position_risk, 5) for version in (1, 2)),
    _private("GET", "v3/positionRisk", position_risk_v3, 5),
    _private("GET", "v1/positionSide/dual", _dual, 30),
    _private("POST", "v1/positionSide/dual", _set_dual),
    _private("POST", "v1/leverage", _set_leverage),
    _private("POST", "v1/marginType", _set_margin_type),
    _private("GET", "v1/multiAssetsMargin", _multi_assets, 30),
    _private("GET", "v1/commissionRate", _commission, 20),
    _private("GET", "v1/symbolConfig", _symbol_config, 5),
    _private("GET", "v1/accountConfig", _account_config, 5),
    _private("GET", "v1/leverageBracket", _brackets),
    _private("GET", "v1/income", _income, 30),
    Endpoint("POST", "/fapi/v1/listenKey", _start_key, "1"),
    Endpoint("PUT", "/fapi/v1/listenKey", _keep_key, "1"),
    Endpoint("DELETE", "/fapi/v1/listenKey", _end_key, "1"),
)
