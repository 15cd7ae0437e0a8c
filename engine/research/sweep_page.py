"""A search as one HTML file that needs no network: its best, their neighbours, and what is luck."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.luck import Luck
from fairlead.engine.research.page import Page, card, document, note, number, short_hash, table
from fairlead.engine.research.pictures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Figure,
    figure,
    time_of,
)
from fairlead.engine.research.screening import screen_words
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import Param
from fairlead.engine.research.study import trials_words, words
from fairlead.engine.research.sweep import Trial, best_first

HTML_FILE = "sweep.html"
BEST = 5  # whose profit and loss is drawn
LISTED = 30  # trials in the table
PBO_LOW, PBO_HIGH = 0.1, 0.5  # green, and red
ENDED = "ended: when and why a trial's strategy ended it; it stays at what it had brought by then"
DRAWN_MAX = 5000  # trials in a picture, the first
SCALE = [[0, RED], [0.5, "#e8e3d3"], [1, GREEN]]


def sweep_page(
    told: Mapping[str, Any],
    plan: Plan,
    trials: Sequence[Trial],
    luck: Luck | None,
    steps: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The file. `steps` are those of a walk-forward. Raises FairleadError RESEARCH-EXTRA."""
    page, ranked = Page(), best_first(trials, plan)
    title = f"{told['name']}: search by {plan.metric}"
    page.body.append(f"<h1>{escape(title)}</h1>")
    page.body.append(f"<p class='sub'>{escape(', '.join(_searched(plan)))}</p>")
    page.body.append(
        f"<div class='cards'>{''.join(_cards(plan, trials, ranked, luck, steps))}</div>"
    )
    page.section("What it rests on", _rests(told, luck))
    if steps:
        _walked(page, plan, steps)
    if ranked:
        _pictures(page, plan, ranked)
    if trials:
        page.section("Trials", _listed(plan, ranked), _failed(trials))
    if (screen := told.get("screened")) is not None:
        page.section("Screened, no results", _screened(plan, screen))
    return document(title, page)


def write_page(folder: Path, text: str) -> Path:
    """Raises FairleadError OUT-UNWRITABLE."""
    try:
        (folder / HTML_FILE).write_text(text)
    except OSError as error:
        code = "OUT-UNWRITABLE"
        raise FairleadError(code, f"{folder}: {error.strerror}", int(Exit.FAILED)) from error
    return folder / HTML_FILE


def _searched(plan: Plan) -> Iterator[str]:
    yield plan.kind if plan.trials is None else f"{plan.kind}, {plan.trials} trials"
    for one in plan.params:
        yield f"{one.name} {one.spec}"


def _cards(
    plan: Plan,
    trials: Sequence[Trial],
    ranked: Sequence[Trial],
    luck: Luck | None,
    steps: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    if steps:
        known = [one["out_of_sample"] for one in steps if one["out_of_sample"] is not None]
        yield card(f"{plan.metric}, out of sample", number(sum(known), signed=True), sum(known))
        yield card("spans above 0", f"{sum(one > 0 for one in known)} of {len(steps)}")
    if ranked:
        best = ranked[0]
        yield card(f"best {plan.metric}", number(best.value, signed=True), best.value or 0)
        yield card("its trial", str(best.number))
    if trials:
        failed = sum(one.outcome.error is not None for one in trials)
        yield card(f"trials, {failed} failed", str(len(trials)))
    if luck is not None and luck.deflated is not None:
        yield card("deflated Sharpe ratio", f"{luck.deflated:.3f}", luck.deflated - 0.95)
    if luck is not None and luck.pbo is not None:
        tone = 1 if luck.pbo <= PBO_LOW else -1 if luck.pbo >= PBO_HIGH else 0
        yield card("probability of overfitting", f"{luck.pbo:.2f}", tone)


def _rests(told: Mapping[str, Any], luck: Luck | None) -> str:
    held = told["held_out"]
    rows = [
        ("study", f"{escape(told['study'])}, {trials_words(told)} in all"),
        ("held out", escape(_held(held))),
        ("chain", f"{short_hash(told['registry']['chain'])} of {told['registry']['entries']}"),
        ("data", short_hash(told["data"])),
        ("config", short_hash(told["config"])),
        *(("code", f"{escape(name)} {short_hash(code)}") for name, code in told["code"].items()),
        ("versions", escape(", ".join(f"{name} {v}" for name, v in told["versions"].items()))),
        *(("luck", escape(line)) for line in (words(luck) if luck is not None else ())),
        ("again by", f"<code>{escape(told['command'])}</code>"),
    ]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def _held(held: Mapping[str, Any] | None) -> str:
    if held is None:
        return "nothing"
    span = f"{time_of(held['start_ns'])[:19]} to {time_of(held['end_ns'])[:19]} UTC"
    return f"{span}, {'spent' if held['is_spent'] else 'closed until it is spent'}"


# -- pictures


def _pictures(page: Page, plan: Plan, ranked: Sequence[Trial]) -> None:
    shown = sorted(ranked, key=lambda one: one.number)[:DRAWN_MAX]
    moving = [one for one in plan.params if len({trial.values[one.key] for trial in shown}) > 1]
    if moving:
        page.section(
            "Neighbours",
            *(page.chart(neighbours(one, shown, plan.metric)) for one in moving),
            page.chart(heat(moving[0], moving[1], shown, plan)) if len(moving) > 1 else "",
            note(
                "Each point is a trial; the line is the mean of those with the value, whatever "
                "their others. A best one that stands alone is luck sooner than a broad one."
            ),
        )
        page.section("All at once", page.chart(parallel(plan, shown)))
    if (halves := in_and_out(ranked, shown)) is not None:
        page.section(
            "In and out of sample",
            page.chart(halves),
            note(
                "Profit and loss of each trial in the first half of the time, and in the second: "
                "a rank that stays from one to the other is no luck."
            ),
        )
    if curves := [one for one in ranked[:BEST] if one.outcome.pnl]:
        page.section(f"Profit and loss of the best {len(curves)}", page.chart(pnl(curves)))


def _floats(values: Iterable[str]) -> list[float] | None:
    try:
        return [float(Decimal(value)) for value in values]
    except InvalidOperation:
        return None


def _axis(param: Param, trials: Sequence[Trial]) -> list[Any]:
    texts = [one.values[param.key] for one in trials]
    return _floats(texts) or texts


def neighbours(param: Param, trials: Sequence[Trial], metric: str) -> Figure:
    xs, ys = _axis(param, trials), [one.value for one in trials]
    groups: defaultdict[Any, list[float]] = defaultdict(list)
    for x, y in zip(xs, ys, strict=True):
        groups[x].append(float(y or 0))
    means = {x: fmean(group) for x, group in sorted(groups.items())}
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "trials",
        "x": xs,
        "y": ys,
        "text": [_words(one) for one in trials],
        "hoverinfo": "text+y",
        "marker": {"color": BLUE, "size": 7, "opacity": 0.55},
    }
    traces = [points]
    if max(map(len, groups.values())) > 1:
        line = {"color": ORANGE, "width": 2}
        mean = {"type": "scatter", "mode": "lines", "name": "mean", "line": line}
        traces.append({**mean, "x": list(means), "y": list(means.values())})
    return figure(
        traces,
        280,
        hovermode="closest",
        xaxis={"title": {"text": param.name}},
        yaxis={"title": {"text": metric}},
    )


def _words(one: Trial) -> str:
    return f"trial {one.number}<br>" + "<br>".join(
        f"{escape(key.rpartition('.')[2])} {escape(value)}" for key, value in one.values.items()
    )


def heat(one: Param, other: Param, trials: Sequence[Trial], plan: Plan) -> Figure:
    """Mean over the other parameters."""
    cells: defaultdict[tuple[Any, Any], list[float]] = defaultdict(list)
    pairs = zip(_axis(one, trials), _axis(other, trials), trials, strict=True)
    for x, y, trial in pairs:
        cells[x, y].append(trial.value or 0.0)
    xs, ys = sorted({x for x, _ in cells}), sorted({y for _, y in cells})
    if len(xs) * len(ys) > 4 * len(cells):  # drawn at random: no table
        marker = {"color": [trial.value for trial in trials], "colorscale": SCALE, "size": 9}
        marker |= {"colorbar": {"title": {"text": plan.metric}}, "showscale": True}
        points: Figure = {"type": "scatter", "mode": "markers", "marker": marker}
        points |= {"x": _axis(one, trials), "y": _axis(other, trials)}
        traces: list[Figure] = [points]
    else:
        means = [[fmean(cells[x, y]) if (x, y) in cells else None for x in xs] for y in ys]
        grid: Figure = {"type": "heatmap", "x": _labels(xs), "y": _labels(ys), "z": means}
        traces = [{**grid, "colorscale": SCALE, "colorbar": {"title": {"text": plan.metric}}}]
    return figure(
        traces,
        320,
        hovermode="closest",
        xaxis={"title": {"text": one.name}, "type": "category"} if "z" in traces[0] else {},
        yaxis={"title": {"text": other.name}, "type": "category"} if "z" in traces[0] else {},
    )


def _labels(values: Iterable[Any]) -> list[str]:
    return [f"{value:g}" if isinstance(value, float) else str(value) for value in values]


def parallel(plan: Plan, trials: Sequence[Trial]) -> Figure:
    dimensions = [_dimension(one, trials) for one in plan.params]
    for name in ("fills", "fill_ratio"):
        values = [one.outcome.figures.get(name) for one in trials]
        if all(value is not None for value in values):
            dimensions.append({"label": name.replace("_", " "), "values": values})
    worth = [one.value for one in trials]
    dimensions.append({"label": plan.metric, "values": worth})
    line = {"color": worth, "colorscale": SCALE, "showscale": True}
    told = figure([{"type": "parcoords", "dimensions": dimensions, "line": line}], 380)
    told["layout"]["margin"] = {"l": 70, "r": 30, "t": 60, "b": 30}
    return told


def _dimension(param: Param, trials: Sequence[Trial]) -> dict[str, Any]:
    texts = [one.values[param.key] for one in trials]
    if (numbers := _floats(texts)) is not None:
        return {"label": param.name, "values": numbers}
    names = list(dict.fromkeys(texts))
    places = [names.index(text) for text in texts]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names}
    return {"label": param.name, "values": places, **ticks}


def in_and_out(ranked: Sequence[Trial], trials: Sequence[Trial]) -> Figure | None:
    """None: not of one currency, or too few."""
    codes = {tuple(one.outcome.pnl) for one in trials if one.outcome.pnl}
    if len(codes) != 1 or len(trials) < 2:
        return None
    (code, *_) = codes.pop()
    best, points = ranked[0], []
    for one in trials:
        if curve := one.outcome.pnl.get(code):
            middle = curve[len(curve) // 2 - 1]
            points.append((middle, curve[-1] - middle, one))
    traces = []
    for name, some, color, size in (
        ("trials", [point for point in points if point[2] is not best], BLUE, 8),
        ("the best", [point for point in points if point[2] is best], ORANGE, 14),
    ):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [x for x, _, _ in some],
                "y": [y for _, y, _ in some],
                "text": [_words(one) for _, _, one in some],
                "hoverinfo": "text+x+y",
                "marker": {"color": color, "size": size, "opacity": 0.75},
            }
        )
    return figure(
        traces,
        360,
        hovermode="closest",
        xaxis={"title": {"text": f"first half, {code}"}},
        yaxis={"title": {"text": f"second half, {code}"}},
    )


def pnl(trials: Sequence[Trial]) -> Figure:
    traces: list[Figure] = []
    colors = (BLUE, GREEN, ORANGE, RED, GREY)
    for one, color in zip(trials, colors, strict=False):
        begin, end = one.outcome.span_ns
        for code, curve in one.outcome.pnl.items():
            parts = len(curve)
            xs = [time_of(begin + (end - begin) * at // parts) for at in range(parts + 1)]
            name = ", ".join(one.values.values())
            line = {"color": color, "width": 1.6}
            traces.append({"type": "scatter", "mode": "lines", "name": f"{name} ({code})"})
            traces[-1] |= {"x": xs, "y": [0.0, *curve], "line": line}
    return figure(traces, 340)


def _walked(page: Page, plan: Plan, steps: Sequence[Mapping[str, Any]]) -> None:
    xs = [f"{step['test'][0][:19]}" for step in steps]
    bars: list[Figure] = [
        {"type": "bar", "name": name, "x": xs, "y": [one[key] for one in steps]}
        | {"marker": {"color": color}}
        for name, key, color in (
            ("best before", "in_sample", GREY),
            ("then", "out_of_sample", BLUE),
        )
    ]
    chart = figure(
        bars,
        320,
        hovermode="closest",
        barmode="group",
        xaxis={"type": "category", "title": {"text": "from"}},
        yaxis={"title": {"text": plan.metric}},
    )
    head = ["trained until", "tried from", *(one.name for one in plan.params)]
    rows = [
        [
            step["train"][1][:19],
            step["test"][0][:19],
            *((step["values"] or {}).get(one.key, "-") for one in plan.params),
            number(step["in_sample"]),
            number(step["out_of_sample"]),
        ]
        for step in steps
    ]
    listed = table([*head, f"{plan.metric} before", "then"], rows)
    page.section("Walk-forward", page.chart(chart), listed)


def _listed(plan: Plan, ranked: Sequence[Trial]) -> str:
    head = ["trial", *(one.name for one in plan.params), plan.metric, "fills", "orders", "ended"]
    rows = [
        [
            str(one.number),
            *(one.values[param.key] for param in plan.params),
            number(one.value),
            *(number(one.outcome.figures.get(name)) for name in ("fills", "orders")),
            one.outcome.figures.get("ended") or "no",
        ]
        for one in ranked[:LISTED]
    ]
    more = len(ranked) - LISTED
    told = f"{note(f'and {more} more' if more > 0 else '')}{note(ENDED)}"
    return table(head, rows) + told


def _screened(plan: Plan, screen: Mapping[str, Any]) -> str:
    """In the order of the screen: what ran is in the table of trials with its exact figures."""
    by = screen["ranked_by"]
    names = ["screened_net", "screened_ratio", "screened_changes"]
    known = [row for row in screen["rows"] if row[by] is not None]
    known.sort(key=lambda row: row[by] if plan.minimize else -row[by])
    rows = [
        [
            str(row["trial"]),
            *(row[param.name] for param in plan.params),
            *(number(row[name]) for name in names),
            "yes" if row["ran_exactly"] else "no",
        ]
        for row in known[:LISTED]
    ]
    head = ["trial", *(one.name for one in plan.params), *names, "ran exactly"]
    more = f" And {len(known) - LISTED} more: screened.json." if len(known) > LISTED else ""
    return note(". ".join(screen_words(screen)) + "." + more) + table(head, rows)


def _failed(trials: Sequence[Trial]) -> str:
    failed = [(str(one.number), one.outcome.error) for one in trials if one.outcome.error]
    if not failed:
        return ""
    rows = [[name, (error or "")[:200]] for name, error in failed[:LISTED]]
    return f"<br><h2>Failed</h2>{table(['trial', 'why'], rows)}"
