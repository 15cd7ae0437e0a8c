"""A run's own part in a kill: what it flattens, what it waits for, and what it takes up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from fairlead.adapters import registry
from fairlead.engine.config.loader import load
from fairlead.engine.kill.account import Markets
from fairlead.engine.kill.flatten import ROUNDS
from fairlead.engine.kill.state import ALL, Action, KillState, Scope
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.kill.watch import FLATTEN_TRIES, WAIT_SECS, KillWatch
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.lock import FlattenLock
from fairlead.engine.orders.model import (
    CancelAccepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    OrderState,
    Outcome,
    Refused,
    Side,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.status import RunStatus
from tests.unit.kill.test_command import CONFIG
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order
from tests.unit.orders.test_kill import MARKET, _fill, _fills_at_once, _hold, _positions

D = Decimal
STRATEGY = Scope("strategy", "S-1")


class Watched:
    """The watch of a run whose desk is the bench's."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        (folder / "run.toml").write_text(CONFIG)
        self.bench = bench
        self.loaded = load(folder / "run.toml", registry)
        self.state = KillState(folder / "kill-switch", {"oceanex": "main"})
        self.lock = FlattenLock(folder / "state" / "oceanex-main.flatten.lock")
        self.lock.path.parent.mkdir(exist_ok=True)
        self.trading: Any = SimpleNamespace(
            venue="OCEANEX",
            account="main",
            journal=bench.journal,
            desk=bench.desk,
            orders=bench.venue,
            can_flatten=True,
            look_at_kills=lambda: None,
        )
        self.halts: Any = SimpleNamespace(look=lambda: None, asks=frozenset())
        self.status = RunStatus()
        self.market, self.touch = MARKET, _touch
        self.watch = KillWatch(
            self.loaded,
            KillSwitch(folder / "KILL", self.state),
            self.halts,
            self.status,
            [self.trading],
            lambda: (),
            lambda _: Markets({INSTRUMENT: self.market}, self.touch),
            bench.loop.now_ns,
        )
        self.watch.recovered(self.trading)

    def kill(self, scope: Scope, action: Action = Action.FLATTEN) -> None:
        self.state.engage(scope, action, reason="a test", by="tests")

    def run(self, *steps: float | Callable[[], None]) -> None:
        """So many seconds, or what is done then, one after another."""

        async def main() -> None:
            self.bench.desk.start()
            looking = asyncio.ensure_future(self.watch.run())
            for step in steps:
                if callable(step):
                    step()
                else:
                    await asyncio.sleep(step)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self.bench.desk.abandon()
            assert self.bench.desk.failure is None

        self.bench.run(main())

    def sent(self) -> list[Decimal]:
        return [one.quantity for one in self.bench.venue.creates]


async def _touch(_: str) -> tuple[Decimal, Decimal]:
    return D("99.9"), D("100.1")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal.sqlite")
    yield made
    assert made.journal is not None
    made.journal.close()


@pytest.fixture
def watched(bench: Bench, tmp_path: Path) -> Watched:
    bench.venue.answer = _fills_at_once(bench)
    return Watched(bench, tmp_path)


def _held(bench: Bench) -> dict[str, Decimal]:
    return {name: quantity for name, quantity in _positions(bench).items() if quantity}


def _left(bench: Bench, *, venue_order_id: str | None = None) -> Intent:
    """What `fairlead kill` leaves that died between the intent of its order and the answer."""
    assert bench.journal is not None
    bench.journal.hand_over("S-1", KILL_STRATEGY, INSTRUMENT, D(100))
    one = intent(
        "K",
        strategy=KILL_STRATEGY,
        side=Side.SELL,
        kind=Kind.MARKET,
        price=None,
        ts_init=bench.loop.now_ns(),
    )
    bench.journal.intend([one])
    if venue_order_id is not None:
        bench.journal.accepted("K", venue_order_id, instrument=INSTRUMENT)
    return one


def _sold() -> VenueOrder:
    return venue_order(
        "VK",
        client_order_id="K",
        side=Side.SELL,
        kind=Kind.MARKET,
        price=None,
        filled=D("0.5"),
        avg_price=D(100),
        state=OrderState.FILLED,
    )


# -- a closing order that a process left -----------------------------------------------------------


@pytest.mark.parametrize("scope", [ALL, STRATEGY, None])
def test_a_closing_order_that_was_never_sent_is_proven_and_what_it_was_for_is_closed(
    bench: Bench, watched: Watched, scope: Scope | None
) -> None:
    _hold(bench, "A", "0.5")
    _left(bench)
    if scope is not None:
        watched.kill(scope)
    watched.run(60.0)
    assert bench.journal is not None
    order = bench.journal.order("K")
    assert order is not None
    assert order.state is OrderState.REFUSED, "absent for longer than the venue can lag"
    if scope is None:  # its kill is cleared: the next start gives it back
        assert (watched.sent(), _held(bench)) == ([], {KILL_STRATEGY: D("0.5")})
    else:
        assert (watched.sent(), _held(bench)) == ([D("0.5")], {})


@pytest.mark.parametrize("is_proven", [False, True])
def test_a_closing_order_that_was_executed_is_booked_once(
    bench: Bench, watched: Watched, is_proven: bool
) -> None:
    _hold(bench, "A", "0.5")
    _left(bench, venue_order_id="VK" if is_proven else None)
    bench.venue.book["VK"] = _sold()
    bench.venue.look = lambda _: Found(_sold())
    watched.kill(ALL)
    watched.run(30.0)
    assert _held(bench) == {}
    assert watched.sent() == []
    assert bench.journal is not None
    assert len(bench.journal.fills_of("K")) == 1
    assert bench.sink.names()[0] == "order_submitted", "the engine is told that it is its own"


def test_one_whose_process_lives_is_left_to_it(bench: Bench, watched: Watched) -> None:
    """Two desks would book its execution twice."""
    _hold(bench, "A", "0.5")
    one = _left(bench)
    bench.venue.look = lambda _: Found(_sold())
    watched.kill(ALL)
    assert watched.lock.take()

    def ends() -> None:
        assert bench.desk.live_orders() == []
        assert bench.journal is not None
        bench.journal.accepted("K", "VK", instrument=INSTRUMENT)
        bench.journal.fill(one, _fill("K", "0.5", side=Side.SELL), D(0))
        bench.journal.state("K", OrderState.FILLED)
        watched.lock.free()

    watched.run(30.0, ends, 30.0)
    assert (watched.sent(), _held(bench)) == ([], {})


# -- what is to be closed --------------------------------------------------------------------------


def test_what_an_earlier_flatten_took_from_the_strategy_is_closed(
    bench: Bench, watched: Watched
) -> None:
    _hold(bench, "A", "0.5")
    _left(bench)
    assert bench.journal is not None
    bench.journal.state("K", OrderState.REFUSED, {"reason": "absent"})
    watched.kill(STRATEGY)
    watched.run(10.0)
    assert (watched.sent(), _held(bench)) == ([D("0.5")], {})


def test_what_kill_holds_stays_while_no_flatten_is_in_force(bench: Bench, watched: Watched) -> None:
    _hold(bench, "A", "0.5", strategy=KILL_STRATEGY)
    watched.kill(ALL, Action.CANCEL)
    watched.run(10.0)
    assert (watched.sent(), _held(bench)) == ([], {KILL_STRATEGY: D("0.5")})


def test_dust_of_kills_is_looked_at_once(
    bench: Bench, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    _hold(bench, "A", "0.0004", strategy=KILL_STRATEGY)
    watched.kill(ALL)
    with caplog.at_level(logging.WARNING):
        watched.run(60.0)
    assert caplog.text.count("flat") - caplog.text.count("flatten") <= 1
    assert (watched.sent(), _held(bench)) == ([], {KILL_STRATEGY: D("0.0004")})


def test_positions_that_net_to_nothing_are_not_held_any_more(
    bench: Bench, watched: Watched
) -> None:
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.5", strategy="S-2", side=Side.SELL)
    watched.kill(ALL)
    watched.run(10.0)
    assert (watched.sent(), _held(bench)) == ([], {})


def test_a_second_kill_closes_after_its_orders_are_cancelled(
    bench: Bench, watched: Watched
) -> None:
    """S-2's own exit rests: it is cancelled before the position that it covers is closed."""
    assert bench.journal is not None
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.2", strategy="S-2")
    rest = intent("R", strategy="S-2", side=Side.SELL, quantity=D("0.2"))
    bench.journal.intend([rest])
    bench.journal.accepted("R", "VR", instrument=INSTRUMENT)
    bench.venue.book["VR"] = venue_order("VR", side=Side.SELL, quantity=D("0.2"))
    bench.desk.adopt_journal()
    fills, open_then = _fills_at_once(bench), []

    def answer(one: Intent) -> Outcome:
        open_then.append(bench.desk.get("R") is not None)
        watched.kill(Scope("strategy", "S-2"))
        return fills(one)

    def cancel(_: Any) -> Any:
        bench.venue.book["VR"] = venue_order(
            "VR", side=Side.SELL, quantity=D("0.2"), state=OrderState.CANCELED
        )
        return CancelAccepted()

    bench.venue.answer, bench.venue.cancel_answer = answer, cancel
    watched.kill(STRATEGY)
    watched.run(30.0)
    assert watched.sent() == [D("0.5"), D("0.2")]
    assert open_then == [True, False]
    assert _held(bench) == {}


# -- what is waited for ----------------------------------------------------------------------------


def _resting(bench: Bench, cid: str = "R", strategy: str = "S-1") -> None:
    assert bench.journal is not None
    bench.journal.intend([intent(cid, strategy=strategy)])
    bench.journal.accepted(cid, f"V{cid}", instrument=INSTRUMENT)
    bench.venue.book[f"V{cid}"] = venue_order(f"V{cid}")


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_an_order_that_nobody_can_tell_the_end_of_is_not_waited_for(
    bench: Bench, watched: Watched, is_forgotten: bool
) -> None:
    _hold(bench, "A", "0.5")
    _resting(bench)
    bench.desk.adopt_journal()
    (order,) = bench.desk.live_orders()
    order.is_missing = True
    order.is_forgotten = is_forgotten
    bench.venue.book.clear()
    watched.kill(ALL)
    watched.run(3.0)
    assert (watched.sent(), _held(bench)) == ([D("0.5")], {})


def test_an_order_that_the_venue_does_not_cancel_is_named_and_not_waited_for_for_ever(
    bench: Bench, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    _hold(bench, "A", "0.5")
    _resting(bench)
    bench.desk.adopt_journal()
    bench.venue.cancel_answer = lambda _: CancelRefused("T-1", "not now")
    watched.kill(ALL)

    def waits() -> None:
        assert watched.sent() == []
        assert caplog.text.count("positions are NOT CLOSED YET") == 1
        assert "R T-1" in caplog.text

    watched.run(WAIT_SECS - 5, waits, 10.0)
    assert (watched.sent(), _held(bench)) == ([D("0.5")], {})
    assert caplog.text.count("positions are closed, though these orders are not cancelled") == 1


def test_another_strategys_order_is_not_waited_for(bench: Bench, watched: Watched) -> None:
    """It is only cancelled, and can't be: what is flattened is not its own."""
    _hold(bench, "A", "0.5")
    _resting(bench, strategy="S-2")
    bench.desk.adopt_journal()
    bench.venue.cancel_answer = lambda _: CancelRefused("T-1", "not now")
    watched.kill(Scope("strategy", "S-2"), Action.CANCEL)
    watched.kill(STRATEGY)
    watched.run(6.0)
    assert (watched.sent(), _held(bench)) == ([D("0.5")], {})


# -- tries -----------------------------------------------------------------------------------------


def test_the_end_of_its_tries_is_told_and_a_later_kill_has_its_own(
    bench: Bench, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    _hold(bench, "A", "0.5")
    bench.venue.answer = lambda _: Refused("NO", "no")
    watched.kill(ALL)
    counts = []

    def is_closed_by_a_person() -> None:
        assert caplog.text.count(f"LEFT after {FLATTEN_TRIES} tries") == 1
        assert bench.journal is not None
        counts.append(len(watched.sent()))
        one = intent("X", side=Side.SELL)
        bench.journal.intend([one])
        bench.journal.fill(one, _fill("X", "0.5", side=Side.SELL), D(0))
        bench.journal.state("X", OrderState.FILLED)

    def is_held_anew() -> None:
        _hold(bench, "B", "0.2")
        bench.venue.answer = _fills_at_once(bench)

    watched.run(FLATTEN_TRIES * 10.0, is_closed_by_a_person, 10.0, is_held_anew, 10.0)
    assert watched.sent()[counts[0] :] == [D("0.2")]
    assert _held(bench) == {}


def test_a_flatten_that_can_not_close_goes_on_once_a_minute_and_status_says_so(
    bench: Bench, watched: Watched
) -> None:
    _hold(bench, "A", "0.5")
    bench.venue.answer = lambda _: Refused("NO", "no")
    watched.kill(ALL)

    def later() -> None:
        assert FLATTEN_TRIES < len(watched.sent()) / ROUNDS <= FLATTEN_TRIES + 3
        told = [one.message for one in watched.status.problems if one.code == "NOT-FLAT"]
        assert len(told) == 1
        assert f"oceanex main: LEFT after {FLATTEN_TRIES} tries: 0.5 {INSTRUMENT}" in told[0]
        bench.venue.answer = _fills_at_once(bench)

    watched.run(FLATTEN_TRIES * 10.0, 120.0, later, 61.0)
    assert _held(bench) == {}


def _another_is_killed(watched: Watched) -> None:
    one = intent("B", strategy="S-2")
    assert watched.bench.journal is not None
    watched.bench.journal.intend([one])
    watched.bench.journal.fill(one, _fill("B", "0.2"), D(0))
    watched.bench.journal.state("B", OrderState.FILLED)
    watched.kill(Scope("strategy", "S-2"))


def _killed_anew(watched: Watched) -> None:
    watched.state.clear(STRATEGY, reason="again", by="tests")
    watched.watch.look()
    watched.kill(STRATEGY)


def _asked_again(watched: Watched) -> None:
    watched.kill(STRATEGY)


def _loss_limit_breaks(watched: Watched) -> None:
    watched.halts.asks = frozenset({"flatten"})


@pytest.mark.parametrize(
    "asks", [_another_is_killed, _killed_anew, _asked_again, _loss_limit_breaks]
)
def test_whoever_asks_for_a_flatten_next_has_its_own_tries_at_once(
    bench: Bench, watched: Watched, asks: Callable[[Watched], None]
) -> None:
    _hold(bench, "A", "0.5")
    bench.venue.answer = lambda _: Refused("NO", "no")
    watched.kill(STRATEGY)

    def again() -> None:
        bench.venue.answer = _fills_at_once(bench)
        asks(watched)

    watched.run(FLATTEN_TRIES * 7.0, again, 8.0)  # between two of the slow tries
    assert _held(bench) == {}


@pytest.mark.parametrize("error", [VenueUnavailable("DOWN", "no answer"), LookupError("no asks")])
def test_a_book_that_can_not_be_read_is_a_try_that_came_to_nothing(
    bench: Bench, watched: Watched, error: Exception
) -> None:
    """At a venue without market orders. The desk, and with it the run, goes on."""
    reads = []

    async def touch(name: str) -> tuple[Decimal, Decimal]:
        reads.append(name)
        if len(reads) == 1:
            raise error
        return await _touch(name)

    watched.market, watched.touch = structs.replace(MARKET, has_market_orders=False), touch
    _hold(bench, "A", "0.5")
    watched.kill(ALL)
    watched.run(10.0)
    assert (watched.sent(), _held(bench)) == ([D("0.5")], {})


# -- the file --------------------------------------------------------------------------------------


def test_a_kill_by_the_file_is_told_and_is_what_the_run_ends_by(
    bench: Bench, watched: Watched, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    told = f"the kill switch file {tmp_path / 'KILL'} exists"
    assert watched.watch.everything() is None

    def came() -> None:
        assert caplog.text.count(told) == 1
        assert [one.code for one in watched.status.problems] == ["KILLED"]
        assert told in str(watched.watch.everything())
        (tmp_path / "KILL").unlink()

    watched.run((tmp_path / "KILL").touch, 2.0, came, 1.0)
    assert caplog.text.count("is gone: orders go on") == 1
    assert watched.watch.everything() is None


@pytest.mark.parametrize("closes", [True, False])
def test_after_a_clear_it_is_told_whether_the_run_trades_on(
    bench: Bench, watched: Watched, caplog: pytest.LogCaptureFixture, closes: bool
) -> None:
    """It does where a kill closes nothing: the gate lets its orders pass, and no line denies it."""
    _hold(bench, "A", "0.5")
    watched.trading.can_flatten = closes
    watched.kill(ALL)
    watched.run(3.0, lambda: watched.state.clear(ALL, reason="looked", by="tests"), 1.0)
    denied = watched.watch._switch.reason("S-1", "BTC_USDT.OCEANEX")
    is_told = "FLATTENED: what the kill of all closed" in caplog.text
    assert is_told is closes is (denied is not None)
    assert ("oceanex main: all closed no position" in caplog.text) is not closes


def test_what_is_held_is_read_once_the_journal_has_moved(
    bench: Bench,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ten looks a second for as long as a loss limit is broken."""
    assert bench.journal is not None
    read, reads = bench.journal.positions, []
    monkeypatch.setattr(bench.journal, "positions", lambda: reads.append(1) or read())
    _loss_limit_breaks(watched)

    def still() -> None:
        assert len(reads) == 1
        _hold(bench, "A", "0.5")

    watched.run(5.0, still, 5.0)
    assert "a loss limit is broken: closing 0.5" in caplog.text
    assert _held(bench) == {}
