"""A trailing stop at the simulated gateway: an entry that follows the market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.engine.orders.model import (
    Absent,
    Found,
    Kind,
    OrderState,
    Role,
    Side,
    Tif,
    Unknown,
)
from tests.venues.mudawyl.test_lost import lost
from tests.venues.mudawyl.test_orders import refused
from tests.venues.mudawyl.trading_kit import BTC, bracket, ref, stop, trailing, world

D = Decimal


@pytest.mark.parametrize(("side", "begin"), [(Side.BUY, "59000"), (Side.SELL, "61000")])
async def test_a_trailing_stop_is_an_entry_that_waits_follows_and_opens(
    side: Side, begin: str
) -> None:
    made, sign = await world(), 1 if side is Side.BUY else -1
    (waiting,) = await made.accepted(trailing(1, begin, side=side))
    assert (waiting.state, waiting.kind) == (OrderState.WAITING, Kind.TRAILING_STOP_MARKET)
    assert (waiting.trigger_price, made.open()) == (D(begin), ["trailing_stop_market"])
    (listed,) = await made.orders.open_orders([BTC])
    assert (listed.state, listed.kind) == (OrderState.WAITING, Kind.TRAILING_STOP_MARKET)
    for step in (-900, -1_100, -2_000, -1_500):
        made.desk.move(str(60_000 + sign * step))
        assert made.held() == 0
    made.desk.move(str(60_000 - sign * 1_380))  # 1 % behind the best since its begin
    assert made.held() == sign * D("0.05")
    (filled,) = await made.orders.orders([ref(waiting.venue_order_id)])
    assert (filled.state, filled.triggered) == (OrderState.FILLED, True)
    (row,) = await made.orders.fills([ref(waiting.venue_order_id)], 0)
    assert (row.side, row.quantity) == (side, D("0.05"))


async def test_its_request_is_the_documents() -> None:
    made = await world()
    await made.accepted(trailing(1, "59000", 50))
    (sent,) = [one for one in made.wire.sent if one.method == "POST"]
    body = msgspec.json.decode(sent.body or b"")
    assert (body["type"], body["price"]) == ("TRAILING_STOP", 59000)
    assert D(str(body["callbackRate"])) == D("0.5")
    assert not {"takeProfitPrices", "stopTriggerPrice", "stopPrice"} & set(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"trigger_price": None},
        {"trailing_offset": None},
        {"trailing_offset": D(9)},
        {"trailing_offset": D(501)},
        {"time_in_force": Tif.IOC},
    ],
)
async def test_what_the_gateway_could_not_follow_by_is_not_sent(fields: dict[str, Any]) -> None:
    made = await world()
    assert await refused(made, trailing(1, **fields)) == "MUDAWYL-UNSUPPORTED"
    assert made.wire.changes() == []


async def test_a_trailing_stop_takes_no_exits_and_is_none() -> None:
    made = await world()
    assert await refused(made, trailing(1), stop(2)) == "MUDAWYL-UNSUPPORTED"
    await made.accepted(*bracket())
    exit_ = trailing(9, side=Side.SELL, role=Role.STOP, reduce_only=True)
    assert await refused(made, exit_) == "MUDAWYL-LONE-EXIT"
    assert (made.held(), len(made.wire.changes())) == (D("0.05"), 1)


@pytest.mark.parametrize("loses", ["answer", "request"])
@pytest.mark.parametrize("fires", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
async def test_a_trailing_stop_whose_answer_is_lost_is_found_or_absent(
    loses: str, fires: bool, restarts: bool
) -> None:
    """Whether it has fired meanwhile or not: a row of it tells neither its offset nor its price."""
    made = await world()
    made.wire.loses = loses
    intent = trailing(1)
    (outcome,) = await made.submit(intent)
    assert isinstance(outcome, Unknown)
    for price in ("58900", "59600") if fires else ():
        made.desk.move(price)
    if restarts:
        made.orders._before.clear()
    (found,) = await made.orders.find_all(lost(made, intent))
    assert isinstance(found, Found if loses == "answer" else Absent)
    if isinstance(found, Found):
        state = OrderState.FILLED if fires else OrderState.WAITING
        assert (found.order.state, found.order.kind) == (state, Kind.TRAILING_STOP_MARKET)
