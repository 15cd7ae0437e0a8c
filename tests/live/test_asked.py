"""What a second shell asks of a run: the same as its page tells, and as the files tell without."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.page import OBSERVE, PageOf
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import command, run, wait_for

RESTS = 3
KEEP = '[run]\non_stop = "keep"\nstop_timeout_secs = 30\n'


def up(live: Run, more: str = OBSERVE) -> None:
    """A run that has bought once and holds `RESTS` orders open."""
    live.more = configs.ROOMY + more
    live.start({"goes_on": False, "rests": RESTS, "buys": 1})
    live.at_least(RESTS + 1)  # the journal is there by then
    wait_for(lambda: is_traded(live), f"what the strategy does; see {live.log}")


def is_traded(live: Run) -> bool:
    count = "SELECT count(*) FROM orders WHERE state = 'OPEN' AND venue_order_id IS NOT NULL"
    return live.journaled(count) == [(RESTS,)] and bool(live.held())


def asked(live: Run, verb: str, *words: str, code: int = 0) -> Any:
    done = command(verb, str(live.config), "--json", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_run_answers_by_its_page_and_the_files_say_the_same(live: Run) -> None:
    up(live)
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: page.get("status")["fills"] == 1, "the fill")
    wait_for(lambda: not page.wrong(), "a loop that was not held up by a busy machine")
    status = asked(live, "status")
    told = page.get("status")
    assert status.keys() == told.keys()
    for each in (status, told):  # it passes between two looks
        each["wrong"] = [one for one in each["wrong"] if one["code"] != "LOOP-LAG"]
    for name in ("name", "mode", "state", "version", "started_ns", "wrong", "open_orders"):
        assert status[name] == told[name], name
    assert asked(live, "orders") == page.get("orders")
    assert asked(live, "fills") == page.get("fills")
    (position,) = asked(live, "positions")
    assert position["journal"] == page.get("positions")[0]["journal"]
    assert position["venue"] is not None
    names = ("client_order_id", "venue_order_id", "state", "filled", "price", "role", "ts_ns")
    by_files = asked(live, "orders", "--files")
    assert [[one[n] for n in names] for one in by_files] == [
        [one[n] for n in names] for one in sorted(page.get("orders"), key=lambda o: o["ts_ns"])
    ]
    (fill,) = asked(live, "fills", "--files")
    (shown,) = page.get("fills")
    for name in ("client_order_id", "strategy", "instrument", "side", "fee_currency"):
        assert fill[name] == shown[name], name
    for name in ("quantity", "price", "fee"):
        assert Decimal(fill[name]) == Decimal(shown[name]), name
    (held,) = asked(live, "positions", "--files")
    assert (held["engine"], held["venue"]) == (None, None)
    assert Decimal(held["journal"]) == live.held()
    for_people(live)
    unread(live, page)
    live.kill("all", "--action", "halt")
    wait_for(lambda: "KILLED" in page.wrong(), "the kill")
    assert asked(live, "status", code=Exit.KILLED)["kills"][0]["action"] == "halt"
    assert command("status", str(live.config), "--quiet").stdout == ""
    live.end()
    assert not list((live.folder / "state").glob("*.up"))


def for_people(live: Run) -> None:
    """A table that names every order whole, on a narrow terminal too; who answered on stderr."""
    plain = {"NO_COLOR": "1", "COLUMNS": "60", "TERM": "xterm"}
    for verb in ("status", "orders", "positions", "fills"):
        done = command(verb, str(live.config), env=plain)
        assert done.returncode == 0, done.stderr
        assert max(map(len, done.stdout.splitlines()[1:])) <= 60
        assert "\x1b" not in done.stdout + done.stderr
        assert f"asked: the run in process {live.process.pid}" in done.stderr
    wide = command("orders", str(live.config), env={"COLUMNS": "250"}).stdout
    for name, *_ in live.journaled("SELECT client_order_id FROM orders WHERE state = 'OPEN'"):
        assert name in wide
    well = "all is well: test live running"
    wait_for(lambda: well in command("status", str(live.config)).stdout, "all to be well")


def unread(live: Run, page: PageOf) -> None:
    """A run that stands still is told as that, with what the files say."""
    assert live.process is not None
    wait_for(live.frozen, "a moment between two writes")
    try:
        status = asked(live, "status", code=Exit.TIMED_OUT)
        assert status["wrong"][0]["code"] == "NO-ANSWER"
        assert status["open_orders"] == RESTS
        done = command("orders", str(live.config), "--json")
        assert done.returncode == Exit.TIMED_OUT
        assert json.loads(done.stdout)["error"]["code"] == "PAGE-NO-ANSWER"
        assert len(asked(live, "orders", "--files")) == RESTS
    finally:
        live.process.send_signal(signal.SIGCONT)
    wait_for(lambda: page.get("status")["state"] == "running", "the run to go on")


def test_without_a_page_the_files_answer(live: Run) -> None:
    up(live, KEEP)
    seen: list[Any] = []

    def is_well() -> bool:  # the sign is of half a second ago, and a busy machine holds a loop up
        seen.append(command("status", str(live.config), "--json"))
        return json.loads(seen[-1].stdout)["wrong"] == []

    wait_for(is_well, "the run to say that it is up")
    done = seen[-1]
    assert done.returncode == 0, done.stdout
    status = json.loads(done.stdout)
    assert (status["state"], status["open_orders"]) == ("running", RESTS)
    assert status["fills"] is None, "nobody knows which are this run's"
    assert "[observe] page" in done.stderr
    assert live.end() == Exit.OK
    status = asked(live, "status", code=Exit.NO_DATA)
    assert [one["code"] for one in status["wrong"]] == ["NOT-RUNNING", "OPEN"]
    assert (status["state"], status["fills"]) == ("stopped", 1)
    assert {one["state"] for one in asked(live, "orders")} == {"OPEN"}
    assert Decimal(asked(live, "positions")[0]["journal"]) == live.held()
    assert run("paper", live.config, "--for", "0").returncode == Exit.OK
    assert len(asked(live, "fills")) == 1, "what is at stake is the live account's"


def test_what_is_at_a_dead_run_s_address_gets_no_token(live: Run) -> None:
    up(live)
    page = PageOf(live.log, live.folder / "state")
    assert live.process is not None
    live.process.kill()
    live.process.wait(PATIENCE_SECS)
    assert list((live.folder / "state").glob("*.up")), "it had no time to take it away"
    heard: list[bytes] = []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(page.base.rpartition(":")[2])))
        other.listen()
        other.settimeout(0.1)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    heard.append(other.accept()[0].recv(4096))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            status = asked(live, "status", code=Exit.NO_DATA)
        finally:
            ended.set()
            thread.join()
    assert status["state"] == "stopped"
    assert (status["fills"], status["denials"]) == (len(asked(live, "fills")), None)
    assert next(one["text"] for one in status["wrong"] if one["code"] == "LAST-RUN").endswith(
        "was killed, or it crashed: nothing is summed up"
    )
    assert heard == []


def test_the_log_is_read_and_followed(live: Run) -> None:
    live.more = configs.ROOMY + ('[run]\nlog_level = "INFO"\nstop_timeout_secs = 30\n')
    live.start({"goes_on": False, "rests": 1})
    live.at_least(1)
    lines = command("logs", str(live.config), "--json", "--last", "20").stdout.splitlines()
    assert len(lines) == 20
    told = [json.loads(line) for line in lines]
    assert {"info"} <= {one["level"] for one in told}
    assert all(one["time"].startswith("20") for one in told if one["level"])
    live.end()
    worse = command("logs", str(live.config), "--level", "error", "--json").stdout.splitlines()
    assert {json.loads(line)["level"] for line in worse} <= {"error"}
    gone = live.folder / "state" / "logs"
    shutil.rmtree(gone)
    done = command("logs", str(live.config))
    assert done.returncode == Exit.NO_DATA
    assert done.stderr.startswith("error LOG-NONE: ")


# -- reconcile -----------------------------------------------------------------------------------


def differing(live: Run, code: int = Exit.DRIFT) -> list[dict[str, str]]:
    (account,) = asked(live, "reconcile", code=code)
    return account["findings"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_reconcile_of_a_run_that_is_up_finds_nothing_and_does_nothing(live: Run) -> None:
    up(live, "")
    (account,) = asked(live, "reconcile")
    assert (account["journal_orders"], account["venue_orders"]) == (RESTS, RESTS)
    assert account["findings"] == []
    (position,) = account["positions"]
    assert Decimal(position["journal"]) == live.held()
    assert Decimal(position["venue"]) == live.btc()
    assert live.end() == Exit.OK


def test_reconcile_names_what_differs_and_touches_nothing(live: Run) -> None:
    up(live, KEEP)
    assert live.end() == Exit.OK
    assert differing(live, Exit.OK) == []
    live.kill("all")  # cancels from its own process, of which the journal hears at the next start
    state = live.folder / "state"
    entries, before = live.served.ledger_size(), contents(state)
    found = differing(live)
    assert [one["code"] for one in found] == ["ORDER-ENDED"] * RESTS
    assert {one["journal"] for one in found} == {"OPEN, 0 filled"}
    assert {one["venue"] for one in found} == {"CANCELED, 0 filled"}
    assert live.served.ledger_size() == entries, "no order was sent or cancelled"
    assert contents(state) == before
    done = command("reconcile", str(live.config), env={"COLUMNS": "200"})
    assert "oceanex main: 3 differences; 3 open orders by the journal, 0" in done.stdout
    (state / "oceanex-main.journal.sqlite").unlink()
    (account,) = asked(live, "reconcile", code=Exit.VENUE)
    assert account["why"].startswith("JOURNAL-EMPTY: "), "it was taken away"


def test_reconcile_of_orders_that_the_journal_does_not_know(live: Run) -> None:
    up(live, KEEP)
    assert live.end() == Exit.OK
    state = live.folder / "state"
    shutil.move(state, live.folder / "kept")
    found = differing(live)
    assert [one["code"] for one in found] == ["ORDER-EXTERNAL"] * RESTS
    shutil.rmtree(state, ignore_errors=True)
    shutil.move(live.folder / "kept", state)
    live.kill("all")


def test_reconcile_without_its_venue_says_so(live: Run) -> None:
    up(live, "")
    assert live.end() == Exit.OK
    text = live.config.read_text()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rest = live.served.line["rest"]
    live.config.write_text(text.replace(rest, f"http://127.0.0.1:{port}/v1"))
    (account,) = asked(live, "reconcile", code=Exit.VENUE)
    assert not account["is_compared"]
    assert "HTTP-CONNECT" in account["why"]


@pytest.mark.parametrize("verb", ["status", "orders", "positions", "fills", "logs", "reconcile"])
def test_a_config_that_is_none_is_an_error_in_words(verb: str, tmp_path: Path) -> None:
    for name, text in (("no.toml", None), ("odd.toml", "name = 3\n"), ("\x1b.toml", "a")):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        done = command(verb, str(path), "--json")
        assert done.returncode == Exit.CONFIG, done.stderr
        assert json.loads(done.stdout)["error"]["code"] == "E-CFG"
