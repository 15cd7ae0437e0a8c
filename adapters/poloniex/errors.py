"""The venue's error codes, and what each proves (document sections 2.3 and 3).

`kind` says what is certain about the request: REFUSED, RATE_LIMITED, AUTH, CLOCK and NOT_FOUND
prove that nothing was created; everything else is UNKNOWN, and so is every code not in the table.
"""

from __future__ import annotations

import msgspec

from fairlead.adapters.base.venue import VenueError, VenueErrorKind

OK = 200
MAX_MESSAGE_CHARS = 200

_REFUSED = VenueErrorKind.REFUSED
_UNKNOWN = VenueErrorKind.UNKNOWN
_AUTH = VenueErrorKind.AUTH
_CLOCK = VenueErrorKind.CLOCK
_NOT_FOUND = VenueErrorKind.NOT_FOUND
_RATE = VenueErrorKind.RATE_LIMITED

ERROR_CODES: dict[int, tuple[VenueErrorKind, str]] = {
    # Request as a whole. 400 and 408 are the clock's (section 3).
    400: (_CLOCK, "signTimestamp more than 1 s from the server's time"),
    401: (_AUTH, "unauthorized"),
    403: (_AUTH, "forbidden"),
    408: (_CLOCK, "recvWindow exceeded"),
    415: (_UNKNOWN, "system error"),
    429: (_RATE, "too many requests"),
    500: (_UNKNOWN, "internal system error"),
    601: (_REFUSED, "invalid parameter"),
    602: (_REFUSED, "missing parameter"),
    603: (_UNKNOWN, "internal request timeout"),
    # Accounts.
    21100: (_AUTH, "invalid account"),
    21102: (_REFUSED, "invalid currency"),
    21600: (_AUTH, "account not found"),
    21601: (_AUTH, "account locked"),
    21604: (_AUTH, "invalid user id"),
    21605: (_REFUSED, "invalid account type"),
    21700: (_UNKNOWN, "error updating accounts"),
    21704: (_REFUSED, "missing user or account id"),
    21705: (_REFUSED, "invalid currency type"),
    21707: (_UNKNOWN, "internal accounts error"),
    21708: (_REFUSED, "currency not available to the user"),
    21709: (_REFUSED, "insufficient balance"),
    21711: (_REFUSED, "currency locked"),
    21721: (_REFUSED, "insufficient available balance"),
    # Account transfers: this adapter makes none, but the table is one.
    250000: (_UNKNOWN, "transfer error"),
    250001: (_REFUSED, "invalid target account"),
    250002: (_REFUSED, "invalid source account"),
    250003: (_REFUSED, "invalid transfer amount"),
    250004: (_REFUSED, "transfer not supported"),
    250005: (_REFUSED, "insufficient transfer balance"),
    250008: (_REFUSED, "invalid transfer currency"),
    250012: (_REFUSED, "futures account not valid"),
    # Trading.
    10020: (_REFUSED, "invalid currency"),
    10040: (_REFUSED, "invalid symbol"),
    10041: (_REFUSED, "symbol frozen for trading"),
    10060: (_UNKNOWN, "symbol setup error"),
    21110: (_REFUSED, "invalid quote currency"),
    21340: (_REFUSED, "maintenance mode"),
    21341: (_REFUSED, "post-only mode"),
    21342: (_REFUSED, "price above the highest bid of maintenance mode"),
    21343: (_REFUSED, "price below the lowest ask of maintenance mode"),
    21351: (_AUTH, "account frozen for trading"),
    21352: (_REFUSED, "currency frozen for trading"),
    21353: (_AUTH, "trading not supported for US customers"),
    21354: (_AUTH, "account not verified"),
    21356: (_REFUSED, "size would move the price too much"),
    21360: (_REFUSED, "order size above the limit"),
    24201: (_UNKNOWN, "service busy"),
    # Orders. A duplicate client id proves that an order with our id exists, perhaps this one.
    21301: (_NOT_FOUND, "order not found"),
    21302: (_UNKNOWN, "batch cancel error"),
    21304: (_REFUSED, "order is filled"),
    21305: (_REFUSED, "order is cancelled"),
    21307: (_UNKNOWN, "error during order cancellation"),
    21309: (_REFUSED, "price must be above 0"),
    21310: (_REFUSED, "price above the maximum"),
    21311: (_REFUSED, "price below the minimum"),
    21312: (_UNKNOWN, "client order id exists already"),
    21314: (_REFUSED, "more than 2000 open orders"),
    21315: (_REFUSED, "client order id too long"),
    21317: (_REFUSED, "amount must be above 0"),
    21319: (_REFUSED, "invalid side"),
    21320: (_REFUSED, "invalid type"),
    21321: (_REFUSED, "invalid time in force"),
    21322: (_REFUSED, "amount below the minimum"),
    21324: (_REFUSED, "invalid account type"),
    21327: (_REFUSED, "price must be above 0"),
    21328: (_REFUSED, "quantity must be above 0"),
    21330: (_REFUSED, "quantity below the minimum"),
    21335: (_REFUSED, "too many decimals in the price"),
    21336: (_REFUSED, "too many decimals in the quantity"),
    21337: (_REFUSED, "too many decimals in the amount"),
    21344: (_REFUSED, "limit above the maximum"),
    21345: (_REFUSED, "limit must be above 0"),
    21346: (_REFUSED, "order id must be a long"),
    21347: (_REFUSED, "stop price must be above 0"),
    21348: (_REFUSED, "type must be LIMIT_MAKER"),
    21349: (_REFUSED, "order value too large"),
    21350: (_REFUSED, "amount must be above 1 USDT"),
    21355: (_REFUSED, "time window too long"),
    21359: (_REFUSED, "order was already cancelled or filled"),
    # Market data.
    24101: (_REFUSED, "invalid symbol"),
    24102: (_REFUSED, "invalid candle interval"),
    24103: (_REFUSED, "invalid end time"),
    24104: (_REFUSED, "invalid limit"),
    24105: (_REFUSED, "invalid start time"),
    24106: (_REFUSED, "invalid depth"),
    # Smart orders and the kill switch.
    25000: (_REFUSED, "invalid user id"),
    25001: (_REFUSED, "invalid parameter"),
    25002: (_REFUSED, "invalid user id"),
    25003: (_UNKNOWN, "unable to place the order"),
    25004: (_UNKNOWN, "client order id exists already"),
    25005: (_UNKNOWN, "unable to place the smart order"),
    25006: (_UNKNOWN, "order id and client order id exist already"),
    25007: (_REFUSED, "invalid order id"),
    25008: (_REFUSED, "order id and client order id missing"),
    25009: (_UNKNOWN, "failed to cancel the order"),
    25010: (_AUTH, "not authorized to cancel this order"),
    25011: (_REFUSED, "cancel with invalid parameters"),
    25012: (_UNKNOWN, "failed to cancel"),
    25013: (_NOT_FOUND, "order to cancel not found"),
    25014: (_NOT_FOUND, "order to cancel not found"),
    25015: (_NOT_FOUND, "no such order to cancel"),
    25016: (_UNKNOWN, "cancel failed to release funds"),
    25017: (_REFUSED, "no order was cancelled"),
    25018: (_REFUSED, "invalid account type"),
    25019: (_REFUSED, "invalid symbol"),
    25020: (_NOT_FOUND, "no active kill switch"),
}


class ErrorBody(msgspec.Struct, frozen=True):
    """`{"code": int, "message": str}`; also the failed element of a batch."""

    code: int
    message: str | None = ""


_DECODER = msgspec.json.Decoder(ErrorBody, strict=False)


def venue_error(code: int, message: str | None, retry_after_secs: float = 0.0) -> VenueError:
    """One error code as the value that the adapter works with."""
    kind, meaning = ERROR_CODES.get(code, (_UNKNOWN, "undocumented code"))
    said = (message or "")[:MAX_MESSAGE_CHARS].strip()
    text = f"{meaning} ({said})" if said else meaning
    return VenueError(kind, f"POLONIEX-{code}", text, retry_after_secs)


def read_error_body(body: bytes) -> ErrorBody | None:
    """The error in a body, or None if the body is not one (HTML, a list, an order...)."""
    try:
        error = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return error


def http_error(status: int, body: bytes, retry_after_secs: float = 0.0) -> VenueError:
    """What an answer of HTTP `status` other than 2xx proves.

    The body's code decides where there is one. Without one only 401 and 429 prove a refusal: an
    HTML page may come from anything between here and the venue, before or after it acted.
    """
    if status == 429:
        return VenueError(_RATE, "POLONIEX-429", "too many requests", retry_after_secs)
    error = read_error_body(body)
    if error is not None and error.code != OK:
        if status >= 500 and error.code not in ERROR_CODES:
            return VenueError(
                _UNKNOWN, f"POLONIEX-{error.code}", f"HTTP {status}", retry_after_secs
            )
        return venue_error(error.code, error.message, retry_after_secs)
    if status == 401:
        return VenueError(_AUTH, "POLONIEX-HTTP-401", "unauthorized: check key and secret")
    return VenueError(
        _UNKNOWN,
        f"POLONIEX-HTTP-{status}",
        f"expected JSON of the document, received {len(body)} bytes of something else",
        retry_after_secs,
    )
