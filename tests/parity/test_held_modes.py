"""A shipped breakout live, on paper and as a backtest of what the live run recorded: the same file,
the same stops, fired by the same prices."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal, JournalError
from tests.support.configs import VENUE_KEYS, inline
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import ROOT, Venue, run, start, venue, wait_for

pytestmark = pytest.mark.slow
TICK_SECS = 0.3  # between two moves of the market, so that each bar has some


class Case(msgspec.Struct, frozen=True):
    """A config, and its market as the simulated venue calls it; prices: quiet, risen, fallen."""

    config: str
    instrument: str
    market: str
    quiet: tuple[str, str]
    risen: str
    fallen: str
    tick: Decimal
    is_held: bool


CASES = {
    "zerocap": Case(
        config="zerocap-breakout",
        instrument="USDT_AUD.ZEROCAP",
        market="USDT/AUD",
        quiet=("1.5200", "1.5205"),
        risen="1.5230",
        fallen="1.5150",
        tick=Decimal("0.0001"),
        is_held=True,
    ),
    "piexgo": Case(
        config="piexgo-demo",
        instrument="BTC_USDT.PIEXGO",
        market="BTC_USDT",
        quiet=("60000", "60020"),
        risen="60040",
        fallen="59950",
        tick=Decimal("0.01"),
        is_held=False,  # the venue has these; the engine holds those that are passed
    ),
}


def placed(text: str, served: Venue, folder: Path) -> Path:
    """The file as it is shipped, but for where the venue is and who we are."""
    key, line = str(served.line["venue"]), served.line
    where = {option: line[field] for option, field in VENUE_KEYS[key].items()}
    where |= line.get("options", {})
    text = re.sub(rf"\[+venues\.{key}\.(credentials|options)[.\]][^\[]*", "", text)
    told = f"options = {inline(where)}\ncredentials = {inline(line['credentials'])}\n"
    text, count = re.subn(r"(adapter = .*\n)", lambda found: found[1] + told, text)
    assert count == 1
    config = folder / "configs" / "run.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    return config


@contextmanager
def running(verb: str, config: Path, log: Path) -> Iterator[Any]:
    """Ended in order with the block."""
    results = ("--out", str(config.parent / "out")) if verb == "paper" else ()
    process = start(verb, config, *results, log=log)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECS) == Exit.OK, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)


def rows(out: Path, instrument: str) -> list[dict[str, Any]]:
    """Of the orders that traded, oldest first."""
    lines = (out / "orders.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [row for row in found if row["fills"] and row["instrument"] == instrument]


def fired(out: Path, case: Case) -> list[tuple[Any, ...]]:
    """The entry and the stop: what they were, and at which prices they traded."""
    return [
        (row["role"], row["side"], row["kind"], {Decimal(fill["price"]) for fill in row["fills"]})
        for row in rows(out, case.instrument)[:2]
    ]


def told(journal: Path, case: Case) -> list[tuple[str, dict[str, Any], str]]:
    """Id, intent as it was sent, and state of the live run's orders, oldest first."""
    try:
        read = Journal.reading(journal)
    except JournalError:
        return []  # it is being made
    try:
        found = read._db.execute(
            "SELECT o.client_order_id, r.body, o.state FROM orders o JOIN records r "
            "ON r.client_order_id = o.client_order_id WHERE r.kind = 'INTENT' ORDER BY r.seq"
        ).fetchall()
    finally:
        read.close()
    all_of = [(cid, json.loads(body), state) for cid, body, state in found]
    return [one for one in all_of if one[1]["instrument"] == case.instrument]


def fired_live(journal: Path, case: Case) -> list[tuple[Any, ...]]:
    """As `fired`, of the order journal; at the precision of what is recorded.

    A dealer deals at more decimals than its market has: books are rounded against us.
    """
    found = []
    read = Journal.reading(journal)
    try:
        for cid, intent, _ in told(journal, case):
            rounding = ROUND_CEILING if intent["side"] == "BUY" else ROUND_FLOOR
            fills = read.fills_of(cid)
            prices = {fill.price.quantize(case.tick, rounding) for fill in fills}
            if prices:
                found.append((intent["role"], intent["side"], intent["kind"], prices))
    finally:
        read.close()
    return found[:2]


def has(journal: Path, case: Case, role: str, *ends: str) -> bool:
    """Whether the live run has sent such an order; with `ends`, one of that state."""
    found = [state for _, intent, state in told(journal, case) if intent["role"] == role]
    return any(state in ends for state in found) if ends else bool(found)


def triggers(journal: Path) -> list[Mapping[str, Any]]:
    """What fired the orders that the engine held."""
    read = Journal.reading(journal)
    try:
        found = read._db.execute("SELECT body FROM records WHERE kind = 'TRIGGERED'").fetchall()
    finally:
        read.close()
    return [json.loads(body) for (body,) in found]


def moved(served: Venue, case: Case, prices: tuple[str, ...], until: Any, what: str) -> None:
    """The market goes to and fro between the prices, until."""
    deadline, count = time.monotonic() + PATIENCE_SECS, 0
    while not until():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECS} s for {what}"
        served.post("market", market=case.market, mid=prices[count % len(prices)])
        count += 1
        time.sleep(TICK_SECS)


def after(secs: float) -> Any:
    """Whether so long has passed since the first time that this was asked."""
    began: list[float] = []

    def is_over() -> bool:
        began.append(time.monotonic())
        return began[-1] - began[0] >= secs

    return is_over


@pytest.mark.parametrize("key", CASES)
def test_one_file_fires_the_same_stops_in_three_modes(key: str, tmp_path: Path) -> None:
    case = CASES[key]
    text = (ROOT / "configs" / f"{case.config}.toml").read_text()
    with venue(key, tmp_path / "venue", "--seed", "5") as served:
        served.post("market", action="pause")
        served.post("market", market=case.market, mid=case.quiet[0])
        live, paper = (placed(text, served, tmp_path / mode) for mode in ("live", "paper"))
        journal = live.parent / "state" / f"{key}-main.journal.sqlite"
        logs = [tmp_path / f"{mode}.log" for mode in ("live", "paper")]

        with running("live", live, logs[0]), running("paper", paper, logs[1]):
            wait_for(lambda: all("subscribed" in log.read_text() for log in logs), "both runs")
            moved(served, case, case.quiet, after(8), "two entries")
            assert has(journal, case, "entry")
            assert not has(journal, case, "stop")
            moved(served, case, (case.risen,), lambda: has(journal, case, "stop"), "the stop")
            moved(served, case, (case.risen,), after(3), "it to follow the price")
            moved(
                served,
                case,
                (case.fallen,),
                lambda: has(journal, case, "stop", "FILLED"),
                "its end",
            )
            moved(served, case, (case.fallen,), after(1), "paper's")
    ended = run("backtest", live, "--out", str(live.parent / "backtest"))
    assert ended.returncode == Exit.OK, ended.stderr[-3000:]
    of_live = fired_live(journal, case)
    of_paper = fired(paper.parent / "out", case)
    of_backtest = fired(live.parent / "backtest", case)
    assert [one[:3] for one in of_live] == [
        ("entry", "BUY", "STOP_LIMIT"),
        ("stop", "SELL", "STOP_LIMIT"),
    ]
    assert of_live == of_paper
    assert of_live == of_backtest
    assert bool(triggers(journal)) == case.is_held
    (of_run,) = (live.parent / "state" / "runs").glob("*-live-*")
    compared = run("parity", str(of_run), "--json")
    found = json.loads(compared.stdout)
    assert found["beyond"] == [], found["differences"]
    assert set(found["classes"]) <= {"rounding", "end"}
