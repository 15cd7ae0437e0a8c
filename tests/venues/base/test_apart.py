"""What a kill closes beside a run: each step of the journal is told once, and of whom it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.adapters.base.apart import Apart
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
        self.orders: dict[str, str] = {}  # whose, by NautilusTrader's id
        for name, quantity in self.cached.items():
            self.fill(f"O-{name}", name, Side.BUY, str(quantity))
        self.apart = Apart(self.journal)
        self.apart.claims = self
        self.apart.on_handed = self.ledger.handed
        self.apart.on_order = self.orders.__setitem__
        self.apart.on_filled = lambda strategy, one: self.ledger.filled(
            one.client_order_id or "", strategy, one.instrument, one.side, one.quantity
        )
        self.apart.start(self.count, lambda _: True)

    def count(self) -> None:
        for one in self.journal.positions():
            self.ledger.seed_positions({one.instrument: one.quantity}, one.strategy)

    def has(self, strategy: str) -> bool:
        return strategy in self.cached

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

    def told(self, cid: str, number: str, quantity: str, name: str | None) -> None:
        """An execution of this process's desk, with the id of the report that tells of it."""
        self.executed(cid, number, quantity)
        order, fill = self.journal.order(cid), self.journal.fills_of(cid)[-1]
        assert order is not None
        if name is not None:
            self.apart.reported(order.intent, name)
        self.apart.filled(order.intent, fill)

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
        beside.apart.look()
        assert beside.agrees()
        beside.apart.look()
        assert beside.agrees(), "nothing is told twice"
    assert beside.ledger.by_strategy["S-2", INSTRUMENT] == D("0.1")
    assert beside.ledger.by_strategy["S-1", INSTRUMENT] == D("0.5")
    assert beside.orders == {"K": KILL_STRATEGY}


def test_one_of_another_process_is_told_once_it_is_over(beside: Beside) -> None:
    beside.journal.hand_over("S-2", KILL_STRATEGY, INSTRUMENT, D(100))
    beside.order("K", KILL_STRATEGY, Side.SELL, "0.2")
    beside.apart.look()
    assert list(beside.apart.over()) == []
    assert beside.apart.is_behind(INSTRUMENT), "it may be executed"
    beside.executed("K", "T1", "0.2")
    beside.journal.state("K", OrderState.FILLED)
    (order,) = beside.apart.over()
    assert order.intent.client_order_id == "K"
    assert list(beside.apart.over()) == []
    assert beside.agrees()
    beside.apart.lend(order.intent, beside.holds)
    beside.apart.settle(beside.known.__contains__)
    assert beside.claims == ["S-2"], "until NautilusTrader has it"
    assert beside.apart.is_behind(INSTRUMENT)
    beside.known.add("K")
    beside.apart.settle(beside.known.__contains__)
    assert beside.claims == ["S-2", "back"]
    assert not beside.apart.is_behind(INSTRUMENT)


def test_one_of_this_process_is_told_by_its_own_desk(beside: Beside) -> None:
    beside.journal.hand_over("S-1", KILL_STRATEGY, INSTRUMENT, D(100))
    one = intent("K", strategy=KILL_STRATEGY, side=Side.SELL, quantity=D("0.5"))
    beside.journal.intend([one])
    beside.apart.sent(one, beside.holds)
    assert beside.claims == ["S-1"]
    assert beside.agrees()
    beside.journal.state("K", OrderState.REFUSED)
    beside.apart.look()
    assert list(beside.apart.over()) == []
    assert not beside.apart.is_behind(INSTRUMENT)
    beside.apart.settle(beside.known.__contains__)
    assert beside.claims == ["S-1", "back"], "NautilusTrader never gets it"


def test_what_no_one_strategy_holds_is_lent_to_none(beside: Beside) -> None:
    """Several are closed together, or NautilusTrader has it all under another since the start."""
    for name in ("S-1", "S-2"):
        beside.journal.hand_over(name, KILL_STRATEGY, INSTRUMENT, D(100))
    one = intent("K", strategy=KILL_STRATEGY, side=Side.SELL, quantity=D("0.7"))
    beside.journal.intend([one])
    beside.apart.sent(one, beside.holds)
    assert beside.claims == []
    assert beside.agrees()


def test_what_the_start_has_counted_is_not_told_again(beside: Beside) -> None:
    beside.journal.hand_over("S-2", KILL_STRATEGY, INSTRUMENT, D(100))
    beside.order("K", KILL_STRATEGY, Side.SELL, "0.2")
    beside.executed("K", "T1", "0.1")
    beside.apart.start(beside.count, lambda _: True)
    beside.apart.look()
    assert beside.agrees()
    beside.executed("K", "T2", "0.1")
    beside.apart.look()
    assert beside.agrees()
    assert beside.orders == {"K": KILL_STRATEGY}


def test_an_order_told_by_a_report_is_its_strategys(beside: Beside) -> None:
    """It was given up, and came: NautilusTrader has it under the id that the venue gave it."""
    one = intent("L", strategy="S-2", quantity=D("0.3"))
    beside.journal.intend([one])
    beside.journal.state("L", OrderState.REFUSED)
    for number, part in enumerate(("0.1", "0.2")):
        beside.told("L", f"T{number}", part, "V-L")
        assert beside.agrees()
        beside.apart.look()
        assert beside.agrees(), "nothing is told twice"
    assert beside.orders == {"V-L": "S-2"}
    assert beside.claims == ["S-2"]
    beside.apart.settle(beside.known.__contains__)
    assert beside.claims == ["S-2"], "until NautilusTrader has it"
    beside.known.add("V-L")
    beside.apart.settle(beside.known.__contains__)
    assert beside.claims == ["S-2", "back"]


def test_what_an_event_tells_is_left_to_it(beside: Beside) -> None:
    beside.order("O", "S-1", Side.BUY, "0.3")
    beside.told("O", "T", "0.1", None)
    assert beside.ledger.by_strategy["S-1", INSTRUMENT] == D("0.5")
    assert beside.orders == {}


@pytest.mark.parametrize("is_over", [False, True])
def test_an_order_of_a_strategy_that_the_run_has_no_more(beside: Beside, is_over: bool) -> None:
    """It stands at the start, or a last execution of it comes after its end."""
    beside.order("G", "GONE-1", Side.BUY, "0.3")
    beside.executed("G", "T1", "0.1")
    if is_over:
        beside.journal.state("G", OrderState.CANCELED)
    beside.apart.start(beside.count, lambda _: True)
    beside.told("G", "T2", "0.2", "G" if is_over else None)
    assert beside.agrees()
    assert beside.ledger.by_strategy["GONE-1", INSTRUMENT] == D("0.3")
    assert beside.orders == {"G": "GONE-1"}
