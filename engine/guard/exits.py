"""Market exits: how much of a position can be closed, and the flatten after a broken loss limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId, OrderStatus, PositionSide, Quantity

from engine.orders.model import Kind, Side
from engine.risk.facts import LiveOrder
from engine.risk.gate import RiskGate
from engine.risk.view import NautilusView

RETRY_FIRST_NS = 1_000_000_000  # after an exit that closed nothing; doubled from then on
RETRY_MAX_NS = 60_000_000_000
RETRY_SLACK_NS = 100_000_000  # the gate's timer comes each second, and not exactly


def _closing_side(position: Any) -> Side:
    return Side.SELL if position.side == PositionSide.LONG else Side.BUY


class ExitMixin:
    """The closing half of a guarded strategy."""

    _guard_gate: RiskGate | None
    _guard_view: NautilusView | None
    _guard_id: str
    _guard_leaving: frozenset[InstrumentId] = frozenset()  # market exits that wait for cancels
    _guard_closing: frozenset[InstrumentId] = frozenset()  # those that wait for exits only
    _guard_tries = 0  # flattens since a position last became smaller
    _guard_retry_ns = 0  # no flatten before
    _guard_left: dict[str, Decimal] | None = None  # positions by id, at the last look
    _guard_dust: dict[str, Decimal] | None = None  # positions that can't be closed, as told

    def _guard_exit_quantity(self: Any, position: Any) -> Quantity | None:
        """What a market order can close of `position`, None when no order is as small as that.

        A fee in base currency leaves a cash account less than was bought, and NautilusTrader
        rounds the rest: such an exit is limited to what the account has, in whole increments.
        """
        gate, view = self._guard_ready()
        name = str(position.instrument_id)
        quantity: Quantity = position.quantity
        if position.side == PositionSide.LONG:
            held = gate.base_held(name, view)
            if held is not None and held < quantity.as_decimal():
                quantity = self.round_quantity(position.instrument_id, max(held, Decimal(0)))
        size, facts, market = quantity.as_decimal(), view.instrument(name), view.reference(name)
        if size <= 0 or (facts.min_quantity is not None and size < facts.min_quantity):
            return None
        price = None if market is None else market.bid or market.price
        if facts.min_notional is not None and price is not None:
            return quantity if facts.notional(size, price) >= facts.min_notional else None
        return quantity

    def _guard_leave(self: Any, instrument_id: InstrumentId) -> None:
        """Close the positions of an instrument whose orders are being cancelled.

        Orders that would close them too hold what is to be sold, and may fill still: while one is
        live the exit waits for its end. A strategy that is being stopped sees none: at once then.
        """
        mine = {"instrument_id": instrument_id, "strategy_id": self.strategy_id}
        sides = {_closing_side(position) for position in self.cache.positions_open(**mine)}
        exits_only = instrument_id in self._guard_closing
        is_held = self.is_running() and any(
            order.strategy == self._guard_id
            and order.side in sides
            and (order.is_exit or not exits_only)
            for order in self._guard_gate.ledger.working(str(instrument_id))
        )
        if is_held:
            self._guard_leaving = self._guard_leaving | {instrument_id}
            if exits_only:
                self._guard_cancel_exits(instrument_id)
        else:
            self._guard_leaving = self._guard_leaving - {instrument_id}
            self._guard_closing = self._guard_closing - {instrument_id}
            self.close_all_positions(instrument_id)

    def _guard_exits_first(self: Any, position: Any) -> bool:
        """Whether resting exits would close the position too: they go first, and then it closes.

        A market order on its way is no resting exit: a second one beside it is the gate's to
        refuse. Nothing is taken away while nothing could take its place.
        """
        gate, name = self._guard_gate, str(position.instrument_id)
        if not self.is_running() or gate.is_stopped(self._guard_id, name):
            return False
        side = _closing_side(position)
        if not any(order.side is side for order in self._guard_resting_exits(name)):
            return False
        self._guard_leaving = self._guard_leaving | {position.instrument_id}
        self._guard_closing = self._guard_closing | {position.instrument_id}
        self._guard_cancel_exits(position.instrument_id)
        return True

    def _guard_resting_exits(self: Any, instrument: str) -> list[LiveOrder]:
        return [
            order
            for order in self._guard_gate.ledger.working(instrument)
            if order.strategy == self._guard_id
            and order.is_exit
            and order.kind != Kind.MARKET
            and not order.contingent
        ]

    def _guard_cancel_exits(self: Any, instrument_id: InstrumentId) -> None:
        """One that is not sent yet is cancelled at a later look."""
        for exit_ in self._guard_resting_exits(str(instrument_id)):
            order = self.cache.order(ClientOrderId(exit_.client_order_id))
            if order is None or order.is_closed or order.is_pending_cancel:
                continue
            if order.status != OrderStatus.INITIALIZED:
                self.cancel_order(order.client_order_id)

    def _guard_leave_rest(self: Any) -> None:
        """An order is over: go on with the market exits that wait."""
        for instrument_id in sorted(self._guard_leaving, key=str):
            self._guard_leave(instrument_id)

    def _guard_flatten(self: Any) -> None:
        """One market order for each open position, when no order of the strategy is live.

        What an exit left open is tried again after 1, 2, 4 ... 60 s; after progress, at once.
        """
        gate, view = self._guard_ready()
        if any(order.strategy == self._guard_id for order in gate.ledger.live.values()):
            return  # of unknown outcome too: it may still fill, and another would close twice
        positions = self.cache.positions_open(strategy_id=self.strategy_id)
        before = self._guard_left or {}
        left = {str(p.id): p.quantity.as_decimal() for p in positions}
        self._guard_left = left
        if any(left.get(name, Decimal(0)) < quantity for name, quantity in before.items()):
            self._guard_tries = self._guard_retry_ns = 0
        now_ns = view.now_ns()
        if now_ns < self._guard_retry_ns:
            return
        exits = [p for p in positions if self._guard_can_exit(p)]
        if not exits:
            return
        wait_ns = min(RETRY_FIRST_NS << min(self._guard_tries, 16), RETRY_MAX_NS)
        self._guard_tries += 1
        self._guard_retry_ns = now_ns + wait_ns - RETRY_SLACK_NS
        what = ", ".join(f"{p.quantity} {p.instrument_id}" for p in exits)
        if self._guard_tries == 1:
            self.log.warning(f"a loss limit is broken: closing {what}")
        else:
            self.log.error(
                f"the exit before closed nothing; try {self._guard_tries} to close {what}, "
                f"the next after {wait_ns // 1_000_000_000} s"
            )
        with gate.exits():
            for position in exits:
                self.close_position(position)

    def _guard_can_exit(self: Any, position: Any) -> bool:
        """Whether there is something to sell; where there is not, said once."""
        if self._guard_exit_quantity(position) is not None:
            return True
        told = self._guard_dust = self._guard_dust or {}
        name, quantity = str(position.id), position.quantity.as_decimal()
        if told.get(name) != quantity:
            told[name] = quantity
            self.log.warning(
                f"{quantity} {position.instrument_id} stay: the account has less than the "
                "smallest order of it"
            )
        return False
