"""`request_quote` of a strategy: the venue's price where it quotes, else the book's."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.engine.guard.quotes import Quotes
from fairlead.engine.guard.stop import Stop
from fairlead.engine.orders.model import Quoted, Side

SPOT = "BTC_USDT.SPOT"
ONE = Decimal(1)
BOOK = Quoted(SPOT, Side.BUY, ONE, Decimal(101))
VENUE = Quoted(SPOT, Side.BUY, ONE, Decimal(100), "rfq")


class Safe:
    """A strategy's faults, as they are told."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def safe(self, name: str, handler: Any) -> Any:
        def safe(told: Any) -> None:
            try:
                handler(told)
            except Exception as error:
                self.faults.append(f"{name}: {error}")

        return safe


def quotes(told: Any = "unasked", price: Decimal | None = Decimal(101), runs: bool = True) -> Any:
    async def asks(*_: Any) -> Quoted | None:
        found: Quoted | None = told
        return found

    run = SimpleNamespace(quotes={} if told == "unasked" else {"SPOT": asks})
    view = SimpleNamespace(price_for=lambda *_: price)
    core: Any = SimpleNamespace(run=run, view=view, runs=lambda: runs)
    stop: Any = Safe()
    assert hasattr(Stop, "safe")
    return Quotes(core, stop)


async def answer(of: Any) -> list[Quoted | None]:
    found: list[Quoted | None] = []
    of.ask(SPOT, Side.BUY, ONE, found.append)
    await asyncio.gather(*of._tasks)
    return found


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (lambda: quotes(), [BOOK]),
        (lambda: quotes(price=None), [None]),
        (lambda: quotes(VENUE), [VENUE]),
        (lambda: quotes(None), [BOOK]),  # not answered
        (lambda: quotes(VENUE, runs=False), []),  # the strategy hears nothing any more
    ],
)
async def test_a_quote_is_the_venue_s_or_the_book_s(of: Any, expected: list[Any]) -> None:
    assert await answer(of()) == expected


async def test_what_the_answer_s_handler_raises_is_the_strategy_s_fault() -> None:
    of = quotes(VENUE)

    def fails(told: Any) -> None:
        raise ValueError("mine")

    of.ask(SPOT, Side.BUY, ONE, fails)
    await asyncio.gather(*of._tasks)
    assert of._stop.faults == ["the answer of request_quote: mine"]
