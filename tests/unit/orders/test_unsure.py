"""What can't be told apart is looked at without end, and journaled when it is new, then seldom."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

from fairlead.engine.orders.model import FindResult, Unknown, Unsure, VenueOrder
from tests.support.approving import approved
from tests.unit.orders.conftest import Bench, intent, venue_order

DAY_SECS = 86_400.0


def two_fit(*orders: VenueOrder, text: str = "2 fit") -> Unsure:
    return Unsure(text, ambiguous=True, candidates=orders)


def kinds(bench: Bench, cid: str = "A") -> Counter[str]:
    return Counter(kind for _, _, kind, _ in bench.desk.journal.story(cid))


def told(bench: Bench) -> int:
    return sum(name == "finding" for name, _, _ in bench.sink.events)


def test_a_day_of_doubt_is_some_records_and_stays_in_sight(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    looks = 0

    def look(_: object) -> FindResult:
        nonlocal looks
        looks += 1
        return two_fit(venue_order("V1"), venue_order("V2"), text=f"2 fit, after {looks} s")

    bench.venue.look = look

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        await asyncio.sleep(DAY_SECS)
        assert bench.desk.unresolved(), "nobody has decided"
        await bench.desk.abandon()

    bench.run(main())
    assert looks > 10_000
    assert told(bench) == looks, "whoever halts and shows is told of each"
    found = kinds(bench)
    assert found["UNSURE"] == found["FINDING"]
    # after 0, 30, 90, 210 ... s, then each hour
    assert 24 <= found["UNSURE"] <= 40


def test_what_is_new_is_journaled_at_once(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    first, second = venue_order("V1"), venue_order("V2")
    filled = venue_order("V2", filled=Decimal("0.1"))
    results = [
        Unsure("HTTP-TIMEOUT: no answer in 5.0 s"),
        Unsure("HTTP-TIMEOUT: no answer in 5.1 s"),  # the same
        two_fit(first, second),
        two_fit(second, first),  # the same
        two_fit(first, filled),
        two_fit(first, filled, venue_order("V3")),
    ]
    seen = iter(results)
    bench.venue.look = lambda _: next(seen, results[-1])

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        await asyncio.sleep(25)
        await bench.desk.abandon()

    bench.run(main())
    assert next(seen, None) is None
    assert kinds(bench)["UNSURE"] == 4
    assert kinds(bench)["FINDING"] == 3
