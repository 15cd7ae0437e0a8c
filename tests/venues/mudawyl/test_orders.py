"""Orders through the adapter at the simulated gateway: brackets, the clearing, what was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.venue import VenueError
from fairlead.adapters.mudawyl.orders import AGREED_SECS
from fairlead.adapters.mudawyl.venue import CAPABILITIES, SPEC
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    Lost,
    OrderState,
    Refused,
    Role,
    Side,
    Tif,
    TriggerCondition,
    Unknown,
)
from fairlead.engine.secrets import Secret
from tests.venues.mudawyl.trading_kit import (
    BTC,
    ETH,
    MARKETS,
    World,
    bracket,
    entry,
    leaving,
    ref,
    stop,
    target,
    world,
)

NONE: frozenset[str] = frozenset()
D = Decimal


async def refused(made: World, *intents: Intent) -> str:
    """The one code of all outcomes."""
    outcomes = await made.submit(*intents)
    assert all(isinstance(outcome, Refused) for outcome in outcomes), outcomes
    (code,) = {outcome.code for outcome in outcomes if isinstance(outcome, Refused)}
    return code


# -- connecting ------------------------------------------------------------------------------------


async def test_the_markets_are_the_configs() -> None:
    made = await world()
    assert set(made.adapter.instruments) == {BTC, ETH}
    facts = made.adapter.instruments[BTC]
    assert (facts.price_precision, facts.size_precision, facts.taker_fee) == (1, 3, D("0.0004"))
    assert SPEC.capabilities is CAPABILITIES
    assert made.adapter.private_stream() is None


async def test_leverage_and_margin_type_are_set_at_the_start() -> None:
    market = msgspec.structs.replace(MARKETS[0], leverage=7, margin_type="ISOLATED")
    made = World(markets=(market, MARKETS[1]))
    await made.adapter.connect(trading=True)
    holding = made.sim.holdings["BTC/USDT"]
    assert (holding.leverage, holding.is_isolated) == (7, True)
    assert len(made.wire.changes()) == 2
    silent = World(markets=(market, MARKETS[1]), has_person=False)
    with pytest.raises(VenueError, match="reCAPTCHA"):
        await silent.adapter.connect(trading=True)
    assert silent.wire.changes() == []


@pytest.mark.parametrize("name", ["Spot", "Automated", "nothing"])
async def test_a_key_that_can_not_trade_is_refused_at_the_start(name: str) -> None:
    made = World()
    ids = {key.name: key.id for key in made.sim.keys.values()}
    other = World(key_id=ids.get(name, "b9f67eb2-1d6e-4a47-a735-d0d9039c9b08"))
    with pytest.raises(VenueError) as caught:
        await other.adapter.connect(trading=True)
    assert caught.value.code == "MUDAWYL-KEY"


async def test_a_key_that_the_exchange_refuses_or_a_strategy_trades_with_is_told() -> None:
    made = World()
    made.sim.control({"exchange": "refuses"})
    with pytest.raises(VenueError, match="UNAUTHORIZED"):
        await made.adapter.connect(trading=True)
    made.sim.control({"exchange": "accepts"})
    headers = ("POST", f"/v1/priv/strategy/follow/exchange/key/{made.desk.key}")
    chosen = {
        "strategyAutomatedId": made.sim.strategies[0].id,
        "strategyRiskProfileId": made.sim.risks[0].id,
    }
    made.desk.ok(*headers, chosen)
    with pytest.raises(VenueError, match="trades BTC/USDT with the key") as caught:
        await made.adapter.connect(trading=True)
    assert caught.value.code == "MUDAWYL-FOLLOWED"


async def test_a_market_that_is_not_configured_is_told() -> None:
    made = World(markets=MARKETS[:1])
    with pytest.raises(VenueError, match="did you mean BTC_USDT") as caught:
        await made.adapter.connect(trading=False)
    assert caught.value.code == "MUDAWYL-UNKNOWN-MARKET"
    with pytest.raises(VenueError, match="option markets"):
        await World(markets=()).adapter.connect(trading=False)


# -- submit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
async def test_a_market_order_is_filled_when_it_is_answered(side: Side) -> None:
    made = await world()
    (order,) = await made.accepted(entry(side=side))
    assert (order.state, order.filled, order.kind) == (OrderState.FILLED, D("0.05"), Kind.MARKET)
    assert made.held() == (D("0.05") if side is Side.BUY else D("-0.05"))
    assert len(made.wire.changes()) == 1


@pytest.mark.parametrize("side", list(Side))
async def test_a_limit_order_rests(side: Side) -> None:
    price = D(50000) if side is Side.BUY else D(70000)
    made = await world()
    (order,) = await made.accepted(entry(side=side, kind=Kind.LIMIT, price=price))
    assert (order.state, order.price, order.filled) == (OrderState.OPEN, price, 0)
    (listed,) = await made.orders.open_orders([BTC, ETH])
    assert (listed.venue_order_id, listed.kind) == (order.venue_order_id, Kind.LIMIT)


async def test_a_bracket_is_one_request_and_its_legs_are_bound_by_kind_and_price() -> None:
    made = await world()
    first, low, high, stopping = await made.accepted(*bracket())
    assert len(made.wire.changes()) == 1
    assert first.state is OrderState.FILLED
    assert [(o.client_order_id, o.price, o.state) for o in (low, high)] == [
        ("C-2", D(60500), OrderState.OPEN),
        ("C-3", D(61000), OrderState.OPEN),
    ]
    assert (stopping.kind, stopping.state) == (Kind.STOP_LIMIT, OrderState.WAITING)
    assert (stopping.trigger_price, stopping.price) == (D(59000), D(58900))
    listed = {o.venue_order_id: o for o in await made.orders.open_orders([BTC])}
    assert set(listed) == {o.venue_order_id for o in (low, high, stopping)}
    told = listed[stopping.venue_order_id]
    assert (told.kind, told.trigger_condition) == (Kind.STOP_LIMIT, TriggerCondition.LTE)


async def test_targets_are_bound_by_price_whatever_their_order() -> None:
    made = await world()
    _, high, low, _ = await made.accepted(entry(1), target(2, "61000"), target(3, "60500"), stop(4))
    assert (high.client_order_id, high.price) == ("C-2", D(61000))
    assert (low.client_order_id, low.price) == ("C-3", D(60500))


async def test_a_bracket_of_a_short() -> None:
    made = await world()
    buy = {"side": Side.BUY}
    orders = await made.accepted(
        entry(1, side=Side.SELL),
        target(2, "59000", "0.05", **buy),
        stop(3, "61000", "61100", **buy),
    )
    assert [o.side for o in orders] == [Side.SELL, Side.BUY, Side.BUY]
    (listed,) = [o for o in await made.orders.open_orders([BTC]) if o.kind is Kind.STOP_LIMIT]
    assert listed.trigger_condition is TriggerCondition.GTE


@pytest.mark.parametrize(
    "intents",
    [
        (entry(time_in_force=Tif.IOC, kind=Kind.LIMIT, price=D(60000)),),
        (entry(post_only=True, kind=Kind.LIMIT, price=D(60000)),),
        (entry(kind=Kind.LIMIT),),
        (entry(kind=Kind.STOP_LIMIT, price=D(1), trigger_price=D(1)),),
        (entry(), target(2, "60500", "0.05", side=Side.BUY)),
        (entry(), target(2, "60500"), target(3, "60500")),
        (entry(), target(2, "60500", "0.02"), target(3, "60600", "0.03")),
        (entry(), *(target(n, str(60000 + n), "0.002") for n in range(2, 28))),
        (entry(), stop(2), stop(3)),
        (entry(), stop(2, kind=Kind.STOP_MARKET)),
        (entry(), stop(2, trigger_condition=TriggerCondition.GTE)),
        (entry(), stop(2, quantity=D("0.01"))),
        (entry(), target(2, "60500", "0.05", kind=Kind.MARKET)),
    ],
)
async def test_what_the_gateway_can_not_do_is_refused_by_name_and_not_sent(
    intents: tuple[Intent, ...],
) -> None:
    made = await world()
    assert await refused(made, *intents) == "MUDAWYL-UNSUPPORTED"
    assert made.wire.sent == []


@pytest.mark.parametrize("exit_", [target(1, "60500"), stop(1), target(1, "1", role=Role.EXIT)])
async def test_an_exit_on_its_own_is_refused(exit_: Intent) -> None:
    made = await world()
    assert await refused(made, exit_) == "MUDAWYL-LONE-EXIT"
    assert made.wire.sent == []


async def test_without_a_provider_of_captchas_no_order_leaves() -> None:
    made = await world(has_person=False)
    assert await refused(made, *bracket()) == "MUDAWYL-NO-CAPTCHA"
    assert made.wire.sent == []
    with pytest.raises(VenueError, match="reCAPTCHA"):
        await made.orders.flatten(BTC)
    assert made.wire.sent == []


async def test_an_order_that_the_gateway_finds_invalid_is_refused() -> None:
    made = await world()
    made.sim.control({"exchange": "refuses"})
    assert await refused(made, entry()) == "MUDAWYL-NOT-READ"
    assert made.wire.changes() == []


# -- the clearing ----------------------------------------------------------------------------------


async def test_a_second_order_is_refused_while_something_is_there() -> None:
    made = await world()
    await made.accepted(entry(1))
    assert await refused(made, entry(2)) == "MUDAWYL-CLEARING"
    assert len(made.wire.changes()) == 1
    assert made.held() == D("0.05")


def while_asked(made: World, meanwhile: Callable[[], object]) -> None:
    """The person's word takes long, and something happens by hand in that time."""
    given = made.adapter.http.permit

    async def late(what: str) -> Secret:
        meanwhile()
        await asyncio.sleep(2 * AGREED_SECS)
        return await given(what)

    made.adapter.http.permit = late  # type: ignore[method-assign]


async def test_what_is_opened_by_hand_while_a_person_is_asked_is_not_cleared() -> None:
    made = await world()
    while_asked(made, made.desk.bracket)
    assert await refused(made, entry()) == "MUDAWYL-CLEARING"
    assert made.wire.changes() == []
    assert made.held() == D("0.05")


async def test_what_is_bought_by_hand_while_a_person_is_asked_is_not_sold() -> None:
    made = await world()
    await made.accepted(entry())
    made.wire.sent.clear()
    while_asked(made, lambda: made.sim.clear("BTC/USDT"))
    assert await refused(made, leaving()) == "MUDAWYL-LONE-EXIT"
    assert made.wire.changes() == []


async def test_so_is_one_beside_an_order_that_rests_also_in_another_market() -> None:
    made = await world()
    await made.accepted(entry(1, kind=Kind.LIMIT, price=D(50000)))
    assert await refused(made, entry(2)) == "MUDAWYL-CLEARING"
    assert await refused(made, entry(3, instrument=ETH, quantity=D(1))) == "MUDAWYL-CLEARING"
    assert made.open() == ["limit"]


async def test_two_entries_of_one_list_are_two_requests_and_the_second_is_refused() -> None:
    made = await world()
    first, second = await made.submit(entry(1), entry(2))
    assert isinstance(first, Accepted)
    assert isinstance(second, Refused)
    assert second.code == "MUDAWYL-CLEARING"


async def test_the_config_may_allow_the_clearing_of_orders_and_never_of_a_position() -> None:
    """What sells a position then is no order of ours: nothing would book it."""
    made = await world(clearing="allow")
    await made.accepted(entry(6, kind=Kind.LIMIT, price=D(50000)))
    await made.accepted(*bracket())
    assert (made.held(), "limit" in made.open()) == (D("0.05"), False)
    made.wire.sent.clear()
    selling = entry(5, side=Side.SELL, quantity=D("0.01"))
    assert await refused(made, selling) == "MUDAWYL-CLEARING"
    other = entry(7, instrument=ETH, quantity=D(1))
    assert await refused(made, other) == "MUDAWYL-CLEARING"
    assert (made.held(), made.wire.changes()) == (D("0.05"), [])


async def test_what_is_there_must_be_known_before_an_order_goes() -> None:
    made = await world()
    made.wire.fails_reads = True
    assert await refused(made, entry()) == "MUDAWYL-NOT-READ"
    assert made.wire.changes() == []


# -- a leg that fails ------------------------------------------------------------------------------


async def test_a_target_that_the_exchange_refuses_is_told() -> None:
    made = await world()
    made.sim.control({"fail": "target"})
    first, low, high, stopping = await made.submit(*bracket())
    assert isinstance(low, Refused)
    assert low.code == "MUDAWYL-LEG-MISSING"
    assert all(isinstance(each, Accepted) for each in (first, high, stopping))
    assert made.held() == D("0.05")


async def test_an_entry_without_its_stop_is_told_by_name() -> None:
    made = await world()
    made.sim.control({"fail": "stop"})
    *others, stopping = await made.submit(*bracket())
    assert isinstance(stopping, Refused)
    assert stopping.code == "MUDAWYL-STOP-MISSING"
    assert all(isinstance(each, Accepted) for each in others)
    assert made.held() == D("0.05")
    assert len(made.wire.changes()) == 1


# -- a market exit ---------------------------------------------------------------------------------


async def test_a_market_exit_of_the_whole_position_is_the_gateways_call_and_ends_its_orders() -> (
    None
):
    made = await world()
    await made.accepted(*bracket())
    made.wire.sent.clear()
    (closed,) = await made.accepted(leaving())
    assert made.wire.changes() == [f"DELETE /priv/exchange/position/{made.desk.key}"]
    assert (closed.state, closed.filled) == (OrderState.FILLED, D("0.05"))
    assert (made.held(), made.open()) == (0, [])
    (fill,) = await made.orders.fills([ref(closed.venue_order_id)], 0)
    assert (fill.side, fill.quantity) == (Side.SELL, D("0.05"))


async def test_one_that_asks_for_more_closes_what_is_there() -> None:
    """A target has filled meanwhile: the exit is told with what it closed, and is over."""
    made = await world()
    await made.accepted(*bracket())
    (closed,) = await made.accepted(leaving("0.06"))
    (told,) = await made.orders.orders([ref(closed.venue_order_id)])
    assert (told.quantity, told.filled) == (D("0.06"), D("0.05"))
    assert told.state.is_terminal


@pytest.mark.parametrize(
    "fields", [{"quantity": D("0.04")}, {"side": Side.BUY}, {"kind": Kind.LIMIT, "price": D(60000)}]
)
async def test_any_other_exit_is_refused_and_nothing_is_closed(fields: dict[str, Any]) -> None:
    made = await world()
    await made.accepted(*bracket())
    made.wire.sent.clear()
    assert await refused(made, leaving(**fields)) == "MUDAWYL-LONE-EXIT"
    assert (made.wire.changes(), made.held()) == ([], D("0.05"))


@pytest.mark.parametrize("loses", ["answer", "request"])
async def test_a_market_exit_whose_answer_is_lost_is_found_or_absent(loses: str) -> None:
    made = await world()
    await made.accepted(*bracket())
    made.wire.loses = loses
    (outcome,) = await made.submit(leaving())
    assert isinstance(outcome, Unknown)
    (found,) = await made.orders.find_all([Lost(leaving(), NONE, made.desk.now_ns)])
    assert isinstance(found, Found if loses == "answer" else Absent)
    assert made.held() == (0 if loses == "answer" else D("0.05"))


async def test_a_bracket_that_is_told_as_refused_is_unknown_and_found() -> None:
    made = await world(venue={"partial": "error"})
    made.sim.control({"fail": "stop"})
    intents = bracket()
    outcomes = await made.submit(*intents)
    assert all(isinstance(outcome, Unknown) for outcome in outcomes)
    found = await made.orders.find_all([Lost(i, NONE, made.desk.now_ns) for i in intents])
    assert [type(each) for each in found] == [Found, Found, Found, Absent]
    # The position is explained by the entry, also once that is known to be the entry.
    known = frozenset(each.order.venue_order_id for each in found if isinstance(each, Found))
    (missing,) = await made.orders.find_all([Lost(intents[3], known, made.desk.now_ns)])
    assert isinstance(missing, Absent)


async def test_an_order_that_closes_the_position_is_told_when_it_ends() -> None:
    made = await world()
    wanted = msgspec.structs.replace(stop(2), kind=Kind.STOP_MARKET, price=None)
    _, stopping = await made.accepted(entry(1), wanted)
    await made.orders.flatten(BTC)
    (told,) = await made.orders.orders([ref(stopping.venue_order_id)])
    assert (told.state, told.quantity, told.filled) == (OrderState.CANCELED, D("0.05"), 0)


# -- cancel, states, executions, balances ----------------------------------------------------------


async def test_a_single_cancel_is_refused_by_name() -> None:
    made = await world()
    (order,) = await made.accepted(entry(kind=Kind.LIMIT, price=D(50000)))
    (outcome,) = await made.orders.cancel([ref(order.venue_order_id)])
    assert isinstance(outcome, CancelRefused)
    assert outcome.code == "MUDAWYL-NO-CANCEL"
    assert made.open() == ["limit"]
    assert isinstance(await made.orders.replace(ref("1"), entry(2)), Refused)


async def test_flatten_is_a_call_of_its_own() -> None:
    made = await world()
    await made.accepted(*bracket())
    await made.orders.flatten(BTC)
    assert (made.held(), made.open()) == (0, [])


async def test_states_and_executions_follow_what_happens() -> None:
    made = await world()
    orders = await made.accepted(*bracket())
    refs = [ref(order.venue_order_id) for order in orders]
    made.desk.move("60510")  # the first target
    made.desk.move("58950")  # the stop
    states = {o.venue_order_id: o for o in await made.orders.orders(refs)}
    first, low, high, stopping = (states[order.venue_order_id] for order in orders)
    assert [o.state for o in (first, low)] == [OrderState.FILLED] * 2
    assert (low.kind, low.filled, low.price) == (Kind.LIMIT, D("0.025"), D(60500))
    assert (high.state, high.filled) == (OrderState.EXPIRED, 0)
    assert (stopping.kind, stopping.filled, stopping.triggered) == (
        Kind.STOP_LIMIT,
        D("0.025"),
        True,
    )
    fills = await made.orders.fills(refs, 0)
    assert sum(f.quantity for f in fills if f.side is Side.BUY) == D("0.05")
    assert sum(f.quantity for f in fills if f.side is Side.SELL) == D("0.05")
    assert len({f.trade_id for f in fills}) == len(fills)
    taken = made.sim.exchange.ledger.fills("main")
    assert sum(f.fee for f in fills) == sum(f.fee for f in taken)


async def test_a_stop_that_closes_the_position_has_its_quantity() -> None:
    made = await world()
    made.desk.bracket(stopTriggerType="MARKET")
    listed = {o.kind: o for o in await made.orders.open_orders([BTC])}
    assert listed[Kind.STOP_MARKET].quantity == D("0.05")
    assert listed[Kind.STOP_MARKET].state is OrderState.WAITING


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("side", list(Side))
async def test_a_stop_to_market_is_bound_waits_and_fires(closes: bool, side: Side) -> None:
    made = await world(venue={"market_stop_closes": closes})
    other = Side.SELL if side is Side.BUY else Side.BUY
    trigger = "59000" if side is Side.BUY else "61000"
    wanted = stop(2, trigger, side=other, kind=Kind.STOP_MARKET)
    wanted = msgspec.structs.replace(wanted, price=None)
    first, stopping = await made.accepted(entry(1, side=side), wanted)
    assert (stopping.kind, stopping.state) == (Kind.STOP_MARKET, OrderState.WAITING)
    assert (stopping.trigger_price, stopping.quantity) == (D(trigger), D("0.05"))
    (listed,) = await made.orders.open_orders([BTC])
    assert listed.trigger_condition is (
        TriggerCondition.LTE if side is Side.BUY else TriggerCondition.GTE
    )
    assert listed.price is None
    made.desk.move("58900" if side is Side.BUY else "61100")
    (told,) = await made.orders.orders([ref(stopping.venue_order_id)])
    assert (told.kind, told.state, told.triggered) == (Kind.STOP_MARKET, OrderState.FILLED, True)
    assert made.held() == 0
    assert first.state is OrderState.FILLED


@pytest.mark.parametrize("shape", ["zero", "nulls", "empty"])
@pytest.mark.parametrize("side", list(Side))
async def test_balances_add_up_to_the_executions(shape: str, side: Side) -> None:
    """What the comparison of the journal with the account goes by, positions included."""
    made = await world(venue={"flat_position": shape})
    orders = await made.accepted(entry(1, side=side))
    fills = await made.orders.fills([ref(o.venue_order_id) for o in orders], 0)
    sign = 1 if side is Side.BUY else -1
    paid = sum((sign * f.quantity * f.price + f.fee for f in fills), D(0))
    totals = {b.currency: b.free + b.locked for b in await made.orders.balances()}
    assert totals["BTC"] == sign * D("0.05")
    assert totals["USDT"] == 10_000 - paid
    await made.orders.flatten(BTC)
    after = {b.currency: b.free for b in await made.orders.balances()}
    assert after["BTC"] == 0
    assert after["USDT"] == made.sim.wallet()


async def test_market_data_is_refused_by_name() -> None:
    made = await world()
    data = made.adapter.market_data
    with pytest.raises(VenueError, match="no public trades"):
        await data.history_trades(BTC, None, None, 0)
    with pytest.raises(VenueError, match="no book"):
        await data.book_snapshot(BTC, 0)
    with pytest.raises(VenueError, match="no bars"):
        await data.history_bars(f"{BTC}-1-MINUTE-LAST-EXTERNAL", None, None, 0)


async def test_what_was_asked_for_is_known_after_a_restart_of_a_stop_that_has_no_amount() -> None:
    """While its entry rests there is no position either, from which it could be told."""
    made = await world(venue={"market_stop_closes": True})
    first = entry(1, kind=Kind.LIMIT, price=D(59_000))
    wanted = stop(2, "58000", kind=Kind.STOP_MARKET, price=None)
    _, stopping = await made.accepted(first, wanted)
    made.orders._quantities.clear()  # as of a process that was just started
    asked = msgspec.structs.replace(ref(stopping.venue_order_id), quantity=D("0.05"))
    (told,) = await made.orders.orders([asked])
    assert (told.state, told.quantity, told.filled) == (OrderState.WAITING, D("0.05"), 0)
    (listed,) = [o for o in await made.orders.open_orders([BTC]) if o.kind is Kind.STOP_MARKET]
    assert listed.venue_order_id == stopping.venue_order_id
