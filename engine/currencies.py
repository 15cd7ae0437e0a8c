"""The one place that makes NautilusTrader's currencies.

It knows some four hundred codes; money in any other can't be read, written or compared until its
currency is registered. Whatever names a currency (an instrument, a balance, a fee, a limit) asks
here, so that the order in which they come does not matter, in any mode.
"""

from __future__ import annotations

from functools import lru_cache

from nautilus_trader.model import Currency, Money

CODES_MAX = 4096  # kept; one beyond them is only looked up again


@lru_cache(maxsize=CODES_MAX)
def currency(code: str) -> Currency:
    """The currency of a code such as "USDT", registered: one that is new has 8 decimals.

    Raises ValueError for an empty code.
    """
    found = Currency.from_str(code)
    Currency.register(found, overwrite=False)
    return found


def money(text: str) -> Money:
    """Money of "1000 VET". Raises ValueError for anything else than an amount and a code."""
    amount, _, code = text.partition(" ")
    if amount and code and " " not in code:
        currency(code)
    return Money.from_str(text)
