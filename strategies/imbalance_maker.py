"""A market maker that leans on the order book's imbalance and on its own inventory.

It rests one bid and one ask around a fair price. The fair price is the mid, moved towards the
side the book is thinner on (more bids than asks: buyers are about to win, so up) and moved against
the inventory it already holds (long: quote lower, so that the next fill is more likely a sale).

Makes money when prices swing within a range and takers pay the spread: it earns two half-spreads
less two maker fees for each round trip. A `half_spread_bps` below the maker fee cannot earn.

Loses money when the price runs one way (adverse selection): the side that gets filled is the one
that is wrong a moment later, and the inventory it gathers is marked down until the skew or a
reversal sells it. `max_inventory` bounds that loss; it does not prevent it.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import (
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderBookDeltas,
    OrderFilled,
    OrderSide,
    Price,
    Quantity,
)
from nautilus_trader.trading import StrategyConfig

from fairlead import Declared, Denial, GuardedStrategy, Kind, OwnOrder, Role, Tif
from fairlead.strategies.inventory import Inventory, price_down, price_up, quantity_down
from fairlead.strategies.restart import CANCEL_RETRY_NS, Spares

BPS = Decimal(10_000)
MS_NS = 1_000_000
LEVELS_MAX = 50
STALE_TIMER = "stale-quotes"


class ImbalanceMakerConfig(StrategyConfig):
    """Parameters of the market maker.

    `order_quantity`, `max_inventory` and `start_inventory` are in base units, `*_bps` in basis
    points of the price, `*_ms` in milliseconds. `start_inventory` is what the account already
    holds and hands to the strategy: on spot it can only sell that and what it has bought.
    """

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        order_quantity: Decimal,
        max_inventory: Decimal,
        half_spread_bps: Decimal = Decimal(10),
        imbalance_bps: Decimal = Decimal(1),
        skew_bps: Decimal = Decimal(2),
        requote_bps: Decimal = Decimal("0.5"),
        imbalance_levels: int = 1,
        requote_ms: int = 250,
        stale_ms: int = 3000,
        retry_ms: int = 1000,
        start_inventory: Decimal = Decimal(0),
        allow_short: bool = False,
        post_only: bool = False,
        **native: Any,
    ) -> None:
        _require(order_quantity > 0, "order_quantity", order_quantity, "above 0")
        _require(max_inventory > 0, "max_inventory", max_inventory, "above 0")
        _require(half_spread_bps > 0, "half_spread_bps", half_spread_bps, "above 0")
        _require(requote_bps >= 0, "requote_bps", requote_bps, "0 or more")
        _require(start_inventory >= 0, "start_inventory", start_inventory, "0 or more")
        _require(
            1 <= imbalance_levels <= LEVELS_MAX,
            "imbalance_levels",
            imbalance_levels,
            f"1 to {LEVELS_MAX}",
        )
        _require(min(requote_ms, stale_ms, retry_ms) >= 1, "*_ms", requote_ms, "1 or more")
        self.instrument_id = instrument_id
        self.order_quantity = order_quantity
        self.max_inventory = max_inventory
        self.half_spread_bps = half_spread_bps
        self.imbalance_bps = imbalance_bps
        self.skew_bps = skew_bps
        self.requote_bps = requote_bps
        self.imbalance_levels = imbalance_levels
        self.requote_ms = requote_ms
        self.stale_ms = stale_ms
        self.retry_ms = retry_ms
        self.start_inventory = start_inventory
        self.allow_short = allow_short
        self.post_only = post_only


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, received {value}")


class _Quote:
    """One side's order: at most one is alive at a time."""

    __slots__ = ("cancel_ns", "client_order_id", "price", "retry_ns")

    def __init__(self) -> None:
        self.client_order_id: ClientOrderId | None = None
        self.price = Decimal(0)
        self.cancel_ns = 0  # when its cancel was sent; 0 is never
        self.retry_ns = 0  # no new order before this time


class ImbalanceMaker(GuardedStrategy):
    """See the module's docstring."""

    order_kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.LIMIT})
    times_in_force: ClassVar[frozenset[Tif]] = frozenset({Tif.GTC})

    def __init__(self, config: ImbalanceMakerConfig) -> None:
        super().__init__(config)
        self._c = config
        self._bid = _Quote()
        self._ask = _Quote()
        self._touch: Any = None
        self._book_ns = 0
        self._next_ns = 0
        self._spares = Spares(self)

    def declared(self) -> Mapping[InstrumentId, Declared]:
        c = self._c
        return {c.instrument_id: Declared(c.start_inventory, c.allow_short)}

    def on_recovered(
        self, orders: Sequence[OwnOrder], positions: Mapping[InstrumentId, Decimal]
    ) -> None:
        """Go on with the quotes of the last run, one a side."""
        for order in orders:
            quote = self._bid if order.side == OrderSide.BUY else self._ask
            is_quote = order.role in (Role.QUOTE, Role.NONE) and order.price is not None
            if not is_quote or quote.client_order_id is not None:
                self._spares.add(order)
                continue
            quote.client_order_id = order.client_order_id
            quote.price = order.price or Decimal(0)

    def on_start(self) -> None:
        c = self._c
        instrument = self.cache.instrument(c.instrument_id)
        if instrument is None:
            raise ValueError(f"instrument {c.instrument_id} is not known to the venue")
        self._instrument = instrument
        self._now_ns = self.clock.timestamp_ns  # looked up once: it is asked at every update
        self._inventory = Inventory(
            instrument, c.start_inventory, self.own_position(c.instrument_id)
        )
        self.subscribe_book_deltas(c.instrument_id, BookType.L2_MBP, managed=True)
        self.subscribe_trades(c.instrument_id)
        self.clock.set_timer_ns(STALE_TIMER, c.stale_ms * MS_NS, callback=self._on_stale_timer)

    def on_stop(self) -> None:
        self.clock.cancel_timers()

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        now = self._now_ns()
        self._book_ns = now
        touch = self.cache.top_of_book(self._c.instrument_id)
        if touch is None:  # cleared: nothing may rest on a book that is not known
            self._touch = None
            self._pull()
            return
        if now < self._next_ns or touch == self._touch:
            return
        self._touch = touch
        self._next_ns = now + self._c.requote_ms * MS_NS
        self._requote(touch, now)

    def on_order_filled(self, event: OrderFilled) -> None:
        self._inventory.apply(event)
        if self.cache.is_order_closed(event.client_order_id):
            self._closed(event.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        self._closed(event.client_order_id)

    def on_order_expired(self, event: Any) -> None:
        self._closed(event.client_order_id)

    def on_order_rejected(self, event: Any) -> None:
        self._closed(event.client_order_id, refused=True)

    def on_order_denied(self, event: Any) -> None:
        self._closed(event.client_order_id, refused=True)

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        self._closed(order.client_order_id, refused=True)

    def _on_stale_timer(self, _event: Any) -> None:
        if self._now_ns() - self._book_ns >= self._c.stale_ms * MS_NS:
            self._pull()

    def _pull(self) -> None:
        self._cancel(self._bid)
        self._cancel(self._ask)
        self._spares.cancel(self._now_ns())

    def _requote(self, touch: tuple[Price, Quantity, Price, Quantity], now: int) -> None:
        c = self._c
        best_bid, best_ask = touch[0].as_decimal(), touch[2].as_decimal()
        if best_bid >= best_ask:  # crossed: the book can't be trusted
            self._pull()
            return
        if self._spares:
            self._spares.cancel(now)
        held = self._inventory.held
        lean = c.imbalance_bps * self._imbalance(touch)
        lean -= c.skew_bps * self._inventory.position / c.max_inventory
        fair = (best_bid + best_ask) / 2 * (1 + lean / BPS)
        half = fair * c.half_spread_bps / BPS
        # Never through the touch: a maker's order that takes pays the taker fee.
        bid = price_down(self._instrument, min(fair - half, best_bid))
        ask = price_up(self._instrument, max(fair + half, best_ask))
        room = c.start_inventory + c.max_inventory - held
        spare = held if not c.allow_short else held - c.start_inventory + c.max_inventory
        threshold = best_bid * c.requote_bps / BPS
        self._work(self._bid, OrderSide.BUY, bid, min(c.order_quantity, room), threshold, now)
        self._work(self._ask, OrderSide.SELL, ask, min(c.order_quantity, spare), threshold, now)

    def _imbalance(self, touch: tuple[Price, Quantity, Price, Quantity]) -> Decimal:
        """From -1 (only asks) to 1 (only bids), by displayed size."""
        if self._c.imbalance_levels == 1:
            bids, asks = touch[1].as_decimal(), touch[3].as_decimal()
        else:  # copies the book (some 200 us for 3,000 levels a side), hence only when requoting
            book = self.cache.order_book(self._c.instrument_id)
            assert book is not None  # the touch is its best
            levels = self._c.imbalance_levels
            bids = sum(book.bids_to_dict(levels).values(), Decimal(0))
            asks = sum(book.asks_to_dict(levels).values(), Decimal(0))
        total = bids + asks
        return (bids - asks) / total if total else Decimal(0)

    def _work(
        self,
        quote: _Quote,
        side: OrderSide,
        price: Price,
        wanted: Decimal,
        threshold: Decimal,
        now: int,
    ) -> None:
        """Bring one side's order to `price`; a move below `threshold` is not worth two requests."""
        quantity = quantity_down(self._instrument, wanted)
        if quote.client_order_id is not None:
            moved = abs(price.as_decimal() - quote.price) > threshold
            if moved or quantity is None:
                self._cancel(quote)
            return
        if quantity is None or now < quote.retry_ns or self._spares.has(side):
            return
        order = self.order_factory.limit(
            self._c.instrument_id,
            side,
            quantity,
            price,
            post_only=self._c.post_only,
            tags=[Role.QUOTE.tag],
        )
        quote.client_order_id = order.client_order_id
        quote.price = price.as_decimal()
        quote.cancel_ns = 0
        self.submit_order(order)

    def _cancel(self, quote: _Quote) -> None:
        now = self._now_ns()
        if quote.client_order_id is None or now - quote.cancel_ns < CANCEL_RETRY_NS:
            return
        order = self.cache.order(quote.client_order_id)
        if order is None or order.is_inflight:
            return  # of unknown outcome, or not yet acknowledged: a later book update asks again
        quote.cancel_ns = now
        self.cancel_order(quote.client_order_id)

    def _closed(self, client_order_id: ClientOrderId, *, refused: bool = False) -> None:
        self._spares.closed(client_order_id)
        for quote in (self._bid, self._ask):
            if quote.client_order_id == client_order_id:
                quote.client_order_id = None
                self._touch = None  # the next book update may place a new one
                if refused:
                    quote.retry_ns = self._now_ns() + self._c.retry_ms * MS_NS
