"""A breakout: stop-limit entries at both ends of the recent range, and a trailing protective stop.

While flat it keeps a BUY stop-limit above the range of the last bars (fires when the market is at
or above its trigger, `gte`) and, where it may sell, a SELL stop-limit below it (`lte`). The first
to fill cancels the other. The position then gets a protective stop-limit in the other direction
(SELL `lte` under a long, BUY `gte` over a short), which follows the price but never backs off.

Makes money when a quiet range ends in a move several times `stop_bps`: it is in at the start of
the move and the trailing stop lets it run.

Loses money on false breaks: in at the top of the range, out at the stop, `stop_bps` plus two fees
poorer each time. A stop-limit is also no promise: when the market jumps over the limit the order
rests unfilled; this strategy then leaves with a market order at the next bar, at whatever price.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import (
    Bar,
    BarType,
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderFilled,
    OrderSide,
    PriceType,
    Quantity,
)
from nautilus_trader.trading import StrategyConfig

from fairlead import (
    Declared,
    Denial,
    GuardedStrategy,
    Kind,
    OwnOrder,
    Role,
    Tif,
    TriggerCondition,
)
from fairlead.strategies.bars import require_bar
from fairlead.strategies.inventory import Inventory, price_down, price_up, quantity_down
from fairlead.strategies.restart import CANCEL_RETRY_NS, Spares

BPS = Decimal(10_000)
MS_NS = 1_000_000
LOOKBACK_MAX = 10_000


class BreakoutConfig(StrategyConfig):
    """Parameters of the breakout.

    `order_quantity` and `start_inventory` are base units; `lookback` is in bars; `*_bps` are basis
    points of the price: `buffer_bps` from the range to an entry's trigger, `limit_bps` from a
    trigger to its limit, `stop_bps` from the price to the protective stop, `reprice_bps` the least
    change worth moving an order for, `min_range_bps` the narrowest range that is traded.
    On spot a SELL entry needs `start_inventory`: base units the account holds and hands over.
    """

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        order_quantity: Decimal,
        bar: str = "5-SECOND-LAST",
        lookback: int = 12,
        buffer_bps: Decimal = Decimal("0.5"),
        limit_bps: Decimal = Decimal(5),
        stop_bps: Decimal = Decimal(15),
        reprice_bps: Decimal = Decimal(1),
        min_range_bps: Decimal = Decimal(0),
        allow_short: bool = False,
        start_inventory: Decimal = Decimal(0),
        retry_ms: int = 5000,
        **native: Any,
    ) -> None:
        require_bar(bar)
        if not 1 <= lookback <= LOOKBACK_MAX:
            raise ValueError(f"lookback: expected 1 to {LOOKBACK_MAX}, received {lookback}")
        if order_quantity <= 0 or stop_bps <= 0 or limit_bps < 0:
            raise ValueError(
                "expected order_quantity and stop_bps above 0 and limit_bps 0 or more, "
                f"received {order_quantity}, {stop_bps}, {limit_bps}"
            )
        if min(buffer_bps, reprice_bps, min_range_bps, start_inventory, Decimal(retry_ms)) < 0:
            raise ValueError(
                "expected buffer_bps, reprice_bps, min_range_bps, start_inventory and retry_ms "
                "0 or more"
            )
        self.instrument_id = instrument_id
        self.order_quantity = order_quantity
        self.bar = bar
        self.lookback = lookback
        self.buffer_bps = buffer_bps
        self.limit_bps = limit_bps
        self.stop_bps = stop_bps
        self.reprice_bps = reprice_bps
        self.min_range_bps = min_range_bps
        self.allow_short = allow_short
        self.start_inventory = start_inventory
        self.retry_ms = retry_ms


class _Working:
    """One order of this strategy: an entry of one side, the protective stop, or the exit."""

    __slots__ = ("cancel_ns", "client_order_id", "limit", "quantity", "retry_ns", "role", "trigger")

    def __init__(self, role: Role) -> None:
        self.role = role
        self.client_order_id: ClientOrderId | None = None
        self.trigger = Decimal(0)
        self.limit = Decimal(0)
        self.quantity = Decimal(0)
        self.cancel_ns = 0
        self.retry_ns = 0

    def take(self, order: OwnOrder) -> None:
        """An order of an earlier run, with what of it may still fill."""
        self.client_order_id = order.client_order_id
        self.trigger = order.trigger_price or Decimal(0)
        self.limit = order.price or Decimal(0)
        self.quantity = order.remaining

    @property
    def alive(self) -> bool:
        return self.client_order_id is not None


class Breakout(GuardedStrategy):
    """See the module's docstring."""

    order_kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.STOP_LIMIT, Kind.MARKET})
    times_in_force: ClassVar[frozenset[Tif]] = frozenset({Tif.GTC})

    def __init__(self, config: BreakoutConfig) -> None:
        super().__init__(config)
        self._c = config
        self._highs: deque[Decimal] = deque(maxlen=config.lookback)
        self._lows: deque[Decimal] = deque(maxlen=config.lookback)
        self._last = Decimal(0)  # close of the last bar
        self._entries = {side: _Working(Role.ENTRY) for side in (OrderSide.BUY, OrderSide.SELL)}
        self._stop = _Working(Role.STOP)
        self._exit = _Working(Role.EXIT)
        self._stop_level: Decimal | None = None  # where the trailing stop stands
        self._leaving = False  # the stop failed: out at the market
        self._spares = Spares(self)

    def declared(self) -> Mapping[InstrumentId, Declared]:
        c = self._c
        return {c.instrument_id: Declared(c.start_inventory, c.allow_short)}

    def on_recovered(
        self, orders: Sequence[OwnOrder], positions: Mapping[InstrumentId, Decimal]
    ) -> None:
        """Go on with the entries, the stop and the exit of the last run, one of each."""
        position = positions.get(self._c.instrument_id, Decimal(0))
        for order in orders:
            working = self._slot_of(order, position)
            if working is None or working.alive:
                self._spares.add(order)
                continue
            working.take(order)
            if working is self._stop:
                self._stop_level = order.trigger_price

    def _slot_of(self, order: OwnOrder, position: Decimal) -> _Working | None:
        role = order.role
        reduces = position > 0 if order.side == OrderSide.SELL else position < 0
        if role is Role.NONE:  # from before orders had roles
            role = Role.STOP if reduces else Role.ENTRY
            role = Role.EXIT if order.kind == Kind.MARKET else role
        if role is Role.ENTRY:
            return self._entries[order.side]
        if role is Role.STOP and (reduces or not position):
            return self._stop
        return self._exit if role is Role.EXIT else None

    def on_start(self) -> None:
        c = self._c
        instrument = self.cache.instrument(c.instrument_id)
        if instrument is None:
            raise ValueError(f"instrument {c.instrument_id} is not known to the venue")
        self._instrument = instrument
        self._inventory = Inventory(
            instrument, c.start_inventory, self.own_position(c.instrument_id)
        )
        # The book gives orders a price to be checked against; trades fire the triggers.
        self.subscribe_book_deltas(c.instrument_id, BookType.L2_MBP, managed=True)
        bar_type = BarType.from_str(f"{c.instrument_id}-{c.bar}-INTERNAL")
        if bar_type.spec.price_type == PriceType.LAST:  # others are built from quotes
            self.subscribe_trades(c.instrument_id)
        self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        if bar.volume.as_decimal() == 0:
            return  # no trade, no information
        self._last = bar.close.as_decimal()
        self._spares.cancel(self.clock.timestamp_ns())
        if len(self._highs) == self._c.lookback and self._open_quantity() is None:
            self._work_entries()
        self._highs.append(bar.high.as_decimal())
        self._lows.append(bar.low.as_decimal())
        self._protect()

    # Entries

    def _work_entries(self) -> None:
        c = self._c
        high, low = max(self._highs), min(self._lows)
        if (high - low) * BPS < c.min_range_bps * low:
            for entry in self._entries.values():
                self._cancel(entry)
            return
        self._work_entry(OrderSide.BUY, high * (1 + c.buffer_bps / BPS))
        self._work_entry(OrderSide.SELL, low * (1 - c.buffer_bps / BPS))

    def _work_entry(self, side: OrderSide, trigger: Decimal) -> None:
        c, entry = self._c, self._entries[side]
        if entry.alive:
            if abs(trigger - entry.trigger) * BPS > c.reprice_bps * entry.trigger:
                self._cancel(entry)
            return
        passed = self._last >= trigger if side == OrderSide.BUY else self._last <= trigger
        dust = self._inventory.position  # too small for an order: it counts, all the same
        wanted = c.order_quantity - max(dust if side == OrderSide.BUY else -dust, Decimal(0))
        if side == OrderSide.SELL and not c.allow_short:
            wanted = min(wanted, self._inventory.held)  # spot: only what is held
        quantity = quantity_down(self._instrument, wanted)
        if passed or quantity is None or self._stop.alive or self._exit.alive or self._spares:
            return
        self._send_stop_limit(entry, side, quantity, trigger)

    # The position

    def _open_quantity(self) -> Quantity | None:
        """The tradable size of the position; None while flat (dust is flat)."""
        quantity = quantity_down(self._instrument, abs(self._inventory.position))
        least = self._instrument.min_notional
        if quantity is None or least is None:
            return quantity
        return quantity if quantity.as_decimal() * self._last >= least.as_decimal() else None

    def _protect(self) -> None:
        """Bring the orders in line with the position; called after every bar and every change."""
        if not self._last:
            return  # what stands from an earlier run stands until the first price comes
        quantity = self._open_quantity()
        if quantity is None:
            self._stop_level = None
            self._leaving = False
            self._cancel(self._stop)
            return
        for entry in self._entries.values():  # one cancels the other
            self._cancel(entry)
        if self._exit.alive or any(entry.alive for entry in self._entries.values()):
            return
        if self._spares:
            return  # exits may be among them
        side = OrderSide.SELL if self._inventory.position > 0 else OrderSide.BUY
        self._trail(side)
        if self._stop.alive:
            self._check_stop(side, quantity)
        elif self._leaving:
            self._leave(side, quantity)
        elif self._stop_level is not None:
            self._send_stop_limit(self._stop, side, quantity, self._stop_level)

    def _trail(self, side: OrderSide) -> None:
        """Move the stop's level towards the price, never away from it."""
        away = self._c.stop_bps / BPS
        if side == OrderSide.SELL:
            level = self._last * (1 - away)
            self._stop_level = max(level, self._stop_level or level)
        else:
            level = self._last * (1 + away)
            self._stop_level = min(level, self._stop_level or level)

    def _check_stop(self, side: OrderSide, quantity: Quantity) -> None:
        """Replace a stop that lags or has the wrong size; give up one that was jumped over."""
        stop = self._stop
        selling = side == OrderSide.SELL
        jumped = self._last < stop.limit if selling else self._last > stop.limit
        level = self._stop_level or stop.trigger
        lags = abs(level - stop.trigger) * BPS > self._c.reprice_bps * stop.trigger
        if jumped:
            self._leaving = True
        if jumped or lags or stop.quantity != quantity.as_decimal():
            self._cancel(stop)

    def _leave(self, side: OrderSide, quantity: Quantity) -> None:
        if self.clock.timestamp_ns() < self._exit.retry_ns:
            return
        order = self.order_factory.market(
            self._c.instrument_id, side, quantity, tags=[Role.EXIT.tag]
        )
        self._exit.client_order_id = order.client_order_id
        self._exit.cancel_ns = 0
        self.submit_order(order)

    # Orders

    def _send_stop_limit(
        self, working: _Working, side: OrderSide, quantity: Quantity, trigger: Decimal
    ) -> None:
        """BUY fires at or above its trigger, SELL at or below; the limit lies beyond it."""
        if self.clock.timestamp_ns() < working.retry_ns:
            return
        slack = self._c.limit_bps / BPS
        if side == OrderSide.BUY:
            at = price_up(self._instrument, trigger)
            limit = price_up(self._instrument, trigger * (1 + slack))
            condition = TriggerCondition.GTE
        else:
            at = price_down(self._instrument, trigger)
            limit = price_down(self._instrument, trigger * (1 - slack))
            condition = TriggerCondition.LTE
        working.trigger, working.limit = at.as_decimal(), limit.as_decimal()
        working.quantity = quantity.as_decimal()
        # Known before it is sent: a refusal can come back within the call.
        working.client_order_id = self.order_factory.generate_client_order_id()
        working.cancel_ns = 0
        self.stop_limit(
            self._c.instrument_id,
            side,
            quantity,
            at,
            limit,
            trigger_condition=condition,
            role=working.role,
            client_order_id=working.client_order_id,
        )

    def _cancel(self, working: _Working) -> None:
        now = self.clock.timestamp_ns()
        if working.client_order_id is None or now - working.cancel_ns < CANCEL_RETRY_NS:
            return
        order = self.cache.order(working.client_order_id)
        if order is None or order.is_inflight:
            return  # of unknown outcome, or not yet acknowledged: a later bar asks again
        working.cancel_ns = now
        self.cancel_order(working.client_order_id)

    def _all(self) -> Iterator[_Working]:
        yield from self._entries.values()
        yield self._stop
        yield self._exit

    def _closed(self, client_order_id: ClientOrderId, *, refused: bool = False) -> None:
        self._spares.closed(client_order_id)
        for working in self._all():
            if working.client_order_id == client_order_id:
                working.client_order_id = None
                if refused:
                    retry_ns = self._c.retry_ms * MS_NS
                    working.retry_ns = self.clock.timestamp_ns() + retry_ns
                    # A protective stop is refused when the market is already past it.
                    self._leaving = self._leaving or working is self._stop

    def on_order_filled(self, event: OrderFilled) -> None:
        self._inventory.apply(event)
        self._last = self._last or event.last_px.as_decimal()
        if self.cache.is_order_closed(event.client_order_id):
            self._closed(event.client_order_id)
        self._protect()

    def on_order_canceled(self, event: Any) -> None:
        self._closed(event.client_order_id)
        self._protect()

    def on_order_expired(self, event: Any) -> None:
        self._closed(event.client_order_id)
        self._protect()

    def on_order_rejected(self, event: Any) -> None:
        self._closed(event.client_order_id, refused=True)
        self._protect()

    def on_order_denied(self, event: Any) -> None:
        self._closed(event.client_order_id, refused=True)
        self._protect()

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        self._closed(order.client_order_id, refused=True)
