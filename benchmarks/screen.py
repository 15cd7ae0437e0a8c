"""The screen of the crossing's study beside exact trials of it: time a trial, and who wins.

Every variant of the study's grid is backtested exactly, on data that is read once, and all of them
are screened several times in between, whole each time: data read, bars and best prices made, every
signal asked. Times are of the processor. Prints both a trial, their ratio over the rounds, and
where the exact winner stands in the screen. Fails below 20 times as fast, or beyond place ten.

    python benchmarks/screen.py [--seconds 600] [--rounds 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
RATIO_MIN, PLACES = 20.0, 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="of the market that is made")
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    from fairlead.backtests.studies import HERE, INSTRUMENT, PARAMS
    from fairlead.backtests.synthetic import perpetual, write_catalog
    from fairlead.engine.research.search import Plan
    from fairlead.engine.research.space import param_of
    from fairlead.engine.run.config import load
    from fairlead.engine.run.trial import basis

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_catalog(folder / "catalog", perpetual(INSTRUMENT), seconds=told.seconds, seed=8)
        file = folder / "study.toml"
        file.write_text((HERE / "crossing_study.toml").read_text())
        loaded = load(file)
        keys = basis(loaded).keys
        params = tuple(param_of(one, keys) for one in PARAMS["crossing"])
        rounds, exact, found = _measured(loaded, Plan(params=params, screen=PLACES), told.rounds)
        return _told(rounds, exact, found)


def _measured(loaded: Any, plan: Any, rounds: int) -> tuple[list[Any], dict[int, float], Any]:
    """(seconds an exact trial, seconds a screened one) by round; exact nets; the last screen."""
    from fairlead.engine.research.pool import Job
    from fairlead.engine.research.search import tasks_of
    from fairlead.engine.run.screened import screening
    from fairlead.engine.run.trial import Trials

    tasks, trials = tasks_of(plan), Trials(Job(str(loaded.path), {}))
    trials(tasks[0])  # reads the data, which no later one does
    screening(loaded, plan)  # imports
    exact: dict[int, float] = {}
    measured = []
    for at in range(rounds):
        some = tasks[at::rounds]
        began = time.process_time()
        for task in some:
            outcome = trials(task)
            assert outcome.error is None, outcome.error
            exact[task.number] = float(outcome.figures["net.USDT"])
        between = time.process_time()
        found = screening(loaded, plan)
        spent = time.process_time() - between
        measured.append(((between - began) / len(some), spent / len(tasks)))
    trials.close()
    return measured, exact, found


def _told(rounds: list[Any], exact: dict[int, float], found: Any) -> int:
    from fairlead.engine.research.search import Plan

    ratios = sorted(one / other for one, other in rounds)
    slow, fast = (median(times) * 1000 for times in zip(*rounds, strict=True))
    order = [one.number for one in found.best(Plan(params=()))]
    ranked = sorted(exact, key=lambda number: -exact[number])
    place = order.index(ranked[0]) + 1
    both = len(set(order[:PLACES]) & set(ranked[:PLACES]))
    screened = {one.number: one.net for one in found.variants}
    print(f"{len(exact)} variants, {found.bars} bars; the screen's half spread: {found.spread}")
    print(f"a trial: exact {slow:.1f} ms, screened {fast:.2f} ms (all of the screen by variant)")
    print(
        f"ratio {median(ratios):.0f} ({ratios[0]:.0f} to {ratios[-1]:.0f} in {len(ratios)} "
        f"rounds; at least {RATIO_MIN:.0f})"
    )
    print(
        f"the exact winner ({exact[ranked[0]]:+.3f} USDT, screened {screened[ranked[0]]:+.3f}) is "
        f"number {place} of the screen (at most {PLACES}); {both} of the first {PLACES} are of both"
    )
    return 0 if median(ratios) >= RATIO_MIN and place <= PLACES else 1


if __name__ == "__main__":
    sys.exit(main())
