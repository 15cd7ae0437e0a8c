"""What drives a simulated market: flows of background liquidity and trades.

A flow knows when its next event is due and applies it to the exchange; `MarketDriver` runs the
flows of all markets in time order. Two flows exist: `SeededFlow` here, and `ReplayFlow` in
`replay.py`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from typing import Protocol

import msgspec

from fairlead.adapters.simulation.book import BookSide, Level
from fairlead.adapters.simulation.exchange import Exchange
from fairlead.adapters.simulation.orders import MarketSpec
from fairlead.adapters.simulation.tape import MINUTE_NS, MinuteBar
from fairlead.engine.orders.model import Side

MS = 1_000_000
SECOND_NS = 1_000_000_000
CATCH_UP_NS_MAX = 3600 * SECOND_NS  # a longer jump of the clock skips events, not more


class MarketFlow(Protocol):
    """One market's events. `next_ns` is None when there will be no more."""

    next_ns: int | None

    def start(self, exchange: Exchange, now_ns: int) -> None:
        """Fill the book; the first event is due after `now_ns`."""
        ...

    def step(self, exchange: Exchange) -> None:
        """Apply the event due at `next_ns`, and set the next."""
        ...


class MarketDriver:
    """Runs flows up to the time given, events of all markets in order."""

    def __init__(self, exchange: Exchange, flows: list[MarketFlow], now_ns: int) -> None:
        self.exchange = exchange
        self.flows = flows
        self.paused = False
        self._queue: list[tuple[int, int]] = []  # (due ns, flow number)
        for number, flow in enumerate(flows):
            flow.start(exchange, now_ns)
            self._enqueue(number)

    def advance(self, now_ns: int) -> None:
        """While `paused`, the clock runs on and nothing happens in the markets."""
        while self._queue and self._queue[0][0] <= now_ns:
            due_ns, number = heapq.heappop(self._queue)
            flow = self.flows[number]
            if self.paused or now_ns - due_ns > CATCH_UP_NS_MAX:
                flow.next_ns = now_ns + 1
            else:
                flow.step(self.exchange)
            self._enqueue(number)
        self.exchange.advance(now_ns)

    def move(self, market_id: str, price: Decimal) -> None:
        """The seeded market goes to `price` at once, while paused too. Raises ValueError."""
        for flow in self.flows:
            if isinstance(flow, SeededFlow) and flow.market_id == market_id:
                flow.move(self.exchange, price)
                return
        raise ValueError(f"no seeded market {market_id[:60]}")

    def _enqueue(self, number: int) -> None:
        next_ns = self.flows[number].next_ns
        if next_ns is not None:
            heapq.heappush(self._queue, (next_ns, number))


class SeededFlowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a generated market behaves. Rates are per second, means of a Poisson process.

    `volatility_bps` is the standard deviation of the price over one second. The price is pulled
    back to where it started with a time constant of `reversion_secs`, and drifts by up to
    `trend_bps` per second during spells of `trend_secs` on average.
    """

    book_events_per_sec: float = 20.0
    trades_per_sec: float = 3.0
    levels: int = 30
    grid_bps: float = 0.4  # distance between levels, at least one tick
    half_spread_bps: float = 0.2
    level_funds: float = 8_000.0  # mean value of a level, quote units
    trade_funds: float = 800.0  # mean value of a trade, quote units
    volatility_bps: float = 1.5
    reversion_secs: float = 900.0
    trend_bps: float = 0.3
    trend_secs: float = 60.0
    history_minutes: int = 1440  # bars made up before the start


class SeededFlow:
    """A market from one seed: the same seed gives the same events at the same offsets.

    The latent mid price and sizes are floats of the generator only; what leaves it are whole
    ticks and size steps.
    """

    def __init__(
        self,
        spec: MarketSpec,
        start_price: Decimal,
        rng: Random,
        options: SeededFlowOptions | None = None,
    ) -> None:
        self.next_ns: int | None = None
        self._spec = spec
        self._tick = spec.tick
        self._rng = rng
        self._options = options or SeededFlowOptions()
        self._anchor = float(start_price / spec.tick)  # ticks
        self._mid = self._anchor
        self._grid = max(1, round(self._anchor * self._options.grid_bps / 10_000))
        self._half_spread = max(0.5, self._anchor * self._options.half_spread_bps / 10_000)
        self._drift = 0.0  # ticks per second
        self._spell_ends_ns = 0
        self._last_ns = 0

    @property
    def market_id(self) -> str:
        return self._spec.id

    def start(self, exchange: Exchange, now_ns: int) -> None:
        market = exchange.markets[self._spec.id]
        # A generator of its own: whether somebody looks at the past changes nothing after it.
        rng = Random(self._rng.getrandbits(64))  # noqa: S311 - simulation
        last_price = Decimal(round(self._anchor)) * self._spec.tick
        market.tape.set_past(lambda: self._history(rng, now_ns), last_price)
        self._last_ns = now_ns
        for side in (Side.BUY, Side.SELL):
            for index in range(self._options.levels):
                price = self._level_price(side, index)
                if price > 0:
                    exchange.set_level(self._spec.id, side, price, self._level_size(), now_ns)
        self._schedule()

    def step(self, exchange: Exchange) -> None:
        assert self.next_ns is not None
        now_ns = self.next_ns
        self._move_mid(now_ns)
        self._clear_passed(exchange, now_ns)
        options = self._options
        total = options.book_events_per_sec + options.trades_per_sec
        if self._rng.random() * total < options.trades_per_sec:
            self._trade(exchange, now_ns)
        else:
            self._change_level(exchange, now_ns)
        self._last_ns = now_ns
        self._schedule()

    def move(self, exchange: Exchange, price: Decimal) -> None:
        """From now on the market swings about `price`; its book is whole there, and one trade
        tells it. Raises ValueError."""
        if price <= 0:
            raise ValueError(f"a price above 0 is expected, not {price}")
        self._mid = self._anchor = float(price / self._tick)
        indexes = range(self._options.levels)
        bids = {self._level_price(Side.BUY, index): self._level_size() for index in indexes}
        asks = {self._level_price(Side.SELL, index): self._level_size() for index in indexes}
        now_ns = exchange.now_ns
        exchange.replace_background(self.market_id, bids, asks, now_ns)
        exchange.sweep(self.market_id, Side.BUY, self._spec.size_step, now_ns)

    # -- the parts of a step -----------------------------------------------------------------

    def _schedule(self) -> None:
        rate = self._options.book_events_per_sec + self._options.trades_per_sec
        self.next_ns = self._last_ns + 1 + int(self._rng.expovariate(rate) * SECOND_NS)

    def _move_mid(self, now_ns: int) -> None:
        options, anchor = self._options, self._anchor
        secs = (now_ns - self._last_ns) / SECOND_NS
        if now_ns >= self._spell_ends_ns:
            self._drift = self._rng.choice((-1.0, 0.0, 0.0, 1.0)) * anchor * options.trend_bps / 1e4
            spell_secs = self._rng.expovariate(1 / options.trend_secs)
            self._spell_ends_ns = now_ns + int(spell_secs * SECOND_NS)
        noise = self._rng.gauss(0, anchor * options.volatility_bps / 1e4 * math.sqrt(secs))
        pull = (anchor - self._mid) * min(1.0, secs / options.reversion_secs)
        self._mid = max(anchor * 0.1, self._mid + self._drift * secs + noise + pull)

    def _clear_passed(self, exchange: Exchange, now_ns: int) -> None:
        """The mid moved through levels: half of them trade, half are pulled; far ones go."""
        market_id = self._spec.id
        reach = self._grid * self._options.levels * 2 + self._half_spread
        for side in (Side.BUY, Side.SELL):
            book_side = exchange.markets[market_id].book.side(side)
            sign = 1 if side is Side.BUY else -1
            other = Side.SELL if side is Side.BUY else Side.BUY
            inner = self._level_price(other, 0) - sign * self._tick  # beyond it a level would lock
            outer = Decimal(int(self._mid - sign * reach)) * self._tick
            for level in _beyond(book_side, inner, sign):
                if self._rng.random() < 0.5:
                    aggressor = Side.SELL if side is Side.BUY else Side.BUY
                    exchange.sweep(market_id, aggressor, level.background, now_ns, level.price)
                exchange.set_level(market_id, side, level.price, Decimal(0), now_ns)
            for level in _beyond(book_side.worst_first(), outer, -sign):
                exchange.set_level(market_id, side, level.price, Decimal(0), now_ns)

    def _trade(self, exchange: Exchange, now_ns: int) -> None:
        bias = 0.1 if self._drift > 0 else -0.1 if self._drift < 0 else 0.0
        aggressor = Side.BUY if self._rng.random() < 0.5 + bias else Side.SELL
        funds = self._rng.expovariate(1 / self._options.trade_funds)
        exchange.sweep(self._spec.id, aggressor, self._size(funds), now_ns)

    def _change_level(self, exchange: Exchange, now_ns: int) -> None:
        book = exchange.markets[self._spec.id].book
        levels = self._options.levels
        thin = Side.BUY if len(book.bids) < len(book.asks) else Side.SELL
        side = self._rng.choice((Side.BUY, Side.SELL, thin))
        index = min(levels - 1, int(self._rng.expovariate(1 / 6.0)))
        if self._rng.random() < 0.6:
            index = self._first_gap(book.side(side), index)
        price = self._level_price(side, index)
        if price <= 0:
            return
        size = self._level_size()
        if len(book.side(side)) >= levels and self._rng.random() < 0.5:
            size = Decimal(0)
        exchange.set_level(self._spec.id, side, price, size, now_ns)

    def _first_gap(self, book_side: BookSide, default: int) -> int:
        """The index nearest to the spread where no level is; market makers refill there."""
        for index in range(self._options.levels):
            if book_side.get(self._level_price(book_side.side, index)) is None:
                return index
        return default

    def _level_price(self, side: Side, index: int) -> Decimal:
        if side is Side.BUY:
            ticks = math.floor((self._mid - self._half_spread) / self._grid - index) * self._grid
        else:
            ticks = math.ceil((self._mid + self._half_spread) / self._grid + index) * self._grid
        return ticks * self._tick

    def _level_size(self) -> Decimal:
        return self._size(self._rng.lognormvariate(0, 0.8) * self._options.level_funds)

    def _size(self, funds: float, mid: float | None = None) -> Decimal:
        """Base units worth `funds` at `mid` ticks."""
        steps = funds / ((mid or self._mid) * float(self._spec.tick) * float(self._spec.size_step))
        return max(1, round(steps)) * self._spec.size_step

    def _history(self, rng: Random, now_ns: int) -> list[MinuteBar]:
        """A random walk of minutes that ends at the start price."""
        options, tick = self._options, self._spec.tick
        deviation = self._anchor * options.volatility_bps / 1e4 * math.sqrt(60)
        ts_open = now_ns - now_ns % MINUTE_NS
        close, bars = self._anchor, []
        for _ in range(options.history_minutes):
            ts_open -= MINUTE_NS
            open_ = max(1.0, close + rng.gauss(0, deviation) * 0.5)
            top = max(open_, close) + abs(rng.gauss(0, deviation)) * 0.5
            bottom = max(1.0, min(open_, close) - abs(rng.gauss(0, deviation)) * 0.5)
            count = max(1, round(options.trades_per_sec * 60 * rng.uniform(0.5, 1.5)))
            volume = self._size(options.trade_funds * count, close)
            first, high, low, last = (
                Decimal(round(value)) * tick for value in (open_, top, bottom, close)
            )
            bars.append(MinuteBar(ts_open, first, high, low, last, volume, volume * last, count))
            close = open_
        return bars[::-1]


def _beyond(levels: Iterable[Level], limit: Decimal, sign: int) -> list[Level]:
    """The first levels that lie above `limit` (sign 1) or below it (-1), with background."""
    found = []
    for level in levels:
        if (level.price - limit) * sign <= 0:
            break
        if level.background > 0:
            found.append(level)
    return found
