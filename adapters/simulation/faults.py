"""Faults between a client and a simulated venue, from one seed or programmed one by one.

They act in the shell that serves a venue (`server.py`, `memory.py`), so the venue itself stays
correct: what it executed is in its ledger, whatever the client was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Literal

import msgspec

HANG_SECS_MAX = 120.0  # a request that is never answered is dropped after this
PROGRAMMED_MAX = 10_000


class HttpFault(StrEnum):
    LOSE_REQUEST = "lose_request"  # not executed; the connection breaks
    LOSE_ANSWER = "lose_answer"  # executed; the connection breaks
    HANG_REQUEST = "hang_request"  # not executed; no answer until the client gives up
    HANG_ANSWER = "hang_answer"  # executed; no answer until the client gives up
    LATE = "late"  # the connection breaks at once; executed `secs` later
    DELAY = "delay"  # executed at once, answered after `secs`
    TOO_MANY = "too_many"  # not executed; status 429
    UNAVAILABLE = "unavailable"  # not executed; status 503 and an HTML page
    BAD_GATEWAY = "bad_gateway"  # executed; status 502 and an HTML page
    TRUNCATED = "truncated"  # executed; half of the answer's bytes


class WsFault(StrEnum):
    DROP = "drop"  # the connection breaks
    MUTE = "mute"  # nothing more is sent on the connection, which stays open
    DUPLICATE = "duplicate"  # the frame is sent twice
    LOSE = "lose"  # the frame is not sent
    MALFORMED = "malformed"  # half of the frame is sent


class Fault(msgspec.Struct, frozen=True):
    """A fault to apply now; `secs` is for DELAY and LATE."""

    kind: HttpFault | WsFault
    secs: float = 0.0


class _Programmed(msgspec.Struct):
    method: str  # GET..., or WS
    path: str  # a prefix; with a final $ the whole path
    fault: Fault

    def fits(self, method: str, path: str) -> bool:
        if self.method != method:
            return False
        wanted = self.path
        return path == wanted[:-1] if wanted.endswith("$") else path.startswith(wanted)


Profile = Literal["none", "mild", "bad"]

# Chance of each fault per request, and per frame sent.
_HTTP_CHANCES: Mapping[str, Mapping[HttpFault, float]] = {
    "none": {},
    "mild": {
        HttpFault.LOSE_REQUEST: 0.003,
        HttpFault.LOSE_ANSWER: 0.003,
        HttpFault.LATE: 0.001,
        HttpFault.DELAY: 0.03,
        HttpFault.TOO_MANY: 0.003,
        HttpFault.UNAVAILABLE: 0.002,
    },
    "bad": {
        HttpFault.LOSE_REQUEST: 0.03,
        HttpFault.LOSE_ANSWER: 0.03,
        HttpFault.HANG_REQUEST: 0.005,
        HttpFault.HANG_ANSWER: 0.005,
        HttpFault.LATE: 0.01,
        HttpFault.DELAY: 0.10,
        HttpFault.TOO_MANY: 0.02,
        HttpFault.UNAVAILABLE: 0.02,
        HttpFault.BAD_GATEWAY: 0.01,
        HttpFault.TRUNCATED: 0.005,
    },
}
_WS_CHANCES: Mapping[str, Mapping[WsFault, float]] = {
    "none": {},
    "mild": {WsFault.DROP: 0.0003, WsFault.DUPLICATE: 0.003, WsFault.LOSE: 0.001},
    "bad": {
        WsFault.DROP: 0.002,
        WsFault.MUTE: 0.0005,
        WsFault.DUPLICATE: 0.01,
        WsFault.LOSE: 0.01,
        WsFault.MALFORMED: 0.002,
    },
}
_DELAY_SECS = {"none": 0.0, "mild": 0.3, "bad": 2.0}


class Faults:
    """Decides, request by request and frame by frame. Programmed faults come first, in order."""

    def __init__(self, seed: int = 1, profile: Profile = "none") -> None:
        self._rng = Random(seed)  # noqa: S311 - simulation, not security
        self.profile: Profile = profile
        self.counts: dict[str, int] = {}
        self._programmed: list[_Programmed] = []

    def next(self, method: str, path: str, kind: str, *, secs: float = 0.5, times: int = 1) -> None:
        """Apply `kind` once (or `times`) to the next request with this method and path prefix.

        A path that ends in `$` is the whole path (`/v1/orders$` spares `/v1/orders/filter`).

        Method `WS` names the next frames sent to a client. Raises ValueError for an unknown kind.
        """
        fault = Fault(WsFault(kind) if method == "WS" else HttpFault(kind), secs)
        self._require_room(times)
        self._programmed.extend([_Programmed(method, path, fault)] * times)

    def take_over(self, other: Faults, *, clear: bool) -> None:
        """Have what is programmed in `other` after, or with `clear` in place of, what waits here.

        Raises ValueError, and then nothing has changed, where it would be too much.
        """
        if clear:
            self.clear()
        self._require_room(len(other._programmed))
        self._programmed.extend(other._programmed)

    def _require_room(self, times: int) -> None:
        if len(self._programmed) + times > PROGRAMMED_MAX:
            raise ValueError(f"at most {PROGRAMMED_MAX} faults can be waiting")

    @property
    def waiting(self) -> int:
        """Programmed faults not applied yet."""
        return len(self._programmed)

    def clear(self) -> None:
        """Forget programmed faults and stop seeded ones."""
        self._programmed.clear()
        self.profile = "none"

    def for_request(self, method: str, path: str) -> Fault | None:
        fault = self._take(method, path) or self._draw(_HTTP_CHANCES[self.profile])
        return self._counted(fault)

    def for_frame(self, path: str) -> Fault | None:
        """`path` is the connection's."""
        fault = self._take("WS", path) or self._draw(_WS_CHANCES[self.profile])
        return self._counted(fault)

    def _take(self, method: str, path: str) -> Fault | None:
        for number, programmed in enumerate(self._programmed):
            if programmed.fits(method, path):
                return self._programmed.pop(number).fault
        return None

    def _draw(self, chances: Mapping[HttpFault, float] | Mapping[WsFault, float]) -> Fault | None:
        if not chances:
            return None
        draw = self._rng.random()
        for kind, chance in chances.items():
            draw -= chance
            if draw < 0:
                return Fault(kind, self._rng.uniform(0, _DELAY_SECS[self.profile]))
        return None

    def _counted(self, fault: Fault | None) -> Fault | None:
        if fault is not None:
            self.counts[fault.kind.value] = self.counts.get(fault.kind.value, 0) + 1
        return fault
