"""The page's WebSocket: everything at first, then what changed; again everything after a break.

A client sends its token first, then the instrument whose depth it shows. One that reads slower than
it is told is told everything anew once it has read; nothing waits for it, and nothing piles up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import msgspec
from aiohttp import WSMsgType, web

from fairlead.engine.files import decoded
from fairlead.engine.observe.page.rows import depth_of
from fairlead.engine.observe.page.snapshot import LEAST_SECS, Change, Snapshot

if TYPE_CHECKING:
    from fairlead.engine.observe.page.access import Access
    from fairlead.engine.observe.page.sources import Sources

logger = logging.getLogger(__name__)

SOCKETS_MAX = 16
WORD_BYTES_MAX = 4_096
TOKEN_SECS = 5.0  # for a client's first word
PING_SECS = 15.0
CLOSE_SECS = 0.5  # for all clients together, at the run's end
WRONG_TOKEN = 4401  # close codes: of an application, as 401, 408 and 503 are of HTTP
LATE = 4408
FULL = 4503


class Hello(msgspec.Struct, frozen=True):
    """A client's first word."""

    token: str


class Wish(msgspec.Struct, frozen=True):
    """What it shows: the depth of this instrument; "" is none."""

    depth: str = ""


_encode = msgspec.json.Encoder().encode


class _Client:
    """One that has shown its token."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.depth = ""
        self.is_whole = False  # it was told everything
        self.sending: asyncio.Task[None] | None = None

    def send(self, message: bytes) -> None:
        """Where the one before is still on its way, this one is not: it is told anew later."""
        if self.sending is not None and not self.sending.done():
            self.is_whole = False
            return
        self.sending = asyncio.get_running_loop().create_task(self._send(message))

    async def _send(self, message: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):  # it is gone: its reader sees it
            await self.socket.send_str(message.decode())


class Hub:
    """Every socket of one page. Works only while there is one."""

    def __init__(self, snapshot: Snapshot, sources: Sources, access: Access) -> None:
        self._snapshot = snapshot
        self._sources = sources
        self._access = access
        self._clients: set[_Client] = set()
        self._telling: asyncio.Task[None] | None = None

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One client, until it is gone."""
        socket = web.WebSocketResponse(
            max_msg_size=WORD_BYTES_MAX, heartbeat=PING_SECS, timeout=1.0, compress=False
        )
        await socket.prepare(request)
        if len(self._clients) >= SOCKETS_MAX:
            await socket.close(code=FULL, message=b"too many pages are open")
            return socket
        try:
            async with asyncio.timeout(TOKEN_SECS):
                is_known = await self._is_known(socket)
        except TimeoutError:  # a busy machine, or a slow line: its token may be right
            await socket.close(code=LATE, message=b"no token came in time")
            return socket
        if not is_known:
            await socket.close(code=WRONG_TOKEN, message=b"wrong token")
            return socket
        client = _Client(socket)
        self._clients.add(client)
        self._begin()
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                if (wish := decoded(message.data, Wish)) is None:
                    break  # no word of the page's
                client.depth = wish.depth
        finally:
            self._clients.discard(client)
            if client.sending is not None:
                client.sending.cancel()
            await socket.close()
        return socket

    async def _is_known(self, socket: web.WebSocketResponse) -> bool:
        message = await socket.receive()
        if message.type is not WSMsgType.TEXT:
            return False
        hello = decoded(message.data, Hello)
        return hello is not None and self._access.is_token(hello.token)

    async def close(self) -> None:
        """The run has ended."""
        if self._telling is not None:
            self._telling.cancel()
        going = [
            client.socket.close(code=1001, message=b"the run has ended") for client in self._clients
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECS):
                await asyncio.gather(*going, return_exceptions=True)

    def _begin(self) -> None:
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        """While somebody looks. Never raises."""
        while self._clients:
            try:
                change = await self._snapshot.change()
                self._tell_all(change)
            except Exception:
                logger.exception("PAGE: a page was not told what changed")
            await asyncio.sleep(LEAST_SECS)

    def _tell_all(self, change: Change) -> None:
        whole: bytes | None = None
        part = self._message("change", change) if change.changed or change.gone else None
        depths: dict[str, bytes] = {}
        for client in self._clients:
            if not client.is_whole:
                if whole is None:
                    whole = self._message("whole", self._snapshot.whole())
                client.is_whole = True
                client.send(self._with_depth(client, whole, depths))
            elif part is not None or client.depth:
                client.send(self._with_depth(client, part or b'{"type":"change"}', depths))

    def _message(self, kind: str, change: Change) -> bytes:
        return _encode({"type": kind, "changed": change.changed, "gone": change.gone})

    def _with_depth(self, client: _Client, message: bytes, depths: dict[str, bytes]) -> bytes:
        name = client.depth
        if not name:
            return message
        if name not in depths:
            depths[name] = self._depth(name)
        return message[:-1] + b',"depth":' + depths[name] + b"}"

    def _depth(self, name: str) -> bytes:
        if self._sources.cache is None or name not in self._sources.status.books:
            return b"null"
        try:
            return _encode(depth_of(self._sources.cache, name, self._sources.now_ns()))
        except (LookupError, ValueError, RuntimeError):
            return b"null"
