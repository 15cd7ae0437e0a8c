"""A small, seeded market as a catalog: for tests, examples and benchmarks where no recording is.

The mid is a random walk in ticks with short trends; the book has the same number of levels on both
sides; trades hit the touch. Equal arguments give equal data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    CryptoPerpetual,
    CurrencyPair,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.currencies import currency

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000  # a book update each 100 ms
LEVELS = 10
PRICE_PRECISION = 1
SIZE_PRECISION = 3
WRITE_ROWS = 200_000

Levels = dict[tuple[OrderSide, int], int]  # (side, price in ticks) -> size in lots


def spot(instrument_id: str, info: dict[str, Any] | None = None, ts: int = START_NS) -> Any:
    """A spot pair `BASE_QUOTE.VENUE` or `BASEQUOTE.VENUE` with 1 and 3 decimals."""
    return _instrument(CurrencyPair, instrument_id, info, ts)


def perpetual(instrument_id: str, info: dict[str, Any] | None = None, ts: int = START_NS) -> Any:
    """A linear perpetual settled in its quote currency."""
    return _instrument(CryptoPerpetual, instrument_id, info, ts)


def _instrument(kind: Any, name: str, info: dict[str, Any] | None, ts: int) -> Any:
    instrument_id = InstrumentId.from_str(name)
    quote = currency(str(instrument_id.symbol).partition("_")[2] or "USDT")
    fields: dict[str, Any] = {
        "instrument_id": instrument_id,
        "raw_symbol": instrument_id.symbol,
        "base_currency": currency("BTC"),
        "quote_currency": quote,
        "price_precision": PRICE_PRECISION,
        "size_precision": SIZE_PRECISION,
        "price_increment": Price.from_str("0.1"),
        "size_increment": Quantity.from_str("0.001"),
        "min_quantity": Quantity.from_str("0.001"),
        "ts_event": ts,
        "ts_init": ts,
        "info": info,
    }
    if kind is CryptoPerpetual:
        fields["settlement_currency"] = quote
        fields["is_inverse"] = False
    return kind(**fields)


class Market:
    """Book updates and trades of one instrument, step by step."""

    def __init__(
        self,
        instrument: Any,
        seed: int,
        start_ns: int = START_NS,
        *,
        step_ns: int = STEP_NS,
        levels: int = LEVELS,
    ) -> None:
        """`levels` of each side; a book update each `step_ns`."""
        self._id = instrument.id
        self._step_ns, self._levels = step_ns, levels
        self._rng = random.Random(seed)  # noqa: S311 - a reproducible market, not a secret
        self._mid = 600_000  # ticks
        self._drift = 0.0
        self._book: Levels = {}
        self._sequence = 0
        self._trades = 0
        self._ts = start_ns

    def snapshot(self) -> list[OrderBookDelta]:
        """CLEAR and all levels."""
        self._book = self._wanted()
        clear = OrderBookDelta.clear(self._id, self._sequence, self._ts, self._ts)
        flag = RecordFlag.F_SNAPSHOT.value
        rows = [(BookAction.ADD, key, size) for key, size in self._book.items()]
        return [clear, *self._deltas(rows, flag)]

    def step(self) -> tuple[list[OrderBookDelta], list[TradeTick]]:
        """The next of the book's times: changes of the book, then what traded."""
        rng = self._rng
        self._ts += self._step_ns
        if rng.random() < 0.02:
            self._drift = rng.uniform(-4, 4)
        self._mid += round(rng.gauss(self._drift, 5))
        wanted = self._wanted()
        rows = [(BookAction.DELETE, key, 0) for key in self._book if key not in wanted]
        for key, size in wanted.items():
            before = self._book.get(key)
            if before != size:
                rows.append((BookAction.ADD if before is None else BookAction.UPDATE, key, size))
        self._book = wanted
        self._sequence += 1
        return self._deltas(rows, 0), list(self._traded())

    def _wanted(self) -> Levels:
        rng, found = self._rng, {}
        for at in range(self._levels):
            found[OrderSide.BUY, self._mid - 1 - at * 5] = rng.randint(1, 3000)
            found[OrderSide.SELL, self._mid + 1 + at * 5] = rng.randint(1, 3000)
        return found

    def _deltas(self, rows: list[Any], flags: int) -> list[OrderBookDelta]:
        found = []
        for at, (action, (side, ticks), size) in enumerate(rows):
            last = RecordFlag.F_LAST.value if at == len(rows) - 1 else 0
            order = BookOrder(
                side,
                Price.from_mantissa_exponent(ticks, -PRICE_PRECISION, PRICE_PRECISION),
                Quantity.from_mantissa_exponent(size, -SIZE_PRECISION, SIZE_PRECISION),
                0,
            )
            found.append(
                OrderBookDelta(
                    self._id, action, order, flags | last, self._sequence, self._ts, self._ts
                )
            )
        return found

    def _traded(self) -> Iterator[TradeTick]:
        rng = self._rng
        for _ in range(rng.randint(0, 3)):
            self._trades += 1
            buying = rng.random() < 0.5 + self._drift / 20
            ticks = self._mid + (1 if buying else -1) * (1 + 5 * rng.randint(0, 1))
            ts = self._ts + 1000 * self._trades % self._step_ns
            yield TradeTick(
                self._id,
                Price.from_mantissa_exponent(ticks, -PRICE_PRECISION, PRICE_PRECISION),
                Quantity.from_mantissa_exponent(
                    rng.randint(1, 4000), -SIZE_PRECISION, SIZE_PRECISION
                ),
                AggressorSide.BUY if buying else AggressorSide.SELL,
                TradeId(str(self._trades)),
                ts,
                ts,
            )


def write_catalog(root: Path, instrument: Any, *, seconds: int, seed: int = 1) -> Path:
    """Write `seconds` of a seeded market into a catalog at `root`; returns `root`."""
    root.mkdir(parents=True, exist_ok=True)
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    market = Market(instrument, seed)
    deltas, trades = market.snapshot(), []
    for _ in range(seconds * 1_000_000_000 // STEP_NS):
        changes, traded = market.step()
        if len(deltas) + len(changes) > WRITE_ROWS:
            catalog.write_order_book_deltas(deltas)
            deltas = []
        deltas += changes
        trades += traded
    catalog.write_order_book_deltas(deltas)
    catalog.write_trade_ticks(sorted(trades, key=lambda one: one.ts_init))
    return root
