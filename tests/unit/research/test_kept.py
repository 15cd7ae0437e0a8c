"""Runs are kept: one folder each, equal for equal runs, listed, shown, removed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.columns import COLUMNS
from fairlead.engine.research.find import find_run
from fairlead.engine.research.runs import STAMP_FILE, Run, newest, runs_below
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.support.order_lines import order_lines
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two equal runs of it are kept."""
    folder: Path = tmp_path_factory.mktemp("kept")
    catalog = write_catalog(folder / "catalog", perpetual(PERP), seconds=30, seed=5)
    file = all_strategies(folder, catalog)
    for _ in range(2):
        done = CliRunner().invoke(app, ["backtest", str(file), "--set", "simulated.latency_ms=2"])
        assert done.exit_code == 0, done.output
    return file


def kept(config: Path) -> list[Path]:
    return [*newest(config.parent / "state")]


def test_two_equal_runs_are_equal_to_the_byte_but_for_the_stamp(config: Path) -> None:
    one, two = kept(config)
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in two.iterdir()}
    assert {f"{name}.{suffix}" for name in COLUMNS for suffix in ("jsonl", "parquet")} < names
    differ = {name for name in names if (one / name).read_bytes() != (two / name).read_bytes()}
    assert differ == {STAMP_FILE}


def test_what_is_kept_says_what_it_was_made_of(config: Path) -> None:
    run = Run.at(kept(config)[0])
    assert run.damage() == []
    manifest, assumed = run.manifest, run.summary["assumptions"]
    assert (manifest.config, manifest.inputs) == (assumed["config"], assumed["inputs"])
    assert manifest.data == assumed["data"]["sha256"]
    assert manifest.config_file == hashlib.sha256(config.read_bytes()).hexdigest()
    assert run.folder is not None
    told = (run.folder / "config.json").read_bytes()
    assert hashlib.sha256(told).hexdigest() == manifest.config
    assert json.loads(told)["simulated"]["latency_ms"] == "2"
    assert "credentials" not in json.loads(told)["venues"]["test"]
    assert manifest.command == f"fairlead backtest {config} --set simulated.latency_ms=2"
    orders = run.rows("orders")
    assert len(orders) == run.summary["orders"]
    assert len(run.rows("fills")) == run.summary["fills"] > 0
    assert len(run.rows("latencies")) == len(orders)
    assert all(set(row) == set(COLUMNS["fills"]) for row in run.rows("fills"))


def test_tables_are_dataframes_and_parquet_of_the_same_columns(config: Path) -> None:
    pandas = pytest.importorskip("pandas")
    run = Run.at(kept(config)[0])
    for name, columns in COLUMNS.items():
        frame = run.frame(name)
        assert [*frame.columns] == [*columns]
        assert len(frame) == len(run.rows(name))
        assert run.folder is not None
        pandas.testing.assert_frame_equal(
            frame, pandas.read_parquet(run.folder / f"{name}.parquet")
        )
    assert str(run.frame("fills").ts_event.dtype) == "datetime64[ns, UTC]"


def test_prices_are_kept_without_a_change_to_any_order(config: Path) -> None:
    """Its own subscriptions, and being told of fills: every strategy trades as without."""
    told = []
    for marks in (True, False):
        result = run_backtest(load(config), marks=marks)
        told.append(order_lines(result.cache, result.parts.run_state.markets))
        assert bool(result.marks.samples) is marks
        result.dispose()
    assert told[0] == told[1]


def test_a_config_s_own_runs_are_found_from_anywhere(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of = ["--config", str(config)]
    listed = json.loads(invoke(["runs", "ls", "--json", *of]))
    assert {Path(one["folder"]) for one in listed} == set(kept(config))
    assert json.loads(invoke(["runs", "ls", "--json"])) == []
    assert listed[-1]["id"] in invoke(["runs", "show", "last", *of])
    assert "compare" not in json.loads(invoke(["report", "last", "--json", *of]))
    both = CliRunner().invoke(app, ["runs", "ls", "--in", "other", *of])
    assert (both.exit_code, "received both" in both.output) == (2, True)


def test_ls_show_and_rm(config: Path, tmp_path: Path) -> None:
    run = load(config, {"simulated.latency_ms": "2"})
    result = run_backtest(run)
    for _ in range(2):
        result.record().keep(tmp_path)
    result.record().write(tmp_path / "elsewhere")
    result.dispose()
    (tmp_path / "elsewhere" / "mine.txt").write_text("not the run's")
    where = ["--in", str(tmp_path)]
    listed = json.loads(invoke(["runs", "ls", "--json", *where]))
    assert len(listed) == len({one["id"] for one in listed}) == 3
    assert "net" in invoke(["runs", "ls", *where])
    for name in ("last", listed[0]["id"], listed[0]["folder"]):
        assert "inputs" in invoke(["runs", "show", name, *where])
    told = json.loads(invoke(["runs", "show", listed[0]["id"], "--json", *where]))
    assert (told["damage"], told["summary"]["mode"]) == ([], "backtest")
    fills = Path(listed[0]["folder"]) / "fills.jsonl"
    fills.write_text("")
    told_of = invoke(["runs", "show", listed[0]["folder"], *where], Exit.BAD_DATA)
    assert "DAMAGED  fills.jsonl was changed" in told_of
    invoke(["runs", "rm", "elsewhere", *where])
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["mine.txt"]
    invoke(["runs", "rm", "--but-last", "1", *where])
    assert len(runs_below(tmp_path)) == 1
    invoke(["runs", "rm", "last", *where])
    assert [*(tmp_path / "runs").iterdir()] == []
    invoke(["runs", "rm", "last", *where], Exit.NO_DATA)
    invoke(["runs", "rm", *where], Exit.USAGE)


def invoke(words: list[str], code: int = 0) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    return done.output


def test_what_is_no_run_is_said_so(config: Path, tmp_path: Path) -> None:
    with pytest.raises(FairleadError, match="RUN-NOT-FOUND"):
        find_run("no-such", tmp_path)
    with pytest.raises(FairleadError, match=r"no run of the 0 in .* has the id no-such"):
        find_run("no-such", tmp_path)
    with pytest.raises(FairleadError, match=r"it has no run\.json"):
        Run.at(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FairleadError, match="RUN-DAMAGED"):
        Run.at(tmp_path)
    run = Run.at(kept(config)[0])
    (tmp_path / "run.json").write_bytes(
        json.dumps({**json.loads(read(run, "run.json")), "format": 2}).encode()
    )
    with pytest.raises(FairleadError, match="RUN-FORMAT"):
        Run.at(tmp_path)
    with pytest.raises(KeyError, match="no table of a run"):
        run.rows("candles")


def test_a_run_is_there_whole_or_not_at_all(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_backtest(load(config))
    record = result.record()
    result.dispose()
    write, written = Path.write_bytes, []

    def full(path: Path, data: bytes) -> int:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(FairleadError, match="No space left on device"):
            record.keep(tmp_path)
    assert len(written) == 3
    assert [*(tmp_path / "runs").iterdir()] == []
    assert record.keep(tmp_path).files["orders"].startswith(str(tmp_path / "runs"))
    assert len(runs_below(tmp_path)) == 1


def read(run: Run, name: str) -> str:
    assert run.folder is not None
    return (run.folder / name).read_text()
