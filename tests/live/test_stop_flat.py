"""What a strategy promises to hold at the end of a run is held, or loudly not."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit as Code
from fairlead.engine.research.runs import Run, newest
from tests.live import hosted
from tests.live.leaving import Flooding
from tests.live.test_exits import CREATE, OPTIONS, STEP, Exit
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, start, wait_for

QUICK = """
[execution]
poll_ms = 100
absent_quarantine_secs = 0.5
"""
TREND = {"path": "fairlead.strategies.trend_follower:TrendFollower"} | {
    "params": {
        "order_quantity": "0.01",
        "bar": "1-SECOND-LAST",
        "fast": 1,
        "slow": 2,
        "atr": 1,
        "channel_atr": "0",
        "flatten_on_stop": True,
    }
}
PATIENT = "[run]\nstop_timeout_secs = 40\n"
CHANGES = {
    "oceanex": (("POST", "/v1/orders$"), ("POST", "/v1/order/delete")),
    "poloniex": (("POST", "/orders$"), ("DELETE", "/orders")),
}
LATE_SECS = 2.2  # of the answer to the entry: longer than NautilusTrader waits after on_stop


class Leave(Exit):
    """A run whose strategy holds a position at the stop, or is about to."""

    risk = configs.ROOMY_RISK

    def begin(
        self,
        strategy: dict[str, Any],
        verb: str = "live",
        more: str = "",
        beside: dict[str, Any] | None = None,
    ) -> None:
        named = {"instrument_id": f"BTC_USDT.{self.key.upper()}"}
        strategies = [
            {"id": f"Leaving-{number}", **one, "params": named | one["params"]}
            for number, one in enumerate((strategy, beside), start=1)
            if one is not None
        ]
        text = self.risk + QUICK + more
        config = configs.write(self.folder, self.served, strategies=strategies, more=text)
        self.process = start(verb, config, "--json", log=self.log)

    def leaving(self, how: str) -> dict[str, Any]:
        params = {"how": how, "told": str(self.told)}
        return {"path": "tests.live.leaving:Leaving", "params": params}

    def delay(self, secs: float, times: int = 1) -> None:
        fault = {"method": "POST", "path": CREATE[self.key], "kind": "delay"}
        self.served.post("faults", **fault, secs=secs, times=times)

    def summary(self) -> dict[str, Any]:
        """Of the run that has ended: the JSON document among what it printed."""
        text = self.log.read_text()
        found: dict[str, Any] = json.JSONDecoder().raw_decode(text[text.index("\n{") + 1 :])[0]
        return found

    def heard(self, what: str) -> int:
        return self.told.read_text().split().count(what) if self.told.exists() else 0


@pytest.fixture(params=sorted(OPTIONS))
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Leave]:
    with hosted.simulated(tmp_path / "keys", OPTIONS[str(request.param)]) as line:
        made = Leave(tmp_path, Venue(None, line))  # type: ignore[arg-type]  # no process of its own
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(PATIENCE_SECS)


@pytest.mark.parametrize("how", ["trend", "market_exit", "close_all_positions"])
def test_an_entry_that_is_answered_late_is_left_again(run: Leave, how: str) -> None:
    """The stop comes when the venue has filled the entry and its answer is still on the way."""
    run.delay(LATE_SECS)
    run.begin(TREND if how == "trend" else run.leaving(how))
    run.wait(lambda: run.orders("BUY", "filled"), "the entry to be filled at the venue")
    run.end()
    assert 0 <= run.btc() < STEP
    assert [order["status"] for order in run.orders("SELL")] == ["filled"]
    ((held,),) = run.journal("SELECT quantity FROM positions")
    assert Decimal(held) == run.btc()
    told = run.log.read_text()
    assert "recovery incomplete" not in told
    assert "abandoned" not in told


def test_an_exit_that_is_refused_for_want_of_a_book_is_tried_again(run: Leave) -> None:
    run.begin(run.leaving("close_all_positions"), more=PATIENT)
    run.wait(lambda: run.heard("filled"), "the entry")
    run.served.post("faults", method="WS", path="", kind="drop", times=3)
    run.wait(lambda: run.heard("cleared"), "the book to be gone")
    run.end()
    assert run.heard("INVALID_BOOK") or run.heard("STALE_REFERENCE"), run.told.read_text()
    assert 0 <= run.btc() < STEP
    assert "holding" not in run.log.read_text()


@pytest.mark.parametrize("verb", ["live", "paper"])
@pytest.mark.parametrize(("how", "code"), [("asks", Code.OK), ("raises", Code.FAULTED)])
def test_a_strategy_that_ends_the_run_leaves_the_others_their_exits(
    run: Leave, verb: str, how: str, code: Code
) -> None:
    """By its own word or by its fault: what another promised to close is closed, as by a signal."""
    more = f'[venues.{run.key}.fees]\nmaker = "0.001"\ntaker = "0.001"\n' * (verb == "paper")
    simulated = '[simulated]\nbalances = ["10000 USDT"]\n' * (verb == "paper")
    other = run.leaving(how) | {"path": "tests.live.leaving:Ending"}
    run.begin(run.leaving("close_all_positions"), verb, simulated + more + PATIENT, beside=other)
    run.wait(lambda: run.heard("filled"), "the entry")
    run.served.post("faults", method="WS", path="", kind="drop", times=3)
    assert run.process is not None
    assert run.process.wait(PATIENCE_SECS) == code, run.log.read_text()[-3000:]
    assert run.heard("ends")
    assert run.heard("INVALID_BOOK") or run.heard("STALE_REFERENCE"), run.told.read_text()
    ended = run.summary()
    assert ended["orders_by_status"] == {"FILLED": 2}, ended
    assert "holding" not in run.log.read_text()
    if how == "asks":
        assert "enough for today" in run.log.read_text()


@pytest.mark.parametrize("how", ["raises", "text", "elsewhere"])
def test_a_strategy_whose_promise_is_none_has_faulted_and_the_others_keep_theirs(
    run: Leave, how: str
) -> None:
    """It is named with its place, what it holds is told, and the stop goes on."""
    other = run.leaving(how) | {"path": "tests.live.leaving:Promising"}
    run.begin(other, beside=run.leaving("close_all_positions"))
    run.wait(lambda: run.heard("filled") == 2, "the entries")
    run.end(Code.FAULTED)
    told = {
        "raises": "ValueError: raised on purpose",
        "text": "BadAnswerError: flat_on_stop: expected a collection of InstrumentId, 'BTC_USDT'",
        "elsewhere": "BadAnswerError: flat_on_stop: expected an instrument of this run (BTC_USDT.",
    }[how]
    ended = run.summary()
    assert f"a strategy faulted: Leaving-1.flat_on_stop: {told}" in ended["outcome"]
    assert "tests/live/leaving.py:" in ended["outcome"]
    assert len(ended["faults"]) == run.heard("asked") == 1
    assert ended["notes"][-1].startswith("HELD 0.0")
    assert ended["notes"][-1].endswith("(Leaving-1)")
    assert [order["status"] for order in run.orders("SELL")] == ["filled"]


def test_a_position_that_can_not_be_closed_is_told_and_no_success(run: Leave) -> None:
    run.begin(run.leaving("close_all_positions"))
    run.wait(lambda: run.heard("filled"), "the entry")
    run.served.post("faults", method="WS", path="", kind="drop", times=1000)
    run.wait(lambda: run.heard("cleared"), "the book to be gone")
    run.end(Code.NOT_FLAT)
    told = run.log.read_text()
    (line,) = (line for line in told.splitlines() if "NOT-FLAT" in line and "error" in line)
    assert line.startswith("error NOT-FLAT: to be closed at the stop, and still held: 0.0099")
    assert f"BTC_USDT.{run.key.upper()} (Leaving-1) (the last refusal: " in line
    assert run.summary()["notes"][-1].startswith("NOT-FLAT 0.0099")
    assert run.orders("SELL") == []


def test_a_run_that_ends_holding_says_so(run: Leave) -> None:
    run.begin(run.leaving(""))
    run.wait(lambda: run.heard("filled"), "the entry")
    run.end()
    held = f"{run.btc().normalize():f} BTC_USDT.{run.key.upper()} (Leaving-1)"
    assert f"the run ends holding {held}\n" in run.log.read_text()
    assert run.summary()["notes"] == [f"HELD {held}"]


def test_on_paper_an_entry_on_its_way_at_the_stop_is_left_again(run: Leave) -> None:
    slow = '[simulated]\nbalances = ["10000 USDT"]\nlatency_ms = "2000"\n' + PATIENT
    slow += f'[venues.{run.key}.fees]\nmaker = "0.001"\ntaker = "0.001"\n'
    run.begin(run.leaving("close_all_positions"), "paper", more=slow)
    run.wait(lambda: run.heard("sent"), "the entry to be sent")
    run.end()
    ended = run.summary()
    assert ended["orders_by_status"] == {"FILLED": 2}, ended
    assert ended["notes"] == []


def test_what_is_under_way_at_the_stop_is_no_error_of_anybody(run: Leave) -> None:
    """Cancels and creates whose answers are late: the journal knows the end of each."""
    strategy = run.leaving("") | {"path": "tests.live.leaving:Moving"}
    run.begin(strategy)
    run.wait(lambda: run.heard("accepted") >= 3, "orders to be moved")
    for method, path in CHANGES[run.key]:
        fault = {"method": method, "path": path, "kind": "delay", "secs": 1.4}
        run.served.post("faults", **fault, times=3)
    run.wait(lambda: run.served._get("faults")["applied"].get("delay", 0) >= 2, "late answers")
    run.end()
    told = run.log.read_text()
    assert "ERROR" not in told, told
    assert "recovery incomplete" not in told
    states = {state for (state,) in run.journal("SELECT state FROM orders")}
    assert states <= {"CANCELED", "FILLED", "REFUSED"}, states


FLOOD = """
[risk]
max_order_notional = "100000 USDT"
max_open_orders = 10000
max_orders_per_second = 10000
price_collar_bps = "1000"
off = ["FREE_BALANCE"]
"""


def test_no_command_is_dropped_however_many_wait(run: Leave) -> None:
    """They wait with us: NautilusTrader drops those that wait for a client that stops."""
    run.risk = FLOOD
    run.delay(1.4, times=3)
    run.begin(run.leaving("") | {"path": "tests.live.leaving:Flooding"})
    run.wait(lambda: run.heard("quoted"), "the quotes")
    run.end()
    told = run.log.read_text()
    assert " [ERROR] " not in told, told[:3000]
    ((sent,),) = run.journal("SELECT count(*) FROM orders WHERE state != 'REFUSED'")
    assert sent + run.heard("withdrawn") == Flooding.QUOTES


SLOW_ANSWER_SECS = 0.6
IN_FLIGHT = 2  # that left before the stop began, or as it did


def test_a_stop_withdraws_the_quotes_that_wait_and_sells_what_is_held(run: Leave) -> None:
    """A venue that answers slowly, and many quotes behind one another when the stop comes."""
    strategy = run.leaving("close_all_positions") | {"path": "tests.live.leaving:Quoting"}
    run.begin(strategy)
    run.wait(lambda: run.heard("filled"), "the entry")
    run.delay(SLOW_ANSWER_SECS, times=100)
    (run.folder / "quote").touch()
    run.wait(lambda: run.heard("quoted"), "the quotes")
    sent = len(run.orders("BUY"))
    run.end()
    assert len(run.orders("BUY")) - sent <= IN_FLIGHT, "quotes were sent after the stop began"
    assert [order["status"] for order in run.orders("SELL")] == ["filled"]
    assert 0 <= run.btc() < STEP
    told = run.summary()
    assert sum(told["unsent_reasons"].values()) == run.heard("withdrawn") > 0
    kept = Run.at(next(newest(run.folder / "state")))
    rows = kept.rows("orders")
    assert len(rows) == told["orders"]
    row = next(row for row in rows if "DESK-WITHDRAWN" in (row["reason"] or ""))
    config = str(next(run.folder.glob("*.toml")))
    story = command("explain", row["client_order_id"], "--config", config)
    assert story.returncode == 0, story.stderr
    assert "DESK-WITHDRAWN" in story.stdout


LOOKS = {
    "oceanex": (("GET", "/v1/orders"), ("POST", "/v1/orders/filter")),
    "poloniex": (("GET", "/orders"), ("GET", "/trades")),
}


def test_orders_of_unknown_outcome_do_not_keep_what_is_held_from_being_sold(run: Leave) -> None:
    """Two creates executed, their answers lost, and no read that could prove them."""
    strategy = run.leaving("close_all_positions") | {"path": "tests.live.leaving:Quoting"}
    run.begin(strategy, more="[run]\nstop_timeout_secs = 16\n")
    run.wait(lambda: run.heard("filled"), "the entry")
    for method, path in LOOKS[run.key]:
        run.served.post("faults", method=method, path=path, kind="unavailable", times=900)
    for kind, times in (("lose_answer", 2), ("delay", 100)):
        fault = {"method": "POST", "path": CREATE[run.key], "kind": kind, "secs": SLOW_ANSWER_SECS}
        run.served.post("faults", **fault, times=times)
    (run.folder / "quote").touch()
    lost = "the lost answers"
    run.wait(lambda: run.served._get("faults")["applied"].get("lose_answer", 0) >= 2, lost)
    assert run.process is not None
    run.process.send_signal(signal.SIGTERM)
    wait_for(lambda: run.orders("SELL", "filled"), f"the exit at the venue; see {run.log}")
    run.served.post("faults", clear=True)
    run.process.wait(PATIENCE_SECS)
    assert 0 <= run.btc() < STEP
    assert len(run.orders("BUY")) <= 1 + 2 + IN_FLIGHT
