"""Client order ids that are the same in every run of a backtest, in the form of a live run's.

A UUID whose first half comes from the run's seed and the strategy's id, and whose second half
counts that strategy's orders: unique within the run, and in the order in which they were made. What
leaves a strategy's orders alone (a timer, a limit that is never reached, another strategy) leaves
their ids alone. Live and paper runs have random ones: two of their runs meet at one venue.
"""

from __future__ import annotations

import hashlib
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from nautilus_trader.common import OrderFactory
from nautilus_trader.model import ClientOrderId

_SUFFIX = "client_order_id"
_FIRST_CHARS = len("xxxxxxxx-xxxx-4xxx-")
_VARIANT = 1 << 63  # bits of a UUID's second half that say how it is laid out


def _id_places() -> dict[str, dict[str, int]]:
    """Where each method of the order factory takes ids: position of the argument, by its name."""
    found: dict[str, dict[str, int]] = {}
    for name, method in vars(OrderFactory).items():
        if name.startswith("_") or not callable(method):
            continue
        taken = list(inspect.signature(method).parameters)[1:]  # without self
        places = {one: at for at, one in enumerate(taken) if one.endswith(_SUFFIX)}
        if places:
            found[name] = places
    return found


_PLACES = _id_places()


class SeededIds:
    """Ids of one run's orders: `next_of` gives a strategy's next."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made: Counter[str] = Counter()
        self._firsts: dict[str, str] = {}  # halves, with the dash after them

    def next_of(self, strategy: str) -> str:
        made = self._made[strategy] = self._made[strategy] + 1
        first = self._firsts.get(strategy)
        if first is None:
            first = self._firsts[strategy] = self._first(strategy)
        counted = f"{made | _VARIANT:016x}"
        return f"{first}{counted[:4]}-{counted[4:]}"

    def _first(self, strategy: str) -> str:
        whose = hashlib.blake2b(f"{self._seed}/{strategy}".encode(), digest_size=8).digest()
        return str(UUID(bytes=whose + bytes(8), version=4))[:_FIRST_CHARS]


class SeededFactory:
    """A strategy's order factory, with ids from `next_id` where the caller gives none."""

    def __init__(self, native: Any, next_id: Callable[[], str]) -> None:
        self._native = native
        self._next_id = next_id

    def generate_client_order_id(self) -> ClientOrderId:
        return ClientOrderId(self._next_id())

    def __getattr__(self, name: str) -> Any:
        """Once for each name: it is an attribute from then on."""
        build = getattr(self._native, name)
        places = _PLACES.get(name)
        if places is None:
            return build

        def built(*args: Any, **named: Any) -> Any:
            for one, at in places.items():
                if len(args) <= at and named.get(one) is None:
                    named[one] = self.generate_client_order_id()
            return build(*args, **named)

        setattr(self, name, built)
        return built
