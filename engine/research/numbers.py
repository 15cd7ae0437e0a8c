"""What a report says in numbers, from a run's tables alone: execution, returns, by time, trades.

Statistics are floats. A mean stands with its standard error (of independent values: what repeats
itself from one to the next is less sure than it says) and the number of values.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import accumulate, pairwise
from statistics import fmean, median, stdev
from typing import Any

from fairlead.engine.research.columns import HORIZONS_SECS, Row

BPS = 10_000
SECOND_NS = 1_000_000_000
BUCKETS_SECS = (86_400, 3_600, 900, 300, 60, 10, 1)  # of returns: the longest of which there are
BUCKETS_LEAST = 30  # so many
SHUFFLES, SHUFFLES_LEAST, SHUFFLED_MAX = 1000, 100, 1_000_000  # orders of trades; trades in all
WHOLE = 1 - 1e-9  # of the least order: what sums of floats may lack of it


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, its standard error, and the number; None where there are too few."""
    return {
        "mean": fmean(values) if values else None,
        "error": stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None,
        "count": len(values),
    }


def quantiles(values: Sequence[float]) -> dict[str, Any]:
    """Median, the 90th and 99th of a hundred, and the number."""
    ordered = sorted(values)

    def at(share: float) -> float | None:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    half = median(ordered) if ordered else None
    return {"median": half, "p90": at(0.9), "p99": at(0.99), "count": len(ordered)}


# -- execution


def execution(orders: Sequence[Row], fills: Sequence[Row]) -> list[dict[str, Any]]:
    """Of each strategy in each instrument."""
    placed, filled = _grouped(orders), _grouped(fills)
    return [
        {"strategy": key[0], "instrument": key[1], **_executed(placed[key], filled[key])}
        for key in sorted(placed)
    ]


def _grouped(rows: Iterable[Row]) -> defaultdict[tuple[str, str], list[Row]]:
    found: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["strategy"], row["instrument"]].append(row)
    return found


def _executed(orders: Sequence[Row], fills: Sequence[Row]) -> dict[str, Any]:
    sent = [row for row in orders if row["status"] != "DENIED"]
    makers = [fill for fill in fills if fill["liquidity"] == "MAKER"]
    takers = [fill for fill in fills if fill["liquidity"] == "TAKER"]
    is_told = len(makers) + len(takers) == len(fills)  # by the venue
    turnover = sum(_value(fill) for fill in fills)  # of one instrument, so of one currency
    waited = [fill["queue_ns"] / 1e6 for fill in makers if fill["queue_ns"] is not None]
    accepted = [
        (row["ts_accepted"] - row["ts_init"]) / 1e6 for row in orders if row.get("ts_accepted")
    ]
    return {
        "orders": len(orders),
        "sent": len(sent),
        "with_fills": sum(float(row["filled"]) > 0 for row in sent),
        "by_status": dict(sorted(Counter(row["status"] for row in orders).items())),
        "fills": len(fills),
        "makers": len(makers) if is_told else None,
        "takers": len(takers) if is_told else None,
        "turnover": turnover,
        "currency": next((fill["quote"] for fill in fills if fill["quote"]), None),
        "maker_share": sum(map(_value, makers)) / turnover if turnover and is_told else None,
        "accepted_ms": quantiles(accepted),
        "queue_ms": quantiles(waited),
        "slippage_bps": spread(_known(_slippage, fills)),
        "mark_outs": {
            side: {f"{secs}s": _mark_outs(some, secs) for secs in HORIZONS_SECS}
            for side, some in (("all", fills), ("maker", makers), ("taker", takers))
        },
    }


def _mark_outs(fills: Sequence[Row], secs: int) -> dict[str, Any]:
    """`unknown`: those at whose time the book was gone, or the run was over."""
    known = _known(partial(mark_out, secs=secs), fills)
    return {**spread(known), "unknown": len(fills) - len(known)}


def _known(of: Callable[[Row], float | None], fills: Iterable[Row]) -> list[float]:
    return [value for fill in fills if (value := of(fill)) is not None]


def _value(fill: Row) -> float:
    return float(fill["value"] or 0)


def _sign(fill: Row) -> int:
    return 1 if fill["side"] == "BUY" else -1


def mark_out(fill: Row, secs: int) -> float | None:
    """How far the mid was from the price paid so long after, in bps: positive is a gain."""
    mid = fill[f"mid_{secs}s"]
    price = float(fill["price"])
    return None if mid is None else _sign(fill) * (float(mid) - price) / price * BPS


def _slippage(fill: Row) -> float | None:
    """How much worse than the mid at the decision the price was, in bps: positive is a cost."""
    mid = fill["mid_decided"]
    return None if mid is None else _sign(fill) * (float(fill["price"]) / float(mid) - 1) * BPS


# -- equity and returns


def worth(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of each venue and currency: start, end, drawdown, holding, and returns."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["venue"], row["currency"]].append(row)
    found = []
    for (venue, currency), mine in groups.items():
        # The first look is after the first fills of its second: what was there before is its start
        start = float(mine[0]["equity"]) - float(mine[0]["pnl"]) - _crossed(mine[0])
        equity = [start, *(float(row["equity"]) for row in mine)]
        drop, share = drawdown(equity)
        found.append(
            {
                "venue": venue,
                "currency": currency,
                "start": start,
                "end": equity[-1],
                "pnl": float(mine[-1]["pnl"]),
                "crossed": _crossed(mine[-1]),
                "kept": float(mine[-1]["kept"]) - float(mine[0]["kept"]),
                "held": float(mine[-1]["held"]) - float(mine[0]["held"]),
                "looks_secs": _step_secs(mine),
                "drawdown": drop,
                "drawdown_share": share,
                "pnl_drawdown": drawdown([0.0, *(float(row["pnl"]) for row in mine)])[0],
                "returns": returns(mine),
            }
        )
    return found


def _crossed(row: Row) -> float:
    """A run of an earlier version told none."""
    return float(row.get("crossed") or 0)


def _step_secs(rows: Sequence[Row]) -> float | None:
    """How far apart it was looked at: a fall between two looks that is made good is in neither."""
    steps = [after["ts"] - before["ts"] for before, after in pairwise(rows)]
    return median(steps) / SECOND_NS if steps else None


def drawdown(equity: Iterable[float]) -> tuple[float, float | None]:
    """The deepest fall from a peak: as an amount, and as a share of the peak of the deepest."""
    peak, deepest, share = -math.inf, 0.0, None
    for value in equity:
        peak = max(peak, value)
        if peak - value > deepest:
            deepest = peak - value
            share = deepest / peak if peak > 0 else None
    return deepest, share


def returns(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Changes of equity by equal times, in bps of it; None where there are too few.

    The ratio is mean / deviation of one of these times, with its standard error (Lo, 2002, for
    independent ones): what is not some of them away from 0 may be luck.
    """
    span = (rows[-1]["ts"] - rows[0]["ts"]) / SECOND_NS
    secs = next((one for one in BUCKETS_SECS if span / one >= BUCKETS_LEAST), None)
    if secs is None:
        return None
    values = by_time(rows, "equity", secs)
    moves = [(after - before) / before * BPS for before, after in pairwise(values) if before > 0]
    if len(moves) < BUCKETS_LEAST // 2:
        return None
    deviation = stdev(moves)
    ratio = fmean(moves) / deviation if deviation else None
    error = None if ratio is None else math.sqrt((1 + ratio * ratio / 2) / len(moves))
    return {
        "secs": secs,
        "bps": spread(moves),
        "deviation_bps": deviation,
        "ratio": ratio,
        "ratio_error": error,
        "worst_bps": min(moves),
        "best_bps": max(moves),
    }


def by_time(rows: Sequence[Row], column: str, secs: int) -> list[float]:
    """The last value of each of the equal times that are over, from the first row on.

    What is left at the end is shorter than the others, and left out: it is no change like theirs.
    """
    step, found = secs * SECOND_NS, [float(rows[0][column])]
    due, last = rows[0]["ts"] + step, found[0]
    for row in rows:
        while row["ts"] > due:
            found.append(last)
            due += step
        last = float(row[column])
    return [*found, last] if rows[-1]["ts"] == due else found


# -- by time and strategy


def by_hour(equity: Sequence[Row], fills: Sequence[Row]) -> list[dict[str, Any]]:
    return _by(equity, fills, "%Y-%m-%d %H:00")


def by_day(equity: Sequence[Row], fills: Sequence[Row]) -> list[dict[str, Any]]:
    return _by(equity, fills, "%Y-%m-%d")


def _by(equity: Sequence[Row], fills: Sequence[Row], form: str) -> list[dict[str, Any]]:
    """PnL and value traded of each currency, number of fills; times are UTC."""
    pnl: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    before: dict[tuple[str, str], float] = {}
    for row in equity:
        key, now = (row["venue"], row["currency"]), float(row["pnl"])
        pnl[_label(row["ts"], form)][row["currency"]] += now - before.get(key, 0.0)
        before[key] = now
    count: Counter[str] = Counter()
    value: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for fill in fills:
        label = _label(fill["ts_event"], form)
        count[label] += 1
        if fill["quote"] is not None:
            value[label][fill["quote"]] += _value(fill)
    return [
        {
            "time": time,
            "pnl": pnl.get(time, {}),
            "fills": count[time],
            "turnover": dict(sorted(value[time].items())),
        }
        for time in sorted({*pnl, *count})
    ]


def _label(ts: int, form: str) -> str:
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).strftime(form)


# -- trades


def trades(fills: Sequence[Row]) -> list[dict[str, Any]]:
    """From flat to flat, of each strategy in each instrument, by rows of `fills` or of `parts`; a
    fill that turns a position ends one and begins another; `opened` is None of what the run began
    with. PnL is in quote currency, after fees; what is left when it is flat (`least`) counts at
    the last price, and a fill that closes no more than this begins none (as `RoundTrips`)."""
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    rest: defaultdict[tuple[str, str], float] = defaultdict(float)  # what trades have left
    found = []
    for fill in fills:
        if fill["moved"] is None:
            continue
        if fill["ts_event"] is None and _is_flat(float(fill["moved"]), fill):
            continue
        key, left = (fill["strategy"], fill["instrument"]), 1.0
        moved, cash = float(fill["moved"]), float(fill["cash"])
        trade = begun.get(key)
        if trade is not None and trade["position"] * moved < 0 and abs(moved) > 0:
            left = _beyond(trade["position"], moved, fill)
            _add(trade, fill, moved * (1.0 - left), cash * (1.0 - left))
        elif trade is not None:
            left = 0.0
            _add(trade, fill, moved, cash)
        elif rest[key] * moved < 0:
            left = _beyond(rest[key], moved, fill)
            rest[key] += moved * (1.0 - left)
        if trade is not None and _is_over(trade, fill):
            rest[key] += trade["position"]
            trade["pnl"] += trade.pop("position") * _unit(fill)
            found.append(begun.pop(key))
        if left and moved:
            begun[key] = _begin(fill)
            _add(begun[key], fill, moved * left, cash * left)
    return found


def _beyond(held: float, moved: float, fill: Row) -> float:
    """The share of a fill that goes beyond closing what is held: 0 where it is flat."""
    left = 1.0 - min(1.0, -held / moved)
    return 0.0 if _is_flat(moved * left, fill) else left


def _is_over(trade: dict[str, Any], fill: Row) -> bool:
    """Not before there was more than what is flat: an order's first execution may be as small."""
    held = trade["position"]
    return _is_flat(held, fill) and (not held or not _is_flat(trade["largest"], fill))


def _is_flat(quantity: float, fill: Row) -> bool:
    """As `InstrumentFacts.is_flat`. A run of an earlier version kept no `least`: one increment,
    which is told by the digits of what was executed."""
    least = fill.get("least")
    if least is None:
        least = Decimal(1).scaleb(int(Decimal(fill["quantity"]).as_tuple().exponent))
    return abs(quantity) < float(least) * WHOLE


def _unit(fill: Row) -> float:
    """What moving one base unit brings, at this fill's price: an inverse contract that is bought
    brings what it is worth, any other costs it."""
    worth = float(Decimal(fill["value"]) / Decimal(fill["quantity"]))
    cash = float(fill["cash"])
    if fill.get("fee_currency") == fill["quote"]:
        cash += float(fill["fee"] or 0)
    is_inverse = (cash > 0) == (fill["side"] == "BUY")
    return -worth if is_inverse else worth


def _begin(fill: Row) -> dict[str, Any]:
    return {
        "strategy": fill["strategy"],
        "instrument": fill["instrument"],
        "currency": fill["quote"],
        "side": "long" if fill["side"] == "BUY" else "short",
        "opened": fill["ts_event"],
        "closed": 0,
        "largest": 0.0,
        "pnl": 0.0,
        "fills": 0,
        "position": 0.0,
    }


def _add(trade: dict[str, Any], fill: Row, moved: float, cash: float) -> None:
    trade["position"] += moved
    trade["pnl"] += cash
    trade["largest"] = max(trade["largest"], abs(trade["position"]))
    trade["fills"] += fill.get("is_fill", True)
    trade["closed"] = fill["ts_event"]


def of_trades(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each currency, as PnL of one is not to be added to that of another: that of its trades
    with its standard error, the share that gained, gains over losses, durations."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        groups[one["currency"]].append(one)
    return {currency: _of_currency(groups[currency]) for currency in sorted(groups)}


def _of_currency(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    gains = [one["pnl"] for one in found if one["pnl"] > 0]
    losses = [one["pnl"] for one in found if one["pnl"] < 0]
    return {
        "pnl": spread([one["pnl"] for one in found]),
        "won": len(gains) / len(found),
        "gain": fmean(gains) if gains else None,
        "loss": fmean(losses) if losses else None,
        "profit_factor": sum(gains) / -sum(losses) if losses else None,
        "secs": quantiles(
            [(one["closed"] - one["opened"]) / SECOND_NS for one in found if one["opened"]]
        ),
        "shuffled": shuffled([one["pnl"] for one in found]),
    }


def shuffled(pnl: Sequence[float]) -> dict[str, Any] | None:
    """The same trades in other orders, each as likely: how deep the fall under the best would have
    been, half of the times and in the worst of twenty; and drawn anew, with repeats: how often they
    lose in sum. From a seed, so always the same; None: fewer than two.
    """
    if len(pnl) < 2:
        return None
    rng, mixed = random.Random(len(pnl)), list(pnl)  # noqa: S311 - a figure that can be repeated
    times = max(SHUFFLES_LEAST, min(SHUFFLES, SHUFFLED_MAX // len(pnl)))
    falls, losses = [], 0
    for _ in range(times):
        rng.shuffle(mixed)
        falls.append(drawdown(accumulate(mixed, initial=0.0))[0])
        losses += sum(rng.choices(pnl, k=len(pnl))) < 0
    falls.sort()
    return {
        "times": times,
        "fall": drawdown(accumulate(pnl, initial=0.0))[0],
        "fall_median": median(falls),
        "fall_p95": falls[min(times - 1, int(0.95 * times))],
        "loses": losses / times,
    }
