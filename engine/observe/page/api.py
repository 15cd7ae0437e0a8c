"""The HTTP API, `/api/v1`: what there is to be read, and with the second token what can be done."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from fairlead.engine.observe.page import rows, told
from fairlead.engine.observe.page.control import Control, Refused
from fairlead.engine.observe.page.openapi import PREFIX, document

if TYPE_CHECKING:
    from fairlead.engine.observe.page.access import Access
    from fairlead.engine.observe.page.snapshot import Snapshot
    from fairlead.engine.observe.page.sources import Sources

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 64 * 1024
REQUESTS_MAX = 50  # in a second
TICKET_SECS = 30.0
TICKETS_MAX = 32
REPORT_BYTES_MAX = 64 * 1024 * 1024
REPORT = "/report/"  # and a ticket: a token for one answer
STREAM = f"{PREFIX}/stream"  # its first word is the token
# What needs none: nothing of the run is in it, but whether it is up
PROBES = frozenset({"/healthz", "/readyz"})  # for who restarts what does not answer
OPEN = frozenset({"/", "/charts.js", *PROBES, STREAM})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FIELD = re.compile(r"`\$\.(\w+)`$")  # msgspec says so where a body does not fit
_encode = msgspec.json.Encoder().encode

# Of answers that a browser may show: nothing of another place, no frame of another page.
SAFE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# A report is a file with scripts of its own: it runs as a page of nobody's, without our tokens.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'none'"
)


def answer(body: bytes, *, status: int = 200, kind: str = "application/json") -> web.Response:
    return web.Response(body=body, status=status, headers=SAFE | {"Content-Type": kind})


def problem(status: int, code: str, message: str, **headers: str) -> web.Response:
    body = _encode(told.Problem(code=code, message=message))
    return web.Response(
        body=body, status=status, headers=SAFE | {"Content-Type": "application/json"} | headers
    )


class Api:
    """Of one run. Every answer is made on the run's loop, from the snapshot."""

    def __init__(self, snapshot: Snapshot, sources: Sources, access: Access) -> None:
        self._snapshot = snapshot
        self._sources = sources
        self._access = access
        self._control = Control(sources)
        self._tickets: dict[str, tuple[Path, float]] = {}
        self._second = 0
        self._in_second = [0, 0, 0]  # without the token, with it, sockets
        self._document = _encode(document(is_controlled=access.is_controlled))

    def routes(self) -> list[web.RouteDef]:
        act = self._acts
        read: dict[str, Handler] = {
            "status": self._one("status"),
            "orders": self._many("orders"),
            "positions": self._many("positions"),
            "fills": self._many("fills"),
            "books": self._many("books"),
            "books/{instrument}": self._depth,
            "equity": self._many("equity"),
            "denials": self._one("denials"),
            "warnings": self._one("warnings"),
            "runs": self._runs,
            "openapi.json": self._openapi,
        }
        done: dict[str, Handler] = {
            "kill": self._kill,
            "clear": self._clear,
            "orders/{client_order_id}/cancel": self._cancel,
        }
        return [
            *(web.get(f"{PREFIX}/{path}", handler) for path, handler in read.items()),
            *(web.post(f"{PREFIX}/{path}", act(handler)) for path, handler in done.items()),
            web.post(f"{PREFIX}/runs/{{id}}/ticket", self._ticket),
            web.get(f"{REPORT}{{ticket}}", self._report),
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request: who asks, how often, and what is made of a defect."""
        if request.path in PROBES and request.method in ("GET", "HEAD"):
            return await handler(request)  # by whatever name, and however busy others keep it
        if (why := self._access.refused(request.headers)) is not None:
            return problem(403, "PAGE-ORIGIN", why)
        is_known = self._access.may_look(request.headers)
        if self._is_too_many(2 if request.path == STREAM else int(is_known)):
            return problem(429, "PAGE-RATE", "too many requests", **{"Retry-After": "1"})
        if not is_known and request.path not in OPEN and not request.path.startswith(REPORT):
            how = {"WWW-Authenticate": "Bearer"}
            return problem(401, "PAGE-TOKEN", "the token is missing or wrong", **how)
        try:
            _require_known(request)
            return await handler(request)
        except Refused as error:
            return problem(error.status, error.code, error.message)
        except web.HTTPException as error:
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return problem(error.status, "PAGE-REQUEST", error.reason, **headers)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            logger.exception("PAGE: %s %s failed", request.method, request.path)
            return problem(500, "PAGE-DEFECT", type(error).__name__)

    def _is_too_many(self, kind: int) -> bool:
        """Who has no token can't keep out who has it."""
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._in_second = now, [0, 0, 0]
        self._in_second[kind] += 1
        return self._in_second[kind] > REQUESTS_MAX

    # -- who may -------------------------------------------------------------------------------

    def _acts(self, handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if not self._access.is_controlled:
                raise Refused(403, "PAGE-READ-ONLY", "this page is read-only: observe.control")
            if not self._access.may_act(request.headers):
                raise Refused(403, "PAGE-CONTROL", "the second token is missing or wrong")
            return await handler(request)

        return checked

    # -- reading -------------------------------------------------------------------------------

    def _one(self, section: str) -> Handler:
        async def read(_: web.Request) -> web.Response:
            await self._snapshot.fresh()
            return answer(self._snapshot.row(section))

        return read

    def _many(self, section: str) -> Handler:
        async def read(_: web.Request) -> web.Response:
            await self._snapshot.fresh()
            return answer(b"[" + b",".join(self._snapshot.table(section)) + b"]")

        return read

    async def _depth(self, request: web.Request) -> web.Response:
        name, cache = request.match_info["instrument"], self._sources.cache
        if cache is not None and name in self._sources.status.books:
            for _ in range(3):
                try:
                    return answer(_encode(rows.depth_of(cache, name, self._sources.now_ns())))
                except RuntimeError:  # NautilusTrader lends its cache
                    await asyncio.sleep(0)
                except (LookupError, ValueError):
                    break
        raise Refused(404, "PAGE-NO-BOOK", "no such book is streamed in this run")

    async def _runs(self, _: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._sources.runs)
        return answer(_encode(found))

    async def _openapi(self, _: web.Request) -> web.Response:
        return answer(self._document)

    # -- reports -------------------------------------------------------------------------------

    async def _ticket(self, request: web.Request) -> web.Response:
        path = await asyncio.to_thread(self._sources.report, request.match_info["id"])
        if path is None:
            text = "no such run, or no report of it: fairlead report RUN makes one"
            raise Refused(404, "PAGE-NO-REPORT", text)
        now = time.monotonic()
        self._tickets = {key: one for key, one in self._tickets.items() if one[1] > now}
        if len(self._tickets) >= TICKETS_MAX:
            raise Refused(429, "PAGE-RATE", "too many reports wait to be opened")
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = (path, now + TICKET_SECS)
        return answer(_encode(told.Ticket(path=f"{REPORT}{ticket}")))

    async def _report(self, request: web.Request) -> web.StreamResponse:
        path, until = self._tickets.pop(request.match_info["ticket"], (None, 0.0))
        if path is None or until < time.monotonic():
            raise Refused(404, "PAGE-NO-REPORT", "this ticket was used, or is too old")
        headers = SAFE | {
            "Content-Security-Policy": REPORT_POLICY,
            "Content-Type": "text/html; charset=utf-8",
        }
        return web.FileResponse(path, headers=headers)

    # -- doing ---------------------------------------------------------------------------------

    async def _kill(self, request: web.Request) -> web.Response:
        asked = await _body(request, told.KillAsked)
        return self._done(self._control.kill(asked, _who(request)))

    async def _clear(self, request: web.Request) -> web.Response:
        asked = await _body(request, told.ClearAsked)
        return self._done(self._control.clear(asked, _who(request)))

    async def _cancel(self, request: web.Request) -> web.Response:
        name = request.match_info["client_order_id"]
        return self._done(await self._control.cancel(name, _who(request)))

    def _done(self, text: str) -> web.Response:
        self._snapshot.outdated()  # who asks next sees what was done
        return answer(_encode(told.Done(text=text)))


def _require_known(request: web.Request) -> None:
    """Whoever asks for a part only would take the whole for it. Raises Refused."""
    if request.query and request.path.startswith(PREFIX):
        named = ", ".join(sorted(set(request.query)))[:100]
        text = f"expected no query parameters, came {named}: {request.path} tells all there is"
        raise Refused(400, "PAGE-QUERY", text)


def _who(request: web.Request) -> str:
    return f"the page, with its second token, from {request.remote or 'nowhere known'}"


async def _body(request: web.Request, kind: Any) -> Any:
    if request.content_type != "application/json":
        raise Refused(415, "PAGE-BODY", "expected application/json")
    return body_of(await request.read(), kind)


def body_of(body: bytes, kind: Any) -> Any:
    """What is asked for. Raises Refused."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(422, "PAGE-BODY", f"{str(error)[:200]}{_allowed(error, kind)}") from error


def _allowed(error: Exception, kind: Any) -> str:
    """What the field may say, where it is one of some words."""
    if (field := _FIELD.search(str(error))) is None:
        return ""
    of = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"].get(field[1], {})
    return f"; expected one of {', '.join(of['enum'])}" if "enum" in of else ""
