"""Push websocket of the simulated OceanEx: Pusher protocol 7 (the venue document's section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import parse_qs

import msgspec

from fairlead.adapters.oceanex.simulator_markets import SimMarket, epoch, number
from fairlead.adapters.oceanex.simulator_rest import full_ticker
from fairlead.adapters.oceanex.simulator_state import OceanexState
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import Trade
from fairlead.adapters.simulation.push import MarketNews
from fairlead.adapters.simulation.venue import Opened

PROTOCOLS = range(3, 8)
SUBSCRIPTIONS_MAX = 1000
_BOOK_CHANNEL = re.compile(r"^market-([a-z0-9]+)(?:-([1-8]))?-global$")


class PushServer:
    """All connections, and what is published to them."""

    def __init__(self, venue: OceanexState) -> None:
        self._venue = venue
        self._news = MarketNews(venue.exchange)
        self._rng = Random(venue.seed)  # noqa: S311 - socket ids of a simulation
        self._channels: dict[str, list[PushSession]] = {}

    # -- publishing -----------------------------------------------------------------------------

    def publish(self, now_ns: int) -> None:
        """Trades at once; books and tickers on their intervals, if anything changed."""
        options, news = self._venue.options, self._news
        trades: dict[str, list[Trade]] = {}
        for trade in news.take_trades():
            trades.setdefault(trade.market, []).append(trade)
        for market, rows in trades.items():
            self._send_all(f"market-{market}-trade-global", "trades", {"trades": _trades(rows)})
        if dirty := news.books.take(now_ns, options.push_interval_ms):
            for channel in list(self._channels):
                match = _BOOK_CHANNEL.match(channel)
                if match and match[1] in dirty:
                    shown = self._venue.markets[match[1]]
                    precision = int(match[2]) if match[2] else shown.price_precision
                    self._send_all(channel, "update", self.book(shown, precision))
        is_due = news.tickers.take(now_ns, options.ticker_interval_ms)
        if is_due and "market-global" in self._channels:
            self._send_all("market-global", "tickers", self._tickers())

    def book(self, market: SimMarket, precision: int) -> dict[str, list[list[str]]]:
        """A snapshot, best first, prices aggregated away from the spread."""
        book = self._venue.exchange.markets[market.id].book
        depth = self._venue.options.push_levels
        if precision >= market.price_precision:
            asks, bids = book.asks.levels(depth), book.bids.levels(depth)
        else:
            step = Decimal(1).scaleb(-precision)
            asks, bids = book.asks.grouped(step, depth), book.bids.grouped(step, depth)
        return {
            "asks": [[number(price), number(size)] for price, size in asks],
            "bids": [[number(price), number(size)] for price, size in bids],
        }

    def _tickers(self) -> dict[str, dict[str, Any]]:
        rows = {}
        for market in self._venue.markets.values():
            row = full_ticker(self._venue, market)
            for name in ("first", "position", "display_name"):
                del row[name]
            row["open"] = float(row["open"])
            rows[market.id] = row
        return rows

    def _send_all(self, channel: str, event: str, data: object) -> None:
        sessions = self._channels.get(channel)
        if not sessions:
            return
        frame = encode_event(
            event, data, channel, double_encoded=self._venue.options.double_encoded
        )
        for session in list(sessions):
            session.send(frame)

    # -- connections ----------------------------------------------------------------------------

    def open(self, opened: Opened) -> PushSession:
        """Greet, or refuse in-band and close without a close code (section 3.2)."""
        session = PushSession(self, opened.send)
        key = opened.path.removeprefix("/app/")
        protocol = parse_qs(opened.query).get("protocol", [""])[0]
        if key != self._venue.options.app_key:
            session.error(4001, f"Could not find app by key {key}")
            opened.close()
        elif natural(protocol) not in PROTOCOLS:
            session.error(4007, "Unsupported protocol version")
            opened.close()
        else:
            socket_id = f"{4242}.{self._rng.randrange(1_000_000)}"
            timeout = self._venue.options.activity_timeout_secs
            data = {"socket_id": socket_id, "activity_timeout": timeout}
            session.send(encode_event("pusher:connection_established", data))
        return session

    def join(self, channel: str, session: PushSession) -> None:
        self._channels.setdefault(channel, []).append(session)

    def leave(self, channel: str, session: PushSession) -> None:
        sessions = self._channels.get(channel, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._channels.pop(channel, None)

    @property
    def subscriptions(self) -> dict[str, int]:
        """Subscribers by channel."""
        return {channel: len(sessions) for channel, sessions in self._channels.items()}


class PushSession:
    """One connection."""

    def __init__(self, server: PushServer, send: Callable[[str], None]) -> None:
        self.send = send
        self._server = server
        self._channels: set[str] = set()

    def error(self, code: int | None, message: str) -> None:
        self.send(encode_event("pusher:error", {"code": code, "message": message}))

    def closed(self) -> None:
        for channel in self._channels:
            self._server.leave(channel, self)
        self._channels.clear()

    def received(self, frame: str) -> None:
        try:
            message = msgspec.json.decode(frame)
        except msgspec.DecodeError:
            self.error(5001, "Invalid JSON")
            return
        if not isinstance(message, dict):
            self.error(500, "undefined method [] for a message that is not an object")
            return
        event, data = message.get("event"), _decoded(message.get("data"))
        if event == "pusher:ping":
            self.send(encode_event("pusher:pong", {}))
        elif event in ("pusher:subscribe", "pusher:unsubscribe"):
            channel = data.get("channel") if isinstance(data, dict) else None
            if not isinstance(channel, str) or not channel:
                self.error(500, "the channel is missing")
            elif event == "pusher:subscribe":
                self._subscribe(channel)
            else:
                self._channels.discard(channel)
                self._server.leave(channel, self)

    def _subscribe(self, channel: str) -> None:
        if channel in self._channels:
            self.error(None, f"Existing subscription to {channel}")
        elif channel.startswith(("private-", "presence-")):
            message = f"Invalid signature: no valid auth for {channel}"
            self.send(encode_event("pusher:error", {"message": message}))
        elif len(self._channels) >= SUBSCRIPTIONS_MAX:
            self.error(4100, "Too many subscriptions")
        else:
            self._channels.add(channel)
            self._server.join(channel, self)
            self.send(encode_event("pusher_internal:subscription_succeeded", {}, channel))


def encode_event(
    event: str, data: object, channel: str | None = None, *, double_encoded: bool = True
) -> str:
    message: dict[str, object] = {
        "event": event,
        "data": msgspec.json.encode(data).decode() if double_encoded else data,
    }
    if channel is not None:
        message["channel"] = channel
    return msgspec.json.encode(message).decode()


def _decoded(data: object) -> object:
    """Client data may be an object, or a JSON text."""
    if not isinstance(data, str):
        return data
    try:
        found: object = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data
    return found


def _trades(trades: list[Trade]) -> list[dict[str, Any]]:
    return [
        {
            "tid": t.id,
            "type": t.aggressor.value.lower(),
            "date": epoch(t.ts_event),
            "price": number(t.price),
            "amount": number(t.quantity),
        }
        for t in trades
    ]
