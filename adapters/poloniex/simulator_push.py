"""Both WebSockets of the simulated Poloniex (the venue document's sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import msgspec

from fairlead.adapters.poloniex import simulator_feeds as feeds
from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_feeds import CANDLE_CHANNELS, BookFeed, encode
from fairlead.adapters.poloniex.simulator_orders import (
    create,
    find_regular,
    is_regular,
    is_smart,
    read_order,
)
from fairlead.adapters.poloniex.simulator_public import currencies_of
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState
from fairlead.adapters.poloniex.simulator_trading import cancel_all, cancel_named, cancel_row
from fairlead.adapters.simulation.market import SECOND_NS
from fairlead.adapters.simulation.orders import BalanceEntry, FillEntry, SimOrder, Status
from fairlead.adapters.simulation.push import MarketNews
from fairlead.adapters.simulation.venue import Opened

PUBLIC_PATH, PRIVATE_PATH = "/ws/public", "/ws/private"
ALL = "all"
MARKET_CHANNELS = frozenset({"trades", "ticker", "book", "book_lv2", "symbols", *CANDLE_CHANNELS})
PUBLIC_CHANNELS = MARKET_CHANNELS | {"currencies", "exchange"}
PRIVATE_CHANNELS = frozenset({"orders", "balances"})
BOOK_DEPTHS = (5, 10, 20)
MAINTENANCE = "Platform in maintenance mode"


class PushServer(MarketNews):
    """All connections, and what is published to them."""

    def __init__(self, venue: PoloniexState) -> None:
        super().__init__(venue.exchange)
        self._venue = venue
        self.sessions: list[PushSession] = []
        self.trade_requests: dict[str, int] = {}  # by event
        self._feeds: dict[str, BookFeed] = {}
        self._orders: list[dict[str, Any]] = []
        self._balances: list[BalanceEntry] = []
        self._asset_count = 0

    # -- what the exchange tells ----------------------------------------------------------------

    def order_changed(self, order: SimOrder, event: str) -> None:
        if order.account != ACCOUNT:
            return
        if not is_regular(order):
            if self._venue.options.smart_events and event in ("accepted", "canceled"):
                told = "place" if event == "accepted" else "canceled"
                self._orders.append(feeds.smart_record(self._venue, order, told))
        elif event == "triggered" or (event == "accepted" and not is_smart(order)):
            self._orders.append(feeds.order_record(self._venue, order, "place"))
        elif event == "canceled":
            self._orders.append(feeds.order_record(self._venue, order, "canceled"))
        elif event == "filled" and order.quote_amount is not None:
            self._amount_spent(order)

    def _amount_spent(self, order: SimOrder) -> None:
        """A market buy by value ends with its last trade, which is told as FILLED."""
        if order.status is not Status.FILLED:
            return
        for record in reversed(self._orders):
            if record["orderId"] == str(order.id) and record["eventType"] == "trade":
                record["state"] = "FILLED"
                return

    def filled(self, fill: FillEntry) -> None:
        if fill.account != ACCOUNT:
            return
        order = self._venue.exchange.order(ACCOUNT, fill.order_id)
        assert order is not None, "a fill without its order"
        self._orders.append(feeds.trade_record(self._venue, order, fill))

    def balance_changed(self, account: str, currency: str) -> None:
        entry = self._venue.exchange.ledger.entries[-1]
        if account == ACCOUNT and isinstance(entry, BalanceEntry):
            self._balances.append(entry)

    # -- publishing -----------------------------------------------------------------------------

    def publish(self, now_ns: int) -> None:
        """Orders, balances and trades at once; books and tickers on their intervals."""
        options = self._venue.options
        self._close_silent(now_ns)
        self._publish_private()
        self._publish_trades()
        self._publish_modes()
        for symbol in self.books.take(now_ns, options.book_interval_ms):
            self._publish_book(symbol)
        for symbol in self.tickers.take(now_ns, options.ticker_interval_ms):
            for session in self._subscribed("ticker", symbol):
                session.send(feeds.ticker_frame(self._venue, symbol))

    def _close_silent(self, now_ns: int) -> None:
        """The venue closes without a word."""
        for session in list(self.sessions):
            if now_ns - session.heard_ns > self._venue.options.silence_secs * SECOND_NS:
                session.end()

    def _publish_private(self) -> None:
        orders, self._orders = self._orders, []
        for record in orders:
            frame = encode({"channel": "orders", "data": [record]})
            for session in self._subscribed("orders", record["symbol"]):
                session.send(frame)
        balances, self._balances = self._balances, []
        for entry in balances:
            self._asset_count += 1
            row = feeds.balance_record(
                self._venue, entry, _event_type(entry.reason), self._asset_count
            )
            for session in self._subscribed("balances", ALL):
                session.send(encode({"channel": "balances", "data": [row]}))

    def _publish_trades(self) -> None:
        trades = self.take_trades()
        for trade in trades:
            for session in self._subscribed("trades", trade.market):
                session.send(feeds.trade_frame(trade, self._venue.now_ms))
        for symbol in dict.fromkeys(trade.market for trade in trades):
            for channel in CANDLE_CHANNELS:
                sessions = self._subscribed(channel, symbol)
                frame = feeds.candle_frame(self._venue, channel, symbol) if sessions else None
                for session in sessions if frame else ():
                    session.send(str(frame))

    def _publish_modes(self) -> None:
        changed, self._venue.modes.changed = self._venue.modes.changed, set()
        for symbol in sorted(changed):
            channel = "symbols" if symbol else "exchange"
            for session in self._subscribed(channel, symbol or ALL):
                session.send(
                    feeds.symbols_frame(self._venue, [symbol], "update")
                    if symbol
                    else feeds.exchange_frame(self._venue, "update")
                )

    def _publish_book(self, symbol: str) -> None:
        feed = self._feeds.get(symbol)
        frame = feed.change(self._venue.now_ms) if feed is not None else None
        if frame is not None:
            for session in self._subscribed("book_lv2", symbol):
                session.send(frame)
        for session in self._subscribed("book", symbol):
            session.send(self.book(symbol, session.depth))

    def _subscribed(self, channel: str, symbol: str) -> list[PushSession]:
        return [session for session in self.sessions if session.wants(channel, symbol)]

    # -- what a subscription brings -------------------------------------------------------------

    def first_frames(
        self, session: PushSession, channel: str, names: Iterable[str]
    ) -> Iterable[str]:
        """Snapshots that follow the ack, one frame per symbol."""
        venue = self._venue
        if channel == "exchange":
            return [feeds.exchange_frame(venue, "snapshot")]
        if channel == "currencies":
            wanted = [*names] or [ALL]
            return [
                feeds.currencies_frame(venue, currencies_of(venue) if ALL in wanted else wanted)
            ]
        symbols = [*venue.markets] if ALL in names else [*names]
        if channel == "symbols":
            return [feeds.symbols_frame(venue, symbols, "snapshot")]
        if channel == "ticker":
            return [feeds.ticker_frame(venue, symbol) for symbol in symbols]
        if channel == "book":
            return [self.book(symbol, session.depth) for symbol in symbols]
        if channel == "book_lv2":
            return [self._feed(symbol).snapshot(venue.now_ms) for symbol in symbols]
        return []

    def book(self, symbol: str, depth: int) -> str:
        book = self._venue.exchange.markets[symbol].book
        return feeds.book_frame(symbol, book, depth, self._feed(symbol).id, self._venue.now_ms)

    def _feed(self, symbol: str) -> BookFeed:
        feed = self._feeds.get(symbol)
        if feed is None:
            rng = Random(f"{self._venue.seed}/ids/{symbol}")  # noqa: S311 - simulation
            book = self._venue.exchange.markets[symbol].book
            feed = self._feeds[symbol] = BookFeed(symbol, book, rng, self._venue.options.id_jump)
            feed.change(self._venue.now_ms)
        return feed

    # -- connections ----------------------------------------------------------------------------

    def open(self, opened: Opened) -> PushSession:
        """Any other path is closed at once."""
        session = PushSession(
            self._venue, self, opened.path == PRIVATE_PATH, opened.send, opened.close
        )
        self.sessions.append(session)
        if opened.path not in (PUBLIC_PATH, PRIVATE_PATH):
            session.end()
        return session

    def closed(self, session: PushSession) -> None:
        if session in self.sessions:
            self.sessions.remove(session)

    def drop_all(self) -> None:
        """End every connection, as a venue's restart does."""
        for session in list(self.sessions):
            session.end()


class PushSession:
    """One connection."""

    def __init__(
        self,
        venue: PoloniexState,
        server: PushServer,
        is_private: bool,
        send: Callable[[str], None],
        close: Callable[[], None],
    ) -> None:
        self.send = send
        self.depth = BOOK_DEPTHS[0]  # of the `book` channel
        self.heard_ns = venue.exchange.now_ns
        self.is_authenticated = False
        self._venue = venue
        self._server = server
        self._is_private = is_private
        self._close = close
        self._names: dict[str, dict[str, None]] = {}  # symbols by channel

    def wants(self, channel: str, symbol: str) -> bool:
        names = self._names.get(channel)
        return names is not None and (not names or symbol in names or ALL in names)

    def end(self) -> None:
        self._server.closed(self)
        self._close()

    def closed(self) -> None:
        self._server.closed(self)

    def error(self, message: str) -> None:
        self.send(encode({"message": message, "event": "error"}))

    def received(self, frame: str) -> None:
        self.heard_ns = self._venue.exchange.now_ns
        try:
            message = msgspec.json.decode(frame)
        except msgspec.DecodeError:
            self.error("Invalid message format")
            return
        if not isinstance(message, dict):
            self.error("Invalid message format")
            return
        event = message.get("event")
        if event == "ping":
            self.send('{"event":"pong"}')
        elif event == "subscribe":
            self._subscribe(message)
        elif event == "unsubscribe":
            self._unsubscribe(message)
        elif event == "unsubscribe_all":
            self._names.clear()
            self.send('{"event":"unsubscribe_all"}')
        elif event == "list_subscriptions":
            rows = [{"channel": c, "symbols": [*names]} for c, names in self._names.items()]
            self.send(encode({"event": "list_subscriptions", "subscriptions": rows}))
        elif event in ("createOrder", "cancelOrders", "cancelAllOrders"):
            self._trade_request(event, message)
        else:
            self.error(f"Invalid event value {encode(event)}")

    # -- subscriptions --------------------------------------------------------------------------

    def _subscribe(self, message: dict[str, Any]) -> None:
        channels = _list(message.get("channel"))
        if self._is_private and channels == ["auth"]:
            self._authenticate(message.get("params"))
            return
        known = PRIVATE_CHANNELS if self._is_private else PUBLIC_CHANNELS
        if not channels or any(channel not in known for channel in channels):
            self.error(f"Invalid channel value {encode(channels)}")
            return
        if self._is_private and not self.is_authenticated:
            self.error("User must be authenticated!")
            return
        if self._venue.modes.maintenance:
            self.error(MAINTENANCE)
            return
        for channel in channels:
            self._join(channel, message)

    def _join(self, channel: str, message: dict[str, Any]) -> None:
        names = _list(message.get("currencies" if channel == "currencies" else "symbols"))
        if channel == "balances":
            names = []  # for the whole account, whatever was asked
        unknown = [n for n in names if n != ALL and n not in self._venue.markets]
        if channel != "currencies" and unknown:
            self.error(f"Invalid symbol value {encode(unknown)}")
            return
        if channel in MARKET_CHANNELS and not names:
            self.error("Invalid symbol value []")
            return
        if channel == "book":
            depth = message.get("depth", BOOK_DEPTHS[0])
            if depth not in BOOK_DEPTHS:
                self.error(f"Invalid depth value {encode(depth)}")
                return
            self.depth = depth
        ack: dict[str, Any] = {"event": "subscribe", "channel": channel}
        if names:
            ack["symbols"] = names
        self._names.setdefault(channel, {}).update(dict.fromkeys(names))
        self.send(encode(ack))
        for frame in self._server.first_frames(self, channel, names):
            self.send(frame)

    def _unsubscribe(self, message: dict[str, Any]) -> None:
        for channel in _list(message.get("channel")):
            names = _list(message.get("symbols"))
            held = self._names.get(channel, {})
            for name in names:
                held.pop(name, None)
            if not held or not names or ALL in names:
                self._names.pop(channel, None)
            ack: dict[str, Any] = {"event": "unsubscribe", "channel": channel}
            self.send(encode(ack | ({"symbols": names} if names else {})))

    def _authenticate(self, params: object) -> None:
        venue = self._venue
        is_good = isinstance(params, dict) and venue.auth.check_frame(params, venue.now_ms)
        self.is_authenticated = is_good
        data: dict[str, Any] = {"success": is_good}
        if not is_good:
            data["message"] = "Authentication failed!"
        self.send(encode({"data": data | {"ts": venue.now_ms}, "channel": "auth"}))

    # -- trade requests -------------------------------------------------------------------------

    def _trade_request(self, event: str, message: dict[str, Any]) -> None:
        if not self._is_private or not self.is_authenticated:
            self.error("User must be authenticated!")
            return
        params = {} if message.get("params") is None else message["params"]
        counts = self._server.trade_requests
        counts[event] = counts.get(event, 0) + 1
        try:
            rows = self._trade(event, params)
        except ApiError as error:
            rows = [_failed(error)]
        self.send(encode({"id": message.get("id"), "data": rows}))

    def _trade(self, event: str, params: object) -> list[dict[str, Any]]:
        venue = self._venue
        options = venue.options
        is_bulk = event == "cancelAllOrders"
        group, limit = (
            ("private bulk", options.bulk_rate) if is_bulk else ("private", options.private_rate)
        )
        if not venue.limits.take(f"{group} ", limit, venue.exchange.now_ns):
            raise ApiError(429)
        if event == "createOrder":
            order = create(venue, read_order(venue, params, smart=False))
            row = {"orderId": order.id, "clientOrderId": order.client_order_id or ""}
            return [row | {"message": "", "code": 200}]
        if event == "cancelOrders":
            asked = cancel_named(
                params,
                lambda text: find_regular(venue, text),
                lambda order: cancel_row(venue, order),
            )
        else:
            asked = cancel_all(venue, params, smart=False)
        return [
            {
                "orderId": int(row["orderId"]) if row["code"] == 200 else 0,
                "clientOrderId": row["clientOrderId"],
                "message": row["message"],
                "code": row["code"],
            }
            for row in asked
        ]


def _failed(error: ApiError) -> dict[str, Any]:
    """A short balance has a code of its own here."""
    if error.code == 21709:
        error = ApiError(21721)
    return {"orderId": 0, "clientOrderId": None, "message": error.message, "code": error.code}


def _event_type(reason: str) -> str:
    """What moved a balance, by the ledger's reason."""
    if reason.startswith("trade "):
        return "match_order"
    if reason.startswith("order "):
        ends = {"closed": "canceled_order", "filled": "match_order"}
        return ends.get(reason.rpartition(" ")[2], "place_order")
    known = ("transfer_in", "transfer_out", "withdraw")
    return next((event for event in known if reason.startswith(event)), "deposit")


def _list(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []
