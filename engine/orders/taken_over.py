"""What a kill took over from strategies to close, and did not close, is theirs again.

A flatten books positions to KILL before it closes them. What it then leaves is given back, by the
flatten itself or, where that died in between, by the next flatten or start: the records tell whose
it was. Each step is durable by itself, and the same again where it was cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import readable
from fairlead.engine.orders.live import KILL_STRATEGY

HANDED, SETTLED = "HAND-OVER", "SETTLED"  # kinds of records, of an instrument


class HandOver(msgspec.Struct, frozen=True):
    """One strategy's position, booked to another. Base units, at the price that it had cost."""

    giver: str = msgspec.field(name="from")
    taker: str = msgspec.field(name="to")
    quantity: Decimal
    price: Decimal


_handed = msgspec.json.Decoder(HandOver).decode


def give_back(journal: Journal, instrument: str, least: Decimal | None) -> dict[str, Decimal]:
    """Give back what KILL still holds in the instrument; by strategy what it got.

    Nothing while an order of KILL's may still close it. What is less than `least` stays KILL's,
    as nothing can be sent for it; all of it where that is None. Raises JournalError.
    """
    if any(
        one.intent.strategy == KILL_STRATEGY and one.intent.instrument == instrument
        for one in journal.open_orders()
    ):
        return {}
    taken = _taken(journal, instrument)
    if not taken:
        return {}
    left = sum(
        (
            one.quantity
            for one in journal.positions()
            if (one.strategy, one.instrument) == (KILL_STRATEGY, instrument)
        ),
        Decimal(0),
    )
    given: dict[str, Decimal] = {}
    if least is not None and abs(left) >= least:
        is_untouched = left == sum(one.quantity for one in taken.values())
        for giver, one in taken.items():
            part = one.quantity if is_untouched else _part(one.quantity, left)
            if not part:
                continue
            journal.hand_over(KILL_STRATEGY, giver, instrument, one.price, part)
            given[giver] = part
            left -= part
    journal.note(SETTLED, instrument, given)
    return given


def give_all_back(journal: Journal, least: Callable[[str], Decimal | None]) -> list[str]:
    """What a flatten that died had not closed, at a start: a line for each strategy that gets its
    own again. `least` by instrument; None: of one that nothing is known of. Raises JournalError."""
    told = []
    for position in journal.positions():
        if position.strategy != KILL_STRATEGY or not position.quantity:
            continue
        smallest = least(position.instrument)
        if smallest is None:
            continue
        for giver, part in give_back(journal, position.instrument, smallest).items():
            told.append(
                f"{position.instrument}: {part.normalize():f} that a kill took over from {giver} "
                f"and did not close is {giver}'s again"
            )
    return told


def _part(quantity: Decimal, left: Decimal) -> Decimal:
    """Of what is left, as much as was taken here; what went the other way was netted out."""
    if (quantity > 0) != (left > 0):
        return Decimal(0)
    return min(quantity, left, key=abs)


def _taken(journal: Journal, instrument: str) -> dict[str, HandOver]:
    """By strategy what KILL took since it was last settled, less what it gave back; newest last."""
    taken: dict[str, HandOver] = {}
    with readable():
        for _, _, kind, body in journal.story(instrument):
            if kind == SETTLED:
                taken.clear()
            if kind != HANDED:
                continue
            one = _handed(body)
            sign = 1 if one.taker == KILL_STRATEGY else -1
            who = one.giver if sign > 0 else one.taker
            before = taken.pop(who, None)
            quantity = sign * one.quantity + (before.quantity if before else 0)
            taken[who] = msgspec.structs.replace(one, quantity=quantity)
    return {who: one for who, one in taken.items() if one.quantity}
