"""What the venue's error codes mean, as data (section 1.3), and what broken answers mean."""

from __future__ import annotations

from fairlead.adapters.base.venue import VenueError, VenueErrorKind

_REFUSED = VenueErrorKind.REFUSED
_UNKNOWN = VenueErrorKind.UNKNOWN
_RATE = VenueErrorKind.RATE_LIMITED
_AUTH = VenueErrorKind.AUTH
_CLOCK = VenueErrorKind.CLOCK
_NOT_FOUND = VenueErrorKind.NOT_FOUND

RATE_PENALTY_SECS = 2.0  # the venue names no wait; its own connector begins with this

ERROR_CODES: dict[int, tuple[VenueErrorKind, str]] = {
    -1: (_UNKNOWN, "server error"),
    -2: (_UNKNOWN, "server error, or a wrapped refusal"),
    -9: (_UNKNOWN, "server error"),
    1005: (_UNKNOWN, "server error"),
    1001: (_AUTH, "not a JWT"),
    1002: (_AUTH, "payload empty"),
    1003: (_AUTH, "wrong JWT algorithm"),
    1004: (_REFUSED, "parameters missing in the payload"),
    1006: (_AUTH, "account missing"),
    1007: (_AUTH, "no public key"),
    1008: (_AUTH, "key disabled"),
    1010: (_AUTH, "token verification failed"),
    1011: (_AUTH, "IP address not allowed"),
    2001: (_CLOCK, "token expired"),
    2002: (_REFUSED, "create failed: bad parameter, or rate limit"),
    2003: (_REFUSED, "cancel failed"),
    2004: (_NOT_FOUND, "order does not exist"),
    2012: (_REFUSED, "deposit missing"),
    3001: (_REFUSED, "withdrawal too small"),
    3002: (_REFUSED, "withdrawal address not in the list"),
    9001: (_AUTH, "wrong JWT algorithm"),
    9002: (_REFUSED, "bad format in the payload"),
    9003: (_AUTH, "no permission, or no such API"),
}

# Refusals whose code was never recorded; each is made before anything is locked or created.
DEFINITE_MESSAGES = (
    "Cannot lock funds",
    "market does not have a valid value",
    "side does not have a valid value",
    "The account does not exist",
)
_LIMIT_WORDS = ("request limit", "rate limit", "too many requests")


def classify(code: int, message: str, *, wrapped: bool = False) -> VenueErrorKind:
    """What an error code proves about the request.

    Any code the document doesn't list leaves a create UNKNOWN. An account that does not exist is
    one of the key, where the code says so. `wrapped` errors came inside -2:
    only a refusal by its text is one, the rest stays a server error.
    """
    lowered = message.lower()
    if code == 2002 and any(words in lowered for words in _LIMIT_WORDS):
        return _RATE
    known = None if wrapped else ERROR_CODES.get(code)
    if any(text in message for text in DEFINITE_MESSAGES):
        return _AUTH if known is not None and known[0] is _AUTH else _REFUSED
    return _UNKNOWN if known is None else known[0]


def code_error(code: int, message: str, *, wrapped: bool = False) -> VenueError:
    """The VenueError of an answer with `code != 0`."""
    kind = classify(code, message, wrapped=wrapped)
    known = ERROR_CODES.get(code)
    text = message or (known[1] if known else "no message")
    retry_after = RATE_PENALTY_SECS if kind is _RATE else 0.0
    return VenueError(kind, f"OCEANEX-{code}", text, retry_after)


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
