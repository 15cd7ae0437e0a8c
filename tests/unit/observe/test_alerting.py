"""A run's alerts by themselves: its start and end, what comparisons find, the daily summary."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.engine import processes
from fairlead.engine.config.observed import AlertRule, Alerts
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.state import ALL, Action
from fairlead.engine.observe.alerts.messages import Hello, Message
from fairlead.engine.observe.alerts.texts import wrongs
from fairlead.engine.observe.alerts.watch import Alerting
from fairlead.engine.observe.deliveries import Delivery
from fairlead.engine.observe.page.snapshot import Snapshot
from fairlead.engine.orders.model import Finding
from fairlead.engine.secrets import Secret
from tests.unit.observe.test_page import Run


class Kept:
    """In place of the courier's pipe."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.sent: list[Message] = []
        self.beats = self.dropped = 0
        self.starts = 1
        self.trouble = ""
        self.is_closed = False
        self.deliveries = {name: Delivery(endpoint=name) for name in hello.endpoints}

    def start(self) -> None: ...
    def look(self) -> None: ...

    def beat(self) -> None:
        self.beats += 1

    def send(self, message: Message) -> None:
        self.sent.append(message)

    send_last = send

    def stuck(self) -> None:
        self.sent.append(self.hello.stuck)

    def close(self) -> None:
        self.is_closed = True

    @property
    def codes(self) -> list[str]:
        return [one.title.removeprefix("test live: ") for one in self.sent]


class Told:
    def __init__(self, run: Run, *, rules: list[AlertRule] | None = None, daily: str = "") -> None:
        settings = Alerts(endpoints={"a": "env:A"}, rules=rules or [], daily=daily or None)
        self.kept: Kept
        self.run = run
        observe = SimpleNamespace(page=None)
        run.sources.loaded.config.observe = observe  # type: ignore[misc]

        def sender(hello: Hello) -> Any:
            self.kept = Kept(hello)
            return self.kept

        self.alerts = Alerting(
            settings,
            {"a": Secret("json://x", "env:A")},
            run="test live",
            config="c",
            stuck_secs=10,
            sender=sender,
        )
        self.snapshot = Snapshot(run.sources, is_controlled=False)
        self.alerts.lend(run.sources, self.snapshot)

    def look(self, secs: float = 1) -> list[str]:
        """Codes of what is sent now."""
        before = len(self.kept.sent)
        self.run.now_ns += round(secs * 1e9)
        self.alerts.look()
        return self.kept.codes[before:]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = Run(tmp_path)
    found.now_ns = int(datetime(2026, 11, 26, 23, 0, tzinfo=UTC).timestamp()) * 10**9
    found.sources.started_ns = found.now_ns
    return found


def test_its_start_a_kill_and_its_end(run: Run) -> None:
    told = Told(run)
    run.state = "starting"
    assert told.look() == []
    run.state = "running"
    assert told.look() == ["STARTED"]
    assert told.look() == []
    run.kills.engage(ALL, Action.CANCEL, reason="seen", by="ann")
    assert told.look() == ["KILLED"]
    assert told.look() == []
    told.alerts.ended(8, "killed; signal SIGTERM")
    assert told.kept.codes[-1] == "ENDED 8"
    last = told.kept.sent[-1]
    assert last.is_urgent
    assert last.body.startswith(
        "exit code 8 (killed by a risk limit or the kill switch): killed; signal SIGTERM\n"
    )
    assert "in force: kill switch (all, cancel) by ann: seen" in last.body
    assert told.kept.is_closed
    told.alerts.ended(0, "again")
    assert told.kept.codes.count("ENDED 8") == 1
    assert len(told.kept.sent) == 3


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (FairleadError("STATE-LOCKED", "held by 7", Exit.LOCKED), 12, "STATE-LOCKED: held by 7"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("a defect"), 1, "ValueError: a defect"),
    ],
)
def test_what_tears_a_run_down_is_told(
    run: Run, error: BaseException, code: int, text: str
) -> None:
    told = Told(run)
    told.alerts.failed(error)
    assert told.kept.codes == [f"ENDED {code}"]
    assert text in told.kept.sent[0].body
    assert told.kept.sent[0].kind == "failure"


def test_an_end_at_once_is_told_in_its_last_moment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(run)
    told.alerts.start()
    ended: list[int] = []
    monkeypatch.setattr(processes.os, "_exit", ended.append)
    processes.end_at_once("STOP-TIMEOUT", "strategy S-1 blocks", 124, left_open=[])
    assert ended == [124]
    assert told.kept.codes == ["ENDED 124"]
    assert "STOP-TIMEOUT: strategy S-1 blocks" in told.kept.sent[0].body
    told.alerts.ended(124, "once")
    assert len(told.kept.sent) == 1
    processes.answer_no_more(told.alerts._cut_off)


def finding(number: int) -> Finding:
    return Finding(
        code="BALANCE-DRIFT",
        instrument="BTC_USDT.TEST",
        subject=f"BTC {number}",
        journal="1",
        venue="2",
        action="looked at",
        ts_event=5,
    )


def test_what_comparisons_find_is_told_once(run: Run) -> None:
    told = Told(run)
    assert told.look() == ["STARTED"]
    run.account.findings = [finding(number) for number in range(8)]
    assert told.look() == ["FINDING"] * 6, "five, and how many more"
    assert "journal 1, venue 2; looked at" in told.kept.sent[1].body
    assert "3 more differences" in told.kept.sent[-1].body
    assert told.look() == []
    run.account.findings.append(finding(9))
    assert told.look() == ["FINDING"]


def test_the_daily_summary_comes_at_its_time_and_counts_since_the_last(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = SimpleNamespace(
        gate=None, run_state=SimpleNamespace(denial_counts=Counter(FAT_FINGER=3)), strategies=()
    )
    told = Told(run, daily="23:30")
    run.sources.parts = parts  # type: ignore[assignment]
    told.alerts._daily = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)
    worth = {("TEST", "USDT"): Decimal("1000.50")}
    monkeypatch.setattr(told.snapshot, "worth", lambda: worth)
    told.snapshot.fill_count = 5
    assert told.look() == ["STARTED"]
    assert told.look(29 * 60) == []
    assert told.look(60) == ["DAILY 2026-11-26"]
    body = told.kept.sent[-1].body
    assert "worth: test 1000.5 USDT" in body
    assert "since the start: fills: 5, denials: 3 (FAT_FINGER 3)" in body
    assert "alerts: 1" in body
    assert told.look() == []
    told.snapshot.fill_count = 7
    assert told.look(24 * 3600) == ["DAILY 2026-11-27"]
    assert "since 2026-11-26 23:30 UTC: fills: 2, denials: 0" in told.kept.sent[-1].body
    told.snapshot.fill_count = 8
    told.alerts.ended(0, "stopped")
    body = told.kept.sent[-1].body
    assert "in the whole run: fills: 8, denials: 3 (FAT_FINGER 3)" in body
    assert "alerts in the whole run: 3" in body
    assert "result" not in body, "the summary's net PnL is another figure"


def test_what_does_not_arrive_is_a_row_and_a_line_a_minute(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(run)
    now = [100.0]
    monkeypatch.setattr(
        "fairlead.engine.observe.alerts.watch.time", SimpleNamespace(monotonic=lambda: now[0])
    )
    one = told.kept.deliveries["a"]
    with caplog.at_level(logging.WARNING):
        told.look()
        for _ in range(90):
            one.failed += 1
            one.trouble = "503"
            now[0] += 1
            told.look()
    lines = [r.message for r in caplog.records if "do not arrive at a: 503" in r.message]
    assert len(lines) == 2
    assert [problem.code for problem in run.status.problems] == ["ALERTS"] * 2
    assert told.kept.codes == ["STARTED", "ALERTS"], "and others hear of it, once"


def test_alerts_that_are_lost_need_a_person(run: Run) -> None:
    told = Told(run)
    one = told.kept.deliveries["a"]
    one.trouble, one.failed = "503", 1
    told.look()
    assert [wrong.level for wrong in wrongs(run.sources)] == ["look"]
    one.lost = 1
    told.alerts._told_at.clear()  # a minute later
    told.look()
    (found,) = wrongs(run.sources)
    assert (found.code, found.level) == ("ALERTS", "bad")
    run.status.problem(run.now_ns, "ALERTS", "another endpoint fails")
    assert [wrong.level for wrong in wrongs(run.sources)] == ["bad"], "a newer one hides it not"


async def test_a_defect_ends_no_watch(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    told = Told(run)
    run.account.findings = None  # type: ignore[assignment]
    task = asyncio.create_task(told.alerts.run())
    while not caplog.records:
        await asyncio.sleep(0.01)
    assert not task.done()
    assert told.kept.beats
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_who_asks_for_the_end_hears_of_one_without_a_word(run: Run) -> None:
    told = Told(run, rules=[AlertRule(to=["a"], about=["orders"])])
    assert told.kept.hello.orphan.to == ()
    told = Told(run, rules=[AlertRule(to=["a"], about=["run"])])
    assert told.kept.hello.orphan.to == ("a",)
    assert told.kept.hello.stuck.to == ()


def test_a_loop_that_stood_still_is_one_alert(run: Run) -> None:
    """The courier's: what the page says of it afterwards is no second one."""
    told = Told(run)
    told.look()
    stuck_secs = run.sources.loaded.config.run.stuck_secs
    told.alerts.stuck()
    assert told.kept.codes == ["STARTED", "LOOP-STUCK"]
    assert f"has not turned for {stuck_secs} s" in told.kept.sent[-1].body
    run.status.problem(run.now_ns, "LOOP-STUCK", "the event loop has not turned for 10 s")
    told.alerts._lagged(stuck_secs * 10**9)
    assert told.look() == []
    assert [one.code for one in wrongs(run.sources)] == ["LOOP-STUCK"]
    told.alerts._lagged(stuck_secs * 10**9 - 1)
    assert told.look() == ["LOOP-LAG"], "a shorter one is another matter"


async def test_a_start_that_takes_long_is_no_loop_that_stands_still(run: Run) -> None:
    told = Told(run)
    run.state = "starting"
    task = asyncio.create_task(told.alerts.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not told.kept.beats
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    run.state = "running"
    task = asyncio.create_task(told.alerts.run())
    while not told.kept.beats:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
