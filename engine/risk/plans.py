"""Which checks run for an order, and the counting of those that it passes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from fairlead.engine.orders.model import Role
from fairlead.engine.risk.checks import CHECKS, Check
from fairlead.engine.risk.facts import OrderFacts
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.state import Counter
from fairlead.engine.risk.verdict import Denial


class Step:
    """One check that runs, and the largest fraction of its limit since the last `fold`."""

    __slots__ = ("code", "counter", "nearest", "run")

    def __init__(self, check: Check, counter: Counter) -> None:
        self.code = check.code
        self.run = check.run
        self.counter = counter
        self.nearest: float | Decimal = 0


class Plan:
    """The checks to run, in order.

    An order that passes was evaluated by all of them: `passed` counts these until `fold`.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        counters: Mapping[str, Counter],
        stand_for: Iterable[Check] | None = None,
    ) -> None:
        """`stand_for` are the checks that an order passes by passing `checks`."""
        self.steps = tuple(Step(check, counters[check.code]) for check in checks)
        self._runs = tuple((step.run, step) for step in self.steps)
        self._counters = [step.counter for step in self.steps]
        if stand_for is not None:
            self._counters = [counters[check.code] for check in stand_for]
        self.passed = 0

    def refusal(self, order: OrderFacts, look: Look, passes: Collection[str]) -> Denial | None:
        """Of the first check that refuses, those of the codes `passes` left out; None: it passes.

        Counted either way.
        """
        for run, step in self._runs:
            verdict = run(order, look)
            if not verdict:  # None, or nothing of the limit
                continue
            if type(verdict) is not Denial:  # isinstance costs 4 times as much here
                if verdict > step.nearest:
                    step.nearest = verdict
                continue
            if verdict.code in passes:
                continue
            self.refused(step)
            return verdict
        self.passed += 1
        return None

    def refused(self, by: Step) -> None:
        """This check refused; those after it did not run."""
        by.counter.refused += 1
        for counter in self._counters:
            counter.evaluated += 1
            if counter is by.counter:
                return

    def fold(self) -> None:
        for counter in self._counters:
            counter.evaluated += self.passed
        for step in self.steps:
            counter = step.counter
            counter.nearest = max(counter.nearest, float(step.nearest))
            step.nearest = 0
        self.passed = 0


def is_plain(order: OrderFacts) -> bool:
    """A new order that has nothing of what the checks without `on_plain` look at."""
    return (
        order.trigger_price is None
        and not order.reduce_only
        and (order.role is Role.NONE or not order.role.is_exit)
        and order.exec_algorithm is None
        and order.emulation is None
    )


class Plans:
    """The checks of one account's orders, with its counters."""

    def __init__(self, active: tuple[Check, ...], counters: dict[str, Counter]) -> None:
        for check in CHECKS:
            counters.setdefault(check.code, Counter())
        self.whole = Plan(active, counters)
        self.modify = Plan((one for one in active if one.on_modify), counters)
        self.plain = Plan((one for one in active if one.on_plain), counters, active)

    def fold(self) -> None:
        self.whole.fold()
        self.modify.fold()
        self.plain.fold()
