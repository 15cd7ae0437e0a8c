"""Wrapping of a strategy's callbacks: bookkeeping for the gate first, exceptions never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Protocol

from fairlead.engine.guard.callback_names import BOOKS, CALLBACKS, LIFECYCLE, MOVES, STOPPING
from fairlead.engine.guard.guard import Guard
from fairlead.engine.guard.signatures import misfit
from fairlead.engine.guard.turns import KEYS
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.risk.view import price_of, side_of

Callback = Callable[..., Any]


class Guarded(Protocol):
    """A strategy that is bound to a gate."""

    _guard: Guard


def callbacks_of(classes: Iterable[type]) -> frozenset[str]:
    """Names of the callbacks that these classes define."""
    return frozenset(name for base in classes for name in base.__dict__ if name in CALLBACKS)


def wrapped_callbacks(
    cls: type, used: frozenset[str]
) -> tuple[dict[str, Callback], dict[str, Callback]]:
    """The callbacks of the guarded class, and what stands in their place after a fault.

    Only what the strategy defines (`used`) and what the gate must see is wrapped: the rest costs
    nothing. A wrapper adds about 0.05 us.
    """
    callbacks: dict[str, Callback] = {
        "on_start": _start(getattr(cls, "on_start")),  # noqa: B009
        "on_stop": _stop(getattr(cls, "on_stop")),  # noqa: B009
    }
    silent: dict[str, Callback] = {}
    for name in used - {"on_start", "on_stop"}:
        user = getattr(cls, name)
        if name in LIFECYCLE:
            callbacks[name] = _lifecycle(name, user)
            continue
        wrap = _book if name in BOOKS else _market if name in KEYS else _guarded
        callbacks[name] = wrap(name, user)
        if name == "on_quote":
            callbacks[name] = _heard(callbacks[name])
        silent[name] = _note_book if name in BOOKS else _ignore
    callbacks.update({name: _note_book for name in BOOKS if name not in used})
    for name, book in _BOOKKEEPING.items():
        user = getattr(cls, name) if name in used else None
        if user is not None or name not in STOPPING:
            callbacks[name] = _booked(name, book, user)
        silent[name] = _booked(name, book, None)
    return callbacks, silent


def _ignore(self: Guarded, event: Any) -> None:
    """The strategy has faulted."""


def _guarded(name: str, user: Callback) -> Callback:
    def callback(self: Guarded, event: Any) -> None:
        self._guard.event = event  # what an order sent from here is the answer to
        try:
            user(self, event)
        except BaseException as error:
            self._guard.stop.fault(name, error)

    return callback


def _market(name: str, user: Callback) -> Callback:
    told = _guarded(name, user)

    def callback(self: Guarded, event: Any) -> None:
        guard = self._guard
        if guard.shares and guard.run.turns.in_turn(guard, name, event, told):
            return
        guard.event = event
        try:
            user(self, event)
        except BaseException as error:
            self._guard.stop.fault(name, error)

    return callback


def _heard(told: Callback) -> Callback:
    """Notes when a quote is heard that has the venue's time alone: one made from a book."""

    def callback(self: Guarded, event: Any) -> None:
        guard = self._guard
        if event.ts_init == event.ts_event and guard.run.clocks_differ:
            now_ns = guard.clock().timestamp_ns()
            guard.gate.heard[event.instrument_id] = (event.ts_event, now_ns)
        told(self, event)

    return callback


def _note_book(self: Guarded, event: Any) -> None:
    """Leaves the update with the gate's view: when it was received is known to nothing else."""
    self._guard.gate.received[event.instrument_id] = event


def _book(name: str, user: Callback) -> Callback:
    told = _guarded(name, user)

    def callback(self: Guarded, event: Any) -> None:  # as `_market`, without a call more
        guard = self._guard
        guard.gate.received[event.instrument_id] = event
        if guard.shares and guard.run.turns.in_turn(guard, name, event, told):
            return
        guard.event = event
        try:
            user(self, event)
        except BaseException as error:
            self._guard.stop.fault(name, error)

    return callback


def _lifecycle(name: str, user: Callback) -> Callback:
    def callback(self: Guarded, *args: Any) -> Any:
        try:
            return user(self, *args)
        except BaseException as error:
            self._guard.stop.fault(name, misfit(error, user, name))
            return {} if name == "on_save" else None

    return callback


def _start(user: Callback) -> Callback:
    def on_start(self: Guarded) -> None:
        if getattr(self, "_guard", None) is None:
            raise RuntimeError("the strategy is not bound to a gate; call bind before the run")
        try:
            self._guard.start()
            user(self)
            self._guard.stop.look()
            self._guard.feeds.settle()
        except BaseException as error:
            self._guard.stop.fault("on_start", error)

    return on_start


def _stop(user: Callback) -> Callback:
    def on_stop(self: Guarded) -> None:
        guard = self._guard
        down = guard.winddown
        if down.has_stopped:  # called before NautilusTrader did, in an ordered stop
            return
        down.has_stopped = down.is_stopping = True
        guard.stop.look()
        try:
            guard.stop.on_stop("its strategy is being stopped")
            user(self)
            guard.brackets.end()
        except BaseException as error:
            guard.stop.fault("on_stop", error)
        finally:
            down.is_stopping = False

    return on_stop


def _booked(name: str, book: Callback, user: Callback | None) -> Callback:
    moves = name in MOVES
    if user is None:

        def booked(self: Guarded, event: Any) -> None:
            guard = self._guard
            try:
                if _is_lent(guard, name, event) or not _keep(guard, event):
                    return
                book(guard, event)
                if moves:
                    guard.brackets.look_soon()
            except BaseException as error:
                guard.stop.fault(name, error)

        return booked

    def callback(self: Guarded, event: Any) -> None:
        guard = self._guard
        try:
            if _is_lent(guard, name, event) or not _keep(guard, event):
                return
            book(guard, event)
            if guard.view is None:  # before on_start: what is left then is handed over there
                return
            user(self, event)
            if moves:
                guard.brackets.look_soon()
        except BaseException as error:
            guard.stop.fault(name, error)

    return callback


def _keep(guard: Guard, event: Any) -> bool:
    """Whether it is true: who keeps the account may know that there is no such order."""
    keeper = guard.run.keeper_of(event.instrument_id)
    return keeper is None or keeper.told(event)


def _is_lent(guard: Guard, name: str, event: Any) -> bool:
    """Whether the order is another's, which is then called in place of this one.

    After a restart NautilusTrader gives every order of an instrument to one strategy; and at any
    time one that was given up and came, or with which a kill closes, of which none is to hear.
    """
    apart, lent = guard.run.apart, guard.run.lent
    if not apart and not lent:
        return False
    order_id = str(event.client_order_id)
    if order_id in apart and apart[order_id] is None:
        if name == "on_order_filled":
            _note_fill(guard, event)
        return True
    owner = apart.get(order_id) or lent.get(order_id)
    if owner is None or owner is guard.strategy:
        return False
    getattr(owner, name)(event)
    return True


# Bookkeeping. `_initialized` and `_pending_*` run inside a native call that has borrowed the
# strategy: they may touch plain Python attributes only.


def _initialized(guard: Guard, event: Any) -> None:
    order_id = str(event.client_order_id)
    if event.reconciliation:
        return
    if order_id not in guard.gate.approvals or order_id not in guard.creating:
        guard.veto(event)
        guard.stop.breach(order_id, "order")


def _pending_update(guard: Guard, event: Any) -> None:
    order_id = str(event.client_order_id)
    if order_id not in guard.changing and not event.reconciliation:
        guard.veto_change(event)
        guard.stop.breach(order_id, "modify of order")


def _pending_cancel(guard: Guard, event: Any) -> None:
    arrivals = guard.run.arrivals
    if str(event.client_order_id) not in guard.ends.expiring:
        at_ns = event.ts_init if arrivals is None else arrivals.real_ns(event.ts_init)
        guard.gate.cancel_requested(at_ns)
    if arrivals is not None:
        arrivals.command()  # cancels pass no gate, whatever their way: this tells of each


def _progress(guard: Guard, event: Any) -> None:
    if guard.run.ways:
        for look in list(guard.run.ways.values()):
            look(event)
    stop = guard.stop
    if stop.is_silent:
        stop.wind_down(event.client_order_id)
    elif stop.pending is not None:
        stop.act()
    elif guard.exits.leaving:
        guard.exits.leave_rest()


def _closed(guard: Guard, event: Any) -> None:
    guard.gate.closed(str(event.client_order_id))
    guard.run.note_market(f"{event.client_order_id}/end", guard.strategy.cache, event.instrument_id)
    _progress(guard, event)


def _rejected(guard: Guard, event: Any) -> None:
    guard.winddown.rejected(event)
    _closed(guard, event)


def _canceled(guard: Guard, event: Any) -> None:
    order_id = str(event.client_order_id)
    if order_id in guard.ends.expiring:  # nobody took it back
        guard.ends.expiring.discard(order_id)
        guard.gate.closed(order_id)
    else:
        guard.gate.canceled(order_id, event.ts_init)
    _progress(guard, event)


def _filled(guard: Guard, event: Any) -> None:
    _note_fill(guard, event)
    if not guard.run.apart or str(event.client_order_id) not in guard.run.apart:
        _count_fill(guard, event)
    if guard.run.plain_exits:
        guard.cuts.cut(str(event.instrument_id))
    _progress(guard, event)


def _count_fill(guard: Guard, event: Any) -> None:
    """Of whom the order is counted: before its strategy has started, another may hear of it."""
    order_id = str(event.client_order_id)
    counted = guard.gate.ledger.live.get(order_id)
    quantity, price, fee = _executed(guard, event)
    guard.gate.filled(
        order_id,
        guard.id if counted is None else counted.strategy,
        str(event.instrument_id),
        side_of(event.order_side),
        quantity,
        price,
        fee,
        event.ts_event,
    )


def _executed(guard: Guard, event: Any) -> tuple[Decimal, Decimal, tuple[Decimal, str] | None]:
    """Quantity, price, and the fee with its currency: as the account's journal has them, since
    NautilusTrader's have no more digits than its own kinds of them."""
    journal = guard.journals.get(str(event.instrument_id.venue))
    if journal is not None:
        name, instrument = str(event.client_order_id), str(event.instrument_id)
        try:
            booked = journal.execution(name, instrument, str(event.trade_id))
        except JournalError:
            booked = None  # whoever keeps it says what is wrong with it
        if booked is not None:
            return booked.quantity, booked.price, (booked.fee, booked.fee_currency)
    paid = event.commission
    fee = None if paid is None else (paid.as_decimal(), paid.currency.code)
    return event.last_qty.as_decimal(), event.last_px.as_decimal(), fee


def _note_fill(guard: Guard, event: Any) -> None:
    if guard.view is not None:
        guard.view.balances_moved()
    name = f"{event.client_order_id}/{event.trade_id}"
    guard.run.note_market(name, guard.strategy.cache, event.instrument_id)
    if guard.run.on_fill is not None:
        guard.run.on_fill(event)


def _fill_voided(guard: Guard, event: Any) -> None:
    fee = event.commission_voided
    guard.gate.fill_voided(
        guard.id,
        str(event.instrument_id),
        side_of(event.order_side),
        event.voided_qty.as_decimal(),
        None if fee is None else (fee.as_decimal(), fee.currency.code),
    )


def _modify_answered(guard: Guard, event: Any) -> None:
    order = guard.strategy.cache.order(event.client_order_id)
    if order is not None:
        guard.gate.modify_answered(
            str(event.client_order_id), order.quantity.as_decimal(), price_of(order)
        )
    _progress(guard, event)


_BOOKKEEPING: dict[str, Callback] = {
    "on_order_initialized": _initialized,
    "on_order_pending_update": _pending_update,
    "on_order_pending_cancel": _pending_cancel,
    "on_order_submitted": _progress,
    "on_order_accepted": _progress,
    "on_order_triggered": _progress,
    "on_order_denied": _rejected,
    "on_order_rejected": _rejected,
    "on_order_canceled": _canceled,
    "on_order_expired": _closed,
    "on_order_filled": _filled,
    "on_order_fill_voided": _fill_voided,
    "on_order_updated": _modify_answered,
    "on_order_modify_rejected": _modify_answered,
}
