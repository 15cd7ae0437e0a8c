"""A venue's facts in the words of the order desk and of the flattening."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Literal

from adapters.base.venue import Adapter, Capabilities, ParseError, VenueError, VenueInstrument
from engine.config import model
from engine.orders.balance_check import DriftLimits
from engine.orders.flatten import Market
from engine.orders.live import DeskSettings, DeskTraits
from engine.orders.model import Kind, VenueUnavailable


def traits_of(can: Capabilities) -> DeskTraits:
    """What the desk must know of a venue, from its capability table."""
    return DeskTraits(
        client_order_ids=can.client_order_ids,
        private_stream=can.private_stream,
        reports_fills=can.reports_fills,
        replace=can.replace,
        batch_submit_max=can.batch_submit_max,
        batch_cancel_max=can.batch_cancel_max,
        batch_query_max=can.batch_query_max,
        max_order_lag_secs=can.max_order_lag_secs,
    )


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


def market_of(
    instrument: VenueInstrument, can: Capabilities, account_type: Literal["cash", "margin"]
) -> Market:
    """What is needed to close a position in one instrument."""
    return Market(
        base=instrument.base,
        quote=instrument.quote,
        step=instrument.nautilus.size_increment.as_decimal(),
        min_quantity=instrument.min_quantity,
        min_notional=instrument.min_notional,
        tick=instrument.nautilus.price_increment.as_decimal(),
        is_cash=account_type == "cash",
        has_market_orders=Kind.MARKET in can.kinds,
    )


def touch_of(adapter: Adapter) -> Callable[[str], Awaitable[tuple[Decimal, Decimal]]]:
    """Best bid and ask, read from the venue.

    Raises VenueUnavailable, and LookupError on an empty side.
    """

    async def touch(instrument: str) -> tuple[Decimal, Decimal]:
        try:
            snapshot = await adapter.market_data.book_snapshot(instrument, 5)
        except (VenueError, ParseError) as error:
            code = error.code if isinstance(error, VenueError) else "BOOK-UNREADABLE"
            raise VenueUnavailable(code, f"the book of {instrument}: {error}") from error
        sides: dict[str, list[Decimal]] = {"BUY": [], "SELL": []}
        for delta in snapshot.deltas:
            side = delta.order.side  # None of the CLEAR
            levels = None if side is None else sides.get(side.name)
            if levels is not None:
                levels.append(delta.order.price.as_decimal())
        if not sides["BUY"] or not sides["SELL"]:
            raise LookupError(f"the book of {instrument} has an empty side")
        return max(sides["BUY"]), min(sides["SELL"])

    return touch
