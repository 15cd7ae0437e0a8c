"""Those who trade: a random walker, a maker, a user of stops, and an adversary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from fairlead.engine.brackets.keeper import Brackets, JournalStore
from fairlead.engine.brackets.steps import Bracket, Place
from fairlead.engine.brackets.view import BracketView
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import Kind, Side, Tif
from fairlead.engine.risk.facts import OrderFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.engine.sessions.process import Process

BPS = Decimal("0.0001")
FLOOD_ORDERS = 15
BRACKETS_MAX = 3  # open at once
BRACKET_LOOK_SECS = 0.5


class StrategyFault(Exception):
    """What the adversary raises from its own callback."""


class Agent:
    """Acts at random times; `act` is what a kind of agent does."""

    def __init__(self, process: Process, name: str, rng: Random) -> None:
        self.process = process
        self.name = name
        self.rng = rng
        self.instrument = process.world.instrument
        facts = process.instruments[self.instrument]
        self.tick = Decimal(1).scaleb(-facts.price_precision)
        self.step = Decimal(1).scaleb(-facts.size_precision)
        able = process.runtime.adapter.capabilities.time_in_force
        self.tif = next(one for one in (Tif.GTC, Tif.FOK, Tif.IOC) if one in able)

    async def run(self) -> None:
        rate = self.process.world.plan.actions_per_sec
        while not self.process.gate.faulted(self.name):
            await asyncio.sleep(self.rng.expovariate(rate))
            if self.process.world.is_over or self.process.is_stopping:
                return
            try:
                self.act()
            except StrategyFault as error:
                self.process.world.trace.count("strategy_faults")
                self.process.gate.fault(self.name, str(error))
                self.cancel([o.intent.client_order_id for o in self.mine()])

    def act(self) -> None:
        raise NotImplementedError

    # -- what all of them need -----------------------------------------------------------------

    def mine(self) -> list[LiveOrder]:
        return [o for o in self.process.desk.live_orders() if o.intent.strategy == self.name]

    def new_id(self) -> str:
        return UUID(int=self.rng.getrandbits(128), version=4).hex

    def side(self) -> Side:
        return Side.BUY if self.rng.random() < 0.5 else Side.SELL

    def near(self, side: Side, bps: float) -> Decimal | None:
        """A price `bps` away from the touch, on the passive side where positive.

        Where nothing rests, half of the orders are priced to trade.
        """
        bid, ask = self.process.world.touch()
        if bid is None or ask is None:
            return None
        if self.tif is not Tif.GTC and self.rng.random() < 0.5:
            bid, ask, bps = ask, bid, -abs(bps)
        away = Decimal(round(bps * 100)) / 100 * BPS
        price = bid * (1 - away) if side is Side.BUY else ask * (1 + away)
        return self.to_tick(price)

    def to_tick(self, price: Decimal) -> Decimal:
        return max(self.tick, (price / self.tick).quantize(Decimal(1)) * self.tick)

    def size(self, most: float = 1.0) -> Decimal:
        bid, _ = self.process.world.touch()
        limit = self.process.world.plan.max_order_notional
        worth = self.rng.uniform(20, limit * most)
        price = bid or Decimal(1)
        return (Decimal(round(worth)) / price / self.step).quantize(Decimal(1)) * self.step

    def facts(
        self,
        side: Side,
        kind: Kind,
        quantity: Decimal,
        price: Decimal | None,
        *,
        trigger_price: Decimal | None = None,
        client_order_id: str = "",
        reduce_only: bool = False,
    ) -> OrderFacts:
        return OrderFacts(
            client_order_id=client_order_id or self.new_id(),
            strategy=self.name,
            instrument=self.instrument,
            side=side,
            kind=kind.value,
            quantity=quantity,
            price=price,
            trigger_price=trigger_price,
            time_in_force=self._tif_of(kind).value,
            reduce_only=reduce_only,
        )

    def _tif_of(self, kind: Kind) -> Tif:
        """What the engine holds is good until it fires."""
        held = self.process.runtime.adapter.capabilities.held
        return Tif.GTC if kind in held else self.tif

    def submit(self, *wanted: OrderFacts) -> None:
        self.process.spawn(self.process.submit(wanted), "submit")

    def cancel(self, ids: list[str]) -> None:
        if ids:
            self.process.spawn(self.process.cancel(ids), "cancel")

    def limit(self, side: Side, bps: float) -> OrderFacts | None:
        price = self.near(side, bps)
        return None if price is None else self.facts(side, Kind.LIMIT, self.size(), price)


class Walker(Agent):
    """Limits around the market, market orders, cancels."""

    def act(self) -> None:
        draw = self.rng.random()
        if draw < 0.5:
            order = self.limit(self.side(), self.rng.uniform(-3, 15))
            if order is not None:
                self.submit(order)
        elif draw < 0.65:
            self.submit(self.facts(self.side(), Kind.MARKET, self.size(0.8), None))
        elif draw < 0.95:
            mine = self.mine()
            if mine:
                self.cancel([self.rng.choice(mine).intent.client_order_id])
        else:
            self.cancel([o.intent.client_order_id for o in self.mine()])


class Maker(Agent):
    """A pair of quotes, moved with the market: replaced where the venue can, else renewed."""

    def act(self) -> None:
        mine = self.mine()
        can_replace = self.process.runtime.adapter.capabilities.replace
        proven = [o for o in mine if o.is_proven and not o.cancel_requested]
        if can_replace and proven and self.rng.random() < 0.6:
            order = self.rng.choice(proven)
            price = self.near(order.intent.side, self.rng.uniform(0, 6))
            if price is not None and order.intent.kind is Kind.LIMIT:
                size = max(self.size(), order.filled + self.step)
                self.process.spawn(
                    self.process.replace(order.intent.client_order_id, size, price), "replace"
                )
            return
        self.cancel([o.intent.client_order_id for o in mine if not o.cancel_requested])
        away = self.rng.uniform(0.2, 5)
        pair = [self.limit(side, away) for side in (Side.BUY, Side.SELL)]
        self.submit(*[order for order in pair if order is not None])


class StopUser(Agent):
    """Stops of both trigger conditions near the market."""

    def act(self) -> None:
        mine = self.mine()
        if mine and self.rng.random() < 0.35:
            self.cancel([self.rng.choice(mine).intent.client_order_id])
            return
        side = self.side()
        kind = self.rng.choice((Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED))
        bid, ask = self.process.world.touch()
        if bid is None or ask is None:
            return
        away = Decimal(self.rng.randint(20, 1500)) / 100 * BPS
        is_above = (side is Side.BUY) == (kind is Kind.STOP_LIMIT)
        trigger = self.to_tick((ask * (1 + away)) if is_above else (bid * (1 - away)))
        slack = Decimal(self.rng.randint(-5, 20)) * BPS
        price = self.to_tick(trigger * (1 + slack) if side is Side.BUY else trigger * (1 - slack))
        self.submit(self.facts(side, kind, self.size(), price, trigger_price=trigger))


class Bracketeer(Agent):
    """Entries with a stop and a target close by, over every restart."""

    def __init__(self, process: Process, name: str, rng: Random) -> None:
        super().__init__(process, name, rng)
        store = JournalStore({process.world.venue_name: process.journal})
        self.brackets = Brackets(name, _BracketOwner(self), store)

    async def run(self) -> None:
        self.process.spawn(self._look(), "brackets")
        await super().run()

    async def _look(self) -> None:
        """As the timer of a guarded strategy does; and until the process ends."""
        process = self.process
        while True:
            await asyncio.sleep(BRACKET_LOOK_SECS)
            if process.world.is_closing or process.gate.faulted(self.name):
                return
            self.brackets.look()

    def act(self) -> None:
        if len(self.brackets) >= BRACKETS_MAX:
            bracket = self.rng.choice(list(self.brackets))
            if self.rng.random() < 0.3:
                self.cancel([bracket.entry])
            return
        side = self.side()
        price = self.near(side, self.rng.uniform(-3, 4))
        if price is None:
            return
        sign = 1 if side is Side.BUY else -1
        stop = self.to_tick(price * (1 - sign * Decimal(self.rng.randint(3, 40)) * BPS))
        if self.rng.random() < 0.7:
            order = self.facts(side, Kind.LIMIT, self.size(), price)
        else:  # its price is not known: room below the largest notional
            order = self.facts(side, Kind.MARKET, self.size(0.8), None)
        bracket = Bracket(
            entry=order.client_order_id,
            strategy=self.name,
            instrument=self.instrument,
            side=side,
            quantity=order.quantity,
            stop=stop,
            stop_limit=self.to_tick(stop * (1 - sign * Decimal(self.rng.randint(0, 30)) * BPS)),
            target=self.to_tick(price * (1 + sign * Decimal(self.rng.randint(3, 40)) * BPS)),
        )
        if bracket.problem(None) is not None:
            return
        try:
            self.brackets.add(bracket)
        except JournalError as error:
            self.process.desk.fail(error)
            return
        self.process.world.trace.count("brackets")
        self.submit(order)


class _BracketOwner(BracketView):
    """Implements `fairlead.engine.brackets.keeper.Owner` for an agent."""

    def __init__(self, agent: Agent) -> None:
        process = agent.process
        journals = {process.world.venue_name: process.journal}
        super().__init__(agent.name, process.gate, process.view, journals)
        self._agent = agent

    def place(self, bracket: Bracket, client_order_id: str, exit_: Place) -> bool:
        wanted = self._agent.facts(
            bracket.exit_side,
            exit_.kind,
            exit_.quantity,
            exit_.price,
            trigger_price=exit_.trigger,
            client_order_id=client_order_id,
            reduce_only=True,
        )
        approved = self._agent.process.approve([wanted])
        self._agent.process.spawn(self._agent.process.send(approved), "exit")
        return bool(approved)

    def cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None:
        self._agent.cancel(list(client_order_ids))


class Adversary(Agent):
    """Misbehaves in every way a strategy can."""

    def act(self) -> None:
        self.rng.choice(
            (
                self._flood,
                self._twins,
                self._same_id,
                self._nonsense,
                self._cancel_unknown,
                self._cancel_at_once,
                self._huge,
                self._raise,
            )
        )()

    def _flood(self) -> None:
        orders = [self.limit(self.side(), self.rng.uniform(1, 30)) for _ in range(FLOOD_ORDERS)]
        self.submit(*[order for order in orders if order is not None])

    def _twins(self) -> None:
        """The same order twice, in two commands."""
        order = self.limit(self.side(), self.rng.uniform(1, 10))
        if order is not None:
            twin = self.facts(order.side, Kind.LIMIT, order.quantity, order.price)
            self.submit(order)
            self.submit(twin)

    def _same_id(self) -> None:
        used = sorted(self.process.ids)
        order = self.limit(self.side(), 5.0)
        if used and order is not None:
            again = self.rng.choice(used)
            self.submit(
                self.facts(
                    order.side, Kind.LIMIT, order.quantity, order.price, client_order_id=again
                )
            )

    def _nonsense(self) -> None:
        """What NautilusTrader's own types let through: nothing, too fine, too much."""
        bad = self.rng.choice(("0", "1e-9", "0.00123456789", "1e9"))
        price = self.near(Side.BUY, 1.0)
        if self.rng.random() < 0.5:
            self.submit(self.facts(Side.BUY, Kind.LIMIT, Decimal(bad), price))
        else:
            self.submit(self.facts(Side.BUY, Kind.LIMIT, self.size(), Decimal(bad)))

    def _cancel_unknown(self) -> None:
        self.cancel([self.new_id()])

    def _cancel_at_once(self) -> None:
        """A cancel that overtakes the create's answer, and again, and again."""
        order = self.limit(self.side(), self.rng.uniform(-1, 10))
        if order is not None:
            self.submit(order)
            for _ in range(3):
                self.process.spawn(self._later(order.client_order_id), "cancel later")

    async def _later(self, client_order_id: str) -> None:
        await asyncio.sleep(self.rng.uniform(0, 0.5))
        await self.process.cancel([client_order_id])

    def _huge(self) -> None:
        price = self.near(Side.BUY, self.rng.choice((-2000.0, 1.0)))
        self.submit(self.facts(Side.BUY, Kind.LIMIT, self.size() * 1000, price))

    def _raise(self) -> None:
        if self.rng.random() < 0.2:
            raise StrategyFault("the strategy raised")


KINDS: dict[str, Callable[[Process, str, Random], Agent]] = {
    "walker": Walker,
    "maker": Maker,
    "stops": StopUser,
    "adversary": Adversary,
    "bracketeer": Bracketeer,
}
