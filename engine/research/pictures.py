"""The report's charts, as plain figures of plotly: traces and layout, no import of it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from fairlead.engine.research.columns import HORIZONS_SECS, Row
from fairlead.engine.research.runs import Run

ORDERS_MAX = 3000  # drawn as lines, the newest; all fills are drawn
BLUE, GREY, ORANGE, RED, GREEN = "#2457c5", "#8a94a6", "#c77700", "#c6373c", "#14805e"
GRID = "#e6e9ef"
EXACT = ",.9~g"  # of an axis: thousands parted, and no "99.999k"
Figure = dict[str, Any]


def figure(traces: list[Any], height: int, **layout: Any) -> Figure:
    axis = {"gridcolor": GRID, "zerolinecolor": "#c4cad4", "automargin": True}
    base: Figure = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
        "font": {"family": "inherit", "size": 12, "color": "#1d2433"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "x unified",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#b4bcc9", "activecolor": BLUE},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }
    for name, value in layout.items():
        base[name] = {**axis, **value} if name[1:].startswith("axis") else value
    return {"data": traces, "layout": base}


def time_of(ts: int) -> str:
    """As plotly reads it, UTC to the microsecond."""
    whole, rest = divmod(ts, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%d %H:%M:%S}.{rest // 1000:06d}"


def _line(
    name: str, xs: Sequence[Any], ys: Sequence[Any], color: str, width: float = 1.6, **more: Any
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": xs,
        "y": ys,
        "line": {"color": color, "width": width, **more.pop("line", {})},
        **more,
    }


def pnl(run: Run, other: Run, venue: str, currency: str) -> Figure:
    """Of two runs, by their fills alone: their accounts may have begun with other balances."""
    traces = []
    for one, name, color in ((run, "this run", BLUE), (other, "the other", GREEN)):
        rows = _of(one, venue, currency)
        breaks = _breaks(one, venue, rows)
        xs = _broken([time_of(row["ts"]) for row in rows], breaks)
        traces.append(_line(name, xs, _broken([float(row["pnl"]) for row in rows], breaks), color))
    return figure(traces, 300, yaxis={"title": {"text": currency}, "tickformat": EXACT})


def equity(run: Run, venue: str, currency: str) -> Figure:
    """What the account was worth, beside holding; below it how far under its peak it was."""
    rows = _of(run, venue, currency)
    worth = [float(row["equity"]) for row in rows]
    breaks = _breaks(run, venue, rows)
    xs = _broken([time_of(row["ts"]) for row in rows], breaks)
    traces = [_line("equity", xs, _broken(worth, breaks), BLUE)]
    for name, label, dash in (("kept", "as it began, left alone", "dot"), ("held", "held", "dash")):
        ys = [float(row[name]) for row in rows]
        if name == "held" or ys != [ys[0]] * len(ys):
            color = GREY if name == "kept" else ORANGE
            line = {"dash": dash}
            shown = True if name == "kept" or _near(ys, worth) else "legendonly"
            traces.append(
                _line(label, xs, _broken(ys, breaks), color, 1.3, line=line, visible=shown)
            )
    under = _broken(_under(worth), breaks)
    traces.append(
        _line("drawdown", xs, under, RED, 1, yaxis="y2", fill="tozeroy", showlegend=False)
    )
    return figure(
        traces,
        420,
        yaxis={"domain": [0.3, 1], "title": {"text": currency}, "tickformat": EXACT},
        yaxis2={"domain": [0, 0.24], "title": {"text": "drawdown"}},
        xaxis={"anchor": "y2"},
    )


def _breaks(run: Run, venue: str, rows: Sequence[Row]) -> set[int]:
    """Rows after which nothing is known for a while: an instrument's book was gone until it had a
    price again, or until the end, and no other's price made a row meanwhile."""
    begun: dict[str, int] = {}
    spans: list[tuple[int, int]] = []
    times = [row["ts"] for row in rows]
    for mark in run.rows("marks"):
        name = mark["instrument"]
        if name.rpartition(".")[2] != venue:
            continue
        if mark["bid"] is None:
            begun[name] = mark["ts"]
        elif (begin := begun.pop(name, None)) is not None:
            spans.append((begin, mark["ts"]))
    spans += [(begin, times[-1]) for begin in begun.values() if times]
    places = [(bisect_right(times, begin) - 1, end) for begin, end in spans]
    return {at for at, end in places if 0 <= at < len(times) - 1 and times[at + 1] >= end}


def _broken(values: Iterable[Any], breaks: Container[int]) -> list[Any]:
    """With nothing after each of these places: a line ends there, and another begins."""
    found: list[Any] = []
    for at, value in enumerate(values):
        found += [value, None] if at in breaks else [value]
    return found


def _near(ys: Sequence[float], worth: Sequence[float]) -> bool:
    """Whether both fit one scale: a line that makes the other flat is drawn on demand."""
    moved = max(worth) - min(worth)
    return max(ys) - min(ys) <= 20 * moved if moved else False


def _of(run: Run, venue: str, currency: str) -> list[Row]:
    return [
        row for row in run.rows("equity") if (row["venue"], row["currency"]) == (venue, currency)
    ]


def _under(values: Iterable[float]) -> list[float]:
    peak, found = float("-inf"), []
    for value in values:
        peak = max(peak, value)
        found.append(value - peak)
    return found


def price(run: Run, instrument: str) -> Figure:
    """Best bid and ask, every fill, and the orders: their limits and triggers while they stood."""
    marks = [row for row in run.rows("marks") if row["instrument"] == instrument]
    orders = [row for row in run.rows("orders") if row["instrument"] == instrument]
    fills = [row for row in run.rows("fills") if row["instrument"] == instrument]
    traces = [_band(marks)]
    newest = [row for row in orders if row["status"] != "DENIED"][-ORDERS_MAX:]
    end = run.manifest.end_ns
    for column, dash, label in (
        ("price", "solid", "orders"),
        ("trigger_price", "dot", "triggers"),
    ):
        for side, color in (("BUY", GREEN), ("SELL", RED)):
            x, y = _segments((row for row in newest if row["side"] == side), column, end)
            if x:
                name = f"{side.lower()} {label}"
                line = {"dash": dash}
                traces.append(
                    _line(name, x, y, color, 1, line=line, opacity=0.45, hoverinfo="skip")
                )
    traces += [_fills(fills, side) for side in ("BUY", "SELL")]
    form = {"tickformat": EXACT}
    more = {"dragmode": "zoom", "xaxis": _range(marks), "yaxis": form}
    return figure(traces, 460, hovermode="closest", **more)


def _band(marks: Iterable[Row]) -> Figure:
    """From bid to ask, a shape for each stretch in which there was a book."""
    xs: list[Any] = []
    ys: list[Any] = []
    for is_known, rows in groupby(marks, key=lambda row: row["bid"] is not None):
        if is_known:
            stretch = list(rows)
            times = [time_of(row["ts"]) for row in stretch]
            xs += [*times, *reversed(times), None]
            ys += [float(row["bid"]) for row in stretch]
            ys += [*(float(row["ask"]) for row in reversed(stretch)), None]
    fill = {"fill": "toself", "fillcolor": "rgba(127,142,168,.18)"}
    return _line("bid to ask", xs, ys, "#7f8ea8", 1, hoverinfo="skip", **fill)


def _range(marks: Sequence[Row]) -> Figure:
    if not marks:
        return {}
    return {"range": [time_of(marks[0]["ts"]), time_of(marks[-1]["ts"])]}


def _segments(orders: Iterable[Row], column: str, end: int) -> tuple[list[Any], list[Any]]:
    """A line from an order's begin to its end at each price that it had, with breaks between."""
    xs: list[Any] = []
    ys: list[Any] = []
    for row in orders:
        steps = [(one["ts_event"], one[column]) for one in row.get("changes") or ()]
        steps = steps or [(row["ts_accepted"] or row["ts_init"], row[column])]
        last = row["ts_last"] or end
        is_open = row["status"] in ("ACCEPTED", "PARTIALLY_FILLED", "TRIGGERED")
        ends = [*(ts for ts, _ in steps[1:]), end if is_open else last]
        for (ts, value), until in zip(steps, ends, strict=True):
            if value is not None:
                xs += [time_of(ts), time_of(max(ts, until)), None]
                ys += [float(value), float(value), None]
    return xs, ys


def _fills(fills: Sequence[Row], side: str) -> Figure:
    mine = [fill for fill in fills if fill["side"] == side]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{'bought' if side == 'BUY' else 'sold'} ({len(mine)})",
        "x": [time_of(fill["ts_event"]) for fill in mine],
        "y": [float(fill["price"]) for fill in mine],
        "text": [
            f"{fill['strategy']}: {side} {fill['quantity']} @ {fill['price']}<br>"
            f"{fill['kind']}, {fill['liquidity'].lower()}"
            for fill in mine
        ],
        "hoverinfo": "text+x",
        "marker": {
            "symbol": "triangle-up" if side == "BUY" else "triangle-down",
            "size": 10,
            "color": GREEN if side == "BUY" else RED,
            "line": {"color": "#fff", "width": 1},
        },
    }


def mark_outs(execution: Sequence[Any]) -> Figure:
    """Mean gain against the mid after each fill, with its standard error."""
    traces = []
    labels = [f"{secs} s" for secs in HORIZONS_SECS]
    for side, color in (("maker", BLUE), ("taker", ORANGE)):
        for one in execution:
            found = [one["mark_outs"][side][f"{secs}s"] for secs in HORIZONS_SECS]
            if not any(value["count"] for value in found):
                continue
            many = len(execution) > 1
            traces.append(
                {
                    "type": "bar",
                    "name": f"{side}, {one['strategy']}" if many else side,
                    "x": labels,
                    "y": [value["mean"] for value in found],
                    "error_y": {
                        "type": "data",
                        "array": [value["error"] or 0 for value in found],
                        "thickness": 1.2,
                        "color": "#1d2433",
                    },
                    "marker": {"color": color, "opacity": 0.85},
                    "hovertemplate": "%{y:.2f} bps<extra></extra>",
                }
            )
    return figure(
        traces, 300, barmode="group", hovermode="closest", yaxis={"title": {"text": "bps"}}
    )


def by_time(rows: Sequence[Any]) -> Figure:
    """PnL of each currency by hour or day."""
    sums: dict[str, tuple[list[str], list[float]]] = defaultdict(lambda: ([], []))
    for row in rows:
        for currency, value in row["pnl"].items():
            sums[currency][0].append(row["time"])
            sums[currency][1].append(value)
    traces = []
    for currency, (xs, ys) in sums.items():
        colors = [GREEN if value >= 0 else RED for value in ys]
        bar = {"type": "bar", "name": currency, "x": xs, "y": ys, "marker": {"color": colors}}
        traces.append(bar)
    x = {"type": "category"}
    more = len(traces) > 1
    return figure(traces, 260, hovermode="closest", showlegend=more, bargap=0.3, xaxis=x)
