"""What still waits in our own rate limiter when the run stops was not sent, and is refused so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.ratelimit import Rate, RateLimiter
from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.orders import permit
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState
from tests.support.approving import approved
from tests.unit.orders.conftest import Sink
from tests.venues.base.test_reads import VENUES, Scene

ORDERS = 6
SENT = 2  # the budget


class Session(Scene):
    """A desk whose rate limiter lets two creates out in a long time."""

    def __init__(self, key: str, loop: VirtualLoop, folder: Path) -> None:
        super().__init__(key, loop)
        http: Any = getattr(self.adapter, "http")  # noqa: B009 - both have one
        scopes = ("orders", "private", "public", "bulk")
        rates = dict.fromkeys(scopes, Rate(10_000, 1.0))
        rates["orders" if key == "oceanex" else "private"] = Rate(SENT, 600.0)
        limiter = RateLimiter(rates, 0.0, max_wait_secs=3600.0)
        http.limiter = limiter
        self.journal = Journal(folder / "j.sqlite", fsync=False, now_ns=loop.now_ns)
        self.sink = Sink()
        self.desk = OrderDesk(
            venue=self.adapter.orders,
            journal=self.journal,
            sink=self.sink,
            capabilities=msgspec.structs.replace(self.adapter.capabilities, batch_query_max=100),
            settings=DeskSettings(settle_timeout_secs=5.0),
            base_currency=lambda _: "BTC",
            now_ns=loop.now_ns,
        )

    def begin(self) -> list[asyncio.Task[None]]:
        """As NautilusTrader does: a task for each order."""
        return [
            asyncio.ensure_future(
                self.desk.submit(approved(msgspec.structs.replace(self.intent(n), price=1000 + n)))
            )
            for n in range(ORDERS)
        ]

    def states(self) -> list[str]:
        found = [self.journal.order(f"O-{n}") for n in range(ORDERS)]
        return sorted(str(order.state) for order in found if order is not None)


def at(key: str, folder: Path, work: Callable[[Session], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        session = Session(key, loop, folder)
        session.adapter.http._now_ns = loop.now_ns  # type: ignore[attr-defined]
        await session.adapter.refresh_instruments()
        await work(session)

    run_virtual(run())


@pytest.mark.parametrize("key", VENUES)
def test_a_stop_refuses_what_waits_in_the_limiter(key: str, tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        tasks = session.begin()
        await asyncio.sleep(1)
        assert session.states().count(OrderState.INTENDED) == ORDERS - SENT
        unresolved = await session.desk.stop(cancel_open=False)
        assert unresolved == []
        await asyncio.gather(*tasks)
        assert session.states().count(OrderState.REFUSED) == ORDERS - SENT
        assert session.states().count(OrderState.OPEN) == SENT
        told = [detail for name, _, detail in session.sink.events if name == "order_refused"]
        assert len(told) == ORDERS - SENT
        assert all("the engine is stopping" in str(one) for one in told)

    at(key, tmp_path, work)


@pytest.mark.parametrize("key", VENUES)
def test_tasks_that_are_cancelled_in_the_limiter_sent_nothing(key: str, tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        tasks = session.begin()
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert session.states().count(OrderState.REFUSED) == ORDERS - SENT
        assert await session.desk.stop(cancel_open=False) == []

    at(key, tmp_path, work)


@pytest.mark.parametrize("key", VENUES)
def test_a_stop_that_a_submission_brought_about_cancels_all_the_same(
    key: str, tmp_path: Path
) -> None:
    """What the stop is told by has a submission's question in its context: it asks none of it.

    A signal that came while an order was being created had the whole stop's cancels refused,
    "the engine is stopping", until its time was over, and the orders stayed.
    """

    async def work(session: Session) -> None:
        session.adapter.http.limiter = RateLimiter(  # type: ignore[attr-defined]
            dict.fromkeys(("orders", "private", "public", "bulk"), Rate(10_000, 1.0))
        )
        await asyncio.gather(*session.begin())
        assert session.states().count(OrderState.OPEN) == ORDERS
        shared = session.desk._shared
        with permit.asking(lambda: shared.halted or None, shared.withdrawn):
            assert await session.desk.stop(cancel_open=True) == []
        assert session.states() == [OrderState.CANCELED] * ORDERS

    at(key, tmp_path, work)


@pytest.mark.parametrize("key", VENUES)
def test_what_is_on_the_wire_at_the_stop_is_no_refusal(key: str, tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        session.fault("POST /v1/orders$" if key == "oceanex" else "POST /orders$", "hang_answer", 9)
        tasks = session.begin()
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert session.states().count(OrderState.INTENDED) == SENT, "sent, and not answered"

    at(key, tmp_path, work)
