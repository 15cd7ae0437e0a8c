"""The values of the simulated exchange: markets, orders, trades, ledger entries.

Prices are in quote currency per base unit, quantities in base units, times in nanoseconds since
the epoch. Currencies are upper case.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec

from fairlead.engine.orders.model import Side, Tif, TriggerCondition

ZERO = Decimal(0)
ORDER_VALUE_MAX = Decimal(10) ** 15  # largest price, quantity or amount taken from a request


class FeeSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Fee rates as fractions of the executed value, by side and by liquidity.

    The seller pays in quote currency; the buyer in base where `buyer_pays_base`, else in quote.
    """

    buy_maker: Decimal = ZERO
    buy_taker: Decimal = ZERO
    sell_maker: Decimal = ZERO
    sell_taker: Decimal = ZERO
    buyer_pays_base: bool = True

    @staticmethod
    def per_side(buy: Decimal, sell: Decimal) -> FeeSchedule:
        """Rates that depend on the side only (OceanEx)."""
        return FeeSchedule(buy_maker=buy, buy_taker=buy, sell_maker=sell, sell_taker=sell)

    @staticmethod
    def maker_taker(maker: Decimal, taker: Decimal, *, buyer_pays_base: bool = True) -> FeeSchedule:
        """Rates that depend on liquidity only (Poloniex)."""
        return FeeSchedule(
            buy_maker=maker,
            buy_taker=taker,
            sell_maker=maker,
            sell_taker=taker,
            buyer_pays_base=buyer_pays_base,
        )

    def rate(self, side: Side, *, is_maker: bool) -> Decimal:
        if side is Side.BUY:
            return self.buy_maker if is_maker else self.buy_taker
        return self.sell_maker if is_maker else self.sell_taker

    @property
    def buy_quote_rate_max(self) -> Decimal:
        """The largest fee a buy hold must cover in quote currency."""
        return ZERO if self.buyer_pays_base else max(self.buy_maker, self.buy_taker)


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One market. Steps are 10^-precision; `min_notional` must be exceeded, 0 is no limit."""

    id: str
    base: str
    quote: str
    price_precision: int
    size_precision: int
    fees: FeeSchedule = FeeSchedule()
    min_notional: Decimal = ZERO
    min_quantity: Decimal = ZERO

    @property
    def tick(self) -> Decimal:
        return Decimal(1).scaleb(-self.price_precision)

    @property
    def size_step(self) -> Decimal:
        return Decimal(1).scaleb(-self.size_precision)


class Offset(msgspec.Struct, frozen=True):
    """A distance in price, or a share of it (`is_ratio`: 0.05 is 5 %)."""

    value: Decimal
    is_ratio: bool = False


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """How a trailing stop follows the best price since it began.

    It begins once a trade satisfies `operator` for `activation`, at once without one. `limit` is
    how far beyond the trigger the limit order's price is; None becomes a market order.
    """

    offset: Offset
    limit: Offset | None = None
    activation: Decimal | None = None
    operator: TriggerCondition | None = None


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What an account asks for.

    `price` None is a market order. A market buy may name `quote_amount` to spend in place of
    `quantity`. An order with a `trigger_price` waits until the last trade price satisfies
    `trigger_condition`.
    """

    market: str
    side: Side
    quantity: Decimal | None = None
    price: Decimal | None = None
    quote_amount: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_condition: TriggerCondition | None = None
    time_in_force: Tif = Tif.GTC
    post_only: bool = False
    client_order_id: str | None = None
    self_trade: Literal["allow", "expire_taker"] | None = None  # None: the exchange's option
    trail: Trail | None = None  # of a stop whose trigger price follows the market
    slippage: Decimal | None = None  # of a market order: share of the best price it may be worse


class RefusalCode(StrEnum):
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    UNKNOWN_MARKET = "UNKNOWN_MARKET"
    MARKET_HALTED = "MARKET_HALTED"
    BAD_ORDER = "BAD_ORDER"
    BAD_PRICE = "BAD_PRICE"
    BAD_QUANTITY = "BAD_QUANTITY"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    DUPLICATE_CLIENT_ID = "DUPLICATE_CLIENT_ID"
    WOULD_TAKE = "WOULD_TAKE"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOT_OPEN = "NOT_OPEN"


class Refusal(msgspec.Struct, frozen=True):
    """A definite no. `subject` is the order that the refusal is about, where there is one."""

    code: RefusalCode
    message: str
    subject: SimOrder | None = None


class Status(StrEnum):
    WAIT_TRIGGER = "wait_trigger"
    OPEN = "open"
    CANCELLING = "cancelling"  # cancel accepted; matchable until it settles
    FILLED = "filled"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self in (Status.FILLED, Status.CANCELED)


class SimOrder(msgspec.Struct, kw_only=True):
    """One order of an account, changed in place by the exchange only.

    `funds` is the executed value in quote currency. `hold` is what remains locked for it.
    """

    id: int
    account: str
    market: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    quote_amount: Decimal | None
    trigger_price: Decimal | None
    trigger_condition: TriggerCondition | None
    time_in_force: Tif
    post_only: bool
    client_order_id: str | None
    ts_created: int
    ts_updated: int
    status: Status
    hold_currency: str
    hold: Decimal = ZERO
    executed: Decimal = ZERO
    funds: Decimal = ZERO
    trades_count: int = 0
    ts_triggered: int | None = None
    reason: str = ""
    self_trade: Literal["allow", "expire_taker"] | None = None
    worst_price: Decimal | None = None
    trail: Trail | None = None
    is_trailing: bool = False  # the trail began: the activation price was reached

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed

    @property
    def is_market(self) -> bool:
        return self.price is None

    @property
    def avg_price(self) -> Decimal | None:
        return self.funds / self.executed if self.executed else None


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tape. Order ids are None for the market's own flow."""

    id: int
    market: str
    price: Decimal
    quantity: Decimal
    aggressor: Side
    ts_event: int
    maker_order_id: int | None = None
    taker_order_id: int | None = None


class OrderEntry(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """An order changed; `order` is a copy of it just after."""

    seq: int
    ts_event: int
    event: str  # accepted, triggered, amended, filled, cancelling, canceled
    order: SimOrder


class FillEntry(msgspec.Struct, frozen=True, kw_only=True, tag="fill"):
    """One account's side of a trade. `fee` is positive when paid."""

    seq: int
    ts_event: int
    trade_id: int
    order_id: int
    client_order_id: str | None
    account: str
    market: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    is_maker: bool


class BalanceEntry(msgspec.Struct, frozen=True, kw_only=True, tag="balance"):
    """A balance changed by the deltas, to `free` and `locked`. `reason` names the cause."""

    seq: int
    ts_event: int
    account: str
    currency: str
    free_delta: Decimal
    locked_delta: Decimal
    free: Decimal
    locked: Decimal
    reason: str


LedgerEntry = OrderEntry | FillEntry | BalanceEntry
