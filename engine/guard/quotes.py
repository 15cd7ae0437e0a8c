"""What a quantity would be dealt at: asked of the venue, where it quotes, else read of the book."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.stop import Stop
from fairlead.engine.orders.model import Quoted, Side

Then = Callable[[Quoted | None], object]


class Quotes:
    """The part of a strategy's guard that asks for prices."""

    def __init__(self, core: Core, stop: Stop) -> None:
        self._core = core
        self._stop = stop
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, instrument: str, side: Side, quantity: Decimal, then: Then) -> None:
        """`then` is called with the price, or None: at once, where the venue is not asked."""
        asks = self._core.run.quotes.get(instrument.rpartition(".")[2])
        if asks is None:
            then(self._of_book(instrument, side, quantity))
            return

        async def asked() -> None:
            told = await asks(instrument, side, quantity)
            if told is None:
                told = self._of_book(instrument, side, quantity)
            if self._core.runs():
                self._stop.safe("the answer of request_quote", then)(told)

        task = asyncio.get_running_loop().create_task(asked())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _of_book(self, instrument: str, side: Side, quantity: Decimal) -> Quoted | None:
        view = self._core.view
        price = None if view is None else view.price_for(instrument, side, quantity)
        return None if price is None else Quoted(instrument, side, quantity, price)
