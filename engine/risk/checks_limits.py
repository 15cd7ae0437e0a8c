"""Checks of sizes, sums and rates against the limits of `[risk]`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from fairlead.engine.risk.facts import OrderFacts
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.verdict import Denial, Verdict

_ZERO = Decimal(0)


def min_notional(order: OrderFacts, view: Look) -> Verdict:
    """What the venue would refuse; a market order is valued at the best bid."""
    facts = view.facts
    if facts is None or (facts.min_notional is None and facts.max_notional is None):
        return None
    price = order.price if order.price is not None else order.trigger_price
    if price is None:
        reference = view.market
        if reference is None:
            return None
        price = reference.bid if reference.bid is not None else reference.last
    if price is None or price <= _ZERO:
        return None
    value = view.value if order.existing is None and price is view.worst_price else None
    notional = facts.notional(order.quantity, price) if value is None else value
    least, most = facts.min_notional, facts.max_notional
    if least is not None and notional < least:
        return Denial(
            "MIN_NOTIONAL",
            f"expected at least {least:f} {facts.currency}, {notional:f} came "
            f"({order.quantity} at {price}); raise the quantity",
        )
    if most is not None and notional > most:
        return Denial(
            "MIN_NOTIONAL",
            f"expected at most {most:f} {facts.currency}, {notional:f} came "
            f"({order.quantity} at {price}); split the order",
        )
    return None


def max_order_notional(order: OrderFacts, view: Look) -> Verdict:
    limit = view.limits.max_order_notional
    if limit is None:
        return None
    facts = view.facts
    assert facts is not None
    currency = view.limits.notional_currency
    if facts.currency != currency:
        return Denial(
            "MAX_ORDER_NOTIONAL",
            f"the limit is in {currency}, {order.instrument} is priced in {facts.currency}; "
            "set the limit in that currency",
        )
    price = view.worst_price
    if price is None:
        return Denial(
            "MAX_ORDER_NOTIONAL",
            f"no price to value {order.quantity} {order.instrument} with; wait for market data",
        )
    value = view.value if order.existing is None else None
    notional = facts.notional(order.quantity, price) if value is None else value
    if notional > limit:
        return Denial(
            "MAX_ORDER_NOTIONAL",
            f"expected at most {limit} {currency}, {notional:f} came "
            f"({order.quantity} at {price}); lower the quantity",
        )
    return notional / limit if limit else None


def max_order_quantity(order: OrderFacts, view: Look) -> Verdict:
    limit = view.limits.max_order_quantity.get(order.instrument)
    if limit is None:
        return None
    if order.quantity > limit:
        return Denial(
            "MAX_ORDER_QUANTITY",
            f"expected at most {limit} {order.instrument}, {order.quantity} came; "
            "lower the quantity",
        )
    return order.quantity / limit


def _is_way_out(order: OrderFacts) -> bool:
    """Orders that rest never keep a position from being closed at the market."""
    return order.reduce_only and order.kind == "MARKET"


def max_position(order: OrderFacts, view: Look) -> Verdict:
    """Worst case: every live order of this side fills, and so does this one.

    A reduce-only market order is looked at alone, so that orders that rest never keep a position
    from being closed; the child of an order list can only undo its parent, which was looked at.
    """
    limit = view.limits.max_position.get(order.instrument)
    if limit is None or (order.reduce_only and order.parent is not None):
        return None
    quantity = view.remaining
    open_quantity = _ZERO if _is_way_out(order) else view.working
    position = view.position
    reach = position + open_quantity + quantity
    if not order.is_buy:
        reach = position - open_quantity - quantity
    toward = reach if order.is_buy else -reach
    if toward > limit:
        return Denial(
            "MAX_POSITION",
            f"expected at most {limit} {order.instrument} with open orders counted, this order "
            f"could make it {reach:f} (position {position:f}, open {order.side} {open_quantity:f}, "
            f"order {quantity}); lower the quantity or cancel orders",
        )
    return toward / limit if limit else None


def min_position(order: OrderFacts, view: Look) -> Verdict:
    """Worst case: every live SELL fills, and so does this one.

    The limit of `[risk]` is of all strategies together; one that says it may not be short has a
    limit of its own. The child of an order list can only undo its parent, which was looked at.
    """
    if order.is_buy or (order.reduce_only and order.parent is not None):
        return None
    existing = order.existing
    if existing is not None and view.remaining <= existing.remaining:
        return None  # it asks for no more than it may fill already
    declared = view.declared(order)
    if declared is not None and not declared.may_short:
        working = view.own_working(order)
        least = -declared.inventory
        reach = view.own_position(order) - working - view.remaining
        if reach < least:
            return _below(order, view, f"{order.strategy} may not be short", least, reach, working)
    limit = view.limits.min_position.get(order.instrument)
    if limit is None:
        return None
    reach = view.position - view.working - view.remaining
    if reach < limit:
        return _below(order, view, "the limit is min_position", limit, reach, view.working)
    return None


def _below(
    order: OrderFacts, view: Look, why: str, least: Decimal, reach: Decimal, working: Decimal
) -> Denial:
    return Denial(
        "MIN_POSITION",
        f"expected a position of at least {least} {order.instrument} with open orders counted "
        f"({why}), this order could make it {reach:f} (open SELL {working:f}, order "
        f"{view.remaining}); lower the quantity or cancel orders",
    )


def exit_exceeds(order: OrderFacts, view: Look) -> Verdict:
    """All exits of a strategy together never ask for more than it holds.

    Of unknown outcome too. A fee in base currency makes a long smaller and a short larger than the
    sum of its fills: what is left of it is what exits may ask for. Children of an order list stand
    for one another, and for their parent, which REDUCE_ONLY looks at.
    """
    if not order.is_exit or (order.reduce_only and order.parent is not None):
        return None
    existing, remaining = order.existing, view.remaining
    if existing is not None and existing.is_exit and remaining <= existing.remaining:
        return None  # it asks for no more than it does already
    held = view.own_held(order)
    declared = view.declared(order)
    limit = max(held, _ZERO)
    if declared is not None and not order.is_buy:
        limit = max(held + declared.inventory, _ZERO)
    others = view.own_exits(order)
    asked = others + remaining
    if asked <= limit:
        return asked / limit if limit else None
    return Denial(
        "EXIT_EXCEEDS",
        f"expected exits of {order.strategy} for at most {limit:f} {order.instrument}, what it "
        f"holds with its declared inventory; {order.side} {remaining} came beside exits for "
        f"{others:f} that are live or of unknown outcome; cancel them first, or lower the quantity",
    )


def _exposure(
    code: str,
    what: str,
    order: OrderFacts,
    view: Look,
    limits: Mapping[str, Decimal],
    now: Decimal,
) -> Verdict:
    facts = view.facts
    if facts is None:
        return None
    limit = limits.get(facts.currency)
    value = view.added
    if limit and value is not None and (reach := now + value) <= limit:
        return reach / limit
    if limit is None:
        return Denial(
            code,
            f"the limit is in {', '.join(limits)}, {order.instrument} is priced in "
            f"{facts.currency}; add a limit in that currency",
        )
    if value is None:
        return Denial(code, f"no price to value {order.instrument} with; wait for market data")
    reach = now + value
    if reach > limit:
        return Denial(
            code,
            f"expected at most {limit} {facts.currency} {what}, this order would make it "
            f"{reach:f} ({now:f} now); lower the quantity or cancel orders",
        )
    return reach / limit if limit else None


def instrument_exposure(order: OrderFacts, view: Look) -> Verdict:
    limits = view.limits.instrument_exposure
    if not limits or view.reduces:
        return None
    now = view.entry.gross
    return _exposure("INSTRUMENT_EXPOSURE", "in this instrument", order, view, limits, now)


def venue_exposure(order: OrderFacts, view: Look) -> Verdict:
    limits = view.limits.venue_exposure
    if not limits or view.reduces:
        return None
    now = view.entry.venue.gross
    return _exposure("VENUE_EXPOSURE", "at this venue", order, view, limits, now)


def account_exposure(order: OrderFacts, view: Look) -> Verdict:
    limits = view.limits.account_exposure
    if not limits or view.reduces:
        return None
    now = view.entry.account.gross
    return _exposure("ACCOUNT_EXPOSURE", "in this account", order, view, limits, now)


def resting_notional(order: OrderFacts, view: Look) -> Verdict:
    limits = view.limits.resting_notional
    if not limits or order.reduce_only:
        return None
    now = view.entry.run.resting
    return _exposure("RESTING_NOTIONAL", "in open orders", order, view, limits, now)


def max_open_orders(order: OrderFacts, view: Look) -> Verdict:
    """A reduce-only market order passes: it does not rest, and what rests keeps nothing open."""
    if _is_way_out(order):
        return None
    limit = view.limits.max_open_orders
    count = view.open_order_count() + 1
    if count > limit:
        return Denial(
            "MAX_OPEN_ORDERS",
            f"expected at most {limit} orders open or unproven, this one would be number {count}; "
            "cancel orders first",
        )
    return count / limit


def order_rate(order: OrderFacts, view: Look) -> Verdict:
    limit = view.limits.max_orders_per_second
    count = view.books.rate.used(view.now_ns) + 1
    if count > limit:
        return Denial(
            "ORDER_RATE",
            f"expected at most {limit} orders and modifies in a second, this one would be number "
            f"{count}; submit less often",
        )
    return count / limit


def modify_rate(order: OrderFacts, view: Look) -> Verdict:
    limit = view.limits.max_modifies_per_second
    if limit is None or not order.is_modify:
        return None
    count = view.books.modify_rate.used(view.now_ns) + 1
    if count > limit:
        return Denial(
            "MODIFY_RATE",
            f"expected at most {limit} modifies in a second, this one would be number {count}; "
            "modify less often",
        )
    return count / limit


def cancel_rate(order: OrderFacts, view: Look) -> Verdict:
    """Cancels are never refused; what would need more of them waits instead."""
    limit = view.limits.max_cancels_per_second
    if limit is None or order.reduce_only:
        return None
    count = view.books.cancel_rate.used(view.now_ns)
    if count >= limit:
        return Denial(
            "CANCEL_RATE",
            f"expected fewer than {limit} cancels in the last second before a new order, {count} "
            "came; cancel less often",
        )
    return count / limit


def cancel_to_fill(order: OrderFacts, view: Look) -> Verdict:
    limit = view.limits.cancel_to_fill
    if limit is None or order.reduce_only:
        return None
    venue = view.venue
    flow = view.books.flows.of(venue, view.now_ns)
    if flow.orders < view.limits.cancel_to_fill_after:
        return None
    if not flow.cancels:
        return _ZERO
    most = limit * max(flow.fills, 1)
    if flow.cancels > most:
        return Denial(
            "CANCEL_TO_FILL",
            f"expected at most {limit} cancelled orders for each filled one at {venue} "
            f"today (UTC), {flow.cancels} to {flow.fills} came; wait for fills or the next day",
        )
    return flow.cancels / most
