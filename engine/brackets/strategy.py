"""Brackets for strategies: `self.bracket(...)`, the same live, on paper and in a backtest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    OrderStatus,
    Price,
    Quantity,
    TriggerType,
)

from engine.brackets.keeper import LOOK_NS, Brackets, JournalStore, MemoryStore
from engine.brackets.steps import Bracket, Leg, Place
from engine.brackets.view import BracketView
from engine.orders.journal import Journal
from engine.orders.model import ENTRY_TAG, Role, Side, with_role
from engine.risk.gate import RiskGate
from engine.risk.view import order_facts, side_of

logger = logging.getLogger(__name__)

STOP_SLACK = Decimal("0.01")  # of the stop: how far beyond it the default stop_limit lies
FEE_ROOM = Decimal("0.005")  # of the quantity: what a fee in base currency may take of it
_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}


class BracketMixin:
    """An entry with a stop and a target, of which one is at the venue at a time."""

    _guard_gate: RiskGate | None
    _guard_id: str
    _guard_brackets: Brackets | None = None
    _guard_journals: Mapping[str, Journal] = {}
    _guard_stopped: bool
    _guard_brackets_left: tuple[Bracket, ...] | None = None  # once the strategy is stopped
    _guard_bracket_timer = False
    _guard_look_waits = False

    def bracket(
        self: Any,
        instrument_id: InstrumentId,
        side: OrderSide,
        quantity: Quantity,
        *,
        stop: Price,
        target: Price,
        entry: Price | None = None,
        stop_limit: Price | None = None,
        **kwargs: Any,
    ) -> Any | None:
        """Submit an entry whose fills get a stop and a target as their way out.

        `entry` is its limit price (None: a market order), `stop` the trigger of a stop-limit exit
        with the worst price `stop_limit` (default: 1 % beyond the stop), `target` the limit price
        of the other exit; quote currency. `kwargs` go to the order factory for the entry. Returns
        the entry, or None when the gate refused it or the strategy was stopped. The stop rests at
        the venue for what is filled; the target takes its place when the market is there
        (docs/brackets.md). Each exit is an order of its own, passes the gate, and comes to
        `on_order_*` as others do. Raises ValueError for prices in the wrong order or a quantity too
        small to leave again.
        """
        view, brackets = self._guard_view, self._guard_brackets
        if self._guard_brackets_left is not None:  # as by a timer that still runs
            logger.warning("no bracket in %s: %s was stopped", instrument_id, self._guard_id)
            return None
        if view is None or brackets is None:
            raise RuntimeError("a bracket was created before on_start; create it from on_start on")
        plain = side_of(side)
        if stop_limit is None:
            away = 1 - STOP_SLACK if plain is Side.BUY else 1 + STOP_SLACK
            leaving = OrderSide.SELL if plain is Side.BUY else OrderSide.BUY
            stop_limit = self.round_price(instrument_id, leaving, stop.as_decimal() * away)
        self._guard_need_trades(instrument_id)  # the simulated exchange triggers stops by them
        kwargs["tags"] = with_role(kwargs.get("tags"), Role.ENTRY)
        if entry is None:
            order = self.order_factory.market(instrument_id, side, quantity, **kwargs)
        else:
            order = self.order_factory.limit(instrument_id, side, quantity, entry, **kwargs)
        wanted = Bracket(
            entry=str(order.client_order_id),
            strategy=self._guard_id,
            instrument=str(instrument_id),
            side=plain,
            quantity=quantity.as_decimal(),
            stop=stop.as_decimal(),
            stop_limit=stop_limit.as_decimal(),
            target=target.as_decimal(),
        )
        view.now_ns()
        self._guard_require_exit(wanted, None if entry is None else entry.as_decimal())
        brackets.add(wanted)
        if not self._guard_submit(order):
            brackets.drop(wanted.entry)
            return None
        self._guard_watch_brackets()
        return order

    def open_brackets(self) -> tuple[Bracket, ...]:
        """Every bracket that may still hold something, oldest first."""
        if self._guard_brackets is None:
            return self._guard_brackets_left or ()
        return tuple(self._guard_brackets)

    def cancel_bracket(self: Any, entry: ClientOrderId) -> None:
        """Cancel what is left of the entry and its exits; what is held stays, without a way out.

        Raises KeyError for an entry without an open bracket.
        """
        found = {bracket.entry: bracket for bracket in self.open_brackets()}
        bracket = found[str(entry)]
        self._guard_brackets.drop(bracket.entry)
        owner = _Owner(self)
        owner.cancel(bracket.instrument, (bracket.entry, *bracket.exits))

    def keep_brackets_in(self, journals: Mapping[str, Journal]) -> None:
        """Part of the building of a live run: the accounts' journals, by venue name."""
        self._guard_journals = journals

    def _guard_require_exit(self: Any, bracket: Bracket, entry: Decimal | None) -> None:
        problem = bracket.problem(entry)
        grid = _Owner(self).grid(bracket.instrument)
        if problem is None and grid is not None:
            least = grid.down(bracket.quantity * (1 - FEE_ROOM))
            if not grid.allows(least, min(bracket.stop_limit, bracket.target)):
                problem = (
                    f"{least} of {bracket.quantity} after a fee is too small for an exit: expected "
                    f"at least {grid.min_quantity}, worth {grid.min_notional}; raise the quantity"
                )
        problem = problem or self._guard_too_large(bracket)
        if problem is not None:
            raise ValueError(f"bracket in {bracket.instrument}: {problem}")

    def _guard_too_large(self: Any, bracket: Bracket) -> str | None:
        """Whether the gate would refuse its way out for its size."""
        facts = self._guard_view.instrument(bracket.instrument)
        limits = self._guard_gate.limits
        if facts is None or limits.max_order_notional is None:
            return None
        most = facts.notional(bracket.quantity, max(bracket.target, bracket.stop_limit))
        if most <= limits.max_order_notional:
            return None
        return (
            f"an exit would be worth {most:f}, expected at most max_order_notional "
            f"({limits.max_order_notional}); lower the quantity"
        )

    def _guard_start_brackets(self: Any) -> None:
        """Part of on_start: go on with the brackets of the last run."""
        journals = self._guard_journals
        store = JournalStore(journals) if journals else MemoryStore()
        self._guard_brackets = Brackets(self._guard_id, _Owner(self), store)
        for name in sorted({b.instrument for b in self._guard_brackets}):
            self._guard_need_trades(InstrumentId.from_str(name))
        if len(self._guard_brackets):
            self._guard_watch_brackets()

    def _guard_watch_brackets(self: Any) -> None:
        if not self._guard_bracket_timer:
            self._guard_bracket_timer = True
            self._guard_native.clock.__get__(self).set_timer_ns(
                f"guard-brackets-{self._guard_id}",
                LOOK_NS,
                callback=self._guard_safe("the timer of its brackets", self._guard_look),
            )

    def _guard_look_soon(self: Any) -> None:
        """After an order event. In a backtest, once for all that one moment brings.

        An entry that takes several levels has one exit then, and not one a level.
        """
        arrivals = self._guard_run.arrivals
        if arrivals is None:
            self._guard_look()
        elif len(self._guard_brackets) and not self._guard_look_waits:
            self._guard_look_waits = True
            look = self._guard_safe("a look at its brackets", self._guard_look_now)
            arrivals.soon(f"brackets-{self._guard_id}", look)

    def _guard_look_now(self: Any, event: Any) -> None:
        self._guard_look_waits = False
        self._guard_look()

    def _guard_look(self: Any, event: Any = None) -> None:
        """Do what is next for the brackets, after an event or by the timer."""
        brackets = self._guard_brackets
        if brackets is None or not len(brackets) or self._guard_stopped:
            self._guard_leave_brackets()
            return
        self._guard_view.now_ns()
        try:
            brackets.look()
        except RuntimeError as error:
            if "borrowed" not in str(error):  # inside a native call: the timer looks again
                raise

    def _guard_leave_brackets(self: Any) -> None:
        if self._guard_bracket_timer:
            self._guard_bracket_timer = False
            self._guard_native.clock.__get__(self).cancel_timer(f"guard-brackets-{self._guard_id}")

    def _guard_end_brackets(self) -> None:
        """The strategy is stopped: what is open stays as it is, for the next start."""
        self._guard_brackets_left = self.open_brackets()
        self._guard_brackets = None
        self._guard_leave_brackets()


class _Owner(BracketView):
    """Implements `engine.brackets.keeper.Owner` for a guarded strategy."""

    def __init__(self, strategy: Any) -> None:
        super().__init__(
            strategy._guard_id,
            strategy._guard_gate,
            strategy._guard_view,
            strategy._guard_journals,
        )
        self._strategy = strategy
        self._cache = strategy.cache

    def approved_leg(self, client_order_id: str, base: str) -> Leg | None:
        """As NautilusTrader has it; a refused one is over here, and in no journal."""
        order = self._cache.order(ClientOrderId(client_order_id))
        if order is None:
            return super().approved_leg(client_order_id, base)
        return _cached(order, base)

    def position(self, instrument: str) -> Decimal:
        position = super().position(instrument)
        if not self._strategy._guard_journals:  # the gate's: fees in base currency are in it
            mine = [b for b in self._strategy.open_brackets() if b.instrument == instrument]
            legs = [self.leg(b, b.entry) for b in mine if b.side is Side.BUY]
            position -= sum((leg.base_fee for leg in legs if leg is not None), Decimal(0))
        return position

    def leaving(self, instrument: str, side: Side, exits: frozenset[str]) -> Decimal:
        """All of it while a market exit waits for the end of other orders: brackets make way."""
        if InstrumentId.from_str(instrument) in self._strategy._guard_leaving:
            return Decimal("Infinity")
        return super().leaving(instrument, side, exits)

    def place(self, bracket: Bracket, client_order_id: str, exit_: Place) -> bool:
        strategy = self._strategy
        instrument_id = InstrumentId.from_str(bracket.instrument)
        known = self._cache.instrument(instrument_id)
        price = _priced(exit_.price, known)
        quantity = Quantity.from_str(f"{exit_.quantity:.{known.size_precision}f}")
        plain = (instrument_id, _SIDES[bracket.exit_side], quantity, price)
        named = {
            "reduce_only": True,
            "client_order_id": ClientOrderId(client_order_id),
            "tags": [
                (Role.TARGET if exit_.price == bracket.target else Role.STOP).tag,
                f"{ENTRY_TAG}{bracket.entry}",
            ],
        }
        factory = strategy.order_factory
        if exit_.trigger is None:
            order = factory.limit(*plain, **named)
        else:
            trigger = _priced(exit_.trigger, known)
            order = factory.stop_limit(
                *plain, trigger, trigger_type=TriggerType.LAST_PRICE, **named
            )
        sent: bool = strategy._guard_submit(order)
        return sent

    def cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None:
        for name in client_order_ids:
            order = self._cache.order(ClientOrderId(name))
            if order is None or order.is_closed or order.is_pending_cancel:
                continue
            if order.status != OrderStatus.INITIALIZED:  # else the next look cancels it
                self._strategy.cancel_order(order.client_order_id)


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
    )
