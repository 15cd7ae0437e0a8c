"""A protective stop needs no whole book; everything else waits for one."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Role, Side
from fairlead.engine.risk.facts import Declared, OrderFacts, Reference
from fairlead.engine.risk.gate import RiskGate
from tests.unit.nautilus_harness import IID, cleared, px, qty
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order
from tests.unit.risk.test_gate_modes import BUY, MODES, SELL, Run, Script

MINUTE_NS = 60_000_000_000
MARKETS: dict[str, tuple[Reference | None, str]] = {
    "none yet": (None, "STALE_REFERENCE"),
    "empty": (Reference("book", NOW, valid=False), "INVALID_BOOK"),
    "one-sided": (Reference("book", NOW, D(100), None, None, valid=False), "INVALID_BOOK"),
    "crossed": (Reference("book", NOW, D(500), D(1), None, valid=False), "INVALID_BOOK"),
    "old": (Reference("book", NOW - MINUTE_NS, D(1), D(2)), "STALE_REFERENCE"),
    "old trade": (Reference("trade", NOW - MINUTE_NS, last=D(1)), "STALE_REFERENCE"),
}


class TradesView(View):
    """A market that may be lost, and a last trade."""

    trade: Reference | None = None

    def last_trade(self, instrument: str) -> Reference | None:
        assert instrument == BTC
        return self.trade


def held(position: str = "1", strategy: str = "S-001") -> tuple[RiskGate, TradesView]:
    gate = RiskGate(Risk())
    view = TradesView(gate)
    gate.seed_positions({BTC: D(position)}, strategy)
    return gate, view


def stop(trigger: str = "90", limit: str | None = "89", **kw: Any) -> OrderFacts:
    values: dict[str, Any] = {
        "side": Side.SELL,
        "kind": "STOP_MARKET" if limit is None else "STOP_LIMIT",
        "trigger_price": D(trigger),
        "role": Role.STOP,
    }
    return order(limit, **(values | kw))


@pytest.mark.parametrize("name", MARKETS)
@pytest.mark.parametrize("limit", ["89", None])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_a_protection_of_what_is_held_passes(
    name: str, limit: str | None, reduce_only: bool
) -> None:
    gate, view = held()
    view.market = MARKETS[name][0]
    assert code(gate, stop(limit=limit, reduce_only=reduce_only), view) is None
    assert code(gate, stop(limit=limit, quantity="0.4"), view) is None


@pytest.mark.parametrize("name", MARKETS)
def test_a_short_is_protected_alike(name: str) -> None:
    gate, view = held("-1")
    view.market = MARKETS[name][0]
    assert code(gate, stop("110", "111", side=Side.BUY), view) is None
    assert code(gate, stop(), view) == "EXIT_EXCEEDS"


@pytest.mark.parametrize("name", MARKETS)
@pytest.mark.parametrize(
    "other",
    [
        order("99"),
        order(None),
        order("101", side=Side.SELL),
        order(None, side=Side.SELL, reduce_only=True),
        order(None, side=Side.SELL, role=Role.EXIT),
        order(None, side=Side.SELL, role=Role.STOP),
        order("101", side=Side.SELL, role=Role.TARGET),
        stop(role=Role.NONE),
        stop(role=Role.NONE, reduce_only=True),
        stop(role=Role.EXIT),
        stop(role=Role.ENTRY),
        stop("110", "109", kind="LIMIT_IF_TOUCHED"),
        stop("110", "111", side=Side.BUY, role=Role.ENTRY),
    ],
)
def test_everything_else_waits_for_the_book(name: str, other: OrderFacts) -> None:
    gate, view = held()
    view.market, expected = MARKETS[name]
    assert code(gate, other, view) == expected


@pytest.mark.parametrize("name", MARKETS)
def test_a_stop_of_what_is_not_held_protects_nothing(name: str) -> None:
    expected = {"EXIT_EXCEEDS", MARKETS[name][1]}
    for position, strategy, asked in (
        ("0", "S-001", stop()),
        ("1", "S-002", stop()),
        ("1", "S-001", stop(quantity="1.001")),
        ("1", "S-001", stop("110", "111", side=Side.BUY)),
    ):
        gate, view = held(position, strategy)
        view.market = MARKETS[name][0]
        assert code(gate, asked, view) in expected


def test_what_a_strategy_has_declared_is_its_own_to_protect() -> None:
    gate, view = held("0")
    gate.declare("S-001", BTC, Declared(inventory=D(1), may_short=False))
    view.market = None
    assert code(gate, stop(), view) is None
    assert code(gate, stop(quantity="2"), view) == "EXIT_EXCEEDS"


def test_without_a_trade_the_trigger_is_what_the_limit_is_compared_with() -> None:
    gate, view = held()
    view.market = None
    assert code(gate, stop("90", "85.5"), view) is None
    assert code(gate, stop("90", "85.49"), view) == "PRICE_COLLAR"
    gate, view = held("-1")
    view.market = MARKETS["crossed"][0]
    assert code(gate, stop("90", "94.5", side=Side.BUY), view) is None
    assert code(gate, stop("90", "94.51", side=Side.BUY), view) == "PRICE_COLLAR"


def test_a_recent_trade_stands_in_for_the_market() -> None:
    gate, view = held()
    view.market = MARKETS["empty"][0]
    view.trade = Reference("trade", NOW, last=D(95))
    assert code(gate, stop("90", "85.5"), view) is None
    assert code(gate, stop("96", "95"), view) == "STOP_SIDE"  # it would fire at once
    view.trade = Reference("trade", NOW - MINUTE_NS, last=D(89))
    assert code(gate, stop("90"), view) is None  # of long ago: it says nothing


def test_a_whole_market_is_what_counts_where_there_is_one() -> None:
    gate, view = held()
    view.trade = Reference("trade", NOW, last=D(80))
    assert code(gate, stop("90"), view) is None
    assert code(gate, stop("101", "100"), view) == "STOP_SIDE"


def test_a_protection_is_moved_without_a_book_and_not_enlarged() -> None:
    gate, view = held()
    gate.approve(stop(), NOW)
    view.market = MARKETS["empty"][0]
    live = gate.ledger.live["A"]
    assert code(gate, stop("92", "91", existing=live), view) is None
    assert code(gate, stop("92", "91", quantity="2", existing=live), view) == "EXIT_EXCEEDS"


@pytest.mark.parametrize("mode", ["backtest", "paper"])
def test_a_strategy_protects_what_it_bought_while_its_book_is_gone(mode: str) -> None:
    class Buys(Script):
        def after(self) -> None:
            self.stop_limit(IID, SELL, qty(1), px(90), px(89), role=Role.STOP)
            self.limit(BUY, 1, 99)

        actions = MappingProxyType({2: lambda s: s.market(BUY, 1), 5: after})

    mids = (100.0,) * 4 + (None,) * 6
    run = MODES[mode](Run(Buys, steps=8, mids=mids, extra=[cleared(4_500_000_000)]))
    assert run.codes() == ["INVALID_BOOK"]
    assert [(kind, state) for _, kind, state in run.orders if state != "FILLED"] == [
        ("STOP_LIMIT", "ACCEPTED")
    ]


@pytest.mark.parametrize("name", MARKETS)
def test_a_child_of_what_has_not_filled_protects_nothing_yet(name: str) -> None:
    gate, view = held("0")
    gate.approve(order(client_order_id="P"), NOW)
    child = stop(reduce_only=True, parent="P")
    assert code(gate, child, view) is None
    view.market, expected = MARKETS[name]
    assert code(gate, child, view) == expected
