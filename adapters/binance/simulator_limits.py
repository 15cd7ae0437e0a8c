"""Request weights, order counts, 429 and 418 of the simulated Binance.

Sources: Spot "LIMITS", USD-M "General Info / LIMITS": windows begin at whole minutes (and ten
seconds), each address has one for weights, each account one for orders. Who goes on after 429 is
banned, 418, for two minutes and each time longer; `Retry-After` is in seconds.
"""

from __future__ import annotations

import msgspec

from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.simulation.market import SECOND_NS

MINUTE, TEN_SECS = 60, 10
REFUSALS_MAX = 50  # answers of 429 in one window, before the ban
BAN_SECS, BAN_SECS_MAX = 120, 3 * 86_400


class _Window(msgspec.Struct):
    number: int = -1
    used: int = 0
    refused: int = 0


class TooMany(ApiError):
    """429 or 418 with `Retry-After`."""

    def __init__(self, code: int, retry_secs: int, *, limit: object, status: int) -> None:
        super().__init__(code, limit=limit, status=status)
        self.retry_secs = retry_secs


class Limits:
    """Of one product."""

    def __init__(self, weights: int, orders_10s: int) -> None:
        self.weights = weights
        self.orders_10s = orders_10s
        self._weights: dict[str, _Window] = {}
        self._orders = _Window()
        self._banned: dict[str, tuple[int, int]] = {}  # until ns, and for how long

    def take(self, remote: str, weight: int, now_ns: int) -> int:
        """Count a request; what the address has used in this minute. Raises TooMany."""
        until_ns, secs = self._banned.get(remote, (0, 0))
        if now_ns < until_ns:
            raise TooMany(
                -1003, -(-(until_ns - now_ns) // SECOND_NS), limit=self.weights, status=418
            )
        window = self._weights.setdefault(remote, _Window())
        _turn(window, now_ns, MINUTE)
        if window.used + weight > self.weights:
            window.refused += 1
            if window.refused > REFUSALS_MAX:
                secs = min(BAN_SECS_MAX, secs * 2 or BAN_SECS)
                self._banned[remote] = (now_ns + secs * SECOND_NS, secs)
            raise TooMany(-1003, _left(now_ns, MINUTE), limit=self.weights, status=429)
        window.used += weight
        return window.used

    def orders_used(self, now_ns: int) -> int:
        _turn(self._orders, now_ns, TEN_SECS)
        return self._orders.used

    def take_order(self, now_ns: int) -> None:
        """Count a new order. Raises TooMany."""
        if self.orders_used(now_ns) >= self.orders_10s:
            raise TooMany(-1015, _left(now_ns, TEN_SECS), limit=self.orders_10s, status=429)
        self._orders.used += 1


def _turn(window: _Window, now_ns: int, secs: int) -> None:
    number = now_ns // (secs * SECOND_NS)
    if window.number != number:
        window.number, window.used, window.refused = number, 0, 0


def _left(now_ns: int, secs: int) -> int:
    """Whole seconds until the window ends, 1 at the least."""
    return secs - now_ns // SECOND_NS % secs
