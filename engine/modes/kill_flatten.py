"""What `fairlead kill --action flatten` does at one venue account, after its orders are gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid4

import msgspec

from adapters.base.venue import Adapter, ParseError, VenueError, VenueInstrument
from engine.config.execution import settings_of
from engine.config.loaded import LoadedConfig, account_files
from engine.errors import FairleadError
from engine.orders.desk import OrderDesk
from engine.orders.files import AccountLock
from engine.orders.flatten import Closed, Flattener, FlattenLock, KillJournal, Market
from engine.orders.journal_reads import JournalError
from engine.orders.model import Capabilities, Finding, Intent, Kind, VenueFill, VenueUnavailable

FLATTEN_SECS = 20.0
LOCK_SECS = 10.0  # for another process that flattens to end
LOCK_LOOK_SECS = 0.1


class VenueFlatten:
    """Closes the net positions of one venue account of the config, one process at a time."""

    def __init__(
        self,
        loaded: LoadedConfig,
        key: str,
        covers: Callable[[str], bool],
        tell: Callable[[str], None],
        fail: Callable[[str], None],
    ) -> None:
        self._loaded = loaded
        self._covers = covers
        self._tell = tell
        self._fail = fail
        self._venue = loaded.config.venues[key]
        self._files = account_files(loaded, key)

    async def run(self, adapter: Adapter, unbooked: Mapping[str, Decimal]) -> list[Closed]:
        lock = FlattenLock(self._files.flatten_lock)
        if not await self._taken(lock):
            self._fail("KILL-FLATTEN: another process has been flattening this account; look again")
            return []
        try:
            with contextlib.ExitStack() as held:
                is_alone = self._holds_account(held)
                return await self._run_locked(adapter, unbooked, is_alone)
        finally:
            lock.free()

    async def _taken(self, lock: FlattenLock) -> bool:
        deadline = asyncio.get_running_loop().time() + LOCK_SECS
        while not lock.take():
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(LOCK_LOOK_SECS)
        return True

    def _holds_account(self, held: contextlib.ExitStack) -> bool:
        """Keep a run from starting meanwhile; False when one is running."""
        try:
            held.enter_context(AccountLock(self._files.lock))
        except FairleadError:
            return False
        return True

    async def _run_locked(
        self, adapter: Adapter, unbooked: Mapping[str, Decimal], is_alone: bool
    ) -> list[Closed]:
        try:
            journal = KillJournal(self._files.journal, fsync=True, now_ns=time.time_ns)
        except JournalError as error:
            self._fail(
                "KILL-FLATTEN: NO POSITION WAS CLOSED, as a closing order is journaled before it "
                f"is sent: {error.message}. Close it at the venue, or free the disk and kill again"
            )
            return []
        desk = OrderDesk(
            venue=adapter.orders,
            journal=journal,
            sink=KillSink(self._tell),
            capabilities=msgspec.structs.replace(adapter.capabilities, private_stream=False),
            settings=msgspec.structs.replace(
                settings_of(self._loaded.config.execution), poll_secs=0.2, balance_poll_secs=60.0
            ),
            base_currency=lambda name: adapter.instruments[name].base,
            now_ns=time.time_ns,
        )
        flattener = Flattener(
            venue=adapter.orders,
            journal=journal,
            desk=desk,
            markets={
                name: market_of(one, adapter.capabilities, self._venue.account_type)
                for name, one in adapter.instruments.items()
            },
            covers=self._covers,
            touch=touch_of(adapter),
            collar=self._loaded.config.risk.price_collar_bps / 10_000,
            new_id=lambda: str(uuid4()),
            now_ns=time.time_ns,
            unbooked=unbooked,
        )
        try:
            if is_alone:  # a flatten that died before: its orders are ours to prove
                desk.adopt_journal()
                await desk.recover(FLATTEN_SECS)
            desk.start()
            if not await flattener.settle_old(FLATTEN_SECS):
                self._fail("KILL-FLATTEN: an earlier closing order is of unknown outcome")
                return []
            closed = await flattener.run()
        finally:
            await desk.abandon()
            journal.close()
        for one in closed:
            what = "flat" if one.is_flat else f"LEFT {one.left:f}"
            self._tell(f"{one.instrument} position {one.before:f}: {what} {one.detail}".rstrip())
        return closed


class KillSink:
    """Tells a person what became of the closing orders; NautilusTrader is not there."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def order_submitted(self, intent: Intent) -> None:
        self._tell(f"{intent.instrument} {intent.side} {intent.quantity:f} sent to close")

    def order_accepted(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...

    def order_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        self._tell(f"{intent.instrument} close refused: {code}: {message}")

    def order_triggered(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...

    def order_filled(self, intent: Intent, fill: VenueFill) -> None:
        self._tell(f"{intent.instrument} {intent.side} {fill.quantity:f} at {fill.price:f}")

    def order_canceled(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_expired(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_replaced(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def replace_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def cancel_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def balances(self, balances: Any, ts_event: int) -> None: ...

    def finding(self, finding: Finding) -> None:
        self._tell(f"{finding.code} {finding.subject}: {finding.journal}, {finding.venue}")


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
