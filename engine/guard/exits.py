"""Market exits: how much of a position can be closed, and the flatten after a broken loss limit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId, Position, PositionSide, Quantity

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.rounding import round_quantity
from fairlead.engine.orders.model import Kind, Side, protects
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.view import order_facts

RETRY_FIRST_NS = 1_000_000_000  # after an exit that closed nothing; doubled from then on
RETRY_MAX_NS = 60_000_000_000
NEVER_TAKEN = frozenset({"DENIED", "REJECTED"})
RETRY_SLACK_NS = 100_000_000  # the gate's timer comes each second, and not exactly


def _protects(order: Any) -> bool:
    facts = order_facts(order)
    return protects(facts.role, facts.kind, reduce_only=facts.reduce_only)


def _closing_side(position: Position) -> Side:
    return Side.SELL if position.side == PositionSide.LONG else Side.BUY


class Exits:
    """The closing half of a guarded strategy."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.leaving: frozenset[InstrumentId] = frozenset()  # market exits that wait for cancels
        self._closing: frozenset[InstrumentId] = frozenset()  # those that wait for exits only
        self._tries = 0  # flattens since a position last became smaller
        self._retry_ns = 0  # no flatten before
        self._left: dict[str, Decimal] = {}  # positions by id, at the last look
        self._dust: dict[str, Decimal] = {}  # positions that can't be closed, as told
        self._prices: dict[str, Decimal] = {}  # the last that were known, by instrument
        # Of protections that left NautilusTrader's cache: when the last was made that the venue
        # took, and the last that it did not, by instrument
        self._took_ns: dict[InstrumentId, int] = {}
        self._refused_ns: dict[InstrumentId, int] = {}

    def quantity(self, position: Position) -> Quantity | None:
        """What a market order can close of `position`, None when no order is as small as that.

        A fee in base currency leaves less than was bought, and NautilusTrader rounds the rest, or
        does not take it off: an exit is limited to what is held as the gate counts it, and to what
        a cash account has, in whole increments.
        """
        is_long = position.side == PositionSide.LONG
        own = self._core.gate.ledger.own(self._core.id, str(position.instrument_id))
        size = min(position.quantity.as_decimal(), max(own if is_long else -own, Decimal(0)))
        return self.closable(position.instrument_id, size if is_long else -size)

    def closable(
        self, instrument_id: InstrumentId, held: Decimal, cost: Decimal | None = None
    ) -> Quantity | None:
        """The same of what is held, signed base units; `cost` as of `sendable`."""
        name, most = str(instrument_id), abs(held)
        if held > 0:
            has = self._core.gate.base_held(name, self._core.ready())
            most = most if has is None else min(most, max(has, Decimal(0)))
        return self.sendable(instrument_id, most, cost)

    def sendable(
        self, instrument_id: InstrumentId, most: Decimal, cost: Decimal | None = None
    ) -> Quantity | None:
        """`most` base units in whole increments, None where the venue takes no order so small.

        Its least value is compared at the market's price, else at the last that was known, else at
        `cost`, the average price of the position; where there is none the venue decides.
        """
        quantity = round_quantity(self._core.strategy.cache, instrument_id, most)
        facts = self._core.ready().instrument(str(instrument_id))
        assert facts is not None, "a position is in an instrument of the cache"
        price = self._price(str(instrument_id)) or cost
        return None if facts.is_flat(most, price) else quantity

    def _price(self, instrument: str) -> Decimal | None:
        view = self._core.ready()
        for market in (view.reference(instrument), view.last_trade(instrument)):
            price = None if market is None else market.bid or market.price
            if price is not None:
                self._prices[instrument] = price
                return price
        return self._prices.get(instrument)

    def note_prices(self) -> None:
        """Of what is held: the market may be gone when the rest is looked at."""
        strategy = self._core.strategy
        for position in strategy.cache.positions_open(strategy_id=strategy.strategy_id):
            self._price(str(position.instrument_id))

    def is_unprotected(self, instrument_id: InstrumentId) -> bool:
        """Whether the strategy sent protections for what it holds there, and none was ever taken.

        By NautilusTrader's orders of this run: one that stood, whoever ended it, was taken.
        """
        strategy = self._core.strategy
        mine: dict[str, Any] = {
            "instrument_id": instrument_id,
            "strategy_id": strategy.strategy_id,
        }
        since = min((p.ts_opened for p in strategy.cache.positions_open(**mine)), default=0)
        sent = [
            order
            for order in strategy.cache.orders(**mine)
            if order.ts_init >= since and _protects(order)
        ]
        if self._took_ns.get(instrument_id, since - 1) >= since:
            return False
        was_refused = self._refused_ns.get(instrument_id, since - 1) >= since
        return (bool(sent) or was_refused) and all(
            order.status.name in NEVER_TAKEN for order in sent
        )

    def forgotten(self, order: Any) -> None:
        """An order that is over is about to leave NautilusTrader's cache."""
        if _protects(order):
            refused = order.status.name in NEVER_TAKEN
            last = self._refused_ns if refused else self._took_ns
            name = order.instrument_id
            last[name] = max(last.get(name, 0), order.ts_init)

    def leave(self, instrument_id: InstrumentId) -> None:
        """Close the positions of an instrument whose orders are being cancelled.

        Orders that would close them too hold what is to be sold, and may fill still: while one is
        live the exit waits for its end. A strategy that is being stopped sees none: at once then.
        """
        core, strategy = self._core, self._core.strategy
        mine = strategy.cache.positions_open(
            instrument_id=instrument_id, strategy_id=strategy.strategy_id
        )
        sides = {_closing_side(position) for position in mine}
        exits_only = instrument_id in self._closing
        is_held = (
            core.runs()
            and core.can_cancel(str(instrument_id))
            and any(
                order.strategy == core.id
                and order.side in sides
                and (order.is_exit or not exits_only)
                for order in core.gate.ledger.working(str(instrument_id))
            )
        )
        if is_held:
            self.leaving |= {instrument_id}
            if exits_only:
                self._cancel_exits(instrument_id)
        else:
            self.leaving -= {instrument_id}
            self._closing -= {instrument_id}
            strategy.close_all_positions(instrument_id)

    def leave_rest(self) -> None:
        """An order is over: go on with the market exits that wait."""
        for instrument_id in sorted(self.leaving, key=str):
            self.leave(instrument_id)

    def go_first(self, position: Position) -> bool:
        """Whether resting exits would close the position too: they go first, and then it closes.

        A market order on its way is no resting exit: a second one beside it is the gate's to
        refuse. Nothing is taken away while nothing could take its place.
        """
        core, name = self._core, str(position.instrument_id)
        if not core.runs() or core.gate.is_stopped(core.id, name) or not core.can_cancel(name):
            return False
        side = _closing_side(position)
        if not any(order.side is side for order in self._resting(name)):
            return False
        self.leaving |= {position.instrument_id}
        self._closing |= {position.instrument_id}
        self._cancel_exits(position.instrument_id)
        return True

    def _resting(self, instrument: str) -> Iterator[CountedOrder]:
        for order in self._core.gate.ledger.working(instrument):
            if order.strategy != self._core.id or not order.is_exit:
                continue
            if order.kind != Kind.MARKET and not order.contingent:
                yield order

    def _cancel_exits(self, instrument_id: InstrumentId) -> None:
        """One that is not sent yet is cancelled at a later look."""
        for exit_ in list(self._resting(str(instrument_id))):
            order = self._core.strategy.cache.order(ClientOrderId(exit_.client_order_id))
            self._core.cancel(order, sent_only=True)

    def flatten(self) -> None:
        """One market order for each open position that `_is_free`.

        What an exit left open is tried again after 1, 2, 4 ... 60 s; after progress, at once.
        """
        core, view, strategy = self._core, self._core.ready(), self._core.strategy
        positions = strategy.cache.positions_open(strategy_id=strategy.strategy_id)
        free = [p for p in positions if self._is_free(str(p.instrument_id))]
        if positions and not free:
            return
        before = self._left
        self._left = left = {str(p.id): p.quantity.as_decimal() for p in positions}
        if any(left.get(name, Decimal(0)) < quantity for name, quantity in before.items()):
            self._tries = self._retry_ns = 0
        now_ns = view.now_ns()
        if now_ns < self._retry_ns:
            return
        exits = [p for p in free if self._can_exit(p)]
        if not exits:
            return
        wait_ns = min(RETRY_FIRST_NS << min(self._tries, 16), RETRY_MAX_NS)
        self._tries += 1
        self._retry_ns = now_ns + wait_ns - RETRY_SLACK_NS
        what = ", ".join(f"{p.quantity} {p.instrument_id}" for p in exits)
        if self._tries == 1:
            strategy.log.warning(f"a loss limit is broken: closing {what}")
        else:
            strategy.log.error(
                f"the exit before closed nothing; try {self._tries} to close {what}, "
                f"the next after {wait_ns // 1_000_000_000} s"
            )
        with core.gate.exits():
            for position in exits:
                strategy.close_position(position)

    def _is_free(self, instrument: str) -> bool:
        """Whether nothing that is live would close a position there a second time.

        Orders that are being cancelled may still fill: none of the strategy's is live then, of
        unknown outcome neither. Where a venue cancels no single order, closing the position ends
        what rests: nothing is waited for but what never rests.
        """
        core = self._core
        mine = [order for order in core.gate.ledger.live.values() if order.strategy == core.id]
        if not core.can_cancel(instrument):
            return not any(o.instrument == instrument and o.kind == Kind.MARKET for o in mine)
        return not core.cancellable() and not any(core.can_cancel(o.instrument) for o in mine)

    def _can_exit(self, position: Position) -> bool:
        """Whether there is something to sell; where there is not, said once."""
        if self.quantity(position) is not None:
            return True
        name, quantity = str(position.id), position.quantity.as_decimal()
        if self._dust.get(name) != quantity:
            self._dust[name] = quantity
            self._core.strategy.log.warning(
                f"{quantity} {position.instrument_id} stay: less is held than the "
                "smallest order of it"
            )
        return False
