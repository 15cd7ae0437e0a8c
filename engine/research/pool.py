"""Who runs the trials of a search: processes of this machine, each of which does one at a time.

A worker is given the job once, and then the changes of each trial; data is read by the worker. One
that dies takes no more with it than its trial, whose row says so.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import msgspec

END_SECS = 5.0  # for a worker to clear up, before it is killed
INTERRUPTED = 130
DIED = "WORKER-DIED"


class Job(msgspec.Struct, frozen=True):
    """What all trials have in common: the config's file, and values in place of the file's."""

    path: str
    changes: dict[str, Any]


class Task(msgspec.Struct, frozen=True):
    """One trial: its number, and its own values."""

    number: int
    changes: dict[str, Any]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial. `error` is a code and words where it failed.

    `figures` are numbers as text (exact), whole numbers, hashes; `pnl` has by quote currency the
    profit and loss after each of equal parts of `span_ns`, from the first to the last.
    """

    error: str | None = None
    exit_code: int = 0
    figures: dict[str, Any] = {}
    pnl: dict[str, list[float]] = {}
    span_ns: tuple[int, int] = (0, 0)
    wall_secs: float = 0.0
    run_secs: float = 0.0  # of it in the engine


Run = Callable[[Task], Outcome]
Make = Callable[[Job], Run]


class Pool(Protocol):
    def run(self, tasks: Iterable[Task], /) -> Iterator[tuple[Task, Outcome]]:
        """As they are done, in any order."""

    def close(self) -> None: ...


class InProcess:
    """In this one: for notebooks and tests."""

    def __init__(self, make: Make, job: Job) -> None:
        self._run = make(job)

    def run(self, tasks: Iterable[Task], /) -> Iterator[tuple[Task, Outcome]]:
        for task in tasks:
            yield task, self._run(task)

    def close(self) -> None:
        close_run(self._run)


class Processes:
    """`jobs` of them, started when they are needed."""

    def __init__(self, make: Make, job: Job, jobs: int) -> None:
        self._make, self._job, self._jobs = make, job, jobs
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Task]] = {}

    def run(self, tasks: Iterable[Task], /) -> Iterator[tuple[Task, Outcome]]:
        waiting = iter(tasks)
        self._give(waiting)
        while self._busy:
            done = []
            for pipe in wait(list(self._busy)):
                assert isinstance(pipe, Connection)
                worker, task = self._busy.pop(pipe)
                outcome = worker.answer()
                if outcome is None:
                    outcome = Outcome(error=f"{DIED}: {worker.end()}", exit_code=1)
                else:
                    self._idle.append(worker)
                done.append((task, outcome))
            self._give(waiting)  # nobody waits for what was done to be kept
            yield from done

    def _give(self, waiting: Iterator[Task]) -> None:
        while len(self._busy) < self._jobs and (task := next(waiting, None)) is not None:
            worker = self._idle.pop() if self._idle else _Worker(self._make, self._job)
            worker.give(task)
            self._busy[worker.pipe] = worker, task

    def close(self) -> None:
        """What is at work is cut off, and told to nobody."""
        workers = [*self._idle, *(worker for worker, _ in self._busy.values())]
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()
        self._idle, self._busy = [], {}


class _Worker:
    def __init__(self, make: Make, job: Job) -> None:
        context = multiprocessing.get_context("spawn")  # NautilusTrader has threads: no fork
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, make, job), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        with contextlib.suppress(OSError):  # it is dead: its answer will say so
            self.pipe.send(task)

    def answer(self) -> Outcome | None:
        try:
            found: Outcome = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return found

    def stop(self) -> None:
        self.pipe.close()
        self._process.terminate()

    def end(self) -> str:
        """How it ended."""
        self._process.join(END_SECS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _work(pipe: Connection, make: Make, job: Job) -> None:
    """Until nobody asks any more, as when the search was killed."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # Ctrl-C is for the search, which ends this
    signal.signal(signal.SIGTERM, _end)
    run = make(job)
    _silence()
    try:
        while True:
            pipe.send(run(pipe.recv()))
    except (EOFError, OSError):
        return
    finally:
        close_run(run)


def _silence() -> None:
    """What strategies and gate tell a person of one run is told of none of many: a row has it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)


def close_run(run: Run) -> None:
    if (close := getattr(run, "close", None)) is not None:
        close()


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)
