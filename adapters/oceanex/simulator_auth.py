"""Requests to the simulated OceanEx: parameters and the signed token.

Source: the venue document's sections 1 (parameter transport), 1.3 (codes) and 2 (token).
"""

from __future__ import annotations

import json
from email.parser import BytesParser
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.simulation.market import SECOND_NS
from fairlead.adapters.simulation.numbers import exact
from fairlead.adapters.simulation.routes import ApiError
from fairlead.adapters.simulation.venue import SimRequest

TOKENS_KEPT = 512


def rate_error(what: str) -> ApiError:
    """The shape that the live venue wraps a rate limit in: -2 around a JSON text."""
    inner = {"error": {"code": 2002, "message": f"Failed to {what}. Exceeding request Limit"}}
    return ApiError(-2, msgspec.json.encode(inner).decode())


FUNDS_CODE = 1005  # a documented server error which ccxt does not map before it reads the text
FUNDS_TEXT = "Account::AccountError: Cannot lock funds"


def funds_error(options: OceanexSimOptions) -> ApiError:
    """A short balance: the exception's own text, or wrapped as the live venue was seen to do."""
    if options.funds_error == "plain":
        return ApiError(FUNDS_CODE, FUNDS_TEXT)
    text = f"Failed to create order. #<{FUNDS_TEXT}>"
    inner = {"error": {"code": 2002, "message": text}}
    return ApiError(-2, msgspec.json.encode(inner).decode())


@lru_cache(maxsize=1)
def generated_key_pair() -> tuple[str, str]:
    """A fresh RSA-2048 pair as PEM texts (private PKCS#8, public SPKI), one per process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private.decode(), _public_pem(key)


def public_half(private_pem: str) -> str:
    """The public key of a private one, both PEM. Raises ValueError for what is no RSA key."""
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("expected an RSA private key")
    return _public_pem(key)


def _public_pem(key: rsa.RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public.decode()


def parameters(request: SimRequest) -> dict[str, Any]:
    """Query, then body: a form, a multipart form, or a JSON object. `name[]` collects a list.

    Raises ApiError 9002 for a body that is none of these, and for a name that is both.
    """
    found: dict[str, Any] = {}
    pairs = parse_qsl(request.query, keep_blank_values=True)
    content_type = request.headers.get("content-type", "")
    body = request.body.strip()
    if body.startswith(b"{"):
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise ApiError(9002, "The request body is not valid JSON") from e
        found.update(decoded)
    elif content_type.startswith("multipart/form-data"):
        pairs += _multipart(content_type, request.body)
    elif body:
        try:
            pairs += parse_qsl(body.decode(), keep_blank_values=True)
        except UnicodeDecodeError as e:
            raise ApiError(9002, "The request body is not a form") from e
    for name, value in pairs:
        if not name.endswith("[]"):
            is_fit = not isinstance(found.get(name), list)
            found[name] = value
        elif is_fit := isinstance(found.setdefault(name[:-2], []), list):
            found[name[:-2]].append(value)
        if not is_fit:
            raise ApiError(9002, f"{name} is one value and a list of values")
    return found


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    message = BytesParser().parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    pairs = []
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            pairs.append((name, payload.decode("utf-8", "replace").strip("\r\n")))
    return pairs


class Authenticator:
    """Checks `user_jwt` against the account's public key."""

    def __init__(self, options: OceanexSimOptions, public_key_pem: str) -> None:
        self._options = options
        key = serialization.load_pem_public_key(public_key_pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError(f"expected an RSA public key, received {type(key).__name__}")
        self.public_key = key
        self.public_key_pem = public_key_pem
        self._verified: dict[str, str] = {}  # token -> its payload: polls repeat themselves

    def data(self, params: dict[str, Any], remote: str, now_ns: int) -> dict[str, Any]:
        """The token's `data`. Raises ApiError with the code of the first check that fails."""
        token = params.get("user_jwt")
        if not token:
            raise ApiError(1004, "Missing parameter: user_jwt")
        if not isinstance(token, str) or token.count(".") != 2:
            raise ApiError(1001, "The token is not a JWT")
        known = self._verified.get(token)
        payload = self._opened(token) if known is None else json.loads(known)
        uid, data = payload.get("uid"), payload.get("data", {})
        if uid is None:
            raise ApiError(1004, "Missing parameter: uid")
        if not isinstance(data, dict):
            raise ApiError(9002, "Bad format: data")
        self._check_account(payload)
        if known is None:
            self._check_signature(token, payload)
        if "exp" in payload:
            told = payload["exp"]
            expires = None if isinstance(told, str) else exact(told)
            if expires is None:
                raise ApiError(1010, "Token verification failed: exp is no number")
            if expires * SECOND_NS < now_ns:
                raise ApiError(2001, "The token is expired")
        if self._options.allowed_ips and remote not in self._options.allowed_ips:
            raise ApiError(1011, f"This IP '{remote}' is not allowed")
        return data

    def _opened(self, token: str) -> dict[str, Any]:
        """The payload, not verified."""
        try:
            opened = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, RecursionError) as e:
            raise ApiError(1001, "The token is not a JWT") from e
        payload: dict[str, Any] = opened["payload"]
        if opened["header"].get("alg") != "RS256":
            raise ApiError(1003, "The token's algorithm must be RS256")
        if not payload:
            raise ApiError(1002, "The token's payload is empty")
        return payload

    def _check_account(self, payload: dict[str, Any]) -> None:
        options = self._options
        if payload.get("uid") != options.uid:
            raise ApiError(1006, "The account does not exist")
        if payload.get("apikey_id", options.key_id) != options.key_id:
            raise ApiError(1007, "No public key was found for this account")
        if not options.key_enabled:
            raise ApiError(1008, "Your key is disabled")

    def _check_signature(self, token: str, payload: dict[str, Any]) -> None:
        try:
            jwt.decode(
                token,
                self.public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as e:
            raise ApiError(1010, "Token verification failed") from e
        if len(self._verified) >= TOKENS_KEPT:
            self._verified.clear()
        self._verified[token] = json.dumps(payload)
