"""Public REST endpoints of the simulated Poloniex (the venue document's section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_markets import SimMarket, millis, number
from fairlead.adapters.poloniex.simulator_state import PoloniexState
from fairlead.adapters.simulation.market import MS, SECOND_NS
from fairlead.adapters.simulation.numbers import exact, natural, whole
from fairlead.adapters.simulation.routes import Endpoint
from fairlead.adapters.simulation.tape import MINUTE_NS, MinuteBar

BOOK_LIMITS = (5, 10, 20, 50, 100, 150)
SCALE_MIN, SCALE_MAX = Decimal("1e-12"), Decimal(10) ** 9
CANDLES_MAX = 500
TRADES_MAX = 1000
DAY_MS = 86_400_000
FIRST_MONDAY_NS = 4 * 86_400 * SECOND_NS  # the epoch is a Thursday
# Minutes of each interval; a month has 28 days at least.
INTERVALS = {
    "MINUTE_1": 1,
    "MINUTE_5": 5,
    "MINUTE_10": 10,
    "MINUTE_15": 15,
    "MINUTE_30": 30,
    "HOUR_1": 60,
    "HOUR_2": 120,
    "HOUR_4": 240,
    "HOUR_6": 360,
    "HOUR_12": 720,
    "DAY_1": 1440,
    "DAY_3": 4320,
    "WEEK_1": 10080,
    "MONTH_1": 28 * 1440,
}
LONGEST = INTERVALS | {"MONTH_1": 31 * 1440}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request: query parameters, decoded JSON body (None: there was none), path variables."""

    params: Mapping[str, str]
    body: Any = None
    path: Mapping[str, str] = {}

    def count(self, default: int, limit_max: int) -> int:
        """`limit`. Raises ApiError: 21345 below 1, 24104 above the largest, 601 for no number."""
        asked = whole(self.params.get("limit", str(default)))
        if asked is None:
            raise ApiError(601, "Invalid limit")
        if asked <= 0:
            raise ApiError(21345)
        if asked > limit_max:
            raise ApiError(24104)
        return asked

    def time(self, name: str, default: int | None, code: int = 601) -> int | None:
        """Milliseconds. Raises ApiError with `code`."""
        text = self.params.get(name)
        if text is None:
            return default
        found = natural(text)
        if found is None:
            raise ApiError(code, f"Invalid {name}")
        return found


def market_of(venue: PoloniexState, call: Call) -> SimMarket:
    market = venue.markets.get(call.path["symbol"])
    if market is None:
        raise ApiError(24101)
    return market


# -- reference data -------------------------------------------------------------------------------


def market_row(venue: PoloniexState, market: SimMarket) -> dict[str, Any]:
    bid, ask = venue.modes.limits.get(market.symbol, (Decimal(0), Decimal(0)))
    return {
        "symbol": market.symbol,
        "baseCurrencyName": market.base,
        "quoteCurrencyName": market.quote,
        "displayName": market.name,
        "state": venue.modes.state(market.symbol),
        "visibleStartTime": venue.started_ms,
        "tradableStartTime": venue.started_ms,
        "symbolTradeLimit": {
            "symbol": market.symbol,
            "priceScale": market.price_scale,
            "quantityScale": market.quantity_scale,
            "amountScale": market.amount_scale,
            "minQuantity": number(market.min_quantity),
            "minAmount": number(market.min_amount),
            "highestBid": number(bid),
            "lowestAsk": number(ask),
        },
        "crossMargin": {
            "supportCrossMargin": market.leverage_max > 0,
            "maxLeverage": market.leverage_max or 1,
        },
    }


def _markets(venue: PoloniexState, call: Call) -> object:
    return [market_row(venue, market) for market in venue.markets.values()]


def _market(venue: PoloniexState, call: Call) -> object:
    row = market_row(venue, market_of(venue, call))
    return [row] if venue.options.markets_get == "list" else row


def currencies_of(venue: PoloniexState) -> list[str]:
    names = {m.base: None for m in venue.markets.values()}
    return [*(names | {m.quote: None for m in venue.markets.values()})]


def currency_row(venue: PoloniexState, name: str) -> dict[str, Any]:
    return {
        "id": currencies_of(venue).index(name) + 1,
        "name": name,
        "description": name,
        "type": "address",
        "withdrawalFee": "0.5",
        "minConf": 10,
        "depositAddress": None,
        "blockchain": name,
        "delisted": False,
        "tradingState": "NORMAL",
        "walletState": "ENABLED",
        "parentChain": None,
        "isMultiChain": False,
        "isChildChain": False,
        "childChains": [],
    }


def _currencies(venue: PoloniexState, call: Call) -> object:
    return [{name: currency_row(venue, name)} for name in currencies_of(venue)]


def _currency(venue: PoloniexState, call: Call) -> object:
    return {_named(venue, call): currency_row(venue, _named(venue, call))}


def _named(venue: PoloniexState, call: Call) -> str:
    name = call.path["currency"]
    if name not in currencies_of(venue):
        raise ApiError(601, "Invalid currency")
    return name


def _currency_v2_row(venue: PoloniexState, name: str) -> dict[str, Any]:
    number_of = currencies_of(venue).index(name) + 1
    network = {
        "id": number_of,
        "coin": name,
        "name": name,
        "currencyType": "address",
        "blockchain": name,
        "withdrawalEnable": True,
        "depositEnable": True,
        "depositAddress": None,
        "withdrawMin": "1",
        "decimals": 6,
        "withdrawFee": "0.5",
        "minConfirm": 10,
        "contractAddress": None,
    }
    return {
        "id": number_of,
        "coin": name,
        "delisted": False,
        "tradeEnable": True,
        "name": name,
        "networkList": [network],
        "supportCollateral": False,
        "supportBorrow": False,
    }


def _currencies_v2(venue: PoloniexState, call: Call) -> object:
    return [_currency_v2_row(venue, name) for name in currencies_of(venue)]


def _currency_v2(venue: PoloniexState, call: Call) -> object:
    return _currency_v2_row(venue, _named(venue, call))


def _timestamp(venue: PoloniexState, call: Call) -> object:
    return {"serverTime": venue.now_ms}


def _futures(venue: PoloniexState, call: Call) -> object:
    """Clients of all the venue's markets ask for these too: there are none here."""
    return {"code": "200", "msg": "Success", "data": []}


# -- prices ---------------------------------------------------------------------------------------


def _price_row(venue: PoloniexState, market: SimMarket) -> dict[str, Any]:
    tape = venue.exchange.markets[market.symbol].tape
    day = tape.day(venue.exchange.now_ns)
    last = tape.trades[-1].ts_event if tape.trades else venue.exchange.now_ns
    return {
        "symbol": market.symbol,
        "price": number(tape.last_price or Decimal(0)),
        "time": millis(last),
        "dailyChange": change_text(day.open, day.last),
        "ts": venue.now_ms,
    }


def change_text(first: Decimal, last: Decimal) -> str:
    if first == 0:
        return "0"
    return number((last / first - 1).quantize(Decimal("0.0001")))


def _prices(venue: PoloniexState, call: Call) -> object:
    return [_price_row(venue, market) for market in venue.markets.values()]


def _price(venue: PoloniexState, call: Call) -> object:
    return _price_row(venue, market_of(venue, call))


def _mark_row(venue: PoloniexState, market: SimMarket) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "markPrice": number(mark_price(venue, market)),
        "time": venue.now_ms,
    }


def mark_price(venue: PoloniexState, market: SimMarket) -> Decimal:
    """The last price: there is only one exchange to look at."""
    return venue.exchange.markets[market.symbol].tape.last_price or market.start_price


def _margin_market(venue: PoloniexState, call: Call) -> SimMarket:
    market = market_of(venue, call)
    if market.leverage_max == 0:
        raise ApiError(24101)
    return market


def _marks(venue: PoloniexState, call: Call) -> object:
    return [_mark_row(venue, m) for m in venue.markets.values() if m.leverage_max]


def _mark(venue: PoloniexState, call: Call) -> object:
    return _mark_row(venue, _margin_market(venue, call))


def _mark_components(venue: PoloniexState, call: Call) -> object:
    market = _margin_market(venue, call)
    price = number(mark_price(venue, market))
    component = {
        "symbol": market.symbol,
        "exchange": "POLONIEX",
        "symbolPrice": price,
        "weight": "1",
        "convertPrice": price,
    }
    return {
        "symbol": market.symbol,
        "ts": venue.now_ms,
        "markPrice": price,
        "components": [component],
    }


# -- book, trades, candles, tickers ---------------------------------------------------------------


def _order_book(venue: PoloniexState, call: Call) -> object:
    market = market_of(venue, call)
    limit = natural(call.params.get("limit", "10"))
    if limit not in BOOK_LIMITS:
        raise ApiError(24106)
    step = _scale(call.params.get("scale"))
    book = venue.exchange.markets[market.symbol].book
    asks, bids = (
        side.levels(limit) if step is None else side.grouped(step, limit)
        for side in (book.asks, book.bids)
    )
    return {
        "time": venue.now_ms,
        "scale": call.params.get("scale", "-1"),
        "asks": [number(value) for level in asks for value in level],
        "bids": [number(value) for level in bids for value in level],
        "ts": venue.now_ms,
    }


def _scale(text: str | None) -> Decimal | None:
    if text is None or text == "-1":
        return None
    step = exact(text)
    if step is None or not SCALE_MIN <= step <= SCALE_MAX:
        raise ApiError(601, "Invalid scale")
    return step


def _trades(venue: PoloniexState, call: Call) -> object:
    market = market_of(venue, call)
    limit = call.count(500, TRADES_MAX)
    trades = venue.exchange.markets[market.symbol].tape.trades
    newest = [trades[-1 - i] for i in range(min(limit, len(trades)))]
    return [
        {
            "id": str(t.id),
            "price": number(t.price),
            "quantity": number(t.quantity),
            "amount": number(t.price * t.quantity),
            "takerSide": t.aggressor.value,
            "ts": millis(t.ts_event) + 6,
            "createTime": millis(t.ts_event),
        }
        for t in newest
    ]


def _candles(venue: PoloniexState, call: Call) -> object:
    """Ascending; with more than `limit` in the window, the latest. The last may be open."""
    market = market_of(venue, call)
    interval = call.params.get("interval")
    if interval is None:
        raise ApiError(602, "Missing parameter interval")
    if interval not in INTERVALS:
        raise ApiError(24102)
    limit = call.count(100, CANDLES_MAX)
    end_ms = call.time("endTime", venue.now_ms, 24103) or 0
    start_ms = call.time("startTime", None, 24105)
    if start_ms is None:
        start_ms = max(0, (end_ms * MS - limit * LONGEST[interval] * MINUTE_NS) // MS)
    tape = venue.exchange.markets[market.symbol].tape
    bars = tape.bars(lambda ts_ns: candle_start(interval, ts_ns), start_ms * MS)
    chosen = [bar for bar in bars if millis(bar.ts_open) <= end_ms][-limit:]
    return [_candle(bar, interval, venue.now_ms) for bar in chosen]


def candle_start(interval: str, ts_ns: int) -> int:
    """When the candle of `ts_ns` opens, UTC: months on the 1st, weeks on Monday."""
    if interval == "MONTH_1":
        day = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC).date().replace(day=1)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * SECOND_NS
    span_ns = INTERVALS[interval] * MINUTE_NS
    first_ns = FIRST_MONDAY_NS if interval == "WEEK_1" else 0
    return ts_ns - (ts_ns - first_ns) % span_ns


def candle_end(interval: str, start_ns: int) -> int:
    """When the next candle opens."""
    if interval == "MONTH_1":
        return candle_start(interval, start_ns + LONGEST[interval] * MINUTE_NS)
    return start_ns + INTERVALS[interval] * MINUTE_NS


def _candle(bar: MinuteBar, interval: str, now_ms: int) -> list[Any]:
    """Low, high, open, close: the order is the venue's."""
    start = millis(bar.ts_open)
    average = bar.funds / bar.volume if bar.volume else bar.close
    return [
        number(bar.low),
        number(bar.high),
        number(bar.open),
        number(bar.close),
        number(bar.funds),
        number(bar.volume),
        number(bar.funds / 2),
        number(bar.volume / 2),
        bar.count,
        now_ms,
        number(round(average, 8)),
        interval,
        start,
        millis(candle_end(interval, bar.ts_open)) - 1,
    ]


def ticker_row(venue: PoloniexState, market: SimMarket) -> dict[str, Any]:
    """The fields that REST and the `ticker` channel share."""
    day = venue.exchange.markets[market.symbol].tape.day(venue.exchange.now_ns)
    return {
        "symbol": market.symbol,
        "open": number(day.open),
        "low": number(day.low),
        "high": number(day.high),
        "close": number(day.last),
        "quantity": number(day.volume),
        "amount": number(day.funds),
        "tradeCount": day.count,
        "startTime": venue.now_ms - DAY_MS,
        "closeTime": venue.now_ms,
        "dailyChange": change_text(day.open, day.last),
        "markPrice": number(mark_price(venue, market)),
        "ts": venue.now_ms,
    }


def _ticker_24h(venue: PoloniexState, market: SimMarket) -> dict[str, Any]:
    book = venue.exchange.markets[market.symbol].book
    row = ticker_row(venue, market) | {"displayName": market.name}
    for name, side in (("bid", book.bids), ("ask", book.asks)):
        best = side.best()
        row[name] = number(best.price if best else Decimal(0))
        row[f"{name}Quantity"] = number(best.total if best else Decimal(0))
    return row


def _tickers(venue: PoloniexState, call: Call) -> object:
    return [_ticker_24h(venue, market) for market in venue.markets.values()]


def _ticker(venue: PoloniexState, call: Call) -> object:
    return _ticker_24h(venue, market_of(venue, call))


PUBLIC: tuple[Endpoint[PoloniexState, Call], ...] = (
    Endpoint("GET", "/markets", _markets, "public bulk"),
    Endpoint("GET", "/markets/price", _prices, "public"),
    Endpoint("GET", "/markets/markPrice", _marks, "public"),
    Endpoint("GET", "/markets/ticker24h", _tickers, "public bulk"),
    Endpoint("GET", "/markets/{symbol}", _market, "public"),
    Endpoint("GET", "/markets/{symbol}/price", _price, "public"),
    Endpoint("GET", "/markets/{symbol}/markPrice", _mark, "public"),
    Endpoint("GET", "/markets/{symbol}/markPriceComponents", _mark_components, "public"),
    Endpoint("GET", "/markets/{symbol}/orderBook", _order_book, "public"),
    Endpoint("GET", "/markets/{symbol}/candles", _candles, "public"),
    Endpoint("GET", "/markets/{symbol}/trades", _trades, "public bulk"),
    Endpoint("GET", "/markets/{symbol}/ticker24h", _ticker, "public bulk"),
    Endpoint("GET", "/currencies", _currencies, "public bulk"),
    Endpoint("GET", "/currencies/{currency}", _currency, "public bulk"),
    Endpoint("GET", "/v2/currencies", _currencies_v2, "public bulk"),
    Endpoint("GET", "/v2/currencies/{currency}", _currency_v2, "public bulk"),
    Endpoint("GET", "/timestamp", _timestamp, "public"),
    Endpoint("GET", "/v3/market/allInstruments", _futures, "public bulk"),
)
