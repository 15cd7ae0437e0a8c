"""Look-ahead: whether a strategy does the same on data that ends earlier.

Each time the data is cut, a catalog is made that has nothing later, so that what a strategy reads
of it by itself is cut too (a parameter that names the catalog's folder names the cut one). What
comes of the orders until then has to be what it is on all of the data.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.recording.catalog import utc
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.backtest_data import NAMES, Selection, select
from fairlead.engine.run.config import load

CUTS = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
# At its end a strategy may close what it has, and a gap that ends the data is none of the market's
MARGIN_NS = 1_000_000_000
WINDOW_NS = 60_000_000_000  # of rows that are copied at once
WRITERS = {
    NautilusDataType.OrderBookDelta: "write_order_book_deltas",
    NautilusDataType.OrderBookDepth: "write_order_book_depths",
    NautilusDataType.QuoteTick: "write_quote_ticks",
    NautilusDataType.TradeTick: "write_trade_ticks",
    NautilusDataType.InstrumentStatus: "write_instrument_statuses",
    NautilusDataType.MarkPriceUpdate: "write_mark_price_updates",
    NautilusDataType.IndexPriceUpdate: "write_index_price_updates",
}
TOLD = ("order_side", "order_type", "quantity", "price", "trigger_price", "last_qty", "last_px")
Progress = Callable[[str], None]
Line = tuple[int, str]  # when, and what


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One cut: what was compared, and the first difference (None: there is none)."""

    cut_ns: int
    events: int
    difference: str | None = None

    @property
    def words(self) -> str:
        at = f"data until {utc(self.cut_ns)}"
        if self.difference is None:
            return f"{at}: the same {self.events} events of orders"
        return f"{at}: {self.difference}"


class Lookahead(msgspec.Struct, frozen=True, kw_only=True):
    """`repeats`: what differs between two runs on the same data; nothing can be said then."""

    repeats: str | None
    cuts: tuple[Looked, ...]
    left_out: tuple[str, ...]  # kinds of data that can't be copied

    @property
    def is_ok(self) -> bool:
        return self.repeats is None and all(one.difference is None for one in self.cuts)


def look(loaded: LoadedConfig, told: Progress = lambda _: None) -> Lookahead:
    """Two backtests of all the data, and one of each cut. Raises FairleadError as those do."""
    root = loaded.resolve(loaded.config.backtest.catalog)
    selection = select(loaded.config, root)
    told("all of the data")
    whole = _events(loaded)
    told("all of the data, again")
    if (differs := _difference(whole, _events(loaded), "the first time", "again")) is not None:
        return Lookahead(repeats=differs, cuts=(), left_out=())
    begin, end = selection.range_ns
    found, left_out = [], set()
    for part in CUTS:
        cut = begin + int((end - begin) * part)
        told(f"the data until {utc(cut)}")
        with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
            left_out |= copy_until(selection, cut, Path(scratch))
            some = _events(_of_the_copy(loaded, root, Path(scratch)))
        until = cut - MARGIN_NS
        before, after = (_until(lines, until) for lines in (whole, some))
        differs = _difference(before, after, "with all of the data", "with no later data")
        found.append(Looked(cut_ns=cut, events=len(before), difference=differs))
    return Lookahead(repeats=None, cuts=tuple(found), left_out=tuple(sorted(left_out)))


def _of_the_copy(loaded: LoadedConfig, root: Path, copy: Path) -> LoadedConfig:
    """The config on the cut catalog, parameters that name the whole one too."""
    changes: dict[str, Any] = {"backtest.catalog": str(copy)}
    for at, strategy in enumerate(loaded.config.strategies):
        for name, value in strategy.params.items():
            if isinstance(value, str) and _names(loaded, value, root):
                changes[f"strategies[{at}].params.{name}"] = str(copy)
    return load(loaded.path, {**loaded.changes, **changes})


def _names(loaded: LoadedConfig, text: str, root: Path) -> bool:
    try:
        return root in (Path(text).resolve(), loaded.resolve(text))
    except (OSError, ValueError, RuntimeError):
        return False


def copy_until(selection: Selection, cut: int, target: Path) -> set[str]:
    """Everything of the selection's catalog until `cut`; gives the kinds that can't be written."""
    source, copy = ParquetDataCatalog(str(selection.catalog)), ParquetDataCatalog(str(target))
    left_out = set()
    for one in selection.sources:
        copy.write_instruments(list(source.instruments([one.id])))
        for kind in one.types:
            if (name := WRITERS.get(kind)) is None:
                left_out.add(NAMES[kind])
                continue
            for rows in _windows(source, kind, one.id, cut):
                getattr(copy, name)(rows)
    return left_out


def _windows(
    catalog: ParquetDataCatalog, kind: Any, name: str, cut: int
) -> Iterator[Sequence[Any]]:
    spans = catalog.get_intervals(kind, name)
    begin = min((first for first, _ in spans), default=cut + 1)
    last = min(max((end for _, end in spans), default=cut), cut)
    while begin <= last:
        end = min(begin + WINDOW_NS - 1, last)
        if rows := catalog.query(kind, [name], start=begin, end=end):
            yield rows
        begin = end + 1


def _events(loaded: LoadedConfig) -> list[Line]:
    """What happened to the orders of a run, in the order of time."""
    result = run_backtest(loaded, marks=False)
    try:
        return sorted(_lines(result.cache.orders()))
    finally:
        result.dispose()


def _lines(orders: Iterable[Any]) -> Iterator[Line]:
    for order in orders:
        whose = f"{order.strategy_id} {order.instrument_id}"
        for event in order.events():
            parts = [f"{getattr(event, name)}" for name in TOLD if hasattr(event, name)]
            yield event.ts_event, " ".join((whose, type(event).__name__, *parts))


def _until(lines: Iterable[Line], until: int) -> list[Line]:
    return [line for line in lines if line[0] < until]


def _difference(one: Sequence[Line], other: Sequence[Line], a: str, b: str) -> str | None:
    for mine, theirs in zip_longest(one, other):
        if mine != theirs:
            return f"{a} {_words(mine)}; {b} {_words(theirs)}"
    return None


def _words(line: Line | None) -> str:
    return "nothing more" if line is None else f"{utc(line[0])} {line[1]}"
