"""The journal of a recording: every row in the catalog once, whatever was killed, and when."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.arrow_tail import whole_bytes
from fairlead.engine.recording.attempts import ATTEMPTS_MAX, Attempts
from fairlead.engine.recording.commit import JOURNAL, is_unfinished
from fairlead.engine.recording.compact import Joins, compact
from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.journal import (
    RunJournal,
    has_leftovers,
    is_recording,
    journaled_runs,
)
from fairlead.engine.recording.promote import CatalogLock, promote
from fairlead.engine.recording.rows import KINDS, span_of, spans_in, write_rows
from tests.support.patience import PATIENCE_SECS

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "recording"
ENV = {"PYTHONPATH": str(ROOT)}
X = "BTC_USDT.X"
TRADES = Path("data") / "trades" / X
SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND


def node(catalog: Path, count: int, first: int = 0, rotate_secs: int = 60) -> list[str]:
    script = DATA / "streaming_node.py"
    return [sys.executable, str(script), str(catalog), str(count), str(first), str(rotate_secs)]


def record(catalog: Path, count: int, first: int = 0, rotate_secs: int = 60) -> None:
    """A run that ends in order."""
    catalog.mkdir(exist_ok=True)
    run = node(catalog, count, first, rotate_secs)
    subprocess.run(
        run, cwd=ROOT, env=ENV, check=True, timeout=PATIENCE_SECS, stdout=subprocess.DEVNULL
    )


def killed(catalog: Path, first: int = 0, rotate_secs: int = 60, flushes: int = 4) -> None:
    """A run that is killed when its journal has been seen to grow so often."""
    catalog.mkdir(exist_ok=True)
    sizes = {journal_bytes(catalog)}
    run = node(catalog, 10_000_000, first, rotate_secs)
    with subprocess.Popen(run, cwd=ROOT, env=ENV, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            give_up = time.monotonic() + 60
            while len(sizes) <= flushes:
                sizes.add(journal_bytes(catalog))
                assert time.monotonic() < give_up
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)


def journal_bytes(catalog: Path) -> int:
    return sum(path.stat().st_size for path in (catalog / JOURNAL).rglob("*.feather*"))


def trades(catalog: Path) -> list[int]:
    store = ParquetDataCatalog(str(catalog))
    return [int(str(tick.trade_id)) for tick in store.query_trade_ticks()]


def trade(number: int, ts: int) -> TradeTick:
    price, size = Price.from_str("100.00"), Quantity.from_str("0.001")
    instrument = InstrumentId.from_str(X)
    return TradeTick(instrument, price, size, AggressorSide.BUY, TradeId(str(number)), ts, ts)


def leftover(catalog: Path) -> Path:
    """The newest Feather file of the journal."""
    return max((catalog / JOURNAL).rglob("*.feather*"), key=lambda path: path.name)


# -- runs into one folder --------------------------------------------------------------------------


def test_many_runs_stopped_and_killed_are_one_catalog(tmp_path):
    record(tmp_path, 2000)
    assert promote(tmp_path).rows == 2000
    killed(tmp_path, first=10_000)
    killed(tmp_path, first=1_000_000)
    record(tmp_path, 100, first=9_000_000)
    done = promote(tmp_path)
    assert done.problems == []
    found = trades(tmp_path)
    assert done.rows == len(found) - 2000 > 100
    firsts = [0, 10_000, 1_000_000, 9_000_000]
    for first, end in zip(firsts, [*firsts[1:], 10_000_000], strict=True):
        mine = [one for one in found if first <= one < end]
        assert mine == list(range(first, first + len(mine)))  # none twice, none missing between
        assert len(mine) >= 100
    assert not has_leftovers(tmp_path)
    assert not list((tmp_path / JOURNAL).rglob("*.feather*"))
    assert promote(tmp_path).rows == 0
    assert trades(tmp_path) == found
    assert len(ParquetDataCatalog(str(tmp_path)).instruments()) == 1


def test_a_running_recording_is_promoted_file_by_file(tmp_path):
    run = node(tmp_path, 10_000_000, 0, 1)
    with subprocess.Popen(run, cwd=ROOT, env=ENV, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            before: list[int] = []
            for _ in range(3):
                give_up = time.monotonic() + 60
                while not any(run.files() for run in journaled_runs(tmp_path)):
                    assert time.monotonic() < give_up
                assert is_recording(tmp_path)
                assert promote(tmp_path).problems == []
                found = trades(tmp_path)
                assert found == list(range(len(found)))
                assert len(found) > len(before)
                before = found
        finally:
            process.send_signal(signal.SIGKILL)
    assert promote(tmp_path).problems == []
    found = trades(tmp_path)
    assert found == list(range(len(found)))
    assert len(found) >= len(before)


@pytest.mark.parametrize("folder", ["live", "sandbox"])
def test_what_a_run_without_a_journal_left_comes_in_too(tmp_path, folder):
    record(tmp_path / "new", 1500)
    (run,) = journaled_runs(tmp_path / "new")
    (native,) = (run.folder / "live").iterdir()
    (tmp_path / "old" / folder).mkdir(parents=True)
    native.rename(tmp_path / "old" / folder / native.name)
    done = promote(tmp_path / "old")
    assert (done.rows, done.problems) == (1500, [])
    assert trades(tmp_path / "old") == list(range(1500))
    assert not list((tmp_path / "old" / folder).iterdir())


# -- what a kill leaves ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torn(tmp_path_factory) -> Path:
    """A folder that a killed run left."""
    folder = tmp_path_factory.mktemp("torn")
    killed(folder, flushes=8)  # several messages: the last alone is cut
    return folder


@pytest.mark.parametrize("cut", [0, 1, 7, 100, 1000, 0.5, 0.99])
def test_a_torn_file_gives_its_whole_part(torn, tmp_path, cut):
    shutil.copytree(torn, tmp_path, dirs_exist_ok=True)
    file = leftover(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * cut) if isinstance(cut, float) else cut])
    done = promote(tmp_path)
    assert done.problems == []
    found = trades(tmp_path) if (tmp_path / TRADES).exists() else []
    assert found == list(range(len(found)))
    assert done.rows == len(found)
    if cut == 0.99:
        assert found
    assert not has_leftovers(tmp_path)


def test_the_whole_part_of_a_stream_ends_at_a_message():
    stream = b"\xff\xff\xff\xff\x00\x00\x00\x00"
    assert whole_bytes(stream) == whole_bytes(b"") == whole_bytes(b"\xff\xff") == 0
    assert whole_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(50)) == 0
    assert whole_bytes(b"\xff\xff\xff\xff\x08\x00\x00\x00" + b"\xff" * 60) == 0


def test_a_damaged_file_is_put_aside_and_told(torn, tmp_path):
    shutil.copytree(torn, tmp_path, dirs_exist_ok=True)
    file = leftover(tmp_path)
    data = bytearray(file.read_bytes())
    data[:8] = b"ARROW1\x00\x00"  # another format, not a torn one
    file.write_bytes(data)
    done = promote(tmp_path)
    assert len(done.problems) == 1
    assert "can't be read" in done.problems[0]
    (row,), _ = read_gaps(tmp_path)
    assert (row.kind, row.instrument) == (GapKind.GAP, "")
    (kept,) = (tmp_path / JOURNAL / "damaged").iterdir()
    assert kept.read_bytes() == data
    assert promote(tmp_path).problems == []  # once


STEPS = """
import os, signal, sys
catalog, left, now_ns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def counted(real):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
for name in ("replace", "unlink", "rename"):
    setattr(os, name, counted(getattr(os, name)))
from fairlead.engine.recording.promote import promote
print(promote(catalog, now_ns=lambda: now_ns).problems)
"""


def killed_at(catalog: Path, step: int, now_ns: int) -> bool:
    """Whether a promotion was killed before its `step`-th change of the folder."""
    run = [sys.executable, "-c", STEPS, str(catalog), str(step), str(now_ns)]
    done = subprocess.run(
        run, cwd=ROOT, env=ENV, check=False, timeout=PATIENCE_SECS, capture_output=True
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_a_promotion_killed_at_every_step_loses_and_doubles_nothing(tmp_path):
    """Of one folder with a journal, and three small files of a day that is over."""
    base = tmp_path / "base"
    record(base, 60, first=30)
    for at in (0, 10, 20):
        rows = [trade(at + one, T0 + (at + one) * SECOND) for one in range(10)]
        write_rows(rows, KINDS["trades"], base)
    now_ns = time.time_ns()
    kills = 0
    for step in range(1, 100):
        folder = tmp_path / str(step)
        shutil.copytree(base, folder)
        is_killed = killed_at(folder, step, now_ns)
        kills += is_killed
        unfinished = is_unfinished(folder)
        again = promote(folder, now_ns=lambda: now_ns)
        assert again.problems == []
        assert trades(folder) == list(range(90)), (step, unfinished)
        assert len(spans_in(folder / TRADES)) == 2  # joined, and promoted
        assert not has_leftovers(folder)
        if not is_killed:
            break
    assert kills > 8


# -- what the catalog makes of it ------------------------------------------------------------------


INSTRUMENT = InstrumentId.from_str(X)


def delta(ts: int, flags: int, action: BookAction = BookAction.ADD, at: int = 0) -> OrderBookDelta:
    price, size = Price.from_str(f"{100 + at}.00"), Quantity.from_str("1.000")
    order = BookOrder(OrderSide.BUY, price, size, 0)
    return OrderBookDelta(INSTRUMENT, action, order, flags, 1, ts, ts)


class Journal:
    """Files of an ended run as rows, in place of the Feather files of a real one."""

    def __init__(self, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.catalog = catalog
        self._rows: dict[Path, list] = {}
        monkeypatch.setattr("fairlead.engine.recording.promote.read_feather", self._read)

    def run(self, start_ns: int, **files: list) -> None:
        """A run that has ended, with one file of each type."""
        running = RunJournal(self.catalog, [X], start_ns)
        for number, (kind, rows) in enumerate(files.items()):
            self.add(running, kind, rows, number)
        running.close()

    def add(self, running: RunJournal, kind: str, rows: list, number: int) -> None:
        folder = running.folder / "live" / "id" / kind
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{kind}_{T0 + number}.feather"
        file.write_bytes(b"x")
        self._rows[file] = rows

    def _read(self, path: Path, kind: object, stage: Path) -> list:
        return self._rows[path]


@pytest.fixture
def journal(tmp_path, monkeypatch) -> Journal:
    return Journal(tmp_path, monkeypatch)


def deltas(catalog: Path) -> list[OrderBookDelta]:
    return ParquetDataCatalog(str(catalog)).query_order_book_deltas()


def test_rows_of_a_clock_that_was_set_back_come_after_and_are_told(journal, tmp_path):
    journal.run(T0, trades=[trade(n, T0 + n * SECOND) for n in range(10)])
    promote(tmp_path)
    back = [trade(10, T0 + 5 * SECOND), trade(11, T0 + 5 * SECOND), trade(12, T0 + 6 * SECOND)]
    journal.run(T0 + 1, trades=[*back, trade(13, T0 + 60 * SECOND)])
    done = promote(tmp_path)
    assert done.problems == []
    store = ParquetDataCatalog(str(tmp_path))
    found = [(int(str(t.trade_id)), t.ts_init) for t in store.query_trade_ticks()]
    end = T0 + 9 * SECOND
    assert [number for number, _ in found] == list(range(14))
    assert [ts for _, ts in found[10:]] == [end + 1, end + 1, end + 2, T0 + 60 * SECOND]
    (row,), _ = read_gaps(tmp_path)
    assert (row.kind, row.instrument, row.to_ns) == (GapKind.CLOCK_STEP, X, end + 1)


def test_rows_before_others_without_overlap_keep_their_time(journal, tmp_path):
    journal.run(T0, trades=[trade(5, T0 + 50 * SECOND)])
    journal.run(T0 + 1, trades=[trade(1, T0)])
    promote(tmp_path)
    assert trades(tmp_path) == [1, 5]
    assert read_gaps(tmp_path) == ([], 0)


def test_a_book_update_that_two_files_share_stays_in_order(journal, tmp_path):
    first = [delta(T0, 0, at=1), delta(T0 + 1, 0, at=2), delta(T0 + 1, 0, at=3)]
    second = [delta(T0 + 1, 0, at=4), delta(T0 + 1, 128, at=5)]
    running = RunJournal(tmp_path, [X], T0)
    for number, rows in enumerate((first, second)):
        journal.add(running, "order_book_deltas", rows, number)
        assert promote(tmp_path).rows == len(rows)
    running.close()
    promote(tmp_path)
    found = deltas(tmp_path)
    assert [str(row.order.price) for row in found[:5]] == [f"10{at}.00" for at in range(1, 6)]
    assert [row.ts_init for row in found] == [T0, T0 + 1, T0 + 1, T0 + 1, T0 + 1, T0 + 2]


def test_the_book_of_a_killed_run_is_cleared_where_its_rows_end(journal, tmp_path):
    journal.run(T0, order_book_deltas=[delta(T0, 128), delta(T0 + 5, 0)])
    promote(tmp_path)
    *_, last = deltas(tmp_path)
    assert last.action == BookAction.CLEAR
    assert (last.ts_init, last.flags) == (T0 + 6, 32 | 128)
    journal.run(T0 + 7, trades=[trade(1, T0 + 7)])
    promote(tmp_path)
    assert len(deltas(tmp_path)) == 3  # cleared once


def test_hours_then_days_are_joined_and_large_files_left_alone(tmp_path, monkeypatch):
    hour = 3600 * SECOND
    begin = (T0 // (24 * hour) + 1) * 24 * hour
    for quarter in range(24 * 4):
        ts = begin + quarter * hour // 4
        write_rows([trade(quarter, ts), trade(quarter, ts + 1)], KINDS["trades"], tmp_path)
    CatalogLock(tmp_path)
    problems: list[str] = []
    assert compact(tmp_path, begin + hour - 1, problems) == 0  # the hour is not over
    assert compact(tmp_path, begin + 2 * hour, problems) == 8
    assert len(spans_in(tmp_path / TRADES)) == 2 + 22 * 4
    assert compact(tmp_path, begin + 25 * hour, problems) == 22 * 4 + 24
    assert compact(tmp_path, begin + 50 * hour, problems) == 0
    assert len(spans_in(tmp_path / TRADES)) == 1
    assert trades(tmp_path) == [quarter for quarter in range(24 * 4) for _ in range(2)]
    monkeypatch.setattr("fairlead.engine.recording.compact.MERGED_ROWS_MAX", 1)
    write_rows([trade(0, begin + 25 * hour)], KINDS["trades"], tmp_path)
    write_rows([trade(0, begin + 25 * hour + 1)], KINDS["trades"], tmp_path)
    assert compact(tmp_path, begin + 50 * hour, problems) == 0
    assert problems == []


def test_a_damaged_parquet_file_is_told_and_left(tmp_path):
    hour = 3600 * SECOND
    begin = (T0 // hour + 1) * hour
    for at in range(3):
        write_rows([trade(at, begin + at)], KINDS["trades"], tmp_path)
    spans_in(tmp_path / TRADES)[1].path.write_bytes(b"PAR1" * 20)
    CatalogLock(tmp_path)
    problems: list[str] = []
    assert compact(tmp_path, begin + 2 * hour, problems) == 0
    assert "not joined with its neighbours" in problems[0]
    assert len(spans_in(tmp_path / TRADES)) == 3


def test_a_reader_keeps_the_files_until_it_has_ended(journal, tmp_path):
    journal.run(T0, trades=[trade(1, T0)])
    with CatalogLock(tmp_path) as lock:
        assert lock.take(shared=True)
        assert promote(tmp_path).is_busy
        assert has_leftovers(tmp_path)
    assert promote(tmp_path).rows == 1


def test_names_of_files_tell_their_times():
    name = "2026-11-25T21-29-58-055476986Z_2026-11-25T21-30-03-018280723Z"
    span = span_of(Path(f"{name}.parquet"))
    assert span is not None
    assert (span.start_ns, span.end_ns) == (1795642198055476986, 1795642203018280723)
    assert span_of(Path(f"{name}_0b1c2d3e4f5a6b7c.parquet")) is not None
    assert span_of(Path("part-0.parquet")) is None


def test_a_file_that_takes_its_reader_down_is_put_aside_in_the_end(torn, tmp_path):
    """NautilusTrader's reader aborts the process where a length within the data is damaged."""
    shutil.copytree(torn, tmp_path, dirs_exist_ok=True)
    (tmp_path / JOURNAL).mkdir(exist_ok=True)
    file = leftover(tmp_path)
    attempts = Attempts(tmp_path)
    for _ in range(ATTEMPTS_MAX):
        attempts.begin(str(file))
    done = promote(tmp_path)
    assert "takes the process down" in done.problems[0]
    assert trades(tmp_path) == []
    assert not has_leftovers(tmp_path)


def test_joining_makes_way_for_who_waits(tmp_path):
    hour = 3600 * SECOND
    begin = (T0 // hour + 1) * hour
    for at in range(4):
        write_rows([trade(at, begin + at * hour // 2)], KINDS["trades"], tmp_path)
    with CatalogLock(tmp_path) as held, CatalogLock(tmp_path) as waiting:
        assert held.take()
        taken: list[bool] = []
        waiter = threading.Thread(target=lambda: taken.append(waiting.take(wait_secs=60)))
        waiter.start()
        while not held.is_wanted():
            pass
        assert compact(tmp_path, begin + 50 * hour, [], is_over=held.is_wanted) == 0
        held.release()
        waiter.join(PATIENCE_SECS)
        assert taken == [True]
        assert not held.is_wanted()
    assert promote(tmp_path, joins=Joins.NONE, now_ns=lambda: begin + 50 * hour).merged == 0
    assert promote(tmp_path, now_ns=lambda: begin + 50 * hour).merged > 0
    assert len(spans_in(tmp_path / TRADES)) == 1
