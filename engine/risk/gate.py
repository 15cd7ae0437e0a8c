"""The risk gate: every order of every mode is checked here before it exists.

`check` tells, `approve` remembers. What was approved is known by client order id with the order's
fields, so that a live execution client can refuse anything else as the last step before the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.config.model import Risk
from engine.orders.model import Side
from engine.risk.checks import CHECKS, Denial
from engine.risk.facts import (
    Limits,
    LiveOrder,
    OrderFacts,
    RateWindow,
    RiskView,
    VenueAbilities,
)
from engine.risk.kill import KillSwitch
from engine.risk.ledger import Ledger
from engine.risk.state import Counter, Halt, RiskState, RiskStateFile

OVER_GRACE_NS = 2_000_000_000  # how long an order that is over waits for its last event
PENDING_MODIFIES_MAX = 16  # approved modifies of one order that the venue has not answered

# What an approval binds: instrument, side, kind, quantity, price, trigger price.
Terms = tuple[str, Side, str, Decimal, Decimal | None, Decimal | None]
# What a modify asks for: quantity, price, trigger price; None leaves a field as it is.
Change = tuple[Decimal | None, Decimal | None, Decimal | None]


class GateSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The gate at one moment, for status and reports."""

    halt: Halt | None
    faulted: dict[str, str]
    kill_switch: str | None
    open_orders: int
    positions: dict[str, Decimal]
    counters: dict[str, Counter]


def terms_of(order: OrderFacts) -> Terms:
    return (
        order.instrument,
        order.side,
        order.kind,
        order.quantity,
        order.price,
        order.trigger_price,
    )


class RiskGate:
    """One per run, shared by all its strategies and, in live mode, by the execution clients.

    `state` keeps halts and counters across restarts (None: nothing is kept, as in a backtest).
    `abilities` are the venues' capability tables by NautilusTrader venue name. `state_dir` is
    where a relative `kill_switch_file` lies; None turns the file off.
    Raises RiskStateError when the state file is unreadable.
    """

    def __init__(
        self,
        config: Risk,
        *,
        state: RiskStateFile | None = None,
        state_dir: Path | None = None,
        abilities: Mapping[str, VenueAbilities] | None = None,
    ) -> None:
        self.config = config
        self.limits = Limits.of(config)
        self.ledger = Ledger()
        self.rate = RateWindow(self.limits.max_orders_per_second)
        self.kill = KillSwitch(state_dir / config.kill_switch_file if state_dir else None)
        self.abilities = dict(abilities or {})
        self._state_file = state
        self._state = state.load() if state is not None else RiskState()
        self._faulted: dict[str, str] = {}
        self._approved: dict[str, Terms] = {}
        self._modifies: dict[str, list[Change]] = {}
        self._over: dict[str, int | None] = {}  # order_over: since when, by the checks' clock
        counters = self._state.counters
        self._plan = [(check, counters.setdefault(check.code, Counter())) for check in CHECKS]

    # Checking and approving

    def check(self, order: OrderFacts, view: RiskView) -> Denial | None:
        """Whether `order` may be created (or modified to this); changes nothing but counters."""
        if self._state.halt is not None:
            return self._count("HALTED", self._halt_message(self._state.halt))
        if order.strategy in self._faulted:
            return self._count(
                "STRATEGY_FAULTED",
                f"{order.strategy} is stopped: {self._faulted[order.strategy]}; start a new run",
            )
        if self._over:
            self._drop_over(view.now_ns())
        is_modify = order.is_modify
        for check, counter in self._plan:
            if is_modify and not check.on_modify:
                continue
            verdict = check.run(order, view)
            counter.evaluated += 1
            if verdict is None:
                continue
            if isinstance(verdict, float):
                if verdict > counter.nearest:
                    counter.nearest = verdict
                continue
            counter.refused += 1
            return verdict
        return None

    def approve(self, order: OrderFacts, now_ns: int) -> None:
        """Remember that `order` passed; from now on it counts as live."""
        self._approved[order.client_order_id] = terms_of(order)
        self.ledger.opened(
            LiveOrder(
                client_order_id=order.client_order_id,
                strategy=order.strategy,
                instrument=order.instrument,
                side=order.side,
                quantity=order.quantity,
                reduce_only=order.reduce_only,
                contingent=order.parent is not None and order.reduce_only,
            )
        )
        self.rate.add(now_ns)

    def withdraw(self, client_order_id: str) -> None:
        """Undo `approve` of an order that was not handed over: another of its list was refused."""
        self.closed(client_order_id)
        self.rate.undo()

    def approved(self, client_order_id: str, order: OrderFacts) -> bool:
        """Whether exactly this order was approved: the last look before the wire."""
        return self._approved.get(client_order_id) == terms_of(order)

    def is_approved(self, client_order_id: str) -> bool:
        """Whether an order of this id was approved, whatever its fields."""
        return client_order_id in self._approved

    def approve_modify(self, order: OrderFacts, change: Change, now_ns: int) -> None:
        """Remember that the modify passed; the larger of both quantities counts until answered."""
        pending = self._modifies.setdefault(order.client_order_id, [])
        pending.append(change)
        del pending[:-PENDING_MODIFIES_MAX]
        live = self.ledger.live.get(order.client_order_id)
        if live is not None and order.quantity > live.quantity:
            self.ledger.resized(order.client_order_id, order.quantity)
        self.rate.add(now_ns)

    def approved_modify(self, client_order_id: str, change: Change) -> bool:
        """Whether exactly this modify was approved and is not answered yet."""
        return change in self._modifies.get(client_order_id, ())

    def has_pending_modify(self, client_order_id: str) -> bool:
        """Whether some modify of the order was approved and is not answered yet."""
        return bool(self._modifies.get(client_order_id))

    # What became of orders

    def adopt(self, order: LiveOrder) -> None:
        """Count an order that existed before this run, or that others created."""
        self.ledger.opened(order)

    def closed(self, client_order_id: str) -> None:
        """The order is proven to be over: filled, canceled, expired, refused or denied."""
        self._approved.pop(client_order_id, None)
        self._modifies.pop(client_order_id, None)
        self._over.pop(client_order_id, None)
        self.ledger.closed(client_order_id)

    def order_over(self, client_order_id: str) -> None:
        """The order desk proved the order to be over; the strategy's own event is still to come.

        It counts as live until that event, so that its fills are never missed in between, and for
        OVER_GRACE_NS when none comes (an order of no strategy of this run).
        """
        if client_order_id in self.ledger.live:
            self._over.setdefault(client_order_id, None)

    def _drop_over(self, now_ns: int) -> None:
        for client_order_id, since_ns in list(self._over.items()):
            if since_ns is None:
                self._over[client_order_id] = now_ns
            elif now_ns - since_ns > OVER_GRACE_NS:
                self.closed(client_order_id)

    def filled(
        self, client_order_id: str, strategy: str, instrument: str, side: Side, quantity: Decimal
    ) -> None:
        """A fill, quantity in base units."""
        self.ledger.filled(client_order_id, strategy, instrument, side, quantity)
        if client_order_id not in self.ledger.live:
            self.closed(client_order_id)

    def fill_voided(self, strategy: str, instrument: str, side: Side, quantity: Decimal) -> None:
        """The venue took a fill back."""
        other = Side.SELL if side is Side.BUY else Side.BUY
        self.ledger.filled("", strategy, instrument, other, quantity)

    def modify_answered(self, client_order_id: str, quantity: Decimal) -> None:
        """A modify was done or refused; the order's total is now `quantity` base units."""
        pending = self._modifies.get(client_order_id)
        if pending:
            pending.pop(0)
        self.ledger.resized(client_order_id, quantity)

    def seed_positions(self, positions: Mapping[str, Decimal], strategy: str = "") -> None:
        """Positions at the start by instrument id, signed base units."""
        self.ledger.seed_positions(positions, strategy)

    # Halts

    @property
    def halt_in_force(self) -> Halt | None:
        return self._state.halt

    def halt(self, reason: str, now_ns: int) -> None:
        """Refuse everything from now on, also after a restart, until `clear_halt`."""
        if self._state.halt is None:
            self._state.halt = Halt(reason=reason, ts_ns=now_ns)
            self.persist()

    def clear_halt(self) -> None:
        self._state.halt = None
        self.persist()

    def fault(self, strategy: str, reason: str) -> None:
        """Refuse everything of one strategy for the rest of the run."""
        self._faulted.setdefault(strategy, reason)

    def faulted(self, strategy: str) -> bool:
        return strategy in self._faulted

    # State

    def persist(self) -> None:
        """Write halts and counters. Raises RiskStateError."""
        if self._state_file is not None:
            self._state_file.save(self._state)

    def snapshot(self) -> GateSnapshot:
        return GateSnapshot(
            halt=self._state.halt,
            faulted=dict(self._faulted),
            kill_switch=self.kill.reason(),
            open_orders=len(self.ledger.live),
            positions=dict(self.ledger.positions),
            counters={code: msgspec.structs.replace(c) for code, c in self._state.counters.items()},
        )

    def refuse(self, code: str, message: str) -> Denial:
        """A denial that no check of the registry makes, counted like the others."""
        return self._count(code, message)

    def _count(self, code: str, message: str) -> Denial:
        counter = self._state.counters.setdefault(code, Counter())
        counter.evaluated += 1
        counter.refused += 1
        return Denial(code, message)

    def _halt_message(self, halt: Halt) -> str:
        where = f" in {self._state_file.path}" if self._state_file is not None else ""
        return f"halted: {halt.reason}; a person clears it{where}"


def live_order(facts: OrderFacts, filled: Decimal = Decimal(0), **changes: Any) -> LiveOrder:
    """The ledger's entry for an order that exists already."""
    return LiveOrder(
        client_order_id=facts.client_order_id,
        strategy=facts.strategy,
        instrument=facts.instrument,
        side=facts.side,
        quantity=facts.quantity,
        filled=filled,
        reduce_only=facts.reduce_only,
        contingent=facts.parent is not None and facts.reduce_only,
        **changes,
    )
