"""Why a stop is gone at the end, by the journal and by what the run did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.engine.brackets.strategy import TAKEN
from fairlead.engine.kill.records import HaltRecord, note
from fairlead.engine.observe.page.control import ASKED, AskedBy
from fairlead.engine.orders.held import PASSED
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Intent,
    Kind,
    OrderState,
    Role,
    Side,
    VenueFill,
    VenueOrder,
)
from fairlead.engine.risk.state import Halt
from fairlead.engine.risk.states import Clearing
from fairlead.engine.run.taken import gone_stops

NAME = "BTC_USDT.OCEANEX"
SECOND = 1_000_000_000
HALT = Halt(reason="the day's loss", ts_ns=1_004 * SECOND, code="DAILY_LOSS")


class Bench:
    """A run whose journal has a position of S-1 and its stop; each step takes a second."""

    def __init__(self, path: Path) -> None:
        self.now = 1_000 * SECOND
        self.journal = Journal(path, fsync=False, now_ns=self.tick)
        self.takes_ns: float = math.inf
        self.unbooked: tuple[str, ...] = ()
        self.silent_ns: float = math.inf
        self._send("buy", Role.ENTRY, Side.BUY)
        fill = VenueFill(
            venue_order_id="V-buy",
            trade_id="T",
            instrument=NAME,
            side=Side.BUY,
            quantity=Decimal(1),
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )
        assert self.journal.fill(self._intent("buy", Role.ENTRY, Side.BUY), fill, Decimal(0))
        self.journal.state("buy", OrderState.FILLED)
        self._send("stop", Role.STOP, Side.SELL)

    def tick(self) -> int:
        self.now += SECOND
        return self.now

    def _intent(self, name: str, role: Role, side: Side) -> Intent:
        return Intent(
            client_order_id=name,
            strategy="S-1",
            instrument=NAME,
            side=side,
            kind=Kind.LIMIT,
            quantity=Decimal(1),
            price=Decimal(100),
            ts_init=self.now,
            role=role,
        )

    def _send(self, name: str, role: Role, side: Side) -> None:
        self.journal.intend([self._intent(name, role, side)])
        self.journal.accepted(name, f"V-{name}", instrument=NAME)

    # What takes the stop

    def strategy(self) -> None:
        self.journal.cancel_requested(["stop"])
        self.over()

    def page(self) -> None:
        self.journal.note(ASKED, "stop", AskedBy("the page"))
        self.strategy()

    def page_too(self) -> None:
        self.journal.cancel_requested(["stop"])
        self.journal.note(ASKED, "stop", AskedBy("the page"))
        self.over()

    def end(self) -> None:
        self.takes_ns = self.now
        self.strategy()

    def before_the_end(self) -> None:
        self.strategy()
        self.takes_ns = self.tick()

    def fault(self) -> None:
        self.silent_ns = self.now
        self.end()

    def limit(self) -> None:
        note(self.journal, HaltRecord(halt=HALT))
        self.strategy()

    def cleared(self) -> None:
        note(self.journal, HaltRecord(halt=HALT))
        word = Clearing(halt_ts_ns=HALT.ts_ns, reason="r", by="b", ts_ns=self.now)
        note(self.journal, HaltRecord(halt=HALT, cleared=word))
        self.strategy()

    def venue(self) -> None:
        self.over()

    def late(self) -> None:
        self.journal.state("stop", OrderState.REFUSED)
        intent = self._intent("stop", Role.STOP, Side.SELL)
        state = VenueOrder(
            venue_order_id="V-stop",
            instrument=NAME,
            side=Side.SELL,
            kind=Kind.LIMIT,
            state=OrderState.OPEN,
            quantity=Decimal(1),
            filled=Decimal(0),
        )
        self.journal.revived(intent, state, OrderState.OPEN)
        self.over()

    def passed(self) -> None:
        self.journal.state("stop", OrderState.HELD)
        assert self.journal.cancel_held("stop", {"code": PASSED, "message": "m"})

    def unjournaled(self) -> None:
        """The stop of the run has cancelled it past its dead journal."""
        self.unbooked = ("stop",)
        self.takes_ns = self.now

    def over(self) -> None:
        self.journal.state("stop", OrderState.CANCELED)

    def why(self, *, is_here: bool, flattens: bool = True) -> tuple[str, bool]:
        account: Any = SimpleNamespace(
            venue="OCEANEX",
            account="main",
            journal=self.journal,
            takes_ns=self.takes_ns,
            ended_unjournaled=frozenset(self.unbooked),
        )
        guard = SimpleNamespace(stop=SimpleNamespace(silent_ns=self.silent_ns))
        guards = {"S-1": guard} if is_here else {}
        ((key, why, is_arranged),) = gone_stops([account], guards, (), 0, flattens=flattens)
        assert key == ("S-1", NAME)
        return why.removeprefix("stop was cancelled").removesuffix(", and no other lives"), (
            is_arranged
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "oceanex-main.journal.sqlite")
    with closing(made.journal):
        yield made


BY_LIMIT = " to close what it protected, as a loss limit was broken"


@pytest.mark.parametrize(
    ("did", "here", "gone"),
    [
        ("strategy", (", as its strategy asked", True), (", as this run asked", False)),
        ("before_the_end", (", as its strategy asked", True), (", as this run asked", False)),
        ("page_too", (", as its strategy asked", True), (", as this run asked", False)),
        ("page", (", as the page asked", True), None),
        ("end", (TAKEN, True), None),
        ("unjournaled", (TAKEN, True), None),
        ("fault", (" as its strategy was stopped for a fault", False), (TAKEN, True)),
        ("limit", (BY_LIMIT, False), None),
        ("cleared", (", as its strategy asked", True), (", as this run asked", False)),
        ("venue", (", and not as this run asked", False), None),
        ("late", (", as it came after it was given up (ORDER-LATE)", False), None),
        ("passed", (", as its level was passed while nobody looked (held.passed)", True), None),
    ],
)
def test_each_cause_is_told_as_what_it_is(
    bench: Bench, did: str, here: tuple[str, bool], gone: tuple[str, bool] | None
) -> None:
    """With its strategy in the run, and without: nobody asked in its name then."""
    getattr(bench, did)()
    assert bench.why(is_here=True) == here
    assert bench.why(is_here=False) == (gone or here)


def test_a_loss_limit_that_closes_nothing_took_no_stop(bench: Bench) -> None:
    bench.limit()
    assert bench.why(is_here=True, flattens=False) == (", as its strategy asked", True)
