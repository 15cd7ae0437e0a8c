"""Paper against the venue's live data: fees as the venue takes them, nothing sent to it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.observe import table
from fairlead.engine.observe.arrivals import Arrivals
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.research.report import report as reported
from fairlead.engine.research.runs import Run, newest
from tests.live.desk import QUICK, Desk, summary
from tests.live.scripted import THINK_SECS
from tests.parity.oracle import MS_NS, judge
from tests.parity.orders import Rules, orders_of
from tests.parity.tape import of_catalog
from tests.support import configs
from tests.support.processes import run, run_until, venue

# An order that takes nearly as long as a stop may.
BEYOND = (
    '[simulated]\nbalances = ["50000 USDT"]\nlatency_ms = 9500\n[run]\nstop_timeout_secs = 10\n'
)


def test_paper_trades_without_the_venue_and_with_its_fees(desk: Desk) -> None:
    more = QUICK + '\n[simulated]\nbalances = ["5000 USDT"]\nlatency_ms = 5\n'
    ended = desk.run_until("paper", desk.config("buy", more=more), desk.did("filled"), "the fill")
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    told = summary(ended)
    assert told["fills"] >= 1
    bought = Decimal(told["instruments"][0]["bought"])
    assert bought == Decimal("0.001")
    assert told["fees"] == {"BTC": "0.00000100"} or Decimal(told["fees"]["BTC"]) == bought / 1000
    assert told["orders_by_status"] == {"CANCELED": 1, "FILLED": 1}  # on_stop holds here, too
    assert desk.orders() == set()
    assert not desk.journal.exists()


@pytest.mark.parametrize("verb", ["paper", "live"])
def test_equity_is_the_account_at_the_marks(desk: Desk, verb: str) -> None:
    more = QUICK + '\n[simulated]\nbalances = ["5000 USDT", "0.5 BTC"]\nlatency_ms = 5\n'
    ended = desk.run_until(verb, desk.config("buy", more=more), desk.did("filled"), "the fill")
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    told = summary(ended)
    (one,) = told["instruments"]
    assert told["assumptions"]["marks"] == {one["instrument"]: "mid of the book"}
    mark = Decimal(one["mark"])
    worth = {name: Decimal(value) for name, value in told["equity"]["OCEANEX"]["USDT"].items()}
    assert worth["change"] == Decimal(one["net"])
    assert worth["end"] == worth["start"] + worth["change"] + worth["rounding"]
    if verb == "paper":
        assert worth["start"] == 5000 + Decimal("0.5") * mark
        moved = {n: Decimal(v) for n, v in told["balance_changes"]["OCEANEX"].items()}
        assert abs(moved["USDT"] + moved["BTC"] * mark - worth["change"]) < Decimal("0.0001")
    else:
        held = desk.served.balances()["main"]
        total = {n: Decimal(b["free"]) + Decimal(b["locked"]) for n, b in held.items()}
        assert abs(worth["end"] - total["USDT"] - total["BTC"] * mark) < Decimal("0.0001")
        assert told["balance_changes"] == {}
    run = Run.at(next(newest(desk.folder / "state")))
    assert run.damage() == []
    (fill,) = run.rows("fills")
    assert (Decimal(fill["quantity"]), fill["side"]) == (Decimal("0.001"), "BUY")
    assert run.rows("marks")[-1]["bid"] is not None
    assert abs(Decimal(run.rows("equity")[-1]["equity"]) - worth["end"]) < Decimal("0.2")


@pytest.mark.parametrize("does", ["buy_and_think", "rest"])
def test_the_latency_that_was_measured_stands_beside_the_stated_one(desk: Desk, does: str) -> None:
    more = QUICK + '\n[simulated]\nbalances = ["5000 USDT"]\nlatency_ms = 5\n'
    until = {"rest": "accepted", "buy_and_think": "filled"}[does]
    ended = desk.run_until("paper", desk.config(does, more=more), desk.did(until), until)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    told = summary(ended)
    found = msgspec.convert(told["arrivals"], Arrivals)
    is_late = does != "rest"
    assert found.count == (3 if is_late else 2)  # the orders, and the cancel of the stop
    assert 5 * MS_NS <= found.p50_ns <= found.p99_ns <= found.max_ns
    notes = [one for one in told["notes"] if one.startswith("LATENCY: ")]
    if is_late:
        assert found.max_ns >= THINK_SECS * 1e9
        assert found.late_max_ns == found.max_ns - 5 * MS_NS
        assert (
            f"{found.late} of 3 commands arrived more than 1 ms later than the stated 5 ms"
            in (notes[0])
        )
    assert len(notes) == bool(found.late)
    kept = Run.at(next(newest(desk.folder / "state")))
    report = reported(kept)
    assert (report["strip"]["arrivals"], report["notes"]) == (told["arrivals"], told["notes"])
    assert dict(table.rows(msgspec.convert(kept.summary, RunSummary, strict=False)))[
        "latency measured"
    ] == str(found)


def test_paper_leaves_its_orders_as_a_file(desk: Desk) -> None:
    out = desk.folder / "out"
    config = desk.config("buy", more=QUICK + "\n[simulated]\nlatency_ms = 5\n")
    ended = run("paper", config, "--for", "3", "--json", "--out", str(out))
    assert ended.returncode == 0, ended.stderr[-3000:]
    rows = [json.loads(line) for line in (out / "orders.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in rows} == {"LIMIT", "MARKET"}
    assert all(row["market"]["bid"] for row in rows)
    (filled,) = [row for row in rows if row["fills"]]
    story = run("explain", filled["client_order_id"], "--run", str(out))
    assert "approved by the risk gate; bid" in story.stdout, story.stderr
    told = json.loads((out / "summary.json").read_text())["assumptions"]
    assert told["execution"]["latency_ms"] == "5"
    assert {rates["source"] for rates in told["fees"].values()} == {"venue"}
    assert told["data"] is None
    assert json.loads((out / "summary.json").read_text())["files"]["orders"].endswith("jsonl")
    assert summary(ended)["files"]["orders"] == str(out / "orders.jsonl")


def test_an_order_of_a_paper_run_is_explained_without_further_options(desk: Desk) -> None:
    config = desk.config("buy", more=QUICK + "\n[simulated]\nlatency_ms = 5\n")
    ended = desk.run_until("paper", config, desk.did("filled"), "the fill")
    assert ended.returncode == 0, ended.stderr[-3000:]
    files = summary(ended)["files"]
    (folder,) = (desk.folder / "state" / "runs").iterdir()
    assert [files[name] for name in ("summary", "orders", "denials")] == [
        str(folder / name) for name in ("summary.json", "orders.jsonl", "denials.jsonl")
    ]
    rows = [json.loads(line) for line in (folder / "orders.jsonl").read_text().splitlines()]
    (filled,) = [row for row in rows if row["fills"]]
    for name in (filled["client_order_id"], filled["fills"][0]["trade_id"]):
        story = run("explain", name, "--config", config)
        assert story.returncode == 0, story.stderr
        assert f"run      {summary(ended)['name']} (paper), inputs " in story.stdout
        assert "approved by the risk gate; bid" in story.stdout


def test_a_paper_run_whose_venue_is_away_leaves_what_was_there(desk: Desk) -> None:
    config = desk.config("rest")
    address = str(desk.served.line["rest"])
    config.write_text(config.read_text().replace(address, "http://127.0.0.1:1"))
    runs = desk.folder / "state" / "runs"
    for words in ((), ("--out", str(desk.folder / "some" / "out"))):
        ended = run("paper", config, "--for", "3", *words)
        assert ended.returncode == Exit.VENUE, ended.stderr[-3000:]
    assert not runs.exists()
    assert not (desk.folder / "some").exists()


def test_paper_has_the_balances_of_the_config(desk: Desk) -> None:
    more = QUICK + '\n[simulated]\nbalances = ["20 USDT"]\nlatency_ms = 5\n'
    ended = desk.run_until("paper", desk.config("rest", more=more), desk.did("refused"), "a denial")
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = summary(ended)
    assert sum(told["denials"].values()) + told["rejections"] == 1, told["denials"]


def test_paper_needs_no_credentials(desk: Desk) -> None:
    config = desk.config("rest")
    lines = [line for line in config.read_text().splitlines() if "credentials" not in line]
    config.write_text("\n".join(lines))
    ended = desk.run_until("paper", config, desk.did("accepted"), "the order")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert summary(ended)["orders_by_status"] == {"CANCELED": 1}


def test_an_order_that_is_on_its_way_at_the_stop_does_not_stay_open(desk: Desk) -> None:
    more = QUICK + '\n[simulated]\nbalances = ["5000 USDT"]\nlatency_ms = 3000\n'
    ended = desk.run_until("paper", desk.config("rest", more=more), desk.did("book"), "a book")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert summary(ended)["orders_by_status"] == {"CANCELED": 1}


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_orders_on_their_way_at_the_stop_meet_the_market(tmp_path: Path, key: str) -> None:
    """None is left without an outcome, which the kernel calls an error, and none is made up."""
    instrument = f"BTC_USDT.{key.upper()}"
    params = {"instrument_id": instrument, "does": "buy", "seen": str(tmp_path / "seen.json")}
    strategy = {"id": "S-1", "path": "tests.live.scripted:Scripted", "params": params}
    fees = f'[venues.{key}.fees]\nmaker = "0.001"\ntaker = "0.001"\n'
    more = f'{fees}[simulated]\nbalances = ["50000 USDT"]\nlatency_ms = 2000\n'
    with venue(key, tmp_path / "keys", "--seed", "5") as served:
        config = configs.write(tmp_path, served, strategies=[strategy], more=more)
        sent = (tmp_path / "seen.acted").exists  # accepted is the one, the other just left
        ended = run_until("paper", config, sent, "the market order", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert summary(ended)["orders_by_status"] == {"CANCELED": 1, "FILLED": 1}
    log = (tmp_path / "state" / "logs" / "test-paper.log").read_text()
    assert [line for line in (ended.stderr + log).splitlines() if "ERROR" in line] == []


def test_an_order_that_would_come_after_the_end_is_told_in_time(desk: Desk) -> None:
    """NautilusTrader would find it without an outcome, and call that an error."""
    more = QUICK + BEYOND
    ended = desk.run_until(
        "paper", desk.config("buy", more=more), desk.did("acted"), "the market order"
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = summary(ended)
    assert told["orders_by_status"] == {"CANCELED": 1, "REJECTED": 1}
    (reason,) = told["rejection_reasons"]
    assert reason.startswith("RUN-STOPPED: ")
    log = (desk.folder / "state" / "logs" / "test-paper.log").read_text()
    assert [line for line in (ended.stderr + log).splitlines() if "ERROR" in line] == []


def test_a_stop_that_fires_on_paper_takes_a_market_that_was_there(desk: Desk) -> None:
    balances = 'balances = ["500000 USDT", "5 BTC"]\nlatency_ms = "5"\n'
    more = QUICK + f'[risk]\noff = ["STOP_SIDE", "PRICE_COLLAR"]\n[simulated]\n{balances}'
    config = desk.config("stop", more=more + '[record]\ndir = "data"\n', cls="Stopping")
    config.write_text(config.read_text().replace("scripted:Stopping", "stopping:Stopping"))
    triggered = desk.did("triggered")
    out = desk.folder / "out"
    ended = run("paper", config, "--for", "60", "--out", str(out), "--json")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert triggered(), "a strategy hears of it as it does live"
    rules = Rules(latency_ns=5 * MS_NS, slack_ns=20 * MS_NS)
    orders = orders_of((out / "orders.jsonl").read_bytes(), rules)
    fired = [order for order in orders if order.fills]
    assert fired
    for order in fired:
        assert all(fill.price != order.terms[0].price for fill in order.fills), "its own limit"
    assert judge(orders, of_catalog(desk.folder / "data" / "catalog"), rules) == []
