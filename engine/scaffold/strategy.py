"""A strategy to begin with: it buys once at the market, and sells what it bought a moment later."""

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderBookDeltas, OrderFilled, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead import Denial, GuardedStrategy, Role

NS = 1_000_000_000


class MineConfig(StrategyConfig):
    """`quantity` is in base units, `hold_secs` how long what was bought is held."""

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        quantity: Decimal,
        hold_secs: int = 2,
        **native: Any,
    ) -> None:
        if quantity <= 0:
            raise ValueError(f"quantity: expected above 0, received {quantity}")
        self.instrument_id = instrument_id
        self.quantity = quantity
        self.hold_secs = hold_secs


class Mine(GuardedStrategy):
    """Buys, waits, sells."""

    def __init__(self, config: MineConfig) -> None:
        super().__init__(config)
        self.c = config
        self.held = Decimal(0)
        self.bought_ns = 0
        self.is_sent = False

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.c.instrument_id, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        if not self.is_sent:
            self.is_sent = True
            self.send(OrderSide.BUY, self.c.quantity, Role.ENTRY)
        elif self.held and deltas.ts_init - self.bought_ns >= self.c.hold_secs * NS:
            held, self.held = self.held, Decimal(0)
            self.send(OrderSide.SELL, held, Role.EXIT)

    def send(self, side: OrderSide, quantity: Decimal, role: Role) -> None:
        rounded = self.round_quantity(self.c.instrument_id, quantity)
        order = self.order_factory.market(self.c.instrument_id, side, rounded, tags=[role.tag])
        self.submit_order(order)

    def on_order_filled(self, event: OrderFilled) -> None:
        if event.order_side != OrderSide.BUY:
            return
        self.held += event.last_qty.as_decimal()
        self.bought_ns = event.ts_init
        paid, instrument = event.commission, self.cache.instrument(self.c.instrument_id)
        base = instrument.base_currency if instrument is not None else None
        if paid is not None and paid.currency == base:  # the fee is out of what was bought
            self.held -= paid.as_decimal()

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        self.log.warning(f"{denial.code}: {denial.message}")
