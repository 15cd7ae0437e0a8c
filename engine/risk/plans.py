"""Which checks run for an order, and the counting of those that it passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from fairlead.engine.risk.checks import CHECKS, Check
from fairlead.engine.risk.facts import OrderFacts
from fairlead.engine.risk.state import Counter


class _Step:
    """One check that runs, and the largest fraction of its limit since the last `fold`."""

    __slots__ = ("counter", "nearest", "run")

    def __init__(self, check: Check, counter: Counter) -> None:
        self.run = check.run
        self.counter = counter
        self.nearest: float | Decimal = 0


class _Plan:
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
        self.steps = tuple(_Step(check, counters[check.code]) for check in checks)
        self.runs = tuple((step.run, step) for step in self.steps)
        self._counters = [step.counter for step in self.steps]
        if stand_for is not None:
            self._counters = [counters[check.code] for check in stand_for]
        self.passed = 0

    def refused(self, by: _Step) -> None:
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
        and not order.role.is_exit
        and order.exec_algorithm is None
        and order.emulation is None
    )


class Plans:
    """The checks of one account's orders, with its counters."""

    def __init__(self, active: tuple[Check, ...], counters: dict[str, Counter]) -> None:
        for check in CHECKS:
            counters.setdefault(check.code, Counter())
        self.whole = _Plan(active, counters)
        self.modify = _Plan((one for one in active if one.on_modify), counters)
        self.plain = _Plan((one for one in active if one.on_plain), counters, active)

    def fold(self) -> None:
        self.whole.fold()
        self.modify.fold()
        self.plain.fold()
