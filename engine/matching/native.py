"""From NautilusTrader's orders and data to the plain values of simulated execution."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import msgspec
from nautilus_trader.model import AggressorSide, BookAction, OrderSide

from fairlead.engine.matching.market import Level
from fairlead.engine.matching.orders import (
    Contingency,
    Listing,
    NewOrder,
    Release,
    TimeInForce,
    Trigger,
    Watched,
)
from fairlead.engine.matching.taking import Print
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.live import STOP_KINDS
from fairlead.engine.orders.model import Capabilities, Kind, Side, Tif, TriggerSource

ZERO = Decimal(0)
_SIDES = {OrderSide.BUY: Side.BUY, OrderSide.SELL: Side.SELL}
_AGGRESSORS = {AggressorSide.BUY: Side.BUY, AggressorSide.SELL: Side.SELL}
_STOPS = frozenset({"STOP_MARKET", "STOP_LIMIT"})
_TOUCHED = frozenset({"MARKET_IF_TOUCHED", "LIMIT_IF_TOUCHED"})
_PLAIN = frozenset({"MARKET", "LIMIT"})
_LIMITS = frozenset({"LIMIT", "STOP_LIMIT", "LIMIT_IF_TOUCHED"})
_TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "GTD", "DAY"})
_WATCHED = {
    "DEFAULT": Watched.TOUCH,
    "BID_ASK": Watched.TOUCH,
    "LAST_PRICE": Watched.LAST,
    "LAST_OR_BID_ASK": Watched.EITHER,
}


def listing_of(instrument: Any) -> Listing:
    base = getattr(instrument, "base_currency", None)
    settlement = getattr(instrument, "settlement_currency", instrument.quote_currency)
    return Listing(
        id=str(instrument.id),
        base=None if base is None else base.code,
        quote=instrument.quote_currency.code,
        settlement=settlement.code,
        size_increment=instrument.size_increment.as_decimal(),
        multiplier=instrument.multiplier.as_decimal(),
        is_inverse=instrument.is_inverse,
        margin_init=Decimal(str(instrument.margin_init or 0)),
        margin_maint=Decimal(str(instrument.margin_maint or 0)),
    )


class HeldRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine holds for a venue, and how: as its order desk would live."""

    able: Capabilities
    settings: HeldSettings

    def sources(self) -> frozenset[TriggerSource]:
        """What fires the stops that are held."""
        return frozenset(self.able.source_for(kind) for kind in self.able.held)

    def release_of(self, kind: str, tif: str) -> Release | None:
        """None for what the venue takes itself."""
        able = self.able
        is_limit = able.holds_limits and kind == Kind.LIMIT and tif == Tif.GTC
        if kind not in able.held and not is_limit:
            return None
        return self._release(kind, tif, is_limit=is_limit)

    def release_if_passed(self, kind: str, tif: str) -> Release | None:
        """Of a stop that the venue has, and takes for something else where it is passed."""
        able = self.able
        if not able.hold_passed or kind not in able.kinds or kind not in STOP_KINDS:
            return None
        return self._release(kind, tif, is_limit=False)

    def _release(self, kind: str, tif: str, *, is_limit: bool) -> Release:
        able, settings = self.able, self.settings
        return Release(
            source=able.source_for(kind),
            time_in_force=cast(TimeInForce, tif if tif in able.time_in_force else able.release_tif),
            rearms=settings.rearms,
            rearm_ns=int(settings.rearm_secs * 1e9),
            most=settings.releases_max,
            tier_price=able.tier_price,
            waits_at_limit=is_limit,
        )


def new_order_of(order: Any, rules: HeldRules | None = None) -> NewOrder:
    """What the exchange is asked for. Raises ValueError for what it does not know."""
    kind, tif = order.order_type.name, order.time_in_force.name
    if kind not in _PLAIN | _STOPS | _TOUCHED:
        raise ValueError(f"order type {kind}; use MARKET, LIMIT, stops or if-touched orders")
    if tif not in _TIMES_IN_FORCE:
        raise ValueError(f"time in force {tif}; use {', '.join(sorted(_TIMES_IN_FORCE))}")
    if getattr(order, "is_quote_quantity", False):
        raise ValueError("quantity is in quote currency; expected base units")
    if getattr(order, "display_qty", None) is not None:
        raise ValueError("display quantity; expected an order that is shown whole")
    side = _SIDES[order.side]
    expires = getattr(order, "expire_time", None) if tif == "GTD" else None
    if tif == "GTD" and not expires:
        raise ValueError("GTD without a time; expected expire_time")
    release = None if rules is None else rules.release_of(kind, tif)
    parent, contingency = order.parent_order_id, _name(order.contingency_type)
    return NewOrder(
        id=str(order.client_order_id),
        strategy=str(order.strategy_id),
        instrument=str(order.instrument_id),
        side=side,
        quantity=order.quantity.as_decimal(),
        price=order.price.as_decimal() if kind in _LIMITS else None,
        trigger=_trigger_of(order, kind, side, release),
        release=release,
        if_passed=None if rules is None else rules.release_if_passed(kind, tif),
        time_in_force=cast(TimeInForce, "GTC" if tif == "DAY" else tif),
        expire_ns=int(expires or 0),
        post_only=bool(getattr(order, "is_post_only", False)),
        reduce_only=order.is_reduce_only,
        parent=None if parent is None else str(parent),
        contingency=None
        if contingency in (None, "NO_CONTINGENCY")
        else cast(Contingency, contingency),
        linked=tuple(str(one) for one in order.linked_order_ids or ()),
    )


def _trigger_of(order: Any, kind: str, side: Side, release: Release | None) -> Trigger | None:
    if kind in _PLAIN:
        is_sell = side is Side.SELL  # a limit order that is held waits for its own price
        return None if release is None else Trigger(order.price.as_decimal(), is_sell)
    if release is not None:
        is_last = release.source is TriggerSource.LAST
        level, is_rise = order.trigger_price.as_decimal(), (side is Side.BUY) == (kind in _STOPS)
        return Trigger(level, is_rise, Watched.LAST if is_last else Watched.TOUCH)
    by = _name(order.trigger_type) or "DEFAULT"
    watched = _WATCHED.get("DEFAULT" if by == "NO_TRIGGER" else by)
    if watched is None:
        raise ValueError(f"trigger type {by}; use {', '.join(_WATCHED)}")
    is_rise = (side is Side.BUY) == (kind in _STOPS)
    return Trigger(order.trigger_price.as_decimal(), is_rise, watched)


def _name(member: Any) -> str | None:
    return None if member is None else member.name


def levels_of(deltas: Any) -> tuple[list[Level], bool]:
    """The sizes that a batch tells, and whether nothing else stands any more.

    What a batch told before a CLEAR is void.
    """
    levels: list[Level] = []
    is_whole = False
    for delta in deltas.deltas:
        if delta.is_clear:
            levels.clear()
            is_whole = True
            continue
        order = delta.order
        gone = delta.action == BookAction.DELETE
        size = ZERO if gone else order.size.as_decimal()
        levels.append((_SIDES[order.side], order.price.as_decimal(), size))
    return levels, is_whole


def print_of(trade: Any) -> Print:
    aggressor = _AGGRESSORS.get(trade.aggressor_side)
    return Print(trade.price.as_decimal(), trade.size.as_decimal(), aggressor)
