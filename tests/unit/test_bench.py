"""What `python -m benchmarks` says of ratios that it measured."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks import datasets
from benchmarks.__main__ import ROWS, Found, Row, kept, there, told
from fairlead.engine.recording.importers.binance import import_binance


def found(*ratios: float, limit: float | None = 2) -> Found:
    return Found(
        Row("journal", "journal", "insert", limit, "a write, a bare one"), ratios, 2e-5, 1e-5
    )


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((1.8, 1.9, 1.7, 9.0, 1.8), "kept"),  # one round was disturbed
        ((2.4, 2.1, 2.2, 1.0, 2.3), "BROKEN"),
        ((1.5, 2.5, 1.9, 2.1, 2.0), "unsure"),
        ((1.5,), "kept"),
    ],
)
def test_a_promise_is_kept_or_broken_where_the_rounds_agree(ratios, verdict) -> None:
    assert found(*ratios).verdict == verdict
    assert found(*ratios, limit=None).verdict == ""


def test_what_was_measured_is_kept_and_compared() -> None:
    rows = kept([found(2.4, 2.0, 2.2)], rounds=3)["rows"]
    assert json.loads(json.dumps(rows))["journal"]["median"] == 2.2
    line = told([found(1.0, 1.1, 1.2)], rows).splitlines()[1]
    assert line.split()[:2] == ["journal", "1.100"]
    assert "2.200" in line


def test_the_clock_of_who_imports_it_is_its_own() -> None:
    assert time.perf_counter is not time.process_time
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_row_whose_contender_is_not_here_is_left_out_and_said(capsys) -> None:
    rows = list(there(ROWS, {"convert": lambda: "it isn't installed"}))
    assert {row.name for row in ROWS} - {row.name for row in rows} == {"import-hft"}
    assert capsys.readouterr().out == "import-hft: left out, it isn't installed\n"
    assert list(there(ROWS, {"convert": str})) == list(ROWS)


def test_the_twin_of_a_recording_is_one_unbroken_recording(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(datasets, "RECORDING", tmp_path / "absent.gz")
    monkeypatch.setattr(datasets, "SAMPLE_TIMES", 3)
    file, what = datasets.stream_file(tmp_path)
    assert "absent.gz" in what
    report = import_binance(file, tmp_path / "catalog")
    assert (report.lines, report.malformed, report.gaps, report.clock_steps) == (1200, 0, 0, 0)
    once = import_binance(datasets.SAMPLE, tmp_path / "once").instruments[0]
    thrice = report.instruments[0]
    assert thrice.level_updates == 3 * once.level_updates
    assert (thrice.trades, thrice.trades_repeated) == (3 * once.trades, 0)
