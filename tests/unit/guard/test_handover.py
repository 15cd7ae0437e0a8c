"""What a strategy is given at its start, and what it can ask for later, in paper and backtest."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderSide

from fairlead.engine.config.model import Risk
from fairlead.engine.guard import OwnOrder
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.orders.model import Intent, Kind, Refused, Role, Side, TriggerCondition
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.facts import Declared, OrderFacts, counted_order
from tests.unit.guard.test_guarded import Plain, plain_config
from tests.unit.nautilus_harness import IID, MODES, OTHER, Run, backtest, px, qty

NONE_SUCH = (
    "an instrument of this run (BTC_USDT.TEST), 'BTC_USD.TEST' came; did you mean BTC_USDT.TEST?"
)
NEAR = InstrumentId.from_str("BTC_USD.TEST")  # near one of the run
OLD = "5d9a2f52-0000-4000-8000-000000000001"


def unknown(role: Role = Role.STOP, strategy: str = "S-001") -> Any:
    facts = OrderFacts(
        client_order_id=OLD,
        strategy=strategy,
        instrument=str(IID),
        side=Side.SELL,
        kind="STOP_LIMIT",
        quantity=Decimal(2),
        price=Decimal(90),
        role=role,
    )
    return counted_order(facts, Decimal("0.5"))


class Watching(GuardedStrategy):
    """Notes what is handed over, then subscribes."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.books = 0
        self.said: list[str] = []
        self.given: list[OwnOrder] = []
        self.held: dict[Any, Decimal] = {}

    def on_recovered(self, orders: Any, positions: Any) -> None:
        self.said.append("recovered")
        self.given, self.held = list(orders), dict(positions)

    def on_start(self) -> None:
        self.said.append("start")
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_order_rejected(self, event: Any) -> None:
        self.said.append(f"rejected {event.client_order_id}")

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        self.later()

    def later(self) -> None: ...


def run_of(cls: type, **risk: Any) -> Run:
    return Run(cls, plain_config(), risk=Risk(**risk), steps=12)


@pytest.mark.parametrize("mode", MODES)
def test_a_first_start_is_handed_nothing_and_told_so(mode: str) -> None:
    run = MODES[mode](run_of(Watching))
    assert run.state.faults == []
    assert run.strategy.said[:2] == ["recovered", "start"]
    assert (run.strategy.given, run.strategy.held) == ([], {})


@pytest.mark.parametrize("mode", MODES)
def test_live_orders_can_be_asked_for_with_their_roles(mode: str) -> None:
    found: list[OwnOrder] = []

    class Asking(Watching):
        def later(self) -> None:
            if self.books == 2:
                self.submit_order(self.order_factory.market(IID, OrderSide.BUY, qty(2)))
            if self.books == 6:
                self.stop_limit(IID, OrderSide.SELL, qty(2), px(95), px(94), role=Role.STOP)
            if self.books == 9:
                found.extend(self.own_orders(IID))
                self.held[IID] = self.own_position(IID)

    run = MODES[mode](run_of(Asking))
    assert (run.codes(), run.state.faults) == ([], [])
    (stop,) = found
    assert (stop.role, stop.side, stop.kind) == (Role.STOP, OrderSide.SELL, "STOP_LIMIT")
    assert (stop.quantity, stop.remaining) == (Decimal(2), Decimal(2))
    assert (stop.trigger_price, stop.price) == (Decimal(95), Decimal(94))
    assert (stop.trigger_condition, stop.is_proven) == (TriggerCondition.LTE, True)
    assert run.strategy.held[IID] == Decimal(2)


def test_an_order_of_unknown_outcome_is_handed_over_and_its_absence_told() -> None:
    class Waiting(Watching):
        def later(self) -> None:
            if self.books == 3:
                self.said.append("proven")
                self._guard.gate.closed(OLD)

    run = run_of(Waiting, max_daily_loss=["100000 USDT"])
    run.gate.adopt(unknown())
    run.gate.seed_positions({str(IID): Decimal("1.5")}, "S-001")
    backtest(run)
    assert run.state.faults == []
    (order,) = run.strategy.given
    assert (order.role, order.remaining, order.is_proven) == (Role.STOP, Decimal("1.5"), False)
    assert run.strategy.held == {IID: Decimal("1.5")}
    assert run.strategy.said == ["recovered", "start", "proven", f"rejected {OLD}"]


def test_orders_and_positions_of_others_are_not_handed_over() -> None:
    run = run_of(Watching)
    run.gate.adopt(unknown(strategy="S-002"))
    run.gate.seed_positions({str(IID): Decimal(1)}, "S-002")
    backtest(run)
    assert (run.strategy.given, run.strategy.held) == ([], {})


def test_what_a_strategy_declares_is_known_to_the_gate_from_the_start() -> None:
    class Owning(Watching):
        def declared(self) -> Any:
            return {IID: Declared(Decimal(3), may_short=False)}

        def later(self) -> None:
            if self.books in (2, 4):
                order = self.order_factory.limit(IID, OrderSide.SELL, qty(2), px(101))
                self.submit_order(order)

    run = backtest(run_of(Owning))
    assert (run.codes(), run.state.faults) == (["MIN_POSITION"], [])


@pytest.mark.parametrize("name", ["on_recovered", "declared", "on_start"])
def test_what_is_raised_before_its_on_start_is_told_by_its_own_name(name: str) -> None:
    def broken(self: Any, *_: Any) -> Any:
        raise ValueError("broken here")

    run = backtest(run_of(type("Broken", (Watching,), {name: broken})))
    assert [(one.callback, one.error) for one in run.state.faults] == [(name, "ValueError")]
    assert "broken here" in run.state.faults[0].message


def test_a_plain_strategy_keeps_its_own_use_of_the_names() -> None:
    class Own(Plain):
        declared = "mine"

        def on_recovered(self) -> str:
            return "mine"

        def own_orders(self) -> str:
            return "mine"

    run = backtest(Run(Own, plain_config(), steps=4))
    assert run.state.faults == []
    assert (run.strategy.declared, run.strategy.on_recovered()) == ("mine", "mine")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, "a mapping of InstrumentId to Declared, None came"),
        ({IID: 5}, "a Declared for each instrument, 5 came"),
        ({IID: Declared(inventory=0.5)}, "inventory to be a Decimal, 0.5 came"),  # type: ignore[arg-type]
        ({IID: Declared(Decimal(-5))}, "inventory to be 0 or more base units, Decimal('-5') came"),
        ({IID: Declared(Decimal("NaN"))}, "inventory to be 0 or more base units, Decimal('NaN')"),
        ({IID: Declared(may_short="no")}, "may_short to be True or False, 'no' came"),  # type: ignore[arg-type]
        ({NEAR: Declared(may_short=False)}, NONE_SUCH),
    ],
)
def test_what_is_declared_is_looked_at_and_its_mistake_has_a_place(
    said: Any, expected: str
) -> None:
    class Saying(Watching):
        def declared(self) -> Any:
            return said

    (fault,) = backtest(run_of(Saying)).state.faults
    assert f"declared: expected {expected}" in str(fault)
    assert fault.place.rpartition(":")[0] == __file__


@pytest.mark.parametrize("said", ["BTC_USDT", [str(IID)], IID, None])
def test_a_promise_is_asked_for_once_and_one_that_is_none_is_a_fault(said: Any) -> None:
    asked: list[Any] = []

    class Saying(Watching):
        def flat_on_stop(self) -> Any:
            asked.append(said)
            return said

        def later(self) -> None:
            down = self._guard.winddown
            assert down.promised() == down.promised() == frozenset()

    (fault,) = backtest(run_of(Saying)).state.faults
    assert str(fault).startswith("S-001.flat_on_stop: BadAnswerError: flat_on_stop: expected a ")
    assert fault.place.rpartition(":")[0] == __file__
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["BTC_USDT", OTHER])
def test_no_promise_is_made_of_what_is_no_instrument_of_the_run(name: Any) -> None:
    class Leaving(Watching):
        def on_stop(self) -> None:
            self.close_all_positions(name)

    run = backtest(run_of(Leaving))
    assert len(run.state.faults) == (name != OTHER)
    assert run.strategy._guard.winddown._promised == set()


def test_a_fault_over_a_release_that_was_refused_is_the_strategys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the order desk that asks: nothing of the strategy is raised there."""
    answers: list[Any] = []
    intent = Intent(
        client_order_id=OLD,
        strategy="S-001",
        instrument=str(IID),
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
    )

    class Denied(Watching):
        def later(self) -> None:
            if not answers:
                answers.append(self._guard.sending.release(intent, intent))

        def on_gate_denied(self, order: Any, denial: Any) -> None:
            raise ValueError("raised on purpose")

    run = run_of(Denied)
    monkeypatch.setattr(run.gate, "release", lambda *_: Denial("MAX_POSITION", "too much"))
    (fault,) = backtest(run).state.faults
    assert str(fault).startswith("S-001.on_gate_denied: ValueError: raised on purpose")
    why = "refused by the gate, not sent: too much"
    assert answers == [Refused("MAX_POSITION", why, is_sent=False)]


class Hearing(Watching):
    """Buys one, whose client order id comes to `named` before the order is filled."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.fills = 0

    def later(self) -> None:
        if self.books == 2:
            order = self.order_factory.market(IID, OrderSide.BUY, qty(2))
            self.submit_order(order)
            self.named(str(order.client_order_id))

    def named(self, client_order_id: str) -> None: ...

    def on_order_filled(self, event: Any) -> None:
        self.fills += 1


@pytest.mark.parametrize("is_heard", [True, False])
def test_what_the_desk_tells_the_gate_of_is_not_counted_by_its_event(is_heard: bool) -> None:
    class Told(Hearing):
        def named(self, client_order_id: str) -> None:
            self._guard.run.apart[client_order_id] = self if is_heard else None

    run = backtest(run_of(Told))
    assert run.state.faults == []
    assert bool(run.strategy.fills) == is_heard
    assert not any(run.gate.ledger.by_strategy.values())


def test_a_fill_is_of_the_strategy_for_which_the_order_is_counted() -> None:
    """Of another's order of before the start one hears until that other has started."""

    class Others(Hearing):
        def named(self, client_order_id: str) -> None:
            live = self._guard.gate.ledger.live
            live[client_order_id] = msgspec.structs.replace(
                live[client_order_id], strategy="Other-002"
            )

    run = backtest(run_of(Others))
    assert run.state.faults == []
    assert run.gate.ledger.by_strategy == {("Other-002", str(IID)): Decimal(2)}


@pytest.mark.parametrize("at", ["on_recovered", "on_start", "on_book_deltas"])
def test_what_on_gate_denied_raises_is_told_by_its_name_wherever_the_order_was_sent(
    at: str,
) -> None:
    def send(self: Any, *_: Any) -> None:
        size = qty(100)
        self.submit_order(self.order_factory.limit(IID, OrderSide.BUY, size, px(100)))

    def denied(self: Any, order: Any, denial: Denial) -> None:
        raise KeyError("told")

    cls = type("Denied", (Watching,), {at: send, "on_gate_denied": denied})
    run = backtest(run_of(cls, max_order_notional="1 USDT"))
    assert [(one.callback, one.error) for one in run.state.faults] == [
        ("on_gate_denied", "KeyError")
    ]


def test_what_is_raised_after_a_denial_that_was_heard_is_its_own_callbacks() -> None:
    class Denied(Watching):
        def later(self) -> None:
            if self.books == 2:
                order = self.order_factory.limit(IID, OrderSide.BUY, qty(100), px(100))
                try:
                    self.submit_order(order)
                except KeyError:
                    raise ValueError("its own") from None

        def on_gate_denied(self, order: Any, denial: Denial) -> None:
            raise KeyError("told")

    run = backtest(run_of(Denied, max_order_notional="1 USDT"))
    assert [(one.callback, one.error) for one in run.state.faults] == [
        ("on_book_deltas", "ValueError")
    ]
