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

    def next_of(self, strategy: str) -> str:
        self._made[strategy] += 1
        whose = hashlib.blake2b(f"{self._seed}/{strategy}".encode(), digest_size=8).digest()
        counted = self._made[strategy].to_bytes(8)
        return str(UUID(bytes=whose + counted, version=4))


class SeededFactory:
    """A strategy's order factory, with ids from `next_id` where the caller gives none."""

    __slots__ = ("_native", "_next_id")

    def __init__(self, native: Any, next_id: Callable[[], str]) -> None:
        self._native = native
        self._next_id = next_id

    def generate_client_order_id(self) -> ClientOrderId:
        return ClientOrderId(self._next_id())

    def __getattr__(self, name: str) -> Any:
        build = getattr(self._native, name)
        places = _PLACES.get(name)
        if places is None:
            return build

        def built(*args: Any, **named: Any) -> Any:
            for one, at in places.items():
                if len(args) <= at and named.get(one) is None:
                    named[one] = self.generate_client_order_id()
            return build(*args, **named)

        return built
