"""What an answer that is no success proves of its request."""

from __future__ import annotations

import pytest

from fairlead.adapters.base.outcomes import create_outcome
from fairlead.adapters.base.venue import VenueErrorKind
from fairlead.adapters.mudawyl import errors
from fairlead.adapters.mudawyl.errors import ERROR_CODES, External, ExternalRefused, RouteNotFound
from fairlead.engine.orders.model import Refused, Unknown

HTML = b"<html>503 Service Temporarily Unavailable</html>"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"", VenueErrorKind.REFUSED),
        (401, b'{"message":"Unauthorized"}', VenueErrorKind.AUTH),
        (403, b"", VenueErrorKind.AUTH),
        (404, b'{"message":"route not found"}', VenueErrorKind.REFUSED),
        (404, HTML, VenueErrorKind.UNKNOWN),
        (422, b'{"errors":[]}', VenueErrorKind.REFUSED),
        (422, HTML, VenueErrorKind.UNKNOWN),
        (429, HTML, VenueErrorKind.RATE_LIMITED),
        (433, HTML, VenueErrorKind.UNKNOWN),
        (433, b'{"error":"something new (4711)"}', VenueErrorKind.UNKNOWN),
        (433, b'{"error":"no code at all"}', VenueErrorKind.UNKNOWN),
        (500, b"", VenueErrorKind.UNKNOWN),
        (503, HTML, VenueErrorKind.UNKNOWN),
        (302, b"", VenueErrorKind.UNKNOWN),
    ],
)
def test_a_status_and_its_body_prove(status: int, body: bytes, kind: VenueErrorKind) -> None:
    assert errors.status_error(status, body).kind is kind


@pytest.mark.parametrize("code", list(External))
def test_each_code_has_its_kind_and_its_name(code: External) -> None:
    error = errors.external_error(f"some text ({code})", makes_orders=False)
    assert isinstance(error, ExternalRefused)
    assert (error.external, error.kind) == (code, ERROR_CODES[code].kind)
    assert ERROR_CODES[code].meaning in error.message


def test_what_the_exchange_refused_of_several_orders_proves_nothing() -> None:
    body = b'{"error":"exchange bad request (1500)"}'
    assert isinstance(create_outcome(errors.status_error(433, body)), Refused)
    assert isinstance(create_outcome(errors.status_error(433, body, makes_orders=True)), Unknown)
    others = [code for code in External if code is not External.EXCHANGE_BAD_REQUEST]
    for code in others:  # these are found before the exchange is asked for an order
        error = errors.external_error(f"x ({code})", makes_orders=True)
        assert isinstance(create_outcome(error), Refused)


def test_a_route_that_is_not_found_is_one_error() -> None:
    error = errors.status_error(404, b'{"message":"route not found"}')
    assert isinstance(error, RouteNotFound)
    assert error.code == "MUDAWYL-404"


def test_a_refusal_for_rate_names_a_wait() -> None:
    assert errors.status_error(429, b"").retry_after_secs == errors.RATE_PENALTY_SECS
    assert errors.status_error(429, b"", 17.0).retry_after_secs == 17.0


def test_a_forbidden_change_may_be_a_person_s_token() -> None:
    assert errors.status_error(403, b"").message == "forbidden"
    error = errors.status_error(403, b"", has_captcha=True)
    assert error.message.startswith("forbidden; it may be the reCAPTCHA token")
    assert "reCAPTCHA" not in errors.status_error(401, b"", has_captcha=True).message
