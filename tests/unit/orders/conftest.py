"""A scripted venue and a recording sink, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Absent,
    CancelAccepted,
    CancelOutcome,
    Capabilities,
    Fee,
    FindResult,
    Intent,
    Kind,
    Lost,
    OrderRef,
    OrderState,
    Outcome,
    Side,
    Tif,
    Unknown,
    VenueBalance,
    VenueFill,
    VenueOrder,
)

INSTRUMENT = "BTC_USDT.TEST"


class ScriptedVenue:
    """Answers as the test says, and counts every create it is sent."""

    def __init__(self) -> None:
        self.creates: list[Intent] = []
        self.cancels: list[OrderRef] = []
        self.answer: Callable[[Intent], Outcome] = lambda _: Unknown("no script")
        self.look: Callable[[Intent], FindResult] = lambda _: Absent("scripted")
        self.cancel_answer: Callable[[OrderRef], CancelOutcome] = lambda _: CancelAccepted()
        self.look_secs: Callable[[], float] = lambda: 0.0  # how long a look lasts
        self.book: dict[str, VenueOrder] = {}

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        self.creates.extend(intents)
        return [self.answer(intent) for intent in intents]

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        self.cancels.extend(refs)
        return [self.cancel_answer(ref) for ref in refs]

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return Unknown("no script")

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        result = self.look(intent)
        await asyncio.sleep(self.look_secs())
        return result

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        return [await self.find(one.intent, one.known, one.ts_sent, one.slack_ns) for one in lost]

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        return [self.book[r.venue_order_id] for r in refs if r.venue_order_id in self.book]

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        return [order for order in self.book.values() if not order.state.is_terminal]

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        return []

    async def balances(self) -> list[VenueBalance]:
        return [VenueBalance(currency="USDT", free=Decimal(1000), locked=Decimal(0))]

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        if side is Side.BUY:
            return Fee(quantity * Decimal("0.001"), "BTC")
        return Fee(quantity * price * Decimal("0.001"), "USDT")


class Sink:
    """Remembers (event, client order id, detail) in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any]] = []

    def names(self) -> list[str]:
        return [name for name, _, _ in self.events if name != "balances"]

    def __getattr__(self, name: str) -> Callable[..., None]:
        def record(subject: Any, *detail: Any) -> None:
            cid = subject.client_order_id if isinstance(subject, Intent) else ""
            self.events.append((name, cid, (subject, *detail)))

        return record


class Bench:
    """One desk over one journal file; `restart` is a new process on the same file."""

    def __init__(self, path: Path, **traits: Any) -> None:
        self.path = path
        self.venue = ScriptedVenue()
        self.traits = Capabilities(
            **(
                dict(
                    kinds=frozenset(Kind),
                    time_in_force=frozenset(Tif),
                    batch_submit_max=10,
                    batch_cancel_max=10,
                    batch_query_max=50,
                )
                | traits
            )
        )
        self.loop = VirtualLoop()
        self.boot = ""
        self.clock_set_ns = 0
        self.journal: Journal | None = None
        self.restart()

    def restart(self) -> None:
        if self.journal is not None:
            self.journal.close()
        self.journal = Journal(self.path, fsync=False, now_ns=self.loop.now_ns)
        self.sink = Sink()
        self.killed: Callable[[Intent], str | None] = lambda _: None
        self.desk = self.make_desk(self.journal)

    def make_desk(self, journal: Journal) -> OrderDesk:
        return OrderDesk(
            venue=self.venue,
            journal=journal,
            sink=self.sink,
            capabilities=self.traits,
            settings=DeskSettings(),
            base_currency=lambda _: "BTC",
            now_ns=lambda: self.loop.now_ns() + self.clock_set_ns,
            boot=self.boot,
            killed=lambda one: self.killed(one),
        )

    def run[T](self, main: Coroutine[Any, Any, T]) -> T:
        try:
            return run_virtual(main, self.loop)
        finally:
            self.loop = VirtualLoop(self.loop.now_ns())


def intent(cid: str = "A", **changes: Any) -> Intent:
    fields: dict[str, Any] = dict(
        client_order_id=cid,
        strategy="S-1",
        instrument=INSTRUMENT,
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal("0.5"),
        price=Decimal("100"),
    )
    return Intent(**(fields | changes))


def venue_order(void: str = "V1", **changes: Any) -> VenueOrder:
    fields: dict[str, Any] = dict(
        venue_order_id=void,
        instrument=INSTRUMENT,
        side=Side.BUY,
        kind=Kind.LIMIT,
        state=OrderState.OPEN,
        quantity=Decimal("0.5"),
        filled=Decimal(0),
        price=Decimal("100"),
    )
    return VenueOrder(**(fields | changes))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal.sqlite")
    yield made
    assert made.journal is not None
    made.journal.close()
