"""Strategies behind the risk gate: the base class, and the wrapping of plain ones.

    class Mine(GuardedStrategy): ...        # or any NautilusTrader Strategy, unmodified

    strategy = guard(Mine)(config)          # what the modes do when they load a strategy
    strategy.bind(gate, run_state)

Every method that creates or changes an order goes through `RiskGate`; the callbacks are wrapped so
that an exception in one ends the run instead of being logged and forgotten; an order that came into
being past the gate is noticed and ends the run too. See docs/risk.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import get_ident
from typing import Any, ClassVar

import msgspec
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderBookDeltas,
    OrderBookDepth,
    OrderSide,
    OrderStatus,
    PositionSide,
    Price,
    Quantity,
    QuoteTick,
    TimeInForce,
    TradeTick,
    TriggerType,
)
from nautilus_trader.trading import Strategy

from engine.brackets.strategy import BracketMixin
from engine.guard.callbacks import DATA_CALLBACKS, STOPPING, callbacks_of, wrapped_callbacks
from engine.guard.feeds import FeedMixin, Feeds
from engine.guard.handed import chosen_condition, require_marketable, require_order
from engine.guard.handover import HandOverMixin
from engine.guard.order_ids import SeededFactory
from engine.guard.overrides import own_classes, refuse_overrides
from engine.guard.run_state import DenialRecord, RunState
from engine.guard.simulated import SimulatedMixin
from engine.guard.thread import bind_to_thread
from engine.guard.ticks import WatchMixin
from engine.guard.wants import Wants
from engine.orders.model import Kind, Role, TriggerCondition, with_role
from engine.orders.trigger import kind_for
from engine.risk.checks import Denial
from engine.risk.facts import OrderFacts
from engine.risk.gate import Change, RiskGate, live_order
from engine.risk.view import NautilusView, order_facts, side_of

# How long the end of the run waits for an order that is on its way into the engine.
STOP_GRACE_NS = 2_000_000_000
# Names the mixin adds that a plain strategy may use for something else: its own stay in force.
_ADDED = (
    *("stop_limit", "bracket", "cancel_bracket", "open_brackets"),
    *("round_price", "round_quantity", "on_gate_denied"),
    *("own_orders", "own_position", "declared", "on_recovered"),
)


# Events whose receipt begins the time from tick to order
TICKS = (OrderBookDeltas, OrderBookDepth, QuoteTick, TradeTick)


class GuardMixin(FeedMixin, WatchMixin, BracketMixin, HandOverMixin, SimulatedMixin):
    """The guarding half of a strategy; stands before NautilusTrader's `Strategy` in the MRO."""

    _guard_gate: RiskGate | None = None
    _guard_event: Any = None  # the event of the callback that runs
    _guard_view: NautilusView | None = None
    _guard_id: str = ""
    _guard_thread: int | None = None  # whose callbacks run in
    _guard_pending: str | None = None  # why the run must stop as soon as it is possible
    _guard_stopped = False  # silenced: the strategy's code sees no more events
    _guard_ended = False  # the end of the run was asked for
    _guard_final: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.get("_guard_final", False):
            refuse_overrides(cls, own_classes(cls, GuardMixin))

    def bind(self: Any, gate: RiskGate, run_state: RunState, feeds: Feeds = "book") -> None:
        """Put this strategy behind `gate`. Call once, before the run.

        `feeds` is what the gate subscribes to for instruments that the strategy itself does not:
        the managed book, quotes, or nothing. Raises TypeError when the class did not pass `guard`.
        """
        if not type(self)._guard_final:
            raise TypeError(
                f"{type(self).__name__} is not wrapped; build it with guard({type(self).__name__})"
            )
        self._guard_gate = gate
        self._guard_run = run_state
        self._guard_feeds = feeds
        self._guard_place = run_state.turns.place()
        self._guard_id = str(self.strategy_id)
        self._guard_thread = get_ident()
        self._guard_wants = Wants(self._guard_id, run_state)
        self._guard_wanted = {"on_book_deltas": set(), "on_quote": set(), "on_trade": set()}
        self._guard_topics = {}

    # The user's side of the gate

    @property
    def order_factory(self) -> Any:
        """NautilusTrader's; in a backtest its ids are the same in every run."""
        native = super().order_factory  # type: ignore[misc]
        make = None if self._guard_gate is None else self._guard_run.order_ids
        return native if make is None else SeededFactory(native, lambda: make(self._guard_id))

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        """Called when the gate refused `order` (for a modify: the order as it is). To override."""

    def stop_limit(
        self: Any,
        instrument_id: InstrumentId,
        side: OrderSide,
        quantity: Quantity,
        trigger: Price,
        limit: Price,
        trigger_condition: TriggerCondition | str | None = None,
        role: Role = Role.NONE,
        **kwargs: Any,
    ) -> Any | None:
        """Submit an order that waits until the last trade is at `trigger`, then is a limit order.

        `trigger_condition` is "gte" or "lte" (the last price at or above, at or below the
        trigger); None is a plain stop: BUY gte, SELL lte. `role` is what the order is for; `kwargs`
        go to the order factory (`time_in_force`, `reduce_only`, ...). Returns the order, or None
        when the gate refused it. Trades of the instrument are subscribed, since without them the
        simulated trigger would never fire. Raises ValueError for another condition, and for a limit
        that could not trade at the trigger: BUY lte needs limit >= trigger, SELL gte the reverse.
        """
        plain = side_of(side)
        condition = chosen_condition(plain, trigger_condition)
        kind = kind_for(plain, condition)
        if kind is Kind.LIMIT_IF_TOUCHED:
            require_marketable(plain, trigger, limit)
            build = self.order_factory.limit_if_touched
        else:
            build = self.order_factory.stop_limit
        self._guard_need_trades(instrument_id)
        order = build(
            instrument_id,
            side,
            quantity,
            limit,
            trigger,
            trigger_type=TriggerType.LAST_PRICE,
            tags=with_role(kwargs.pop("tags", None), role),
            **kwargs,
        )
        return order if self._guard_submit(order) else None

    # Order-creating methods: NautilusTrader's own, behind the gate

    def submit_order(
        self: Any,
        order: Any,
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.submit_order`, if the gate approves; else `on_gate_denied`."""
        self._guard_submit(order, position_id, client_id, params)

    def submit_order_list(
        self: Any,
        order_list: Iterable[Any],
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.submit_order_list`, if the gate approves every order; else none is created."""
        orders = list(order_list)
        approved: list[Any] = []
        for order in orders:
            if not self._guard_approve(order):
                self._guard_refuse_rest(orders, approved, order)
                return
            approved.append(order)
        sent = self._guard_outgoing(orders)
        self._guard_call(
            orders, self._guard_native.submit_order_list, sent, position_id, client_id, params
        )

    def modify_order(
        self: Any,
        client_order_id: ClientOrderId,
        quantity: Quantity | None = None,
        price: Price | None = None,
        trigger_price: Price | None = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.modify_order`, if the gate approves what the order would become."""
        if self._guard_approve_modify(client_order_id, quantity, price, trigger_price):
            self._guard_call(
                (),
                self._guard_native.modify_order,
                client_order_id,
                quantity,
                price,
                trigger_price,
                client_id,
                params,
            )

    def modify_orders(
        self: Any,
        updates: Sequence[tuple[ClientOrderId, Quantity | None, Price | None, Price | None]] = (),
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.modify_orders` with those updates that the gate approves."""
        passed = [update for update in updates if self._guard_approve_modify(*update)]
        if passed:
            self._guard_call((), self._guard_native.modify_orders, passed, client_id, params)

    def close_position(
        self: Any,
        position: Any,
        client_id: Any = None,
        tags: Sequence[str] | None = None,
        time_in_force: TimeInForce | None = None,
        reduce_only: bool | None = None,
        quote_quantity: bool | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Close `position` with a market order (reduce-only unless told otherwise).

        Own exits that rest for it are cancelled first.
        """
        if position.is_closed or self._guard_exits_first(position):
            return
        side = OrderSide.SELL if position.side == PositionSide.LONG else OrderSide.BUY
        order = self.order_factory.market(
            position.instrument_id,
            side,
            self._guard_exit_quantity(position) or position.quantity,
            time_in_force=time_in_force or TimeInForce.GTC,
            reduce_only=True if reduce_only is None else reduce_only,
            quote_quantity=bool(quote_quantity),
            tags=with_role(tags, Role.EXIT),
        )
        self.submit_order(order, position.id, client_id, params)

    def close_all_positions(
        self: Any,
        instrument_id: InstrumentId,
        position_side: PositionSide | None = None,
        client_id: Any = None,
        tags: Sequence[str] | None = None,
        time_in_force: TimeInForce | None = None,
        reduce_only: bool | None = None,
        quote_quantity: bool | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Close this strategy's positions of an instrument, each with a market order."""
        positions = self.cache.positions_open(
            instrument_id=instrument_id, strategy_id=self.strategy_id
        )
        for position in positions:
            if position_side is None or position.side == position_side:
                self.close_position(
                    position,
                    client_id,
                    tags,
                    time_in_force,
                    reduce_only,
                    quote_quantity,
                    params,
                )

    def market_exit(self: Any) -> None:
        """Cancel this strategy's orders and close its positions."""
        self.on_market_exit()
        mine = {"strategy_id": self.strategy_id}
        instruments = self._guard_instruments_with_orders()
        instruments |= {p.instrument_id for p in self.cache.positions_open(**mine)}
        for instrument_id in sorted(instruments, key=str):
            self.cancel_all_orders(instrument_id)
            self._guard_leave(instrument_id)
        self.post_market_exit()

    # Machinery

    def _guard_start(self: Any) -> None:
        """First part of on_start: the view, and the orders that exist already."""
        gate = self._guard_gate
        self._guard_id = str(self.strategy_id)
        self._guard_view = NautilusView(self, gate)
        self._guard_watch()
        cache = self.cache
        for find in (cache.orders_open, cache.orders_inflight):
            for order in find(strategy_id=self.strategy_id):
                gate.adopt(live_order(order_facts(order), order.filled_qty.as_decimal()))
        self._guard_start_brackets()
        HandOverMixin._guard_take_back(self)
        if isinstance(self, GuardedStrategy):
            self._guard_hand_over()

    def _guard_submit(
        self: Any,
        order: Any,
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> bool:
        if not self._guard_approve(order):
            return False
        (sent,) = self._guard_outgoing((order,))
        self._guard_call(
            (order,), self._guard_native.submit_order, sent, position_id, client_id, params
        )
        return True

    def _guard_call(self: Any, orders: Iterable[Any], native: Any, *args: Any) -> None:
        """Call NautilusTrader; take the approvals of `orders` back if it refuses by raising."""
        if (arrivals := self._guard_run.arrivals) is not None:
            arrivals.command()
        try:
            native(self, *args)
        except BaseException:
            for order in orders:
                self._guard_gate.withdraw(str(order.client_order_id))
            raise
        if self._guard_pending is not None:
            self._guard_act()

    def _guard_approve(self: Any, order: Any) -> bool:
        gate, view = self._guard_ready()
        facts = order_facts(require_order(order))
        denial = gate.check(facts, view)
        if denial is not None:
            self._guard_deny(order, facts, denial)
            return False
        gate.approve(facts, view.now_ns())
        self._guard_run.note_market(facts.client_order_id, self.cache, order.instrument_id)
        ticks = self._guard_run.ticks
        if ticks is not None and isinstance(self._guard_event, TICKS):
            ticks[facts.client_order_id] = self._guard_event.ts_init
        return True

    def _guard_refuse_rest(self: Any, orders: list[Any], approved: list[Any], bad: Any) -> None:
        """One order of a list was refused: the others are not created either."""
        gate, _ = self._guard_ready()
        for order in approved:
            gate.withdraw(str(order.client_order_id))
        for order in orders:
            if order is not bad:
                denial = gate.refuse(
                    "LIST_DENIED",
                    f"order {bad.client_order_id} of the same list was refused",
                    str(order.instrument_id),
                )
                self._guard_deny(order, order_facts(order), denial)

    def _guard_approve_modify(
        self: Any,
        client_order_id: ClientOrderId,
        quantity: Quantity | None = None,
        price: Price | None = None,
        trigger_price: Price | None = None,
    ) -> bool:
        gate, view = self._guard_ready()
        order = self.cache.order(client_order_id)
        if order is None or order.is_closed:
            state = "unknown" if order is None else order.status.name
            denial = gate.refuse(
                "ORDER_NOT_OPEN",
                f"expected an open order, {client_order_id} is {state}",
                "" if order is None else str(order.instrument_id),
            )
            self._guard_note(order, str(client_order_id), "", denial)
            return False
        before = order_facts(order)
        existing = view.pending(before.client_order_id) or live_order(
            before, order.filled_qty.as_decimal()
        )
        change: Change = (
            None if quantity is None else quantity.as_decimal(),
            None if price is None else price.as_decimal(),
            None if trigger_price is None else trigger_price.as_decimal(),
        )
        after = msgspec.structs.replace(
            before,
            quantity=before.quantity if change[0] is None else change[0],
            price=before.price if change[1] is None else change[1],
            trigger_price=before.trigger_price if change[2] is None else change[2],
            existing=existing,
            role=existing.role,  # an order that outlived a restart has lost its tags
        )
        denial = gate.check(after, view)
        if denial is not None:
            self._guard_deny(order, after, denial)
            return False
        gate.approve_modify(after, change, view.now_ns())
        return True

    def _guard_ready(self) -> tuple[RiskGate, NautilusView]:
        if self._guard_gate is None or self._guard_view is None:
            raise RuntimeError(
                "an order was created before on_start, or the strategy is not bound to a gate; "
                "create orders from on_start on"
            )
        return self._guard_gate, self._guard_view

    def _guard_deny(self, order: Any, facts: OrderFacts, denial: Denial) -> None:
        self._guard_note(order, facts.client_order_id, facts.instrument, denial)

    def _guard_note(self: Any, order: Any, order_id: str, instrument: str, denial: Denial) -> None:
        record = DenialRecord(
            strategy=self._guard_id,
            client_order_id=order_id,
            instrument=instrument,
            denial=denial,
            ts_ns=self._guard_view.now_ns(),
            order=order,
        )
        count = self._guard_run.add_denial(record)
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th ... of a code: no flood of lines
            self.log.warning(f"gate refused {order_id} ({count} of this code): {denial}")
        self.on_gate_denied(order, denial)

    def _guard_safe(self, name: str, handler: Any) -> Any:
        """`handler` with its exceptions ending the run, for callbacks given to NautilusTrader."""
        if handler is None:
            return None

        def safe(event: Any) -> None:
            try:
                if self._guard_pending is None:
                    handler(event)
                else:
                    self._guard_act()
            except BaseException as error:
                self._guard_fault(name, error)

        return safe

    def _guard_fault(self: Any, callback: str, error: BaseException) -> None:
        """An exception escaped `callback`: stop the strategy and then the run.

        KeyboardInterrupt (NautilusTrader would log it and go on) is an ordered stop, no fault.
        """
        run = self._guard_run
        if isinstance(error, KeyboardInterrupt):
            run.interrupted = True
            reason = "interrupted"
        else:
            fault = run.add_fault(self._guard_id, callback, error)
            reason = f"{self._guard_id} raised {fault.error} in {callback}: {fault.message[:200]}"
            self._guard_gate.fault(self._guard_id, reason)
        self._guard_pending = self._guard_pending or reason
        self._guard_divert()
        self._guard_act()

    def _guard_breach(self: Any, order_id: str, what: str) -> None:
        """Note an order that passed no gate. Called where only plain attributes may be touched."""
        self._guard_run.add_breach(self._guard_id, order_id, what)
        reason = f"{self._guard_id}: {what} {order_id} was not approved by the gate"
        self._guard_gate.fault(self._guard_id, reason)
        self._guard_pending = self._guard_pending or reason
        self._guard_divert()

    def _guard_divert(self: Any) -> None:
        """Let the next event of any kind end the run, at no cost to the callbacks before."""
        if self._guard_stopped:
            return
        self._guard_run.turns.leave_all(self)

        def stop_now(event: Any) -> None:
            self._guard_act()

        for name in DATA_CALLBACKS:
            setattr(self, name, stop_now)
        for name in STOPPING - self._guard_user_callbacks:
            setattr(self, name, type(self)._guard_silent[name].__get__(self))

    def _guard_act(self: Any) -> None:
        """Silence the strategy, cancel its orders and ask the run to stop; once.

        Inside a native call the strategy is borrowed and nothing can be done: `_guard_pending`
        stays set, and the next callback or the end of that call comes here again.
        """
        if self._guard_stopped or self._guard_pending is None:
            return
        run = self._guard_run
        run.stop_reason = run.stop_reason or self._guard_pending
        try:
            instruments = self._guard_instruments_with_orders()
        except RuntimeError as error:
            if "borrowed" in str(error):
                return
            raise
        self._guard_stopped = True
        self._guard_silence()
        self.log.warning(f"the run stops: {self._guard_pending}")
        for fault in run.faults[:1]:
            self.log.warning(fault.traceback)  # to the log's file; the screen has it already
        try:
            for instrument_id in sorted(instruments, key=str):
                self.cancel_all_orders(instrument_id)
            self._guard_give_up_at(self._guard_native.clock.__get__(self))
        finally:
            self._guard_wind_down()

    def _guard_give_up_at(self: Any, clock: Any) -> None:
        """Ask for the end of the run at the latest after STOP_GRACE_NS."""
        if self._guard_unsent():
            at_ns = clock.timestamp_ns() + STOP_GRACE_NS
            reason = self._guard_pending
            clock.set_time_alert_ns(
                f"guard-stop-{self._guard_id}", at_ns, lambda _: self.shutdown_system(reason)
            )

    def _guard_wind_down(self: Any, order_id: ClientOrderId | None = None) -> None:
        """Ask for the end of the run when every order of the strategy can be cancelled.

        An order created just before the fault is INITIALIZED and can't be cancelled yet: its next
        event (`order_id`) brings the cancel, and the end.
        """
        if self._guard_ended:
            return
        if order_id is not None:
            order = self.cache.order(order_id)
            if order is not None and not order.is_closed and not order.is_pending_cancel:
                self.cancel_order(order_id)
        if not self._guard_unsent():
            self._guard_ended = True
            self.shutdown_system(self._guard_pending)

    def _guard_unsent(self: Any) -> bool:
        """Whether some order of this strategy was handed over and has had no event yet."""
        live = self._guard_gate.ledger.live.values()
        for order_id in [o.client_order_id for o in live if o.strategy == self._guard_id]:
            order = self.cache.order(ClientOrderId(order_id))
            if order is not None and order.status == OrderStatus.INITIALIZED:
                return True
        return False

    def _guard_silence(self: Any) -> None:
        """Let no market data or order event reach the strategy's code any more."""
        bookkeeping = type(self)._guard_silent
        for name in self._guard_user_callbacks:
            silent = bookkeeping.get(name)
            if silent is not None:
                setattr(self, name, silent.__get__(self))

    def _guard_instruments_with_orders(self: Any) -> set[InstrumentId]:
        cache, mine = self.cache, {"strategy_id": self.strategy_id}
        orders = [*cache.orders_open(**mine), *cache.orders_inflight(**mine)]
        return {order.instrument_id for order in orders}


class GuardedStrategy(GuardMixin, Strategy):  # type: ignore[misc]
    """Base class of strategies written for this engine.

    Write it like a NautilusTrader `Strategy`. Orders that the gate refuses come to
    `on_gate_denied`; `stop_limit` builds stops of both trigger conditions; what outlived a restart
    comes to `on_recovered`. The seven order-creating methods can't be overridden (TypeError).
    """


def guard[S: Strategy](cls: type[S]) -> type[S]:
    """A subclass of `cls` that is behind the gate; its name and module are those of `cls`.

    `cls` is any NautilusTrader Strategy class. Raises TypeError for anything else, and for a class
    that overrides an order-creating method, since its orders could pass the gate unseen.
    """
    if not (isinstance(cls, type) and issubclass(cls, Strategy)):
        raise TypeError(f"expected a NautilusTrader Strategy class, {cls!r} came")
    if getattr(cls, "_guard_final", False):
        return cls
    own = own_classes(cls, GuardMixin)
    refuse_overrides(cls, own)
    used = callbacks_of(own)
    callbacks, silent = wrapped_callbacks(cls, used)
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "_guard_final": True,
        "_guard_user_callbacks": used,
        "_guard_silent": silent,
        **callbacks,
    }
    for name in _ADDED:
        if any(name in base.__dict__ for base in own):
            namespace[name] = getattr(cls, name)
    bases = (cls,) if issubclass(cls, GuardMixin) else (GuardMixin, cls)
    return bind_to_thread(type(cls.__name__, bases, namespace), own, _ADDED)
