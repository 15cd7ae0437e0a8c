"""What flowed by: sizes of recent trades, orders of the day, money spent that no balance shows."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from decimal import Decimal

from fairlead.engine.risk.state import DayFlow
from fairlead.engine.risk.states import RiskStates

_ZERO = Decimal(0)
DAY_NS = 86_400_000_000_000
SPENT_MAX = 10_000  # fills of one venue and currency that wait for a newer balance


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


class Spent:
    """What fills of a cash account took, or brought, until a balance of that currency shows it.

    A balance that the venue reported at or after the fill shows it. What fills brought counts for
    reduce-only orders alone before that.
    """

    def __init__(self) -> None:
        self._fills: defaultdict[tuple[str, str], deque[tuple[int, Decimal]]] = defaultdict(
            lambda: deque(maxlen=SPENT_MAX)
        )
        self._sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def add(self, venue: str, currency: str, amount: Decimal, ts_ns: int) -> None:
        key = (venue, currency)
        fills = self._fills[key]
        if len(fills) == SPENT_MAX:
            self._sums[key] -= fills[0][1]
        fills.append((ts_ns, amount))
        self._sums[key] += amount

    def since(self, venue: str, currency: str, balance_ts_ns: int) -> Decimal:
        """Sum of what was spent after the balance of that time."""
        key = (venue, currency)
        fills = self._fills.get(key)
        if not fills:
            return _ZERO
        while fills and fills[0][0] <= balance_ts_ns:
            self._sums[key] -= fills.popleft()[1]
        return self._sums[key] if fills else _ZERO
