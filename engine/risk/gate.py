"""The risk gate: every order of every mode is checked here before it exists.

`check` tells, `approve` remembers. What was approved is known by client order id with the order's
fields, so that a live execution client can refuse anything else as the last step before the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.config.model import Risk
from engine.orders.model import Side
from engine.risk.books import Books
from engine.risk.checks import CHECKS, Check, Denial, active_checks
from engine.risk.checks_account import base_held
from engine.risk.facts import (
    FLATTEN_PASSES,
    LOSS_CODES,
    InstrumentFacts,
    Limits,
    LiveOrder,
    OrderFacts,
    RiskView,
    VenueAbilities,
)
from engine.risk.kill import KillSwitch
from engine.risk.killswitch import FOLDER, KillState
from engine.risk.look import Look
from engine.risk.state import Counter, Halt, RiskState, RiskStateError, RiskStateFile

OVER_GRACE_NS = 2_000_000_000  # how long an order that is over waits for its last event
WRITE_EVERY_NS = 900_000_000  # counters: less than the second between two ticks
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


class _Step:
    """One check that runs, and the largest fraction of its limit since the last `fold`."""

    __slots__ = ("counter", "nearest", "run")

    def __init__(self, check: Check, counter: Counter) -> None:
        self.run = check.run
        self.counter = counter
        self.nearest: float | Decimal = 0


class _Plan:
    """The checks to run, in order.

    An order that passes was evaluated by all of them: `passed` counts these until `fold`.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        counters: Mapping[str, Counter],
        stand_for: Iterable[Check] | None = None,
    ) -> None:
        """`stand_for` are the checks that an order passes by passing `checks`."""
        self.steps = tuple(_Step(check, counters[check.code]) for check in checks)
        self._counters = [step.counter for step in self.steps]
        if stand_for is not None:
            self._counters = [counters[check.code] for check in stand_for]
        self.passed = 0

    def refused(self, by: _Step) -> None:
        """This check refused; those after it did not run."""
        by.counter.refused += 1
        for counter in self._counters:
            counter.evaluated += 1
            if counter is by.counter:
                return

    def fold(self) -> None:
        for counter in self._counters:
            counter.evaluated += self.passed
        for step in self.steps:
            counter = step.counter
            counter.nearest = max(counter.nearest, float(step.nearest))
            step.nearest = 0
        self.passed = 0


def _is_plain(order: OrderFacts) -> bool:
    """A new order that has nothing of what the checks without `on_plain` look at."""
    return (
        order.trigger_price is None
        and not order.reduce_only
        and order.exec_algorithm is None
        and order.emulation is None
    )


class RiskGate:
    """One per run, shared by all its strategies and, in live mode, by the execution clients.

    `state` keeps halts and counters across restarts (None: nothing is kept, as in a backtest).
    `abilities` are the venues' capability tables by NautilusTrader venue name. `state_dir` is
    where a relative `kill_switch_file` lies; None turns the file off. `accounts` are the account
    names by venue, `fees` the highest fee rates by venue where the config names them.
    `look_every_ns`: how old the last look at that file may be (see KillSwitch).
    Raises RiskStateError when the state file is unreadable.
    """

    def __init__(
        self,
        config: Risk,
        *,
        state: RiskStateFile | None = None,
        state_dir: Path | None = None,
        abilities: Mapping[str, VenueAbilities] | None = None,
        accounts: Mapping[str, str] | None = None,
        fees: Mapping[str, Decimal] | None = None,
        look_every_ns: int = 0,
    ) -> None:
        self.config = config
        self.limits = Limits.of(config)
        self.fees = dict(fees or {})
        self.kill = KillSwitch(
            state_dir / config.kill_switch_file if state_dir else None,
            KillState(state_dir / FOLDER, accounts) if state_dir and state is not None else None,
            look_every_ns=look_every_ns,
        )
        self.abilities = dict(abilities or {})
        self._state_file = state
        self._state = state.load() if state is not None else RiskState()
        self.books = Books(self.limits, self._state, accounts)
        self.ledger = self.books.ledger
        self.rate = self.books.rate
        self._write_error: str | None = None
        self._dirty = False
        self._written_ns = 0
        self._exiting = False
        self._look: Look | None = None
        self._looked_view: RiskView | None = None
        self._watch_losses = bool(self.limits.daily_loss or self.limits.drawdown)
        self._faulted: dict[str, str] = {}
        self._approved: dict[str, Terms] = {}
        self._modifies: dict[str, list[Change]] = {}
        self._over: dict[str, int | None] = {}  # order_over: since when, by the checks' clock
        counters = self._state.counters
        for check in CHECKS:
            counters.setdefault(check.code, Counter())
        off = frozenset[str](config.off)
        active = active_checks(self.limits, off)
        self._plan = _Plan(active, counters)
        self._modify_plan = _Plan((one for one in active if one.on_modify), counters)
        self._plain_plan = _Plan((one for one in active if one.on_plain), counters, active)

    # Checking and approving

    def check(self, order: OrderFacts, view: RiskView) -> Denial | None:
        """Whether `order` may be created (or modified to this); changes nothing but counters."""
        self._dirty = True
        if self._state.halt is not None or self._faulted or self._write_error is not None:
            refused = self._stopped(order)
            if refused is not None:
                return refused
        if self._over:
            self._drop_over(view.now_ns())
        look = self._look_through(view)
        look.begin(order)
        if self._watch_losses and self.books.equity.is_open:
            self.books.equity.roll(look.now_ns)
        if order.existing is not None:
            plan = self._modify_plan
        else:
            plan = self._plain_plan if _is_plain(order) else self._plan
        for step in plan.steps:
            verdict = step.run(order, look)
            if verdict is None:
                continue
            if type(verdict) is not Denial:  # isinstance costs 4 times as much here
                if verdict > step.nearest:
                    step.nearest = verdict
                continue
            if self._exiting and order.reduce_only and verdict.code in FLATTEN_PASSES:
                continue
            plan.refused(step)
            if verdict.code in LOSS_CODES:
                self._break(look.now_ns)
            return verdict
        plan.passed += 1
        return None

    def _stopped(self, order: OrderFacts) -> Denial | None:
        """The refusals that hold whatever the order is."""
        halt = self._state.halt
        if halt is not None and not (self._exiting and order.reduce_only):
            return self._count("HALTED", self._halt_message(halt))
        if order.strategy in self._faulted:
            return self._count(
                "STRATEGY_FAULTED",
                f"{order.strategy} is stopped: {self._faulted[order.strategy]}; start a new run",
            )
        if self._write_error is not None:
            return self._count(
                "STATE_UNWRITABLE",
                f"{self._write_error}; orders are approved again when it can be written",
            )
        return None

    def approve(self, order: OrderFacts, now_ns: int) -> None:
        """Remember that `order` passed; from now on it counts as live."""
        self._approved[order.client_order_id] = terms_of(order)
        self.books.approved(order, now_ns)

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
        self.books.modified(order, now_ns)

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

    def cancel_requested(self, now_ns: int) -> None:
        """A cancel is on its way: it counts against the rate of cancels."""
        if self.limits.max_cancels_per_second is not None:
            self.books.cancel_rate.add(now_ns)

    def canceled(self, client_order_id: str, now_ns: int) -> None:
        """The order was cancelled, and is over."""
        self.books.canceled(client_order_id, now_ns)
        self.closed(client_order_id)

    def filled(
        self,
        client_order_id: str,
        strategy: str,
        instrument: str,
        side: Side,
        quantity: Decimal,
        price: Decimal | None = None,
        fee: tuple[Decimal, str] | None = None,
        now_ns: int = 0,
    ) -> None:
        """A fill: base units, price, fee with its currency, time of the event.

        A fill without a price changes positions only. Raises nothing: a state that can't be
        written refuses the next orders.
        """
        self.books.filled(client_order_id, strategy, instrument, side, quantity, price, fee, now_ns)
        if client_order_id not in self.ledger.live:
            self.closed(client_order_id)
        self._dirty = True
        if self._watch_losses:
            self._watch(now_ns)
        if price is not None and self._state_file is not None:
            self._write(now_ns)

    def fill_voided(self, strategy: str, instrument: str, side: Side, quantity: Decimal) -> None:
        """The venue took a fill back. Its money is not given back: the result errs downwards."""
        other = Side.SELL if side is Side.BUY else Side.BUY
        self.ledger.filled("", strategy, instrument, other, quantity)
        self.books.equity.seed(instrument, -quantity if side is Side.BUY else quantity)

    def modify_answered(
        self, client_order_id: str, quantity: Decimal, price: Decimal | None = None
    ) -> None:
        """A modify was done or refused; the order's total is now `quantity` base units."""
        pending = self._modifies.get(client_order_id)
        if pending:
            pending.pop(0)
        self.books.modify_answered(client_order_id, quantity, price)

    def seed_positions(self, positions: Mapping[str, Decimal], strategy: str = "") -> None:
        """Positions at the start by instrument id, signed base units."""
        self.books.seeded(positions, strategy)

    def know(self, instrument: str, facts: InstrumentFacts) -> None:
        """Tell an instrument's facts, so that what is held of it can be valued."""
        self.books.know(instrument, facts)

    def traded(self, instrument: str, size: Decimal) -> None:
        """A trade of the market, size in base units."""
        self.books.tape.add(instrument, size)

    # What the owner of the venue connections tells

    def unknown_outcomes(self, venue: str, count: int) -> None:
        """How many orders at `venue` have no proven outcome now."""
        self.books.unknown[venue.upper()] = count

    def clock_offset(self, venue: str, ms: float) -> None:
        """The venue's clock less ours, milliseconds."""
        self.books.offsets_ms[venue.upper()] = ms

    # Watching

    @property
    def wants_ticks(self) -> bool:
        """Whether `tick` has anything to do in this run."""
        return self._state_file is not None or self._watch_losses

    def tick(self, view: RiskView) -> None:
        """Once a second: value positions, look at the loss limits, write what changed."""
        look = self._look_through(view)
        now_ns = view.now_ns()
        if self._over:
            self._drop_over(now_ns)
        for instrument in self.books.equity.instruments:
            look.read(instrument)
            self._dirty = True
        if self._watch_losses:
            self._watch(now_ns)
        if self._write_error is not None or (
            self._dirty and now_ns - self._written_ns >= WRITE_EVERY_NS
        ):
            self._write(now_ns)

    @property
    def breach_action(self) -> frozenset[str]:
        """What strategies have to do about a broken loss limit: "cancel", "flatten", or nothing."""
        halt = self._state.halt
        if halt is None or halt.code not in LOSS_CODES:
            return frozenset()
        return frozenset(self.config.on_breach.split("+")) - {"halt"}

    @contextmanager
    def exits(self) -> Iterator[None]:
        """Within it reduce-only orders pass a halt, and what limits one order's size."""
        self._exiting = True
        try:
            yield
        finally:
            self._exiting = False

    def base_held(self, instrument: str, view: RiskView) -> Decimal | None:
        """Base units that the cash account of `instrument` has, with what fills of this run
        brought or took since its last balance; None where that is not known, or on margin.
        """
        look = self._look_through(view)
        look.now_ns = view.now_ns()
        look.read(instrument)
        return base_held(instrument, look)

    def _look_through(self, view: RiskView) -> Look:
        look = self._look
        if look is None or self._looked_view is not view:
            look = self._look = Look(view, self.books, self.limits)
            self._looked_view = view
        return look

    def _watch(self, now_ns: int) -> None:
        if self.books.equity.roll(now_ns):
            self._write(now_ns)
        self._break(now_ns)

    def _break(self, now_ns: int) -> None:
        """Halt when a loss limit is reached."""
        broken = None if self._state.halt else self.books.equity.broken(self.limits)
        if broken is None:
            return
        code, reason = broken
        self._state.halt = Halt(reason=f"{code}: {reason}", ts_ns=now_ns, code=code)
        self._write(now_ns)

    # Halts

    @property
    def halt_in_force(self) -> Halt | None:
        return self._state.halt

    def is_stopped(self, strategy: str, instrument: str) -> bool:
        """Whether every new order of the strategy is refused: a halt, a kill, a fault."""
        if self._state.halt is not None or strategy in self._faulted:
            return True
        return self._write_error is not None or self.kill.reason(strategy, instrument) is not None

    def halt(self, reason: str, now_ns: int) -> None:
        """Refuse everything from now on, also after a restart, until `clear_halt`."""
        if self._state.halt is None:
            self._state.halt = Halt(reason=reason, ts_ns=now_ns)
            self.persist()

    def clear_halt(self) -> None:
        """A person looked at it. After a drawdown the peak is measured anew from here."""
        if self._state.halt is not None and self._state.halt.code == "DRAWDOWN":
            self.books.equity.forget_peak()
        self._state.halt = None
        self.persist()

    def fault(self, strategy: str, reason: str) -> None:
        """Refuse everything of one strategy for the rest of the run."""
        self._faulted.setdefault(strategy, reason)

    def faulted(self, strategy: str) -> bool:
        return strategy in self._faulted

    # State

    def persist(self) -> None:
        """Write halts, losses and counters. Raises RiskStateError."""
        self._fold_counters()
        if self._state_file is not None:
            self._state_file.save(self._state)
        self._dirty = False
        self._write_error = None

    def _write(self, now_ns: int) -> None:
        """Write, or refuse orders until it can be written."""
        self._written_ns = now_ns
        try:
            self.persist()
        except RiskStateError as error:
            self._write_error = str(error)

    def _fold_counters(self) -> None:
        self._plan.fold()
        self._modify_plan.fold()
        self._plain_plan.fold()

    def snapshot(self) -> GateSnapshot:
        self._fold_counters()
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
        kind=facts.kind,
        price=facts.price if facts.price is not None else facts.trigger_price,
        role=facts.role,
        **changes,
    )
