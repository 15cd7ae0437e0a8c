"""RS256 tokens (section 2): every private request's parameters travel inside one.

The key is parsed once per process: parsing costs 1 ms, a signature 250 us. RS256 gives the same
data the same signature, so the token of a poll that asks again is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.engine.secrets import Secret

MIN_KEY_BITS = 2048
KEYS_KEPT = 8
TOKENS_KEPT = 128
_NS_PER_SEC = 1_000_000_000

_parsed: dict[bytes, RSAPrivateKey] = {}  # by SHA-256 of the PEM text


def load_key(pem: Secret) -> RSAPrivateKey:
    """Parse an RSA private key in PEM. Raises VenueError (AUTH) that never holds key text."""
    data = pem.reveal().encode()
    source = pem.source
    digest = hashlib.sha256(data).digest()
    if digest in _parsed:
        return _parsed[digest]
    if b"PUBLIC KEY" in data:
        raise _key_error(source, "expected a private key, received a public key")
    try:
        # Proven by its signature below: checking the primes costs 30 ms of a kill's 250 ms.
        key = load_pem_private_key(data, password=None, unsafe_skip_rsa_key_validation=True)
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
    _prove(key, source)
    if len(_parsed) >= KEYS_KEPT:
        _parsed.clear()
    _parsed[digest] = key
    return key


def _prove(key: RSAPrivateKey, source: str) -> None:
    """A key whose parts don't belong together makes signatures that its public half refuses."""
    sample = b"fairlead"
    try:
        signature = key.sign(sample, PKCS1v15(), SHA256())
        key.public_key().verify(signature, sample, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError) as e:
        raise _key_error(source, "the key's parts don't fit together") from e.with_traceback(None)


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
        self._tokens: dict[bytes, str] = {}

    def token(self, data: Mapping[str, Any]) -> str:
        """Sign `data` (JSON values; decimals as strings)."""
        payload = self._identity | {"data": dict(data)}
        if self._ttl_secs is not None:
            now = self._now_ns() // _NS_PER_SEC
            payload |= {"iat": now, "exp": now + self._ttl_secs}
        name = msgspec.json.encode(payload)
        token = self._tokens.get(name)
        if token is None:
            if len(self._tokens) >= TOKENS_KEPT:
                self._tokens.clear()
            import jwt  # 50 ms, which a check or a backtest that signs nothing does not need

            token = self._tokens[name] = jwt.encode(payload, self._key, algorithm="RS256")
        return token

    def __repr__(self) -> str:
        return "Signer()"
