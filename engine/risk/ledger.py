"""The gate's own account of positions and live orders, fed by what it approves and by events.

It holds the same in live, paper and backtest, and counts an order from its approval to the proof
that it is over: an order of unknown outcome stays in.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from fairlead.engine.orders.model import Side
from fairlead.engine.risk.exposure import Exposure
from fairlead.engine.risk.facts import CountedOrder, Declared

_ZERO = Decimal(0)
# Kinds that stand in the book; a stop does not until it fires.
RESTING_KINDS = frozenset({"LIMIT", "MARKET_TO_LIMIT"})


class Ledger:
    """Positions by instrument, and the orders that may still fill.

    Positions are what is held: fees paid in base currency are taken off, as in the journal and in
    what strategies are told. `declared` is what strategies say of themselves, by strategy and
    instrument.
    """

    def __init__(self, accounts: Mapping[str, str] | None = None) -> None:
        self.positions: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.by_strategy: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.live: dict[str, CountedOrder] = {}
        self.exposure = Exposure(accounts)
        self.declared: dict[tuple[str, str], Declared] = {}
        self._working: defaultdict[tuple[str, Side], Decimal] = defaultdict(Decimal)
        self._owned: defaultdict[tuple[str, str, Side], Decimal] = defaultdict(Decimal)
        self._exits: defaultdict[tuple[str, str, Side], Decimal] = defaultdict(Decimal)
        self._prices: defaultdict[tuple[str, Side], list[Decimal]] = defaultdict(list)
        # Exits that wait for their way, not sent yet: the last price that each takes, None for any
        self.waiting: dict[str, Decimal | None] = {}

    def seed_positions(
        self, positions: Mapping[str, Decimal], strategy: str = ""
    ) -> dict[str, Decimal]:
        """Set the positions that exist at the start, by instrument, signed base units.

        Returns by how much each changed.
        """
        changes = {}
        for instrument, quantity in positions.items():
            change = quantity - self.by_strategy[strategy, instrument]
            changes[instrument] = change
            self._hold(strategy, instrument, change)
        return changes

    def handed(self, giver: str, taker: str, instrument: str, quantity: Decimal) -> None:
        """One strategy's position, signed base units, is another's; the sum stays what it is."""
        self.by_strategy[giver, instrument] -= quantity
        self.by_strategy[taker, instrument] += quantity

    def own(self, strategy: str, instrument: str) -> Decimal:
        """The strategy's position, with what belongs to none; signed base units."""
        of = self.by_strategy
        return of.get((strategy, instrument), _ZERO) + of.get(("", instrument), _ZERO)

    def working_quantity(self, instrument: str, side: Side) -> Decimal:
        return self._working.get((instrument, side), _ZERO)

    def owned_quantity(self, strategy: str, instrument: str, side: Side) -> Decimal:
        """What remains of a strategy's live orders of one side, children of lists left out."""
        return self._owned.get((strategy, instrument, side), _ZERO)

    def exit_quantity(self, strategy: str, instrument: str, side: Side) -> Decimal:
        """The part of `owned_quantity` that exits ask for."""
        return self._exits.get((strategy, instrument, side), _ZERO)

    def working(self, instrument: str) -> Iterable[CountedOrder]:
        return [order for order in self.live.values() if order.instrument == instrument]

    def best_price(self, instrument: str, side: Side) -> Decimal | None:
        """The best price of our own resting orders on one side, of all strategies."""
        prices = self._prices.get((instrument, side))
        if not prices:
            return None
        return prices[-1] if side is Side.BUY else prices[0]

    def meets_waiting(self, instrument: str, side: Side, price: Decimal) -> bool:
        """Whether an order that rests at `price` would be in the way of an exit that waits."""
        for name, reach in self.waiting.items():
            exit_ = self.live.get(name)
            if exit_ is None or exit_.instrument != instrument or exit_.side is side:
                continue
            if reach is None or (price >= reach if side is Side.BUY else price <= reach):
                return True
        return False

    def opened(self, order: CountedOrder) -> None:
        """An order was approved, or found at the start. A known one is left as it is."""
        if order.client_order_id in self.live:
            return
        self.live[order.client_order_id] = order
        remaining = order.remaining
        self._sum(order, remaining)
        self.exposure.opened(order, remaining)
        self._stand(order)

    def closed(self, client_order_id: str) -> None:
        """The order is proven to be over."""
        order = self.live.pop(client_order_id, None)
        if order is not None:
            remaining = order.remaining
            if remaining:
                self._sum(order, -remaining)
            self.exposure.closed(order, remaining)
            self._leave(order)

    @contextmanager
    def cleared(self, strategy: str, instrument: str, orders: Collection[str]) -> Iterator[None]:
        """Within it the strategy's position there, and these of the live orders, are as if over.
        Nothing may be approved meanwhile."""
        held, before = self.by_strategy.get((strategy, instrument), _ZERO), dict(self.live)
        for name in orders:
            self.closed(name)
        if held:
            self._hold(strategy, instrument, -held)
        try:
            yield
        finally:
            if held:
                self._hold(strategy, instrument, held)
            for name in orders:
                if name in before:
                    self.opened(before[name])
            self.live.clear()
            self.live.update(before)  # the oldest first, as ever

    def resized(self, client_order_id: str, quantity: Decimal) -> None:
        """The order's total quantity is now, or may become, `quantity`."""
        order = self.live.get(client_order_id)
        if order is None:
            return
        if quantity != order.quantity:
            before = order.remaining
            order.quantity = quantity
            self._count(order, order.remaining - before)
        if order.filled >= quantity:
            self.closed(client_order_id)

    def repriced(
        self, client_order_id: str, price: Decimal | None, unit_value: Decimal | None
    ) -> None:
        """The order's limit price and worth of one base unit are now, or may become, these."""
        order = self.live.get(client_order_id)
        if order is None:
            return
        if price is not None and price != order.price:
            self._leave(order)
            order.price = price
            self._stand(order)
        self.exposure.repriced(order, unit_value)

    def waits(self, client_order_id: str, kind: str) -> None:
        """The order is of this kind again: what of it was at the venue is in the book no more."""
        order = self.live.get(client_order_id)
        if order is not None and order.kind != kind:
            self._leave(order)
            order.kind = kind
            self._stand(order)

    def filled(
        self,
        client_order_id: str,
        strategy: str,
        instrument: str,
        side: Side,
        quantity: Decimal,
        fee: Decimal = _ZERO,
    ) -> None:
        """A fill of `quantity` base units, of which the order is dropped when nothing remains;
        `fee` is what was paid of the base currency."""
        signed = quantity if side is Side.BUY else -quantity
        self._hold(strategy, instrument, signed - fee)
        order = self.live.get(client_order_id)
        if order is None:
            return
        before = order.remaining
        order.filled += quantity
        self._count(order, order.remaining - before)
        if order.filled >= order.quantity:
            self.closed(client_order_id)

    def paid(self, strategy: str, instrument: str, fee: Decimal) -> None:
        """A fee of base units, of a fill that was counted without it."""
        self._hold(strategy, instrument, -fee)

    def _hold(self, strategy: str, instrument: str, change: Decimal) -> None:
        self.positions[instrument] += change
        self.by_strategy[strategy, instrument] += change
        self.exposure.position_changed(instrument, self.positions[instrument])

    def _count(self, order: CountedOrder, change: Decimal) -> None:
        self._sum(order, change)
        self.exposure.remaining_changed(order, change)

    def _sum(self, order: CountedOrder, change: Decimal) -> None:
        if order.contingent:
            return
        self._working[order.instrument, order.side] += change
        key = (order.strategy, order.instrument, order.side)
        self._owned[key] += change
        if order.is_exit:
            self._exits[key] += change

    def _stand(self, order: CountedOrder) -> None:
        if order.price is not None and order.kind in RESTING_KINDS:
            insort(self._prices[order.instrument, order.side], order.price)

    def _leave(self, order: CountedOrder) -> None:
        if order.price is not None and order.kind in RESTING_KINDS:
            prices = self._prices[order.instrument, order.side]
            del prices[bisect_left(prices, order.price)]
