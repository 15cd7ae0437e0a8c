"""Parity: a run whose commands are replayed is alike, and each planted difference has its class."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.cli.parity import SHOWN
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.catalog import utc
from fairlead.engine.research.find import find_run
from fairlead.engine.research.parity import Parity
from fairlead.engine.research.runs import Run
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.parity import MODES, _had_left, parity_of
from tests.kernel.bench import book, level
from tests.unit.backtest_kit import START_NS, cleared, perpetual
from tests.unit.matching.fills import BUY, SELL
from tests.unit.observe.test_same_bytes import PERP
from tests.unit.run.conftest import changed

SECOND_NS = 1_000_000_000
Edit = Callable[[list[dict[str, Any]]], None]


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "orders.jsonl").read_text().splitlines()]


def edited(run: Path, edit: Edit) -> Run:
    rows = rows_of(run)
    edit(rows)
    (run / "orders.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Run.at(run)


def file_with(kept: Path, old: str, new: str) -> Path:
    """The run's config with another text, beside it."""
    (file,) = kept.glob("*.toml")
    text = file.read_text()
    assert old in text, text
    made = kept / "changed" / file.name
    made.parent.mkdir(exist_ok=True)
    made.write_text(text.replace(old, new))
    return made


def kinds(found: Parity) -> set[str]:
    return {one.kind for one in found.differences}


def test_a_run_is_like_itself(kept: Path) -> None:
    run = Run.at(kept / "run")
    found = parity_of(run)
    assert found.differences == ()
    assert found.lacking == ()
    assert found.orders > 20
    assert found.fills > 10
    assert found.events > 2 * found.orders
    # By the rows of the run, and not by the code that compared them
    rows = rows_of(kept / "run")
    assert found.fills == sum(len(row["fills"]) for row in rows)
    for name, (mine, theirs) in found.nets.items():
        assert mine == theirs == type(mine)(run.summary["net"][name])
    (updates, trades) = found.inputs
    known = ParquetDataCatalog(str(kept / "catalog"))
    deltas = known.query_order_book_deltas([PERP])
    assert updates.data == sum(bool(one.flags & 128) for one in deltas)
    assert trades.data == len(known.query_trade_ticks([PERP]))


def test_other_fees_are_fees(kept: Path, copied: Path) -> None:
    found = parity_of(Run.at(copied), file_with(kept, '"0.0005"', '"0.0006"'))
    assert kinds(found) == {"fee"}
    takers = [
        row["client_order_id"]
        for row in rows_of(copied)
        if any(fill["liquidity"] == "TAKER" for fill in row["fills"])
    ]
    assert {one.order for one in found.differences} == set(takers)
    assert any("was changed since the run" in note for note in found.notes)


def test_a_refusal_is_a_refusal(copied: Path) -> None:
    names: list[str] = []

    def refuse(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["fills"])
        names.append(row["client_order_id"])
        row |= {"status": "REJECTED", "reason": "planted", "fills": [], "ts_accepted": None}
        row |= {"filled": "0", "asked": []}

    found = parity_of(edited(copied, refuse))
    first = found.differences[0]
    assert [one.order for one in found.differences if one.kind == "refusal"] == names
    assert (first.kind, first.why) == ("refusal", "planted")
    assert "unexplained" not in kinds(found)


def test_what_the_gate_refuses_of_the_replay_is_told_by_its_code(copied: Path) -> None:
    def grow(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["kind"] == "LIMIT" and row["fills"])
        row["quantity"] = "1000000"
        row["changes"] = []

    first = parity_of(edited(copied, grow)).differences[0]
    assert first.kind == "refusal"
    assert first.why.startswith("MARGIN: expected at most"), first.why


def test_an_order_of_the_kill_switch_is_of_a_class_of_its_own(copied: Path) -> None:
    """No strategy of a backtest gives it, so no gate is asked, and its net is another."""
    names: list[str] = []

    def kill(rows: list[dict[str, Any]]) -> None:
        row = [row for row in rows if row["kind"] == "MARKET" and row["fills"]][-1]
        names.append(row["client_order_id"])
        row["strategy"] = "KILL"

    run = edited(copied, kill)
    found = parity_of(run)
    assert [one.order for one in found.differences if one.kind == "kill"] == names
    assert found.classes["kill"] == 1
    assert found.beyond({}) == []
    assert any("1 orders of the kill switch" in note for note in found.notes)
    told = CliRunner().invoke(app, ["parity", str(copied)])
    assert told.exit_code == 0
    assert "alike but for 1 by the kill switch" in told.output


def test_a_longer_way_is_latency(copied: Path) -> None:
    """It met the market at once, and is said to have arrived later."""
    names: list[str] = []

    def late(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["kind"] == "MARKET" and row["fills"])
        names.append(row["client_order_id"])
        row["ts_accepted"] += 700_000_000

    found = parity_of(edited(copied, late))
    assert found.differences[0].order == names[0]
    assert kinds(found) == {"latency"}


@pytest.mark.parametrize(
    ("before", "says"), [({"config_file": "of before"}, "queue"), ({}, "unexplained")]
)
def test_fills_before_their_turn_are_queue(
    kept: Path, tmp_path: Path, before: dict[str, Any], says: str
) -> None:
    """The run was made without a queue, the config has one now; had it had one, they were early."""
    (file,) = kept.glob("*.toml")
    loaded = load(file, {"simulated.queue_position": False})
    result = run_backtest(loaded)
    result.record().write(tmp_path / "run")
    result.dispose()
    changed(tmp_path / "run", changes={}, mode="paper", **before)
    found = parity_of(Run.at(tmp_path / "run"))
    assert found.differences, "nobody stood before any order"
    assert found.differences[0].kind == says
    assert kinds(found) == {says}


@pytest.mark.parametrize("is_known", [True, False])
def test_an_end_that_is_booked_late_is_where_the_venue_answered_it(
    kept: Path, copied: Path, is_known: bool
) -> None:
    """Meanwhile the market goes on, and takes what is not there any more."""
    end = Run.at(kept / "run").summary["end_ns"]

    def late(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["status"] == "CANCELED":
                row["ts_cancelled"] = row["ts_last"] if is_known else None
                row["ts_last"] = min(row["ts_last"] + 20 * SECOND_NS, end)

    found = parity_of(edited(copied, late))
    assert (found.differences == ()) is is_known


def test_seconds_that_are_cut_out_are_a_gap(kept: Path, copied: Path, tmp_path: Path) -> None:
    whole, less = ParquetDataCatalog(str(kept / "catalog")), tmp_path / "less"
    less.mkdir()
    made = ParquetDataCatalog(str(less))
    made.write_instruments(whole.instruments())
    begin, end = START_NS + 20 * SECOND_NS, START_NS + 32 * SECOND_NS

    def stay(one: Any) -> bool:
        return not begin <= one.ts_init < end

    made.write_order_book_deltas(list(filter(stay, whole.query_order_book_deltas([PERP]))))
    made.write_trade_ticks(list(filter(stay, whole.query_trade_ticks([PERP]))))
    summary = json.loads((copied / "summary.json").read_text())
    summary["files"]["catalog"] = str(less)
    (copied / "summary.json").write_text(json.dumps(summary))
    found = parity_of(Run.at(copied))
    assert found.differences
    assert kinds(found) == {"gap"}
    (span,) = found.lacking
    assert span[2] == PERP
    assert all(f"what the run saw of {PERP} for" in one.why for one in found.differences)
    told = CliRunner().invoke(app, ["parity", str(copied)])
    assert f"lacking  {PERP} 20" in told.stdout
    assert span[0] <= begin + SECOND_NS
    assert span[1] >= end - SECOND_NS
    assert span[1] < START_NS + 60 * SECOND_NS  # when the levels that were missed are told again


@pytest.mark.parametrize("liquidity", ["TAKER", "MAKER"])
def test_a_price_that_nobody_had_is_unexplained(copied: Path, liquidity: str) -> None:
    names: list[str] = []

    def move(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            for fill in row["fills"]:
                if fill["liquidity"] == liquidity:
                    fill["price"] = f"{float(fill['price']) * 1.001:.1f}"
                    names.append(row["client_order_id"])
                    return

    found = parity_of(edited(copied, move))
    assert [(one.kind, one.order) for one in found.differences] == [("unexplained", names[0])]
    ended = CliRunner().invoke(app, ["parity", str(copied), "--json"])
    assert ended.exit_code == Exit.NOT_LIKE
    told = json.loads(ended.stdout)
    assert told["ok"] is False
    assert told["first"]["kind"] == "unexplained"
    assert told["classes"] == {"unexplained": 1}


@pytest.mark.parametrize(
    ("kind", "mode", "says"),
    [
        ("STOP_LIMIT", "live", "liquidity"),
        ("STOP_LIMIT", "paper", "unexplained"),  # its exchange gives what this one gives
        ("MARKET", "live", "unexplained"),  # no trade was at its price
    ],
)
def test_live_the_data_does_not_tell_what_a_trade_left_of_its_level(
    kept: Path, copied: Path, kind: str, mode: str, says: str
) -> None:
    def move(rows: list[dict[str, Any]]) -> None:
        took = [
            row["fills"][0]
            for row in rows
            if row["kind"] == kind and [one["liquidity"] for one in row["fills"]] == ["TAKER"]
        ]
        fill = next(
            fill
            for fill in took
            if (float(fill["price"]) in newer_than_the_book(kept, fill["ts_event"]))
            is (kind == "STOP_LIMIT")
        )
        fill["price"] = f"{float(fill['price']) * 1.001:.1f}"

    changed(copied, mode=mode)
    (found,) = parity_of(edited(copied, move)).differences
    assert found.kind == says


@pytest.mark.parametrize("status", ["FILLED", "CANCELED"])
def test_an_order_of_which_the_journal_alone_knows_is_compared_too(
    copied: Path, status: str
) -> None:
    """It ended while no run was there: NautilusTrader's cache never had it."""
    names: list[str] = []

    def forget(rows: list[dict[str, Any]]) -> None:
        for row in [row for row in rows if row["status"] == status and row["kind"] != "MARKET"]:
            names.append(row["client_order_id"])
            for key in ("changes", "asked", "trigger_type", "market", "market_at_end"):
                row.pop(key, None)
            row |= {"ts_accepted": None, "ts_last": None, "ts_cancelled": None}

    changed(copied, mode="live")
    found = parity_of(edited(copied, forget))
    assert found.orders >= len(names) > 5
    ended = CliRunner().invoke(app, ["parity", str(copied), "--json"])
    assert json.loads(ended.stdout)["run"] == found.run


@pytest.mark.parametrize(
    ("next_", "left"),
    [
        ([level(20, BUY, 99.5, 0)], True),
        ([level(20, BUY, 99.5, 0.9)], True),
        ([level(20, BUY, 99.5, 1.0)], False),
        ([level(20, BUY, 99.4, 0), level(30, BUY, 99.5, 0)], False),  # the next says nothing of it
        ([level(20, SELL, 99.5, 0)], False),
        ([book(20, {99.4: 5}, {100.5: 5})], True),
        ([book(20, {99.5: 5}, {100.5: 5})], False),
        ([level(10, BUY, 99.5, 0)], False),  # of the moment itself
        ([], False),
    ],
)
def test_a_level_that_left_between_two_books_is_told_by_the_next(
    next_: list[Any], left: bool
) -> None:
    def query(_: list[str], start: int, end: int) -> list[Any]:
        rows = (row for one in next_ for row in one.deltas)
        return [row for row in rows if start <= row.ts_init <= end]

    ts = level(10, BUY, 99.5, 0).ts_init
    fill = {"ts_event": ts, "price": "99.5", "quantity": "1.0"}
    assert _had_left(SimpleNamespace(query_order_book_deltas=query), "A", "SELL", fill) is left


def newer_than_the_book(kept: Path, ts: int) -> set[float]:
    """Prices of the trades at `ts` or before it, that no change of the book has followed."""
    known = ParquetDataCatalog(str(kept / "catalog"))
    book = max(one.ts_init for one in known.query_order_book_deltas([PERP]) if one.ts_init < ts)
    trades = known.query_trade_ticks([PERP])
    return {float(str(one.price)) for one in trades if book <= one.ts_init <= ts}


def test_what_a_paper_run_ends_at_its_end_is_explained_by_it(kept: Path, copied: Path) -> None:
    """After the last of the market; that its connection then ends is in the recording, too."""
    catalog = copied.parent / "catalog"
    shutil.copytree(kept / "catalog", catalog)
    known = ParquetDataCatalog(str(catalog))
    last = max(
        known.query_order_book_deltas([PERP])[-1].ts_init,
        known.query_trade_ticks([PERP])[-1].ts_init,
    )
    known.write_order_book_deltas([cleared(perpetual(PERP), 10**6, last + 5)])
    names: list[str] = []

    def end(rows: list[dict[str, Any]]) -> None:
        for row in (row for row in rows if row["status"] in ("ACCEPTED", "PARTIALLY_FILLED")):
            row |= {"status": "CANCELED", "ts_last": last + 2}
            names.append(row["client_order_id"])

    edited(copied, end)
    summary = json.loads((copied / "summary.json").read_text())
    summary["files"] = {"catalog": str(catalog)}
    (copied / "summary.json").write_text(json.dumps(summary))
    found = parity_of(Run.at(copied))
    assert names
    assert {one.order: one.kind for one in found.differences} == dict.fromkeys(names, "end")
    done = CliRunner().invoke(app, ["parity", str(copied)])
    assert done.exit_code == 0, done.output


def test_an_order_without_its_fill_is_not_explained_by_a_shorter_queue(copied: Path) -> None:
    """A maker's fill in the run, at its own limit, long before the market came there."""

    def early(rows: list[dict[str, Any]]) -> None:
        row = next(
            row
            for row in rows
            if row["status"] == "CANCELED" and row["kind"] == "LIMIT" and not row["fills"]
        )
        row["fills"] = [
            {
                "trade_id": "planted",
                "quantity": row["quantity"],
                "price": row["price"],
                "fee": "0 USDT",
                "liquidity": "MAKER",
                "ts_event": row["ts_accepted"] + 1,
                "market": None,
            }
        ]
        row |= {"status": "FILLED", "filled": row["quantity"]}

    assert "unexplained" in kinds(parity_of(edited(copied, early)))


@pytest.mark.parametrize("columns", [None, "60"])
def test_no_time_and_no_id_of_the_table_is_cut(
    kept: Path, copied: Path, columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe, and in a narrow terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    dearer = str(file_with(kept, '"0.0005"', '"0.0006"'))
    told = CliRunner().invoke(app, ["parity", str(copied), "--config", dearer])
    assert told.exit_code == 0, told.output
    _, table = told.stdout.split("time (UTC)")
    assert "…" not in told.stdout
    odd = parity_of(Run.at(copied), Path(dearer)).differences[:SHOWN]
    assert odd
    for one in odd:
        assert re.search(rf"^ *{re.escape(utc(one.ts))} +fee +{one.order} ", table, re.MULTILINE)


def test_a_live_run_at_a_venue_that_does_not_tell_liquidity_is_alike(copied: Path) -> None:
    """Its clock is another, and its fees have more decimals than the account's currency."""

    def as_told(rows: list[dict[str, Any]]) -> None:
        for fill in (fill for row in rows for fill in row["fills"]):
            amount, _, currency = fill["fee"].partition(" ")
            fill["fee"] = f"{Decimal(amount) + Decimal('0.00000000284'):f} {currency}"
            fill["liquidity"] = "NOT TOLD"
            fill["ts_event"] += 300_000_000

    changed(copied, mode="live")
    found = parity_of(edited(copied, as_told))
    assert found.differences == ()
    assert found.fills > 10


def test_a_backtest_is_no_run_to_compare(copied: Path) -> None:
    """`last` passes it over for the last run that was live or on paper."""
    later, where = copied.parent / "later", ["--in", str(copied.parent)]
    shutil.copytree(copied, later)
    changed(later, mode="backtest")
    stamp = json.loads((later / "stamp.json").read_text())
    (later / "stamp.json").write_text(json.dumps(stamp | {"begun_ns": stamp["begun_ns"] + 1}))
    done = CliRunner().invoke(app, ["parity", "last", *where])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("run      run: ")
    with pytest.raises(FairleadError, match=r"PARITY-MODE: later: expected .* live or paper"):
        parity_of(Run.at(later))
    shutil.rmtree(copied)
    with pytest.raises(FairleadError, match=r"none of the 1 runs in .* was of mode live or paper"):
        find_run("last", copied.parent, MODES)


def test_last_is_the_last_run_of_the_config_that_is_named(kept: Path, copied: Path) -> None:
    later = copied.parent / "later"
    shutil.copytree(copied, later)
    changed(later, name="another")
    stamp = json.loads((later / "stamp.json").read_text())
    (later / "stamp.json").write_text(json.dumps(stamp | {"begun_ns": stamp["begun_ns"] + 1}))
    mine = Run.at(copied).manifest.name
    assert find_run("last", copied.parent, MODES).id == "later"
    assert find_run("last", copied.parent, MODES, mine).id == copied.name
    words = [
        "parity",
        "last",
        "--in",
        str(copied.parent),
        "--config",
        Run.at(copied).stamp.config_path,
    ]
    done = CliRunner().invoke(app, words)
    assert done.stdout.startswith(f"run      {copied.name}: "), done.output
    with pytest.raises(FairleadError, match="and of the config nobodys, so last names none"):
        find_run("last", copied.parent, MODES, "nobodys")


def test_the_tolerance_is_of_the_net(kept: Path, copied: Path) -> None:
    dearer = file_with(kept, '"0.0005"', '"0.0006"')
    words = ["parity", str(copied), "--config", str(dearer), "--tolerance"]
    passed = CliRunner().invoke(app, [*words, "1000000 USDT"])
    assert passed.exit_code == 0, passed.output
    assert "parity   alike" in passed.output
    failed = CliRunner().invoke(app, [*words, "0 USDT"])
    assert failed.exit_code == Exit.NOT_LIKE
    assert "net differs by" in failed.output
    wrong = CliRunner().invoke(app, [*words, "much"])
    assert wrong.exit_code == Exit.USAGE


def test_what_a_position_had_won_that_was_taken_over_is_in_no_net(copied: Path) -> None:
    """A backtest takes over none: 5 USDT of the net are of what was held before the run."""
    summary = json.loads((copied / "summary.json").read_text())
    net = Decimal(summary["net"]["USDT"])
    summary["net"]["USDT"] = str(net + 5)
    (one,) = summary["instruments"]
    one["opening_gain"] = "5"
    (copied / "summary.json").write_text(json.dumps(summary))
    found = parity_of(Run.at(copied))
    assert found.nets["USDT"][0] == net
    assert any("its net PnL less +5 USDT" in note for note in found.notes)


def test_what_cant_be_compared_is_told(copied: Path) -> None:
    def empty(rows: list[dict[str, Any]]) -> None:
        rows.clear()

    with pytest.raises(FairleadError, match="PARITY-EMPTY"):
        parity_of(edited(copied, empty))
    summary = json.loads((copied / "summary.json").read_text())
    summary["files"] = {"catalog": str(copied / "nowhere")}
    (copied / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(FairleadError, match=r"PARITY-(EMPTY|UNRECORDED)"):
        parity_of(Run.at(copied))
