"""What both products of the simulated Binance tell alike of an account's orders and trades."""

from __future__ import annotations

from fairlead.adapters.binance import simulator_spot_orders as spot
from fairlead.adapters.binance import simulator_usdm_orders as usdm
from fairlead.adapters.binance.simulator_markets import Product
from fairlead.adapters.binance.simulator_orders import ACCOUNTS, find, open_of, page
from fairlead.adapters.binance.simulator_state import BinanceState, Call
from fairlead.adapters.simulation.numbers import natural

ORDER_ROWS = {Product.SPOT: spot.order_row, Product.USDM: usdm.order_row}
TRADE_ROWS = {Product.SPOT: spot.trade_row, Product.USDM: usdm.trade_row}


def query(venue: BinanceState, call: Call) -> object:
    """Raises ApiError -2013."""
    return ORDER_ROWS[call.product](venue, find(venue, call, -2013))


def open_orders(venue: BinanceState, call: Call) -> object:
    return [ORDER_ROWS[call.product](venue, order) for order in open_of(venue, call)]


def all_orders(venue: BinanceState, call: Call) -> object:
    orders = venue.exchange.orders(ACCOUNTS[call.product], venue.market_of(call).id)
    chosen = page(orders, call, lambda one: one.id, lambda one: one.ts_created, "orderId")
    return [ORDER_ROWS[call.product](venue, order) for order in chosen]


def trades(venue: BinanceState, call: Call) -> object:
    market = venue.market_of(call)
    wanted = natural(call.params.get("orderId", ""))
    fills = [
        fill
        for fill in venue.exchange.ledger.fills(ACCOUNTS[call.product])
        if fill.market == market.id and wanted in (None, fill.order_id)
    ]
    chosen = page(fills, call, lambda one: one.trade_id, lambda one: one.ts_event, "fromId")
    return [TRADE_ROWS[call.product](venue, fill) for fill in chosen]
