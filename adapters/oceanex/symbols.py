"""Names: `BTC/USDT` of the venue's market list and `BTC_USDT.OCEANEX` here.

A market id (`btcusdt`) is never split by guessing; only `name` tells base and quote (section 1).
"""

from __future__ import annotations

import re

from fairlead.adapters.base.venue import ParseError

_NAME = re.compile(r"([A-Za-z0-9]{1,20})/([A-Za-z0-9]{1,20})")
_MARKET = re.compile(r"[a-z0-9]{1,40}")
PRECISIONS = range(1, 9)  # of the book channel


def split_name(name: str) -> tuple[str, str]:
    """Return (base, quote) in upper case for a market's `name`. Raises ParseError."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ParseError("market name", f"expected BASE/QUOTE, received {name[:60]!r}")
    return match.group(1).upper(), match.group(2).upper()


def instrument_id(name: str, venue: str) -> str:
    """`BTC/USDT` to `BTC_USDT.OCEANEX`. Raises ParseError."""
    base, quote = split_name(name)
    return f"{base}_{quote}.{venue}"


def is_market(market: str) -> bool:
    """Whether `market` may stand in a path or a channel name."""
    return _MARKET.fullmatch(market) is not None


def book_channel(market: str, price_precision: int) -> str:
    """The book channel with prices not aggregated (section 3.4).

    A precision the venue's document has no channel for uses the unaggregated one without.
    """
    if price_precision in PRECISIONS:
        return f"market-{market}-{price_precision}-global"
    return f"market-{market}-global"


def trades_channel(market: str) -> str:
    return f"market-{market}-trade-global"


TICKERS_CHANNEL = "market-global"
