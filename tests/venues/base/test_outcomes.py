"""What a create and a cancel learn from a failure: one mapping, and both venues use it."""

from __future__ import annotations

import json

import pytest

from fairlead.adapters.base.outcomes import batch_outcome, cancel_outcome, create_outcome, reading
from fairlead.adapters.base.transport import HttpResponse, TransportError
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.engine.orders.model import CancelRefused, OrderRef, Refused, Unknown, VenueUnavailable
from tests.venues.base.test_reads import VENUES, Scene, at

KIND = VenueErrorKind
NOT_THERE = {"oceanex": 2004, "poloniex": 21301}
REFUSED = {"oceanex": 2003, "poloniex": 21304}


@pytest.mark.parametrize(
    ("kind", "is_sent", "create", "batch", "cancel"),
    [
        (KIND.REFUSED, True, Refused, Unknown, CancelRefused),
        (KIND.REFUSED, False, Refused, Refused, Unknown),
        (KIND.UNKNOWN, True, Unknown, Unknown, Unknown),
        (KIND.RATE_LIMITED, True, Refused, Unknown, Unknown),
        (KIND.RATE_LIMITED, False, Refused, Refused, Unknown),
        (KIND.AUTH, True, Refused, Refused, CancelRefused),
        (KIND.CLOCK, True, Refused, Refused, Unknown),
        (KIND.NOT_FOUND, True, Unknown, Unknown, CancelRefused),
    ],
)
def test_what_each_kind_of_failure_proves(
    kind: KIND, is_sent: bool, create: type, batch: type, cancel: type
) -> None:
    error = VenueError(kind, "X-1", "no", is_sent=is_sent)
    outcome = create_outcome(error)
    assert type(outcome) is create
    if isinstance(outcome, Refused):
        assert (outcome.is_sent, "not sent" in outcome.message) == (is_sent, not is_sent)
    assert type(batch_outcome(error)) is batch
    assert type(cancel_outcome(error)) is cancel


def test_a_read_that_fails_concludes_nothing() -> None:
    with pytest.raises(VenueUnavailable, match="X-BAD-ANSWER") as caught, reading("X"):
        raise ParseError("order", "no side")
    assert not caught.value.is_auth
    with pytest.raises(VenueUnavailable, match="X-1: no") as caught, reading("X"):
        raise VenueError(KIND.AUTH, "X-1", "no")
    assert caught.value.is_auth


def told(code: int, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, body=json.dumps({"code": code, "message": "no"}).encode())


@pytest.mark.parametrize("key", VENUES)
def test_a_create_answered_with_not_found_is_unknown(key: str) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=True)
        scene.http.answers = [told(NOT_THERE[key])]
        (outcome,) = await scene.adapter.orders.submit([scene.intent()])
        assert isinstance(outcome, Unknown)

    at(key, work)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("limited", Unknown),
        ("budget", Unknown),
        ("unsent", Unknown),
        ("refused", CancelRefused),
        ("gone", CancelRefused),
    ],
)
@pytest.mark.parametrize("key", VENUES)
def test_what_a_cancel_learns(key: str, failure: str, expected: type) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=True)
        if failure == "budget":  # held back by the refusal before it
            long = HttpResponse(status=429, body=b"", headers={"retry-after": "900"})
            scene.http.answers = [long]
            await scene.adapter.orders.cancel([ref])
        answers = {
            "limited": told(0, 429),
            "unsent": TransportError("HTTP-CONNECT", "refused", sent=False),
            "refused": told(REFUSED[key]),
            "gone": told(NOT_THERE[key]),
        }
        if failure in answers:
            scene.http.answers = [answers[failure]]
        (outcome,) = await scene.adapter.orders.cancel([ref])
        assert isinstance(outcome, expected), outcome

    ref = OrderRef(instrument=f"BTC_USDT.{key.upper()}", venue_order_id="7")
    at(key, work)
