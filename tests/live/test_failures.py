"""Failures of a running strategy, of the venue, and of the journal."""

from __future__ import annotations

import sqlite3

import pytest

from tests.live.desk import QUICK, Desk, summary
from tests.support.processes import wait_for

RAISING = {
    "raise_on_start": "on_start",
    "raise_on_book": "on_book_deltas",
    "raise_on_quote": "on_quote",
    "raise_on_fill": "on_order_filled",
    "raise_on_timer": "on_time_event",
}
RECORDED = QUICK + '\n[record]\ndir = "data"\n'


@pytest.mark.parametrize("verb", ["live", "paper"])
@pytest.mark.parametrize("does", RAISING)
def test_a_strategy_that_raises_ends_the_run(desk: Desk, does: str, verb: str) -> None:
    ended = desk.run(verb, desk.config(does), 20)
    assert ended.returncode == 10, ended.stdout + ended.stderr[-3000:]
    (fault,) = summary(ended)["faults"]
    assert fault == f"Scripted-1.{RAISING[does]}: ValueError: raised on purpose in {RAISING[does]}"
    assert fault.removeprefix("Scripted-1.") in ended.stderr.splitlines()[-1]
    assert not desk.is_resting()
    assert "ACCEPTED" not in summary(ended)["orders_by_status"]
    if verb == "live" and does != "raise_on_start":
        assert "CANCELED" in desk.states()
    else:
        assert desk.orders() == set()


@pytest.mark.parametrize("does", ["native_close", "native_submit"])
@pytest.mark.parametrize("verb", ["live", "paper"])
def test_an_order_round_the_gate_ends_the_run(desk: Desk, does: str, verb: str) -> None:
    ended = desk.run(verb, desk.config(does), 20)
    assert ended.returncode == 7, ended.stdout + ended.stderr[-3000:]
    assert not desk.is_resting()
    if verb == "live":
        approved = {"native_close": 2, "native_submit": 1}[does]
        assert len(desk.orders()) == approved  # the other one never reached the venue
        assert summary(ended)["denials"] == {"NOT_APPROVED": 1}


def test_an_order_that_the_gate_refuses_ends_nothing(desk: Desk) -> None:
    ended = desk.run("live", desk.config("algorithm"), 2.5)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert summary(ended)["denials"] == {"EXEC_ALGORITHM": 1}
    assert len(desk.orders()) == 1


def test_an_outage_is_survived(desk: Desk) -> None:
    process = desk.start("live", desk.config("many", more=RECORDED))
    desk.wait_resting(process)
    before = desk.faults_applied("lose_request")
    desk.fault("POST", "/v1/", "lose_request", times=5000)
    desk.fault("WS", "/app", "drop", times=2)
    wait_for(lambda: desk.faults_applied("lose_request") > before + 5, "the outage")
    desk.served.post("faults", clear=True)
    ordered = len(desk.orders())
    wait_for(lambda: len(desk.orders()) > ordered + 1, "orders after the outage")
    wait_for(lambda: "UNKNOWN" not in desk.states(), "proof that the lost orders are absent")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    assert not desk.is_resting()
    assert not {"UNKNOWN", "INTENDED", "OPEN"} & set(desk.states())
    gaps = desk.folder / "data" / "catalog" / "gaps.jsonl"
    recorded = gaps.read_text() if gaps.exists() else ""
    assert "RECONNECT" in recorded.upper(), list((desk.folder / "data").rglob("*"))


def test_broken_frames_are_counted_and_survived(desk: Desk) -> None:
    process = desk.start("live", desk.config("many"))
    desk.wait_resting(process)
    before = desk.faults_applied("malformed")
    desk.fault("WS", "/app", "malformed", times=3)
    wait_for(lambda: desk.faults_applied("malformed") >= before + 3, "the broken frames")
    ordered = len(desk.orders())
    wait_for(lambda: len(desk.orders()) > ordered + 1, "orders after them")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    assert desk.log.read_text().count("was not understood") == 3


def test_without_a_journal_nothing_is_sent(desk: Desk) -> None:
    process = desk.start("live", desk.config("many"))
    desk.wait_resting(process)
    other = sqlite3.connect(desk.journal, isolation_level=None, timeout=10)
    other.execute("BEGIN IMMEDIATE")  # from now on the run can't write
    try:
        known = {row[0] for row in other.execute("SELECT venue_order_id FROM orders")}
        assert process.wait(15) == 1, desk.log.read_text()[-3000:]
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
    ended = desk.run("live", desk.config("shutdown"), 20)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert not desk.is_resting()
    assert desk.states() == ["CANCELED"]
