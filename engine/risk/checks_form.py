"""Checks of an order's own form: ids, kinds, precision, and the instrument's bounds."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fairlead.engine.orders.model import UNSIMULATED, Capabilities, Kind, Tif
from fairlead.engine.risk.facts import InstrumentFacts, OrderFacts
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.verdict import Denial, Verdict

_ZERO = Decimal(0)


def kill_switch(order: OrderFacts, view: Look) -> Verdict:
    reason = view.kill_switch(order)
    return None if reason is None else Denial("KILL_SWITCH", reason)


def duplicate_order_id(order: OrderFacts, view: Look) -> Verdict:
    if order.is_release or not view.seen(order.client_order_id):
        return None
    return Denial(
        "DUPLICATE_ORDER_ID",
        f"expected a new client order id, {order.client_order_id} was submitted already "
        "(stop_limit and bracket submit what they return); "
        "build a new order with the order factory",
    )


def instrument_known(order: OrderFacts, view: Look) -> Verdict:
    if view.facts is not None:
        return None
    return Denial(
        "INSTRUMENT_UNKNOWN",
        f"expected an instrument of this run, {order.instrument} is none; "
        "name it in [venues.NAME].instruments",
    )


def quantity_positive(order: OrderFacts, view: Look) -> Verdict:
    if order.existing is not None and order.quantity <= order.existing.filled:
        return Denial(
            "QUANTITY",
            f"expected a total quantity above the {order.existing.filled} already filled, "
            f"{order.quantity} came; cancel the rest instead",
        )
    if order.quantity > _ZERO:
        return None
    return Denial("QUANTITY", f"expected a quantity above 0, {order.quantity} came")


def exec_algorithm(order: OrderFacts, view: Look) -> Verdict:
    if order.exec_algorithm is None:
        return None
    return Denial(
        "EXEC_ALGORITHM",
        f"execution algorithm {order.exec_algorithm} would create orders past the gate; "
        "submit the child orders from the strategy",
    )


def emulation(order: OrderFacts, view: Look) -> Verdict:
    if order.emulation is None:
        return None
    return Denial(
        "EMULATION",
        f"emulation_trigger {order.emulation} holds the order in memory only, it would not "
        "survive a restart; use self.stop_limit(...)",
    )


def supported(order: OrderFacts, view: Look) -> Verdict:
    """Kinds, times in force and flags of the venue; base-unit quantities everywhere."""
    what = _unsupported(order, view)
    if what is None:
        return None
    return Denial("UNSUPPORTED", what)


def _unsupported(order: OrderFacts, view: Look) -> str | None:
    if order.quote_quantity:
        return "quantities are in base units, a quote quantity came; divide by the price"
    able = view.able
    if able is None:
        return _trails_not(order, view)
    if order.is_modify and not able.replace and (order.fired or not _is_held(order, able)):
        return f"{_venue(order)} can't modify orders; cancel and submit anew"
    if not able.takes(order.kind):
        return f"{_venue(order)} has {_names(able.kinds | able.held)}, {order.kind} came"
    if (why := _trails_not(order, view)) is not None:
        return why
    in_force = order.time_in_force
    has_it = order.kind == "MARKET" or in_force in able.time_in_force
    if not has_it and in_force not in _times_in_force(order, able):
        return f"{_venue(order)} has {_names(able.time_in_force)}, {order.time_in_force} came"
    if order.post_only and not able.post_only:
        return f"{_venue(order)} has no post-only orders; leave post_only out"
    if order.contingency is not None and not (order.contingency == "OTO" and able.bracket_targets):
        return (
            f"{_venue(order)} has no {order.contingency} lists; for an entry with stop and target "
            "use self.bracket(...), else submit each order when it is due"
        )
    return None


def _trails_not(order: OrderFacts, view: Look) -> str | None:
    """What keeps a trailing stop from being what was asked for."""
    if view.is_simulated and order.kind in UNSIMULATED:
        return (
            f"the simulated exchange of paper and backtest has no {order.kind}: only a venue "
            "follows the market; use a stop that the strategy moves"
        )
    if order.kind != Kind.TRAILING_STOP_MARKET:
        return None
    offset = order.trailing_offset
    if offset is not None and offset > 0:
        return None
    return (
        "a TRAILING_STOP_MARKET follows by a trailing_offset above 0 in "
        "TrailingOffsetType.BASIS_POINTS, from its activation_price on; a trigger_price is "
        "none, or where it would fire first (self.trailing_stop)"
    )


def _times_in_force(order: OrderFacts, able: Capabilities) -> frozenset[Tif]:
    """What is held is good until it fires, and then as long as the venue has it."""
    is_held = order.kind in able.held or (able.holds_limits and order.kind == Kind.LIMIT)
    return able.time_in_force | {Tif.GTC} if is_held else able.time_in_force


def _is_held(order: OrderFacts, able: Capabilities) -> bool:
    """Whether the engine holds it until it fires."""
    if order.kind in able.held:
        return True
    return able.holds_limits and order.kind == Kind.LIMIT and order.time_in_force == Tif.GTC


def _venue(order: OrderFacts) -> str:
    return order.instrument.rpartition(".")[2]


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def clears(order: OrderFacts, view: Look) -> Verdict:
    """A venue that makes room for each order: the second would undo the first."""
    if not _clears(order, view):
        return None
    there = view.about_to_hold(order)
    if not there and not view.is_working(order):
        return None
    then = "close it first, or have" if there else "or let"
    return Denial(
        "CLEARS",
        f"{_venue(order)} would first close and cancel what the account has "
        f'({there or "open orders"}); wait for its end, {then} it: [risk] off = ["CLEARS"]',
    )


def clears_held(order: OrderFacts, view: Look) -> Verdict:
    """What such a venue sells to make room is no order of the run's: nothing would book it. Room
    for an entry beside its own strategy's position is made before (engine/guard/room.py)."""
    if not _clears(order, view):
        return None
    there = view.about_to_hold(order)
    if not there:
        return None
    return Denial(
        "CLEARS_HELD",
        f"{_venue(order)} would first close and cancel what the account has ({there}), and no "
        "order of the run would account for it; close it first (close_position, market_exit)",
    )


def _clears(order: OrderFacts, view: Look) -> bool:
    """Whether the venue makes room for it first: not for an exit."""
    able = view.able
    return able is not None and able.clears and not (order.reduce_only or order.role.is_exit)


def precision(order: OrderFacts, view: Look) -> Verdict:
    facts = view.facts
    assert facts is not None  # instrument_known runs before
    step, digits = facts.size_increment, facts.size_precision
    if _off_grid(order.quantity, step, digits, is_digit=facts.is_size_digit):
        return Denial(
            "PRECISION",
            f"expected a quantity in steps of {facts.size_increment}, {order.quantity} came; "
            "use instrument.make_qty",
        )
    if order.trigger_price is not None:
        refused = _price_on_grid("trigger price", order.trigger_price, facts)
        if refused is not None:
            return refused
    return None if order.price is None else _price_on_grid("price", order.price, facts)


def _price_on_grid(name: str, price: Decimal, facts: InstrumentFacts) -> Denial | None:
    if price <= _ZERO and facts.price_increment > 0:
        return Denial("PRECISION", f"expected a {name} above 0, {price} came")
    step, digits = facts.price_increment, facts.price_precision
    if _off_grid(price, step, digits, is_digit=facts.is_price_digit):
        return Denial(
            "PRECISION",
            f"expected a {name} in steps of {facts.price_increment}, {price} came; "
            "use instrument.make_price",
        )
    return None


def _off_grid(value: Decimal, step: Decimal, digits: int, *, is_digit: bool) -> bool:
    if value.same_quantum(step):  # written with the step's digits, as the factory does
        return not is_digit and bool(value % step)
    exponent = value.as_tuple().exponent
    return not isinstance(exponent, int) or -exponent > digits or bool(value % step)


def price_bounds(order: OrderFacts, view: Look) -> Verdict:
    """NautilusTrader does not look at an instrument's min_price and max_price."""
    facts = view.facts
    if facts is None or (facts.min_price is None and facts.max_price is None):
        return None
    for name, price in (("price", order.price), ("trigger price", order.trigger_price)):
        if price is None:
            continue
        if facts.min_price is not None and price < facts.min_price:
            return Denial(
                "PRICE_BOUNDS",
                f"expected a {name} of at least {facts.min_price}, {price} came; raise it",
            )
        if facts.max_price is not None and price > facts.max_price:
            return Denial(
                "PRICE_BOUNDS",
                f"expected a {name} of at most {facts.max_price}, {price} came; lower it",
            )
    return None


def quantity_bounds(order: OrderFacts, view: Look) -> Verdict:
    facts = view.facts
    if facts is None:
        return None
    least, most = facts.min_quantity, facts.max_quantity
    if least is not None and order.quantity < least:
        return Denial(
            "QUANTITY_BOUNDS",
            f"expected a quantity of at least {least}, {order.quantity} came; raise it",
        )
    if most is not None and order.quantity > most:
        return Denial(
            "QUANTITY_BOUNDS",
            f"expected a quantity of at most {most}, {order.quantity} came; split the order",
        )
    return None


def reduce_only(order: OrderFacts, view: Look) -> Verdict:
    """A reduce-only order alone must not pass through zero; an order list counts its parent.

    Through the zero of its strategy: another's opposite position is not its business. How far that
    may take the sum of all is MAX_POSITION's. A fee in base currency makes a long smaller and a
    short larger.
    """
    if not order.reduce_only:
        return None
    reducible = view.own_held(order)
    if order.parent is not None and (parent := view.pending(order.parent)) is not None:
        signed = parent.signed_remaining
        reducible += -signed if order.is_buy else signed
    remaining = view.remaining
    position = -reducible if order.is_buy else reducible
    if remaining <= reducible:
        return None
    return Denial(
        "REDUCE_ONLY",
        f"expected at most {max(reducible, Decimal(0)):f} to reduce {order.strategy}'s position "
        f"{position:f}, {order.side} {remaining} came; size it by own_position (the quantity that "
        "NautilusTrader gives is rounded, up too), or leave reduce_only out",
    )
