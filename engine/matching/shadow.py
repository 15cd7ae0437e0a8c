"""The exchange of a backtest as it would decide: this project's own, of one instrument.

NautilusTrader's simulated exchange accepts, keeps and ends the orders, and books their fills. This
one follows it, knows the market that each of them meets, and decides on the fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from engine.matching.accounts import Account, Positions
from engine.matching.exchange import Exchange
from engine.matching.kernel_book import KernelMarket
from engine.matching.market import Market
from engine.matching.orders import ZERO, Fee, Fill, Listing, NewOrder, Order, State, Watched
from engine.matching.taking import Offer, Print
from engine.orders.model import Side

Reducible = Callable[[NewOrder], Decimal]


class Shadow(Exchange):
    """Orders that NautilusTrader's exchange has accepted; what they are due is read by `take`.

    `reducible`: base units by which an order may reduce its strategy's position.
    """

    def __init__(
        self,
        instrument: str,
        precision: int,
        reducible: Reducible,
        *,
        consumes: bool,
        queues: bool,
    ) -> None:
        self._due = _Due()
        account = _Unlimited(instrument, reducible)
        super().__init__(
            account, _free, self._due, queue_position=queues, liquidity_consumption=consumes
        )
        self._instrument = instrument
        self.market = KernelMarket(precision)
        self.markets = {instrument: self.market}
        self._mine = self._open[instrument]

    # -- what the other exchange did -----------------------------------------------------------

    def accept(self, new: NewOrder, now_ns: int) -> None:
        """It ends by `drop`, never by itself; order lists are the other's."""
        tif = "GTC" if new.time_in_force == "GTD" else new.time_in_force
        alone = msgspec.structs.replace(
            new, time_in_force=tif, parent=None, contingency=None, linked=()
        )
        self.submit([alone], now_ns)

    def change(
        self, order_id: str, quantity: Decimal, price: Decimal | None, trigger: Decimal | None
    ) -> None:
        """It was changed to these; None: it has none."""
        order = self.order(order_id)
        if order is None:
            return
        is_waiting = order.state is State.WAITING
        self.modify(
            order_id,
            self.now_ns,
            quantity=max(quantity, order.filled),
            price=None if order.price is None else price,
            trigger_price=trigger if is_waiting else None,
        )

    def fire(self, order_id: str) -> None:
        """The other one's trigger went off."""
        order = self.order(order_id)
        if order is None or order.state is not State.WAITING:
            return
        order.is_fired = True
        self._enter(order)
        self._finish()

    def drop(self, order_id: str) -> None:
        self._due.of.pop(order_id, None)
        order = self.order(order_id)
        if order is not None:
            self._end(order)

    # -- the market ----------------------------------------------------------------------------

    def told(self, rows: Iterable[Any], now_ns: int) -> None:
        """A batch of the book."""
        self.now_ns = now_ns  # nothing expires here
        self.market.told(rows)
        if self._mine:
            self._book_told(self._instrument)

    def told_whole(self, depth: Any, now_ns: int) -> None:
        self.advance(now_ns)
        self.market.told_whole(depth)
        self._book_told(self._instrument)

    def traded(self, seen: Print, now_ns: int) -> None:
        self.trade(self._instrument, seen, now_ns)

    # -- what comes of it ----------------------------------------------------------------------

    def take(self, order_id: str) -> list[Offer]:
        """What the order is due since the last time, in the order of its fills."""
        return self._due.of.pop(order_id, [])

    def has_due(self, order_id: str) -> bool:
        return order_id in self._due.of

    def is_waiting(self, order_id: str) -> bool:
        order = self.order(order_id)
        return order is not None and order.state is State.WAITING

    def watches_touch(self, order_id: str) -> bool:
        order = self.order(order_id)
        trigger = None if order is None else order.trigger
        return trigger is not None and trigger.watched is not Watched.LAST

    # -- what only the other one judges --------------------------------------------------------

    def _refusal(self, order: Order, market: Market) -> str | None:
        return None

    def _enter(self, order: Order) -> None:
        """What is post-only was judged when it was accepted."""
        if order.new.post_only:
            self._rest(order)
        else:
            super()._enter(order)

    def _would_take(self, order: Order) -> bool:
        return False

    def _unfit(self, order: Order, *, is_repriced: bool) -> str | None:
        return None


class _Due:
    """Fills by order."""

    def __init__(self) -> None:
        self.of: dict[str, list[Offer]] = {}

    def filled(self, order: Order, fill: Fill, ts_ns: int) -> None:
        self.of.setdefault(order.id, []).append((fill.price, fill.quantity))

    def accepted(self, order: Order, ts_ns: int) -> None: ...

    def rejected(self, order: Order, reason: str, ts_ns: int, *, due_post_only: bool) -> None: ...

    def triggered(self, order: Order, ts_ns: int) -> None: ...

    def canceled(self, order: Order, reason: str, ts_ns: int) -> None: ...

    def expired(self, order: Order, ts_ns: int) -> None: ...

    def updated(self, order: Order, ts_ns: int) -> None: ...

    def modify_rejected(self, order_id: str, reason: str, ts_ns: int) -> None: ...

    def cancel_rejected(self, order_id: str, reason: str, ts_ns: int) -> None: ...

    def balances_changed(self, ts_ns: int) -> None: ...


def _free(instrument: str, side: Side, *, is_maker: bool, quantity: Decimal, price: Decimal) -> Fee:
    return Fee(ZERO, "")


class _Held(Positions):
    def __init__(self, reducible: Reducible) -> None:
        super().__init__()
        self._reducible = reducible

    def reducible(self, new: NewOrder) -> Decimal:
        return self._reducible(new)


class _Unlimited(Account):
    """The other exchange's account is the one that pays."""

    def __init__(self, instrument: str, reducible: Reducible) -> None:
        listing = Listing(id=instrument, base=None, quote="", settlement="", size_increment=ZERO)
        super().__init__([listing], {}, _free)
        self.positions = _Held(reducible)

    def reserve(self, order: Order, *, must: bool = False) -> bool:
        return True

    def affordable(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        return quantity

    def book(self, order: Order, fill: Fill) -> None: ...

    def covers(self, order: Order, fills: Iterable[Offer]) -> bool:
        return True
