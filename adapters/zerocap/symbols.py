"""Names: `USDT/AUD` of the venue and `USDT_AUD.ZEROCAP` here, and the channels of dialect A."""

from __future__ import annotations

import re

from fairlead.adapters.base.venue import ParseError

_NAME = re.compile(r"([A-Za-z0-9]{1,20})/([A-Za-z0-9]{1,20})")
PRICE_CHANNEL = "dma_ladder_price_"
ORDER_CHANNELS = frozenset({"dma_order_info"})
TRADE_CHANNELS = frozenset({"dma_trade_info", "dma_trader_info"})  # example, and prose (section 4)


def split_name(symbol: str) -> tuple[str, str]:
    """Return (base, quote) in upper case of `BASE/QUOTE`. Raises ParseError."""
    match = _NAME.fullmatch(symbol)
    if match is None:
        raise ParseError("symbol", f"expected BASE/QUOTE, received {symbol[:60]!r}")
    return match.group(1).upper(), match.group(2).upper()


def instrument_id(symbol: str, venue: str) -> str:
    """`USDT/AUD` to `USDT_AUD.ZEROCAP`. Raises ParseError."""
    base, quote = split_name(symbol)
    return f"{base}_{quote}.{venue}"


def channel_symbol(channel: str) -> str:
    """The symbol that a price channel names, "" for another channel."""
    return channel.removeprefix(PRICE_CHANNEL) if channel.startswith(PRICE_CHANNEL) else ""
