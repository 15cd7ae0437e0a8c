"""Which of a journal's executions the limits have counted, and which they have missed.

An execution is in the journal before its strategy hears of it, and while no run is up the next
start is the first to book it. So the state's file says of each result what of the journal is in it:
whenever a run dies, nothing is counted twice, and nothing is missed.
"""

from __future__ import annotations

import zlib
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal_reads import JournalError, JournalReads
from fairlead.engine.orders.model import VenueFill
from fairlead.engine.risk.state import Counted
from fairlead.engine.risk.states import AccountState

MORE_MAX = 64  # orders told one by one, before it is looked whether the journal's seq tells it all
_ZERO = Decimal(0)

Missed = list[tuple[str, VenueFill]]  # executions, or what of them was not counted; whose each is


def heard(account: AccountState, client_order_id: str, quantity: Decimal) -> None:
    """So many base units of an order are counted now."""
    counted = account.state.counted
    if counted is not None and client_order_id:
        more = counted.more
        more[client_order_id] = more.get(client_order_id, _ZERO) + quantity


def take_missed(account: AccountState, journal: JournalReads) -> Missed:
    """What was not counted, oldest first; it is from now on. Nothing where the state does not tell,
    or tells of another journal. Raises JournalError.
    """
    missed, counted = _look(account.state.counted, journal)
    account.state.counted = counted
    account.taken_over(journal)
    return missed


def shorten(account: AccountState) -> None:
    """Now and then: where nothing is missed, the journal's newest record tells what is counted."""
    counted, journal = account.state.counted, account.journal
    if counted is None or journal is None or len(counted.more) < account.more_max:
        return
    try:
        with journal.one_moment():
            missed, shorter = _look(counted, journal)
    except JournalError:
        return  # whoever keeps it says what is wrong with it
    if not missed:
        counted = account.state.counted = shorter
    account.more_max = max(MORE_MAX, 2 * len(counted.more))


def _look(counted: Counted | None, journal: JournalReads) -> tuple[Missed, Counted]:
    """What is missed, and what is counted once that is."""
    newest = journal.newest_record()
    found = Counted() if newest is None else Counted(seq=newest[0], crc=zlib.crc32(newest[1]))
    if counted is None or not _is_of(counted, journal):
        return [], found
    missed: Missed = []
    more = dict(counted.more)
    for name, fill in journal.booked_since(counted.seq)[1]:
        order = journal.order(name)
        assert order is not None, "an execution is booked with its order"
        known = min(more.get(name, _ZERO), fill.quantity)
        if known:
            more[name] -= known
        if known < fill.quantity:
            missed.append((order.intent.strategy, _rest(fill, known)))
    # What strategies hear before it is booked; no journal will tell of an order that is not its own
    found.more = {name: q for name, q in more.items() if q and journal.order(name) is not None}
    return missed, found


def _is_of(counted: Counted, journal: JournalReads) -> bool:
    record = journal.record_at(counted.seq) if counted.seq else None
    return zlib.crc32(record[1]) == counted.crc if record is not None else not counted.seq


def _rest(fill: VenueFill, known: Decimal) -> VenueFill:
    if not known:
        return fill
    rest = fill.quantity - known
    return msgspec.structs.replace(fill, quantity=rest, fee=fill.fee * rest / fill.quantity)
