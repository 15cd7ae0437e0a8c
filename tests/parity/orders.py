"""A run as its `orders.jsonl` tells it, for the oracle. Nothing here imports the product."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

LAST_TRADE = ("LAST_PRICE", "DOUBLE_LAST")


class Rules(NamedTuple):
    """What the config of the run says, and how exact its moments are.

    `latency_ns` from a command to the venue; `queue` and `consumption` as in [simulated];
    `slack_ns` is how late a fill may be and how far its moment may be from the data's: 0 in a
    backtest.
    """

    latency_ns: int
    queue: bool = True
    consumption: bool = True
    slack_ns: int = 0


class Fill(NamedTuple):
    trade: str
    ts: int
    price: Decimal
    quantity: Decimal
    is_maker: bool
    base_fee: Decimal  # what of the fee was paid in what is traded


class Terms(NamedTuple):
    """What an order asks for from `ts` on."""

    ts: int
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None


def _in_base(fee: str | None, instrument: str) -> Decimal:
    amount, _, currency = (fee or "0").partition(" ")
    is_base = currency and instrument.startswith(currency)
    return Decimal(amount) if is_base else Decimal(0)


class Order:
    """One line of orders.jsonl."""

    def __init__(self, row: Mapping[str, Any], rules: Rules) -> None:
        self.id: str = row["client_order_id"]
        self.strategy: str = row["strategy"]
        self.instrument: str = row["instrument"]
        self.side: str = row["side"]
        self.kind: str = row["kind"]
        self.tif: str = row["time_in_force"]
        self.post_only: bool = row["post_only"]
        self.reduce_only: bool = row["reduce_only"]
        self.entry: str | None = row["entry"]
        self.by_trade = row["trigger_type"] in LAST_TRADE
        self.status: str = row["status"]
        self.reason: str = row.get("reason") or ""
        self.sent: int = row["ts_init"]
        self.ended: int = row["ts_last"]
        self.accepted: int | None = row.get("ts_accepted")
        self.due = self.sent + rules.latency_ns
        self.terms: list[Terms] = []
        for at, one in enumerate(row["changes"] or [row]):
            price, trigger = _decimal(one["price"]), _decimal(one["trigger_price"])
            if self.terms:  # what a change does not name stays
                price = self.terms[-1].price if price is None else price
                trigger = self.terms[-1].trigger if trigger is None else trigger
            since = one["ts_event"] if at else self.due
            self.terms.append(Terms(since, Decimal(one["quantity"]), price, trigger))
        self.fills = [
            Fill(
                one["trade_id"],
                one["ts_event"],
                Decimal(one["price"]),
                Decimal(one["quantity"]),
                one["liquidity"] == "MAKER",
                _in_base(one.get("fee"), self.instrument),
            )
            for one in row["fills"]
        ]

    def arrives(self, ts: int) -> None:
        self.due = ts
        self.terms[0] = self.terms[0]._replace(ts=ts)

    @property
    def has_trigger(self) -> bool:
        return self.terms[0].trigger is not None

    @property
    def is_touched(self) -> bool:
        return self.kind.endswith("IF_TOUCHED")

    def at(self, ts: int) -> list[Terms]:
        """The terms that may hold at `ts`: two in the nanosecond of a change."""
        times = [one.ts for one in self.terms]
        first = max(bisect_left(times, ts) - 1, 0)
        return self.terms[first : max(bisect_right(times, ts), first + 1)]

    def fires_at(self, price: Decimal, ts: int) -> bool:
        """Whether a market price of `price` is at the trigger."""
        up = (self.side == "BUY") is not self.is_touched
        triggers = [one.trigger for one in self.at(ts) if one.trigger is not None]
        return any(price >= one if up else price <= one for one in triggers)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def orders_of(lines: bytes, rules: Rules) -> list[Order]:
    """The orders of a run's orders.jsonl."""
    found = [Order(json.loads(line), rules) for line in lines.splitlines()]
    for order in found:
        if order.accepted is not None and order.accepted > order.due and not order.has_trigger:
            _waits(order, found, rules)
    return found


def _waits(order: Order, others: list[Order], rules: Rules) -> None:
    """An exit goes once the run's own resting orders that it could meet are over."""
    assert order.accepted is not None
    if any(
        one.instrument == order.instrument
        and one.side != order.side
        and one.kind == "LIMIT"
        and one.sent <= order.sent <= one.ended <= order.accepted - rules.latency_ns
        for one in others
    ):
        order.arrives(order.accepted)
