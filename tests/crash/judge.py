"""A journal against the part of a venue's ledger that is its own: orders, fills, ends, money."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Kind, OrderState, Side, VenueFill
from tests.support.audit import ORDER_IDS, audit, plain_id

ENDS = {"filled": OrderState.FILLED, "canceled": OrderState.CANCELED}
ROUNDING = Decimal("1e-6")  # of the value, where the venue tells rounded averages only


class Found(msgspec.Struct, frozen=True):
    """What a journal held that agrees with the venue."""

    orders: int = 0
    accepted: int = 0
    fills: int = 0
    unknown: int = 0

    def __str__(self) -> str:
        return f"{self.orders} orders, {self.accepted} at the venue, {self.fills} fills" + (
            f", {self.unknown} unknown" if self.unknown else ""
        )


def judge(
    path: Path,
    key: str,
    ledger: dict[str, Any],
    balances: dict[str, Any],
    may_stay_unknown: frozenset[Kind],
) -> Found:
    """Raises AssertionError for anything lost, doubled or unequal."""
    (account,) = balances
    id_of = ORDER_IDS.get(key, plain_id)
    counts = audit(path, ledger, account, id_of, may_stay_unknown)
    mine = [e for e in ledger["entries"] if _owner(e) == account]
    last = {id_of(e["order"]): e["order"] for e in mine if e["type"] == "order"}
    journal = Journal.reading(path)
    try:
        _same_ends(journal, last)
        _same_money(journal, [e for e in mine if e["type"] == "balance"])
    finally:
        journal.close()
    held = {name: b["locked"] for name, b in balances[account].items() if Decimal(b["locked"])}
    assert not held, f"orders still hold {held}"
    return Found(**counts)


def _owner(entry: dict[str, Any]) -> str:
    return str(entry["order"]["account"] if entry["type"] == "order" else entry["account"])


def _same_ends(journal: Journal, last: dict[str, dict[str, Any]]) -> None:
    """Each order ended at the venue, and as the journal says."""
    rows = journal._db.execute("SELECT state, venue_order_id, filled FROM orders").fetchall()
    for state, venue_order_id, filled in rows:
        if venue_order_id is None:
            continue
        order = last[venue_order_id]
        end = ENDS.get(order["status"])
        assert end == state, f"order {venue_order_id}: journal {state}, venue {order['status']}"
        chain = _executed(journal, venue_order_id, last)
        assert Decimal(filled) == chain, f"order {venue_order_id}: {filled} booked, {chain} true"


def _executed(journal: Journal, venue_order_id: str, last: dict[str, dict[str, Any]]) -> Decimal:
    """Of the order and of those that it replaced."""
    rows = journal._db.execute(
        "SELECT venue_order_id FROM venue_ids WHERE client_order_id = "
        "(SELECT client_order_id FROM orders WHERE venue_order_id = ?)",
        (venue_order_id,),
    )
    return sum((Decimal(last[one]["executed"]) for (one,) in rows if one in last), Decimal(0))


def _same_money(journal: Journal, entries: list[dict[str, Any]]) -> None:
    """What the fills of the journal moved is what the venue's balances moved by."""
    true: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        true[entry["currency"]] += Decimal(entry["free_delta"]) + Decimal(entry["locked_delta"])
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    rounding: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (body,) in journal._db.execute("SELECT body FROM fills"):
        fill = msgspec.json.decode(body, type=VenueFill)
        base, _, quote = fill.instrument.rpartition(".")[0].partition("_")
        sign = 1 if fill.side is Side.BUY else -1
        booked[base] += sign * fill.quantity
        booked[quote] -= sign * fill.quantity * fill.price
        booked[fill.fee_currency] -= fill.fee
        if fill.synthetic:
            rounding[base] += fill.quantity * ROUNDING
            rounding[quote] += fill.quantity * fill.price * ROUNDING
    for currency in true.keys() | booked.keys():
        wrong = abs(true[currency] - booked[currency])
        assert wrong <= rounding[currency], (
            f"{currency}: {booked[currency]} booked, {true[currency]} true"
        )
