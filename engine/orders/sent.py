"""When an order was sent, by this machine's clock of now.

Clocks are set, and a venue without client order ids is asked what it has had since an order was
sent. Within a process the event loop's clock tells an order's age; across processes the journal
does, since that clock goes on until the machine starts anew: before an order is written down, so is
how far the two were apart.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.shared import Part
from fairlead.engine.processes import boot_id

SUBJECT = "CLOCK"  # kind and subject of the record
NOTED_NS = 50_000_000  # a change that is written down
CLOCK_SET_NS = 120 * 1_000_000_000  # by which a clock may have been set where nothing tells


class Stand(msgspec.Struct, frozen=True):
    """The wall clock less the loop's, ns, since the machine's start that `boot` names."""

    boot: str
    apart_ns: int


class Sent(Part):
    """The times of sending of one desk's orders."""

    _noted: Stand | None = None

    def note(self) -> None:
        """Before orders are written down: how the clocks stand, where that is new."""
        stand, noted = self._stand(), self._noted
        if noted is None or abs(stand.apart_ns - noted.apart_ns) > NOTED_NS:
            self._journal.note(SUBJECT, SUBJECT, stand)
            self._noted = stand

    def at(self, order: LiveOrder) -> int:
        """ns: the earlier of what the clock said then and says of it now."""
        moved_ns = self._moved_ns(order)
        return order.ts_sent + min(moved_ns or 0, 0)

    def slack(self, order: LiveOrder) -> int:
        """How much earlier than `at` it may have been, ns: see `Lost`."""
        return CLOCK_SET_NS if self._moved_ns(order) is None else 0

    def _moved_ns(self, order: LiveOrder) -> int | None:
        """By how much the clock was set since; None when nothing tells."""
        if order.loop_sent is not None:
            age_ns = int((asyncio.get_running_loop().time() - order.loop_sent) * 1e9)
            return self._now_ns() - age_ns - order.ts_sent
        return _moved_ns(self._journal, order.intent.client_order_id, self._stand())

    def _stand(self) -> Stand:
        return stand_now(self._shared.boot, self._now_ns())


def stand_now(boot: str | None = None, now_ns: int | None = None) -> Stand:
    """How the clocks of this machine stand, or those that are given."""
    wall_ns = time.time_ns() if now_ns is None else now_ns
    loop_ns = int(asyncio.get_running_loop().time() * 1e9)
    return Stand(boot_id() if boot is None else boot, wall_ns - loop_ns)


def sent_since(journal: Journal, order: JournaledOrder, stand: Stand) -> tuple[int, int]:
    """For who did not send the order: when that was by the clock of now, ns, and how much earlier
    it may have been (see `Lost`).
    """
    moved_ns = _moved_ns(journal, order.intent.client_order_id, stand)
    return order.ts_sent + min(moved_ns or 0, 0), CLOCK_SET_NS if moved_ns is None else 0


def _moved_ns(journal: Journal, client_order_id: str, now: Stand) -> int | None:
    """By how much the clock was set since an order was written down; None when nothing tells."""
    then = stand_at(journal, client_order_id)
    if then is None or not now.boot or then.boot != now.boot:
        return None
    return now.apart_ns - then.apart_ns


def stand_at(journal: Journal, client_order_id: str) -> Stand | None:
    """How the clocks stood when the order was written down."""
    seq = journal.intended_at(client_order_id)
    found = None if seq is None else journal.note_before(SUBJECT, seq, Stand)
    return None if found is None else found[1]
