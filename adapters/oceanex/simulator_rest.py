"""Public REST of the simulated OceanEx: one function per endpoint (section 1.1), and what all
endpoints share."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from fairlead.adapters.oceanex.simulator_markets import SimMarket, epoch, iso, number
from fairlead.adapters.oceanex.simulator_state import OceanexState
from fairlead.adapters.simulation.numbers import whole
from fairlead.adapters.simulation.routes import ApiError, Endpoint
from fairlead.adapters.simulation.tape import every
from fairlead.engine.orders.model import Side

Params = dict[str, Any]

BOTH = "GET POST"  # the methods of most endpoints
SUCCESS = "Operation successful"
ORDER_SCOPE, QUERY_SCOPE, WALLET_SCOPE = "sell/buy", "query", "withdraws/deposits"
TRADES_MAX = 1000
BARS_MAX = 10_000
BOOK_MAX = 1000
PERIODS = frozenset({1, 5, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080})


# -- parameters ----------------------------------------------------------------------------------


def need_market(venue: OceanexState, params: Params, code: int = 9002) -> SimMarket:
    market = venue.markets.get(str(params.get("market", "")).lower())
    if market is None:
        raise ApiError(code, "market does not have a valid value")
    return market


def integer(params: Params, name: str, default: int, least: int = 0) -> int:
    found = whole(params.get(name, default))
    if found is None or found < least:
        raise ApiError(9002, f"{name} does not have a valid value")
    return found


def listed(params: Params, name: str) -> list[Any]:
    value = params.get(name)
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise ApiError(1004, f"Missing parameter: {name}")
    return value


def is_descending(params: Params) -> bool:
    """`order_by`, descending by default. Raises ApiError 9002."""
    wanted = params.get("order_by", "desc")
    if wanted not in ("asc", "desc"):
        raise ApiError(9002, "order_by does not have a valid value")
    return bool(wanted == "desc")


def is_true(value: object) -> bool:
    return str(value).lower() in ("true", "1")


# -- public endpoints ----------------------------------------------------------------------------


def _markets(venue: OceanexState, params: Params) -> object:
    if not is_true(params.get("show_details", "")):
        return [{"id": m.id, "name": m.name} for m in venue.markets.values()]
    return [
        {
            "id": m.id,
            "name": m.name,
            "ask_precision": "8",
            "bid_precision": "8",
            "enabled": not venue.exchange.markets[m.id].halted,
            "price_precision": str(m.price_precision),
            "amount_precision": str(m.amount_precision),
            "usd_precision": "4",
            "minimum_trading_amount": number(m.minimum_trading_amount),
        }
        for m in venue.markets.values()
    ]


def _ticker_row(venue: OceanexState, market: SimMarket) -> dict[str, str]:
    state = venue.exchange.markets[market.id]
    day = state.tape.day(venue.exchange.now_ns)
    bid, ask = state.book.bids.best(), state.book.asks.best()
    return {
        "buy": number(bid.price if bid else Decimal(0)),
        "sell": number(ask.price if ask else Decimal(0)),
        "low": number(day.low),
        "high": number(day.high),
        "last": number(day.last),
        "vol": number(day.volume),
    }


def _ticker(venue: OceanexState, params: Params) -> object:
    market = need_market(venue, params)
    return {"at": epoch(venue.exchange.now_ns), "ticker": _ticker_row(venue, market)}


def _tickers_multi(venue: OceanexState, params: Params) -> object:
    markets = [need_market(venue, {"market": m}) for m in listed(params, "markets")]
    at = epoch(venue.exchange.now_ns)
    return [{"at": at, "market": m.id, "ticker": _ticker_row(venue, m)} for m in markets]


def full_ticker(venue: OceanexState, market: SimMarket) -> dict[str, Any]:
    """A row of `/tickers`."""
    row = _ticker_row(venue, market)
    day = venue.exchange.markets[market.id].tape.day(venue.exchange.now_ns)
    trend = (day.last - day.open) / day.open * 100 if day.open else Decimal(0)
    return {
        "name": market.name,
        "display_name": market.name,
        "base_unit": market.base.lower(),
        "quote_unit": market.quote.lower(),
        "position": 0,
        "low": row["low"],
        "high": row["high"],
        "first": number(day.open),
        "last": row["last"],
        "open": number(day.open),
        "volume": row["vol"],
        "sell": row["sell"],
        "buy": row["buy"],
        "at": epoch(venue.exchange.now_ns),
        "h24_trend": str(round(trend, 9)),
    }


def _tickers(venue: OceanexState, params: Params) -> object:
    return {m.id: full_ticker(venue, m) for m in venue.markets.values()}


def _rows(levels: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[number(price), number(size)] for price, size in levels]


def _book(venue: OceanexState, market: SimMarket, limit: int) -> dict[str, object]:
    """Both sides from the highest price to the lowest, as the venue has it."""
    book = venue.exchange.markets[market.id].book
    return {
        "timestamp": epoch(venue.exchange.now_ns),
        "asks": _rows(reversed(book.asks.levels(limit))),
        "bids": _rows(book.bids.levels(limit)),
    }


def _order_book(venue: OceanexState, params: Params) -> object:
    limit = min(BOOK_MAX, integer(params, "limit", 300, 1))
    return _book(venue, need_market(venue, params), limit)


def _order_book_multi(venue: OceanexState, params: Params) -> object:
    limit = min(BOOK_MAX, integer(params, "limit", 300, 1))
    markets = [need_market(venue, {"market": m}) for m in listed(params, "markets")]
    return [{"market": m.id, **_book(venue, m, limit)} for m in markets]


def _trades(venue: OceanexState, params: Params) -> object:
    """All four bounds exclude: "after" and "before" a time in whole seconds, or a trade id."""
    market = need_market(venue, params)
    limit = min(TRADES_MAX, integer(params, "limit", 50, 1))
    start, end = integer(params, "start", 0), integer(params, "end", 2**62)
    first, last = integer(params, "from", 0), integer(params, "to", 2**62)
    trades = [
        t
        for t in venue.exchange.markets[market.id].tape.trades
        if first < t.id < last and start < epoch(t.ts_event) < end
    ]
    if is_descending(params):
        trades.reverse()
    sides = {Side.BUY: "bid", Side.SELL: "ask"} if venue.options.trade_sides else {}
    return [
        {
            "id": t.id,
            "price": number(t.price),
            "volume": number(t.quantity),
            "funds": number(t.price * t.quantity),
            "market": market.id,
            "created_at": iso(t.ts_event),
            "created_on": epoch(t.ts_event),
            "side": sides.get(t.aggressor),
        }
        for t in trades[:limit]
    ]


def _k(venue: OceanexState, params: Params) -> object:
    market = need_market(venue, params)
    limit = min(BARS_MAX, integer(params, "limit", 30, 1))
    period = integer(params, "period", 1, 1)
    if period not in PERIODS:
        raise ApiError(9002, "period does not have a valid value")
    since = integer(params, "timestamp", 0)
    tape = venue.exchange.markets[market.id].tape
    bars = tape.bars(every(period), since * 1_000_000_000)
    chosen = bars[:limit] if "timestamp" in params else bars[-limit:]
    return [
        [
            epoch(b.ts_open),
            *(float(v) for v in (b.open, b.high, b.low, b.close, b.volume)),
        ]
        for b in chosen
    ]


def _fees(venue: OceanexState, params: Params) -> object:
    return [
        {
            "market": m.id,
            "ask_fee": {"type": "relative", "value": str(m.ask_fee)},
            "bid_fee": {"type": "relative", "value": str(m.bid_fee)},
        }
        for m in venue.markets.values()
    ]


def _timestamp(venue: OceanexState, params: Params) -> object:
    return epoch(venue.exchange.now_ns)


PUBLIC: tuple[Endpoint[OceanexState, Params], ...] = (
    Endpoint(BOTH, "/markets", _markets),
    Endpoint(BOTH, "/tickers/{market}", _ticker),
    Endpoint(BOTH, "/tickers_multi", _tickers_multi),
    Endpoint(BOTH, "/tickers", _tickers),
    Endpoint(BOTH, "/order_book", _order_book),
    Endpoint(BOTH, "/order_book/multi", _order_book_multi),
    Endpoint(BOTH, "/trades", _trades),
    Endpoint(BOTH, "/k", _k),
    Endpoint(BOTH, "/fees/trading", _fees),
    Endpoint(BOTH, "/timestamp", _timestamp),
)
