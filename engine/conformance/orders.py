"""Cards of orders. First of all: a create whose answer is lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from msgspec.structs import replace

from fairlead.adapters.simulation.faults import HttpFault, WsFault
from fairlead.adapters.simulation.orders import SimOrder, Status
from fairlead.engine.conformance.card import Card, all_of, cancels, rests
from fairlead.engine.conformance.stage import Stage, with_tif
from fairlead.engine.conformance.verdict import Broken, require
from fairlead.engine.orders.model import Capabilities, Kind, Role, Side, Tif
from fairlead.engine.orders.trigger import fired_kind
from fairlead.engine.risk.facts import OrderFacts

EXECUTED = (
    HttpFault.LOSE_ANSWER,
    HttpFault.HANG_ANSWER,
    HttpFault.BAD_GATEWAY,
    HttpFault.TRUNCATED,
    HttpFault.LATE,
)
NOT_EXECUTED = (HttpFault.LOSE_REQUEST, HttpFault.HANG_REQUEST, HttpFault.UNAVAILABLE)
STOPS = frozenset({Kind.STOP_LIMIT, Kind.STOP_MARKET})
LIMITS = frozenset({Kind.LIMIT, Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED})
SLOW_SECS = 3.0
HELD_SECS = 2.0  # several prices
# The trigger from the touch, the limit from the trigger; the market goes further than the trigger,
# as a dealer quotes beside the market.
AHEAD, BEYOND, PAST = Decimal("0.002"), Decimal("0.01"), Decimal("0.003")
RESTS_AND_CANCELS = all_of(rests, cancels)
FILLS = ("FILLS", "FILLS-SUM", "FILL-VALUE", "FILL-AFTER-END", "POSITION")


async def lost_answer(stage: Stage) -> str:
    """Whatever happens between the venue's book and us: no rejection, and no second order."""
    await stage.begin()
    trader = stage.trader()
    ways = [(kind, trader.plain(stage.can, n)) for n, kind in enumerate((*EXECUTED, *NOT_EXECUTED))]
    if Kind.MARKET in stage.can.kinds:  # it is over before anybody looks
        order = trader.facts(Side.BUY, Kind.MARKET, trader.worth(Decimal(300)), None)
        ways.append((HttpFault.LOSE_ANSWER, order))
    for kind, order in ways:
        before = len(stage.at_venue())
        stage.script.on("submit", kind, secs=0.3)
        (cid,) = await stage.submit(order)
        require(stage.script.waiting == 0, f"{kind}: no request was sent for a create")
        is_there = kind in EXECUTED
        if is_there and "refused" in stage.told(cid):
            raise Broken(f"{kind}: the venue has the order, and it was told REJECTED")
        await stage.settled(cid)
        sent = len(stage.creates(cid))
        require(sent == 1, f"{kind}: {sent} requests to create one order")
        count = len(stage.at_venue()) - before
        require(count == int(is_there), f"{kind}: {count} orders at the venue for one intent")
        state, told = stage.story(cid), stage.told(cid)
        if is_there:
            require("refused" not in told, f"{kind}: the venue has it, and it ended as REJECTED")
            require("accepted" in told, f"{kind}: never told that the venue has it: {state}")
        else:
            require("accepted" not in told, f"{kind}: accepted, though the venue never had it")
            require("refused" in told, f"{kind}: never told that the venue has it not: {state}")
        await stage.end(cid)
    there = len(ways) - len(NOT_EXECUTED)
    return (
        f"{there} answers lost, each order found; {len(NOT_EXECUTED)} requests lost, each proven "
        "absent; one create an order"
    )


async def slow_answer(stage: Stage) -> str:
    """The order is pushed, polled and traded before the answer to its create comes."""
    await stage.begin()
    stage.script.on("submit", HttpFault.DELAY, secs=SLOW_SECS)
    (cid,) = await stage.submit(stage.trader().plain(stage.can))
    await stage.settled(cid)
    told = stage.told(cid)
    for name in ("submitted", "accepted"):
        count = told.count(name)
        require(count == 1, f"told {name} {count} times: {', '.join(told)}")
    require("refused" not in told, "told REJECTED, though only the answer was slow")
    await stage.end(cid)
    return f"an answer {SLOW_SECS:g} s late: accepted once"


async def rejected(stage: Stage) -> str:
    """What the venue refuses is a rejection, with the venue's reason, and is not there."""
    await stage.begin()
    order = stage.trader().plain(stage.can)
    currency = stage.instrument_quote()
    exchange, now_ns = stage.venue.exchange, stage.loop.now_ns()
    free = exchange.ledger.balance(stage.account, currency).free
    exchange.adjust(stage.account, currency, -free, Decimal(0), "withdrawn", now_ns)
    (cid,) = await stage.submit(order)
    await stage.settled(cid)
    told = stage.told(cid)
    # A venue where nothing rests may have one word for what it does not take and what it kills.
    wanted = ["refused"] if Tif.GTC in stage.can.time_in_force else ["refused", "canceled"]
    require(told[-1:][0] in wanted, f"no money: told {', '.join(told)}, not a rejection")
    require("UNKNOWN" not in stage.story(cid), "a definite no was taken for an unknown outcome")
    require(not stage.open_at_venue(), "refused, and yet open at the venue")
    codes = [name.partition(":")[2] for name in stage.trace.counts if name.startswith("refused:")]
    return f"not enough {currency}: rejected at once with {', '.join(codes) or 'a kill'}"


# -- each kind ------------------------------------------------------------------------------------


def _of_kind(kind: Kind) -> Card:
    async def play(stage: Stage) -> str:
        if kind in stage.can.held:
            return await _held(stage, kind)
        if kind is Kind.TRAILING_STOP_MARKET:
            return await _trailing(stage)
        await stage.begin()
        seen = []
        for side in (Side.BUY, Side.SELL):
            await _fund(stage)
            order = _order_of(stage, kind, side)
            (cid,) = await stage.submit(order)
            await stage.settled(cid)
            require("refused" not in stage.told(cid), f"a {kind} {side} is refused")
            _require_same(order, stage.at_venue()[-1], kind)
            seen.append(f"{side} {order.quantity} as asked")
            await stage.end(cid)
        return ", ".join(seen)

    def need(can: Capabilities) -> str:
        if can.bracket_targets and kind in STOPS:
            return "a stop goes with its entry, in one call (`bracket_targets`): orders.bracket"
        if can.takes(kind):
            return ""
        return "the venue has no such orders, and the engine holds none for it (`kinds`, `held`)"

    is_trailing = kind is Kind.TRAILING_STOP_MARKET  # there is no other kind that trails
    words = "trailing-stop" if is_trailing else kind.value.lower().replace("_", "-")
    return Card(
        f"orders.{words}", f"a {kind} order is at the venue what it was asked to be", play, need
    )


async def _trailing(stage: Stage) -> str:
    """It waits at the venue as it was asked to be; what it follows is the venue's own."""
    await stage.begin()
    for side in (Side.BUY, Side.SELL):
        trader = stage.trader()
        order = trader.facts(side, Kind.TRAILING_STOP_MARKET, trader.worth(Decimal(100)), None)
        begin = trader.near(side, 60.0)
        order = replace(order, trigger_price=begin, trailing_offset=Decimal(100))
        (cid,) = await stage.submit(order)
        await stage.settled(cid)
        require("refused" not in stage.told(cid), f"a trailing {side} is refused")
        listed = await stage.process.trading.orders.open_orders([stage.instrument])
        asked = (Kind.TRAILING_STOP_MARKET, side, order.quantity)
        found = [(one.kind, one.side, one.quantity) for one in listed]
        require(found == [asked], f"asked for {asked}, open are {found}")
        await stage.end(cid)
    return "BUY and SELL wait at the venue as asked"


async def bracket(stage: Stage) -> str:
    """An entry with a stop and targets in one call; then one whose answer is lost."""
    await stage.begin()
    for fault in (None, HttpFault.LOSE_ANSWER, HttpFault.LOSE_REQUEST):
        orders = _bracket(stage)
        if fault is not None:
            stage.script.on("submit", fault)
        ids = await stage.submit(*orders)
        await stage.settled(*ids)
        told = [stage.told(cid)[-1] for cid in ids]
        sent = len(stage.creates(ids[0]))
        require(sent == 1, f"{fault}: {sent} requests for one bracket")
        if fault is HttpFault.LOSE_REQUEST:
            require(set(told) == {"refused"}, f"it never arrived, and was told {', '.join(told)}")
            continue
        require("refused" not in told, f"{fault}: told {', '.join(told)}, and all of it is there")
        listed = await stage.process.trading.orders.open_orders([stage.instrument])
        found = sorted((str(o.side), o.trigger_price or o.price or 0) for o in listed)
        wanted = sorted((str(o.side), o.trigger_price or o.price or 0) for o in orders[1:])
        require(found == wanted, f"{fault}: exits {wanted} asked for, open are {found}")
        await stage.end(ids[0])
    return "entry, two targets and stop in one call; lost on the way there and back: sent once"


def _bracket(stage: Stage) -> list[OrderFacts]:
    trader = stage.trader()
    entry = trader.facts(Side.BUY, Kind.MARKET, trader.worth(Decimal(100)) * 2, None)
    over = {"parent": entry.client_order_id, "contingency": "OTO"}
    targets = [
        replace(
            trader.facts(
                Side.SELL,
                Kind.LIMIT,
                entry.quantity / 2,
                trader.near(Side.SELL, bps),
                reduce_only=True,
            ),
            role=Role.TARGET,
            **over,
        )
        for bps in (80.0, 120.0)
    ]
    trigger, worst = (trader.near(Side.BUY, bps) for bps in (80.0, 120.0))
    stop = trader.facts(
        Side.SELL, Kind.STOP_LIMIT, entry.quantity, worst, trigger_price=trigger, reduce_only=True
    )
    return [entry, *targets, replace(stop, role=Role.STOP, **over)]


async def _held(stage: Stage, kind: Kind) -> str:
    """Not at the venue before its trigger is met; then there once, as it was asked to be."""
    await stage.begin()
    for side in (Side.BUY, Side.SELL):
        await _fund(stage)
        before, is_rise = len(stage.at_venue()), (side is Side.BUY) == (kind in STOPS)
        order = _waiting(stage, kind, side, is_rise=is_rise)
        (cid,) = await stage.submit(order)
        await asyncio.sleep(HELD_SECS)
        require("HELD" in stage.story(cid), f"a {kind} {side} is not held: {stage.told(cid)}")
        require(not stage.creates(cid), f"a {kind} {side} is sent before its trigger is met")
        assert order.trigger_price is not None
        past = order.trigger_price * (1 + (PAST if is_rise else -PAST))
        await stage.move(stage.trader().to_tick(past), is_rise=is_rise)
        otherwise = f"a {kind} {side} whose trigger is met is not sent"
        await stage.until(lambda cid=cid: bool(stage.creates(cid)), otherwise)  # type: ignore[misc]
        await stage.settled(cid)
        told = ", ".join(stage.told(cid))
        require("refused" not in stage.told(cid), f"what a {kind} {side} becomes is refused")
        count = len(stage.creates(cid)), len(stage.at_venue()) - before
        require(count == (1, 1), f"(requests, orders) of one {kind}: {count}, told {told}")
        plain = fired_kind(kind)
        _require_same(replace(order, trigger_price=None), stage.at_venue()[-1], plain)
        await stage.end(cid)
    return "held by the engine: nothing is sent before its trigger, then one order as asked"


def _waiting(stage: Stage, kind: Kind, side: Side, *, is_rise: bool) -> OrderFacts:
    """An order whose trigger lies ahead, and which trades once it is met."""
    trader = stage.trader()
    touch = stage.asks()[0][0] if is_rise else stage.bids()[0][0]
    trigger = trader.to_tick(touch * (1 + (AHEAD if is_rise else -AHEAD)))
    beyond = 1 + (BEYOND if side is Side.BUY else -BEYOND)
    price = trader.to_tick(trigger * beyond) if kind in LIMITS else None
    quantity = trader.worth(Decimal(100))
    return trader.facts(side, kind, quantity, price, trigger_price=trigger)


def _of_tif(tif: Tif) -> Card:
    async def play(stage: Stage) -> str:
        """More than the book has within the limit: IOC takes what there is, FOK nothing."""
        await stage.begin()
        trader = stage.trader()
        price, size = stage.asks()[0]
        order = trader.facts(Side.BUY, Kind.LIMIT, size + trader.worth(Decimal(100)), price)
        (cid,) = await stage.submit(with_tif(order, tif))
        await stage.over(cid)
        filled = stage.at_venue()[-1].executed
        wanted = size if tif is Tif.IOC else Decimal(0)
        require(filled == wanted, f"{filled} traded of {order.quantity}, expected {wanted}")
        return f"{order.quantity} asked for, {size} there: {filled} traded, and it is over"

    def need(can: Capabilities) -> str:
        return "" if tif in can.time_in_force else "the venue has none (`time_in_force`)"

    return Card(f"orders.{tif.value.lower()}", f"{tif} orders do not rest", play, need)


async def post_only(stage: Stage) -> str:
    """One that would trade does not; one that would not rests."""
    await stage.begin()
    trader = stage.trader()
    crossing = replace(trader.resting(bps=-20.0), post_only=True)
    passive = replace(trader.resting(bps=30.0), post_only=True)
    (first,) = await stage.submit(crossing)
    (second,) = await stage.submit(passive)
    await stage.over(first)
    await stage.settled(second)
    traded = [order.id for order in stage.at_venue() if order.executed]
    require(not traded, "a post-only order took liquidity")
    require(stage.process.desk.get(second) is not None, "a passive post-only order does not rest")
    await stage.end(second)
    return f"one that would trade: {stage.told(first)[-1]}; one that would not: open"


async def replaced(stage: Stage) -> str:
    await stage.begin()
    trader = stage.trader()
    order = trader.resting()
    (cid,) = await stage.submit(order)
    await stage.settled(cid)
    price = trader.near(Side.BUY, 20.0)
    assert price is not None
    quantity = order.quantity * 2
    await stage.replace(cid, quantity, price)
    await stage.until(lambda: "replaced" in stage.told(cid), "a replacement is not told")
    live = stage.open_at_venue()
    require(len(live) == 1, f"{len(live)} orders at the venue after one was replaced")
    require(
        (live[0].price, live[0].quantity) == (price, quantity),
        f"asked for {quantity} @ {price}, open is {live[0].quantity} @ {live[0].price}",
    )
    await stage.end(cid)
    return f"{order.quantity} @ {order.price} became {quantity} @ {price}, one order"


# -- executions and cancels -----------------------------------------------------------------------


async def fills_once(stage: Stage) -> str:
    """An execution is told by pushes, again by pushes, and by polls: it is counted once."""
    await stage.begin()
    trader = stage.trader()
    order = trader.inside(Side.BUY, parts=4)
    (cid,) = await stage.submit(order)
    await stage.settled(cid)
    assert order.price is not None
    for _ in range(4):
        if stage.can.private_stream:
            stage.script.pushes.extend([WsFault.DUPLICATE] * 3)
        stage.sweep(Side.SELL, order.quantity / 4, order.price)
        await stage.process.desk.refresh()
    await stage.over(cid)
    stage.script.pushes.clear()
    await stage.stop()
    stage.require_promises(*FILLS)
    pushed = "pushed twice and polled" if stage.can.private_stream else "polled again and again"
    return f"4 executions, {pushed}: each is counted once, position as by the venue's ledger"


async def partial(stage: Stage) -> str:
    """Half of it trades, the rest is cancelled."""
    await stage.begin()
    order = stage.trader().inside(Side.BUY, parts=2)
    (cid,) = await stage.submit(order)
    await stage.settled(cid)
    assert order.price is not None
    stage.sweep(Side.SELL, order.quantity / 2, order.price)
    await stage.until(lambda: "filled" in stage.told(cid), "a partial execution is not told")
    live = stage.process.desk.get(cid)
    require(live is not None, "an order that is filled in part is taken for over")
    await stage.cancel(cid)
    await stage.over(cid)
    told = stage.told(cid)
    require(told[-2:] == ["filled", "canceled"], f"told {', '.join(told)}")
    await stage.stop()
    journaled = stage.journaled(cid)
    require(
        (journaled.state, journaled.filled) == ("CANCELED", order.quantity / 2),
        f"it ended as {journaled.state} with {journaled.filled} of {order.quantity} filled",
    )
    return f"{order.quantity / 2} of {order.quantity} traded, the rest cancelled"


async def cancel_race(stage: Stage) -> str:
    """It is executed while its cancel is on the way: it is filled, and nothing else is told."""
    await stage.begin()
    order = stage.trader().inside(Side.BUY, parts=2)
    (cid,) = await stage.submit(order)
    await stage.settled(cid)
    assert order.price is not None
    stage.begin_cancel(cid)
    stage.sweep(Side.SELL, order.quantity, order.price)
    await stage.over(cid)
    told = stage.told(cid)
    require("canceled" not in told, f"it was filled, and told {', '.join(told)}")
    await stage.stop()
    state = stage.journaled(cid)
    require(state.state == "FILLED", f"it was filled, and ended as {state.state}")
    require(state.filled == order.quantity, f"{state.filled} of {order.quantity} are booked")
    return "executed before its cancel came: filled, not cancelled"


async def cancel_lost(stage: Stage) -> str:
    """The answer to a cancel, or the cancel itself, is lost: the order is over, and told once."""
    await stage.begin()
    trader = stage.trader()
    kinds = (HttpFault.LOSE_ANSWER, HttpFault.LOSE_REQUEST, HttpFault.UNAVAILABLE)
    for number, kind in enumerate(kinds):
        (cid,) = await stage.submit(trader.resting(bps=40.0 + number))
        await stage.settled(cid)
        stage.script.on("cancel", kind)
        await stage.cancel(cid)
        require(stage.script.waiting == 0, f"{kind}: no request was sent for a cancel")
        await stage.over(cid)
        told = stage.told(cid)
        require(told.count("canceled") == 1, f"{kind}: told {', '.join(told)}")
        require(not stage.open_at_venue(), f"{kind}: told as cancelled, and open at the venue")
    return f"{len(kinds)} cancels lost on one way or the other: each order over, told once"


# -- parts ----------------------------------------------------------------------------------------


async def _fund(stage: Stage) -> None:
    """Enough to sell, as the venue and the gate know it."""
    exchange = stage.venue.exchange
    base = exchange.markets[stage.market].spec.base
    more = stage.trader().worth(Decimal(1000))
    exchange.adjust(stage.account, base, more, Decimal(0), "deposit", stage.loop.now_ns())
    process = stage.process
    process.sink.balances(await process.trading.orders.balances(), process.now_ns())


def _order_of(stage: Stage, kind: Kind, side: Side) -> OrderFacts:
    trader = stage.trader()
    quantity = trader.worth(Decimal(100))
    if kind is Kind.MARKET:
        order = trader.facts(side, kind, quantity, None)
    elif kind is Kind.LIMIT:
        if rests(stage.can):
            return trader.taking(stage.can, side=side)
        order = trader.resting(side)
    else:
        # A stop is beyond the market in its direction, one if touched on the better side of it.
        bps = -60.0 if kind in STOPS else 60.0
        trigger = trader.near(side, bps)
        price = trigger if kind in LIMITS else None
        order = trader.facts(side, kind, quantity, price, trigger_price=trigger)
    return order


def _require_same(asked: OrderFacts, there: SimOrder, kind: Kind) -> None:
    pairs: list[tuple[str, object, object]] = [("side", asked.side, there.side)]
    pairs.append(("trigger price", asked.trigger_price, there.trigger_price))
    if kind in LIMITS:  # some venues take what to spend, or a limit beyond the market
        pairs.append(("quantity", asked.quantity, there.quantity))
        pairs.append(("price", asked.price, there.price))
    elif there.status is Status.FILLED:
        pairs.append(("quantity", asked.quantity, there.executed))
    for name, wanted, came in pairs:
        require(wanted == came, f"{kind} {asked.side}: {name} {wanted} asked, {came} at the venue")


def _only_brackets(can: Capabilities) -> str:
    return "" if can.bracket_targets else "exits are sent by themselves (`bracket_targets`)"


def _refuses(can: Capabilities) -> str:
    if not can.bracket_targets:
        return ""
    return "a call makes several orders: a refusal proves nothing of each (`bracket_targets`)"


def _only_post_only(can: Capabilities) -> str:
    return rests(can) or ("" if can.post_only else "the venue has none (`post_only`)")


def _only_replace(can: Capabilities) -> str:
    return rests(can) or ("" if can.replace else "the venue replaces no order (`replace`)")


CARDS = (
    Card(
        "orders.lost-answer",
        "a create whose answer is lost is never a rejection, and never sent twice",
        lost_answer,
    ),
    Card("orders.slow-answer", "an answer that is late changes nothing", slow_answer),
    Card("orders.rejected", "what the venue refuses is a rejection", rejected, _refuses),
    *(_of_kind(kind) for kind in Kind),
    Card("orders.bracket", "an entry and its exits are one call", bracket, _only_brackets),
    *(_of_tif(tif) for tif in (Tif.IOC, Tif.FOK)),
    Card("orders.post-only", "a post-only order takes nothing", post_only, _only_post_only),
    Card("orders.replace", "a replaced order is one order", replaced, _only_replace),
    Card("orders.fills", "an execution is counted once", fills_once, rests),
    Card(
        "orders.partial",
        "what is filled in part stays open, then ends so",
        partial,
        RESTS_AND_CANCELS,
    ),
    Card("orders.cancel-race", "what is filled is not cancelled", cancel_race, RESTS_AND_CANCELS),
    Card(
        "orders.cancel-lost", "a cancel that is lost is tried again", cancel_lost, RESTS_AND_CANCELS
    ),
)
