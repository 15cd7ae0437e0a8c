"""One venue of a run, as its two NautilusTrader clients share it."""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.limits import (
    BOOK_LIMITS,
    REQUEST_LIMITS,
    STREAM_LIMITS,
    BookLimits,
    RequestLimits,
    StreamLimits,
)
from fairlead.adapters.base.relay import Relay
from fairlead.adapters.base.renewals import Renewals
from fairlead.adapters.base.transport import TransportError, WsTransport
from fairlead.adapters.base.venue import (
    Adapter,
    StreamItem,
    StreamProtocol,
    VenueError,
    VenueErrorKind,
)
from fairlead.engine.recording.gaps import GapRow
from fairlead.engine.status import RunStatus, StreamState


class GapSink(Protocol):
    """Where holes in the data are recorded; `fairlead.engine.recording.gaps.GapLog` is one."""

    def append(self, row: GapRow) -> None:
        """Raises OSError when the disk refuses."""
        ...


class Failure(msgspec.Struct, frozen=True):
    """Why a venue could not be connected. `code` is greppable; no secret is in `message`."""

    code: str
    message: str


class VenueRuntime:
    """Adapter, transport, clock, randomness and registries of one venue account.

    Built by the mode before the node; `ensure_connected` and `release` are called by each client.
    `on_fatal(code, message)` is called when a stream can't go on; the mode ends the run.
    `boot` is the machine's last start, to which the loop's clock belongs; empty if unknown.
    `engine_quotes` says that the node runs with `emit_quotes_from_book`: quotes of a managed book
    are then made by the engine, and the data client must not make them a second time.
    """

    def __init__(
        self,
        *,
        adapter: Adapter,
        ws: WsTransport,
        instruments: tuple[str, ...],
        trading: bool,
        now_ns: Callable[[], int],
        rng: random.Random,
        status: RunStatus,
        on_fatal: Callable[[str, str], None],
        boot: str = "",
        gaps: GapSink | None = None,
        engine_quotes: bool = True,
        stream_limits: StreamLimits = STREAM_LIMITS,
        book_limits: BookLimits = BOOK_LIMITS,
        request_limits: RequestLimits = REQUEST_LIMITS,
    ) -> None:
        self.adapter = adapter
        self.ws = ws
        self.instruments = instruments
        self.trading = trading
        self.now_ns = now_ns
        self.boot = boot
        self.rng = rng
        self.status = status
        self.engine_quotes = engine_quotes
        self.stream_limits = stream_limits
        self.book_limits = book_limits
        self.request_limits = request_limits
        self.failure: Failure | None = None
        # Who sees each trade and each batch of a book before NautilusTrader does: on paper, the
        # simulated exchange.
        self.on_market: Callable[[Any], None] | None = None
        # Where instruments whose market data are another's get them from
        self.relay: Relay | None = None
        self._gaps = gaps
        self._on_fatal = on_fatal
        self._users = 0
        self._connected = False
        self._lock = asyncio.Lock()
        self._renewals = Renewals(self._problem, self.fatal)

    async def ensure_connected(self) -> None:
        """Connect the adapter once, whichever client comes first.

        Raises what the adapter raised; `failure` then holds the cause, since NautilusTrader
        reports no more than "connection failed".
        """
        async with self._lock:
            if not self._connected:
                try:
                    await self.adapter.connect(trading=self.trading)
                    self._check_instruments()
                except Exception as error:
                    self.failure = _failure(self.adapter.venue, error)
                    self._problem(self.failure.code, self.failure.message)
                    await self.adapter.close()
                    raise
                self._connected = True
                if self.trading:
                    self._renewals.start(self.adapter.renewals())
            self._users += 1

    async def release(self) -> None:
        """One client has disconnected; the last one closes the adapter."""
        async with self._lock:
            self._users = max(0, self._users - 1)
            if self._users == 0 and self._connected:
                self._connected = False
                await self._renewals.stop()
                await self.adapter.close()

    def stream(
        self,
        kind: str,
        protocol: StreamProtocol,
        on_item: Callable[[StreamItem], None],
        on_state: Callable[[StreamState, str], None] | None = None,
    ) -> StreamSupervisor:
        """A supervisor for one stream of this venue, not started; `kind` is `public`, `private`."""
        status = self.status.stream(f"{self.adapter.venue}/{kind}")
        status.is_account = kind == "private"
        return StreamSupervisor(
            status=status,
            protocol=protocol,
            transport=self.ws,
            on_item=on_item,
            on_fatal=self.fatal,
            on_state=on_state,
            now_ns=self.now_ns,
            rng=self.rng,
            limits=self.stream_limits,
        )

    def fatal(self, code: str, message: str) -> None:
        """The venue's data or orders can't go on: the run must end."""
        self._problem(code, message)
        self._on_fatal(code, message)

    def _problem(self, code: str, message: str) -> None:
        self.status.problem(self.now_ns(), code, message)

    def record_gap(self, row: GapRow) -> None:
        """Write a row to the gap sink; a disk that refuses is a problem, never a dead feed."""
        if self._gaps is None:
            return
        try:
            self._gaps.append(row)
        except OSError as error:
            self.status.count("gap_rows_lost")
            self.status.problem(self.now_ns(), "GAP-SINK", f"a gap row was not written: {error}")

    def _check_instruments(self) -> None:
        known = self.adapter.instruments
        for name in self.instruments:
            if name not in known:
                near = difflib.get_close_matches(name, list(known), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise LookupError(f"{self.adapter.venue} has no instrument {name}{hint}")


def _failure(venue: str, error: Exception) -> Failure:
    if isinstance(error, VenueError):
        return Failure(error.code, _told(venue, error))
    if isinstance(error, TransportError):
        return Failure(error.code, error.message)
    if isinstance(error, LookupError):
        return Failure("INSTRUMENT-UNKNOWN", str(error))
    return Failure(f"{venue}-CONNECT", f"{type(error).__name__}: {error}")


def _told(venue: str, error: VenueError) -> str:
    """With the request that ended the start, and what to do about it."""
    if not error.asked:
        return error.message
    text = error.told
    section = f"[venues.{venue.lower()}"
    if error.kind is VenueErrorKind.AUTH:
        return f"{text}; look at the key's rights at the venue, and at {section}.credentials]"
    if error.kind is VenueErrorKind.UNKNOWN or not error.is_sent:
        return (
            f"{text}; nothing was traded: start again, and if it stays look at the network, at "
            f"{section}.options] and at the venue's status page"
        )
    return text
