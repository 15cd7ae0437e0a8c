"""A closing order meets no order of the account's own: what lies in its way is cancelled first."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.kill.state import Action
from fairlead.engine.orders.model import (
    CancelAccepted,
    CancelRefused,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Outcome,
    Role,
    Side,
    TriggerCondition,
)
from tests.unit.kill.test_watch import STRATEGY, Watched
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order
from tests.unit.orders.test_kill import MARKET, _cancelling, _fills_at_once, _flatten, _hold

D = Decimal
LIMIT_ONLY = msgspec.structs.replace(MARKET, has_market_orders=False)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """S-1 is short 0.5; each closing order meets what rests on the other side, and notes it."""
    made = Bench(tmp_path / "journal.sqlite")
    _hold(made, "A", "0.5", side=Side.SELL)
    made.venue.cancel_answer = _cancelling(made)
    yield made
    assert made.journal is not None
    made.journal.close()


class Meeting:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._fills = _fills_at_once(bench)
        self.open_then: list[set[str]] = []
        bench.venue.answer = self

    def __call__(self, one: Intent) -> Outcome:
        book = self._bench.venue.book.items()
        self.open_then.append({name for name, order in book if not order.state.is_terminal})
        return self._fills(one)


def _rests(bench: Bench, cid: str, price: str, **fields: Any) -> None:
    """Of S-2, as its run has it."""
    assert bench.journal is not None
    given: dict[str, Any] = {"strategy": "S-2", "side": Side.SELL, "price": D(price)} | fields
    one = intent(cid, **given)
    bench.journal.intend([one])
    bench.journal.accepted(cid, f"V{cid}", instrument=INSTRUMENT)
    bench.venue.book[f"V{cid}"] = venue_order(
        f"V{cid}", side=one.side, price=one.price, kind=one.kind
    )


@pytest.fixture(params=["run", "command"])
def flatten(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Any:
    """Flattens S-1; gives what is told."""

    def by_run(market: Any, caplog: pytest.LogCaptureFixture) -> str:
        bench.desk.adopt_journal()
        watched = Watched(bench, tmp_path)
        watched.market = market
        watched.kill(STRATEGY, Action.FLATTEN)
        watched.run(10.0)
        return caplog.text

    def by_command(market: Any, _: pytest.LogCaptureFixture) -> str:
        told: list[str] = []
        _flatten(bench, only="S-1", market=market, tell=told.append)
        return "\n".join(told)

    return by_run if request.param == "run" else by_command


@pytest.mark.parametrize("market", [MARKET, LIMIT_ONLY], ids=["market", "limit"])
def test_what_another_strategy_rests_in_the_way_is_cancelled_first(
    bench: Bench, flatten: Any, market: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _rests(bench, "Q", "100.1", role=Role.QUOTE)
    meeting = Meeting(bench)
    told = flatten(market, caplog)
    assert meeting.open_then == [set()]
    assert f"{INSTRUMENT} SELL at 100.1 (S-2 Q) lies in the way" in told
    assert {one.client_order_id for one in bench.venue.cancels} == {"Q"}


@pytest.mark.parametrize("market", [MARKET, LIMIT_ONLY], ids=["market", "limit"])
def test_what_does_not_lie_in_the_way_stays(
    bench: Bench, flatten: Any, market: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _rests(bench, "TARGET", "150", role=Role.TARGET)
    _rests(bench, "BID", "99", side=Side.BUY)
    _rests(bench, "STOP", "100", role=Role.STOP, reduce_only=True)
    _rests(
        bench,
        "WAITS",
        "100",
        kind=Kind.STOP_LIMIT,
        trigger_price=D(99),
        trigger_condition=TriggerCondition.LTE,
    )
    meeting = Meeting(bench)
    flatten(market, caplog)
    assert meeting.open_then == [{"VTARGET", "VBID", "VSTOP", "VWAITS"}]
    assert bench.venue.cancels == []


def test_one_that_can_not_be_cancelled_is_told_and_waited_for_a_few_seconds(
    bench: Bench, flatten: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _rests(bench, "Q", "100.1")
    bench.venue.cancel_answer = lambda _: CancelRefused("T-1", "not now")
    meeting = Meeting(bench)
    assert "(S-2 Q): not cancelled after 3 s" in flatten(MARKET, caplog)
    assert meeting.open_then == [{"VQ"}]


def test_one_whose_cancel_takes_a_while_is_waited_for(
    bench: Bench, flatten: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _rests(bench, "Q", "100.1")
    meeting, cancels = Meeting(bench), []

    def second_ends_it(ref: OrderRef) -> CancelAccepted:
        cancels.append(ref)
        if len(cancels) > 1:
            was = bench.venue.book["VQ"]
            bench.venue.book["VQ"] = msgspec.structs.replace(was, state=OrderState.CANCELED)
        return CancelAccepted()

    bench.venue.cancel_answer = second_ends_it
    assert "not cancelled" not in flatten(MARKET, caplog)
    assert meeting.open_then == [set()]


def test_one_that_is_being_cancelled_trades_still_though_no_list_has_it(
    bench: Bench, flatten: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As at OceanEx: the account traded with itself."""
    _rests(bench, "Q", "100.1")
    meeting, looks = Meeting(bench), []

    def begins(_: OrderRef) -> CancelAccepted:
        was = bench.venue.book["VQ"]
        bench.venue.book["VQ"] = msgspec.structs.replace(was, state=OrderState.CANCELLING)
        return CancelAccepted()

    async def listed(_: Any) -> list[Any]:
        looks.append(1)
        if len(looks) == 3:
            was = bench.venue.book["VQ"]
            bench.venue.book["VQ"] = msgspec.structs.replace(was, state=OrderState.CANCELED)
        return [one for one in bench.venue.book.values() if one.state is OrderState.OPEN]

    bench.venue.cancel_answer = begins
    bench.venue.open_orders = listed  # type: ignore[method-assign]
    flatten(MARKET, caplog)
    assert meeting.open_then == [set()]


def test_while_another_process_closes_a_run_sends_nothing_in_its_way(
    bench: Bench, tmp_path: Path
) -> None:
    bench.desk.adopt_journal()
    Meeting(bench)
    watched = Watched(bench, tmp_path)
    watched.kill(STRATEGY, Action.FLATTEN)
    assert watched.lock.take()
    quote = intent("Q", strategy="S-2", side=Side.SELL, price=D("100.1"))
    stop = msgspec.structs.replace(quote, role=Role.STOP, reduce_only=True)
    bid = msgspec.structs.replace(quote, side=Side.BUY)
    told: list[bool] = []

    def look() -> None:
        told.extend(watched.watch.killed(one) is not None for one in (quote, stop, bid))

    watched.run(2.0, look, watched.lock.free, 20.0, look)
    assert told == [True, False, False, False, False, False], "once it is closed, no more"
