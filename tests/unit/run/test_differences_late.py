"""What was given up and shows at the venue is named by a comparison without a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Absent, Accepted, OrderState, Unknown
from fairlead.engine.run.differences import Known, open_differences
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, venue_order
from tests.unit.orders.held_bench import ABLE, HeldBench, benches, stop


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., HeldBench]]:
    yield from benches(tmp_path)


@pytest.mark.parametrize("keeps_ids", [True, False])
@pytest.mark.parametrize("is_again", [False, True], ids=["is held", "was released again"])
def test_a_release_that_was_given_up_is_no_strangers_order(
    make: Callable[..., HeldBench], *, keeps_ids: bool, is_again: bool
) -> None:
    bench = make()
    bench.venue.answer = lambda _: Unknown("timeout")
    bench.venue.look = lambda _: Absent("nowhere")
    can = msgspec.structs.replace(ABLE, client_order_ids=keeps_ids)
    named = {True: "A", False: ""}[keeps_ids]

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        await bench.at("99", "100")
        await asyncio.sleep(30)
        assert bench.state() is OrderState.HELD
        (sent,) = bench.venue.creates
        if is_again:
            bench.venue.answer = lambda _: Accepted("V2")
            await bench.at("99", "100")
            assert bench.state() is OrderState.OPEN
        late = venue_order(
            "V1",
            client_order_id=named,
            side=sent.side,
            kind=sent.kind,
            quantity=sent.quantity,
            price=sent.price,
            state=OrderState.OPEN,
        )
        bench.venue.book["V1"] = late
        now_ns = bench.loop.now_ns()
        with closing(Journal.reading(bench.desk.journal.path)) as journal:
            known = Known(journal, can, now_ns)
            found = await open_differences(bench.venue, known, [INSTRUMENT], [late], now_ns)
        assert [(one.code, one.subject) for one in found] == [("ORDER-LATE", "V1")]
        assert found[0].journal == "a release of A was sent, and given up as absent"

    bench.run(main())
