"""A strategy's mistake is told: the place in its own file, what was expected, and what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data import mistaken
from tests.unit.backtest_kit import perpetual, run, write_catalog

PERP = "BTCUSDT.TEST"
SIDE = "a nautilus_trader.model.OrderSide"
PRICE = (
    "expected a nautilus_trader.model.Price, the Decimal 10 came; "
    "write self.round_price(instrument_id, side, value)"
)
QUANTITY = (
    "quantity: expected a nautilus_trader.model.Quantity, the Decimal 0.5 came; "
    "write self.round_quantity(instrument_id, value)"
)
ID = (
    "client_order_id: expected a nautilus_trader.model.ClientOrderId, the text 'O-1' came; "
    "write order.client_order_id, or ClientOrderId(text)"
)
IDS = "client_order_ids: expected a list of nautilus_trader.model.ClientOrderId"
NAME = (
    f"instrument_id: expected a nautilus_trader.model.InstrumentId, the text '{PERP}' came; "
    'write InstrumentId.from_str("SYMBOL.VENUE")'
)
UPDATES = (
    "updates: expected a list of (client_order_id, quantity, price, trigger_price), with None for "
    "what stays"
)
FAULTS = {
    "float": "TypeError: 'float' object is not an instance of 'Quantity'",
    "no order": "TypeError: expected an order of self.order_factory, None came",
    "text for an order": "TypeError: expected an order of self.order_factory, 'buy' came",
    "list of nothing": "TypeError: expected an order of self.order_factory, None came",
    "text for an id": f"TypeError: {ID}",
    "text for ids": f"TypeError: {IDS}, the text 'O-1' came; write [order.client_order_id for",
    "an id for ids": f"TypeError: {IDS}, the ClientOrderId O-1 came; write [order.client_order_id",
    "text among ids": f"TypeError: {ID.replace('O-1', 'O-2')}",
    "cancel nothing": f"TypeError: {ID.replace("the text 'O-1'", 'None')}",
    "cancel all of text": f"TypeError: {NAME}",
    "close all of text": f"TypeError: {NAME}",
    "close text": "TypeError: expected a position of self.cache, the text 'P-1' came; write self.",
    "query text": "TypeError: expected an order of self.order_factory, 'O-1' came; write self.",
    "bracket of text": (
        "KeyError: \"entry: expected the client_order_id of an open bracket's entry (none is "
        "open), O-1 came; self.open_brackets() has them"
    ),
    "modify text": f"TypeError: {ID}",
    "modify texts": f"TypeError: {ID}",
    "modify orders": f"TypeError: {UPDATES}, the text 'O-1' came",
    "modify ids": f"TypeError: {UPDATES}, the ClientOrderId O-1 came",
    "unknown order": "RuntimeError: Cannot cancel order: order not found in cache: O-1",
    "condition": 'ValueError: trigger_condition: expected "gte" (fires at or above',
    "float price": "TypeError: expected an exact number, the float 1.5 came",
    "side text": f"TypeError: side: expected {SIDE}, the text 'BUY' came; write OrderSide.BUY or",
    "no number": "TypeError: expected an exact number, None came; use Decimal or text",
    "text for a number": "ValueError: expected an exact number, the text 'a few' came",
    "no finite number": "ValueError: expected a finite number, NaN came",
    "role text": "TypeError: role: expected a fairlead.Role, the text 'stop' came; write role=Role",
    "stop side": f"TypeError: side: expected {SIDE}, the text 'BUY' came; write OrderSide.BUY or",
    "stop decimal": f"TypeError: trigger: {PRICE}",
    "stop name": "TypeError: instrument_id: expected a nautilus_trader.model.InstrumentId, the",
    "trailing": f"TypeError: activation: {PRICE}",
    "trailing float": "TypeError: expected an exact number, the float 0.1 came",
    "bracket stop": f"TypeError: stop: {PRICE}",
    "bracket target": f"TypeError: target: {PRICE}",
    "bracket targets": f"TypeError: target: {PRICE}",
    "bracket entry": f"TypeError: entry: {PRICE}",
    "bracket limit": f"TypeError: stop_limit: {PRICE}",
    "bracket quantity": f"TypeError: {QUANTITY}",
    "bracket side": f"TypeError: side: expected {SIDE}, the text 'BUY' came; write OrderSide.BUY",
    "modify quantity": f"TypeError: {QUANTITY}",
    "modify price": f"TypeError: price: {PRICE}",
    "price for": f"TypeError: {QUANTITY}",
    "quote": f"TypeError: {QUANTITY}",
    "price of nothing": f"ValueError: expected an instrument of this run ({PERP}), NO_SUCH.TEST",
    "quote of nothing": f"ValueError: expected an instrument of this run ({PERP}), NO_SUCH.TEST",
    "close nothing": "TypeError: expected a position of self.cache, None came",
    "position of a slip": (
        f"ValueError: expected an instrument of this run ({PERP}), BTCUSD.TEST came; "
        f"did you mean {PERP}?"
    ),
    "position of nothing": f"ValueError: expected an instrument of this run ({PERP}), NO_SUCH.TEST",
    "orders of nothing": f"ValueError: expected an instrument of this run ({PERP}), NO_SUCH.TEST",
    "sys.exit": "SystemExit: 0",
    "no words": "RuntimeError",
    "many lines": "ValueError: first",
    "recursion": "RecursionError: maximum recursion depth exceeded",
    "division": "ZeroDivisionError: division by zero",
}
REFUSALS = {
    "off tick": "PRECISION: expected a price in steps of 0.1, 100.123 came",
    "other instrument": "INSTRUMENT_UNKNOWN: expected an instrument of this run, NO_SUCH.TEST is",
    "other venue": "INSTRUMENT_UNKNOWN: expected an instrument of this run, BTCUSDT.NOWHERE is",
    "modify of nothing": "ORDER_NOT_OPEN: expected an open order, O-1 is unknown",
}

TAGS = {
    "role for a tag": ["ROLE-TAG: Test-001: the tag 'stop' of an order is no role to the gate;"],
    "role's tag": [],
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mistakes") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=2, seed=11)


def mistake(folder: Path, catalog: Path, name: str):
    params = {"instrument_id": PERP, "mistake": name}
    return run(folder, catalog, "tests.data.mistaken:Mistaken", params)


def test_every_mistake_is_tested() -> None:
    assert FAULTS.keys() | REFUSALS.keys() | TAGS.keys() == mistaken.MISTAKES.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_a_mistake_that_raises_names_its_place(tmp_path: Path, catalog: Path, name: str) -> None:
    result = mistake(tmp_path, catalog, name)
    assert result.exit_code == 10
    line = f"a strategy faulted: Test-001.on_book_deltas: {FAULTS[name]}"
    assert result.summary.outcome.startswith(line)
    assert "\n" not in result.summary.outcome
    (fault,) = result.summary.faults
    file, _, number = fault.place.rpartition(":")
    assert file == mistaken.__file__
    assert int(number) > 0
    assert result.summary.outcome.endswith(f"({fault.place})")


@pytest.mark.parametrize("name", REFUSALS)
def test_the_first_refusal_of_a_kind_is_told_on_the_screen(
    tmp_path: Path, catalog: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = mistake(tmp_path, catalog, name)
    assert result.exit_code == 0
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("the gate refused an order of Test-001")
    assert REFUSALS[name] in told
    assert sum(result.summary.denials.values()) == 1


@pytest.mark.parametrize("name", TAGS)
def test_a_role_among_the_tags_is_told(tmp_path: Path, catalog: Path, name: str) -> None:
    result = mistake(tmp_path, catalog, name)
    assert result.exit_code == 0
    told = [line for line in result.summary.notes if "ROLE-TAG" in line]
    assert [line.partition("; write tags=[Role.STOP.tag]")[0] + ";" for line in told] == TAGS[name]
