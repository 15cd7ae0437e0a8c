"""Recorded rows against those that are parsed now: in order, with each difference named."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    OrderBookDelta,
    Price,
    Quantity,
    TradeTick,
)

from fairlead.engine.identifiers import trade_id
from fairlead.engine.run.raw_replay import StreamReplayed, _Aligned

IID = InstrumentId.from_str("BTC_USDT.X")
T0 = 1_700_000_000_000_000_000


def trade(number: int, price: str = "100.5", late_ns: int = 0) -> TradeTick:
    side = AggressorSide.BUY
    identity = trade_id(str(number))
    size = Quantity.from_str("1")
    ts = T0 + number + late_ns
    return TradeTick(IID, Price.from_str(price), size, side, identity, ts, ts + 5)


def compared(recorded: list[Any], parsed: list[Any]) -> StreamReplayed:
    aligned = _Aligned("trades", str(IID), iter(recorded))
    for row in parsed:
        aligned.parsed(row)
    return aligned.finish()


def test_equal_rows_have_no_difference():
    rows = [trade(number) for number in range(2000)]
    told = compared(rows, rows)
    assert (told.equal, told.recorded, told.replayed, told.difference_count) == (2000,) * 3 + (0,)


@pytest.mark.parametrize(
    ("recorded", "parsed", "says"),
    [
        ([1, 2, 3], [1, 3], ["only recorded"]),
        ([1, 3], [1, 2, 3], ["only parsed"]),
        ([1, 2], [1, 2, 3], ["only parsed"]),
        ([1, 2, 3], [1], ["only recorded", "only recorded"]),
        ([], [1], ["only parsed"]),
    ],
)
def test_a_row_of_one_side_alone_is_told_and_the_rest_goes_on(recorded, parsed, says):
    told = compared([trade(one) for one in recorded], [trade(one) for one in parsed])
    assert [one.what for one in told.differences] == says
    assert told.equal == len(set(recorded) & set(parsed))


def test_another_price_and_another_time_are_differences():
    told = compared(
        [trade(1), trade(2), trade(3)], [trade(1), trade(2, "100.6"), trade(3, "100.5", 7)]
    )
    assert told.equal == 1
    first, second, third = (one.what for one in told.differences)
    assert (first, second) == ("only parsed", "only recorded")
    assert third.startswith("ts_event")


def test_the_recorder_s_own_clears_are_none_but_more_than_it_wrote_are():
    clear = OrderBookDelta.clear(IID, 1, T0, T0)
    assert compared([clear, clear], [clear]).difference_count == 0
    (told,) = compared([clear], [clear, clear]).differences
    assert told.row == "2 CLEARs parsed, 1 recorded"
