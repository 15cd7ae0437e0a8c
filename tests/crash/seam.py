"""The numbered steps of the order path in a real process, and death by SIGKILL at one of them.

The seams are those of the seeded simulation (`fairlead.engine.sessions.faults`): the journal's
transactions and the wire. Each is wrapped from outside, so the code that is killed is the code that
trades.

A step is a point and the number of the times it was passed. Points:

`commit KIND` and `committed KIND`   before and after a journal transaction with such a record
`request METHOD PATH`                before anything of a create, cancel or replace is written
`sent METHOD PATH`                   every byte of it has left; no answer was read
`answer METHOD PATH`                 the answer is there; nobody has been told
`ask METHOD PATH`, `told METHOD PATH`  the same for what changes nothing
`frame-out EVENT`, `frame-sent EVENT`, `frame-in EVENT`  the same for orders over a WebSocket
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsConnection
from fairlead.adapters.base.transport import HttpRequest, HttpResponse
from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.sessions.faults import DyingDatabase, Steps
from fairlead.engine.sessions.plan import Death
from fairlead.engine.sessions.trace import Trace

DONE = "done"
DIED = "died"
FAILED = "failed "
Role = Literal["script", "recover"]

_ID = re.compile(r"(?=[^/]*\d)[^/]{6,}")  # a path segment that names one order
_asked: ContextVar[str | None] = ContextVar("asked", default=None)
_is_write: ContextVar[bool] = ContextVar("is_write", default=False)
_trail: Trail | None = None


class Trail(Steps):
    """Writes every step passed to a file, which survives the process, and dies at one.

    Steps count from the first order on: its intent, or its adoption from the journal.
    """

    def __init__(self, path: Path, role: Role, death: Death | None) -> None:
        super().__init__(death, self._kill)
        self.role = role
        self.is_armed = False
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def reached(self, point: str) -> None:
        if self.is_armed:
            self.tell(f"{point}\t{self.seen.get(point, 0) + 1}")
            super().reached(point)

    def tell(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())

    def _kill(self, where: str) -> None:
        self.tell(DIED)
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()  # the signal is delivered before anything else runs


class SteppingDatabase(DyingDatabase):
    """A journal's connection whose transactions are named by the records in them."""

    def __init__(self, database: Any, trail: Trail) -> None:
        super().__init__(
            database,
            trail,
            is_dead=lambda: False,
            is_full=lambda: False,
            trace=Trace(),
        )
        self._trail = trail
        self._kinds: list[str] = []

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        if sql.startswith("INSERT INTO records"):
            self._kinds.append(str(parameters[1]))
        return super().execute(sql, parameters)

    def _commit(self) -> Any:
        kinds = "+".join(dict.fromkeys(self._kinds)) or "other"
        self._kinds.clear()
        if kinds.startswith("INTENT"):
            self._trail.is_armed = True
        self._trail.reached(f"commit {kinds}")
        done = self._database.execute("COMMIT")
        self._trail.reached(f"committed {kinds}")
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def current() -> Trail | None:
    """The trail of this process; None in a process that was not started to be killed."""
    return _trail


def install(trail: Trail) -> None:
    """Wrap journal and wire of this process."""
    global _trail
    assert _trail is None, "one trail per process"
    _trail = trail
    _wrap_journal(trail)
    _wrap_desk()
    _wrap_http(trail)
    _wrap_websocket(trail)


def _wrap_journal(trail: Trail) -> None:
    opened, adopt = Journal.__init__, Journal.open_orders

    def init(self: Journal, *args: Any, **options: Any) -> None:
        opened(self, *args, **options)
        self._db = cast(Any, SteppingDatabase(self._db, trail))

    def open_orders(self: Journal) -> list[JournaledOrder]:
        orders = adopt(self)
        if orders and trail.role == "recover":
            trail.is_armed = True
            trail.reached("adopted")
        return orders

    Journal.__init__ = init  # type: ignore[method-assign]
    Journal.open_orders = open_orders  # type: ignore[method-assign]


class _Writes:
    """A `VenueOrders` whose creates, cancels and replaces mark the requests that they make."""

    def __init__(self, orders: Any) -> None:
        self._orders = orders

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._orders, name)
        return self._marked(method) if name in ("submit", "cancel", "replace") else method

    def _marked(self, method: Any) -> Any:
        async def marked(*args: Any) -> Any:
            token = _is_write.set(True)
            try:
                return await method(*args)
            finally:
                _is_write.reset(token)

        return marked


def _wrap_desk() -> None:
    made = OrderDesk.__init__

    def init(self: OrderDesk, *, venue: Any, **more: Any) -> None:
        made(self, venue=_Writes(venue), **more)

    OrderDesk.__init__ = init  # type: ignore[method-assign]


def _wrap_http(trail: Trail) -> None:
    ask, send = AiohttpTransport.request, aiohttp.ClientRequest.send

    async def request(self: AiohttpTransport, asked: HttpRequest) -> HttpResponse:
        name = f"{asked.method} {_ID.sub(':id', urlsplit(asked.url).path)}"
        is_write = _is_write.get() and asked.method != "GET"
        trail.reached(f"{'request' if is_write else 'ask'} {name}")
        token = _asked.set(name if is_write else None)
        try:
            response = await ask(self, asked)
        finally:
            _asked.reset(token)
        trail.reached(f"{'answer' if is_write else 'told'} {name}")
        return response

    async def sending(self: aiohttp.ClientRequest, connection: Any) -> Any:
        response = await send(self, connection)
        name = _asked.get()
        if name is not None:
            await _left(connection.protocol.transport)
            trail.reached(f"sent {name}")
        return response

    AiohttpTransport.request = request  # type: ignore[method-assign]
    aiohttp.ClientRequest.send = sending  # type: ignore[method-assign]


def _wrap_websocket(trail: Trail) -> None:
    send, receive = AiohttpWsConnection.send, AiohttpWsConnection.receive

    async def sending(self: AiohttpWsConnection, frame: str) -> None:
        event = _event(frame)
        _reach(trail, "frame-out", event)
        await send(self, frame)
        if event is not None:
            writer: Any = self._ws._writer
            await _left(writer.transport)
        _reach(trail, "frame-sent", event)

    async def received(self: AiohttpWsConnection) -> bytes | str:
        frame = await receive(self)
        _reach(trail, "frame-in", _event(frame))
        return frame

    AiohttpWsConnection.send = sending  # type: ignore[method-assign]
    AiohttpWsConnection.receive = received  # type: ignore[method-assign]


def _reach(trail: Trail, point: str, event: str | None) -> None:
    if event is not None:
        trail.reached(f"{point} {event}")


async def _left(transport: Any) -> None:
    """Until the kernel has every byte that was written; from then on a death can't keep them."""
    waiting: Callable[[], int] = transport.get_write_buffer_size
    while not transport.is_closing() and waiting():
        await asyncio.sleep(0)


def _event(frame: bytes | str) -> str | None:
    """What a frame about orders calls itself; None for market data and keep-alives."""
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    if "rderId" not in text and "order_id" not in text:
        return None
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    if not isinstance(body, dict):
        return None
    return next(
        (str(body[k]) for k in ("event", "channel", "topic") if isinstance(body.get(k), str)),
        "order",
    )
