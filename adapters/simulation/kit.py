"""A simulated venue in few lines: JSON over HTTP, topics on a stream.

The other half of `fairlead.adapters.base.kit`.

Its endpoints are functions of the simulator and a `KitCall`; what a stream publishes is drawn by
`book_frame` and `trade_frame`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Unpack
from urllib.parse import parse_qs

import msgspec

from fairlead.adapters.simulation.exchange import ExchangeOptions
from fairlead.adapters.simulation.orders import (
    FillEntry,
    MarketSpec,
    NewOrder,
    Refusal,
    SimOrder,
    Trade,
)
from fairlead.adapters.simulation.push import MarketNews
from fairlead.adapters.simulation.routes import ApiError, RateWindows, Routes
from fairlead.adapters.simulation.shell import SimOptions, SimState, Start
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse

PUBLISH_MS = 100
FRAME_CHARS_MAX = 10_000
MS = 1_000_000
SECOND_NS = 1_000 * MS


class KitCall(msgspec.Struct, frozen=True):
    """A request to an endpoint: variables of its path and query, and its JSON object."""

    named: Mapping[str, str]
    body: Mapping[str, Any]


class KitSimulator(SimState[SimOptions]):
    """A `SimulatedVenue`. A refusal is `ApiError(status, text)`; answers are JSON of structs."""

    routes: ClassVar[Routes[Any, KitCall]]
    name: ClassVar[str]
    requests_per_second: ClassVar[int] = 50

    def __init__(
        self,
        markets: Sequence[tuple[MarketSpec, Decimal]],
        balances: Mapping[str, Decimal],
        credentials: Mapping[str, str],
        **start: Unpack[Start],
    ) -> None:
        """`markets` with the prices that they start from."""
        ids = tuple(spec.id for spec, _ in markets)
        options = SimOptions(balances=dict(balances), active_markets=ids)
        matching = ExchangeOptions(first_order_id=1, first_trade_id=1)
        super().__init__(options, f"{self.name}-account", markets, matching, **start)
        self.credentials = dict(credentials)
        self.limits = RateWindows(SECOND_NS)
        self._news = MarketNews(self.exchange)
        self._sessions: list[KitSession] = []

    @abstractmethod
    def authorised(self, request: SimRequest) -> bool:
        """Whether a private request is signed as the venue wants it."""

    @abstractmethod
    def book_frame(self, market: str) -> str: ...

    @abstractmethod
    def trade_frame(self, trade: Trade) -> str: ...

    @abstractmethod
    def new_order(self, body: Mapping[str, Any]) -> NewOrder:
        """What a client asks for. Raises KeyError, TypeError, ValueError or ArithmeticError."""

    @abstractmethod
    def order_row(self, order: SimOrder) -> object:
        """An order as the venue tells it."""

    @abstractmethod
    def fill_row(self, fill: FillEntry) -> object:
        """An execution as the venue tells it."""

    @abstractmethod
    def topic(self, frame: Any) -> tuple[str, bool]:
        """Of a client's frame, decoded: `book:MARKET` or `trades:MARKET`, and whether it is wanted.

        Raises KeyError, TypeError or ValueError for what is no command.
        """

    # -- SimulatedVenue ------------------------------------------------------------------------

    def http(self, request: SimRequest) -> SimResponse:
        try:
            return SimResponse.of_json(200, self._answer(request))
        except ApiError as error:
            return SimResponse.of_json(error.code, {"error": error.message})

    def _answer(self, request: SimRequest) -> object:
        endpoint, named = self.routes.find(request.method, request.path)
        if endpoint is None:
            raise ApiError(404, "no such endpoint")
        now_ns = self.exchange.now_ns
        if not self.limits.take("all", self.requests_per_second, now_ns):
            raise ApiError(429, "too many requests")
        if endpoint.is_private and not self.authorised(request):
            raise ApiError(401, "the signature is wrong")
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        try:
            body = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ApiError(400, f"no JSON object: {error}") from error
        try:
            return endpoint.handler(self, KitCall({**asked, **named}, body))
        except (KeyError, ValueError, TypeError, ArithmeticError) as error:
            raise ApiError(400, f"{type(error).__name__}: {error}") from error

    def open_session(self, opened: Opened) -> KitSession:
        session = KitSession(self, opened.send, opened.close, self._sessions)
        self._sessions.append(session)
        return session

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        for trade in self._news.take_trades():
            self._publish(f"trades:{trade.market}", lambda trade=trade: self.trade_frame(trade))  # type: ignore[misc]
        for market in self._news.books.take(now_ns, PUBLISH_MS):
            self._publish(f"book:{market}", lambda market=market: self.book_frame(market))  # type: ignore[misc]

    def _publish(self, topic: str, make: Callable[[], str]) -> None:
        wanting = [one for one in self._sessions if topic in one.topics]
        if wanting:
            frame = make()
            for session in wanting:
                session.send(frame)

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        return {
            "venue": self.name,
            "rest": http_base,
            "ws": f"{ws_base}/stream",
            "credentials": self.credentials,
            "markets": list(self.exchange.markets),
        }

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Raises ValueError."""
        if kept.keys() != self.credentials.keys():
            raise ValueError(f"expected {', '.join(self.credentials)}, received {', '.join(kept)}")
        self.credentials = dict(kept)


class KitSession:
    """One WebSocket at the venue's side."""

    def __init__(
        self,
        venue: KitSimulator,
        send: Callable[[str], None],
        close: Callable[[], None],
        among: list[KitSession],
    ) -> None:
        self.topics: set[str] = set()
        self.send = send
        self._venue = venue
        self._close = close
        self._among = among

    def received(self, frame: str) -> None:
        try:
            if len(frame) > FRAME_CHARS_MAX:
                raise ValueError("the frame is too long")
            topic, is_wanted = self._venue.topic(msgspec.json.decode(frame))
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError, RecursionError):
            self._close()
            return
        kind, _, market = topic.partition(":")
        if market not in self._venue.exchange.markets or kind not in ("book", "trades"):
            self._close()
        elif not is_wanted:
            self.topics.discard(topic)
        else:
            self.topics.add(topic)
            if kind == "book":
                self.send(self._venue.book_frame(market))

    def closed(self) -> None:
        if self in self._among:
            self._among.remove(self)


# -- handlers for a venue's routes; `{id}` is the client order id, `market` the market ------------


def clock(venue: KitSimulator, call: KitCall) -> object:
    """Milliseconds."""
    return venue.exchange.now_ns // MS


def create(venue: KitSimulator, call: KitCall) -> object:
    exchange = venue.exchange
    return _told(venue, exchange.submit(venue.account, venue.new_order(call.body), exchange.now_ns))


def cancel(venue: KitSimulator, call: KitCall) -> object:
    exchange = venue.exchange
    return _told(venue, exchange.cancel(venue.account, _named(venue, call).id, exchange.now_ns))


def look(venue: KitSimulator, call: KitCall) -> object:
    return venue.order_row(_named(venue, call))


def listed(venue: KitSimulator, call: KitCall) -> object:
    """What is open in a market."""
    live = venue.exchange.open_orders(venue.account, call.named["market"])
    return [venue.order_row(order) for order in live]


def fills(venue: KitSimulator, call: KitCall) -> object:
    entries = venue.exchange.ledger.fills_of(_named(venue, call).id)
    return [venue.fill_row(entry) for entry in entries]


def balances(venue: KitSimulator, call: KitCall) -> object:
    """`currency`, `free` and `locked` of each."""
    held = venue.exchange.ledger.balances(venue.account)
    return [{"currency": name, "free": b.free, "locked": b.locked} for name, b in held.items()]


def _named(venue: KitSimulator, call: KitCall) -> SimOrder:
    order = venue.exchange.order_by_client_id(venue.account, call.named["id"])
    if order is None:
        raise ApiError(404, "no such order")
    return order


def _told(venue: KitSimulator, result: SimOrder | Refusal) -> object:
    if isinstance(result, Refusal):
        raise ApiError(400, f"{result.code.value}: {result.message}")
    return venue.order_row(result)


def texts(levels: Iterable[tuple[Decimal, Decimal]]) -> list[tuple[str, str]]:
    """Levels of a book as text, without exponents."""
    return [(f"{price:f}", f"{size:f}") for price, size in levels]
