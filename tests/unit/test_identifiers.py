"""Identifiers out of any text: what NautilusTrader takes is kept, the rest is always the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.engine import identifiers

ROOT = Path(__file__).resolve().parents[2]
UUID = "5c1a9f6e-1111-4c3e-8d7a-9f00aa00bb01"
MADE = [identifiers.trade_id, identifiers.venue_order_id, identifiers.client_order_id]


@pytest.mark.parametrize("text", ["1", UUID, "BTC_USDT-1790000000000001", "a b", "x~2"])
def test_what_fits_is_kept(text: str) -> None:
    assert [str(make(text)) for make in MADE] == [text] * 3


@pytest.mark.parametrize(
    "text", [f"T-{UUID}", f"{UUID}-200", f"{UUID}~1", "", "   ", "\u0661", "a" * 5000, "\ud800"]
)
def test_what_does_not_fit_has_a_short_form(text: str) -> None:
    made = identifiers.trade_id(text)
    assert made == identifiers.trade_id(text)
    assert 0 < len(str(made)) <= identifiers.TRADE_ID_MAX
    assert str(made) != text


def test_the_short_form_is_the_same_in_every_run() -> None:
    assert str(identifiers.trade_id(f"{UUID}-200")) == "5c1a9f6e-11~929c3afce3f994dc0c9fe34a"


def test_texts_that_begin_alike_are_told_apart() -> None:
    texts = [f"{UUID}-{number}" for number in range(2000)] + [f"{UUID}~{n}" for n in range(2000)]
    assert len({str(identifiers.trade_id(text)) for text in texts}) == len(texts)


@given(st.text(alphabet=st.characters()))
def test_any_text_gives_an_identifier(text: str) -> None:
    for make in MADE:
        assert make(text) == make(text)


def test_no_other_file_makes_them() -> None:
    """Else an id that does not fit ends a run there."""
    made = re.compile(r"\b(?:TradeId|VenueOrderId)\((?!\")")  # literals are ours
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for top in ("adapters", "engine", "fairlead", "strategies")
        for path in sorted((ROOT / top).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if made.search(line) and path.name != "identifiers.py"
    ]
    assert found == []
