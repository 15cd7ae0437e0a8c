"""A run's report: what it rests on, what came of it, and how sure that is; JSON, and one HTML file.

Made from the run's folder alone: no catalog, no NautilusTrader, no network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research import numbers
from fairlead.engine.research.extra import has
from fairlead.engine.research.runs import Run, runs_below

HTML_FILE = "report.html"


def report(run: Run) -> dict[str, Any]:
    """Every number of the report. Raises FairleadError RUN-DAMAGED."""
    orders, fills, equity = run.rows("orders"), run.rows("fills"), run.rows("equity")
    trades = numbers.trades(parts(run) or fills)
    summary = run.summary
    return {
        "run": run.id,
        "strip": strip(run),
        "worth": numbers.worth(equity),
        "execution": numbers.execution(orders, fills),
        "instruments": summary["instruments"],
        "strategies": summary["strategies"],
        "net": summary["net"],
        "fees": summary["fees"],
        "by_hour": numbers.by_hour(equity, fills),
        "by_day": numbers.by_day(equity, fills),
        "trades": {"by_currency": numbers.of_trades(trades), "list": trades},
        "gate": {
            "denials": summary["denials"],
            "rejections": summary["rejection_reasons"],
            "unsent": summary.get("unsent_reasons", {}),  # an earlier version told neither
            "absent": summary.get("absent_reasons", {}),
            "faults": summary["faults"],
        },
        "gaps": run.rows("gaps"),
        "notes": summary["notes"],
    }


def parts(run: Run) -> list[dict[str, Any]]:
    """Whose each fill is, where its order does not tell; an earlier version kept no such table."""
    return run.rows("parts") if "parts.jsonl" in run.manifest.files else []


def strip(run: Run) -> dict[str, Any]:
    """What the numbers rest on, and how to have them again."""
    summary, manifest = run.summary, run.manifest
    assumed = summary["assumptions"] or {}
    return {
        "name": manifest.name,
        "mode": manifest.mode,
        "outcome": manifest.outcome,
        "exit_code": manifest.exit_code,
        "start_ns": manifest.start_ns,
        "end_ns": manifest.end_ns,
        "gaps": summary["gaps"],
        "execution": assumed.get("execution"),
        "arrivals": summary.get("arrivals"),  # a run of an earlier version measured none
        "fees": assumed.get("fees", {}),
        "marks": assumed.get("marks", {}),
        "strategies": assumed.get("strategies", []),
        "trials": _trials(run),
        "study": manifest.study,
        "inputs": manifest.inputs,
        "config": manifest.config,
        "data": manifest.data,
        "versions": manifest.versions,
        "seed": manifest.seed,
        "changes": manifest.changes,
        "command": manifest.command,
        "damage": run.damage(),
    }


def _trials(run: Run) -> int | None:
    """Runs with different inputs on the same data that are kept beside this one, itself among them;
    None: nothing recorded was read, or the run is kept nowhere."""
    if run.folder is None or run.manifest.data is None:
        return None
    beside = [one.manifest for one in runs_below(run.folder.parent)]
    inputs = {one.inputs for one in beside if one.data == run.manifest.data}
    return len(inputs | {run.manifest.inputs})


def compared(one: dict[str, Any], other: dict[str, Any], run: Run, with_run: Run) -> dict[str, Any]:
    """Two runs side by side: keys of their configs that differ, and their figures."""
    figures, others = dict(_figures(one)), dict(_figures(other))
    return {
        "run": with_run.id,
        "differs": list(_differences(run.config, with_run.config)),
        "figures": [
            {"name": name, "this": figures.get(name), "other": others.get(name)}
            for name in {**figures, **others}
        ],
        "same_data": run.manifest.data == with_run.manifest.data,
        "same_orders": run.manifest.orders_digest == with_run.manifest.orders_digest,
    }


def _differences(one: Any, other: Any, path: str = "") -> Iterator[dict[str, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            yield from _differences(one.get(name), other.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from _differences(mine, theirs, f"{path}[{at}]")
    elif one != other:
        yield {"key": path, "this": one, "other": other}


def _figures(told: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for worth in told["worth"]:
        where = f"{worth['venue']} {worth['currency']}"
        for name in ("pnl", "pnl_drawdown", "drawdown", "kept", "held"):
            yield f"{where} {name.replace('_', ' ')}", worth[name]
        if worth["returns"] is not None:
            yield f"{where} ratio", worth["returns"]["ratio"]
            yield f"{where} ratio error", worth["returns"]["ratio_error"]
    for name in ("orders", "sent", "with_fills", "fills"):
        yield name.replace("_", " "), sum(one[name] for one in told["execution"])
    makers = [one["makers"] for one in told["execution"]]
    yield "makers", None if None in makers else sum(makers)
    traded: defaultdict[str, float] = defaultdict(float)
    for one in told["execution"]:
        if one["currency"] is not None:
            traded[one["currency"]] += one["turnover"]
    for name in sorted(traded):
        yield f"turnover {name}", traded[name]
    for name, value in told["fees"].items():
        yield f"fees {name}", float(value)
    yield "trades", len(told["trades"]["list"])
    for name, trades in told["trades"]["by_currency"].items():
        yield f"mean trade {name}", trades["pnl"]["mean"]
    yield "denials", sum(told["gate"]["denials"].values())


def write_report(
    run: Run, with_run: Run | None = None, html: Path | str | None = None
) -> tuple[Path | None, Path]:
    """The HTML file and the JSON beside it; into the run's folder, or as `html` names it.

    Without plotly there is no HTML (None), and FairleadError RESEARCH-EXTRA where `html` asks for
    it. Raises FairleadError OUT-UNWRITABLE, RUN-DAMAGED, and REPORT-NOWHERE of a run that is kept
    in memory only where `html` names no file.
    """
    if run.folder is None and html is None:
        raise FairleadError(
            "REPORT-NOWHERE",
            "the run is in memory only and has no folder for its report; name a file "
            '(write_report(run, html="report.html")), or keep the run (backtest(..., keep=True))',
            int(Exit.USAGE),
        )
    told = report(run)
    if with_run is not None:
        told["compare"] = compared(told, report(with_run), run, with_run)
    target = Path(html) if html is not None else Path(str(run.folder)) / HTML_FILE
    json_path = target.with_suffix(".json")
    page = None
    if html is not None or has("plotly"):
        from fairlead.engine.research.page import page_of

        page = page_of(told, run, with_run)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2))
        if page is not None:
            target.write_text(page)
    except OSError as error:
        text = f"the report can't be written to {target} ({error.strerror}); choose another --out"
        raise FairleadError("OUT-UNWRITABLE", text, int(Exit.FAILED)) from error
    return (None if page is None else target), json_path
