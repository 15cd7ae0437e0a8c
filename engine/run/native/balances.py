"""What an account holds, as NautilusTrader's own client tells it, against the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import AccountId, InstrumentId
from nautilus_trader.trading import Strategy

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.observe.summary import mark_price
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.late import LateLook
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import VenueBalance, VenueUnavailable
from fairlead.engine.orders.wallet import Contract, Wallet
from fairlead.engine.run.native.desk import NativeDesk

ASK_SECS = 5.0  # for the venue's answer
LOOK_SECS = 0.05


async def ask_balances(asker: Strategy, account_id: str) -> list[VenueBalance]:
    """Have the venue tell what the account holds now. Raises VenueUnavailable.

    Each reading of NautilusTrader's account copies it.
    """
    name = AccountId(account_id)
    before = _last(asker, name)
    asker.query_account(name)
    latest = asyncio.get_running_loop().time() + ASK_SECS
    while asyncio.get_running_loop().time() < latest:
        await asyncio.sleep(LOOK_SECS)
        state = _last(asker, name)
        if state is not None and state.is_reported and state != before:
            return [
                VenueBalance(
                    currency=one.currency.code,
                    free=one.total.as_decimal() - one.locked.as_decimal(),
                    locked=one.locked.as_decimal(),
                )
                for one in state.balances
            ]
    raise VenueUnavailable(
        "ACCOUNT-UNTOLD", f"no answer in {ASK_SECS:g} s to what account {account_id} holds"
    )


def _last(asker: Strategy, name: AccountId) -> Any:
    account = asker.cache.account(name)
    return None if account is None else account.last_event


class NativeBooks:
    """A native account's orders as the comparison of balances asks an order desk for them."""

    def __init__(self, desk: NativeDesk) -> None:
        self._desk = desk

    @property
    def journal(self) -> Journal:
        return self._desk.journal

    def unresolved(self) -> Sequence[LiveOrder]:
        return [order for order in self._desk.live_orders() if not order.is_proven]

    def unbooked(self) -> Sequence[LiveOrder]:
        return ()

    def live_orders(self) -> Sequence[LiveOrder]:
        return self._desk.live_orders()

    async def refresh(self, *, must_read: bool = False) -> None:
        """NautilusTrader tells executions as they come."""

    async def look_for_late(self, *, at_drift: bool = False) -> LateLook:
        return LateLook(found=0, unread=0)


def wallet_of(instruments: Callable[[], Mapping[str, VenueInstrument]]) -> Wallet:
    """Of a margin account, by what its instruments settle in."""

    def contract(name: str) -> Contract | None:
        known = instruments().get(name)
        return None if known is None else contract_of(known.nautilus)

    return Wallet(contract)


def wallet_in(cache: Any) -> Wallet:
    """Of a margin account, by the instruments that NautilusTrader knows."""

    def contract(name: str) -> Contract | None:
        known = cache.instrument(InstrumentId.from_str(name))
        return None if known is None else contract_of(known)

    return Wallet(contract)


def contract_of(instrument: Any) -> Contract | None:
    """None: what is no contract changes hands, against its quote currency."""
    settles = getattr(instrument, "settlement_currency", None)
    if settles is None:
        return None
    return Contract(settles.code, instrument.multiplier.as_decimal(), instrument.is_inverse)


def price_in(cache: Callable[[], Any]) -> Callable[[str], Decimal | None]:
    """The mark price of an instrument, else the middle of its book, else its last trade's price."""

    def price(name: str) -> Decimal | None:
        instrument_id, known = InstrumentId.from_str(name), cache()
        if known is None:
            return None
        if (mark := known.mark_price(instrument_id)) is not None:
            return Decimal(str(mark.value))
        return mark_price(known, instrument_id)

    return price
