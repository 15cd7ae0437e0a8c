"""What the guard adds to NautilusTrader's callbacks, for a strategy to say and to hear."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy

from fairlead.engine.orders.model import Role, TriggerCondition
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.facts import Declared


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One live order of a strategy. Quantities are base units, prices quote currency.

    `kind` is NautilusTrader's name of the order type. Not `is_proven`: it was sent, and nothing
    shows yet whether the venue has it; then NautilusTrader's cache may not know it either.
    """

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    side: OrderSide
    kind: str
    role: Role
    quantity: Decimal
    filled: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_condition: TriggerCondition | None = None
    is_proven: bool = True

    @property
    def remaining(self) -> Decimal:
        return max(self.quantity - self.filled, Decimal(0))


class Hooks(Strategy):
    """Methods to override, and what `guard` notes of the class."""

    _guard_native: ClassVar[Any] = Strategy  # whose calls are behind the guard
    _guard_final: ClassVar[bool] = False  # made by `guard`
    _guard_is_plain: ClassVar[bool] = False  # written for NautilusTrader, it knows no hooks
    _guard_is_sealed: ClassVar[bool] = False  # takes no other method any more
    _guard_methods: ClassVar[frozenset[str]] = frozenset()  # what an assignment would hide
    _guard_user_callbacks: ClassVar[frozenset[str]] = frozenset()
    _guard_silent: ClassVar[Mapping[str, Any]] = {}  # what stands for a callback after a fault

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        """Called when the gate refused `order` (for a modify: the order as it is). To override.

        It always has a `client_order_id`: where there is no such order, it has little else, and
        `is_closed`.
        """

    def declared(self) -> Mapping[InstrumentId, Declared]:
        """What the account holds and hands to this strategy, by instrument; asked once, at start.

        Its exits may sell that besides its position; without `may_short` it never sells more. An
        instrument that the run has not, and what is no amount, is a fault, and refused by a check.
        """
        return {}

    def flat_on_stop(self) -> Collection[InstrumentId]:
        """Where this strategy is to hold nothing once the run is stopped; asked at the stop.

        What its `on_stop` left there, and what is filled after it, is closed at the market while
        the stop lasts; a run that ends with something left says so, and is no success. Where
        `on_stop` itself closes a position (`close_position`, `close_all_positions`,
        `market_exit`) that holds without a word here.
        """
        return ()

    def on_recovered(
        self, orders: Sequence[OwnOrder], positions: Mapping[InstrumentId, Decimal]
    ) -> None:
        """Called before `on_start`, with every live order of this strategy, oldest first, and its
        positions (signed base units, fees in base currency taken off); both empty at a first start.

        From here on it has to manage these orders like those that it sends itself. One that is not
        `is_proven` can't be cancelled yet; what becomes of it comes to `on_order_*`: when it is
        proven that the venue never had it, to `on_order_rejected`.
        """
