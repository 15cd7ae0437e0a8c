"""Dialect A's balances, which the venue doesn't tell: a beginning, and every order since then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.zerocap.parse import NS_PER_MS
from fairlead.engine.orders.model import Side, VenueBalance, VenueFill, VenueOrder

LISTED_LATE_SECS = 120  # after an order of a later time


class _Booked(NamedTuple):
    """What an order has moved; the more is known of it, the greater (`rank`)."""

    quantity: Decimal
    cost: Decimal
    fee: Decimal
    is_by_trades: bool

    @property
    def rank(self) -> tuple[Decimal, bool, bool]:
        return self.quantity, self.is_by_trades, self.fee != 0


_NOTHING = _Booked(Decimal(0), Decimal(0), Decimal(0), False)


class Purse:
    """What the config says of a moment, and every order that was executed since then.

    The venue stamps whole seconds: what it did in the second of that moment counts as later.
    Currencies that the config does not name begin at 0.
    """

    def __init__(self, start: Mapping[str, Decimal], at: datetime | None) -> None:
        self._held = {currency.upper(): amount for currency, amount in start.items()}
        self._booked: dict[str, _Booked] = {}  # by venue order id
        self.start_ms = 0 if at is None else int(at.timestamp()) * 1000
        self._seen_ms = self.start_ms  # of the newest order that was listed

    @property
    def from_ms(self) -> int:
        """Where the venue's list is read from: what comes late, or is listed late, is there."""
        return max(self.start_ms, self._seen_ms - LISTED_LATE_SECS * 1000)

    def seen(self, order: VenueOrder, now_ns: int) -> None:
        """One that is stamped later than now moves nothing: all that comes would lie before it."""
        if order.ts_created <= now_ns:
            self._seen_ms = max(self._seen_ms, order.ts_created // NS_PER_MS)

    def book(
        self,
        order: VenueOrder,
        fills: Sequence[VenueFill],
        instruments: Mapping[str, VenueInstrument],
    ) -> None:
        """Each order once: by its executions, or at its average until they explain what is filled.

        By the order and not by the executions' ids: a venue that gives those twice, or lists none,
        has moved the balances all the same.
        """
        facts = instruments.get(order.instrument)
        booked = _booked(order, fills)
        before = self._booked.get(order.venue_order_id, _NOTHING)
        if facts is None or booked.rank <= before.rank:
            return
        self._booked[order.venue_order_id] = booked
        sign = 1 if order.side is Side.BUY else -1
        self._add(facts.base, sign * (booked.quantity - before.quantity))
        self._add(facts.quote, -sign * (booked.cost - before.cost) - booked.fee + before.fee)

    def _add(self, currency: str, amount: Decimal) -> None:
        self._held[currency] = self._held.get(currency, Decimal(0)) + amount

    def balances(self) -> list[VenueBalance]:
        return [
            VenueBalance(currency=c, free=held, locked=Decimal(0)) for c, held in self._held.items()
        ]


def _booked(order: VenueOrder, fills: Sequence[VenueFill]) -> _Booked:
    """Fees are in quote currency, of the venue's own word (section 5)."""
    quantity = sum((fill.quantity for fill in fills), Decimal(0))
    cost = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    fee = sum((fill.fee for fill in fills), Decimal(0))
    price = order.avg_price or order.price
    if quantity == order.filled or price is None:
        return _Booked(quantity, cost, fee, is_by_trades=True)
    told = order.fees.amount if order.fees is not None else fee
    return _Booked(order.filled, order.filled * price, told, is_by_trades=False)
