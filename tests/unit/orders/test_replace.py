"""Replacing: one order here, a chain of orders at the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    FindResult,
    Found,
    OrderRef,
    OrderState,
    Outcome,
    Side,
    Unknown,
    VenueFill,
)
from fairlead.engine.orders.search import KNOWN_IDS_WINDOW_NS
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, Intent, intent, venue_order

D100 = Decimal(100)
SMALLER = Decimal("0.2")


def test_what_was_filled_beyond_a_smaller_replacement_is_told_and_the_rest_cancelled(
    tmp_path: Path,
) -> None:
    """The venue replaces in two steps: 0.3 is filled between them, where 0.2 is wanted."""
    bench = Bench(
        tmp_path / "journal.sqlite",
        replace=True,
        private_stream=True,
        reports_fills=True,
        client_order_ids=True,
    )
    bench.venue.answer = lambda _: Accepted("V1")

    async def slow(ref: OrderRef, changed: Intent) -> Outcome:
        trade = VenueFill(
            venue_order_id="V1",
            trade_id="t1",
            instrument=INSTRUMENT,
            side=Side.BUY,
            quantity=Decimal("0.3"),
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )
        state = venue_order(filled=Decimal("0.3"), avg_price=Decimal(100))
        bench.desk.pushed_order(state, trade)
        return Accepted("V2")

    bench.venue.replace = slow  # type: ignore[method-assign]

    async def main() -> None:
        order = intent()
        await bench.desk.submit(approved(order))
        await bench.desk.replace(*approved(msgspec.structs.replace(order, quantity=SMALLER)))
        await asyncio.sleep(0.5)
        await bench.desk.abandon()

    bench.run(main())
    codes = [event[2][0].code for event in bench.sink.events if event[0] == "finding"]
    assert codes == ["OVERFILL"]
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V2"]
    assert bench.desk.journal.positions()[0].quantity == Decimal("0.3")
    order = bench.desk.get("A")
    assert order is not None
    assert order.state in (OrderState.OPEN, OrderState.CANCELLING)
    bench.desk.journal.close()


class Lost:
    """A venue that loses the answer to a replacement, and tells what it was asked to leave out."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.finds: list[FindResult] = []
        self.known: list[frozenset[str]] = []
        bench.venue.answer = lambda order: Accepted(f"V-{order.client_order_id}")
        bench.venue.replace = self.replace  # type: ignore[method-assign]
        bench.venue.find = self.find  # type: ignore[method-assign]

    async def replace(self, ref: OrderRef, changed: Intent) -> Outcome:
        return Unknown("timeout")

    async def find(
        self, wanted: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        self.known.append(known)
        return self.finds.pop(0) if self.finds else Absent("scripted")

    def submit(self, cid: str) -> None:
        async def main() -> None:
            await self.bench.desk.submit(approved(intent(cid)))
            await self.bench.desk.abandon()

        self.bench.run(main())
        self.bench.restart()  # the clock is the run's
        self.bench.desk.adopt_journal()

    def wait(self, secs: float) -> None:
        self.bench.run(asyncio.sleep(secs))
        self.bench.restart()
        self.bench.desk.adopt_journal()

    def replace_a(self, secs: float) -> None:
        async def main() -> None:
            await self.bench.desk.replace(*approved(intent(quantity=SMALLER)))
            await asyncio.sleep(secs)
            await self.bench.desk.abandon()

        self.bench.run(main())


def test_a_lost_replacement_is_none_of_the_orders_since_the_first_send(tmp_path: Path) -> None:
    """Ids from long before are not read, and are not adopted either."""
    bench = Bench(tmp_path / "journal.sqlite", replace=True, client_order_ids=True)
    window_secs = KNOWN_IDS_WINDOW_NS / 1e9
    lost = Lost(bench)
    lost.submit("LONG-AGO")
    lost.wait(window_secs + 1)
    lost.submit("BEFORE")
    lost.wait(window_secs - 1)
    lost.submit("A")
    lost.wait(2 * window_secs)
    lost.submit("AFTER")
    others = [f"V-{cid}" for cid in ("LONG-AGO", "LONG-AGO", "BEFORE")]
    lost.finds = [Found(venue_order(void, quantity=SMALLER)) for void in (*others, "V-A", "V2")]
    lost.replace_a(30)
    recent = {"V-BEFORE", "V-A", "V-AFTER"}
    assert lost.known == [recent, *[recent | {"V-LONG-AGO"}] * 4]
    order = bench.desk.get("A")
    assert order is not None
    assert (order.venue_order_id, order.intent.quantity) == ("V2", SMALLER)
    owned = {void: bench.desk.journal.find(void) for void in ("V-LONG-AGO", "V-BEFORE", "V2")}
    assert owned == {"V-LONG-AGO": "LONG-AGO", "V-BEFORE": "BEFORE", "V2": "A"}
    bench.desk.journal.close()


def test_an_end_is_believed_when_the_executions_of_the_whole_chain_were_read_after_it(
    tmp_path: Path,
) -> None:
    """A late execution of the replaced order is more than the last one's own tells as filled."""
    bench = Bench(
        tmp_path / "journal.sqlite",
        replace=True,
        private_stream=True,
        reports_fills=True,
        client_order_ids=True,
    )
    bench.venue.answer = lambda _: Accepted("V1")
    listed: list[VenueFill] = []

    async def replaced(ref: OrderRef, changed: Intent) -> Outcome:
        return Accepted("V2")

    async def fills(refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        assert [ref.venue_order_id for ref in refs] == ["V1", "V2"]
        return list(listed)

    def trade(name: str, of: str, quantity: str) -> VenueFill:
        return VenueFill(
            venue_order_id=of,
            trade_id=name,
            instrument=INSTRUMENT,
            side=Side.BUY,
            quantity=Decimal(quantity),
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )

    bench.venue.replace = replaced  # type: ignore[method-assign]
    bench.venue.fills = fills  # type: ignore[method-assign]

    async def main() -> None:
        order = intent()
        await bench.desk.submit(approved(order))
        await bench.desk.replace(*approved(order))
        listed.append(trade("t1", "V1", "0.3"))  # just before it was replaced
        for _ in range(5):
            live = bench.desk.get("A")
            assert live is not None
            await bench.desk._table.read_fills(live)
        listed.append(trade("t2", "V2", "0.1"))
        bench.venue.book["V2"] = venue_order(
            "V2", filled=Decimal("0.1"), state=OrderState.CANCELED, avg_price=D100
        )
        for _ in range(5):
            await bench.desk.refresh()
            await asyncio.sleep(0.1)
        await bench.desk.abandon()

    bench.run(main())
    assert bench.desk.get("A") is None
    assert bench.desk.journal.positions()[0].quantity == Decimal("0.4")
    bench.desk.journal.close()


def test_a_replacement_is_not_absent_by_one_look_that_lasts(tmp_path: Path) -> None:
    """What comes after the first page of a look was read is in none of its pages."""
    bench = Bench(tmp_path / "journal.sqlite", replace=True, client_order_ids=True)
    lost = Lost(bench)
    began: list[float] = []
    ended: list[float] = []

    async def find(
        wanted: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        loop = asyncio.get_running_loop()
        began.append(loop.time())
        await asyncio.sleep(9.0 if began[-1] > began[0] + 4 else 0.0)
        ended.append(loop.time())
        return Absent("scripted")

    bench.venue.find = find  # type: ignore[method-assign]
    lost.submit("A")
    lost.replace_a(60)
    assert began[-1] - began[0] >= 10.0
    spans = zip(began, ended, strict=False)  # the last was ended by the end of the run
    assert any(begin - began[0] < 10.0 <= end - began[0] for begin, end in spans)
    bench.desk.journal.close()
