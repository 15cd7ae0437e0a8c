"""Can a person's word of an order be true? A slip of the hand becomes a position that never was."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.model import Side

PRICE_SHARE = Decimal("0.2")  # beyond the limit and the market, for the better
FEE_SHARE = Decimal("0.01")  # 1 % of the value
CONFIRM = "if it is true all the same, say so with --force"


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The order's instrument. `step` is 0 and names are empty where the venue lists it no more."""

    base: str = ""
    quote: str = ""
    step: Decimal = Decimal(0)
    mid: Decimal | None = None  # price of the market now, where the venue tells one


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says: executions (quantity, price) and the fee of them all."""

    fills: tuple[tuple[Decimal, Decimal], ...]
    fee: Decimal
    fee_currency: str  # empty is the quote currency

    @property
    def quantity(self) -> Decimal:
        return sum((quantity for quantity, _ in self.fills), Decimal(0))

    @property
    def value(self) -> Decimal:
        return sum((quantity * price for quantity, price in self.fills), Decimal(0))


def require_plausible(order: JournaledOrder, told: Told, market: Market, *, force: bool) -> None:
    """Raises FairleadError `RESOLVE-QUANTITY`, `RESOLVE-PRICE`, `RESOLVE-FEE`, `RESOLVE-UNLISTED`.

    `force` takes what is unlikely, never what can't be.
    """
    if not told.fills:
        return
    _quantity(order, told, market)

    def doubt(code: str, text: str) -> None:
        if not force:
            raise _refused(code, f"{text}; {CONFIRM}")

    if not market.base:
        doubt(
            "RESOLVE-UNLISTED",
            f"the venue lists {order.intent.instrument} no more: quantity and fee can't be checked",
        )
    _price(order, told, market, doubt)
    _fee(told, market, doubt)


def require_plausible_trade(
    told: Told, market: Market, entry: Decimal | None, *, force: bool
) -> None:
    """Of a trade outside the journal; `entry` is the position's average price.

    Raises FairleadError `RESOLVE-PRICE`, `RESOLVE-FEE`.
    """

    def doubt(code: str, text: str) -> None:
        if not force:
            raise _refused(code, f"{text}; {CONFIRM}")

    known = [price for price in (entry, market.mid) if price is not None]
    for _, price in told.fills:
        if not known:
            doubt("RESOLVE-PRICE", "neither journal nor venue has a price to compare with")
            continue
        low, high = min(known) * (1 - PRICE_SHARE), max(known) * (1 + PRICE_SHARE)
        if not low <= price <= high:
            doubt("RESOLVE-PRICE", f"expected a price from {low:f} to {high:f}, received {price:f}")
    if told.fee and told.fee_currency == market.base:
        raise _refused(
            "RESOLVE-FEE",
            f"expected a fee in another currency than {market.base}: what was paid in that is part "
            "of what --held leaves out",
        )
    _fee(told, market, doubt)


def _quantity(order: JournaledOrder, told: Told, market: Market) -> None:
    whole = order.intent.quantity
    rest = whole - order.filled
    if told.quantity > rest:
        raise _refused(
            "RESOLVE-QUANTITY",
            f"expected at most {rest:f} of {whole:f} ({order.filled:f} is booked), "
            f"received {told.quantity:f}",
        )
    for quantity, _ in told.fills:
        if market.step and quantity % market.step and quantity != rest:
            raise _refused(
                "RESOLVE-QUANTITY",
                f"expected a multiple of {market.step:f}, as the venue executes "
                f"{order.intent.instrument}, received {quantity:f}",
            )


def _price(
    order: JournaledOrder, told: Told, market: Market, doubt: Callable[[str, str], None]
) -> None:
    limit, is_buy = order.intent.price, order.intent.side is Side.BUY
    known = [price for price in (limit, market.mid) if price is not None]
    if not known:
        doubt("RESOLVE-PRICE", "the venue tells no price to compare with")
        return
    low, high = min(known) * (1 - PRICE_SHARE), max(known) * (1 + PRICE_SHARE)
    if limit is not None and is_buy:
        high = limit
    elif limit is not None:
        low = limit
    for _, price in told.fills:
        if not low <= price <= high:
            at = "no limit" if limit is None else f"limit {limit:f}"
            now = "not told" if market.mid is None else f"{market.mid:f}"
            doubt(
                "RESOLVE-PRICE",
                f"expected a price from {low:f} to {high:f} ({order.intent.side}, {at}; the market "
                f"is {now}), received {price:f}",
            )


def _fee(told: Told, market: Market, doubt: Callable[[str, str], None]) -> None:
    if not told.fee or not market.base:
        return
    currency = told.fee_currency or market.quote
    if currency not in (market.base, market.quote):
        doubt(
            "RESOLVE-FEE",
            f"expected a fee in {market.base} or {market.quote}, received {currency}",
        )
        return
    whole = told.quantity if currency == market.base else told.value
    share = abs(told.fee) / whole
    text = f"expected a fee up to {whole * FEE_SHARE:f} {currency} (1 % of {whole:f}), received "
    if share >= 1:
        raise _refused("RESOLVE-FEE", f"{text}{told.fee:f}: as much as what was executed")
    if share > FEE_SHARE:
        doubt("RESOLVE-FEE", f"{text}{told.fee:f}")


def _refused(code: str, text: str) -> FairleadError:
    return FairleadError(code, f"{text}. Nothing was booked", Exit.USAGE)
