"""Every payload of the venue's document as a struct, one for all dialects (sections 3 and 4).

`parse` lays the dialects over one another before it converts: names lose case and underscores
(`ClientOrderId`, `clientOrderId` and `client_order_id` are one), fields that are "" or null are
left out, a JSON text in `data` is opened. So a field that is not told has its default, and numbers
are Decimal whether they came as numbers or as text. Unknown fields are ignored.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec


def bare(name: str) -> str:
    """A field's name without case and underscores."""
    return name.replace("_", "").lower()


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename=bare):
    """What is read by bare names."""


class TradeRow(Payload, frozen=True, kw_only=True):
    """An execution: within an order, or pushed alone. Times in milliseconds.

    `price` is the execution's in the create's answer and in pushes, and the order's **limit** in
    what is fetched (section 5). `order` is the venue's order id.
    """

    id: str = ""
    timestamp: Decimal | None = None
    datetime: str = ""
    symbol: str = ""
    order: str = ""
    type: str = ""
    side: str = ""
    taker_or_maker: str = ""
    price: Decimal | None = None
    amount: Decimal | None = None
    cost: Decimal | None = None
    fee: Decimal | None = None
    fees: Any = None
    client_order_id: str = ""
    order_from: str = ""
    counterparty: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether it is the empty record of a rejected order (section 3)."""
        return not (self.id or self.order or self.symbol) and self.amount is None


class OrderRow(Payload, frozen=True, kw_only=True):
    """An order. `price` is the limit; `average` the execution's; times in milliseconds.

    `cost` is executed in REST answers, and limit times amount in pushes (section 5).
    """

    id: str = ""
    client_order_id: str = ""
    datatime: str = ""
    timestamp: Decimal | None = None
    last_trade_timestamp: Decimal | None = None
    status: str = ""
    symbol: str = ""
    type: str = ""
    time_in_force: str = ""
    side: str = ""
    price: Decimal | None = None
    average: Decimal | None = None
    amount: Decimal | None = None
    filled: Decimal | None = None
    remaining: Decimal | None = None
    cost: Decimal | None = None
    fee: Decimal | None = None
    transfer_id: str = ""
    error_message: str = ""
    trades: list[TradeRow] = []
    # Of pushes in dialect A.
    order_id: str = ""
    txn_alias: str = ""
    average_price: Decimal | None = None
    exec_price: Decimal | None = None
    created_at: Decimal | None = None
    updated_at: Decimal | None = None
    account_id: str = ""
    vault_id: str = ""
    note: str = ""
    order_from: str = ""


class OrderPage(Payload, frozen=True, kw_only=True):
    """`fetch_orders`, and in dialect A `fetch_order`. `total` counts all pages' orders."""

    order_list: list[OrderRow]
    status: str = ""
    total: int | None = None
    page: int | None = None


class KeyProof(Payload, frozen=True, kw_only=True):
    """`api_key_signature_valid`: good where it is 200."""

    status_code: int


class Instrument(Payload, frozen=True, kw_only=True):
    """A market; precisions are floats that hold numbers of decimals."""

    name: str
    type: str = ""
    is_tradable: bool = False
    quantity_precision: Decimal | None = None
    price_precision: Decimal | None = None
    min_quantity: Decimal | None = None
    max_quantity: Decimal | None = None


class Instruments(Payload, frozen=True, kw_only=True):
    instruments: list[Instrument]
    status: str = ""


class Holding(Payload, frozen=True, kw_only=True):
    """One asset in one account type."""

    free: Decimal
    used: Decimal
    total: Decimal | None = None


class Balances(msgspec.Struct, frozen=True):
    """`get_balances`: account type -> asset in upper case -> holding."""

    accounts: dict[str, dict[str, Holding]]
    timestamp: int = 0  # milliseconds


class Quote(Payload, frozen=True, kw_only=True):
    """`request_for_quote`: a price to look at, which binds nobody."""

    rfq_id: str
    side: str
    symbol: str
    price: Decimal
    amount: Decimal | None = None
    quantity: Decimal | None = None  # the name that B has for `amount`
    client_order_id: str = ""
    created: str = ""


class FirmQuote(Payload, frozen=True, kw_only=True):
    """`request_for_firm_quote`: a price that holds until `expires_at`, milliseconds."""

    quote_id: str
    side: str
    symbol: str
    price: Decimal
    expires_at: int
    amount: Decimal | None = None
    base_amount: Decimal | None = None
    quote_amount: Decimal | None = None
    currency: str = ""
    rfq_id: str = ""
    client_order_id: str = ""
    created: str = ""


class Risk(Payload, frozen=True, kw_only=True):
    """`get_risk`, in the venue's own measure."""

    max_risk_limit: Decimal
    risk_exposure: Decimal
    equity: Decimal


class ServerTime(Payload, frozen=True, kw_only=True):
    """`get_time`, whole seconds."""

    server_time: int


class Transaction(Payload, frozen=True, kw_only=True):
    """A row of `get_transfers`; `created_at` in milliseconds."""

    asset_id: str
    amount: Decimal
    status: str = ""
    type: str = ""
    user_id: str = ""
    from_account_type: str = ""
    to_account_type: str = ""
    amount_usd: Decimal | None = None
    interest_earned: Decimal | None = None
    note: str = ""
    tx_hash: str = ""
    tx_id: str = ""
    source_address: str = ""
    destination_address: str = ""
    fee: Decimal | None = None
    fee_currency: str = ""
    name_reference: str = ""
    bank_account: str = ""
    comment: str = ""
    created_at: int | None = None


class Transactions(Payload, frozen=True, kw_only=True):
    total: int
    status: str = ""
    user_id: str = ""
    fiat_transactions: list[Transaction] = []
    crypto_transactions: list[Transaction] = []


class ExternalWallet(Payload, frozen=True, kw_only=True):
    external_wallet_id: str
    name: str = ""
    address: str = ""
    label: str = ""
    status: str = ""
    asset: str = ""
    network: str = ""
    asset_id: str = ""


class ExternalWallets(Payload, frozen=True, kw_only=True):
    external_wallets: list[ExternalWallet]


class Movement(Payload, frozen=True, kw_only=True):
    """What became of a withdrawal or a transfer: PENDING, COMPLETED, REJECTED."""

    status: str
    transaction_id: str = ""
    message: str = ""


class Moved(Payload, frozen=True, kw_only=True):
    """`initiate_withdrawal` and `initiate_transfer`."""

    transfer: Movement


class LadderBody(Payload, frozen=True, kw_only=True):
    """A price frame's innermost object that holds levels; `timestamp` in seconds."""

    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
