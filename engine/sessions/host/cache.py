"""What a strategy can look up: orders and positions, the account, the managed book."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nautilus_trader.model import (
    AccountId,
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderBook,
    OrderBookDeltas,
    PositionId,
    StrategyId,
    Venue,
    VenueOrderId,
)


class HostCache:
    """The part of NautilusTrader's `Cache` that strategies, guard and execution client use.

    NautilusTrader's own can't be written from Python. `instrument_of` gives the instrument of an
    id, or None.
    """

    def __init__(self, instrument_of: Callable[[str], Any | None]) -> None:
        self._instrument_of = instrument_of
        self._orders: dict[str, Any] = {}
        self._unclosed: dict[str, Any] = {}
        self._positions: dict[str, Any] = {}
        self._books: dict[InstrumentId, tuple[OrderBook, int]] = {}
        self.account: Any = None

    # -- written by the host -------------------------------------------------------------------

    def add_order(self, order: Any) -> None:
        name = str(order.client_order_id)
        assert name not in self._orders, f"order {name} is in the cache"
        self._orders[name] = self._unclosed[name] = order

    def order_moved(self, order: Any) -> None:
        if order.is_closed:
            self._unclosed.pop(str(order.client_order_id), None)

    def purge_order(self, client_order_id: ClientOrderId) -> None:
        order = self._orders.pop(str(client_order_id))
        assert order.is_closed, f"order {client_order_id} is {order.status} and leaves the cache"

    def add_position(self, position: Any) -> None:
        self._positions[str(position.id)] = position

    def apply_deltas(self, deltas: OrderBookDeltas) -> None:
        key = deltas.instrument_id
        book, count = self._books.get(key) or (OrderBook(key, BookType.L2_MBP), 0)
        book.apply_deltas(deltas)
        self._books[key] = (book, count + 1)

    # -- read by strategies --------------------------------------------------------------------

    def instrument(self, instrument_id: InstrumentId) -> Any | None:
        return self._instrument_of(str(instrument_id))

    def order(self, client_order_id: ClientOrderId) -> Any | None:
        return self._orders.get(str(client_order_id))

    def order_exists(self, client_order_id: ClientOrderId) -> bool:
        return str(client_order_id) in self._orders

    def orders(self, **wanted: Any) -> list[Any]:
        return _of(self._orders.values(), **wanted)

    def orders_open(self, **wanted: Any) -> list[Any]:
        return [order for order in _of(self._unclosed.values(), **wanted) if order.is_open]

    def orders_inflight(self, **wanted: Any) -> list[Any]:
        return [order for order in _of(self._unclosed.values(), **wanted) if order.is_inflight]

    def client_order_ids_closed(self, venue: Venue) -> list[ClientOrderId]:
        return [
            one.client_order_id
            for name, one in self._orders.items()
            if name not in self._unclosed and one.instrument_id.venue == venue
        ]

    def strategy_id_for_order(self, client_order_id: ClientOrderId) -> StrategyId | None:
        order = self.order(client_order_id)
        return None if order is None else order.strategy_id

    def client_order_id(self, venue_order_id: VenueOrderId) -> None:
        """Whose the id is, is kept nowhere: no entry of another could be lost with an order."""

    def is_order_closed(self, client_order_id: ClientOrderId) -> bool:
        order = self.order(client_order_id)
        return order is not None and order.is_closed

    def position(self, position_id: PositionId) -> Any | None:
        return self._positions.get(str(position_id))

    def positions(self, **wanted: Any) -> list[Any]:
        return _of(self._positions.values(), **wanted)

    def positions_open(self, **wanted: Any) -> list[Any]:
        return [one for one in _of(self._positions.values(), **wanted) if one.is_open]

    def account_id(self, venue: Venue) -> AccountId | None:
        return None if self.account is None else self.account.id

    def account_for_venue(self, venue: Venue) -> Any | None:
        return self.account

    def book_update_count(self, instrument_id: InstrumentId) -> int:
        found = self._books.get(instrument_id)
        return 0 if found is None else found[1]

    def order_book(self, instrument_id: InstrumentId) -> OrderBook | None:
        found = self._books.get(instrument_id)
        return None if found is None else found[0]

    def top_of_book(self, instrument_id: InstrumentId) -> Any | None:
        """Best bid, its size, best ask, its size; None for a side that is empty."""
        found = self._books.get(instrument_id)
        if found is None:
            return None
        book = found[0]
        bid, ask = book.best_bid_price(), book.best_ask_price()
        if bid is None or ask is None:
            return None
        return (bid, book.best_bid_size(), ask, book.best_ask_size())

    def quote(self, instrument_id: InstrumentId) -> None:
        """There are none: the book is what prices are compared with."""

    def trade(self, instrument_id: InstrumentId) -> None: ...

    def mark_price(self, instrument_id: InstrumentId) -> None:
        """No venue of a session tells any."""

    def bar_types(self, *wanted: Any) -> list[Any]:
        return []


def _of(
    found: Iterable[Any],
    instrument_id: InstrumentId | None = None,
    strategy_id: StrategyId | None = None,
) -> list[Any]:
    return [
        one
        for one in found
        if (instrument_id is None or one.instrument_id == instrument_id)
        and (strategy_id is None or one.strategy_id == strategy_id)
    ]
