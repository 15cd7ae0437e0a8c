"""The futures wallet of the simulated Binance: positions, margins, and what is told of orders.

Sources: USD-M "Account Information V2/V3", "Position Information V2/V3". Positions are made of the
exchange's fills, as the venue makes them. All is cross margin in one asset; nothing is liquidated
and no funding is paid.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from fairlead.engine.orders.model import Side

ZERO = Decimal(0)
MAINTENANCE_RATE = Decimal("0.004")
LEVERAGE_MAX = 125


class Position(msgspec.Struct):
    """`amount` is negative when short. `side` is BOTH, or LONG and SHORT in hedge mode."""

    symbol: str
    side: str
    amount: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO  # before fees
    updated_ms: int = 0

    def add(self, side: Side, quantity: Decimal, price: Decimal, now_ms: int) -> Decimal:
        """One fill; the profit that it realized."""
        signed = quantity if side is Side.BUY else -quantity
        profit = ZERO
        if self.amount * signed >= 0:
            total = self.amount + signed
            self.entry = (self.entry * self.amount + price * signed) / total
        else:
            closed = min(quantity, abs(self.amount)).copy_sign(self.amount)
            profit = (price - self.entry) * closed
            total = self.amount + signed
            if total * self.amount <= 0:
                self.entry = price if total else ZERO
        self.amount, self.updated_ms = total, now_ms
        self.realized += profit
        return profit

    def unrealized(self, mark: Decimal) -> Decimal:
        return (mark - self.entry) * self.amount if self.amount else ZERO


class OrderMeta(msgspec.Struct):
    """What the venue knows of a futures order beside what the exchange matches.

    `asked` is the quantity that was asked for: a reduce-only order matches no more than the
    position has. `is_expired` is of one that the venue ended itself.
    """

    type: str
    time_in_force: str
    position_side: str
    is_reduce_only: bool
    is_closing: bool  # closePosition
    working_type: str
    asked: Decimal
    stop_price: Decimal = ZERO
    original_type: str = ""
    good_till_ms: int = 0
    is_expired: bool = False
    is_clipped_now: bool = False  # its quantity is changed by the venue, which is not told
    realized: Decimal = ZERO


class UsdmAccount:
    """Wallet, positions by symbol and side, leverage and modes."""

    def __init__(self, wallet: Decimal, leverage: int, symbols: Iterable[str]) -> None:
        self.wallet = wallet
        self.is_hedged = False
        self.symbols = tuple(symbols)
        self.leverages = dict.fromkeys(self.symbols, leverage)
        self.isolated: set[str] = set()  # told back; margins are computed as cross
        self.metas: dict[int, OrderMeta] = {}
        self._positions: dict[tuple[str, str], Position] = {}

    def position(self, symbol: str, side: str) -> Position:
        return self._positions.setdefault((symbol, side), Position(symbol, side))

    def sides(self) -> tuple[str, ...]:
        return ("LONG", "SHORT") if self.is_hedged else ("BOTH",)

    def told(self, symbol: str | None = None) -> list[Position]:
        """One for each symbol and side of the mode, flat ones too."""
        chosen = self.symbols if symbol is None else (symbol,)
        return [self.position(name, side) for name in chosen for side in self.sides()]

    def held(self) -> list[Position]:
        return [position for position in self._positions.values() if position.amount]

    def reducible(self, symbol: str, position_side: str, side: Side) -> Decimal:
        """How much an order of `side` could close."""
        amount = self.position(symbol, position_side).amount
        is_opposite = amount > 0 if side is Side.SELL else amount < 0
        return abs(amount) if is_opposite else ZERO

    def fill(
        self,
        symbol: str,
        meta: OrderMeta,
        side: Side,
        fill: tuple[Decimal, Decimal, Decimal],
        now_ms: int,
    ) -> Decimal:
        """Book quantity, price and fee of a fill; the profit that it realized."""
        quantity, price, fee = fill
        profit = self.position(symbol, meta.position_side).add(side, quantity, price, now_ms)
        meta.realized += profit
        self.wallet += profit - fee
        return profit
