"""The verdict on one session, from the journal file, the wire log and the venue's own ledger.

Nothing here is shared with the code that is judged, except the words of
`fairlead.engine.orders.model`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import inf

import msgspec

from fairlead.adapters.simulation.orders import FillEntry, OrderEntry, SimOrder, Status
from fairlead.adapters.simulation.virtual_time import START_NS
from fairlead.engine.orders.model import Kind, OrderState, Side, own_id
from fairlead.engine.sessions.budget import over_budget
from fairlead.engine.sessions.checkers_held import HELD_STATES, held_fired_by_their_price
from fairlead.engine.sessions.checkers_shipped import (
    EXITS,
    exits_at_venue,
    exits_within_position,
    positions_allowed,
)
from fairlead.engine.sessions.evidence import Evidence
from fairlead.engine.sessions.undecided import number_of, undecided
from fairlead.engine.sessions.verdict import TERMINAL, Violation

ZERO = Decimal(0)
VALUE_TOLERANCE = Decimal("1e-6")  # of a fill's value, where the venue tells averages only
# The gate values a market order at the touch; an adapter may send it with a price beyond that.
MARKET_SLIPPAGE = Decimal("0.01")
LATE_FINDING = "ORDER-LATE"
# The states that may follow each; an order's records are read in the order of the journal.
EDGES: dict[str, set[str]] = {
    "INTENDED": {"UNKNOWN", "OPEN", "WAITING", "CANCELLING", "HELD", *TERMINAL},
    "UNKNOWN": {"OPEN", "WAITING", "CANCELLING", "HELD", *TERMINAL},
    "HELD": {"INTENDED", "CANCELED", "REFUSED"},
    "WAITING": {"OPEN", "CANCELLING", *TERMINAL},
    "OPEN": {"CANCELLING", "HELD", *TERMINAL},
    "CANCELLING": {"FILLED", "CANCELED", "EXPIRED", "REFUSED"},
}
STATES = {state.value for state in OrderState}


def check(evidence: Evidence) -> list[Violation]:
    """Every promise that did not hold; none is as it must be."""
    found: list[Violation] = []
    for checker in (
        _all_known,
        _sent_once,
        _refused_are_absent,
        _fills_equal,
        _positions_equal,
        _balances_equal,
        _states_legal,
        _nothing_after_halt,
        _limits_held,
        _overfills_told,
        _budget_held,
        _stops_triggered_once,
        held_fired_by_their_price,
        _events_agree,
        _findings_true,
        _brackets_held,
        exits_within_position,
    ):
        found += checker(evidence)
    if evidence.shipped:
        late = _late(evidence)
        found += exits_at_venue(evidence, late)
        found += positions_allowed(evidence, late)
    return found


def _all_known(ev: Evidence) -> Iterator[Violation]:
    """No order at the venue that the journal does not know as intended, and none known twice."""
    per_id: Counter[str] = Counter()
    releases = ev.releases
    replaced = {r.client_order_id for r in ev.records if r.kind in ("REPLACE", "REPLACED")}
    for number, order in ev.own_orders().items():
        cid = ev.owners.get(number)
        if cid is None:
            is_told = ev.is_beyond and number in ev.late_told  # beside what it was released as
            if is_told or _is_hidden_order(ev, order) or _is_spent(ev, order):
                continue
            yield Violation("ORPHAN", str(number), f"the journal does not know it: {_words(order)}")
            continue
        per_id[cid] += 1
        if per_id[cid] > max(1, releases[cid]) and cid not in replaced:
            yield Violation("DOUBLED", cid, "two orders at the venue for one intent")
    known = ev.own_orders().keys() | ev.externals
    for number, cid in ev.owners.items():
        if number not in known:
            yield Violation("INVENTED", cid, f"the venue never had order {number}")
    for number, cid in ev.owners.items():
        if number in ev.externals:
            yield Violation("STOLEN", cid, f"order {number} is another client's")


def _is_hidden_order(ev: Evidence, order: SimOrder) -> bool:
    """Whether it can be an order that the venue gives no way to look for, still UNKNOWN here."""
    return any(
        intent.side is order.side
        and intent.quantity == order.quantity
        and intent.price == order.price
        for intent in (ev.orders[cid].intent for cid in ev.hidden)
    )


def _is_spent(ev: Evidence, order: SimOrder) -> bool:
    """Whether it is a release that was given up, came after all documented lag, and ended as it
    came: it did nothing, and where no push tells of it the venue shows it in no list of open ones.
    """
    if not ev.is_beyond or order.executed or not order.status.is_terminal:
        return False
    return any(
        ev.releases[cid] > 1
        and one.intent.side is order.side
        and one.intent.quantity == order.quantity
        and one.intent.price == order.price
        for cid, one in ev.orders.items()
    )


def _sent_once(ev: Evidence) -> Iterator[Violation]:
    """No intent goes to the adapter twice, and no create is repeated by the adapter."""
    times: Counter[str] = Counter()
    for call in ev.wire.calls:
        if call.what == "submit":
            times.update(call.ids)
    releases = ev.releases
    for cid, count in times.items():
        if count > max(1, releases[cid]):
            yield Violation("SENT-TWICE", cid, f"{count} submits of one intent")
        if cid not in ev.orders:
            yield Violation("NOT-JOURNALED", cid, "sent without an intent in the journal")
    ids = {call.number: call.ids for call in ev.wire.calls}
    bodies: Counter[tuple[int, str, bytes]] = Counter()
    creates: Counter[int] = Counter()
    for sent in ev.wire.sent:
        if sent.what == "submit" and sent.method != "GET":
            bodies[sent.call, sent.path, sent.body] += 1
            creates[sent.call] += 1
    for (call_number, path, _), count in bodies.items():
        if count > 1 and len(ids[call_number]) == 1:
            yield Violation("REPEATED", ",".join(ids[call_number]), f"{count} times {path}")
    for call_number, count in creates.items():
        if count > len(ids[call_number]):
            yield Violation("REPEATED", ",".join(ids[call_number])[:99], f"{count} creates")


def _refused_are_absent(ev: Evidence) -> Iterator[Violation]:
    """What was refused does not exist at the venue, unless a finding says that it came late."""
    refused = {cid: o for cid, o in ev.orders.items() if o.state == "REFUSED"}
    for number, order in ev.own_orders().items():
        cid = ev.owners.get(number) or (order.client_order_id or "").partition("_")[0]
        if cid not in refused:
            continue
        if order.executed or order.status is not Status.CANCELED:
            yield Violation("REFUSED-EXISTS", cid, f"the venue has it: {_words(order)}")
    for cid, journaled in refused.items():
        if journaled.filled:
            yield Violation("REFUSED-FILLED", cid, f"refused, yet {journaled.filled} filled")


def _true_fills(ev: Evidence) -> list[FillEntry]:
    return [
        e
        for e in ev.entries
        if isinstance(e, FillEntry) and e.account == ev.account and e.order_id not in ev.externals
    ]


def _fills_equal(ev: Evidence) -> Iterator[Violation]:
    """Quantity and value of every order's executions."""
    booked: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for cid, fill in zip(ev.owner_of_fill, ev.fills, strict=True):
        booked[cid][0] += fill.quantity
        booked[cid][1] += fill.quantity * fill.price
    true: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for entry in _true_fills(ev):
        owner = ev.owners.get(entry.order_id)
        if owner is None:
            continue  # an orphan, reported as such
        true[owner][0] += entry.quantity
        true[owner][1] += entry.quantity * entry.price
    for cid in sorted(booked.keys() | true.keys()):
        if booked[cid][0] != true[cid][0]:
            yield Violation("FILLS", cid, f"booked {booked[cid][0]}, true {true[cid][0]}")
        elif abs(booked[cid][1] - true[cid][1]) > VALUE_TOLERANCE * true[cid][1]:
            yield Violation("FILL-VALUE", cid, f"booked {booked[cid][1]}, true {true[cid][1]}")
    for cid, order in ev.orders.items():
        if order.filled != booked[cid][0]:
            yield Violation("FILLS-SUM", cid, f"order {order.filled}, fills {booked[cid][0]}")


def _positions_equal(ev: Evidence) -> Iterator[Violation]:
    """What the journal holds is what the ledger says was bought and sold, fees in base deducted."""
    true = ZERO
    for entry in _true_fills(ev):
        if entry.order_id in ev.owners:
            true += entry.quantity if entry.side is Side.BUY else -entry.quantity
            true -= entry.fee if entry.fee_currency == ev.base else ZERO
    booked = ev.positions.get(ev.instrument, ZERO)
    if booked != true:
        yield Violation("POSITION", ev.instrument, f"journal {booked}, ledger {true}")


def _balances_equal(ev: Evidence) -> Iterator[Violation]:
    """What the strategy was last told of its account is what it has."""
    if ev.balances is None:
        return
    for currency, true in ev.true_balances.items():
        told = ev.balances.get(currency, (ZERO, ZERO))
        if told != true:
            yield Violation("BALANCE", currency, f"told {told}, true {true}")


def _states_legal(ev: Evidence) -> Iterator[Violation]:
    """States move along the edges only; a terminal order has no further story."""
    state: dict[str, str] = {}
    releases = ev.releases
    for record in ev.records:
        cid, kind = record.client_order_id, record.kind
        if kind == "INTENT":
            state[cid] = "INTENDED"
            continue
        before = state.get(cid)
        if before is None:
            continue
        if kind == "FILL" and before in TERMINAL:
            yield Violation("FILL-AFTER-END", cid, f"record {record.seq} after {before}")
        after = HELD_STATES.get(kind, kind)
        if kind == "ACCEPTED" and before in ("INTENDED", "UNKNOWN"):
            waits = ev.orders[cid].intent.trigger_price and cid not in releases
            after = "WAITING" if waits else "OPEN"
        if kind == "REPLACED" and before not in TERMINAL:
            state[cid] = "WAITING" if ev.orders[cid].intent.trigger_price else "OPEN"
            continue
        if kind == "LATE" and before in ("REFUSED", "HELD") and ev.is_beyond:
            state[cid] = "WAITING" if ev.orders[cid].intent.trigger_price else "OPEN"
            continue
        if kind == "LATE" or (kind == "RELEASE_LATE" and not ev.is_beyond):
            yield Violation("LATE", cid, "given up, though the venue keeps to its documented lag")
        if after not in STATES or after == before:
            if after in TERMINAL and after == before:
                yield Violation("ENDED-TWICE", cid, f"{after} again in record {record.seq}")
            continue
        if before in TERMINAL or after not in EDGES.get(before, set()):
            yield Violation("STATE", cid, f"{before} -> {after} in record {record.seq}")
        state[cid] = after


def _nothing_after_halt(ev: Evidence) -> Iterator[Violation]:
    """No order goes to the adapter after a halt or the kill switch, in any later life.

    But an exit that the engine held, after a halt: as a stop that rests at a venue would.
    """
    if not ev.halts:
        return
    first, killed = min(ev.halts), min(ev.kills, default=inf)
    for call in ev.wire.calls:
        if call.what in ("submit", "replace") and call.ts > first:
            if call.ts <= killed and all(_is_held_exit(ev, one) for one in call.ids):
                continue
            yield Violation("AFTER-HALT", ",".join(call.ids)[:99], f"{call.what} at {call.ts:.3f}")


def _is_held_exit(ev: Evidence, client_order_id: str) -> bool:
    """Whether it was an exit that the engine held; it is sent under the id of its release."""
    order = ev.orders.get(own_id(client_order_id))
    if order is None or order.client_order_id not in ev.releases:
        return False
    return order.intent.reduce_only or order.intent.role in EXITS


def _limits_held(ev: Evidence) -> Iterator[Violation]:
    """Orders at the venue, their size, and the position, never beyond the gate's limits.

    An order that came after all documented lag no longer counts at the gate, and a replacement can
    be overtaken by a fill: limits then hold but for these quantities, each told by a finding.
    """
    late = _late(ev)
    live: set[int] = set()
    position, most_open = ZERO, 0
    # Fees in base: the gate counts what was traded, the account holds a bit less.
    slack = ZERO
    excused = _overtaken(ev) | late
    reach: dict[Side, dict[int, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
    own = ev.own_orders()
    worst = ""
    for entry in ev.entries:
        if isinstance(entry, FillEntry) and entry.order_id in own:
            position += entry.quantity if entry.side is Side.BUY else -entry.quantity
            slack += entry.fee if entry.fee_currency == ev.base else ZERO
        if not isinstance(entry, OrderEntry) or entry.order.id not in own:
            continue
        order = entry.order
        if entry.event == "accepted" and order.price is not None:
            notional = order.price * order.quantity
            slippage = MARKET_SLIPPAGE if _is_market(ev, order) else ZERO
            if notional > ev.max_order_notional * (1 + slippage):
                yield Violation("LIMIT-NOTIONAL", str(order.id), _words(order))
        if entry.event == "accepted":
            slack += excused.get(order.id, ZERO)
            slack += _beside(ev, order, position, reach[order.side], ev.max_position + slack)
        sides = reach[order.side]
        if order.status.is_terminal:
            live.discard(order.id)
            sides.pop(order.id, None)
        else:
            live |= _counted(ev, order)
            sides[order.id] = order.remaining
        if len(live) > max(most_open, ev.max_open_orders + len(late)):
            most_open = len(live)
        high = position + sum(reach[Side.BUY].values())
        low = position - sum(reach[Side.SELL].values())
        if not worst and max(high, -low) > ev.max_position + slack:
            worst = f"position {position}, open orders reach {low} to {high}"
    if most_open:
        yield Violation("LIMIT-OPEN", "", f"{most_open} open, limit {ev.max_open_orders}")
    if worst:
        yield Violation("LIMIT-POSITION", "", f"{worst}, limit {ev.max_position}")


def _counted(ev: Evidence, order: SimOrder) -> set[int]:
    """What an open order is among those that the limit is of: itself, or nothing."""
    return set() if _is_way_out(ev, order) else {order.id}


def _is_way_out(ev: Evidence, order: SimOrder) -> bool:
    """The gate looks at such a one alone: orders that rest never keep a position from being closed
    at the market."""
    return _is_market(ev, order) and ev.orders[ev.owners[order.id]].intent.reduce_only


def _beside(
    ev: Evidence,
    order: SimOrder,
    position: Decimal,
    resting: Mapping[int, Decimal],
    limit: Decimal,
) -> Decimal:
    """How far a way out, within the limit alone, is beyond it beside what rests on its side."""
    if not _is_way_out(ev, order):
        return ZERO
    signed = position if order.side is Side.BUY else -position
    alone = signed + order.quantity
    return max(alone + sum(resting.values(), ZERO) - limit, ZERO) if alone <= limit else ZERO


def _late(ev: Evidence) -> dict[int, Decimal]:
    """Quantities of orders that came after they were given up, by the ledger's number."""
    late = {r.client_order_id for r in ev.records if r.kind == "LATE"}
    doubtful = undecided(ev.records, ev.owners) | ev.late_releases
    return {
        number: order.quantity
        for number, order in ev.own_orders().items()
        if ev.owners.get(number) in late or number in doubtful
    }


def _overtaken(ev: Evidence) -> dict[int, Decimal]:
    """What was executed of the order replaced, by its successor: after the replacement was asked.

    No adapter can count that in where the venue replaces in two steps.
    """
    asked: dict[str, list[int]] = defaultdict(list)
    for call in ev.wire.calls:
        if call.what == "replace":
            asked[call.ids[0]].append(START_NS + int(call.ts * 1e9))
    fills: dict[str, list[FillEntry]] = defaultdict(list)
    for fill in _true_fills(ev) if asked else ():
        fills[ev.owners.get(fill.order_id, "")].append(fill)
    found: dict[int, Decimal] = {}
    for number, order in ev.own_orders().items() if asked else ():
        cid = ev.owners.get(number, "")
        since = max((ts for ts in asked.get(cid, ()) if ts <= order.ts_created), default=None)
        if since is not None:
            between = [f for f in fills[cid] if since <= f.ts_event <= order.ts_created]
            found[number] = sum((fill.quantity for fill in between), ZERO)
    return found


def _overfills(ev: Evidence) -> dict[str, Decimal]:
    """By how much orders were filled beyond their last quantity."""
    return {
        cid: order.filled - order.intent.quantity
        for cid, order in ev.orders.items()
        if order.filled > order.intent.quantity
    }


def _overfills_told(ev: Evidence) -> Iterator[Violation]:
    """More than was ordered is filled only where the venue replaces in two steps, and is told."""
    told = {finding["subject"] for finding in ev.findings("OVERFILL")}
    replaced = {r.client_order_id for r in ev.records if r.kind == "REPLACE"}
    for cid, quantity in _overfills(ev).items():
        if cid not in told or cid not in replaced:
            yield Violation("OVERFILL", cid, f"{quantity} too much, told: {cid in told}")
    for cid in told - replaced:
        yield Violation("OVERFILL", cid, "though it was never replaced")


def _brackets_held(ev: Evidence) -> Iterator[Violation]:
    """The exits of a bracket take no more than its entry has brought."""
    if ev.is_beyond:
        return  # an exit that was given up as absent may come, and fill, after all
    exits: dict[str, set[str]] = defaultdict(set)
    for record in ev.records:
        if record.kind == "BRACKETS":
            for bracket in msgspec.json.decode(record.body):
                exits[bracket["entry"]].update(bracket["exits"])
    for entry, names in exits.items():
        came = ev.orders[entry].filled if entry in ev.orders else ZERO
        took = sum((ev.orders[name].filled for name in names if name in ev.orders), ZERO)
        if took > came:
            yield Violation("BRACKET-OVERSOLD", entry, f"{came} came, exits took {took}")


def _budget_held(ev: Evidence) -> Iterator[Violation]:
    """The venue itself never had to say that there were too many requests."""
    over = over_budget(ev.wire.sent)
    if over:
        first = over[0]
        yield Violation("BUDGET", first.path, f"{len(over)} refused, first at {first.ts:.3f}")


def _stops_triggered_once(ev: Evidence) -> Iterator[Violation]:
    """A stop fires once, and a strategy hears it once per life and only if it did."""
    fired: Counter[int] = Counter()
    for entry in ev.entries:
        if isinstance(entry, OrderEntry) and entry.event == "triggered":
            fired[entry.order.id] += 1
    # A stop whose condition was true when it was sent can go out as a plain order.
    plain = {
        ev.owners.get(n) for n, order in ev.own_orders().items() if order.trigger_price is None
    }
    triggered = {ev.owners.get(number) for number in fired} | plain | ev.releases.keys()
    for number, count in fired.items():
        if count > 1:
            yield Violation("TRIGGERED-TWICE", str(number), f"{count} times")
    for events in ev.events:
        heard = Counter(cid for name, cid in events if name == "triggered")
        for cid, count in heard.items():
            if count > 1:
                yield Violation("TRIGGER-TOLD-TWICE", cid, f"{count} times in one life")
            if cid not in triggered:
                yield Violation("TRIGGER-INVENTED", cid, "it never fired at the venue")


def _events_agree(ev: Evidence) -> Iterator[Violation]:
    """In one life a strategy hears at most one end of an order, and nothing of it after.

    An order that was given up and came late is the exception: its executions are told.
    """
    revived = {r.client_order_id for r in ev.records if r.kind == "LATE"}
    for life, events in enumerate(ev.events):
        ended: dict[str, str] = {}
        for name, cid in events:
            if (
                cid in ended
                and cid not in revived
                and name in ("accepted", "filled", "canceled", "expired", "refused")
            ):
                duplicate = name == "refused" and cid in ev.orders
                if not duplicate:
                    text = f"{name} after {ended[cid]} in life {life}"
                    yield Violation("EVENT-AFTER-END", cid, text)
            if name in ("canceled", "expired", "refused"):
                ended.setdefault(cid, name)


def _findings_true(ev: Evidence) -> Iterator[Violation]:
    """A finding tells of something that was there."""
    revived = {r.client_order_id for r in ev.records if r.kind == "LATE"}
    for finding in ev.findings(LATE_FINDING):
        cid = ev.owners.get(number_of(finding["subject"]))
        journaled = ev.orders.get(cid or "")
        if cid in revived:
            continue
        if journaled is not None and journaled.state != "REFUSED":
            text = f"{LATE_FINDING}, but it was {journaled.state} in order"
            yield Violation("FINDING-FALSE", cid or "", text)
    is_explained = ev.externals or revived or not ev.lists_true
    for finding in () if is_explained else ev.findings("BALANCE-DRIFT"):
        yield Violation("FINDING-FALSE", finding["subject"], "BALANCE-DRIFT, all trades are own")
    for finding in ev.findings("ORDER-EXTERNAL"):
        number = number_of(finding["subject"])
        if number not in ev.externals:
            yield Violation("FINDING-FALSE", finding["subject"], "ORDER-EXTERNAL of an own order")


def _is_market(ev: Evidence, order: SimOrder) -> bool:
    """Whether the strategy asked for a market order: the price is then the venue's adapter's."""
    known = ev.orders.get(ev.owners.get(order.id, ""))
    return known is not None and known.intent.kind is Kind.MARKET


def _words(order: SimOrder) -> str:
    return (
        f"{order.side} {order.quantity} @ {order.price} {order.status.value}, "
        f"executed {order.executed}"
    )
