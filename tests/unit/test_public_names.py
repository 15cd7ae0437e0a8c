"""`import fairlead`: what it promises, and that it costs nothing before it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fairlead

ROOT = Path(__file__).resolve().parents[2]


def test_each_public_name_is_there_and_told_of() -> None:
    for name in fairlead.__all__:
        assert getattr(fairlead, name) is getattr(fairlead, name)
        assert f"`{name}`" in (fairlead.__doc__ or "")
        assert name in dir(fairlead)
    with pytest.raises(AttributeError, match="module 'fairlead' has no attribute 'engines'"):
        _ = fairlead.engines


def test_the_package_costs_nothing_before_it_is_asked() -> None:
    code = (
        "import sys; before = set(sys.modules); import fairlead\n"
        "new = {name for name in set(sys.modules) - before if name.startswith('fairlead')}\n"
        "heavy = {'nautilus_trader', 'msgspec', 'typer', 'asyncio'} & sys.modules.keys()\n"
        "assert (new, heavy) == ({'fairlead'}, set()), (new, heavy)\n"
        "from fairlead import Exit\n"
        "assert 'nautilus_trader' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_links_name_the_folders() -> None:
    """What is installed, linted, typed and tested is one tree."""
    links = {path.name: path for path in (ROOT / "fairlead").iterdir() if path.is_symlink()}
    assert set(links) == {"adapters", "backtests", "configs", "engine", "strategies"}
    for name, path in links.items():
        assert path.readlink() == Path("..", name)


def test_no_text_names_a_module_without_its_package() -> None:
    """The linter sees imports; this, what is imported by name, and what documents say."""
    modules = {
        top: {path.stem for path in (ROOT / top).iterdir() if path.suffix in ("", ".py")}
        for top in ("engine", "adapters", "strategies", "backtests")
    }
    bare = "|".join(
        rf"{top}\.(?:{'|'.join(sorted(names - {'__init__', '__pycache__'}))})\b(?!\()"
        for top, names in modules.items()
    )
    named = re.compile(rf"(?<![\w.$/-])(?:{bare})")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for folder in (*modules, "benchmarks", "configs", "docs", "fairlead", "tests")
        for path in [*(ROOT / folder).rglob("*"), *ROOT.glob("*.toml"), ROOT / "README.md"]
        if path.suffix in (".py", ".md", ".toml") and path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if named.search(line)
    ]
    assert found == []
