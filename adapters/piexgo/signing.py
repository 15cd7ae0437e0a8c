"""Signatures of REST (HMAC-SHA512, hex) and of `pinfo` (HMAC-SHA256, Base64). Pure.

Source: the venue document, sections 2.3 and 3.1. The two differ in hash and in spelling.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from fairlead.engine.secrets import Secret


def string_to_sign(params: Mapping[str, str]) -> str:
    """`k=v&...` in the byte order of the names, not URL-encoded; empty without parameters."""
    ordered = sorted(params.items(), key=lambda item: item[0].encode())
    return "&".join(f"{name}={value}" for name, value in ordered)


def sign(secret: Secret, params: Mapping[str, str]) -> str:
    """The `signature` header of a request with these parameters."""
    text = string_to_sign(params).encode()
    return hmac.new(secret.reveal().encode(), text, hashlib.sha512).hexdigest()


def pinfo_signature(secret: Secret, key: str) -> str:
    """The `signature` of the private subscription: of the key alone, so always the same."""
    digest = hmac.new(secret.reveal().encode(), key.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
