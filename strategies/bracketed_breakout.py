"""A breakout whose way out is a bracket: a stop that rests at the venue, and a target.

While it holds nothing it compares each bar's close with the range of the bars before. A close above
the range buys at the market, and the bracket does the rest: a stop-limit `stop_bps` under the price
rests at the venue, and when the market is `target_bps` above, the target takes its place
(docs/brackets.md). The next entry waits until the bracket is over.

Makes money when breaks run `target_bps` more often than the odds of the two distances say.

Loses money on false breaks, `stop_bps` and two fees each; and when the market jumps over the limit
of the stop, which then rests unfilled while the price falls on.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import Bar, BarType, BookType, InstrumentId, OrderSide, PriceType
from nautilus_trader.trading import StrategyConfig

from fairlead import Declared, GuardedStrategy, Kind, OwnOrder, Tif
from fairlead.strategies.bars import require_bar
from fairlead.strategies.inventory import price_down, price_up, quantity_down
from fairlead.strategies.restart import Spares

BPS = Decimal(10_000)
LOOKBACK_MAX = 10_000


class BracketedBreakoutConfig(StrategyConfig):
    """Parameters.

    `order_quantity` is base units; `lookback` is in bars; `*_bps` are basis points of the price:
    `stop_bps` from the entry down to the stop, `limit_bps` from the stop to its worst price,
    `target_bps` from the entry up to the target.
    """

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        order_quantity: Decimal,
        bar: str = "5-SECOND-LAST",
        lookback: int = 12,
        stop_bps: Decimal = Decimal(30),
        limit_bps: Decimal = Decimal(20),
        target_bps: Decimal = Decimal(60),
        **native: Any,
    ) -> None:
        require_bar(bar)
        if not 1 <= lookback <= LOOKBACK_MAX:
            raise ValueError(f"lookback: expected 1 to {LOOKBACK_MAX}, received {lookback}")
        if order_quantity <= 0 or limit_bps < 0 or target_bps <= 0:
            raise ValueError(
                "expected order_quantity and target_bps above 0 and limit_bps 0 or more, "
                f"received {order_quantity}, {target_bps}, {limit_bps}"
            )
        if not 0 < stop_bps + limit_bps < BPS or stop_bps <= 0:
            raise ValueError(
                f"expected stop_bps above 0 and stop_bps + limit_bps below {BPS}, received "
                f"{stop_bps} and {limit_bps}"
            )
        self.instrument_id = instrument_id
        self.order_quantity = order_quantity
        self.bar = bar
        self.lookback = lookback
        self.stop_bps = stop_bps
        self.limit_bps = limit_bps
        self.target_bps = target_bps


class BracketedBreakout(GuardedStrategy):
    """See the module's docstring."""

    order_kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.MARKET, Kind.LIMIT, Kind.STOP_LIMIT})
    times_in_force: ClassVar[frozenset[Tif]] = frozenset({Tif.GTC})

    def __init__(self, config: BracketedBreakoutConfig) -> None:
        super().__init__(config)
        self._c = config
        self._highs: deque[Decimal] = deque(maxlen=config.lookback)
        self._spares = Spares(self)

    def declared(self) -> Mapping[InstrumentId, Declared]:
        return {self._c.instrument_id: Declared(may_short=False)}

    def on_recovered(
        self, orders: Sequence[OwnOrder], positions: Mapping[InstrumentId, Decimal]
    ) -> None:
        """Brackets go on by themselves; an order of none of them is cancelled."""
        brackets = self.open_brackets()
        bracketed = {name for one in brackets for name in (one.entry, *one.exits)}
        for order in orders:
            if str(order.client_order_id) not in bracketed:
                self._spares.add(order)

    def on_start(self) -> None:
        c = self._c
        instrument = self.cache.instrument(c.instrument_id)
        if instrument is None:
            raise ValueError(f"instrument {c.instrument_id} is not known to the venue")
        self._instrument = instrument
        quantity = quantity_down(instrument, c.order_quantity)
        if quantity is None:
            raise ValueError(f"order_quantity {c.order_quantity} is below what the venue takes")
        self._quantity = quantity
        # The book tells where the market is; trades fire the stop.
        self.subscribe_book_deltas(c.instrument_id, BookType.L2_MBP, managed=True)
        bar_type = BarType.from_str(f"{c.instrument_id}-{c.bar}-INTERNAL")
        if bar_type.spec.price_type == PriceType.LAST:  # others are built from quotes
            self.subscribe_trades(c.instrument_id)
        self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        if bar.volume.as_decimal() == 0:
            return  # no trade, no information
        close = bar.close.as_decimal()
        self._spares.cancel(self.clock.timestamp_ns())
        is_free = not self.open_brackets() and not self._spares
        is_ready = len(self._highs) == self._c.lookback and is_free
        if is_ready and close > max(self._highs):
            self._enter(close)
        self._highs.append(bar.high.as_decimal())

    def on_order_filled(self, event: Any) -> None:
        if self.cache.is_order_closed(event.client_order_id):
            self._spares.closed(event.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        self._spares.closed(event.client_order_id)

    def on_order_expired(self, event: Any) -> None:
        self._spares.closed(event.client_order_id)

    def on_order_rejected(self, event: Any) -> None:
        self._spares.closed(event.client_order_id)

    def _enter(self, price: Decimal) -> None:
        c = self._c
        stop = price * (1 - c.stop_bps / BPS)
        self.bracket(
            c.instrument_id,
            OrderSide.BUY,
            self._quantity,
            stop=price_down(self._instrument, stop),
            stop_limit=price_down(self._instrument, stop * (1 - c.limit_bps / BPS)),
            target=price_up(self._instrument, price * (1 + c.target_bps / BPS)),
        )
