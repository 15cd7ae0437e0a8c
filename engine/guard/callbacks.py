"""Wrapping of a strategy's callbacks: bookkeeping for the gate first, exceptions never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nautilus_trader.trading import Strategy

from engine.guard.turns import KEYS, in_turn
from engine.risk.view import price_of, side_of

CALLBACKS = frozenset(
    name for name in dir(Strategy) if name.startswith("on_") or name == "post_market_exit"
)
# Still the strategy's own after a fault: its clean-up.
LIFECYCLE = frozenset(
    {
        "on_stop",
        "on_resume",
        "on_reset",
        "on_dispose",
        "on_degrade",
        "on_fault",
        "on_save",
        "on_load",
        "on_market_exit",
        "post_market_exit",
    }
)
# Order events that the bookkeeping needs only while a strategy is being stopped.
STOPPING = frozenset({"on_order_submitted", "on_order_accepted"})
# After these a bracket may have something to do; a refusal waits for its timer.
MOVES = frozenset({"on_order_filled", "on_order_canceled", "on_order_expired"})
# Where the end of the run can be asked for when a breach has no order event of its own.
DATA_CALLBACKS = frozenset(
    name for name in CALLBACKS - LIFECYCLE if name != "on_start" and not name.startswith("on_order")
)

Callback = Callable[..., Any]


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
        wrap = _book if name == "on_book_deltas" else _market if name in KEYS else _guarded
        callbacks[name] = wrap(name, user)
        silent[name] = _ignore
    if "on_book_deltas" not in used:
        callbacks["on_book_deltas"] = _note_book
    for name, book in _BOOKKEEPING.items():
        user = getattr(cls, name) if name in used else None
        if user is not None or name not in STOPPING:
            callbacks[name] = _booked(name, book, user)
        silent[name] = _booked(name, book, None)
    return callbacks, silent


def _ignore(self: Any, event: Any) -> None:
    """The strategy has faulted."""


def _guarded(name: str, user: Callback) -> Callback:
    def callback(self: Any, event: Any) -> None:
        self._guard_event = event  # what an order sent from here is the answer to
        try:
            user(self, event)
        except BaseException as error:
            self._guard_fault(name, error)

    return callback


def _market(name: str, user: Callback) -> Callback:
    told = _guarded(name, user)

    def callback(self: Any, event: Any) -> None:
        if self._guard_shares and in_turn(self, name, event, told):
            return
        self._guard_event = event
        try:
            user(self, event)
        except BaseException as error:
            self._guard_fault(name, error)

    return callback


def _note_book(self: Any, event: Any) -> None:
    """Leaves the update with the gate's view: when it was received is known to nothing else."""
    self._guard_view.received[event.instrument_id] = event


def _book(name: str, user: Callback) -> Callback:
    heard = _market(name, user)

    def callback(self: Any, event: Any) -> None:
        self._guard_view.received[event.instrument_id] = event
        heard(self, event)

    return callback


def _lifecycle(name: str, user: Callback) -> Callback:
    def callback(self: Any, *args: Any) -> Any:
        try:
            return user(self, *args)
        except BaseException as error:
            self._guard_fault(name, error)
            return {} if name == "on_save" else None

    return callback


def _start(user: Callback) -> Callback:
    def on_start(self: Any) -> None:
        if self._guard_gate is None:
            raise RuntimeError("the strategy is not bound to a gate; call bind before the run")
        try:
            self._guard_start()
            user(self)
            self._guard_subscribe()
        except BaseException as error:
            self._guard_fault("on_start", error)

    return on_start


def _stop(user: Callback) -> Callback:
    def on_stop(self: Any) -> None:
        try:
            user(self)
            self._guard_end_brackets()
        except BaseException as error:
            self._guard_fault("on_stop", error)

    return on_stop


def _booked(name: str, book: Callback, user: Callback | None) -> Callback:
    moves = name in MOVES
    if user is None:

        def booked(self: Any, event: Any) -> None:
            if _is_lent(self, name, event):
                return
            try:
                book(self, event)
                if moves and self._guard_brackets is not None:
                    self._guard_look_soon()
            except BaseException as error:
                self._guard_fault(name, error)

        return booked

    def callback(self: Any, event: Any) -> None:
        if _is_lent(self, name, event):
            return
        try:
            book(self, event)
            if self._guard_view is None:  # before on_start: what is left then is handed over there
                return
            user(self, event)
            if moves and self._guard_brackets is not None:
                self._guard_look_soon()
        except BaseException as error:
            self._guard_fault(name, error)

    return callback


def _is_lent(self: Any, name: str, event: Any) -> bool:
    """Whether the order is another strategy's, which is then called in place of this one.

    After a restart NautilusTrader gives every order of an instrument to one strategy.
    """
    lent = self._guard_run.lent
    if not lent:
        return False
    owner = lent.get(str(event.client_order_id))
    if owner is None or owner is self:
        return False
    getattr(owner, name)(event)
    return True


# Bookkeeping. `_initialized` and `_pending_*` run inside a native call that has borrowed the
# strategy: they may touch plain Python attributes only.


def _initialized(self: Any, event: Any) -> None:
    order_id = str(event.client_order_id)
    if not self._guard_gate.is_approved(order_id) and not event.reconciliation:
        self._guard_breach(order_id, "order")


def _pending_update(self: Any, event: Any) -> None:
    order_id = str(event.client_order_id)
    if not self._guard_gate.has_pending_modify(order_id) and not event.reconciliation:
        self._guard_breach(order_id, "modify of order")


def _pending_cancel(self: Any, event: Any) -> None:
    if str(event.client_order_id) not in self._guard_expiring:
        self._guard_gate.cancel_requested(event.ts_init)
    if (arrivals := self._guard_run.arrivals) is not None:
        arrivals.command()  # cancels pass no gate, whatever their way: this tells of each


def _progress(self: Any, event: Any) -> None:
    if self._guard_stopped:
        self._guard_wind_down(event.client_order_id)
    elif self._guard_pending is not None:
        self._guard_act()
    elif self._guard_leaving:
        self._guard_leave_rest()


def _closed(self: Any, event: Any) -> None:
    self._guard_gate.closed(str(event.client_order_id))
    self._guard_run.note_market(f"{event.client_order_id}/end", self.cache, event.instrument_id)
    _progress(self, event)


def _canceled(self: Any, event: Any) -> None:
    order_id = str(event.client_order_id)
    if order_id in self._guard_expiring:  # nobody took it back
        self._guard_expiring = self._guard_expiring - {order_id}
        self._guard_gate.closed(order_id)
    else:
        self._guard_gate.canceled(order_id, event.ts_init)
    _progress(self, event)


def _filled(self: Any, event: Any) -> None:
    if self._guard_view is not None:
        self._guard_view.balances_moved()
    fee = event.commission
    name = f"{event.client_order_id}/{event.trade_id}"
    self._guard_run.note_market(name, self.cache, event.instrument_id)
    self._guard_gate.filled(
        str(event.client_order_id),
        self._guard_id,
        str(event.instrument_id),
        side_of(event.order_side),
        event.last_qty.as_decimal(),
        event.last_px.as_decimal(),
        None if fee is None else (fee.as_decimal(), fee.currency.code),
        event.ts_event,
    )
    if self._guard_run.plain_exits:
        self._guard_cut_exits(str(event.instrument_id))
    _progress(self, event)


def _fill_voided(self: Any, event: Any) -> None:
    self._guard_gate.fill_voided(
        self._guard_id,
        str(event.instrument_id),
        side_of(event.order_side),
        event.voided_qty.as_decimal(),
    )


def _modify_answered(self: Any, event: Any) -> None:
    order = self.cache.order(event.client_order_id)
    if order is not None:
        self._guard_gate.modify_answered(
            str(event.client_order_id), order.quantity.as_decimal(), price_of(order)
        )
    _progress(self, event)


_BOOKKEEPING: dict[str, Callback] = {
    "on_order_initialized": _initialized,
    "on_order_pending_update": _pending_update,
    "on_order_pending_cancel": _pending_cancel,
    "on_order_submitted": _progress,
    "on_order_accepted": _progress,
    "on_order_denied": _closed,
    "on_order_rejected": _closed,
    "on_order_canceled": _canceled,
    "on_order_expired": _closed,
    "on_order_filled": _filled,
    "on_order_fill_voided": _fill_voided,
    "on_order_updated": _modify_answered,
    "on_order_modify_rejected": _modify_answered,
}


class GuardedClock:
    """A strategy's clock whose timer callbacks end the run when they raise."""

    __slots__ = ("_native", "_safe", "timestamp_ns")

    def __init__(self, native: Any, safe: Callable[[str, Any], Any]) -> None:
        self._native = native
        self._safe = safe
        self.timestamp_ns = native.timestamp_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def set_time_alert(
        self, name: str, alert_time: Any, callback: Any = None, allow_past: bool | None = None
    ) -> None:
        self._native.set_time_alert(name, alert_time, self._wrap(name, callback), allow_past)

    def set_time_alert_ns(
        self, name: str, alert_time_ns: int, callback: Any = None, allow_past: bool | None = None
    ) -> None:
        self._native.set_time_alert_ns(name, alert_time_ns, self._wrap(name, callback), allow_past)

    def set_timer(
        self,
        name: str,
        interval: Any,
        start_time: Any = None,
        stop_time: Any = None,
        callback: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        safe = self._wrap(name, callback)
        self._native.set_timer(name, interval, start_time, stop_time, safe, *rest, **options)

    def set_timer_ns(
        self,
        name: str,
        interval_ns: int,
        start_time_ns: int | None = None,
        stop_time_ns: int | None = None,
        callback: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        safe = self._wrap(name, callback)
        self._native.set_timer_ns(
            name, interval_ns, start_time_ns, stop_time_ns, safe, *rest, **options
        )

    def set_timer_zoned(
        self,
        name: str,
        interval: str,
        start_time: Any,
        stop_time: Any = None,
        callback: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        safe = self._wrap(name, callback)
        self._native.set_timer_zoned(name, interval, start_time, stop_time, safe, *rest, **options)

    def register_default_handler(self, callback: Any) -> None:
        self._native.register_default_handler(self._wrap("default", callback))

    def _wrap(self, name: str, callback: Any) -> Any:
        return self._safe(f"callback of timer {name}", callback)
