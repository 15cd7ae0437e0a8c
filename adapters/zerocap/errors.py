"""What the venue's errors mean, as data (sections 2, 3, 4), and what broken answers mean.

A business refusal is no error here: it is an order with the status `rejected`, in a 200.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fairlead.adapters.base.decode import MISREAD, bounded
from fairlead.adapters.base.venue import VenueError, VenueErrorKind

CODE = "ZEROCAP"
RATE_PENALTY_SECS = 1.0  # the limit is per second

_REFUSED = VenueErrorKind.REFUSED
_UNKNOWN = VenueErrorKind.UNKNOWN
_RATE = VenueErrorKind.RATE_LIMITED
_AUTH = VenueErrorKind.AUTH
_CLOCK = VenueErrorKind.CLOCK

# (status, the venue's words; "" for any) -> what it proves, and what it means. Every row is a
# refusal made before an order exists.
ERROR_CODES: dict[tuple[int, str], tuple[VenueErrorKind, str]] = {
    (400, "invalid message"): (_REFUSED, "a frame that the venue does not understand"),
    (400, "ping timeout"): (_REFUSED, "nothing was sent for 30 s; the venue closes"),
    (401, ""): (_AUTH, "not authorized"),
    (401, "unauthorized"): (_AUTH, "key or signature missing or unknown"),
    (401, "encryption check is fail"): (_AUTH, "wrong signature"),
    (401, "unauthorized ip address"): (_AUTH, "the address is not in the key's list"),
    (401, "invalid timestamp"): (_CLOCK, "the timestamp is not a whole number of seconds"),
    (408, ""): (_CLOCK, "the timestamp is more than 30 s off"),
    (422, ""): (_REFUSED, "a parameter is missing, malformed, or holds characters not allowed"),
    (429, ""): (_RATE, "more than 50 requests a second to one endpoint"),
}


class _Body(msgspec.Struct):
    """An error as JSON: the WebSocket's fields, or those of the venue's web framework."""

    error_code: Any = None
    status_code: Any = None
    error_message: Any = None
    detail: Any = None
    message: Any = None


_body = msgspec.json.Decoder(_Body)


def described(body: bytes) -> tuple[int | None, str]:
    """The code and the words of an error's body: JSON in one of its shapes, or plain text."""
    text = bounded(body[:4096].decode(errors="replace"))
    try:
        found = _body.decode(body)
    except MISREAD:
        return None, text
    words = found.error_message or found.detail or found.message
    told = words if isinstance(words, str) else text
    code = found.error_code if found.error_code is not None else found.status_code
    return code_of(code), bounded(told) or text


def code_of(value: object) -> int | None:
    """An error code, which is a number or its text."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def classify(code: int, message: str) -> VenueErrorKind:
    """What an error proves of the request; a code that the document does not list, nothing."""
    words = message.strip().rstrip(".").lower()
    row = ERROR_CODES.get((code, words)) or ERROR_CODES.get((code, ""))
    return _UNKNOWN if row is None else row[0]


def code_error(code: int, message: str, wait_secs: float = 0.0) -> VenueError:
    """The VenueError of an error with a code, by HTTP status, in a body, or in a frame."""
    kind = classify(code, message)
    row = ERROR_CODES.get((code, ""))
    text = bounded(message) or (row[1] if row else "no message")
    retry_after = wait_secs or (RATE_PENALTY_SECS if kind is _RATE else 0.0)
    return VenueError(kind, f"{CODE}-{code}", text, retry_after)


def status_error(status: int, body: bytes, wait_secs: float = 0.0) -> VenueError:
    """The VenueError of an answer that is not 200. A page in place of words proves nothing.

    But 429 is a refusal for rate whoever says it.
    """
    code, message = described(body)
    is_page = body.lstrip()[:1] == b"<"
    if status != 429 and (is_page or status >= 500 or (code is not None and code >= 500)):
        text = f"expected the venue's words, received HTTP status {status}: {message[:200]}"
        return VenueError(_UNKNOWN, f"{CODE}-HTTP-{status}", text, wait_secs)
    return code_error(status, "" if is_page else message, wait_secs)


def fault_action(code: int, message: str) -> tuple[Literal["none", "reconnect", "fatal"], float]:
    """What a WebSocket error asks for, and the least wait before a reconnect, seconds."""
    kind = classify(code, message)
    if kind is _AUTH:
        return "fatal", 0.0
    if kind in (_CLOCK, _RATE):
        return "reconnect", RATE_PENALTY_SECS
    if message.strip().rstrip(".").lower() == "invalid message":
        return "none", 0.0  # an A server may answer so to a ping
    return "reconnect", 0.0
