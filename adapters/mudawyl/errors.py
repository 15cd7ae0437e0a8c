"""The gateway's three error schemas and its 433 codes as typed errors (section 2).

What an error proves depends on what was asked: a code from the exchange behind the gateway, to a
request that makes several orders there, may come after some of them were made.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from fairlead.adapters.base.decode import Answer, bounded
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.adapters.mudawyl import schemas as s

CODE = "MUDAWYL"
EXTERNAL_STATUS = 433
RATE_PENALTY_SECS = 5.0  # limits are not published, and no wait is named
MAX_FIELD_ERRORS = 20
NO_CAPTCHA = f"{CODE}-NO-CAPTCHA"

_REFUSED = VenueErrorKind.REFUSED
_UNKNOWN = VenueErrorKind.UNKNOWN
_AUTH = VenueErrorKind.AUTH
_RATE = VenueErrorKind.RATE_LIMITED

# A 422 repeats what was sent: these are told without.
_SECRET_PARAMS = frozenset({"apiKey", "apiSecretKey", "authorization", "recaptcha-token-v3"})


class External(StrEnum):
    """The codes of HTTP 433."""

    EXCHANGE_AUTH = "1103"
    KEY_TYPE_INVALID = "1106"
    KEY_EXISTS = "1109"
    KEY_INACTIVE = "1110"
    KEY_TYPE_UNSUPPORTED = "1115"
    EXCHANGE_MISMATCH = "1206"
    SYMBOL_INVALID = "1300"
    SYMBOL_MISMATCH = "1306"
    SYMBOL_EXISTS = "1309"
    EXCHANGE_BAD_REQUEST = "1500"
    SUBSCRIPTION_TYPE = "2100"
    NOT_SUBSCRIBED = "2103"
    KEY_LIMIT = "2129a"
    BALANCE_LIMIT = "2129b"
    NO_STRIPE = "3104"
    STRIPE_EXISTS = "3109"


class ErrorMeaning(msgspec.Struct, frozen=True):
    """What a code proves of a request, and what it means."""

    kind: VenueErrorKind
    meaning: str


ERROR_CODES: dict[External, ErrorMeaning] = {
    External.EXCHANGE_AUTH: ErrorMeaning(_AUTH, "the exchange refuses the key; stop trading"),
    External.KEY_TYPE_INVALID: ErrorMeaning(_REFUSED, "the key is not FUTURES, or not MANUAL"),
    External.KEY_EXISTS: ErrorMeaning(_REFUSED, "the exchange key is stored already"),
    External.KEY_INACTIVE: ErrorMeaning(_REFUSED, "the key is inactive"),
    External.KEY_TYPE_UNSUPPORTED: ErrorMeaning(_REFUSED, "the key type is unsupported"),
    External.EXCHANGE_MISMATCH: ErrorMeaning(_REFUSED, "key and strategy differ in exchange"),
    External.SYMBOL_INVALID: ErrorMeaning(_REFUSED, "the exchange has no such symbol"),
    External.SYMBOL_MISMATCH: ErrorMeaning(_REFUSED, "the strategy is of another symbol"),
    External.SYMBOL_EXISTS: ErrorMeaning(_REFUSED, "a strategy of the symbol is followed already"),
    External.EXCHANGE_BAD_REQUEST: ErrorMeaning(_REFUSED, "the exchange refused the request"),
    External.SUBSCRIPTION_TYPE: ErrorMeaning(_REFUSED, "the subscription type is invalid"),
    External.NOT_SUBSCRIBED: ErrorMeaning(_REFUSED, "the subscription does not include it"),
    External.KEY_LIMIT: ErrorMeaning(_REFUSED, "the subscription's number of keys is reached"),
    External.BALANCE_LIMIT: ErrorMeaning(_REFUSED, "the balance exceeds the subscription's"),
    External.NO_STRIPE: ErrorMeaning(_REFUSED, "there is no active stripe subscription"),
    External.STRIPE_EXISTS: ErrorMeaning(_REFUSED, "there is an active stripe subscription"),
}

FORBIDDEN = 403
_NO_PERSON = "; it may be the reCAPTCHA token (good once, for two minutes; option captcha)"
_STATUSES: dict[int, ErrorMeaning] = {
    400: ErrorMeaning(_REFUSED, "bad request"),
    401: ErrorMeaning(_AUTH, "the token is invalid or expired"),
    FORBIDDEN: ErrorMeaning(_AUTH, "forbidden"),
}
_CODE = re.compile(r"\((\d{1,6}[a-z]?)\)\s*\Z")
_validation = Answer(s.ValidationBody)
_external = Answer(s.ExternalBody)
_message = Answer(s.MessageBody)


class ValidationRefused(VenueError):
    """HTTP 422: nothing was executed. `errors` are the gateway's rows."""

    def __init__(self, errors: tuple[s.FieldError, ...]) -> None:
        text = "; ".join(_field_text(row) for row in errors[:MAX_FIELD_ERRORS])
        super().__init__(_REFUSED, f"{CODE}-422", bounded(text) or "validation failed")
        self.errors = errors


class ExternalRefused(VenueError):
    """HTTP 433. `external` is None for a code that the document does not list."""

    def __init__(self, kind: VenueErrorKind, code: str, text: str) -> None:
        super().__init__(kind, f"{CODE}-{code or EXTERNAL_STATUS}", text)
        self.external = External(code) if code in External else None


class RouteNotFound(VenueError):
    """HTTP 404 with the gateway's words: no such path, or no such id in it."""

    def __init__(self, message: str) -> None:
        super().__init__(_REFUSED, f"{CODE}-404", message)


def _field_text(row: s.FieldError) -> str:
    where = f"{row.location} {row.param}".strip()
    if row.param in _SECRET_PARAMS or row.value is msgspec.UNSET:
        return bounded(f"{where}: {row.msg}", 120)
    return bounded(f"{where}: {row.msg} (sent {row.value!r:.60})", 160)


def external_error(text: str, *, makes_orders: bool) -> ExternalRefused:
    """The error of a 433's text.

    To a request that makes orders, what the exchange refused proves nothing: the entry may stand
    while its stop was refused (section 5, 5). A code that the document does not list neither.
    """
    found = _CODE.search(text)
    code = found[1] if found else ""
    known = ERROR_CODES[External(code)] if code in External else None
    kind = _UNKNOWN if known is None else known.kind
    if makes_orders and code == External.EXCHANGE_BAD_REQUEST:
        kind = _UNKNOWN
    words = bounded(text)
    return ExternalRefused(kind, code, f"{words}: {known.meaning}" if known else words)


def status_error(
    status: int,
    body: bytes,
    wait_secs: float = 0.0,
    *,
    makes_orders: bool = False,
    has_captcha: bool = False,
) -> VenueError:
    """The VenueError of an answer that is no success, by the schema of its status.

    `has_captcha`: the request held a person's token, which may be what is not taken.
    """
    try:
        if status == EXTERNAL_STATUS:
            return external_error(_external(body).error, makes_orders=makes_orders)
        if status == 422:
            return ValidationRefused(tuple(_validation(body).errors))
        if status == 404:
            return RouteNotFound(bounded(_message(body).message))
    except ParseError:
        pass  # it is not the gateway that answers so
    if status == 429:
        text = "too many requests"
        return VenueError(_RATE, f"{CODE}-429", text, wait_secs or RATE_PENALTY_SECS)
    known = _STATUSES.get(status)
    if known is not None:
        why = _NO_PERSON if has_captcha and status == FORBIDDEN else ""
        return VenueError(known.kind, f"{CODE}-{status}", known.meaning + why)
    excerpt = bounded(body[:200].decode(errors="replace"))
    text = f"expected an answer of the gateway, received HTTP status {status}: {excerpt}"
    return VenueError(_UNKNOWN, f"{CODE}-HTTP-{status}", text, wait_secs)
