"""HMAC-SHA256 in lower-case hex (section 2). Neither path nor body is signed in any dialect.

Dialect A signs the key itself, so that its signature is the same for ever: who reads it once can
use it. Dialect C signs whole seconds, which the venue takes within 30 s of its clock.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from fairlead.adapters.zerocap.config import Dialect
from fairlead.engine.secrets import Secret

_NS_PER_SEC = 1_000_000_000


def signature(secret: Secret, message: str) -> str:
    """The HMAC of `message`, 64 hexadecimal digits."""
    return hmac.new(secret.reveal().encode(), message.encode(), hashlib.sha256).hexdigest()


class Signer:
    """Makes the headers of one account's requests, and of its WebSocket's handshake."""

    def __init__(
        self, dialect: Dialect, key: Secret, secret: Secret, now_ns: Callable[[], int]
    ) -> None:
        """`now_ns` is the venue's clock as far as it is known."""
        self._dialect = dialect
        self._key = key
        self._secret = secret
        self._now_ns = now_ns

    def headers(self) -> dict[str, str]:
        """`api-key` and `signature`, in dialect C also `timestamp`, as of now."""
        key = self._key.reveal()
        if self._dialect == "A":
            return {"api-key": key, "signature": signature(self._secret, key)}
        seconds = str(self._now_ns() // _NS_PER_SEC)
        return {
            "api-key": key,
            "signature": signature(self._secret, seconds),
            "timestamp": seconds,
        }

    def proof(self) -> dict[str, str]:
        """The body of `/orders/api_key_signature_valid`, dialect A's."""
        key = self._key.reveal()
        return {"api_key": key, "signature": signature(self._secret, key)}

    def __repr__(self) -> str:
        return "Signer()"
