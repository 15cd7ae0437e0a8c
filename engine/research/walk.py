"""Walk-forward: what was best in a span of the data, tried on the span after it, again and again.

Between the two lies an embargo, in which what a strategy holds or remembers at the end of the first
could tell of the second. Each backtest begins with the market as it stood, and without a position.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.holdout import time_of, utc
from fairlead.engine.research.pool import Pool
from fairlead.engine.research.search import GRID, Plan
from fairlead.engine.research.sweep import Sweep, Trial, Watch, best_first

UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
WALK_FILE = "walk.json"
WINDOWS_MAX = 1000
Span = tuple[int, int]  # UNIX nanoseconds, both in


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`best` of the first span, and what it did in the second; None: no trial had a value."""

    train_ns: Span
    test_ns: Span
    best: Trial | None
    tested: Trial | None

    def told(self) -> dict[str, Any]:
        best, tested = self.best, self.tested
        return {
            "train": [utc(at) for at in self.train_ns],
            "test": [utc(at) for at in self.test_ns],
            "values": None if best is None else best.values,
            "in_sample": None if best is None else best.value,
            "out_of_sample": None if tested is None else tested.value,
            "figures": None if tested is None else tested.outcome.figures,
            "error": None if tested is None else tested.outcome.error,
        }


def duration_ns(text: str) -> int:
    """`7d`, `90s`, `1.5h`. Raises FairleadError WALK-FORM."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", text.strip())
    if match is None:
        raise FairleadError(
            "WALK-FORM",
            f"expected a time such as 7d, 12h, 30m or 90s; came {text}",
            int(Exit.USAGE),
        )
    return round(float(match[1]) * UNITS_NS[match[2]])


def spans(text: str, embargo: str, whole: Span) -> list[tuple[Span, Span]]:
    """Of `TRAIN/TEST`, as many as there is data for, each a TEST later than the one before.

    Raises FairleadError WALK-FORM, WALK-SHORT.
    """
    first, slash, second = text.partition("/")
    if not slash:
        expected = "expected --walk-forward TRAIN/TEST such as 7d/1d"
        raise FairleadError("WALK-FORM", f"{expected}; came {text}", int(Exit.USAGE))
    train, test, gap = duration_ns(first), duration_ns(second), duration_ns(embargo)
    if not train or not test:
        raise FairleadError("WALK-FORM", "expected times above 0", int(Exit.USAGE))
    begin, end = whole
    found: list[tuple[Span, Span]] = []
    while (last := begin + train + gap + test - 1) <= end and len(found) < WINDOWS_MAX:
        test_begin = begin + train + gap
        found.append(((begin, begin + train - 1), (test_begin, last)))
        begin += test
    if not found:
        has = (end - whole[0]) / UNITS_NS["s"]
        raise FairleadError(
            "WALK-SHORT",
            f"the data is {has:g} s: too short for {text} with {embargo} between",
            int(Exit.NO_DATA),
        )
    return found


Make = Callable[[Plan, dict[str, Any]], Sweep]


def walk(
    plan: Plan, parts: Sequence[tuple[Span, Span]], make: Make, pool: Pool, watch: Watch | None
) -> Iterator[Step]:
    """Each is done when it is told. `make` gives the search of a plan within a span."""
    for train, test in parts:
        ranked = best_first(make(plan, _within(train)).run(pool, watch), plan)
        tested = None
        if ranked:
            tested = make(_only(plan, ranked[0]), _within(test)).run(pool)[0]
        yield Step(train_ns=train, test_ns=test, best=ranked[0] if ranked else None, tested=tested)


def _within(span: Span) -> dict[str, Any]:
    return {"backtest.start": time_of(span[0]), "backtest.end": time_of(span[1])}


def _only(plan: Plan, best: Trial) -> Plan:
    """A grid of one."""
    params = tuple(
        msgspec.structs.replace(
            one, values=(best.given[one.key],), low=None, high=None, spec=best.values[one.key]
        )
        for one in plan.params
    )
    return msgspec.structs.replace(plan, params=params, kind=GRID, trials=None)


def written_walk(folder: Path, told: dict[str, Any]) -> Path:
    """`walk.json` in the folder. Raises FairleadError OUT-UNWRITABLE."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WALK_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    except OSError as error:
        text = f"{folder}: {error.strerror}"
        raise FairleadError("OUT-UNWRITABLE", text, int(Exit.FAILED)) from error
    return folder
