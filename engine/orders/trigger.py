"""Triggers: which order kind a condition means, which price fires it, what is sent then.

A stop waits for the price to move against the position's owner (BUY above, SELL below): STOP_LIMIT,
STOP_MARKET. An order that waits for a better price (BUY below, SELL above) is LIMIT_IF_TOUCHED or
MARKET_IF_TOUCHED. A TRAILING_STOP_MARKET waits for a better price too (its `trigger_price`), then
follows the market and is a market order once that turns; only a venue can do it. One table for
strategies, adapters and simulators, and one decision for live, paper and backtest: the order desk
holds what a venue lacks, the simulated exchange all.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.orders.model import (
    Capabilities,
    Intent,
    Kind,
    Side,
    TierPrice,
    Tif,
    TriggerCondition,
    TriggerSource,
)

_KINDS = {
    (Side.BUY, TriggerCondition.GTE): Kind.STOP_LIMIT,
    (Side.SELL, TriggerCondition.LTE): Kind.STOP_LIMIT,
    (Side.BUY, TriggerCondition.LTE): Kind.LIMIT_IF_TOUCHED,
    (Side.SELL, TriggerCondition.GTE): Kind.LIMIT_IF_TOUCHED,
}
_MARKET_KINDS = {
    Kind.STOP_LIMIT: Kind.STOP_MARKET,
    Kind.LIMIT_IF_TOUCHED: Kind.MARKET_IF_TOUCHED,
}
_CONDITIONS = {
    (side, one): condition
    for (side, condition), kind in _KINDS.items()
    for one in (kind, _MARKET_KINDS[kind])
}
# From its price on a trailing stop follows the market, which first comes there from the worse side.
_CONDITIONS |= {
    (Side.BUY, Kind.TRAILING_STOP_MARKET): TriggerCondition.LTE,
    (Side.SELL, Kind.TRAILING_STOP_MARKET): TriggerCondition.GTE,
}
_FIRED = {
    Kind.STOP_LIMIT: Kind.LIMIT,
    Kind.LIMIT_IF_TOUCHED: Kind.LIMIT,
    Kind.STOP_MARKET: Kind.MARKET,
    Kind.MARKET_IF_TOUCHED: Kind.MARKET,
    Kind.TRAILING_STOP_MARKET: Kind.MARKET,
}
Levels = Sequence[tuple[Decimal, Decimal]]  # price and size, best first


def kind_for(side: Side, condition: TriggerCondition | None) -> Kind:
    """STOP_LIMIT or LIMIT_IF_TOUCHED, for an order that fires on `condition`.

    Without one the direction is unknown, and the side doesn't tell it: STOP_LIMIT.
    """
    return Kind.STOP_LIMIT if condition is None else _KINDS[side, condition]


def condition_of(kind: Kind, side: Side) -> TriggerCondition | None:
    """The condition on which an order of this kind and side fires; None for LIMIT and MARKET."""
    return _CONDITIONS.get((side, kind))


def default_condition(side: Side) -> TriggerCondition:
    """The condition of a plain stop: BUY at or above, SELL at or below."""
    return TriggerCondition.GTE if side is Side.BUY else TriggerCondition.LTE


def fired_kind(kind: Kind) -> Kind:
    """What an order of this kind is once its trigger went off."""
    return _FIRED.get(kind, kind)


def first_fire(side: Side, begin: Decimal, offset_bps: Decimal) -> Decimal:
    """Where a trailing stop fires that turns as soon as it has begun to follow: the worst price, of
    all at which it can."""
    away = begin * offset_bps / 10_000
    return begin + away if side is Side.BUY else begin - away


def is_met(level: Decimal, price: Decimal | None, *, is_rise: bool) -> bool:
    """Whether a price fires an order that waits for `level`; an unknown one never does."""
    if price is None:
        return False
    return price >= level if is_rise else price <= level


def watched_price(
    source: TriggerSource,
    side: Side,
    quantity: Decimal,
    bids: Levels,
    asks: Levels,
    tier_price: TierPrice | None = None,
) -> Decimal | None:
    """The price of a book by which an order of `side` fires; None where the book does not tell it.

    A book that is one-sided or crossed is none.
    """
    if not bids or not asks or bids[0][0] >= asks[0][0]:
        return None
    taken = asks if side is Side.BUY else bids
    if source is TriggerSource.MID:
        return (bids[0][0] + asks[0][0]) / 2
    if source is TriggerSource.TIER:
        return None if tier_price is None else tier_price(taken, quantity)
    return taken[0][0] if source is TriggerSource.TOUCH else None


def level_of(intent: Intent) -> tuple[Decimal, TriggerCondition]:
    """The price that a held order waits for, and from which side. A plain limit order waits until
    the market has come to its limit. Raises ValueError for an order that waits for nothing."""
    if intent.trigger_price is not None and intent.trigger_condition is not None:
        return intent.trigger_price, intent.trigger_condition
    if intent.kind is not Kind.LIMIT or intent.price is None:
        raise ValueError(f"{intent.kind} of {intent.client_order_id} has no level to wait for")
    is_buy = intent.side is Side.BUY
    return intent.price, TriggerCondition.LTE if is_buy else TriggerCondition.GTE


def fires(intent: Intent, price: Decimal | None) -> bool:
    """Whether a held order fires at this price."""
    level, condition = level_of(intent)
    return is_met(level, price, is_rise=condition is TriggerCondition.GTE)


def released(intent: Intent, able: Capabilities, number: int) -> Intent:
    """What is sent to the venue of a held order, released for the `number`-th time.

    It is as long in force as was asked for, where the venue has that.
    """
    tif = intent.time_in_force
    return msgspec.structs.replace(
        intent,
        kind=fired_kind(intent.kind),
        trigger_price=None,
        trigger_condition=None,
        time_in_force=tif if tif in able.time_in_force else able.release_tif,
        post_only=intent.post_only and able.post_only,
        release=number,
    )


def is_at_once(intent: Intent) -> bool:
    """Whether the venue fills it now or not at all."""
    return intent.time_in_force in (Tif.FOK, Tif.IOC)
