"""RS256 tokens (section 2): every private request's parameters travel inside one.

The key is parsed once, when the signer is made: parsing costs 37 ms, a signature 250 us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.base.venue import VenueError, VenueErrorKind
from engine.secrets import Secret

MIN_KEY_BITS = 2048
_NS_PER_SEC = 1_000_000_000


def load_key(pem: Secret) -> RSAPrivateKey:
    """Parse an RSA private key in PEM. Raises VenueError (AUTH) that never holds key text."""
    data = pem.reveal().encode()
    source = pem.source
    if b"PUBLIC KEY" in data:
        raise _key_error(source, "expected a private key, received a public key")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as e:
        raise _key_error(source, "expected a key without a passphrase") from e
    except Exception as e:
        # cryptography raises several kinds for a broken PEM; their texts may quote key material.
        raise _key_error(source, "expected an RSA private key in PEM") from e.with_traceback(None)
    if not isinstance(key, RSAPrivateKey):
        raise _key_error(source, f"expected an RSA key, received {type(key).__name__}")
    if key.key_size < MIN_KEY_BITS:
        raise _key_error(
            source, f"expected at least {MIN_KEY_BITS} bits, received {key.key_size} bits"
        )
    return key


def _key_error(source: str, detail: str) -> VenueError:
    return VenueError(VenueErrorKind.AUTH, "OCEANEX-KEY", f"private_key ({source}): {detail}")


class Signer:
    """Makes `user_jwt` tokens of one account."""

    def __init__(
        self,
        uid: str,
        key_id: str | None,
        key: RSAPrivateKey,
        now_ns: Callable[[], int],
        ttl_secs: int | None = None,
    ) -> None:
        self._identity: dict[str, Any] = {"uid": uid}
        if key_id:
            self._identity["apikey_id"] = key_id
        self._key = key
        self._now_ns = now_ns
        self._ttl_secs = ttl_secs

    def token(self, data: Mapping[str, Any]) -> str:
        """Sign `data` (JSON values; decimals as strings)."""
        payload = self._identity | {"data": dict(data)}
        if self._ttl_secs is not None:
            now = self._now_ns() // _NS_PER_SEC
            payload |= {"iat": now, "exp": now + self._ttl_secs}
        return jwt.encode(payload, self._key, algorithm="RS256")

    def __repr__(self) -> str:
        return "Signer()"
