"""When NautilusTrader's simulated exchange hears of commands, ends and sizes: see test_matching."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import OrderSide, TimeInForce

from tests.kernel.bench import IID, OTHER, Script, at, book, px, qty, run, trade

BUY, SELL = OrderSide.BUY, OrderSide.SELL
CALM = [book(t, {99.5: 50}, {100.5: 50}) for t in range(0, 1000, 100)]
FALLEN = [*CALM[:4], book(1000, {98.5: 50}, {98.8: 50}), trade(1100, 98.6)]


def until(end_ms: float):
    more = {"time_in_force": TimeInForce.GTD, "expire_time": at(end_ms)}
    return lambda script: script.limit("order", BUY, 1.0, 99.0, **more)


def elsewhere(script: Script) -> None:
    script.send("other", script.order_factory.limit(OTHER, BUY, qty(1), px(9)))


def test_data_after_the_end_of_an_order_fills_it():
    assert run(FALLEN, [(110, until(500))]).fills("order") == [(1000.0, 99.0, 1.0)]


def test_any_order_that_arrives_after_the_end_of_another_ends_it():
    seen = run(FALLEN, [(110, until(500)), (600, elsewhere)])
    assert seen.statuses["order"] == "EXPIRED"


def resize(size: float):
    return lambda script: script.modify_order(script.orders["order"], qty(size), None, None)


class Told(Script):
    """Counts the events of changes that are on their way."""

    def on_order_pending_update(self, event: Any) -> None:
        self.callbacks.append("pending update")


def test_no_event_tells_of_a_change_of_an_order_that_is_being_changed(monkeypatch):
    made: list[Told] = []

    def build(config: Any) -> Told:
        made.append(Told(config))
        return made[-1]

    monkeypatch.setattr("tests.kernel.bench.Script", build)
    rest = (110, lambda script: script.limit("order", BUY, 2.0, 99.0))
    seen = run(CALM, [rest, (305, resize(1.5)), (310, resize(1.2))], latency_ms=20)
    assert seen.quantities["order"] == 1.2
    assert made[0].callbacks == ["pending update"]


@pytest.mark.parametrize(("sold", "filled"), [(1.0, 2.0), (3.5, 1.5)])
def test_reduce_only_market_order_is_cut_when_it_arrives_and_never_raised(sold, filled):
    steps = [
        (10, lambda script: script.market("entry", BUY, 5.0)),
        (110, lambda script: script.market("plain", SELL, sold)),
        (112, lambda script: script.market("exit", SELL, 2.0, reduce_only=True)),
    ]
    seen = run(CALM, steps, latency_ms=5)
    assert sum(size for _, _, size in seen.fills("exit")) == filled


def listed(name: str, size: float, stop: float):
    def step(script: Script) -> None:
        prices = {"sl_trigger_price": px(stop), "tp_price": px(120)}
        orders = list(script.order_factory.bracket(IID, BUY, qty(size), **prices))
        for role, order in zip(("entry", "stop", "target"), orders, strict=True):
            script.orders[f"{role} {name}"] = order.client_order_id
        script.submit_order_list(orders)

    return step


def test_children_of_an_order_list_are_sized_after_their_entry():
    """Other than orders that are reduce-only alone: those are set to the whole position."""
    fall = [*CALM, book(1000, {98.5: 50}, {98.8: 50}), trade(1100, 98.6)]
    steps = [(110, listed("a", 1.0, 99.0)), (210, listed("b", 2.0, 90.0))]
    seen = run(fall, steps)
    assert sum(size for _, _, size in seen.fills("stop a")) == 1.0
    assert (seen.statuses["target a"], seen.statuses["stop b"]) == ("CANCELED", "ACCEPTED")
    assert seen.quantities["stop b"] == seen.quantities["target b"] == 2.0
