"""Every error code of the document is a row, and proves no more than it says."""

from __future__ import annotations

import pytest

from fairlead.adapters.base.venue import VenueErrorKind
from fairlead.adapters.piexgo.errors import ERROR_CODES, classify, code_error, status_error

DOCUMENTED = [
    *(10101, 10102, 10103, 10104, 10440, 10201),
    *(10300, 10301, 10302, 10303, 10304, 10305, 10306, 10307, 10308),
]


def test_the_table_is_the_document() -> None:
    assert sorted(ERROR_CODES) == sorted(DOCUMENTED)


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_code_means_the_same_with_either_sign(code: int) -> None:
    plus, minus = code_error(code, ""), code_error(-code, "")
    assert (plus.kind, plus.code) == (minus.kind, minus.code) == (classify(code, ""), plus.code)
    assert plus.code == f"PIEXGO-{code}"
    assert plus.message == ERROR_CODES[code].meaning


@pytest.mark.parametrize("code", [10101, 10102, 10103, 10104, 10999, 1, -1, 99999])
def test_what_is_the_venues_own_trouble_or_not_documented_proves_nothing(code: int) -> None:
    assert classify(code, "order does not exist") is VenueErrorKind.UNKNOWN


@pytest.mark.parametrize("code", [c for c in DOCUMENTED if c == 10201 or 10300 <= c < 10400])
def test_refusals_are_definite(code: int) -> None:
    assert classify(code, "") is VenueErrorKind.REFUSED


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Invalid signature.", VenueErrorKind.AUTH),
        ("API key expired", VenueErrorKind.AUTH),
        ("", VenueErrorKind.AUTH),
        ("timestamp expired", VenueErrorKind.CLOCK),
        ("Timestamp for this request is outside of the recv_window.", VenueErrorKind.CLOCK),
    ],
)
def test_one_code_is_the_keys_and_the_clocks(message: str, kind: VenueErrorKind) -> None:
    assert classify(10440, message) is kind


def test_http_statuses() -> None:
    limited = status_error(429, 0.0, "")
    assert (limited.kind, limited.code) == (VenueErrorKind.RATE_LIMITED, "PIEXGO-HTTP-429")
    assert limited.retry_after_secs > 0
    assert status_error(429, 7.0, "").retry_after_secs == 7.0
    assert status_error(502, 0.0, "<html>").kind is VenueErrorKind.UNKNOWN
    assert status_error(200, 0.0, "<html>").code == "PIEXGO-NOT-JSON"
