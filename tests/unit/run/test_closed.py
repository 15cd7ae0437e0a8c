"""Which orders leave NautilusTrader's cache, and which have to stay."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId, InstrumentId, VenueOrderId

from fairlead.adapters.base.account import Account
from fairlead.engine.config.model import Execution
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe.gone import Gone
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.research.marks import Marks
from fairlead.engine.run import closed
from fairlead.engine.run.closed import ClosedOrders

KEEP = 10.0


class Trading(Account):
    """An account with what is read of it."""

    venue = "X"  # type: ignore[assignment]

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.given_up: list[str] = []
        self.watched: list[str] = []
        self.others: list[str] = []
        self.failure: BaseException | None = None
        self.reads = 0
        self.error: JournalError | None = None
        self.desk: Any = SimpleNamespace(
            get=lambda name: name if name in self.live else None,
            given_up=lambda: [named(one) for one in self.watched],
            fail=lambda error: setattr(self, "failure", error),
        )
        self.journal: Any = SimpleNamespace(given_up_since=self._given_up)

    def _given_up(self, since_ns: int, most: int) -> list[tuple[Any, int]]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return [(named(one), 0) for one in self.given_up]

    def externals(self) -> Any:
        return [SimpleNamespace(venue_order_id=one) for one in self.others]

    def now_ns(self) -> int:
        return 0


def named(name: str) -> Any:
    return SimpleNamespace(intent=SimpleNamespace(client_order_id=name))


class Cache:
    def __init__(self) -> None:
        self.all: dict[ClientOrderId, Any] = {}
        self.owners: dict[str, ClientOrderId] = {}

    def add(self, name: str, status: str = "CANCELED", **more: Any) -> None:
        order = SimpleNamespace(
            client_order_id=ClientOrderId(name),
            venue_order_id=VenueOrderId(f"V{name}"),
            instrument_id=InstrumentId.from_str("BTC_USDT.X"),
            strategy_id="S-1",
            status=SimpleNamespace(name=status),
            is_closed=status != "ACCEPTED",
            linked_order_ids=None,
            events=tuple,
        )
        order.__dict__.update(more)
        self.all[order.client_order_id] = order
        self.owners[f"V{name}"] = order.client_order_id

    def order(self, client_order_id: ClientOrderId) -> Any:
        return self.all.get(client_order_id)

    def strategy_id_for_order(self, client_order_id: ClientOrderId) -> str:
        return str(self.all[client_order_id].strategy_id)

    def client_order_id(self, venue_order_id: Any) -> Any:
        return self.owners.get(str(venue_order_id))

    def client_order_ids_closed(self, venue: Any) -> list[ClientOrderId]:
        return [
            name
            for name, one in self.all.items()
            if one.is_closed and one.instrument_id.venue == venue
        ]

    def purge_order(self, client_order_id: ClientOrderId) -> None:
        del self.all[client_order_id]

    def names(self) -> list[str]:
        return [str(name) for name in self.all]


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, newest: int = 0) -> None:
        self.cache, self.trading, self.state = Cache(), Trading(), RunState()
        self.needed: set[str] = set()
        self.forgotten: list[str] = []
        self.kept: list[Gone] = []
        self.full: OSError | None = None
        guard = SimpleNamespace(
            id="S-1",
            needs=lambda name: name in self.needed,
            exits=SimpleNamespace(
                forgotten=lambda order: self.forgotten.append(str(order.client_order_id))
            ),
        )
        monkeypatch.setattr(closed, "order_rows", lambda orders, markets: [{"fills": []}])
        self.marks = Marks()
        self.closed = ClosedOrders(
            self.cache,
            [self.trading, object()],
            [SimpleNamespace(_guard=guard)],
            self.state,
            self.marks,
            self._keep,
            Execution(closed_orders_secs=KEEP, closed_orders=newest),
        )

    def _keep(self, one: Gone) -> None:
        if self.full is not None:
            raise self.full
        self.kept.append(one)

    def passes(self, *at: float) -> list[str]:
        for now in at:
            self.closed.look(now)
        return self.cache.names()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_an_order_that_is_over_goes_after_its_time_and_not_before(bench: Bench) -> None:
    bench.cache.add("A")
    bench.cache.add("B", "ACCEPTED")
    bench.state.markets = {"A": 1, "A/end": 2, "B": 3}
    bench.state.lent["A"] = object()
    bench.state.apart["A"] = None
    bench.state.ticks = {"A": 5}
    assert bench.passes(0, KEEP - 0.1) == ["A", "B"]
    assert bench.passes(KEEP) == ["B"]
    assert (len(bench.kept), bench.forgotten) == (1, ["A"])
    assert (bench.state.markets, bench.state.lent, bench.state.ticks) == ({"B": 3}, {}, {})
    assert bench.state.apart == {}
    assert bench.state.lets_go


def test_the_newest_of_each_strategy_stay_whatever_their_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, newest=2)
    for number, owner in enumerate(("S-1", "S-2", "S-1", "S-1", "S-1")):
        bench.cache.add(f"A{number}", strategy_id=owner)
        bench.passes(number)
    assert bench.passes(KEEP + 2.5, KEEP + 9, KEEP + 99) == ["A1", "A3", "A4"]
    bench.cache.add("A5")
    assert "A3" not in bench.passes(KEEP + 100)


def test_what_another_client_trades_stays(bench: Bench) -> None:
    bench.cache.add("A", instrument_id=InstrumentId.from_str("BTC_USDT.Y"))
    assert bench.passes(0, KEEP, 3 * KEEP) == ["A"]


def live(bench: Bench) -> None:
    bench.trading.live.add("A")


def given_up(bench: Bench) -> None:
    bench.trading.given_up.append("A")


def watched(bench: Bench) -> None:
    bench.trading.watched.append("A")


def of_another(bench: Bench) -> None:
    bench.trading.others.append("VA")


def given_again(bench: Bench) -> None:
    bench.cache.owners["VA"] = ClientOrderId("Z")


def linked(bench: Bench) -> None:
    bench.cache.add("L", "ACCEPTED")
    bench.cache.all[ClientOrderId("A")].linked_order_ids = [ClientOrderId("L")]


def needed(bench: Bench) -> None:
    bench.needed.add("A")


@pytest.mark.parametrize("why", [live, given_up, watched, of_another, given_again, linked, needed])
def test_what_may_still_be_told_or_read_stays(bench: Bench, why: Any) -> None:
    bench.cache.add("A", "REJECTED")
    why(bench)
    assert "A" in bench.passes(0, KEEP, 2 * KEEP, 3 * KEEP)
    assert bench.kept == []


def test_it_goes_once_the_reason_is_over(bench: Bench) -> None:
    bench.cache.add("A")
    live(bench)
    assert bench.passes(0, KEEP) == ["A"]
    bench.trading.live.clear()
    assert bench.passes(2 * KEEP - 0.1) == ["A"]
    assert bench.passes(2 * KEEP) == []


def test_the_journal_is_not_read_for_each_refusal(bench: Bench) -> None:
    for number in range(20):
        bench.cache.add(f"A{number}", "REJECTED")
    given_up(bench)
    assert bench.passes(0, KEEP) == []
    assert bench.trading.reads == 1


def test_a_disk_that_is_full_costs_memory_and_no_result(bench: Bench) -> None:
    bench.cache.add("A")
    bench.full = OSError(28, "No space left on device")
    assert bench.passes(0, KEEP) == ["A"]
    bench.full = None
    assert bench.passes(2 * KEEP) == []
    assert len(bench.kept) == 1


def test_a_journal_that_is_lost_ends_the_run_and_lets_nothing_go(bench: Bench) -> None:
    bench.cache.add("A", "REJECTED")
    bench.trading.error = JournalError("JRN-READ", "gone")
    assert bench.passes(0, KEEP) == ["A"]
    assert bench.trading.failure is bench.trading.error


def test_many_are_let_go_a_few_at_a_time(bench: Bench) -> None:
    for number in range(closed.ORDERS_A_LOOK + 3):
        bench.cache.add(f"A{number}")
    assert len(bench.passes(0, KEEP)) == 3
    assert bench.passes(KEEP + 1) == []
