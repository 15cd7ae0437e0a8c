"""`[execution]` and `[venues.NAME.held]` in the words of the order desk and its comparisons."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.engine.config import model
from fairlead.engine.orders.balance_check import DriftLimits
from fairlead.engine.orders.held import HeldSettings, Passed
from fairlead.engine.orders.live import DeskSettings
from fairlead.engine.orders.model import Capabilities, Tif, TriggerSource


def settings_of(execution: model.Execution) -> DeskSettings:
    """The desk's timing, from `[execution]`."""
    return DeskSettings(
        poll_secs=execution.poll_ms / 1000,
        balance_poll_secs=execution.balance_poll_ms / 1000,
        unknown_query_secs=tuple(ms / 1000 for ms in execution.unknown_query_ms),
        absent_quarantine_secs=execution.absent_quarantine_secs,
        settle_timeout_secs=execution.settle_timeout_secs,
    )


def held_of(held: model.Held) -> HeldSettings:
    """How orders are held, from `[venues.NAME.held]`."""
    return HeldSettings(
        stale_after_ns=held.stale_after_ms * 1_000_000,
        passed=Passed(held.passed),
        rearms=held.refused == "rearm",
        rearm_secs=held.rearm_ms / 1000,
        releases_max=held.releases_max,
    )


def able_with(able: Capabilities, held: model.Held) -> Capabilities:
    """What the venue can do with what the config says of orders that are held for it."""
    source = None if held.source is None else TriggerSource(held.source)
    return msgspec.structs.replace(
        able,
        trigger_sources=able.trigger_sources if source is None else (source,),
        holds_limits=held.limits and Tif.GTC not in able.time_in_force,
    )


def drift_limits_of(execution: model.Execution) -> DriftLimits:
    """What the account's balances may differ by, from `[execution]`."""
    return DriftLimits(
        most={
            currency: Decimal(amount) for amount, currency in map(str.split, execution.max_drift)
        },
        share=execution.max_drift_share,
        accept=execution.accept_drift,
    )
