"""What a strategy is told of a held order, and when: in a backtest as on paper."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import OrderSide, TriggerType

from fairlead.engine.matching.closing import closing
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.matching.orders import Trigger
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.model import TriggerSource
from tests.kernel.bench import IID, MS, Script, book, px, qty, run
from tests.unit.matching import kit
from tests.unit.matching.fills import PAIRS, Fed, fed_by
from tests.unit.matching.test_held_arrival import KINDS, rules

BUY, SELL = OrderSide.BUY, OrderSide.SELL
LATENCY = 73
SENT, COMMANDED = 10, 100  # milliseconds; both arrive the latency later
Book = tuple[float, dict[float, float], dict[float, float]]


class Case(msgspec.Struct, frozen=True):
    """One order, and what is commanded of it after it was accepted."""

    kind: str
    side: OrderSide
    held: HeldRules
    size: float = 1.0
    command: str = ""

    @property
    def sign(self) -> int:
        """Which way the market comes to the trigger."""
        return 1 if (self.side is BUY) == self.kind.startswith("stop") else -1

    @property
    def triggers(self) -> tuple[float, float]:
        """As sent, and as changed to."""
        return round(100 + self.sign * 0.8, 2), round(100 + self.sign * 1.8, 2)

    @property
    def limit(self) -> float | None:
        return None if "market" in self.kind else (120.0 if self.side is BUY else 80.0)

    @property
    def market(self) -> list[Book]:
        """It comes to the trigger, goes back, and comes far beyond; sizes grow."""
        found = []
        for at, away in enumerate((0.0, 0.4, 0.9, 0.6, 2.4, 0.0)):
            mid, deep = 100 + self.sign * away, 7 + 3 * at
            bids = {round(mid - 0.3, 2): 2, round(mid - 0.5, 2): deep}
            found.append((120.0 * at, bids, {round(mid + 0.3, 2): 2, round(mid + 0.5, 2): deep}))
        return found


def in_backtest(case: Case) -> list[tuple[float, str]]:
    data = [book(*one) for one in case.market]
    fed, ends = Fed(data), closing(LATENCY * MS)
    asked = [(None, None, Decimal(str(case.triggers[1])))] if case.command == "changed" else []
    model = MarketFills(
        PAIRS,
        fed,
        ends,
        consumes=True,
        queues=True,
        held={str(IID.venue): case.held},
        asked=lambda _: asked,
    )

    def send(script: Script) -> None:
        prices = [px(one) for one in (case.limit, case.triggers[0]) if one is not None]
        build = getattr(script.order_factory, case.kind)
        by = TriggerType.BID_ASK
        script.send("one", build(IID, case.side, qty(case.size), *prices, trigger_type=by))

    def command(script: Script) -> None:
        if case.command == "cancelled":
            script.cancel_order(script.orders["one"])
        elif case.command == "changed":
            script.modify_order(script.orders["one"], trigger_price=px(case.triggers[1]))

    seen = run(
        fed_by(model, data),
        [(SENT, send), (COMMANDED, command)],
        latency_ms=LATENCY,
        timers_ms=[SENT + LATENCY, COMMANDED + LATENCY],
        prepare=lambda engine: engine.add_strategy(ends),
        fill_model=model,
        reject_stop_orders=False,
    )
    assert ends.error is None, repr(ends.error)
    told = ("Accepted", "Updated", "Filled", "Canceled")
    return [(round(one.ms, 3), one.kind) for one in seen.events if one.kind in told]


def on_paper(case: Case) -> list[tuple[float, str]]:
    bench = kit.Bench(margin=True, balances={"USDT": 10_000_000})
    side = kit.BUY if case.side is BUY else kit.SELL
    release = case.held.release_of(case.kind.upper(), "GTC")
    new = kit.new("one", side, case.size, case.limit, release=release)
    trigger = Trigger(Decimal(str(case.triggers[0])), case.sign > 0)
    new = msgspec.structs.replace(new, trigger=trigger)
    at = COMMANDED + LATENCY
    commands: dict[str, Callable[[], None]] = {
        "cancelled": lambda: bench.cancel(at, "one"),
        "changed": lambda: bench.modify(at, "one", trigger_price=case.triggers[1]),
    }
    submit = SENT + LATENCY, lambda: bench.exchange.submit([new], (SENT + LATENCY) * kit.MS)
    steps: list[tuple[float, Callable[[], Any]]] = [submit]
    if case.command:
        steps.append((at, commands[case.command]))
    steps += [(one[0], lambda one=one: bench.book(*one)) for one in case.market]
    for _, step in sorted(steps, key=lambda step: step[0]):
        step()
    told = ("accepted", "updated", "filled", "canceled")
    return [(one.ms, one.kind.title()) for one in bench.told if one.kind in told]


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cancelled": {"command": "cancelled"},
    "changed": {"command": "changed"},
    "not whole": {"size": 18.0, "rearms": False},
    "armed again": {"size": 18.0},
}


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", [TriggerSource.TOUCH, TriggerSource.MID, TriggerSource.TIER])
@pytest.mark.parametrize("way", WAYS)
def test_it_is_told_the_same(way: str, source: TriggerSource, kind: str, side: OrderSide) -> None:
    asked = dict(WAYS[way])
    settings = HeldSettings(rearms=asked.pop("rearms", True), rearm_secs=0.2)
    held = HeldRules(able=rules(source).able, settings=settings)
    case = Case(kind=kind, side=side, held=held, **asked)
    told = on_paper(case)
    assert in_backtest(case) == told
    assert len(told) > 1
