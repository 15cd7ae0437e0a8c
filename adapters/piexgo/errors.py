"""What the venue's error codes mean, as data (section 3.3), and what broken answers mean.

The document prints headings as -10300 and examples as 10201: the size counts, not the sign.
"""

from __future__ import annotations

import msgspec

from fairlead.adapters.base.venue import VenueError, VenueErrorKind

OK = 0
RATE_PENALTY_SECS = 2.0  # the venue names no wait

_REFUSED = VenueErrorKind.REFUSED
_UNKNOWN = VenueErrorKind.UNKNOWN
_AUTH = VenueErrorKind.AUTH
_CLOCK = VenueErrorKind.CLOCK
_RATE = VenueErrorKind.RATE_LIMITED


class ErrorMeaning(msgspec.Struct, frozen=True):
    """What a code proves about the request, whatever it asked for."""

    kind: VenueErrorKind
    meaning: str


ERROR_CODES: dict[int, ErrorMeaning] = {
    10101: ErrorMeaning(_UNKNOWN, "internal error, try again"),
    10102: ErrorMeaning(_UNKNOWN, "internal error, try again"),
    10103: ErrorMeaning(_UNKNOWN, "disconnected, try again"),
    10104: ErrorMeaning(_UNKNOWN, "disconnected, try again"),
    10440: ErrorMeaning(_AUTH, "wrong or expired key or signature, or an expired timestamp"),
    10201: ErrorMeaning(_REFUSED, "invalid symbol"),
    10300: ErrorMeaning(_REFUSED, "parameter empty"),
    10301: ErrorMeaning(_REFUSED, "price must be above 0"),
    10302: ErrorMeaning(_REFUSED, "volume must be above 0.0001"),
    10303: ErrorMeaning(_REFUSED, "more decimals than the symbol has"),
    10304: ErrorMeaning(_REFUSED, "side or type invalid"),
    10305: ErrorMeaning(_REFUSED, "insufficient balance"),
    10306: ErrorMeaning(_REFUSED, "transaction amount too small"),
    10307: ErrorMeaning(_REFUSED, "transaction amount too small"),
    10308: ErrorMeaning(_REFUSED, "transaction amount too small"),
}

# One code is the key's and the clock's; only its text tells which (section 3.3).
_AUTH_OR_CLOCK = 10440
_CLOCK_WORDS = ("timestamp", "recv_window", "recvwindow", "recv window")


def classify(code: int, message: str) -> VenueErrorKind:
    """What an error code proves. Any code that the document does not list proves nothing."""
    if abs(code) == _AUTH_OR_CLOCK and any(word in message.lower() for word in _CLOCK_WORDS):
        return _CLOCK
    known = ERROR_CODES.get(abs(code))
    return _UNKNOWN if known is None else known.kind


def code_error(code: int, message: str) -> VenueError:
    """The VenueError of an answer with `err_code != 0`."""
    known = ERROR_CODES.get(abs(code))
    text = message or (known.meaning if known else "no message")
    return VenueError(classify(code, message), f"PIEXGO-{abs(code)}", text)


def is_undocumented(error: VenueError) -> bool:
    """Whether the venue answered, with a code that the document does not list.

    How it says that it has no such order, or that one is over, is among them.
    """
    code = error.code.removeprefix("PIEXGO-")
    return code.isdigit() and int(code) not in ERROR_CODES


def status_error(status: int, wait_secs: float, excerpt: str) -> VenueError:
    """The VenueError of an answer that is not the venue's: 429 refuses, all else proves nothing."""
    if status == 429:
        return VenueError(
            _RATE, "PIEXGO-HTTP-429", "too many requests", wait_secs or RATE_PENALTY_SECS
        )
    return VenueError(
        _UNKNOWN,
        f"PIEXGO-HTTP-{status}" if status != 200 else "PIEXGO-NOT-JSON",
        f"expected the venue's JSON, received HTTP status {status}: {excerpt}",
        wait_secs,
    )
