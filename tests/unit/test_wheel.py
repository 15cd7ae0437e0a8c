"""What `pip install` of the project gives outside its checkout: the command, with its configs."""

from __future__ import annotations

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

PARTS = ("fairlead", "engine", "adapters", "strategies", "backtests", "configs")
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin folder of a fresh environment: the built wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source, made = folder / "source", folder / "made"
    source.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=NOT_SOURCES)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = ["wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(made)]
    run([*pip, *build], source)
    shutil.rmtree(source)
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (wheel,) = made.glob("*.whl")
    python = home / "bin" / "python"
    run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], folder)
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
