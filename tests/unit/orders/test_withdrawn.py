"""A stop withdraws what is not sent yet; exits go out meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from fairlead.adapters.base.commands import Commands
from fairlead.adapters.base.ratelimit import Rate, RateLimited, RateLimiter
from fairlead.engine.orders.model import Accepted, Intent, OrderState, Outcome, Refused, Role, Side
from tests.support.approving import approved
from tests.unit.orders.conftest import Bench, ScriptedVenue, intent

EXIT = {"side": Side.SELL, "role": Role.EXIT, "reduce_only": True}
SLOW_SECS = 0.6


class SlowVenue(ScriptedVenue):
    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        self.creates.extend(intents)
        await asyncio.sleep(SLOW_SECS)
        return [Accepted(f"V-{one.client_order_id}") for one in intents]


class BusyVenue(ScriptedVenue):
    """Whose rate budget has room for one create in 10 s."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter = RateLimiter({"orders": Rate(1, 10.0)}, reserve=0.0, max_wait_secs=30.0)

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        try:
            await self.limiter.acquire("orders", "create")
        except RateLimited as error:
            return [Refused("TEST-RATE", error.reason) for _ in intents]
        self.creates.extend(intents)
        return [Accepted(f"V-{one.client_order_id}") for one in intents]


def refusals(bench: Bench) -> dict[str, str]:
    """Code by client order id."""
    return {cid: detail[1] for name, cid, detail in bench.sink.events if name == "order_refused"}


def test_what_waits_unsent_is_withdrawn_and_no_exit_waits_for_an_answer(bench: Bench) -> None:
    bench.venue = SlowVenue()
    bench.desk = bench.make_desk(bench.journal)  # type: ignore[arg-type]
    commands, sent_at = Commands(), {}

    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def submit(one: Intent) -> None:
            sent_at[one.client_order_id] = loop.time()
            await bench.desk.submit(approved(one))

        for one in [*(intent(f"Q{n}") for n in range(30)), intent("X", **EXIT)]:
            commands.take("market", partial(submit, one))
        await asyncio.sleep(SLOW_SECS / 2)
        began = loop.time()
        bench.desk.withdraw([f"Q{n}" for n in range(30)], "the run stops")
        commands.unblock()
        await asyncio.sleep(0.001)
        assert [one.client_order_id for one in bench.venue.creates[:1]] == ["Q0"]
        assert not commands.idle.is_set()
        await commands.idle.wait()
        return sent_at["X"] - began

    assert bench.run(main()) == pytest.approx(0, abs=0.001)
    assert [one.client_order_id for one in bench.venue.creates] == ["Q0", "X"]
    assert refusals(bench) == {f"Q{n}": "DESK-WITHDRAWN" for n in range(1, 30)}
    assert bench.journal is not None
    assert bench.journal.order("Q1") is None  # nothing of it was ever on its way
    assert {one.intent.client_order_id for one in bench.journal.open_orders()} == {"Q0", "X"}


def test_what_waits_for_rate_budget_is_withdrawn_and_an_exit_beside_it_is_sent(
    bench: Bench,
) -> None:
    bench.venue = BusyVenue()
    bench.desk = bench.make_desk(bench.journal)  # type: ignore[arg-type]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await bench.desk.submit(approved(intent("A")))
        quote = asyncio.create_task(bench.desk.submit(approved(intent("Q", price=99))))
        await asyncio.sleep(1)
        leaving = asyncio.create_task(bench.desk.submit(approved(intent("X", **EXIT))))
        await asyncio.sleep(1)
        began = loop.time()
        bench.desk.withdraw(["Q"], "the run stops")
        await quote
        assert loop.time() - began < 1
        await leaving

    bench.run(main())
    assert [one.client_order_id for one in bench.venue.creates] == ["A", "X"]
    assert set(refusals(bench)) == {"Q"}
    assert bench.journal is not None
    known = bench.journal.order("Q")
    assert known is not None
    assert known.state is OrderState.REFUSED


def test_a_change_of_what_is_withdrawn_is_not_sent(tmp_path: object) -> None:
    bench = Bench(tmp_path / "journal.sqlite", replace=True)  # type: ignore[operator]
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.desk.withdraw(["A"], "the run stops")
        await bench.desk.replace(approved(intent("A", price=98))[0])

    bench.run(main())
    assert bench.sink.names()[-1] == "replace_refused"
    assert bench.journal is not None
    bench.journal.close()


def test_commands_of_an_instrument_follow_one_another_until_a_stop() -> None:
    ended: list[str] = []

    async def main() -> None:
        commands = Commands()

        async def one(name: str, number: int) -> None:
            await asyncio.sleep(0.01 * (3 - number))
            ended.append(f"{name}{number}")

        for number in range(3):
            commands.take("A", partial(one, "A", number))
        commands.take("B", partial(one, "B", 2))
        assert commands.count == 4
        await commands.idle.wait()
        assert ended == ["B2", "A0", "A1", "A2"]
        for number in range(3):
            commands.take("A", partial(one, "A", number))
        await asyncio.sleep(0)
        commands.unblock()
        commands.take("A", partial(one, "A", 3))
        await commands.idle.wait()
        assert ended[4:] == ["A3", "A2", "A1", "A0"]

    asyncio.run(main())


def test_a_command_that_raises_or_is_cancelled_ends_its_turn() -> None:
    """Also one whose turn had not come: it never begins."""
    told: list[Any] = []
    begun: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        commands = Commands()

        async def one(number: int) -> None:
            begun.append(number)
            if number == 0:
                raise ValueError("on purpose")
            await asyncio.sleep(60)

        for number in range(3):
            commands.take("A", partial(one, number))
        while begun != [0, 1]:
            await asyncio.sleep(0)
        await commands.end()
        await commands.idle.wait()
        assert commands.count == 0

    asyncio.run(main())
    assert begun == [0, 1]
    assert [str(one) for one in told] == ["on purpose"]
