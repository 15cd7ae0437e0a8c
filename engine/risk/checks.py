"""The registry of the gate's checks: small functions of an order and a view, one code each.

A check returns a `Denial`, or the fraction of its limit that the order would use (1.0 is at the
limit), or None where it does not apply. `CHECKS` is the order in which they run; `docs/risk.md` is
made from it.
"""

from __future__ import annotations

from engine.risk import checks_account as account
from engine.risk import checks_form as form
from engine.risk import checks_limits as sizes
from engine.risk import checks_market as market
from engine.risk.facts import Limits
from engine.risk.verdict import Check, Denial, Verdict

__all__ = ["CHECKS", "Check", "Denial", "Verdict", "active_checks"]

CHECKS: tuple[Check, ...] = (
    Check(
        code="KILL_SWITCH",
        key="kill_switch_file",
        unit="path",
        default="KILL",
        doc="While the file exists, or a kill is in force whose scope the order is in, nothing is "
        "created (docs/kill.md); a file that can't be looked at counts.",
        run=form.kill_switch,
        switchable=False,
    ),
    Check(
        code="DUPLICATE_ORDER_ID",
        key="",
        unit="",
        default="on",
        doc="A client order id is used once; NautilusTrader itself would overwrite the first.",
        run=form.duplicate_order_id,
        on_modify=False,
        switchable=False,
    ),
    Check(
        code="INSTRUMENT_UNKNOWN",
        key="",
        unit="",
        default="on",
        doc="The instrument is one of the run's.",
        run=form.instrument_known,
        switchable=False,
    ),
    Check(
        code="QUANTITY",
        key="",
        unit="base units",
        default="on",
        doc="Above 0; a modify's total is above what is filled.",
        run=form.quantity_positive,
        switchable=False,
    ),
    Check(
        code="EXEC_ALGORITHM",
        key="",
        unit="",
        default="on",
        doc="No execution algorithm: its child orders would pass no gate.",
        run=form.exec_algorithm,
        on_modify=False,
        on_plain=False,
    ),
    Check(
        code="EMULATION",
        key="",
        unit="",
        default="on",
        doc="No emulated triggers: they live in memory only. `self.stop_limit` is durable.",
        run=form.emulation,
        on_modify=False,
        on_plain=False,
    ),
    Check(
        code="UNSUPPORTED",
        key="",
        unit="",
        default="on",
        doc="Order kind, time in force, post-only, modify and lists as the venue has them, in "
        "every mode; quantities in base units.",
        run=form.supported,
    ),
    Check(
        code="PRECISION",
        key="",
        unit="increments",
        default="on",
        doc="Quantity and prices are positive multiples of the instrument's increments.",
        run=form.precision,
    ),
    Check(
        code="PRICE_BOUNDS",
        key="",
        unit="",
        default="on",
        doc="Price and trigger lie within the instrument's min_price and max_price.",
        run=form.price_bounds,
    ),
    Check(
        code="QUANTITY_BOUNDS",
        key="",
        unit="base units",
        default="on",
        doc="The quantity lies within the instrument's min_quantity and max_quantity.",
        run=form.quantity_bounds,
    ),
    Check(
        code="REDUCE_ONLY",
        key="",
        unit="base units",
        default="on",
        doc="A reduce-only order is not larger than its strategy's position.",
        run=form.reduce_only,
        on_plain=False,
    ),
    Check(
        code="EXIT_EXCEEDS",
        key="",
        unit="base units",
        default="on",
        doc="An exit (role exit, stop, target, or reduce-only), with its strategy's live exits of "
        "the side, of unknown outcome too, asks for no more than position and declared inventory.",
        run=sizes.exit_exceeds,
        on_plain=False,
    ),
    Check(
        code="DAILY_LOSS",
        key="max_daily_loss",
        unit="money",
        default="none",
        doc="Loss since 00:00 UTC, fees and open positions counted; reaching it halts the run.",
        run=account.daily_loss,
        also=("on_breach",),
        active=lambda limits: bool(limits.daily_loss),
    ),
    Check(
        code="DRAWDOWN",
        key="max_drawdown",
        unit="money",
        default="none",
        doc="Fall of the equity from its peak; reaching it halts the run.",
        run=account.drawdown,
        also=("on_breach",),
        active=lambda limits: bool(limits.drawdown),
    ),
    Check(
        code="COOLDOWN",
        key="cooldown_losses",
        unit="round trips",
        default="none",
        doc="A strategy pauses after so many losing round trips within a time; exits pass.",
        run=account.cooldown,
        also=(
            "cooldown_window_secs",
            "cooldown_secs",
        ),
        active=lambda limits: limits.cooldown_losses is not None,
    ),
    Check(
        code="UNKNOWN_OUTCOMES",
        key="max_unknown_outcomes",
        unit="orders",
        default="3",
        doc="From so many orders of unknown outcome on a venue gets no new ones.",
        run=account.unknown_outcomes,
    ),
    Check(
        code="CLOCK_OFFSET",
        key="max_clock_offset_ms",
        unit="milliseconds",
        default="2000",
        doc="Largest difference between the venue's clock and ours, where it is known.",
        run=account.clock_offset,
    ),
    Check(
        code="INVALID_BOOK",
        key="",
        unit="",
        default="on",
        doc="The managed book (else the last quote) is neither empty nor one-sided nor crossed.",
        run=market.invalid_book,
    ),
    Check(
        code="STALE_REFERENCE",
        key="stale_after_ms",
        unit="milliseconds",
        default="5000",
        doc="The managed book (else the last quote, else the last trade) is there and recent.",
        run=market.stale_reference,
    ),
    Check(
        code="MIN_NOTIONAL",
        key="",
        unit="money",
        default="on",
        doc="Price x quantity lies within the instrument's min_notional and max_notional; "
        "market orders are valued at the best bid.",
        run=sizes.min_notional,
    ),
    Check(
        code="MAX_ORDER_NOTIONAL",
        key="max_order_notional",
        unit="money",
        default="none",
        doc="Largest price x quantity of one order; market orders are valued at the best ask.",
        run=sizes.max_order_notional,
        active=lambda limits: limits.max_order_notional is not None,
    ),
    Check(
        code="MAX_ORDER_QUANTITY",
        key="max_order_quantity",
        unit="base units",
        default="none",
        doc="Largest quantity of one order, per instrument.",
        run=sizes.max_order_quantity,
        active=lambda limits: bool(limits.max_order_quantity),
    ),
    Check(
        code="FAT_FINGER",
        key="fat_finger_multiple",
        unit="multiple",
        default="none",
        doc="Largest quantity as a multiple of the median (or largest) of the last trades; "
        "before the first trade nothing passes.",
        run=market.fat_finger,
        also=(
            "fat_finger_measure",
            "fat_finger_trades",
        ),
        active=lambda limits: limits.fat_finger is not None,
    ),
    Check(
        code="MAX_POSITION",
        key="max_position",
        unit="base units",
        default="none",
        doc="Largest absolute position of an instrument if every live order of the side fills; "
        "orders of unknown outcome count; a reduce-only market order is looked at alone.",
        run=sizes.max_position,
        active=lambda limits: bool(limits.max_position),
    ),
    Check(
        code="MIN_POSITION",
        key="min_position",
        unit="base units",
        default="none",
        doc="Least position of an instrument if every live SELL fills, signed; orders of unknown "
        "outcome count. A strategy that may not be short has its declared inventory as its own.",
        run=sizes.min_position,
    ),
    Check(
        code="INSTRUMENT_EXPOSURE",
        key="max_instrument_exposure",
        unit="money",
        default="none",
        doc="Largest absolute position + open orders of one instrument.",
        run=sizes.instrument_exposure,
        active=lambda limits: bool(limits.instrument_exposure),
    ),
    Check(
        code="VENUE_EXPOSURE",
        key="max_venue_exposure",
        unit="money",
        default="none",
        doc="Largest sum of absolute position + open orders over the instruments of one venue, "
        "per currency.",
        run=sizes.venue_exposure,
        active=lambda limits: bool(limits.venue_exposure),
    ),
    Check(
        code="ACCOUNT_EXPOSURE",
        key="max_account_exposure",
        unit="money",
        default="none",
        doc="Largest sum of absolute position + open orders over the venues of one account name, "
        "per currency.",
        run=sizes.account_exposure,
        active=lambda limits: bool(limits.account_exposure),
    ),
    Check(
        code="RESTING_NOTIONAL",
        key="max_resting_notional",
        unit="money",
        default="none",
        doc="Largest sum of all open orders of the run, per currency.",
        run=sizes.resting_notional,
        active=lambda limits: bool(limits.resting_notional),
    ),
    Check(
        code="MAX_OPEN_ORDERS",
        key="max_open_orders",
        unit="orders",
        default="50",
        doc="Most orders open or of unknown outcome, over all strategies of the run.",
        run=sizes.max_open_orders,
        on_modify=False,
    ),
    Check(
        code="PRICE_COLLAR",
        key="price_collar_bps",
        unit="basis points",
        default="500",
        doc="Most that a limit price may lie through the reference price on the losing side.",
        run=market.price_collar,
    ),
    Check(
        code="STOP_SIDE",
        key="",
        unit="",
        default="on",
        doc="The trigger is on the side of the market from which it can still be reached.",
        run=market.stop_side,
        on_plain=False,
    ),
    Check(
        code="SELF_CROSS",
        key="",
        unit="",
        default="on",
        doc="No order that would trade with an own resting order, of whatever strategy of the run.",
        run=market.self_cross,
    ),
    Check(
        code="FREE_BALANCE",
        key="",
        unit="money",
        default="on",
        doc="Balance for the order and its fee after all live orders, on cash and margin accounts.",
        run=account.free_balance,
    ),
    Check(
        code="CANCEL_TO_FILL",
        key="max_cancel_to_fill",
        unit="ratio",
        default="none",
        doc="Most cancelled orders for each filled one, per venue and UTC day, after a least "
        "number of orders.",
        run=sizes.cancel_to_fill,
        also=("cancel_to_fill_after",),
        active=lambda limits: limits.cancel_to_fill is not None,
    ),
    Check(
        code="CANCEL_RATE",
        key="max_cancels_per_second",
        unit="cancels per second",
        default="none",
        doc="From so many cancels in a second on, orders and modifies wait; cancels are "
        "never refused.",
        run=sizes.cancel_rate,
        active=lambda limits: limits.max_cancels_per_second is not None,
    ),
    Check(
        code="MODIFY_RATE",
        key="max_modifies_per_second",
        unit="modifies per second",
        default="none",
        doc="Most modifies approved in any one second.",
        run=sizes.modify_rate,
        active=lambda limits: limits.max_modifies_per_second is not None,
        on_plain=False,
    ),
    Check(
        code="ORDER_RATE",
        key="max_orders_per_second",
        unit="orders per second",
        default="10",
        doc="Most orders and modifies approved in any one second, over all strategies.",
        run=sizes.order_rate,
    ),
)


def active_checks(limits: Limits, off: frozenset[str]) -> tuple[Check, ...]:
    """The checks that have something to compare with and are not switched off."""
    return tuple(
        check
        for check in CHECKS
        if (check.active is None or check.active(limits))
        and not (check.switchable and check.code in off)
    )
