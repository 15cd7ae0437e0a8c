"""Compare what the account holds with the journal's fills, and name every lasting difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.balances import Balances, Drift
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.late import LateLook
from fairlead.engine.orders.model import Finding, VenueBalance
from fairlead.engine.orders.wallet import Beside, Wallet

BALANCE_DRIFT = "BALANCE-DRIFT"
BALANCE_LOOKS = 3  # that must show the same difference: a fill may be on its way
BALANCE_LOOK_SECS = 2.0
LATE_ROUNDS = 3  # in which orders that were given up are found, before a difference counts
POSTPONED_MAX = 3  # comparisons in a row that could not look for them


class DriftLimits(msgspec.Struct, frozen=True):
    """`most` by currency, in its units; of those not named, `share` of the larger of what was
    expected and what is there. `accept` starts with any balance.
    """

    most: Mapping[str, Decimal]
    share: Decimal
    accept: bool


class Told(Protocol):
    """Who tells what the account holds."""

    async def balances(self) -> list[VenueBalance]:
        """Raises VenueUnavailable."""


class Booked(Protocol):
    """Who books what the account executes: an order desk, or what stands for one."""

    @property
    def journal(self) -> Journal: ...

    def unresolved(self) -> Sequence[Any]:
        """Orders whose outcome nothing proves."""

    def unbooked(self) -> Sequence[Any]:
        """Orders with executions that are not read yet."""

    def live_orders(self) -> Sequence[Any]: ...

    async def refresh(self, *, must_read: bool = False) -> None: ...

    async def look_for_late(self, *, at_drift: bool = False) -> LateLook: ...


class BalanceCheck:
    """The balance comparison of one venue account.

    `currencies_of` gives base and quote currency of an instrument. `on_found` gets each finding
    after it is journaled, `on_halt` (instrument, reason) what must not trade on. Of a margin
    account `wallet` knows what moves it, and `price_of` the market of what it holds; where that is
    not known, nothing is compared.
    """

    def __init__(
        self,
        *,
        venue: str,
        orders: Told,
        desk: Booked,
        instruments: Sequence[str],
        currencies_of: Callable[[str], tuple[str, str]],
        limits: DriftLimits,
        now_ns: Callable[[], int],
        on_found: Callable[[Finding], None],
        on_halt: Callable[[str, str], None],
        wallet: Wallet | None = None,
        price_of: Callable[[str], Decimal | None] = lambda _: None,
    ) -> None:
        self._venue = venue
        self._orders = orders
        self._desk = desk
        self._instruments = instruments
        self._currencies_of = currencies_of
        self._limits = limits
        self._now_ns = now_ns
        self._on_found = on_found
        self._on_halt = on_halt
        self._wallet = wallet
        self._price_of = price_of
        self._balances: Balances | None = None
        self._postponed = 0

    async def compare(self, *, starting: bool = False) -> None:
        """Name each lasting difference; it counts from then on.

        Raises FairleadError at the start when one is larger than its limit, VenueUnavailable when
        the venue can't be read.
        """
        known = self._known()
        drifts = await self._lasting(known)
        for _ in range(LATE_ROUNDS):
            if not drifts:
                return
            late = await self._desk.look_for_late(at_drift=True)
            if late.unread and not starting and self._postponed < POSTPONED_MAX:
                self._postponed += 1
                return  # an order of ours may be what moved them: compared again later
            if not late.found:
                break
            drifts = await self._lasting(known)
        if not drifts:
            return
        self._postponed = 0
        self._drifted(drifts, starting=starting)
        known.take(drifts)

    def judge(self, balances: Sequence[VenueBalance]) -> None:
        """`compare` at a start, of what was read while nothing moved it. Raises FairleadError."""
        known = self._known()
        if self._desk.unresolved():
            return
        if not known.is_based:
            if not self._desk.live_orders() and self._is_flat(known):
                known.base_on(balances)
            return
        drifts = self._differences(known, balances)
        if drifts:
            self._drifted(drifts, starting=True)
        if drifts is not None:
            known.take(drifts)

    def agrees(self, balances: Sequence[VenueBalance]) -> bool:
        """Whether they are to the last digit what the journal makes of what was agreed on.

        Each execution moves a wallet by its fee: then nothing was executed that is not booked.
        """
        known = self._known()
        return known.is_based and self._differences(known, balances) == ()

    def _known(self) -> Balances:
        if self._balances is None:
            self._balances = self._expected()
        return self._balances

    def _is_flat(self, known: Balances) -> bool:
        """Whether a total holds no result of a position that is open, whatever the venue counts."""
        known.count()
        return self._wallet is None or self._wallet.is_flat

    def _differences(
        self, known: Balances, balances: Sequence[VenueBalance]
    ) -> tuple[Drift, ...] | None:
        """None: nobody can tell, since a position's market is not known."""
        if self._wallet is None:
            return known.drifts(balances)
        known.count()
        beside: Mapping[str, Beside] | None = self._wallet.beside(self._price_of)
        return None if beside is None else known.drifts(balances, beside)

    async def _lasting(self, known: Balances) -> tuple[Drift, ...]:
        """The differences that stay; none while it can't be told. Raises VenueUnavailable."""
        drifts: tuple[Drift, ...] = ()
        for look in range(BALANCE_LOOKS):
            if self._desk.unresolved():
                return ()  # one of them may have moved the balances: compared once they are proven
            await self._desk.refresh(must_read=True)
            if self._desk.unbooked():
                return ()  # else the difference would count, and the execution once more
            newest = self._desk.journal.newest()
            balances = await self._orders.balances()
            if not known.is_based:
                # An order that came and went meanwhile may be in the answer, or not.
                if (
                    not self._desk.live_orders()
                    and self._desk.journal.newest() == newest
                    and self._is_flat(known)
                ):
                    known.base_on(balances)
                return ()
            seen = self._differences(known, balances)
            if seen is None:
                return ()
            before, drifts = drifts, seen
            if not drifts:
                known.take()
                return ()
            if look and [d.difference for d in before] != [d.difference for d in drifts]:
                return ()  # still moving: the next comparison tells
            if look + 1 < BALANCE_LOOKS:
                await asyncio.sleep(BALANCE_LOOK_SECS)
        return drifts

    def _expected(self) -> Balances:
        """Of the currencies of the run's instruments."""
        currencies = {c for name in self._instruments for c in self._currencies_of(name)}
        return Balances(self._desk.journal, currencies, self._currencies_of, self._wallet)

    def _drifted(self, drifts: Sequence[Drift], *, starting: bool) -> None:
        """Tell of each; refuse the start or halt where one is over its limit."""
        over = [d for d in drifts if abs(d.difference) > self._most(d)]
        refused = bool(over) and starting and not self._limits.accept
        for drift in drifts:
            finding = self._finding(drift, refused=refused)
            self._desk.journal.finding(finding)
            self._on_found(finding)
        if not over:
            return
        what = ", ".join(f"{d.difference:+f} {d.currency}" for d in over)
        shares = {d.currency for d in over} - set(self._limits.most)
        limit = "max_drift_share" if shares else "max_drift"
        reason = f"the account differs from the journal by {what}, execution.{limit} allows less"
        if refused:
            raise FairleadError(
                BALANCE_DRIFT,
                f"{self._venue}: {reason}. Look at the venue's own history; if that is right, "
                "start once with execution.accept_drift = true; a position that was traded by "
                "hand: fairlead resolve INSTRUMENT --held QTY, which sets it in the journal, too",
                Exit.DRIFT,
            )
        if starting:
            return
        for instrument in self._instruments:
            if any(d.currency in self._currencies_of(instrument) for d in over):
                self._on_halt(instrument, f"{BALANCE_DRIFT}: {reason}")

    def _most(self, drift: Drift) -> Decimal:
        named = self._limits.most.get(drift.currency)
        if named is not None:
            return named
        return self._limits.share * max(abs(drift.expected), abs(drift.actual))

    def _finding(self, drift: Drift, *, refused: bool) -> Finding:
        return Finding(
            code=BALANCE_DRIFT,
            instrument=self._venue,
            subject=drift.currency,
            journal=f"{drift.expected:f}",
            venue=f"{drift.actual:f}",
            action="the start is refused" if refused else "counted from now on",
            ts_event=self._now_ns(),
        )
