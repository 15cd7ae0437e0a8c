"""What is said of a study: its trials, how much of the best is luck, what it holds back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.engine.research.holdout import held_of
from fairlead.engine.research.luck import Curve, Luck, luck
from fairlead.engine.research.pool import Outcome
from fairlead.engine.research.search import Plan
from fairlead.engine.research.sweep import Trial, best_first
from fairlead.engine.research.trials import Registry


def told_of(registry: Registry) -> dict[str, Any]:
    """Of the study as it stands. Its chain pins every trial until now."""
    head, held = registry.head, held_of(registry)
    return {
        "study": registry.name,
        "study_trials": registry.count("trial"),
        "study_screened": len(_screened(registry)),
        "registry": {"entries": head.count, "chain": head.chain},
        "held_out": None if held is None else msgspec.to_builtins(held),
    }


def trials_words(told: Mapping[str, Any]) -> str:
    """How many of a study."""
    screened = told.get("study_screened", 0)
    return f"{told['study_trials']} trials" + (f" and {screened} screened" if screened else "")


def luck_of(registry: Registry, trials: Sequence[Trial], plan: Plan) -> Luck:
    """Of the best of a search, where one has a figure: every trial of the study over the same time
    counts, whichever search tried it."""
    ranked = best_first(trials, plan) or [one for one in trials if one.outcome.error is None]
    if not ranked:
        return luck(None, [])
    best = ranked[0].outcome
    code = _currency(best, plan.metric)
    found, known = [], set()
    for entry in registry.entries("trial"):
        body = entry.body
        if body["error"] is None and tuple(body["span_ns"]) == best.span_ns and code in body["pnl"]:
            found.append(Curve(body["figures"]["orders_digest"], body["pnl"][code]))
            known.add(entry.key)
    ratios = _screened(registry, best.span_ns, code)
    alone = [ratio for key, ratio in ratios.items() if key not in known]
    return luck(None if ranked[0].value is None else _curve(best, code), found, alone)


def _screened(
    registry: Registry, span_ns: tuple[int, int] | None = None, code: str = ""
) -> dict[str, float | None]:
    """Screened ratios by variant: over this time and in this currency, or of all that no trial
    is."""
    found: dict[str, float | None] = {}
    for entry in registry.entries("screen"):
        body = entry.body
        if span_ns is None or (tuple(body["span_ns"]), body["currency"]) == (span_ns, code):
            found.update(zip(body["variants"], body["screened_ratios"], strict=True))
    ran = registry.keys("trial") if span_ns is None and found else set()
    return {key: ratio for key, ratio in found.items() if key not in ran}


def _currency(outcome: Outcome, metric: str) -> str:
    """That of the metric, else the first."""
    code = metric.partition(".")[2]
    return code if code in outcome.pnl else next(iter(outcome.pnl), "")


def _curve(outcome: Outcome, code: str) -> Curve | None:
    if code not in outcome.pnl:
        return None
    return Curve(outcome.figures["orders_digest"], outcome.pnl[code])


def words(found: Luck) -> Iterable[str]:
    """For a person."""
    if found.screened:
        yield (
            f"{found.tried} variants tried over this time: {found.tried - found.screened} ran, "
            f"{found.screened} were screened alone; {found.effective} of them count as different"
        )
    else:
        yield f"{found.tried} trials over this time, {found.effective} of them traded differently"
    if found.deflated is not None and found.sharpe is not None and found.expected is not None:
        yield (
            f"mean / deviation of the best {found.sharpe:+.3f} (of {found.parts} parts of the "
            f"time); the best of so many without skill shows {found.expected:+.3f}"
        )
        yield f"deflated Sharpe ratio {found.deflated:.3f}: the probability that it is above that"
        if found.parts_needed is None:
            yield "no length of data like this would be enough to call it skill"
        elif found.parts_needed > found.parts:
            times = found.parts_needed / found.parts
            yield f"{times:,.1f} times as much data like this could tell (0.95)"
    if found.pbo is not None:
        yield (
            f"probability of overfitting {found.pbo:.2f} ({found.splits} splits): that what was "
            "best in one half of the time was below the middle in the other"
        )
    if found.why:
        yield f"not said: {found.why}"
