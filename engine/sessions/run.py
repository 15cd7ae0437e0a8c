"""Many seeds over many venues in several processes, and their sum."""

from __future__ import annotations

import gc
import hashlib
import logging
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import msgspec

from fairlead.engine.sessions.faults import SimulatedDeath
from fairlead.engine.sessions.plan import Plan, draw
from fairlead.engine.sessions.session import Result, run_session
from fairlead.engine.sessions.trace import Trace
from fairlead.engine.sessions.verdict import Violation

CHUNK_SEEDS = 20
FAILED_KEPT = 200
FAILED_TOLD = 20


class Failure(msgspec.Struct, frozen=True):
    """A seed whose session broke a promise."""

    venue: str
    seed: int
    violations: list[Violation]


class Summary(msgspec.Struct, kw_only=True):
    """The sum of all sessions. `hashes` is each journal's, by `venue/seed`."""

    sessions: int = 0
    failed_count: int = 0  # `failed` keeps the first of them
    wall_secs: float = 0.0
    cpu_secs: float = 0.0
    counts: dict[str, int] = {}
    faults: dict[str, int] = {}
    failed: list[Failure] = []
    hashes: dict[str, str] = {}

    @property
    def sessions_per_sec(self) -> float:
        return self.sessions / self.wall_secs if self.wall_secs else 0.0

    @property
    def journals_hash(self) -> str:
        """SHA-256 over the hashes of all journals, in order of their names."""
        text = "".join(f"{name} {value}\n" for name, value in sorted(self.hashes.items()))
        return hashlib.sha256(text.encode()).hexdigest()


def run_plan(plan: Plan, trace: Trace | None = None) -> Result:
    """One session, silent but for `trace`."""
    logging.disable(logging.CRITICAL)
    try:
        return run_session(plan, trace)
    finally:
        logging.disable(logging.NOTSET)


def run_many(
    venues: Sequence[str],
    seeds: Sequence[int],
    *,
    jobs: int = 0,
    progress: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Run every seed on every venue; neither the order of the work nor `jobs` changes a result.

    `jobs` is the number of processes, 0 for one per core.
    """
    started = time.monotonic()
    chunks = [
        (venue, list(seeds[start : start + CHUNK_SEEDS]))
        for start in range(0, len(seeds), CHUNK_SEEDS)
        for venue in venues
    ]
    summary = Summary()

    def done(chunk: tuple[bytes, float]) -> None:
        _take(chunk, summary)
        summary.wall_secs = time.monotonic() - started
        progress(summary)

    jobs = min(jobs or os.process_cpu_count() or 1, len(chunks))
    if jobs <= 1:
        for venue, part in chunks:
            done(_run_chunk(venue, part))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            try:
                running = [pool.submit(_run_chunk, venue, part) for venue, part in chunks]
                for ended in as_completed(running):
                    done(ended.result())
            except BaseException:  # KeyboardInterrupt: leaving the block waits for all of them
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
    summary.failed.sort(key=lambda failure: (failure.venue, failure.seed))
    summary.wall_secs = time.monotonic() - started
    return summary


def _run_chunk(venue: str, seeds: list[int]) -> tuple[bytes, float]:
    """Results as bytes: they cross a process border."""
    started = time.process_time()
    gc.disable()  # a session's objects die together; what they leave is collected at the end
    try:
        results = [_run_seed(venue, seed) for seed in seeds]
    finally:
        gc.enable()
        gc.collect()
    return msgspec.msgpack.encode(results), time.process_time() - started


def _run_seed(venue: str, seed: int) -> Result:
    """A session that raises is a failure of its own, and the others go on."""
    try:
        return run_plan(draw(seed, venue))
    except (Exception, SimulatedDeath) as error:
        text = f"the session raised {type(error).__name__}: {error}"
        violation = Violation("CRASH", "", text)
        return Result(
            seed=seed, venue=venue, violations=[violation], journal_hash="", counts={}, faults={}
        )


def _take(chunk: tuple[bytes, float], summary: Summary) -> None:
    encoded, cpu_secs = chunk
    summary.cpu_secs += cpu_secs
    counts, faults = Counter(summary.counts), Counter(summary.faults)
    for result in msgspec.msgpack.decode(encoded, type=list[Result]):
        summary.sessions += 1
        counts.update(result.counts)
        faults.update(result.faults)
        summary.hashes[f"{result.venue}/{result.seed}"] = result.journal_hash
        if result.violations:
            summary.failed_count += 1
            if len(summary.failed) < FAILED_KEPT:
                failure = Failure(result.venue, result.seed, result.violations)
                summary.failed.append(failure)
    summary.counts, summary.faults = dict(counts), dict(faults)


def compare(hashes: dict[str, str], known: dict[str, str]) -> tuple[int, list[str]]:
    """How many journals are in both, and the names of those that differ."""
    both = sorted(hashes.keys() & known.keys())
    return len(both), [name for name in both if hashes[name] != known[name]]


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
        f"books shown {count('books', 0)}, gaps of books {count('book_gaps', 0)}",
        "faults  " + _listed(summary.faults),
        "denied  " + _listed(_named(summary.counts, "denied:")),
        "refused " + _listed(_named(summary.counts, "refused:")),
        "halted  " + _listed(_named(summary.counts, "halt:")),
        "found   " + _listed(_named(summary.counts, "finding:")),
    ]
    for failure in summary.failed[:FAILED_TOLD]:
        lines.append(f"FAILED  {failure.venue} seed {failure.seed}")
        lines += [f"          {v.code} {v.subject} {v.detail}" for v in failure.violations[:5]]
    lines.append(f"journals sha256 {summary.journals_hash}")
    codes = Counter(v.code for f in summary.failed for v in f.violations)
    if summary.failed:
        first = summary.failed[0]
        repeat = f"fairlead simulate --seeds {first.seed} --venues {first.venue} --trace"
        lines.append(f"the story of the first: {repeat}")
        lines.append(
            f"violations {sum(codes.values())} in {summary.failed_count} of {summary.sessions} "
            f"sessions: {_listed(codes)}"
        )
    else:
        lines.append(f"violations 0 in {summary.sessions} sessions")
    return "\n".join(lines)


def _named(counts: dict[str, int], prefix: str) -> dict[str, int]:
    return {k.removeprefix(prefix): v for k, v in counts.items() if k.startswith(prefix)}


def _listed(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number}" for name, number in ordered)
