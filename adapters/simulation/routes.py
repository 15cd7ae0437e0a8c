"""From a request to a venue's endpoint, its refusals, and how many requests it takes.

What all simulated venues share of their REST API; the order of the checks is each venue's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec


class ApiError(Exception):
    """An answer that refuses, with the venue's own code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Endpoint[State, Call](msgspec.Struct, frozen=True):
    """What answers a request. `methods` has spaces between; `path` has `{name}` for variables.

    `group` is the venue's word for what the endpoint counts against, or needs permission for.
    """

    methods: str
    path: str
    handler: Callable[[State, Call], object]
    group: str = ""
    is_private: bool = False


class Routes[State, Call]:
    """A venue's endpoints. A path without variables is found before one with, then the first."""

    def __init__(self, endpoints: Iterable[Endpoint[State, Call]]) -> None:
        self.endpoints = tuple(endpoints)
        self._fixed: dict[tuple[str, str], Endpoint[State, Call]] = {}
        self._open: list[tuple[str, list[str], Endpoint[State, Call]]] = []
        for endpoint in self.endpoints:
            for method in endpoint.methods.split():
                if "{" in endpoint.path:
                    self._open.append((method, endpoint.path.split("/"), endpoint))
                else:
                    self._fixed[method, endpoint.path] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint[State, Call] | None, dict[str, str]]:
        """The endpoint, None where there is none, and the path's variables."""
        if (fixed := self._fixed.get((method, path))) is not None:
            return fixed, {}
        parts = path.split("/")
        for known, template, endpoint in self._open:
            named = _match(template, parts) if known == method else None
            if named is not None:
                return endpoint, named
        return None, {}


def _match(template: list[str], parts: list[str]) -> dict[str, str] | None:
    if len(template) != len(parts):
        return None
    named = {}
    for want, have in zip(template, parts, strict=True):
        if want.startswith("{"):
            named[want[1:-1]] = have
        elif want != have:
            return None
    return named


class RateWindows:
    """Sliding windows of `span_ns`, one per name."""

    def __init__(self, span_ns: int) -> None:
        self._span_ns = span_ns
        self._windows: dict[str, deque[int]] = {}

    def take(self, name: str, limit: int, now_ns: int, count: int = 1) -> bool:
        """Count `count` uses now. False, and nothing is counted, if that is over `limit`."""
        window = self._windows.setdefault(name, deque())
        while window and window[0] <= now_ns - self._span_ns:
            window.popleft()
        if len(window) + count > limit:
            return False
        window.extend([now_ns] * count)
        return True
