"""Names: `BTC/USDT` of the gateway, `BTC_USDT.MUDAWYL` here."""

from __future__ import annotations

import re

from fairlead.adapters.base.venue import ParseError

_SYMBOL = re.compile(r"([A-Z0-9]{1,20})/([A-Z0-9]{1,20})")


def split_symbol(symbol: str) -> tuple[str, str]:
    """(base, quote). Raises ParseError."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise ParseError("symbol", f"expected BASE/QUOTE, received {symbol[:60]!r}")
    return match.group(1), match.group(2)


def instrument_id(symbol: str, venue: str) -> str:
    """`BTC/USDT` to `BTC_USDT.MUDAWYL`. Raises ParseError."""
    return f"{'_'.join(split_symbol(symbol))}.{venue}"
