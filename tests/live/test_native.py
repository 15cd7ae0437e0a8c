"""NautilusTrader's own client from the same file: recorded, on paper, live, killed, taken over."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import summary
from tests.live.moving import CONTROL, MOVES, QUOTES
from tests.live.native import MAKER, PERP, TREND, Native, taking
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import (
    Process,
    Venue,
    command,
    run,
    run_until,
    start,
    venue,
    wait_for,
)

pytestmark = pytest.mark.slow

CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens
AWAY = {"usdm_rest": CLOSED, "usdm_ws": f"{CLOSED}/ws", "usdm_ws_api": f"{CLOSED}/api"}


UNANSWERED = "SELECT * FROM orders WHERE cancel_requested AND state IN ('OPEN', 'CANCELLING')"
ASKED_SECS = 45.0  # NautilusTrader took a cancel for done after 30 s


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Native]:
    """A venue of its own each: an account that holds something is no new one."""
    with venue("binance", tmp_path / "venue", "--seed", "5") as served:
        yield Native(served, tmp_path)


def test_an_adapter_that_can_not_be_reached_is_one_line(tmp_path: Path) -> None:
    config = Native(None, tmp_path).config(**AWAY)
    ended = run("record", config, "--for", "5")
    assert ended.returncode == Exit.VENUE, ended.stderr[-2000:]
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error")]
    assert "BINANCE-UNREACHABLE" in line
    assert "base_url_http 127.0.0.1:9" in line


def test_what_paper_saw_is_recorded_and_backtested(native: Native) -> None:
    """Paper reads no key, simulates by the native client's data, and records events only."""
    config = native.config(taking(native.seen, rests=True), MAKER, TREND, credentials={})
    paper = run("paper", config, "--for", "12", "--json")
    assert paper.returncode == 0, paper.stderr[-3000:]
    told = summary(paper)
    assert told["fills"] > 0
    assert (native.folder / "data" / "raw" / "binance" / "no-frames.txt").exists()
    assert not list((native.folder / "data" / "raw").rglob("*.fraw*"))
    assert native.entries("order") == []  # nothing was sent
    backtest = run("backtest", config, "--json")
    assert backtest.returncode == 0, backtest.stderr[-3000:]
    again = summary(backtest)
    assert again["fills"] > 0
    assert {"LIMIT", "MARKET", "STOP_LIMIT"} <= again["orders_by_kind"].keys()


def test_a_kill_9_and_a_restart_double_nothing(native: Native) -> None:
    """Maker, trend follower, and a stop-limit and a quote that outlive the process."""
    config = native.config(taking(native.seen, rests=True), MAKER, TREND)
    process = start("live", config, log=native.log)
    try:
        wait_for(lambda: native.states()["FILLED"] >= 3, "executions")
        wait_for(lambda: native.states()["WAITING"] and native.states()["OPEN"] >= 2, "all orders")
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    before = native.rows("SELECT client_order_id FROM orders WHERE state = 'WAITING'")
    wait_for(lambda: _takes_a_quote(native), "a quote that is taken while nobody runs")
    config = native.config(taking(native.seen), MAKER, TREND)
    sent = native.states().total()
    native.seen.unlink()
    # A life in which the account moves sends nothing, and starts again: its signal would be told.
    done = lambda: native.seen.exists() and native.states().total() > sent  # noqa: E731
    ended = run_until("live", config, done, "the take-over", folder=native.folder)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(native.seen.read_text())
    stops = [one for one in found["orders"] if one["kind"] == "STOP_LIMIT"]
    assert [(one["id"], one["role"], one["proven"]) for one in stops] == [
        (before[0][0], "stop", True)
    ]
    assert found["positions"] == {PERP: "0.010"}
    assert not +(native.states() - _over(native))
    assert native.position() == native.position_at_venue()
    booked = native.rows("SELECT trade_id, client_order_id FROM fills")
    assert 0 < len(booked) <= len(native.fills_at_venue())  # of while nobody ran, sums
    assert "FEE-UNKNOWN" in ended.stderr
    names = [one["client_order_id"] for one in native.orders_at_venue().values()]
    assert len(set(names)) == len(names)  # nothing was sent twice
    assert native.open_at_venue() == []
    assert _canaries(native) == []


def quoting(native: Native, moves: Sequence[str]) -> tuple[Path, Process]:
    """A run that takes over three quotes; so many of them are taken in as many starts."""
    rests = {**taking(native.seen, rests=True), "path": "tests.live.moving:Quoting"}
    assert native.served is not None
    control = str(native.served.line["control"]).rstrip("/")
    prices = native.folder / "moves"
    prices.write_text("")
    env = {MOVES: str(prices), CONTROL: control}
    collar = "[risk]\nprice_collar_bps = 2000"
    process = start("live", native.config(rests, more=collar), log=native.log, env=env)
    try:
        wait_for(lambda: native.states()["OPEN"] == len(QUOTES), "the quotes")
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    paid = Decimal(native.fills_at_venue()[0]["price"])
    prices.write_text("\n".join(str(round(paid * Decimal(one), 1)) for one in moves))
    native.seen.unlink()
    rests["params"] |= {"rests": False}
    return prices, start("live", native.config(rests), log=native.log, env=env)


def test_an_order_that_ends_while_a_run_starts_is_looked_for_again(native: Native) -> None:
    """Filled between the look and the run's own node: booked as executed, and nothing twice."""
    prices, process = quoting(native, ["0.96", "0.93"])
    try:
        wait_for(lambda: native.seen.exists() and not prices.read_text(), "the starts")
        wait_for(
            lambda: (
                json.loads(native.seen.read_text()).get("positions") == {PERP: "0.026"}
                or process.poll() is not None
            ),
            "the run that has it all",
        )
        assert native.log.read_text().count("it is looked at again") == 2
        assert native.states()["OPEN"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECS) == Exit.OK, native.log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    assert native.position() == native.position_at_venue() == Decimal("0.026")
    assert "NATIVE-DRIFT" not in native.log.read_text()


def test_a_start_looks_again_a_few_times_only(native: Native) -> None:
    prices, process = quoting(native, ["0.96", "0.93", "0.90"])
    try:
        assert process.wait(PATIENCE_SECS) == Exit.DRIFT, native.log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    told = native.log.read_text()
    assert (told.count("it is looked at again"), prices.read_text()) == (2, "")
    assert "NATIVE-DRIFT" in told
    assert native.position() == Decimal("0.026")  # what was proven by then, and no more
    ended = run("live", native.config(taking(native.seen)), "--for", "1", "--json")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert native.position() == native.position_at_venue() == Decimal("0.034")


def test_a_cancel_that_is_never_answered_is_not_taken_for_done(native: Native) -> None:
    """The venue stands still for longer than NautilusTrader would ask: no order ends by it."""
    assert native.served is not None
    assert native.served.process is not None
    config = native.config(MAKER)
    process = start("live", config, log=native.log)
    try:
        wait_for(lambda: native.states()["CANCELED"] >= 2, "quotes that follow the market")
        wait_for(lambda: _freezes_a_cancel(native, native.served), "a cancel without an answer")
        ((last,),) = native.rows("SELECT max(seq) FROM records")
        time.sleep(ASKED_SECS)
        over = native.rows(f"SELECT * FROM records WHERE kind = 'CANCELED' AND seq > {last}")
        native.served.process.send_signal(signal.SIGCONT)
        assert over == []
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_SECS)
        assert code in (Exit.OK, Exit.UNRESOLVED), native.log.read_text()
    finally:
        native.served.process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(PATIENCE_SECS)
    if code == Exit.UNRESOLVED:  # of an order that was sent then, too, the answer was lost
        ended = run("live", config, "--for", "3")
        assert ended.returncode == 0, ended.stderr[-3000:]
    assert native.position() == native.position_at_venue()


def _freezes_a_cancel(native: Native, served: Venue) -> bool:
    """Stop the venue; let it go on where nothing was asked of it in that moment."""
    assert served.process is not None
    served.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)  # what it had sent is acted on
    if native.rows(UNANSWERED):
        return True
    served.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    return False


def test_kill_all_empties_the_book_with_a_run_and_without(native: Native) -> None:
    config = native.config(taking(native.seen, rests=True))
    process = start("live", config, log=native.log)
    try:
        wait_for(lambda: native.states()["WAITING"] and native.states()["OPEN"], "both orders")
        killed = command("kill", "all", "--config", config)
        assert killed.returncode == 0, killed.stdout + killed.stderr
        assert native.open_at_venue() == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECS) == Exit.KILLED
        cleared = command("kill", "all", "--clear", "--reason", "test", "--config", config)
        assert cleared.returncode == 0
        process = start("live", config, log=native.log)
        wait_for(lambda: native.states()["WAITING"] and native.states()["OPEN"], "both orders")
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_SECS)
        assert len(native.open_at_venue()) == 2
        killed = command("kill", "all", "--config", config)
        assert killed.returncode == 0, killed.stdout + killed.stderr
        assert native.open_at_venue() == []
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)


def test_a_kill_that_flattens_names_the_position_that_stays(native: Native) -> None:
    """Nothing is closed there by a kill: exit 11 is of what stays, 5 of a venue that is away."""
    config = native.config(taking(native.seen, rests=True))
    process = start("live", config, log=native.log)
    try:
        wait_for(lambda: native.states()["WAITING"] and native.states()["OPEN"], "both orders")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_SECS)
    held = native.position_at_venue()
    assert held
    killed = command("kill", "all", "--action", "flatten", "--config", config)
    assert killed.returncode == Exit.UNRESOLVED, killed.stdout + killed.stderr
    assert "NOT-FLAT" in killed.stdout
    assert f"position {held:f}: LEFT" in killed.stdout
    assert (native.open_at_venue(), native.position_at_venue()) == ([], held)


def test_an_order_that_passed_no_gate_never_leaves(native: Native) -> None:
    ordered = len(native.entries("order"))
    config = native.config(taking(native.seen, cls="Rogue"))
    ended = run("live", config, "--for", "60", "--json")
    assert ended.returncode == Exit.BREACH, ended.stderr[-3000:]
    assert len(native.entries("order")) == ordered
    assert native.rows("SELECT * FROM orders") == []


@pytest.mark.parametrize("unasked", ["one", pytest.param("list", marks=pytest.mark.long)])
def test_a_modify_passes_the_gate_or_never_leaves(native: Native, unasked: str) -> None:
    """Price, quantity and trigger; one that goes round the gate is the end of order and run."""
    risk = f"[risk]\nprice_collar_bps = 600\nmax_order_quantity = {{ '{PERP}' = '0.1' }}"
    strategy = taking(native.seen, cls="Changing", rests=True, unasked=unasked)
    config = native.config(strategy, more=risk)
    ended = run("live", config, "--for", "60", "--json")
    assert ended.returncode == Exit.BREACH, ended.stderr[-3000:]
    told = json.loads(native.seen.read_text())
    many = "MAX_ORDER_QUANTITY"  # of one order, then of a list
    assert told["denied"] == ["PRICE_COLLAR", many, "STOP_SIDE", many]
    placed = [one["order"] for one in native.entries("order")]
    quotes = [one for one in placed if one["price"] is not None]
    steps = [(Decimal(one["price"]), one["quantity"], one["status"]) for one in quotes]
    first, second = dict.fromkeys(price for price, _, _ in steps)
    assert second == (first * Decimal("0.999")).quantize(Decimal("0.1"), ROUND_FLOOR)
    assert {quantity for _, quantity, _ in steps} == {"0.008"}
    assert steps[-1][2] == "canceled"
    assert native.open_at_venue() == []


def test_what_was_taken_out_by_hand_is_a_named_difference(native: Native) -> None:
    assert native.served is not None
    config = native.config(taking(native.seen), more='[execution]\nmax_drift = ["5 USDT"]')
    first = run("live", config, "--for", "1", "--json")
    assert first.returncode == 0, first.stderr[-3000:]
    assert summary(first)["notes"] == []
    native.served.post("venue", paid_in="-6")
    refused = run("live", config, "--for", "1")
    assert refused.returncode == Exit.DRIFT, refused.stderr[-3000:]
    assert "BALANCE-DRIFT BINANCE USDT: journal 100000" in refused.stderr.replace("  ", " ")
    assert "-6" in refused.stderr


def _over(native: Native) -> Any:
    states = native.states()
    return type(states)({one: states[one] for one in ("FILLED", "CANCELED", "EXPIRED", "REFUSED")})


def _takes_a_quote(native: Native) -> bool:
    """Whether one of the maker's quotes of before was taken; the market is moved past them."""
    quotes = native.rows(
        "SELECT venue_order_id FROM orders WHERE state = 'OPEN' AND strategy = 'Maker-1'"
    )
    assert native.served is not None
    price = Decimal(native.fills_at_venue()[0]["price"])
    for share in ("1.002", "0.998"):  # the stop lies 3 % away
        mid = str(round(price * Decimal(share), 1))
        native.served.post("market", market="BTCUSDT-PERP", mid=mid)
    orders = native.orders_at_venue()
    return any(orders[name]["status"] == "filled" for (name,) in quotes)


def _canaries(native: Native) -> list[str]:
    """Files of the run that hold one of its keys."""
    assert native.served is not None
    paths = [Path(one.removeprefix("file:")) for one in native.served.line["credentials"].values()]
    keys = [path.read_bytes().strip() for path in paths]
    return [
        str(path)
        for path in native.folder.rglob("*")
        if path.is_file()
        and "venue" not in path.relative_to(native.folder).parts[:1]  # its own account folder
        and any(key in path.read_bytes() for key in keys)
    ]
