"""What a kill closes beside a run: each step of the journal is told once, and of whom it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.adapters.base.kill_orders import KillOrders
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import OrderState, Side
from fairlead.engine.risk.ledger import Ledger
from tests.unit.orders.conftest import INSTRUMENT, intent
from tests.unit.orders.test_kill import _fill

D = Decimal


class Beside:
    """A run's gate, in short, beside a journal that another process writes to."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal.sqlite", fsync=False, now_ns=lambda: 1)
        self.ledger = Ledger()
        self.cached = {"S-1": D("0.5"), "S-2": D("0.2")}  # as NautilusTrader has it
        self.known: set[str] = set()  # orders that it has
        self.claims: list[str] = []
        self.of_kills: set[str] = set()
        for name, quantity in self.cached.items():
            self.fill(f"O-{name}", name, Side.BUY, str(quantity))
        self.kills = KillOrders(self.journal)
        self.kills.claims = self
        self.kills.on_handed = self.ledger.handed
        self.kills.on_order = self.of_kills.add
        self.kills.on_filled = lambda one: self.ledger.filled(
            one.client_order_id or "", KILL_STRATEGY, one.instrument, one.side, one.quantity
        )
        self.kills.start(self.count)

    def count(self) -> None:
        for one in self.journal.positions():
            self.ledger.seed_positions({one.instrument: one.quantity}, one.strategy)

    def lend(self, instrument: str, strategy: str) -> None:
        self.claims.append(strategy)

    def give_back(self, instrument: str) -> None:
        self.claims.append("back")

    def holds(self, strategy: str, instrument: str) -> Decimal:
        return self.cached[strategy]

    def order(self, cid: str, strategy: str, side: Side, quantity: str) -> None:
        one = intent(cid, strategy=strategy, side=side, quantity=D(quantity))
        self.journal.intend([one])
        self.journal.accepted(cid, f"V{cid}", instrument=INSTRUMENT)

    def executed(self, cid: str, number: str, quantity: str) -> None:
        order = self.journal.order(cid)
        assert order is not None
        fill = _fill(cid, quantity, trade_id=number, side=order.intent.side)
        self.journal.fill(order.intent, fill, D(0))

    def fill(self, cid: str, strategy: str, side: Side, quantity: str) -> None:
        self.order(cid, strategy, side, quantity)
        self.executed(cid, f"T-{cid}", quantity)
        self.journal.state(cid, OrderState.FILLED)

    def agrees(self) -> bool:
        by_journal: defaultdict[str, Decimal] = defaultdict(Decimal)
        for one in self.journal.positions():
            by_journal[one.strategy] = one.quantity
        names = {*by_journal, *(name for name, _ in self.ledger.by_strategy)}
        return all(self.ledger.by_strategy[name, INSTRUMENT] == by_journal[name] for name in names)


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    made = Beside(tmp_path)
    yield made
    made.journal.close()


def test_the_gate_follows_the_journal_step_by_step(beside: Beside) -> None:
    steps = (
        lambda: beside.journal.hand_over("S-2", KILL_STRATEGY, INSTRUMENT, D(100)),
        lambda: beside.order("K", KILL_STRATEGY, Side.SELL, "0.2"),
        lambda: beside.executed("K", "T1", "0.05"),
        lambda: beside.executed("K", "T2", "0.05"),
        lambda: beside.journal.state("K", OrderState.CANCELED),
        lambda: beside.journal.hand_over(KILL_STRATEGY, "S-2", INSTRUMENT, D(100)),
    )
    for step in steps:
        step()
        beside.kills.look()
        assert beside.agrees()
        beside.kills.look()
        assert beside.agrees(), "nothing is told twice"
    assert beside.ledger.by_strategy["S-2", INSTRUMENT] == D("0.1")
    assert beside.ledger.by_strategy["S-1", INSTRUMENT] == D("0.5")
    assert beside.of_kills == {"K"}


def test_one_of_another_process_is_told_once_it_is_over(beside: Beside) -> None:
    beside.journal.hand_over("S-2", KILL_STRATEGY, INSTRUMENT, D(100))
    beside.order("K", KILL_STRATEGY, Side.SELL, "0.2")
    beside.kills.look()
    assert list(beside.kills.over()) == []
    assert beside.kills.is_behind(INSTRUMENT), "it may be executed"
    beside.executed("K", "T1", "0.2")
    beside.journal.state("K", OrderState.FILLED)
    (order,) = beside.kills.over()
    assert order.intent.client_order_id == "K"
    assert list(beside.kills.over()) == []
    assert beside.agrees()
    beside.kills.lend(order.intent, beside.holds)
    beside.kills.settle(beside.known.__contains__)
    assert beside.claims == ["S-2"], "until NautilusTrader has it"
    assert beside.kills.is_behind(INSTRUMENT)
    beside.known.add("K")
    beside.kills.settle(beside.known.__contains__)
    assert beside.claims == ["S-2", "back"]
    assert not beside.kills.is_behind(INSTRUMENT)


def test_one_of_this_process_is_told_by_its_own_desk(beside: Beside) -> None:
    beside.journal.hand_over("S-1", KILL_STRATEGY, INSTRUMENT, D(100))
    one = intent("K", strategy=KILL_STRATEGY, side=Side.SELL, quantity=D("0.5"))
    beside.journal.intend([one])
    beside.kills.sent(one, beside.holds)
    assert beside.claims == ["S-1"]
    assert beside.agrees()
    beside.journal.state("K", OrderState.REFUSED)
    beside.kills.look()
    assert list(beside.kills.over()) == []
    assert not beside.kills.is_behind(INSTRUMENT)
    beside.kills.settle(beside.known.__contains__)
    assert beside.claims == ["S-1", "back"], "NautilusTrader never gets it"


def test_what_no_one_strategy_holds_is_lent_to_none(beside: Beside) -> None:
    """Several are closed together, or NautilusTrader has it all under another since the start."""
    for name in ("S-1", "S-2"):
        beside.journal.hand_over(name, KILL_STRATEGY, INSTRUMENT, D(100))
    one = intent("K", strategy=KILL_STRATEGY, side=Side.SELL, quantity=D("0.7"))
    beside.journal.intend([one])
    beside.kills.sent(one, beside.holds)
    assert beside.claims == []
    assert beside.agrees()


def test_what_the_start_has_counted_is_not_told_again(beside: Beside) -> None:
    beside.journal.hand_over("S-2", KILL_STRATEGY, INSTRUMENT, D(100))
    beside.order("K", KILL_STRATEGY, Side.SELL, "0.2")
    beside.executed("K", "T1", "0.1")
    beside.kills.start(beside.count)
    beside.kills.look()
    assert beside.agrees()
    beside.executed("K", "T2", "0.1")
    beside.kills.book("K")
    assert beside.agrees()
    assert beside.of_kills == {"K"}
