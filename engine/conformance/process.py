"""Cards of a process: its death, the venue's limits, its secrets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.adapters.base.venue import AdapterContext, VenueError
from fairlead.adapters.simulation.faults import HttpFault
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.engine.conformance.card import Card, rests, side_by_side
from fairlead.engine.conformance.stage import Stage
from fairlead.engine.conformance.verdict import require
from fairlead.engine.orders.model import Side
from fairlead.engine.recording.raw import RawRecorder, read
from fairlead.engine.recording.redact import Redactor, forms
from fairlead.engine.secrets import Secret
from fairlead.engine.sessions.budget import over_budget

BURST = 30
WATCH_SECS = 60.0
RECONCILED = ("DOUBLED", "ORPHAN", "INVENTED", "SENT-TWICE", "FILLS", "FILLS-SUM", "POSITION")


async def restart(stage: Stage) -> str:
    """A process dies with an order open and one on its way; the market trades; another starts."""
    await stage.begin()
    trader = stage.trader()
    can_rest = not (rests(stage.can) or side_by_side(stage.can))
    open_ = None
    if can_rest:
        open_ = trader.inside(Side.BUY, parts=2)
        (first,) = await stage.submit(open_)
        await stage.settled(first)
    before = len(stage.at_venue())
    stage.script.on("submit", HttpFault.HANG_ANSWER)
    (lost,) = stage.begin_submit(trader.plain(stage.can, 1))
    await stage.until(lambda: len(stage.at_venue()) > before, "an order does not arrive")
    await stage.kill()
    if open_ is not None:
        assert open_.price is not None
        stage.sweep(Side.SELL, open_.quantity / 2, open_.price)
    await asyncio.sleep(1.0)
    await stage.begin()
    await stage.settled(lost)
    sent = len(stage.creates(lost))
    require(sent == 1, f"{sent} requests for the order that was on its way")
    require("refused" not in stage.told(lost), "what was on its way is there, and told REJECTED")
    for one in [live.intent.client_order_id for live in stage.process.desk.live_orders()]:
        await stage.end(one)
    require(not stage.open_at_venue(), "an order of the dead process is open, and not known")
    await stage.stop()
    stage.require_promises(*RECONCILED)
    if open_ is None:
        return "died with an order on its way: found, sent once, position as by the ledger"
    state = stage.journaled(first)
    require(
        state.filled == open_.quantity / 2,
        f"{open_.quantity / 2} traded while nobody looked, {state.filled} are booked",
    )
    return "died with an order open and one on its way: both found, what traded meanwhile is booked"


async def budget(stage: Stage) -> str:
    """Whatever strategies ask for, the venue never has to say that it is too much."""
    await stage.begin()
    trader = stage.trader()
    ids = [
        stage.begin_submit(trader.plain(stage.can, number // 2 if rests(stage.can) else number))[0]
        for number in range(BURST)
    ]
    await stage.settled(*ids)
    live = [one for one in ids if stage.process.desk.get(one) is not None]
    for one in live:
        stage.begin_cancel(one)
    await stage.over(*live)
    await asyncio.sleep(WATCH_SECS)
    over = over_budget(stage.wire.sent)
    where = f", first {over[0].method} {over[0].path}" if over else ""
    require(not over, f"{len(over)} requests refused by the venue for their rate{where}")
    twice = [one for one in ids if len(stage.creates(one)) > 1 and stage.can.batch_submit_max == 1]
    require(not twice, f"{len(twice)} of {BURST} orders have more than one create")
    return f"{BURST} orders and cancels at once, {len(stage.wire.sent)} requests: none refused"


async def limited(stage: Stage) -> str:
    """The venue says 429 to a create, a cancel, and reads."""
    await stage.begin()
    trader = stage.trader()
    stage.script.on("submit", HttpFault.TOO_MANY)
    (refused,) = await stage.submit(trader.plain(stage.can))
    await stage.settled(refused)
    sent = len(stage.creates(refused))
    require(sent == 1, f"a create that was refused with 429 is sent {sent} times")
    require(stage.told(refused)[-1] == "refused", f"429: told {', '.join(stage.told(refused))}")
    stage.script.on("read balances", HttpFault.TOO_MANY)
    stage.script.on("read open_orders", HttpFault.TOO_MANY)
    await stage.process.trading.orders.balances()
    await stage.process.trading.orders.open_orders([stage.instrument])
    if rests(stage.can) or not stage.can.cancels:
        return "429 to a create: rejected, sent once; to reads: asked again"
    (cid,) = await stage.submit(trader.plain(stage.can, 1))
    await stage.settled(cid)
    stage.script.on("cancel", HttpFault.TOO_MANY)
    await stage.cancel(cid)
    await stage.over(cid)
    require(not stage.open_at_venue(), "429 to a cancel: told as over, and open at the venue")
    return "429 to a create: rejected, sent once; to a cancel and to reads: asked again"


async def secrets(stage: Stage) -> str:
    """No credential in what is logged, journaled, recorded, or told of an error."""
    values = list(stage.credentials.values())
    redactor = Redactor([Secret(value, "a card's") for value in values])
    recorder = RawRecorder(stage.folder / "recording", stage.venue_name, redactor=redactor)
    stage.tap = recorder
    with _logged() as log:
        await stage.begin()
        trader = stage.trader()
        kinds = (HttpFault.LOSE_ANSWER, HttpFault.UNAVAILABLE, HttpFault.TRUNCATED, None)
        for number, kind in enumerate(kinds):
            if kind is not None:
                stage.script.on("submit", kind)
            (cid,) = await stage.submit(trader.plain(stage.can, number))
            await stage.settled(cid)
            if stage.can.clears:  # else they stand side by side
                await stage.end(cid)
        await stage.stop()
        told = await _refused_keys(stage)
    recorder.close()
    places = {
        "the log": "\n".join(log).encode(),
        "an error": "\n".join(told).encode(),
        "the journal": b"".join(p.read_bytes() for p in stage.folder.glob("journal.sqlite*")),
        "the recording": b"\n".join(
            repr((record.url, record.headers)).encode() + record.payload
            for record in read(recorder.folder)
        ),
    }
    require(len(places["the recording"]) > 0, "nothing was recorded")
    for name, credential in stage.credentials.items():
        for form in forms(credential):
            for place, text in places.items():
                require(form.encode() not in text, f"credential {name} is in {place}")
    sizes = ", ".join(f"{place} {len(text)}" for place, text in places.items())
    return f"{len(values)} credentials in no byte of these: {sizes}"


async def _refused_keys(stage: Stage) -> list[str]:
    """What is told when the venue, or the adapter, does not take a credential."""
    told = []
    for spoilt in stage.credentials:
        given = {
            name: Secret(value[:-3] + "xyz" if name == spoilt else value, f"a card's {name}")
            for name, value in stage.credentials.items()
        }
        try:
            adapter = stage.spec.create(
                AdapterContext(
                    venue=stage.venue_name,
                    options=stage.adapter_options(stage.spec),
                    secrets=given,
                    http=InMemoryHttp(stage.venue, stage.loop.now_ns),
                    now_ns=stage.loop.now_ns,
                    instruments=(stage.instrument,),
                )
            )
            await adapter.connect(trading=True)
        except VenueError as error:
            told.append(str(error))
        else:
            await adapter.close()
    require(bool(told), "no credential that is wrong is refused when it connects")
    return told


@contextmanager
def _logged() -> Iterator[list[str]]:
    """All that is logged within, from DEBUG on, and nowhere else."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.root.manager.disable)
    root.handlers, root.level = [Keeper()], logging.DEBUG
    logging.disable(logging.NOTSET)
    root.manager._clear_cache()  # type: ignore[attr-defined]
    try:
        yield lines
    finally:
        root.handlers, root.level = before[0], before[1]
        logging.disable(before[2])
        root.manager._clear_cache()  # type: ignore[attr-defined]


CARDS = (
    Card("restart.death", "after a death nothing is lost, doubled or guessed", restart),
    Card("limits.budget", "requests stay within the venue's limits", budget, side_by_side),
    Card("limits.429", "a create over a limit is a rejection, all else is asked again", limited),
    Card("secrets.nowhere", "no credential in log, journal, recording or error", secrets),
)
