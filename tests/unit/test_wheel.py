"""What `pip install` of the project gives outside its checkout: the command, with its configs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT

LINKS = ("engine", "adapters", "strategies", "backtests", "configs")
PARTS = ("fairlead", *LINKS)
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "venv", "state", "data", "logs")


def run(command: list[str], cwd: Path, timeout_secs: float = 100) -> subprocess.CompletedProcess:
    ended = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_secs,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended


def says(python: Path, code: str) -> str:
    return run([str(python), "-c", code], python.parent).stdout.strip()


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


PACK = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def packed(source: Path, made: Path) -> Path:
    """The source distribution of a project's folder, in another."""
    made.mkdir()
    run([sys.executable, "-c", PACK, str(made)], source)
    (sdist,) = made.glob("*.tar.gz")
    return sdist


def built(source: Path, made: Path) -> Path:
    """The wheel of a project's folder, or of its source distribution, in another."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(made)]
    run([*PIP, "wheel", str(source), *options], source.parent)
    (wheel,) = made.glob("*.whl")
    return wheel


def install(python: Path, wheel: Path) -> None:
    into = ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    run([*PIP, *into], wheel.parent)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin folder of a fresh environment: the built wheel, and the dependencies of this one.

    The wheel is that of the source distribution: what one lacks, the other lacks.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source, made = folder / "source", folder / "made"
    source.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=NOT_SOURCES)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    wheel = built(packed(source, folder / "sdist"), made)
    for copied in (source, folder / "sdist"):
        shutil.rmtree(copied)
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    install(python, wheel)
    ours = says(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
    # The dependencies only: a path in a .pth brings no .pth files of its own, so not the checkout.
    theirs = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(ours, "dependencies.pth").write_text("\n".join(sorted(theirs)))
    yield home / "bin"
    shutil.rmtree(home)  # copies of sources: the search for credentials need not read them


def test_the_demo_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = says(installed / "python", "import fairlead; print(fairlead.__file__)")
    assert Path(where).is_relative_to(installed.parent)
    ended = run([str(installed / "fairlead"), "demo", "--seconds", "4"], tmp_path)
    assert "0 lost, 0 doubled" in ended.stdout
    assert (tmp_path / "out" / "demo" / "demo.toml").exists()
    assert str(ROOT) not in ended.stdout + ended.stderr


def test_its_strategies_are_found_by_a_config_elsewhere(installed: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    text = (ROOT / "configs" / "btcusdt-backtest-maker.toml").read_text()
    config.write_text(text)
    ended = run([str(installed / "fairlead"), "check", str(config)], tmp_path)
    assert ended.stdout.startswith("ok: ")
    assert os.listdir(tmp_path) == ["mine.toml"]


def sources(top: str) -> set[str]:
    """Every file that a wheel must have, as its path in the package."""
    kinds = (".py", ".toml") if top == "configs" else (".py",)
    files = (path for path in (ROOT / top).rglob("*") if path.suffix in kinds)
    return {f"fairlead/{path.relative_to(ROOT)}" for path in files if "state" not in path.parts}


def test_it_is_one_package_and_whole(installed: Path) -> None:
    """Nothing generic lies beside a user's own modules."""
    home = Path(says(installed / "python", "import fairlead; print(fairlead.__path__[0])"))
    (record,) = home.parent.glob("fairlead-*.dist-info/RECORD")
    listed = {line.partition(",")[0] for line in record.read_text().splitlines()}
    files = {name for name in listed if not name.endswith(".pyc") and not name.startswith("../")}
    assert {name.partition("/")[0] for name in files} == {"fairlead", record.parent.name}
    assert set().union(*map(sources, LINKS), {"fairlead/__init__.py"}) <= files


MINE = """
import engine
from fairlead import GuardedStrategy
from fairlead.strategies.imbalance_maker import ImbalanceMaker
from strategies.shared import WHOSE

assert (engine.WHOSE, WHOSE) == ("the user's", "the user's")


class Mine(ImbalanceMaker):
    assert issubclass(ImbalanceMaker, GuardedStrategy)
"""


def test_a_users_own_modules_of_any_name_load_beside_it(installed: Path, tmp_path: Path) -> None:
    """Those that were ours once, too: as modules, and as a file."""
    own = tmp_path / "strategies"
    own.mkdir()
    (own / "__init__.py").write_text("")
    for path in (tmp_path / "engine.py", own / "shared.py"):
        path.write_text('WHOSE = "the user\'s"\n')
    for name in ("adapters", "backtests", "configs"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not asked for')\n")
    (own / "mine.py").write_text(MINE)
    text = (ROOT / "configs" / "btcusdt-backtest-maker.toml").read_text()
    ours = '"fairlead.strategies.imbalance_maker:ImbalanceMaker"'
    assert ours in text
    for number, named in enumerate(("strategies.mine:Mine", "./strategies/mine.py:Mine")):
        config = tmp_path / f"{number}.toml"
        config.write_text(text.replace(ours, f'"{named}"'))
        command = [str(installed / "fairlead"), "check", str(config)]
        assert run(command, tmp_path).stdout.startswith("ok: ")


TOY = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "fairlead-toy"
version = "0.3"
[project.entry-points."fairlead.adapters"]
toy = "fairlead_toy.venue:SPEC"
[project.entry-points."fairlead.simulators"]
toy = "fairlead_toy.simulator:create"
""",
    "fairlead_toy/__init__.py": "",
    "fairlead_toy/venue.py": """
import msgspec
from fairlead.adapters.oceanex.venue import SPEC as LIKE
SPEC = msgspec.structs.replace(LIKE, name="toy")
""",
    "fairlead_toy/simulator.py": "from fairlead.adapters.oceanex.simulator import create\n",
}


def test_a_venue_of_another_distribution_trades(installed: Path, tmp_path: Path) -> None:
    for name, text in TOY.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    install(installed / "python", built(tmp_path / "toy", tmp_path / "made"))
    command = [str(installed / "fairlead"), "simulate", "--venues", "toy", "--seeds", "1", "--json"]
    answer = json.loads(run(command, tmp_path).stdout)
    assert (answer["sessions"], answer["failed"]) == (1, [])
    assert list(answer["hashes"]) == ["toy/1"]
    assert answer["counts"]["orders"] > 0
