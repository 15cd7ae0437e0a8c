"""The bracket that an order belongs to: its entry, every exit it had, and what became of them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.engine.brackets.keeper import subject_of
from fairlead.engine.brackets.steps import Bracket
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.model import Intent

RECORDS_MAX = 1_000  # of the strategy's brackets, from its entry's on; each growth writes one


class Member(msgspec.Struct, frozen=True):
    """One order of a bracket; `state` is "never sent" for one that the gate refused."""

    role: str  # entry, exit 1, exit 2 ...
    client_order_id: str
    state: str
    kind: str = ""
    quantity: Decimal = Decimal(0)
    filled: Decimal = Decimal(0)
    price: Decimal | None = None
    trigger_price: Decimal | None = None

    def __str__(self) -> str:
        if not self.kind:
            return f"{self.role:7} {self.client_order_id} {self.state}"
        price = "" if self.price is None else f" @ {self.price}"
        trigger = "" if self.trigger_price is None else f" from {self.trigger_price}"
        return (
            f"{self.role:7} {self.client_order_id} {self.kind} {self.quantity}{trigger}{price}: "
            f"{self.state}, {self.filled} filled"
        )


class BracketStory(msgspec.Struct, frozen=True, kw_only=True):
    """Prices are in the quote currency, quantities in base units."""

    entry: str
    role: str  # of the order that was asked for
    stop: Decimal
    stop_limit: Decimal
    target: Decimal
    is_open: bool
    is_whole: bool  # False: RECORDS_MAX ended the search for its exits
    orders: list[Member]

    def __str__(self) -> str:
        now = "open" if self.is_open else "over"
        whole = "" if self.is_whole else f" (its first {RECORDS_MAX} records; there are more)"
        return (
            f"{self.role} of the bracket of {self.entry}: stop {self.stop}, limit "
            f"{self.stop_limit}; target {self.target}; {now}{whole}"
        )


def bracket_of(journal: Journal, order: JournaledOrder, intent_seq: int) -> BracketStory | None:
    """The bracket of an order whose intent is record `intent_seq`; None for a plain order.

    A bracket is recorded just before each of its orders is created, so the record before the
    intent names it, if any does. Raises JournalError.
    """
    cid, subject = order.intent.client_order_id, subject_of(order.intent.strategy)
    before = journal.note_before(subject, intent_seq, list[Bracket])
    found = None if before is None else _naming(before[1], cid)
    if before is None or found is None:
        return None
    first = journal.story(found.entry)  # an exit that came to nothing is not named for ever
    began = journal.note_before(subject, first[0][0], list[Bracket]) if first else before
    newest, exits, is_open = found, dict[str, None](), True
    records = journal.notes_from(subject, (began or before)[0], RECORDS_MAX, list[Bracket])
    for brackets in records:
        same = next((one for one in brackets if one.entry == found.entry), None)
        if same is None:
            is_open = False
            break
        newest = same
        exits |= dict.fromkeys(same.exits)
    exits |= dict.fromkeys(found.exits)
    names = {"entry": newest.entry} | {f"exit {n}": one for n, one in enumerate(exits, start=1)}
    return BracketStory(
        entry=newest.entry,
        role=next(role for role, name in names.items() if name == cid),
        stop=newest.stop,
        stop_limit=newest.stop_limit,
        target=newest.target,
        is_open=is_open,
        is_whole=not is_open or len(records) < RECORDS_MAX,
        orders=[_member(journal, role, name) for role, name in names.items()],
    )


def went_with_entry(journal: Journal, intent: Intent) -> bool:
    """Whether an order is an exit that its venue was given with its entry, in one call; also where
    the bracket itself is over. Raises JournalError.
    """
    seq = journal.intended_at(intent.client_order_id)
    subject = subject_of(intent.strategy)
    before = None if seq is None else journal.note_before(subject, seq, list[Bracket])
    found = None if before is None else _naming(before[1], intent.client_order_id)
    return found is not None and intent.client_order_id in found.sent


def _naming(brackets: list[Bracket], cid: str) -> Bracket | None:
    return next((one for one in brackets if cid == one.entry or cid in one.exits), None)


def _member(journal: Journal, role: str, name: str) -> Member:
    order = journal.order(name)
    if order is None:
        return Member(role, name, "never sent")
    intent = order.intent
    return Member(
        role,
        name,
        order.state.value,
        intent.kind.value,
        intent.quantity,
        order.filled,
        intent.price,
        intent.trigger_price,
    )
