"""When a stream tells of what has changed, and how a book is told in wider steps."""

from __future__ import annotations

from decimal import Decimal

from fairlead.adapters.simulation.exchange import Exchange
from fairlead.adapters.simulation.orders import MarketSpec
from fairlead.adapters.simulation.push import Due, MarketNews
from fairlead.engine.orders.model import Side

MS = 1_000_000
T0 = 1_000 * MS


def exchange() -> Exchange:
    spec = MarketSpec(id="btcusdt", base="BTC", quote="USDT", price_precision=2, size_precision=4)
    return Exchange([spec])


def test_names_wait_until_the_interval_since_the_last_is_over() -> None:
    due = Due()
    assert due.take(T0, 100) == []
    for name in ("b", "a", "b"):
        due.add(name)
    assert due.take(T0 + 1, 100) == ["b", "a"]
    due.add("c")
    assert due.take(T0 + 100 * MS, 100) == []
    assert due.take(T0 + 100 * MS + 1, 100) == ["c"]
    assert due.take(T0 + 300 * MS, 100) == []


def test_news_are_of_what_the_exchange_did_since_they_were_taken() -> None:
    made = exchange()
    news = MarketNews(made)
    made.set_level("btcusdt", Side.SELL, Decimal(10), Decimal(1), T0)
    assert news.books.take(T0, 100) == ["btcusdt"]
    assert (news.take_trades(), news.tickers.take(T0, 100)) == ([], [])
    made.print_trade("btcusdt", Decimal(10), Decimal("0.5"), Side.BUY, T0 + 1)
    assert [trade.price for trade in news.take_trades()] == [10]
    assert news.take_trades() == []
    assert news.tickers.take(T0 + 1, 100) == ["btcusdt"]


def test_wider_steps_never_show_a_better_price_than_there_is() -> None:
    made = exchange()
    for price in ("10.01", "10.10", "10.11", "10.31"):
        made.set_level("btcusdt", Side.SELL, Decimal(price), Decimal(1), T0)
    for price in ("9.99", "9.90", "9.89", "0.05"):
        made.set_level("btcusdt", Side.BUY, Decimal(price), Decimal(1), T0)
    book = made.markets["btcusdt"].book
    step = Decimal("0.1")
    assert book.asks.grouped(step, 2) == [(Decimal("10.1"), 2), (Decimal("10.2"), 1)]
    # The last would be given away: it is not shown.
    assert book.bids.grouped(step, 9) == [(Decimal("9.9"), 2), (Decimal("9.8"), 1)]
