"""Trials on a Ray cluster: an actor a processor of it, each of which reads the data once.

The config's file and the catalog are read where the actor runs: on storage that all machines have,
by the same path, with the same fairlead installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.extra import need
from fairlead.engine.research.pool import DIED, Job, Make, Outcome, Task

LOCAL = "local"  # an address: a cluster of this machine, for this search
NAMESPACE = "fairlead"


class _Actor:
    def __init__(self, make: Make, job: Job) -> None:
        self._run = make(job)

    def run(self, task: Task) -> Outcome:
        return self._run(task)


class OnRay:
    """`jobs` actors on the cluster at `address` (`local`, `auto`, `ray://HOST:PORT`, `HOST:PORT`).

    None: one a processor of the cluster. Raises FairleadError RESEARCH-EXTRA, RAY-UNREACHABLE.
    """

    def __init__(self, make: Make, job: Job, address: str, jobs: int | None) -> None:
        self._ray = need("ray", "--ray")
        self._make, self._job = make, job
        more = {"num_cpus": jobs, "include_dashboard": False} if address == LOCAL else {}
        try:
            self._ray.init(address, log_to_driver=False, namespace=NAMESPACE, **more)
        except (ConnectionError, RuntimeError, ValueError) as error:
            text = f"no Ray cluster at {address}: {error}"
            raise FairleadError("RAY-UNREACHABLE", text, int(Exit.VENUE)) from error
        self._jobs = jobs or max(int(self._ray.cluster_resources().get("CPU", 1)), 1)
        self._actor = self._ray.remote(num_cpus=1)(_Actor)
        self._idle: list[Any] = []

    def run(self, tasks: Iterable[Task], /) -> Iterator[tuple[Task, Outcome]]:
        """An actor that dies takes its trial with it, and no more."""
        waiting = iter(tasks)
        busy: dict[Any, tuple[Any, Task]] = {}
        while True:
            while len(busy) < self._jobs and (task := next(waiting, None)) is not None:
                actor = (
                    self._idle.pop() if self._idle else self._actor.remote(self._make, self._job)
                )
                busy[actor.run.remote(task)] = actor, task
            if not busy:
                return
            ready, _ = self._ray.wait(list(busy), num_returns=1)
            for reference in ready:
                actor, task = busy.pop(reference)
                try:
                    outcome: Outcome = self._ray.get(reference)
                except self._ray.exceptions.RayError as error:
                    text = f"{DIED}: {type(error).__name__}"
                    outcome = Outcome(error=text, exit_code=int(Exit.FAILED))
                else:
                    self._idle.append(actor)
                yield task, outcome

    def close(self) -> None:
        """Its actors end with it; a cluster that was there before goes on."""
        self._idle = []
        self._ray.shutdown()
