"""Any number of runs, kills and venues into one folder: one catalog, every row once, holes told."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookAction, RecordFlag
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapKind, GapRow, read_gaps
from fairlead.engine.recording.journal import has_leftovers
from fairlead.engine.recording.raw import raw_files, read, verify
from fairlead.engine.recording.rawformat import Direction
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, run, start, venue, wait_for

SECOND = 1_000_000_000


def config_of(folder: Path, served: Venue, more: str = "") -> Path:
    key = str(served.line["venue"])
    return configs.write(
        folder,
        served,
        name=key,
        instruments=("BTC_USDT", "ETH_USDT"),
        strategies=[
            {
                "id": "S-1",
                "path": "tests.live.scripted:Scripted",
                "params": {"instrument_id": f"BTC_USDT.{key.upper()}", "does": "nothing"},
            }
        ],
        more=f'[record]\ndir = "data"\npromote_secs = 1\n[venues.{key}.fees]\nmaker = "0.001"\n'
        f'taker = "0.001"\n[backtest]\ncatalog = "data/catalog"\n{more}',
    )


FEATHER_BYTES = 8_192


def killed(verb: str, config: Path) -> int:
    """A run that is killed when it has recorded books of both instruments; gives when, UNIX ns."""
    seen = config.parent / "data" / "catalog" / "journal" / f"seen-{config.stem}.json"
    started_ns = time.time_ns()
    running = start(verb, config, log=config.parent / "killed.log")
    try:
        wait_for(lambda: _are_seen(seen, started_ns), "two books")
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE_SECS)
    return time.time_ns()


def _are_seen(path: Path, since_ns: int) -> bool:
    times = _seen(path).values()
    return len(times) == 2 and min(times) > since_ns + SECOND and _has_rows(path.parents[1])


def _has_rows(catalog: Path) -> bool:
    """Whether some have come to the disk: a Feather file begins with its schema alone."""
    rows = (file for file in catalog.rglob("*.feather") if file.stat().st_size > FEATHER_BYTES)
    return any(catalog.rglob("*.parquet")) or any(rows)


def _seen(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    found: dict[str, int] = json.loads(path.read_bytes())["instruments"]
    return found


def ended(verb: str, config: Path, secs: str = "2.5") -> subprocess.CompletedProcess[str]:
    done = run(verb, config, "--for", secs, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def holes(catalog: Path, instrument: str) -> list[GapRow]:
    rows, unreadable = read_gaps(catalog)
    assert unreadable == 0
    return [r for r in rows if r.kind is GapKind.BETWEEN_RUNS and r.instrument == instrument]


def raw_trades(folder: Path) -> Counter[tuple[str, str]]:
    """Trades of Poloniex's own frames, as they came over the wire."""
    found: Counter[tuple[str, str]] = Counter()
    for record in read(folder):
        if record.direction is Direction.IN:
            message: Any = json.loads(record.payload)
            if message.get("channel") == "trades" and "data" in message:
                for one in message["data"]:
                    found[f"{one['symbol']}.POLONIEX", str(one["id"])] += 1
    return found


def catalog_trades(catalog: Path) -> Counter[tuple[str, str]]:
    ticks = ParquetDataCatalog(str(catalog)).query_trade_ticks()
    assert [tick.ts_init for tick in ticks] == sorted(tick.ts_init for tick in ticks)
    return Counter((str(tick.instrument_id), str(tick.trade_id)) for tick in ticks)


def are_whole(catalog: Path, instrument: str) -> None:
    """Book rows: in order, from snapshot to snapshot, and cleared at the end."""
    rows = ParquetDataCatalog(str(catalog)).query_order_book_deltas([instrument])
    assert [row.ts_init for row in rows] == sorted(row.ts_init for row in rows)
    assert rows[0].action == BookAction.CLEAR
    assert rows[-1].action == BookAction.CLEAR
    assert rows[-1].flags & RecordFlag.F_LAST.value


def quiet_backtest(config: Path, *arguments: str) -> dict[str, Any]:
    done = run("backtest", config, "--json", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARN" not in done.stderr + done.stdout
    assert "ERROR" not in done.stderr
    summary: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return summary


def test_runs_stops_and_kills_of_two_venues_make_one_catalog(tmp_path: Path) -> None:
    catalog = tmp_path / "data" / "catalog"
    with (
        venue("poloniex", tmp_path / "p", "--seed", "3") as poloniex,
        venue("oceanex", tmp_path / "o", "--seed", "3") as oceanex,
    ):
        mine, other = config_of(tmp_path, poloniex), config_of(tmp_path, oceanex)
        ended("live", mine)
        ended("live", mine)  # Poloniex' instruments keep their time: refused, it was, once
        assert catalog_trades(catalog) == raw_trades(tmp_path / "data" / "raw" / "poloniex")
        killed("record", mine)
        killed("live", other)
        killed("paper", mine)
        ended("paper", other)
        last = json.loads(ended("record", mine).stdout)
    assert not has_leftovers(catalog)
    assert not list(catalog.rglob("*.feather*"))
    found = catalog_trades(catalog)
    assert set(found.values()) == {1}
    assert all(check.ok for check in verify(tmp_path / "data" / "raw"))
    # The last run ended in order: nothing of it is missing.
    newest = raw_files(tmp_path / "data" / "raw" / "poloniex")[-1]
    assert raw_trades(newest)
    assert raw_trades(newest).keys() <= found.keys()
    for config, runs in ((mine, 5), (other, 2)):
        for instrument in ("BTC_USDT", "ETH_USDT"):
            name = f"{instrument}.{config.stem.upper()}"
            are_whole(catalog, name)
            assert len(holes(catalog, name)) == runs - 1
        summary = quiet_backtest(config)
        assert summary["gaps"]["kinds"]["between_runs"] == 2 * (runs - 1)
        assert summary["gaps"]["seconds"] > 0
    told = " ".join(last["notes"])
    assert told.count("GAP before this run") == 1, "of all instruments by one cause: one line"
    assert "BTC_USDT.POLONIEX" in told
    assert "ETH_USDT.POLONIEX" in told
    assert "between_runs" not in last["gaps"]["kinds"], "the hole before the run is told once"
    assert "killed, or it crashed" in told


def test_a_backtest_starts_and_ends_within_a_hole(tmp_path: Path) -> None:
    catalog = tmp_path / "data" / "catalog"
    with venue("oceanex", tmp_path / "o", "--seed", "4") as served:
        config = config_of(tmp_path, served)
        at_ns = killed("record", config)
        ended("record", config, "2")
    (hole,) = holes(catalog, "BTC_USDT.OCEANEX")
    assert hole.from_ns < at_ns < hole.to_ns
    assert hole.from_ns > at_ns - 5 * SECOND
    middle = (at_ns + hole.to_ns) // 2
    text = config.read_text()
    for at, key in ((middle, "start"), (middle, "end")):
        moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at // SECOND))}"
        cut = f"{key} = {moment}.{at % SECOND // 1000:06}Z\n"
        config.write_text(text.replace('"data/catalog"\n', f'"data/catalog"\n{cut}'))
        summary = quiet_backtest(config)
        assert summary["gaps"]["kinds"]["between_runs"] == 2
        assert summary["gaps"]["seconds"] > 0


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_a_recorder_s_table_says_what_was_recorded(tmp_path: Path, key: str) -> None:
    with venue(key, tmp_path / "keys", "--seed", "3") as served:
        config = config_of(tmp_path, served)
        done = run("record", config, "--for", "4")
        assert done.returncode == 0, done.stderr[-3000:]
        labels = [line.split("│")[1].strip() for line in done.stdout.splitlines() if "│" in line]
        assert labels[:7] == [
            "outcome",
            "data",
            "events",
            "BTC_USDT",
            "ETH_USDT",
            "raw frames",
            "gaps",
        ]
        assert not {"orders", "fills", "fees", "net PnL", "tick to order"} & set(labels)
        catalog = ParquetDataCatalog(str(tmp_path / "data" / "catalog"))
        trades = Counter(str(tick.instrument_id) for tick in catalog.query_trade_ticks())
        for name in ("BTC_USDT", "ETH_USDT"):
            assert re.search(
                rf"{name} +│ [\d,]+ book updates, {trades[f'{name}.{key.upper()}']:,} "
                "trades",
                done.stdout,
            ), (trades, done.stdout)
        raw = tmp_path / "data" / "raw" / key
        count, size = sum(1 for _ in read(raw)), sum(one.stat().st_size for one in raw_files(raw))
        assert f"{count:,} in 1 file, {size / 1024:,.1f} KiB" in done.stdout
        told = json.loads(ended("record", config, "2").stdout)["recorded"]
        assert [one["instrument"] for one in told["events"]] == [
            f"{name}.{key.upper()}" for name in ("BTC_USDT", "ETH_USDT")
        ]
        assert all(one["book_updates"] for one in told["events"])
        (one,) = told["raw"]
        assert (one["venue"], one["lost"]) == (key, 0)


def test_a_recorder_without_events_or_frames_says_so(tmp_path: Path) -> None:
    with venue("oceanex", tmp_path / "keys", "--seed", "3") as served:
        config = config_of(tmp_path, served)
        for off, line in (("raw", "raw frames"), ("normalized", "catalog")):
            text = config.read_text().replace("[record]\n", f"[record]\n{off} = false\n")
            other = tmp_path / f"{off}.toml"
            other.write_text(text.replace('dir = "data"', f'dir = "{off}"'))
            done = run("record", other, "--for", "2")
            assert done.returncode == 0, done.stderr[-3000:]
            assert re.search(rf"{line} +│ not recorded: {off} = false", done.stdout), done.stdout


@pytest.mark.parametrize("between", ["nothing", "backtest"])
def test_a_kill_in_the_first_second_is_a_hole_until_the_next_run(
    tmp_path: Path, between: str
) -> None:
    catalog = tmp_path / "data" / "catalog"
    with venue("poloniex", tmp_path / "keys", "--seed", "3") as served:
        config = config_of(tmp_path, served)
        running = start("record", config, log=tmp_path / "killed.log")
        try:
            wait_for(lambda: _has_rows(catalog), "the first rows")
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait(PATIENCE_SECS)
        killed_ns = time.time_ns()
        names = ["BTC_USDT.POLONIEX", "ETH_USDT.POLONIEX"]
        if between == "backtest":  # brings in what the killed run left, be it of one instrument
            run("backtest", config, "--json")
            brought = {path.name for path in catalog.glob("data/order_book_deltas/*")}
            names = [name for name in names if name in brought]
            assert names
        ended("record", config)
    for name in names:
        (hole,) = holes(catalog, name)
        assert hole.from_ns <= killed_ns < hole.to_ns


def _has_rows(catalog: Path) -> bool:
    found = catalog.glob("journal/*/**/order_book_deltas/**/*.feather*")
    return any(path.stat().st_size for path in found)


def test_what_is_recorded_is_its_owner_s(tmp_path: Path) -> None:
    with venue("oceanex", tmp_path / "o", "--seed", "4") as served:
        config = config_of(tmp_path, served)
        before = os.umask(0o022)
        try:
            ended("record", config)
        finally:
            os.umask(before)
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert [one.name for one in files if one.suffix == ".parquet"]
    assert {str(one): oct(one.stat().st_mode & 0o777) for one in files} == {
        str(one): "0o600" for one in files
    }


def test_what_a_trading_run_leaves_stays_its_owner_s_in_a_backtest(tmp_path: Path) -> None:
    with venue("oceanex", tmp_path / "o", "--seed", "4") as served:
        config = config_of(tmp_path, served)
        killed("paper", config)
    before = os.umask(0o022)
    try:
        quiet_backtest(config)  # brings in what the killed run left, and writes a log
    finally:
        os.umask(before)
    files = [*(tmp_path / "data").rglob("*.parquet"), *(tmp_path / "state").rglob("*.log")]
    assert [one.name for one in files if one.name.endswith("-backtest.log")]
    assert [one.name for one in files if one.suffix == ".parquet"]
    assert {str(one): oct(one.stat().st_mode & 0o777) for one in files} == {
        str(one): "0o600" for one in files
    }


def test_two_runs_of_a_venue_do_not_share_a_folder(tmp_path: Path) -> None:
    with venue("oceanex", tmp_path / "o", "--seed", "4") as served:
        config = config_of(tmp_path, served)
        log = tmp_path / "first.log"
        first = start("record", config, "--for", "60", log=log)
        try:
            wait_for((tmp_path / "data" / ".recording-oceanex.lock").exists, "the lock")
            second = run("record", config, "--for", "4")
        finally:
            first.send_signal(signal.SIGTERM)
            assert first.wait(PATIENCE_SECS) == 0, log.read_text()
    assert second.returncode == 12
    assert "RECORD-LOCKED" in second.stderr


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_a_kill_while_the_stream_is_down_is_a_hole_from_when_it_went(
    key: str, tmp_path: Path
) -> None:
    catalog = tmp_path / "data" / "catalog"
    with venue(key, tmp_path / "v", "--seed", "4") as served:
        config = config_of(tmp_path, served)
        running = start("record", config, log=tmp_path / "run.log")
        seen = catalog / "journal" / f"seen-{key}.json"
        wait_for(lambda: len(_seen(seen)) == 2, "two books")
        before_ns = time.time_ns()
        served.process.send_signal(signal.SIGSTOP)
        served.process.send_signal(signal.SIGKILL)
        wait_for(lambda: "gap, the book is cleared" in (tmp_path / "run.log").read_text(), "a gap")
        seen_ns = time.time_ns()
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE_SECS)
    with venue(key, tmp_path / "v", "--seed", "4") as served:
        ended("record", config_of(tmp_path, served))
    (hole,) = holes(catalog, f"BTC_USDT.{key.upper()}")
    assert before_ns - 3 * SECOND < hole.from_ns < seen_ns


@pytest.mark.parametrize(
    ("verb", "what", "code"),
    [("record", "journal", 1), ("paper", "moved", 0), ("paper", "file", 0), ("live", "catalog", 0)],
)
def test_a_journal_that_is_taken_away_is_told_at_once_and_a_gap(
    verb: str, what: str, code: int, tmp_path: Path
) -> None:
    catalog = tmp_path / "data" / "catalog"
    journal, log = catalog / "journal", tmp_path / "run.log"
    with venue("oceanex", tmp_path / "o", "--seed", "4") as served:
        config = config_of(tmp_path, served)
        config.write_text(config.read_text().replace("promote_secs = 1", "promote_secs = 3"))
        running = start(verb, config, log=log)
        try:
            books = catalog / "data" / "order_book_deltas"
            wait_for(lambda: len({file.parent for file in books.glob("*/*")}) == 2, "the catalog")
            wait_for(lambda: len(_seen(journal / "seen-oceanex.json")) == 2, "two books")
            gone_ns = time.time_ns()
            _take_away(catalog, what)
            wait_for(lambda: "under the run: events since" in log.read_text(), "a word of it")
            if verb == "record":  # ends by itself: so whoever started it can start it again
                assert running.wait(PATIENCE_SECS) == code, log.read_text()
            else:
                wait_for(lambda: time.time_ns() > gone_ns + 4 * SECOND, "more to be lost")
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE_SECS) == code, log.read_text()[-3000:]
        ended_ns = time.time_ns()
        told = log.read_text()
        assert told.count("session: RECORDING: the f") == 1
        assert "no gaps" not in told
        assert "tries again" not in told
        rows = [r for r in read_gaps(catalog)[0] if r.kind is GapKind.STOPPED]
        for name in ("BTC_USDT.OCEANEX", "ETH_USDT.OCEANEX"):
            own = [row for row in rows if row.instrument == name]
            assert min(row.from_ns for row in own) < gone_ns
            lasted_ns = 0 if verb == "record" else 3 * SECOND
            assert gone_ns + lasted_ns < max(row.to_ns for row in own) <= ended_ns
        if what != "catalog":
            summary = quiet_backtest(config)
            assert summary["gaps"]["kinds"]["stopped"] >= 2
            deltas = ParquetDataCatalog(str(catalog)).query_order_book_deltas(["BTC_USDT.OCEANEX"])
            assert deltas[-1].action == BookAction.CLEAR  # nobody trades on a book of before
            assert deltas[-1].ts_init < gone_ns
        ended("record", config)  # the next run records again, and clears what was left
    assert not has_leftovers(catalog)
    assert not [path for path in journal.glob("[0-9]*-*")]
    for name in ("BTC_USDT.OCEANEX", "ETH_USDT.OCEANEX"):
        are_whole(catalog, name)
        if what != "catalog":
            (hole,) = holes(catalog, name)
            assert hole.from_ns == max(row.to_ns for row in rows if row.instrument == name)


def _take_away(catalog: Path, what: str) -> None:
    journal = catalog / "journal"
    if what == "moved":
        journal.rename(journal.with_name("elsewhere"))
    elif what == "file":
        wait_for(lambda: any(journal.rglob("*.partial")), "a file")  # none between two of a kind
        for path in journal.rglob("*.partial"):
            path.unlink(missing_ok=True)
    else:  # at once: a promotion at work may see a folder that goes file by file, and say that
        gone = journal if what == "journal" else catalog
        shutil.rmtree(gone.rename(gone.with_name("removed")), ignore_errors=True)
