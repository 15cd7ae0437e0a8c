"""Instruments, and what REST has of the past, against the simulated venue."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import BarType, BookAction

from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.instruments import instrument
from fairlead.adapters.piexgo.market_data import PiexgoMarketData
from fairlead.engine.orders.model import Side
from tests.venues.piexgo.simulator_kit import MS, T0
from tests.venues.piexgo.test_http import World

BTC = "BTC_USDT.PIEXGO"
ROW = s.Symbol("btc_usdt", Decimal("0.0005"), Decimal("0.0015"), 4, 2)


def test_an_instrument_has_the_documents_facts() -> None:
    found = instrument(ROW, "PIEXGO", 7)
    assert (found.id, found.symbol, found.base, found.quote) == (BTC, "BTC_USDT", "BTC", "USDT")
    assert (str(found.nautilus.price_increment), str(found.nautilus.size_increment)) == (
        "0.01",
        "0.0001",
    )
    assert (found.maker_fee, found.taker_fee) == (Decimal("0.0005"), Decimal("0.0015"))
    assert found.buy_fee_in_base


@pytest.mark.parametrize(
    ("precision", "least"), [(0, "1"), (2, "0.01"), (4, "0.0002"), (8, "0.00010001")]
)
def test_the_least_volume_is_more_than_the_document_says(precision: int, least: str) -> None:
    found = instrument(msgspec.structs.replace(ROW, amount_precision=precision), "PIEXGO", 7)
    assert str(found.nautilus.min_quantity) == least
    assert found.min_quantity == Decimal(least)


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": ""},
        {"symbol": "BTCUSDT"},
        {"price_precision": -1},
        {"amount_precision": 40},
        {"maker_fee": Decimal("0.5")},
        {"taker_fee": Decimal("NaN")},
        {"taker_fee": Decimal("-0.001")},
    ],
)
def test_a_market_that_can_not_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        instrument(msgspec.structs.replace(ROW, **changes), "PIEXGO", 7)


def market_data(world: World, instruments: Mapping[str, VenueInstrument]) -> PiexgoMarketData:
    return PiexgoMarketData(PiexgoOptions(), world.http, instruments, lambda: T0)


async def test_trades_of_the_past(instruments: Mapping[str, VenueInstrument]) -> None:
    world = World()
    for price in ("60001", "60002"):
        world.desk.wait(10)
        world.desk.print(price, aggressor=Side.BUY)
    data = market_data(world, instruments)
    ticks = await data.history_trades(BTC, None, None, 0)
    assert [str(tick.price) for tick in ticks] == ["60000.00", "60001.00", "60002.00"]
    assert len({tick.trade_id for tick in ticks}) == 3
    assert len(await data.history_trades(BTC, None, None, 2)) == 2
    middle = T0 + 10 * MS
    assert len(await data.history_trades(BTC, middle, middle, 0)) == 1


async def test_a_book_of_rest(instruments: Mapping[str, VenueInstrument]) -> None:
    deltas = await market_data(World(), instruments).book_snapshot(BTC, 5)
    assert [d.action for d in deltas.deltas] == [BookAction.CLEAR, *[BookAction.ADD] * 10]


async def test_what_there_is_not(instruments: Mapping[str, VenueInstrument]) -> None:
    data = market_data(World(), instruments)
    bars = BarType.from_str(f"{BTC}-1-MINUTE-LAST-EXTERNAL")
    for ask in (
        data.history_bars(bars, None, None, 0),
        data.book_snapshot("X_Y.PIEXGO", 5),
        data.history_trades("X_Y.PIEXGO", None, None, 0),
    ):
        with pytest.raises(VenueError) as caught:
            await ask
        assert caught.value.kind is VenueErrorKind.REFUSED
