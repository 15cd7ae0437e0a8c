"""The send path that all venues share, over a small venue of its own."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import MAX_BODY_BYTES, Answer
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.ratelimit import Rate, RateLimiter
from fairlead.adapters.base.runtime import _failure
from fairlead.adapters.base.transport import (
    CONNECTIONS_MAX,
    HttpRequest,
    HttpResponse,
    TransportError,
)
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.simulation.virtual_time import run_virtual

KIND = VenueErrorKind
NUMBERS = Answer(list[int])


class Script:
    """An `HttpTransport` that answers from a list."""

    def __init__(self, *answers: HttpResponse | TransportError) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    async def close(self) -> None: ...


class ToyHttp(VenueHttp):
    """A success is 200; the codes 1 and 2 refuse for rate and for the clock."""

    def __init__(self, script: Script, *, is_keyed: bool = True, tries: int = 1) -> None:
        self.measured = 0
        self.clock = VenueClock(
            self._server_ns, code="TOY", now_ns=lambda: 10**18, resolution_ns=10**6
        )
        super().__init__(
            code="TOY",
            base_url="http://toy",
            transport=script,
            limiter=RateLimiter({"all": Rate(10, 60.0), "orders": Rate(10, 60.0)}, 0.0, 1.0),
            now_ns=lambda: 10**18,
            timeout_secs=5.0,
            is_keyed=is_keyed,
            reads=ReadLimits(tries_max=tries),
            clock=self.clock,
        )

    async def _server_ns(self) -> int:
        self.measured += 1
        return 10**18

    def _request(self, call: Call) -> HttpRequest:
        return HttpRequest(method=call.method, url=self._base_url + call.path)

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes | msgspec.Raw:
        if response.status == 200:
            return response.body
        kind = {1: KIND.RATE_LIMITED, 2: KIND.CLOCK}.get(response.status, KIND.UNKNOWN)
        raise VenueError(kind, f"TOY-{response.status}", "no")

    async def ask(self, purpose: Purpose = "read", *, is_signed: bool = False) -> list[int]:
        budgets = (("orders", 1), ("all", 1)) if purpose == "create" else (("all", 1),)
        call = Call(path="/x", budgets=budgets, purpose=purpose, is_signed=is_signed)
        return await self._ask(NUMBERS, call)


class Slow(Script):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        await self.go.wait()
        return answer()


async def _settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_a_request_is_signed_when_there_is_a_connection_for_it() -> None:
    """A signature that waits grows old: the venue refuses it, cancels of a stop among others."""

    async def main() -> None:
        script = Slow()
        http = ToyHttp(script)
        http.limiter = RateLimiter({"all": Rate(1000, 60.0)}, 0.0, 1.0)
        signed: list[Call] = []
        made = http._request

        def request(call: Call) -> HttpRequest:
            signed.append(call)
            return made(call)

        http._request = request  # type: ignore[method-assign]
        asked = [asyncio.create_task(http.ask("cancel")) for _ in range(CONNECTIONS_MAX + 5)]
        await _settled()
        assert len(signed) == len(script.requests) == CONNECTIONS_MAX
        script.go.set()
        await asyncio.gather(*asked)
        assert len(signed) == CONNECTIONS_MAX + 5

    asyncio.run(main())


async def test_a_request_for_which_no_connection_comes_free_is_not_sent() -> None:
    """Nor later, when its price is of long ago."""
    script = Slow()
    http = ToyHttp(script)
    http.limiter = RateLimiter({"all": Rate(1000, 60.0)}, 0.0, 1.0)
    http._timeout_secs = 0.05
    asked = [asyncio.create_task(http.ask("cancel")) for _ in range(CONNECTIONS_MAX)]
    await _settled()
    with pytest.raises(VenueError) as caught:
        await http.ask("cancel")
    assert (caught.value.kind, caught.value.is_sent) == (KIND.REFUSED, False)
    script.go.set()
    await asyncio.gather(*asked)
    assert await http.ask("cancel") == [1]
    assert len(script.requests) == CONNECTIONS_MAX + 1


def answer(status: int = 200, body: bytes = b"[1]") -> HttpResponse:
    return HttpResponse(status=status, body=body)


async def refused(http: ToyHttp, purpose: Purpose = "read", **how: bool) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await http.ask(purpose, **how)
    return caught.value


@pytest.mark.parametrize(("sent", "kind"), [(False, KIND.REFUSED), (True, KIND.UNKNOWN)])
async def test_what_never_came_is_definite_only_if_nothing_was_sent(sent: bool, kind: KIND) -> None:
    http = ToyHttp(Script(TransportError("HTTP-RESET", "broken", sent=sent)))
    error = await refused(http, "create")
    assert (error.kind, error.code, error.is_sent) == (kind, "TOY-HTTP-RESET", sent)
    assert error.__suppress_context__


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1", b'"x"', b"[null]", b"\xff", b"[" * 10**5])
async def test_what_is_not_the_documents_proves_nothing(body: bytes) -> None:
    error = await refused(ToyHttp(Script(answer(body=body))))
    assert (error.kind, error.code) == (KIND.UNKNOWN, "TOY-BAD-ANSWER")


async def test_an_answer_has_a_largest_size() -> None:
    body = b"[" + b" " * MAX_BODY_BYTES + b"]"
    assert (await refused(ToyHttp(Script(answer(body=body))))).code == "TOY-BAD-ANSWER"


async def test_a_signed_request_needs_a_key_and_its_clock() -> None:
    script = Script(answer(), answer(), answer(2), answer())
    error = await refused(ToyHttp(script, is_keyed=False), is_signed=True)
    assert (error.kind, error.code) == (KIND.AUTH, "TOY-NO-KEY")
    assert script.requests == []
    http = ToyHttp(script)
    await http.ask(is_signed=True)
    await http.ask(is_signed=True)
    assert http.measured == 1
    assert (await refused(http, is_signed=True)).kind is KIND.CLOCK
    await http.ask(is_signed=True)
    assert http.measured == 2, "a refusal for the clock has it measured again"


async def test_only_reads_are_sent_again() -> None:
    script = Script(answer(503), answer())
    assert await ToyHttp(script, tries=2).ask() == [1]
    for purpose in ("create", "cancel"):
        script.answers, sent = [answer(503), answer()], len(script.requests)
        await refused(ToyHttp(script, tries=2), purpose)
        assert len(script.requests) == sent + 1


async def test_what_the_budget_has_no_room_for_is_not_sent() -> None:
    script = Script(*[answer()] * 10)
    http = ToyHttp(script)
    for _ in range(10):
        await http.ask("create")
    error = await refused(http, "create")
    assert (error.kind, error.code, error.is_sent) == (
        KIND.RATE_LIMITED,
        "TOY-RATE-BUDGET",
        False,
    )
    assert len(script.requests) == 10


@pytest.mark.parametrize("status", [429, 1])
def test_a_refusal_for_rate_holds_the_first_budget_back(status: int) -> None:
    """Also one that is told in the answer, and names no wait."""

    async def work() -> None:
        script = Script(answer(status), answer())
        http = ToyHttp(script)
        await refused(http, "create")
        assert (await refused(http, "create")).code == "TOY-RATE-BUDGET"
        assert await http.ask("cancel") == [1], "another budget"

    run_virtual(work())


def test_an_error_says_what_was_asked_and_a_start_that_it_ends_what_to_do() -> None:
    reset = TransportError("HTTP-RESET", "Server disconnected", sent=True)
    with pytest.raises(VenueError) as caught:
        run_virtual(ToyHttp(Script(reset)).ask("create"))
    assert caught.value.asked == "GET /x"
    told = _failure("TOY", caught.value)
    assert told.code == "TOY-HTTP-RESET"
    assert told.message.startswith("GET /x: Server disconnected; nothing was traded: start again")
    assert "[venues.toy.options]" in told.message


def test_a_refused_key_is_told_with_where_it_stands() -> None:
    error = VenueError(KIND.AUTH, "TOY-403", "forbidden")
    assert _failure("TOY", error).message == "forbidden"  # of no request: nothing to name
    error.asked = "PUT /y"
    told = _failure("TOY", error).message
    assert told.startswith("PUT /y: forbidden; look at the key's rights")
    assert "[venues.toy.credentials]" in told
