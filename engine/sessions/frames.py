"""The wire of a public stream between a simulated venue and a process, with faults by frame.

A frame is lost, told twice, told late or after the next one, cut, or made unreadable; an old one
comes again; the connection ends, or goes silent and stays open. Unreadable means so: a digit that
changes on the way is what TLS is there for, and no book could tell it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from fairlead.adapters.base.transport import NO_HEADERS, TransportError
from fairlead.adapters.simulation.server import lowered
from fairlead.adapters.simulation.venue import Opened, SimSession, SimulatedVenue
from fairlead.engine.sessions.plan import FrameFault
from fairlead.engine.sessions.trace import Trace

DELAY_SECS_MAX = 3.0
FRAMES_KEPT = 64  # that can come again
LONGEST_SHARE = 0.5  # of the frames that come again: the longest, which is a whole book
UNREADABLE = "\x00"  # in no JSON text


class Spoilt(str):
    """A frame that can't be read."""


class FrameFaults:
    """Draws the fault of each frame by the plan's rates; `heal` ends them all."""

    def __init__(self, rates: dict[FrameFault, float], name: str) -> None:
        self.counts: Counter[str] = Counter()
        self.healed = False
        self._rates = rates
        self._rng = Random(f"frames/{name}")  # noqa: S311 - simulation
        self._lines: list[FrameLine] = []

    def heal(self) -> None:
        """No fault any more. What is on its way comes now; what is silent breaks, as a silent
        connection does in the end."""
        self.healed = True
        for line in self._lines:
            line.heal()
        self._lines.clear()

    def draw(self) -> FrameFault | None:
        if self.healed or not self._rates:
            return None
        draw = self._rng.random()
        for kind, rate in self._rates.items():
            draw -= rate
            if draw < 0:
                self.counts[f"frame_{kind.value}"] += 1
                return kind
        return None

    def opened(self, line: FrameLine) -> None:
        if not self.healed:
            self._lines.append(line)

    def secs(self) -> float:
        return self._rng.uniform(0.05, DELAY_SECS_MAX)

    def place(self, length: int) -> int:
        """Where a frame is cut or spoilt: never at its very end."""
        return self._rng.randrange(1, length) if length > 1 else 0

    def older(self, frames: deque[str]) -> str:
        if self._rng.random() < LONGEST_SHARE:
            return max(frames, key=len)
        return frames[self._rng.randrange(len(frames))]


class LineOwner(Protocol):
    """Who judges what a client does with its connection."""

    def unreadable(self) -> None:
        """The client has taken a frame that can't be read, and asks for the next."""

    def closed(self, line: FrameLine) -> None:
        """The client has closed its end."""


class FaultyWs:
    """A `WsTransport` to a simulated venue."""

    def __init__(
        self,
        venue: SimulatedVenue,
        faults: FrameFaults,
        trace: Trace,
        now_ns: Callable[[], int],
        latency_secs: float,
        owner: LineOwner,
    ) -> None:
        self._venue = venue
        self._faults = faults
        self._trace = trace
        self._now_ns = now_ns
        self._latency_secs = latency_secs
        self._owner = owner

    async def connect(self, url: str, headers: Mapping[str, str] = NO_HEADERS) -> FrameLine:
        await asyncio.sleep(self._latency_secs)
        parts = urlsplit(url)
        self._venue.advance(self._now_ns())
        line = FrameLine(self._faults, self._trace, self._advance, self._owner)
        self._faults.opened(line)
        line.session = self._venue.open_session(
            Opened(parts.path, parts.query, line.push, line.end, lowered(headers))
        )
        if self._trace.is_on:
            self._trace.line("book", f"connected to {parts.path}")
        return line

    def _advance(self) -> None:
        self._venue.advance(self._now_ns())


class FrameLine:
    """The client's end of one WebSocket."""

    def __init__(
        self,
        faults: FrameFaults,
        trace: Trace,
        advance: Callable[[], None],
        owner: LineOwner,
    ) -> None:
        self.session: SimSession | None = None
        self.silent_since: float | None = None  # loop time
        self._faults = faults
        self._trace = trace
        self._advance = advance
        self._owner = owner
        self._was_spoilt = False  # the frame taken last
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._told: deque[str] = deque(maxlen=FRAMES_KEPT)
        self._held: str | None = None  # comes after the next one
        self._delayed: list[str] = []
        self._is_ended = False
        self._is_closed = False

    # -- at the venue --------------------------------------------------------------------------

    def push(self, frame: str) -> None:
        if self._is_ended or self.silent_since is not None:
            return
        kind = self._faults.draw()
        if kind is not None:
            self._spoil(kind, frame)
        else:
            self._queue.put_nowait(frame)
        if not self._faults.healed:
            self._told.append(frame)
        if self._held is not None and kind is not FrameFault.SWAP:
            self._queue.put_nowait(self._held)
            self._held = None

    def end(self) -> None:
        """The connection ends after what is on its way."""
        if not self._is_ended:
            self._is_ended = True
            self._queue.put_nowait(None)

    def _spoil(self, kind: FrameFault, frame: str) -> None:
        faults, put = self._faults, self._queue.put_nowait
        if self._trace.is_on:
            self._trace.line("book", f"fault {kind.value}: {frame}")
        if kind is FrameFault.DUPLICATE:
            put(frame)
            put(frame)
        elif kind is FrameFault.SWAP:
            if self._held is not None:
                put(self._held)
            self._held = frame
        elif kind is FrameFault.DELAY:
            self._delayed.append(frame)
            self._loop.call_later(faults.secs(), self._late, frame)
        elif kind is FrameFault.CUT:
            put(Spoilt(frame[: faults.place(len(frame))]))
        elif kind is FrameFault.CORRUPT:
            at = faults.place(len(frame))
            put(Spoilt(frame[:at] + UNREADABLE + frame[at + 1 :]))
        elif kind is FrameFault.AGAIN:
            put(frame)
            if self._told:
                put(faults.older(self._told))
        elif kind is FrameFault.CLOSE:
            self.end()
        elif kind is FrameFault.SILENT:
            self.silent_since = self._loop.time()

    def _late(self, frame: str) -> None:
        if frame in self._delayed:
            self._delayed.remove(frame)
            if not self._is_ended and self.silent_since is None:
                self._queue.put_nowait(frame)

    def heal(self) -> None:
        if self.silent_since is not None:
            self.end()
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None
        for frame in list(self._delayed):
            self._late(frame)

    # -- at the client -------------------------------------------------------------------------

    async def send(self, frame: str) -> None:
        if self._is_closed:
            raise TransportError("WS-CLOSED", "the connection is closed", sent=False)
        if self.silent_since is not None or self._is_ended:
            return
        self._advance()
        assert self.session is not None
        self.session.received(frame)

    async def receive(self) -> str:
        if self._was_spoilt:
            self._was_spoilt = False
            self._owner.unreadable()
        frame = None if self._is_closed else await self._queue.get()
        if frame is None:
            raise TransportError("WS-CLOSED", "the venue closed the connection", sent=True)
        if type(frame) is Spoilt:
            self._was_spoilt = True
            return str(frame)
        return frame

    async def ping(self) -> None:
        """No venue here answers WebSocket-level pings with a frame."""

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = self._is_ended = True
            self._queue.put_nowait(None)
            if self.session is not None:
                self.session.closed()
            self._owner.closed(self)
