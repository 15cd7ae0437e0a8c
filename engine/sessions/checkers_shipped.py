"""What is promised of a strategy's own orders: its exits, and what it may hold.

Judged twice: by the journal, where orders of unknown outcome count as live; and by the venue's
ledger, which knows what was really there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from fairlead.adapters.simulation.orders import FillEntry, OrderEntry
from fairlead.engine.orders.model import Intent, Role, Side, VenueFill
from fairlead.engine.sessions.evidence import Evidence
from fairlead.engine.sessions.verdict import TERMINAL, Violation

ZERO = Decimal(0)
DUST_STEPS = 2  # size steps: what a rounded position may be off, over restarts
# Each exit is in whole steps, and may leave up to a step of what fees in base took.
EXITS = frozenset({Role.EXIT, Role.STOP, Role.TARGET})

_intent = msgspec.json.Decoder(Intent).decode
_fill = msgspec.json.Decoder(VenueFill).decode


class _Held:
    """A position as it was traded, and as it is after fees in base currency."""

    __slots__ = ("gross", "net")

    def __init__(self) -> None:
        self.gross = self.net = ZERO

    def add(self, side: Side, quantity: Decimal, base_fee: Decimal) -> None:
        signed = quantity if side is Side.BUY else -quantity
        self.gross += signed
        self.net += signed - base_fee


class _Live:
    """An order that is not over."""

    __slots__ = ("intent", "rest")

    def __init__(self, intent: Intent, rest: Decimal) -> None:
        self.intent = intent
        self.rest = rest


def _too_much(
    live: list[_Live], side: Side, held: _Held, inventory: Decimal, slack: Decimal
) -> tuple[Decimal, Decimal] | None:
    """What live exits of a side ask for and may ask for, where that is more by over `slack`."""
    asked = sum((one.rest for one in live if one.intent.side is side), ZERO)
    allowed = held.gross + inventory if side is Side.SELL else -min(held.gross, held.net)
    allowed = max(allowed, ZERO)
    return (asked, allowed) if asked > allowed + slack else None


def exits_within_position(ev: Evidence) -> Iterator[Violation]:
    """When an exit is journaled, all live and unknown ones ask for no more than is held."""
    position: dict[str, _Held] = defaultdict(_Held)
    live: dict[str, _Live] = {}
    dust = DUST_STEPS * ev.size_step
    for record in ev.records:
        cid = record.client_order_id
        if record.kind == "INTENT":
            intent = _intent(record.body)
            if intent.strategy not in ev.shipped:
                continue
            live[cid] = _Live(intent, intent.quantity)
            if intent.role not in EXITS:
                continue
            mine = [o for o in live.values() if _is_exit_of(o.intent, intent.strategy)]
            inventory = ev.shipped[intent.strategy].inventory
            held = position[intent.strategy]
            found = _too_much(mine, intent.side, held, inventory, dust)
            if found is not None:
                text = f"{intent.strategy}: {len(mine)} exits ask for {found[0]}, may {found[1]}"
                yield Violation("EXITS-BEYOND", cid, text)
        elif record.kind == "FILL":
            owner = ev.orders[cid].intent.strategy
            fill = _fill(record.body)
            fee = fill.fee if fill.fee_currency == ev.base else ZERO
            position[owner].add(fill.side, fill.quantity, fee)
            if cid in live:
                live[cid].rest -= fill.quantity
        elif record.kind in TERMINAL:
            live.pop(cid, None)


def _base_fee(ev: Evidence, entry: FillEntry) -> Decimal:
    return entry.fee if entry.fee_currency == ev.base else ZERO


def _is_exit_of(intent: Intent, strategy: str) -> bool:
    return intent.strategy == strategy and intent.role in EXITS


def exits_at_venue(ev: Evidence, late: dict[int, Decimal]) -> Iterator[Violation]:
    """The same by the ledger, when an exit comes to stand there; late orders come on top."""
    own = ev.own_orders()
    intents = {n: ev.orders[cid].intent for n, cid in ev.owners.items() if cid in ev.orders}
    position: dict[str, _Held] = defaultdict(_Held)
    excused: dict[str, Decimal] = defaultdict(Decimal)
    live: dict[int, _Live] = {}
    for entry in ev.entries:
        if isinstance(entry, FillEntry):
            owner = intents.get(entry.order_id)
            if entry.order_id in own and owner is not None:
                position[owner.strategy].add(entry.side, entry.quantity, _base_fee(ev, entry))
            continue
        if not isinstance(entry, OrderEntry) or entry.order.id not in own:
            continue
        order, intent = entry.order, intents.get(entry.order.id)
        if intent is None or intent.strategy not in ev.shipped:
            continue
        name = intent.strategy
        if entry.event == "accepted":
            excused[name] += late.get(order.id, ZERO)
        if order.status.is_terminal:
            live.pop(order.id, None)
        elif intent.role in EXITS:
            live[order.id] = _Live(intent, order.remaining)
        if entry.event != "accepted" or intent.role not in EXITS:
            continue
        mine = [one for one in live.values() if one.intent.strategy == name]
        inventory = ev.shipped[name].inventory
        slack = excused[name] + DUST_STEPS * ev.size_step
        found = _too_much(mine, intent.side, position[name], inventory, slack)
        if found is not None:
            text = f"{name}: {len(mine)} exits ask for {found[0]} at the venue, may {found[1]}"
            yield Violation("EXITS-BEYOND", ev.owners[order.id], text)


def positions_allowed(ev: Evidence, late: dict[int, Decimal]) -> Iterator[Violation]:
    """By the ledger, no strategy holds more, or is shorter, than its parameters say."""
    intents = {n: ev.orders[cid].intent for n, cid in ev.owners.items() if cid in ev.orders}
    position: dict[str, _Held] = defaultdict(_Held)
    excused: dict[str, Decimal] = defaultdict(Decimal)
    fills: Counter[str] = Counter()
    told: set[str] = set()
    for entry in ev.entries:
        if not isinstance(entry, FillEntry) or entry.account != ev.account:
            continue
        intent = intents.get(entry.order_id)
        if intent is None or intent.strategy not in ev.shipped:
            continue
        name = intent.strategy
        allowed = ev.shipped[name]
        position[name].add(entry.side, entry.quantity, _base_fee(ev, entry))
        if entry.order_id in late:
            excused[name] += entry.quantity
        fills[name] += 1
        # What is less than the venue's smallest order can't be sold: it stays beside the next.
        least = max(ev.min_quantity, ev.min_notional / entry.price)
        slack = excused[name] + least + (DUST_STEPS + fills[name]) * ev.size_step
        now = position[name].net
        if name not in told and not allowed.lowest - slack <= now <= allowed.highest + slack:
            told.add(name)
            text = f"holds {now}, may hold {allowed.lowest} to {allowed.highest}"
            yield Violation("POSITION-BEYOND", name, text)
