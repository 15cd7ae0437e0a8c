"""Runs of one account, one after the other, over its real journal and risk state."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.config.model import Risk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Intent, Kind, Side, VenueFill
from fairlead.engine.risk.facts import InstrumentFacts
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.money import DAY_NS
from fairlead.engine.risk.state import RiskStateFile
from fairlead.engine.risk.states import RiskStates
from fairlead.engine.run.takeover import count_again, count_in, count_out
from tests.unit.risk.test_flat import FACTS
from tests.unit.risk.test_gate import D

S = "S-001"
MORNING = 20_000 * DAY_NS + 1
RISK = Risk(max_daily_loss=["1000 USDT"])


class Desk:
    """Has no order."""

    def live_orders(self) -> list[Any]:
        return []


class Down:
    """An account; `start` is a new process, `die` a kill -9. Prices in USDT, fees none."""

    def __init__(self, folder: Path, venue: str = "TEST", risk: Risk = RISK) -> None:
        self.venue = venue
        self.name = f"BTC_USDT.{venue}"
        self.path = folder / f"{venue}.journal.sqlite"
        self.file = RiskStateFile(folder / f"{venue}.risk.json")
        self.risk = risk
        self.now = MORNING
        self.facts: Mapping[str, InstrumentFacts] = {self.name: FACTS}
        self.instruments: dict[str, VenueInstrument] = {}
        self._orders = 0
        self._trades = 0
        self.journal = self._opened()
        self.start()

    def _opened(self) -> Journal:
        return Journal(self.path, fsync=False, now_ns=self.now_ns)

    def now_ns(self) -> int:
        return self.now

    # -- a run ---------------------------------------------------------------------------------

    def start(self, gate: RiskGate | None = None) -> None:
        self.begin(gate)
        count_in(self.gate, self, Desk())  # type: ignore[arg-type]
        count_again(self.gate, self, Desk())  # type: ignore[arg-type]

    def begin(self, gate: RiskGate | None = None) -> None:
        """As far as to where the venue is asked."""
        self.gate = gate or RiskGate(self.risk, state=RiskStates({self.venue: self.file}))
        for name, facts in self.facts.items():
            self.gate.know(name, facts)

    def die(self) -> None:
        self.journal.close()
        self.journal = self._opened()

    def end(self) -> None:
        count_out(self.gate, self)
        self.gate.persist()
        self.die()

    # -- orders --------------------------------------------------------------------------------

    def order(self, strategy: str = S, side: Side = Side.SELL, quantity: str = "1") -> Intent:
        self._orders += 1
        intent = Intent(
            client_order_id=f"O-{self._orders}",
            strategy=strategy,
            instrument=self.name,
            side=side,
            kind=Kind.LIMIT,
            quantity=D(quantity),
            price=D(100),
        )
        self.journal.intend([intent])
        return intent

    def book(
        self, order: Intent, price: str, quantity: str | None = None, fee: str = "0 USDT"
    ) -> VenueFill:
        """An execution, now, that the journal has and no strategy has heard of."""
        self._trades += 1
        paid, currency = fee.split()
        fill = VenueFill(
            venue_order_id=f"V-{order.client_order_id}",
            trade_id=f"T-{self._trades}",
            instrument=order.instrument,
            side=order.side,
            quantity=order.quantity if quantity is None else D(quantity),
            price=D(price),
            fee=D(paid),
            fee_currency=currency,
            ts_event=self.now,
        )
        base_fee = fill.fee if currency == "BTC" else Decimal(0)
        booked = self.journal.fill(order, fill, base_fee)
        assert booked is not None
        return booked

    def hear(self, order: Intent, fill: VenueFill) -> None:
        self.gate.filled(
            order.client_order_id,
            order.strategy,
            fill.instrument,
            fill.side,
            fill.quantity,
            fill.price,
            (fill.fee, fill.fee_currency),
            fill.ts_event,
        )

    def trade(self, side: Side, price: str, quantity: str = "1", strategy: str = S) -> Intent:
        order = self.order(strategy, side, quantity)
        self.hear(order, self.book(order, price))
        return order

    # -- what is known of it -------------------------------------------------------------------

    def mark(self, price: str) -> None:
        self.gate.books.marked(self.name, FACTS, D(price))

    def kept(self, price: str) -> None:
        """The market is here, and the file has it."""
        self.mark(price)
        self.gate.persist()

    @property
    def lost(self) -> Decimal:
        self.gate.books.equity.roll(self.now)
        return self.gate.books.equity.lost_today("USDT")

    @property
    def result(self) -> Decimal:
        return self.gate.books.equity.equity("USDT")

    def paused(self, strategy: str = S) -> bool:
        return self.gate.books.trips.paused_until(strategy) > self.now
