"""What one seed means: which faults are on and how often, who trades, for how long.

A plan is a value: it is drawn from the seed, can be stored, changed field by field (to find the
smallest that still fails), and run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Literal

import msgspec

from fairlead.adapters.simulation.faults import HttpFault, WsFault

AGENTS = ("walker", "maker", "stops", "adversary")
SHIPPED = ("Breakout", "ImbalanceMaker", "TrendFollower", "BracketedBreakout")
SHIPPED_SHARE = 1 / 3  # of the agents: strategies that are shipped, in their real code
BRACKET_SHARE = 0.25  # of the seeds
SHARED_SHARE = 0.25  # of the seeds
BEYOND_SHARE = 0.1  # of the seeds: requests are executed later than the venue documents
FEW_UNKNOWN_SHARE = 0.25  # of the seeds: the gate lets few orders of unknown outcome be
STOP_SHARE = 0.25  # of the seeds: stopped in order while its faults are on
DEATH_POINTS = ("commit", "committed", "request", "answer")

# Largest chance of each fault, per request and per pushed frame.
HTTP_RATES: dict[HttpFault, float] = {
    HttpFault.LOSE_REQUEST: 0.15,
    HttpFault.LOSE_ANSWER: 0.20,
    HttpFault.HANG_REQUEST: 0.03,
    HttpFault.HANG_ANSWER: 0.03,
    HttpFault.LATE: 0.05,
    HttpFault.DELAY: 0.25,
    HttpFault.TOO_MANY: 0.05,
    HttpFault.UNAVAILABLE: 0.08,
    HttpFault.BAD_GATEWAY: 0.08,
    HttpFault.TRUNCATED: 0.05,
}
WS_RATES: dict[WsFault, float] = {
    WsFault.DROP: 0.02,
    WsFault.MUTE: 0.01,
    WsFault.DUPLICATE: 0.20,
    WsFault.LOSE: 0.10,
    WsFault.MALFORMED: 0.03,
}
LIST_RATES = {"stale": 0.20, "missing": 0.20}


class FrameFault(StrEnum):
    """What can happen to a frame of the public stream."""

    LOSE = "lose"
    DUPLICATE = "duplicate"
    SWAP = "swap"  # it comes after the next one
    DELAY = "delay"
    CUT = "cut"  # its first part comes
    CORRUPT = "corrupt"  # it can't be read
    AGAIN = "again"  # an older one follows it, mostly a whole book
    CLOSE = "close"  # the connection ends
    SILENT = "silent"  # nothing passes any more, either way, and the connection stays open


FRAMES_SHARE = 0.5  # of the seeds: the book comes by the public stream
FRAME_RATES: dict[FrameFault, float] = {
    FrameFault.LOSE: 0.10,
    FrameFault.DUPLICATE: 0.10,
    FrameFault.SWAP: 0.10,
    FrameFault.DELAY: 0.10,
    FrameFault.CUT: 0.03,
    FrameFault.CORRUPT: 0.03,
    FrameFault.AGAIN: 0.10,
    FrameFault.CLOSE: 0.02,
    FrameFault.SILENT: 0.01,
}
STORMS = (HttpFault.TOO_MANY, HttpFault.UNAVAILABLE, HttpFault.LOSE_ANSWER, HttpFault.HANG_ANSWER)


class Storm(msgspec.Struct, frozen=True):
    """Nearly every request meets `kind` from `at` for `secs`."""

    at: float
    secs: float
    kind: HttpFault


class Step(msgspec.Struct, frozen=True):
    """The engine's wall clock jumps by `by` seconds."""

    at: float
    by: float


class Death(msgspec.Struct, frozen=True):
    """The process dies at the `number`-th point of this kind since its start.

    `commit` before a journal transaction is durable, `committed` just after; `request` before a
    request leaves, `answer` when its answer has come.
    """

    point: str
    number: int


class Window(msgspec.Struct, frozen=True):
    at: float
    secs: float


class Gap(msgspec.Struct, frozen=True):
    """The engine's own book is wrong: no update comes, its sides cross, or it is cleared."""

    at: float
    secs: float
    kind: Literal["stale", "crossed", "empty"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One session. Times are seconds of virtual time since its start."""

    seed: int
    venue: str
    secs: float = 60.0
    agents: tuple[str, ...] = ("walker",)
    actions_per_sec: float = 1.0
    latency_secs: float = 0.02
    http: dict[HttpFault, float] = {}
    ws: dict[WsFault, float] = {}
    lists: dict[str, float] = {}
    lag: Literal["documented", "beyond"] = "documented"
    storms: tuple[Storm, ...] = ()
    skew_secs: float = 0.0
    clock_steps: tuple[Step, ...] = ()
    deaths: tuple[Death, ...] = ()
    disk_full: tuple[Window, ...] = ()
    kill_at: float | None = None
    manual_per_min: float = 0.0
    poll_ms: int = 1000
    on_stop: Literal["cancel", "keep"] = "cancel"
    restart_secs: float = 1.0
    max_open_orders: int = 12
    max_order_notional: int = 500
    max_position: str = "0.02"
    volatility_bps: float = 2.0
    vary_venue: bool = False
    trade_funds: float = 1_500.0  # mean value of the market's own trades, quote units
    level_funds: float = 2_000.0  # mean value of what it displays at a price
    max_daily_loss: int | None = None  # quote units
    gaps: tuple[Gap, ...] = ()
    brackets: bool = False  # one more agent, which uses them
    frames: dict[FrameFault, float] | None = None  # None: there is no public stream
    shared_folder: bool = False  # another account's run keeps its state in the same folder
    max_unknown_outcomes: int = 1000
    stop_at: float | None = None  # somebody stops the run, and it is started again


def draw(seed: int, venue: str) -> Plan:
    """The plan of a seed: half of the faults are off on average."""
    rng = Random(f"plan/{venue}/{seed}")  # noqa: S311 - simulation
    secs = round(rng.uniform(30, 120), 1)
    lag: Literal["documented", "beyond"] = "beyond" if rng.random() < BEYOND_SHARE else "documented"
    http = _rates(rng, HTTP_RATES)
    if lag == "beyond":
        http[HttpFault.LATE] = round(rng.uniform(0.02, 0.10), 4)
    return Plan(
        seed=seed,
        venue=venue,
        secs=secs,
        agents=_some_shipped(seed, venue, [rng.choice(AGENTS) for _ in range(rng.randint(1, 3))]),
        actions_per_sec=round(rng.uniform(0.2, 1.0), 3),
        latency_secs=round(rng.choice((0.005, 0.02, 0.1, 0.4)), 3),
        http=http,
        ws=_rates(rng, WS_RATES),
        lists=_rates(rng, LIST_RATES),
        lag=lag,
        storms=_storms(rng, secs),
        skew_secs=round(rng.uniform(-3, 3), 3) if rng.random() < 0.3 else 0.0,
        clock_steps=_steps(rng, secs),
        deaths=_deaths(rng),
        disk_full=_windows(rng, secs),
        kill_at=round(rng.uniform(5, secs), 2) if rng.random() < 0.1 else None,
        manual_per_min=round(rng.uniform(1, 6), 2) if rng.random() < 0.3 else 0.0,
        poll_ms=rng.choice((500, 1000, 2000)),
        on_stop=rng.choice(("cancel", "keep")),
        restart_secs=rng.choice((0.2, 1.0, 5.0)),
        max_open_orders=rng.randint(4, 20),
        max_order_notional=rng.randint(100, 500),
        max_position=f"{rng.randint(5, 30) / 1000}",
        volatility_bps=rng.choice((1.0, 3.0, 8.0)),
        vary_venue=rng.random() < 0.5,
        trade_funds=rng.choice((60.0, 200.0, 1_500.0)),
        level_funds=rng.choice((100.0, 300.0, 2_000.0)),
        max_daily_loss=rng.choice((2, 5, 20)) if rng.random() < 0.2 else None,
        gaps=_gaps(rng, secs),
        brackets=rng.random() < BRACKET_SHARE,
        frames=_frames(seed, venue),
        shared_folder=Random(f"shared/{venue}/{seed}").random() < SHARED_SHARE,  # noqa: S311
        max_unknown_outcomes=_max_unknown(seed, venue),
        stop_at=_stop_at(seed, venue, secs),
    )


def _some_shipped(seed: int, venue: str, agents: Sequence[str]) -> tuple[str, ...]:
    """Drawn beside the plan, as the frames are."""
    rng = Random(f"shipped/plan/{venue}/{seed}")  # noqa: S311 - simulation
    return tuple(rng.choice(SHIPPED) if rng.random() < SHIPPED_SHARE else one for one in agents)


def _max_unknown(seed: int, venue: str) -> int:
    """Few in some seeds; without a limit more orders of unknown outcome meet."""
    rng = Random(f"unknown/plan/{venue}/{seed}")  # noqa: S311 - simulation
    return rng.randint(1, 3) if rng.random() < FEW_UNKNOWN_SHARE else 1000


def _stop_at(seed: int, venue: str, secs: float) -> float | None:
    rng = Random(f"stop/plan/{venue}/{seed}")  # noqa: S311 - simulation
    return round(rng.uniform(5, secs), 2) if rng.random() < STOP_SHARE else None


def _frames(seed: int, venue: str) -> dict[FrameFault, float] | None:
    """Drawn beside the plan, so that all else of a seed is as it would be without."""
    rng = Random(f"frames/plan/{venue}/{seed}")  # noqa: S311 - simulation
    return _rates(rng, FRAME_RATES) if rng.random() < FRAMES_SHARE else None


def _rates[K](rng: Random, most: dict[K, float]) -> dict[K, float]:
    """Each on or off; a rate that is on is drawn so that small ones are as common as large."""
    found = {}
    for kind, rate in most.items():
        is_on, share = rng.random() < 0.5, rng.random() ** 2
        if is_on:
            found[kind] = round(rate * share, 5)
    return found


def _storms(rng: Random, secs: float) -> tuple[Storm, ...]:
    if rng.random() < 0.6:
        return ()
    return tuple(
        Storm(
            at=round(rng.uniform(0, secs), 2),
            secs=round(rng.uniform(1, min(40, secs)), 2),
            kind=rng.choice(STORMS),
        )
        for _ in range(rng.randint(1, 2))
    )


def _steps(rng: Random, secs: float) -> tuple[Step, ...]:
    if rng.random() < 0.75:
        return ()
    return tuple(
        Step(at=round(rng.uniform(0, secs), 2), by=round(rng.uniform(-8, 8), 3))
        for _ in range(rng.randint(1, 3))
    )


def _deaths(rng: Random) -> tuple[Death, ...]:
    if rng.random() < 0.5:
        return ()
    return tuple(
        Death(point=rng.choice(DEATH_POINTS), number=int(2 ** rng.uniform(0, 8)))
        for _ in range(rng.randint(1, 3))
    )


def _windows(rng: Random, secs: float) -> tuple[Window, ...]:
    if rng.random() < 0.85:
        return ()
    return (Window(at=round(rng.uniform(1, secs), 2), secs=round(rng.uniform(0.1, 10), 2)),)


def _gaps(rng: Random, secs: float) -> tuple[Gap, ...]:
    if rng.random() < 0.7:
        return ()
    return tuple(
        Gap(
            at=round(rng.uniform(0, secs), 2),
            secs=round(rng.uniform(0.5, 15), 2),
            kind=rng.choice(("stale", "crossed", "empty")),
        )
        for _ in range(rng.randint(1, 3))
    )
