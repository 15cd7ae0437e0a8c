"""The wall behind the strategies: exits within what is held, positions above their least."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import OrderSide

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Role, Side
from fairlead.engine.risk.facts import Declared, counted_order
from fairlead.engine.risk.gate import RiskGate
from tests.unit.guard.test_guarded import Plain, plain_config
from tests.unit.nautilus_harness import IID, Run, backtest, px, qty
from tests.unit.risk.test_gate import BTC, D, View, code, order

EXITS = [Role.EXIT, Role.STOP, Role.TARGET]


def gate_with(position: str, *, off: tuple[str, ...] = (), **risk: object) -> tuple[RiskGate, View]:
    gate = RiskGate(Risk(off=["FREE_BALANCE", "PRICE_COLLAR", *off], **risk))  # type: ignore[arg-type]
    gate.seed_positions({BTC: D(position)}, "S-001")
    return gate, View(gate)


def put(gate: RiskGate, view: View, name: str, quantity: str, **kw: object) -> str | None:
    """The refusal's code; an order that passes is live from then on."""
    side = kw.setdefault("side", Side.SELL)
    facts = order("101" if side is Side.SELL else "89", quantity, client_order_id=name, **kw)
    found = code(gate, facts, view)
    if found is None:
        gate.approve(facts, view.now)
    return found


@pytest.mark.parametrize("role", EXITS)
def test_all_exits_together_ask_for_no_more_than_is_held(role: Role) -> None:
    gate, view = gate_with("3")
    assert put(gate, view, "A", "2", role=role) is None
    assert put(gate, view, "B", "2", role=Role.EXIT) == "EXIT_EXCEEDS"
    assert put(gate, view, "B", "1", reduce_only=True) is None
    assert put(gate, view, "C", "0.001", role=role) == "EXIT_EXCEEDS"
    gate.closed("A")
    assert put(gate, view, "C", "2", role=role) is None


def test_an_exit_of_unknown_outcome_counts_until_it_is_proven() -> None:
    gate, view = gate_with("3")
    unknown = order("90", "3", client_order_id="old", side=Side.SELL, role=Role.STOP)
    gate.adopt(counted_order(unknown))
    assert put(gate, view, "A", "0.001", role=Role.STOP) == "EXIT_EXCEEDS"
    gate.filled("old", "S-001", BTC, Side.SELL, D(1))
    assert put(gate, view, "A", "0.001", role=Role.STOP) == "EXIT_EXCEEDS"
    gate.closed("old")
    assert put(gate, view, "A", "2", role=Role.STOP) is None


@pytest.mark.parametrize("exits", [*({"role": role} for role in EXITS), {"reduce_only": True}])
def test_the_way_out_stays_open_beside_orders_of_unknown_outcome(exits: dict[str, Any]) -> None:
    """What a venue leaves without an answer is a reason to have less there, not to keep it."""
    gate, view = gate_with("3", max_unknown_outcomes=2)
    gate.unknown_outcomes("TEST", 2)
    assert put(gate, view, "A", "1", role=Role.ENTRY) == "UNKNOWN_OUTCOMES"
    assert put(gate, view, "B", "1", role=Role.QUOTE) == "UNKNOWN_OUTCOMES"
    assert put(gate, view, "C", "3", **exits) is None
    assert put(gate, view, "D", "0.001", **exits) in ("EXIT_EXCEEDS", "REDUCE_ONLY")


def test_an_exit_without_a_position_is_refused_and_one_code_tells_it() -> None:
    gate, view = gate_with("0")
    assert put(gate, view, "A", "1", role=Role.STOP) == "EXIT_EXCEEDS"
    assert put(gate, view, "A", "1", reduce_only=True) == "REDUCE_ONLY"
    counters = gate.snapshot().counters
    assert (counters["EXIT_EXCEEDS"].refused, counters["REDUCE_ONLY"].refused) == (1, 1)


def test_orders_that_are_no_exits_and_exits_of_others_do_not_count() -> None:
    gate, view = gate_with("3")
    for name, role in (("A", Role.ENTRY), ("B", Role.QUOTE), ("C", Role.NONE)):
        assert put(gate, view, name, "9", role=role) is None
    gate.seed_positions({BTC: D(5)}, "S-002")
    assert put(gate, view, "D", "5", role=Role.STOP, strategy="S-002") is None
    assert put(gate, view, "E", "3", role=Role.STOP) is None


def test_a_modify_that_asks_for_no_more_is_never_refused() -> None:
    """The position shrank: what stands may be moved, not enlarged."""
    gate, view = gate_with("3")
    assert put(gate, view, "A", "3", role=Role.STOP) is None
    gate.seed_positions({BTC: D(1)}, "S-001")
    standing = gate.ledger.live["A"]
    same = order("102", "3", side=Side.SELL, role=Role.STOP, existing=standing)
    assert code(gate, same, view) is None
    larger = order("102", "3.001", side=Side.SELL, role=Role.STOP, existing=standing)
    assert code(gate, larger, view) == "EXIT_EXCEEDS"


def test_declared_inventory_is_for_sale_and_never_for_a_buy() -> None:
    gate, view = gate_with("3")
    gate.declare("S-001", BTC, Declared(D(2)))
    assert put(gate, view, "A", "5", role=Role.STOP) is None
    assert put(gate, view, "B", "0.001", role=Role.STOP) == "EXIT_EXCEEDS"
    gate, view = gate_with("-3")
    gate.declare("S-001", BTC, Declared(D(2)))
    assert put(gate, view, "A", "3.001", role=Role.STOP, side=Side.BUY) == "EXIT_EXCEEDS"
    assert put(gate, view, "A", "3", role=Role.STOP, side=Side.BUY) is None


def test_exits_may_ask_for_all_that_a_fee_in_base_currency_leaves() -> None:
    gate, view = gate_with("-3")
    gate.filled("x", "S-001", BTC, Side.BUY, D(2), D(100), (D("0.01"), "BTC"), view.now)
    assert put(gate, view, "A", "1.011", role=Role.STOP, side=Side.BUY) == "EXIT_EXCEEDS"
    assert put(gate, view, "A", "1.01", role=Role.STOP, side=Side.BUY) is None
    gate, view = gate_with("0")
    gate.filled("x", "S-001", BTC, Side.BUY, D(2), D(100), (D("0.01"), "BTC"), view.now)
    assert put(gate, view, "A", "1.991", role=Role.STOP) == "EXIT_EXCEEDS"
    assert put(gate, view, "A", "1.99", role=Role.STOP) is None


def test_a_reduce_only_order_closes_what_a_fee_in_base_currency_has_added_to_a_short() -> None:
    gate, view = gate_with("-3")
    gate.filled("x", "S-001", BTC, Side.BUY, D(2), D(100), (D("0.01"), "BTC"), view.now)
    rest = {"side": Side.BUY, "reduce_only": True}
    assert put(gate, view, "A", "1.011", **rest) == "REDUCE_ONLY"
    assert put(gate, view, "A", "1.01", **rest) is None


def test_a_strategy_that_may_not_be_short_sells_what_it_has_whatever_the_role() -> None:
    gate, view = gate_with("1")
    gate.declare("S-001", BTC, Declared(D(2), may_short=False))
    assert put(gate, view, "A", "2", role=Role.ENTRY) is None
    assert put(gate, view, "B", "2", role=Role.QUOTE) == "MIN_POSITION"
    assert put(gate, view, "B", "1") is None
    assert put(gate, view, "C", "0.001") == "MIN_POSITION"
    assert put(gate, view, "C", "9", side=Side.BUY) is None
    assert put(gate, view, "D", "9", strategy="S-002") is None  # another's word is its own


def test_min_position_counts_every_live_sell_of_all_strategies() -> None:
    gate, view = gate_with("1", min_position={BTC: D(-1)})
    gate.adopt(counted_order(order("90", "1", client_order_id="old", side=Side.SELL)))
    assert put(gate, view, "A", "1.001", strategy="S-002") == "MIN_POSITION"
    assert put(gate, view, "A", "1", strategy="S-002") is None
    assert put(gate, view, "B", "0.001", role=Role.EXIT) == "MIN_POSITION"
    assert put(gate, view, "C", "5", side=Side.BUY) is None
    gate.filled("A", "S-002", BTC, Side.SELL, D(1))
    assert put(gate, view, "B", "0.001") == "MIN_POSITION"
    gate.closed("old")
    assert put(gate, view, "B", "1") is None


def test_the_flatten_passes_a_least_position() -> None:
    gate, view = gate_with("1", min_position={BTC: D(1)})
    assert put(gate, view, "A", "1", reduce_only=True) == "MIN_POSITION"
    with gate.exits():
        assert put(gate, view, "A", "1", reduce_only=True) is None


def test_both_can_be_switched_off() -> None:
    off = ("EXIT_EXCEEDS", "MIN_POSITION")
    gate, view = gate_with("0", off=off, min_position={BTC: Decimal(0)})
    assert put(gate, view, "A", "1", role=Role.STOP) is None


def test_a_broken_loss_limit_that_cancels_leaves_a_protective_stop() -> None:
    class Protected(Plain):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 2:
                self.submit_order(self.order_factory.market(IID, OrderSide.BUY, qty(1)))
            if self.books == 4:
                self.stop_limit(IID, OrderSide.SELL, qty(1), px(80), px(79), role=Role.STOP)
                self.submit_order(self.order_factory.limit(IID, OrderSide.BUY, qty(1), px(85)))

    risk = Risk(max_daily_loss=["1 USDT"], on_breach="halt+cancel")
    mids = [100.0] * 6 + [96.0] * 8
    run = backtest(Run(Protected, plain_config(), risk=risk, steps=14, mids=mids))
    assert run.state.faults == []
    assert run.gate.halt_in_force is not None
    assert ("BUY", "LIMIT", "CANCELED") in run.orders
    assert ("SELL", "STOP_LIMIT", "ACCEPTED") in run.orders


def test_orders_that_rest_keep_no_position_open() -> None:
    """Neither by number nor by quantity: a reduce-only market order is looked at alone."""
    gate = RiskGate(Risk(max_position={BTC: D(3)}, max_open_orders=1))
    view = View(gate)
    gate.seed_positions({BTC: D(2)}, "S-001")
    gate.seed_positions({BTC: D(-4)}, "S-002")
    gate.approve(order(quantity="1", side=Side.SELL, client_order_id="R"), view.now)
    out = order(None, client_order_id="B", side=Side.SELL, reduce_only=True)
    assert code(gate, out, view) is None
    plain = msgspec.structs.replace(out, reduce_only=False)
    assert code(gate, plain, view) == "MAX_POSITION"
    gate.seed_positions({BTC: D(-2)}, "S-002")
    assert code(gate, plain, view) == "MAX_OPEN_ORDERS"
    resting = order("101", client_order_id="B", side=Side.SELL, reduce_only=True)
    assert code(gate, resting, view) == "MAX_OPEN_ORDERS"
