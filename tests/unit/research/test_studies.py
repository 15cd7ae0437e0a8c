"""The studies of backtests/: their configs fit, and each ends with its pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.backtests import studies
from fairlead.backtests.synthetic import perpetual, write_catalog
from fairlead.engine.config.resolved import resolve
from fairlead.engine.research.space import param_of
from fairlead.engine.run.config import load
from fairlead.engine.run.trial import basis


@pytest.mark.parametrize("study", ["maker", "breakout", "crossing"])
def test_each_step_of_a_study_fits_its_config(study: str, tmp_path: Path) -> None:
    text = (studies.HERE / f"{study}_study.toml").read_text()
    (tmp_path / studies.CONFIG).write_text(text)
    catalog = write_catalog(tmp_path / "catalog", perpetual(studies.INSTRUMENT), seconds=20)
    loaded = load(tmp_path / studies.CONFIG)
    assert resolve(loaded, "backtest").problems == ()
    keys = basis(loaded).keys
    steps = list(studies._steps(study, catalog))
    assert [words[0] for words in steps] == ["study", "check", "sweep", "sweep"]
    for words in steps:
        params = [words[at + 1] for at, word in enumerate(words) if word == "--param"]
        assert len([param_of(one, keys) for one in params]) == (
            len(params) if words[0] == "sweep" else 0
        )
    assert steps[3][-6:-2] == ["--walk-forward", "6s/3s", "--embargo", "2s"]


@pytest.mark.long
def test_a_study_ends_with_its_pages(tmp_path: Path) -> None:
    assert studies.main(["breakout", "--seconds", "60", "--out", str(tmp_path)]) == 0
    folder = tmp_path / "study-breakout"
    for part in ("grid", "walk"):
        assert (folder / part / "sweep.html").stat().st_size > 1_000_000
    told = json.loads((folder / "grid" / "sweep.json").read_bytes())
    assert told["luck"]["tried"] == 24
    assert told["held_out"]["is_spent"] is False
