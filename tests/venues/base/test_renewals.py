"""What a venue wants again and again: a refusal is told, a renewal that died ends the run."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from fairlead.adapters.base.aiohttp_transport import AiohttpWsTransport
from fairlead.adapters.base.renewals import Renewals
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.venue import Renewal, VenueError, VenueErrorKind
from fairlead.adapters.simulation.virtual_time import run_virtual
from fairlead.engine.status import RunStatus
from tests.venues.base.scripted import ScriptedAdapter, ScriptedProtocol

Told = list[tuple[str, str]]


def scene(
    answers: list[BaseException | None],
) -> tuple[Renewals, list[Renewal], Told, Told, list[float]]:
    problems: Told = []
    fatal: Told = []
    at: list[float] = []

    async def renew() -> None:
        at.append(asyncio.get_running_loop().time())
        answer = answers.pop(0) if answers else None
        if answer is not None:
            raise answer

    renewals = Renewals(lambda *told: problems.append(told), lambda *told: fatal.append(told))
    return renewals, [Renewal("the switch", 10.0, renew)], problems, fatal, at


def test_one_that_is_refused_comes_again_in_its_turn() -> None:
    async def work() -> None:
        refused = VenueError(VenueErrorKind.UNKNOWN, "X-1", "busy")
        renewals, wanted, problems, fatal, at = scene([None, refused])
        renewals.start(wanted)
        await asyncio.sleep(35)
        await renewals.stop()
        await asyncio.sleep(35)
        assert len(at) == 3
        assert at[2] - at[0] == pytest.approx(20)
        assert problems == [("RENEWAL-FAILED", "the switch was not renewed: X-1: busy")]
        assert fatal == [], "a stop is no death"

    run_virtual(work())


@pytest.mark.parametrize("end", [ValueError("a bug"), asyncio.CancelledError()])
def test_one_that_ends_ends_the_run(end: BaseException) -> None:
    async def work() -> None:
        renewals, wanted, problems, fatal, at = scene([None, end])
        renewals.start(wanted)
        await asyncio.sleep(60)
        assert len(at) == 2
        ((code, message),) = fatal
        assert code == "RENEWAL-DEAD"
        assert message.startswith("the switch is renewed no more")
        assert problems == []

    run_virtual(work())


@pytest.mark.parametrize("trading", [False, True])
async def test_only_a_run_that_trades_renews(trading: bool) -> None:
    renewed = asyncio.Event()

    async def renew() -> None:
        renewed.set()

    adapter: Any = ScriptedAdapter(ScriptedProtocol(""))
    adapter.renewing = (Renewal("the switch", 0.0, renew),)
    runtime = VenueRuntime(
        adapter=adapter,
        ws=AiohttpWsTransport(),
        instruments=(),
        trading=trading,
        now_ns=time.time_ns,
        rng=random.Random(0),
        status=RunStatus(),
        on_fatal=lambda code, message: pytest.fail(f"{code} {message}"),
    )
    await runtime.ensure_connected()
    for _ in range(5):
        await asyncio.sleep(0)
    await runtime.release()
    assert renewed.is_set() is trading
