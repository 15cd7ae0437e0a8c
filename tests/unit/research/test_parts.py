"""Profit and loss at the ends of a trial's parts, held to the books of those very moments."""

from __future__ import annotations

import random
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.research.marks import SLICES, edges_of, step_of
from fairlead.engine.run.trial import slices
from tests.unit import backtest_kit as kit

NAME = InstrumentId.from_str("BTCUSDT.TEST")
SPACE_NS = 7 * kit.SECOND_NS  # between two books
BOOKS = 4000


class Flips(GuardedStrategy):
    """Buys at a market that it knows since a moment, and sells with a later book."""

    def on_start(self) -> None:
        self.books = 0
        self.subscribe_book_deltas(NAME, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        turn = {5: OrderSide.BUY, 17: OrderSide.SELL}.get(self.books % 23)
        if turn is not None:
            quantity = self.cache.instrument(NAME).make_qty(Decimal(1))
            self.submit_order(self.order_factory.market(NAME, turn, quantity))


def test_they_are_worth_what_the_book_says_at_the_end_of_each(tmp_path: Path) -> None:
    """Looks for its samples are rarer than its books, which jump."""
    instrument = kit.perpetual(str(NAME))
    root = tmp_path / "catalog"
    root.mkdir()
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    rng = random.Random(7)
    times = [kit.START_NS + number * SPACE_NS for number in range(BOOKS)]
    mids = [Decimal(1000 + rng.randrange(-80, 80)) for _ in times]
    deltas = []
    for number, (ts, mid) in enumerate(zip(times, mids, strict=True)):
        deltas += kit.book(instrument, mid, ts, number)
    catalog.write_order_book_deltas(deltas)
    result = kit.run(tmp_path, root, f"{__name__}:Flips", {})
    try:
        summary = result.summary
        span = summary.start_ns, summary.end_ns
        assert step_of(span[1] - span[0]) > SPACE_NS
        result.marks.finish(summary.end_ns)
        (found,) = slices(result.cache, [str(NAME)], result.marks.by_parts(), span).values()
        rows = [
            fill
            for order in result.cache.orders()
            for fill in order.events()
            if type(fill).__name__ == "OrderFilled"
        ]
    finally:
        result.dispose()
    assert len(rows) > 300
    wanted = []
    for edge in edges_of(span):
        cash, held = Decimal(0), Decimal(0)
        for fill in (row for row in rows if row.ts_event <= edge):
            sign = 1 if fill.order_side is OrderSide.BUY else -1
            quantity = sign * fill.last_qty.as_decimal()
            held += quantity
            cash -= quantity * fill.last_px.as_decimal() + fill.commission.as_decimal()
        wanted.append(float(cash + held * mids[bisect_right(times, edge) - 1]))
    assert len(wanted) == SLICES
    assert found == pytest.approx(wanted, abs=1e-6)
    assert found[-1] == pytest.approx(float(summary.net["USDT"]))
