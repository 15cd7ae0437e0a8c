"""What a simulated venue is: transport-free handlers of requests and frames.

It has no socket and no clock of its own. `server.serve` puts it on loopback HTTP/WebSocket;
`memory.py` serves it to adapter code inside one event loop, for seeded tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any, Protocol

import msgspec

from fairlead.adapters.base.transport import NO_HEADERS
from fairlead.adapters.simulation.exchange import Exchange
from fairlead.adapters.simulation.faults import Faults
from fairlead.adapters.simulation.market import MarketDriver
from fairlead.adapters.simulation.orders import NewOrder, SimOrder

BookLevels = dict[Decimal, Decimal]


class SimRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the venue sees it; `path` has no host and no query."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    remote: str = "127.0.0.1"  # the caller's address


class SimResponse(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    headers: Mapping[str, str] = {}

    @staticmethod
    def of_json(status: int, value: object) -> SimResponse:
        headers = {"content-type": "application/json"}
        return SimResponse(status=status, body=msgspec.json.encode(value), headers=headers)


class Opened(msgspec.Struct, frozen=True):
    """A WebSocket that a client has opened: `send` and `close` act on it.

    `headers` are the handshake's, with lower-case names.
    """

    path: str
    query: str
    send: Callable[[str], None]
    close: Callable[[], None]
    headers: Mapping[str, str] = NO_HEADERS


class SimSession(Protocol):
    """One WebSocket connection at the venue's side."""

    def received(self, frame: str) -> None:
        """A frame came from the client; answers go out through the session's `send`."""
        ...

    def closed(self) -> None: ...


class SimulatedVenue(Protocol):
    """A venue's wire protocol over the simulated exchange.

    `exchange` holds the true ledger and book, `account` is the test account's name in it, `driver`
    the market's flow, `faults` what the server does to requests and frames.
    """

    account: str
    exchange: Exchange
    driver: MarketDriver
    faults: Faults

    def http(self, request: SimRequest) -> SimResponse: ...

    def open_session(self, opened: Opened) -> SimSession: ...

    def advance(self, now_ns: int) -> None:
        """Let the market and all timers run up to `now_ns` (called often; never goes back)."""
        ...

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """URLs and test credentials, for the JSON line that `fairlead venue` prints.

        `options`, if there, are options of its adapter besides the URLs: what the venue has no
        endpoint for, as JSON.
        """
        ...

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Use the test credentials of an earlier start, by name. Raises ValueError."""
        ...

    def vary(self, rng: Random) -> dict[str, Any]:
        """Draw what the document leaves open, for seeded sessions; the adapter options for it."""
        ...

    def control(self, body: Mapping[str, object]) -> object:
        """`/_sim/venue`: switches of the venue's own. Raises KeyError or ValueError."""
        ...

    def told_book(self, market: str) -> tuple[BookLevels, BookLevels]:
        """Bids and asks as the public stream tells them now, best first: sizes by price."""
        ...

    def trade_by_hand(self, new: NewOrder, now_ns: int) -> SimOrder | None:
        """An order of another client of the account, as it is done here; None: refused.

        A venue whose orders do not rest fills it, whatever its limit.
        """
        ...

    def ledger_id(self, venue_order_id: str) -> int:
        """The ledger's number of an order; 0 where the venue tells of it, and it never was one.

        Raises ValueError for a text that is none.
        """
        ...
