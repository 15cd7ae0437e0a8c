"""Many seeds over many venues in several processes, and their sum."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import msgspec

from engine.simulate.checkers import Violation
from engine.simulate.plan import Plan, draw
from engine.simulate.world import Result, run_session

CHUNK_SEEDS = 20
VIOLATIONS_KEPT = 200


class Failure(msgspec.Struct, frozen=True):
    """A seed whose session broke a promise."""

    venue: str
    seed: int
    violations: list[Violation]


class Summary(msgspec.Struct, kw_only=True):
    """The sum of all sessions. `hash` is over all journals, in order of venue and seed."""

    sessions: int = 0
    wall_secs: float = 0.0
    cpu_secs: float = 0.0
    counts: dict[str, int] = {}
    faults: dict[str, int] = {}
    failed: list[Failure] = []
    hashes: dict[str, str] = {}

    @property
    def sessions_per_sec(self) -> float:
        return self.sessions / self.wall_secs if self.wall_secs else 0.0


def run_plan(plan: Plan) -> Result:
    """One session, silent."""
    logging.disable(logging.CRITICAL)
    try:
        return run_session(plan)
    finally:
        logging.disable(logging.NOTSET)


def run_many(
    venues: Sequence[str],
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, failed: None,
) -> Summary:
    """Run every seed on every venue; the order of the work does not change a result."""
    started = time.monotonic()
    chunks = [
        (venue, list(seeds[start : start + CHUNK_SEEDS]))
        for start in range(0, len(seeds), CHUNK_SEEDS)
        for venue in venues
    ]
    summary = Summary()
    results: list[Result] = []
    if jobs <= 1:
        for venue, part in chunks:
            _take(_run_chunk(venue, part), summary, results)
            progress(summary.sessions, len(summary.failed))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            running = [pool.submit(_run_chunk, venue, part) for venue, part in chunks]
            for done in as_completed(running):
                _take(done.result(), summary, results)
                progress(summary.sessions, len(summary.failed))
    summary.failed.sort(key=lambda failure: (failure.venue, failure.seed))
    summary.wall_secs = time.monotonic() - started
    return summary


def _run_chunk(venue: str, seeds: list[int]) -> tuple[bytes, float]:
    """Results as bytes: they cross a process border."""
    started = time.process_time()
    results = [run_plan(draw(seed, venue)) for seed in seeds]
    return msgspec.msgpack.encode(results), time.process_time() - started


def _take(chunk: tuple[bytes, float], summary: Summary, results: list[Result]) -> None:
    encoded, cpu_secs = chunk
    summary.cpu_secs += cpu_secs
    counts, faults = Counter(summary.counts), Counter(summary.faults)
    for result in msgspec.msgpack.decode(encoded, type=list[Result]):
        summary.sessions += 1
        counts.update(result.counts)
        faults.update(result.faults)
        summary.hashes[f"{result.venue}/{result.seed}"] = result.journal_hash
        if result.violations and len(summary.failed) < VIOLATIONS_KEPT:
            summary.failed.append(Failure(result.venue, result.seed, result.violations))
    summary.counts, summary.faults = dict(counts), dict(faults)


def describe(summary: Summary) -> str:
    """The summary as a person reads it."""
    count = summary.counts.get
    lines = [
        f"{summary.sessions} sessions in {summary.wall_secs:.1f} s: "
        f"{summary.sessions_per_sec:.2f} a second, "
        f"{summary.cpu_secs / max(1, summary.sessions):.3f} s CPU each",
        f"orders {count('sent', 0)}, fills {count('fills', 0)}, cancels {count('cancels', 0)}, "
        f"replaces {count('replaces', 0)}, requests {count('requests', 0)}",
        f"unknown outcomes {count('unknown', 0)} (never told by the venue: "
        f"{count('hidden', 0)}), restarts {count('restarts', 0)}, deaths {count('deaths', 0)}, "
        f"starts refused {count('starts_failed', 0)}, halts {count('halts', 0)}",
        "faults  " + _listed(summary.faults),
        "denied  " + _listed(_named(summary.counts, "denied:")),
        "refused " + _listed(_named(summary.counts, "refused:")),
        "found   " + _listed(_named(summary.counts, "finding:")),
    ]
    for failure in summary.failed[:20]:
        lines.append(f"FAILED  {failure.venue} seed {failure.seed}")
        lines += [f"          {v.code} {v.subject} {v.detail}" for v in failure.violations[:5]]
    codes = Counter(v.code for f in summary.failed for v in f.violations)
    total = sum(codes.values())
    lines.append(f"violations {total} in {len(summary.failed)} seeds  {_listed(codes)}".rstrip())
    return "\n".join(lines)


def _named(counts: dict[str, int], prefix: str) -> dict[str, int]:
    return {k.removeprefix(prefix): v for k, v in counts.items() if k.startswith(prefix)}


def _listed(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number}" for name, number in ordered)
