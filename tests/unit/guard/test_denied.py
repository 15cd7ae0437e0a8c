"""An order that the gate denied never was: to cancel, change or ask for it is nothing, and said."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId, OrderSide, Price

from fairlead.engine.guard import denied
from tests.unit.guard.test_guarded import Plain, plain_config
from tests.unit.nautilus_harness import IID, MODES, Run, px, qty

STEPS = 12
OFF_TICK = Price.from_str("90.0001")


class Asks(Plain):
    """Has a live order and a denied one; `ask` is called once the live one rests."""

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 3:
            self.live, self.bad = (
                self.order_factory.limit(IID, OrderSide.BUY, qty(1), price)
                for price in (px(90), OFF_TICK)
            )
            self.submit_order(self.live)
            self.submit_order(self.bad)
        if self.books == 6:
            self.ask()

    def ask(self) -> None:
        raise NotImplementedError

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.refused = [*getattr(self, "refused", []), (order.client_order_id, denial.code)]


class All(Asks):
    def ask(self) -> None:
        bad = self.bad.client_order_id
        for _ in range(2):  # as a strategy does it at every tick
            self.cancel_order(bad)
            self.cancel_order(client_order_id=bad)
            self.cancel_orders([bad])
            self.query_order(self.bad)
            self.modify_order(bad, qty(2))
            self.modify_orders([(bad, qty(2), None, None)])
        self.cancel_orders([bad, self.live.client_order_id])


@pytest.mark.parametrize("mode", MODES)
def test_what_is_asked_of_a_denied_order_ends_nothing(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    tell = denied.DeniedOrders._tell
    monkeypatch.setattr(
        denied.DeniedOrders, "_tell", lambda s, text: (told.append(text), tell(s, text))
    )
    run = MODES[mode](Run(All, plain_config(), steps=STEPS))
    assert run.state.faults == []
    bad = run.strategy.bad.client_order_id
    assert run.strategy.refused == [(bad, "PRECISION")]  # once: no second refusal of what never was
    assert run.orders == [("BUY", "LIMIT", "CANCELED")]  # the other of the list was cancelled
    (text,) = told
    assert text.startswith(
        f"nothing to cancel: {bad} was never sent, the gate denied it: PRECISION"
    )


class Twin(Asks):
    """Sends the live order's id once more, which is denied: it stays one that can be cancelled."""

    def ask(self) -> None:
        self.submit_order(self.live)
        self.cancel_order(self.live.client_order_id)


@pytest.mark.parametrize("mode", MODES)
def test_a_denied_twin_of_a_live_order_does_not_keep_it_from_being_cancelled(mode: str) -> None:
    run = MODES[mode](Run(Twin, plain_config(), steps=STEPS))
    assert run.state.faults == []
    live = run.strategy.live.client_order_id
    assert [name for name, _ in run.strategy.refused] == [run.strategy.bad.client_order_id, live]
    assert run.orders == [("BUY", "LIMIT", "CANCELED")]


class Nobodys(Asks):
    def ask(self) -> None:
        self.cancel_orders([self.bad.client_order_id, ClientOrderId("O-1")])


def test_an_id_that_nobody_made_stays_an_error() -> None:
    run = MODES["backtest"](Run(Nobodys, plain_config(), steps=STEPS))
    (fault,) = run.state.faults
    assert "order not found in cache: O-1" in str(fault)


class Changes(Asks):
    """Of an id that nobody made, alone and beside a live order."""

    def ask(self) -> None:
        nobodys = ClientOrderId("O-1")
        self.modify_order(nobodys, qty(2))
        updates = [(name, None, px(91), None) for name in (nobodys, self.live.client_order_id)]
        self.modify_orders(updates)

    def on_order_updated(self, event: Any) -> None:
        self.updated = event.price

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        super().on_gate_denied(order, denial)
        if denial.code == "ORDER_NOT_OPEN":
            assert (order.is_open, order.is_closed) == (False, True)
            assert "O-1 is unknown: nobody made it here" in denial.message


@pytest.mark.parametrize("mode", MODES)
def test_a_change_of_an_id_that_nobody_made_is_denied_by_that_id(mode: str) -> None:
    run = MODES[mode](Run(Changes, plain_config(), steps=STEPS))
    assert run.state.faults == []
    nobodys = ClientOrderId("O-1")
    assert run.strategy.refused[1:] == [(nobodys, "ORDER_NOT_OPEN")] * 2
    assert run.strategy.updated == px(91), "the other of the list was changed"
    assert [one.client_order_id for one in run.state.denials][1:] == ["O-1", "O-1"]


class Late(Asks):
    def ask(self) -> None:
        self.cancel_order(self.live.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        self.modify_order(event.client_order_id, qty(2))


def test_a_change_of_an_order_that_is_over_is_denied_with_its_instrument() -> None:
    run = MODES["backtest"](Run(Late, plain_config(), steps=STEPS))
    assert run.state.faults == []
    live = run.strategy.live.client_order_id
    assert run.strategy.refused[1:] == [(live, "ORDER_NOT_OPEN")]
    record = run.state.denials[-1]
    assert (record.instrument, record.denial.message) == (
        str(IID),
        f"expected an open order, {live} is CANCELED",
    )


def test_what_is_known_of_denied_orders_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denied, "DENIED_MAX", 2)

    class Many(Asks):
        def ask(self) -> None:
            for _ in range(3):
                order = self.order_factory.limit(IID, OrderSide.BUY, qty(1), OFF_TICK)
                self.submit_order(order)
            self.cancel_order(order.client_order_id)
            self.cancel_order(self.bad.client_order_id)

    run = MODES["backtest"](Run(Many, plain_config(), steps=STEPS))
    (fault,) = run.state.faults
    assert str(run.strategy.bad.client_order_id) in str(fault)
