"""One account that trades through NautilusTrader's own clients: what a run asks of any account."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId

from fairlead.adapters.base.journaled_account import JournaledAccount
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.config import model
from fairlead.engine.config.execution import drift_limits_of
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.balance_check import BalanceCheck
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import Finding, Intent, Side, VenueUnavailable
from fairlead.engine.run.native.balances import NativeBooks, contract_of, price_in, wallet_of
from fairlead.engine.run.native.desk import NativeDesk
from fairlead.engine.run.native.look import Seen, told
from fairlead.engine.run.native.steward import Steward, Teller

logger = logging.getLogger(__name__)

LOOK_SECS = 0.02
WATCH_SECS = 0.25
UNKNOWN_NS = 2_000_000_000  # without an answer for so long, an order counts as of unknown outcome
CANCEL_AGAIN_SECS = 1.0
COMPARE_EVERY_SECS = 30.0
DRIFT = "NATIVE-DRIFT"
NO_MARGIN, CASH = "NATIVE-ACCOUNT", '"cash"'
ABSENT = "ABSENT-PROVEN: the venue does not know it, and its position is what the journal holds"


def _nothing(_: object) -> None: ...
def _nothing_said(_: str, __: str) -> None: ...


class NativeAccount(JournaledAccount):
    """Live orders, journal and findings of one account; `desk` books what strategies are told."""

    def __init__(
        self,
        *,
        runtime: VenueRuntime,
        config: model.Config,
        journal: Journal,
        on_sent: Callable[[Intent], None] = _nothing,
        on_unknown: Callable[[int], None] = _nothing,
        on_halt: Callable[[str, str], None] = _nothing_said,
    ) -> None:
        """`on_sent` is told of each order as NautilusTrader is handed it, `on_unknown` how many are
        without an answer for long; `on_halt` gets an instrument that must not trade on, and why."""

        super().__init__(runtime, journal, config)
        self._is_settled = False
        venue = config.venues[self.venue.lower()]
        is_margin = venue.account_type == "margin"
        self.desk: NativeDesk = NativeDesk(
            journal,
            self.instruments,
            runtime.now_ns,
            runtime.fatal,
            self.found,
            tells_positions=is_margin,
            on_halt=on_halt,
        )
        self.desk.on_sent = on_sent
        self._on_unknown = on_unknown
        self.teller = Teller(f"{self.venue}-{venue.account}")
        self._balances = BalanceCheck(
            venue=self.venue,
            orders=self.teller,
            desk=NativeBooks(self.desk),
            instruments=runtime.instruments,
            currencies_of=self._currencies_of,
            limits=drift_limits_of(config.execution),
            now_ns=runtime.now_ns,
            on_found=self.found,
            on_halt=on_halt,
            wallet=wallet_of(lambda: self.instruments) if is_margin else None,
            price_of=price_in(lambda: None if self.steward is None else self.steward.cache),
        )

    @property
    def steward(self) -> Steward | None:
        return self.teller.steward

    @steward.setter
    def steward(self, steward: Steward) -> None:
        self.desk.steward = self.teller.steward = steward

    def _currencies_of(self, instrument: str) -> tuple[str, str]:
        """Base and quote, or what a contract settles in; of an instrument that is gone, none."""
        known = self.instruments.get(instrument)
        if known is None:
            return "", ""
        contract = contract_of(known.nautilus)
        return (known.base, known.quote) if contract is None else ("", contract.settles)

    @property
    def account(self) -> str:
        return self._config.venues[self.venue.lower()].account

    @property
    def can_flatten(self) -> bool:
        """What would close a position goes through a desk, which this account has not."""
        return False

    def look_at_kills(self) -> None:
        """There is nothing that they closed."""

    # -- at a start ----------------------------------------------------------------------------

    def recover(self, seen: Seen) -> None:
        """Settle what an earlier run left in the journal by what the venue tells now.

        Raises FairleadError `NATIVE-ACCOUNT` where the account has no positions and the config has
        it for one with margin, `NATIVE-DRIFT` where positions differ, or nothing proves what became
        of an order, `BALANCE-DRIFT` where the account holds something else; JournalError.
        """
        is_margin = self._config.venues[self.venue.lower()].account_type == "margin"
        if is_margin and seen.is_cash:
            raise FairleadError(
                NO_MARGIN,
                f"[venues.{self.venue.lower()}] account_type: expected {CASH}, as {self.venue} "
                "tells this account is one without positions, came "
                f'"margin": NautilusTrader would take it for flat; write account_type = {CASH}',
                Exit.CONFIG,
            )
        absent: list[LiveOrder] = []
        for order in self.desk.live_orders():
            told = seen.orders.get(order.intent.client_order_id)
            if told is None:
                absent.append(order)
            else:
                name = order.intent.client_order_id
                self.desk.book(order, told, seen.fills.get(name, ()))
        if is_margin:
            self._compare(seen)
            self._require_proof(absent, seen)
        elif absent and not self._config.execution.accept_drift:
            raise FairleadError(  # no positions are told that would prove that nothing was filled
                DRIFT,
                f"{self.venue} tells nothing of {', '.join(map(_id, absent))}, which "
                f"{self.journal.path} holds open, or what it tells could not be read (the log has "
                "why): look at the venue what became of it. Where it was never filled, "
                "execution.accept_drift = true for one start takes it for that; an execution would "
                "be missing from the journal for good",
                Exit.DRIFT,
            )
        for order in absent:
            self.desk.gone(order, ABSENT)
        if seen.balances is not None:
            self._balances.judge(seen.balances)
        self.balances_begin()  # NautilusTrader's client reads them as it connects

    def _compare(self, seen: Seen) -> None:
        held: defaultdict[str, Decimal] = defaultdict(Decimal)
        for position in self.journal.positions():
            held[position.instrument] += position.quantity
        for name in sorted({*held, *seen.positions}):
            ours, theirs = held[name], seen.positions.get(name, Decimal(0))
            if ours == theirs:
                continue
            finding = Finding(
                code=DRIFT,
                instrument=name,
                subject=self.account,
                journal=f"{ours.normalize():f}",
                venue=f"{theirs.normalize():f}",
                action="positions differ",
                ts_event=self.runtime.now_ns(),
            )
            self.journal.finding(finding)
            self.found(finding)
            if not self._config.execution.accept_drift:
                raise FairleadError(
                    DRIFT,
                    f"{name}: the journal {self.journal.path} holds {ours.normalize():f}, "
                    f"{self.venue} {theirs.normalize():f}. Look at the venue's own history: what "
                    f"was traded there by hand is booked by fairlead resolve {name} --held "
                    f"{theirs.normalize():f} --price PRICE --reason TEXT --config FILE",
                    Exit.DRIFT,
                )

    def _require_proof(self, absent: Sequence[LiveOrder], seen: Seen) -> None:
        """Positions that agree prove of orders that the venue tells nothing of that none was
        filled, but for those of two sides, whose executions may make nothing of one another: it
        may have failed to tell. Then the wallet must agree. Raises FairleadError.
        """
        sides: defaultdict[str, set[Side]] = defaultdict(set)
        for order in absent:
            sides[order.intent.instrument].add(order.intent.side)
        names = sorted(name for name, found in sides.items() if len(found) > 1)
        if not names or self._config.execution.accept_drift:
            return
        if seen.balances is not None and self._balances.agrees(seen.balances):
            return
        ids = ", ".join(_id(order) for order in absent if order.intent.instrument in names)
        raise FairleadError(
            DRIFT,
            f"{self.venue} tells nothing of {ids}, which {self.journal.path} holds open; one of "
            "them may have been filled against another, and what the account holds does not prove "
            "that none was: start again, look at the venue what became of them, or set "
            "execution.accept_drift = true for one start, which takes them for never filled",
            Exit.DRIFT,
        )

    def taken_over(self, cache: Any) -> str | None:
        """NautilusTrader has the orders that the venue has open; it tells what comes from now on.

        What was executed since `recover` is booked. Gives an order that ended since then, if one
        did: nothing here would tell how, only another look at the account does.
        """
        for order in self.desk.live_orders():
            known = cache.order(ClientOrderId(order.intent.client_order_id))
            if known is None:
                return order.intent.client_order_id
            self.desk.book(order, told(known))
        self.desk.is_hearing = True
        return None

    async def watch(self) -> None:
        """Until cancelled: of the journal's file, of answers, and of what the account holds."""
        await asyncio.gather(self.watch_orders(), self.compare())

    async def compare(self) -> None:
        """Until cancelled: what the account holds is what the journal makes it."""
        is_told = False
        while True:
            await asyncio.sleep(COMPARE_EVERY_SECS)
            if not self.desk.is_hearing:
                continue
            try:
                await self._balances.compare()
            except VenueUnavailable as error:
                log = logger.info if is_told else logger.warning
                log("what %s holds is not compared: %s", self.venue, error)
                is_told = True
            except JournalError as error:
                self.desk.fail(error)
                return

    async def watch_orders(self) -> None:
        """Until cancelled: the journal is the file it was, and answers come."""
        told = 0
        while True:
            await asyncio.sleep(WATCH_SECS)
            try:
                self.journal.require_file()
            except JournalError as error:
                self.desk.fail(error)
                return
            before_ns = self.runtime.now_ns() - UNKNOWN_NS
            unknown = sum(
                not order.is_proven and order.ts_sent < before_ns
                for order in self.desk.live_orders()
            )
            if unknown != told:
                told = unknown
                self._on_unknown(unknown)

    # -- what a run asks -----------------------------------------------------------------------

    def give_up_connecting(self) -> None:
        """NautilusTrader connects: its own stop ends it."""

    def unresolved(self) -> list[str]:
        """Client order ids of orders that the venue has never shown."""
        return [_id(order) for order in self.desk.live_orders() if not order.is_proven]

    def left_open(self) -> list[str]:
        if self._config.run.on_stop == "keep":
            return []
        return [_id(order) for order in self.desk.live_orders() if order.is_proven]

    def live(self) -> list[str]:
        return [_id(order) for order in self.desk.live_orders()]

    def withdraw(self, client_order_ids: Iterable[str]) -> None:
        """What is handed to NautilusTrader is sent: there is no queue of ours to take it from."""

    async def settle(self, most_secs: float) -> None:
        """Cancel what is open, unless the config keeps it, and hear the end of it; once."""
        if self._is_settled or self._config.run.on_stop == "keep":
            return
        self._is_settled = True
        self.takes_ns = self.now_ns()
        loop = asyncio.get_running_loop()
        latest, again = loop.time() + most_secs, 0.0
        while (live := self.live()) and loop.time() < latest:
            if loop.time() >= again:
                again = loop.time() + CANCEL_AGAIN_SECS
                await self.desk.cancel(live)
            await asyncio.sleep(LOOK_SECS)

    async def close(self) -> None:
        """Nothing of ours runs on."""


def _id(order: LiveOrder) -> str:
    return order.intent.client_order_id


def cancels(strategies: Callable[[], Iterable[Any]]) -> Callable[[str], bool]:
    """Asks the strategy that NautilusTrader takes for the order's own for its cancel."""

    def cancel(name: str) -> bool:
        client_order_id = ClientOrderId(name)
        for strategy in strategies():
            order = strategy.cache.order(client_order_id)
            if order is None:
                return False
            if order.strategy_id == strategy.strategy_id:
                if not order.is_closed:
                    strategy._guard.cancel_order(client_order_id)
                return True
        return False

    return cancel
