"""The verdict on orders that the engine held: each fired by a price that fires it, and was sent
once for each release."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from fairlead.engine.sessions.evidence import Evidence
from fairlead.engine.sessions.verdict import Violation

# What the records of a held order make of it.
HELD_STATES = {"RELEASE": "INTENDED", "ARMED": "HELD"}


class _Level(msgspec.Struct):
    trigger_price: Decimal | None = None
    trigger_condition: str | None = None


class _Price(msgspec.Struct):
    price: Decimal


_level = msgspec.json.Decoder(_Level).decode
_price = msgspec.json.Decoder(_Price).decode


def held_fired_by_their_price(ev: Evidence) -> Iterator[Violation]:
    """A release follows a price at or beyond the level that the order had then."""
    levels: dict[str, _Level] = {}
    fired: dict[str, Decimal] = {}
    for record in ev.records:
        cid = record.client_order_id
        if record.kind in ("INTENT", "CHANGED", "ARMED"):
            levels[cid] = _level(record.body)
        elif record.kind == "TRIGGERED":
            fired[cid] = _price(record.body).price
        elif record.kind == "RELEASE":
            price, level = fired.pop(cid, None), levels[cid]
            if price is None:
                yield Violation("RELEASED-UNFIRED", cid, f"record {record.seq}")
            elif level.trigger_price is not None and not _meets(price, level):
                text = f"at {price}, waiting for {level.trigger_condition} {level.trigger_price}"
                yield Violation("RELEASED-EARLY", cid, text)


def _meets(price: Decimal, level: _Level) -> bool:
    assert level.trigger_price is not None
    is_rise = level.trigger_condition == "gte"
    return price >= level.trigger_price if is_rise else price <= level.trigger_price
