"""Reduce-only orders as NautilusTrader is given them.

It counts no fill of one that finds no position of its strategy to reduce: it logs an error, and its
positions are not the account's any more. After a restart it has all of an instrument as one
strategy's. So where its own position is smaller than the order, that goes there as a plain one,
with a tag: the gate has looked at it as what it is, and the desk, the journal and the venue's
adapter are told that it reduces.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import OrderInitialized, OrderSide, Quantity

from fairlead.engine.guard.core import Core
from fairlead.engine.orders.model import REDUCE_TAG
from fairlead.engine.risk.facts import InstrumentFacts

ROOM = Decimal("1.01")  # of a market BUY: NautilusTrader may value it higher than our best ask


def unflagged(order: Any) -> Any:
    """The same order, not reduce-only, tagged so that it is known as what it was."""
    return _made_anew(order, reduce_only=False, tags=[*(order.tags or ()), REDUCE_TAG])


def resized(order: Any, quantity: Quantity) -> Any:
    """The same order, not sent yet, of another quantity."""
    return _made_anew(order, quantity=str(quantity))


def _made_anew(order: Any, **fields: Any) -> Any:
    return type(order).create(OrderInitialized.from_dict(order.init_event.to_dict() | fields))


def as_counted(core: Core, order: Any) -> Any:
    """`order` so that NautilusTrader counts its fills.

    It lets a reduce-only order pass whatever balance it knows, and no other one: where its balance
    may be too old, the order stays as it is.
    """
    if not order.is_reduce_only or order.parent_order_id is not None:
        return order
    if core.run.keeper_of(order.instrument_id) is not None:
        return order
    if _reducible(core, order) >= order.quantity.as_decimal() or not _is_paid(core, order):
        return order
    return unflagged(order)


def _reducible(core: Core, order: Any) -> Decimal:
    """What NautilusTrader has of the strategy's for the order to reduce, base units."""
    held = core.strategy.cache.positions_open(
        instrument_id=order.instrument_id, strategy_id=core.strategy.strategy_id
    )
    is_buy = order.side == OrderSide.BUY
    reduced = (one for one in held if one.is_short is is_buy)
    return sum((one.quantity.as_decimal() for one in reduced), Decimal(0))


def _is_paid(core: Core, order: Any) -> bool:
    """Whether a cash account has it free, as NautilusTrader knows the account."""
    view, name = core.ready(), str(order.instrument_id)
    facts = view.instrument(name)
    if facts is None:
        return False
    is_buy = order.side == OrderSide.BUY
    currency = facts.currency if is_buy else facts.base
    if currency is None:
        return True
    view.renew_funds(name, True)
    funds = view.funds(name, currency)
    if funds is None:
        return False
    if not funds.is_cash:
        return True
    need = _cost(core, order, facts) if is_buy else order.quantity.as_decimal()
    return need is not None and need <= funds.free


def _cost(core: Core, order: Any, facts: InstrumentFacts) -> Decimal | None:
    if (limit := getattr(order, "price", None)) is not None:
        return facts.notional(order.quantity.as_decimal(), limit.as_decimal())
    market = core.ready().reference(str(order.instrument_id))
    price = None if market is None else market.ask or market.last
    return None if price is None else facts.notional(order.quantity.as_decimal(), price) * ROOM
