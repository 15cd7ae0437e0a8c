"""Every payload of the venue as a msgspec struct (document sections 1, 2, 4, 5).

Prices, quantities and amounts travel as JSON strings, times as integer milliseconds. Structs of
REST and of the private stream hold Decimals; those of the public stream keep the text, because
their prices become NautilusTrader objects directly. `quantity` is base, `amount` is quote.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

MAX_SCALE = 16  # NautilusTrader's largest precision

Millis = Annotated[int, Meta(ge=0, le=4_102_444_800_000 * 10)]
Scale = Annotated[int, Meta(ge=0, le=MAX_SCALE)]
Flag = bool | str  # booleans come as JSON booleans or as text


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Base of the venue's objects: camelCase names, unknown fields ignored."""


# -- public REST (section 1) ----------------------------------------------------------------------


class TradeLimit(Wire, frozen=True):
    symbol: str
    price_scale: Scale
    quantity_scale: Scale
    amount_scale: Scale
    min_quantity: Decimal
    min_amount: Decimal
    highest_bid: Decimal = Decimal(0)
    lowest_ask: Decimal = Decimal(0)


class CrossMargin(Wire, frozen=True):
    support_cross_margin: bool = False
    max_leverage: int = 0


class Market(Wire, frozen=True):
    symbol: str
    base_currency_name: str
    quote_currency_name: str
    state: str
    symbol_trade_limit: TradeLimit
    display_name: str = ""
    visible_start_time: int = 0
    tradable_start_time: int = 0
    cross_margin: CrossMargin | None = None


class Currency(Wire, frozen=True):
    id: int
    name: str
    withdrawal_fee: Decimal
    min_conf: int
    description: str = ""
    type: str = ""
    deposit_address: str | None = None
    blockchain: str = ""
    delisted: bool = False
    trading_state: str = ""
    wallet_state: str = ""
    parent_chain: str | None = None
    is_multi_chain: bool = False
    is_child_chain: bool = False
    child_chains: list[str] = []


class Network(Wire, frozen=True):
    id: int
    coin: str
    name: str
    blockchain: str
    currency_type: str = ""
    withdrawal_enable: bool = False
    deposit_enable: bool = False
    deposit_address: str | None = None
    withdraw_min: Decimal | None = None
    decimals: int = 0
    withdraw_fee: Decimal | None = None
    min_confirm: int = 0
    contract_address: str | None = None


class CurrencyV2(Wire, frozen=True):
    id: int
    coin: str
    name: str
    delisted: bool = False
    trade_enable: bool = False
    support_collateral: bool = False
    support_borrow: bool = False
    network_list: list[Network] = []


class ServerTime(Wire, frozen=True):
    server_time: Millis


class MarketPrice(Wire, frozen=True):
    symbol: str
    price: Decimal
    time: Millis
    daily_change: Decimal = Decimal(0)
    ts: Millis = 0


class MarkPrice(Wire, frozen=True):
    symbol: str
    mark_price: Decimal
    time: Millis


class MarkPriceComponent(Wire, frozen=True):
    symbol: str
    exchange: str
    symbol_price: Decimal
    weight: Decimal
    convert_price: Decimal


class MarkPriceComponents(Wire, frozen=True):
    symbol: str
    ts: Millis
    mark_price: Decimal
    components: list[MarkPriceComponent] = []


class OrderBook(Wire, frozen=True):
    """`asks` and `bids` are flat: price, quantity, price, quantity..., best first; no id."""

    time: Millis
    asks: list[str]
    bids: list[str]
    ts: Millis
    scale: str = ""


class Candle(msgspec.Struct, frozen=True, array_like=True):
    """A 14-element array. The order is low, high, open, close (trap 2)."""

    low: str
    high: str
    open: str
    close: str
    amount: str
    quantity: str
    buy_taker_amount: str
    buy_taker_quantity: str
    trade_count: int
    ts: int
    weighted_average: str
    interval: str
    start_time: Millis
    close_time: Millis


class PublicTrade(Wire, frozen=True):
    id: str
    price: str
    quantity: str
    amount: Decimal
    taker_side: str
    ts: Millis
    create_time: Millis


class Ticker24h(Wire, frozen=True):
    symbol: str
    open: Decimal
    low: Decimal
    high: Decimal
    close: Decimal
    quantity: Decimal
    amount: Decimal
    trade_count: int
    start_time: Millis
    close_time: Millis
    display_name: str = ""
    daily_change: Decimal = Decimal(0)
    bid: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask: Decimal | None = None
    ask_quantity: Decimal | None = None
    mark_price: Decimal | None = None
    ts: Millis = 0


# -- private REST (section 2) ---------------------------------------------------------------------


class Account(Wire, frozen=True):
    account_id: str
    account_type: str
    account_state: str


class Balance(Wire, frozen=True):
    currency: str
    available: Decimal
    hold: Decimal
    currency_id: str = ""


class AccountBalances(Wire, frozen=True):
    account_id: str
    account_type: str
    balances: list[Balance]


class FeeInfo(Wire, frozen=True):
    trx_discount: bool
    maker_rate: Decimal
    taker_rate: Decimal
    volume30_d: Decimal = msgspec.field(name="volume30D", default=Decimal(0))


class Created(Wire, frozen=True):
    """Answer to a create or a replace: ids only, no state (section 2)."""

    id: str
    client_order_id: str | None = ""


class BatchItem(Wire, frozen=True):
    """One element of a batch create: created (`id`), or failed (`code`)."""

    id: str = ""
    client_order_id: str | None = ""
    code: int = 200
    message: str | None = ""


class CancelItem(Wire, frozen=True):
    """One cancel: `code` 200 means PENDING_CANCEL, not cancelled (trap 9)."""

    code: int
    order_id: str = ""
    client_order_id: str | None = ""
    state: str = ""
    message: str | None = ""


class Order(Wire, frozen=True):
    id: str
    symbol: str
    state: str
    side: str
    type: str
    quantity: Decimal
    client_order_id: str | None = ""
    account_type: str = "SPOT"
    time_in_force: str = "GTC"
    price: Decimal = Decimal(0)
    avg_price: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    filled_quantity: Decimal = Decimal(0)
    filled_amount: Decimal = Decimal(0)
    create_time: int = 0
    update_time: int = 0
    order_source: str = ""


class SmartOrder(Wire, frozen=True):
    id: str
    symbol: str
    state: str
    side: str
    type: str
    quantity: Decimal
    client_order_id: str | None = ""
    account_type: str = "SPOT"
    time_in_force: str = "GTC"
    price: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    stop_price: Decimal = Decimal(0)
    create_time: int = 0
    update_time: int = 0
    triggered_order: Order | None = None


class Trade(Wire, frozen=True):
    """One execution. `id` may repeat across symbols, `page_id` is unique (section 2)."""

    id: str
    symbol: str
    order_id: str
    side: str
    create_time: Millis
    price: Decimal
    quantity: Decimal
    amount: Decimal
    fee_currency: str
    fee_amount: Decimal
    type: str = ""
    match_role: str = ""
    account_type: str = "SPOT"
    page_id: str = ""
    client_order_id: str | None = ""


class KillSwitch(Wire, frozen=True):
    start_time: Millis
    cancellation_time: Millis


# -- WebSocket (sections 4 and 5) -----------------------------------------------------------------

Pair = tuple[str, str]


class BookRow(Wire, frozen=True, gc=False):
    """`lastId` chains to the `id` of the frame before; ids jump. The `book` channel has none."""

    symbol: str
    create_time: int
    asks: list[Pair]
    bids: list[Pair]
    ts: Millis
    id: int = -1
    last_id: int = -1


class BookFrame(Wire, frozen=True, gc=False):
    data: list[BookRow]
    action: str = ""


class TradeRow(Wire, frozen=True, gc=False):
    """`quantity` is base, `amount` is quote; `takerSide` is lower case here (trap 3)."""

    symbol: str
    quantity: str
    taker_side: str
    create_time: Millis
    price: str
    id: str
    amount: str = ""
    ts: int = 0


class TradeFrame(Wire, frozen=True, gc=False):
    data: list[TradeRow]


class CandleRow(Wire, frozen=True):
    symbol: str
    open: str
    high: str
    low: str
    close: str
    quantity: str
    start_time: Millis
    close_time: Millis
    ts: Millis
    amount: str = ""
    trade_count: int = 0


class TickerRow(Wire, frozen=True):
    symbol: str
    close: str
    ts: Millis
    mark_price: str | None = None
    open: str = ""
    high: str = ""
    low: str = ""
    quantity: str = ""
    amount: str = ""
    trade_count: int = 0
    daily_change: str = ""
    start_time: int = 0
    close_time: int = 0


class SymbolRow(Wire, frozen=True):
    symbol: str
    state: str


class ExchangeRow(msgspec.Struct, frozen=True):
    """Venue-wide modes: maintenance, and post-only."""

    mm: Flag = msgspec.field(name="MM", default=False)
    pom: Flag = msgspec.field(name="POM", default=False)


class Envelope(Wire, frozen=True):
    """Any frame of either WebSocket, its `data` not decoded yet."""

    channel: str | None = None
    event: str | None = None
    action: str | None = None
    id: str | int | None = None
    message: str | None = None
    symbols: list[str] | None = None
    data: Raw = Raw(b"")


class AuthResult(Wire, frozen=True):
    """`data` of the `auth` channel: an object, not a list (trap 6)."""

    success: bool
    message: str = ""
    ts: int = 0


class OrderRow(Wire, frozen=True):
    """One event of the `orders` channel. `price` is the limit, never the execution's price."""

    symbol: str
    type: str
    order_id: str
    event_type: str
    side: str
    state: str
    quantity: Decimal
    price: Decimal
    filled_quantity: Decimal
    filled_amount: Decimal
    client_order_id: str | None = ""
    account_type: str = "SPOT"
    source: str = "UNKNOWN"
    match_role: str | None = None
    order_amount: Decimal = Decimal(0)
    trade_qty: Decimal = Decimal(0)
    trade_price: Decimal = Decimal(0)
    trade_amount: Decimal = Decimal(0)
    trade_fee: Decimal = Decimal(0)
    fee_currency: str = ""
    trade_id: str = "0"
    trade_time: int = 0
    create_time: int = 0
    ts: int = 0


class BalanceRow(Wire, frozen=True):
    """Absolute values of one currency: merge, don't replace the account."""

    currency: str
    available: Decimal
    hold: Decimal
    event_type: str = ""
    account_id: str = ""
    account_type: str = "SPOT"
    user_id: int = 0
    id: int = 0
    change_time: int = 0
    ts: int = 0


class RequestItem(Wire, frozen=True):
    """One answer to a trade request; `orderId` is a number above 2**53, 0 on failure (trap 7)."""

    order_id: int | str
    code: int
    client_order_id: str | None = ""
    message: str | None = ""
