"""The orders file says enough of an order for others to judge its fills."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderSide, TimeInForce
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard.strategy import GuardedStrategy
from tests.support.order_lines import order_lines
from tests.unit import backtest_kit as kit

NAME = InstrumentId.from_str("BTCUSDT.TEST")


class Changing(GuardedStrategy):
    """Rests an order, changes it, takes, and enters with a bracket whose stop fires."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.books = 0
        self.resting: Any = None

    def on_start(self) -> None:
        self.subscribe_book_deltas(NAME, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        instrument = self.cache.instrument(NAME)
        quantity = instrument.make_qty(Decimal(1))
        self.books += 1
        if self.books == 1:
            price = instrument.make_price(Decimal("999.0"))
            self.resting = self.order_factory.limit(
                NAME, OrderSide.BUY, quantity, price, post_only=True
            )
            self.submit_order(self.resting)
        elif self.books == 2:
            price = instrument.make_price(Decimal("998.5"))
            self.modify_order(self.resting.client_order_id, price=price)
            price = instrument.make_price(Decimal("1001.0"))
            self.submit_order(
                self.order_factory.limit(
                    NAME, OrderSide.BUY, quantity, price, time_in_force=TimeInForce.IOC
                )
            )
        elif self.books == 3:
            stop, target = (instrument.make_price(Decimal(text)) for text in ("999.5", "1010.0"))
            self.bracket(NAME, OrderSide.BUY, quantity, stop=stop, target=target)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    folder: Path = tmp_path_factory.mktemp("orders")
    mids = [Decimal(1000)] * 6 + [Decimal(999)] * 4
    catalog = kit.scripted(folder / "catalog", kit.perpetual("BTCUSDT.TEST"), mids)
    result = kit.run(folder, catalog, f"{__name__}:Changing", {})
    yield [json.loads(line) for line in order_lines(result.cache).splitlines()]
    result.dispose()


def test_each_change_of_an_order_is_told(rows: list[dict[str, Any]]) -> None:
    resting = rows[0]
    assert (resting["post_only"], resting["reduce_only"], resting["entry"]) == (True, False, None)
    assert [one["price"] for one in resting["changes"]] == ["999.0", "998.5"]
    assert resting["changes"][1]["ts_event"] > resting["ts_init"]
    assert resting["price"] == "998.5"


def test_time_in_force_and_trigger_are_told(rows: list[dict[str, Any]]) -> None:
    ioc = next(row for row in rows if row["time_in_force"] == "IOC")
    assert (ioc["kind"], ioc["trigger_type"]) == ("LIMIT", None)
    assert ioc["changes"] == []
    assert {row["trigger_type"] for row in rows if row["kind"] == "STOP_LIMIT"} == {"LAST_PRICE"}


def test_an_exit_names_the_entry_that_it_belongs_to(rows: list[dict[str, Any]]) -> None:
    entries = [row["client_order_id"] for row in rows if row["kind"] == "MARKET"]
    exits = [row for row in rows if row["role"] == "stop"]
    assert [row["entry"] for row in exits] == entries
    assert all(row["reduce_only"] for row in exits)
