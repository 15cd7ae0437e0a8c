"""A strategy named by its file, `./mine.py:Mine`: found from the config's folder, loaded once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.backtests.synthetic import perpetual, write_catalog
from fairlead.engine.config.strategies import import_strategy
from fairlead.engine.observe.backtest_story import explain_backtest
from fairlead.engine.run.backtest import RunResult
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import run as backtest
from tests.unit.cli.test_config_check import changed, findings, only
from tests.unit.config_stub import CONFIGS, stub_adapter

SOURCE = CONFIGS / "sample_strategies.py"
PLAIN = Path(__file__).parents[2] / "data" / "plain_strategy.py"
PERP = "BTCUSDT.TEST"


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [str(CONFIGS), *sys.path])
    monkeypatch.setenv("STUBEX_KEY", "hunter2-hunter2")
    with stub_adapter():
        yield


def naming(folder: Path, named: str) -> Path:
    return changed(folder, ("sample_strategies:Maker", named))


def folder_with(folder: Path, text: str, name: str = "mine.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("named", ["./mine.py", "mine.py", "sub/../mine.py", "{folder}/mine.py"])
def test_a_file_is_found_from_the_configs_folder(tmp_path: Path, named: str) -> None:
    folder_with(tmp_path / "sub", "")
    folder_with(tmp_path, SOURCE.read_text())
    path = naming(tmp_path, f"{named.format(folder=tmp_path)}:Maker")
    assert findings(path) == []
    cls = import_strategy(load(path), 0)
    assert cls.__name__ == "Maker"
    assert cls is import_strategy(load(path), 0)  # loaded once: class, check and run are of one
    assert Path(sys.modules[cls.__module__].__file__ or "") == tmp_path / "mine.py"


def test_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = folder_with(tmp_path / name, f"{SOURCE.read_text()}\nWHERE = {name!r}\n")
        cls = import_strategy(load(naming(folder, "./mine.py:Maker")), 0)
        found.append((cls, sys.modules[cls.__module__].WHERE))  # type: ignore[attr-defined]
    assert [where for _, where in found] == ["one", "two"]
    assert found[0][0] is not found[1][0]


def test_a_file_takes_the_place_of_no_module(tmp_path: Path) -> None:
    folder_with(tmp_path, SOURCE.read_text(), "json.py")
    assert import_strategy(load(naming(tmp_path, "./json.py:Maker")), 0).__name__ == "Maker"
    assert sys.modules["json"] is json


def test_a_file_without_such_a_name_as_modules_have(tmp_path: Path) -> None:
    folder_with(tmp_path, SOURCE.read_text(), "my-maker 1.2.py")
    assert findings(naming(tmp_path, "./my-maker 1.2.py:Maker")) == []


BROKEN = "from nautilus_trader.trading import Strategy\nclass Mine(Strategy:\n    pass\n"
MAKER = SOURCE.read_text()
NOT_ONE = f"{MAKER}\nclass Mine:\n    pass\n"


@pytest.mark.parametrize(
    ("named", "text", "code", "expected", "came", "hint"),
    [
        ("./mien.py:Mine", "", "E-CFG-050", "{folder}", "mien.py (no such", "mean mine.py?"),
        ("no/mine.py:Mine", "", "E-CFG-050", "a file that can be read", "(no such", ""),
        ("folder.py:Mine", "", "E-CFG-050", "a file that can be read", "directory", ""),
        ("~no-one/mine.py:Mine", "", "E-CFG-050", "a file that can be read", "home", ""),
        (
            "./mine.py:Makr",
            MAKER,
            "E-CFG-051",
            "a class of ./mine.py",
            "Makr",
            "Maker",
        ),
        ("./mine.py:Mine", NOT_ONE, "E-CFG-052", "a subclass", "another class", "valid: "),
        ("./mine.py:Mine", BROKEN, "E-CFG-058", "a file", "SyntaxError", ""),
        ("./mine.py:Mine", "\0", "E-CFG-058", "a file", "SyntaxError", ""),
        ("./mine.py:Mine", "import nowhere", "E-CFG-058", "a file", "No module named 'now", ""),
        ("./mine.py:Mine", "open('/no/such')", "E-CFG-058", "a file", "FileNotFoundError", ""),
        ("./mine.py:Mine", "raise SystemExit(0)", "E-CFG-058", "a file", "SystemExit", ""),
    ],
)
def test_a_file_that_is_no_strategy(
    tmp_path: Path, named: str, text: str, code: str, expected: str, came: str, hint: str
) -> None:
    (tmp_path / "folder.py").mkdir()
    before = set(sys.modules)
    path = naming(folder_with(tmp_path, text), named)
    problem = only(path)
    assert path.read_text().splitlines()[problem["line"] - 1] == f'path = "{named}"'
    assert (problem["code"], problem["key"]) == (code, "strategies[0].path")
    assert expected.format(folder=tmp_path) in problem["expected"]
    assert came.lower() in problem["came"].lower()
    assert hint in problem["hint"]
    left = sys.modules.keys() - before
    assert code != "E-CFG-058" or not [name for name in left if name.startswith("mine")]


def test_a_file_that_failed_is_read_again(tmp_path: Path) -> None:
    path = naming(folder_with(tmp_path, BROKEN), "./mine.py:Maker")
    assert "mine.py, line 2" in only(path)["came"]
    (tmp_path / "mine.py").write_text(SOURCE.read_text())
    assert findings(path) == []


@pytest.mark.parametrize("named", ["./mine.py", "./mine:Maker", ".py:Maker", "./mine.py:1"])
def test_a_text_that_names_neither(tmp_path: Path, named: str) -> None:
    problem = only(naming(folder_with(tmp_path, ""), named))
    assert (problem["code"], problem["key"]) == ("E-CFG-025", "strategies[0].path")


def test_a_strategy_of_ours_under_its_old_name_is_told_its_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also beside a package of the user's own that has the old name."""
    folder_with(tmp_path / "strategies", "", "__init__.py")
    old = ".".join(("strategies", "breakout"))
    problem = only(naming(tmp_path, f"{old}:Breakout"))
    assert problem["code"] == "E-CFG-050"
    assert problem["hint"] == f"did you mean fairlead.{old}?"
    monkeypatch.delitem(sys.modules, "strategies", raising=False)


def ran(folder: Path, catalog: Path) -> RunResult:
    folder_with(folder, PLAIN.read_text())
    params = {"instrument_id": PERP, "size": "0.100"}
    return backtest(folder, catalog, "./mine.py:Plain", params)


def test_what_a_run_tells_of_it(tmp_path: Path) -> None:
    """Its id, as of any strategy, and its path as the config has it; no folder in any hash."""
    catalog = write_catalog(tmp_path / "catalog", perpetual(PERP), seconds=20, seed=11)
    inputs = set()
    for name in ("here", "there"):
        result = ran(tmp_path / name, catalog)
        written = result.record().write(tmp_path / name / "out")
        (told,) = json.loads(written.json())["assumptions"]["strategies"]
        assert (told["id"], told["path"]) == ("Test-001", "./mine.py:Plain")
        order = str(result.cache.orders()[0].client_order_id)
        story = explain_backtest(order, tmp_path / name / "out")
        assert story is not None
        assert story.strategy == "Test-001"
        inputs.add(json.loads(written.json())["assumptions"]["inputs"])
    assert len(inputs) == 1


def test_a_file_that_a_module_of_pythons_hides_is_named(tmp_path: Path) -> None:
    """`json:Maker` found Python's own json, and said that it has no Strategy class."""
    folder_with(tmp_path, MAKER, "json.py")
    problem = only(naming(tmp_path, "json:Maker"))
    assert problem["code"] == "E-CFG-051"
    assert '"json.py:Maker" for the file beside the config' in problem["hint"]
