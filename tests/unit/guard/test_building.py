"""A strategy whose own code fails before the run is named, with its place, by `check` and a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data import raising
from tests.support.processes import run
from tests.unit.backtest_kit import MAKER, MAKER_PARAMS, config, perpetual, write_catalog

SOURCE = Path(raising.__file__)
PERP = "BTCUSDT.TEST"
# class -> code, exit code of a run, the words of its line, the words of the line that raised
FAULTS = {
    "InInit": ("E-CFG-058", 10, "Test-001: KeyError: 'in __init__'", '["in __init__"]'),
    "ExitInInit": ("E-CFG-058", 10, "Test-001: SystemExit: exit in __init__", "sys.exit("),
    "InConfigInit": ("E-CFG-058", 10, "LookupError: in the config's __init__", "LookupError("),
    "Refusing": ("E-CFG-057", 3, "ValueError: fast must be below slow", "ValueError("),
    "Overriding": ("E-CFG-059", 3, "Overriding overrides submit_order", ""),
    "WithoutConfig": ("E-CFG-066", 3, "__init__(self) -> None in {place}, too many", "(self) ->"),
    "WithMore": ("E-CFG-066", 3, "in {place}, missing a required argument: 'more'", ", more"),
    "OfNothing": ("E-CFG-067", 3, "def on_trade(self) in {place}, too many", "def on_trade(self)"),
    "OfMore": ("E-CFG-067", 3, "def on_stop(self, why) in {place}, missing", "def on_stop(self"),
    "OfOne": ("E-CFG-067", 3, "on_gate_denied(self, order) in {place}, too", "def on_gate_denied"),
    "OfClass": ("E-CFG-067", 3, "on_trade, a classmethod, in {place}, where", "@classmethod"),
    "OfNumber": ("E-CFG-067", 3, f"on_trade, of type int, in {SOURCE}, class OfNumber", ""),
    "OfObject": ("E-CFG-067", 3, f"on_stop, of type Called, in {SOURCE}, class OfObject", ""),
    "OfProperty": ("E-CFG-067", 3, "on_trade, of type property, in {place}", "@property"),
    "OnInstance": ("E-CFG-068", 3, "self.on_order_filled = ... in {place}", "filled = self.mine"),
    "InCallback": ("E-CFG-068", 3, "self.on_trade = ... in {place}", "= quote, print"),
    "Named": ("E-CFG-068", 3, "self.on_trade = ... in {place}", "# stands for on_trade"),
    "Hiding": ("E-CFG-068", 3, "self.stop = ... in {place}", "self.stop = None"),
    "ByName": ("E-CFG-066", 3, "in {place}, too many positional arguments", "(self, *, config"),
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("building") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=5, seed=11)


def place_of(words: str) -> str:
    lines = SOURCE.read_text().splitlines()
    return f"{SOURCE}:{next(n for n, line in enumerate(lines, 1) if words in line)}"


@pytest.mark.parametrize("cls", FAULTS)
def test_check_and_a_run_name_the_strategy_and_the_place(
    tmp_path: Path, catalog: Path, cls: str
) -> None:
    code, exit_code, told, source = FAULTS[cls]
    told = told.format(place=place_of(source)) if source else told
    file = config(tmp_path, catalog, f"tests.data.raising:{cls}", {})
    (problem,) = json.loads(run("check", file, "--json").stdout)["problems"]
    assert (problem["code"], problem["key"][:13]) == (code, "strategies[0]")
    assert told in problem["came"]
    checked = run("check", file)
    assert checked.returncode == 3
    assert len(checked.stdout.splitlines()) == 1
    ran = run("backtest", file)
    assert ran.returncode == exit_code
    assert code in ran.stderr
    assert told in ran.stderr
    assert "E-UNEXPECTED" not in ran.stderr
    if source:
        assert place_of(source) in problem["came"]
    file_line = 'File "{}", line {}'.format(*place_of(source or "class").rsplit(":", 1))
    traced = code == "E-CFG-058"
    for text in (problem["traceback"], checked.stderr, ran.stderr):
        assert (file_line in text) == traced


@pytest.mark.parametrize("verb", ["backtest", "check"])
def test_a_wrong_parameter_is_told_with_its_place_of_every_strategy(
    tmp_path: Path, catalog: Path, verb: str
) -> None:
    wrong = MAKER_PARAMS | {"requote_ms": "often"}
    file = config(tmp_path, catalog, MAKER, wrong)
    more = file.read_text().partition("[[strategies]]")[2].partition("\n[risk")[0]
    more = more.replace('"Test-001"', '"Test-002"').replace("requote_ms", "requote_mss")
    file.write_text(f"{file.read_text()}\n[[strategies]]{more}\n")
    ended = run(verb, file)
    assert ended.returncode == 3
    lines = file.read_text().splitlines()
    told = ended.stdout if verb == "check" else ended.stderr
    for code, key in (("E-CFG-056", "requote_ms"), ("E-CFG-054", "requote_mss")):
        number = next(n for n, line in enumerate(lines, 1) if line.startswith(f"{key} ="))
        (found,) = (line for line in told.splitlines() if f" {code} " in line)
        assert f"{file}:{number}:" in found
        assert f"strategies[{int(key == 'requote_mss')}].params.{key}" in found


def test_a_module_that_raises_at_its_import(tmp_path: Path, catalog: Path) -> None:
    module = tmp_path / "raises_at_import.py"
    module.write_text("import sys\n\nsys.exit(0)\n")
    file = config(tmp_path, catalog, "raises_at_import:Any", {})
    checked, ran = run("check", file), run("backtest", file)
    assert (checked.returncode, ran.returncode) == (3, 10)
    for text in (checked.stdout, ran.stderr):
        assert f"raises_at_import: SystemExit: 0 ({module}:3)" in text
    for text in (checked.stderr, ran.stderr):
        assert f'File "{module}", line 3, in <module>' in text


@pytest.mark.parametrize("verb", ["backtest", "live", "paper", "record"])
def test_an_error_at_the_start_is_in_the_json_too(tmp_path: Path, verb: str) -> None:
    ended = run(verb, tmp_path / "none.toml", "--json")
    assert ended.returncode == 3
    told = json.loads(ended.stdout)["error"]
    assert (told["code"], told["exit_code"]) == ("E-CFG", 3)
    assert ended.stderr.strip() == f"error E-CFG: {told['message']}"
    assert run(verb, tmp_path / "none.toml").stdout == ""


NOT_OF_RUN = (
    f"BadAnswerError: declared: expected an instrument of this run ({PERP}), 'BTCUSD.TEST' came; "
    f"did you mean {PERP}?"
)


def test_what_is_declared_of_no_instrument_of_the_run_is_found_by_check_and_at_the_start(
    tmp_path: Path, catalog: Path
) -> None:
    file = config(tmp_path, catalog, "tests.data.raising:Declaring", {})
    checked = run("check", file)
    assert checked.returncode == 3
    assert "E-CFG-069" in checked.stdout
    assert f"{NOT_OF_RUN} ({SOURCE}:" in checked.stdout
    ran = run("backtest", file)
    assert ran.returncode == 10
    assert f"a strategy faulted: Test-001.declared: {NOT_OF_RUN}" in ran.stderr


def test_what_only_a_started_strategy_can_declare_is_looked_at_by_the_start(
    tmp_path: Path, catalog: Path
) -> None:
    file = config(tmp_path, catalog, "tests.data.raising:DeclaringLate", {})
    assert run("check", file).returncode == 0
    ran = run("backtest", file)
    assert ran.returncode == 10
    assert "declared: expected inventory to be 0 or more base units, Decimal('-5')" in ran.stderr
