"""Orders past the gate are a breach, in every mode; exits and changes through it are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.model import (
    BookType,
    ExecAlgorithmId,
)
from nautilus_trader.trading import Strategy

from tests.unit.guard.test_guarded import BUY, STEPS, Plain, plain_config
from tests.unit.nautilus_harness import (
    IID,
    MODES,
    Run,
    px,
    qty,
)


def unbound_submit(s: Any) -> None:
    Strategy.submit_order(s, s.order_factory.limit(IID, BUY, qty(1), px(95)))


def unbound_list(s: Any) -> None:
    Strategy.submit_order_list(s, [s.order_factory.limit(IID, BUY, qty(1), px(95))])


def unbound_close_all(s: Any) -> None:
    Strategy.close_all_positions(s, IID)


def unbound_market_exit(s: Any) -> None:
    Strategy.market_exit(s)


def unbound_modify(s: Any) -> None:
    (order,) = s.cache.orders_open()
    Strategy.modify_order(s, order.client_order_id, price=px(94))


def unbound_algorithm(s: Any) -> None:
    order = s.order_factory.market(IID, BUY, qty(1), exec_algorithm_id=ExecAlgorithmId("TWAP"))
    Strategy.submit_order(s, order)


BYPASSES: dict[str, Callable[[Any], None]] = {
    "submit": unbound_submit,
    "list": unbound_list,
    "close_all": unbound_close_all,
    "market_exit": unbound_market_exit,
    "modify": unbound_modify,
    "exec_algorithm": unbound_algorithm,
}


class Bypassing(Strategy):
    bypass: Callable[[Any], None]

    def on_start(self) -> None:
        self.books = 0
        self.subscribe_book_deltas(IID, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 2:
            self.submit_order(self.order_factory.market(IID, BUY, qty(1)))
            self.submit_order(self.order_factory.limit(IID, BUY, qty(1), px(96)))
        if self.books == 10:
            type(self).bypass(self)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BYPASSES)
def test_order_past_the_gate_is_a_breach_and_ends_the_run(name: str, mode: str) -> None:
    bypassing = type("Bypassing", (Bypassing,), {"bypass": staticmethod(BYPASSES[name])})
    run = MODES[mode](Run(bypassing, steps=60))
    assert run.state.breach is not None
    assert run.state.breach.strategy == "S-001"
    assert run.state.faults == []
    assert run.gate.faulted("S-001")
    assert run.strategy.books < 60
    assert run.state.stop_reason is not None
    assert not {status for _, _, status in run.orders} & {"ACCEPTED", "PARTIALLY_FILLED"}


@pytest.mark.parametrize("mode", MODES)
def test_manage_stop_is_a_breach(mode: str) -> None:
    run = MODES[mode](Run(Plain, plain_config(manage_stop=True), steps=STEPS))
    assert run.state.breach is not None


@pytest.mark.parametrize("mode", MODES)
def test_own_exits_are_no_breach(mode: str) -> None:
    class Exits(Bypassing):
        bypass = staticmethod(lambda s: s.market_exit())

    run = MODES[mode](Run(Exits, steps=30))
    assert (run.state.breach, run.state.faults, run.codes()) == (None, [], [])
    assert run.orders == [
        ("BUY", "MARKET", "FILLED"),
        ("BUY", "LIMIT", "CANCELED"),
        ("SELL", "MARKET", "FILLED"),
    ] or sorted(run.orders) == [
        ("BUY", "LIMIT", "CANCELED"),
        ("BUY", "MARKET", "FILLED"),
        ("SELL", "MARKET", "FILLED"),
    ]
    assert run.gate.ledger.live == {}
    assert run.gate.ledger.positions[str(IID)] == 0


@pytest.mark.parametrize("mode", MODES)
def test_modify_through_the_gate_is_done(mode: str) -> None:
    class Modifies(Bypassing):
        bypass = staticmethod(
            lambda s: s.modify_order(
                s.cache.orders_open()[0].client_order_id, quantity=qty(2), price=px(95)
            )
        )

    run = MODES[mode](Run(Modifies, steps=30))
    assert (run.state.breach, run.state.faults, run.codes()) == (None, [], [])
    (live,) = run.gate.ledger.live.values()
    assert live.quantity == 2
    assert run.gate.approvals.changes(str(live.client_order_id)) == []
