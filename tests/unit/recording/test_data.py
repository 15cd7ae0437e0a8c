"""`fairlead data`: inventory, checks, gaps and tables of a catalog made from a real file."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fairlead.engine.cli.data import command
from fairlead.engine.errors import FairleadError
from fairlead.engine.recording import checking
from fairlead.engine.recording.checking import CHECKSUMS
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow, gaps_path
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.raw import RawRecorder, raw_files
from fairlead.engine.recording.redact import Redactor
from tests.unit.recording.test_import_binance import DATA, USDM, events_of, lines_of

T0 = 1_723_161_255_000_000_000
DATA_RC, NO_DATA_RC, DRIFT_RC = 9, 4, 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the real file, with raw frames beside it; copied by each test."""
    root = tmp_path_factory.mktemp("made")
    import_binance(DATA / "binance_usdm_400.gz", root / "catalog")
    tap = RawRecorder(root, "X", redactor=Redactor())
    for number in range(3):
        tap.frame("x#1", "in", f'{{"n":{number}}}', T0 + number)
    assert tap.close()
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "rec"))


@pytest.fixture
def run() -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(command, [str(word) for word in words])


def files(root: Path, kind: str = "trades") -> list[Path]:
    return sorted((root / "catalog" / "data" / kind).rglob("*.parquet"))


def test_the_inventory_is_what_the_file_holds(run, root):
    told = json.loads(run("ls", root, "--json").stdout)
    rows = {one["kind"]: one for one in told["data"]}
    lines = lines_of("usdm")
    assert rows["trades"]["rows"] == len(events_of(lines, "trade"))
    assert rows["quotes"]["rows"] == len(events_of(lines, "bookTicker"))
    assert {one["name"] for one in told["data"]} == {USDM}
    assert rows["quotes"]["end_ns"] == int(lines[-1].split()[0])
    assert rows["trades"]["bytes"] == sum(one.stat().st_size for one in files(root))
    (raw,) = told["raw"]
    assert (raw["venue"], raw["files"], raw["start_ns"]) == ("x", 1, T0)
    assert f"{len(events_of(lines, 'trade'))} " in run("ls", root).stdout


def test_each_part_of_a_recording_is_found_alone(run, root):
    assert json.loads(run("ls", root / "catalog", "--json").stdout)["raw"] == []
    frames = json.loads(run("ls", root / "raw" / "x", "--json").stdout)
    assert frames["data"] == []
    assert frames["raw"][0]["files"] == 1


@pytest.mark.parametrize("verb", ["ls", "verify", "gaps", "replay", "convert"])
def test_what_is_no_recording_is_said(verb, run, tmp_path):
    more = ("--out", tmp_path / "out") if verb == "convert" else ()
    for place, says in ((tmp_path / "none", "does not exist"), (tmp_path, "holds no recording")):
        ended = run(verb, place, *more)
        assert isinstance(ended.exception, FairleadError)
        assert ended.exception.exit_code == NO_DATA_RC
        assert says in str(ended.exception)
        assert str(place) in str(ended.exception)


def test_what_the_disk_refuses_is_one_line(run, root, monkeypatch):
    def refuses(*_: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checking, "sha256", refuses)
    ended = run("verify", root)
    assert isinstance(ended.exception, FairleadError)
    assert (ended.exception.code, ended.exception.exit_code) == ("DATA-DISK", 1)


def test_checksums_are_those_of_sha256sum(run, root):
    assert run("verify", root, "--write").exit_code == 0
    for line in (root / "catalog" / CHECKSUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((root / "catalog" / name).read_bytes()).hexdigest() == digest
    told = json.loads(run("verify", root, "--json").stdout)
    assert told["checksums"] == told["files"] == 4
    assert (told["raw_records"], told["fault_count"]) == (3, 0)


def changed(root: Path) -> str:
    (path,) = files(root)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    return "checksum"


def cut(root: Path) -> str:
    (path,) = files(root)
    path.write_bytes(path.read_bytes()[:-40])
    return "no Parquet footer"


def gone(root: Path) -> str:
    (path,) = files(root)
    path.unlink()
    return "is gone"


def frame_damaged(root: Path) -> str:
    (path,) = raw_files(root)
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(data)
    return "checksum of the block"


def torn_gaps(root: Path) -> str:
    gaps_path(root / "catalog").write_text('{"kind":"gap"\n')
    return "no gap rows"


@pytest.mark.parametrize("damage", [changed, cut, gone, frame_damaged, torn_gaps])
def test_damage_is_a_fault_with_its_file(damage, run, root):
    assert run("verify", root, "--write").exit_code == 0
    says = damage(root)
    noted = (root / "catalog" / CHECKSUMS).read_bytes()
    ended = run("verify", root, "--write")
    assert ended.exit_code == DATA_RC
    assert says in ended.stderr
    assert "error DATA-FAULT" in ended.stderr
    assert (root / "catalog" / CHECKSUMS).read_bytes() == noted, "damage is never noted as good"


def test_a_file_that_was_joined_into_another_is_no_loss(run, root):
    run("verify", root, "--write")
    listed = root / "catalog" / CHECKSUMS
    (path,) = files(root)
    first, _, last = path.stem.partition("_")
    part = path.with_name(f"{first}_{first}.parquet").relative_to(root / "catalog")
    listed.write_text(listed.read_text() + f"{'0' * 64}  {part}\n")
    told = json.loads(run("verify", root, "--json").stdout)
    assert (told["joined"], told["fault_count"]) == (1, 0)
    assert last


def test_a_torn_end_of_raw_frames_is_no_fault(run, root):
    (path,) = raw_files(root)
    path.write_bytes(path.read_bytes()[:-5])
    ended = run("verify", root)
    assert ended.exit_code == 0
    assert "torn" in ended.stdout


def test_gaps_are_listed_in_order_by_instrument(run, root):
    with GapLog(gaps_path(root / "catalog")) as log:
        for name, at in ((USDM, 2), ("ETH.X", 1), ("", 3)):
            log.append(
                GapRow(
                    kind=GapKind.GAP, instrument=name, reason=f"why {at}", from_ns=T0 + at, to_ns=T0
                )
            )
    told = json.loads(run("gaps", root, "--json").stdout)
    assert [row["reason"] for row in told["rows"]] == ["why 1", "why 2", "why 3"]
    assert told["summary"]["kinds"] == {"gap": 3}
    only = json.loads(run("gaps", root, "--json", "--instrument", USDM).stdout)
    assert [row["reason"] for row in only["rows"]] == ["why 2", "why 3"]
    ended = run("gaps", root, "--instrument", "NO.X")
    assert isinstance(ended.exception, FairleadError)
    assert USDM in str(ended.exception)


def test_tables_hold_the_venues_own_numbers(run, root, tmp_path):
    """Recomputed from the file by json, csv and Decimal alone."""
    assert run("convert", root, "--out", tmp_path / "out").exit_code == 0
    with (tmp_path / "out" / "trades" / f"{USDM}.csv").open() as file:
        rows = list(csv.DictReader(file))
    events = events_of(lines_of("usdm"), "trade")
    for row, event in zip(rows, events, strict=True):
        assert (Decimal(row["price"]), Decimal(row["size"])) == (
            Decimal(event["p"]),
            Decimal(event["q"]),
        )
        assert row["trade_id"] == str(event["t"])
        assert row["aggressor"] == ("SELL" if event["m"] else "BUY")
        assert int(row["ts_event"]) == event["T"] * 1_000_000
    with (tmp_path / "out" / "quotes" / f"{USDM}.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(events_of(lines_of("usdm"), "bookTicker"))


def test_parquet_tables_have_exact_decimals(run, root, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    done = run("convert", root, "--out", tmp_path / "out", "--format", "parquet", "--json")
    for one in json.loads(done.stdout):
        table = parquet.read_table(one["file"])
        assert table.num_rows == one["rows"] > 0
    trades = parquet.read_table(tmp_path / "out" / "trades" / f"{USDM}.parquet").to_pylist()
    events = events_of(lines_of("usdm"), "trade")
    assert [row["price"] for row in trades] == [Decimal(event["p"]) for event in events]


def test_a_table_that_is_there_is_never_written_over(run, root, tmp_path):
    first = run("convert", root, "--out", tmp_path, "--instrument", USDM)
    assert first.exit_code == 0
    again = run("convert", root, "--out", tmp_path)
    assert isinstance(again.exception, FairleadError)
    assert again.exception.code == "CONVERT-EXISTS"
    assert not list(tmp_path.rglob("*.part"))
