"""Signatures against the document's vectors, and no secret in any text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.adapters.zerocap.signing import Signer, signature
from fairlead.engine.secrets import Secret


def test_vectors(sample: Any) -> None:
    vectors = json.loads(sample("auth_vectors.json"))
    secret, key = vectors["api_secret"], vectors["api_key"]
    static = Signer("A", Secret(key, "test"), Secret(secret, "test"), lambda: 0)
    assert static.headers() == {"api-key": key, "signature": vectors["A"]["signature"]}
    now_ns = int(vectors["C"]["message"]) * 10**9 + 999_999_999
    timed = Signer("C", Secret(key, "test"), Secret(secret, "test"), lambda: now_ns)
    assert timed.headers() == {
        "api-key": key,
        "signature": vectors["C"]["signature"],
        "timestamp": "1700000000",
    }


def test_the_proof_of_a_key_is_the_documents_s(sample: Any) -> None:
    documented = json.loads(sample("zc_A_rest_signature_valid_request.json"))
    signer = Signer("A", Secret("k", "test"), Secret("test-secret", "test"), lambda: 0)
    assert signer.proof() == documented


@pytest.mark.parametrize("dialect", ["A", "C"])
def test_a_signer_shows_no_secret(dialect: Any) -> None:
    signer = Signer(dialect, Secret("kkkk", "test"), Secret("ssss", "test"), lambda: 10**18)
    assert "kkkk" not in repr(signer)
    assert "ssss" not in repr(signer)
    assert "ssss" not in str(signer.headers())


def test_signatures_are_lower_case_hex() -> None:
    assert len(signature(Secret("s", "test"), "m")) == 64
    assert signature(Secret("s", "test"), "m").islower()
