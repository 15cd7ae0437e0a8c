"""A run's results as files: `summary.json`, and every order with its events in `orders.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.cli.exits import Exit
from engine.errors import FairleadError
from engine.observe.summary import RunSummary
from engine.orders.model import REDUCE_TAG, entry_of, role_of

SUMMARY_FILE = "summary.json"
ORDERS_FILE = "orders.jsonl"


def write_run(folder: Path, summary: RunSummary, orders: bytes) -> RunSummary:
    """Write both files, each whole or not at all; the summary names them.

    `orders` are `order_lines` of the run's cache.

    Raises FairleadError `OUT-UNWRITABLE`.
    """
    named = msgspec.structs.replace(
        summary,
        files={
            **summary.files,
            "summary": str(folder / SUMMARY_FILE),
            "orders": str(folder / ORDERS_FILE),
        },
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / ORDERS_FILE, orders)
        _replace(folder / SUMMARY_FILE, named.json())
    except OSError as error:
        raise FairleadError(
            "OUT-UNWRITABLE",
            f"the results can't be written to {folder} ({error.strerror}); choose another --out",
            int(Exit.FAILED),
        ) from error
    return named


def order_lines(cache: Any) -> bytes:
    """One JSON object an order, in time order: its last state, changes, fills. Amounts are text.

    `entry` is the client order id of the entry that an exit of a bracket belongs to.
    """
    rows = [_row(order) for order in cache.orders()]
    rows.sort(key=lambda row: (row["ts_init"], row["client_order_id"]))
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _row(order: Any) -> dict[str, Any]:
    events = order.events()
    fills = [event for event in events if type(event).__name__ == "OrderFilled"]
    tags = order.tags or ()
    reduce_only = order.is_reduce_only or REDUCE_TAG in tags
    return {
        "client_order_id": str(order.client_order_id),
        "strategy": str(order.strategy_id),
        "instrument": str(order.instrument_id),
        "side": order.side.name,
        "kind": order.order_type.name,
        "role": role_of(tags, reduce_only=reduce_only).value,
        "quantity": str(order.quantity),
        "price": _text(getattr(order, "price", None)),
        "trigger_price": _text(getattr(order, "trigger_price", None)),
        "trigger_type": _name(getattr(order, "trigger_type", None)),
        "time_in_force": order.time_in_force.name,
        "post_only": bool(getattr(order, "is_post_only", False)),
        "reduce_only": reduce_only,
        "entry": entry_of(tags),
        "status": order.status.name,
        "filled": str(order.filled_qty),
        "ts_init": order.ts_init,
        "ts_accepted": order.ts_accepted,
        "ts_last": order.ts_last,
        "reason": next((_text(e.reason) for e in reversed(events) if hasattr(e, "reason")), None),
        "changes": _changes(events),
        "fills": [
            {
                "trade_id": str(fill.trade_id),
                "quantity": str(fill.last_qty),
                "price": str(fill.last_px),
                "fee": _text(fill.commission),
                "liquidity": fill.liquidity_side.name,
                "ts_event": fill.ts_event,
            }
            for fill in fills
        ],
    }


def _changes(events: Any) -> list[dict[str, Any]]:
    """What the order was: as it was sent, and after each change. Empty where there was none."""
    kinds = ("OrderInitialized", "OrderUpdated")
    found = [event for event in events if type(event).__name__ in kinds]
    if len(found) < 2:
        return []
    return [
        {
            "quantity": str(event.quantity),
            "price": _text(event.price),
            "trigger_price": _text(event.trigger_price),
            "ts_event": event.ts_event,
        }
        for event in found
    ]


def _name(value: Any) -> str | None:
    return None if value is None else str(value.name)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content)
    temporary.replace(path)
