"""A run's orders as rows: every order with its events, and the last that the gate refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fairlead.engine.guard.run_state import DenialRecord
from fairlead.engine.observe.reasons import plain
from fairlead.engine.orders.model import REDUCE_TAG, entry_of, role_of, room_of

Row = dict[str, Any]


def order_rows(orders: Iterable[Any], markets: Mapping[str, Any] | None = None) -> list[Row]:
    """NautilusTrader's orders in time order: last state, changes, fills of each; amounts as text.

    `entry` is the client order id of the entry that an exit of a bracket belongs to, `room_for`
    that of the entry that an exit makes room for. With `markets` (`RunState.markets`) an order, its
    fills and its refusal have the top of the book as it was known to its strategy then.
    """
    rows = [_row(order, markets or {}) for order in orders]
    rows.sort(key=lambda row: (row["ts_init"], row["client_order_id"]))
    return rows


def json_lines(rows: Iterable[Row]) -> bytes:
    """One JSON object a row."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def denial_rows(denials: Iterable[DenialRecord]) -> list[Row]:
    """Orders, and modifies, that the gate refused; oldest first."""
    rows = []
    for one in denials:
        told = {
            "client_order_id": one.client_order_id,
            "strategy": one.strategy,
            "instrument": one.instrument,
            **({} if one.order is None else _row(one.order, {})),
        }
        denial = {"code": one.denial.code, "message": one.denial.message, "ts": one.ts_ns}
        denial["market"] = _top(one.market)
        rows.append({**told, **denial})
    return rows


def _row(order: Any, markets: Mapping[str, Any]) -> dict[str, Any]:
    name = str(order.client_order_id)
    events = order.events()
    fills = [event for event in events if type(event).__name__ == "OrderFilled"]
    tags = order.tags or ()
    reduce_only = order.is_reduce_only or REDUCE_TAG in tags
    return {
        "client_order_id": name,
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
        "room_for": room_of(tags),
        "status": order.status.name,
        "filled": str(order.filled_qty),
        "ts_init": order.ts_init,
        "ts_accepted": order.ts_accepted,
        "ts_last": order.ts_last,
        "reason": next((_reason(e) for e in reversed(events) if hasattr(e, "reason")), None),
        "market": _top(markets.get(name)),
        "market_at_end": _top(markets.get(f"{name}/end")),
        "changes": _changes(events),
        "asked": _asked(events),
        "fills": [
            {
                "trade_id": str(fill.trade_id),
                "quantity": str(fill.last_qty),
                "price": str(fill.last_px),
                "fee": _text(fill.commission),
                "liquidity": fill.liquidity_side.name,
                "ts_event": fill.ts_event,
                "market": _top(markets.get(f"{name}/{fill.trade_id}")),
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


def _asked(events: Any) -> list[dict[str, Any]]:
    """When its strategy asked for a change, and for its end."""
    kinds = {"OrderPendingCancel": "cancel", "OrderPendingUpdate": "modify"}
    return [
        {"what": kinds[name], "ts": event.ts_init}
        for event in events
        if (name := type(event).__name__) in kinds
    ]


def _top(top: Any) -> dict[str, str] | None:
    """The best bid and ask with their sizes."""
    if top is None:
        return None
    return dict(zip(("bid", "bid_size", "ask", "ask_size"), map(str, top), strict=True))


def _name(value: Any) -> str | None:
    return None if value is None else str(value.name)


def _reason(event: Any) -> str | None:
    return None if event.reason is None else plain(str(event.reason))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
