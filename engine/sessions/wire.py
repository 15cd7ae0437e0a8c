"""The wire between an engine process and its simulated venue, with faults and a complete log.

What has left the process travels on by itself: a process that dies, or gives up waiting, does not
take its request back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.simulation.faults import Fault, HttpFault
from fairlead.adapters.simulation.server import HTML_PAGE
from fairlead.adapters.simulation.venue import SimRequest, SimResponse, SimulatedVenue
from fairlead.engine.orders.model import (
    CancelOutcome,
    FindResult,
    Intent,
    Lost,
    OrderRef,
    Outcome,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrders,
)
from fairlead.engine.sessions.faults import SimulatedDeath, Steps, SwarmFaults
from fairlead.engine.sessions.trace import Trace

STALE_SECS = 30.0  # the oldest answer given again, where no absence is concluded from it
ANSWERS_KEPT = 200
_TOO_MANY = SimResponse(status=429, body=b"Too Many Requests", headers={"retry-after": "1"})
_HTML = {"content-type": "text/html"}
_UNAVAILABLE = SimResponse(status=503, body=HTML_PAGE, headers=_HTML)
_BAD_GATEWAY = SimResponse(status=502, body=HTML_PAGE, headers=_HTML)
_LOST = (HttpFault.LOSE_REQUEST, HttpFault.LATE, HttpFault.LOSE_ANSWER)
_SILENT = (HttpFault.HANG_REQUEST, HttpFault.HANG_ANSWER)
_UNEXECUTED = (
    HttpFault.LOSE_REQUEST,
    HttpFault.HANG_REQUEST,
    HttpFault.TOO_MANY,
    HttpFault.UNAVAILABLE,
    HttpFault.LATE,
)

_purpose: ContextVar[tuple[str, int]] = ContextVar("purpose", default=("other", 0))


def purpose() -> str:
    """The desk's call that a request made now belongs to: submit, cancel, find...; else other."""
    return _purpose.get()[0]


class Call(msgspec.Struct, frozen=True):
    """One call of the desk to the venue's adapter. `ids` are client order ids, where known."""

    number: int
    ts: float
    life: int
    what: str
    ids: tuple[str, ...]


class Sent(msgspec.Struct):
    """One request that left the process; `call` is the desk's call it belongs to, 0 for none."""

    ts: float
    life: int
    what: str
    call: int
    method: str
    path: str
    body: bytes
    fault: str
    status: int = 0
    refused_for_rate: bool = False
    arrived: float = 0.0  # at the venue; 0: never


class WireLog:
    """Everything that was asked and sent, over all lives of the process."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.sent: list[Sent] = []


class Alive(Protocol):
    """A process as its wire sees it."""

    life: int
    steps: Steps

    @property
    def is_dead(self) -> bool: ...


class OrdersTap:
    """An adapter's `VenueOrders`, each call logged and its requests named after it."""

    def __init__(
        self, orders: VenueOrders, log: WireLog, process: Alive, now: Callable[[], float]
    ) -> None:
        self._orders = orders
        self._log = log
        self._process = process
        self._now = now

    @contextmanager
    def _call(self, what: str, ids: Sequence[str | None]) -> Iterator[None]:
        if self._process.is_dead:
            raise SimulatedDeath("a call after the end of the process")
        number = len(self._log.calls) + 1
        known = tuple(i for i in ids if i is not None)
        self._log.calls.append(Call(number, self._now(), self._process.life, what, known))
        token = _purpose.set((what, number))
        try:
            yield
        finally:
            _purpose.reset(token)

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        with self._call("submit", [i.client_order_id for i in intents]):
            return await self._orders.submit(intents)

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        with self._call("cancel", [r.client_order_id for r in refs]):
            return await self._orders.cancel(refs)

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        with self._call("replace", [intent.client_order_id]):
            return await self._orders.replace(ref, intent)

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        with self._call("find", [intent.client_order_id]):
            return await self._orders.find(intent, known, ts_sent, slack_ns)

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        with self._call("find", [one.intent.client_order_id for one in lost]):
            return await self._orders.find_all(lost)

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        with self._call("orders", [r.client_order_id for r in refs]):
            return await self._orders.orders(refs)

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        with self._call("open_orders", []):
            return await self._orders.open_orders(instruments)

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        with self._call("fills", [r.client_order_id for r in refs]):
            return await self._orders.fills(refs, ts_from)

    async def balances(self) -> list[VenueBalance]:
        with self._call("balances", []):
            return await self._orders.balances()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)


class FaultyHttp:
    """An `HttpTransport` to a simulated venue."""

    def __init__(
        self,
        venue: SimulatedVenue,
        *,
        process: Alive,
        log: WireLog,
        faults: SwarmFaults,
        trace: Trace,
        now_ns: Callable[[], int],
        latency_secs: float,
        lag_secs: float,
    ) -> None:
        self._venue = venue
        self._process = process
        self._log = log
        self._faults = faults
        self._trace = trace
        self._now_ns = now_ns
        self._latency_secs = latency_secs
        self._lag_secs = lag_secs
        self._answers: dict[tuple[str, str, bytes], tuple[float, SimResponse]] = {}

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Raises TransportError `HTTP-TIMEOUT` or `HTTP-RESET`, with `sent` True."""
        if self._process.is_dead:
            raise SimulatedDeath("a request after the end of the process")
        self._process.steps.reached("request")
        loop = asyncio.get_running_loop()
        what, call = _purpose.get()
        parts = urlsplit(request.url)
        sim = SimRequest(
            method=request.method,
            path=parts.path,
            query=parts.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.body,
        )
        fault = self._faults.for_request(sim.method, sim.path)
        name = fault.kind.value if fault else ""
        sent = Sent(
            loop.time(), self._process.life, what, call, sim.method, sim.path, sim.body, name
        )
        self._log.sent.append(sent)
        if self._trace.is_on:
            self._trace.line("wire", f"{what} #{call} {sim.method} {sim.path} {name}")
        answered: asyncio.Future[SimResponse | None] = loop.create_future()
        loop.call_later(self._latency_secs, self._arrive, sim, fault, sent, answered)
        try:
            async with asyncio.timeout(request.timeout_secs):
                response = await answered
        except TimeoutError:
            message = f"no answer within {request.timeout_secs} s"
            raise TransportError("HTTP-TIMEOUT", message, sent=True) from None
        if self._process.is_dead:
            raise SimulatedDeath("an answer after the end of the process")
        self._process.steps.reached("answer")
        if response is None:
            raise TransportError("HTTP-RESET", "connection broken before an answer", sent=True)
        return HttpResponse(
            status=response.status, body=response.body, headers=dict(response.headers)
        )

    async def close(self) -> None: ...

    # -- at the venue --------------------------------------------------------------------------

    def _arrive(
        self,
        request: SimRequest,
        fault: Fault | None,
        sent: Sent,
        answered: asyncio.Future[SimResponse | None],
    ) -> None:
        loop = asyncio.get_running_loop()
        kind = fault.kind if fault else None
        delay = self._latency_secs
        response: SimResponse | None = None
        if kind is HttpFault.LATE:
            assert fault is not None
            loop.call_later(fault.secs, self._execute, request, sent)
        elif kind not in _UNEXECUTED:
            response = self._execute(request, sent)
        if kind in _SILENT:
            return
        if kind in _LOST:
            response = None
        elif kind is HttpFault.TOO_MANY:
            response = _TOO_MANY
        elif kind is HttpFault.UNAVAILABLE:
            response = _UNAVAILABLE
        elif kind is HttpFault.BAD_GATEWAY:
            response = _BAD_GATEWAY
        elif response is not None and kind is HttpFault.TRUNCATED:
            response = msgspec.structs.replace(
                response, body=response.body[: len(response.body) // 2]
            )
        elif fault is not None:
            delay += fault.secs
        loop.call_later(delay, _settle, answered, response)

    def _execute(self, request: SimRequest, sent: Sent) -> SimResponse:
        self._venue.advance(self._now_ns())
        response = self._venue.http(request)
        sent.arrived = asyncio.get_running_loop().time()
        sent.status = response.status
        sent.refused_for_rate = _is_rate_refusal(response)
        if self._trace.is_on:
            self._trace.line("venue", f"#{sent.call} {response.status} {response.body.decode()}")
        return self._listed(request, sent, response)

    def _listed(self, request: SimRequest, sent: Sent, response: SimResponse) -> SimResponse:
        """What a lagging replica of the venue would tell."""
        if sent.what not in ("find", "open_orders", "orders", "fills", "balances"):
            return response
        key = (request.method, f"{request.path}?{request.query}", request.body)
        now = asyncio.get_running_loop().time()
        kept = self._answers.get(key)
        is_proof = sent.what in ("find", "open_orders")
        oldest = self._lag_secs if is_proof else STALE_SECS
        if kept is None or now - kept[0] > oldest:
            if len(self._answers) >= ANSWERS_KEPT:
                self._answers.clear()
            self._answers[key] = (now, response)
        elif self._faults.for_list("stale"):
            self._trace.line("fault", f"#{sent.call} stale answer of {now - kept[0]:.2f} s ago")
            return kept[1]
        if sent.what in ("orders", "fills") and self._faults.for_list("missing"):
            return self._without_a_row(sent, response)
        return response

    def _without_a_row(self, sent: Sent, response: SimResponse) -> SimResponse:
        try:
            answer = msgspec.json.decode(response.body)
        except msgspec.DecodeError:
            return response
        rows = _rows(answer)
        if rows:
            gone = rows.pop(self._faults.choose(len(rows)))
            self._trace.line("fault", f"#{sent.call} a row is missing: {gone}")
        return msgspec.structs.replace(response, body=msgspec.json.encode(answer))


def _settle(answered: asyncio.Future[SimResponse | None], response: SimResponse | None) -> None:
    if not answered.done():
        answered.set_result(response)


def _rows(answer: object) -> list[Any]:
    """The first list of objects in an answer, whatever envelope is around it."""
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        return answer
    if isinstance(answer, dict):
        for value in answer.values():
            found = _rows(value)
            if found:
                return found
    return []


def _is_rate_refusal(response: SimResponse) -> bool:
    """Whether the venue itself, not a fault, says that there were too many requests."""
    if response.status == 429:
        return True
    head = response.body[:400].lower()
    return b"request limit" in head or b"too many" in head or b"rate limit" in head
