"""Brackets for strategies: `self.bracket(...)`, the same live, on paper and in a backtest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from nautilus_trader.common import Clock
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    TriggerType,
)

from fairlead.engine.brackets.keeper import LOOK_NS, Brackets, JournalStore, MemoryStore
from fairlead.engine.brackets.steps import Bracket, Leg, Place
from fairlead.engine.brackets.view import BracketView, Cover
from fairlead.engine.brackets.whole import parts_of, with_exits
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import ENTRY_TAG, Kind, Role, Side, with_role
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import NautilusView, order_facts, side_of

logger = logging.getLogger(__name__)

STOP_SLACK = Decimal("0.01")  # of the stop: how far beyond it the default stop_limit lies
FEE_ROOM = Decimal("0.005")  # of the quantity: what a fee in base currency may take of it
TAKEN = "its stop was cancelled with the run's other orders (on_stop)"
KEPT_HERE = "the venue keeps no stops, and a run only watches its own"
_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}


class Guarding(Protocol):
    """What brackets need of the guard of their strategy."""

    strategy: Any  # NautilusTrader's Strategy
    gate: RiskGate
    run: Any  # `arrivals`: what a simulated exchange is told; `closes_bare`, see the keeper
    id: str
    journals: Mapping[str, Journal]
    view: NautilusView | None

    def ready(self) -> NautilusView: ...
    def clock(self) -> Clock: ...
    def cancel(self, order: Any, *, sent_only: bool = False) -> None: ...
    def drop(self, client_order_id: str) -> bool:
        """Whether it was an order that waits, not sent yet, and now never is."""

    def submit(self, order: Any) -> bool: ...
    def submit_list(self, orders: Sequence[Any]) -> bool: ...
    def safe(self, name: str, handler: Callable[[Any], object]) -> Callable[[Any], None]: ...
    def need_trigger(self, instrument_id: InstrumentId, kind: str) -> Any: ...
    def is_leaving(self, instrument_id: InstrumentId) -> bool:
        """Whether a market exit waits for the end of other orders."""

    def round_price(
        self, instrument_id: InstrumentId, side: OrderSide, price: Decimal
    ) -> Price: ...

    @property
    def is_silent(self) -> bool:
        """Whether the strategy was stopped for a fault."""


class StrategyBrackets:
    """An entry with a stop and a target, of which one is at the venue at a time."""

    def __init__(self, guard: Guarding) -> None:
        self._guard = guard
        self._owner: _Owner | None = None
        self.keeper: Brackets | None = None  # while the strategy runs
        self._left: tuple[Bracket, ...] | None = None  # once it is stopped
        self._stood: Mapping[tuple[str, Side], Cover] = {}  # when the stop of the run began
        self._clock: Clock | None = None  # with the timer of its looks; a stop lends the strategy
        self._look_waits = False
        self._given_up: set[str] = set()  # orders of cancelled brackets, on their way then

    def create(
        self,
        instrument_id: InstrumentId,
        side: OrderSide,
        quantity: Quantity,
        stop: Price,
        targets: Sequence[Price],
        entry: Price | None,
        stop_limit: Price | None,
        options: dict[str, Any],
    ) -> Any | None:
        """See `GuardedStrategy.bracket`."""
        guard, strategy = self._guard, self._guard.strategy
        if self._left is not None:  # as by a timer that still runs
            logger.warning("no bracket in %s: %s was stopped", instrument_id, guard.id)
            return None
        keeper = self.keeper
        if guard.view is None or keeper is None:
            raise RuntimeError("a bracket was created before on_start; create it from on_start on")
        plain = side_of(side)
        if stop_limit is None:
            away = 1 - STOP_SLACK if plain is Side.BUY else 1 + STOP_SLACK
            leaving = OrderSide.SELL if plain is Side.BUY else OrderSide.BUY
            stop_limit = guard.round_price(instrument_id, leaving, stop.as_decimal() * away)
        options["tags"] = with_role(options.get("tags"), Role.ENTRY)
        factory = strategy.order_factory
        if entry is None:
            order = factory.market(instrument_id, side, quantity, **options)
        else:
            order = factory.limit(instrument_id, side, quantity, entry, **options)
        is_whole = self._is_whole(instrument_id, len(targets))
        watched = self._watched(instrument_id)
        wanted = Bracket(
            entry=str(order.client_order_id),
            strategy=guard.id,
            instrument=str(instrument_id),
            side=plain,
            quantity=quantity.as_decimal(),
            stop=stop.as_decimal(),
            stop_limit=stop_limit.as_decimal(),
            target=targets[0].as_decimal(),
            targets=tuple(price.as_decimal() for price in targets) if is_whole else (),
        )
        if is_whole:
            wanted = wanted.with_exits()
        guard.view.now_ns()
        self._require_exit(wanted, None if entry is None else entry.as_decimal())
        keeper.add(wanted)
        if not self._sent(order, wanted, watched):
            keeper.drop(wanted.entry)
            return None
        self._watch()
        return order

    def _is_whole(self, instrument_id: InstrumentId, targets: int) -> bool:
        """Whether the venue takes it in one call. Raises ValueError for targets beyond it."""
        assert self._owner is not None
        most = self._owner.targets_most(str(instrument_id))
        if not 0 < targets <= max(most, 1):
            has = f"takes 1 to {most} targets" if most else "has one exit at a time: one target"
            raise ValueError(f"bracket in {instrument_id}: {targets} targets came, the venue {has}")
        return most > 0

    def _watched(self, instrument_id: InstrumentId) -> Any:
        """What fires its stop, which then comes: of a stop at the venue nobody else need know."""
        assert self._owner is not None
        if self._guard.journals and self._owner.targets_most(str(instrument_id)):
            return TriggerType.LAST_PRICE
        return self._guard.need_trigger(instrument_id, Kind.STOP_LIMIT)

    def _sent(self, entry: Any, bracket: Bracket, trigger_type: Any) -> bool:
        guard = self._guard
        if not bracket.is_whole:
            return guard.submit(entry)
        strategy = guard.strategy
        instrument = strategy.cache.instrument(entry.instrument_id)
        orders = with_exits(strategy.order_factory, entry, bracket, instrument, trigger_type)
        return guard.submit_list(orders)

    def open(self) -> tuple[Bracket, ...]:
        """Every bracket that may still hold something, oldest first."""
        return (self._left or ()) if self.keeper is None else tuple(self.keeper)

    def stopping(self) -> None:
        """The stop of the run begins, and has taken nothing away yet."""
        if self._owner is None:
            return
        try:
            self._stood = self._owner.covers(self.open())
        except JournalError:
            self._stood = {}  # which its account tells: then nothing is known to have stood

    def bare(self, *, cancels: bool) -> dict[str, str]:
        """Instruments in which brackets hold what no exit stands for, with why that was to be
        expected, or "". Once the run has ended; raises JournalError.

        `cancels` is whether its stop takes orders away: what stood when that began, for as much as
        is held now, is gone by the config's own word.
        """
        owner = self._owner
        if owner is None:
            return {}
        found: dict[str, str] = {}
        for (name, side), cover in owner.covers(self.open()).items():
            grid = owner.grid(name)
            held = cover.held if grid is None else grid.down(cover.held)  # a fee leaves a rest
            without = held - cover.live
            if without <= 0 or (grid is not None and not grid.allows(without, cover.price)):
                continue
            before = self._stood.get((name, side))
            took = cancels and (grid is None or grid.has_cancels)
            if not owner.keeps_stops(name):
                found.setdefault(name, KEPT_HERE)
            elif took and before is not None and held <= before.standing:
                found.setdefault(name, TAKEN)
            else:
                found[name] = ""
        return found

    def cancel(self, entry: ClientOrderId) -> None:
        """See `GuardedStrategy.cancel_bracket`."""
        known = {one.entry: one for one in self.open()}
        if (bracket := known.get(str(entry))) is None:
            raise KeyError(
                f"entry: expected the client_order_id of an open bracket's entry "
                f"({', '.join(known) or 'none is open'}), {entry} came; self.open_brackets() has "
                "them"
            )
        if self.keeper is None or self._owner is None:
            logger.warning("bracket %s stays as it is: %s was stopped", entry, self._guard.id)
            return
        self.keeper.drop(bracket.entry)
        names = (bracket.entry, *bracket.exits)
        self._owner.cancel(bracket.instrument, names)
        self._given_up.update(name for name in names if not self._owner.is_over(name))
        self._watch()

    def over(self, instrument: str, but: str) -> None:
        """What brackets held there is sold, and each order of theirs has ended: none but this one
        has a claim on what comes."""
        if (keeper := self.keeper) is None:
            return
        for one in keeper:
            if one.instrument == instrument and one.entry != but:
                keeper.drop(one.entry)

    def _end_given_up(self) -> None:
        """Cancel once more what was on its way: before its first event nothing is, and an exchange
        that has not got an order yet refuses it."""
        assert self._owner is not None
        for name in tuple(self._given_up):
            if not self._owner.is_under_way(name):
                self._owner.cancel("", (name,))
                self._given_up.discard(name)

    def _require_exit(self, bracket: Bracket, entry: Decimal | None) -> None:
        assert self._owner is not None
        problem = bracket.problem(entry)
        grid = self._owner.grid(bracket.instrument)
        if problem is None and grid is not None:
            least = grid.down(bracket.quantity * (1 - FEE_ROOM))
            if bracket.is_whole:
                least = min(parts_of(bracket.quantity, len(bracket.targets), grid.step))
            if not grid.allows(least, min(bracket.stop_limit, bracket.target)):
                part = f"a target's part, {least}" if bracket.is_whole else f"{least}"
                problem = (
                    f"{part} of {bracket.quantity} after a fee is too small for an exit: expected "
                    f"at least {grid.min_quantity}, worth {grid.min_notional}; raise the quantity"
                )
        problem = problem or self._too_large(bracket)
        if problem is not None:
            raise ValueError(f"bracket in {bracket.instrument}: {problem}")

    def _too_large(self, bracket: Bracket) -> str | None:
        """Whether the gate would refuse its way out for its size."""
        facts = self._guard.ready().instrument(bracket.instrument)
        limit = self._guard.gate.limits.max_order_notional
        if facts is None or limit is None:
            return None
        most = facts.notional(bracket.quantity, max(bracket.target, bracket.stop_limit))
        if most <= limit:
            return None
        return (
            f"an exit would be worth {most:f}, expected at most max_order_notional "
            f"({limit}); lower the quantity"
        )

    def start(self) -> None:
        """Part of on_start: go on with the brackets of the last run."""
        guard = self._guard
        store = JournalStore(guard.journals) if guard.journals else MemoryStore()
        self._owner = _Owner(guard, self)
        self.keeper = Brackets(guard.id, self._owner, store)
        for name in sorted({b.instrument for b in self.keeper}):
            self._watched(InstrumentId.from_str(name))
        if len(self.keeper):
            self._watch()

    def _watch(self) -> None:
        if self._clock is None:
            self._clock = self._guard.clock()
            self._clock.set_timer_ns(
                f"guard-brackets-{self._guard.id}",
                LOOK_NS,
                callback=self._guard.safe("the timer of its brackets", self._look),
            )

    def look_soon(self) -> None:
        """After an order event. In a backtest, once for all that one moment brings.

        An entry that takes several levels has one exit then, and not one a level.
        """
        if self.keeper is None:
            return
        arrivals = self._guard.run.arrivals
        if arrivals is None:
            self._look()
        elif (len(self.keeper) or self._given_up) and not self._look_waits:
            self._look_waits = True
            look = self._guard.safe("a look at its brackets", self._look_now)
            arrivals.soon(f"brackets-{self._guard.id}", look)

    def _look_now(self, event: Any) -> None:
        self._look_waits = False
        self._look()

    def _look(self, event: Any = None) -> None:
        """Do what is next for the brackets, after an event or by the timer."""
        keeper = self.keeper
        if keeper is None or self._guard.is_silent or not (len(keeper) or self._given_up):
            self._leave()
            return
        self._guard.ready().now_ns()
        try:
            self._end_given_up()
            keeper.look()
        except RuntimeError as error:
            if "borrowed" not in str(error):  # inside a native call: the timer looks again
                raise

    def _leave(self) -> None:
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.cancel_timer(f"guard-brackets-{self._guard.id}")

    def end(self) -> None:
        """The strategy is stopped: what is open stays as it is, for the next start."""
        self._left = self.open()
        self.keeper = None
        self._leave()


class _Owner(BracketView):
    """Implements `fairlead.engine.brackets.keeper.Owner` for a guarded strategy."""

    def __init__(self, guard: Guarding, brackets: StrategyBrackets) -> None:
        super().__init__(guard.id, guard.gate, guard.ready(), guard.journals)
        self._guard = guard
        self._brackets = brackets
        self._cache = guard.strategy.cache

    def approved_leg(self, client_order_id: str, base: str) -> Leg | None:
        """As NautilusTrader has it; a refused one is over here, and in no journal."""
        order = self._cache.order(ClientOrderId(client_order_id))
        if order is None:
            return super().approved_leg(client_order_id, base)
        return _cached(order, base)

    def closes_bare(self) -> bool:
        return bool(self._guard.run.closes_bare)

    def leaving(self, instrument: str, side: Side, exits: frozenset[str]) -> Decimal:
        """All of it while a market exit waits for the end of other orders: brackets make way."""
        if self._guard.is_leaving(InstrumentId.from_str(instrument)):
            return Decimal("Infinity")
        return super().leaving(instrument, side, exits)

    def place(self, bracket: Bracket, client_order_id: str, exit_: Place) -> bool:
        instrument_id = InstrumentId.from_str(bracket.instrument)
        known = self._cache.instrument(instrument_id)
        quantity = Quantity.from_str(f"{exit_.quantity:.{known.size_precision}f}")
        sized = (instrument_id, _SIDES[bracket.exit_side], quantity)
        role = Role.EXIT if exit_.price is None else Role.STOP
        if exit_.price == bracket.target:
            role = Role.TARGET
        named = {
            "reduce_only": True,
            "client_order_id": ClientOrderId(client_order_id),
            "tags": [role.tag, f"{ENTRY_TAG}{bracket.entry}"],
        }
        factory = self._guard.strategy.order_factory
        if exit_.price is None:
            return self._guard.submit(factory.market(*sized, **named))
        plain = (*sized, _priced(exit_.price, known))
        if exit_.trigger is None:
            order = factory.limit(*plain, **named)
        else:
            trigger = _priced(exit_.trigger, known)
            watched = self._guard.need_trigger(instrument_id, Kind.STOP_LIMIT)
            order = factory.stop_limit(*plain, trigger, trigger_type=watched, **named)
        return self._guard.submit(order)

    def is_over(self, client_order_id: str) -> bool:
        order = self._cache.order(ClientOrderId(client_order_id))
        return order is None or order.is_closed

    def is_under_way(self, client_order_id: str) -> bool:
        """Whether it, or what was last asked of it, is not answered."""
        order = self._cache.order(ClientOrderId(client_order_id))
        return order is not None and (order.is_inflight or order.is_active_local)

    def cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None:
        """One that is not sent yet is cancelled at the next look."""
        for name in client_order_ids:
            if not self._guard.drop(name):
                self._guard.cancel(self._cache.order(ClientOrderId(name)), sent_only=True)


def _priced(price: Decimal, instrument: Any) -> Price:
    return Price.from_str(f"{price:.{instrument.price_precision}f}")


def _cached(order: Any, base: str) -> Leg:
    facts = order_facts(order)
    # NautilusTrader's stops keep none; an entry is never one.
    paid: dict[Any, Any] = getattr(order, "commissions", dict)()
    fees = [fee.as_decimal() for fee in paid.values() if fee.currency.code == base]
    return Leg(
        client_order_id=facts.client_order_id,
        kind=facts.kind,
        quantity=facts.quantity,
        filled=order.filled_qty.as_decimal(),
        price=facts.price,
        base_fee=sum(fees, Decimal(0)),
        is_standing=order.is_open,
        is_over=order.is_closed,
        is_refused=order.status.name in ("REJECTED", "DENIED"),
    )
