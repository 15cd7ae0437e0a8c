"""A trade of a simulated market that a public client is to see."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.simulation.exchange import Exchange
from fairlead.engine.orders.model import Side

_LOOKS = 4


async def is_seen(client: Any, symbol: str, exchange: Exchange, market: str, size: Decimal) -> bool:
    """Whether a ccxt `client` tells of a purchase of `size`, printed up to four times: the market
    trades on meanwhile, and only the newest are listed."""
    seen = False
    for _ in range(_LOOKS):
        bid = exchange.markets[market].book.bids.best()  # nothing is offered there to share it
        assert bid is not None
        exchange.print_trade(market, bid.price, size, Side.BUY, exchange.now_ns)
        trades = await client.fetch_trades(symbol, limit=500)
        seen = seen or any(t["amount"] == float(size) and t["side"] == "buy" for t in trades)
    return seen
