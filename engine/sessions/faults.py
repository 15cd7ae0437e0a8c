"""Faults of one session: on the wire, in lists, on the disk, in the clock, and sudden death."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any

from fairlead.adapters.simulation.faults import Fault, Faults, HttpFault, WsFault
from fairlead.engine.sessions.plan import Death, Plan
from fairlead.engine.sessions.trace import Trace

STORM_SHARE = 0.9
DELAY_SECS = 3.0
LATE_BEYOND_SECS = 60.0
LAG_MARGIN_SECS = 0.6  # two latencies and a tick: the lag is documented from our send on


class SimulatedDeath(BaseException):
    """The process is gone: nothing of it runs on. Not an Exception, so nobody handles it."""


class SwarmFaults(Faults):
    """Draws faults by the plan's rates; `heal` ends them all."""

    def __init__(self, plan: Plan, max_lag_secs: float, now: Callable[[], float]) -> None:
        super().__init__(plan.seed)
        self._swarm = Random(f"faults/{plan.venue}/{plan.seed}")  # noqa: S311 - simulation
        self._plan = plan
        self._now = now
        self.healed = False
        documented = max(0.0, max_lag_secs - plan.latency_secs * 2 - LAG_MARGIN_SECS)
        self.late_secs = documented if plan.lag == "documented" else LATE_BEYOND_SECS

    def heal(self) -> None:
        self.healed = True

    def for_request(self, method: str, path: str) -> Fault | None:
        if self.healed:
            return None
        storm = self._storm()
        if storm is not None and self._swarm.random() < STORM_SHARE:
            return self._counted(Fault(storm))
        return self._counted(self._one_of(self._plan.http))

    def for_frame(self, path: str) -> Fault | None:
        return None if self.healed else self._counted(self._one_of(self._plan.ws))

    def for_list(self, kind: str) -> bool:
        """Whether a list's answer is `stale` or has a row `missing`."""
        rate = 0.0 if self.healed else self._plan.lists.get(kind, 0.0)
        if not rate or self._swarm.random() >= rate:
            return False
        self.counts[f"list_{kind}"] = self.counts.get(f"list_{kind}", 0) + 1
        return True

    def choose(self, count: int) -> int:
        return self._swarm.randrange(count)

    def _storm(self) -> HttpFault | None:
        now = self._now()
        for storm in self._plan.storms:
            if storm.at <= now < storm.at + storm.secs:
                return storm.kind
        return None

    def _one_of(self, rates: dict[Any, float]) -> Fault | None:
        if not rates:
            return None
        draw = self._swarm.random()
        kind: HttpFault | WsFault
        for kind, rate in rates.items():
            draw -= rate
            if draw < 0:
                most = self.late_secs if kind is HttpFault.LATE else DELAY_SECS
                return Fault(kind, self._swarm.uniform(0, most))
        return None


class Steps:
    """Numbers the points at which a process can die, and says when it must."""

    def __init__(self, death: Death | None, die: Callable[[str], None]) -> None:
        self._death = death
        self._die = die
        self.seen: dict[str, int] = {}

    def disarm(self) -> None:
        """No death any more."""
        self._death = None

    def reached(self, point: str) -> None:
        """Raises SimulatedDeath when this is the point."""
        number = self.seen[point] = self.seen.get(point, 0) + 1
        death = self._death
        if death is not None and death.point == point and death.number == number:
            self._death = None
            self._die(f"{point} {number}")
            raise SimulatedDeath(point)


class DyingDatabase:
    """A journal's SQLite connection with a disk that fills up, in a process that can die."""

    def __init__(
        self,
        database: sqlite3.Connection,
        steps: Steps,
        *,
        is_dead: Callable[[], bool],
        is_full: Callable[[], bool],
        trace: Trace,
    ) -> None:
        self._database = database
        self._steps = steps
        self._is_dead = is_dead
        self._is_full = is_full
        self._trace = trace

    @property
    def in_transaction(self) -> bool:
        return self._database.in_transaction

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        if self._is_dead():
            raise SimulatedDeath("a statement after the end of the process")
        if sql == "COMMIT":
            return self._commit()
        if sql.startswith("INSERT INTO records"):
            if self._is_full():
                self._trace.count("fault:disk_full")
                raise sqlite3.OperationalError("database or disk is full")
            if self._trace.is_on:
                _, kind, cid, body, _ = parameters
                self._trace.line("journal", f"{kind} {cid} {body.decode()}")
        return self._database.execute(sql, parameters)

    def _commit(self) -> Any:
        self._steps.reached("commit")
        done = self._database.execute("COMMIT")
        self._steps.reached("committed")
        return done

    def executescript(self, script: str) -> Any:
        return self._database.executescript(script)

    def close(self) -> None:
        self._database.close()
