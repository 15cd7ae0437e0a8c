"""The registry of the gate's checks: small functions of an order and a view, one code each.

A check returns a `Denial`, or the fraction of its limit that the order would use (1.0 is at the
limit), or None where it does not apply. `CHECKS` is the order in which they run. What an option of
`[risk]` limits, its unit and its default are told there (engine/config/model.py); the table of
docs/risk.md is made of both (engine/risk/document.py).
"""

from __future__ import annotations

from fairlead.engine.config.model import Risk
from fairlead.engine.risk import checks_account as account
from fairlead.engine.risk import checks_form as form
from fairlead.engine.risk import checks_limits as sizes
from fairlead.engine.risk import checks_market as market
from fairlead.engine.risk.verdict import Check, Denial, Verdict

__all__ = ["CHECKS", "Check", "Denial", "Verdict", "active_checks"]

CHECKS: tuple[Check, ...] = (
    Check("KILL_SWITCH", form.kill_switch, key="kill_switch_file", switchable=False),
    Check(
        "DUPLICATE_ORDER_ID",
        form.duplicate_order_id,
        text="A client order id is used once; NautilusTrader itself would overwrite the first.",
        on_modify=False,
        switchable=False,
    ),
    Check(
        "INSTRUMENT_UNKNOWN",
        form.instrument_known,
        text="The instrument is one of the run's.",
        switchable=False,
    ),
    Check(
        "QUANTITY",
        form.quantity_positive,
        text="Above 0; a modify's total is above what is filled.",
        switchable=False,
    ),
    Check(
        "EXEC_ALGORITHM",
        form.exec_algorithm,
        text="No execution algorithm: its child orders would pass no gate.",
        on_modify=False,
        on_plain=False,
    ),
    Check(
        "EMULATION",
        form.emulation,
        text="No emulated triggers: they live in memory only. `self.stop_limit` is durable.",
        on_modify=False,
        on_plain=False,
    ),
    Check(
        "UNSUPPORTED",
        form.supported,
        text="Order kind, time in force, post-only, modify and lists as the venue has them, "
        "in every mode; quantities in base units.",
    ),
    Check(
        "CLEARS",
        form.clears,
        text="No second order where the venue would close positions and cancel orders of the "
        "account before it takes one; exits of a bracket pass with their entry. Switched off, a "
        "strategy's own position is closed first, by an exit of its own.",
        on_modify=False,
    ),
    Check(
        "CLEARS_HELD",
        form.clears_held,
        text="At such a venue no entry beside a position, a bracket or a market order on its way, "
        "in whatever market of the account: nothing would book what the venue sells for it. Where "
        "`off` has `CLEARS`, one beside its own strategy's position goes once that is closed.",
        on_modify=False,
        switchable=False,
    ),
    Check(
        "PRECISION",
        form.precision,
        text="Quantity and prices are positive multiples of the instrument's increments.",
    ),
    Check(
        "PRICE_BOUNDS",
        form.price_bounds,
        text="Price and trigger lie within the instrument's min_price and max_price.",
    ),
    Check(
        "QUANTITY_BOUNDS",
        form.quantity_bounds,
        text="The quantity lies within the instrument's min_quantity and max_quantity.",
    ),
    Check(
        "REDUCE_ONLY",
        form.reduce_only,
        text="A reduce-only order is not larger than its strategy's position.",
        on_plain=False,
    ),
    Check(
        "EXIT_EXCEEDS",
        sizes.exit_exceeds,
        text="An exit (role exit, stop, target, or reduce-only), with its strategy's live "
        "exits of the side, of unknown outcome too, asks for no more than position and "
        "declared inventory.",
        on_plain=False,
    ),
    Check("DAILY_LOSS", account.daily_loss, key="max_daily_loss", also=("on_breach",)),
    Check("DRAWDOWN", account.drawdown, key="max_drawdown", also=("on_breach",)),
    Check(
        "COOLDOWN",
        account.cooldown,
        key="cooldown_losses",
        also=(
            "cooldown_window_secs",
            "cooldown_secs",
        ),
    ),
    Check("UNKNOWN_OUTCOMES", account.unknown_outcomes, key="max_unknown_outcomes"),
    Check("CLOCK_OFFSET", account.clock_offset, key="max_clock_offset_ms"),
    Check(
        "INVALID_BOOK",
        market.invalid_book,
        text="The managed book (else the last quote) is neither empty nor one-sided nor crossed.",
    ),
    Check("STALE_REFERENCE", market.stale_reference, key="stale_after_ms"),
    Check(
        "MIN_NOTIONAL",
        sizes.min_notional,
        text="Price x quantity lies within the instrument's min_notional and max_notional; "
        "market orders are valued at the best bid.",
    ),
    Check("MAX_ORDER_NOTIONAL", sizes.max_order_notional, key="max_order_notional"),
    Check("MAX_ORDER_QUANTITY", sizes.max_order_quantity, key="max_order_quantity"),
    Check(
        "FAT_FINGER",
        market.fat_finger,
        key="fat_finger_multiple",
        also=(
            "fat_finger_measure",
            "fat_finger_trades",
        ),
    ),
    Check("MAX_POSITION", sizes.max_position, key="max_position"),
    Check("MIN_POSITION", sizes.min_position, key="min_position", always=True),
    Check("INSTRUMENT_EXPOSURE", sizes.instrument_exposure, key="max_instrument_exposure"),
    Check("VENUE_EXPOSURE", sizes.venue_exposure, key="max_venue_exposure"),
    Check("ACCOUNT_EXPOSURE", sizes.account_exposure, key="max_account_exposure"),
    Check("RESTING_NOTIONAL", sizes.resting_notional, key="max_resting_notional"),
    Check("MAX_OPEN_ORDERS", sizes.max_open_orders, key="max_open_orders", on_modify=False),
    Check("PRICE_COLLAR", market.price_collar, key="price_collar_bps"),
    Check(
        "STOP_SIDE",
        market.stop_side,
        text="The trigger is on the side of the market from which it can still be reached.",
        on_plain=False,
    ),
    Check(
        "SELF_CROSS",
        market.self_cross,
        text="No order that would trade with an own resting order, of whatever strategy of "
        "the run; an exit passes, and what is in its way is cancelled first.",
    ),
    Check(
        "FREE_BALANCE",
        account.free_balance,
        text="Balance for the order and its fee after all live orders, on a cash account; of any "
        "a balance is known.",
    ),
    Check(
        "MARGIN",
        account.margin,
        text="Initial margin (notional x the instrument's / the account's leverage) and fee of "
        "what enlarges a position, from a margin account's equity after positions and live orders.",
    ),
    Check(
        "CANCEL_TO_FILL",
        sizes.cancel_to_fill,
        key="max_cancel_to_fill",
        also=("cancel_to_fill_after",),
    ),
    Check("CANCEL_RATE", sizes.cancel_rate, key="max_cancels_per_second"),
    Check("MODIFY_RATE", sizes.modify_rate, key="max_modifies_per_second", on_plain=False),
    Check("ORDER_RATE", sizes.order_rate, key="max_orders_per_second"),
)


def active_checks(config: Risk) -> tuple[Check, ...]:
    """The checks that have something to compare with and are not switched off."""
    return tuple(
        check
        for check in CHECKS
        if not check.switchable or (check.is_set(config) and check.code not in config.off)
    )
