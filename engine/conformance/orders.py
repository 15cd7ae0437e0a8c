"""Cards of orders. First of all: a create whose answer is lost."""

from __future__ import annotations

from fairlead.adapters.simulation.faults import HttpFault
from fairlead.engine.conformance.card import Card
from fairlead.engine.conformance.stage import Stage
from fairlead.engine.conformance.verdict import require

EXECUTED = (
    HttpFault.LOSE_ANSWER,
    HttpFault.HANG_ANSWER,
    HttpFault.BAD_GATEWAY,
    HttpFault.TRUNCATED,
    HttpFault.LATE,
)
NOT_EXECUTED = (HttpFault.LOSE_REQUEST, HttpFault.HANG_REQUEST, HttpFault.UNAVAILABLE)


async def lost_answer(stage: Stage) -> str:
    """Whatever happens between the venue's book and us: no rejection, and no second order."""
    await stage.begin()
    trader = stage.trader()
    for number, kind in enumerate((*EXECUTED, *NOT_EXECUTED)):
        before = len(stage.at_venue())
        stage.script.on("submit", kind, secs=0.3)
        (cid,) = await stage.submit(trader.plain(stage.can, number))
        require(stage.script.waiting == 0, f"{kind}: no request was sent for a create")
        is_there = kind in EXECUTED
        if is_there:
            told = [name for name in stage.told(cid) if name == "refused"]
            require(not told, f"{kind}: the venue has the order, and it was told REJECTED")
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
        live = stage.process.desk.get(cid)
        if live is not None:
            await stage.cancel(cid)
            await stage.over(cid)
    return (
        f"{len(EXECUTED)} ways to lose the answer, each order found; {len(NOT_EXECUTED)} to lose "
        "the request, each proven absent; one create an order"
    )


CARDS = (
    Card(
        "orders.lost-answer",
        "a create whose answer is lost is never a rejection, and never sent twice",
        lost_answer,
    ),
)
