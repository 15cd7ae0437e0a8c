"""Room for an entry at a venue that clears: its strategy's position is closed first, and booked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import BookType, OrderSide, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import GuardedStrategy, guard
from fairlead.engine.orders.model import room_of
from fairlead.engine.risk.gate import RiskGate
from tests.unit.brackets.test_whole import ABLE as WHOLE
from tests.unit.nautilus_harness import IID, MODES, Run, backtest, px, qty, strategy_config

BUY, SELL = OrderSide.BUY, OrderSide.SELL
FLAT = [100.0] * 25
ABLE = msgspec.structs.replace(WHOLE, clears=True)
EXITS = [("SELL", "LIMIT", "CANCELED")] * 2 + [("SELL", "STOP_LIMIT", "CANCELED")]


def held(run: Run) -> float:
    return float(run.gate.ledger.positions[str(IID)])


def run_of(cls: type, mids: Any = FLAT, **risk: Any) -> Run:
    risk = {"off": ["CLEARS"]} | risk
    gate = RiskGate(Risk(**risk), capabilities={"TEST": ABLE}, is_simulated=True)
    return Run(cls, strategy_config(), mids=mids, steps=len(mids), gate=gate)


class Again(GuardedStrategy):
    """A bracket at its third book, and whatever `then` is at its sixth; `says` is what it hears."""

    then: Callable[[Any], Any] = staticmethod(lambda s: s.enter(BUY))
    after: Callable[[Any], Any] = staticmethod(lambda s: None)  # right after
    entry_at: float | None = None

    def on_start(self) -> None:
        self.books, self.says = 0, list[str]()
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 3:
            self.enter(BUY)
        if self.books == 6:
            self.second = self.then(self)
            self.after(self)

    def enter(self, side: OrderSide) -> Any:
        sign = 1 if side == BUY else -1
        stop, *targets = (px(100 + sign * away) for away in (-5, 2, 4))
        entry = None if self.entry_at is None else px(self.entry_at)
        return self.bracket(IID, side, qty(1), stop=stop, target=targets, entry=entry)

    def on_order_filled(self, event: Any) -> None:
        self.says.append(f"{event.order_side.name} {event.last_qty}")

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.says.append(f"{denial.code} {order.order_type.name}")


def again(**attributes: Any) -> type[Again]:
    named = {name: staticmethod(one) if callable(one) else one for name, one in attributes.items()}
    return type("Again", (Again,), named)


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("mode", MODES)
def test_the_first_is_closed_by_an_exit_of_its_own_and_the_second_stands(
    mode: str, side: OrderSide
) -> None:
    run = MODES[mode](run_of(again(then=lambda s: s.enter(side))))
    assert (run.codes(), run.state.faults, run.state.breach) == ([], [], None)
    assert run.strategy.says == ["BUY 1.000000", "SELL 1.000000", f"{side.name} 1.000000"]
    assert sorted(one for one in run.orders if one[2] == "CANCELED") == EXITS
    assert held(run) == (1 if side == BUY else -1)
    (bracket,) = run.strategy.open_brackets()
    assert bracket.entry == str(run.strategy.second.client_order_id)
    assert run.gate.ledger.live.keys() == set(bracket.exits)


@pytest.mark.parametrize("latency_ms", [0, 300, 1_700])
def test_it_waits_until_what_is_in_its_place_is_over(latency_ms: int) -> None:
    """And its own exits end it in the end: nothing of the first takes it for its own."""
    run = backtest(run_of(Again, [*FLAT, 101, 102.5, *[104.5] * 10]), latency_ms=latency_ms)
    assert (run.codes(), run.state.faults) == ([], [])
    assert run.strategy.says[:3] == ["BUY 1.000000", "SELL 1.000000", "BUY 1.000000"]
    assert run.strategy.says[3:] == ["SELL 0.500000"] * 2
    assert (held(run), run.gate.ledger.live, run.strategy.open_brackets()) == (0, {}, ())


def test_the_exit_names_what_it_makes_room_for() -> None:
    class Named(Again):
        def on_stop(self) -> None:
            self.rooms = [room_of(order.tags) for order in self.cache.orders()]

    run = backtest(run_of(Named))
    assert [one for one in run.strategy.rooms if one] == [str(run.strategy.second.client_order_id)]


def test_without_the_switch_it_is_refused() -> None:
    run = backtest(run_of(Again, off=[]))
    assert run.codes()[0] == "CLEARS"
    assert run.strategy.says[0] == "BUY 1.000000"
    assert held(run) == 1


def test_one_that_the_gate_refuses_anyway_closes_nothing() -> None:
    def large(s: Any) -> Any:
        return s.submit_order(s.order_factory.limit(IID, BUY, qty(3), px(99)))

    run = backtest(run_of(again(then=large), max_position={str(IID): 2}))
    assert run.strategy.says == ["BUY 1.000000", "MAX_POSITION LIMIT"]
    assert held(run) == 1


def test_a_limit_of_one_position_holds_both_one_after_the_other() -> None:
    run = backtest(run_of(Again, max_position={str(IID): 1}, max_open_orders=9), latency_ms=300)
    assert (run.codes(), held(run)) == ([], 1)


def test_after_its_own_close_it_waits_for_that() -> None:
    def closes(s: Any) -> Any:
        s.close_all_positions(IID)
        return s.enter(BUY)

    run = backtest(run_of(again(then=closes)), latency_ms=300)
    assert run.strategy.says == ["BUY 1.000000", "SELL 1.000000", "BUY 1.000000"]


@pytest.mark.parametrize("mode", MODES)
def test_what_rests_is_ended_too_where_no_venue_does_it(mode: str) -> None:
    """A plain limit in the place of another: live the venue cancels the first."""

    class Resting(Again):
        def enter(self, side: OrderSide) -> Any:
            order = self.order_factory.limit(IID, side, qty(1), px(99 - self.books / 100))
            self.submit_order(order)
            return order

    run = MODES[mode](run_of(Resting))
    assert (run.codes(), run.state.faults) == ([], [])
    assert run.orders == [("BUY", "LIMIT", "CANCELED"), ("BUY", "LIMIT", "ACCEPTED")]


def test_a_market_entry_on_its_way_is_waited_for_by_none() -> None:
    def twice(s: Any) -> Any:
        s.close_all_positions(IID)

    run = backtest(run_of(again(then=twice, after=lambda s: s.enter(BUY))), latency_ms=300)
    assert run.codes() == []
    run = backtest(run_of(again(then=lambda s: (s.enter(BUY), s.enter(BUY)))), latency_ms=300)
    assert set(run.codes()) == {"CLEARS_HELD", "LIST_DENIED"}
    assert held(run) == 1


def dropped(code: str, after: Callable[[Any], Any]) -> Run:
    run = backtest(run_of(again(after=after)), latency_ms=700)
    assert run.strategy.says[1:] != []
    assert run.codes() == [code, *["LIST_DENIED"] * 3]
    assert "BUY 1.000000" not in run.strategy.says[1:], "the second was sent"
    return run


WITHDRAWALS: dict[str, Callable[[Any], Any]] = {
    "cancel": lambda s: s.cancel_order(s.second.client_order_id),
    "cancel all": lambda s: s.cancel_all_orders(IID),
    "cancel its bracket": lambda s: s.cancel_bracket(s.second.client_order_id),
}


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_what_waits_can_be_cancelled(how: str) -> None:
    run = dropped("CLEARS_HELD", WITHDRAWALS[how])
    assert (held(run), run.gate.ledger.live, run.strategy.open_brackets()) == (0, {}, ())


def test_a_kill_meanwhile_ends_the_wait() -> None:
    class Killed:
        def reason(self, strategy: str = "", instrument: str = "") -> str:
            return "a kill"

    def kills(s: Any) -> None:
        s._guard.gate.kill = Killed()

    assert held(dropped("KILL_SWITCH", kills)) == 0


def test_a_halt_meanwhile_ends_the_wait() -> None:
    def halts(s: Any) -> None:
        s._guard.gate.halt("for a test", s.clock.timestamp_ns())

    assert held(dropped("HALTED", halts)) == 0


def test_the_stop_of_its_strategy_ends_the_wait() -> None:
    run = dropped("CLEARS_HELD", lambda s: s.stop())
    assert ("SELL", "MARKET", "FILLED") in run.orders, "the exit is on its way still"
    assert run.state.faults == []


def test_so_does_the_end_of_a_backtest() -> None:
    dropped("CLEARS_HELD", lambda s: s.shutdown_system("for a test"))


def test_an_exit_that_the_gate_refuses_is_the_entrys_refusal() -> None:
    def refuses(s: Any) -> Any:
        check, s.books = s._guard.gate.check, s.books

        def odd(order: Any, view: Any) -> Any:
            if order.is_exit and order.kind == "MARKET":
                return s._guard.gate.refuse("ORDER_RATE", "for a test", order.instrument)
            return check(order, view)

        s._guard.gate.check = odd
        return s.enter(BUY)

    run = backtest(run_of(again(then=refuses)), latency_ms=300)
    assert run.codes() == ["ORDER_RATE", "CLEARS_HELD", *["LIST_DENIED"] * 3]
    assert "for a test" in run.state.denials[1].denial.message
    assert held(run) == 1
    (bracket,) = run.strategy.open_brackets()
    assert run.gate.ledger.live.keys() == set(bracket.exits)


def test_a_position_that_is_anothers_too_stays() -> None:
    run = run_of(Again)
    config = StrategyConfig(strategy_id=StrategyId("Q-002"), use_uuid_client_order_ids=True)
    other = guard(again())(config)
    other.bind(run.gate, run.state)
    backtest(run, more=[other])
    assert set(run.codes()) == {"CLEARS_HELD", "LIST_DENIED"}
    assert held(run) == 1


class Plain(Strategy):
    def on_start(self) -> None:
        self.books = 0
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books in (3, 6):
            self.submit_order(self.order_factory.market(IID, BUY, qty(1)))


def test_a_plain_strategys_position_stays() -> None:
    run = backtest(run_of(Plain))
    assert (run.codes(), held(run)) == (["CLEARS_HELD"], 1)


def test_an_order_that_waited_counts_once_for_the_day() -> None:
    run = backtest(run_of(Again), latency_ms=300)
    assert len(run.orders) == 9
    assert run.gate.books.flows.of("TEST", 0).orders == 9
