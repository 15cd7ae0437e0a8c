"""Reads whatever comes as the adapter does, and holds what comes of it to its promises."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.zerocap import errors, parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.ladder import Ladder, levels
from fairlead.adapters.zerocap.parse import OrderTold, Source, TradeTold
from fairlead.engine.orders.model import Side

PAYLOADS = (
    *(s.OrderRow, s.OrderPage, s.KeyProof, s.Instruments, s.Quote, s.FirmQuote, s.Risk),
    *(s.ServerTime, s.Transactions, s.ExternalWallets, s.Moved),
)
READERS: list[Any] = [*map(parse.Reader, PAYLOADS), parse.balances_payload]


def used(event: object) -> None:
    """What a stream does with an event; nothing but ParseError may come of it."""
    if isinstance(event, Ladder):
        for correction in ("auto", "never", "always"):
            sided = event.sided(correction)  # type: ignore[arg-type]
            if sided is None:
                continue
            if sided.bids and sided.asks:
                assert max(t.price for t in sided.bids) < min(t.price for t in sided.asks)
            for side, tiers in ((Side.BUY, sided.bids), (Side.SELL, sided.asks)):
                for price, size in levels(tiers, side, 12, 12):
                    assert Decimal(price) > 0
                    assert Decimal(size) > 0
            sided.price_for(Side.BUY, Decimal(1))
    elif isinstance(event, OrderTold):
        order(event.row)
    elif isinstance(event, TradeTold):
        with contextlib.suppress(ParseError):
            fill = parse.fill(event.row, "ZEROCAP")
            assert fill.price > 0
            assert fill.quantity > 0


def order(row: s.OrderRow) -> None:
    for source in Source:
        with contextlib.suppress(ParseError):
            told = parse.order(row, "ZEROCAP", source)
            assert 0 <= told.filled <= told.quantity
            assert told.avg_price is None or told.avg_price > 0
        with contextlib.suppress(ParseError):
            found = parse.fills(row, "ZEROCAP", source)
            assert sum(fill.quantity for fill in found) <= (row.filled or 0)


def feed(data: bytes | str) -> None:
    with contextlib.suppress(ParseError):
        used(parse.frame(data))
    body = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")
    for reader in READERS:
        with contextlib.suppress(ParseError):
            reader(body)
    errors.status_error(400, body)
