"""A trend follower on bars built from trades: moving averages with an ATR channel, market orders.

Long when the fast average of closes stands more than `channel_atr` average true ranges above the
slow one; out when it falls back below the slow one; short, where allowed, by the mirror image.

Makes money when moves last longer than the slow average takes to turn: a few long winners pay for
many small losers, so most of its trades lose.

Loses money in a market without direction, where every crossing is a false start, and it always
pays the taker fee and the spread: at 10 bps a side a move must travel 20 bps before it earns.
Wider channels and longer averages trade less and pay less.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from nautilus_trader.model import (
    Bar,
    BarType,
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderFilled,
    OrderSide,
    PriceType,
)
from nautilus_trader.trading import StrategyConfig

from fairlead import Declared, Denial, GuardedStrategy, Kind, OwnOrder, Role, Tif
from fairlead.strategies.bars import require_bar
from fairlead.strategies.inventory import Inventory, quantity_down

if TYPE_CHECKING:
    from fairlead import ScreenBars

PERIOD_MAX = 10_000
TOP_UP_FRACTION = Decimal("0.1")  # a smaller gap (a fee taken in base currency) is left alone
MS_NS = 1_000_000


class TrendFollowerConfig(StrategyConfig):
    """Parameters of the trend follower.

    `bar` is a NautilusTrader bar specification; bars are built inside the engine: LAST ones from
    trades, BID, ASK and MID ones from the best quotes.
    `fast`, `slow` and `atr` are periods in bars, `order_quantity` and `start_inventory` base
    units, `channel_atr` a multiple of the average true range, `retry_ms` the wait after a refusal.
    """

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        order_quantity: Decimal,
        bar: str = "5-SECOND-LAST",
        fast: int = 5,
        slow: int = 20,
        atr: int = 14,
        channel_atr: Decimal = Decimal("0.5"),
        allow_short: bool = False,
        start_inventory: Decimal = Decimal(0),
        flatten_on_stop: bool = False,
        retry_ms: int = 5000,
        **native: Any,
    ) -> None:
        require_bar(bar)
        if not 1 <= fast < slow <= PERIOD_MAX:
            raise ValueError(f"fast, slow: expected 1 <= fast < slow, received {fast}, {slow}")
        if not 1 <= atr <= PERIOD_MAX:
            raise ValueError(f"atr: expected 1 to {PERIOD_MAX}, received {atr}")
        if order_quantity <= 0 or channel_atr < 0 or start_inventory < 0 or retry_ms < 0:
            raise ValueError(
                "expected order_quantity above 0, and channel_atr, start_inventory, retry_ms "
                f"0 or more, received {order_quantity}, {channel_atr}, {start_inventory}, "
                f"{retry_ms}"
            )
        self.instrument_id = instrument_id
        self.order_quantity = order_quantity
        self.bar = bar
        self.fast = fast
        self.slow = slow
        self.atr = atr
        self.channel_atr = channel_atr
        self.allow_short = allow_short
        self.start_inventory = start_inventory
        self.flatten_on_stop = flatten_on_stop
        self.retry_ms = retry_ms


class TrendFollower(GuardedStrategy):
    """See the module's docstring."""

    order_kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.MARKET})
    times_in_force: ClassVar[frozenset[Tif]] = frozenset({Tif.GTC})

    def __init__(self, config: TrendFollowerConfig) -> None:
        super().__init__(config)
        self._c = config
        self._closes: deque[Decimal] = deque(maxlen=config.slow)
        self._ranges: deque[Decimal] = deque(maxlen=config.atr)
        self._working: set[ClientOrderId] = set()
        self._retry_ns = 0
        self._target = Decimal(0)  # signed position wanted, base units

    @staticmethod
    def screen(bars: "ScreenBars", config: TrendFollowerConfig) -> Any:
        """`_wanted` after each bar, of all bars at once (`fairlead sweep --screen`)."""
        import numpy as np

        c, close, at = config, bars.close, np.arange(len(bars))
        before = np.concatenate((close[:1], close[:-1]))
        ranges = np.maximum(bars.high, before) - np.minimum(bars.low, before)
        gap = _means(close, c.fast) - _means(close, c.slow)
        channel = float(c.channel_atr) * _means(ranges, c.atr)
        is_warm = at >= max(c.slow, c.atr) - 1
        up, down = is_warm & (gap > channel), is_warm & (gap < -channel)
        # Long from a break upwards until the averages cross back, and short by the mirror image.
        is_long, is_short = _since(up, is_warm & (gap < 0)), _since(down, is_warm & (gap > 0))
        size = float(c.order_quantity)
        short = size if c.allow_short else min(float(c.start_inventory), size)
        return np.where(is_long, size, np.where(is_short, -short, 0.0))

    def declared(self) -> Mapping[InstrumentId, Declared]:
        c = self._c
        return {c.instrument_id: Declared(c.start_inventory, c.allow_short)}

    def on_recovered(
        self, orders: Sequence[OwnOrder], positions: Mapping[InstrumentId, Decimal]
    ) -> None:
        """A market order that was on its way: nothing new before it is over."""
        self._working.update(order.client_order_id for order in orders)

    def on_start(self) -> None:
        c = self._c
        instrument = self.cache.instrument(c.instrument_id)
        if instrument is None:
            raise ValueError(f"instrument {c.instrument_id} is not known to the venue")
        self._instrument = instrument
        position = self.own_position(c.instrument_id)
        self._inventory = Inventory(instrument, c.start_inventory, position)
        self._target = position
        self._bar_type = BarType.from_str(f"{c.instrument_id}-{c.bar}-INTERNAL")
        # The book gives market orders a price to be checked against.
        self.subscribe_book_deltas(c.instrument_id, BookType.L2_MBP, managed=True)
        if self._bar_type.spec.price_type == PriceType.LAST:  # others are built from quotes
            self.subscribe_trades(c.instrument_id)
        self.subscribe_bars(self._bar_type)

    def flat_on_stop(self) -> Collection[InstrumentId]:
        return (self._c.instrument_id,) if self._c.flatten_on_stop else ()

    def on_stop(self) -> None:
        if self._c.flatten_on_stop and not self._working:  # what still comes is closed after it
            self._target = Decimal(0)
            self._trade()

    def on_bar(self, bar: Bar) -> None:
        close = bar.close.as_decimal()
        previous = self._closes[-1] if self._closes else close
        high, low = bar.high.as_decimal(), bar.low.as_decimal()
        self._ranges.append(max(high, previous) - min(low, previous))
        self._closes.append(close)
        if len(self._closes) < self._c.slow or len(self._ranges) < self._c.atr:
            return
        self._target = self._wanted()
        if not self._working and self.clock.timestamp_ns() >= self._retry_ns:
            self._trade()

    def _wanted(self) -> Decimal:
        c = self._c
        closes = list(self._closes)
        fast = sum(closes[-c.fast :], Decimal(0)) / c.fast
        slow = sum(closes, Decimal(0)) / c.slow
        channel = c.channel_atr * sum(self._ranges, Decimal(0)) / c.atr
        short = -c.order_quantity if c.allow_short else -min(c.start_inventory, c.order_quantity)
        if fast > slow + channel:
            return c.order_quantity
        if fast < slow - channel:
            return short
        if (self._target > 0 and fast < slow) or (self._target < 0 and fast > slow):
            return Decimal(0)
        return self._target

    def _trade(self) -> None:
        """One market order from the position to the target; dust below the lot size stays."""
        gap = self._target - self._inventory.position
        side = OrderSide.BUY if gap > 0 else OrderSide.SELL
        wanted = abs(gap)
        if self._target and wanted < self._c.order_quantity * TOP_UP_FRACTION:
            return
        if side == OrderSide.SELL and not self._c.allow_short:
            wanted = min(wanted, self._inventory.held)  # spot: only what is held
        quantity = quantity_down(self._instrument, wanted)
        if quantity is None:
            return
        role = Role.EXIT if self._is_way_out(quantity.as_decimal(), side) else Role.ENTRY
        order = self.order_factory.market(self._c.instrument_id, side, quantity, tags=[role.tag])
        self._working.add(order.client_order_id)
        self.submit_order(order)

    def _is_way_out(self, quantity: Decimal, side: OrderSide) -> bool:
        """Whether the order leaves a smaller position of the same side, or none."""
        position = self._inventory.position
        return quantity <= (position if side == OrderSide.SELL else -position)

    def on_order_filled(self, event: OrderFilled) -> None:
        self._inventory.apply(event)
        if self.cache.is_order_closed(event.client_order_id):
            self._closed(event.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        self._closed(event.client_order_id)

    def on_order_expired(self, event: Any) -> None:
        self._closed(event.client_order_id)

    def on_order_rejected(self, event: Any) -> None:
        self._refused(event.client_order_id)

    def on_order_denied(self, event: Any) -> None:
        self._refused(event.client_order_id)

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        self._refused(order.client_order_id)

    def _closed(self, client_order_id: ClientOrderId) -> None:
        self._working.discard(client_order_id)

    def _refused(self, client_order_id: ClientOrderId) -> None:
        if client_order_id in self._working:
            self._retry_ns = self.clock.timestamp_ns() + self._c.retry_ms * MS_NS
        self._closed(client_order_id)


def _means(values: Any, count: int) -> Any:
    """Of the last `count` values; the first `count - 1` are of no use."""
    import numpy as np

    sums = np.cumsum(np.concatenate(([0.0], values - values[:1])))
    found = np.zeros(len(values))
    found[count - 1 :] = (sums[count:] - sums[:-count]) / count + values[:1]
    return found


def _since(begins: Any, ends: Any) -> Any:
    """Whether the last of both was a begin."""
    import numpy as np

    at = np.arange(len(begins))
    last = [np.maximum.accumulate(np.where(one, at, -1)) for one in (begins, ends)]
    return last[0] > last[1]
