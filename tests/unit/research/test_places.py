"""Where runs are looked for: nearest first, within a limit that is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import FairleadError
from fairlead.engine.research import places
from fairlead.engine.research.find import find_run
from fairlead.engine.research.places import RUN_FILE, Places


def _run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / RUN_FILE).write_text("{}")
    return folder


def test_runs_of_out_and_of_state_folders_are_found_to_their_depths(tmp_path: Path) -> None:
    near = [_run(tmp_path / name) for name in ("a", "a/b")]
    states = [tmp_path / name for name in ("s", ".hidden/t", "1/2/3/4")]
    kept = [_run(state / "runs" / "one") for state in states]
    _run(tmp_path / "1" / "2" / "too-deep")
    _run(tmp_path / "1/2/3/4/5/runs/too-deep")
    found = Places.of(tmp_path)
    assert sorted(set(found.runs)) == sorted({*near, *kept})
    assert sorted(found.states) == sorted(states)
    assert not str(found)
    assert Places.of(tmp_path / "none").runs == []


def test_a_folder_of_too_much_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "NAMES_MAX", 50)
    state = tmp_path / "state"
    _run(state / "runs" / "one")
    for number in range(60):
        (tmp_path / "foreign" / f"f{number}" / "deep").mkdir(parents=True)
    os.symlink(tmp_path, tmp_path / "foreign" / "circle")
    found = Places.of(tmp_path)
    assert state in found.states, "what is nearest is looked at first"
    assert found.names <= 50
    assert found.left_out
    assert f"after {found.names} names {found.left_out} folders" in str(found)
    listed = CliRunner().invoke(app, ["runs", "ls", "--json", "--in", str(tmp_path)])
    assert listed.exit_code == 0
    assert "RUNS-LEFT-OUT" in listed.stderr
    with pytest.raises(FairleadError, match="which run is the last one is not known"):
        find_run("last", tmp_path)
    with pytest.raises(FairleadError, match="folders, the farthest below it, were left out"):
        find_run("20250101", tmp_path)
    within = CliRunner().invoke(app, ["runs", "ls", "--in", str(state)])
    assert within.stderr == ""
