"""Requests to the simulated PiexGo: parameters, the account's key, and the two signatures.

Source: the venue document's sections 2.3, 3.1 and 3.3. Written from the document, not from the
adapter's signing: two readings of one text check each other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.routes import ApiError
from fairlead.adapters.simulation.venue import SimRequest

Params = dict[str, str]

BAD_KEY = 10440
EMPTY = 10300
RECV_WINDOW_MS = 5000  # where the request names none
AHEAD_MS = 1000  # how far a request's clock may be ahead


class Credentials(msgspec.Struct, frozen=True):
    """The test account's key pair, made from the seed."""

    key: str
    secret: str

    @staticmethod
    def of_seed(seed: int) -> Credentials:
        digest = hashlib.sha512(f"piexgo simulator {seed}".encode()).hexdigest()
        return Credentials(digest[:32], digest[32:])


def parameters(request: SimRequest) -> Params:
    """Query and body, a form or a JSON object of plain values, as texts.

    Raises ApiError 10300 for a body that is neither.
    """
    found = dict(parse_qsl(request.query, keep_blank_values=True))
    body = request.body.strip()
    try:
        if body.startswith(b"{"):
            decoded = msgspec.json.decode(body)
            found |= {name: _text(value) for name, value in decoded.items()}
        elif body:
            found |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ApiError(EMPTY, "Parameter is empty.") from error
    return found


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a plain value is expected")
    return str(value)


def check(
    credentials: Credentials,
    headers: Mapping[str, str],
    params: Params,
    now_ms: int,
    *,
    needs_time: bool,
) -> None:
    """Key, signature and time of a signed request. Raises ApiError 10440 or 10300."""
    if not hmac.compare_digest(
        headers.get("key", "").encode(errors="replace"), credentials.key.encode()
    ):
        raise ApiError(BAD_KEY, "Invalid api key.")
    text = "&".join("=".join(pair) for pair in sorted(params.items()))
    digest = hmac.new(credentials.secret.encode(), text.encode(errors="replace"), hashlib.sha512)
    given = headers.get("signature", "").encode(errors="replace")
    if not hmac.compare_digest(given, digest.hexdigest().encode()):
        raise ApiError(BAD_KEY, "Invalid signature.")
    if "timestamp" not in params:
        if needs_time:
            raise ApiError(EMPTY, "Parameter timestamp is empty.")
        return
    stamp = _integer(params["timestamp"])
    window = _integer(params.get("recv_window", str(RECV_WINDOW_MS)))
    if not (stamp < now_ms + AHEAD_MS and now_ms - stamp <= window):
        raise ApiError(BAD_KEY, "The timestamp of the request is outside of recv_window.")


def _integer(text: str) -> int:
    found = natural(text)
    if found is None:
        raise ApiError(EMPTY, "Parameter timestamp or recv_window is empty.")
    return found


def is_pinfo_signed(credentials: Credentials, key: object, signature: object) -> bool:
    """Whether a private subscription is the account's."""
    digest = hmac.new(credentials.secret.encode(), credentials.key.encode(), hashlib.sha256)
    expected = base64.b64encode(digest.digest()).decode()
    return key == credentials.key and signature == expected
