"""Paper's exchange on seeded markets, without a node: random orders, in virtual time, by the seed.

python -m tests.parity.played --seeds 1..200

The rows are those of an `orders.jsonl`, so that the oracle judges them as it does any run's.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from fairlead.engine.matching.exchange import Exchange
from fairlead.engine.matching.orders import Fill, NewOrder, Order, Trigger, Watched
from fairlead.engine.matching.taking import Print
from fairlead.engine.orders.model import Side
from tests.parity import generate
from tests.parity.oracle import MS_NS, Violation, judge
from tests.parity.orders import Rules, orders_of
from tests.parity.tape import Event, Tape, Told, of_lines
from tests.unit.matching.kit import Bench, listing

LATENCIES_MS = (0, 1, 5, 20, 50, 100)
SIZES = (1, 2, 5, 10, 20, 60)  # tenths of a base unit
TICK = Decimal("0.01")
SHARE = 0.2  # orders an event, roughly
TRIGGERS = {Watched.LAST: "LAST_PRICE", Watched.TOUCH: "BID_ASK"}

UNPLAYED = ("quote", "silence")  # paper knows of a loss only when it shows


class Played(NamedTuple):
    orders: int
    fills: int
    found: list[Violation]


class Book:
    """Best prices as a strategy sees them."""

    def __init__(self) -> None:
        self.sides: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}

    def apply(self, told: Told) -> None:
        for side, levels in ((Side.BUY, told.bids), (Side.SELL, told.asks)):
            if told.kind != "levels":
                self.sides[side].clear()
            self.sides[side].update(levels)
            for price in [price for price, size in self.sides[side].items() if not size]:
                del self.sides[side][price]

    def top(self) -> tuple[Decimal, Decimal] | None:
        bids, asks = self.sides[Side.BUY], self.sides[Side.SELL]
        return (max(bids), min(asks)) if bids and asks else None


class Play(Bench):
    """One market with its orders."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(f"played {seed}")
        made = of_lines(generate.lines(seed))
        self.tapes: dict[str, Tape] = {
            name: [e for e in tape if not (isinstance(e, Told) and e.kind in UNPLAYED)]
            for name, tape in made.items()
        }
        names = tuple(self.tapes)
        self.is_margin = is_margin = rng.random() < 0.5
        size = {"size_increment": Decimal("0.1")}
        super().__init__(
            margin=is_margin,
            balances={"USDT": 10**9, "AAA": 10**6, "BBB": 10**6, "CCC": 10**6},
            listings=tuple(listing(name, base=name[:3], **size) for name in names),
            queue=rng.random() < 0.7,
            consume=rng.random() < 0.7,
        )
        self.latency_ns = rng.choice(LATENCIES_MS) * MS_NS
        self.rows: dict[str, dict[str, Any]] = {}
        self.books = {name: Book() for name in names}
        self.way: deque[tuple[int, Callable[[int], None]]] = deque()

    @property
    def rules(self) -> Rules:
        exchange: Exchange = self.exchange
        return Rules(
            latency_ns=self.latency_ns,
            queue=exchange.queue_position,
            consumption=exchange.liquidity_consumption,
        )

    def run(self) -> Played:
        events = sorted(
            ((event.ts, name, event) for name, tape in self.tapes.items() for event in tape),
            key=lambda one: one[0],
        )
        for ts, name, event in events:
            while self.way and self.way[0][0] < ts:
                due, command = self.way.popleft()
                command(due)
            self.show(name, event)
            top = self.books[name].top()
            if top is not None and self.rng.random() < SHARE:
                self.act(name, ts, *top)
        lines = "\n".join(json.dumps(row, default=str) for row in self.rows.values())
        orders = orders_of(lines.encode(), self.rules)
        fills = sum(len(order.fills) for order in orders)
        return Played(len(orders), fills, judge(orders, self.tapes, self.rules))

    def show(self, name: str, event: Event) -> None:
        if isinstance(event, Told):
            self.books[name].apply(event)
            levels = [(Side.BUY, price, size) for price, size in event.bids.items()]
            levels += [(Side.SELL, price, size) for price, size in event.asks.items()]
            self.exchange.book(name, levels, event.ts, is_whole=event.kind != "levels")
        else:
            taker = Side(event.taker) if event.taker else None
            self.exchange.trade(name, Print(event.price, event.size, taker), event.ts)

    # -- orders --------------------------------------------------------------------------------

    def act(self, name: str, ts: int, bid: Decimal, ask: Decimal) -> None:
        rng = self.rng
        mine = [one for one in self.exchange.open_orders() if one.new.instrument == name]
        does = rng.random()
        if mine and does < 0.15:
            chosen = rng.choice(mine).id
            self.rows[chosen]["asked"].append({"what": "cancel", "ts": ts})
            self.send(ts, lambda now: self.exchange.cancel(chosen, now))
        elif mine and does < 0.3:
            self.change(ts, rng.choice(mine))
        else:
            self.place(name, ts, bid, ask)

    def send(self, ts: int, command: Callable[[int], None]) -> None:
        self.way.append((ts + self.latency_ns, command))

    def change(self, ts: int, order: Order) -> None:
        quantity = self.size() if self.rng.random() < 0.4 else None
        price = None if order.price is None else self.near(order.price, -2, 2)
        if quantity in (None, order.quantity) and price in (None, order.price):
            return
        name = order.id
        self.rows[name]["asked"].append({"what": "modify", "ts": ts})
        self.send(ts, lambda now: self.exchange.modify(name, now, quantity=quantity, price=price))

    def place(self, name: str, ts: int, bid: Decimal, ask: Decimal) -> None:
        rng = self.rng
        side = rng.choice(list(Side))
        sign = 1 if side is Side.BUY else -1
        far, near = (ask, bid) if side is Side.BUY else (bid, ask)
        more: dict[str, Any] = {"price": None}
        kind = rng.choice(("MARKET", "LIMIT", "LIMIT", "STOP", "STOP", "TOUCHED"))
        if kind == "LIMIT":
            more["price"] = self.near(near, -3, 3)
            more["time_in_force"] = rng.choice(("GTC", "GTC", "GTC", "GTC", "IOC", "FOK"))
            more["post_only"] = more["time_in_force"] == "GTC" and rng.random() < 0.3
        elif kind != "MARKET":
            is_stop = kind == "STOP"
            away = rng.randint(1, 4) * TICK * sign
            at = far + away if is_stop else near - away
            watched = rng.choice((Watched.LAST, Watched.TOUCH))
            more["trigger"] = Trigger(at, is_stop is (side is Side.BUY), watched)
            limit = at + sign * rng.randint(-1 if is_stop else 0, 30) * TICK
            more["price"] = limit if is_stop or rng.random() < 0.8 else None
        new = NewOrder(
            id=f"o-{len(self.rows)}",
            strategy="S-001",
            instrument=name,
            side=side,
            quantity=self.size(),
            **more,
        )
        self.rows[new.id] = _row(new, ts)
        self.send(ts, lambda now: self.exchange.submit([new], now))

    def size(self) -> Decimal:
        return Decimal(self.rng.choice(SIZES)) / 10

    def near(self, price: Decimal, low: int, high: int) -> Decimal:
        return price + TICK * self.rng.randint(low, high)

    # -- what becomes of them ------------------------------------------------------------------

    def _tell(self, ts_ns: int, kind: str, order: str = "", detail: str = "") -> None:
        """What else is told changes no order."""

    def _ends(self, order: Order, status: str, ts_ns: int, reason: str = "") -> None:
        self.rows[order.id] |= {"status": status, "ts_last": ts_ns, "reason": reason}

    def accepted(self, order: Order, ts_ns: int) -> None:
        self._ends(order, "ACCEPTED", ts_ns)
        self.rows[order.id]["ts_accepted"] = ts_ns

    def rejected(self, order: Order, reason: str, ts_ns: int, *, due_post_only: bool) -> None:
        self._ends(order, "REJECTED", ts_ns, reason)

    def canceled(self, order: Order, reason: str, ts_ns: int) -> None:
        self._ends(order, "CANCELED", ts_ns, reason)

    def filled(self, order: Order, fill: Fill, ts_ns: int) -> None:
        status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        self.rows[order.id] |= {"status": status, "ts_last": ts_ns}
        told = {"trade_id": fill.trade_id, "ts_event": ts_ns}
        told |= {"price": str(fill.price), "quantity": str(fill.quantity)}
        told["liquidity"] = "MAKER" if fill.is_maker else "TAKER"
        told["fee"] = f"{fill.fee} {fill.fee_currency}"
        self.rows[order.id]["fills"].append(told)

    def updated(self, order: Order, ts_ns: int) -> None:
        row = self.rows[order.id]
        if not row["changes"]:
            row["changes"].append(_terms(order.new.quantity, row["price"], row["trigger_price"]))
            row["changes"][0]["ts_event"] = row["ts_init"]
        trigger = None if order.trigger is None else order.trigger.price
        row["changes"].append(_terms(order.quantity, order.price, trigger) | {"ts_event": ts_ns})


def _terms(quantity: object, price: object | None, trigger: object | None) -> dict[str, Any]:
    texts = {"quantity": quantity, "price": price, "trigger_price": trigger}
    return {key: None if value is None else str(value) for key, value in texts.items()}


def _row(new: NewOrder, ts: int) -> dict[str, Any]:
    kind = "LIMIT" if new.price is not None else "MARKET"
    trigger = new.trigger
    if trigger is not None:
        is_stop = trigger.is_rise is (new.side is Side.BUY)
        market = "STOP_MARKET" if is_stop else "MARKET_IF_TOUCHED"
        limit = "STOP_LIMIT" if is_stop else "LIMIT_IF_TOUCHED"
        kind = market if new.price is None else limit
    return {
        "client_order_id": new.id,
        "strategy": new.strategy,
        "instrument": new.instrument,
        "side": new.side.value,
        "kind": kind,
        "time_in_force": new.time_in_force,
        "post_only": new.post_only,
        "reduce_only": new.reduce_only,
        "entry": None,
        "role": "",
        "trigger_type": None if trigger is None else TRIGGERS[trigger.watched],
        "status": "SUBMITTED",
        "reason": None,
        "ts_init": ts,
        "ts_accepted": None,
        "ts_last": ts,
        "changes": [],
        "asked": [],
        "fills": [],
        **_terms(new.quantity, new.price, None if trigger is None else trigger.price),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge paper's exchange on seeded markets.")
    parser.add_argument("--seeds", default="1..50", help="FIRST..LAST, or one")
    parser.add_argument("--show", type=int, default=20, help="violations shown")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("..")
    orders = fills = count = 0
    for seed in range(int(first), int(last or first) + 1):
        played = Play(seed).run()
        orders, fills = orders + played.orders, fills + played.fills
        for one in played.found:
            count += 1
            if count <= given.show:
                print(f"seed {seed}: {one}")
    print(f"{count} violations, {orders} orders, {fills} fills")
    return 1 if count else 0


if __name__ == "__main__":
    raise SystemExit(main())
