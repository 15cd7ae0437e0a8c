"""The leverage of the config, or of the exchange, is the initial margin of the gate."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.engine.risk.view import instrument_facts
from tests.venues.mudawyl.trading_kit import BTC, MARKETS, World

D = Decimal


def margin(made: World) -> Decimal:
    return instrument_facts(made.adapter.instruments[BTC].nautilus).margin


@pytest.mark.parametrize("flat", ["zero", "nulls", "empty"])
async def test_leverage_that_the_config_leaves_is_read(flat: Any) -> None:
    """A position that is none may tell nothing: then an order counts in full."""
    made = World(venue={"flat_position": flat, "leverage": 8})
    await made.adapter.connect(trading=False)
    assert margin(made) == 1
    await made.adapter.connect(trading=True)
    assert margin(made) == (D("0.125") if flat != "empty" else 1)
    assert made.wire.changes() == []


async def test_leverage_of_the_config_counts_before_it_is_set() -> None:
    market = msgspec.structs.replace(MARKETS[0], leverage=3)
    made = World(markets=(market, MARKETS[1]))
    await made.adapter.connect(trading=False)
    assert margin(made) == D("0.33333334")
    await made.adapter.connect(trading=True)
    assert margin(made) == D("0.33333334")
