"""Strategies behind the risk gate: the base class, and the wrapping of plain ones.

    class Mine(GuardedStrategy): ...        # or any NautilusTrader Strategy, unmodified

    strategy = guard(Mine)(config)          # what the modes do when they load a strategy
    strategy.bind(gate, run_state)

Every method that creates or changes an order goes through `RiskGate`; the callbacks are wrapped so
that an exception in one ends the run instead of being logged and forgotten; an order that came into
being past the gate is noticed and ends the run too. See docs/risk.md.

What is behind these methods is the strategy's `Guard` (engine/guard/guard.py): here is only what a
strategy calls, NautilusTrader's own names first of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
    TimeInForce,
    TrailingOffsetType,
)
from nautilus_trader.trading import Strategy

from fairlead.engine.brackets.steps import Bracket
from fairlead.engine.guard import rounding
from fairlead.engine.guard.assigned import sealed, undo
from fairlead.engine.guard.callbacks import callbacks_of, wrapped_callbacks
from fairlead.engine.guard.exits import closing
from fairlead.engine.guard.feeds import FeedKind
from fairlead.engine.guard.guard import Guard
from fairlead.engine.guard.handed import (
    chosen_condition,
    exact,
    require,
    require_given,
    require_ids,
    require_marketable,
    require_order,
    require_position,
    require_side,
    require_updates,
)
from fairlead.engine.guard.hooks import OwnOrder
from fairlead.engine.guard.order_ids import SeededFactory
from fairlead.engine.guard.overrides import own_classes, refuse_overrides
from fairlead.engine.guard.quotes import Then
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.sending import Update
from fairlead.engine.guard.subscriptions import Subscriptions
from fairlead.engine.guard.thread import bind_to_thread
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Kind, Role, TriggerCondition, with_role
from fairlead.engine.orders.trigger import first_fire, kind_for
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import side_of

# Names that are added and that a plain strategy may use for something else: its own stay in force.
_ADDED = (
    *("stop_limit", "bracket", "cancel_bracket", "open_brackets"),
    *("round_price", "round_quantity", "on_gate_denied"),
    *("own_orders", "own_position", "declared", "on_recovered", "flat_on_stop"),
    *("trailing_stop", "price_for", "request_quote"),
)


class GuardedStrategy(Subscriptions):
    """Base class of strategies written for this engine.

    Write it like a NautilusTrader `Strategy`. Orders that the gate refuses come to
    `on_gate_denied`; `stop_limit` builds stops of both trigger conditions; what outlived a restart
    comes to `on_recovered`. The seven order-creating methods can't be overridden (TypeError).
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.get("_guard_final", False):
            refuse_overrides(cls, own_classes(cls, GuardedStrategy))

    def bind(self, gate: RiskGate, run_state: RunState, feeds: FeedKind = "book") -> None:
        """Put this strategy behind `gate`. Call once, before the run.

        `feeds` is what the gate subscribes to for instruments that the strategy itself does not:
        the managed book, quotes, or nothing. Raises TypeError when the class did not pass `guard`,
        and for a method that was assigned on the instance.
        """
        if not type(self)._guard_final:
            raise TypeError(
                f"{type(self).__name__} is not wrapped; build it with guard({type(self).__name__})"
            )
        if (error := undo(self, {})) is not None:
            raise error
        self._guard = Guard(self, gate, run_state, feeds)

    def keep_brackets_in(self, journals: Mapping[str, Journal]) -> None:
        """Part of the building of a live run: the accounts' journals, by venue name."""
        self._guard_bound().journals = journals

    # The user's side of the gate

    @property
    def order_factory(self) -> Any:
        """NautilusTrader's; in a backtest its ids are the same in every run."""
        bound = self._guard
        make = None if bound is None else bound.run.order_ids
        if bound is None or make is None:
            return super().order_factory
        if bound.factory is None:
            strategy = bound.id
            bound.factory = SeededFactory(super().order_factory, lambda: make(strategy))
        return bound.factory

    def stop_limit(
        self,
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

        Where the engine holds it for the venue, what fires it is `[venues.NAME.held].source`.

        `trigger_condition` is "gte" or "lte" (the last price at or above, at or below the
        trigger); None is a plain stop: BUY gte, SELL lte. `role` is what the order is for; `kwargs`
        go to the order factory (`time_in_force`, `reduce_only`, ...). Returns the order, or None
        when the gate refused it. Trades of the instrument are subscribed, since without them the
        simulated trigger would never fire. Raises ValueError for another condition, and for a limit
        that could not trade at the trigger: BUY lte needs limit >= trigger, SELL gte the reverse.
        """
        require(instrument_id=instrument_id, quantity=quantity, trigger=trigger, limit=limit)
        require(role=role)
        plain = side_of(require_side(side))
        condition = chosen_condition(plain, trigger_condition)
        kind = kind_for(plain, condition)
        if kind is Kind.LIMIT_IF_TOUCHED:
            require_marketable(plain, trigger, limit)
            build = self.order_factory.limit_if_touched
        else:
            build = self.order_factory.stop_limit
        bound = self._guard_bound()
        watched = bound.need_trigger(instrument_id, kind)
        order = build(
            instrument_id,
            side,
            quantity,
            limit,
            trigger,
            trigger_type=watched,
            tags=with_role(kwargs.pop("tags", None), role),
            **kwargs,
        )
        return order if bound.submit(order) else None

    def trailing_stop(
        self,
        instrument_id: InstrumentId,
        side: OrderSide,
        quantity: Quantity,
        offset_bps: Decimal | int,
        activation: Price,
        role: Role = Role.NONE,
        **kwargs: Any,
    ) -> Any | None:
        """Submit an order that follows the market from `activation` on, and trades when it turns.

        A BUY waits until the price has come down to `activation`, follows it further down, and is a
        market order once it is `offset_bps` basis points above the lowest; a SELL the other way.
        NautilusTrader's TrailingStopMarketOrder, with the price at which it would fire first as its
        `trigger_price`. `kwargs` go to the order factory. Returns the order, or None when the gate
        refused it: a venue has it (`TRAILING_STOP_MARKET` among its kinds) or nobody does, and no
        simulated exchange, on paper or in a backtest.
        """
        require(instrument_id=instrument_id, quantity=quantity, activation=activation, role=role)
        bound, plain = self._guard_bound(), side_of(require_side(side))
        offset = exact(offset_bps)
        first = first_fire(plain, activation.as_decimal(), offset)
        order = self.order_factory.trailing_stop_market(
            instrument_id,
            side,
            quantity,
            offset,
            TrailingOffsetType.BASIS_POINTS,
            activation_price=activation,
            trigger_price=self.round_price(instrument_id, side, first),
            tags=with_role(kwargs.pop("tags", None), role),
            **kwargs,
        )
        return order if bound.submit(order) else None

    def price_for(
        self, instrument_id: InstrumentId, side: OrderSide, quantity: Quantity
    ) -> Decimal | None:
        """The limit price at which an order of this size would fill whole by the book as it stands;
        None where the book does not cover it.

        At a dealer's that is the price of the first tier that covers the quantity, which the gate's
        collar compares the order with too. Not before `on_start`. Raises ValueError for an
        instrument that is none of the run's.
        """
        require(quantity=quantity)
        side, bound = require_side(side), self._guard_bound()
        bound.handover.require_known(instrument_id)
        view = bound.view
        assert view is not None, "it is there from on_start on"
        return view.price_for(str(instrument_id), side_of(side), quantity.as_decimal())

    def request_quote(
        self, instrument_id: InstrumentId, side: OrderSide, quantity: Quantity, then: Then
    ) -> None:
        """Ask what an order of this size would be dealt at; `then` is called with a `Quoted`.

        A live run asks a venue that quotes, and calls later; elsewhere, and where that does not
        answer, it is `price_for`. None: nobody has a price for it. A quote binds nobody: an order
        at it goes through the gate as every other. Raises as `price_for` does.
        """
        require(quantity=quantity)
        side = require_side(side)
        bound = self._guard_bound()
        bound.handover.require_known(instrument_id)
        bound.quotes.ask(str(instrument_id), side_of(side), quantity.as_decimal(), then)

    def bracket(
        self,
        instrument_id: InstrumentId,
        side: OrderSide,
        quantity: Quantity,
        *,
        stop: Price,
        target: Price | Sequence[Price],
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
        `on_order_*` as others do. A venue that takes an entry with its exits in one call gets all
        of it at once, with several targets too, among which the quantity is split equally. Raises
        ValueError for prices in the wrong order, too many targets, or a quantity too
        small to leave again.
        """
        require(instrument_id=instrument_id, quantity=quantity, stop=stop)
        require_given(entry=entry, stop_limit=stop_limit)
        targets = [*target] if isinstance(target, Sequence) else [target]
        for one in targets:
            require(target=one)
        return self._guard_bound().brackets.create(
            instrument_id, require_side(side), quantity, stop, targets, entry, stop_limit, kwargs
        )

    def open_brackets(self) -> tuple[Bracket, ...]:
        """Every bracket that may still hold something, oldest first."""
        return self._guard_bound().brackets.open()

    def cancel_bracket(self, entry: ClientOrderId) -> None:
        """Cancel what is left of the entry and its exits; what is held stays, without a way out.

        Raises KeyError for an entry without an open bracket.
        """
        self._guard_bound().brackets.cancel(entry)

    def own_orders(self, instrument_id: InstrumentId | None = None) -> list[OwnOrder]:
        """This strategy's live orders now, those of unknown outcome too, oldest first.

        Raises ValueError for an instrument that is none of the run's.
        """
        handover = self._guard_bound().handover
        if instrument_id is not None:
            handover.require_known(instrument_id)
        return handover.own_orders(instrument_id)

    def own_position(self, instrument_id: InstrumentId) -> Decimal:
        """Signed base units, fees in base currency taken off.

        Raises ValueError for an instrument that is none of the run's.
        """
        handover = self._guard_bound().handover
        handover.require_known(instrument_id)
        return handover.own_position(instrument_id)

    def round_price(
        self, instrument_id: InstrumentId, side: OrderSide, price: Decimal | Price | int | str
    ) -> Price:
        """`price` on the instrument's grid, toward safety: a BUY never pays more, a SELL never
        gets less. Raises ValueError for an unknown instrument, TypeError for a float.
        """
        return rounding.round_price(self.cache, instrument_id, side, price)

    def round_quantity(
        self,
        instrument_id: InstrumentId,
        quantity: Decimal | Quantity | int | str,
        side: OrderSide | None = None,
    ) -> Quantity:
        """`quantity` on the instrument's grid, never more, whichever the side.

        May be 0, which no order can have. Raises ValueError for an unknown instrument or a
        negative quantity, TypeError for a float.
        """
        return rounding.round_quantity(self.cache, instrument_id, quantity)

    # Order-creating methods: NautilusTrader's own, behind the gate

    def submit_order(
        self,
        order: Any,
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.submit_order`, if the gate approves; else `on_gate_denied`."""
        self._guard_bound().submit(order, position_id, client_id, params)

    def submit_order_list(
        self,
        order_list: Iterable[Any],
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.submit_order_list`, if the gate approves every order; else none is created."""
        self._guard_bound().submit_list(list(order_list), position_id, client_id, params)

    def modify_order(
        self,
        client_order_id: ClientOrderId,
        quantity: Quantity | None = None,
        price: Price | None = None,
        trigger_price: Price | None = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.modify_order`, if the gate approves what the order would become."""
        bound = self._guard_bound()
        update = (client_order_id, quantity, price, trigger_price)
        if bound.sending.approve_modify(*update):
            modify = bound.native.modify_order
            changes = (client_order_id,)
            bound.sending.call((), modify, *update, client_id, params, changes=changes)

    def modify_orders(
        self,
        updates: Sequence[Update] = (),
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """`Strategy.modify_orders` with those updates that the gate approves."""
        bound, updates = self._guard_bound(), require_updates(updates)
        passed = [update for update in updates if bound.sending.approve_modify(*update)]
        if passed:
            modify = bound.native.modify_orders
            changes = [update[0] for update in passed]
            bound.sending.call((), modify, passed, client_id, params, changes=changes)

    def close_position(
        self,
        position: Any,
        client_id: Any = None,
        tags: Sequence[str] | None = None,
        time_in_force: TimeInForce | None = None,
        reduce_only: bool | None = None,
        quote_quantity: bool | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Close what this strategy holds of the position's instrument with a market order
        (reduce-only unless told otherwise).

        That is `own_position`, which after a restart is not what NautilusTrader's position says.
        Own exits that rest for it are cancelled first; what is on its way to close it stays alone.
        """
        require_position(position)
        bound = self._guard_bound()
        bound.winddown.promise(position.instrument_id)
        if not position.is_closed:
            how = closing(client_id, tags, time_in_force, reduce_only, quote_quantity, params)
            bound.exits.close(position.instrument_id, how)

    def close_all_positions(
        self,
        instrument_id: InstrumentId,
        position_side: PositionSide | None = None,
        client_id: Any = None,
        tags: Sequence[str] | None = None,
        time_in_force: TimeInForce | None = None,
        reduce_only: bool | None = None,
        quote_quantity: bool | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Close what this strategy holds of an instrument, where it is of this side; as
        `close_position`."""
        require(instrument_id=instrument_id)
        bound = self._guard_bound()
        bound.winddown.promise(instrument_id)
        how = closing(client_id, tags, time_in_force, reduce_only, quote_quantity, params)
        bound.exits.close(instrument_id, how, position_side)

    def market_exit(self) -> None:
        """Cancel this strategy's orders and close what it holds; where the venue cancels no single
        order, closing it ends them."""
        self.on_market_exit()
        bound = self._guard_bound()
        instruments = bound.instruments_with_orders().union(bound.exits.held())
        for instrument_id in sorted(instruments, key=str):
            bound.winddown.promise(instrument_id)
            if not bound.ends_with_exit(str(instrument_id)):
                bound.cancel_all_orders(instrument_id)
            bound.exits.leave(instrument_id)
        self.post_market_exit()

    # Cancels pass no gate; in a backtest each may have a latency of its own

    def cancel_order(self, client_order_id: ClientOrderId, *args: Any, **kwargs: Any) -> None:
        """`Strategy.cancel_order`; nothing, and said, for an order that the gate denied."""
        require(client_order_id=client_order_id)
        if not self._is_gone(client_order_id):
            with self._cancelling((client_order_id,), {}):
                super().cancel_order(client_order_id, *args, **kwargs)

    def cancel_orders(
        self, client_order_ids: Sequence[ClientOrderId], *args: Any, **kwargs: Any
    ) -> None:
        """`Strategy.cancel_orders` of those that the gate did not deny."""
        if listed := require_ids(client_order_ids):
            client_order_ids = [one for one in listed if not self._is_gone(one)]
            if not client_order_ids:
                return
        with self._cancelling((client_order_ids,), {}):
            super().cancel_orders(client_order_ids, *args, **kwargs)

    def query_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        """`Strategy.query_order`; nothing, and said, for an order that the gate denied."""
        name = require_order(order).client_order_id
        if self._guard is None or not self._guard.sending.denied.has(name, "query"):
            super().query_order(order, *args, **kwargs)

    def cancel_all_orders(self, *args: Any, **kwargs: Any) -> None:
        """`Strategy.cancel_all_orders`; what waits to be sent goes too."""
        given = dict(zip(("instrument_id", "order_side"), args, strict=False)) | kwargs
        if given:
            require(instrument_id=given.get("instrument_id"))
        if self._guard is not None:
            for waits in (self._guard.way, self._guard.room):
                waits.drop_all(given.get("instrument_id"), given.get("order_side"))
        with self._cancelling(args, kwargs):
            super().cancel_all_orders(*args, **kwargs)

    def _is_gone(self, client_order_id: Any) -> bool:
        """Whether the order never was, since the gate denied it, or may have left the cache, being
        over for long: NautilusTrader raises for one that is not there, and says of one that is over
        that it is."""
        bound = self._guard
        if bound is None:
            return False
        if bound.drop(client_order_id) or bound.sending.denied.has(client_order_id, "cancel"):
            return True
        if not bound.run.lets_go:
            return False
        if self.cache.order_exists(client_order_id):
            return False
        self.log.warning(f"cannot cancel {client_order_id}: not in the cache, so it is over")
        return True

    def _cancelling(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        if self._guard is None:
            return nullcontext()
        target: Any = next(iter((*args, *kwargs.values())), None)
        if isinstance(target, list | tuple):  # of several orders, the first
            target = target[0] if target else None
        return self._guard.cancelling(target)

    def stop(self) -> None:
        """`Strategy.stop`: this strategy alone hears nothing more, and the run goes on.

        Raises RuntimeError in `on_start`, before which NautilusTrader has nothing to stop.
        """
        if self._guard is not None:
            self._guard.winddown.alone()
        super().stop()

    def shutdown_system(self, reason: str | None = None) -> None:
        """Ask for the end of the run, which is an ordered stop, as after a signal."""
        bound = self._guard
        if bound is None:
            super().shutdown_system(reason)
        else:
            bound.end_run(reason)


def guard[S: Strategy](cls: type[S]) -> type[S]:
    """A subclass of `cls` that is behind the gate; its name and module are those of `cls`.

    `cls` is any NautilusTrader Strategy class. Raises TypeError for anything else, and for a class
    that overrides an order-creating method, since its orders could pass the gate unseen.
    """
    if not (isinstance(cls, type) and issubclass(cls, Strategy)):
        raise TypeError(f"expected a NautilusTrader Strategy class, {cls!r} came")
    if getattr(cls, "_guard_final", False):
        return cls
    own = own_classes(cls, GuardedStrategy)
    refuse_overrides(cls, own)
    is_plain = not issubclass(cls, GuardedStrategy)
    used = callbacks_of(own)
    callbacks, silent = wrapped_callbacks(cls, used)
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "_guard_final": True,
        "_guard_is_plain": is_plain,
        "_guard_methods": _methods(is_plain),
        "_guard_user_callbacks": used,
        "_guard_silent": silent,
        **callbacks,
    }
    for name in _ADDED:
        if any(name in base.__dict__ for base in own):
            namespace[name] = getattr(cls, name)
    bases = (GuardedStrategy, cls) if is_plain else (cls,)
    made = bind_to_thread(sealed(type(cls))(cls.__name__, bases, namespace), own, _ADDED)
    setattr(made, "_guard_is_sealed", True)  # noqa: B010 - mypy knows no attribute of a `type`
    return made


def _methods(is_plain: bool) -> frozenset[str]:
    """What a strategy calls and is called by, which no assignment may hide."""
    names = [*dir(Strategy), "bind", "keep_brackets_in"] if is_plain else dir(GuardedStrategy)
    return frozenset(name for name in names if not name.startswith("_"))
