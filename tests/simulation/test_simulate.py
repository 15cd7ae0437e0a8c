"""Seeded sessions: no promise is broken, one seed is one session, and a broken desk is caught."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.adapters.simulation.faults import HttpFault, WsFault
from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.orders.cancels import Cancels
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    Intent,
    Outcome,
    Refused,
    Unknown,
    VenueOrder,
)
from fairlead.engine.orders.replacement import Replacement
from fairlead.engine.orders.search import Absence, Gone
from fairlead.engine.orders.submission import Submission
from fairlead.engine.orders.table import Table
from fairlead.engine.risk.facts import OrderFacts
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.verdict import Denial
from fairlead.engine.sessions.plan import Death, Gap, Plan, draw
from fairlead.engine.sessions.run import describe, run_many, run_plan
from fairlead.engine.sessions.shrink import shrink
from tests.support.patience import PATIENCE_SECS
from tests.support.venues import playable

ROOT = Path(__file__).resolve().parents[2]
SEEDS = sorted((ROOT / "tests" / "data" / "seeds").glob("*.json"))
VENUES = playable()
SEEDS_EACH = 10  # `fairlead simulate --seeds 1..2000` in `make test-long` runs the rest


@pytest.mark.timeout(600)  # some 7 s on two idle cores; others may need them
def test_ten_sessions_of_each_venue_break_no_promise() -> None:
    summary = run_many(VENUES, range(1, SEEDS_EACH + 1), jobs=2)
    assert summary.sessions == SEEDS_EACH * len(VENUES)
    assert not summary.failed, describe(summary)
    for name in ("orders", "fills", "unknown", "deaths", "restarts", "cancels"):
        assert summary.counts[name] > 5 * len(VENUES), (
            f"too few {name} to prove anything: {describe(summary)}"
        )
    assert {kind.value for kind in HttpFault} <= summary.faults.keys()
    assert {"book_stale", "book_crossed", "book_empty", "clock_step"} <= summary.faults.keys()
    denied = ("STALE_REFERENCE", "INVALID_BOOK", "UNKNOWN_OUTCOMES")
    for name in ("halt:DAILY_LOSS", *(f"denied:{code}" for code in denied)):
        assert summary.counts.get(name), f"{name} was never met: {describe(summary)}"


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_plan_that_failed_once(path: Path) -> None:
    result = run_plan(msgspec.json.decode(path.read_bytes(), type=Plan))
    assert result.violations == []


def _hashes(hash_seed: str, python: str = sys.executable) -> dict[str, Any]:
    command = [python, "-m", "fairlead.engine.cli.main", "simulate", "--seeds", "1..2", "--json"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_one_seed_is_one_session_in_every_process() -> None:
    first, second = (_hashes(hash_seed) for hash_seed in ("1", "4242"))
    assert len(first["hashes"]) == 2 * len(VENUES)
    assert first["hashes"] == second["hashes"]
    assert first["counts"] == second["counts"]
    assert len(set(first["hashes"].values())) > len(VENUES), "seeds do not differ"


def _other_interpreters() -> list[str]:
    """Interpreters of another minor version that have the packages, as paths.

    From FAIRLEAD_PYTHONS (paths with colons between), the environments `.venv*` beside this one,
    and PATH.
    """
    named = [name for name in os.environ.get("FAIRLEAD_PYTHONS", "").split(":") if name]
    named += [str(path) for path in sorted(ROOT.glob(".venv*/bin/python"))]
    named += [path for minor in (13, 14) if (path := shutil.which(f"python3.{minor}"))]
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    asked = "import sys, aiohttp, msgspec, nautilus_trader; print('%d.%d' % sys.version_info[:2])"
    found = {}
    for python in named:
        try:
            done = subprocess.run(
                [python, "-c", asked],
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECS,
                check=False,
            )
        except OSError:
            continue
        version = done.stdout.strip()
        if done.returncode == 0 and version != ours:
            found.setdefault(version, python)
    return list(found.values())


def test_one_seed_is_one_session_on_another_python() -> None:
    others = _other_interpreters()
    if not others:
        pytest.skip("no other Python minor version here has the packages (see FAIRLEAD_PYTHONS)")
    ours = _hashes("0")
    for python in others:
        theirs = _hashes("1", python)
        assert (theirs["hashes"], theirs["counts"]) == (ours["hashes"], ours["counts"]), python


def test_one_seed_is_one_session_twice_in_a_process() -> None:
    for venue in VENUES:
        assert run_plan(draw(7, venue)) == run_plan(draw(7, venue))


def test_the_folder_of_a_session_is_not_in_its_hash() -> None:
    """A finding that names the new journal's file (seed 9 loses its journal with orders open)."""
    first, second = (run_plan(draw(9, "oceanex")) for _ in range(2))
    assert first.counts["finding:JOURNAL-EMPTY"] == 1
    assert first.journal_hash == second.journal_hash


def test_a_session_leaves_no_file_open() -> None:
    """Else a process has none left after a thousand of them."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for venue in VENUES:
        run_plan(draw(9, venue))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- desks that are broken on purpose --------------------------------------------------------------


def _resends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost answer is taken for a lost request: the order is sent again."""
    settle = Submission._settle

    async def again(self: Submission, order: LiveOrder, sent: Intent, outcome: Outcome) -> None:
        if isinstance(outcome, Unknown):
            outcome = (await self._venue.submit([order.intent]))[0]
        await settle(self, order, sent, outcome)

    monkeypatch.setattr(Submission, "_settle", again)


def _gives_up_at_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is taken for a no."""
    settle = Submission._settle

    async def refused(self: Submission, order: LiveOrder, sent: Intent, outcome: Outcome) -> None:
        if isinstance(outcome, Unknown):
            outcome = Refused("TIMEOUT", outcome.reason)
        await settle(self, order, sent, outcome)

    monkeypatch.setattr(Submission, "_settle", refused)


def _believes_one_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look that does not show the order is proof enough."""

    def count(self: Absence, began: float, look: Absent) -> Gone:
        return Gone(look, 1, 0.0)

    monkeypatch.setattr(Absence, "count", count)


def _books_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was filled before a restart is booked again after it."""

    def fresh(self: LiveOrder, journaled: Any, init: Any = LiveOrder.__init__) -> None:
        init(self, journaled)
        self.filled = type(self.filled)(0)

    monkeypatch.setattr(LiveOrder, "__init__", fresh)
    monkeypatch.setattr(
        Table,
        "_synthesise",
        lambda self, order, state, real=Table._synthesise: msgspec.structs.replace(
            real(self, order, state), trade_id=f"{state.venue_order_id}-{self._now_ns()}"
        ),
    )


def _goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stale page moves an order back."""

    def apply(self: Table, order: LiveOrder, state: VenueOrder, **more: Any) -> None:
        if state.state is not order.state and not state.state.is_terminal:
            order.state = state.state
            self._journal.state(order.intent.client_order_id, state.state, state)
        real(self, order, state, **more)

    real = Table.apply
    monkeypatch.setattr(Table, "apply", apply)


def _sends_before_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent is journaled once the answer is there."""
    accepted = Journal.accepted
    held: dict[str, Any] = {}

    def later(self: Journal, intents: Any) -> int:
        held.update({i.client_order_id: i for i in intents})
        return self._now_ns()

    def now(self: Journal, client_order_id: str, *args: Any, **more: Any) -> None:
        if client_order_id in held:
            intend(self, [held.pop(client_order_id)])
        accepted(self, client_order_id, *args, **more)

    intend = Journal.intend
    monkeypatch.setattr(Journal, "intend", later)
    monkeypatch.setattr(Journal, "accepted", now)


def _forgets_a_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel that met an error is never sent again."""
    monkeypatch.setattr(Cancels, "again", lambda self: None)
    monkeypatch.setattr("fairlead.engine.orders.cancels.MAX_CANCEL_TRIES", 1)


def _forgets_a_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an order is replaced its end is believed, and a lost answer is taken for a no."""

    async def replace(self: Replacement, changed: Any) -> None:
        order = self._table.live.get(changed.client_order_id)
        if order is None or not order.is_proven:
            return
        outcome = await self._guarded_outcome(self._venue.replace(order.ref(), changed))
        if isinstance(outcome, Accepted):
            order.replacing = changed
            self.taken_over(order, outcome.venue_order_id)
        else:
            self._sink.replace_refused(order.intent, "LOST", "no answer", self._now_ns())

    monkeypatch.setattr(Replacement, "replace", replace)


def _replacing(seed: int) -> Plan:
    """A maker that replaces all the time over a slow, lossy line; few plans drawn have one."""
    return Plan(
        seed=seed,
        venue="poloniex",
        agents=("maker", "maker"),
        latency_secs=0.4,
        poll_ms=500,
        http={HttpFault.LOSE_ANSWER: 0.1, HttpFault.DELAY: 0.2},
        ws={WsFault.LOSE: 0.5, WsFault.DROP: 0.1},
        max_open_orders=20,
    )


def _dying(seed: int) -> Plan:
    """Two makers that die with orders filled in part; a hundred plans drawn have no such death."""
    deaths = (Death("committed", 60), Death("committed", 180))
    agents = ("maker", "maker")
    return Plan(seed=seed, venue="oceanex", agents=agents, volatility_bps=8.0, deaths=deaths)


def test_replacing_over_a_lossy_line() -> None:
    results = [run_plan(_replacing(seed)) for seed in range(1, 11)]
    assert sum(result.counts.get("replaces", 0) for result in results) > 20
    assert [result.violations for result in results if result.violations] == []


BROKEN = {
    "resends": (_resends, "oceanex", {"SENT-TWICE"}),
    "gives-up-at-a-timeout": (_gives_up_at_a_timeout, "oceanex", {"ORPHAN", "REFUSED-EXISTS"}),
    "believes-one-absence": (_believes_one_absence, "oceanex", {"LATE", "ORPHAN"}),
    "books-twice": (_books_twice, "oceanex", {"FILLS", "FILLS-SUM"}),
    "goes-back": (_goes_back, "oceanex", {"STATE"}),
    "sends-before-it-writes": (_sends_before_it_writes, "oceanex", {"NOT-JOURNALED", "ORPHAN"}),
    "forgets-a-cancel": (_forgets_a_cancel, "poloniex", {"LIVENESS"}),
    "forgets-a-replacement": (
        _forgets_a_replacement,
        "poloniex",
        {"ORPHAN", "FILLS", "STATE", "OVERFILL"},
    ),
}


PLANS: dict[str, Callable[[int], Plan]] = {
    "books-twice": _dying,
    "forgets-a-replacement": _replacing,
}
FIRST = {"believes-one-absence": 15, "goes-back": 5, "forgets-a-cancel": 6}  # that showed it
SEEDS_MAX = 50  # that are tried from there until one shows it


@pytest.mark.parametrize("name", BROKEN)
def test_broken_desk_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking, venue, expected = BROKEN[name]
    breaking(monkeypatch)
    codes: set[str] = set()
    first = FIRST.get(name, 1)
    for seed in range(first, first + SEEDS_MAX):
        plan = PLANS[name](seed) if name in PLANS else draw(seed, venue)
        codes |= {violation.code for violation in run_plan(plan).violations}
        if codes & expected:
            return
    pytest.fail(f"{SEEDS_MAX} seeds did not show it; they showed {codes or 'nothing'}")


def test_a_gate_that_hears_of_no_unknown_outcome_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = {HttpFault.LOSE_ANSWER: 0.4}
    plan = Plan(seed=1, venue="oceanex", http=lossy, max_unknown_outcomes=1)
    told = run_plan(plan)
    assert told.violations == []
    assert told.counts["denied:UNKNOWN_OUTCOMES"]
    monkeypatch.setattr(RiskGate, "unknown_outcomes", lambda self, venue, count: None)
    assert "UNKNOWN-BEYOND" in {violation.code for violation in run_plan(plan).violations}


def test_a_gate_that_trusts_a_wrong_book_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    check = RiskGate.check

    def trusting(self: RiskGate, order: OrderFacts, view: Any) -> Denial | None:
        denial = check(self, order, view)
        is_of_book = denial is not None and denial.code in ("STALE_REFERENCE", "INVALID_BOOK")
        return None if is_of_book else denial

    monkeypatch.setattr(RiskGate, "check", trusting)
    for kind in ("stale", "crossed", "empty"):
        gap = Gap(at=5.0, secs=30.0, kind=kind)
        result = run_plan(Plan(seed=1, venue="oceanex", gaps=(gap,)))
        assert "BAD-BOOK" in {violation.code for violation in result.violations}, kind


def test_shrinking_leaves_what_the_failure_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    _resends(monkeypatch)

    def fails(plan: Plan) -> bool:
        return any(v.code == "SENT-TWICE" for v in run_plan(plan).violations)

    plan = next(plan for seed in range(1, 30) if fails(plan := draw(seed, "oceanex")))
    smallest, runs = shrink(plan, fails)
    assert runs > 0
    assert fails(smallest)
    assert smallest.secs <= plan.secs
    faulty = [smallest.http, smallest.ws, smallest.lists, smallest.storms, smallest.deaths]
    assert sum(bool(kind) for kind in faulty) <= 1, smallest


# -- the command -----------------------------------------------------------------------------------


def _invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_command_prints_a_summary() -> None:
    done = _invoke("--seeds", "1..3", "--venues", "oceanex")
    assert done.exit_code == Exit.OK, done.output
    assert "\n3 sessions in " in f"\n{done.output}"  # a slow machine tells how far it is before
    assert "violations 0 in 3 sessions" in done.output


def test_command_tells_the_story_of_a_seed() -> None:
    done = _invoke("--seeds", "2", "--venues", "oceanex", "--trace")
    assert done.exit_code == Exit.OK, done.output
    for who in ("process", "agent", "journal", "wire", "venue", "strategy", "world"):
        assert f"  {who:<9} " in done.output


def test_command_runs_a_stored_plan_and_fails_with_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resends(monkeypatch)
    path = tmp_path / "plan.json"
    plan = Plan(seed=1, venue="oceanex", secs=60, http={HttpFault.LOSE_ANSWER: 0.15})
    path.write_bytes(msgspec.json.encode(plan))
    done = _invoke("--plan", str(path))
    assert done.exit_code == Exit.BREACH, done.output
    assert "SENT-TWICE" in done.output


def test_command_compares_the_hashes_of_two_runs(tmp_path: Path) -> None:
    path = tmp_path / "hashes.json"
    arguments = ("--seeds", "1..2", "--venues", "oceanex", "--hashes", str(path))
    assert _invoke(*arguments).exit_code == Exit.OK
    known = json.loads(path.read_text())
    assert set(known) == {"oceanex/1", "oceanex/2"}
    again = _invoke(*arguments)
    assert again.exit_code == Exit.OK, again.output
    assert "2 of 2 journals are in" in again.output
    path.write_text(json.dumps(known | {"oceanex/2": "0" * 64}))
    different = _invoke(*arguments)
    assert different.exit_code == Exit.BREACH
    assert "1 differ: oceanex/2" in different.output


@pytest.mark.parametrize("arguments", [("--seeds", "x"), ("--venues", "nowhere"), ("--trace",)])
def test_command_refuses_nonsense(arguments: tuple[str, ...]) -> None:
    assert _invoke(*arguments).exit_code == Exit.USAGE
