"""The order desk on the adapter: a bracket lives, loses its answer, and outlives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.base.venue import AdapterContext
from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.simulator import MudawylSimOptions, MudawylSimulator
from fairlead.adapters.mudawyl.venue import CAPABILITIES, MudawylAdapter
from fairlead.adapters.simulation.memory import InMemoryHttp, tick
from fairlead.adapters.simulation.virtual_time import START_NS, VirtualLoop, run_virtual
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState, Side
from fairlead.engine.secrets import Secret
from tests.support.approving import approved
from tests.unit.orders.conftest import Sink
from tests.venues.mudawyl.trading_kit import BTC, MARKETS, bracket, trailing

SYMBOL = "BTC/USDT"
POST = "/v1/priv/exchange/order"


class Person:
    def __init__(self, venue: MudawylSimulator) -> None:
        self._venue = venue

    async def token(self, purpose: str) -> Secret:
        return Secret(self._venue.new_captcha(), "test")


class Session:
    """A desk as in a live run, in virtual time; made again over the same journal: a restart."""

    def __init__(self, loop: VirtualLoop, venue: MudawylSimulator, path: Path) -> None:
        self.sink = Sink()
        options = MudawylOptions(http_url="http://x", key_id=venue.main.id, markets=MARKETS[:1])
        self.adapter = MudawylAdapter(
            AdapterContext(
                venue="MUDAWYL",
                options=options,
                secrets={"token": Secret(venue.token, "test")},
                http=InMemoryHttp(venue, loop.now_ns, latency_secs=0.005),
                now_ns=loop.now_ns,
                instruments=(BTC,),
            ),
            Person(venue),
        )
        self.journal = Journal(path, fsync=False, now_ns=loop.now_ns)
        self.desk = OrderDesk(
            venue=self.adapter.orders,
            journal=self.journal,
            sink=self.sink,
            capabilities=CAPABILITIES,
            settings=DeskSettings(poll_secs=1.0, settle_timeout_secs=5.0),
            base_currency=lambda _: "BTC",
            now_ns=loop.now_ns,
        )

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(600.0):
            while not done():
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        await self.desk.abandon()
        self.journal.close()

    def states(self) -> dict[str, OrderState]:
        names = [intent.client_order_id for intent in bracket()]
        found = {name: self.journal.order(name) for name in names}
        return {name: order.state for name, order in found.items() if order is not None}


def still(**options: Any) -> MudawylSimulator:
    made = MudawylSimOptions(is_market_live=False, requests_per_sec=1_000, **options)
    return MudawylSimulator(made, now_ns=START_NS, seed=1)


Story = Callable[[Callable[[], Session]], Coroutine[Any, Any, None]]


def run(story: Story, venue: MudawylSimulator, path: Path) -> None:
    loop = VirtualLoop()

    async def main() -> None:
        ticking = asyncio.ensure_future(tick(venue, loop.now_ns))
        await story(lambda: Session(loop, venue, path))
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)

    run_virtual(main(), loop)


def move(venue: MudawylSimulator, price: str) -> None:
    exchange, value, size = venue.exchange, Decimal(price), Decimal(100)
    tick_size = venue.markets[SYMBOL].spec.tick
    book = {value - tick_size: size}, {value + tick_size: size}
    exchange.replace_background(SYMBOL, *book, exchange.now_ns)
    exchange.print_trade(SYMBOL, value, Decimal("0.001"), Side.SELL, exchange.now_ns)


@pytest.mark.parametrize("fault", ["", "lose_answer", "hang_answer", "late", "bad_gateway"])
@pytest.mark.parametrize("reduces", [False, True])
def test_a_bracket_lives_to_its_end_once(fault: str, reduces: bool, tmp_path: Path) -> None:
    """Its stop closes what a target has left: less than it was asked for."""
    venue = still(reduces_amount=reduces)

    async def story(make: Callable[[], Session]) -> None:
        session = make()
        await session.adapter.connect(trading=True)
        session.desk.start()
        if fault:
            venue.faults.next("POST", POST, fault)
        await session.desk.submit(approved(*bracket()))
        await session.until(lambda: session.states()["C-4"] is OrderState.WAITING)
        await session.until(lambda: session.states()["C-1"] is OrderState.FILLED)
        move(venue, "60510")
        await session.until(lambda: session.states()["C-2"] is OrderState.FILLED)
        move(venue, "58950")
        await session.until(lambda: not session.desk.live_orders())
        assert session.states()["C-3"] is OrderState.EXPIRED
        filled = session.journal.positions()
        assert [position.quantity for position in filled] in ([], [Decimal(0)])
        assert session.desk.failure is None
        await session.end()

    run(story, venue, tmp_path / "journal.sqlite")
    assert sum(not row.reduce_only for row in venue.rows.values()) == 1  # never sent twice
    assert venue.holdings[SYMBOL].quantity == 0


def test_cancels_that_the_gateway_has_not_are_refused_once_and_read_nothing(tmp_path: Path) -> None:
    """An exit, its own call, would wait behind the reads; and a stop that stands is not one whose
    cancel was asked for."""
    venue = still()

    async def story(make: Callable[[], Session]) -> None:
        session = make()
        await session.adapter.connect(trading=True)
        session.desk.start()
        await session.desk.submit(approved(*bracket()))
        await session.until(lambda: session.states()["C-4"] is OrderState.WAITING)
        began = asyncio.get_running_loop().time()
        await session.desk.cancel(["C-2", "C-3", "C-4"])
        assert asyncio.get_running_loop().time() == began
        await asyncio.sleep(30)
        refused = [name for name in session.sink.names() if name == "cancel_refused"]
        assert len(refused) == 3
        asked = [session.journal.order(name) for name in ("C-2", "C-3", "C-4")]
        assert not any(one.cancel_requested for one in asked if one is not None)
        await session.end()

    run(story, venue, tmp_path / "journal.sqlite")


def test_a_request_that_never_arrived_is_proven_absent_and_not_sent_again(tmp_path: Path) -> None:
    venue = still()

    async def story(make: Callable[[], Session]) -> None:
        session = make()
        await session.adapter.connect(trading=True)
        session.desk.start()
        venue.faults.next("POST", POST, "lose_request")
        await session.desk.submit(approved(*bracket()))
        await session.until(lambda: set(session.states().values()) == {OrderState.REFUSED})
        await session.end()

    run(story, venue, tmp_path / "journal.sqlite")
    assert venue.rows == {}


@pytest.mark.parametrize("fault", ["", "hang_answer"])
def test_a_restart_reconciles_all_legs(fault: str, tmp_path: Path) -> None:
    """With `hang_answer` the process dies before any answer: only the lists tell what became."""
    venue = still()

    async def story(make: Callable[[], Session]) -> None:
        first = make()
        await first.adapter.connect(trading=True)
        first.desk.start()
        if fault:
            venue.faults.next("POST", POST, fault)
        sending = asyncio.ensure_future(first.desk.submit(approved(*bracket())))
        await first.until(lambda: len(venue.rows) == 4)
        if not fault:
            await sending
        await first.end()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        move(venue, "60510")  # while nothing runs
        second = make()
        await second.adapter.connect(trading=True)
        assert len(second.desk.adopt_journal()) >= 3
        await second.desk.recover(60.0)
        second.desk.start()
        await second.until(
            lambda: (
                second.states()
                == {
                    "C-1": OrderState.FILLED,
                    "C-2": OrderState.FILLED,
                    "C-3": OrderState.OPEN,
                    "C-4": OrderState.WAITING,
                }
            )
        )
        (position,) = second.journal.positions()
        assert position.quantity == Decimal("0.025") == venue.holdings[SYMBOL].quantity
        await second.end()

    run(story, venue, tmp_path / "journal.sqlite")
    assert len(venue.rows) == 4


@pytest.mark.parametrize("fault", ["", "hang_answer"])
@pytest.mark.parametrize("fires", [False, True])
def test_a_trailing_stop_outlives_a_restart(fault: str, fires: bool, tmp_path: Path) -> None:
    """With `hang_answer` the process dies before any answer; `fires`: while nothing runs."""
    venue = still()

    async def story(make: Callable[[], Session]) -> None:
        first = make()
        await first.adapter.connect(trading=True)
        first.desk.start()
        if fault:
            venue.faults.next("POST", POST, fault)
        sending = asyncio.ensure_future(first.desk.submit(approved(trailing(1))))
        await first.until(lambda: len(venue.rows) == 1)
        if not fault:
            await sending
            assert first.states() == {"C-1": OrderState.WAITING}
        await first.end()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        move(venue, "58900")
        move(venue, "59600" if fires else "59000")
        second = make()
        await second.adapter.connect(trading=True)
        assert len(second.desk.adopt_journal()) == 1
        await second.desk.recover(60.0)
        second.desk.start()
        wanted = OrderState.FILLED if fires else OrderState.WAITING
        await second.until(lambda: second.states() == {"C-1": wanted})
        move(venue, "59600")
        await second.until(lambda: second.states() == {"C-1": OrderState.FILLED})
        (position,) = second.journal.positions()
        assert position.quantity == Decimal("0.05") == venue.holdings[SYMBOL].quantity
        await second.end()

    run(story, venue, tmp_path / "journal.sqlite")
    assert len(venue.rows) == 1


@pytest.mark.parametrize("kind", ["stop", "target"])
@pytest.mark.parametrize("fault", ["", "hang_answer"])
@pytest.mark.parametrize("partial", ["short", "error"])
def test_a_leg_that_failed_is_refused_and_the_others_are_reconciled_after_a_restart(
    kind: str, fault: str, partial: str, tmp_path: Path
) -> None:
    """Told as `error` the exchange ends with the leg that failed; the stop is the last."""
    venue = still(partial=partial)
    failed = ["C-4"] if kind == "stop" else ["C-2", "C-3", "C-4"][: 3 if partial == "error" else 1]
    standing = {"C-2": OrderState.OPEN, "C-3": OrderState.OPEN, "C-4": OrderState.WAITING}
    wanted = {"C-1": OrderState.FILLED} | standing | dict.fromkeys(failed, OrderState.REFUSED)
    count = 4 - len(failed)

    async def story(make: Callable[[], Session]) -> None:
        first = make()
        await first.adapter.connect(trading=True)
        first.desk.start()
        venue.control({"fail": kind})
        if fault:
            venue.faults.next("POST", POST, fault)
        sending = asyncio.ensure_future(first.desk.submit(approved(*bracket())))
        await first.until(lambda: len(venue.rows) == count)
        if not fault:
            await sending
        await first.end()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        second = make()
        await second.adapter.connect(trading=True)
        second.desk.adopt_journal()
        await second.desk.recover(60.0)
        second.desk.start()
        await second.until(lambda: second.states() == wanted)
        await second.end()

    run(story, venue, tmp_path / "journal.sqlite")
    assert len(venue.rows) == count
