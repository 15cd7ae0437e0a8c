"""What the venue's lists prove, and what they don't: pages, totals, ids, times, fees."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.base.transport import HttpResponse
from fairlead.adapters.zerocap.config import ZerocapMarket, ZerocapOptions
from fairlead.adapters.zerocap.orders import is_echo, owner_of
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    Found,
    Kind,
    Lost,
    OrderState,
    Refused,
    Side,
    Unknown,
    Unsure,
    VenueUnavailable,
)
from tests.venues.zerocap.test_orders import BOTH, NONE, USDT, Desk, intent, ref, sent

D = Decimal
Change = Callable[[dict[str, Any], dict[str, Any]], Any]  # (asked, told): changes what is told


class Changed:
    """A transport whose answers are changed: those of lists, and those of creates."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.listed: Change | None = None
        self.created: Change | None = None
        self.lists = 0

    async def request(self, request: Any) -> HttpResponse:
        response: HttpResponse = await self._inner.request(request)
        change = None
        if request.url.endswith("/fetch_orders"):
            self.lists += 1
            change = self.listed
        elif request.url.endswith("/create_order"):
            change = self.created
        if change is None:
            return response
        told = json.loads(response.body)
        status = change(json.loads(request.body), told) or response.status
        return HttpResponse(status=status, body=json.dumps(told).encode())

    async def close(self) -> None:
        await self._inner.close()


async def changing(dialect: Any, **options: Any) -> tuple[Desk, Changed]:
    desk = Desk(dialect, **options)
    http: Any = desk.adapter.http
    http._transport = changed = Changed(http._transport)
    return await desk.connected(), changed


async def looked(desk: Desk, *names: str) -> list[Any]:
    lost = [Lost(intent(client_order_id=n), NONE, time.time_ns() - 10**9, 0) for n in names]
    found: list[Any] = await desk.orders.find_all(lost)
    return found


def held(balances: Any) -> dict[str, Decimal]:
    return {one.currency: one.free for one in balances}


def truth(desk: Desk) -> dict[str, Decimal]:
    told = desk.sim.exchange.ledger.balances("main")
    return {currency: told[currency].free for currency in ("USDT", "AUD")}


# -- pages -----------------------------------------------------------------------------------------


def pages_from(first: int, size: int, *, refuses: bool = False) -> Change:
    """A venue whose first page is `first`, with `size` orders on each."""

    def change(asked: dict[str, Any], told: dict[str, Any]) -> Any:
        begin = (asked["page"] - first) * size
        told["order_list"] = everything[begin : begin + size] if begin >= 0 else []
        told["total"] = len(everything)
        return 422 if refuses and begin < 0 else None

    everything: list[Any] = []
    change.everything = everything  # type: ignore[attr-defined]
    return change


@BOTH
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("size", [1, 2, 500])
async def test_a_list_is_read_whole_from_whichever_page_the_venue_counts(
    dialect: Any, first: int, refuses: bool, size: int
) -> None:
    desk, changed = await changing(dialect)
    names = [f"c-{number}" for number in range(3)]
    for name in names:
        await sent(desk, intent(client_order_id=name))
    whole: dict[str, Any] = {}
    changed.listed = lambda _, told: whole.update(told)
    await looked(desk, "any")
    pages = pages_from(first, size, refuses=refuses)
    pages.everything.extend(whole["order_list"])  # type: ignore[attr-defined]
    changed.listed = pages
    assert [type(one) for one in await looked(desk, *names)] == [Found] * 3
    assert [type(one) for one in await looked(desk, "other")] == [Absent]
    if dialect == "A":
        assert held(await desk.orders.balances()) == truth(desk)


@BOTH
async def test_pages_0_and_1_may_be_the_same(dialect: Any) -> None:
    desk, changed = await changing(dialect)
    names = ["c-0", "c-1", "c-2"]
    for name in names:
        await sent(desk, intent(client_order_id=name))
    await looked(desk, "any")
    assert changed.lists == 1, "one page tells all"
    everything: list[Any] = []

    def same(asked: dict[str, Any], told: dict[str, Any]) -> None:
        everything[:] = everything or told["order_list"]
        begin = max(0, asked["page"] - 1)
        told["order_list"] = everything[begin : begin + 1]

    changed.listed = lambda _, told: everything.extend(told["order_list"])
    await looked(desk, "any")
    changed.listed = same
    assert [type(one) for one in await looked(desk, *names)] == [Found] * 3


@BOTH
async def test_a_list_of_which_less_is_seen_than_there_is_proves_nothing(dialect: Any) -> None:
    """Its answer lost, an order was taken for refused and was bought again."""
    desk, changed = await changing(dialect)
    order = await sent(desk, intent())

    def empty(asked: dict[str, Any], told: dict[str, Any]) -> None:
        told["order_list"] = []

    changed.listed = empty
    (found,) = await looked(desk, intent().client_order_id)
    assert isinstance(found, Unsure)
    assert "INCOMPLETE" in found.reason
    assert not found.ambiguous
    with pytest.raises(VenueUnavailable, match="INCOMPLETE"):
        await desk.orders.orders([ref(order.venue_order_id)])
    if dialect == "A":
        with pytest.raises(VenueUnavailable, match="INCOMPLETE"):
            await desk.orders.balances()
    changed.listed = lambda _, told: told.update(total=None)
    assert isinstance((await looked(desk, "other"))[0], Unsure), "no total is told"
    changed.listed = lambda _, told: told.update(total=40)
    with pytest.raises(VenueUnavailable, match="INCOMPLETE"):
        await desk.orders.open_orders([USDT])
    (one,) = await desk.orders.orders([ref(order.venue_order_id)])
    assert one.state is OrderState.FILLED, "the one that is asked for is there"


# -- ids -------------------------------------------------------------------------------------------


@BOTH
async def test_rows_are_told_apart_by_either_name_of_their_id(dialect: Any) -> None:
    desk, changed = await changing(dialect)
    names = ["y-0", "y-1", "y-2"]
    ids = [(await sent(desk, intent(client_order_id=name))).venue_order_id for name in names]

    def renamed(asked: dict[str, Any], told: dict[str, Any]) -> None:
        for row in told["order_list"]:
            row["order_id"] = row.pop("id")

    changed.listed = renamed
    found = await looked(desk, *names)
    assert [one.order.venue_order_id for one in found] == ids
    assert [one.venue_order_id for one in await desk.orders.orders([ref(ids[1])])] == [ids[1]]

    def nameless(asked: dict[str, Any], told: dict[str, Any]) -> None:
        for row in told["order_list"]:
            row.pop("id")

    changed.listed = nameless
    assert [type(one) for one in await looked(desk, *names)] == [Unsure] * 3


@BOTH
@pytest.mark.parametrize("suffix", ["", "be"])
async def test_an_id_that_begins_another_is_not_that_one(dialect: Any, suffix: str) -> None:
    desk, _ = await changing(dialect, sim={"id_suffix": suffix})
    order = await sent(desk, intent(client_order_id="O-1-12"))
    first, second = await looked(desk, "O-1-1", "O-1-12")
    assert isinstance(first, Absent)
    assert second.order.venue_order_id == order.venue_order_id
    assert isinstance((await looked(desk, "O-1-1"))[0], Absent), "sent before, and not lost"
    await sent(desk, intent(client_order_id="O-1-1"))
    both = await looked(desk, "O-1-1", "O-1-12")
    assert len({one.order.venue_order_id for one in both}) == 2


def test_the_owner_of_an_echo_is_the_longest_that_was_sent() -> None:
    names = {"a-1", "a-12", "a-12-r01"}
    told = ["a-1", "a-12", "a-12be", "a-1be", "a-12-r01", "a-12-r01be", "a", "b", ""]
    owners = ["a-1", "a-12", "a-12", "a-1", "a-12-r01", "a-12-r01", None, None, None]
    assert [owner_of(one, names) for one in told] == owners
    assert is_echo("a-12", "a-1"), "by itself it may be one"


async def test_an_answer_of_another_order_proves_nothing() -> None:
    desk, changed = await changing("C")
    await sent(desk, intent(client_order_id="O-1-12"))
    changed.created = lambda _, told: told.update(client_order_id="O-1-12")
    assert isinstance(await sent(desk, intent(client_order_id="O-1-1")), Unknown)


# -- dialect A's balances --------------------------------------------------------------------------


def without_trades(asked: dict[str, Any], told: dict[str, Any]) -> None:
    for row in told.get("order_list", [told]):
        row["trades"] = []


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
async def test_what_is_filled_is_booked_though_no_trade_is_told(side: Side) -> None:
    desk, changed = await changing("A")
    price = D("1.9") if side is Side.BUY else D("0.9")
    changed.created = changed.listed = without_trades
    await sent(desk, intent(side=side, price=price))
    for _ in range(2):
        assert held(await desk.orders.balances()) == truth(desk)
    changed.listed = None  # now it tells them
    assert held(await desk.orders.balances()) == truth(desk)


async def test_executions_of_two_orders_under_one_id_are_both_booked() -> None:
    desk, changed = await changing("A")

    def same_id(asked: dict[str, Any], told: dict[str, Any]) -> None:
        for row in told.get("order_list", [told]):
            for trade in row["trades"]:
                trade["id"] = "one"

    changed.created = changed.listed = same_id
    for number in range(2):
        await sent(desk, intent(client_order_id=f"c-{number}"))
    assert held(await desk.orders.balances()) == truth(desk)


@pytest.mark.parametrize("name", ["trade", "order"])
async def test_a_fee_that_is_told_is_paid(name: str) -> None:
    desk, changed = await changing("A")

    def fee(asked: dict[str, Any], told: dict[str, Any]) -> None:
        for row in told.get("order_list", [told]):
            for one in row["trades"] if name == "trade" else [row]:
                one["fee"] = "0.75"

    changed.created = changed.listed = fee
    order = await sent(desk, intent())
    (fill,) = await desk.orders.fills([ref(order.venue_order_id)], 0)
    assert (fill.fee, fill.fee_currency) == (D("0.75"), "AUD")
    paid = truth(desk)
    paid["AUD"] -= D("0.75")
    assert held(await desk.orders.balances()) == paid


async def test_a_fee_that_the_list_tells_later_is_paid_once() -> None:
    desk, changed = await changing("A")
    await sent(desk, intent())
    changed.listed = lambda _, told: [row.update(fee="0.75") for row in told["order_list"]] and None
    paid = truth(desk)
    paid["AUD"] -= D("0.75")
    for _ in range(2):
        assert held(await desk.orders.balances()) == paid


async def test_one_time_that_is_far_ahead_hides_nothing_that_comes_later() -> None:
    desk, changed = await changing("A")
    desk.sim.deal_by_hand("USDT/AUD", Side.BUY, D(100))

    def far(asked: dict[str, Any], told: dict[str, Any]) -> None:
        told["order_list"][0]["timestamp"] = "8900000000000"

    changed.listed = far
    await desk.orders.balances()
    changed.listed = None
    desk.sim.deal_by_hand("USDT/AUD", Side.BUY, D(500))
    assert held(await desk.orders.balances()) == truth(desk)


# -- dialect C's market orders ---------------------------------------------------------------------


@pytest.mark.parametrize("slippage", ["1", "1.5", "2", "-0.5", "NaN", "Infinity"])
def test_a_slippage_is_a_part_of_1(slippage: str) -> None:
    with pytest.raises(ValueError, match="market_slippage: expected 0 to less than 1"):
        ZerocapOptions(dialect="C", market_slippage=D(slippage))


def test_amounts_of_the_config_are_no_debts() -> None:
    with pytest.raises(ValueError, match="balances"):
        ZerocapOptions(balances={"AUD": D(-1)})
    facts: dict[str, Any] = {"symbol": "A/B", "price_precision": 2, "quantity_precision": 2}
    with pytest.raises(ValueError, match="min_quantity"):
        ZerocapMarket(**facts, min_quantity=D(-1))
    with pytest.raises(ValueError, match="max_quantity"):
        ZerocapMarket(**facts, min_quantity=D(2), max_quantity=D(1))


async def test_why_a_market_order_has_no_limit_is_told() -> None:
    desk = await Desk("C", market_slippage=D("0.9999")).connected()
    market = intent(kind=Kind.MARKET, price=None, side=Side.SELL)
    refused = await sent(desk, market)
    assert isinstance(refused, Refused)
    assert refused.code == "ZEROCAP-NO-LADDER"
    desk.shown()
    assert isinstance(await sent(desk, market), Accepted)
    coarse = ZerocapMarket(symbol="USDT/AUD", price_precision=0, quantity_precision=2)
    desk = await Desk("C", market_slippage=D("0.9"), markets=(coarse,)).connected()
    desk.shown()
    refused = await sent(desk, market)
    assert isinstance(refused, Refused)
    assert refused.code == "ZEROCAP-NO-LIMIT"
