"""The risk gate: every order of every mode is checked here before it exists.

`check` tells, `approve` remembers. Of what was approved, and of nothing else, `approvals` gives
what a desk takes, as the last step before the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from fairlead.engine.config.model import Risk
from fairlead.engine.errors import clear_command
from fairlead.engine.orders.model import Capabilities, Intent, Side
from fairlead.engine.risk.approval import Approvals, Change
from fairlead.engine.risk.books import Books, Missed, in_base
from fairlead.engine.risk.checks import Denial, active_checks
from fairlead.engine.risk.checks_account import base_held
from fairlead.engine.risk.facts import (
    FLATTEN_PASSES,
    LOSS_CODES,
    CountedOrder,
    Declared,
    InstrumentFacts,
    Limits,
    OrderFacts,
    RiskView,
)
from fairlead.engine.risk.heard import shorten
from fairlead.engine.risk.known import Pass, Place, is_comparable
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.plans import Plans, is_plain
from fairlead.engine.risk.state import Counter, Halt, RiskStateError, RiskStateFile
from fairlead.engine.risk.states import (
    AccountState,
    Clearing,
    RiskStates,
    merged_counters,
)

OVER_GRACE_NS = 2_000_000_000  # how long an order that is over waits for its last event
WRITE_EVERY_NS = 900_000_000  # counters: less than the second between two ticks

# Told of a halt as it begins and as a person ends it: the accounts' venues ("" for every), the
# halt, and the person's word.
OnHalt = Callable[[Sequence[str], Halt, Clearing | None], None]


class GateSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The gate at one moment, for status and reports."""

    halt: Halt | None
    faulted: dict[str, str]
    kill_switch: str | None
    open_orders: int
    positions: dict[str, Decimal]
    counters: dict[str, Counter]


class Stops(Protocol):
    """The kill switch, as the gate asks it."""

    def reason(self, strategy: str = "", instrument: str = "") -> str | None:
        """Why an order of this strategy and instrument id may not be created, or None.

        Without them: why nothing at all may be.
        """


class NothingStops:
    """Of a gate without a kill switch."""

    def reason(self, strategy: str = "", instrument: str = "") -> str | None:
        return None


NOTHING_STOPS = NothingStops()


class RiskGate:
    """One per run, shared by all its strategies and, in live mode, by the execution clients.

    `state` keeps halts and counters across restarts: the states of the run's accounts, one file
    for all of them, or None where nothing is kept, as in a backtest.
    `kill` is what people stop orders with. `capabilities` are the venues' capability tables by
    NautilusTrader venue name, `accounts` the account names by venue, `fees` the highest fee rates
    by venue where the config names them. `is_simulated`: a run on paper, or a backtest.
    Raises RiskStateError when the state file is unreadable.
    """

    def __init__(
        self,
        config: Risk,
        *,
        state: RiskStates | RiskStateFile | None = None,
        kill: Stops = NOTHING_STOPS,
        capabilities: Mapping[str, Capabilities] | None = None,
        accounts: Mapping[str, str] | None = None,
        fees: Mapping[str, Decimal] | None = None,
        is_simulated: bool = False,
    ) -> None:
        self.config = config
        self.is_simulated = is_simulated
        self.limits = Limits.of(config)
        self.fees = dict(fees or {})
        self.kill = kill
        self.capabilities = dict(capabilities or {})
        self._states = state if isinstance(state, RiskStates) else RiskStates(state)
        self._halt = self._first_halt()
        self.on_halt: OnHalt | None = None
        # The command that ends the halt of these venues' accounts
        self.how_cleared: Callable[[Sequence[str]], str] = _how_cleared
        self.on_problem: Callable[[str], None] | None = None  # with a state file, during the run
        self.books = Books(self.limits, self._states, accounts)
        self.ledger = self.books.ledger
        self.rate = self.books.rate
        self._write_error: str | None = None
        self._dirty = False
        self._written_ns = 0
        self._passes_halt = self._passes_size = False  # what an exit does just now
        self._look: Look | None = None
        self._looked_view: RiskView | None = None
        self._watch_losses = bool(self.limits.daily_loss or self.limits.drawdown)
        self._faulted: dict[str, str] = {}
        # Each book's last update by its instrument id, whichever strategy it came to
        self.received: dict[Any, Any] = {}
        # When a quote was heard that has the venue's time alone, with that, by instrument id
        self.heard: dict[Any, tuple[int, int]] = {}
        self.approvals = Approvals()
        self._over: dict[str, int | None] = {}  # order_over: since when, by the checks' clock
        active = active_checks(config)
        self._plans = {one.venue: Plans(active, one.state.counters) for one in self._states.all}
        self._any_plans = Plans(active, {})  # of a venue that the run has not
        self._passes: dict[str, Pass] = {}  # by instrument id

    # Checking and approving

    def check(self, order: OrderFacts, view: RiskView) -> Denial | None:
        """Whether `order` may be created (or modified to this); changes nothing but counters."""
        self._dirty = True
        if self._halt is not None or self._faulted or self._write_error is not None:
            refused = self._stopped(order)
            if refused is not None:
                return refused
        if self._over:
            self._drop_over(view.now_ns())
        look = self._look
        if look is None or self._looked_view is not view:  # asked here, as it costs no call
            look = self._look_through(view)
        look.begin(order)
        if self._watch_losses and self.books.equity.is_open:
            self.books.equity.roll(look.now_ns)
        denial = self._refusal(order, look)
        if denial is not None and denial.code in LOSS_CODES:
            self._break(look.now_ns)
        return denial

    def _refusal(self, order: OrderFacts, look: Look) -> Denial | None:
        """Of the first check that refuses; what was evaluated is counted."""
        if order.existing is not None:
            plan = self._plans_of(order.instrument).modify
        elif not is_plain(order):
            plan = self._plans_of(order.instrument).whole
        elif is_comparable(order, look):
            return self._pass_of(order.instrument, look).refusal(order, look)
        else:
            plan = self._plans_of(order.instrument).plain
        is_way_out = self._passes_size and order.reduce_only
        return plan.refusal(order, look, FLATTEN_PASSES if is_way_out else frozenset())

    def _plans_of(self, instrument: str) -> Plans:
        return self._plans.get(self._states.of(instrument).venue, self._any_plans)

    def _pass_of(self, instrument: str, look: Look) -> Pass:
        """Of the plain orders of an instrument, whose facts `look` knows."""
        found = self._passes.get(instrument)
        if found is None or not found.is_of(look):
            assert look.facts is not None  # else there is no notional, and nothing to compare
            place = Place(instrument, look.facts, look.able, self.limits, self.is_simulated)
            found = self._passes[instrument] = Pass(self._plans_of(instrument).plain, place)
        return found

    def _stopped(self, order: OrderFacts) -> Denial | None:
        """The refusals that hold whatever the order is."""
        halt = self._halt
        if halt is not None and not (self._passes_halt and order.reduce_only):
            return self._count("HALTED", self._halt_message(halt), order.instrument)
        if order.strategy in self._faulted:
            return self._count(
                "STRATEGY_FAULTED",
                f"{order.strategy} is stopped: {self._faulted[order.strategy]}; start a new run",
                order.instrument,
            )
        if self._write_error is not None:
            return self._count(
                "STATE_UNWRITABLE",
                f"{self._write_error}; orders are approved again when it can be written",
                order.instrument,
            )
        return None

    def approve(self, order: OrderFacts, now_ns: int) -> None:
        """Remember that `order` passed; from now on it counts as live."""
        self.approvals.add(order)
        self.books.approved(order, now_ns)

    def withdraw(self, client_order_id: str) -> None:
        """Undo `approve` of an order that was not handed over: another of its list was refused."""
        self.books.unsent(client_order_id)
        self.closed(client_order_id)

    def release(self, order: OrderFacts, view: RiskView) -> Denial | None:
        """Whether what is to be sent of an order that the engine held may be: asked as of any new
        order, in which it does not count itself. An exit passes a halt, as it would at a venue
        that holds it.
        """
        held = self.ledger.live.get(order.client_order_id)
        self.ledger.closed(order.client_order_id)
        try:
            with self.exits() if order.is_exit else nullcontext():
                denial = self.check(order, view)
        finally:
            if held is not None:
                self.ledger.opened(held)
        if denial is None:
            self.ledger.closed(order.client_order_id)
            self.approve(order, view.now_ns())
        return denial

    def held_again(self, client_order_id: str, kind: str) -> None:
        """What was released of an order of this kind is over: it counts as what waits."""
        self.ledger.waits(client_order_id, kind)

    def approve_modify(self, order: OrderFacts, change: Change, now_ns: int) -> None:
        """Remember that the modify passed; the larger of both quantities counts until answered."""
        self.approvals.add_change(order.client_order_id, change)
        self.books.modified(order, now_ns)

    # What became of orders

    def adopt(self, order: CountedOrder) -> None:
        """Count an order that existed before this run, or that others created."""
        self.ledger.opened(order)

    def closed(self, client_order_id: str) -> None:
        """The order is proven to be over: filled, canceled, expired, refused or denied."""
        self.approvals.over(client_order_id)
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
        if price is not None and self._states.is_kept:
            self._write(now_ns)

    def fill_voided(
        self,
        strategy: str,
        instrument: str,
        side: Side,
        quantity: Decimal,
        fee: tuple[Decimal, str] | None = None,
    ) -> None:
        """The venue took a fill back, base units, and gave its `fee` (amount and currency) back.
        Its money is not counted back: the result errs downwards."""
        facts = self.ledger.exposure.facts(instrument)
        back = Decimal(0) if facts is None else in_base(facts, fee)
        other = Side.SELL if side is Side.BUY else Side.BUY
        self.ledger.filled("", strategy, instrument, other, quantity, -back)
        change = (-quantity if side is Side.BUY else quantity) + back
        self.books.voided(strategy, instrument, change)

    def modify_answered(
        self, client_order_id: str, quantity: Decimal, price: Decimal | None = None
    ) -> None:
        """A modify was done or refused; the order's total is now `quantity` base units."""
        self.approvals.answered(client_order_id)
        self.books.modify_answered(client_order_id, quantity, price)

    def seed_positions(
        self,
        positions: Mapping[str, Decimal],
        strategy: str = "",
        prices: Mapping[str, Decimal] | None = None,
    ) -> None:
        """Positions at the start by instrument id, signed base units. Until a market's price is
        there they are worth the last run's, else what `prices` says, in quote currency."""
        self.books.seeded(positions, strategy, prices or {})

    def caught_up(self, missed: Sequence[Missed], now_ns: int) -> None:
        """What an account missed while no run was up; the limits hold once all have told."""
        self.books.missed(missed, now_ns)
        self._write(now_ns)
        if self._watch_losses and not any(one.is_held_back for one in self._states.all):
            self._watch(now_ns)

    def handed(self, giver: str, taker: str, instrument: str, quantity: Decimal) -> None:
        """Signed base units of one strategy's position were booked to another, by the journal."""
        self.books.handed(giver, taker, instrument, quantity)

    def settle(self, strategy: str, instrument: str, quantity: Decimal, price: Decimal) -> None:
        """At the end: what is held, signed base units, by the journal; `price` is its average.

        A strategy that has stopped hears of no fill any more, and a journal that is lost is missed
        by what the state says was held.
        """
        self.books.settled(strategy, instrument, quantity, price)

    def declare(self, strategy: str, instrument: str, declared: Declared) -> None:
        """What a strategy says of itself in an instrument; without it, that it owns nothing."""
        self.ledger.declared[strategy, instrument] = declared

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
        self.books.clock_unknown.pop(venue.upper(), None)

    def clock_unknown(self, venue: str, why: str) -> None:
        """What was told of the venue's clock holds no more; orders wait for the next offset."""
        self.books.clock_unknown[venue.upper()] = why

    # Watching

    @property
    def wants_ticks(self) -> bool:
        """Whether `tick` has anything to do in this run."""
        return self._states.is_kept or self._watch_losses

    def tick(self, view: RiskView) -> None:
        """Once a second: value positions, look at the loss limits, write what changed."""
        look = self._look_through(view)
        now_ns = view.now_ns()
        if self._over:
            self._drop_over(now_ns)
        for account in self._states.all:
            shorten(account)
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
        if not any(halt.code in LOSS_CODES for _, halt in self._states.halts()):
            return frozenset()
        return frozenset(self.config.on_breach.split("+")) - {"halt"}

    @contextmanager
    def exits(self, *, halted: bool = True) -> Iterator[None]:
        """Within it reduce-only orders pass what limits one order's size, and (`halted`) a halt."""
        before = self._passes_halt, self._passes_size
        self._passes_halt, self._passes_size = halted, True
        try:
            yield
        finally:
            self._passes_halt, self._passes_size = before

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
            look = self._look = Look(view, self.books, self.limits, is_simulated=self.is_simulated)
            self._looked_view = view
        return look

    def _watch(self, now_ns: int) -> None:
        if self.books.equity.roll(now_ns):
            self._write(now_ns)
        self._break(now_ns)

    def _break(self, now_ns: int) -> None:
        """Halt when a loss limit is reached."""
        broken = None if self._halt else self.books.equity.broken(self.limits)
        if broken is not None:
            code, reason = broken
            halt = Halt(reason=f"{code}: {reason}", ts_ns=now_ns, code=code)
            self._put(self._states.all, halt)

    # Halts

    @property
    def halt_in_force(self) -> Halt | None:
        """The first account's; one account's halt stops the run."""
        return self._halt

    def halts(self) -> list[tuple[str, Halt]]:
        """Every halt in force with its account's venue ("" for every venue)."""
        return [(account.venue, halt) for account, halt in self._states.halts()]

    def _first_halt(self) -> Halt | None:
        return next((halt for _, halt in self._states.halts()), None)

    def is_stopped(self, strategy: str, instrument: str) -> bool:
        """Whether every new order of the strategy is refused: a halt, a kill, a fault."""
        if self._halt is not None or strategy in self._faulted:
            return True
        return self._write_error is not None or self.kill.reason(strategy, instrument) is not None

    def recalled(self, intent: Intent) -> str | None:
        """Why an order that was approved and still waits to be sent may not leave: a halt since.

        Exits may, as they pass a halt.
        """
        if self._halt is None or intent.reduce_only or intent.role.is_exit:
            return None
        return self._halt_message(self._halt)

    def halt(self, reason: str, now_ns: int, instrument: str = "") -> None:
        """Refuse everything from now on, until a person clears it; also after a restart of any run
        with the account of `instrument` (with "": of any of this run's accounts).

        Raises nothing: while it can't be written, orders are refused for that, too.
        """
        accounts = (self._states.of(instrument),) if instrument else self._states.all
        self._put(accounts, Halt(reason=reason, ts_ns=now_ns))

    def restore_halt(self, venue: str, halt: Halt) -> None:
        """Put a halt in force again that is known from elsewhere than the state's file."""
        self._put((self._states.of_venue(venue),), halt)

    def _put(self, accounts: Sequence[AccountState], halt: Halt) -> None:
        """An account that is halted stays so for the reason that it was."""
        halted = [account for account in accounts if account.state.halt is None]
        if not halted:
            return
        for account in halted:
            account.state.halt = halt
        self._halt = self._first_halt() or halt
        self._write(halt.ts_ns)
        if self.on_halt is not None:
            self.on_halt([account.venue for account in halted], halt, None)

    def clear_halt(self, reason: str = "cleared from code", by: str = "code") -> None:
        """A person looked at it: no account is halted any more. Raises RiskStateError."""
        for account, halt in self._states.halts():
            word = Clearing(halt_ts_ns=halt.ts_ns, reason=reason, by=by, ts_ns=halt.ts_ns)
            self._lift(account, halt, word)
        self.persist()

    def take_clearings(self) -> None:
        """Obey what people said meanwhile with `fairlead kill --clear`."""
        if self._halt is None:
            return
        for account, halt in self._states.halts():
            word = account.clearing.read() if account.clearing is not None else None
            if word is None or account.clearing is None:
                continue
            if word.halt_ts_ns == halt.ts_ns:
                self._lift(account, halt, word)
                self._write(word.ts_ns)
            if self._write_error is None:
                account.clearing.remove()

    def _lift(self, account: AccountState, halt: Halt, word: Clearing) -> None:
        account.lift()
        self._halt = self._first_halt()
        if self.on_halt is not None:
            self.on_halt([account.venue], halt, word)

    def fault(self, strategy: str, reason: str) -> None:
        """Refuse everything of one strategy for the rest of the run."""
        self._faulted.setdefault(strategy, reason)

    def faulted(self, strategy: str) -> bool:
        return strategy in self._faulted

    # State

    def persist(self) -> None:
        """Write halts, losses and counters. Raises RiskStateError."""
        self._fold_counters()
        problems = self._states.save()
        self._dirty = False
        self._write_error = None
        if self.on_problem is not None:
            for problem in problems:
                self.on_problem(problem)

    def _write(self, now_ns: int) -> None:
        """Write, or refuse orders until it can be written."""
        self._written_ns = now_ns
        try:
            self.persist()
        except RiskStateError as error:
            self._write_error = str(error)

    def _fold_counters(self) -> None:
        for plans in (*self._plans.values(), self._any_plans):
            plans.fold()

    def snapshot(self) -> GateSnapshot:
        self._fold_counters()
        return GateSnapshot(
            halt=self._halt,
            faulted=dict(self._faulted),
            kill_switch=self.kill.reason(),
            open_orders=len(self.ledger.live),
            positions=dict(self.ledger.positions),
            counters=merged_counters(self._states),
        )

    def refuse(self, code: str, message: str, instrument: str) -> Denial:
        """A denial that no check of the registry makes, counted like the others."""
        return self._count(code, message, instrument)

    def _count(self, code: str, message: str, instrument: str) -> Denial:
        counter = self._states.of(instrument).state.counters.setdefault(code, Counter())
        counter.evaluated += 1
        counter.refused += 1
        return Denial(code, message)

    def _halt_message(self, halt: Halt) -> str:
        venues = [account.venue for account, _ in self._states.halts()]
        how = f": {self.how_cleared(venues)}" if self._states.is_kept else ""
        return f"halted: {halt.reason}; a person clears it{how}"


def _how_cleared(venues: Sequence[str]) -> str:
    """Of a gate whose run has no config file."""
    one = venues[0].lower() if len(venues) == 1 else ""
    return clear_command(f"venue {one}" if one else "all", None)
