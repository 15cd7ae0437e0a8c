"""Every payload of the gateway's document as a struct (sections 2, 3 and appendix A).

Unknown fields are ignored, numbers in text are numbers. Every number that is money is a Decimal of
the digits that came. `encoded` writes a value as it came: what was left out stays left out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

ENTITY_ID = r"\A[0-9A-Za-z-]{1,64}\Z"
EntityId = Annotated[str, Meta(pattern=ENTITY_ID)]
# What ccxt leaves out, or writes null for, as the exchange's answer goes (section 3).
Number = Decimal | None | UnsetType
Text = str | None | UnsetType
Flag = bool | None | UnsetType

Side = Literal["BUY", "SELL"]
OrderType = Literal["LIMIT", "MARKET", "TRAILING_STOP"]
StopType = Literal["LIMIT", "MARKET"]
TradeType = Literal["SPOT", "FUTURES"]
StrategyType = Literal["AUTOMATED", "MANUAL"]
MarginType = Literal["ISOLATED", "CROSSED"]
Interval = Literal["1d", "1M"]
Language = Literal["EN", "AR"]

_encoder = msgspec.json.Encoder(decimal_format="number")


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Names of the wire are camel case."""


class Page[T](Wire, frozen=True, kw_only=True):
    """`next_token` None is the last page; it goes back unchanged."""

    items: list[T]
    next_token: Text = UNSET


def encoded(value: object) -> bytes:
    """JSON as the gateway writes it: decimals are numbers, digit by digit."""
    return _encoder.encode(value)


def told[T](value: T | UnsetType) -> T | None:
    """A value, or None for one that was left out."""
    return None if isinstance(value, UnsetType) else value


# -- errors (section 2) ----------------------------------------------------------------------------


class FieldError(Wire, frozen=True, kw_only=True):
    """One row of a 422; `value` is what was sent, of any type."""

    msg: str
    param: str = ""
    location: str = ""
    value: Any = UNSET


class ValidationBody(Wire, frozen=True, kw_only=True):
    """HTTP 422."""

    errors: list[FieldError]


class ExternalBody(Wire, frozen=True, kw_only=True):
    """HTTP 433: `text (CODE)`."""

    error: str


class MessageBody(Wire, frozen=True, kw_only=True):
    """HTTP 404, of an id in the path that is unknown too."""

    message: str


# -- public ----------------------------------------------------------------------------------------


class Ticker(Wire, frozen=True, kw_only=True):
    """No bid, no ask, no sizes. `timestamp` in milliseconds, `percentage` 1.5 is 1.5 %."""

    symbol: str
    last: Decimal
    timestamp: int | UnsetType | None = UNSET
    datetime: Text = UNSET
    high: Number = UNSET
    low: Number = UNSET
    vwap: Number = UNSET
    open: Number = UNSET
    close: Number = UNSET
    change: Number = UNSET
    percentage: Number = UNSET
    average: Number = UNSET
    base_volume: Number = UNSET
    quote_volume: Number = UNSET


class Plan(Wire, frozen=True, kw_only=True):
    """A subscription that can be bought; limits are in USD."""

    id: EntityId
    name: str
    monthly_price_usd: Decimal = field(name="monthlyPriceUSD")
    max_balance_usd: Decimal = field(name="maxBalanceUSD")
    max_api_key: int
    strategy_automated: bool


class RiskProfile(Wire, frozen=True, kw_only=True):
    """`percentage` 1.5 is 1.5 %."""

    id: EntityId
    name: str
    percentage: Decimal
    created_at: str
    updated_at: str


class Strategy(Wire, frozen=True, kw_only=True):
    id: EntityId
    active: bool
    name: str
    description: str | None = None
    exchange_id: str
    symbol: str
    created_at: str
    updated_at: str


class StrategyPeriod(Wire, frozen=True, kw_only=True):
    """From `start` to before `end_at` (dates). `net_profit_percent` 1.5 is 1.5 %.

    `win_rate` and `max_draw_down` are fractions (section 5, 13).
    """

    start: str
    end_at: str
    net_profit_percent: Decimal | None
    win_rate: Decimal | None
    max_draw_down: Decimal | None
    trades: int
    long: int
    short: int


class StrategyPerformance(Wire, frozen=True, kw_only=True):
    """One `StrategyPeriod` of all that was asked for."""

    net_profit_percent: Decimal | None
    win_rate: Decimal | None
    max_draw_down: Decimal | None
    trades: int
    long: int
    short: int


# -- account ---------------------------------------------------------------------------------------


class Profile(Wire, frozen=True, kw_only=True):
    """`country` is ISO 3166 alpha-2."""

    last_name: str | None
    first_name: str | None
    country: str | None
    language: str
    timezone: str | None
    created_at: str
    updated_at: str


class ProfileChange(Wire, frozen=True, kw_only=True, omit_defaults=True):
    last_name: str | UnsetType = UNSET
    first_name: str | UnsetType = UNSET
    country: str | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    timezone: str | UnsetType = UNSET


class TotalBalance(Wire, frozen=True, kw_only=True):
    """Over all active keys."""

    usd: Decimal = field(name="USD")


class ExchangeKey(Wire, frozen=True, kw_only=True):
    """`api_key` is the exchange's, in clear: it is shown nowhere (section 5, 14)."""

    id: EntityId
    exchange_id: str
    trade_type: TradeType
    strategy_type: StrategyType
    active: bool
    name: str
    api_key_status: Literal["AUTHORIZED", "UNAUTHORIZED", "FAILED"]
    api_key: str
    created_at: str
    updated_at: str

    def __repr__(self) -> str:
        return f"ExchangeKey(id={self.id!r}, name={self.name!r}, api_key=[secret])"


class NewExchangeKey(Wire, frozen=True, kw_only=True):
    """The body that hands an exchange's key and secret to the gateway."""

    exchange_id: str
    trade_type: TradeType
    strategy_type: StrategyType
    active: bool | UnsetType = UNSET
    name: str
    api_key: str
    api_secret_key: str

    def __repr__(self) -> str:
        return f"NewExchangeKey(name={self.name!r}, api_key=[secret], api_secret_key=[secret])"


class KeyChange(Wire, frozen=True, kw_only=True):
    name: str


class KeyBalance(Wire, frozen=True, kw_only=True):
    """By currency."""

    free: dict[str, Decimal]
    used: dict[str, Decimal]
    total: dict[str, Decimal]


class DayBalance(Wire, frozen=True, kw_only=True):
    date: str
    total_usd: Decimal = field(name="totalUSD")


class NotificationMethod(Wire, frozen=True, kw_only=True):
    """`telegram_auth_code` links the account to a chat: treat it as a secret."""

    telegram_bot_url: str
    telegram_auth_code: str
    telegram_active: bool
    created_at: str
    updated_at: str

    def __repr__(self) -> str:
        return f"NotificationMethod(telegram_active={self.telegram_active}, auth code [secret])"


class Notifications(Wire, frozen=True, kw_only=True):
    weekly_report: bool
    monthly_report: bool
    email_new_order: bool
    email_take_profit: bool
    email_stop_loss: bool
    telegram_new_order: bool
    telegram_take_profit: bool
    telegram_stop_loss: bool
    created_at: str
    updated_at: str


class NotificationChange(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """Telegram's can be set only where the account is linked (422)."""

    weekly_report: bool | UnsetType = UNSET
    monthly_report: bool | UnsetType = UNSET
    email_new_order: bool | UnsetType = UNSET
    email_take_profit: bool | UnsetType = UNSET
    email_stop_loss: bool | UnsetType = UNSET
    telegram_new_order: bool | UnsetType = UNSET
    telegram_take_profit: bool | UnsetType = UNSET
    telegram_stop_loss: bool | UnsetType = UNSET


class SubscriptionType(Wire, frozen=True, kw_only=True):
    id: EntityId
    name: str
    max_balance_usd: Decimal = field(name="maxBalanceUSD")
    max_api_key: int
    strategy_automated: bool


class Subscription(Wire, frozen=True, kw_only=True):
    payment_type: str
    subscription_type: SubscriptionType = field(name="SubscriptionType")


class StripePlan(Wire, frozen=True, kw_only=True):
    """`amount` in cents."""

    amount: int
    currency: str
    interval: Literal["day", "week", "month", "year"]
    trial_period_days: int | None


class StripeSubscription(Wire, frozen=True, kw_only=True):
    cancel_at_period_end: bool
    cancel_at: str | None
    current_period_start: str
    current_period_end: str
    trial_start: str | None
    trial_end: str | None
    plan: StripePlan


class StripeChange(Wire, frozen=True, kw_only=True, omit_defaults=True):
    cancel_at_period_end: bool | UnsetType = UNSET
    subscription_id: str | UnsetType = UNSET


class CheckoutRequest(Wire, frozen=True, kw_only=True):
    subscription_id: str


class Checkout(Wire, frozen=True, kw_only=True):
    url: str
    success_url: str
    cancel_url: str


class Bill(Wire, frozen=True, kw_only=True):
    """`amount_paid` in cents."""

    number: str
    currency: str
    amount_paid: int
    period_start: str | None
    period_end: str | None
    hosted_url: str
    pdf: str
    created_at: str


# -- the gateway's own records of trades -----------------------------------------------------------


class ManualTrade(Wire, frozen=True, kw_only=True):
    """No symbol and no side: not enough to reconcile by."""

    order_id: str
    price: Decimal | None
    amount: Decimal
    cost: Decimal | None
    stop: Decimal | None
    stop_type: StopType | None
    take_profit: list[Decimal] | None
    trailing_trigger_price: Decimal | None
    callback_rate: Decimal | None
    risk_profile_percent: Decimal | None
    created_at: str


class TriggeredStrategy(Wire, frozen=True, kw_only=True):
    name: str
    exchange_id: str
    symbol: str


class StrategyTrigger(Wire, frozen=True, kw_only=True):
    strategy_automated: TriggeredStrategy = field(name="StrategyAutomated")
    trade_side: Side


class StrategyTrade(ManualTrade, frozen=True, kw_only=True):
    leverage: Decimal | None
    trigger: StrategyTrigger = field(name="StrategyAutomatedTrigger")


# -- the exchange, through a key -------------------------------------------------------------------


class Fee(Wire, frozen=True, kw_only=True):
    cost: Number = UNSET
    currency: Text = UNSET


class Order(Wire, frozen=True, kw_only=True):
    """ccxt's unified order. `type` and `side` are lower case.

    Orders that close a position have null `amount` and `remaining`. A stop that was triggered is
    of type `market` with its `stop_price`.
    """

    id: EntityId
    symbol: str
    type: str
    side: Literal["buy", "sell"]
    status: Text = UNSET
    client_order_id: Text = UNSET
    timestamp: int | UnsetType | None = UNSET
    datetime: Text = UNSET
    time_in_force: Text = UNSET
    post_only: Flag = UNSET
    reduce_only: Flag = UNSET
    price: Number = UNSET
    stop_price: Number = UNSET
    amount: Number = UNSET
    cost: Number = UNSET
    average: Number = UNSET
    filled: Number = UNSET
    remaining: Number = UNSET
    fee: Fee | UnsetType | None = UNSET
    trades: list[msgspec.Raw] | UnsetType | None = UNSET
    fees: list[Fee] | UnsetType | None = UNSET


class Trade(Wire, frozen=True, kw_only=True):
    """One execution: `order` is the exchange's order id."""

    id: EntityId
    order: EntityId
    symbol: str
    side: Literal["buy", "sell"]
    price: Decimal
    amount: Decimal
    datetime: str
    cost: Number = UNSET
    type: Text = UNSET
    taker_or_maker: Text = UNSET
    fee: Fee | UnsetType | None = UNSET
    fees: list[Fee] | UnsetType | None = UNSET


class Position(Wire, frozen=True, kw_only=True):
    """One-way. Quantity is `contracts * contract_size`; how a flat one looks is not documented.

    `leverage` is a multiple; `percentage` -1.89 is -1.89 %, the other percentages are fractions.
    """

    symbol: Text = UNSET
    side: Text = UNSET
    contracts: Number = UNSET
    contract_size: Number = UNSET
    unrealized_pnl: Number = UNSET
    leverage: Number = UNSET
    liquidation_price: Number = UNSET
    collateral: Number = UNSET
    notional: Number = UNSET
    mark_price: Number = UNSET
    entry_price: Number = UNSET
    initial_margin: Number = UNSET
    initial_margin_percentage: Number = UNSET
    maintenance_margin: Number = UNSET
    maintenance_margin_percentage: Number = UNSET
    margin_ratio: Number = UNSET
    datetime: Text = UNSET
    margin_mode: Text = UNSET
    margin_type: Text = UNSET
    hedged: Flag = UNSET
    percentage: Number = UNSET


class NewOrder(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """An order with its targets and its stop: one request, several orders at the exchange.

    `price` is of LIMIT, and of TRAILING_STOP the price at which it begins to follow.
    `callback_rate` is in percent (0.1 to 5). Targets and stop do not go with TRAILING_STOP.
    """

    symbol: str
    type: OrderType
    side: Side
    amount: Decimal
    price: Decimal | UnsetType = UNSET
    take_profit_prices: list[Decimal] | UnsetType = UNSET
    stop_trigger_price: Decimal | UnsetType = UNSET
    stop_trigger_type: StopType | UnsetType = UNSET
    stop_price: Decimal | UnsetType = UNSET
    callback_rate: Decimal | UnsetType = UNSET
    risk_profile_percent: Decimal | UnsetType = UNSET


class SymbolRequest(Wire, frozen=True, kw_only=True):
    """What a position is closed by."""

    symbol: str


class LeverageRequest(Wire, frozen=True, kw_only=True):
    symbol: str
    leverage: int


class MarginRequest(Wire, frozen=True, kw_only=True):
    symbol: str
    type: MarginType


# -- following a strategy --------------------------------------------------------------------------


class FollowedStrategy(Wire, frozen=True, kw_only=True):
    id: EntityId
    active: bool
    exchange_id: str
    symbol: str


class FollowedRisk(Wire, frozen=True, kw_only=True):
    id: EntityId
    percentage: Decimal


class Follow(Wire, frozen=True, kw_only=True):
    """A strategy of the gateway's that trades with the key while `active`."""

    id: EntityId
    active: bool
    created_at: str
    updated_at: str
    strategy: FollowedStrategy = field(name="StrategyAutomated")
    risk_profile: FollowedRisk = field(name="StrategyRiskProfile")


class NewFollow(Wire, frozen=True, kw_only=True, omit_defaults=True):
    strategy_automated_id: str
    strategy_risk_profile_id: str
    active: bool | UnsetType = UNSET


class FollowChange(Wire, frozen=True, kw_only=True, omit_defaults=True):
    active: bool | UnsetType = UNSET
    strategy_automated_id: str | UnsetType = UNSET
    strategy_risk_profile_id: str | UnsetType = UNSET
