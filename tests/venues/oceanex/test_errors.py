"""What each code and each broken answer proves (section 1.3)."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.adapters.base.transport import HttpResponse
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.oceanex import errors
from fairlead.adapters.oceanex.http import _opened

KIND = VenueErrorKind
DOCUMENTED = {
    (-1, -2, -9, 1005): KIND.UNKNOWN,
    (1001, 1002, 1003, 9001, 1006, 1007, 1008, 1010, 1011, 9003): KIND.AUTH,
    (1004, 9002, 2002, 2003, 2012, 3001, 3002): KIND.REFUSED,
    (2001,): KIND.CLOCK,
    (2004,): KIND.NOT_FOUND,
}


def test_the_table_has_every_code_of_the_document() -> None:
    assert set(errors.ERROR_CODES) == {code for codes in DOCUMENTED for code in codes}


@pytest.mark.parametrize(
    ("code", "expected"), [(code, kind) for codes, kind in DOCUMENTED.items() for code in codes]
)
def test_classification(code: int, expected: KIND) -> None:
    assert errors.classify(code, "") is expected


@pytest.mark.parametrize("code", [7, 12345, -3, 2005])
def test_codes_not_documented_prove_nothing(code: int) -> None:
    assert errors.classify(code, "anything") is KIND.UNKNOWN


@pytest.mark.parametrize("message", errors.DEFINITE_MESSAGES)
@pytest.mark.parametrize("code", [-1, 2002, 4711])
def test_known_refusals_are_definite_whatever_their_code(code: int, message: str) -> None:
    assert errors.classify(code, f"Account::AccountError: {message}") is KIND.REFUSED


def test_an_account_that_does_not_exist_is_one_of_the_key_where_the_code_says_so() -> None:
    text = "The account does not exist"
    assert errors.classify(1006, text) is KIND.AUTH
    assert errors.classify(1006, text, wrapped=True) is KIND.REFUSED


def opened(status: int, body: bytes) -> VenueError:
    with pytest.raises(VenueError) as caught:
        _opened(HttpResponse(status=status, body=body))
    return caught.value


def test_wrapped_rate_limit_is_a_refusal_for_rate(payload: Any) -> None:
    error = opened(200, payload("extra_public/err_rate_limit_wrapped.json"))
    assert (error.kind, error.code) == (KIND.RATE_LIMITED, "OCEANEX-2002")
    assert error.retry_after_secs > 0


def test_other_errors_wrapped_in_minus_2_prove_nothing() -> None:
    body = (
        b'{"code":-2,"message":"{\\"error\\":{\\"code\\":2003,\\"message\\":\\"no\\"}}","data":{}}'
    )
    assert opened(200, body).kind is KIND.UNKNOWN
    assert opened(200, b'{"code":-2,"message":"busy","data":{}}').kind is KIND.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>maintenance</html>"),
        (200, b""),
        (200, b'{"code":0,"message":"Opera'),
        (301, b'{"code":0,"data":{}}'),
        (302, b""),
        (403, b"<html>blocked</html>"),
        (404, b'{"code":0,"data":{}}'),
        (500, b'{"code":2002,"message":"no","data":{}}'),
        (502, b"<html>bad gateway</html>"),
        (503, b""),
    ],
)
def test_answers_that_are_not_the_venue_speaking_prove_nothing(status: int, body: bytes) -> None:
    assert opened(status, body).kind is KIND.UNKNOWN


def test_status_429_is_a_refusal_for_rate() -> None:
    assert opened(429, b"<html>slow down</html>").kind is KIND.RATE_LIMITED


def test_success_is_code_0_with_200_or_201() -> None:
    for status in (200, 201):
        answer = HttpResponse(status=status, body=b'{"data":[1],"message":"x","code":0}')
        assert bytes(_opened(answer)) == b"[1]"


def test_messages_are_bounded_and_on_one_line() -> None:
    error = opened(200, b'{"code":2002,"message":"%s\\n%s","data":{}}' % (b"a" * 9000, b"b"))
    assert len(error.message) <= 300
    assert "\n" not in error.message
