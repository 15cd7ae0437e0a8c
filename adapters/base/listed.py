"""What an adapter has whatever its venue: the markets that are listed, and the venue's clock."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.venue import (
    AdapterContext,
    ParseError,
    PrivateProtocol,
    Renewal,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)


class Clocked(Protocol):
    """A venue's HTTP half."""

    @property
    def clock(self) -> VenueClock | None:
        """None: the venue tells no time, and holds none against us."""
        ...


def readable[Row](
    rows: Iterable[Row],
    name: Callable[[Row], str],
    build: Callable[[Row], VenueInstrument],
) -> tuple[dict[str, VenueInstrument], dict[str, str]]:
    """The markets that could be read, by id, and by the venue's name why each other could not."""
    found: dict[str, VenueInstrument] = {}
    skipped: dict[str, str] = {}
    for row in rows:
        try:
            built = build(row)
        except ParseError as error:
            skipped[name(row)] = str(error)
            continue
        found[built.id] = built
    return found, skipped


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
        self.skipped: dict[str, str] = {}  # the venue's name of it -> why it can't be traded here

    @property
    def clock_offset_ms(self) -> float | None:
        clock = self.http.clock
        return None if clock is None else clock.offset_ms

    async def measure_clock(self) -> None:
        """Raises VenueError."""
        if self.http.clock is not None:
            await self.http.clock.measure()

    def private_stream(self) -> PrivateProtocol | None:
        """None: the venue pushes nothing private."""
        return None

    def renewals(self) -> Sequence[Renewal]:
        return ()

    async def close(self) -> None:
        """Nothing is left at the venue."""

    def _list(
        self, found: Mapping[str, VenueInstrument], skipped: Mapping[str, str] | None = None
    ) -> None:
        """All that the venue lists now."""
        self._found.clear()
        self._found.update(found)
        self.skipped = dict(skipped or {})

    def _require_named(self, otherwise: str = "") -> None:
        """Raises VenueError where the config names what is not listed; `otherwise` is told where
        nothing listed has a name like it."""
        for named in self._named:
            if named not in self._found:
                near = difflib.get_close_matches(named, self._found, 1)
                hint = f"; did you mean {near[0]}?" if near else otherwise
                code, text = f"{self._code}-UNKNOWN-MARKET", f"no market {named[:60]}{hint}"
                raise VenueError(VenueErrorKind.REFUSED, code, text)
