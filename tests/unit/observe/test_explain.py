"""`fairlead explain` on a journal: by every id, with damage, and without what it does not need."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from fairlead.engine.brackets import story as bracket_story
from fairlead.engine.brackets.keeper import JournalStore
from fairlead.engine.brackets.steps import Bracket
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import OrderState, Side
from fairlead.engine.recording.raw import RawRecorder
from fairlead.engine.recording.redact import Redactor
from tests.unit.orders.conftest import INSTRUMENT, intent, venue_order

CONFIG = """
name = "told"

[run]
state_dir = "kept"

[venues.oceanex]
adapter = "no such adapter"
"""
RUN = """
import sys
from fairlead.engine.cli.main import main
sys.argv = ["fairlead", "explain", "V-2", "--config", "run.toml", "--json"]
try:
    main()
finally:
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"nautilus_trader", "aiohttp", "cryptography"}, loaded
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "kept" / "oceanex-main.journal.sqlite"
    journal = Journal(made, fsync=False, now_ns=lambda: 5_000)
    journal.intend([intent("A", ts_init=4_000)])
    journal.accepted("A", "V-1", instrument=INSTRUMENT)
    changed = intent("A", price=Decimal(99))
    journal.replacing("A", changed)
    journal.replaced("A", changed, "V-2")
    journal.renamed("A", venue_order("V-3"))
    journal.state("A", OrderState.CANCELED, venue_order("V-3"))
    journal.close()
    return made


@pytest.mark.parametrize("order_id", ["A", "V-1", "V-2", "V-3"])
def test_an_order_is_found_by_each_id_that_it_ever_had(path: Path, order_id: str) -> None:
    story = explain(order_id, [path], None)
    assert story.client_order_id == "A"
    assert story.venue_order_ids == ("V-1", "V-2", "V-3")
    assert story.state == "CANCELED"
    kinds = [line.text.split()[1] for line in story.lines if line.source == "journal"]
    assert kinds == ["INTENT", "ACCEPTED", "REPLACE", "REPLACED", "RENAMED", "CANCELED"]


def test_an_order_that_no_journal_has(path: Path) -> None:
    with pytest.raises(FairleadError, match="kept/oceanex-main") as raised:
        explain("V-9", [path], None)
    assert raised.value.exit_code == Exit.NO_DATA


def test_a_damaged_record_is_told_as_such(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE records SET body = ? WHERE kind = 'ACCEPTED'", (b'{"venue_order_id":9}',)
        )
    db.close()
    story = explain("A", [path], None)
    damaged = [line.text for line in story.lines if "DAMAGED" in line.text]
    assert [text.split()[1] for text in damaged] == ["ACCEPTED"]
    assert story.venue_order_ids == ("V-2", "V-3")


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "x.journal.sqlite"
    path.write_bytes(b"notes of somebody" * 1000)
    with pytest.raises(JournalError, match="can't be read"):
        explain("A", [path], None)


def test_the_command_imports_no_adapter_and_reads_a_config_that_is_wrong_elsewhere(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert (story["client_order_id"], story["journal"]) == ("A", str(path))


def test_a_config_that_names_no_folder_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[run]\nstate_dir = 5\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "error E-CFG" in done.stderr, done.stderr
    assert "run.toml:2" in done.stderr


BRACKET = Bracket(
    entry="E",
    strategy="S-1",
    instrument=INSTRUMENT,
    side=Side.BUY,
    quantity=Decimal(1),
    stop=Decimal(95),
    stop_limit=Decimal(94),
    target=Decimal(105),
)


def bracketed(made: Path, *, ended: bool) -> Journal:
    """A bracket whose stop was cancelled, whose second exit was refused, beside another one."""
    journal = Journal(made, fsync=False, now_ns=lambda: 5_000)
    store, (strategy, at) = JournalStore({"TEST": journal}), ("S-1", INSTRUMENT)
    store.load(strategy)
    one = msgspec.structs.replace(BRACKET, instrument=at)
    other = msgspec.structs.replace(one, entry="F")
    grown = [
        msgspec.structs.replace(one, exits=exits) for exits in [("X1",), ("X1", "X2"), ("X1", "X3")]
    ]
    store.save(strategy, [one])
    journal.intend([intent("E", strategy=strategy, instrument=at)])
    store.save(strategy, [one, other])
    journal.intend([intent("F", strategy=strategy, instrument=at)])
    store.save(strategy, [grown[0], other])
    journal.intend([intent("X1", strategy=strategy, instrument=at)])
    journal.state("X1", OrderState.CANCELED)
    store.save(strategy, [grown[1], other])
    store.save(strategy, [grown[2], other])
    journal.intend([intent("X3", strategy=strategy, instrument=at)])
    if ended:
        store.save(strategy, [other])
    journal.intend([intent("plain", strategy=strategy, instrument=at)])
    return journal


@pytest.mark.parametrize("order_id", ["E", "X1", "X3"])
@pytest.mark.parametrize("ended", [True, False])
def test_an_order_of_a_bracket_names_the_others(
    tmp_path: Path, order_id: str, *, ended: bool
) -> None:
    bracketed(tmp_path / "j.sqlite", ended=ended).close()
    story = explain(order_id, [tmp_path / "j.sqlite"], None).bracket
    assert story is not None
    assert (story.entry, story.is_open, story.is_whole) == ("E", not ended, True)
    assert [(m.role, m.client_order_id, m.state) for m in story.orders] == [
        ("entry", "E", "INTENDED"),
        ("exit 1", "X1", "CANCELED"),
        ("exit 2", "X2", "never sent"),
        ("exit 3", "X3", "INTENDED"),
    ]
    assert story.role == {"E": "entry", "X1": "exit 1", "X3": "exit 3"}[order_id]


def test_a_plain_order_of_the_same_strategy_has_no_bracket(tmp_path: Path) -> None:
    bracketed(tmp_path / "j.sqlite", ended=False).close()
    assert explain("plain", [tmp_path / "j.sqlite"], None).bracket is None
    assert explain("F", [tmp_path / "j.sqlite"], None).bracket is not None


def test_brackets_of_other_orders_are_read_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bracket_story, "RECORDS_MAX", 3)
    bracketed(tmp_path / "j.sqlite", ended=False).close()
    story = explain("E", [tmp_path / "j.sqlite"], None).bracket
    assert story is not None
    assert not story.is_whole
    assert "there are more" in str(story)


def test_of_a_list_of_orders_the_orders_own_part_is_told_and_none_of_others(
    path: Path, tmp_path: Path
) -> None:
    """A poll of all that is open names twenty orders, and a longer id has a shorter one within."""
    tap = RawRecorder(tmp_path, "OCEANEX", redactor=Redactor())

    def told(url: str, body: object, at: int) -> None:
        request = SimpleNamespace(method="GET", url=f"https://x{url}", headers={}, body=b"")
        answer = SimpleNamespace(status=200, headers={}, body=msgspec.json.encode(body))
        tap.http(request, answer, "", at, at + 5)

    own = {"id": "V-2", "state": "wait"}
    for number in range(3):
        others = [{"id": f"V-{number}{other}", "state": "done"} for other in range(10, 30)]
        told("/orders", {"data": [*others[:10], own, *others[10:]]}, 4_100 + 10 * number)
    told("/order?id=V-21", {"id": "V-21", "state": "done"}, 4_200)
    told("/order?id=9V-2.5", {"id": 7, "price": "9V-2.5"}, 4_300)
    tap.close()
    lines = explain("V-2", [path], tmp_path / "raw").lines
    wire = [line.text for line in lines if line.source == "wire"]
    assert wire == [
        "-> GET https://x/orders",
        '<- 200 [...] {"id":"V-2","state":"wait"} (and 2 times more, until '
        "1970-01-01 00:00:00.000004)",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": "' + b"x" * 300 + b' {\\"id\\":\\"V-2\\"}"}',  # text within: no object
        b"id=V-2&note=" + b"x" * 300,
        b'{"id": ["V-2"], "note": "' + b"x" * 300 + b'"}',
        b'{"a":' * 2_000 + b'"V-2"',
    ],
)
def test_what_names_the_order_in_another_way_is_told_as_it_is(
    path: Path, tmp_path: Path, body: bytes
) -> None:
    tap = RawRecorder(tmp_path, "OCEANEX", redactor=Redactor())
    request = SimpleNamespace(method="GET", url="https://x/orders", headers={}, body=b"")
    tap.http(request, SimpleNamespace(status=200, headers={}, body=body), "", 4_100, 4_105)
    tap.close()
    lines = explain("V-2", [path], tmp_path / "raw").lines
    (_, answer) = [line.text for line in lines if line.source == "wire"]
    assert answer.startswith(f"<- 200 {body.decode()[:200]}")
    assert answer.endswith("...")


def test_a_poll_that_is_answered_the_same_is_told_once_with_its_count(
    path: Path, tmp_path: Path
) -> None:
    tap = RawRecorder(tmp_path, "OCEANEX", redactor=Redactor())

    def told(method: str, url: str, body: bytes, at: int) -> None:
        request = SimpleNamespace(method=method, url=f"https://x{url}", headers={}, body=b"")
        answer = SimpleNamespace(status=200, headers={}, body=body)
        tap.http(request, answer, "", at, at + 5)

    for number in range(12):
        body = b'{"id":"V-2","state":"wait"}' if number < 10 else b'{"id":"V-2","state":"done"}'
        told("GET", f"/orders?now={number}", body, 4_100 + 10 * number)
    told("POST", "/order/cancel", b'{"id":"V-2"}', 4_300)
    tap.close()
    lines = explain("V-2", [path], tmp_path / "raw").lines
    wire = [line.text for line in lines if line.source == "wire"]
    assert wire == [
        "-> GET https://x/orders?now=0",
        '<- 200 {"id":"V-2","state":"wait"} (and 9 times more, until 1970-01-01 00:00:00.000004)',
        "-> GET https://x/orders?now=10",
        '<- 200 {"id":"V-2","state":"done"} (and 1 times more, until 1970-01-01 00:00:00.000004)',
        "-> POST https://x/order/cancel",
        '<- 200 {"id":"V-2"}',
    ]
