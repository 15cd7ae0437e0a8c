"""Compares a journal file with a simulated venue's true ledger, order by order."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.orders.model import Intent, Kind, VenueFill


def plain_id(order: dict[str, Any]) -> str:
    """A ledger order's id as the journal has it."""
    return str(order["id"])


def smart_id(order: dict[str, Any]) -> str:
    """Where stops are an id space of their own (Poloniex), which their children keep."""
    return plain_id(order) if order["trigger_price"] is None else f"smart-{order['id']}"


def own_id(order: dict[str, Any]) -> str:
    """Where the venue's id of an order is none of the ledger's numbers."""
    return str(order["client_order_id"])


ORDER_IDS = {"poloniex": smart_id, "zerocap": own_id}


def audit(
    journal: Path,
    ledger: dict[str, Any],
    account: str,
    id_of: Callable[[dict[str, Any]], str] = plain_id,
    may_stay_unknown: frozenset[Kind] = frozenset(),
) -> dict[str, int]:
    """Assert that no order is lost or doubled and that fills and positions agree; gives counts.

    `may_stay_unknown` are kinds that the venue never lists while they wait, so that one which was
    never sent can't be proven absent. That the venue really has none is asserted all the same, and
    of orders that the engine held to their end.
    """
    db = sqlite3.connect(journal)
    rows = db.execute(
        "SELECT client_order_id, state, venue_order_id, intent FROM orders"
    ).fetchall()
    fills = [
        msgspec.json.decode(body, type=VenueFill)
        for (body,) in db.execute("SELECT body FROM fills")
    ]
    positions = {i: Decimal(q) for i, q in db.execute("SELECT instrument, quantity FROM positions")}
    replaced = {
        venue_order_id
        for (venue_order_id,) in db.execute(
            "SELECT venue_order_id FROM venue_ids WHERE client_order_id IN "
            "(SELECT client_order_id FROM orders)"
        )
    }
    course = db.execute(
        "SELECT client_order_id, kind FROM records WHERE kind IN ('HELD', 'ARMED', 'RELEASE') "
        "ORDER BY seq"
    ).fetchall()
    db.close()
    held = {cid for cid, last in dict(course).items() if last != "RELEASE"}
    entries = [e for e in ledger["entries"] if e.get("account", _owner(e)) == account]
    orders = [e["order"] for e in entries if e["type"] == "order"]
    at_venue = {id_of(order): order for order in orders}
    names = {order["id"]: id_of(order) for order in orders}
    mine = {
        void: (cid, state, msgspec.json.decode(intent, type=Intent))
        for cid, state, void, intent in rows
        if void
    }
    assert len(mine) == sum(1 for row in rows if row[2]), "two orders share one venue order id"
    unproven = [
        row for row in rows if row[2] is None and row[1] != "REFUSED" and row[0] not in held
    ]
    kinds = {msgspec.json.decode(row[3], type=Intent).kind for row in unproven}
    assert kinds <= may_stay_unknown, f"orders without an outcome: {unproven}"
    lost = at_venue.keys() - mine.keys() - replaced
    assert not lost, f"the venue has orders that the journal does not know: {sorted(lost)}"
    invented = mine.keys() - at_venue.keys()
    assert not invented, f"the journal has orders that the venue never had: {sorted(invented)}"
    _compare_fills(fills, entries, names)
    _compare_positions(positions, fills)
    return {
        "orders": len(rows),
        "accepted": len(mine),
        "fills": len(fills),
        "unknown": len(unproven),
    }


def _owner(entry: dict[str, Any]) -> str:
    return str(entry["order"]["account"]) if "order" in entry else ""


def _compare_fills(
    fills: list[VenueFill], entries: list[dict[str, Any]], names: dict[int, str]
) -> None:
    """Quantity and value of each order's executions; ids differ where fills are synthesised."""
    booked: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for fill in fills:
        booked[fill.venue_order_id][0] += fill.quantity
        booked[fill.venue_order_id][1] += fill.quantity * fill.price
    true: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for entry in entries:
        if entry["type"] == "fill":
            quantity = Decimal(entry["quantity"])
            true[names[entry["order_id"]]][0] += quantity
            true[names[entry["order_id"]]][1] += quantity * Decimal(entry["price"])
    assert booked.keys() == true.keys()
    for void, (quantity, value) in true.items():
        assert booked[void][0] == quantity, f"order {void}: booked {booked[void]}, true {quantity}"
        error = abs(booked[void][1] - value) / value
        assert error < Decimal("1e-6"), f"order {void}: value {booked[void][1]}, true {value}"


def _compare_positions(positions: dict[str, Decimal], fills: list[VenueFill]) -> None:
    sums: Counter[str] = Counter()
    for fill in fills:
        signed = fill.quantity if fill.side == "BUY" else -fill.quantity
        base_fee = (
            fill.fee if fill.fee_currency == fill.instrument.partition("_")[0] else Decimal(0)
        )
        sums[fill.instrument] += signed - base_fee  # type: ignore[assignment]
    assert {k: v for k, v in sums.items() if v} == {k: v for k, v in positions.items() if v}
