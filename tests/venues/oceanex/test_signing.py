"""Tokens verify with the public key, and keys that can't be used are named without their text."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.oceanex.signing import Signer, load_key
from fairlead.engine.secrets import Secret
from tests.venues.oceanex.conftest import pem_of

NOW_NS = 1_700_000_000_123_000_000


def test_token_verifies_with_the_public_key(key: rsa.RSAPrivateKey) -> None:
    signer = Signer("ID6A9EAFD896", "KIDF4A8334E1E", key, lambda: NOW_NS)
    token = signer.token({"market": "veteth", "ids": [1, 2], "volume": "0.75"})
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT"}
    assert jwt.decode(token, key.public_key(), algorithms=["RS256"]) == {
        "uid": "ID6A9EAFD896",
        "apikey_id": "KIDF4A8334E1E",
        "data": {"market": "veteth", "ids": [1, 2], "volume": "0.75"},
    }


def test_another_key_does_not_verify(key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = Signer("ID", None, key, lambda: NOW_NS).token({})
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, other.public_key(), algorithms=["RS256"])


def test_expiry_is_optional(key: rsa.RSAPrivateKey) -> None:
    token = Signer("ID", None, key, lambda: NOW_NS, ttl_secs=30).token({})
    payload = jwt.decode(
        token, key.public_key(), algorithms=["RS256"], options={"verify_exp": False}
    )
    assert (payload["iat"], payload["exp"]) == (1_700_000_000, 1_700_000_030)
    assert "apikey_id" not in payload


def refused(text: str) -> VenueError:
    with pytest.raises(VenueError) as caught:
        load_key(Secret(text, "env:OCEANEX_KEY"))
    assert (caught.value.kind, caught.value.code) == (VenueErrorKind.AUTH, "OCEANEX-KEY")
    assert "env:OCEANEX_KEY" in caught.value.message
    return caught.value


def test_unusable_keys_are_named(key: rsa.RSAPrivateKey) -> None:
    pem = pem_of(key)
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert "public key" in str(refused(public))
    assert "passphrase" in str(refused(locked))
    assert "RSA" in str(refused(curve.decode()))
    assert "1024 bits" in str(refused(pem_of(short)))
    body = pem.splitlines()[5]
    for broken in (pem.replace(body, body[::-1]), pem[:400], "no key at all", ""):
        error = refused(broken)
        assert body not in str(error)


def test_a_key_whose_parts_do_not_belong_together(key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    mine = key.private_numbers()
    mixed = rsa.RSAPrivateNumbers(
        mine.p, mine.q, other.d, other.dmp1, other.dmq1, mine.iqmp, mine.public_numbers
    )
    made = mixed.private_key(unsafe_skip_rsa_key_validation=True)
    assert "fit together" in str(refused(pem_of(made)))


def test_a_signer_shows_nothing(key: rsa.RSAPrivateKey) -> None:
    assert repr(Signer("ID6A9EAFD896", "KID", key, lambda: NOW_NS)) == "Signer()"
