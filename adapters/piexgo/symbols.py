"""Names: `BTC_USDT` of REST and of orders, `btc_usdt` of the stream, `BTC_USDT.PIEXGO` here."""

from __future__ import annotations

import re

from fairlead.adapters.base.venue import ParseError

_SYMBOL = re.compile(r"([A-Za-z0-9]{1,20})_([A-Za-z0-9]{1,20})")

DEPTH = "depth"
DEALS = "dealinfo"
PRIVATE = "pinfo"


def split_symbol(symbol: str) -> tuple[str, str]:
    """(base, quote) in upper case, of any channel's spelling. Raises ParseError."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise ParseError("symbol", f"expected BASE_QUOTE, received {symbol[:60]!r}")
    return match.group(1).upper(), match.group(2).upper()


def rest_symbol(symbol: str) -> str:
    """As REST and orders spell it: `BTC_USDT`. Raises ParseError."""
    return "_".join(split_symbol(symbol))


def instrument_id(symbol: str, venue: str) -> str:
    """`BTC_USDT` or `btc_usdt` to `BTC_USDT.PIEXGO`. Raises ParseError."""
    return f"{rest_symbol(symbol)}.{venue}"


def topic(channel: str, symbol: str) -> str:
    """What is subscribed: `depth.btc_usdt`. Messages name the channel alone, beside the symbol."""
    return f"{channel}.{rest_symbol(symbol).lower()}"
