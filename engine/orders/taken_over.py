"""What a kill took over from strategies to close, and did not close, is theirs again.

A flatten books positions to KILL before it closes them. What it then leaves is given back, by the
flatten itself or, where that died in between, by the next flatten or start: the records tell whose
it was. Each step is durable by itself, and the same again where it was cut off. What it closed was
a strategy's, too: `shares` tells whose each of its executions is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalReads, readable
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Side, VenueFill

HANDED, SETTLED = "HAND-OVER", "SETTLED"  # kinds of records, of an instrument
FEE_DECIMALS = 18  # of a part of a fee; the last part is what is left of it


class HandOver(msgspec.Struct, frozen=True):
    """One strategy's position, booked to another. Base units, at the price that it had cost."""

    giver: str = msgspec.field(name="from")
    taker: str = msgspec.field(name="to")
    quantity: Decimal
    price: Decimal


class Handed(msgspec.Struct, frozen=True):
    """A hand-over in one instrument, `at` so many executions of those that are looked at."""

    at: int
    ts: int  # UNIX ns
    instrument: str
    over: HandOver


class Share(msgspec.Struct, frozen=True):
    """A strategy's part of an execution: base units, and of its fee."""

    strategy: str
    quantity: Decimal
    fee: Decimal


_handed = msgspec.json.Decoder(HandOver).decode


def give_back(journal: Journal, instrument: str, least: Decimal | None) -> dict[str, Decimal]:
    """Give back what KILL still holds in the instrument; by strategy what it got.

    Nothing while an order of KILL's may still close it. What is less than `least` stays KILL's,
    as nothing can be sent for it; all of it where that is None. Raises JournalError.
    """
    if any(one.intent.instrument == instrument for one in journal.open_orders(KILL_STRATEGY)):
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
    settle_nothing(journal)
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


def settle_nothing(journal: Journal) -> None:
    """Where KILL holds nothing, and a flatten died before it said so: what it closed is nobody's to
    get back; what only netted to nothing is each one's again. Raises JournalError."""
    for position in journal.positions():
        if position.strategy == KILL_STRATEGY and not position.quantity:
            give_back(journal, position.instrument, Decimal(0))


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


def handed_since(journal: JournalReads, seq: int) -> list[Handed]:
    """What was handed over after the record `seq`. Raises JournalError."""
    with readable():
        return [
            Handed(at, ts, instrument, _handed(body))
            for at, ts, instrument, body in journal.among_fills_since(seq, HANDED)
        ]


class _Taken(msgspec.Struct):
    """What KILL took over at once, as far as nothing has closed it; signed."""

    handed: Handed
    left: Decimal


def shares(
    fills: Sequence[tuple[str, VenueFill]],
    handed: Sequence[Handed],
    base_of: Callable[[str], str | None],
) -> tuple[list[tuple[Share, ...]], list[Handed]]:
    """Whose each execution is, and what was handed over for good; `fills` with whose order it was.

    What KILL executed closes what it took over, the oldest first, and is of those who had it. What
    nothing has closed, or what was netted with another's, stays handed over, at its price.
    """
    found: list[tuple[Share, ...]] = []
    taken: list[_Taken] = []
    kept: list[Handed] = []
    todo = list(handed)
    for at, (owner, fill) in enumerate(fills):
        while todo and todo[0].at <= at:
            _hand(todo.pop(0), taken, kept)
        if owner == KILL_STRATEGY:
            found.append(
                _shared(fill, taken, is_base=fill.fee_currency == base_of(fill.instrument))
            )
        else:
            found.append((Share(owner, fill.quantity, fill.fee),))
    for one in todo:
        _hand(one, taken, kept)
    kept += [_of(one.handed, one.left) for one in taken if one.left]
    return found, sorted(kept, key=lambda one: one.at)


def _of(handed: Handed, quantity: Decimal) -> Handed:
    over = msgspec.structs.replace(handed.over, quantity=quantity)
    return msgspec.structs.replace(handed, over=over)


def _hand(one: Handed, taken: list[_Taken], kept: list[Handed]) -> None:
    """KILL takes it over, or gives it back."""
    over, left = one.over, one.over.quantity
    if over.taker == KILL_STRATEGY:
        taken.append(_Taken(one, left))
        return
    for other in reversed(taken) if over.giver == KILL_STRATEGY else ():
        if (other.handed.instrument, other.handed.over.giver) == (one.instrument, over.taker):
            part = _part(other.left, left) if other.left else Decimal(0)
            other.left -= part
            left -= part
    if left:
        kept.append(_of(one, left))


def _shared(fill: VenueFill, taken: list[_Taken], *, is_base: bool) -> tuple[Share, ...]:
    """KILL's execution, by those whose positions it closes; `is_base`: its fee is in base units,
    and so much less is bought."""
    sign = 1 if fill.side is Side.BUY else -1
    found, left, fee = [], fill.quantity, fill.fee
    for one in taken:
        if not left or one.handed.instrument != fill.instrument or one.left * sign >= 0:
            continue
        part = min(left, abs(one.left))
        paid = fee if part == left else round(fill.fee * part / fill.quantity, FEE_DECIMALS)
        left, fee = left - part, fee - paid
        one.left += sign * part - (paid if is_base else Decimal(0))
        found.append(Share(one.handed.over.giver, part, paid))
    if left:
        found.append(Share(KILL_STRATEGY, left, fee))
    return tuple(found)
