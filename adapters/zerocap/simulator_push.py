"""The WebSocket of the simulated Zerocap: prices, orders, trades, heartbeats (section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead.adapters.simulation.market import MS, SECOND_NS
from fairlead.adapters.simulation.push import MarketNews
from fairlead.adapters.simulation.routes import ApiError
from fairlead.adapters.simulation.venue import Opened
from fairlead.adapters.zerocap.config import Dialect
from fairlead.adapters.zerocap.ladder import Tier
from fairlead.adapters.zerocap.simulator_rows import clock, pushed, trade
from fairlead.adapters.zerocap.simulator_state import Deal, ZerocapState

UNAVAILABLE = "Price stream unavailable."
SYMBOLS_MAX = 100


class PushServer:
    """All connections, and what is published to them."""

    def __init__(self, state: ZerocapState) -> None:
        self.state = state
        self.sessions: list[PushSession] = []
        self._news = MarketNews(state.exchange)
        self._told_ns: dict[str, int] = {}  # by symbol

    def open(self, opened: Opened) -> PushSession:
        """Greet, or refuse in-band and close."""
        dialect: Dialect = "A" if "timestamp" not in opened.headers else "C"
        session = PushSession(self, dialect, opened.send, opened.close)
        key, signature = opened.headers.get("api-key", ""), opened.headers.get("signature", "")
        try:
            self.state.authenticated(key, signature, opened.headers.get("timestamp"), "127.0.0.1")
        except ApiError as e:
            session.fault(e.code, "Unauthorized" if e.code == 401 else e.message)
            opened.close()
            return session
        self.sessions.append(session)
        session.say("Successfully connected.")
        return session

    def publish(self, now_ns: int) -> None:
        """Orders at once, ladders that have changed on an interval, heartbeats when due."""
        self.publish_orders()
        self._news.take_trades()
        changed = self._news.books.take(now_ns, self.state.options.push_interval_ms)
        for symbol in [*changed, *self._due_again(now_ns, changed)]:
            self._told_ns[symbol] = now_ns
            if self.state.is_price_up:
                self._ladder(symbol)
        for session in list(self.sessions):
            session.advance(now_ns)

    def _due_again(self, now_ns: int, changed: list[str]) -> list[str]:
        """Ladders that have stood for so long that they are told again."""
        after_ns = self.state.options.repeat_ms * MS
        if not after_ns:
            return []
        return [
            symbol
            for symbol in self.state.markets
            if symbol not in changed and now_ns - self._told_ns.get(symbol, 0) >= after_ns
        ]

    def publish_orders(self) -> None:
        """Each order as it came in and as it ended, its trade in between."""
        told, self.state.told = self.state.told, []
        for deal in told:
            for session in self.sessions:
                session.order(deal)

    def stream(self, is_up: bool) -> None:
        """The price feed goes down, or comes back."""
        self.state.is_price_up = is_up
        for session in self.sessions:
            if session.symbols and not is_up:
                session.say(UNAVAILABLE)
            elif is_up:
                for symbol in session.symbols:
                    session.send(self.frame(symbol, session.dialect))

    def _ladder(self, symbol: str) -> None:
        frames: dict[Dialect, str] = {}
        for session in self.sessions:
            if symbol not in session.symbols:
                continue
            if session.dialect not in frames:
                frames[session.dialect] = self.frame(symbol, session.dialect)
            session.send(frames[session.dialect])

    def frame(self, symbol: str, dialect: Dialect) -> str:
        """A whole ladder."""
        bids, asks = self.state.ladders(self.state.markets[symbol])
        now_ns, options = self.state.exchange.now_ns, self.state.options
        told: dict[str, Any] = {"timestamp": now_ns / SECOND_NS}
        if dialect == "C":
            told |= {"symbol": symbol, "exchange": "zerocap"}
            told |= {"bids": _levels(bids), "asks": _levels(asks)}
            return _json({"type": "price", "data": told})
        if options.inverts_ladders:
            bids, asks = asks, bids
        told["datetime"] = f"{clock(now_ns)}.{now_ns // 1_000_000 % 1000:03}"
        told |= {"symbol": symbol, "exchange": "zerocap"}
        told["data"] = {"bids": _levels(bids), "asks": _levels(asks)}
        data = _json(told) if options.data_as_text else told
        channel = f"dma_ladder_price_{symbol}"
        return _json({"type": "message", "channel": channel, "data": data})


def _levels(tiers: tuple[Tier, ...]) -> list[list[float]]:
    return [[float(tier.price), float(tier.size)] for tier in tiers]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class PushSession:
    """One connection."""

    def __init__(
        self,
        server: PushServer,
        dialect: Dialect,
        send: Callable[[str], None],
        close: Callable[[], None],
    ) -> None:
        now_ns = server.state.exchange.now_ns
        self.dialect = dialect
        self.send = send
        self.symbols: dict[str, None] = {}
        self._server = server
        self._close = close
        self._topics: set[str] = set()
        self._heard_ns = self._ponged_ns = now_ns

    def say(self, words: str) -> None:
        self.send(_json({"type": "message", "message": words}))

    def fault(self, code: int, words: str) -> None:
        if self.dialect == "C":
            self.send(_json({"type": "error", "error_code": code, "error_message": words}))
        else:
            self.send(_json({"error_code": str(code), "error_message": words}))

    def closed(self) -> None:
        if self in self._server.sessions:
            self._server.sessions.remove(self)

    def advance(self, now_ns: int) -> None:
        """Dialect C's heartbeat; A has none."""
        if self.dialect == "A":
            return
        options = self._server.state.options
        if now_ns - self._heard_ns >= options.idle_secs * SECOND_NS:
            self.fault(400, "ping timeout")
            self.closed()
            self._close()
        elif now_ns - self._ponged_ns >= options.pong_secs * SECOND_NS:
            self._ponged_ns = now_ns
            self.say("pong")

    # -- what the client says ------------------------------------------------------------------

    def received(self, frame: str) -> None:
        if self not in self._server.sessions:
            return  # refused: what it says is not heard
        self._heard_ns = self._server.state.exchange.now_ns
        try:
            message = msgspec.json.decode(frame)
        except (msgspec.DecodeError, RecursionError):
            message = None
        if not isinstance(message, dict) or not self._understood(message):
            self.fault(400, "invalid message")

    def _understood(self, message: dict[str, Any]) -> bool:
        type_ = message.get("type")
        if type_ == "price":
            return self._price(message)
        topics = {"orders": {"order", "trade"}} if self.dialect == "A" else _TOPICS_C
        if isinstance(type_, str) and type_ in topics:
            self._topics |= topics[type_]
            self.say(f"{type_.removesuffix('s')} Subscription successful.")
            return True
        if type_ == "message" and message.get("message") == "ping":
            return self.dialect == "C" or not self._server.state.options.answers_ping_with_error
        return False

    def _price(self, message: dict[str, Any]) -> bool:
        named = [message.get("symbol")] if self.dialect == "A" else message.get("symbols")
        if not isinstance(named, list) or not 0 < len(named) <= SYMBOLS_MAX:
            return False
        symbols = [symbol for symbol in named if isinstance(symbol, str)]
        if len(symbols) < len(named):
            return False
        if message.get("is_subscribe", True) is False and self.dialect == "C":
            for symbol in symbols:
                self.symbols.pop(symbol, None)
            return True
        self.say("price Subscription successful.")
        state = self._server.state
        known = [symbol for symbol in symbols if symbol in state.markets]
        self.symbols |= dict.fromkeys(known)
        if len(known) < len(symbols) or not state.is_price_up:
            self.say(UNAVAILABLE)
        if state.is_price_up:
            for symbol in known:
                self.send(self._server.frame(symbol, self.dialect))
        return True

    # -- what the account hears -----------------------------------------------------------------

    def order(self, deal: Deal) -> None:
        if "order" in self._topics:
            self._tell("order", pushed(deal, self.dialect, is_open=True))
        if "trade" in self._topics and deal.status == "closed":
            row = trade(deal, self.dialect)
            if self.dialect == "C":
                row["client_order_id"] = deal.client_order_id
            self._tell("trade", row)
        if "order" in self._topics:
            self._tell("order", pushed(deal, self.dialect, is_open=False))

    def _tell(self, topic: str, row: dict[str, Any]) -> None:
        if self.dialect == "C":
            self.send(_json({"type": topic, "data": row}))
            return
        told: dict[str, Any] = {"type": "message", "channel": f"dma_{topic}_info"}
        if topic == "trade":
            told["pattern"] = None
        self.send(_json(told | {"data": _json(row)}))


_TOPICS_C = {"order": {"order"}, "trade": {"trade"}}
