"""Stops in every phase: in order, and with nothing forgotten."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess

import pytest

from tests.live.desk import QUICK, Desk, summary
from tests.support.processes import FAIRLEAD, PATIENCE_SECS, ROOT, run, wait_for

KEEP = '[run]\non_stop = "keep"\n' + QUICK
SLOW_TO_PROVE = QUICK.replace("absent_quarantine_secs = 0.5", "absent_quarantine_secs = 60")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_cancels_at_the_venue(desk: Desk, number: int) -> None:
    process = desk.start("live", desk.config())
    desk.wait_resting(process)
    assert desk.stop(process, number) == 0, desk.log.read_text()[-2000:]
    assert not desk.is_resting()
    assert desk.states() == ["CANCELED"]


def test_kept_orders_are_managed_after_the_restart(desk: Desk) -> None:
    process = desk.start("live", desk.config(more=KEEP))
    desk.wait_resting(process)
    assert desk.stop(process) == 0, desk.log.read_text()[-2000:]
    assert desk.is_resting()
    assert desk.states() == ["OPEN"]
    config = desk.config("see", more=KEEP)
    ended = desk.run_until("live", config, lambda: desk.states() == ["CANCELED"], "the cancel")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert len(json.loads(desk.seen.read_text())["open"]) == 1
    assert not desk.is_resting()  # the strategy cancelled what it was given back
    assert desk.states() == ["CANCELED"]


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_a_stop_while_connecting(desk: Desk, verb: str) -> None:
    before = desk.faults_applied("hang_request")
    desk.fault("POST", "/v1/markets", "hang_request", times=9)
    process = desk.start(verb, desk.config())
    wait_for(lambda: desk.faults_applied("hang_request") > before, "the first request")
    assert desk.stop(process) == 0, desk.log.read_text()[-2000:]


def test_a_stop_while_recovering_names_the_unproven_order(desk: Desk) -> None:
    desk.fault("POST", "/v1/orders$", "lose_request")
    process = desk.start("live", desk.config(more=SLOW_TO_PROVE))
    wait_for(lambda: "UNKNOWN" in desk.states(), "the unproven order")
    process.kill()
    process.wait(PATIENCE_SECS)
    process = desk.start("live", desk.config(more=SLOW_TO_PROVE))
    wait_for(lambda: "is UNKNOWN: the process ended" in desk.log.read_text(), "the recovery")
    assert desk.stop(process) == 11, desk.log.read_text()[-3000:]
    assert "error the outcome of these orders is unknown" in desk.log.read_text()


def test_an_unknown_order_at_the_stop_is_named(desk: Desk) -> None:
    desk.fault("POST", "/v1/orders$", "lose_request")
    config = desk.config(more=SLOW_TO_PROVE)
    ended = desk.run_until("live", config, lambda: "UNKNOWN" in desk.states(), "the lost order")
    assert ended.returncode == 11, ended.stderr[-3000:]
    (note,) = summary(ended)["notes"]
    assert note.startswith("UNRESOLVED ")
    assert note.split()[1].rstrip(":") in ended.stderr.splitlines()[-1]
    assert "recovery incomplete" not in ended.stderr.splitlines()[-1]


def test_a_lost_answer_is_settled_before_the_stop_ends(desk: Desk) -> None:
    desk.fault("POST", "/v1/orders$", "lose_answer")
    process = desk.start("live", desk.config())
    wait_for(desk.is_resting, "the order at the venue")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    assert not desk.is_resting()
    assert desk.states() == ["CANCELED"]


def test_a_cancel_that_is_not_confirmed_is_named(desk: Desk) -> None:
    process = desk.start("live", desk.config())
    desk.wait_resting(process)
    desk.fault("POST", "/v1/order/delete", "unavailable", times=500)
    assert desk.stop(process) == 11, desk.log.read_text()[-3000:]
    assert "error the venue did not confirm the cancel of these orders" in desk.log.read_text()


def test_a_second_signal_ends_a_blocked_run(desk: Desk) -> None:
    process = desk.start("live", desk.config("block"))
    wait_for(desk.seen.exists, "the strategy to block the loop")
    process.send_signal(signal.SIGTERM)
    with pytest.raises(Exception, match="timed out"):
        process.wait(1)  # in order means: when the strategy comes back
    assert desk.stop(process) == 130
    assert "STOP-AT-ONCE" in desk.log.read_text()
    assert desk.states() == ["OPEN"]  # the journal is whole


def test_a_second_signal_cuts_off_a_stop(desk: Desk) -> None:
    process = desk.start("live", desk.config(more=QUICK.replace("= 1.5", "= 9")))
    desk.wait_resting(process)
    desk.fault("POST", "/v1/order/delete", "unavailable", times=500)
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: desk.faults_applied("unavailable") > 0, "the stop to begin")
    assert desk.stop(process) in (11, 130)
    assert desk.states() == ["OPEN"]


BRIEF = QUICK + "[run]\nstop_timeout_secs = 4\n"


@pytest.mark.parametrize(
    ("verb", "does", "words", "code"),
    [
        ("live", "spin", [], 11),
        ("live", "block_on_stop", [], 124),
        ("paper", "block", [], 124),
        ("live", "spin", ["--for", "8"], 11),
    ],
)
def test_a_blocked_stop_is_told_and_cut_off_from_outside_the_loop(
    desk: Desk, verb: str, does: str, words: list[str], code: int
) -> None:
    process = desk.start(verb, desk.config(does, more=BRIEF), *words)
    wait_for(
        desk.did("acted") if does == "block_on_stop" else desk.seen.with_suffix(".json").exists,
        "the strategy to act",
    )
    if not words:
        process.send_signal(signal.SIGTERM)
    wait_for(lambda: "warning STOP-WAITS: the stop (" in desk.log.read_text(), "a word of it")
    assert process.wait(PATIENCE_SECS) == code, desk.log.read_text()[-3000:]
    told = desk.log.read_text()
    (waits,) = (line for line in told.splitlines() if "STOP-WAITS" in line)
    (cut_off,) = (line for line in told.splitlines() if "STOP-TIMEOUT" in line)
    callback = "on_stop" if does == "block_on_stop" else "on_book_deltas"
    for line in (waits, cut_off):
        assert f"strategy Scripted-1 blocks the event loop in {callback} (scripted.py:" in line
    if code == 11:
        assert desk.states() == ["OPEN"]  # the journal is whole, and the line says what it holds
        assert "these orders stay open at the venue: " in cut_off
        assert _journaled(desk) in cut_off
    else:  # what rested was cancelled before its on_stop, or is nowhere
        assert "no order is known to be open" in cut_off


@pytest.mark.parametrize(("verb", "code"), [("live", 11), ("paper", 124)])
def test_a_run_that_is_cut_off_prints_its_document(desk: Desk, verb: str, code: int) -> None:
    ended = run(verb, desk.config("spin", more=BRIEF), "--for", "6", "--json")
    assert ended.returncode == code, ended.stderr[-3000:]
    told = summary(ended)
    (line,) = (one for one in ended.stderr.splitlines() if "error STOP-TIMEOUT" in one)
    assert f"error {told['outcome']}" == line
    assert (told["exit_code"], told["error"]["code"]) == (code, "STOP-TIMEOUT")
    assert told["left_open"] == ([_journaled(desk)] if verb == "live" else [])


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_run_that_signals_end_at_once_prints_its_document(desk: Desk, verb: str) -> None:
    out = desk.folder / "at-once.out"
    command = [FAIRLEAD, verb, str(desk.config("block")), "--json"]
    with out.open("w") as to, desk.log.open("w") as log:
        process = subprocess.Popen(command, stdout=to, stderr=log, cwd=ROOT)
    try:
        wait_for(desk.seen.exists, "the strategy to block the loop")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: "STOP-WAITS" in desk.log.read_text(), "the first signal to be heard")
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_SECS)
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    told = json.loads(out.read_text())
    assert (code, told["exit_code"], told["error"]["code"]) == (130, 130, "STOP-AT-ONCE")
    assert f"error {told['outcome']}\n" in desk.log.read_text()


def _journaled(desk: Desk) -> str:
    with sqlite3.connect(f"file:{desk.journal}?mode=ro", uri=True) as db:
        ((name,),) = db.execute("SELECT client_order_id FROM orders").fetchall()
    return str(name)


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_thread_that_a_strategy_leaves_is_named_and_holds_up_nothing(
    desk: Desk, verb: str
) -> None:
    process = desk.start(verb, desk.config("thread"))
    wait_for(desk.did("acted"), "the strategy's thread")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    last = desk.log.read_text().rstrip().splitlines()[-1]
    assert last.startswith("warning THREADS-LEFT: still at work and ended with the process: mine;")
    assert "before the summary was whole" not in desk.log.read_text()


@pytest.mark.parametrize(
    ("verb", "says"), [("live", "orders may be open"), ("paper", "nothing was sent to a venue")]
)
def test_what_is_ended_at_once_says_what_its_mode_leaves(desk: Desk, verb: str, says: str) -> None:
    process = desk.start(verb, desk.config("block"))
    wait_for(desk.seen.exists, "the strategy to block the loop")
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: "STOP-WAITS" in desk.log.read_text(), "the first signal to be heard")
    assert desk.stop(process) == 130
    assert f"error STOP-AT-ONCE: ended at once by a second signal; {says}" in desk.log.read_text()
