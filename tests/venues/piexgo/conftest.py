"""Fixtures of the PiexGo adapter's tests."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.instruments import instrument


@pytest.fixture
def instruments() -> Mapping[str, VenueInstrument]:
    """BTC/USDT and ETH/USDT with prices to 2 decimals and sizes to 4."""
    fees = Decimal("0.0005"), Decimal("0.0015")
    rows = [s.Symbol(symbol, *fees, 4, 2) for symbol in ("BTC_USDT", "ETH_USDT")]
    found = [instrument(row, "PIEXGO", 1_700_000_000_000_000_000) for row in rows]
    return {each.id: each for each in found}
