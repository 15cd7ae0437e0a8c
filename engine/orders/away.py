"""A venue that can't be read: said with since when, counted, and said again when it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from fairlead.engine.orders.model import VenueUnavailable
from fairlead.engine.warner import Warner

logger = logging.getLogger(__name__)

KEY_REFUSALS_MAX = 5  # in a row; then the key is dead, and the run with it


def clock_text(ts_ns: int) -> str:
    """Time of day in UTC, as log lines name it."""
    return f"{datetime.fromtimestamp(ts_ns / 1e9, UTC):%H:%M:%S} UTC"


class Away:
    """The reads of one venue account, each kind by its name.

    `on_key_refused(error)` is called once, when the venue has refused the key KEY_REFUSALS_MAX
    times without an answer in between.
    """

    def __init__(self, now_ns: Callable[[], int], warn: Warner) -> None:
        self._now_ns = now_ns
        self._warn = warn
        self._failing: set[str] = set()
        self._since_ns = 0
        self._failures = 0
        self._key_refusals = 0
        self.on_key_refused: Callable[[VenueUnavailable], None] | None = None

    def failed(self, what: str, error: VenueUnavailable) -> None:
        """A read of this kind did not succeed."""
        if not self._failing:
            self._since_ns, self._failures = self._now_ns(), 0
        self._failing.add(what)
        self._failures += 1
        since = clock_text(self._since_ns)
        count = f", {self._failures} reads failed" if self._failures > 1 else ""
        self._warn("away", f"the venue can't be read since {since}{count} ({what}: {error})")
        if not error.is_auth:
            return
        self._key_refusals += 1
        if self._key_refusals == KEY_REFUSALS_MAX and self.on_key_refused is not None:
            self.on_key_refused(error)

    def answered(self, what: str) -> None:
        """A read of this kind succeeded."""
        self._key_refusals = 0
        if not self._failing:
            return
        self._failing.discard(what)
        if not self._failing:
            secs = (self._now_ns() - self._since_ns) / 1e9
            self._warn(
                "back", f"the venue answers again after {secs:.0f} s, {self._failures} reads"
            )
