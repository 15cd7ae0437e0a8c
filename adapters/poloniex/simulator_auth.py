"""Requests to the simulated Poloniex: HMAC signatures and the clock.

Source: the venue document's sections 2.3 (codes), 2.4 (limits) and 3 (auth). Written from the
document, not from the adapter's signing: two readings of one text check each other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from fairlead.adapters.simulation import routes
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.venue import SimRequest

MESSAGES = {
    400: "signTimestamp is more than 1 second from the server time",
    401: "Authorization failed!",
    408: "The request is outside of recvWindow",
    429: "Too many requests",
    601: "Invalid parameter",
    602: "Missing parameter",
    10040: "Invalid symbol",
    10041: "Symbol frozen for trading",
    21301: "Order not found",
    21309: "Price must be greater than 0",
    21312: "Client order id exists already",
    21314: "You have more than 2000 open orders",
    21315: "Client order id is too long",
    21317: "Amount must be greater than 0",
    21319: "Invalid side",
    21320: "Invalid type",
    21321: "Invalid timeInForce",
    21322: "Amount is less than minAmount",
    21324: "Invalid accountType",
    21328: "Quantity must be greater than 0",
    21330: "Quantity is less than minQuantity",
    21335: "Price scale exceeded",
    21336: "Quantity scale exceeded",
    21337: "Amount scale exceeded",
    21340: "Platform in maintenance mode",
    21341: "Platform in post-only mode",
    21342: "Price is higher than the highest bid of maintenance mode",
    21343: "Price is lower than the lowest ask of maintenance mode",
    21344: "Limit exceeds the maximum",
    21345: "Limit must be greater than 0",
    21346: "Order id must be of type Long",
    21347: "Stop price must be greater than 0",
    21355: "The time window must not exceed 7 days",
    21359: "Order was already canceled or filled.",
    21600: "Account not found",
    21601: "Account locked",
    21709: "Low available balance",
    21721: "available insufficient",
    24101: "Invalid symbol",
    24102: "Invalid candle interval",
    24103: "Invalid endTime",
    24104: "Invalid limit",
    24105: "Invalid startTime",
    24106: "Invalid depth",
    25004: "Client order id exists already",
    25013: "No such order to cancel",
    25015: "No such order",
    25020: "No active kill switch",
    250000: "Transfer error",
    250001: "Invalid toAccount",
    250002: "Invalid fromAccount",
    250003: "Invalid transfer amount",
    250005: "Insufficient transfer balance",
    250008: "Invalid transfer currency",
}


class ApiError(routes.ApiError):
    """An answer with a code other than 200, and the document's text unless another is given."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(code, message or MESSAGES.get(code, "Error"))


class Credentials(msgspec.Struct, frozen=True):
    """The test account's key pair, made from the seed."""

    key: str
    secret: str

    @staticmethod
    def of_seed(seed: int) -> Credentials:
        digest = hashlib.sha512(f"poloniex simulator {seed}".encode()).hexdigest()
        key = "-".join(digest[i : i + 8].upper() for i in range(0, 32, 8))
        return Credentials(key, digest[32:])


class Authenticator:
    """Checks what a client signed, on the exact bytes and path."""

    def __init__(self, credentials: Credentials, tolerance_ms: int) -> None:
        self.credentials = credentials
        self.revoked = False
        self._tolerance_ms = tolerance_ms

    def check(self, request: SimRequest, now_ms: int) -> None:
        """Raises ApiError: 602 for a missing header, 401, 400 (clock) or 408 (recvWindow)."""
        headers = request.headers
        for name in ("key", "signtimestamp", "signature"):
            if not headers.get(name):
                raise ApiError(602, f"Missing header {name}")
        stamp = natural(headers["signtimestamp"])
        if stamp is None:
            raise ApiError(400)
        told = headers.get("recvwindow")
        window = natural(told)
        if told is not None and window is None:
            raise ApiError(601, "Invalid recvWindow")
        texts = _signed_texts(request, headers["signtimestamp"])
        self._check_pair(headers["key"], headers["signature"], texts)
        self._check_clock(stamp, now_ms)
        if window is not None and now_ms > stamp + window:
            raise ApiError(408)

    def check_frame(self, params: Mapping[str, Any], now_ms: int) -> bool:
        """The auth frame of the private WebSocket; `signTimestamp` is a number or text."""
        stamp = natural(params.get("signTimestamp"))
        if stamp is None:
            return False
        text = f"GET\n/ws\nsignTimestamp={params['signTimestamp']}"
        try:
            self._check_pair(str(params.get("key")), str(params.get("signature")), [text])
            self._check_clock(stamp, now_ms)
        except ApiError:
            return False
        return True

    def _check_pair(self, key: str, signature: str, texts: Iterator[str] | list[str]) -> None:
        good = self.credentials
        if self.revoked or not hmac.compare_digest(_bytes(key), good.key.encode()):
            raise ApiError(401)
        told = _bytes(signature)
        for text in texts:
            digest = hmac.new(good.secret.encode(), _bytes(text), hashlib.sha256).digest()
            if hmac.compare_digest(told, base64.b64encode(digest)):
                return
        raise ApiError(401)

    def _check_clock(self, stamp_ms: int, now_ms: int) -> None:
        if abs(now_ms - stamp_ms) > self._tolerance_ms:
            raise ApiError(400)


def _bytes(text: str) -> bytes:
    """Also of a text with bytes that are not UTF-8, as a header may have."""
    return text.encode(errors="replace")


def _signed_texts(request: SimRequest, stamp: str) -> Iterator[str]:
    """What the client may have hashed: the path as sent, and percent-encoded again."""
    if request.body:
        tail = f"requestBody={request.body.decode('utf-8', 'replace')}&signTimestamp={stamp}"
    else:
        pairs = [*parse_qsl(request.query, keep_blank_values=True), ("signTimestamp", stamp)]
        tail = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(pairs))
    paths = dict.fromkeys((request.path, quote(request.path, safe="/:")))
    for path in paths:
        yield f"{request.method}\n{path}\n{tail}"
