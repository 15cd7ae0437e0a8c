"""What the venue's error codes mean, as data (section 1.3), and what broken answers mean."""

from __future__ import annotations

from typing import Literal

import msgspec

from adapters.base.transport import TransportError
from adapters.base.venue import VenueError, VenueErrorKind

Purpose = Literal["create", "cancel", "read"]

_REFUSED = VenueErrorKind.REFUSED
_UNKNOWN = VenueErrorKind.UNKNOWN
_RATE = VenueErrorKind.RATE_LIMITED
_AUTH = VenueErrorKind.AUTH
_CLOCK = VenueErrorKind.CLOCK
_NOT_FOUND = VenueErrorKind.NOT_FOUND

RATE_PENALTY_SECS = 2.0  # the venue names no wait; its own connector begins with this


class ErrorMeaning(msgspec.Struct, frozen=True):
    """What a code proves, by what was asked for."""

    create: VenueErrorKind
    cancel: VenueErrorKind
    read: VenueErrorKind
    meaning: str


def _all(kind: VenueErrorKind, meaning: str) -> ErrorMeaning:
    return ErrorMeaning(kind, kind, kind, meaning)


ERROR_CODES: dict[int, ErrorMeaning] = {
    -1: _all(_UNKNOWN, "server error"),
    -2: _all(_UNKNOWN, "server error, or a wrapped refusal"),
    -9: _all(_UNKNOWN, "server error"),
    1005: _all(_UNKNOWN, "server error"),
    1001: _all(_AUTH, "not a JWT"),
    1002: _all(_AUTH, "payload empty"),
    1003: _all(_AUTH, "wrong JWT algorithm"),
    1004: _all(_REFUSED, "parameters missing in the payload"),
    1006: _all(_AUTH, "account missing"),
    1007: _all(_AUTH, "no public key"),
    1008: _all(_AUTH, "key disabled"),
    1010: _all(_AUTH, "token verification failed"),
    1011: _all(_AUTH, "IP address not allowed"),
    2001: _all(_CLOCK, "token expired"),
    2002: _all(_REFUSED, "create failed: bad parameter, or rate limit"),
    2003: _all(_REFUSED, "cancel failed"),
    2004: _all(_NOT_FOUND, "order does not exist"),
    2012: _all(_REFUSED, "deposit missing"),
    3001: _all(_REFUSED, "withdrawal too small"),
    3002: _all(_REFUSED, "withdrawal address not in the list"),
    9001: _all(_AUTH, "wrong JWT algorithm"),
    9002: _all(_REFUSED, "bad format in the payload"),
    9003: _all(_AUTH, "no permission, or no such API"),
}

# Refusals whose code was never recorded; each is made before anything is locked or created.
DEFINITE_MESSAGES = (
    "Cannot lock funds",
    "market does not have a valid value",
    "side does not have a valid value",
    "The account does not exist",
)
_LIMIT_WORDS = ("request limit", "rate limit", "too many requests")


def classify(code: int, message: str, purpose: Purpose, *, wrapped: bool = False) -> VenueErrorKind:
    """What an error code proves about the request.

    Any code the document doesn't list leaves a create UNKNOWN. `wrapped` errors came inside -2:
    only a refusal by its text is one, the rest stays a server error.
    """
    lowered = message.lower()
    if code == 2002 and any(words in lowered for words in _LIMIT_WORDS):
        return _RATE
    if any(text in message for text in DEFINITE_MESSAGES):
        return _REFUSED
    if wrapped or code not in ERROR_CODES:
        return _UNKNOWN
    meaning = ERROR_CODES[code]
    return {"create": meaning.create, "cancel": meaning.cancel, "read": meaning.read}[purpose]


def code_error(code: int, message: str, purpose: Purpose, *, wrapped: bool = False) -> VenueError:
    """The VenueError of an answer with `code != 0`."""
    kind = classify(code, message, purpose, wrapped=wrapped)
    known = ERROR_CODES.get(code)
    text = message or (known.meaning if known else "no message")
    retry_after = RATE_PENALTY_SECS if kind is _RATE else 0.0
    return VenueError(kind, f"OCEANEX-{code}", text, retry_after)


def transport_error(error: TransportError) -> VenueError:
    """The VenueError of an answer that never came: definite only if nothing was sent."""
    kind = _UNKNOWN if error.sent else _REFUSED
    return VenueError(kind, f"OCEANEX-{error.code}", error.message)


def status_error(status: int, retry_after_secs: float, excerpt: str) -> VenueError:
    """The VenueError of an answer that isn't the venue's envelope.

    429 is a refusal for rate; of everything else nothing is proven.
    """
    if status == 429:
        wait_secs = retry_after_secs or RATE_PENALTY_SECS
        return VenueError(_RATE, "OCEANEX-HTTP-429", "too many requests", wait_secs)
    return VenueError(
        _UNKNOWN,
        f"OCEANEX-HTTP-{status}" if status != 200 else "OCEANEX-NOT-JSON",
        f"expected the venue's JSON, received HTTP status {status}: {excerpt}",
        retry_after_secs,
    )
