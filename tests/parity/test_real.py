"""A recording through import, verify, backtest, report and parity; a real one where it lies beside
the repository, else its first two seconds."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets import RECORDING
from tests.parity.real import explained, papered, researched
from tests.support.processes import ROOT

SAMPLE = ROOT / "tests" / "data" / "recording" / "binance_usdm_400.gz"


def judged(data: Path, folder: Path) -> dict[str, Any]:
    pytest.importorskip("plotly")
    found = researched(data, folder, print)
    first, second = found["backtests"]
    report = found["report"]
    # Reckoned from the rows of the run: what the report's numbers are to be
    fills = (found["runs"][0] / "fills.jsonl").read_text().splitlines()
    assert first["fills"] == len(fills)
    assert report["compare"]["differs"] == [
        {"key": "simulated.latency_ms", "this": "5", "other": "50"}
    ]
    assert report["compare"]["same_data"] is True
    assert (first["assumptions"]["data"], second["assumptions"]["data"])[0] is not None
    with gzip.open(data) as lines:
        trades = sum(b'"e":"trade"' in line or b'"e":"aggTrade"' in line for line in lines)
    assert trades > 0
    return found


@pytest.mark.slow
def test_a_sample_of_a_real_recording(tmp_path: Path) -> None:
    judged(SAMPLE, tmp_path)


@pytest.mark.slow
def test_a_paper_run_at_a_simulated_venue_is_explained(tmp_path: Path) -> None:
    found = papered(None, tmp_path, 10, print)
    assert found["paper"]["orders"] > 10
    assert explained(found) == []


@pytest.mark.long
def test_a_real_recording_to_its_parity(tmp_path: Path) -> None:
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING.name} is not beside the repository; the sample's test runs")
    found = judged(RECORDING, tmp_path)
    assert found["backtests"][0]["fills"] > 10
    paper = papered(found["catalog"], tmp_path, 30, print)
    assert paper["paper"]["fills"] > 0
    assert explained(paper) == []
