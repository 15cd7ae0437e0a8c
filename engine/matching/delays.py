"""How long each command takes to the simulated venue: always the same, or drawn from a seed.

A draw is exact: the same seed gives the same delays in every process and on every machine, which is
why they are whole microseconds. Commands of one account arrive in the order in which they were
given, as over one connection: a later one that was drawn shorter waits for the one before it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol

from nautilus_trader.model import ClientOrderId

from fairlead.engine.config.latency import LatencySpec

MS_NS = 1_000_000
US_NS = 1_000
_NORMAL = NormalDist()
_LEAST = 1e-12  # the normal distribution's quantile of 0 is no number


class Sent(NamedTuple):
    """A command. `kind` is `submit`, `modify` or `cancel`."""

    strategy: str
    kind: str
    now_ns: int


class Delays(Protocol):
    """`typical_ns` is what a command is given that nobody asked about; none takes longer than
    `most_ns`. `in_order`: none overtakes another."""

    typical_ns: int
    most_ns: int
    in_order: bool

    def next_ns(self, sent: Sent) -> int:
        """Of this command, which is the next."""


class Drawn:
    """Delays in an order that the seed decides."""

    in_order = True

    def __init__(self, quantiles: Quantiles, seed: int, venue: str) -> None:
        self._quantiles = quantiles
        self._random = random.Random(f"{seed} latency {venue}")  # noqa: S311 - of a seed
        self.typical_ns = max(quantiles.at(0.5), 1)
        self.most_ns = quantiles.most_ns

    def next_ns(self, sent: Sent) -> int:
        return self._quantiles.at(self._random.random())


class Quantiles(Protocol):
    """`at(u)`: the delay that the share `u` of all are not above, in nanoseconds."""

    most_ns: int

    def at(self, share: float) -> int: ...


class Lognormal:
    """By its median and the value that 99 of 100 are below; bounded by `most_ns`."""

    def __init__(self, median_ns: int, p99_ns: int, most_ns: int) -> None:
        self.most_ns = most_ns
        self._median_ns = median_ns
        self._sigma = math.log(p99_ns / median_ns) / _NORMAL.inv_cdf(0.99)

    def at(self, share: float) -> int:
        away = _NORMAL.inv_cdf(min(max(share, _LEAST), 1 - _LEAST))
        found = self._median_ns * math.exp(self._sigma * away)
        return min(round(found / US_NS) * US_NS, self.most_ns)


class Uniform:
    def __init__(self, least_ns: int, most_ns: int) -> None:
        self.least_ns, self.most_ns = least_ns, most_ns

    def at(self, share: float) -> int:
        found = self.least_ns + share * (self.most_ns - self.least_ns)
        return min(round(found / US_NS) * US_NS, self.most_ns)


class Measured:
    """Each of the delays that were measured is as likely; none else is drawn."""

    def __init__(self, delays_ns: Sequence[int], times: float = 1) -> None:
        """Raises ValueError for none."""
        if not delays_ns:
            raise ValueError("no delay was measured")
        self._sorted = sorted(round(one * times) for one in delays_ns)
        self.most_ns = self._sorted[-1]

    def at(self, share: float) -> int:
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]


def quantiles(spec: LatencySpec, measured: Sequence[int] = ()) -> Quantiles:
    """Of what is drawn. Raises ValueError where nothing was measured."""
    ns: dict[str, int] = {name: int(value * MS_NS) for name, value in spec.values.items()}
    if spec.kind == "lognormal":
        return Lognormal(ns["median"], ns["p99"], ns["max"])
    if spec.kind == "uniform":
        return Uniform(ns["min"], ns["max"])
    return Measured(measured, float(spec.times))


def venue_of(cache: Any, target: Any) -> str:
    """Where a command goes: `target` is an instrument id, a client order id, or None."""
    if hasattr(target, "venue"):
        return str(target.venue)
    order = cache.order(target) if isinstance(target, ClientOrderId) else None
    return "" if order is None else str(order.instrument_id.venue)
