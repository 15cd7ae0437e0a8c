"""What flowed by: sizes of recent trades, orders of the day, money spent that no balance shows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from decimal import Decimal

from fairlead.engine.risk.state import DayFlow
from fairlead.engine.risk.states import RiskStates

_ZERO = Decimal(0)
DAY_NS = 86_400_000_000_000
SPENT_MAX = 10_000  # fills of one venue and currency that are known apart, at least


class Tape:
    """Sizes of the last `keep` trades of each instrument, in base units.

    One strategy of the run feeds an instrument, so that a trade counts once.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._recent: dict[str, deque[Decimal]] = {}
        self._sorted: dict[str, list[Decimal]] = {}
        self._feeders: dict[str, str] = {}

    def feeds(self, instrument: str, strategy: str) -> bool:
        """Whether this strategy is the one whose trades of the instrument count."""
        return self._feeders.setdefault(instrument, strategy) == strategy

    def add(self, instrument: str, size: Decimal) -> None:
        recent = self._recent.get(instrument)
        if recent is None:
            recent = self._recent[instrument] = deque()
            self._sorted[instrument] = []
        ranked = self._sorted[instrument]
        if len(recent) == self._keep:
            del ranked[bisect_left(ranked, recent.popleft())]
        recent.append(size)
        insort(ranked, size)

    def size(self, instrument: str, *, largest: bool) -> Decimal | None:
        """The largest, or the (upper) median size; None before the first trade."""
        ranked = self._sorted.get(instrument)
        if not ranked:
            return None
        return ranked[-1] if largest else ranked[len(ranked) // 2]


class DayFlows:
    """Orders, cancels and fills of the UTC day by venue."""

    def __init__(self, states: RiskStates) -> None:
        self._states = states

    def of(self, venue: str, now_ns: int) -> DayFlow:
        day = now_ns // DAY_NS
        flows = self._states.of_venue(venue).state.flow
        flow = flows.get(venue)
        if flow is None or flow.day != day:
            flow = flows[venue] = DayFlow(day=day)
        return flow

    def undo(self, venue: str) -> None:
        """An order that was counted last was not sent."""
        flow = self._states.of_venue(venue).state.flow.get(venue)
        if flow is not None and flow.orders:
            flow.orders -= 1


class Spent:
    """What fills of a cash account took, or brought, until a balance of that currency shows it.

    A balance that the venue reported at or after the fill shows it. What fills brought counts for
    reduce-only orders alone before that. Each who asks has a balance of his own time: what one
    shows is still missing in another.
    """

    def __init__(self) -> None:
        # By venue and currency the times of fills, and what all up to each have come to
        self._fills: dict[tuple[str, str], tuple[list[int], list[Decimal]]] = {}

    def add(self, venue: str, currency: str, amount: Decimal, ts_ns: int) -> None:
        times, sums = self._fills.setdefault((venue, currency), ([], []))
        if len(times) >= 2 * SPENT_MAX:
            del times[:SPENT_MAX], sums[:SPENT_MAX]
        # A clock that went back does not bring an earlier balance to show it
        times.append(max(ts_ns, times[-1]) if times else ts_ns)
        sums.append(sums[-1] + amount if sums else amount)

    def since(self, venue: str, currency: str, balance_ts_ns: int) -> Decimal:
        """Sum of what was spent after the balance of that time.

        Of one that is older than the fills that are kept, all of the run's count.
        """
        found = self._fills.get((venue, currency))
        if found is None:
            return _ZERO
        times, sums = found
        if times[-1] <= balance_ts_ns:
            return _ZERO
        shown = bisect_right(times, balance_ts_ns)
        return sums[-1] - sums[shown - 1] if shown else sums[-1]
