"""One session from its plan to its verdict."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.sessions.checkers import check
from fairlead.engine.sessions.evidence import Evidence
from fairlead.engine.sessions.faults import SimulatedDeath
from fairlead.engine.sessions.plan import Plan
from fairlead.engine.sessions.process import owner
from fairlead.engine.sessions.scene import instrument_of
from fairlead.engine.sessions.trace import Trace
from fairlead.engine.sessions.verdict import Violation
from fairlead.engine.sessions.world import World


class Result(msgspec.Struct, kw_only=True):
    """What one session was, in figures."""

    seed: int
    venue: str
    violations: list[Violation]
    journal_hash: str
    counts: dict[str, int]
    faults: dict[str, int]


def run_session(plan: Plan, trace: Trace | None = None, *, keep: Path | None = None) -> Result:
    """Run one plan from start to verdict. `keep` is where the journal file is left."""
    trace = trace or Trace()
    instrument_of(plan.venue)  # runs a loop of its own
    with tempfile.TemporaryDirectory(prefix="fairlead-simulate-", dir=memory_folder()) as name:
        folder = keep or Path(name)
        loop = VirtualLoop()
        loop.set_task_factory(owned)
        holder: list[World] = []

        async def main() -> None:
            world = World(plan, folder, trace, loop)
            holder.append(world)
            loop.set_exception_handler(lambda _, context: _unhandled(world, context))
            await world.run()

        run_virtual(main(), loop)
        world = holder[0]
        journal = folder / "journal.sqlite"
        evidence = Evidence.read(world, journal)
        violations = [*world.problems, *check(evidence)]
        return Result(
            seed=plan.seed,
            venue=plan.venue,
            violations=violations,
            journal_hash=journal_hash(journal),
            counts=_counts(world, evidence),
            faults=_faults(world),
        )


def memory_folder() -> str | None:
    """A folder in memory where there is one: 10,000 journals need no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def owned(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
    """A task of the process that makes it: the task factory of a session's loop."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
    process = owner.get()
    if process is not None:
        process.tasks.append(task)
    return task


def _unhandled(world: World, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is not None and not isinstance(error, SimulatedDeath):
        world.defect(str(context.get("message", "")), error)


def _faults(world: World) -> dict[str, int]:
    """Faults by kind: those of the wire, of the disk, of the clock, and of the engine's book."""
    counts = Counter(world.faults.counts) + world.frames.counts
    counts.update(f"book_{gap.kind}" for gap in world.plan.gaps)
    counts["clock_step"] += len(world.plan.clock_steps)
    counts["disk_full"] += world.trace.counts["fault:disk_full"]
    return {kind: count for kind, count in counts.items() if count}


def _counts(world: World, evidence: Evidence) -> dict[str, int]:
    counts = dict(world.trace.counts)
    counts["lives"] = world.lives
    counts["restarts"] = max(0, world.lives - 1)
    counts["requests"] = len(world.wire.sent)
    counts["unknown"] = sum(1 for record in evidence.records if record.kind == "UNKNOWN")
    counts["fills"] = len(evidence.fills)
    counts["sent"] = len(evidence.orders)
    counts["hidden"] = len(evidence.hidden)
    for record in evidence.records:
        if record.kind == "FINDING":
            name = f"finding:{msgspec.json.decode(record.body)['code']}"
            counts[name] = counts.get(name, 0) + 1
    return counts


def journal_hash(path: Path) -> str:
    """SHA-256 over every record of a journal, in order: time, kind, order, body.

    The folder that a finding names is left out: it is another one in every session.
    """
    digest = hashlib.sha256()
    database = sqlite3.connect(path)
    try:
        for row in database.execute(
            "SELECT ts, kind, client_order_id, body FROM records ORDER BY seq"
        ):
            digest.update(repr(row).replace(str(path.parent), "").encode())
    finally:
        database.close()
    return digest.hexdigest()
