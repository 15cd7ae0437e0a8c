"""Clocks, all along a run: this machine's against its monotonic one, and each venue's against ours.

An order is stamped, aged and looked for by the wall clock. When that is set, what is known of each
venue's clock is void until it is measured again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from fairlead.adapters.base.venue import VenueError, VenueErrorKind

LOOK_SECS = 0.25  # between looks at this machine's clock; an order looks once more
STEP_NS = 250_000_000  # beyond it a difference within one look is no slewing
MEASURE_SECS = 30.0  # between measurements of a venue's clock
RETRY_SECS = 0.5  # after one that failed; doubled up to MEASURE_SECS
OFFSET_STEP_MS = 2_000.0  # a change of a venue's offset beyond the precision of its clock
SAMPLES = 5  # round trips of one measurement, at most
COARSE_SAMPLES = 3  # of a venue that tells whole seconds: more trips prove little more
COARSE_NS = 1_000_000_000
GOOD_NS = 200_000_000  # the width of bounds that need no better sample


class Offset(msgspec.Struct, frozen=True):
    """A venue's clock less ours lies between `low_ns` and `high_ns`, as measured at `measured_ns`.

    The venue read its clock at an unknown moment within the round trip, and cut the time to its
    resolution.
    """

    low_ns: int
    high_ns: int
    measured_ns: int

    @property
    def likely_ns(self) -> int:
        return (self.low_ns + self.high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        return (self.high_ns - self.low_ns + 1) // 2

    @property
    def proven_ns(self) -> int:
        """The least offset, by size, that it can be."""
        if self.low_ns <= 0 <= self.high_ns:
            return 0
        return min(self.low_ns, self.high_ns, key=abs)


class VenueClock:
    """A venue's clock as last measured, for signatures and for looks into its lists.

    `ask` gives the venue's time, ns, in steps of `resolution_ns`. `tolerance_ns` is how far off the
    time in a signature may be; None: the venue holds no time against us.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[int]],
        *,
        code: str,
        now_ns: Callable[[], int],
        resolution_ns: int,
        tolerance_ns: int | None = None,
        check_secs: float = math.inf,
    ) -> None:
        self.offset: Offset | None = None
        self._base_secs = 0.0  # our clock less the loop's, when it was measured
        self._measured_secs = -math.inf  # by the loop's clock
        self._ask = ask
        self._code = code
        self._now_ns = now_ns
        self._resolution_ns = resolution_ns
        self._tolerance_ns = tolerance_ns
        self._check_secs = check_secs

    def now_ns(self) -> int:
        """Now, by the venue's clock."""
        return self._now_ns() + (0 if self.offset is None else self.offset.likely_ns)

    def earliest_ns(self) -> int:
        """The earliest that it can be now, by the venue's clock."""
        return self._now_ns() + (0 if self.offset is None else self.offset.low_ns)

    @property
    def offset_ms(self) -> float | None:
        return None if self.offset is None else self.offset.proven_ns / 1e6

    async def measure(self) -> Offset:
        """From the quickest of a few round trips.

        Raises VenueError, of kind CLOCK when none proves the venue's time well enough.
        """
        best: Offset | None = None
        good_ns = max(GOOD_NS, self._resolution_ns * 3 // 2)
        samples = SAMPLES if self._resolution_ns < COARSE_NS else COARSE_SAMPLES
        for _ in range(samples):
            sent_ns = self._now_ns()
            venue_ns = await self._ask()
            now_ns = self._now_ns()
            if now_ns < sent_ns:
                continue  # our clock was set back meanwhile
            found = Offset(venue_ns - now_ns, venue_ns + self._resolution_ns - sent_ns, now_ns)
            if best is None or found.uncertainty_ns < best.uncertainty_ns:
                best = found
            if found.high_ns - found.low_ns <= good_ns:
                break
        limit_ns = self._tolerance_ns
        if best is None or (limit_ns is not None and best.uncertainty_ns > limit_ns // 2):
            took = "none of" if best is None else f"{2 * best.uncertainty_ns // 10**6} ms, best of"
            raise VenueError(
                VenueErrorKind.CLOCK,
                f"{self._code}-CLOCK",
                f"expected a round trip that proves the venue's time, came: {took} {samples}",
            )
        loop_secs = asyncio.get_running_loop().time()
        self._base_secs, self._measured_secs = self._now_ns() / 1e9 - loop_secs, loop_secs
        self.offset = best
        return best

    async def prove(self, limit_secs: float) -> None:
        """Raises VenueError (CLOCK) where the venue's time is further from ours than that."""
        offset_secs = (await self.measure()).proven_ns / 1e9
        if abs(offset_secs) > limit_secs:
            raise VenueError(
                VenueErrorKind.CLOCK,
                f"{self._code}-CLOCK",
                f"the venue's clock differs by {offset_secs:+.1f} s or more; expected at most "
                f"{limit_secs:g} s",
            )

    @property
    def was_set(self) -> bool:
        """Whether this machine's clock was set since the offset was measured: that is void then."""
        base_secs = self._now_ns() / 1e9 - asyncio.get_running_loop().time()
        return abs(base_secs - self._base_secs) * 1e9 > STEP_NS

    async def known(self) -> Offset:
        """For a look at times that the venue told: measured anew if it is old, or void.

        Raises VenueError.
        """
        age_secs = asyncio.get_running_loop().time() - self._measured_secs
        if self.offset is None or self.was_set or age_secs > MEASURE_SECS:
            return await self.measure()
        return self.offset

    async def fresh(self, *, is_reading: bool) -> None:
        """Before a signed request: measure if never measured, or refused; by age only on reads.

        Raises VenueError.
        """
        offset = self.offset
        age_ns = 0 if offset is None else self._now_ns() - offset.measured_ns
        if offset is None or (is_reading and age_ns > self._check_secs * 1e9):
            await self.measure()

    def forget(self) -> None:
        """The venue refused the time: it is measured again before it is used."""
        self.offset = None


class MeasuredClock(Protocol):
    """What of an adapter is asked."""

    venue: str

    @property
    def clock_offset_ms(self) -> float | None: ...

    async def measure_clock(self) -> None: ...


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A clock was set: this machine's, or that of `venue`.

    `from_ns` is what our clock would say, `to_ns` what it says, UNIX ns; of a venue's clock `secs`
    is how much its offset has changed since it was measured last.
    """

    venue: str = ""
    secs: float
    from_ns: int
    to_ns: int


class ClockWatch:
    """Looks and measures for the run's whole time.

    `on_step(step)` is told of each step, `on_offset(venue, ms)` of each measurement that holds, and
    `on_failure(venue, error)` of the first failure in a row.
    """

    def __init__(
        self,
        clocks: Sequence[MeasuredClock],
        *,
        now_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        on_step: Callable[[Step], None],
        on_offset: Callable[[str, float], None],
        on_failure: Callable[[str, VenueError], None],
    ) -> None:
        self._clocks = tuple(clocks)
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._on_step = on_step
        self._on_offset = on_offset
        self._on_failure = on_failure
        self._base_ns = now_ns() - monotonic_ns()
        self._steps = 0
        self._offsets: dict[str, float] = {}
        self._due = {clock.venue: asyncio.Event() for clock in self._clocks}

    def look(self) -> None:
        """Compare wall and monotonic clock with the last look. Cheap: before each order, too."""
        now_ns = self._now_ns()
        base_ns = now_ns - self._monotonic_ns()
        step_ns, self._base_ns = base_ns - self._base_ns, base_ns
        if abs(step_ns) <= STEP_NS:
            return
        self._steps += 1
        self._offsets.clear()
        for due in self._due.values():
            due.set()
        self._on_step(Step(secs=step_ns / 1e9, from_ns=now_ns - step_ns, to_ns=now_ns))

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_for_ever())
            for clock in self._clocks:
                tasks.create_task(self._measure_for_ever(clock))

    async def _look_for_ever(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECS)

    async def _measure_for_ever(self, clock: MeasuredClock) -> None:
        due = self._due[clock.venue]
        failures = 0
        while True:
            due.clear()
            self.look()
            steps = self._steps
            try:
                await clock.measure_clock()
            except VenueError as error:
                if not failures:
                    self._on_failure(clock.venue, error)
                wait_secs = min(RETRY_SECS * 2 ** min(failures, 10), MEASURE_SECS)
                failures += 1
            else:
                failures = 0
                self.look()
                if steps == self._steps:  # else it was measured across a step
                    self._measured(clock)
                wait_secs = MEASURE_SECS
            try:
                async with asyncio.timeout(wait_secs):
                    await due.wait()
            except TimeoutError:
                continue

    def _measured(self, clock: MeasuredClock) -> None:
        offset_ms = clock.clock_offset_ms
        if offset_ms is None:
            return
        before = self._offsets.get(clock.venue)
        self._offsets[clock.venue] = offset_ms
        if before is not None and abs(offset_ms - before) > OFFSET_STEP_MS:
            now_ns = self._now_ns()
            secs = (offset_ms - before) / 1e3
            self._on_step(Step(venue=clock.venue, secs=secs, from_ns=now_ns, to_ns=now_ns))
        self._on_offset(clock.venue, offset_ms)
