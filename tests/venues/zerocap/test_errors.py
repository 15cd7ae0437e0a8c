"""What each error of the document, and each broken answer, proves (sections 2, 3, 4)."""

from __future__ import annotations

import pytest

from fairlead.adapters.base.venue import VenueErrorKind
from fairlead.adapters.zerocap import errors

KIND = VenueErrorKind
DOCUMENTED = {
    (400, "invalid message"): KIND.REFUSED,
    (400, "ping timeout"): KIND.REFUSED,
    (401, "Unauthorized"): KIND.AUTH,
    (401, "Unauthorized."): KIND.AUTH,
    (401, "encryption check is fail"): KIND.AUTH,
    (401, "Unauthorized IP address."): KIND.AUTH,
    (401, "invalid timestamp"): KIND.CLOCK,
    (408, "anything"): KIND.CLOCK,
    (422, '{"detail":[{"loc":["body","symbol"],"msg":"field required"}]}'): KIND.REFUSED,
    (429, "rate limit"): KIND.RATE_LIMITED,
}


@pytest.mark.parametrize(("code", "words"), DOCUMENTED)
def test_each_error_of_the_document_has_its_row(code: int, words: str) -> None:
    assert errors.classify(code, words) is DOCUMENTED[code, words]


def test_every_row_is_of_the_document() -> None:
    reached = {
        (code, plain) if (code, plain) in errors.ERROR_CODES else (code, "")
        for code, words in DOCUMENTED
        for plain in [words.strip().rstrip(".").lower()]
    }
    assert reached | {(401, "")} == set(errors.ERROR_CODES)


@pytest.mark.parametrize("code", [0, 400, 403, 404, 409, 500, 503])
def test_codes_not_documented_prove_nothing(code: int) -> None:
    assert errors.classify(code, "anything") is KIND.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, b"Unauthorized.", KIND.AUTH, "ZEROCAP-401"),
        (401, b'{"detail":"encryption check is fail"}', KIND.AUTH, "ZEROCAP-401"),
        (401, b'{"error_code":"401","error_message":"invalid timestamp"}', KIND.CLOCK, ""),
        (408, b"", KIND.CLOCK, "ZEROCAP-408"),
        (422, b'{"detail":[{"msg":"field required"}]}', KIND.REFUSED, "ZEROCAP-422"),
        (429, b"<html>slow down</html>", KIND.RATE_LIMITED, "ZEROCAP-429"),
        (400, b"Bad Request", KIND.UNKNOWN, "ZEROCAP-400"),
        (401, b"<html>proxy</html>", KIND.UNKNOWN, "ZEROCAP-HTTP-401"),
        (408, b"<html>timeout</html>", KIND.UNKNOWN, "ZEROCAP-HTTP-408"),
        (422, b'{"error_code":500}', KIND.UNKNOWN, "ZEROCAP-HTTP-422"),
        (502, b"<html>bad gateway</html>", KIND.UNKNOWN, "ZEROCAP-HTTP-502"),
        (503, b"", KIND.UNKNOWN, "ZEROCAP-HTTP-503"),
        (302, b"", KIND.UNKNOWN, "ZEROCAP-302"),
    ],
)
def test_what_an_answer_proves(status: int, body: bytes, kind: KIND, code: str) -> None:
    error = errors.status_error(status, body)
    assert error.kind is kind
    assert error.code == (code or f"ZEROCAP-{status}")


def test_a_rate_limit_asks_for_a_wait() -> None:
    assert errors.status_error(429, b"").retry_after_secs == errors.RATE_PENALTY_SECS
    assert errors.status_error(429, b"", 7.0).retry_after_secs == 7.0


def test_messages_are_bounded_and_on_one_line() -> None:
    error = errors.status_error(422, b"a" * 9000 + b"\nb")
    assert len(error.message) <= 300
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("code", "words", "action"),
    [
        (401, "Unauthorized", "fatal"),
        (408, "skew", "reconnect"),
        (401, "invalid timestamp", "reconnect"),
        (429, "slow down", "reconnect"),
        (400, "ping timeout", "reconnect"),
        (400, "invalid message", "none"),
        (0, "what", "reconnect"),
    ],
)
def test_what_a_frame_s_error_asks_for(code: int, words: str, action: str) -> None:
    assert errors.fault_action(code, words)[0] == action
