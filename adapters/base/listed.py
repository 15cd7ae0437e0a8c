"""What an adapter has whatever its venue: the markets that are listed, and the venue's clock."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Protocol

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.venue import (
    AdapterContext,
    PrivateProtocol,
    Renewal,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)


class Clocked(Protocol):
    """A venue's HTTP half."""

    clock: VenueClock


class ListedAdapter:
    """The part of an `Adapter` that is no translation."""

    http: Clocked

    def __init__(self, context: AdapterContext, code: str) -> None:
        """`code` begins the codes of errors."""
        self.venue = context.venue
        self._code = code
        self._now_ns = context.now_ns
        self._named = context.instruments
        self._found: dict[str, VenueInstrument] = {}
        self.instruments: Mapping[str, VenueInstrument] = self._found

    @property
    def clock_offset_ms(self) -> float | None:
        return self.http.clock.offset_ms

    async def measure_clock(self) -> None:
        """Raises VenueError."""
        await self.http.clock.measure()

    def private_stream(self) -> PrivateProtocol | None:
        """None: the venue pushes nothing private."""
        return None

    def renewals(self) -> Sequence[Renewal]:
        return ()

    async def close(self) -> None:
        """Nothing is left at the venue."""

    def _list(self, found: Mapping[str, VenueInstrument]) -> None:
        """All that the venue lists now."""
        self._found.clear()
        self._found.update(found)

    def _require_named(self) -> None:
        """Raises VenueError where the config names what is not listed."""
        for named in self._named:
            if named not in self._found:
                near = difflib.get_close_matches(named, self._found, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                code, text = f"{self._code}-UNKNOWN-MARKET", f"no market {named[:60]}{hint}"
                raise VenueError(VenueErrorKind.REFUSED, code, text)
