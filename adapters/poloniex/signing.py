"""HMAC-SHA256 signatures of requests and of the private WebSocket (document section 3). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

WS_PATH = "/ws"  # not /ws/private: the document is explicit


def encode_query(params: Mapping[str, str]) -> str:
    """Percent-encode and join in the order of the names; a comma becomes `%2C`."""
    return "&".join(f"{quote(k, safe='')}={quote(params[k], safe='')}" for k in sorted(params))


def string_to_sign(
    method: str, path: str, timestamp_ms: int, params: Mapping[str, str], body: bytes
) -> str:
    """What the venue hashes: `METHOD\\nPATH\\nPARAMS`, `path` without host and query.

    `body` are the exact bytes that are sent; white space in them is significant.
    """
    if body:
        tail = f"requestBody={body.decode()}&signTimestamp={timestamp_ms}"
    else:
        tail = encode_query({**params, "signTimestamp": str(timestamp_ms)})
    return f"{method}\n{path}\n{tail}"


def sign(secret: str, text: str) -> str:
    """Base64 of HMAC-SHA256."""
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def ws_signature(secret: str, timestamp_ms: int) -> str:
    """Signature of the private WebSocket's auth frame."""
    return sign(secret, string_to_sign("GET", WS_PATH, timestamp_ms, {}, b""))
