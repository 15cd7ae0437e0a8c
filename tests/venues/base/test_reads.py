"""Reads are asked again at both venues, creates and cancels never, and `Retry-After` is obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.base.limits import READ_LIMITS
from fairlead.adapters.base.ratelimit import MAX_PENALTY_SECS, Rate, RateLimiter, retry_after_secs
from fairlead.adapters.base.reads import repeated
from fairlead.adapters.base.transport import (
    HttpRequest,
    HttpResponse,
    HttpTransport,
    TransportError,
)
from fairlead.adapters.base.venue import Adapter, AdapterContext, VenueError, VenueErrorKind
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.simulator import OceanexSimulator
from fairlead.adapters.oceanex.venue import OceanexAdapter
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.simulator import PoloniexSimulator
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.orders.model import Accepted, Intent, Kind, OrderRef, Refused, Side, Unknown
from fairlead.engine.secrets import Secret

VENUES = ["oceanex", "poloniex"]
READS = {
    "oceanex": ["POST /v1/markets", "POST /v1/fees", "POST /v1/timestamp", "POST /v1/key"],
    "poloniex": ["GET /timestamp", "GET /accounts", "GET /feeinfo", "GET /markets"],
}
CREATE = {"oceanex": "POST /v1/orders$", "poloniex": "POST /orders$"}
CANCEL = {"oceanex": "POST /v1/order/delete", "poloniex": "DELETE /orders"}
NOW_NS = 1_700_000_000 * 10**9


class Limited:
    """A transport that answers the next requests as a venue does that wants no more."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner
        self.answers: list[HttpResponse | TransportError] = []
        self.paths: list[str] = []

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.paths.append(request.url)
        answer = self.answers.pop(0) if self.answers else await self._inner.request(request)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    async def close(self) -> None: ...


class Scene:
    def __init__(self, key: str, loop: VirtualLoop) -> None:
        self.loop = loop
        made = OceanexSimulator if key == "oceanex" else PoloniexSimulator
        self.venue = made(now_ns=loop.now_ns(), seed=3)
        facts: Any = self.venue.describe("http://sim", "ws://sim")
        self.http = Limited(InMemoryHttp(self.venue, loop.now_ns))
        self.options: Any = (
            OceanexOptions(http_url=facts["rest"])
            if key == "oceanex"
            else PoloniexOptions(http_url=facts["rest"])
        )
        self.context = AdapterContext(
            venue=key.upper(),
            options=self.options,
            secrets={n: Secret(t, "test") for n, t in facts["credentials"].items()},
            http=self.http,
            now_ns=self.now_ns,
            instruments=(f"BTC_USDT.{key.upper()}",),
        )
        spec: Callable[[AdapterContext], Adapter] = (
            OceanexAdapter if key == "oceanex" else PoloniexAdapter
        )
        self.adapter = spec(self.context)
        self.instrument = f"BTC_USDT.{key.upper()}"

    def now_ns(self) -> int:
        return self.loop.now_ns()

    def fault(self, request: str, kind: str, times: int = 1) -> None:
        method, _, path = request.partition(" ")
        self.venue.faults.next(method, path, kind, times=times)

    def intent(self, number: int = 1) -> Intent:
        return Intent(
            client_order_id=f"O-{number}",
            strategy="S-1",
            instrument=self.instrument,
            side=Side.BUY,
            kind=Kind.LIMIT,
            quantity=Decimal("0.02"),
            price=Decimal(1000),
        )


def at(key: str, work: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await work(Scene(key, loop))

    run_virtual(run())


@pytest.mark.parametrize("kind", ["unavailable", "lose_request", "lose_answer", "too_many"])
@pytest.mark.parametrize("key", VENUES)
def test_a_start_survives_reads_that_fail(key: str, kind: str) -> None:
    async def work(scene: Scene) -> None:
        for read in READS[key]:
            scene.fault(read, kind, times=2)
        await scene.adapter.connect(trading=True)
        assert scene.venue.faults.counts[kind] == 2 * len(READS[key])
        scene.fault("POST /v1/members" if key == "oceanex" else "GET /accounts/bal", kind)
        assert await scene.adapter.orders.balances()

    at(key, work)


@pytest.mark.parametrize("key", VENUES)
def test_the_tries_of_a_read_are_limited_and_told(key: str) -> None:
    async def work(scene: Scene) -> None:
        scene.fault(READS[key][-1] if key == "poloniex" else READS[key][0], "unavailable", 1000)
        began = scene.loop.time()
        with pytest.raises(VenueError, match=f"tried {READ_LIMITS.tries_max} times in"):
            await scene.adapter.connect(trading=False)
        assert scene.loop.time() - began <= READ_LIMITS.retry_secs

    at(key, work)


@pytest.mark.parametrize("kind", ["unavailable", "lose_request", "lose_answer", "too_many"])
@pytest.mark.parametrize("key", VENUES)
def test_a_create_and_a_cancel_are_sent_once(key: str, kind: str) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=True)
        scene.fault(CREATE[key], kind, times=50)
        (outcome,) = await scene.adapter.orders.submit([scene.intent()])
        assert isinstance(outcome, Refused if kind == "too_many" else Unknown)
        assert scene.venue.faults.counts[kind] == 1
        scene.fault(CANCEL[key], kind, times=50)
        await asyncio.sleep(60)  # the penalty for `too_many` is over
        ref = OrderRef(instrument=scene.instrument, venue_order_id="7")
        await scene.adapter.orders.cancel([ref])
        assert scene.venue.faults.counts[kind] == 2

    at(key, work)


def test_a_refused_key_is_not_asked_again() -> None:
    asked = 0

    async def once() -> None:
        nonlocal asked
        asked += 1
        raise VenueError(VenueErrorKind.AUTH, "X-1", "no such key")

    async def work() -> None:
        with pytest.raises(VenueError, match=r"X-1: no such key$"):
            await repeated(once)

    run_virtual(work())
    assert asked == 1


# -- Retry-After -----------------------------------------------------------------------------------

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW_NS


@pytest.mark.parametrize(
    ("headers", "secs"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "90"}, 90.0),
        ({"Retry-After": "7200"}, 7200.0),
        ({"Retry-After": "999999999"}, MAX_PENALTY_SECS),
        ({"Retry-After": "Tue, 14 Nov 2023 22:15:20 GMT"}, 120.0),
        ({"Retry-After": "Tuesday, 14-Nov-23 22:15:20 GMT"}, 120.0),
        ({"Retry-After": "Tue Nov 14 22:15:20 2023"}, 120.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        # Our clock is 39 s behind the venue's: its own time counts.
        ({"Retry-After": "Tue, 14 Nov 2023 22:15:20 GMT", "Date": DATE[:-6] + "59 GMT"}, 81.0),
        *(({"Retry-After": text}, 0.0) for text in ("", "-1", "soon", "1e9", "\u0663", "nan")),
        ({"Retry-After": "9" * 5000}, 0.0),
        ({}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], secs: float) -> None:
    assert retry_after_secs(headers, NOW_NS) == secs


@pytest.mark.parametrize("told", ["90", "90.5", "date"])
@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize("key", VENUES)
def test_the_venue_is_left_alone_as_long_as_it_asks(key: str, status: int, told: str) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=True)
        headers = {"retry-after": told}
        if told == "date":
            headers = {"retry-after": "Tue, 14 Nov 2023 22:15:00 GMT", "date": DATE}
        scene.http.answers = [HttpResponse(status=status, body=b"", headers=headers)]
        (outcome,) = await scene.adapter.orders.submit([scene.intent()])
        assert isinstance(outcome, Refused if status == 429 else Unknown), "418 proves nothing"
        sent = len(scene.http.paths)
        await asyncio.sleep(60)
        (outcome,) = await scene.adapter.orders.submit([scene.intent(2)])
        assert isinstance(outcome, Refused)
        assert "not sent" in outcome.message
        assert len(scene.http.paths) == sent
        await asyncio.sleep(90)
        (outcome,) = await scene.adapter.orders.submit([scene.intent(3)])
        assert isinstance(outcome, Accepted)

    at(key, work)


def test_a_ban_holds_for_every_request() -> None:
    async def work() -> None:
        limiter = RateLimiter({"a": Rate(10, 1.0), "b": Rate(10, 1.0)}, max_wait_secs=1e6)
        limiter.limited("a", 418, 120.0)
        await limiter.acquire("b", "cancel")
        assert asyncio.get_running_loop().time() >= 120.0

    run_virtual(work())
