"""What the strategies of a kept run held when they gave their commands, by its own executions.

A replay's gate is asked with that, and not with what the backtest has by then: an order that was
executed in one of both only would else be refused by limits in the other, and so would each one
after it; and a position that a run took over at its start would be missing in all of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

from nautilus_trader.model import InstrumentId

from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Role
from fairlead.engine.research.columns import Row
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run.earlier import Earlier, Key, moved

ZERO = Decimal(0)


class AsHeld:
    """Of one replay, which begins with what the run's start had booked. After the first execution
    of the kill switch nothing is known: whose position it closed the journal alone knows.
    Executions may be told `slack_ns` early or late."""

    def __init__(self, rows: Iterable[Row], earlier: Earlier, slack_ns: int) -> None:
        of = (*rows, *earlier.over)
        fills = [(fill["ts_event"], row, fill) for row in of for fill in row["fills"]]
        self._fills = sorted(fills, key=itemgetter(0))
        kills = [ts for ts, row, _ in self._fills if row["strategy"] == KILL_STRATEGY]
        self._until, self._slack_ns = min(kills, default=None), slack_ns
        self._earlier = earlier
        self._held: dict[Key, list[tuple[int, Decimal]]] | None = None  # from when on

    def settle(self, gate: RiskGate, cache: Any, ts: int, row: Row) -> None:
        """The gate's positions are the run's of `ts`, or what they are where that may be so. Of an
        exit (`row`) the most that it may have reduced: the run's gate has let it pass."""
        if self._until is not None and ts >= self._until:
            return
        if self._held is None:
            self._held = self._all(cache)
            for (strategy, instrument), ((_, quantity), *_) in self._held.items():
                if quantity:
                    gate.seed_positions({instrument: quantity}, strategy)
        for (strategy, instrument), steps in self._held.items():
            here = gate.ledger.by_strategy.get((strategy, instrument), ZERO)
            at = bisect_right(steps, ts, key=itemgetter(0)) - 1
            first = bisect_right(steps, ts - self._slack_ns, key=itemgetter(0)) - 1
            last = bisect_right(steps, ts + self._slack_ns, key=itemgetter(0))
            then = [held for _, held in steps[max(first, 0) : last]]
            near = min(then, key=_away(here))
            least = cache.instrument(InstrumentId.from_str(instrument)).size_increment.as_decimal()
            held = near if abs(near - here) < least else steps[at][1]
            if _is_exit(row) and (strategy, instrument) == (row["strategy"], row["instrument"]):
                held = max(then) if row["side"] == "SELL" else min(then)
            gate.settle(strategy, instrument, held, ZERO)

    def _all(self, cache: Any) -> dict[Key, list[tuple[int, Decimal]]]:
        def change(row: Row, fill: Row) -> tuple[Key, Decimal]:
            facts = instrument_facts(cache.instrument(InstrumentId.from_str(row["instrument"])))
            base = None if facts.is_contract else facts.base
            return (row["strategy"], row["instrument"]), moved(row, fill, base)

        begun = dict(self._earlier.opening)
        for row in self._earlier.booked:
            for fill in row["fills"]:
                key, quantity = change(row, fill)
                begun[key] = begun.get(key, ZERO) + quantity
        steps = list(self._earlier.handed)
        for ts, row, fill in self._fills:
            if row["strategy"] == KILL_STRATEGY:
                break
            steps.append((ts, *change(row, fill)))
        found = {key: [(0, quantity)] for key, quantity in begun.items()}
        for ts, key, quantity in sorted(steps, key=itemgetter(0)):
            held = found.setdefault(key, [(0, ZERO)])
            held.append((ts, held[-1][1] + quantity))
        return found


def _is_exit(row: Row) -> bool:
    return bool(row["reduce_only"]) or Role(row.get("role") or "").is_exit


def _away(here: Decimal) -> Callable[[Decimal], Decimal]:
    return lambda held: abs(held - here)
