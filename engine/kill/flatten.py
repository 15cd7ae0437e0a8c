"""Bring the journal's positions to zero: what a kill with action `flatten` does after cancelling.

The orders are journaled like any other, under strategy id KILL, so that none leaves without a
durable intent and a restart finds them. KILL first takes over the positions that it is to close,
in the journal only; what it then buys and sells nets out there, and a later flatten counts nothing
twice. What it did not close it gives back. One process at a time does it for an account
(`FlattenLock`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from fairlead.engine.config.execution import settings_of
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.account import Market, Markets, Reached
from fairlead.engine.kill.way import Way
from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.lock import AccountLock, FlattenLock, holder_of
from fairlead.engine.orders.model import (
    Finding,
    Intent,
    Kind,
    Role,
    Side,
    VenueBalance,
    VenueFill,
    VenueOrders,
    VenueUnavailable,
)
from fairlead.engine.orders.taken_over import give_back, settle_nothing
from fairlead.engine.processes import boot_id
from fairlead.engine.risk.approval import approve_closing

ROUNDS = 3  # orders per instrument, at most
ROUND_SECS = 5.0  # for an order to end
POLL_SECS = 0.05
FLATTEN_SECS = 20.0  # for what an earlier flatten left to be proven
LOCK_SECS = 10.0  # for another process that flattens to end
OLD_LOOK_SECS = 0.5  # at what the run beside is to prove


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one instrument's position; `left` is signed base units.

    Flat is also what is left below the venue's smallest order: nothing can be sent for it.
    """

    instrument: str
    before: Decimal
    left: Decimal
    is_flat: bool
    detail: str = ""


class KillJournal(Journal):
    """The account's journal as the flattening process sees it: only KILL's orders are its own."""

    def open_orders(self, strategy: str | None = KILL_STRATEGY) -> list[JournaledOrder]:
        return super().open_orders(KILL_STRATEGY)


class Flattener:
    """Closes positions through a desk. `covers` tells by strategy id whose.

    The touch of `markets` is for venues without market orders, and for what lies in the way:
    that is cancelled first, whoever's it is, where the venue `cancels`, and `tell` names it.
    `unbooked` are executions that the venue has told and the journal does not hold yet (the run
    that would book them hangs): executed quantities by client order id.
    """

    def __init__(
        self,
        *,
        venue: VenueOrders,
        journal: Journal,
        desk: OrderDesk,
        markets: Markets,
        covers: Callable[[str], bool],
        collar: Decimal,
        new_id: Callable[[], str],
        now_ns: Callable[[], int],
        tell: Callable[[str], None],
        unbooked: Mapping[str, Decimal] | None = None,
        cancels: bool = True,
    ) -> None:
        self._way = Way(venue, journal, desk, self._worst, tell)
        self._cancels = cancels
        self._venue = venue
        self._journal = journal
        self._desk = desk
        self._markets = markets.by_name
        self._covers = covers
        self._touch = markets.touch
        self._collar = collar
        self._new_id = new_id
        self._now_ns = now_ns
        self._unbooked = dict(unbooked or {})
        self._taken: set[str] = set()  # instruments in which KILL has taken something over
        self._too_small: set[str] = set()  # instruments whose rest the venue takes no order for
        self._cut_off = ""

    def _is_mine(self, strategy: str) -> bool:
        return strategy == KILL_STRATEGY or self._covers(strategy)

    def positions(self) -> dict[str, Decimal]:
        """Net base quantity to be closed, by instrument, unbooked executions counted."""
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        for (_, name), (quantity, _) in self._held().items():
            found[name] += quantity
        return {name: quantity for name, quantity in found.items() if quantity}

    def _held(self) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        """By strategy and instrument what it holds, unbooked executions counted, and its price.

        What was taken over before it was booked is negative in the journal until then.
        """
        found: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        with self._journal.one_moment():
            positions = self._journal.positions()
            told = {one.instrument: one.avg_price for one in positions if one.avg_price is not None}
            for one in positions:
                if self._is_mine(one.strategy):
                    price = one.avg_price or Decimal(0)
                    found[one.strategy, one.instrument] = one.quantity, price
            for client_order_id, filled in self._unbooked.items():
                order = self._journal.order(client_order_id)
                if order is None or not self._is_mine(order.intent.strategy):
                    continue
                if (more := filled - order.filled) > 0:
                    intent = order.intent
                    key = intent.strategy, intent.instrument
                    before, price = found.get(key, (Decimal(0), Decimal(0)))
                    # Else near enough to net it with another strategy's position
                    price = price or intent.price or told.get(intent.instrument, Decimal(0))
                    found[key] = before + self._signed(order, more), price
        return found

    def _signed(self, order: JournaledOrder, quantity: Decimal) -> Decimal:
        intent = order.intent
        if intent.side is Side.SELL:
            return -quantity
        market = self._markets.get(intent.instrument)
        price = intent.price or Decimal(1)
        fee = self._venue.fee(intent.instrument, intent.side, quantity, price)
        paid = fee.amount if market is not None and fee.currency == market.base else Decimal(0)
        return quantity - paid

    async def run(self, deadline: float | None = None) -> list[Closed]:
        """Close everything that is covered, until the loop's clock reaches the deadline: what is
        open then is left. Raises JournalError: then nothing more was sent.
        """
        settle_nothing(self._journal)  # of one that died
        held = {strategy for strategy, _ in self._held()}
        self._covers = held.__contains__  # the orders of one that is killed from now on are open
        before = self.positions()
        self._take_over()
        details: dict[str, str] = {}
        try:
            async with asyncio.timeout_at(deadline) as limit:
                await self._close(details)
        except TimeoutError:
            if not limit.expired():
                raise
            self._cut_off = "no time was left"
        finally:  # cut off, too: else a strategy's own exit would split the books
            after = self.positions()
            closed = [self._closed(name, before[name], after, details) for name in before]
            self._give_back(closed)
        return closed

    async def _close(self, details: dict[str, str]) -> None:
        """In rounds, until nothing is left that can be sent. Raises JournalError."""
        for _ in range(ROUNDS):
            self._take_over()  # what was executed meanwhile, too
            closing = [
                (intent, quantity)
                for name, quantity in self._taken_over().items()
                if (intent := await self._closing(name, quantity, details)) is not None
            ]
            if not closing:
                break
            approved = [approve_closing(intent, quantity) for intent, quantity in closing]
            async with self._way.cleared(intent for intent, _ in closing if self._cancels):
                await self._desk.submit(approved)
                if not await self._settled(ROUND_SECS):
                    await self._desk.cancel([one.client_order_id for one, _ in closing])
                    if not await self._settled(ROUND_SECS):
                        break  # of unknown outcome: sending another could close twice

    def meets(self, intent: Intent) -> bool:
        """Whether a closing order that is under way would execute against it."""
        return self._way.meets(intent)

    def _give_back(self, closed: Sequence[Closed]) -> None:
        for one in closed:
            market = self._markets.get(one.instrument)
            least = Decimal(0) if market is None else max(market.step, market.min_quantity)
            # What the venue takes no order for stays KILL's: its strategy could not close it either
            give_back(self._journal, one.instrument, None if one.is_flat else least)
        for name in self._taken - {one.instrument for one in closed}:  # netted out among them
            give_back(self._journal, name, None)

    def _closed(
        self, name: str, before: Decimal, after: Mapping[str, Decimal], details: Mapping[str, str]
    ) -> Closed:
        left = after.get(name, Decimal(0))
        market = self._markets.get(name)
        is_flat = name in self._too_small or (
            market is not None and abs(left) < max(market.step, market.min_quantity)
        )
        live = [o.intent.client_order_id for o in self._live() if o.intent.instrument == name]
        detail = details.get(name, "" if is_flat else self._cut_off)
        if live:
            detail = f"its closing order {', '.join(live)} is not proven to be over"
        return Closed(
            instrument=name,
            before=before,
            left=left,
            is_flat=is_flat and not live,
            detail=detail,
        )

    def _take_over(self) -> None:
        """All that the covered strategies hold; of what is not booked yet their booking makes 0."""
        for (giver, name), (quantity, price) in self._held().items():
            if quantity and giver != KILL_STRATEGY:
                self._journal.hand_over(giver, KILL_STRATEGY, name, price, quantity)
                self._taken.add(name)

    def _taken_over(self) -> dict[str, Decimal]:
        """What KILL holds, by instrument."""
        return {
            one.instrument: one.quantity
            for one in self._journal.positions()
            if one.strategy == KILL_STRATEGY and one.quantity
        }

    async def _closing(
        self, name: str, quantity: Decimal, details: dict[str, str]
    ) -> Intent | None:
        """The order that closes this much, or None where nothing can be sent."""
        market = self._markets.get(name)
        if market is None:
            details[name] = "the config does not name this instrument; close it at the venue"
            return None
        size = abs(quantity)
        if quantity > 0 and market.is_cash:
            size = min(size, await self._free(market.base, size))
        size = (size / market.step).to_integral_value(ROUND_DOWN) * market.step
        if size <= 0 or size < market.min_quantity:
            if abs(quantity) >= max(market.step, market.min_quantity):
                details[name] = f"the account has less {market.base} free than the position"
            return None
        side = Side.SELL if quantity > 0 else Side.BUY
        if await self._is_too_small(name, side, size, market):
            what = f"the venue takes no order below {market.min_notional:f} {market.quote}"
            if size == abs(quantity) or await self._is_too_small(name, side, abs(quantity), market):
                self._too_small.add(name)
                details[name] = f"{quantity:f} stays: {what}"
            else:
                details[name] = f"the account has less {market.base} free than the position; {what}"
            return None
        try:
            price = None if market.has_market_orders else await self._price(name, side, market)
        except (VenueUnavailable, LookupError) as error:
            details[name] = f"no price can be read: {error}"
            return None
        return Intent(
            client_order_id=self._new_id(),
            strategy=KILL_STRATEGY,
            instrument=name,
            side=side,
            kind=Kind.MARKET if price is None else Kind.LIMIT,
            quantity=size,
            price=price,
            ts_init=self._now_ns(),
            role=Role.EXIT,
        )

    async def _free(self, currency: str, otherwise: Decimal) -> Decimal:
        """What of the currency can be sold; the position itself when the venue can't be read."""
        try:
            balances: list[VenueBalance] = await self._venue.balances()
        except VenueUnavailable:
            return otherwise
        free = [balance.free for balance in balances if balance.currency == currency]
        return free[0] if free else otherwise

    async def _is_too_small(self, name: str, side: Side, size: Decimal, market: Market) -> bool:
        """Whether the venue's minimum forbids it; where no price can be read, the venue decides."""
        if not market.min_notional:
            return False
        try:
            bid, ask = await self._touch(name)
        except (VenueUnavailable, LookupError):
            return False
        return size * (bid if side is Side.SELL else ask) < market.min_notional

    async def _price(self, name: str, side: Side, market: Market) -> Decimal:
        """Through the touch by the collar: fills like a market order, but never at any price."""
        bid, ask = await self._touch(name)
        worst = ask * (1 + self._collar) if side is Side.BUY else bid * (1 - self._collar)
        return (worst / market.tick).to_integral_value(ROUND_DOWN) * market.tick

    async def _worst(self, name: str, side: Side) -> Decimal | None:
        try:
            return await self._price(name, side, self._markets[name])
        except (VenueUnavailable, LookupError):
            return None

    def _live(self) -> list[JournaledOrder]:
        """KILL's orders that are not over, this process's or another's."""
        return self._journal.open_orders(KILL_STRATEGY)

    async def settle_old(self, secs: float) -> bool:
        """Wait until no KILL order of before is open. False: one is, nothing may be sent."""
        return await self._settled(secs)

    async def _settled(self, secs: float) -> bool:
        deadline = asyncio.get_running_loop().time() + secs
        while self._live():
            if asyncio.get_running_loop().time() >= deadline or self._desk.failure is not None:
                return False
            await asyncio.sleep(POLL_SECS)
        return True


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
        self._files = account_files(loaded, key)
        self._deadline = 0.0
        self.made: set[str] = set()  # client order ids of its closing orders

    async def run(
        self, reached: Reached, unbooked: Mapping[str, Decimal], deadline: float
    ) -> list[Closed]:
        """Ends when the loop's clock reaches the deadline, at the latest."""
        self._deadline = deadline
        until = asyncio.get_running_loop().time() + self._within(FLATTEN_SECS)
        lock = FlattenLock(self._files.flatten_lock)
        while True:
            if not await lock.taken(self._within(LOCK_SECS)):
                self._fail(
                    "KILL-FLATTEN: another process has been flattening this account"
                    f"{_named(lock.path)}; look again"
                )
                return []
            try:
                with contextlib.ExitStack() as held:
                    is_alone = self._holds_account(held)
                    left = [] if is_alone else self._left()
                    if not left:
                        return await self._run_locked(reached, unbooked, is_alone)
            finally:
                lock.free()
            if asyncio.get_running_loop().time() + OLD_LOOK_SECS >= until:  # no time for a look
                self._fail(
                    f"KILL-FLATTEN: the closing order {', '.join(left)} of an earlier kill is of "
                    f"unknown outcome, and for the run to prove{_named(self._files.lock)}. Kill "
                    "again; if the run hangs, end it first (kill -9)"
                )
                return []
            await asyncio.sleep(OLD_LOOK_SECS)

    def _left(self) -> list[str]:
        """Closing orders that are not over: the run takes them up once it gets the lock."""
        try:
            with contextlib.closing(Journal.reading(self._files.journal)) as journal:
                return [one.intent.client_order_id for one in journal.open_orders(KILL_STRATEGY)]
        except JournalError:
            return []  # told where it is opened to be written

    def _new_id(self) -> str:
        made = str(uuid4())
        self.made.add(made)
        return made

    def _within(self, secs: float) -> float:
        """As long as that, or until the deadline."""
        return min(secs, max(self._deadline - asyncio.get_running_loop().time(), 0.0))

    def _holds_account(self, held: contextlib.ExitStack) -> bool:
        """Keep a run from starting meanwhile; False when one is running."""
        try:
            held.enter_context(AccountLock(self._files.lock, " (closes positions)"))
        except FairleadError:
            return False
        return True

    async def _run_locked(
        self, reached: Reached, unbooked: Mapping[str, Decimal], is_alone: bool
    ) -> list[Closed]:
        try:
            journal = KillJournal(self._files.journal, fsync=True, now_ns=time.time_ns)
        except JournalError as error:
            self._fail(
                "KILL-FLATTEN: NO POSITION WAS CLOSED, as a closing order is journaled before it "
                f"is sent: {error.message}. Close it at the venue, or free the disk and kill again"
            )
            return []
        markets = reached.markets()
        desk = OrderDesk(
            venue=reached.orders,
            journal=journal,
            sink=KillSink(self._tell),
            capabilities=msgspec.structs.replace(reached.capabilities, private_stream=False),
            settings=msgspec.structs.replace(
                settings_of(self._loaded.config.execution), poll_secs=0.2, balance_poll_secs=60.0
            ),
            base_currency=lambda name: markets.by_name[name].base,
            now_ns=time.time_ns,
            boot=boot_id(),
        )
        flattener = Flattener(
            venue=reached.orders,
            journal=journal,
            desk=desk,
            markets=markets,
            covers=self._covers,
            collar=self._loaded.config.risk.price_collar_bps / 10_000,
            new_id=self._new_id,
            now_ns=time.time_ns,
            tell=self._tell,
            unbooked=unbooked,
            cancels=reached.capabilities.cancels,
        )
        try:
            if is_alone:  # a flatten that died before: its orders are ours to prove
                desk.adopt_journal()
                async with asyncio.timeout_at(self._deadline):
                    await desk.recover(self._within(FLATTEN_SECS))
            desk.start()
            if not await flattener.settle_old(self._within(FLATTEN_SECS)):
                self._fail("KILL-FLATTEN: an earlier closing order is of unknown outcome")
                return []
            closed = await flattener.run(self._deadline)
        except TimeoutError:
            self._fail("KILL-FLATTEN: what an earlier flatten left is not proven in time")
            return []
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
        """Told when the venue has it: it may be refused yet, and not be sent at all."""

    def order_accepted(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._tell(f"{_order(intent)} sent to close: the venue has it as {venue_order_id}")

    def order_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        self._tell(f"{_order(intent)} to close was refused: {code}: {message}")

    def order_triggered(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_held(self, intent: Intent, ts_event: int) -> None: ...
    def order_released(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...

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


def _named(lock: Path) -> str:
    """Who holds it, where that can be known."""
    pid = holder_of(lock)
    return "" if pid is None else f" (process {pid})"


def _order(intent: Intent) -> str:
    return f"{intent.instrument} {intent.side} {intent.quantity:f}"
