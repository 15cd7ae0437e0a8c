"""The tables of a run, and what their columns are: DataFrames and Parquet are made by it.

Amounts are exact decimals as text, times UNIX nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HORIZONS_SECS = (1, 10, 60)  # after a fill
Row = dict[str, Any]
NOT_TOLD = "NOT TOLD"  # a fill's liquidity, where the venue says nothing of it
# table -> column -> what it is: ts (UNIX ns), text, number (an exact decimal), int, flag
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "orders": {
        "ts_init": "ts",
        "ts_accepted": "ts",
        "ts_last": "ts",
        "client_order_id": "text",
        "strategy": "text",
        "instrument": "text",
        "side": "text",
        "kind": "text",
        "role": "text",
        "quantity": "number",
        "price": "number",
        "trigger_price": "number",
        "time_in_force": "text",
        "post_only": "flag",
        "reduce_only": "flag",
        "status": "text",
        "filled": "number",
        "reason": "text",
    },
    "fills": {
        "ts_event": "ts",
        "client_order_id": "text",
        "trade_id": "text",
        "strategy": "text",
        "instrument": "text",
        "side": "text",
        "kind": "text",
        "quantity": "number",
        "price": "number",
        "fee": "number",
        "fee_currency": "text",
        "liquidity": "text",
        "quote": "text",
        "value": "number",  # quantity x price x multiplier, in quote currency; inverse: / price
        "moved": "number",  # of the position: signed, a fee in base currency taken off
        # signed, in quote currency, a fee in it taken off; what an inverse contract is worth comes
        # when it is bought and goes when it is sold: the sum is what a closed position brought
        "cash": "number",
        "least": "number",  # the smallest order at its price: a position below it is flat
        "mid_decided": "number",  # when the order was decided, as its strategy knew it
        "queue_ns": "int",  # from the venue's acceptance
        **{f"mid_{secs}s": "number" for secs in HORIZONS_SECS},  # so long after the fill
    },
    # Whose each fill is, with what a strategy held at the start (no time) and what was handed over:
    # only of a run in which that is not told by the order's strategy; else there is no row
    "parts": {
        "ts_event": "ts",
        "strategy": "text",
        "instrument": "text",
        "side": "text",
        "quantity": "number",
        "fee": "number",
        "fee_currency": "text",
        "quote": "text",
        "value": "number",
        "moved": "number",
        "cash": "number",
        "least": "number",
        "is_fill": "flag",
    },
    "denials": {
        "ts": "ts",
        "client_order_id": "text",
        "strategy": "text",
        "instrument": "text",
        "code": "text",
        "message": "text",
    },
    "marks": {"ts": "ts", "instrument": "text", "bid": "number", "ask": "number"},
    "equity": {
        "ts": "ts",
        "venue": "text",
        "currency": "text",
        "equity": "number",  # kept + pnl + crossed
        "pnl": "number",  # of the run's fills in what is quoted in it, after fees, at these marks
        # what fills in instruments of other quote currencies moved of the same balances, as
        # ETH_BTC those of BTC and ETH, and fees taken from them, at the marks of then
        "crossed": "number",
        "kept": "number",  # what the account began with, left alone
        "held": "number",  # all of it put into the instruments at their first marks, in equal parts
    },
    "positions": {
        "ts": "ts",  # none: held at the start, at its cost by the journal
        "strategy": "text",
        "instrument": "text",
        "position": "number",
        "average": "number",
        "realized": "number",
        "fees": "number",
    },
    "latencies": {
        "ts_init": "ts",
        "client_order_id": "text",
        "sent_ns": "int",  # from the decision
        "accepted_ns": "int",
        "first_fill_ns": "int",
    },
    "gaps": {
        "from_ns": "ts",
        "to_ns": "ts",
        "kind": "text",
        "instrument": "text",
        "reason": "text",
        "count": "int",
    },
}
