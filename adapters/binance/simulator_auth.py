"""Error codes, keys and signatures of the simulated Binance.

Sources: Spot and USD-M futures "Error Codes" and "Request security": a signature is over the
request's own text, query then body; HMAC-SHA256 in hex (its case does not matter) or Ed25519 in
base64. Written from the document: nobody's signing is imported here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fairlead.adapters.simulation import routes
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.venue import SimRequest

WINDOW_MS, WINDOW_MS_MAX = 5_000, 60_000
EARLY_MS_MAX = 1_000  # how far a timestamp may be ahead of the venue
MESSAGES = {
    -1003: "Too many requests; current limit is {limit} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API.",
    -1015: "Too many new orders; current limit is {limit} orders per 10 SECONDS.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in a parameter.",
    -1102: "A mandatory parameter was not sent, was empty/null, or malformed.",
    -1106: "Parameter sent when not required.",
    -1111: "Parameter has too much precision.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1130: "Invalid data sent for a parameter.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -4015: "Client order id is not valid.",
    -4028: "Leverage is not valid.",
    -4046: "No need to change margin type.",
    -4059: "No need to change position side.",
    -4061: "Order's position side does not match user's setting.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
    "instead.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4164: "Order's notional must be no smaller than {limit} (unless you choose reduce only).",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected."
    " The order will not be recorded in the order history.",
    -5040: "The goodTillDate timestamp must be greater than the current time plus 600 seconds and"
    " smaller than 253402300799000.",
}
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")
_STATUS = {-1003: 429, -1015: 429, -2014: 401, -2015: 401}


class ApiError(routes.ApiError):
    """An answer that refuses: HTTP 400, or the status that goes with the code."""

    def __init__(
        self, code: int, message: str | None = None, *, limit: object = "", status: int = 0
    ) -> None:
        super().__init__(code, message or MESSAGES[code].format(limit=limit))
        self.status = status or _STATUS.get(code, 400)


def missing(name: str) -> ApiError:
    return ApiError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


class Credentials(msgspec.Struct, frozen=True):
    """One account's two pairs: HMAC, and Ed25519 whose secret is a private key in base64 (DER)."""

    api_key: str
    api_secret: str
    ed25519_api_key: str
    ed25519_api_secret: str

    @staticmethod
    def of_seed(seed: int) -> Credentials:
        digest = hashlib.sha512(f"binance simulator {seed}".encode())
        words = base64.urlsafe_b64encode(digest.digest() * 3).decode().replace("-", "A")
        private = Ed25519PrivateKey.from_private_bytes(digest.digest()[:32])
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return Credentials(
            words[:64].replace("_", "B"),
            words[64:128].replace("_", "C"),
            words[128:192].replace("_", "D"),
            base64.b64encode(der).decode(),
        )

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """Raises ValueError for a secret that is none."""
        text = "".join(
            line for line in self.ed25519_api_secret.splitlines() if not line.startswith("-----")
        )
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text)[-32:])


class Authenticator:
    """Checks what a client signed, on the exact text."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.revoked = False
        self._public = credentials.private_key.public_key()

    def take(self, credentials: Credentials) -> None:
        """Raises ValueError."""
        self._public = credentials.private_key.public_key()
        self.credentials = credentials

    def check_key(self, key: str | None) -> None:
        """Raises ApiError -2014 (none) or -2015 (not ours)."""
        if not key:
            raise ApiError(-2014)
        known = (self.credentials.api_key, self.credentials.ed25519_api_key)
        if self.revoked or key not in known:
            raise ApiError(-2015)

    def check_request(self, request: SimRequest, now_ms: int) -> None:
        """Raises ApiError: -2014, -2015, -1102, -1022 or -1021."""
        key = request.headers.get("x-mbx-apikey")
        self.check_key(key)
        body = request.body.decode("utf-8", "replace")
        found = _SIGNATURE.search(request.query) or _SIGNATURE.search(body)
        if found is None or not found[1]:
            raise missing("signature")
        # The two are joined without a separator, as the document says.
        signed = _SIGNATURE.sub("", request.query) + _SIGNATURE.sub("", body)
        self._check(str(key), signed.removeprefix("&"), unquote(found[1]))
        params = dict(part.partition("=")[::2] for part in f"{request.query}&{body}".split("&"))
        check_clock(params, now_ms)

    def check_params(self, params: Mapping[str, Any], now_ms: int) -> None:
        """Of a WebSocket API request: over its parameters, sorted by name. Raises ApiError."""
        key = params.get("apiKey")
        self.check_key(key if isinstance(key, str) else None)
        signature = params.get("signature")
        if not isinstance(signature, str) or not signature:
            raise missing("signature")
        rest = sorted((name, value) for name, value in params.items() if name != "signature")
        text = "&".join(f"{name}={_plain(value)}" for name, value in rest)
        self._check(str(key), text, signature)
        check_clock(params, now_ms)

    def _check(self, key: str, text: str, signature: str) -> None:
        """Raises ApiError -1022."""
        if key == self.credentials.api_key:
            secret = self.credentials.api_secret.encode()
            wanted = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(wanted.encode(), signature.lower().encode()):
                raise ApiError(-1022)
            return
        try:
            self._public.verify(base64.b64decode(signature, validate=True), text.encode())
        except (InvalidSignature, binascii.Error, ValueError):
            raise ApiError(-1022) from None


def check_clock(params: Mapping[str, Any], now_ms: int) -> None:
    """`timestamp` and `recvWindow`. Raises ApiError -1102, -1131 or -1021."""
    stamp = natural(params.get("timestamp"))
    if stamp is None:
        raise missing("timestamp")
    told = params.get("recvWindow")
    window = WINDOW_MS if told is None else natural(str(told).partition(".")[0])
    if window is None or window > WINDOW_MS_MAX:
        raise ApiError(-1131, f"recvWindow must be less than {WINDOW_MS_MAX}.")
    if stamp >= now_ms + EARLY_MS_MAX:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - stamp > window:
        raise ApiError(-1021)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
