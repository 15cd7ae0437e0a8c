"""What accounts are worth now, and were: the figures of the equity at the run's end, meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from nautilus_trader.model import AccountType, InstrumentId, Venue

from fairlead.engine.observe.summary import mark_price

ZERO = Decimal(0)
POINTS_MAX = 1_440
SAMPLE_NS = 5_000_000_000


def worth_now(
    cache: Any, venue: str, names: Iterable[str], *, is_paid: bool = False
) -> dict[str, Decimal]:
    """Of one NautilusTrader venue by quote currency; one whose holdings have no mark is left out.

    As `fairlead.engine.observe.equity` reckons it: on a cash account the balance with the base
    currencies at their marks, on margin the balance with what open positions have won, unless the
    venue tells it as if they had been paid for (`is_paid`).
    """
    account = cache.account_for_venue(Venue(venue))
    if account is None:
        return {}
    totals = {
        currency.code: balance.total.as_decimal()
        for currency, balance in account.balances().items()
    }
    found: dict[str, Decimal | None] = {}
    bases: set[tuple[str, str]] = set()
    is_margin = account.account_type == AccountType.MARGIN and not is_paid
    for name in names:
        instrument = cache.instrument(InstrumentId.from_str(name))
        if instrument is None:
            continue
        quote = getattr(instrument, "settlement_currency", instrument.quote_currency).code
        before = found.setdefault(quote, totals.get(quote, ZERO))
        mark = mark_price(cache, instrument.id)
        if is_margin:
            more = _open_result(cache, instrument, mark)
        else:
            base = instrument.base_currency.code
            if (base, quote) in bases:
                continue
            bases.add((base, quote))
            held = totals.get(base, ZERO)
            more = ZERO if not held else None if mark is None else held * mark
        found[quote] = None if before is None or more is None else before + more
    return {quote: worth for quote, worth in found.items() if worth is not None}


def _open_result(cache: Any, instrument: Any, mark: Decimal | None) -> Decimal | None:
    """Unrealized, in the quote currency; None: it can't be told."""
    result = ZERO
    for position in cache.positions_open(instrument_id=instrument.id):
        if mark is None or instrument.is_inverse:
            return None
        held = position.quantity.as_decimal() * (1 if position.is_long else -1)
        result += (
            held
            * (mark - Decimal(str(position.avg_px_open)))
            * (instrument.multiplier.as_decimal())
        )
    return result


class Worths:
    """Samples by venue and currency; of more than POINTS_MAX every second one is dropped."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], list[tuple[int, Decimal]]] = {}
        self.count = 0
        self._step = SAMPLE_NS
        self._next = 0

    def is_due(self, now_ns: int) -> bool:
        return now_ns >= self._next

    def sample(self, now_ns: int, worth: dict[tuple[str, str], Decimal]) -> None:
        if not worth:
            return  # no account is known yet
        self._next = now_ns + self._step
        self.count += 1
        for key, value in worth.items():
            points = self.points.setdefault(key, [])
            points.append((now_ns, value))
        if any(len(points) > POINTS_MAX for points in self.points.values()):
            self._step *= 2
            for points in self.points.values():
                del points[1::2]
