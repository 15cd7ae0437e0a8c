"""`fairlead kill` at a venue that is stopped (SIGSTOP): over by `--timeout`, all left is named."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal, JournalError
from tests.live.blocked_run import Run
from tests.live.native import Native, taking
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, start, venue, wait_for
from tests.venues.mudawyl.live_kit import CONFIG, HERE, PERSON

pytestmark = pytest.mark.slow

SECS = "4"
FLATTEN = ("all", "--action", "flatten")


@contextmanager
def frozen(served: Venue) -> Iterator[None]:
    served.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        served.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("live", ["oceanex", "poloniex", "piexgo"], indirect=True)
def test_a_frozen_venue_is_left_in_time_and_all_of_it_named(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 1, "rests": 3})
    live.at_least(4)
    wait_for(lambda: live.btc() > before and live.held() > 0, "the buy to fill")
    known = "SELECT count(*) FROM orders WHERE state = 'OPEN'"
    wait_for(lambda: live.journaled(known) == [(3,)], "the quotes")
    assert live.process is not None
    live.process.kill()
    live.process.wait(PATIENCE_SECS)
    with frozen(live.served):
        done = live.kill(*FLATTEN, "--timeout", SECS, code=Exit.VENUE)
        told = command("kill", *FLATTEN, "--timeout", SECS, "--config", str(live.config))
    (report,) = done["venues"]
    assert report["problem"].startswith(f"KILL-TIMEOUT: {SECS} s are over, and ")
    assert [one["is_left"] for one in report["orders"]] == [True] * 3
    (held,) = report["closed"]
    assert Decimal(held["left"]) == live.held()
    assert told.returncode == Exit.VENUE
    for one in report["orders"]:
        assert f"{one['venue_order_id']} (B-1 {one['client_order_id']}): LEFT OPEN" in told.stdout
    assert f"{live.instrument} position {held['before']}: LEFT" in told.stdout
    assert live.kill(*FLATTEN)["is_clean"]
    assert not live.open()


def test_a_frozen_gateway_of_mudawyl_too(tmp_path: Path) -> None:
    with venue("mudawyl", tmp_path / "keys") as served:
        config = _mudawyl(tmp_path, served)
        log, flatten = tmp_path / "run.log", ("kill", *FLATTEN, "--config", str(config))
        run = start("live", config, log=log)
        try:
            wait_for(lambda: _holds(tmp_path), f"the bracket; see {log}")
        finally:
            run.kill()
            run.wait(PATIENCE_SECS)
        with frozen(served):
            told = command(*flatten, "--timeout", SECS)
        assert told.returncode == Exit.VENUE, told.stdout + told.stderr
        assert f"KILL-TIMEOUT: {SECS} s are over, and " in told.stdout
        assert told.stdout.count(": LEFT ") == 4, told.stdout  # stop, two targets, the position
        assert "position 0.05: LEFT 0.05" in told.stdout.replace("0.050", "0.05")
        again = command(*flatten)
        assert again.returncode == Exit.OK, again.stdout + again.stderr
        assert "1 of 1 positions flat" in again.stdout


def _mudawyl(folder: Path, served: Venue) -> Path:
    person = folder / "person.py"
    person.write_text(PERSON)
    line = served.line
    words = json.dumps([sys.executable, "-S", str(person), line["rest"]])
    text = CONFIG.format(
        token=line["credentials"]["token"],
        url=line["rest"],
        key=line["key_id"],
        here=HERE,
        captcha=f'captcha = "command"\ncaptcha_command = {words}',
        options="",
        params="",
        execution="",
        market="",
    )
    path = folder / "run.toml"
    path.write_text(text)
    return path


def _holds(folder: Path) -> bool:
    """Whether the entry is filled and its stop is at the gateway, by the journal."""
    path = folder / "state" / "mudawyl-main.journal.sqlite"
    if not path.exists():
        return False
    try:
        with closing(Journal.reading(path)) as journal:
            held = any(one.quantity for one in journal.positions())
            return held and len([o for o in journal.open_orders() if o.venue_order_id]) == 3
    except JournalError:  # it is being made
        return False


def test_a_frozen_venue_of_nautilustraders_own_too(tmp_path: Path) -> None:
    with venue("binance", tmp_path / "venue", "--seed", "5") as served:
        native = Native(served, tmp_path)
        config = native.config(taking(native.seen, rests=True))
        run = start("live", config, log=native.log)
        try:
            wait_for(lambda: native.states()["WAITING"] and native.states()["OPEN"], "its orders")
        finally:
            run.kill()
            run.wait(PATIENCE_SECS)
        kill = ("kill", "all", "--config", str(config))
        with frozen(served):
            told = command(*kill, "--timeout", SECS)
        assert told.returncode == Exit.VENUE, told.stdout + told.stderr
        assert "KILL-TIMEOUT" in told.stdout or "BINANCE-UNREACHABLE" in told.stdout
        assert told.stdout.count(": LEFT ") == 2, told.stdout
        again = command(*kill)
        assert again.returncode == Exit.OK, again.stdout + again.stderr
        assert not native.open_at_venue()
