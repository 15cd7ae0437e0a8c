"""Stops of one strategy in one instrument, and what moved its position, by the order journal.

Both look through all that the journal has: a run asks from a thread of its own. Rows come one by
one, so that whoever else has work to do is not kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.engine.orders.journal_reads import (
    JournaledOrder,
    JournalReads,
    journaled_order,
    readable,
)
from fairlead.engine.orders.model import STOP_KINDS, Role, Side

# Ended, and not refused: it did protect. What no stop can be is left out; `protects` decides
_KINDS = ", ".join(f"'{kind}'" for kind in sorted(STOP_KINDS))
_STOPS = f"""
SELECT o.intent, o.state, o.venue_order_id, o.filled, o.cost, o.cancel_requested, o.ts_sent
FROM orders o CROSS JOIN records r ON r.client_order_id = o.client_order_id
WHERE o.strategy = ? AND o.instrument = ? AND o.state IN ('FILLED', 'CANCELED', 'EXPIRED')
AND (json_extract(CAST(o.intent AS TEXT), '$.role') = '{Role.STOP}'
    OR json_extract(CAST(o.intent AS TEXT), '$.kind') IN ({_KINDS}))
AND r.kind IN (o.state, 'ARCHIVED')
ORDER BY r.seq DESC
"""  # noqa: S608 - of constants
_MOVES = """
SELECT r.kind, r.body FROM records r LEFT JOIN orders o ON o.client_order_id = r.client_order_id
WHERE r.seq > ? AND (r.kind = 'FILL' AND o.strategy = ? AND o.instrument = ?
    OR r.kind = 'HAND-OVER' AND r.client_order_id = ?)
ORDER BY r.seq DESC
"""


class _Move(msgspec.Struct):
    """A FILL, or a HAND-OVER (`giver` and `taker` strategies)."""

    quantity: Decimal
    side: Side | None = None
    giver: str = msgspec.field(name="from", default="")
    taker: str = msgspec.field(name="to", default="")


_decode_move = msgspec.json.Decoder(_Move).decode


class StopReads(JournalReads):
    """The part of a journal that tells of them."""

    def stops_over(self, strategy: str, instrument: str) -> Iterator[JournaledOrder]:
        """Those that are over, refused ones aside, the last to end first."""
        for row in self._each(_STOPS, (strategy, instrument)):
            order = journaled_order(row)
            if order.intent.protects:
                yield order

    def moves_since(
        self, seq: int, strategy: str, instrument: str, apart: str = ""
    ) -> Iterator[Decimal]:
        """What the strategy bought (sold: negative) or was handed after record `seq`, base units,
        fees in base not taken off; the newest first. What went to `apart` and came back is no move.
        """
        for kind, body in self._each(_MOVES, (seq, strategy, instrument, instrument)):
            with readable():
                move = _decode_move(body)
            if kind == "FILL":
                yield move.quantity if move.side is Side.BUY else -move.quantity
                continue
            if apart in (move.giver, move.taker):
                continue
            if move.taker == strategy:
                yield move.quantity
            if move.giver == strategy:
                yield -move.quantity

    def _each(self, sql: str, parameters: tuple[object, ...]) -> Iterator[Any]:
        try:
            yield from self._db.execute(sql, parameters)
        except sqlite3.Error as error:
            raise self._unread(error) from error
