"""Identifiers of NautilusTrader out of any text that a venue, or the engine, calls something by.

NautilusTrader takes ASCII only, and a trade id of at most 36 characters: less than a UUID with
anything before or after it. What it takes is kept; any other text has a stable short form, so that
an execution has one id live, in the reports after a restart, and from run to run. The journal keeps
what the venue said.
"""

from __future__ import annotations

from hashlib import blake2b

from nautilus_trader.model import ClientOrderId, TradeId, VenueOrderId

TRADE_ID_MAX = 36  # characters, NautilusTrader's own limit
_KEPT = 11  # of the text's first characters, so that a person still knows it
_DIGEST_BYTES = 12  # 24 characters


def short_form(text: str) -> str:
    """The text's beginning and a digest of all of it, at most `TRADE_ID_MAX` long."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    beginning = "".join(c for c in text[:_KEPT] if c.isascii() and c.isprintable())
    return f"{beginning}~{digest.hexdigest()}"


def trade_id(text: str) -> TradeId:
    """The id of an execution, or of a public trade."""
    try:
        return TradeId(text)
    except ValueError:
        return TradeId(short_form(text))


def venue_order_id(text: str) -> VenueOrderId:
    """The id that a venue has given an order."""
    try:
        return VenueOrderId(text)
    except ValueError:
        return VenueOrderId(short_form(text))


def client_order_id(text: str) -> ClientOrderId:
    """Our id of an order, or the venue's of one that is told by that."""
    try:
        return ClientOrderId(text)
    except ValueError:
        return ClientOrderId(short_form(text))
