"""Failures of a running strategy, of the venue, and of the journal."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator import PoloniexSimOptions
from fairlead.engine.errors import Exit
from tests.live import hosted, scripted
from tests.live.blocked_run import Run
from tests.live.desk import Desk, summary
from tests.support import configs
from tests.support.processes import FAIRLEAD, PATIENCE_SECS, ROOT, Venue, wait_for

RAISING = {
    "raise_on_start": "on_start",
    "raise_on_book": "on_book_deltas",
    "raise_on_quote": "on_quote",
    "raise_on_fill": "on_order_filled",
    "raise_on_timer": "on_time_event",
}
SCRIPTED = Path(scripted.__file__)
# A lost order is asked for soon and often.
OUTAGE = """
[execution]
poll_ms = 100
absent_quarantine_secs = 0.5
unknown_query_ms = [200, 400, 800]
settle_timeout_secs = 20.0

[run]
stop_timeout_secs = 40

[record]
dir = "data"
"""


@pytest.mark.parametrize("verb", ["live", "paper"])
@pytest.mark.parametrize("does", RAISING)
def test_a_strategy_that_raises_ends_the_run(desk: Desk, does: str, verb: str) -> None:
    ended = desk.run(verb, desk.config(does), 60)
    assert ended.returncode == 10, ended.stdout + ended.stderr[-3000:]
    (fault,) = summary(ended)["faults"]
    line = f"Scripted-1.{RAISING[does]}: ValueError: raised on purpose in {RAISING[does]}"
    place = f"{SCRIPTED}:{_line_of(RAISING[does])}"
    assert ended.stderr.splitlines()[-1] == f"error a strategy faulted: {line} ({place})"
    assert (fault["callback"], fault["error"], fault["place"]) == (
        RAISING[does],
        "ValueError",
        place,
    )
    (log,) = (desk.folder / "state" / "logs").glob("*.log")
    for told in (fault["traceback"], ended.stderr, log.read_text()):
        assert "Traceback (most recent call last)" in told
        file, _, number = place.rpartition(":")
        assert f'File "{file}", line {number}, in ' in told
    assert not desk.is_resting()
    assert "ACCEPTED" not in summary(ended)["orders_by_status"]
    if verb == "live" and does != "raise_on_start":
        assert "CANCELED" in desk.states()
    else:
        assert desk.orders() == set()


def _line_of(callback: str) -> int:
    """Where the scripted strategy raises on purpose."""
    (found,) = (
        number
        for number, line in enumerate(SCRIPTED.read_text().splitlines(), 1)
        if f"raised on purpose in {callback}" in line
    )
    return found


@pytest.mark.parametrize("does", ["native_close", "native_submit"])
@pytest.mark.parametrize("verb", ["live", "paper"])
def test_an_order_round_the_gate_ends_the_run(desk: Desk, does: str, verb: str) -> None:
    ended = desk.run(verb, desk.config(does), 60)
    assert ended.returncode == 7, ended.stdout + ended.stderr[-3000:]
    assert not desk.is_resting()
    assert summary(ended)["denials"] == {"NOT_APPROVED": 1}
    if verb == "live":
        approved = {"native_close": 2, "native_submit": 1}[does]
        assert len(desk.orders()) == approved  # the other one never reached the venue


def test_a_native_exit_at_the_stop_reaches_no_venue(desk: Desk) -> None:
    """`manage_stop=True` closes positions with orders that the gate never saw."""
    process = desk.start("live", desk.config("buy", cls="Managed"))
    wait_for(lambda: "FILLED" in desk.states(), f"the position; see {desk.log}")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECS) == 7, desk.log.read_text()[-3000:]
    assert "NOT_APPROVED" in desk.log.read_text()
    assert not desk.is_resting()
    assert len(desk.orders()) == 2, "the two that the gate approved"
    assert sorted(desk.states()) == ["CANCELED", "FILLED"]
    assert desk.position() > 0


def test_an_order_that_the_gate_refuses_ends_nothing(desk: Desk) -> None:
    ended = desk.run_until("live", desk.config("algorithm"), desk.did("acted"), "the order")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert summary(ended)["denials"] == {"EXEC_ALGORITHM": 1}
    assert len(desk.orders()) == 1


def test_an_outage_is_survived(desk: Desk) -> None:
    process = desk.start("live", desk.config("many", more=OUTAGE))
    desk.wait_resting(process)
    lost, dropped = desk.faults_applied("lose_request"), desk.faults_applied("drop")
    desk.fault("POST", "/v1/", "lose_request", times=5000)
    desk.fault("WS", "/app", "drop", times=2)
    wait_for(lambda: desk.faults_applied("lose_request") > lost + 5, "the outage", PATIENCE_SECS)
    wait_for(lambda: "UNKNOWN" in desk.states(), "an order that was lost", PATIENCE_SECS)
    wait_for(lambda: desk.faults_applied("drop") >= dropped + 2, "the drops", PATIENCE_SECS)
    desk.served.post("faults", clear=True)
    ordered = len(desk.orders())
    wait_for(lambda: len(desk.orders()) > ordered + 1, "orders after the outage", PATIENCE_SECS)
    what = f"proof that the lost orders are absent; see {desk.log}"
    wait_for(lambda: _all_but(desk.states(), "UNKNOWN"), what, PATIENCE_SECS)
    gaps = desk.folder / "data" / "catalog" / "gaps.jsonl"
    wait_for(lambda: gaps.exists() and "reconnect" in gaps.read_text(), "the gap", PATIENCE_SECS)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECS) == 0, desk.log.read_text()[-3000:]
    assert not desk.is_resting()
    assert _all_but(desk.states(), "UNKNOWN", "INTENDED", "OPEN")


def _all_but(states: list[str], *unwanted: str) -> bool:
    """Whether the journal has orders, and none in these states."""
    return bool(states) and not set(states) & set(unwanted)


def test_broken_frames_are_counted_and_survived(desk: Desk) -> None:
    process = desk.start("live", desk.config("many"))
    desk.wait_resting(process)
    before = desk.faults_applied("malformed")
    desk.fault("WS", "/app", "malformed", times=3)
    wait_for(lambda: desk.faults_applied("malformed") >= before + 3, "the broken frames")
    ordered = len(desk.orders())
    wait_for(lambda: len(desk.orders()) > ordered + 1, "orders after them")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    told = [line for line in desk.log.read_text().splitlines() if "was not understood" in line]
    assert len(told) == 2, "one line a kind and minute, and a count at the end"
    assert " 2 more, the last: " in told[1]


def test_without_a_journal_nothing_is_sent(desk: Desk) -> None:
    process = desk.start("live", desk.config("many"))
    desk.wait_resting(process)
    other = sqlite3.connect(desk.journal, isolation_level=None, timeout=10)
    other.execute("BEGIN IMMEDIATE")  # from now on the run can't write
    try:
        known = {row[0] for row in other.execute("SELECT venue_order_id FROM orders")}
        assert process.wait(PATIENCE_SECS) == 1, desk.log.read_text()[-3000:]
    finally:
        other.execute("ROLLBACK")
        other.close()
    last = desk.log.read_text().splitlines()[-1]
    assert last.startswith("error JRN-WRITE: "), last
    # An order whose answer came while the journal was dead has its intent there, at least.
    unread = sum(state in ("INTENDED", "UNKNOWN") for state in desk.states())
    assert len(desk.orders() - known) <= unread
    wait_for(lambda: not desk.open_orders() & known, "the cancels, which need no journal")


def test_a_callback_that_stops_the_run_is_an_ordered_stop(desk: Desk) -> None:
    ended = desk.run("live", desk.config("shutdown"), 60)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert not desk.is_resting()
    assert desk.states() == ["CANCELED"]


def test_a_venue_that_is_away_is_a_line_with_since_and_one_when_it_is_back(desk: Desk) -> None:
    process = desk.start("live", desk.config("rest"))
    desk.wait_resting(process)
    before = desk.faults_applied("unavailable")
    desk.fault("GET", "/v1/orders", "unavailable", times=5000)
    desk.fault("POST", "/v1/members/me", "unavailable", times=5000)
    wait_for(lambda: desk.faults_applied("unavailable") > before + 12, "an outage", PATIENCE_SECS)
    desk.served.post("faults", clear=True)
    back = "the venue answers again after "
    wait_for(lambda: back in desk.log.read_text(), f"its end; see {desk.log}", PATIENCE_SECS)
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    told = [line for line in desk.log.read_text().splitlines() if "WARNING" in line]
    assert sum("can't be read since " in line for line in told) <= 3, told  # one a minute
    assert sum(back in line for line in told) == 1


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_a_key_that_is_refused_again_and_again_ends_the_run(tmp_path: Path, key: str) -> None:
    """The venue takes the key's rights away while the run goes on."""
    options = OceanexSimOptions() if key == "oceanex" else PoloniexSimOptions()
    with hosted.simulated(tmp_path / "keys", options) as line:
        run = Run(tmp_path, Venue(subprocess.Popen(["true"]), line), key)
        run.more = configs.ROOMY + "balance_poll_ms = 200\nsettle_timeout_secs = 0.5\n"
        run.start({})
        run.at_least(1)
        if key == "oceanex":
            msgspec.structs.force_setattr(options, "key_enabled", False)
        else:
            line["simulator"].auth.revoked = True
        assert run.process is not None
        assert run.process.wait(PATIENCE_SECS) == 5, run.log.read_text()[-3000:]
        last = run.log.read_text().splitlines()[-1]
        assert last.startswith(f"error KEY-REFUSED: {key.upper()} refused the key 5 times"), last


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_a_flatten_with_a_key_that_is_refused_names_what_is_held(tmp_path: Path, key: str) -> None:
    options = OceanexSimOptions() if key == "oceanex" else PoloniexSimOptions()
    with hosted.simulated(tmp_path / "keys", options) as line:
        run = Run(tmp_path, Venue(subprocess.Popen(["true"]), line), key)
        run.more = configs.ROOMY + '[run]\non_stop = "keep"\n'
        run.start({"goes_on": False, "buys": 1, "rests": 1})
        run.at_least(2)
        wait_for(lambda: run.held() > 0, f"the fill; see {run.log}")
        run.end()
        held = run.held()
        if key == "oceanex":
            msgspec.structs.force_setattr(options, "key_enabled", False)
        else:
            line["simulator"].auth.revoked = True
        (report,) = run.kill("all", "--action", "flatten", code=Exit.VENUE)["venues"]
        assert report["first_cancel_ms"] is None, "the venue refused it"
        (closed,) = report["closed"]
        assert closed["instrument"] == run.instrument
        assert Decimal(closed["left"]) == held
        assert not closed["is_flat"]
        told = subprocess.run(
            [FAIRLEAD, "kill", "all", "--action", "flatten", "--config", str(run.config)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert told.returncode == Exit.VENUE, told.stderr
        assert f"{run.instrument} position {held:f}: LEFT {held:f}" in told.stdout
        assert "0 of 1 positions flat" in told.stdout
        assert "first cancel" not in told.stdout
