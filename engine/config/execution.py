"""`[execution]` in the words of the order desk and of the comparison of balances."""

from __future__ import annotations

from decimal import Decimal

from fairlead.engine.config import model
from fairlead.engine.orders.balance_check import DriftLimits
from fairlead.engine.orders.live import DeskSettings


def settings_of(execution: model.Execution) -> DeskSettings:
    """The desk's timing, from `[execution]`."""
    return DeskSettings(
        poll_secs=execution.poll_ms / 1000,
        balance_poll_secs=execution.balance_poll_ms / 1000,
        unknown_query_secs=tuple(ms / 1000 for ms in execution.unknown_query_ms),
        absent_quarantine_secs=execution.absent_quarantine_secs,
        settle_timeout_secs=execution.settle_timeout_secs,
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
