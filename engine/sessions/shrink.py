"""The smallest plan that still fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from fairlead.engine.sessions.plan import Plan

RUNS_MAX = 200
SHORTEST_SECS = 5.0


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> tuple[Plan, int]:
    """Switch faults off one by one and halve the time while `fails` holds; gives runs made too."""
    runs = 0
    is_smaller = True
    while is_smaller and runs < RUNS_MAX:
        is_smaller = False
        for candidate in _smaller(plan):
            runs += 1
            if fails(candidate):
                plan, is_smaller = candidate, True
                break
            if runs >= RUNS_MAX:
                break
    return plan, runs


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with one thing less, the largest steps first."""
    change = msgspec.structs.replace
    if plan.secs > SHORTEST_SECS:
        yield change(plan, secs=round(max(SHORTEST_SECS, plan.secs / 2), 1))
    for name in ("http", "ws", "lists"):
        if getattr(plan, name):
            yield change(plan, **{name: {}})
    if plan.frames is not None:
        yield change(plan, frames=None)
    for name in ("storms", "clock_steps", "deaths", "disk_full", "gaps", "agents"):
        items = getattr(plan, name)
        for index in range(len(items)):
            if name != "agents" or len(items) > 1:
                yield change(plan, **{name: items[:index] + items[index + 1 :]})
    for name in ("http", "ws", "lists", "frames"):
        rates = getattr(plan, name) or {}
        for kind in rates:
            yield change(plan, **{name: {k: r for k, r in rates.items() if k != kind}})
    for name, plain in (
        ("skew_secs", 0.0),
        ("kill_at", None),
        ("manual_per_min", 0.0),
        ("vary_venue", False),
        ("latency_secs", 0.005),
        ("lag", "documented"),
        ("max_daily_loss", None),
        ("stop_at", None),
    ):
        if getattr(plan, name) != plain:
            yield change(plan, **{name: plain})
