"""The detail of old orders is moved away, and nobody can tell by what a run asks of its journal."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.explain import explain
from fairlead.engine.observe.journaled import Booked, Opening, booked
from fairlead.engine.orders import journal_check, journal_compact, journal_reads
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_compact import DAY_NS, compact
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import (
    Absent,
    Finding,
    OrderState,
    Refused,
    Side,
    Unknown,
    VenueFill,
)
from fairlead.engine.orders.reconcile import compare
from fairlead.engine.risk.continuity import lost_beside
from tests.support.kills import killed_at_every_line, killed_within_sqlite
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order
from tests.unit.orders.test_check_journals import CONFIG

NEWEST = 60  # records that a start looks through here
START_NS = 1_700_000_000 * 1_000_000_000
NOW_NS = START_NS + 400 * DAY_NS
OLD = 12


class Clock:
    def __init__(self, at: int = START_NS) -> None:
        self.now = at

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


@pytest.fixture(autouse=True)
def _few_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (journal_check, "NEWEST_RECORDS"),
        (journal_reads, "GIVEN_UP_RECORDS"),
    ):
        monkeypatch.setattr(module, name, NEWEST)


def files_in(folder: Path) -> AccountFiles:
    return AccountFiles(folder, "sim-main")


def opened(folder: Path, clock: Callable[[], int]) -> Journal:
    return Journal(files_in(folder).journal, fsync=False, now_ns=clock)


def execution(void: str, number: int, **changes: Any) -> VenueFill:
    fields: dict[str, Any] = dict(
        venue_order_id=void,
        trade_id=f"T-{void}-{number}",
        instrument=INSTRUMENT,
        side=Side.BUY,
        quantity=Decimal("0.1"),
        price=Decimal("100.5"),
        fee=Decimal("0.01"),
        fee_currency="USDT",
        ts_event=number,
    )
    return VenueFill(**(fields | changes))


def ended(journal: Journal, name: str) -> None:
    """One that was replaced, executed in part and cancelled."""
    one, changed = intent(name), intent(name, price=Decimal(99))
    journal.intend([one])
    journal.accepted(name, f"V-{name}", instrument=INSTRUMENT)
    journal.fill(one, execution(f"V-{name}", 1), Decimal("0.001"))
    journal.replacing(name, changed)
    journal.replaced(name, changed, f"V2-{name}")
    journal.fill(changed, execution(f"V2-{name}", 2), Decimal(0))
    journal.cancel_requested([name])
    journal.note("CANCEL_UNKNOWN", name, Unknown("timeout"))
    journal.state(name, OrderState.CANCELED, venue_order(f"V2-{name}"))


def ended_otherwise(journal: Journal) -> None:
    """Refused, given up, given up and come late, held and cancelled, held and released."""
    journal.intend([intent("REFUSED"), intent("GONE"), intent("LATE")])
    journal.state("REFUSED", OrderState.REFUSED, Refused("1002", "not enough balance"))
    journal.state("GONE", OrderState.UNKNOWN, Unknown("timeout"))
    journal.state("GONE", OrderState.REFUSED, Absent("three looks"))
    journal.state("LATE", OrderState.REFUSED, Absent("three looks"))
    journal.revived(intent("LATE"), venue_order("V-LATE"), OrderState.OPEN)
    journal.state("LATE", OrderState.CANCELED, venue_order("V-LATE"))
    journal.hold([intent("HELD"), intent("RELEASED")], {"how": "last"})
    journal.cancel_held("HELD", "a test")
    journal.release(intent("RELEASED", price=Decimal(98)), {"price": "98"})
    journal.accepted("RELEASED", "V-RELEASED", instrument=INSTRUMENT)
    for number in range(5):
        journal.fill(intent("RELEASED"), execution("V-RELEASED", number), Decimal(0))
    journal.state("RELEASED", OrderState.FILLED, None)


def live_ones(journal: Journal) -> None:
    """As old as any, and not over."""
    journal.intend([intent("OPEN"), intent("LOST"), intent("SENT")])
    journal.accepted("OPEN", "V-OPEN", instrument=INSTRUMENT)
    journal.fill(intent("OPEN"), execution("V-OPEN", 1), Decimal(0))
    journal.replacing("OPEN", intent("OPEN", price=Decimal(97)))
    journal.state("LOST", OrderState.UNKNOWN, Unknown("timeout"))
    journal.hold([intent("STAYS-HELD")], {"how": "last"})


def build(folder: Path) -> None:
    """Old orders of every course, open ones among them, and new ones after a year."""
    clock = Clock()
    journal = opened(folder, clock)
    live_ones(journal)
    journal.note("BALANCES", "BALANCES", {"USDT": Decimal("1000.5")})
    for number in range(OLD):
        ended(journal, f"OLD-{number}")
    ended_otherwise(journal)
    journal.hand_over("S-1", "S-2", INSTRUMENT, Decimal(100))
    journal.finding(_finding("V-OLD-1"))
    clock.now = NOW_NS - 2 * DAY_NS
    for number in range(NEWEST // 9 + 1):
        ended(journal, f"NEW-{number}")
    journal.close()


def _finding(subject: str) -> Finding:
    return Finding(
        code="ORDER-EXTERNAL",
        instrument=INSTRUMENT,
        subject=subject,
        journal="unknown",
        venue="BUY 1 @ 1",
        action="left alone",
        ts_event=1,
    )


def told(folder: Path) -> dict[str, Any]:
    """All that anybody asks of a journal, of each order that it ever had."""
    path = files_in(folder).journal
    with closing(Journal.reading(path)) as journal:
        with closing(sqlite3.connect(path)) as db:
            names = [name for (name,) in db.execute("SELECT client_order_id FROM orders")]
            voids = [void for (void,) in db.execute("SELECT venue_order_id FROM venue_ids")]
            kept = {
                table: db.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("orders", "fills", "positions", "venue_ids")
            }
        runs = _booked(journal)
        return {
            "tables": kept,
            "open": journal.open_orders(),
            "positions": journal.positions(),
            "of each": {
                name: (
                    journal.order(name),
                    journal.story(name),
                    journal.replacements(name),
                    journal.fills_of(name),
                    journal.held_story(name),
                    journal.damaged(name),
                )
                for name in names
            },
            "explain": [_plain(explain(one, [path], None)) for one in (*names, *voids)],
            "booked": (sorted(o.intent.client_order_id for o in runs.orders), runs.fills),
            "fills since": journal.fills_since(0),
            "given up": journal.given_up_since(0, 100),
            "over": journal.over_since(NOW_NS - 3 * DAY_NS),
            "held cancelled": journal.held_cancelled_since(NOW_NS - 3 * DAY_NS),
            "known": journal.known_venue_ids(INSTRUMENT, 0),
            "balances": journal.last_note("BALANCES", dict[str, Decimal]),
            "newest": (journal.newest(), journal.newest_record()),
            "problems": journal.problems(),
        }


def _booked(journal: Journal) -> Booked:
    return booked(journal, Opening(0, {}, frozenset()))


def _plain(story: Any) -> Any:
    return (story.client_order_id, story.venue_order_ids, story.state, story.intent, story.lines)


def compacted(folder: Path, days: int = 90) -> Any:
    return compact(files_in(folder), days=days, now_ns=Clock(NOW_NS))


def records(folder: Path) -> int:
    with closing(sqlite3.connect(files_in(folder).journal)) as db:
        return int(db.execute("SELECT count(*) FROM records").fetchone()[0])


# -- the same before and after ---------------------------------------------------------------------


def test_everything_that_is_asked_of_a_journal_is_answered_as_before(tmp_path: Path) -> None:
    build(tmp_path)
    before, size = told(tmp_path), records(tmp_path)
    done = compacted(tmp_path)
    # of an old order 9 records: one and two executions stay
    assert done.orders == OLD + 5
    assert size - records(tmp_path) == done.records >= OLD * 6
    assert told(tmp_path) == before
    assert before["problems"] == []
    opened(tmp_path, Clock(NOW_NS)).close()  # a start finds nothing wrong
    assert told(tmp_path) == before


def test_what_is_open_unknown_or_held_keeps_each_record(tmp_path: Path) -> None:
    build(tmp_path)
    compacted(tmp_path)
    with closing(sqlite3.connect(files_in(tmp_path).journal)) as db:
        rows = db.execute(
            "SELECT client_order_id, kind FROM records WHERE client_order_id IN "
            "('OPEN', 'LOST', 'SENT', 'STAYS-HELD') ORDER BY seq"
        ).fetchall()
        archived = db.execute(
            "SELECT DISTINCT client_order_id FROM records WHERE kind = 'ARCHIVED'"
        ).fetchall()
    assert [kind for name, kind in rows if name == "OPEN"] == [
        "INTENT",
        "ACCEPTED",
        "FILL",
        "REPLACE",
    ]
    assert [kind for name, kind in rows if name == "LOST"] == ["INTENT", "UNKNOWN"]
    assert [kind for name, kind in rows if name == "STAYS-HELD"] == ["INTENT", "HELD"]
    assert not {name for (name,) in archived} & {"OPEN", "LOST", "SENT", "STAYS-HELD"}
    assert not any(name.startswith("NEW") for (name,) in archived)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_desk_that_starts_on_it_and_looks_at_the_venue_finds_the_same(
    tmp_path: Path, is_compacted: bool
) -> None:
    build(tmp_path)
    if is_compacted:
        compacted(tmp_path)
    bench = Bench(files_in(tmp_path).journal)
    try:
        late, old = venue_order("V9", client_order_id="GONE"), venue_order("V2-OLD-3")
        bench.venue.book = {one.venue_order_id: one for one in (late, old)}
        now = lambda: NOW_NS  # noqa: E731

        async def look() -> tuple[Any, ...]:
            bench.desk.adopt_journal()
            seen = await compare(bench.venue, bench.desk, [INSTRUMENT], now)
            live = sorted(o.intent.client_order_id for o in bench.desk.live_orders())
            return live, [(f.code, f.subject) for f in seen.findings], seen.late

        live, findings, came = bench.run(look())
    finally:
        assert bench.journal is not None
        bench.journal.close()
    assert live == ["LOST", "OPEN", "SENT", "STAYS-HELD"]
    assert findings == [("ORDER-LATE", "V9"), ("ORDER-LATE", "V2-OLD-3")]
    assert came == (late, old)


def test_an_execution_of_an_archived_order_is_booked_once(tmp_path: Path) -> None:
    build(tmp_path)
    compacted(tmp_path)
    journal = opened(tmp_path, Clock(NOW_NS))
    known = journal.order("OLD-3")
    assert known is not None
    before = journal.positions()
    assert journal.fill(known.intent, execution("V-OLD-3", 1), Decimal("0.001")) is None
    assert journal.positions() == before
    journal.close()


def test_an_archived_order_that_comes_late_after_all_is_one_that_a_start_takes(
    tmp_path: Path,
) -> None:
    build(tmp_path)
    compacted(tmp_path)
    journal = opened(tmp_path, Clock(NOW_NS))
    known = journal.order("GONE")
    assert known is not None
    journal.revived(known.intent, venue_order("V-GONE"), OrderState.OPEN)
    journal.fill(known.intent, execution("V-GONE", 1), Decimal(0))
    journal.close()
    again = opened(tmp_path, Clock(NOW_NS + 1))
    assert "GONE" in {one.intent.client_order_id for one in again.open_orders()}
    kinds = [kind for _, _, kind, _ in again.story("GONE")]
    assert kinds == ["INTENT", "UNKNOWN", "REFUSED", "LATE", "FILL"]
    again.state("GONE", OrderState.CANCELED, venue_order("V-GONE"))
    assert again.problems() == []
    again.close()
    later = compact(files_in(tmp_path), days=7, now_ns=Clock(NOW_NS + 900 * DAY_NS))
    assert "GONE" in told(tmp_path)["of each"]
    assert later.records >= 0
    assert told(tmp_path)["problems"] == []


def test_a_saved_journal_whose_records_are_archived_since_is_still_known(tmp_path: Path) -> None:
    journal = opened(tmp_path, Clock())
    for number in range(3):
        ended(journal, f"OLD-{number}")
    path = files_in(tmp_path).journal
    journal.copy_to(path.with_name(f"{path.name}.saved-7"))
    clock = Clock(NOW_NS)
    journal._now_ns = clock
    for number in range(NEWEST // 9 + 1):
        ended(journal, f"NEW-{number}")
    journal.close()
    assert lost_beside(path) == []
    assert compacted(tmp_path).orders == 3
    assert lost_beside(path) == []


def test_it_is_done_again_and_again(tmp_path: Path) -> None:
    build(tmp_path)
    before = told(tmp_path)
    first = compacted(tmp_path)
    assert compacted(tmp_path).archive is None
    journal = opened(tmp_path, Clock(NOW_NS + DAY_NS))
    for number in range(NEWEST // 9 + 1):
        ended(journal, f"NEWER-{number}")
    journal.close()
    middle = told(tmp_path)
    second = compact(files_in(tmp_path), days=90, now_ns=Clock(NOW_NS + 200 * DAY_NS))
    assert second.orders
    assert second.archive not in (None, first.archive)
    assert told(tmp_path) == middle
    assert before["of each"].items() <= middle["of each"].items()


# -- whatever dies ---------------------------------------------------------------------------------


@pytest.fixture
def begin(tmp_path: Path) -> Callable[[Path], Callable[[], object]]:
    whole = tmp_path / "whole"
    whole.mkdir()
    build(whole)

    def copied(folder: Path) -> Callable[[], object]:
        shutil.copy(files_in(whole).journal, files_in(folder).journal)
        return lambda: compacted(folder)

    return copied


def stories(folder: Path) -> dict[str, Any]:
    """Of `told`, what a kill could have spoilt."""
    with closing(Journal.reading(files_in(folder).journal)) as journal:
        names = sorted(one.intent.client_order_id for one in _booked(journal).orders)
        return {
            "of each": {name: (journal.order(name), journal.story(name)) for name in names},
            "positions": journal.positions(),
            "fills": journal.fills_since(0),
            "problems": journal.problems(),
        }


@pytest.fixture
def looks(tmp_path: Path, begin: object) -> Iterator[Callable[[Path], None]]:
    before, seen = stories(tmp_path / "whole"), set()
    assert len(before["of each"]) > OLD
    assert before["problems"] == []

    def look(folder: Path) -> None:
        assert stories(folder) == before
        opened(folder, Clock(NOW_NS)).close()
        done = compacted(folder)
        seen.add(done.archive is None)
        assert stories(folder) == before
        left = {one.name for one in folder.iterdir() if "archive" in one.name}
        assert len(left) == 1, left  # nothing lies about that no journal names

    yield look
    assert seen == {True, False}  # before the transaction, and after


@pytest.mark.slow
def test_a_kill_at_any_line_loses_nothing(
    tmp_path: Path,
    begin: Callable[[Path], Callable[[], object]],
    looks: Callable[[Path], None],
) -> None:
    assert killed_at_every_line(tmp_path, [journal_compact.__file__], begin, looks) > 50


@pytest.mark.slow
def test_a_kill_in_the_middle_of_what_sqlite_does_loses_nothing(
    tmp_path: Path,
    begin: Callable[[Path], Callable[[], object]],
    looks: Callable[[Path], None],
) -> None:
    assert killed_within_sqlite(tmp_path, 1_000, begin, looks) > 10


def test_an_archive_that_no_journal_names_and_that_holds_more_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path)
    archive = Path(compacted(tmp_path).archive)
    path = files_in(tmp_path).journal
    path.unlink()
    journal = opened(tmp_path, Clock())
    ended(journal, "ANOTHER")
    journal.close()
    assert compacted(tmp_path).removed == ()
    assert archive.exists()
    assert "left alone" in caplog.text


# -- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["lock", "flatten_lock"])
def test_it_is_refused_while_another_process_has_the_account(tmp_path: Path, lock: str) -> None:
    build(tmp_path)
    before = told(tmp_path)
    with AccountLock(getattr(files_in(tmp_path), lock)), pytest.raises(FairleadError) as raised:
        compacted(tmp_path)
    assert (raised.value.code, raised.value.exit_code) == ("STATE-LOCKED", Exit.LOCKED)
    assert told(tmp_path) == before


def test_a_week_is_the_least(tmp_path: Path) -> None:
    build(tmp_path)
    with pytest.raises(JournalError, match="at least 7 days, received 6"):
        compacted(tmp_path, days=6)


def test_a_journal_that_does_not_add_up_is_left_as_it_is(tmp_path: Path) -> None:
    build(tmp_path)
    with closing(sqlite3.connect(files_in(tmp_path).journal, isolation_level=None)) as db:
        db.execute("UPDATE records SET ts = 7 WHERE seq = 30")
    size = records(tmp_path)
    with pytest.raises(JournalError, match="record #30"):
        compacted(tmp_path)
    assert records(tmp_path) == size
    assert not list(tmp_path.glob("*archive*"))


# -- the archive -----------------------------------------------------------------------------------


def test_an_archive_that_is_gone_is_told_and_stops_no_start(tmp_path: Path) -> None:
    build(tmp_path)
    archive = Path(compacted(tmp_path).archive)
    archive.rename(tmp_path / "elsewhere")
    journal = opened(tmp_path, Clock(NOW_NS))
    assert [kind for _, _, kind, _ in journal.story("OLD-3")] == ["ARCHIVED", "FILL", "FILL"]
    problems = journal.problems()
    journal.close()
    assert len(problems) == 1
    assert f"archive {archive.name}: it is not in" in problems[0]
    (tmp_path / "elsewhere").rename(archive)
    assert told(tmp_path)["problems"] == []


def test_a_changed_archive_is_found(tmp_path: Path) -> None:
    build(tmp_path)
    archive = Path(compacted(tmp_path).archive)
    with closing(sqlite3.connect(archive, isolation_level=None)) as db:
        db.execute(
            "UPDATE records SET body = '1' WHERE kind = 'CANCELED' AND seq = "
            "(SELECT max(seq) FROM records WHERE kind = 'CANCELED')"
        )
    assert told(tmp_path)["problems"] == [f"archive {archive.name}: it is not what was written"]


def test_an_archive_is_its_owners_alone(tmp_path: Path) -> None:
    build(tmp_path)
    assert Path(compacted(tmp_path).archive).stat().st_mode & 0o077 == 0


# -- the command -----------------------------------------------------------------------------------


def test_the_command_lists_and_compacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG)
    state = tmp_path / "state"
    state.mkdir()

    def call(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["journal", *words])
        return done.exit_code, done.output

    assert call("ls", str(config))[0] == Exit.NO_DATA
    build(state)
    code, told_before = call("ls", str(config), "--json")
    assert code == Exit.OK, told_before
    code, done = call("compact", str(config), "--older-than", "90", "--json")
    assert code == Exit.OK, done
    (one,) = json.loads(done)
    (after,) = json.loads(call("ls", str(config), "--json")[1])
    (before,) = json.loads(told_before)
    assert after["archives"][0]["orders"] == one["orders"]
    assert before["records"] - after["records"] == one["records"]
    for same in ("orders", "open_orders", "executions", "last_ts"):
        assert before[same] == after[same]
    assert (before["schema"], after["schema"]) == (2, 3)
    assert "archive sim-main.archive-" in call("ls", str(config))[1]
    assert "nothing to move" in call("compact", str(config))[1]
    with AccountLock(state / "sim-main.lock"):
        assert call("compact", str(config))[0] == Exit.LOCKED
