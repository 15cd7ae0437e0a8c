"""What the order journal says of a span of time, summed up like a run.

A live session that was killed and started again is one session here: the journal outlives it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.observe import summary
from engine.orders.model import Intent, OrderState, Side, VenueFill

_ORDERS = (
    "SELECT client_order_id, state, venue_order_id, filled, intent FROM orders "
    "WHERE ts_sent BETWEEN ? AND ? ORDER BY ts_sent, client_order_id"
)
_FILLS = (
    "SELECT body FROM fills WHERE client_order_id IN "
    "(SELECT client_order_id FROM orders WHERE ts_sent BETWEEN ? AND ?) ORDER BY ts, trade_id"
)


def trading(
    path: Path,
    instruments: Mapping[str, Any],
    marks: Mapping[str, Decimal],
    start_ns: int,
    end_ns: int,
) -> summary.Trading:
    """Orders sent in the span and their fills. Instruments are NautilusTrader's, by id."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        orders = db.execute(_ORDERS, (start_ns, end_ns)).fetchall()
        fills = [
            msgspec.json.decode(body, type=VenueFill)
            for (body,) in db.execute(_FILLS, (start_ns, end_ns))
        ]
    intents = {row[0]: msgspec.json.decode(row[4], type=Intent) for row in orders}
    accounts = {name: summary.Account(found) for name, found in instruments.items()}
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        fees[fill.fee_currency] += fill.fee
        buying = fill.side is Side.BUY
        account = accounts[fill.instrument]
        account.book(buying, fill.quantity, fill.price, fill.fee, fill.fee_currency)
    lines = [str(row) for row in orders] + [str(fill) for fill in fills]
    return summary.Trading(
        orders=len(orders),
        orders_by_kind=_counted(intent.kind for intent in intents.values()),
        orders_by_status=_counted(row[1] for row in orders),
        accepted=sum(row[2] is not None for row in orders),
        filled=sum(Decimal(row[3]) > 0 for row in orders),
        fills=len(fills),
        maker_fills=(
            None
            if any(fill.is_maker is None for fill in fills)
            else sum(fill.is_maker is True for fill in fills)
        ),
        native_denials={},
        rejections=sum(row[1] == OrderState.REFUSED for row in orders),
        fees=dict(sorted(fees.items())),
        instruments=[account.summary(marks.get(name)) for name, account in accounts.items()],
        orders_digest=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    )


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(str(name) for name in names).items()))


def executed(path: Path) -> tuple[dict[str, Decimal], int]:
    """Executed quantity by venue order id, and the number of fills, over the whole journal."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT venue_order_id, filled FROM orders WHERE venue_order_id IS NOT NULL"
        ).fetchall()
        fills = db.execute("SELECT count(*) FROM fills").fetchone()[0]
    return {str(void): Decimal(filled) for void, filled in rows}, int(fills)
