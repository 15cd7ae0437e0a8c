"""Orders that go to the gateway as one, and which of its rows each of them is (section 5). Pure.

An entry with at most one stop and 25 targets is one request. Its answer is the entry, the targets
in order, and the stop: each is bound by what it is and its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

import msgspec

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.errors import CODE
from fairlead.adapters.mudawyl.http import MAX_TARGETS
from fairlead.adapters.mudawyl.parse import STOPS, TARGETS, TRAILING
from fairlead.adapters.mudawyl.schemas import told
from fairlead.engine.orders.model import Intent, Kind, Refused, Side, Tif, TriggerCondition

TRAILING_BPS = Decimal(10), Decimal(500)  # callbackRate, 0.1 to 5 percent
_TYPES: dict[Kind, s.OrderType] = {
    Kind.LIMIT: "LIMIT",
    Kind.MARKET: "MARKET",
    Kind.TRAILING_STOP_MARKET: "TRAILING_STOP",
}
STOP_TYPES: dict[Kind, s.StopType] = {Kind.STOP_LIMIT: "LIMIT", Kind.STOP_MARKET: "MARKET"}
_SIDES: dict[Side, s.Side] = {Side.BUY: "BUY", Side.SELL: "SELL"}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One request's orders; `targets` in the order in which they were given."""

    entry: Intent
    targets: tuple[Intent, ...] = ()
    stop: Intent | None = None

    @property
    def intents(self) -> tuple[Intent, ...]:
        return (self.entry, *self.targets, *(() if self.stop is None else (self.stop,)))


def is_exit(intent: Intent) -> bool:
    return intent.reduce_only or intent.role.is_exit


def closes(intent: Intent) -> bool:
    """Whether it is a market exit: of the whole position the gateway's own call."""
    return is_exit(intent) and intent.kind is Kind.MARKET


def grouped(intents: Sequence[Intent]) -> list[Group | tuple[Intent, Refused]]:
    """Each entry with the exits that follow it, and market exits alone; another exit on its own is
    refused by name."""
    found: list[Group | tuple[Intent, Refused]] = []
    for intent in intents:
        last = found[-1] if found else None
        if not is_exit(intent):
            found.append(Group(entry=intent))
        elif isinstance(last, Group) and _goes_with(intent, last):
            found[-1] = _with(last, intent)
        elif closes(intent):
            found.append(Group(entry=intent))
        else:
            text = (
                "an exit goes with its entry, in one request; the gateway would close the position"
                " and then open another. A market exit closes it whole; not sent"
            )
            found.append((intent, Refused(f"{CODE}-LONE-EXIT", text)))
    return found


def _goes_with(intent: Intent, group: Group) -> bool:
    return not is_exit(group.entry) and group.entry.instrument == intent.instrument


def _with(group: Group, exit_: Intent) -> Group:
    if exit_.kind in STOP_TYPES and group.stop is None:
        return msgspec.structs.replace(group, stop=exit_)
    return msgspec.structs.replace(group, targets=(*group.targets, exit_))


def split(amount: Decimal, parts: int, precision: int) -> list[Decimal]:
    """How the gateway splits an amount among targets: equally; the last has what remains."""
    part = (amount / parts).quantize(Decimal(1).scaleb(-precision), ROUND_DOWN)
    return [part] * (parts - 1) + [amount - part * (parts - 1)]


def problem(group: Group, facts: VenueInstrument) -> str:
    """Why the gateway can't take it so; empty if it can."""
    entry, stop = group.entry, group.stop
    if entry.kind not in _TYPES or (entry.kind is Kind.LIMIT and entry.price is None):
        return f"an entry is LIMIT with a price, MARKET or TRAILING_STOP_MARKET; {entry.kind} came"
    if entry.kind is Kind.TRAILING_STOP_MARKET and (why := _trailing_problem(group)):
        return why
    for intent in group.intents:
        if intent.post_only or (intent.time_in_force is not Tif.GTC and intent is not entry):
            return "neither post-only nor a time in force can be chosen"
    if entry.time_in_force is not Tif.GTC and entry.kind is not Kind.MARKET:
        return f"a time in force can't be chosen; {entry.time_in_force} came"
    if len(group.targets) > MAX_TARGETS:
        return f"at most {MAX_TARGETS} targets; {len(group.targets)} came"
    if any(exit_.side is entry.side for exit_ in group.intents[1:]):
        return "an exit is on the other side than its entry"
    if any(target.kind is not Kind.LIMIT or target.price is None for target in group.targets):
        return "at most one stop (STOP_LIMIT, STOP_MARKET), and targets that are LIMIT with a price"
    if len({target.price for target in group.targets}) < len(group.targets):
        return "targets of one entry differ in price, or their orders could not be told apart"
    if group.targets:
        wanted = split(entry.quantity, len(group.targets), facts.size_precision)
        if [target.quantity for target in group.targets] != wanted:
            parts = ", ".join(f"{part:f}" for part in wanted)
            return f"the gateway splits the entry equally among its targets ({parts})"
    return _stop_problem(stop, entry) if stop is not None else ""


def _trailing_problem(group: Group) -> str:
    offset, least, most = group.entry.trailing_offset, *TRAILING_BPS
    if len(group.intents) > 1:
        return "a TRAILING_STOP_MARKET goes without exits"
    if group.entry.trigger_price is None:
        return "a TRAILING_STOP_MARKET has a price from which on it follows (activation_price)"
    if offset is None or not least <= offset <= most:
        return f"it follows by {least} to {most} basis points; {offset} came"
    return ""


def _stop_problem(stop: Intent, entry: Intent) -> str:
    natural = TriggerCondition.GTE if stop.side is Side.BUY else TriggerCondition.LTE
    if stop.trigger_price is None or (stop.price is None) is (stop.kind is Kind.STOP_LIMIT):
        return "a stop has a trigger price, and a STOP_LIMIT a price"
    if stop.trigger_condition not in (None, natural):
        return f"a {stop.side} stop fires at {natural} only"
    if stop.quantity != entry.quantity:
        return "the stop has the entry's quantity"
    return ""


def request(group: Group, facts: VenueInstrument) -> s.NewOrder:
    """The body, of a group without a problem."""
    entry, stop = group.entry, group.stop
    prices = [target.price for target in group.targets if target.price is not None]
    unset = msgspec.UNSET
    offset = entry.trailing_offset
    price = entry.price if offset is None else entry.trigger_price
    return s.NewOrder(
        symbol=facts.symbol,
        type=_TYPES[entry.kind],
        side=_SIDES[entry.side],
        amount=entry.quantity,
        price=unset if price is None else price,
        callback_rate=unset if offset is None else offset / 100,
        take_profit_prices=prices or unset,
        stop_trigger_price=unset if stop is None else stop.trigger_price or unset,
        stop_trigger_type=unset if stop is None else STOP_TYPES[stop.kind],
        stop_price=unset if stop is None else stop.price or unset,
    )


def bound(group: Group, rows: Sequence[s.Order]) -> dict[str, s.Order]:
    """The row of each intent, by client order id; one that has none was not made."""
    left = list(rows)
    found: dict[str, s.Order] = {}
    for intent in group.intents:
        row = next((row for row in left if is_of(row, intent)), None)
        if row is not None:
            left.remove(row)
            found[intent.client_order_id] = row
    return found


def is_of(row: s.Order, intent: Intent) -> bool:
    """Whether a row has the fields of what was asked for; amounts of exits are the gateway's."""
    if row.side != intent.side.value.lower():
        return False
    trigger, is_reducing = told(row.stop_price), told(row.reduce_only)
    if intent.kind is Kind.TRAILING_STOP_MARKET:  # of its price a row may tell none
        is_kind = row.type in (TRAILING, "market")
        return is_kind and not is_reducing and told(row.amount) == intent.quantity
    if not is_exit(intent):
        same = row.type == intent.kind.value.lower() and told(row.amount) == intent.quantity
        is_priced = intent.price is None or told(row.price) == intent.price
        return same and is_priced and trigger is None and not is_reducing
    if intent.kind is Kind.MARKET:
        amount = told(row.amount)
        is_within = amount is not None and amount <= intent.quantity
        return row.type == "market" and trigger is None and is_reducing is not False and is_within
    waiting, wanted = (
        (STOPS, intent.trigger_price) if intent.kind in STOP_TYPES else (TARGETS, intent.price)
    )
    fired = "market" if intent.kind is Kind.STOP_MARKET else "limit"
    is_kind = row.type in waiting or row.type == fired
    return is_kind and is_reducing is not False and trigger == wanted
