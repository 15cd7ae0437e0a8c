"""Signatures: the document's vectors, and that the two recipes are not mixed up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.adapters.piexgo.signing import pinfo_signature, sign, string_to_sign
from fairlead.engine.secrets import Secret

SECRET = Secret("example-secret", "test")
SAMPLES = Path(__file__).parent / "samples"
ORDER = {
    "symbol": "BTC_USDT",
    "side": "BUY",
    "quantity": "10",
    "recv_window": "5000",
    "timestamp": "1552356480000",
}
VECTORS = [
    (
        ORDER | {"type": "LIMIT", "price": "6830"},
        "price=6830&quantity=10&recv_window=5000&side=BUY&symbol=BTC_USDT&timestamp=1552356480000"
        "&type=LIMIT",
        "2604f61f4b5876261fbd3d1887777e9040de84af5507f9d98a900c10f83c2a39"
        "a73a23de4b41ada28fe1ca324aa536ff9871b0fb997a3b5cc6a1b9dcf95e96a9",
    ),
    (
        ORDER | {"type": "MARKET"},
        "quantity=10&recv_window=5000&side=BUY&symbol=BTC_USDT&timestamp=1552356480000&type=MARKET",
        "3d6ba5026d25908acc67397795a4edf9595239386930630b203045914302be3f"
        "263d69cbf32d1d41fd32105cac1051452a76299cde5a2720b81b6816645cdb45",
    ),
    (
        ORDER | {"type": "STOP_LIMIT", "price": "6830", "stop_price": "6830"},
        "price=6830&quantity=10&recv_window=5000&side=BUY&stop_price=6830&symbol=BTC_USDT"
        "&timestamp=1552356480000&type=STOP_LIMIT",
        "c9086f48390d1de4f0eec55b0b5dd7d6d980eebffa896ab5ba3310014e5503b6"
        "61cf920794d187440c2eac8a80f9b521a571a210aa7427e7e417cb975f105f89",
    ),
]


@pytest.mark.parametrize(("params", "text", "signature"), VECTORS, ids=lambda v: str(v)[-20:])
def test_the_vectors_of_the_document(params: dict[str, str], text: str, signature: str) -> None:
    assert string_to_sign(params) == text
    assert sign(SECRET, params) == signature
    backwards = dict(reversed(params.items()))
    assert sign(SECRET, backwards) == signature


def test_without_parameters_the_empty_text_is_signed() -> None:
    assert string_to_sign({}) == ""
    assert len(sign(SECRET, {})) == 128


def test_names_are_in_byte_order_and_values_as_they_are() -> None:
    assert string_to_sign({"b": "1,2", "a": "x y", "B": "/"}) == "B=/&a=x y&b=1,2"


def test_pinfo_has_a_recipe_of_its_own() -> None:
    frame = json.loads((SAMPLES / "extra_public" / "ws_sub_pinfo_signed.json").read_bytes())
    assert pinfo_signature(SECRET, frame["apikey"]) == frame["signature"]
