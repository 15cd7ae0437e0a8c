"""What one session left behind: journal, wire log, the venue's ledger, and what was told."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fairlead.adapters.simulation.orders import OrderEntry, SimOrder
from fairlead.engine.orders.model import Intent, VenueFill
from fairlead.engine.sessions.scene import Scene
from fairlead.engine.sessions.shipped import Allowed
from fairlead.engine.sessions.wire import WireLog


class Record(msgspec.Struct, frozen=True):
    seq: int
    ts: int
    kind: str
    client_order_id: str
    body: bytes


class Journaled(msgspec.Struct, frozen=True):
    client_order_id: str
    state: str
    venue_order_id: str | None
    filled: Decimal
    intent: Intent


class Evidence(msgspec.Struct, kw_only=True):
    """All that is judged."""

    records: list[Record]
    orders: dict[str, Journaled]
    late_releases: set[int]  # given up, and come to nothing after it; the ledger's order ids
    late_told: set[int]  # of which a finding tells that they came late; the ledger's order ids
    owners: dict[int, str]  # the ledger's order id -> client order id, by the journal
    fills: list[VenueFill]
    owner_of_fill: list[str]
    positions: dict[str, Decimal]
    entries: list[Any]
    externals: set[int]
    wire: WireLog
    halts: list[float]
    kills: list[float]
    hidden: set[str]
    instrument: str
    market: str
    base: str
    account: str
    max_open_orders: int
    max_order_notional: Decimal
    max_position: Decimal
    true_fills: bool
    lists_true: bool
    is_beyond: bool
    balances: dict[str, tuple[Decimal, Decimal]] | None
    true_balances: dict[str, tuple[Decimal, Decimal]]
    events: list[list[tuple[str, str]]]
    shipped: dict[str, Allowed]
    size_step: Decimal
    min_quantity: Decimal
    min_notional: Decimal

    @staticmethod
    def read(scene: Scene, journal: Path) -> Evidence:
        kept = _read(journal, scene.venue.ledger_id)
        plan, exchange = scene.plan, scene.venue.exchange
        can = scene.spec.capabilities
        spec = exchange.markets[scene.market].spec
        told = scene.last_balances
        return Evidence(
            records=kept.records,
            late_releases={
                scene.venue.ledger_id(msgspec.json.decode(one.body)["venue_order_id"])
                for one in kept.records
                if one.kind == "RELEASE_LATE"
            },
            late_told={
                scene.venue.ledger_id(found["subject"])
                for one in kept.records
                if one.kind == "FINDING"
                and (found := msgspec.json.decode(one.body))["code"] == "ORDER-LATE"
            },
            orders=kept.orders,
            owners=kept.owners,
            fills=[_fill(body) for _, body in kept.booked],
            owner_of_fill=[cid for cid, _ in kept.booked],
            positions=kept.positions,
            entries=exchange.ledger.entries,
            externals=scene.externals,
            wire=scene.wire,
            halts=scene.halts,
            kills=scene.kills,
            hidden=set(scene.stuck),
            instrument=scene.instrument,
            market=scene.market,
            base=spec.base,
            account=scene.account,
            max_open_orders=plan.max_open_orders,
            max_order_notional=Decimal(plan.max_order_notional),
            max_position=Decimal(plan.max_position),
            true_fills=can.reports_fills,
            lists_true=not plan.lists,
            is_beyond=plan.lag == "beyond",
            balances=None if told is None else {b.currency: (b.free, b.locked) for b in told},
            true_balances={
                currency: (b.free, b.locked)
                for currency, b in exchange.ledger.balances(scene.account).items()
            },
            events=scene.events,
            shipped={one.id: one.allowed for one in scene.shipped},
            size_step=spec.size_step,
            min_quantity=spec.min_quantity,
            min_notional=spec.min_notional,
        )

    def own_orders(self) -> dict[int, SimOrder]:
        """The last state of every order of the account that this engine must have sent."""
        found = {}
        for entry in self.entries:
            if not isinstance(entry, OrderEntry) or entry.order.account != self.account:
                continue
            if entry.order.id not in self.externals:
                found[entry.order.id] = entry.order
        return found

    @property
    def releases(self) -> Counter[str]:
        """How often each order that the engine held was released, by client order id."""
        return Counter(r.client_order_id for r in self.records if r.kind == "RELEASE")

    def findings(self, code: str) -> list[dict[str, Any]]:
        decoded = [msgspec.json.decode(r.body) for r in self.records if r.kind == "FINDING"]
        return [finding for finding in decoded if finding["code"] == code]


class _Kept(NamedTuple):
    """What the journal's file holds."""

    records: list[Record]
    orders: dict[str, Journaled]
    owners: dict[int, str]
    booked: list[tuple[str, bytes]]
    positions: dict[str, Decimal]


def _read(journal: Path, ledger_id: Callable[[str], int]) -> _Kept:
    database = sqlite3.connect(journal)
    try:
        records = [
            Record(*row)
            for row in database.execute(
                "SELECT seq, ts, kind, client_order_id, body FROM records ORDER BY seq"
            )
        ]
        orders = {
            cid: Journaled(cid, state, void, Decimal(filled), _intent(intent))
            for cid, state, void, filled, intent in database.execute(
                "SELECT client_order_id, state, venue_order_id, filled, intent FROM orders"
            )
        }
        owners = {
            number: cid
            for void, cid in database.execute(
                "SELECT venue_order_id, client_order_id FROM venue_ids"
            )
            if (number := ledger_id(void))
        }
        booked = list(database.execute("SELECT client_order_id, body FROM fills"))
        positions: dict[str, Decimal] = defaultdict(Decimal)
        for instrument, quantity in database.execute("SELECT instrument, quantity FROM positions"):
            positions[instrument] += Decimal(quantity)
    finally:
        database.close()
    return _Kept(records, orders, owners, booked, positions)


_intent = msgspec.json.Decoder(Intent).decode
_fill = msgspec.json.Decoder(VenueFill).decode
