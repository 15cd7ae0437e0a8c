"""Every payload of the venue's document as a struct (sections 1 and 3).

Decoders are lax about numbers in text and text in numbers, because the venue is: precisions come
as strings, `created_on` as either. Unknown fields are ignored. Money is text (hot paths) or
Decimal; `parse.decimal` bounds it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Envelope(msgspec.Struct, frozen=True):
    """The frame around every REST answer: success is `code == 0` and nothing else."""

    code: int
    message: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class WrappedError(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class WrappedMessage(msgspec.Struct, frozen=True):
    """What the message of code -2 holds as JSON text."""

    error: WrappedError


class Market(msgspec.Struct, frozen=True):
    """`/markets`; the details are None without `show_details`."""

    id: str
    name: str
    price_precision: int | None = None
    amount_precision: int | None = None
    ask_precision: int | None = None
    bid_precision: int | None = None
    usd_precision: int | None = None
    enabled: bool = True
    minimum_trading_amount: Decimal | None = None
    display_name: str | None = None
    group: str | None = None


class Ticker(msgspec.Struct, frozen=True):
    """`ticker` of `/tickers/{market}`: `buy` is the best bid, `sell` the best ask."""

    buy: Decimal
    sell: Decimal
    low: Decimal
    high: Decimal
    last: Decimal
    vol: Decimal


class TickerAt(msgspec.Struct, frozen=True):
    """`/tickers/{market}` (without `market`) and rows of `/tickers_multi`; `at` in seconds."""

    at: int
    ticker: Ticker
    market: str | None = None


class MarketTicker(msgspec.Struct, frozen=True):
    """A value of `/tickers` and of the `tickers` event, whose `open` is a JSON float."""

    buy: Decimal
    sell: Decimal
    low: Decimal
    high: Decimal
    last: Decimal
    volume: Decimal
    at: int
    name: str = ""
    display_name: str = ""
    base_unit: str = ""
    quote_unit: str = ""
    position: int | None = None
    first: Decimal | None = None
    open: Decimal | None = None
    h24_trend: Decimal | None = None


class OrderBook(msgspec.Struct, frozen=True):
    """`/order_book`: both sides high to low; `timestamp` in seconds."""

    timestamp: int
    asks: list[tuple[str, str]]
    bids: list[tuple[str, str]]
    market: str | None = None


class Trade(msgspec.Struct, frozen=True):
    """`/trades`; `side` is the taker's (`bid`, `ask`) or null."""

    id: int
    price: str
    volume: str
    market: str
    created_on: int
    funds: Decimal | None = None
    created_at: str | None = None
    side: str | None = None


# `/k`: [open time in seconds, open, high, low, close, volume]
Candle = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]


class FeeRate(msgspec.Struct, frozen=True):
    type: str
    value: Decimal


class TradingFee(msgspec.Struct, frozen=True):
    """`/fees/trading`: per side, not maker and taker."""

    market: str
    ask_fee: FeeRate
    bid_fee: FeeRate


class ApiKey(msgspec.Struct, frozen=True):
    """`/key`; `ips` is a list, or a string with commas."""

    scopes: list[str]
    apikey_id: str
    state: str
    id: str | int | None = None
    ips: list[str] | str | None = None
    created_at: str | None = None
    pub_key: str | None = None
    alias_name: str | None = None


class Account(msgspec.Struct, frozen=True):
    """`balance` is what is free, `locked` what orders hold."""

    currency: str
    balance: Decimal
    locked: Decimal


class Member(msgspec.Struct, frozen=True):
    accounts: list[Account]


class Order(msgspec.Struct, frozen=True):
    """An order as every endpoint gives it; `market_id` instead of `market` in `/orders/filter`."""

    id: int
    side: str
    volume: Decimal
    state: str
    ord_type: str = "limit"
    price: Decimal | None = None
    avg_price: Decimal | None = None
    remaining_volume: Decimal | None = None
    executed_volume: Decimal = Decimal(0)
    trades_count: int | None = None
    created_on: int | None = None
    created_at: str | None = None
    market: str | None = None
    market_id: str | None = None
    market_name: str | None = None
    market_display_name: str | None = None
    stop_price: Decimal | None = None
    trigger_condition: str | None = None


class OrderGroup(msgspec.Struct, frozen=True):
    """`/orders/filter`: one per state asked for, in no fixed order."""

    state: str
    orders: list[Order]
    num_of_orders: int | None = None


class Withdrawal(msgspec.Struct, frozen=True):
    """A withdrawal; times in seconds or ISO text."""

    id: int
    currency: str
    amount: Decimal
    state: str
    fee: Decimal | None = None
    chain_name: str | None = None
    type: str | None = None
    blockchain_txid: str | None = None
    rid: str | None = None
    is_combination_address: bool | None = None
    address: str | None = None
    memo: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    done_at: str | None = None
    created_on: int | None = None
    updated_on: int | None = None
    completed_on: int | None = None


class Withdrawals(msgspec.Struct, frozen=True):
    num_of_resources: int
    resources: list[Withdrawal]


class DepositAddress(msgspec.Struct, frozen=True):
    currency: str
    address: str


class ChainAddress(msgspec.Struct, frozen=True):
    chain_name: str
    currency_id: str
    address: str
    memo: str | None = None
    deposit_status: str | None = None


class DepositAddresses(msgspec.Struct, frozen=True):
    currency_id: str
    num_of_resources: int
    resources: list[ChainAddress]
    display_name: str | None = None


class DepositAddressesData(msgspec.Struct, frozen=True):
    """`/deposit_addresses` nests its data in another `data`."""

    data: DepositAddresses


class Deposit(msgspec.Struct, frozen=True):
    id: int
    currency: str
    amount: Decimal
    state: str
    fee: Decimal | None = None
    txid: str | None = None
    is_combination_address: bool | None = None
    address: str | None = None
    memo: str | None = None
    confirmations: int | None = None
    created_at: str | None = None
    created_on: int | None = None
    completed_at: str | None = None
    completed_on: int | None = None


class Deposits(msgspec.Struct, frozen=True):
    num_of_resources: int
    resources: list[Deposit]


class PushFrame(msgspec.Struct):
    """One Pusher frame; `data` is a JSON text of JSON text, or an object (section 3.1)."""

    event: str
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class PushBook(msgspec.Struct):
    """`update`: the whole book, best levels first."""

    asks: list[tuple[str, str]]
    bids: list[tuple[str, str]]


class PushTrade(msgspec.Struct):
    """A trade; `type` is the taker's side, `date` in seconds."""

    tid: int
    type: str
    date: int
    price: str
    amount: str


class PushTrades(msgspec.Struct):
    trades: list[PushTrade]


class PushGreeting(msgspec.Struct):
    socket_id: str
    activity_timeout: float | None = None


class PushError(msgspec.Struct):
    """`pusher:error`; `code` is null for a second subscription, absent for a bad signature."""

    message: str = ""
    code: int | None = None
