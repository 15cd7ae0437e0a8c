"""What `fairlead new` writes is clean, short, and runs as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.scaffold import write
from tests.support.own_venue import Own
from tests.support.venues import playable

RUFF = [str(Path(sys.executable).with_name("ruff"))]
LINES_MAX = 200
OPTIONS = ["--isolated", "--line-length", "100"]
RULES = ["--select", "E,F,W,I,UP,B,C90,DTZ,RUF,PERF,ASYNC,SIM", "--target-version", "py313"]


def run(*words: str | Path, code: int = 0) -> str:
    ended = CliRunner().invoke(app, [str(word) for word in words])
    assert ended.exit_code == code, ended.output
    return ended.output


def lines(path: Path) -> int:
    return sum(1 for line in path.read_text().splitlines() if line.strip())


def test_a_venue_is_installed_conforms_and_trades(tmp_path: Path) -> None:
    """Built without a network, found by its entry points, played by the cards, traded live."""
    own = Own(tmp_path)
    own.fairlead("new venue harbour harbour")
    package = tmp_path / "harbour" / "fairlead_harbour"
    assert lines(package / "adapter.py") + lines(package / "simulator.py") < LINES_MAX
    own.install("harbour")
    told = own.fairlead("conformance harbour --cards orders.lost-answer,sessions --seeds 2")
    assert "harbour: 2 cards, 2 passed" in told
    own.fairlead("new strategy mine mine --venue harbour")
    config = tmp_path / "mine" / "mine.toml"
    with own.serving("venue harbour --port 8610 --account-dir mine/venue", config):
        journal = tmp_path / "mine" / "state" / "harbour-main.journal.sqlite"
        told = own.trade("live mine/mine.toml", journal, 2)
    assert "MARKET 2" in told


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    """As a user's ruff sees it, whose first party is not fairlead. (mypy reads the sources.)"""
    run("new", "venue", "harbour", tmp_path / "harbour")
    run("new", "strategy", "deep_water", tmp_path / "mine")
    subprocess.run([*RUFF, "check", *OPTIONS, *RULES, "."], cwd=tmp_path, check=True)
    subprocess.run([*RUFF, "format", "--check", *OPTIONS, "."], cwd=tmp_path, check=True)
    for path in tmp_path.rglob("*.py"):
        assert "toy" not in path.read_text().lower().replace("history", ""), path
    assert "class DeepWaterConfig(" in (tmp_path / "mine" / "deep_water.py").read_text()


@pytest.mark.parametrize("venue", playable())
def test_a_strategy_has_a_config_for_each_venue(tmp_path: Path, venue: str) -> None:
    run("new", "strategy", "mine", tmp_path, "--venue", venue)
    (tmp_path / "venue").mkdir()
    # as the simulated venue writes them: one asks for a key before it tells any price
    for name in re.findall(r'"file:venue/(\w+)"', (tmp_path / "mine.toml").read_text()):
        key = tmp_path / "venue" / name
        key.touch(0o600)
        key.write_text("a-key-of-the-simulated-venue")
    told = run("check", tmp_path / "mine.toml", "--mode", "paper")
    assert told.strip().endswith("ok: mine, 1 venue, 1 strategy")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["venue", "Harbour"], "expected a name of small letters"),
        (["venue", "class"], "expected a name of small letters"),
        (["venue", "simulation"], "simulation is taken"),
        (["venue", "poloniex"], "poloniex is taken"),
        (["strategy", "json", "."], "json is a module of Python's"),
        (["strategy", "fairlead", "."], "fairlead is a module of Python's or of a package"),
        (["strategy", "pytest", "."], "pytest is a module of Python's or of a package"),
        (["strategy", "mine", ".", "--venue", "nowhere"], "no venue 'nowhere' with a simulator"),
    ],
)
def test_what_can_not_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told in run("new", *words, code=Exit.USAGE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("has", "asks"), [(None, True), ("69.5.1", True), ("77.0.3", False)])
def test_what_builds_a_venue_is_asked_for_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has: str | None, asks: bool
) -> None:
    """A new environment has no setuptools: the printed command failed there."""

    def version(name: str) -> str:
        if has is None:
            raise PackageNotFoundError(name)
        return has

    monkeypatch.setattr(write, "version", version)
    told = run("new", "venue", "harbour", tmp_path / "harbour")
    assert ('pip install "setuptools>=77"' in told) is asks
    assert f"setuptools>={write.SETUPTOOLS}" in write.PYPROJECT


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("kept")
    assert "mine.py is there already" in run("new", "strategy", "mine", tmp_path, code=2)
    assert "is there already" in run("new", "venue", "harbour", tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
    assert (tmp_path / "mine.py").read_text() == "kept"
