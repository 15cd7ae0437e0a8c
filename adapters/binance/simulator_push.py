"""The WebSocket streams of the simulated Binance: who wants what, and when it is sent.

Sources: Spot "WebSocket Streams" and "User Data Streams", USD-M "Connect" and "Live
Subscribing/Unsubscribing". Paths that begin with `/usdm`, and those of the real futures hosts
(`/public`, `/market`, `/private`), are the futures'; all others spot's. `/ws/...` sends events raw,
`/stream?streams=...` with their stream's name. Spot's address is told as `/stream/ws`: ccxt knows
the product of a connection by that word, which the real host has in its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from fairlead.adapters.binance import simulator_feeds as feeds
from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.binance.simulator_feeds import DiffFeed, KlineFeed
from fairlead.adapters.binance.simulator_markets import Product, SimMarket
from fairlead.adapters.binance.simulator_public import INTERVALS, best
from fairlead.adapters.binance.simulator_state import BinanceState
from fairlead.adapters.binance.simulator_user import take_events
from fairlead.adapters.binance.simulator_wsapi import ApiSession
from fairlead.adapters.simulation.market import MS, SECOND_NS
from fairlead.adapters.simulation.push import MarketNews
from fairlead.adapters.simulation.routes import RateWindows
from fairlead.adapters.simulation.venue import Opened

FRAME_CHARS_MAX = 64 * 1024
STREAMS_MAX = {Product.SPOT: 1024, Product.USDM: 200}  # of a connection
COMMANDS_PER_SEC = {Product.SPOT: 5, Product.USDM: 10}
DIFF_MS = {Product.SPOT: (1000, 100), Product.USDM: (250, 0, 100, 250, 500)}  # the first: default
TICKER_MS = 1000
_STREAM = re.compile(r"([a-z0-9]+)@(depth|kline_|markPrice)?([A-Za-z0-9]*)(?:@([0-9]+)(ms|s))?")
_FUTURES_PATHS = ("/usdm", "/public", "/market", "/private")


class Topic(msgspec.Struct, frozen=True):
    """A stream that exists: `kind`, its market (None: all), and what else its name has."""

    name: str
    kind: str
    market: SimMarket | None
    detail: str = ""
    interval_ms: int = 0


def topic_of(venue: BinanceState, product: Product, name: str) -> Topic | None:
    """None for what is no stream of the product."""
    every = {"!bookTicker": "bookTicker", "!ticker@arr": "ticker", "!miniTicker@arr": "miniTicker"}
    if product is Product.USDM:
        every |= {"!markPrice@arr": "markPrice", "!markPrice@arr@1s": "markPrice"}
        every |= {"!forceOrder@arr": "forceOrder"}
    if name in every:
        fast = "@1s" in name or every[name] != "markPrice"
        return Topic(name, every[name], None, "arr", TICKER_MS if fast else 3 * TICKER_MS)
    found = _STREAM.fullmatch(name)
    if found is None:
        return None
    symbol, prefix, rest, number, unit = found.groups()
    try:
        market = venue.market(product, symbol)
    except ApiError:
        return None
    interval_ms = int(number) * (1 if unit == "ms" else 1000) if number else None
    return _topic(product, name, market, (prefix or "", rest), interval_ms)


def _topic(
    product: Product, name: str, market: SimMarket, said: tuple[str, str], interval_ms: int | None
) -> Topic | None:
    prefix, rest = said
    if prefix == "depth" and rest in ("", "5", "10", "20"):
        default, *known = DIFF_MS[product]
        if interval_ms not in (None, default, *known):
            return None
        kind = "partial" if rest else "depth"
        return Topic(name, kind, market, rest, default if interval_ms is None else interval_ms)
    if prefix == "kline_" and rest in INTERVALS and interval_ms is None:
        return Topic(name, "kline", market, rest)
    if prefix == "markPrice" and not rest and product is Product.USDM:
        return Topic(name, "markPrice", market, "", interval_ms or 3 * TICKER_MS)
    if not prefix and interval_ms is None:
        plain = ("trade", "aggTrade", "bookTicker", "ticker", "miniTicker")
        if rest in plain or (rest == "forceOrder" and product is Product.USDM):
            return Topic(name, rest, market, "", TICKER_MS)
    return None


class StreamSession:
    """One WebSocket of market streams, or of an account's by its listen key."""

    def __init__(
        self,
        server: StreamServer,
        product: Product,
        send: Callable[[str], None],
        close: Callable[[], None],
        *,
        is_combined: bool,
    ) -> None:
        self.product = product
        self.topics: dict[str, Topic] = {}
        self.keys: set[str] = set()  # listen keys
        self._server = server
        self._send = send
        self._close = close
        self._is_combined = is_combined
        self._commands = RateWindows(SECOND_NS)

    def tell(self, name: str, frame: str) -> None:
        self._send(f'{{"stream":"{name}","data":{frame}}}' if self._is_combined else frame)

    def end(self) -> None:
        self._close()

    def add(self, name: str) -> bool:
        """Whether there is such a stream."""
        if self._server.is_listen_key(self.product, name):
            self.keys.add(name)
            return True
        topic = topic_of(self._server.venue, self.product, name)
        if topic is None or len(self.topics) >= STREAMS_MAX[self.product]:
            return False
        self.topics[name] = topic
        self._server.begin(topic)
        return True

    def received(self, frame: str) -> None:
        server = self._server
        limit = COMMANDS_PER_SEC[self.product]
        if not self._commands.take("", limit, server.venue.exchange.now_ns):
            self._close()  # the venue disconnects who sends more
            return
        try:
            if len(frame) > FRAME_CHARS_MAX:
                raise ValueError("the frame is too long")
            asked = msgspec.json.decode(frame, type=dict[str, Any])
            self._send(feeds.text(self._answer(asked)))
        except (ValueError, TypeError, RecursionError) as error:
            told = {"code": 3, "msg": f"Invalid JSON: {str(error)[:100]}"}
            self._send(feeds.text({"error": told, "id": None}))

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        number, method = asked.get("id"), asked.get("method")
        names = asked.get("params") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return _refused(2, "Invalid request: params are a list of texts", number)
        if method == "SUBSCRIBE":
            for name in names:
                self.add(name)  # a stream that there is none of stays silent, as on the venue
            return {"result": None, "id": number}
        if method == "UNSUBSCRIBE":
            for name in names:
                self.topics.pop(name, None)
                self.keys.discard(name)
            return {"result": None, "id": number}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": [*self.topics, *self.keys], "id": number}
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            result = self._is_combined if method == "GET_PROPERTY" else None
            return {"result": result, "id": number}
        return _refused(2, f"Invalid request: unknown variant `{str(method)[:40]}`", number)

    def closed(self) -> None:
        self._server.forget(self)


def _refused(code: int, message: str, number: object) -> dict[str, Any]:
    return {"error": {"code": code, "msg": message}, "id": number}


class StreamServer:
    """All connections of both products, and what is due to be told."""

    def __init__(self, venue: BinanceState) -> None:
        self.venue = venue
        self.sessions: list[StreamSession] = []
        self.apis: list[ApiSession] = []
        self._news = MarketNews(venue.exchange)
        self._diffs: dict[tuple[str, int], DiffFeed] = {}
        self._klines: dict[tuple[str, str], KlineFeed] = {}
        self._due_ns: dict[tuple[Product, str], int] = {}
        self._bests: dict[str, tuple[str, str, str, str]] = {}

    def is_listen_key(self, product: Product, name: str) -> bool:
        return self.venue.keys.is_valid(product, name, self.venue.now_ms)

    def open(self, opened: Opened) -> StreamSession | ApiSession:
        parts = opened.path.strip("/").split("/")
        if parts[0] in ("ws-api", "ws-fapi"):
            of = Product.USDM if parts[0] == "ws-fapi" else Product.SPOT
            self.apis.append(ApiSession(self.venue, of, opened.send, self.apis.remove))
            return self.apis[-1]
        product = Product.USDM if opened.path.startswith(_FUTURES_PATHS) else Product.SPOT
        is_combined = "ws" not in parts
        session = StreamSession(self, product, opened.send, opened.close, is_combined=is_combined)
        asked = parse_qs(opened.query)
        names = [name for text in asked.get("streams", ()) for name in text.split("/")]
        if not is_combined and "ws" in parts:
            names += parts[parts.index("ws") + 1 :]
        for name in [*names, *asked.get("listenKey", ())]:
            session.add(name)
        self.sessions.append(session)
        return session

    def begin(self, topic: Topic) -> None:
        """A diff stream has every change since it was asked for: a snapshot after it overlaps."""
        if topic.kind == "depth" and topic.market is not None:
            clock, key = self.venue.book_clock, (topic.market.id, topic.interval_ms)
            if key not in self._diffs:
                last_id = clock.ids[topic.market.id]
                self._diffs[key] = DiffFeed(topic.market, topic.interval_ms, last_id)
            clock.is_watched = True

    def forget(self, session: StreamSession) -> None:
        if session in self.sessions:
            self.sessions.remove(session)

    # -- what is told ----------------------------------------------------------------------------

    def publish(self, now_ns: int) -> None:
        wanted = {
            (session.product, topic.name): topic
            for session in self.sessions
            for topic in session.topics.values()
        }
        self._watch(wanted, now_ns)
        self._tell_accounts()
        self._tell_trades()
        for (product, name), topic in wanted.items():
            for frame in self._frames(product, topic, now_ns):
                self._tell(product, name, frame)

    def _tell_accounts(self) -> None:
        for _, key in self.venue.keys.take_expired(self.venue.now_ms):
            event = {"e": "listenKeyExpired", "E": self.venue.now_ms, "listenKey": key}
            for session in [one for one in self.sessions if key in one.keys]:
                session.tell(key, feeds.text(event))
                session.keys.discard(key)
        for product, told in take_events(self.venue):
            made = feeds.text(told)
            for session in self.sessions:
                for key in session.keys:
                    if self.is_listen_key(product, key):
                        session.tell(key, made)
            for api in self.apis:
                if api.product is product:
                    api.tell(told)

    def _tell(self, product: Product, name: str, frame: object) -> None:
        made = feeds.text(frame)
        for session in [*self.sessions]:
            if session.product is product and name in session.topics:
                session.tell(name, made)

    def _tell_trades(self) -> None:
        markets, now_ms = self.venue.markets, self.venue.now_ms
        for trade in self._news.take_trades():
            market = markets[trade.market]
            stream = market.symbol.lower()
            wanted = {
                name
                for session in self.sessions
                if session.product is market.product
                for name in session.topics
            }
            for kind, make in (("trade", feeds.trade_frame), ("aggTrade", feeds.agg_frame)):
                if f"{stream}@{kind}" in wanted:
                    self._tell(market.product, f"{stream}@{kind}", make(market, trade, now_ms))

    def _watch(self, wanted: Mapping[tuple[Product, str], Topic], now_ns: int) -> None:
        """Keep a diff and a kline feed for what is wanted, and give the diffs what changed."""
        clock = self.venue.book_clock
        changes = clock.take()
        diffs, klines = {}, {}
        for topic in wanted.values():
            market = topic.market
            if topic.kind == "depth" and market is not None:
                key = (market.id, topic.interval_ms)
                diffs[key] = self._diffs[key]
            elif topic.kind == "kline" and market is not None:
                bar = (market.id, topic.detail)
                klines[bar] = self._klines.get(bar) or KlineFeed(market, topic.detail, now_ns)
        by_market: dict[str, list[DiffFeed]] = {}
        for (market_id, _), feed in self._diffs.items():
            by_market.setdefault(market_id, []).append(feed)
        for market_id, side, price, size, update_id in changes:
            for feed in by_market.get(market_id, ()):
                feed.add(side, price, size, update_id)
        self._diffs, self._klines = diffs, klines
        clock.is_watched = bool(diffs)

    def _frames(self, product: Product, topic: Topic, now_ns: int) -> list[Any]:
        venue, market = self.venue, topic.market
        if topic.kind == "depth" and market is not None:
            frame = self._diffs[market.id, topic.interval_ms].take(now_ns)
            return [] if frame is None else [frame]
        if topic.kind == "kline" and market is not None:
            return list(self._klines[market.id, topic.detail].take(venue, now_ns))
        if topic.kind == "bookTicker":
            chosen = [market] if market is not None else venue.of_product(product)
            return [feeds.book_ticker(venue, one) for one in chosen if self._is_moved(topic, one)]
        if topic.kind in ("trade", "aggTrade", "forceOrder") or not self._is_due(topic, now_ns):
            return []
        if topic.kind == "partial" and market is not None:
            return [feeds.partial_depth(venue, market, int(topic.detail))]
        make = {
            "ticker": feeds.ticker,
            "miniTicker": feeds.mini_ticker,
            "markPrice": feeds.mark_price,
        }[topic.kind]
        if market is not None:
            return [make(venue, market)]
        return [[make(venue, one) for one in venue.of_product(product)]]

    def _is_moved(self, topic: Topic, market: SimMarket) -> bool:
        """Whether the best prices or sizes are others than were told on this stream."""
        told, found = f"{topic.name} {market.id}", best(self.venue, market)
        is_moved = self._bests.get(told) != found
        self._bests[told] = found
        return is_moved

    def _is_due(self, topic: Topic, now_ns: int) -> bool:
        key = (topic.market.product if topic.market else Product.SPOT, topic.name)
        if now_ns < self._due_ns.get(key, 0):
            return False
        self._due_ns[key] = now_ns + topic.interval_ms * MS
        return True
