"""Reads whatever comes as the adapter does, and holds what comes of it to its promises."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.venue import ParseError, VenueError
from fairlead.adapters.mudawyl import errors, parse
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.config import MudawylMarket
from fairlead.adapters.mudawyl.instruments import instrument

FACTS = instrument(
    MudawylMarket(symbol="BTC/USDT", price_precision=1, quantity_precision=3), "MUDAWYL", 1
)
ORDERS, TRADES, POSITION, BALANCE = map(
    Answer, (list[s.Order], list[s.Trade], s.Position, s.KeyBalance)
)
OTHERS: list[Answer[Any]] = [
    Answer(type_)
    for type_ in (
        *(s.Ticker, s.StrategyPerformance, s.Profile, s.TotalBalance, s.ExchangeKey),
        *(s.NotificationMethod, s.Notifications, s.Subscription, s.StripeSubscription),
        *(s.Checkout, s.Follow, s.NewOrder, list[s.Bill], list[str]),
        *(s.Page[s.Plan], s.Page[s.RiskProfile], s.Page[s.Strategy], s.Page[s.StrategyPeriod]),
        *(s.Page[s.ExchangeKey], s.Page[s.DayBalance], s.Page[s.ManualTrade]),
        *(s.Page[s.StrategyTrade], s.Page[s.Follow]),
    )
]


def feed(data: bytes | str) -> None:
    body = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")
    for status in (200, 404, 422, 433, 500):
        assert isinstance(errors.status_error(status, body), VenueError)
    for answer in OTHERS:
        with contextlib.suppress(ParseError):
            s.encoded(answer(body))
    with contextlib.suppress(ParseError):
        for row in ORDERS(body):
            order(row)
    with contextlib.suppress(ParseError):
        for trade in TRADES(body):
            with contextlib.suppress(ParseError):
                fill = parse.fill(trade, FACTS)
                assert fill.price > 0
                assert fill.quantity > 0
                assert fill.ts_event >= 0
    with contextlib.suppress(ParseError):
        held = parse.held(POSITION(body))
        assert (held[0] == 0) is (held[1] == 0)
        balances = parse.balances(BALANCE(body), {FACTS.id: held}, {FACTS.id: FACTS})
        assert all(one.locked == 0 for one in balances)


def order(row: s.Order) -> None:
    for closes in (Decimal(0), Decimal("0.05")):
        with contextlib.suppress(ParseError):
            told = parse.order(row, FACTS, closes)
            assert 0 <= told.filled <= told.quantity
            assert told.avg_price is None or told.avg_price > 0
            assert told.trigger_price is None or told.trigger_condition is not None
            assert told.ts_created >= 0
