"""What a summary says that its marks are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId, Price, Quantity, QuoteTick

from fairlead.engine.observe.summary import mark_source

NAME = InstrumentId.from_str("BTC_USDT.TEST")


def _cache(bid: str, ask: str, size: str) -> Any:
    prices = (Price.from_str(bid), Price.from_str(ask))
    sizes = (Quantity.from_str(size), Quantity.from_str(size))
    quote = QuoteTick(NAME, *prices, *sizes, 1, 1)
    return SimpleNamespace(
        top_of_book=lambda _: None,
        quote=lambda _: quote,
        trade=lambda _: None,
        book_update_count=lambda _: 0,
    )


@pytest.mark.parametrize(
    ("cache", "source"),
    [
        (_cache("100.0", "100.0", "0.000"), "last price of the ticker"),
        (_cache("100.0", "100.1", "1.000"), "mid of the last quote"),
        (_cache("100.0", "100.0", "1.000"), "mid of the last quote"),
    ],
)
def test_a_ticker_is_no_quote(cache: Any, source: str) -> None:
    assert mark_source(cache, NAME) == source
