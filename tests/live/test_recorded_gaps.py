"""The gaps of a recording are of what is recorded, whoever has subscribed it, each once: by real
runs, and a reckoning of its own from the catalog's rows."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookAction, RecordFlag
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapRow, read_gaps
from fairlead.engine.recording.promote import promote
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, run, run_until, start, venue, wait_for

pytestmark = pytest.mark.slow
SECOND = 1_000_000_000
LEAST_NS = SECOND  # what a stop leaves between its last row and its last note
RECORD = '[record]\ndir = "data"\npromote_secs = 1\n[backtest]\ncatalog = "data/catalog"\n'


class Folder:
    """One recording and one account, and runs of more or fewer instruments into it."""

    def __init__(self, served: Venue, folder: Path) -> None:
        self.served, self.folder = served, folder
        self.key = str(served.line["venue"])
        self.catalog = folder / "data" / "catalog"
        self.seen = folder / "seen.json"

    def config(self, *bases: str, does: str = "nothing", more: str = RECORD) -> Path:
        """Of a run with these, of which the last is traded."""
        named = {
            "instrument_id": self.name(bases[-1]),
            "does": does,
            "seen": str(self.seen),
            "quantity": "0.01",
        }
        strategy = {
            "id": f"Scripted-{bases[-1]}",
            "path": "tests.live.scripted:Scripted",
            "params": named,
        }
        return configs.write(
            self.folder,
            self.served,
            name="-".join(bases).lower(),
            instruments=tuple(f"{base}_USDT" for base in bases),
            strategies=[strategy],
            more=configs.ROOMY
            + f'[venues.{self.key}.fees]\nmaker = "0.001"\ntaker = "0.001"\n'
            + more,
        )

    def name(self, base: str) -> str:
        return f"{base}_USDT.{self.key.upper()}"

    def did(self, what: str) -> Callable[[], bool]:
        mark = self.seen.with_suffix(f".{what}")
        mark.unlink(missing_ok=True)
        return mark.exists

    def holding(self) -> None:
        """A run of both that ends with a position in ETH."""
        done = run_until(
            "live",
            self.config("BTC", "ETH", does="buy"),
            self.did("filled"),
            "a fill",
            folder=self.folder,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def ended(self, config: Path, verb: str = "live", secs: str = "4") -> dict[str, Any]:
        done = run(verb, config, "--for", secs, "--json")
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout))

    def killed(self, config: Path, verb: str = "live") -> None:
        running = start(verb, config, log=self.folder / "killed.log")
        seen = self.catalog / "journal" / f"seen-{self.key}.json"
        before = seen.read_bytes()
        try:
            wait_for(lambda: seen.read_bytes() != before, "a look")
            noted = seen.read_bytes()
            wait_for(lambda: seen.read_bytes() != noted and self._writes(), "another, and rows")
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait(PATIENCE_SECS)

    def _writes(self) -> bool:
        files = (self.catalog / "journal").rglob("*.feather*")
        return sum(one.stat().st_size > 8_192 for one in files) > 1

    # -- reckoned from rows ------------------------------------------------------------------------

    def of_rows(self, name: str) -> list[tuple[int, int]]:
        """Times in which the book is gone: from the row that clears it to the next snapshot."""
        rows = ParquetDataCatalog(str(self.catalog)).query_order_book_deltas([name])
        ends = RecordFlag.F_LAST.value
        return [
            (a.ts_init, b.ts_init)
            for a, b in pairwise(rows)
            if a.action == BookAction.CLEAR and a.flags & ends
        ]

    def moments(self, name: str) -> list[int]:
        """Of each of its rows."""
        known = ParquetDataCatalog(str(self.catalog))
        rows = [*known.query_order_book_deltas([name]), *known.query_trade_ticks([name])]
        return sorted(row.ts_init for row in rows)


def told(folder: Folder, name: str) -> list[GapRow]:
    rows, unreadable = read_gaps(folder.catalog)
    assert not unreadable
    return sorted((r for r in rows if r.instrument == name), key=lambda row: row.from_ns)


def agree(folder: Folder, name: str) -> list[GapRow]:
    """Rows, `data gaps`, `data ls` and the gaps' file, of one instrument; gives its gaps."""
    found = told(folder, name)
    own = folder.of_rows(name)
    assert len(found) == len(own), (name, found, own)
    there = folder.moments(name)
    for row, (begin, end) in zip(found, own, strict=True):
        last = max(ts for ts in there if ts < end)  # a trade, where a kill lost the book's newest
        assert begin - LEAST_NS < row.from_ns < max(begin, last) + LEAST_NS, (name, row, begin, end)
        assert abs(row.to_ns - end) < LEAST_NS, (name, row, begin, end)
    over = [(ts, row) for ts in there for row in found if row.from_ns < ts < row.to_ns]
    assert not over, f"{name}: {len(over)} rows within a gap: {over[:3]}"
    secs = sum(row.seconds for row in found)
    listed = json.loads(run("data", "ls", folder.folder / "data", "--json").stdout)
    (book,) = (
        one for one in listed["data"] if (one["kind"], one["name"]) == ("order_book_deltas", name)
    )
    assert (book["gaps"], book["gap_seconds"]) == (len(found), pytest.approx(secs, abs=1e-3))
    shown = run("data", "gaps", folder.folder / "data", "--instrument", name, "--json").stdout
    assert json.loads(shown)["summary"]["seconds"] == pytest.approx(secs, abs=1e-3)
    return found


def notes(summary: dict[str, Any]) -> str:
    return " ".join(note for note in summary["notes"] if note.startswith("GAP before"))


@pytest.fixture(params=["poloniex", "oceanex"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    with venue(request.param, tmp_path / "keys", "--seed", "3") as served:
        yield Folder(served, tmp_path)


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_a_journal_holds_is_recorded_and_its_gaps_are_too(
    folder: Folder, is_killed: bool
) -> None:
    folder.holding()
    less = folder.config("BTC")
    if is_killed:
        folder.killed(less)
    else:
        first = folder.ended(less)
        for name in map(folder.name, ("BTC", "ETH")):
            (row,) = told(folder, name)
            assert f"{name} {row.seconds:,.3f} s" in notes(first)
    last = folder.ended(both := folder.config("BTC", "ETH"))
    for name in map(folder.name, ("BTC", "ETH")):
        rows = agree(folder, name)
        assert len(rows) == 2
        assert f"{name} {rows[-1].seconds:,.3f} s" in notes(last)
        assert ("was stopped" in rows[-1].reason) is not is_killed
    done = run("backtest", both, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    replayed = json.loads(done.stdout)
    assert replayed["gaps"]["kinds"] == {"between_runs": 4}
    listed = json.loads(run("data", "gaps", folder.folder / "data", "--json").stdout)
    assert replayed["gaps"]["seconds"] == pytest.approx(listed["summary"]["seconds"], abs=1e-3)


def test_what_is_held_and_recorded_for_the_first_time_is_defined(folder: Folder) -> None:
    """Into another folder than the run that bought it."""
    folder.config("BTC", "ETH")
    folder.holding()
    elsewhere = RECORD.replace('"data', '"other')
    folder.ended(folder.config("BTC", more=elsewhere))
    known = ParquetDataCatalog(str(folder.folder / "other" / "catalog"))
    names = {str(one.id) for one in known.instruments()}
    assert names == {folder.name("BTC"), folder.name("ETH")}
    assert known.query_order_book_deltas([folder.name("ETH")])


def test_what_a_killed_run_held_has_no_book_after_it(folder: Folder) -> None:
    folder.holding()
    folder.killed(folder.config("BTC"))
    promote(folder.catalog, wait_secs=PATIENCE_SECS)
    rows = ParquetDataCatalog(str(folder.catalog)).query_order_book_deltas([folder.name("ETH")])
    assert rows[-1].action == BookAction.CLEAR


@pytest.mark.parametrize("verb", ["record", "paper"])
def test_an_instrument_that_one_run_has_and_the_next_has_not(folder: Folder, verb: str) -> None:
    for bases in (("BTC", "ETH"), ("BTC",), ("BTC", "ETH")):
        config = folder.config(*bases)
        if bases == ("BTC",):
            folder.killed(config, verb)
        else:
            folder.ended(config, verb)
    assert len(agree(folder, folder.name("BTC"))) == 2
    assert len(agree(folder, folder.name("ETH"))) == 1
