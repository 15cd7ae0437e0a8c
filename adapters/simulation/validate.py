"""Whether a new order may enter the exchange: pure checks, each giving None or a Refusal."""

from __future__ import annotations

from decimal import Decimal

from fairlead.adapters.simulation.book import Book
from fairlead.adapters.simulation.orders import (
    ORDER_VALUE_MAX,
    MarketSpec,
    NewOrder,
    Refusal,
    RefusalCode,
)
from fairlead.engine.orders.model import Side, Tif


def is_on_step(value: Decimal, precision: int) -> bool:
    """Whether `value` has at most `precision` decimals."""
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= precision


def shape_refusal(new: NewOrder) -> Refusal | None:
    """Fields that contradict each other."""
    code = RefusalCode.BAD_ORDER
    if (new.quantity is None) == (new.quote_amount is None):
        return Refusal(code, "exactly one of quantity and quote amount is expected")
    if new.quote_amount is not None and (new.price is not None or new.side is not Side.BUY):
        return Refusal(code, "a quote amount is for market buys only")
    if (new.trigger_price is None) != (new.trigger_condition is None):
        return Refusal(code, "trigger price and trigger condition go together")
    if new.post_only and (new.price is None or new.time_in_force is not Tif.GTC):
        return Refusal(code, "post-only is for limit orders that rest")
    is_limit_later = new.trail is not None and new.trail.limit is not None
    is_market_buy = new.price is None and new.side is Side.BUY and not is_limit_later
    if new.trigger_price is not None and is_market_buy and new.quote_amount is None:
        return Refusal(code, "a triggered market buy names its quote amount")
    return None


def number_refusal(new: NewOrder, spec: MarketSpec) -> Refusal | None:
    """Signs, sizes and precision of all numbers."""
    for price in (new.price, new.trigger_price):
        if price is None:
            continue
        if not price.is_finite() or not 0 < price <= ORDER_VALUE_MAX:
            return Refusal(RefusalCode.BAD_PRICE, "price does not have a valid value")
        if new.trail is not None:
            continue  # what follows the market need not be on a tick
        if not is_on_step(price, spec.price_precision):
            return Refusal(
                RefusalCode.BAD_PRICE, f"price has more than {spec.price_precision} decimals"
            )
    for value, precision in (
        (new.quantity, spec.size_precision),
        (new.quote_amount, spec.price_precision + spec.size_precision),
    ):
        if value is None:
            continue
        if not value.is_finite() or not 0 < value <= ORDER_VALUE_MAX:
            return Refusal(RefusalCode.BAD_QUANTITY, "volume does not have a valid value")
        if not is_on_step(value, precision):
            return Refusal(RefusalCode.BAD_QUANTITY, f"volume has more than {precision} decimals")
    if new.quantity is not None and new.quantity < spec.min_quantity:
        return Refusal(RefusalCode.BAD_QUANTITY, f"volume is less than {spec.min_quantity}")
    return None


def notional_refusal(new: NewOrder, spec: MarketSpec, book: Book) -> Refusal | None:
    """The least value of an order; a market order is valued at the best opposite price."""
    if spec.min_notional <= 0:
        return None
    value = new.quote_amount
    if value is None and new.quantity is not None:
        price = new.price
        if price is None:
            best = book.opposite(new.side).best()
            price = best.price if best else None
        value = None if price is None else price * new.quantity
    if value is not None and value <= spec.min_notional:
        return Refusal(
            RefusalCode.MIN_NOTIONAL,
            f"price * volume must be greater than {spec.min_notional} {spec.quote}",
        )
    return None


def would_take(new: NewOrder, book: Book) -> bool:
    """Whether a limit order without a trigger would trade at once."""
    if new.trigger_price is not None:
        return False
    opposite = book.opposite(new.side)
    best = opposite.best()
    return best is not None and opposite.is_within(best.price, new.price)
