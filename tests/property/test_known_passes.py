"""The gate's one pass for plain orders refuses, tells and counts as the registry of checks does.

Two gates live through the same random session; one asks every check about every order. Limits are
drawn near to what the session does, so that each check refuses some orders and lets others pass.
"""

from __future__ import annotations

import random
from collections import Counter as Tally
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Capabilities, Kind, Role, Side, Tif
from fairlead.engine.risk import gate as gate_module
from fairlead.engine.risk.checks import CHECKS
from fairlead.engine.risk.facts import (
    CountedOrder,
    Declared,
    Funds,
    InstrumentFacts,
    OrderFacts,
    Reference,
)
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.known import is_comparable

D = Decimal
START = 1_700_000_000_000_000_000
MS = 1_000_000
NAMES = ("BTC_USDT.ONE", "ETH_USDT.ONE", "BTC_USDT.TWO")
STRATEGIES = ("A-001", "B-001")
STEPS = 400
FACTS = InstrumentFacts(
    price_increment=D("0.01"),
    size_increment=D("0.001"),
    price_precision=2,
    size_precision=3,
    quote="USDT",
    base="BTC",
    fee=D("0.001"),
    margin=D("0.5"),
)
ABLE = Capabilities(
    kinds=frozenset(Kind), time_in_force=frozenset({Tif.GTC, Tif.IOC}), post_only=True, replace=True
)


class World:
    """What both gates see; it alone is random, and says nothing of a gate."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = START
        self.facts: dict[str, InstrumentFacts | None] = dict.fromkeys(NAMES, FACTS)
        self.able: dict[str, Capabilities | None] = dict.fromkeys(NAMES, ABLE)
        self.market: dict[str, Reference | None] = {}
        self.killed = ""
        self.steps = 0  # of the clock: what was known of it is not since
        if self.random.random() < 0.2:  # priced in what no limit and no balance is in
            self.facts[NAMES[2]] = msgspec.structs.replace(FACTS, quote="EUR")
        self.numbers = 0
        self.cash = self.random.random() < 0.6
        self.leverage = D(1) if self.cash else D(self.random.choice((1, 3)))
        self.reports: dict[tuple[str, str], Funds] = {}
        for name in NAMES:
            self.move(name)
            self.report(name)

    def move(self, name: str) -> None:
        """Another market: whole mostly, and new mostly."""
        draw = self.random
        if draw.random() < 0.01:
            self.market[name] = None
            return
        middle = D(draw.randint(9_900, 10_100)) / 100
        bid = middle - D(draw.choice(("0.01", "0.05")))
        ask = middle + D("0.01") if draw.random() < 0.97 else bid
        ts_ns = self.now - draw.choice((0, 0, 0, 10, 500, 900, 4_999)) * MS
        self.market[name] = Reference("book", ts_ns, bid, ask, None, bid < ask)

    def report(self, name: str) -> None:
        """The venue tells its balances."""
        venue = name.rpartition(".")[2]
        for currency, most in (("USDT", 5_000), ("BTC", 50)):
            total = D(self.random.randint(most, most * 10)) / 100
            free = total - D(self.random.randint(0, 20)) / 10
            self.reports[venue, currency] = Funds(total, free, self.cash, self.leverage, self.now)

    def change(self, name: str) -> None:
        """Something of the instrument, or of what its venue can do."""
        draw = self.random
        bounds: dict[str, Any] = {
            "min_price": draw.choice((None, D(98), D("0.01"))),
            "max_price": draw.choice((None, D(102), D(10_000))),
            "min_quantity": draw.choice((None, D("0.002"))),
            "max_quantity": draw.choice((None, D(20))),
            "min_notional": draw.choice((None, D("0.1"), D(5))),
            "max_notional": draw.choice((None, D(2_000))),
            "price_increment": draw.choice((D("0.01"), D("0.01"), D("0.01"), D("0.05"))),
            "base": draw.choice(("BTC", "BTC", None)),
            "multiplier": draw.choice((D(1), D(1), D("0.1"))),
        }
        before = self.facts[name]
        if before is not None:
            is_gone = draw.random() < 0.02
            self.facts[name] = None if is_gone else msgspec.structs.replace(before, **bounds)
        elif name != NAMES[2]:
            self.facts[name] = FACTS
        able: dict[str, Any] = {
            "clears": draw.random() < 0.1,
            "post_only": draw.random() < 0.9,
            "pays_positions": draw.random() < 0.3,
            "holds_limits": draw.random() < 0.1,
            "tier_price": (lambda levels, size: D(100)) if draw.random() < 0.1 else None,
        }
        self.able[name] = None if draw.random() < 0.2 else msgspec.structs.replace(ABLE, **able)

    def order(self) -> OrderFacts:
        """Plain mostly, and within the limits mostly."""
        draw = self.random
        self.numbers += draw.random() < 0.98
        kind = draw.choice(("LIMIT", "LIMIT", "LIMIT", "MARKET"))
        more: dict[str, Any] = {}
        if draw.random() < 0.15:
            more = draw.choice(_ODD)
        side = draw.choice((Side.BUY, Side.SELL))
        away = D(draw.choice((-300, -50, -10, -3, 0, 1, 40))) / 100
        price = D(100) + (away if side is Side.BUY else -away)
        if draw.random() < 0.02:
            price += D("0.001")
        digits = draw.choice((2, 3, 3, 3, 3, 4)) if draw.random() < 0.1 else 3
        quantity = round(D(draw.choice((1, 5, 10, 100, 100, 1_000, 1_000, 9_000))) / 1_000, digits)
        values: dict[str, Any] = {
            "client_order_id": f"O-{self.numbers}",
            "strategy": draw.choice(STRATEGIES),
            "instrument": draw.choice(NAMES),
            "side": side,
            "kind": kind,
            "quantity": quantity,
            "price": price if kind == "LIMIT" else None,
            "time_in_force": draw.choice(("GTC",) * 10 + ("IOC", "FOK")),
            "post_only": kind == "LIMIT" and draw.random() < 0.3,
            "role": draw.choice((Role.NONE, Role.NONE, Role.ENTRY, Role.QUOTE)),
        }
        return OrderFacts(**{**values, **more})


_ODD: tuple[dict[str, Any], ...] = (
    {"reduce_only": True},
    {"role": Role.EXIT},
    {"role": Role.STOP, "kind": "STOP_MARKET", "price": None, "trigger_price": D(101)},
    {"kind": "STOP_LIMIT", "trigger_price": D(99), "price": D(99)},
    {"kind": "TRAILING_STOP_MARKET", "price": None, "trailing_offset": D(50)},
    {"exec_algorithm": "TWAP"},
    {"emulation": "LAST_PRICE"},
    {"quote_quantity": True},
    {"contingency": "OCO"},
    {"parent": "O-1"},
    {"parent": "O-2", "reduce_only": True},
    {"is_release": True},
    {"fired": True},
    {"quantity": D(0)},
    {"quantity": D(-1)},
    {"price": D(0), "kind": "LIMIT"},
    {"price": None, "kind": "LIMIT"},
    {"quantity": D("1E+1")},
)


class View:
    """One strategy's look at the world, for one gate. `renewed` counts readings of balances."""

    def __init__(self, world: World, gate: RiskGate) -> None:
        self._world, self._gate = world, gate
        self._read: dict[tuple[str, str], Funds] = {}

    def now_ns(self) -> int:
        return self._world.now

    def pending(self, client_order_id: str) -> CountedOrder | None:
        return self._gate.ledger.live.get(client_order_id)

    def reference(self, instrument: str) -> Reference | None:
        return self._world.market[instrument]

    def instrument(self, instrument: str) -> InstrumentFacts | None:
        return self._world.facts[instrument]

    def capabilities(self, instrument: str) -> Capabilities | None:
        return self._world.able[instrument]

    def seen(self, client_order_id: str) -> bool:
        return client_order_id in self._gate.ledger.live

    def levels(self, instrument: str, side: Side) -> list[tuple[Decimal, Decimal]]:
        return [(D(100), D(5))]

    def funds(self, instrument: str, currency: str) -> Funds | None:
        key = (instrument.rpartition(".")[2], currency)
        if key not in self._read and key in self._world.reports:
            self._read[key] = self._world.reports[key]
        return self._read.get(key)

    def renew_funds(self, instrument: str, refused: bool) -> bool:
        venue = instrument.rpartition(".")[2]
        old = {key for key in self._read if key[0] == venue}
        stale = any(self._read[key] is not self._world.reports[key] for key in old)
        if stale:
            for key in old:
                del self._read[key]
        return stale

    def kill_switch(self, order: OrderFacts) -> str | None:
        return "killed" if order.strategy == self._world.killed else None


def risk_of(draw: random.Random) -> Risk:
    """Limits near to what orders of the session do; each is set now and then."""

    def maybe[T](value: T, none: Any = None) -> T | Any:
        return value if draw.random() < 0.5 else none

    money = ["800 USDT", "100 BTC"]
    return Risk(
        max_order_notional=maybe("600 USDT"),
        max_order_quantity=maybe({NAMES[0]: D(6), NAMES[1]: D(1)}, {}),
        max_position=maybe({NAMES[0]: D(12), NAMES[1]: D(0)}, {}),
        min_position=maybe({NAMES[0]: D(-12), NAMES[2]: D(0)}, {}),
        max_instrument_exposure=maybe(money, []),
        max_venue_exposure=maybe(["900 USDT"], []),
        max_account_exposure=maybe(["1000 USDT", "50 BTC"], []),
        max_resting_notional=maybe(["900 USDT"], []),
        max_open_orders=draw.choice((3, 10, 100)),
        max_orders_per_second=draw.choice((2, 20, 1_000)),
        max_cancels_per_second=maybe(4),
        max_cancel_to_fill=maybe(D(2)),
        cancel_to_fill_after=5,
        fat_finger_multiple=maybe(D(3)),
        fat_finger_measure=draw.choice(("largest", "median")),
        max_daily_loss=maybe(["12 USDT"], []),
        max_drawdown=maybe(["20 USDT", "1 BTC"], []),
        cooldown_losses=maybe(2),
        price_collar_bps=draw.choice((D(20), D(500))),
        max_unknown_outcomes=draw.choice((2, 5)),
        off=draw.sample([check.code for check in CHECKS if check.switchable], draw.choice((0, 4))),
    )


def all_checks(order: OrderFacts, look: Any) -> bool:
    return False


class Twins:
    """A gate as it is, and one that asks every check; all is told to both."""

    def __init__(self, world: World, risk: Risk) -> None:
        self.gates = tuple(RiskGate(risk) for _ in range(2))
        self.views = {name: [View(world, gate) for gate in self.gates] for name in STRATEGIES}
        is_watched = world.random.random() < 0.3
        for gate in self.gates if is_watched else ():
            gate.books.look_at_clock = partial(look_at_clock, world, gate, Tally())

    def check(self, order: OrderFacts, patch: Callable[[Any], None]) -> str | None:
        views = self.views[order.strategy]
        patch(is_comparable)
        quick = self.gates[0].check(order, views[0])
        patch(all_checks)
        whole = self.gates[1].check(order, views[1])
        assert quick == whole, order
        return None if quick is None else quick.code

    def tell(self, what: str, *args: Any, **named: Any) -> None:
        for gate in self.gates:
            getattr(gate, what)(*args, **named)

    def compare(self) -> None:
        quick, whole = (gate.snapshot() for gate in self.gates)
        assert quick == whole


def look_at_clock(world: World, gate: RiskGate, known: Tally[str]) -> None:
    """Asked before an order, as often as one likes: whether the clock was set."""
    if known["steps"] != world.steps:
        known["steps"] = world.steps
        gate.clock_unknown("ONE", "set by 2 s")


def happen(world: World, twins: Twins) -> None:
    """Anything but an order."""
    draw, name = world.random, world.random.choice(NAMES)
    venue = name.rpartition(".")[2]
    live = list(twins.gates[0].ledger.live.values())
    one = draw.choice(live) if live else None
    event = draw.randrange(17)
    if event <= 3:
        world.move(name)
    elif event == 4:
        world.report(name)
    elif event == 5 and draw.random() < 0.3:
        world.change(name)
    elif event == 6:
        twins.tell("traded", name, D(draw.choice((1, 2, 4))) / 2)
    elif event == 7 and draw.random() < 0.2:
        twins.tell("unknown_outcomes", venue, draw.choice((0, 0, 0, 1, 1, 4)))
    elif event == 8:
        offset = draw.choice((0.0, 3.5, 3.5, 20.0, -20.0, 40.0, 60.0, 5_000.0))
        twins.tell("clock_offset", venue, offset)
    elif event == 9 and draw.random() < 0.05:
        twins.tell("clock_unknown", venue, "set by 3 s")
    elif event == 10 and draw.random() < 0.3:
        declared = Declared(inventory=D(draw.choice((0, 5))), may_short=draw.random() < 0.5)
        twins.tell("declare", draw.choice(STRATEGIES), name, declared)
    elif event == 11:
        world.killed = draw.choice(STRATEGIES) if draw.random() < 0.1 else ""
    elif event == 12:
        twins.tell("clear_halt")
    elif one is not None:
        happen_to(one, world, twins)


def happen_to(one: CountedOrder, world: World, twins: Twins) -> None:
    draw, now = world.random, world.now
    event = draw.randrange(6)
    if event <= 1:
        part = one.remaining if event else min(one.remaining, D("0.5"))
        price = one.price if one.price is not None else D(draw.choice((99, 100, 101)))
        fee = (part * price / 1_000, "USDT")
        if one.side is Side.BUY and draw.random() < 0.5:
            fee = (part / 1_000, "BTC")
        args = (one.client_order_id, one.strategy, one.instrument, one.side, part, price, fee, now)
        twins.tell("filled", *args)
    elif event <= 3:
        twins.tell("cancel_requested", now)
        twins.tell("canceled", one.client_order_id, now)
    elif event == 4:
        twins.tell("closed", one.client_order_id)
    else:
        twins.tell("order_over", one.client_order_id)


def session(seed: int, patch: Callable[[Any], None], steps: int = STEPS) -> Tally[str | None]:
    """What became of each order."""
    world = World(seed)
    twins = Twins(world, risk_of(world.random))
    told: Tally[str | None] = Tally()
    for step in range(steps):
        world.now += world.random.choice((0, 1, 1, 20, 100, 400)) * MS
        for _ in range(world.random.randrange(5)):
            happen(world, twins)
        world.steps += world.random.random() < 0.01
        order = world.order()
        code = twins.check(order, patch)
        told[code] += 1
        is_new = order.client_order_id not in twins.gates[0].ledger.live
        if code is None and is_new and world.random.random() < 0.7:
            twins.tell("approve", order, world.now)
        if step % 25 == 0:
            twins.compare()
    twins.compare()
    return told


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def put(function: Any) -> None:
        monkeypatch.setattr(gate_module, "is_comparable", function)

    return put


@pytest.mark.parametrize("group", range(4))
def test_known_passes_answer_and_count_as_the_registry(
    group: int, patch: Callable[[Any], None]
) -> None:
    told: Tally[str | None] = Tally()
    for seed in range(group * 15, group * 15 + 15):
        told += session(seed, patch)
    assert told[None] > 500, "an order that passes is what this is about"
    assert len(told) > 20, told
