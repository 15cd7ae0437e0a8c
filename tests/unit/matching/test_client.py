"""Our simulated exchange behind NautilusTrader: a strategy hears what it hears live."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import BookType, OrderSide, TimeInForce, TriggerType

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.matching.exchange import Exchange
from tests.unit.nautilus_harness import IID, VENUE, Run, paper, px, qty

BUY, SELL = OrderSide.BUY, OrderSide.SELL
OFF = Risk(off=["STOP_SIDE", "PRICE_COLLAR", "SELF_CROSS", "EXIT_EXCEEDS", "REDUCE_ONLY"])


class Listening(GuardedStrategy):
    """Acts at the third book, and at every later one by its number; keeps the events of each."""

    def on_start(self) -> None:
        self.books = 0
        self.named: dict[str, str] = {}
        self.heard: dict[str, list[Any]] = {}
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)
        self.subscribe_trades(IID)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        step = getattr(self, f"at_{self.books}", None)
        if step is not None:
            step()

    def send(self, name: str, order: Any) -> None:
        self.named[str(order.client_order_id)] = name
        self.submit_order(order)

    def on_order_event(self, event: Any) -> None:
        name = self.named.get(str(event.client_order_id), "")
        self.heard.setdefault(name, []).append(event)

    def kinds(self, name: str) -> list[str]:
        return [type(event).__name__.removeprefix("Order") for event in self.heard[name]]

    def order(self, name: str) -> Any:
        (found,) = [key for key, value in self.named.items() if value == name]
        return next(o for o in self.cache.orders() if str(o.client_order_id) == found)


def run(cls: type, mids: list[float], steps: int = 20) -> Any:
    done = paper(Run(cls, risk=OFF, mids=mids, steps=steps))
    assert (done.codes(), done.state.faults) == ([], [])
    return done.strategy


def test_each_kind_of_order_has_the_events_of_its_course():
    class Ordering(Listening):
        def at_3(self) -> None:
            make, soon = self.order_factory, self.clock.timestamp_ns() + 60_000_000
            self.send("market", make.market(IID, BUY, qty(1.5)))
            self.send("stop", make.stop_market(IID, BUY, qty(1), px(101)))
            self.send("dip", make.market_if_touched(IID, BUY, qty(1), px(98)))
            limit = make.stop_limit(
                IID, BUY, qty(1), px(102), px(101), trigger_type=TriggerType.LAST_PRICE
            )
            self.send("limit", limit)
            gtd = {"time_in_force": TimeInForce.GTD, "expire_time": soon}
            self.send("gtd", make.limit(IID, BUY, qty(1), px(90), **gtd))
            self.send("ioc", make.limit(IID, BUY, qty(1), px(90), time_in_force=TimeInForce.IOC))
            self.send("post", make.limit(IID, BUY, qty(1), px(101), post_only=True))
            self.send("moved", make.limit(IID, BUY, qty(1), px(90)))

        def at_5(self) -> None:
            self.modify_order(self.order("moved").client_order_id, price=px(91), quantity=qty(2))

        def at_8(self) -> None:
            self.cancel_order(self.order("moved").client_order_id)

    seen = run(Ordering, [100.0] * 10 + [101.5] * 6 + [97.5] * 20, steps=24)
    fired = ["Initialized", "Submitted", "Accepted", "Triggered", "Filled"]
    assert seen.kinds("market") == ["Initialized", "Submitted", "Accepted", "Filled", "Filled"]
    assert [str(e.last_px) for e in seen.heard["market"][3:]] == ["100.01", "100.02"]
    assert seen.kinds("limit") == fired
    assert seen.kinds("stop") == seen.kinds("dip") == [*fired[:3], "Filled"]  # native kinds
    assert seen.kinds("gtd")[2:] == ["Accepted", "Expired"]
    assert seen.kinds("ioc")[2:] == ["Accepted", "Canceled"]
    assert seen.kinds("post")[1:] == ["Submitted", "Rejected"]
    assert seen.heard["post"][-1].due_post_only
    moved = ["Accepted", "PendingUpdate", "Updated", "PendingCancel", "Canceled"]
    assert seen.kinds("moved")[2:] == moved


def test_balances_follow_each_fill():
    class Trading(Listening):
        def at_3(self) -> None:
            self.send("in", self.order_factory.market(IID, BUY, qty(1)))

        def at_6(self) -> None:
            self.send("out", self.order_factory.market(IID, SELL, qty(1)))

        def at_9(self) -> None:
            usdt = self.cache.instrument(IID).quote_currency
            self.total = self.cache.account_for_venue(VENUE).balance_total(usdt)
            self.net = self.portfolio.net_position(IID)

    seen = run(Trading, [100.0] * 4 + [110.0] * 20)
    assert str(seen.total) == "1000009.98000000 USDT"  # bought at 100.01, sold at 109.99
    assert seen.net == 0


def test_who_hears_of_a_fill_has_what_it_brought():
    class Trading(Listening):
        def at_3(self) -> None:
            self.send("in", self.order_factory.market(IID, BUY, qty(1)))

        def at_6(self) -> None:
            self.send("out", self.order_factory.market(IID, SELL, qty(1)))

        def on_order_filled(self, event: Any) -> None:
            super().on_order_filled(event)
            usdt = self.cache.instrument(IID).quote_currency
            self.known = self.cache.account_for_venue(VENUE).balance_total(usdt)

    seen = run(Trading, [100.0] * 4 + [110.0] * 20)
    assert str(seen.known) == "1000009.98000000 USDT"


def test_two_exits_of_one_position_keep_their_own_sizes():
    class Leaving(Listening):
        def at_3(self) -> None:
            self.send("in", self.order_factory.market(IID, BUY, qty(3)))

        def at_5(self) -> None:
            for name, size, price in (("first", 1, 102), ("second", 2, 104)):
                order = self.order_factory.limit(IID, SELL, qty(size), px(price), reduce_only=True)
                self.send(name, order)

    seen = run(Leaving, [100.0] * 8 + [103.0] * 20)
    first, second = seen.heard["first"], seen.heard["second"]
    assert [float(e.last_qty) for e in first if type(e).__name__ == "OrderFilled"] == [1.0]
    assert [type(e).__name__ for e in second][-1] == "OrderAccepted"


def test_a_defect_of_the_exchange_ends_the_run(monkeypatch):
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("broken on purpose")

    monkeypatch.setattr(Exchange, "trade", broken)
    with pytest.raises(AssertionError, match="PAPER-DEFECT: ValueError: broken on purpose"):
        paper(Run(Listening, steps=3))
