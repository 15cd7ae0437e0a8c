"""Every payload of the venue's document as a struct (sections 2 and 3).

Decoders are lax about numbers in text and text in numbers; unknown fields are ignored. Every number
that is money is a Decimal of the digits that came, JSON numbers too. `parse` bounds them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

ORDER_ID = r"\A[0-9A-Za-z-]{1,36}\Z"
OrderId = Annotated[str, Meta(pattern=ORDER_ID)]

# -- REST ------------------------------------------------------------------------------------------


class Envelope(msgspec.Struct, frozen=True):
    """What all but `/api/v1/time` and v2 begin with: success is `err_code` 0, or none."""

    err_code: int = 0
    msg: str = ""


class ServerTime(msgspec.Struct, frozen=True):
    """`/api/v1/time`: milliseconds."""

    server_time: int


class Symbol(msgspec.Struct, frozen=True):
    """Fee rates are fractions; precisions count decimals."""

    symbol: str
    maker_fee: Decimal
    taker_fee: Decimal
    amount_precision: int
    price_precision: int


class Symbols(msgspec.Struct, frozen=True):
    """`/api/v1/symbols`."""

    data: list[Symbol]
    msg: str = ""
    err_code: int = 0


class BookRow(msgspec.Struct, frozen=True):
    price: Decimal
    volume: Decimal
    index: int | None = None


class OrderBook(msgspec.Struct, frozen=True):
    """`/api/v1/orderBook`; `ts` in seconds."""

    asks: list[BookRow]
    bids: list[BookRow]
    ts: int
    msg: str = ""
    err_code: int = 0


class Deal(msgspec.Struct, frozen=True):
    """A public trade without an id; `time` in milliseconds, `direct` 0 is a buy and 1 a sell."""

    time: int
    direct: int
    price: Decimal
    vol: Decimal


class Trades(msgspec.Struct, frozen=True):
    """`/api/v1/trades`: the document prints one trade where an array comes."""

    data: list[Deal] | Deal
    msg: str = ""
    err_code: int = 0

    @property
    def deals(self) -> list[Deal]:
        return self.data if isinstance(self.data, list) else [self.data]


class Ticker(msgspec.Struct, frozen=True):
    """`change` is in percent. Which of the last two is base is contradictory: use neither."""

    symbol: str
    last_price: Decimal
    open_price: Decimal
    high: Decimal
    low: Decimal
    change: Decimal
    amount_1d: Decimal
    volume_1d: Decimal


class OneTicker(msgspec.Struct, frozen=True):
    """`/api/v1/ticker`."""

    ticker: Ticker
    msg: str = ""
    err_code: int = 0


class Tickers(msgspec.Struct, frozen=True):
    """`/api/v1/tickers`: by quote currency, one ticker or several."""

    data: dict[str, list[Ticker] | Ticker]
    msg: str = ""
    err_code: int = 0

    @property
    def tickers(self) -> list[Ticker]:
        found = []
        for value in self.data.values():
            found += value if isinstance(value, list) else [value]
        return found


class AssetV2(msgspec.Struct, frozen=True):
    """`/api/v2/assets`; statuses 0 are open, but `status` 3 is enabled."""

    market: str
    deposit_status: int
    withdraw_status: int
    status: int
    withdraw_fee: Decimal
    withdraw_min: Decimal
    deposit_min: Decimal


class BookRowV2(msgspec.Struct, frozen=True):
    price: Decimal
    quantity: Decimal


class OrderBookV2(msgspec.Struct, frozen=True):
    """A value of `/api/v2/orderBook`, in no order; `timestamp` in milliseconds."""

    asks: list[BookRowV2]
    bids: list[BookRowV2]
    timestamp: int


class TickerV2(msgspec.Struct, frozen=True):
    """A value of `/api/v2/ticker`."""

    symbol: str
    base_volume: Decimal
    quote_volume: Decimal
    highest_bid: Decimal
    lowest_ask: Decimal
    last_price: Decimal
    percent_change: Decimal
    is_frozen: int = 0


class Created(msgspec.Struct, frozen=True):
    """`/api/v1/order`."""

    order_id: OrderId
    msg: str = ""
    err_code: int = 0


class Order(msgspec.Struct, frozen=True):
    """An order as lists and `pinfo` give it; see `parse.order` for what the names mean.

    `type` is the side, `price` the average (rounded), `amount` the executed value in quote
    currency, `timestamp` the creation in seconds. `id` is of `pinfo` only: its time in nanoseconds.
    """

    order_id: str
    market: str
    type: str
    flag: int
    status: int
    volume: Decimal
    remain: Decimal
    order_price: Decimal | None = None
    price: Decimal | None = None
    stop: Decimal | None = None
    market_price: Decimal | None = None
    amount: Decimal | None = None
    timestamp: int | None = None
    id: int | None = None


class OrderPage(msgspec.Struct, frozen=True):
    """Open orders and the histories: pages of 50, counted from 0."""

    orders: list[Order] = msgspec.field(name="list")
    next_page: bool
    total: int | None = None
    msg: str = ""
    err_code: int = 0


class OrderDetail(msgspec.Struct, frozen=True):
    """`data` of `/api/v1/orderInfo`: no `remain`, `amount` and `stop`, but `fee`."""

    order_id: str
    market: str
    type: str
    flag: int
    status: int
    volume: Decimal
    filled_volume: Decimal
    order_price: Decimal | None = None
    price: Decimal | None = None
    fee: Decimal | None = None
    timestamp: int | None = None
    update_time: int | None = None


class OrderInfo(msgspec.Struct, frozen=True):
    """`/api/v1/orderInfo`."""

    data: OrderDetail
    msg: str = ""
    err_code: int = 0


class Balance(msgspec.Struct, frozen=True):
    """`balance` is what is free, `locked` what orders hold; the OTC account is another."""

    market: str
    balance: Decimal
    locked: Decimal
    otc_balance: Decimal | None = None
    otc_locked: Decimal | None = None


class Account(msgspec.Struct, frozen=True):
    """`/api/v1/account`."""

    data: list[Balance]
    msg: str = ""
    err_code: int = 0


# -- stream ----------------------------------------------------------------------------------------

_NOTHING = msgspec.Raw(b"null")


class Frame(msgspec.Struct, frozen=True):
    """Any message of the WebSocket; which of the fields are there depends on `topic`."""

    topic: str = ""
    symbol: str = ""
    type: str = ""
    deals: msgspec.Raw = _NOTHING
    buy_book: msgspec.Raw = _NOTHING
    sell_book: msgspec.Raw = _NOTHING
    change_id: msgspec.Raw = _NOTHING
    data: msgspec.Raw = _NOTHING
    op: str = ""
    err_code: int = 0
    msg: str = ""


class Level(msgspec.Struct, frozen=True, gc=False):
    """JSON numbers, read as the decimals that they are written as. `index` 0 is the best."""

    price: Decimal
    qty: Decimal
    index: int | None = None


class BalanceEvent(msgspec.Struct, frozen=True):
    """`data` of a `pinfo` balance: one number of one currency; `id` is a count, not a time.

    Whether `value` is free or all is not documented: it tells that balances are to be read.
    """

    token: str
    value: Decimal
    type: str = ""
    id: int | None = None
