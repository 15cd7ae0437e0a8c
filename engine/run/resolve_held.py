"""`fairlead resolve INSTRUMENT --held`: ask the venue what is held, and book a person's word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from decimal import Decimal
from typing import Protocol
from uuid import uuid4

import msgspec

from fairlead.adapters.base.venue import VenueError
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders import plausible
from fairlead.engine.orders.balance_check import BALANCE_DRIFT
from fairlead.engine.orders.balances import Balances, Drift
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import Finding, VenueBalance, VenueUnavailable
from fairlead.engine.orders.resolve_held import HeldWord, Told, book, changes, require_told
from fairlead.engine.orders.wallet import Wallet
from fairlead.engine.risk.continuity import require_known
from fairlead.engine.run.native.balances import ask_balances, contract_of, wallet_in
from fairlead.engine.run.native.found import PREFIX
from fairlead.engine.run.native.look import positions_of
from fairlead.engine.run.native.session import Looker, session
from fairlead.engine.run.native.venue import native_of
from fairlead.engine.run.reach import PlainReach, secrets_of

LOOKS_APART_SECS = 1.0  # two that must show the same


class HeldSettled(msgspec.Struct, frozen=True, kw_only=True):
    """What was booked: the journal's net position before and after, and the orders made for it."""

    instrument: str
    venue: str
    account: str
    before: str
    held: str
    orders: list[str]
    word: HeldWord
    counted: list[str]  # differences of balances that count from now on
    copy: str  # of the journal as it was before


class Holdings(Protocol):
    """A venue account that is reached."""

    base: str
    quote: str
    pays: bool  # balances are told as if positions were paid for

    def wallet(self) -> Wallet | None:
        """A new one, of a margin account whose positions are told beside."""

    def market(self) -> plausible.Market: ...
    async def position(self) -> Decimal | None:
        """Net, where positions are told. Raises VenueUnavailable."""

    async def balances(self) -> list[VenueBalance]:
        """Raises VenueUnavailable."""

    def currencies_of(self, instrument: str) -> tuple[str, str]: ...


class _Plain:
    """Through an adapter of ours."""

    def __init__(self, reached: PlainReach, instrument: str) -> None:
        self._reached = reached
        self.base, self.quote = self.currencies_of(instrument)
        self.pays = reached.capabilities.pays_positions
        self._mid: Decimal | None = None
        self._instrument = instrument

    async def read_price(self) -> None:
        try:
            bid, ask = await self._reached.markets().touch(self._instrument)
            self._mid = (bid + ask) / 2
        except (VenueUnavailable, LookupError):
            self._mid = None  # a book that can't be read is no price

    def wallet(self) -> Wallet | None:
        return None

    def market(self) -> plausible.Market:
        return plausible.Market(base=self.base, quote=self.quote, mid=self._mid)

    async def position(self) -> Decimal | None:
        return None

    async def balances(self) -> list[VenueBalance]:
        return await self._reached.orders.balances()

    def currencies_of(self, instrument: str) -> tuple[str, str]:
        known = self._reached.adapter.instruments.get(instrument)
        return ("", "") if known is None else (known.base, known.quote)


class _Native:
    """Through a short node of NautilusTrader."""

    pays = False

    def __init__(
        self, looker: Looker, account_id: str, instrument: str, *, is_margin: bool
    ) -> None:
        self._looker = looker
        self._account_id = account_id
        self._instrument = instrument
        self._is_margin = is_margin
        self.base, self.quote = self.currencies_of(instrument)

    def wallet(self) -> Wallet | None:
        return wallet_in(self._looker.cache) if self._is_margin else None

    def market(self) -> plausible.Market:
        return plausible.Market(base=self.base, quote=self.quote)

    async def position(self) -> Decimal | None:
        if not self._is_margin:
            return None
        return positions_of(self._looker).get(self._instrument, Decimal(0))

    async def balances(self) -> list[VenueBalance]:
        return await ask_balances(self._looker, self._account_id)

    def currencies_of(self, instrument: str) -> tuple[str, str]:
        """Base and quote, or what a contract settles in; of an instrument that is gone, none."""
        known = next(
            (one for one in self._looker.cache.instruments() if str(one.id) == instrument), None
        )
        if known is None:
            return "", ""
        contract = contract_of(known)
        if contract is not None:
            return "", contract.settles
        return known.base_currency.code, known.quote_currency.code


def resolve_held(loaded: LoadedConfig, word: HeldWord, *, force: bool = False) -> HeldSettled:
    """Set one instrument's position; `force` takes an unlikely word.

    Raises FairleadError: no such account, orders open, not what the venue tells, locked, away.
    """
    key = word.instrument.rpartition(".")[2].lower()
    if key in loaded.traded:
        require_known(account_files(loaded, key))
    if key not in loaded.traded or not account_files(loaded, key).journal.exists():
        known = ", ".join(loaded.config.instruments)
        raise FairleadError(
            "RESOLVE-NOT-FOUND",
            f"expected an instrument of an account of {loaded.path} that has a journal in "
            f"{loaded.state_dir} ({known}), received {word.instrument}",
            Exit.NO_DATA,
        )
    if word.strategy and word.strategy not in {one.id for one in loaded.config.strategies}:
        names = ", ".join(one.id for one in loaded.config.strategies)
        raise FairleadError(
            "RESOLVE-WHOSE",
            f"expected --strategy to be one of {names}, received {word.strategy}",
            Exit.USAGE,
        )
    files = account_files(loaded, key)
    with (
        AccountLock(files.lock, " (resolves)"),
        closing(Journal(files.journal, fsync=True, now_ns=time.time_ns)) as journal,
    ):
        changes(journal, word)  # before the venue is asked
        return asyncio.run(_resolve(loaded, key, journal, word, force=force))


async def _resolve(
    loaded: LoadedConfig, key: str, journal: Journal, word: HeldWord, *, force: bool
) -> HeldSettled:
    try:
        async with AsyncExitStack() as stack:
            at = await _reached(loaded, key, word.instrument, stack)
            if not at.quote:
                raise FairleadError(
                    "RESOLVE-UNLISTED",
                    f"the venue lists {word.instrument} no more: what is held of it can't be "
                    "asked. Nothing was booked",
                    Exit.DRIFT,
                )
            position, balances = await _steady(at)
            return _settle(loaded, key, journal, word, at, position, balances, force=force)
    except (VenueUnavailable, VenueError) as error:
        raise FairleadError(
            error.code,
            f"{error.message}; what is held is not known, nothing was changed",
            Exit.VENUE,
        ) from error


async def _reached(
    loaded: LoadedConfig, key: str, instrument: str, stack: AsyncExitStack
) -> Holdings:
    """Raises VenueUnavailable, VenueError, SecretError."""
    venue = loaded.config.venues[key]
    if not venue.adapter.startswith(PREFIX):
        reached = PlainReach(loaded, key)
        stack.push_async_callback(reached.close)
        await reached.connect()
        plain = _Plain(reached, instrument)
        await plain.read_price()
        return plain
    native = native_of(loaded, key, secrets_of(loaded, key, None), "live")
    assert native is not None, "it is one of NautilusTrader's own"
    looker = await stack.enter_async_context(
        session(native.clients, native.config, native.names, trading=True)
    )
    account_id = f"{key.upper()}-{venue.account}"
    return _Native(looker, account_id, instrument, is_margin=venue.account_type == "margin")


async def _steady(at: Holdings) -> tuple[Decimal | None, list[VenueBalance]]:
    """Two looks that show the same. Raises VenueUnavailable, FairleadError `RESOLVE-MOVES`."""
    position, balances = await at.position(), await at.balances()
    await asyncio.sleep(LOOKS_APART_SECS)
    again = await at.position()
    later = await at.balances()
    names = {at.base}
    if again != position or _totals(later, names) != _totals(balances, names):
        raise FairleadError(
            "RESOLVE-MOVES",
            "what the account holds moves while it is read: somebody trades it. End that, then "
            "again. Nothing was booked",
            Exit.DRIFT,
        )
    return position, later


def _totals(balances: Sequence[VenueBalance], names: set[str]) -> dict[str, Decimal]:
    totals = dict.fromkeys(names, Decimal(0))
    for one in balances:
        if one.currency in totals:
            totals[one.currency] += one.free + one.locked
    return totals


def _settle(
    loaded: LoadedConfig,
    key: str,
    journal: Journal,
    word: HeldWord,
    at: Holdings,
    position: Decimal | None,
    balances: Sequence[VenueBalance],
    *,
    force: bool,
) -> HeldSettled:
    """Check the word, copy the journal, book. Raises FairleadError."""
    found = changes(journal, word)
    total = _totals(balances, {at.base})[at.base]
    drift = None
    if position is None and at.pays:
        position = total
    elif position is None:
        known, _ = _balances(loaded, key, journal, at)
        if known.is_based:
            drifts = {one.currency: one.difference for one in known.drifts(balances)}
            drift = drifts.get(at.base, Decimal(0))
    require_told(
        word, Told(position=position, base=at.base, total=total, drift=drift), found, force=force
    )
    before = sum(
        (one.quantity for one in journal.positions() if one.instrument == word.instrument),
        Decimal(0),
    )
    entries = [
        one.avg_price
        for one in journal.positions()
        if one.instrument == word.instrument and one.avg_price is not None
    ]
    said = plausible.Told(
        fills=tuple((abs(one.quantity), word.price) for one in found),
        fee=word.fee,
        fee_currency=word.fee_currency or at.quote,
    )
    plausible.require_plausible_trade(
        said, at.market(), entries[0] if entries else None, force=force
    )
    now_ns = time.time_ns()
    copy = journal.path.with_name(f"{journal.path.name}.before-resolve-{now_ns}")
    journal.copy_to(copy)
    made = book(journal, word, found, quote=at.quote, new_id=lambda: str(uuid4()), now_ns=now_ns)
    counted = _count(loaded, key, journal, at, balances, now_ns)
    return HeldSettled(
        instrument=word.instrument,
        venue=key,
        account=loaded.config.venues[key].account,
        before=f"{before.normalize():f}",
        held=f"{word.held.normalize():f}",
        orders=made,
        word=word,
        counted=counted,
        copy=str(copy),
    )


def _balances(
    loaded: LoadedConfig, key: str, journal: Journal, at: Holdings
) -> tuple[Balances, Wallet | None]:
    names = loaded.config.venues[key].instruments
    currencies = {one for name in names for one in at.currencies_of(name)}
    wallet = at.wallet()
    return Balances(journal, currencies, at.currencies_of, wallet), wallet


def _count(
    loaded: LoadedConfig,
    key: str,
    journal: Journal,
    at: Holdings,
    balances: Sequence[VenueBalance],
    now_ns: int,
) -> list[str]:
    """What base and quote of the instrument differ by once it is booked counts from now on, as a
    price or a fee that was told roughly makes it; of a margin account while it holds nothing."""
    known, wallet = _balances(loaded, key, journal, at)
    if not known.is_based:
        return []
    known.count()
    if wallet is not None and not wallet.is_flat:
        return []
    drifts: list[Drift] = [
        one for one in known.drifts(balances) if one.currency in (at.base, at.quote)
    ]
    for one in drifts:
        journal.finding(
            Finding(
                code=BALANCE_DRIFT,
                instrument=key.upper(),
                subject=one.currency,
                journal=f"{one.expected:f}",
                venue=f"{one.actual:f}",
                action="counted from now on, with a person's word",
                ts_event=now_ns,
            )
        )
    known.take(drifts)
    return [f"{one.difference:+f} {one.currency}" for one in drifts]
