"""Seeded markets as lines of a Binance raw stream file: small, and full of what goes wrong.

A true book moves by orders of others. Trades are told at once, the book only every 100 ms, so that
trades run through levels that still seem to stand. Sizes repeat, updates are lost and a snapshot
comes later, the feed is silent for seconds, and things come in the same nanosecond.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

BEGIN_MS = 1_800_000_000_000
MS_NS = 1_000_000
FLUSH_MS = 100
SIZES = (1, 2, 2, 5, 5, 5, 10, 20)  # tenths of a base unit
DEPTH = 60  # levels of a side: a snapshot has more than are ever needed for a whole book
SWEPT = 6  # most levels that one order takes
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")


class Truth:
    """The book of one symbol as it really is; prices in ticks of 0.01, sizes in tenths."""

    def __init__(self, rng: random.Random, symbol: str, first_id: int) -> None:
        self.rng, self.symbol, self.id = rng, symbol, first_id
        self.flushed = first_id
        self.trades = 0
        self.has_quotes = rng.random() < 0.4
        self.loses = rng.random() < 0.4
        middle = rng.randrange(2_000, 20_000)
        self.bids = {middle - 1 - at: rng.choice(SIZES) for at in range(DEPTH)}
        self.asks = {middle + 1 + at: rng.choice(SIZES) for at in range(DEPTH)}
        self.changed: set[tuple[str, int]] = set()
        self.top = self._top()
        self.lost_ms: float | None = None  # when an update was lost that no snapshot made good

    def _top(self) -> tuple[int, int, int, int]:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]

    def _set(self, side: str, price: int, size: int) -> None:
        levels = self.bids if side == "b" else self.asks
        if size:
            levels[price] = size
        else:
            levels.pop(price, None)
        self.changed.add((side, price))
        self.id += 1

    # -- what others do ----------------------------------------------------------------------

    def step(self, ms: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """One thing that happens, and what is told of it at once: (ms, message)."""
        does = self.rng.random()
        if does < 0.40:
            yield from self._take(ms)
        elif does < 0.85:
            self._rest()
        else:
            self._withdraw()
        self._refill()
        if self.has_quotes and self._top() != self.top:
            self.top = self._top()
            yield ms, self._quote()

    def _take(self, ms: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """A taker, now and then one that sweeps: one trade a level."""
        rng = self.rng
        is_buy = rng.random() < 0.5
        left = rng.choice(SIZES) * (rng.choice((3, 6, 10)) if rng.random() < 0.2 else 1)
        levels = self.asks if is_buy else self.bids
        for price in sorted(levels, reverse=not is_buy)[:SWEPT]:
            size = min(left, levels[price])
            left -= size
            self._set("a" if is_buy else "b", price, levels[price] - size)
            self.trades += 1
            yield ms, self._trade(ms, price, size, is_buy=is_buy)
            if not left:
                return

    def _rest(self) -> None:
        rng = self.rng
        side = rng.choice("ba")
        bid, ask = max(self.bids), min(self.asks)
        inside = rng.randrange(1, ask - bid) if ask - bid > 1 else 0
        away = rng.choice((inside, inside, 0, 0, -1, -2, -3))
        price = bid + away if side == "b" else ask - away
        self._set(side, price, rng.choice(SIZES))

    def _withdraw(self) -> None:
        side = self.rng.choice("ba")
        levels = self.bids if side == "b" else self.asks
        near = sorted(levels, reverse=side == "b")[:4]
        self._set(side, self.rng.choice(near), 0)

    def _refill(self) -> None:
        """Far levels, so that there are always DEPTH of them."""
        for side, levels, away in (("b", self.bids, -1), ("a", self.asks, 1)):
            if not levels:
                other = min(self.asks) if side == "b" else max(self.bids)
                self._set(side, other + 4 * away, self.rng.choice(SIZES))
            while len(levels) < DEPTH:
                far = (min if side == "b" else max)(levels)
                self._set(side, far + away * self.rng.choice((1, 1, 2)), self.rng.choice(SIZES))

    # -- what is told ------------------------------------------------------------------------

    def depth(self, ms: float) -> dict[str, Any] | None:
        """The levels that changed since the last time, or None where the message is lost."""
        if not self.changed:
            return None
        data = {"e": "depthUpdate", "E": int(BEGIN_MS + ms), "s": self.symbol}
        data |= {"U": self.flushed + 1, "u": self.id, "b": [], "a": []}
        for side, price in sorted(self.changed):
            size = (self.bids if side == "b" else self.asks).get(price, 0)
            data[side].append([_price(price), _size(size)])
        self.changed.clear()
        self.flushed = self.id
        if self.loses and self.lost_ms is None and self.rng.random() < 0.02:
            self.lost_ms = ms
            return None
        return {"stream": f"{self.symbol.lower()}@depth@100ms", "data": data}

    def snapshot(self) -> dict[str, Any]:
        self.lost_ms = None
        sides = (("bids", self.bids), ("asks", self.asks))
        levels = {n: [[_price(p), _size(s)] for p, s in side.items()] for n, side in sides}
        return {"lastUpdateId": self.id, **levels}

    def _trade(self, ms: float, price: int, size: int, *, is_buy: bool) -> dict[str, Any]:
        data = {"e": "trade", "E": int(BEGIN_MS + ms), "s": self.symbol, "t": self.trades}
        data |= {"p": _price(price), "q": _size(size), "T": int(BEGIN_MS + ms), "m": not is_buy}
        return {"stream": f"{self.symbol.lower()}@trade", "data": data}

    def _quote(self) -> dict[str, Any]:
        bid, bid_size, ask, ask_size = self.top
        data = {"u": self.id, "s": self.symbol, "b": _price(bid), "B": _size(bid_size)}
        data |= {"a": _price(ask), "A": _size(ask_size)}
        return {"stream": f"{self.symbol.lower()}@bookTicker", "data": data}


def _price(ticks: int) -> str:
    return f"{ticks // 100}.{ticks % 100:02d}"


def _size(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"


def lines(seed: int, steps: int = 400) -> list[bytes]:
    """The lines of market `seed`, in the order of their local times; one to three symbols."""
    rng = random.Random(f"market {seed}")
    symbols = SYMBOLS[: rng.choice((1, 1, 1, 2, 3))]
    told: list[tuple[int, int, dict[str, Any]]] = []
    for at, symbol in enumerate(symbols):
        told += [
            (ns, len(told) + number, message)
            for number, (ns, message) in enumerate(_told(rng, symbol, at, steps))
        ]
    told.sort(key=lambda one: one[:2])
    return [b"%d %s" % (ns, json.dumps(message).encode()) for ns, _, message in told]


def _told(
    rng: random.Random, symbol: str, at: int, steps: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    truth = Truth(rng, symbol, (at + 1) * 10_000_000)
    pace_ms = rng.choice((10, 30, 60))
    last = 0
    ms, flush_ms = rng.random() * 50, float(FLUSH_MS)

    def stamped(at_ms: float) -> int:
        """Local time: a little later, never back, and now and then the same as before."""
        nonlocal last
        ns = int((BEGIN_MS + at_ms + rng.uniform(0.5, 2)) * MS_NS)
        last = last if last and rng.random() < 0.05 else max(ns, last + 1)
        return last

    yield stamped(0), truth.snapshot()
    for _ in range(steps):
        ms += rng.expovariate(1 / pace_ms)
        if rng.random() < 0.004:
            ms += rng.uniform(2_000, 15_000)
        while flush_ms <= ms:
            message = truth.depth(flush_ms)
            if message is not None:
                yield stamped(flush_ms), message
            if truth.lost_ms is not None and flush_ms - truth.lost_ms > 700:
                yield stamped(flush_ms), truth.snapshot()
            flush_ms = max(flush_ms + FLUSH_MS, ms // FLUSH_MS * FLUSH_MS)
        for at_ms, message in truth.step(ms):
            yield stamped(at_ms), message
