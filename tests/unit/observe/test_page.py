"""The page's parts by themselves: tokens, requests' own words, what is built, what is wrong."""

from __future__ import annotations

import asyncio
import logging
import socket
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fairlead.engine.config.model import Observe
from fairlead.engine.config.model import Run as RunSettings
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.state import ALL, Action, KillState, Scope
from fairlead.engine.observe.page import rows, wrong
from fairlead.engine.observe.page.access import Access, hosts_of, token_of
from fairlead.engine.observe.page.control import Control
from fairlead.engine.observe.page.server import Page
from fairlead.engine.observe.page.snapshot import Snapshot
from fairlead.engine.observe.page.sources import Sources
from fairlead.engine.observe.page.told import KillAsked, LossTold
from fairlead.engine.observe.page.worth import POINTS_MAX, Worths
from fairlead.engine.orders.journal import JournaledOrder
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import Intent, Kind, OrderState, Side
from fairlead.engine.status import PROBLEMS_MAX, LatencyHistogram, RunStatus, StreamState
from tests.unit.nautilus_harness import IID, pair

NAME = "BTC_USDT.TEST"


class Account:
    """Of a desk without a venue."""

    venue, account, compared_ns = "TEST", "main", 0
    can_flatten = True

    def __init__(self) -> None:
        self.desk: Any = self
        self.live: list[LiveOrder] = []
        self.lost: list[LiveOrder] = []
        self.findings: list[Any] = []
        self.journal = SimpleNamespace(positions=list, last_note=lambda *_: None)

    def live_orders(self) -> list[LiveOrder]:
        return list(self.live)

    def unresolved(self) -> list[LiveOrder]:
        return self.lost

    def missing(self) -> list[LiveOrder]:
        return []


class Run:
    """What a run lends, as far as a test needs it."""

    def __init__(self, folder: Path) -> None:
        self.now_ns = 1_000_000_000_000
        self.state = "running"
        self.account = Account()
        self.kills = KillState(folder / "kills", now_ns=lambda: self.now_ns)
        venue = SimpleNamespace(account="main", instruments=[NAME], data_only=False)
        loaded: Any = SimpleNamespace(
            config=SimpleNamespace(
                name="test",
                run=RunSettings(),
                venues={"test": venue},
                strategies=[],
                instruments=(NAME,),
            ),
            path=folder / "test.toml",
            state_dir=folder,
            traded=("test",),
        )
        self.status = RunStatus()
        self.sources = Sources(
            loaded=loaded,
            mode="live",
            is_real=True,
            trades=True,
            version="0",
            status=self.status,
            accounts=[self.account],  # type: ignore[list-item]
            kills=self.kills,
            state=lambda: self.state,
            budgets=lambda: (),
            runs=list,
            report=lambda _: None,
            now_ns=lambda: self.now_ns,
        )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def order(name: str, state: OrderState = OrderState.OPEN) -> LiveOrder:
    intent = Intent(
        client_order_id=name,
        strategy="S-1",
        instrument=NAME,
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal("1.50"),
        price=Decimal("1E+2"),
    )
    return LiveOrder(
        JournaledOrder(
            intent=intent,
            state=state,
            venue_order_id=f"v-{name}",
            filled=Decimal(0),
            cost=Decimal(0),
            cancel_requested=False,
            ts_sent=5,
        )
    )


# -- what is built


async def changed(snapshot: Snapshot) -> dict[str, Any]:
    """As a page is told: new and changed rows, and keys that are gone, without the status."""
    snapshot.outdated()
    change = await snapshot.change()
    told = {
        name: {key: msgspec.json.decode(bytes(row)) for key, row in rows.items()}
        for name, rows in change.changed.items()
        if name != "status"
    }
    return {**told, **({"gone": change.gone} if change.gone else {})}


async def test_only_what_differs_is_told(run: Run) -> None:
    snapshot = Snapshot(run.sources, is_controlled=False)
    run.account.live = [order("a"), order("b")]
    first = await changed(snapshot)
    assert first["orders"]["a"]["price"] == "100", "in full, whatever the decimal's form"
    assert set(first["orders"]) == {"a", "b"}
    assert await changed(snapshot) == {}
    run.account.live[0].filled = Decimal("0.5")
    assert (await changed(snapshot))["orders"]["a"]["filled"] == "0.5"
    run.account.lost = [run.account.live[1]]
    assert (await changed(snapshot))["orders"]["b"]["is_unknown"]
    del run.account.live[0]
    assert await changed(snapshot) == {"gone": {"orders": ["a"]}}
    whole = snapshot.whole()
    assert set(whole.changed["orders"]) == {"b"}


async def test_it_is_built_at_most_so_often(run: Run) -> None:
    snapshot = Snapshot(run.sources, is_controlled=False)
    await asyncio.gather(*(snapshot.fresh() for _ in range(20)))
    assert snapshot.number == 1


async def test_a_defect_is_told_once_and_takes_nothing_else_away(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = Snapshot(run.sources, is_controlled=False)
    run.account.live = [order("a")]
    await changed(snapshot)
    run.account.findings = [None]  # no finding: an error when it is told
    run.account.live.append(order("b"))
    with caplog.at_level(logging.ERROR):
        assert set((await changed(snapshot))["orders"]) == {"b"}
        await changed(snapshot)
    assert snapshot.failures == 2
    assert [one.message for one in caplog.records] == [
        "PAGE: warnings is not shown: AttributeError: 'NoneType' object has no attribute 'ts_event'"
    ]


async def test_an_address_that_is_taken_ends_no_run(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        page = Page(run.sources, Observe(page=f"127.0.0.1:{taken.getsockname()[1]}"))
        assert await page.start() == []
        await page.stop()
    (problem,) = run.status.problems
    assert problem.code == "PAGE"
    assert "the page is not served" in problem.message
    assert "PAGE" in {one.code for one in wrong.wrong_of(run.sources, problem.ts_ns, [], 0)}


def test_samples_of_a_long_run_are_thinned() -> None:
    worths = Worths()
    now_ns = 0
    for number in range(3 * POINTS_MAX):
        now_ns += 5_000_000_000
        if worths.is_due(now_ns):
            worths.sample(now_ns, {("TEST", "USDT"): Decimal(number)})
    points = worths.points["TEST", "USDT"]
    assert POINTS_MAX // 2 <= len(points) <= POINTS_MAX
    assert points[0] == (5_000_000_000, 0)
    assert points == sorted(points)


# -- what is wrong


def codes(run: Run, *losses: LossTold, unknown: int = 0) -> list[tuple[str, str]]:
    found = wrong.wrong_of(run.sources, run.now_ns, list(losses), unknown)
    return [(one.level, one.code) for one in found]


def test_all_is_well_until_something_is_not(run: Run) -> None:
    assert codes(run) == []
    run.state = "stopping"
    assert codes(run) == [("look", "NOT-RUNNING")]
    run.state = "running"
    stream = run.status.stream("TEST/public")
    stream.state, stream.last_frame_ns = StreamState.CONNECTED, run.now_ns
    run.status.book(NAME)
    assert codes(run) == [("look", "BOOK")], "it is not whole yet"
    run.status.books.clear()
    run.now_ns += wrong.STREAM_SILENT_NS + 1
    assert codes(run, unknown=2) == [("look", "UNKNOWN"), ("look", "STREAM")]
    stream.state = StreamState.WAITING
    assert codes(run) == [("bad", "STREAM")]
    stream.state, stream.last_frame_ns = StreamState.CONNECTED, run.now_ns
    run.kills.engage(ALL, Action.HALT, reason="why", by="a test")
    assert codes(run) == [("bad", "KILLED")]
    run.kills.clear(ALL, reason="why", by="a test")
    assert codes(run) == []
    run.account.compared_ns = run.now_ns - wrong.COMPARED_LATE_NS - 1
    assert codes(run) == [("look", "COMPARED")]


def test_what_lasts_is_told_until_the_end(run: Run) -> None:
    for venue in ("a", "b"):
        run.status.problem(run.now_ns, "RAW-STOPPED", "why", is_bad=True, lasts=venue)
    assert codes(run) == [("bad", "RAW-STOPPED")] * 2
    for _ in range(PROBLEMS_MAX):
        run.status.problem(run.now_ns, "OTHER", "why")
    run.now_ns += 10 * wrong.PROBLEM_NEW_NS
    assert codes(run) == [("bad", "RAW-STOPPED")] * 2


@pytest.mark.parametrize(
    ("is_account", "close_secs", "quiet_secs", "is_told"),
    [
        (True, 600.0, 599, False),  # PiexGo's, and dialect A of Zerocap
        (True, 600.0, 601, True),
        (True, 15.0, 59, False),
        (True, 15.0, 61, True),
        (False, 86_400.0, 61, True),
    ],
)
def test_an_account_s_stream_may_be_quiet_as_long_as_its_adapter_lets_it(
    run: Run, is_account: bool, close_secs: float, quiet_secs: int, is_told: bool
) -> None:
    stream = run.status.stream("TEST/private")
    stream.is_account, stream.close_secs = is_account, close_secs
    stream.state, stream.last_frame_ns = StreamState.CONNECTED, run.now_ns
    run.now_ns += quiet_secs * wrong.SECOND_NS
    assert codes(run) == ([("look", "STREAM")] if is_told else [])


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        (ALL, True),
        (Scope(kind="venue", key="test"), True),
        (Scope(kind="account", key="main"), True),
        (Scope(kind="strategy", key="S-1"), True),
        (Scope(kind="venue", key="other"), False),
        (Scope(kind="account", key="other"), False),
    ],
)
def test_what_was_flattened_is_told_until_the_runs_end(
    run: Run, scope: Scope, covers: bool
) -> None:
    run.kills.closes_positions()
    run.kills.engage(scope, Action.FLATTEN, reason="why", by="a test")
    assert codes(run) == [("bad", "KILLED")], "one reason while it is in force"
    run.kills.clear(scope, reason="looked at", by="a test")
    assert codes(run) == ([("bad", "FLATTENED")] if covers else [])
    if covers:
        (found,) = wrong.wrong_of(run.sources, run.now_ns, [], 0)
        what = "strategy S-1" if scope.kind == "strategy" else NAME
        assert f"every order of {what} is refused until a new run is started" in found.text
        assert f"the kill of {scope} flattened it" in found.text
    run.account.can_flatten = False  # one of NautilusTrader's own: nothing of it was closed
    assert codes(run) == []


@pytest.mark.parametrize(("lost", "is_near"), [("79.9", False), ("80", True), ("-5", False)])
def test_a_limit_that_is_near(run: Run, lost: str, is_near: bool) -> None:
    loss = LossTold(
        currency="USDT",
        result="0",
        lost_today=lost,
        daily_loss_limit="100",
        drawdown=lost,
        drawdown_limit=None,
    )
    assert codes(run, loss) == ([("look", "LOSS")] if is_near else [])


# -- who may


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.token"
    token = token_of(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(token) >= 43
    assert token_of(path) == token
    path.chmod(0o644)
    with pytest.raises(FairleadError, match="can be read by others"):
        token_of(path)
    path.chmod(0o600)
    path.write_text("short\n")
    with pytest.raises(FairleadError, match="holds no token"):
        token_of(path)
    path.unlink()
    (tmp_path / "elsewhere").write_text("t" * 40)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FairleadError, match="can't be read or made"):
        token_of(path)


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"Host": "127.0.0.1:8787"}, True),
        ({"Host": "LOCALHOST:8787"}, True),
        ({"Host": "page.example:443"}, True),
        ({"Host": "127.0.0.1:8787", "Origin": "http://127.0.0.1:8787"}, True),
        ({"Host": "127.0.0.1:8787", "Origin": "http://localhost:8787"}, True),
        ({"Host": "127.0.0.1:8787", "Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Host": ""}, False),
        ({"Host": "127.0.0.1"}, False),
        ({"Host": "evil.example:8787"}, False),  # a name that leads to this machine
        ({"Host": "127.0.0.1:8787", "Origin": "null"}, False),
        ({"Host": "127.0.0.1:8787", "Origin": ""}, False),
        ({"Host": "127.0.0.1:8787", "Origin": "http://127.0.0.1:9999"}, False),
        ({"Host": "127.0.0.1:8787", "Origin": "http://127.0.0.1:8787.evil.example"}, False),
        ({"Host": "127.0.0.1:8787", "Origin": "http://[bad"}, False),
        ({"Host": "127.0.0.1:8787", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Host": "127.0.0.1:8787", "Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_requests_of_others(headers: dict[str, str], is_ours: bool) -> None:
    access = Access("t" * 40, None, hosts_of("127.0.0.1", 8787, ["page.example:443"]))
    assert (access.refused(headers) is None) == is_ours


def test_what_each_token_allows() -> None:
    access = Access("look" * 10, "act" * 20, [])
    assert access.may_look({"Authorization": "Bearer " + "look" * 10})
    assert access.may_look({"Authorization": "bearer " + "look" * 10})
    for told in ("", "Bearer", "Bearer ", "Bearer look", "Basic " + "look" * 10, "Bearer \udce9"):
        assert not access.may_look({"Authorization": told}), told
    assert access.may_act({"Fairlead-Control": "act" * 20})
    assert not access.may_act({"Fairlead-Control": "look" * 10})
    assert not access.may_act({})
    read_only = Access("look" * 10, None, [])
    assert not read_only.may_act({"Fairlead-Control": ""})


def test_the_histogram_counts_up_to_a_bound() -> None:
    histogram = LatencyHistogram()
    for ns in (10, 1_000, 1_000_000, 10**15):
        histogram.record(ns)
    assert [histogram.at_most(ns) for ns in (9, 10, 1_050, 1_050_000, 10**18)] == [0, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("engine", "journal", "is_apart"),
    [
        ({"A-1": "0.02997"}, {"A-1": "0.00999", "B-2": "0.01998"}, True),
        ({"A-1": "0.01", "B-2": "0.02"}, {"A-1": "0.01", "B-2": "0.02"}, False),
        ({"A-1": "0.0100004"}, {"A-1": "0.01"}, False),
        ({"A-1": "0.0000006", "B-2": "0.0000006"}, {}, True),
        ({}, {"A-1": "0.01"}, True),
    ],
)
def test_engine_and_journal_are_apart_where_they_are_of_one_strategy(
    engine: dict[str, str], journal: dict[str, str], is_apart: bool
) -> None:
    """One strategy's position booked to another leaves their sum as it is."""
    ledger = SimpleNamespace(
        by_strategy={(one, str(IID)): Decimal(held) for one, held in engine.items()}
    )
    positions = [
        SimpleNamespace(strategy=one, instrument=str(IID), quantity=Decimal(held), avg_price=None)
        for one, held in journal.items()
    ]
    account = SimpleNamespace(journal=SimpleNamespace(positions=lambda: positions))
    nothing = dict.fromkeys(("top_of_book", "quote", "trade"), lambda _: None)
    cache = SimpleNamespace(
        instrument=lambda _: pair(), account_for_venue=lambda _: None, **nothing
    )
    sources: Any = SimpleNamespace(
        gate=SimpleNamespace(ledger=ledger),
        cache=cache,
        accounts=[account],
        is_real=True,
        loaded=SimpleNamespace(config=SimpleNamespace(instruments=())),
    )
    ((_, told),) = rows.positions(sources)
    assert told.is_apart == is_apart


def test_a_flatten_that_is_in_force_already_is_tried_again_and_told_so(run: Run) -> None:
    control, flatten = Control(run.sources), KillAsked(scope="all", action="flatten")
    assert control.kill(flatten, "ann").startswith("in force: kill switch (all, flatten) by ann")
    told = control.kill(flatten, "bob")
    assert told.startswith("in force already: kill switch (all, flatten) by ann")
    assert told.endswith("what is not flat yet is tried again at once")
    assert run.kills.asked_again == 1
    run.account.can_flatten = False
    assert control.kill(flatten, "bob").startswith("in force: ")
