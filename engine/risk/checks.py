"""The gate's checks: small functions of an order and a view, one denial code each.

A check returns a `Denial`, or the fraction of its limit that the order would use (1.0 is at the
limit), or None where it does not apply. `CHECKS` is the order in which they run; `docs/risk.md` is
made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from engine.risk.facts import OrderFacts, Reference, RiskView


class Denial(msgspec.Struct, frozen=True):
    """Why an order is not created. `message` says what was expected, what came, what to do."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


Verdict = Denial | float | None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the registry. `key` is the option of `[risk]` that sets it, if any."""

    code: str
    key: str
    unit: str
    default: str
    doc: str
    run: Callable[[OrderFacts, RiskView], Verdict]
    on_modify: bool = True


def kill_switch(order: OrderFacts, view: RiskView) -> Verdict:
    reason = view.kill_switch()
    if reason is None:
        return None
    return Denial("KILL_SWITCH", f"{reason}; remove it to allow orders again")


def duplicate_order_id(order: OrderFacts, view: RiskView) -> Verdict:
    if not view.seen(order.client_order_id):
        return None
    return Denial(
        "DUPLICATE_ORDER_ID",
        f"expected a new client order id, {order.client_order_id} was used before; "
        "build a new order with the order factory",
    )


def instrument_known(order: OrderFacts, view: RiskView) -> Verdict:
    if view.instrument(order.instrument) is not None:
        return None
    return Denial(
        "INSTRUMENT_UNKNOWN",
        f"expected an instrument of this run, {order.instrument} is none; "
        "name it in [venues.NAME].instruments",
    )


def quantity_positive(order: OrderFacts, view: RiskView) -> Verdict:
    if order.existing is not None and order.quantity <= order.existing.filled:
        return Denial(
            "QUANTITY",
            f"expected a total quantity above the {order.existing.filled} already filled, "
            f"{order.quantity} came; cancel the rest instead",
        )
    if order.quantity > 0:
        return None
    return Denial("QUANTITY", f"expected a quantity above 0, {order.quantity} came")


def exec_algorithm(order: OrderFacts, view: RiskView) -> Verdict:
    if order.exec_algorithm is None:
        return None
    return Denial(
        "EXEC_ALGORITHM",
        f"execution algorithm {order.exec_algorithm} would create orders past the gate; "
        "submit the child orders from the strategy",
    )


def emulation(order: OrderFacts, view: RiskView) -> Verdict:
    if order.emulation is None:
        return None
    return Denial(
        "EMULATION",
        f"emulation_trigger {order.emulation} holds the order in memory only, it would not "
        "survive a restart; use self.stop_limit(...)",
    )


def supported(order: OrderFacts, view: RiskView) -> Verdict:
    """Kinds, times in force and flags of the venue; base-unit quantities everywhere."""
    what = _unsupported(order, view)
    if what is None:
        return None
    return Denial("UNSUPPORTED", what)


def _unsupported(order: OrderFacts, view: RiskView) -> str | None:
    if order.quote_quantity:
        return "quantities are in base units, a quote quantity came; divide by the price"
    able = view.abilities(order.instrument)
    if able is None:
        return None
    venue = order.instrument.rpartition(".")[2]
    if order.is_modify and not able.replace:
        return f"{venue} can't modify orders; cancel and submit anew"
    if order.kind not in able.kinds:
        return f"{venue} has {_names(able.kinds)}, {order.kind} came"
    if order.kind != "MARKET" and order.time_in_force not in able.time_in_force:
        return f"{venue} has {_names(able.time_in_force)}, {order.time_in_force} came"
    if order.post_only and not able.post_only:
        return f"{venue} has no post-only orders; leave post_only out"
    if order.contingency is not None:
        return f"{venue} has no {order.contingency} lists; submit each order when it is due"
    return None


def _names(names: object) -> str:
    assert isinstance(names, (frozenset, set))
    return ", ".join(sorted(str(name) for name in names))


def precision(order: OrderFacts, view: RiskView) -> Verdict:
    facts = view.instrument(order.instrument)
    assert facts is not None  # instrument_known runs before
    if _off_grid(order.quantity, facts.size_increment, facts.size_precision):
        return Denial(
            "PRECISION",
            f"expected a quantity in steps of {facts.size_increment}, {order.quantity} came; "
            "use instrument.make_qty",
        )
    for name, price in (("price", order.price), ("trigger price", order.trigger_price)):
        if price is None:
            continue
        if price <= 0 and facts.price_increment > 0:
            return Denial("PRECISION", f"expected a {name} above 0, {price} came")
        if _off_grid(price, facts.price_increment, facts.price_precision):
            return Denial(
                "PRECISION",
                f"expected a {name} in steps of {facts.price_increment}, {price} came; "
                "use instrument.make_price",
            )
    return None


def _off_grid(value: Decimal, step: Decimal, digits: int) -> bool:
    exponent = value.as_tuple().exponent
    return not isinstance(exponent, int) or -exponent > digits or bool(value % step)


def reduce_only(order: OrderFacts, view: RiskView) -> Verdict:
    """A reduce-only order alone must not pass through zero; an order list counts its parent."""
    if not order.reduce_only:
        return None
    position = view.position(order.instrument)
    if order.parent is not None and (parent := view.pending(order.parent)) is not None:
        position += parent.signed_remaining
    remaining = _remaining(order)
    reducible = -position if order.is_buy else position
    if remaining <= reducible:
        return None
    return Denial(
        "REDUCE_ONLY",
        f"expected at most {max(reducible, Decimal(0))} to reduce position {position}, "
        f"{order.side} {remaining} came; lower the quantity or leave reduce_only out",
    )


def max_order_notional(order: OrderFacts, view: RiskView) -> Verdict:
    limit = view.limits.max_order_notional
    if limit is None:
        return None
    facts = view.instrument(order.instrument)
    assert facts is not None
    currency = view.limits.notional_currency
    if facts.quote != currency:
        return Denial(
            "MAX_ORDER_NOTIONAL",
            f"the limit is in {currency}, {order.instrument} is priced in {facts.quote}; "
            "set the limit in that currency",
        )
    price = _worst_price(order, view)
    if price is None or price <= 0:
        return Denial(
            "MAX_ORDER_NOTIONAL",
            f"no price to value {order.quantity} {order.instrument} with; wait for market data",
        )
    notional = facts.notional(order.quantity, price)
    if notional > limit:
        return Denial(
            "MAX_ORDER_NOTIONAL",
            f"expected at most {limit} {currency}, {notional:f} came "
            f"({order.quantity} at {price}); lower the quantity",
        )
    return float(notional) / float(limit)


def _worst_price(order: OrderFacts, view: RiskView) -> Decimal | None:
    """The order's own price, else what a market order would pay or get: the touch."""
    if order.price is not None:
        return order.price
    if order.trigger_price is not None:
        return order.trigger_price
    reference = view.reference(order.instrument)
    if reference is None:
        return None
    return reference.ask if reference.ask is not None else reference.price


def max_position(order: OrderFacts, view: RiskView) -> Verdict:
    """Worst case: every live order of this side fills, and so does this one.

    A reduce-only order is left out (REDUCE_ONLY bounds it), so that an exit is never refused.
    """
    limit = view.limits.max_position.get(order.instrument)
    if limit is None or order.reduce_only:
        return None
    quantity = _remaining(order)
    open_quantity = view.working_quantity(order.instrument, order.side)
    if order.existing is not None:
        open_quantity -= order.existing.remaining
    position = view.position(order.instrument)
    reach = position + open_quantity + quantity
    if not order.is_buy:
        reach = position - open_quantity - quantity
    toward = reach if order.is_buy else -reach
    if toward > limit:
        return Denial(
            "MAX_POSITION",
            f"expected at most {limit} {order.instrument} with open orders counted, this order "
            f"could make it {reach} (position {position}, open {order.side} {open_quantity}, "
            f"order {quantity}); lower the quantity or cancel orders",
        )
    return max(float(toward), 0.0) / float(limit) if limit else None


def max_open_orders(order: OrderFacts, view: RiskView) -> Verdict:
    limit = view.limits.max_open_orders
    count = view.open_order_count() + 1
    if count > limit:
        return Denial(
            "MAX_OPEN_ORDERS",
            f"expected at most {limit} orders open or unproven, this one would be number {count}; "
            "cancel orders first",
        )
    return count / limit


def stale_reference(order: OrderFacts, view: RiskView) -> Verdict:
    """Prices are compared only with a market that is there, whole and recent."""
    reference = view.reference(order.instrument)
    limit_ms = view.limits.stale_after_ns // 1_000_000
    if reference is None:
        return Denial(
            "STALE_REFERENCE",
            f"expected market data of {order.instrument} not older than {limit_ms} ms, none came; "
            "subscribe its book, quotes or trades and wait for the first",
        )
    if not reference.valid:
        return Denial(
            "STALE_REFERENCE",
            f"the {reference.source} of {order.instrument} is empty, one-sided or crossed "
            f"(bid {reference.bid}, ask {reference.ask}); wait until it is whole",
        )
    age_ns = view.now_ns() - reference.ts_ns
    if age_ns > view.limits.stale_after_ns:
        return Denial(
            "STALE_REFERENCE",
            f"expected a {reference.source} of {order.instrument} not older than {limit_ms} ms, "
            f"it is {age_ns // 1_000_000} ms old; wait for the feed",
        )
    return max(age_ns, 0) / view.limits.stale_after_ns


def price_collar(order: OrderFacts, view: RiskView) -> Verdict:
    """A limit price may not lie too far through the market on the losing side.

    A stop is compared with the market at the moment it fires: a STOP_LIMIT with the worse of
    trigger and market, a LIMIT_IF_TOUCHED with the better.
    """
    if order.price is None:
        return None
    reference = view.reference(order.instrument)
    assert reference is not None  # stale_reference runs before
    center = _center(order, reference)
    if center is None or center <= 0:
        return None
    through = (order.price - center) if order.is_buy else (center - order.price)
    fraction = through / center
    collar = view.limits.price_collar
    if fraction > collar:
        return Denial(
            "PRICE_COLLAR",
            f"expected a limit price at most {collar * 10_000:f} bps through {center:f}, "
            f"{order.side} at {order.price} is {fraction * 10_000:.1f} bps through; "
            "check the price",
        )
    return max(float(fraction), 0.0) / float(collar) if collar else None


def _center(order: OrderFacts, reference: Reference) -> Decimal | None:
    market = reference.price
    if market is None or order.trigger_price is None:
        return market
    worse = max if order.is_buy else min
    better = min if order.is_buy else max
    pick = worse if order.kind == "STOP_LIMIT" else better
    return pick(order.trigger_price, market)


def order_rate(order: OrderFacts, view: RiskView) -> Verdict:
    limit = view.limits.max_orders_per_second
    count = view.recent_order_times().used(view.now_ns()) + 1
    if count > limit:
        return Denial(
            "ORDER_RATE",
            f"expected at most {limit} orders and modifies in a second, this one would be number "
            f"{count}; submit less often",
        )
    return count / limit


def _remaining(order: OrderFacts) -> Decimal:
    if order.existing is None:
        return order.quantity
    return order.quantity - order.existing.filled


CHECKS: tuple[Check, ...] = (
    Check(
        code="KILL_SWITCH",
        key="kill_switch_file",
        unit="path",
        default="KILL",
        doc="While the file exists nothing is created; a file that can't be looked at counts.",
        run=kill_switch,
    ),
    Check(
        code="DUPLICATE_ORDER_ID",
        key="",
        unit="",
        default="on",
        doc="A client order id is used once; NautilusTrader itself would overwrite the first.",
        run=duplicate_order_id,
        on_modify=False,
    ),
    Check(
        code="INSTRUMENT_UNKNOWN",
        key="",
        unit="",
        default="on",
        doc="The instrument is one of the run's.",
        run=instrument_known,
    ),
    Check(
        code="QUANTITY",
        key="",
        unit="base units",
        default="on",
        doc="Above 0; a modify's total is above what is filled.",
        run=quantity_positive,
    ),
    Check(
        code="EXEC_ALGORITHM",
        key="",
        unit="",
        default="on",
        doc="No execution algorithm: its child orders would pass no gate.",
        run=exec_algorithm,
        on_modify=False,
    ),
    Check(
        code="EMULATION",
        key="",
        unit="",
        default="on",
        doc="No emulated triggers: they live in memory only. `self.stop_limit` is durable.",
        run=emulation,
        on_modify=False,
    ),
    Check(
        code="UNSUPPORTED",
        key="",
        unit="",
        default="on",
        doc="Order kind, time in force, post-only, modify and lists as the venue has them, in "
        "every mode; quantities in base units.",
        run=supported,
    ),
    Check(
        code="PRECISION",
        key="",
        unit="increments",
        default="on",
        doc="Quantity and prices are positive multiples of the instrument's increments.",
        run=precision,
    ),
    Check(
        code="REDUCE_ONLY",
        key="",
        unit="base units",
        default="on",
        doc="A reduce-only order is not larger than the position it reduces.",
        run=reduce_only,
    ),
    Check(
        code="STALE_REFERENCE",
        key="stale_after_ms",
        unit="milliseconds",
        default="5000",
        doc="The managed book (else the last quote, else the last trade) is whole and recent.",
        run=stale_reference,
    ),
    Check(
        code="MAX_ORDER_NOTIONAL",
        key="max_order_notional",
        unit="money",
        default="none",
        doc="Largest price x quantity of one order; market orders are valued at the best ask.",
        run=max_order_notional,
    ),
    Check(
        code="MAX_POSITION",
        key="max_position",
        unit="base units",
        default="none",
        doc="Largest absolute position of an instrument if every live order of the side fills; "
        "orders of unknown outcome count, reduce-only orders are never refused by it.",
        run=max_position,
    ),
    Check(
        code="MAX_OPEN_ORDERS",
        key="max_open_orders",
        unit="orders",
        default="50",
        doc="Most orders open or of unknown outcome, over all strategies of the run.",
        run=max_open_orders,
        on_modify=False,
    ),
    Check(
        code="PRICE_COLLAR",
        key="price_collar_bps",
        unit="basis points",
        default="500",
        doc="Most that a limit price may lie through the reference price on the losing side.",
        run=price_collar,
    ),
    Check(
        code="ORDER_RATE",
        key="max_orders_per_second",
        unit="orders per second",
        default="10",
        doc="Most orders and modifies approved in any one second, over all strategies.",
        run=order_rate,
    ),
)
