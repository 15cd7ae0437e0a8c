"""A screen of many variants on columns: which are worth an exact backtest. No result of any.

A strategy's `screen(bars, config)` gives the position that it wants after each bar, for all bars at
once. What that would have earned is reckoned here, with a step between the two: what is decided at
a bar's close earns from there to the next close. Costs are the venue's taker fee and half the
spread on each change. There is no latency, queue, gate, lot or balance: a screened figure has a
name of its own, ranks variants, and is never a trial's.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.extra import need
from fairlead.engine.research.search import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRICS = ("net", "ratio")
PREFIX = "screened_"  # of every screened figure's name
DAY_NS = 86_400_000_000_000
FAILED_SHOWN = 5
POSITION_MAX = 1e12  # base units
CHECKED = 0.5  # of the bars that the same positions must come of, without the rest


class ScreenBars(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Bars as columns, oldest first, one value a bar, read only.

    `ts` is each bar's close in UNIX nanoseconds (int64); the rest are float64: `open`, `high`,
    `low`, `close` in quote currency and `volume` in base units, of trades; `bid` and `ask` the best
    prices at the close, NaN where none is known. Where nothing was traded there is no bar.
    """

    ts: NDArray[Any]
    open: NDArray[Any]
    high: NDArray[Any]
    low: NDArray[Any]
    close: NDArray[Any]
    volume: NDArray[Any]
    bid: NDArray[Any]
    ask: NDArray[Any]

    def __len__(self) -> int:
        return len(self.ts)

    def first(self, count: int) -> ScreenBars:
        """As if the data ended there."""
        return ScreenBars(**{name: getattr(self, name)[:count] for name in _COLUMNS})


_COLUMNS = ScreenBars.__struct_fields__
Signal = Callable[[ScreenBars, Any], Any]


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Of a change of the position: fractions of its value, by side; `multiplier` is the
    instrument's."""

    buy: float
    sell: float
    multiplier: float = 1.0


class Screened(msgspec.Struct, frozen=True, kw_only=True):
    """What a screen says of one variant; `error`: why nothing."""

    number: int
    values: dict[str, str]
    net: float | None = None  # quote currency
    ratio: float | None = None  # mean / deviation of what the parts of the time brought
    changes: int = 0  # of the position
    error: str | None = None

    def score(self, plan: Plan) -> float | None:
        return self.ratio if plan.metric.partition(".")[0] == "ratio" else self.net


class Screening(msgspec.Struct, frozen=True, kw_only=True):
    """A screen of all of a search's variants, by number, over `span_ns`."""

    variants: tuple[Screened, ...]
    span_ns: tuple[int, int]
    currency: str
    bar: str
    bars: int
    spread: str  # where the half spread is from
    secs: float

    def best(self, plan: Plan) -> list[Screened]:
        """Those that have a score, best first."""
        found = [(one.score(plan), one) for one in self.variants]
        sign = 1.0 if plan.minimize else -1.0
        scored = [(sign * score, one.number, one) for score, one in found if score is not None]
        return [one for *_, one in sorted(scored, key=lambda item: item[:2])]

    def told(self, plan: Plan) -> dict[str, Any]:
        """For JSON and page: each figure by a name that no exact one has."""
        kept = {one.number for one in self.best(plan)[: plan.screen]}
        return {
            "ranked_by": PREFIX + plan.metric.partition(".")[0],
            "variants": len(self.variants),
            "ran_exactly": len(kept),
            "currency": self.currency,
            "bar": self.bar,
            "bars": self.bars,
            "half_spread": self.spread,
            "rows": [
                {
                    "trial": one.number,
                    **{param.name: one.values[param.key] for param in plan.params},
                    f"{PREFIX}net": one.net,
                    f"{PREFIX}ratio": one.ratio,
                    f"{PREFIX}changes": one.changes,
                    "ran_exactly": one.number in kept,
                    "error": one.error,
                }
                for one in self.variants
            ],
        }


def screen_words(told: Mapping[str, Any]) -> Iterator[str]:
    """For a person: which figures are exact, and which are a screen's."""
    failed = [row for row in told["rows"] if row["error"]]
    yield (
        f"{told['variants']} variants screened on {told['bars']:,} bars ({told['bar']}); the best "
        f"{told['ran_exactly']} by {told['ranked_by']} ran exactly"
    )
    yield (
        f"{told['ranked_by']} is no result: no latency, queue, gate or lots; taker fees, half "
        f"spread from {told['half_spread']}. All else is of exact backtests"
    )
    for row in failed[:FAILED_SHOWN]:
        yield f"variant {row['trial']} could not be screened: {row['error']}"
    if len(failed) > FAILED_SHOWN:
        yield f"... and {len(failed) - FAILED_SHOWN} more"


def require_screenable(plan: Plan, kinds: Sequence[str]) -> None:
    """Raises FairleadError SCREEN-SEARCH where a screen can't choose for this search."""
    name = plan.metric.partition(".")[0]
    if plan.kind not in kinds:
        text = f"expected --search {' or '.join(kinds)} with --screen; came {plan.kind}"
    elif name not in METRICS:
        text = f"a screen ranks by --metric {' or '.join(METRICS)}; came {plan.metric}"
    else:
        return
    raise FairleadError("SCREEN-SEARCH", text, int(Exit.USAGE))


def bars_of(
    ts: NDArray[Any], price: NDArray[Any], size: NDArray[Any], step_ns: int, end_ns: int
) -> ScreenBars:
    """Of trades in the order they came: bars of `step_ns` that close on the clock, each that has a
    trade and has closed by `end_ns`, as a backtest builds them. Best prices are NaN.

    Raises FairleadError SCREEN-DATA where there is none.
    """
    np = need("numpy", "a screen")
    base = int(ts[0]) // DAY_NS * DAY_NS if len(ts) else 0
    place = (ts - base) // step_ns
    is_closed = place < (end_ns - base) // step_ns
    place, price, size = place[is_closed], price[is_closed], size[is_closed]
    if not len(place):
        text = "expected bars to screen on; no bar has closed with a trade in it"
        raise FairleadError("SCREEN-DATA", text, int(Exit.NO_DATA))
    begins = np.flatnonzero(np.diff(place, prepend=place[0] - 1))
    nothing = np.full(len(begins), np.nan)
    return _closed(
        ScreenBars(
            ts=base + (place[begins] + 1) * step_ns,
            open=price[begins],
            high=np.maximum.reduceat(price, begins),
            low=np.minimum.reduceat(price, begins),
            close=price[np.append(begins[1:], len(place)) - 1],
            volume=np.add.reduceat(size, begins),
            bid=nothing,
            ask=nothing,
        )
    )


def with_tops(
    bars: ScreenBars, ts: NDArray[Any], bid: NDArray[Any], ask: NDArray[Any]
) -> ScreenBars:
    """With the best prices that were last known at each close."""
    np = need("numpy", "a screen")
    is_known = np.isfinite(bid) & np.isfinite(ask)
    ts, bid, ask = ts[is_known], bid[is_known], ask[is_known]
    at = np.searchsorted(ts, bars.ts, side="right") - 1
    pick = [np.where(at >= 0, side[at], np.nan) if len(ts) else bars.bid for side in (bid, ask)]
    return _closed(msgspec.structs.replace(bars, bid=pick[0], ask=pick[1]))


def _closed(bars: ScreenBars) -> ScreenBars:
    """What a signal writes to would be another's data."""
    for name in _COLUMNS:
        getattr(bars, name).setflags(write=False)
    return bars


def positions_of(signal: Signal, name: str, bars: ScreenBars, config: Any) -> NDArray[Any]:
    """What the signal wants after each bar, as float64 base units.

    It is asked once more without the later bars. Raises FairleadError SCREEN-RAISED,
    SCREEN-POSITIONS, SCREEN-LOOKAHEAD.
    """
    np = need("numpy", "a screen")
    whole = _asked(signal, name, bars, config)
    if not (count := int(len(bars) * CHECKED)):
        return whole
    differ = np.flatnonzero(_asked(signal, name, bars.first(count), config) != whole[:count])
    if len(differ):
        at = int(differ[0])
        raise FairleadError(
            "SCREEN-LOOKAHEAD",
            f"{name}: the position after bar {at} of {len(bars)} is another where the data ends "
            f"after bar {count - 1}; it may hang on bars 0 to {at} alone",
            int(Exit.FAULTED),
        )
    return whole


def _asked(signal: Signal, name: str, bars: ScreenBars, config: Any) -> NDArray[Any]:
    np = need("numpy", "a screen")
    try:
        found = signal(bars, config)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a signal's exit would end the search without a word
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{name} raised {type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        raise FairleadError("SCREEN-RAISED", text, int(Exit.FAULTED)) from error
    expected = f"{name}: expected a numpy array of {len(bars)} numbers below 1e12, one a bar"
    if type(found) is not np.ndarray:  # one with a mask has holes
        came = type(found).__name__
    elif found.shape != (len(bars),):
        came = f"one of shape {found.shape}"
    elif found.dtype.kind not in "fiu":
        came = f"one of dtype {found.dtype}"
    elif not (is_good := np.abs(found) < POSITION_MAX).all():  # no NaN is
        at = int(np.flatnonzero(~is_good)[0])
        came = f"{found[at]} at bar {at}"
    else:
        positions: NDArray[Any] = found.astype(np.float64)
        return positions
    raise FairleadError("SCREEN-POSITIONS", f"{expected}; came {came}", int(Exit.FAULTED))


def earned(bars: ScreenBars, positions: NDArray[Any], costs: Costs) -> NDArray[Any]:
    """Profit and loss after each bar since the first, after costs, in quote currency.

    The position decided at a bar's close earns from the next bar on. Prices are mids where the best
    prices are known, else closes, and then there is no spread.
    """
    np = need("numpy", "a screen")
    is_known = np.isfinite(bars.bid) & np.isfinite(bars.ask)
    price = np.where(is_known, (bars.bid + bars.ask) / 2, bars.close)
    half = np.where(is_known, (bars.ask - bars.bid) / 2, 0.0)
    held = np.concatenate(([0.0], positions[:-1]))
    change = np.diff(positions, prepend=0.0)
    fee = price * np.where(change > 0, costs.buy, costs.sell)
    moved = np.diff(price, prepend=price[0])
    moves = held * moved - np.abs(change) * (half + fee)
    total: NDArray[Any] = np.cumsum(moves) * costs.multiplier
    return total


def scored(
    bars: ScreenBars, positions: NDArray[Any], costs: Costs, span_ns: tuple[int, int], parts: int
) -> tuple[float, float | None, int]:
    """Net, ratio over `parts` equal parts of the time, and how often the position changed."""
    np = need("numpy", "a screen")
    total = earned(bars, positions, costs)
    begin, end = span_ns
    edges = [begin + (end - begin) * part // parts for part in range(1, parts + 1)]
    at = np.searchsorted(bars.ts, np.array(edges, dtype=np.int64), side="right")
    brought = np.diff(np.concatenate(([0.0], total))[at], prepend=0.0)
    deviation = float(brought.std(ddof=1)) if parts > 1 else 0.0
    ratio = float(brought.mean()) / deviation if deviation else None
    changes = int(np.count_nonzero(np.diff(positions, prepend=0.0)))
    return float(total[-1]), ratio, changes
