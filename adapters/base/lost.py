"""Which order of a venue's list is the one whose answer was lost, where no id of ours tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from fairlead.adapters.base.clock import Offset, VenueClock
from fairlead.adapters.base.venue import VenueError
from fairlead.engine.orders.model import (
    FindResult,
    Found,
    Lost,
    Unsure,
    VenueOrder,
    VenueUnavailable,
)

# A time of creation is cut to whole seconds, and one venue tells two that differ by one (OceanEx,
# sections 1.1 and 4.1).
CREATED_NS = 2_000_000_000
# A request that is under way for longer than this is one that nobody can tell from another's.
UNDER_WAY_NS = 60_000_000_000
IDS_TOLD = 5


async def looked(
    clock: VenueClock,
    lost: Sequence[Lost],
    look: Callable[[Offset], Awaitable[list[FindResult]]],
) -> list[FindResult]:
    """`look` for these with the venue's clock as it stands; Unsure where that is not known.

    A look during which this machine's clock was set proves nothing.
    """
    try:
        found = await look(await clock.known())
    except (VenueError, VenueUnavailable) as error:
        return [Unsure(f"{error.code}: {error.message}")] * len(lost)
    if clock.was_set:
        return [Unsure("this machine's clock was set during the look")] * len(lost)
    return found


def since_ns(lost: Lost, offset: Offset) -> int:
    """The earliest that the venue can say that the order was created."""
    return lost.ts_sent + offset.low_ns - CREATED_NS


def listed_since_ns(lost: Iterable[Lost], offset: Offset) -> int:
    """How far back a list must be read for all of these; 0 for none."""
    return min((since_ns(one, offset) - one.slack_ns for one in lost), default=0)


def chosen(rows: Iterable[VenueOrder], lost: Lost, offset: Offset) -> Found | Unsure | None:
    """Of those that have its fields, the one that it is; None when it is none of them.

    A row that is older than the order is another's. One that may be older, since nobody knows how
    the clocks stood when the order was sent, leaves it unsure; so does one that came so long after
    it that a person may have sent it.
    """
    since = since_ns(lost, offset)
    until = lost.ts_sent + offset.high_ns + UNDER_WAY_NS + CREATED_NS
    unowned = {row.venue_order_id: row for row in rows if row.venue_order_id not in lost.known}
    timely = [row for row in unowned.values() if since <= row.ts_created <= until]
    recent = timely or [row for row in unowned.values() if not row.ts_created]
    if len(recent) > 1:
        ids = ", ".join(sorted(row.venue_order_id for row in recent)[:IDS_TOLD])
        return Unsure(
            f"{len(recent)} orders have these fields: {ids}",
            ambiguous=True,
            candidates=tuple(recent),
        )
    if recent:
        return Found(recent[0])
    later = [row for row in unowned.values() if row.ts_created > until]
    if later:
        first = min(later, key=lambda row: row.ts_created)
        secs = (first.ts_created - lost.ts_sent - offset.low_ns) / 1e9
        return Unsure(
            f"order {first.venue_order_id} has these fields, and was created {secs:.0f} s after "
            "this one was sent: somebody else may have sent it",
            ambiguous=True,
            candidates=tuple(later),
        )
    older = [row for row in unowned.values() if row.ts_created >= since - lost.slack_ns]
    if not older:
        return None
    newest = max(older, key=lambda row: row.ts_created)
    secs = (since - newest.ts_created) / 1e9
    return Unsure(
        f"order {newest.venue_order_id} has these fields, and was created {secs:.0f} s before this "
        "one can have been, unless a clock was set since",
        ambiguous=True,
    )
