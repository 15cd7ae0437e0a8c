"""The WebSocket of the simulated PiexGo (section 2): books, deals, orders, balances."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.piexgo.simulator_auth import BAD_KEY, is_pinfo_signed
from fairlead.adapters.piexgo.simulator_markets import money_text
from fairlead.adapters.piexgo.simulator_public import BAD_SYMBOL, deal_row
from fairlead.adapters.piexgo.simulator_state import ACCOUNT, PiexgoState
from fairlead.adapters.piexgo.simulator_trading import order_row
from fairlead.adapters.simulation.exchange import ExchangeListener
from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.orders import SimOrder, Trade
from fairlead.adapters.simulation.venue import Opened
from fairlead.engine.orders.model import Side

PATH = "/ws"
PRIVATE = "pinfo"
FIRST_BALANCE_ID = 10_897_125
TOPICS_MAX = 1000  # of one connection


class PushServer(ExchangeListener):
    """All connections, and what is published to them."""

    def __init__(self, venue: PiexgoState) -> None:
        self._venue = venue
        self._topics: dict[str, list[PushSession]] = {}
        self._change_ids = dict.fromkeys(venue.markets, 36_296)
        self._dirty: set[str] = set()
        self._deals: dict[str, list[Trade]] = {}
        self._balances: dict[str, None] = {}
        self._next_books_ns = 0
        self._balance_id = FIRST_BALANCE_ID
        self._event_id = 0
        venue.exchange.listeners.append(self)

    # -- what the exchange tells ----------------------------------------------------------------

    def traded(self, trade: Trade) -> None:
        self._deals.setdefault(trade.market, []).append(trade)

    def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
        self._change_ids[market] += 1
        self._dirty.add(market)

    def order_changed(self, order: SimOrder, event: str) -> None:
        """At once, and so before the answer to the request that caused it."""
        if order.account != ACCOUNT or event == "cancelling" or PRIVATE not in self._topics:
            return
        self._event_id = max(self._event_id + 1, self._venue.exchange.now_ns)
        data = {**order_row(self._venue, order), "id": self._event_id}
        self._send_all(PRIVATE, {"topic": PRIVATE, "type": "order", "data": data})

    def balance_changed(self, account: str, currency: str) -> None:
        if account == ACCOUNT:
            self._balances[currency] = None

    # -- publishing -----------------------------------------------------------------------------

    def publish(self, now_ns: int) -> None:
        """Balances and deals at once, books on their interval, if anything changed."""
        balances, self._balances = self._balances, {}
        for currency in balances:
            self._balance_id += 1
            value = self._venue.exchange.ledger.balance(ACCOUNT, currency).free
            data = {
                "token": currency,
                "type": "balance",
                "value": money_text(value),
                "id": self._balance_id,
            }
            self._send_all(PRIVATE, {"topic": PRIVATE, "type": "balance", "data": data})
        deals, self._deals = self._deals, {}
        for market, trades in deals.items():
            symbol = market.lower()
            rows = [deal_row(trade) for trade in trades]
            self._send_all(
                f"dealinfo.{symbol}", {"topic": "dealinfo", "symbol": symbol, "deals": rows}
            )
        if not self._dirty or now_ns < self._next_books_ns:
            return
        self._next_books_ns = now_ns + self._venue.options.push_interval_ms * MS
        dirty, self._dirty = self._dirty, set()
        for market in sorted(dirty):
            topic = f"depth.{market.lower()}"
            if topic in self._topics:
                self._send_all(topic, self.depth(market))

    def depth(self, market: str) -> dict[str, Any]:
        """The top levels, as JSON numbers."""
        book = self._venue.exchange.markets[market].book
        count = self._venue.options.push_levels

        def rows(levels: list[tuple[Decimal, Decimal]]) -> list[dict[str, Any]]:
            return [
                {"index": index, "price": float(price), "qty": float(size)}
                for index, (price, size) in enumerate(levels)
            ]

        return {
            "topic": "depth",
            "symbol": market.lower(),
            "buy_book": rows(book.bids.levels(count)),
            "sell_book": rows(book.asks.levels(count)),
            "change_id": self._change_ids[market],
        }

    def _send_all(self, topic: str, message: object) -> None:
        sessions = self._topics.get(topic)
        if not sessions:
            return
        frame = msgspec.json.encode(message).decode()
        for session in list(sessions):
            session.send(frame)

    # -- connections ----------------------------------------------------------------------------

    def open(self, opened: Opened) -> PushSession:
        session = PushSession(self, opened.send)
        if opened.path != PATH:
            opened.close()
        return session

    def is_topic(self, topic: str) -> bool:
        """Symbols of topics are in lower case."""
        channel, _, symbol = topic.partition(".")
        known = {market.lower() for market in self._venue.markets}
        return channel in ("depth", "dealinfo") and symbol in known

    def may_read(self, message: dict[str, Any]) -> bool:
        """Whether a private subscription is the account's."""
        key, signature = message.get("apikey"), message.get("signature")
        if key is None and signature is None:
            return self._venue.options.unsigned_pinfo
        return is_pinfo_signed(self._venue.credentials, key, signature)

    def join(self, topic: str, session: PushSession) -> None:
        self._topics.setdefault(topic, []).append(session)
        if topic.startswith("depth.") and self._venue.options.first_depth:
            market = topic.partition(".")[2].upper()
            session.send(msgspec.json.encode(self.depth(market)).decode())

    def leave(self, topic: str, session: PushSession) -> None:
        sessions = self._topics.get(topic, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._topics.pop(topic, None)

    @property
    def says_acks(self) -> bool:
        return self._venue.options.acks


class PushSession:
    """One connection. What can't be understood is met with silence: the document has no errors."""

    def __init__(self, server: PushServer, send: Callable[[str], None]) -> None:
        self.send = send
        self._server = server
        self._topics: set[str] = set()

    def closed(self) -> None:
        for topic in self._topics:
            self._server.leave(topic, self)
        self._topics.clear()

    def received(self, frame: str) -> None:
        try:
            message = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        op, topic = message.get("op"), message.get("topic")
        if not isinstance(topic, str) or op not in ("subscribe", "unsubscribe"):
            return
        if op == "unsubscribe":
            self._topics.discard(topic)
            self._server.leave(topic, self)
            self._answer(op, topic, 0, "ok")
        elif topic == PRIVATE and not self._server.may_read(message):
            self._answer(op, topic, BAD_KEY, "Invalid signature.")
        elif topic != PRIVATE and not self._server.is_topic(topic):
            self._answer(op, topic, BAD_SYMBOL, "Invalid symbol.")
        elif topic not in self._topics and len(self._topics) < TOPICS_MAX:
            self._topics.add(topic)
            self._answer(op, topic, 0, "ok")
            self._server.join(topic, self)

    def _answer(self, op: str, topic: str, code: int, text: str) -> None:
        if self._server.says_acks:
            told = {"op": op, "topic": topic, "err_code": code, "msg": text}
            self.send(msgspec.json.encode(told).decode())
