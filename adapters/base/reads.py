"""Reads of a venue: what changes nothing is asked again until it is answered, within a limit.

A create is never asked again, and neither is a cancel here: who sends those decides. Only the event
loop's clock is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.engine.orders import permit

# Of what was not sent: a connection that was not made may be made a moment later. (Also not sent is
# what the rate limiter had no room for, or what a broken URL or certificate keeps here.)
_PASSING_CODES = ("-HTTP-CONNECT", "-HTTP-TIMEOUT", "-HTTP-RESET")
_PASSING = frozenset({VenueErrorKind.UNKNOWN, VenueErrorKind.RATE_LIMITED, VenueErrorKind.CLOCK})


def is_passing(error: VenueError) -> bool:
    """Whether the same read may succeed a moment later; a refused key or parameter does not."""
    return error.kind in _PASSING or error.code.endswith(_PASSING_CODES)


async def repeated[T](once: Callable[[], Awaitable[T]], limits: ReadLimits = READ_LIMITS) -> T:
    """The answer of `once`, a read that is sent anew on each call.

    It waits longer after each failure, and at least as long as the venue asks for. Raises the
    VenueError of the last try, with their number, once `limits` allow no more.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    pause_secs = limits.backoff_min_secs
    told: VenueError | None = None  # by the venue
    for tries in range(1, limits.tries_max + 1):
        try:
            return await once()
        except VenueError as error:
            is_ours = error.kind is VenueErrorKind.RATE_LIMITED and not error.is_sent
            told = told if is_ours and told is not None else error
            wait_secs = max(pause_secs, error.retry_after_secs)
            spent_secs = loop.time() - began
            if (
                tries == limits.tries_max
                or not is_passing(error)
                or permit.refusal() is not None
                or spent_secs + wait_secs > limits.retry_secs
            ):
                raise _summed(told, tries, spent_secs) from error.__cause__
        await asyncio.sleep(wait_secs)
        pause_secs = min(2 * pause_secs, limits.backoff_max_secs)
    raise AssertionError("the last try returns or raises")


def _summed(error: VenueError, tries: int, spent_secs: float) -> VenueError:
    if tries > 1:
        error.message = f"{error.message} (tried {tries} times in {spent_secs:.1f} s)"
        error.args = (f"{error.code}: {error.message}",)
    return error
