"""Runs a parser on many mutated inputs: nothing may escape, and each must be quick.

Inputs that reach a line of the project's code for the first time join the corpus, so that later
ones start from there (`sys.monitoring`: each line is seen once and costs nothing after that).
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import msgspec

from fairlead.adapters.simulation.mutation import JSON, Mutation, Mutator

ROOT = Path(__file__).resolve().parents[2]
CORPUS_MAX = 4_000
KEPT_INPUT_BYTES_MAX = 16 * 1024
HISTORY_MAX = 300  # inputs before an escape: a stream's state is made of them
_TOOL = 4  # of sys.monitoring; 0 to 2 and 5 have names
_SOURCES = tuple(str(ROOT / "fairlead" / folder) for folder in ("adapters", "engine"))

Feed = Callable[[bytes], None]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A parser. `feed` lets through its own errors only as silence, and asserts what holds."""

    name: str
    corpus: Sequence[bytes]
    feed: Feed
    mutations: Sequence[Mutation] = JSON
    tokens: Sequence[bytes] = ()
    inputs: int = 20_000  # in a run of the test suite


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time of `feed` alone in microseconds; `secs` of all, inputs made and waits."""

    name: str
    inputs: int
    secs: float
    p50_us: float
    p99_us: float
    max_us: float
    corpus: int
    lines: int
    rss_growth_mib: float

    @property
    def per_sec(self) -> float:
        return self.inputs / self.secs


class Escape(AssertionError):
    """An input that got out of a parser, with the inputs before it."""

    def __init__(self, target: str, number: int, data: bytes, before: Sequence[bytes]) -> None:
        super().__init__(f"{target}: input {number} escaped: {data[:300]!r}")
        self.target = target
        self.data = data
        self.before = list(before)


class Coverage:
    """Counts lines of the project's code as they are reached for the first time."""

    def __init__(self) -> None:
        self.lines = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "fuzz")
        monitoring.register_callback(_TOOL, monitoring.events.LINE, self._line)
        monitoring.set_events(_TOOL, monitoring.events.LINE)
        monitoring.restart_events()
        try:
            yield
        finally:
            monitoring.set_events(_TOOL, 0)
            monitoring.free_tool_id(_TOOL)

    def _line(self, code: CodeType, _: int) -> Any:
        if code.co_filename.startswith(_SOURCES):
            self.lines += 1
        return sys.monitoring.DISABLE


def fuzz(
    target: Target,
    *,
    inputs: int,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
    cpu_ns: Callable[[], int] = time.thread_time_ns,  # a busy machine does not count
) -> Report:
    """Feed `inputs` mutated inputs. Raises Escape with the first that gets out."""
    mutator = Mutator(seed, target.corpus, target.mutations, target.tokens)
    coverage = Coverage()
    took = array("q")
    before: deque[bytes] = deque(maxlen=HISTORY_MAX)
    feed = target.feed
    for data in target.corpus:
        feed(data)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gc.collect()
    gc.freeze()  # collecting the corpus again and again would be measured as the parser's time
    began = time.perf_counter()
    with coverage.running():
        for number in range(inputs):
            data = mutator()
            known = coverage.lines
            start = cpu_ns()
            try:
                feed(data)
            except Exception as e:
                raise Escape(target.name, number, data, before) from e
            took.append(cpu_ns() - start)
            before.append(data)
            is_new = coverage.lines != known and len(mutator.corpus) < CORPUS_MAX
            if is_new and len(data) <= KEPT_INPUT_BYTES_MAX:
                mutator.corpus.append(data)
            if on_progress is not None and number % 50_000 == 0:
                on_progress(number)
    secs = time.perf_counter() - began
    gc.unfreeze()
    ordered = sorted(took)
    return Report(
        name=target.name,
        inputs=inputs,
        secs=secs,
        p50_us=ordered[len(ordered) // 2] / 1e3,
        p99_us=ordered[len(ordered) * 99 // 100] / 1e3,
        max_us=ordered[-1] / 1e3,
        corpus=len(mutator.corpus),
        lines=coverage.lines,
        rss_growth_mib=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss) / 1024,
    )
