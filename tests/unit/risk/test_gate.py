"""The gate's parts alone: checks at their limits, approvals, ledger, persisted state."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import msgspec
import pytest

from fairlead.engine.config.model import CheckCode, Risk
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.model import Capabilities, Kind, Side, Tif, TriggerCondition
from fairlead.engine.orders.trigger import condition_of, default_condition, kind_for
from fairlead.engine.risk.checks import CHECKS, Denial
from fairlead.engine.risk.checks_form import duplicate_order_id
from fairlead.engine.risk.document import table
from fairlead.engine.risk.facts import (
    CountedOrder,
    Funds,
    InstrumentFacts,
    OrderFacts,
    RateWindow,
    Reference,
)
from fairlead.engine.risk.gate import OVER_GRACE_NS, RiskGate
from fairlead.engine.risk.ledger import Ledger
from fairlead.engine.risk.state import RiskStateError, RiskStateFile

BTC = "BTC_USDT.TEST"
NOW = 1_700_000_000_000_000_000
D = Decimal


class View:
    """A view of plain values."""

    def __init__(self, gate: RiskGate) -> None:
        self.gate = gate
        self.limits = gate.limits
        self.now = NOW
        self.market: Reference | None = Reference("book", NOW, D("99.9"), D("100.1"))
        self.ids: set[str] = set()
        self.facts = InstrumentFacts(
            price_increment=D("0.01"),
            size_increment=D("0.001"),
            price_precision=2,
            size_precision=3,
            quote="USDT",
            base="BTC",
        )
        self.able: Capabilities | None = None
        self.money = {"USDT": D(1_000_000), "BTC": D(1_000)}
        self.cash = True
        self.leverage = D(1)
        gate.know(BTC, self.facts)

    def now_ns(self) -> int:
        return self.now

    def pending(self, client_order_id: str) -> CountedOrder | None:
        return self.gate.ledger.live.get(client_order_id)

    def reference(self, instrument: str) -> Reference | None:
        return self.market

    def instrument(self, instrument: str) -> InstrumentFacts | None:
        return self.facts

    def capabilities(self, instrument: str) -> Capabilities | None:
        return self.able

    def seen(self, client_order_id: str) -> bool:
        return client_order_id in self.ids

    def funds(self, instrument: str, currency: str) -> Funds | None:
        total = self.money.get(currency, D(0))
        return Funds(total, total, self.cash, self.leverage, NOW)

    def kill_switch(self, order: OrderFacts) -> str | None:
        return self.gate.kill.reason(order.strategy, order.instrument)


class TierView(View):
    """Of a dealer: up to 100 at 1 % from the middle, up to 5,000 at 10 %."""

    def __init__(self, gate: RiskGate) -> None:
        super().__init__(gate)
        self.market = Reference("book", NOW, D(99), D(101))
        self.able = Capabilities(
            kinds=frozenset({Kind.LIMIT, Kind.STOP_LIMIT}),
            time_in_force=frozenset({Tif.GTC}),
            tier_price=lambda tiers, quantity: next(
                (price for price, size in tiers if size >= quantity), None
            ),
        )

    def levels(self, instrument: str, side: Side) -> list[tuple[Decimal, Decimal]]:
        far = {Side.BUY: ("99", "90"), Side.SELL: ("101", "110")}[side]
        return [(D(far[0]), D(100)), (D(far[1]), D(5000))]


def order(price: str | None = "100", quantity: str = "1", **kw: Any) -> OrderFacts:
    values: dict[str, Any] = {
        "client_order_id": "A",
        "strategy": "S-001",
        "instrument": BTC,
        "side": Side.BUY,
        "kind": "LIMIT" if price is not None else "MARKET",
        "quantity": D(quantity),
        "price": None if price is None else D(price),
    }
    return OrderFacts(**{**values, **kw})


def code(gate: RiskGate, facts: OrderFacts, view: View) -> str | None:
    denial = gate.check(facts, view)
    return None if denial is None else denial.code


def test_zero_and_negative_quantities_are_refused() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    assert code(gate, order(quantity="0"), view) == "QUANTITY"
    assert code(gate, order(quantity="-1"), view) == "QUANTITY"
    assert code(gate, order(quantity="0.001"), view) is None


@pytest.mark.parametrize(
    ("age_ms", "expected"), [(0, None), (5000, None), (5001, "STALE_REFERENCE"), (-100, None)]
)
def test_reference_age(age_ms: int, expected: str | None) -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.market = Reference("book", NOW - age_ms * 1_000_000, D(99), D(101))
    assert code(gate, order(), view) == expected


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (Side.BUY, "105", None),
        (Side.BUY, "105.01", "PRICE_COLLAR"),
        (Side.BUY, "1", None),
        (Side.SELL, "95", None),
        (Side.SELL, "94.99", "PRICE_COLLAR"),
        (Side.SELL, "900", None),
    ],
)
def test_collar_is_exact_and_only_on_the_losing_side(
    side: Side, price: str, expected: str | None
) -> None:
    gate = RiskGate(Risk())
    assert code(gate, order(price, side=side), View(gate)) == expected


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "limit", "expected"),
    [
        # Fires above the market: compared with the trigger.
        (Side.BUY, "STOP_LIMIT", "120", "126", None),
        (Side.BUY, "STOP_LIMIT", "120", "126.01", "PRICE_COLLAR"),
        # A trigger already crossed fires now: compared with the market.
        (Side.BUY, "STOP_LIMIT", "80", "105", None),
        (Side.BUY, "STOP_LIMIT", "80", "105.01", "PRICE_COLLAR"),
        (Side.SELL, "STOP_LIMIT", "80", "76", None),
        (Side.SELL, "STOP_LIMIT", "80", "75.99", "PRICE_COLLAR"),
        (Side.BUY, "LIMIT_IF_TOUCHED", "80", "84", None),
        (Side.BUY, "LIMIT_IF_TOUCHED", "80", "84.01", "PRICE_COLLAR"),
        (Side.BUY, "LIMIT_IF_TOUCHED", "200", "210", "PRICE_COLLAR"),
        (Side.SELL, "LIMIT_IF_TOUCHED", "120", "114", None),
        (Side.SELL, "LIMIT_IF_TOUCHED", "120", "113.99", "PRICE_COLLAR"),
        (Side.SELL, "LIMIT_IF_TOUCHED", "50", "47.5", "PRICE_COLLAR"),
    ],
)
def test_collar_of_stops(
    side: Side, kind: str, trigger: str, limit: str, expected: str | None
) -> None:
    gate = RiskGate(Risk(off=["STOP_SIDE"]))
    facts = order(limit, side=side, kind=kind, trigger_price=D(trigger))
    assert code(gate, facts, View(gate)) == expected


@pytest.mark.parametrize(
    ("side", "quantity", "price", "expected"),
    [
        (Side.BUY, "100", "106.05", None),  # 5 % through the tier of 101
        (Side.BUY, "100", "106.06", "PRICE_COLLAR"),
        (Side.BUY, "101", "115.5", None),
        (Side.BUY, "101", "115.51", "PRICE_COLLAR"),
        (Side.BUY, "5001", "105", None),  # no tier covers it: the middle
        (Side.BUY, "5001", "105.01", "PRICE_COLLAR"),
        (Side.SELL, "101", "85.5", None),
        (Side.SELL, "101", "85.49", "PRICE_COLLAR"),
    ],
)
def test_a_dealer_s_price_is_that_of_the_tier_that_covers_the_quantity(
    side: Side, quantity: str, price: str, expected: str | None
) -> None:
    gate = RiskGate(Risk(off=["FREE_BALANCE", "MAX_ORDER_NOTIONAL"]))
    view = TierView(gate)
    assert code(gate, order(price, quantity, side=side), view) == expected


def test_a_stop_at_a_dealer_s_is_compared_with_the_worse_of_its_trigger_and_the_tier() -> None:
    gate = RiskGate(Risk(off=["FREE_BALANCE", "MAX_ORDER_NOTIONAL", "STOP_SIDE"]))
    view = TierView(gate)
    for trigger, limit, expected in (("105", "115.5", None), ("105", "115.51", "PRICE_COLLAR")):
        facts = order(limit, "101", kind="STOP_LIMIT", trigger_price=D(trigger))
        assert code(gate, facts, view) == expected


def test_position_counts_positions_open_and_unproven_orders() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(3)}, off=["SELF_CROSS"]))
    view = View(gate)
    gate.seed_positions({BTC: D(1)})
    gate.approve(order(client_order_id="B", quantity="1.5"), NOW)
    assert code(gate, order(quantity="0.5"), view) is None
    assert code(gate, order(quantity="0.501"), view) == "MAX_POSITION"
    assert code(gate, order(quantity="4", side=Side.SELL), view) is None
    assert code(gate, order(quantity="4.001", side=Side.SELL), view) == "MAX_POSITION"
    gate.filled("B", "S-001", BTC, Side.BUY, D("0.5"))
    assert code(gate, order(quantity="0.501"), view) == "MAX_POSITION"
    gate.closed("B")
    assert code(gate, order(quantity="1.5"), view) is None


def test_a_modify_is_checked_as_what_it_would_make() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(3)}, max_open_orders=1))
    view = View(gate)
    gate.approve(order(quantity="1"), NOW)
    live = gate.ledger.live["A"]
    assert code(gate, order(quantity="3", existing=live), view) is None
    assert code(gate, order(quantity="3.001", existing=live), view) == "MAX_POSITION"
    gate.filled("A", "S-001", BTC, Side.BUY, D("0.5"))
    assert code(gate, order(quantity="3", existing=live), view) is None
    assert code(gate, order(quantity="0.5", existing=live), view) == "QUANTITY"


def test_a_pending_modify_counts_the_larger_quantity() -> None:
    gate = RiskGate(Risk())
    gate.approve(order(quantity="1"), NOW)
    live = gate.ledger.live["A"]
    gate.approve_modify(order(quantity="2", existing=live), (D(2), None, None), NOW)
    assert gate.ledger.working_quantity(BTC, Side.BUY) == 2
    assert gate.approvals.changes("A") == [(D(2), None, None)]
    gate.modify_answered("A", D(1))
    assert gate.ledger.working_quantity(BTC, Side.BUY) == 1
    assert gate.approvals.changes("A") == []


def test_order_filled_before_its_modify_was_refused_is_over() -> None:
    gate = RiskGate(Risk())
    gate.approve(order(quantity="1"), NOW)
    live = gate.ledger.live["A"]
    gate.approve_modify(order(quantity="2", existing=live), (D(2), None, None), NOW)
    gate.filled("A", "S-001", BTC, Side.BUY, D(1))
    gate.modify_answered("A", D(1))
    assert gate.ledger.live == {}
    assert gate.ledger.working_quantity(BTC, Side.BUY) == 0


def test_reduce_only_is_never_refused_for_position_size() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(1)}))
    view = View(gate)
    gate.seed_positions({BTC: D(2)})
    for number in range(3):
        gate.approve(order(client_order_id=str(number), side=Side.SELL, quantity="2"), NOW)
    exit_order = order(None, quantity="2", side=Side.SELL, reduce_only=True)
    assert code(gate, exit_order, view) is None
    assert code(gate, order(quantity="1", reduce_only=True), view) == "REDUCE_ONLY"


def test_children_of_an_order_list_reduce_their_parent() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(1)}))
    view = View(gate)
    gate.approve(order(client_order_id="P"), NOW)
    child = order(
        "105", client_order_id="C", side=Side.SELL, reduce_only=True, parent="P", contingency="OUO"
    )
    assert code(gate, child, view) is None
    gate.approve(child, NOW)
    assert gate.ledger.working_quantity(BTC, Side.SELL) == 0
    big = order("105", quantity="2", side=Side.SELL, reduce_only=True, parent="P")
    assert code(gate, big, view) == "REDUCE_ONLY"


def test_rate_window_slides() -> None:
    window = RateWindow(3)
    for at in (0, 100, 200):
        window.add(NOW + at)
    assert window.used(NOW + 200) == 3
    assert window.used(NOW + RateWindow.SPAN_NS - 1) == 3
    assert window.used(NOW + RateWindow.SPAN_NS) == 2
    window.undo()
    assert window.used(NOW + RateWindow.SPAN_NS) == 1
    assert window.used(NOW + RateWindow.SPAN_NS + 200) == 0
    window.undo()
    assert window.used(NOW + RateWindow.SPAN_NS + 200) == 0


def test_rate_counts_approved_orders_only() -> None:
    gate = RiskGate(Risk(max_orders_per_second=2))
    view = View(gate)
    for number in range(2):
        for _ in range(5):
            assert code(gate, order(), view) is None
        gate.approve(order(client_order_id=str(number)), view.now)
    assert code(gate, order(), view) == "ORDER_RATE"
    view.now += RateWindow.SPAN_NS
    view.market = Reference("book", view.now, D(99), D(101))
    assert code(gate, order(), view) is None


def test_approval_binds_the_fields() -> None:
    gate = RiskGate(Risk())
    facts = order(price="100.10")
    gate.approve(facts, NOW)
    assert gate.approvals.has(order(price="100.1"))
    for change in (
        {"quantity": D(2)},
        {"price": D("100.2")},
        {"side": Side.SELL},
        {"kind": "STOP_LIMIT"},
        {"instrument": "ETH_USDT.TEST"},
        {"trigger_price": D(1)},
    ):
        assert not gate.approvals.has(msgspec.structs.replace(facts, **change))
    assert not gate.approvals.has(msgspec.structs.replace(facts, client_order_id="B"))
    gate.closed("A")
    assert not gate.approvals.has(facts)


def test_fill_ends_the_approval() -> None:
    gate = RiskGate(Risk())
    gate.approve(order(), NOW)
    gate.filled("A", "S-001", BTC, Side.BUY, D(1))
    assert "A" not in gate.approvals
    gate.fill_voided("S-001", BTC, Side.BUY, D(1))
    assert gate.ledger.positions[BTC] == 0


def test_an_order_that_is_over_counts_until_its_event_or_the_grace() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(1)}))
    view = View(gate)
    gate.approve(order(), NOW)
    gate.order_over("A")
    assert code(gate, order(), view) == "MAX_POSITION"
    gate.filled("A", "S-001", BTC, Side.BUY, D(1))
    assert gate.ledger.live == {}
    assert code(gate, order(), view) == "MAX_POSITION"
    gate.seed_positions({BTC: D(0)}, "S-001")
    gate.adopt(CountedOrder("X", "EXTERNAL", BTC, Side.BUY, D(1)))
    gate.order_over("X")
    assert code(gate, order(), view) == "MAX_POSITION"
    view.now += OVER_GRACE_NS + 1
    view.market = Reference("book", view.now, D(99), D(101))
    assert code(gate, order(), view) is None


def test_unreadable_kill_switch_counts_as_on(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    gate = RiskGate(Risk(), kill=KillSwitch(tmp_path / "state" / "KILL"))
    denial = gate.check(order(), View(gate))
    assert denial is not None
    assert denial.code == "KILL_SWITCH"
    assert "can't be looked at" in denial.message


def test_halt_survives_a_restart_until_it_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "state" / "risk.json"
    gate = RiskGate(Risk(), state=RiskStateFile(path))
    gate.halt("daily loss", NOW)
    again = RiskGate(Risk(), state=RiskStateFile(path))
    denial = again.check(order(), View(again))
    assert denial is not None
    assert denial.code == "HALTED"
    assert "daily loss" in denial.message
    assert "fairlead kill all --clear --reason TEXT" in denial.message
    again.clear_halt()
    fresh = RiskGate(Risk(), state=RiskStateFile(path))
    assert fresh.check(order(), View(fresh)) is None


def test_counters_persist(tmp_path: Path) -> None:
    path = tmp_path / "risk.json"
    for _ in range(2):
        gate = RiskGate(Risk(max_order_notional="400 USDT"), state=RiskStateFile(path))
        view = View(gate)
        assert code(gate, order(quantity="3"), view) is None
        assert code(gate, order(quantity="5"), view) == "MAX_ORDER_NOTIONAL"
        gate.persist()
    counter = RiskStateFile(path).load().counters["MAX_ORDER_NOTIONAL"]
    assert (counter.evaluated, counter.refused, counter.nearest) == (4, 2, 0.75)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"halt": 3}', b'{"version": 2}', b"\xff"])
def test_damaged_state_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "risk.json"
    path.write_bytes(content)
    with pytest.raises(RiskStateError, match=re.escape(str(path))):
        RiskGate(Risk(), state=RiskStateFile(path))
    assert path.read_bytes() == content


def test_unwritable_state_is_an_error_and_the_halt_still_holds(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    gate = RiskGate(Risk())
    gate._states.all[0].file = RiskStateFile(tmp_path / "state" / "risk.json")
    gate.halt("test", NOW)
    with pytest.raises(RiskStateError, match="can't be written"):
        gate.persist()
    assert code(gate, order(), View(gate)) == "HALTED"


def test_faulted_strategy_is_refused_others_are_not() -> None:
    gate = RiskGate(Risk())
    gate.fault("S-001", "raised ValueError")
    assert code(gate, order(), View(gate)) == "STRATEGY_FAULTED"
    assert code(gate, order(strategy="S-002"), View(gate)) is None


@pytest.mark.parametrize("seed", range(20))
def test_ledger_sums_equal_its_orders(seed: int) -> None:
    chance = random.Random(seed)
    ledger = Ledger()
    expected: dict[str, Decimal] = {}
    for step in range(300):
        name = str(chance.randrange(12))
        instrument = chance.choice((BTC, "ETH_USDT.TEST"))
        match chance.randrange(4):
            case 0:
                side = chance.choice((Side.BUY, Side.SELL))
                ledger.opened(
                    CountedOrder(name, f"S-{step % 2}", instrument, side, D(chance.randint(1, 9)))
                )
            case 1:
                ledger.closed(name)
            case 2:
                ledger.resized(name, D(chance.randint(1, 9)))
            case _:
                known = ledger.live.get(name)
                side = known.side if known else Side.BUY
                where = known.instrument if known else instrument
                size = D(chance.randint(1, 3))
                ledger.filled(name, "S-0", where, side, size)
                signed = size if side is Side.BUY else -size
                expected[where] = expected.get(where, D(0)) + signed
        for place in (BTC, "ETH_USDT.TEST"):
            for side in Side:
                total = sum(
                    (o.remaining for o in ledger.working(place) if o.side is side), start=D(0)
                )
                assert ledger.working_quantity(place, side) == total
    assert {k: v for k, v in ledger.positions.items() if v} == {
        k: v for k, v in expected.items() if v
    }
    assert all(o.filled < o.quantity for o in ledger.live.values())


def test_every_denial_says_what_to_do() -> None:
    gate = RiskGate(Risk(max_order_notional="1 USDT", max_position={BTC: D(1)}))
    view = View(gate)
    denial = gate.check(order(), view)
    assert isinstance(denial, Denial)
    assert str(denial) == (
        "MAX_ORDER_NOTIONAL: expected at most 1 USDT, 100 came (1 at 100); lower the quantity"
    )


def test_an_order_that_is_submitted_twice_is_told_what_submitted_it() -> None:
    order = SimpleNamespace(client_order_id="a", is_release=False)
    view = SimpleNamespace(seen=lambda _name: True)
    denial = duplicate_order_id(order, view)
    assert denial is not None
    assert "a was submitted already (stop_limit and bracket submit what they return)" in str(denial)


def test_venue_abilities_are_named() -> None:
    able = Capabilities(kinds=frozenset({Kind.LIMIT}), time_in_force=frozenset({Tif.GTC}))
    gate = RiskGate(Risk(), capabilities={"TEST": able})
    view = View(gate)
    view.able = able
    denial = gate.check(order(None), view)
    assert denial == Denial("UNSUPPORTED", "TEST has LIMIT, MARKET came")
    assert code(gate, order(contingency="OCO"), view) == "UNSUPPORTED"


def test_codes_are_unique_and_documented() -> None:
    codes = [check.code for check in CHECKS]
    assert len(set(codes)) == len(codes)
    options = {field.name for field in msgspec.structs.fields(Risk)} - {"off"}
    assert {key for check in CHECKS for key in (check.key, *check.also) if key} == options
    switchable = [check.code for check in CHECKS if check.switchable]
    assert sorted(get_args(CheckCode)) == sorted(switchable)
    assert all(bool(check.key) is not bool(check.text) for check in CHECKS)  # told once
    document = (Path(__file__).parents[3] / "docs" / "risk.md").read_text()
    assert f"\n\n{table()}\n\n" in document  # python -m fairlead.engine.risk.document


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("condition", TriggerCondition)
def test_trigger_conditions_and_kinds_are_inverse(side: Side, condition: TriggerCondition) -> None:
    assert condition_of(kind_for(side, condition), side) is condition
    assert condition_of(Kind.LIMIT, side) is None
    assert kind_for(side, default_condition(side)) is Kind.STOP_LIMIT


# -- orders that the engine holds ------------------------------------------------------------------


def holding(**more: Any) -> Capabilities:
    return Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset({Kind.STOP_LIMIT}),
        **more,
    )


def stop_order(**kw: Any) -> OrderFacts:
    return order("101", kind="STOP_LIMIT", trigger_price=D(101), **kw)


def test_a_kind_that_the_engine_holds_is_supported_and_good_until_it_fires() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.able = holding()
    assert code(gate, stop_order(), view) is None
    assert code(gate, stop_order(time_in_force="FOK"), view) is None
    assert code(gate, stop_order(time_in_force="IOC"), view) == "UNSUPPORTED"
    assert code(gate, order(), view) == "UNSUPPORTED"  # a plain GTC limit
    assert code(gate, order(time_in_force="FOK"), view) is None
    touched = order("99", kind="LIMIT_IF_TOUCHED", trigger_price=D(99))
    assert code(gate, touched, view) == "UNSUPPORTED"
    view.able = holding(holds_limits=True)
    assert code(gate, order(), view) is None


def test_a_held_order_can_be_modified_where_the_venue_replaces_nothing() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.able = holding()
    gate.approve(stop_order(), NOW)
    held = view.pending("A")
    assert code(gate, stop_order(existing=held), view) is None
    assert code(gate, stop_order(existing=held, fired=True), view) == "UNSUPPORTED"
    view.able = holding(holds_limits=True)
    gate.approve(order("99", client_order_id="B"), NOW)
    limit = view.pending("B")
    assert code(gate, order("99", client_order_id="B", existing=limit), view) is None
    at_once = order("99", client_order_id="B", existing=limit, time_in_force="FOK")
    assert code(gate, at_once, view) == "UNSUPPORTED"


def test_a_release_is_asked_for_as_a_new_order_that_does_not_count_itself() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(1)}))
    view = View(gate)
    view.able = holding()
    view.ids.add("A")
    gate.approve(stop_order(), NOW)
    sent = order("101", time_in_force="FOK", is_release=True)
    assert gate.release(sent, view) is None
    live = view.pending("A")
    assert live is not None
    assert (live.kind, live.quantity) == ("LIMIT", D(1))
    gate.approve(order(client_order_id="B", quantity="1"), NOW)
    denial = gate.release(sent, view)
    assert denial is not None
    assert denial.code == "MAX_POSITION"
    assert view.pending("A") is live  # until its end is told


def test_an_exit_that_was_held_passes_a_halt_and_an_entry_does_not() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    gate.seed_positions({BTC: D(1)}, "S-001")
    gate.halt("a person", NOW)
    sell: dict[str, Any] = {"side": Side.SELL, "is_release": True}
    assert gate.release(order("99", reduce_only=True, **sell), view) is None
    denial = gate.release(order("99", client_order_id="B", **sell), view)
    assert denial is not None
    assert denial.code == "HALTED"
