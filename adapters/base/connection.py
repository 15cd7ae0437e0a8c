"""Keeps one WebSocket stream alive: connect, feed, watch for silence, back off, reconnect.

The dialogue is the venue's `StreamProtocol`; this is the I/O around it. Only the event loop's
clock is used for durations, so a virtual-time loop can drive it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import msgspec

from fairlead.adapters.base.limits import STREAM_LIMITS, StreamLimits
from fairlead.adapters.base.transport import TransportError, WsConnection, WsTransport
from fairlead.adapters.base.venue import (
    Feed,
    Gap,
    ParseError,
    Send,
    SignedHandshake,
    StreamFault,
    StreamItem,
    StreamProtocol,
    VenueError,
)
from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.away import clock_text
from fairlead.engine.status import StreamState, StreamStatus, shortened
from fairlead.engine.warner import Warner

logger = logging.getLogger(__name__)

_BACKOFF_DOUBLINGS_MAX = 16  # keeps the exponent small; backoff_max_secs is reached long before
_KEEP_ALIVE_SECS = 1.0  # longest time to notice that a venue changed its keep-alive times
_UNREACHABLE = "could not connect"
_STOP_SECS = 0.9  # an ordered stop takes less than a second


class _End(msgspec.Struct, frozen=True):
    """Why a session is over. `code` is set when it is over for good."""

    reason: str
    backoff_secs: float = 0.0
    code: str = ""
    kind: str = ""  # of warnings: the reason without what differs from time to time


class StreamSupervisor:
    """Runs one `StreamProtocol` over a `WsTransport` until stopped or refused for good.

    - `on_item` gets every item but `Send`; `Gap.resync` frames are sent before it is called.
    - `on_state` hears CONNECTED, WAITING (with the reason), STOPPED and FAILED.
    - `on_fatal(code, message)` is called once, when the stream will not come back: the protocol
      said so, or exceptions that should not exist came `defects_in_row_max` times in a row.

    A reconnect is tried for ever, with jittered exponential backoff between the named limits.
    Frames that can't be parsed are counted and logged; `parse_errors_in_row_max` of them renew
    the connection. A warning that repeats is logged once a minute, with a count. `start`,
    `add_feed`, `remove_feed`, `send` and `reconnect` never block and are called on the loop's
    thread.
    """

    def __init__(
        self,
        *,
        status: StreamStatus,
        protocol: StreamProtocol,
        transport: WsTransport,
        on_item: Callable[[StreamItem], None],
        on_fatal: Callable[[str, str], None],
        now_ns: Callable[[], int],
        rng: random.Random,
        on_state: Callable[[StreamState, str], None] | None = None,
        limits: StreamLimits = STREAM_LIMITS,
    ) -> None:
        self.status = status
        self.protocol = protocol
        self.feeds: dict[Feed, None] = {}
        self._transport = transport
        self._on_item = on_item
        self._on_fatal = on_fatal
        self._on_state = on_state
        self._now_ns = now_ns
        self._rng = rng
        self._limits = limits
        self._task: asyncio.Task[None] | None = None
        self._outbound: asyncio.Queue[str] | None = None  # exists while connected
        self._ended: asyncio.Future[_End] | None = None
        self._failures = 0
        self._defects_in_row = 0
        self._parse_errors_in_row = 0
        self._last_received = 0.0  # loop time
        self._last_sent = 0.0
        self._warn = Warner(logger)
        self._away_since: int | None = None  # ns, since the connection was lost
        self._away_tries = 0

    # -- what the owner calls ---------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return self._outbound is not None

    def start(self) -> None:
        """Begin; does nothing when already running. A stopped or failed stream can start again."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self.status.name)
            self._task.add_done_callback(self._finished)

    async def stop(self) -> None:
        """Close the connection and deliver the protocol's last items, within a second."""
        task = self._task
        if task is None or task.done():
            return
        task.cancel()
        _, pending = await asyncio.wait({task}, timeout=_STOP_SECS)
        if pending:
            logger.warning(f"{self.status.name}: not stopped within {_STOP_SECS} s")
        self._warn.tell_rest()

    def add_feed(self, feed: Feed) -> None:
        """Subscribe now, or with the next connection."""
        self.feeds[feed] = None
        self._send_of("subscribe", self.protocol.subscribe, feed)

    def remove_feed(self, feed: Feed) -> None:
        """Unsubscribe; a feed that was never added is ignored."""
        if feed in self.feeds:
            del self.feeds[feed]
            self._send_of("unsubscribe", self.protocol.unsubscribe, feed)

    def _send_of(self, name: str, ask: Callable[[Feed], Sequence[str]], feed: Feed) -> None:
        try:
            self.send(ask(feed))
        except VenueError as error:  # the venue has no such feed
            self.feeds.pop(feed, None)
            self._control(StreamFault(error.code, error.message, feed=feed))
        except Exception as error:
            self._finish(self._defect(name, error))

    def send(self, frames: Iterable[str]) -> None:
        """Queue frames in order; without a connection they are dropped."""
        if self._outbound is None:
            return
        for frame in frames:
            try:
                self._outbound.put_nowait(frame)
            except asyncio.QueueFull:
                limit = self._limits.outbound_frames_max
                self._finish(_End(f"{limit} frames wait to be sent"))
                return

    def reconnect(self, reason: str) -> None:
        """Renew the connection, if there is one."""
        self._finish(_End(reason))

    # -- life of the stream -----------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                opened = loop.time()
                end = await self._session()
                if end.code:
                    self._fail(end.code, end.reason)
                    return
                if loop.time() - opened >= self._limits.stable_secs:
                    self._failures = self._defects_in_row = 0
                wait_secs = max(self._backoff_secs(), end.backoff_secs)
                self._failures += 1
                self._lost(end)
                self._set_state(StreamState.WAITING, end.reason)
                await asyncio.sleep(wait_secs)
        except asyncio.CancelledError:
            self._set_state(StreamState.STOPPED, "stopped")
            raise

    def _lost(self, end: _End) -> None:
        """One line with since when; what goes on is counted."""
        self._away_tries += 1
        if self._away_since is None:
            self._away_since = self._now_ns()
            text = f"{self.status.name}: {end.reason}; connecting again until it is back"
            self._warn(end.kind or end.reason, text)
            return
        since, tries = clock_text(self._away_since), self._away_tries
        self._warn("away", f"{self.status.name}: away since {since}, {tries} tries; {end.reason}")

    def _backoff_secs(self) -> float:
        doublings = min(self._failures, _BACKOFF_DOUBLINGS_MAX)
        full: float = min(
            self._limits.backoff_min_secs * 2**doublings, self._limits.backoff_max_secs
        )
        return full * (0.5 + self._rng.random() / 2)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.error("".join(traceback.format_exception(error)))
        self._fail("STREAM-DEFECT", f"{type(error).__name__}: {error}")

    def _fail(self, code: str, message: str) -> None:
        text = f"{self.status.name}: {message}"
        self.status.last_error = self._bounded(text)
        logger.error(f"{code}: {text}")
        self._set_state(StreamState.FAILED, message)
        self._on_fatal(code, text)

    def _set_state(self, state: StreamState, reason: str) -> None:
        self.status.state = state
        if state is StreamState.WAITING:
            self.status.connected_since_ns = 0
            self.status.last_error = self._bounded(reason)
        if self._on_state is not None and state is not StreamState.CONNECTING:
            self._on_state(state, reason)

    # -- one connection ---------------------------------------------------------------------------

    async def _session(self) -> _End:
        self._set_state(StreamState.CONNECTING, "")
        limit = self._limits.connect_timeout_secs
        try:
            async with asyncio.timeout(limit):
                connection = await self._connect()
        except TransportError as error:
            self.status.connect_failures += 1
            return _End(self._bounded(f"could not connect: {error}"), kind=_UNREACHABLE)
        except VenueError as error:  # of the handshake: there is nothing to sign it with
            self.status.connect_failures += 1
            return _End(self._bounded(error.message), code=error.code)
        except TimeoutError:
            self.status.connect_failures += 1
            return _End(f"could not connect within {limit} s", kind=_UNREACHABLE)
        except Exception as error:
            self.status.connect_failures += 1
            return self._defect("connect", error)
        late: _End | None = None
        try:
            end = await self._serve(connection)
        finally:
            self._outbound = None
            self._ended = None
            late = self._deliver_closed()  # first: the books are wrong from now on
            await self._close(connection)
        return end if late is None or end.code else late

    async def _connect(self) -> WsConnection:
        protocol = self.protocol
        if isinstance(protocol, SignedHandshake):
            return await self._transport.connect(protocol.url, protocol.handshake())
        return await self._transport.connect(protocol.url)

    async def _serve(self, connection: WsConnection) -> _End:
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._outbound = asyncio.Queue(self._limits.outbound_frames_max)
        self._last_received = self._last_sent = loop.time()
        self._parse_errors_in_row = 0
        self.status.connects += 1
        self.status.reconnects = self.status.connects - 1
        if (end := self._open()) is not None:
            return end
        tasks = [
            asyncio.create_task(self._guard("receive", self._receive(connection))),
            asyncio.create_task(self._guard("send", self._transmit(connection))),
            asyncio.create_task(self._guard("keep-alive", self._keep_alive(connection))),
        ]
        try:
            return await self._ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _guard(self, where: str, work: Coroutine[Any, Any, None]) -> None:
        """End the session when a part of it ends; no exception is lost."""
        try:
            await work
        except TransportError as error:
            self._finish(_End(self._bounded(str(error))))
        except TimeoutError:
            self._finish(_End(f"{where} took longer than {self._limits.send_timeout_secs} s"))
        except Exception as error:
            self._finish(self._defect(where, error))

    def _finish(self, end: _End) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(end)

    def _open(self) -> _End | None:
        now_ns = self._now_ns()
        try:
            self.send(self.protocol.opened(now_ns))
        except Exception as error:
            return self._defect("opened", error)
        self.status.connected_since_ns = now_ns
        logger.info(f"{self.status.name}: connected to {self.protocol.url.partition('?')[0]}")
        if self._away_since is not None:
            secs = (now_ns - self._away_since) / 1e9
            self._warn("back", f"{self.status.name}: connected again after {secs:.0f} s")
        self._away_since, self._away_tries = None, 0
        self._set_state(StreamState.CONNECTED, "")
        return None

    async def _close(self, connection: WsConnection) -> None:
        try:
            async with asyncio.timeout(self._limits.close_timeout_secs):
                await connection.close()
        except (TransportError, TimeoutError, OSError) as error:
            logger.info(f"{self.status.name}: closing: {type(error).__name__} {error}")

    def _deliver_closed(self) -> _End | None:
        try:
            # As a frame that came after the last one, also when the clock is set back.
            for item in self.protocol.closed(max(self._now_ns(), self.status.last_frame_ns + 1)):
                if type(item) is Gap:
                    self.status.gaps += 1
                self._on_item(item)
        except Exception as error:
            return self._defect("closed", error)
        return None

    def _defect(self, where: str, error: Exception) -> _End:
        """An exception that should not exist. The state is suspect, so the session ends."""
        self.status.defects += 1
        self._defects_in_row += 1
        trace = "".join(traceback.format_exception(error))
        logger.warning(f"{self.status.name}: defect in {where}:\n{trace}")
        if isinstance(error, FairleadError):  # whole: it says what to do
            reason = str(error)
        else:
            reason = self._bounded(f"defect in {where}: {type(error).__name__}: {error}")
        is_final = self._defects_in_row >= self._limits.defects_in_row_max
        return _End(reason, code="STREAM-DEFECT" if is_final else "")

    def _bounded(self, text: str) -> str:
        return shortened(text, self._limits.excerpt_chars_max)

    # -- parts of a session -----------------------------------------------------------------------

    async def _receive(self, connection: WsConnection) -> None:
        loop_time = asyncio.get_running_loop().time
        status, now_ns, ended = self.status, self._now_ns, self._ended
        received, on_item, control = self.protocol.received, self._on_item, self._control
        burst, burst_max = 0, self._limits.burst_frames_max
        while ended is not None and not ended.done():
            frame = await connection.receive()
            self._last_received = loop_time()
            # Strictly later than the frame before it, also when the clock is set back: recordings
            # are split by this time.
            ts_init = max(now_ns(), status.last_frame_ns + 1)
            status.frames += 1
            status.bytes += len(frame)
            status.last_frame_ns = ts_init
            try:
                for item in received(frame, ts_init):
                    if type(item) in _CONTROL:
                        control(item)
                    else:
                        on_item(item)
                self._parse_errors_in_row = 0
            except ParseError as error:
                self._parse_error(error, frame)
            # A buffered frame is received without suspending: in a burst others need a turn.
            burst += 1
            if burst >= burst_max:
                burst = 0
                await asyncio.sleep(0)

    def _control(self, item: Send | Gap | StreamFault) -> None:
        if isinstance(item, Send):
            self.send((item.frame,))
            return
        if isinstance(item, Gap):
            self.status.gaps += 1
            self.send(item.resync)
            self._on_item(item)
            return
        self.status.faults += 1
        self.status.last_error = self._bounded(f"{item.code}: {item.message}")
        self._warn(item.code, f"{self.status.name}: venue fault {self.status.last_error}")
        self._on_item(item)
        if item.action == "fatal":
            self._finish(_End(item.message, code=item.code))
        elif item.action == "reconnect":
            self._finish(_End(self._bounded(f"{item.code}: {item.message}"), item.backoff_secs))

    def _parse_error(self, error: ParseError, frame: bytes | str) -> None:
        self.status.parse_errors += 1
        self._parse_errors_in_row += 1
        self.status.last_error = self._bounded(str(error))
        excerpt = repr(frame[: self._limits.excerpt_chars_max])
        self._warn(
            "frame",
            f"{self.status.name}: a frame of {len(frame)} was not understood:"
            f" {self.status.last_error}; it begins {excerpt}",
        )
        if self._parse_errors_in_row >= self._limits.parse_errors_in_row_max:
            self._finish(_End(f"{self._parse_errors_in_row} frames in a row not understood"))

    async def _transmit(self, connection: WsConnection) -> None:
        outbound = self._outbound
        loop = asyncio.get_running_loop()
        while outbound is not None:
            frame = await outbound.get()
            async with asyncio.timeout(self._limits.send_timeout_secs):
                await connection.send(frame)
            self.status.frames_sent += 1
            self._last_sent = loop.time()

    async def _keep_alive(self, connection: WsConnection) -> None:
        """Ping after `idle_ping_secs` in which nothing came or nothing was sent.

        Some venues drop a client that says nothing, however much they send themselves.
        """
        loop = asyncio.get_running_loop()
        protocol = self.protocol
        last_ping = loop.time()
        while True:
            # Read anew each time: a venue's greeting may change them.
            ping_secs, close_secs = protocol.idle_ping_secs, protocol.idle_close_secs
            self.status.close_secs = close_secs
            quiet_since = max(min(self._last_received, self._last_sent), last_ping)
            due = min(quiet_since + ping_secs, self._last_received + close_secs)
            await asyncio.sleep(min(max(due - loop.time(), 0.001), _KEEP_ALIVE_SECS))
            now = loop.time()
            if now - self._last_received >= close_secs:
                self._finish(_End(f"no frame for {close_secs} s"))
                return
            quiet_since = max(min(self._last_received, self._last_sent), last_ping)
            if now - quiet_since >= ping_secs:
                last_ping = now
                await self._ping(connection)

    async def _ping(self, connection: WsConnection) -> None:
        frames = self.protocol.ping(self._now_ns())
        if frames:
            self.send(frames)
            return
        async with asyncio.timeout(self._limits.send_timeout_secs):
            await connection.ping()


_CONTROL = frozenset({Send, Gap, StreamFault})
