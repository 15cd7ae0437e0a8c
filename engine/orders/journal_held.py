"""Records of orders that the engine holds: held, changed, released, armed again, cancelled.

Each is one transaction that moves the order only from where it must be: `fairlead kill` cancels in
the journal of a run that hangs, and what that run releases afterwards finds it cancelled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec

from fairlead.engine.orders.journal_reads import decode_intent, readable
from fairlead.engine.orders.journal_stops import StopReads
from fairlead.engine.orders.model import Intent, OrderState, VenueOrder

_encode = msgspec.json.Encoder().encode


NEWEST_RECORDS = 10_000  # a kill looks no further back


class HeldRecords(StopReads, ABC):
    """The part of a journal that writes them. Durable on return, as all of a journal is."""

    _now_ns: Callable[[], int]

    @abstractmethod
    def require_file(self) -> None: ...

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _event(self, kind: str, client_order_id: str, body: object) -> int: ...

    @abstractmethod
    def _add_intents(self, intents: Sequence[Intent], now: int) -> None: ...

    @abstractmethod
    def _link(
        self, instrument: str, venue_order_id: str, ts: int, client_order_id: str
    ) -> str | None: ...

    def hold(self, intents: Sequence[Intent], how: object) -> int:
        """New orders, which the engine holds: `how` is said of each. Gives the time written."""
        now = self._now_ns()
        with self._transaction():
            self._add_intents(intents, now)
            for intent in intents:
                self._event("HELD", intent.client_order_id, how)
                self._move(intent.client_order_id, OrderState.HELD, "INTENDED")
        self.require_file()
        return now

    def release(self, intent: Intent, why: object) -> int | None:
        """A held order is about to be sent as `intent`; the time written. None: it is held no
        more, and nothing may be sent."""
        cid = intent.client_order_id
        with self._transaction():
            body = _encode(intent)
            changed = self._db.execute(
                "UPDATE orders SET state = 'INTENDED', intent = ? "
                "WHERE client_order_id = ? AND state = 'HELD'",
                (body, cid),
            ).rowcount
            if not changed:
                return None
            self._event("TRIGGERED", cid, why)
            now = self._event("RELEASE", cid, intent)
            self._db.execute("UPDATE orders SET ts_sent = ? WHERE client_order_id = ?", (now, cid))
        self.require_file()  # what was written is where the next start looks for it
        return now

    def armed_again(self, held: Intent, kind: str, why: object) -> None:
        """What was released is proven not to be at the venue (`kind`, `why`): held as before."""
        cid = held.client_order_id
        with self._transaction():
            self._event(kind, cid, why)
            self._event("ARMED", cid, held)
            self._db.execute(
                "UPDATE orders SET state = 'HELD', venue_order_id = NULL, intent = ? "
                "WHERE client_order_id = ?",
                (_encode(held), cid),
            )

    def late_release(self, state: VenueOrder, client_order_id: str) -> None:
        """A release that was given up is at the venue, over and without any execution: its id is
        this order's, which is what it is without it."""
        with self._transaction():
            now = self._event("RELEASE_LATE", client_order_id, state)
            self._link(state.instrument, state.venue_order_id, now, client_order_id)

    def changed_held(self, intent: Intent) -> bool:
        """A held order is this now; False: it is held no more."""
        with self._transaction():
            cid = intent.client_order_id
            changed = self._db.execute(
                "UPDATE orders SET intent = ? WHERE client_order_id = ? AND state = 'HELD'",
                (_encode(intent), cid),
            ).rowcount
            if changed:
                self._event("CHANGED", cid, intent)
            return bool(changed)

    def cancel_held(self, client_order_id: str, why: object = None) -> bool:
        """A held order is over; False: it is held no more."""
        with self._transaction():
            if not self._move(client_order_id, OrderState.CANCELED, "HELD"):
                return False
            self._event("CANCEL", client_order_id, None)
            self._event(OrderState.CANCELED.value, client_order_id, why)
            self._db.execute(
                "UPDATE orders SET cancel_requested = 1 WHERE client_order_id = ?",
                (client_order_id,),
            )
            return True

    def _move(self, client_order_id: str, to: OrderState, since: str) -> bool:
        moved = self._db.execute(
            "UPDATE orders SET state = ? WHERE client_order_id = ? AND state = ?",
            (to.value, client_order_id, since),
        )
        return bool(moved.rowcount)

    def held_cancelled_since(self, ts: int) -> list[Intent]:
        """Orders that were cancelled while the engine held them, at `ts` (ns) or later.

        Looked for in the newest records.
        """
        rows = self._rows(
            "SELECT DISTINCT +client_order_id FROM records WHERE kind = 'CANCELED' AND ts >= ? "
            "AND seq > (SELECT max(seq) FROM records) - ?",
            (ts, NEWEST_RECORDS),
        )
        found = []
        for (client_order_id,) in rows:
            kinds = [kind for _, _, kind, _ in self.story(client_order_id)]
            places = [kind for kind in kinds if kind in ("HELD", "ARMED", "RELEASE")]
            held, _ = self.held_story(client_order_id)
            if held is not None and places[-1] != "RELEASE":
                found.append(held)
        return found

    def releases_given_up_since(self, ts_ns: int, most: int) -> list[tuple[Intent, int, int]]:
        """Releases that were proven absent since then, whatever the held order has become: as it
        was sent, when, and when it was given up; oldest first.

        Looked for in the newest records.
        """
        rows = self._rows(
            "SELECT client_order_id, seq, ts FROM records WHERE kind = 'RELEASE_ABSENT' "
            "AND ts >= ? AND seq > (SELECT max(seq) FROM records) - ? ORDER BY seq",
            (ts_ns, NEWEST_RECORDS),
        )
        found = []
        for client_order_id, seq, ts in rows[-most:]:
            story = self.story(client_order_id)
            sent = [one for one in story if one[0] < seq and one[2] == "RELEASE"]
            if sent:
                _, ts_sent, _, body = sent[-1]
                with readable():
                    found.append((decode_intent(body), ts_sent, ts))
        return found

    def held_story(self, client_order_id: str) -> tuple[Intent | None, int]:
        """The order as the engine last held it (None: it never did), and how often it was
        released."""
        held, intent, releases = False, None, 0
        with readable():
            for _, _, kind, body in self.story(client_order_id):
                if kind in ("INTENT", "CHANGED", "ARMED"):
                    intent = decode_intent(body)
                held |= kind == OrderState.HELD.value
                releases += kind == "RELEASE"
        return (intent if held else None), releases
