"""Market exits: how much of a position can be closed, and the flatten after a broken loss limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    PositionSide,
    Quantity,
    TimeInForce,
)

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.patience import Patience
from fairlead.engine.guard.rounding import round_quantity
from fairlead.engine.guard.stop import Stop
from fairlead.engine.kill.bare import DUST, Bare
from fairlead.engine.kill.state import Kill
from fairlead.engine.orders.model import Kind, Role, Side, protects, with_role
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.view import order_facts

RETRY_FIRST_NS = 1_000_000_000  # after an exit that closed nothing; doubled from then on
RETRY_MAX_NS = 60_000_000_000
NEVER_TAKEN = frozenset({"DENIED", "REJECTED"})
RETRY_SLACK_NS = 100_000_000  # the gate's timer comes each second, and not exactly
_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
_HELD = {True: PositionSide.LONG, False: PositionSide.SHORT}


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """How a position is to be closed, as NautilusTrader's methods are told."""

    client_id: Any = None
    tags: Sequence[str] | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = True
    quote_quantity: bool = False
    params: dict[str, Any] | None = None


CLOSING = Closing()


def closing(
    client_id: Any,
    tags: Sequence[str] | None,
    time_in_force: TimeInForce | None,
    reduce_only: bool | None,
    quote_quantity: bool | None,
    params: dict[str, Any] | None,
) -> Closing:
    """As `close_position` is given it, in its order."""
    return Closing(
        client_id=client_id,
        tags=tags,
        time_in_force=time_in_force,
        reduce_only=reduce_only is not False,
        quote_quantity=bool(quote_quantity),
        params=params,
    )


def _protects(order: Any) -> bool:
    facts = order_facts(order)
    return protects(facts.role, facts.kind, reduce_only=facts.reduce_only)


def _closing_side(held: Decimal) -> Side:
    return Side.SELL if held > 0 else Side.BUY


class Exits:
    """The closing half of a guarded strategy."""

    def __init__(self, core: Core, stop: Stop) -> None:
        self._core = core
        self._leaves = Patience(core, stop, "leave", self.leave_rest)
        self._flattens = Patience(core, stop, "flatten", lambda: None)
        self.leaving: frozenset[InstrumentId] = frozenset()  # market exits that wait for cancels
        self._closing: frozenset[InstrumentId] = frozenset()  # those that wait for exits only
        self._tries = 0  # flattens since a position last became smaller
        self._retry_ns = 0  # no flatten before
        self._left: dict[InstrumentId, Decimal] = {}  # positions, at the last look
        self._dust: dict[str, Decimal] = {}  # positions that can't be closed, as told
        self._how: dict[InstrumentId, Closing] = {}  # of those that wait
        self._prices: dict[str, Decimal] = {}  # the last that were known, by instrument
        # Of protections that left NautilusTrader's cache: when the last was made that the venue
        # took, and the last that it did not, by instrument
        self._took_ns: dict[InstrumentId, int] = {}
        self._refused_ns: dict[InstrumentId, int] = {}
        # Of a simulation: the stop that a kill took, the kill, and when
        self._killed: dict[InstrumentId, tuple[Any, Kill, int]] = {}

    def close(
        self,
        instrument_id: InstrumentId,
        how: Closing = CLOSING,
        position_side: PositionSide | None = None,
    ) -> None:
        """One market order for what the strategy itself holds, whatever NautilusTrader's cache has:
        after a restart that gives all of an instrument to one strategy.

        A fee in base currency leaves less than was bought: an exit is limited to what is held as
        the gate counts it, and to what a cash account has, in whole increments. What market orders
        on their way would close already is left to them; resting exits go first, and what those
        that don't end may close is left to them.
        """
        core, name = self._core, str(instrument_id)
        core.ready()
        held = core.own_position(name)
        if not held or position_side not in (None, _HELD[held > 0]):
            return
        if self._go_first(instrument_id, held):
            self._how[instrument_id] = how
            return
        side = _closing_side(held)
        rest = self._rest(name, held)
        if not rest:
            return
        quantity = self._closable(instrument_id, rest)
        if quantity is None:
            return
        strategy = core.strategy
        order = strategy.order_factory.market(
            instrument_id,
            _SIDES[side],
            quantity,
            time_in_force=how.time_in_force or TimeInForce.GTC,
            reduce_only=how.reduce_only,
            quote_quantity=how.quote_quantity,
            tags=with_role(how.tags, Role.EXIT),
        )
        strategy.submit_order(order, None, how.client_id, how.params)

    def _closable(self, instrument_id: InstrumentId, held: Decimal) -> Quantity | None:
        """What an order can close of it, None where none is so small: said once.

        What the account does not show yet is asked for all the same: the gate tells of it.
        """
        quantity = self.closable(instrument_id, held) or self.sendable(instrument_id, abs(held))
        name = str(instrument_id)
        if quantity is None and self._dust.get(name) != held:
            self._dust[name] = held
            text = f"{abs(held):f} {name} stay: less is held than the smallest order of it"
            self._core.strategy.log.warning(text)
        return quantity

    def _rest(self, instrument: str, held: Decimal) -> Decimal:
        """What of it the strategy's market orders would not close already, nor what was waited for
        in vain; signed base units."""
        core, side = self._core, _closing_side(held)
        is_over = self._is_waited(instrument)
        mine = (
            order.remaining
            for order in core.gate.ledger.working(instrument)
            if order.strategy == core.id and order.side is side and not core.waits_to_enter(order)
            if is_over or order.kind == Kind.MARKET
        )
        return max(abs(held) - sum(mine, Decimal(0)), Decimal(0)).copy_sign(held)

    def _is_waited(self, instrument: str) -> bool:
        return self._leaves.is_over(instrument) or self._flattens.is_over(instrument)

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

    def held(self) -> dict[InstrumentId, Decimal]:
        """What the strategy holds, signed base units, of instruments that the run has."""
        has = self._core.strategy.cache.instrument
        of = self._core.own_positions().items()
        ids = {InstrumentId.from_str(name): quantity for name, quantity in of}
        return {one: quantity for one, quantity in ids.items() if has(one) is not None}

    def note_prices(self) -> None:
        """Of what is held: the market may be gone when the rest is looked at."""
        for name in self.held():
            self._price(str(name))

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

    def killed(self, instrument_id: InstrumentId, kill: Kill | None) -> None:
        """Of a simulation, which no journal tells: the kill is about to cancel all that is open."""
        if kill is None:
            return
        for order in self._stops(instrument_id, self._core.own_position(str(instrument_id))):
            now_ns = self._core.clock().timestamp_ns()
            self._killed[instrument_id] = order, kill, now_ns

    def bare(self) -> Iterator[Bare]:
        """Positions whose stop such a kill took, until they are over or another stop lives."""
        held, strategy = self.held(), self._core.strategy
        for name, (stop, kill, ts_ns) in list(self._killed.items()):
            quantity = held.get(name, Decimal(0))
            mine: dict[str, Any] = {"instrument_id": name, "strategy_id": strategy.strategy_id}
            since = [p.ts_opened for p in strategy.cache.positions_open(**mine)]
            dust = stop.quantity.as_decimal() * DUST
            if abs(quantity) <= dust or min(since, default=ts_ns) > ts_ns:
                del self._killed[name]
            elif not any(self._stops(name, quantity)):
                yield Bare(
                    strategy=self._core.id,
                    instrument=str(name),
                    quantity=quantity,
                    stop=str(stop.client_order_id),
                    kill=kill,
                )

    def _stops(self, instrument_id: InstrumentId, held: Decimal) -> Iterator[Any]:
        """Those that live, of what is held."""
        for order in self._core.working() if held else ():
            is_its = order.instrument_id == instrument_id and _protects(order)
            if is_its and (order.side == OrderSide.SELL) is (held > 0):
                yield order

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
        core, name = self._core, str(instrument_id)
        held, exits_only = core.own_position(name), instrument_id in self._closing
        ahead = []
        if held and core.runs() and core.can_cancel(name):
            ahead = [
                order.client_order_id
                for order in core.gate.ledger.working(name)
                if order.strategy == core.id
                and order.side is _closing_side(held)
                and (order.is_exit or not (exits_only or core.waits_to_enter(order)))
            ]
        if self._leaves.waits(name, ahead):
            self.leaving |= {instrument_id}
            if exits_only:
                self._cancel_exits(instrument_id)
        else:
            self.leaving -= {instrument_id}
            self._closing -= {instrument_id}
            self.close(instrument_id, self._how.pop(instrument_id, CLOSING))
            self._leaves.waits(name, ())

    def leave_rest(self) -> None:
        """An order is over: go on with the market exits that wait."""
        for instrument_id in sorted(self.leaving, key=str):
            self.leave(instrument_id)

    def _go_first(self, instrument_id: InstrumentId, held: Decimal) -> bool:
        """Whether resting exits would close the position too: they go first, and then it closes.

        Nothing is taken away while nothing could take its place.
        """
        core, name = self._core, str(instrument_id)
        if not core.runs() or core.gate.is_stopped(core.id, name) or not core.can_cancel(name):
            return False
        side = _closing_side(held)
        ahead = [one.client_order_id for one in self._resting(name) if one.side is side]
        if not ahead or self._is_waited(name):
            return False
        self._leaves.waits(name, ahead)
        self.leaving |= {instrument_id}
        self._closing |= {instrument_id}
        self._cancel_exits(instrument_id)
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
        """One market order for each position that `_is_free`.

        What an exit left open is tried again after 1, 2, 4 ... 60 s; after progress, at once.
        """
        core, view, strategy = self._core, self._core.ready(), self._core.strategy
        held = self.held()
        free = [one for one in held if self._is_free(str(one))]
        if held and not free:
            return
        before = self._left
        self._left = left = {one: abs(quantity) for one, quantity in held.items()}
        if any(left.get(name, Decimal(0)) < quantity for name, quantity in before.items()):
            self._tries = self._retry_ns = 0
        now_ns = view.now_ns()
        if now_ns < self._retry_ns:
            return
        rests = {one: self._rest(str(one), held[one]) for one in free}
        exits = [one for one, rest in rests.items() if rest and self._closable(one, rest)]
        if not exits:
            return
        wait_ns = min(RETRY_FIRST_NS << min(self._tries, 16), RETRY_MAX_NS)
        self._tries += 1
        self._retry_ns = now_ns + wait_ns - RETRY_SLACK_NS
        what = ", ".join(f"{abs(rests[one]):f} {one}" for one in exits)
        if self._tries == 1:
            strategy.log.warning(f"a loss limit is broken: closing {what}")
        else:
            strategy.log.error(
                f"the exit before closed nothing; try {self._tries} to close {what}, "
                f"the next after {wait_ns // 1_000_000_000} s"
            )
        with core.gate.exits():
            for one in exits:
                self.close(one)

    def _is_free(self, instrument: str) -> bool:
        """Whether nothing that is live would close a position there a second time.

        Orders that are being cancelled may still fill: none of the strategy's is live there then,
        of unknown outcome neither, or it was waited for long enough. Where a venue cancels no
        single order, closing the position ends what rests: nothing is waited for but what never
        rests.
        """
        core = self._core
        cancels = core.can_cancel(instrument)
        ahead = {
            order.client_order_id
            for order in core.gate.ledger.working(instrument)
            if order.strategy == core.id and (cancels or order.kind == Kind.MARKET)
            if not core.waits_to_enter(order)
        }
        if cancels:
            orders = (one for one in core.working() if str(one.instrument_id) == instrument)
            ahead.update(str(one.client_order_id) for one in orders)
        return not self._flattens.waits(instrument, sorted(ahead))
