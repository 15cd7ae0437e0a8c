"""`fairlead check` and `fairlead config`: findings, exit codes, and the command around them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from typer.testing import CliRunner, Result

from fairlead.adapters import registry
from fairlead.engine.cli.app import VERBS, app
from fairlead.engine.codes.config import CODES
from fairlead.engine.config import model
from fairlead.engine.errors import MEANING, Exit, FairleadError
from fairlead.engine.run.config import explain, json_schema
from tests.support.patience import PATIENCE_SECS
from tests.unit.config_stub import CONFIGS, stub_adapter

FULL = CONFIGS / "full.toml"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [str(CONFIGS), *sys.path])
    monkeypatch.setenv("STUBEX_KEY", "hunter2-hunter2")
    with stub_adapter():
        yield


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def changed(folder: Path, *edits: tuple[str, str]) -> Path:
    """The full config with edits, without the key file that is not there."""
    text = FULL.read_text().replace('private_key = "file:stubex.pem"\n', "")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "run.toml"
    path.write_text(text)
    return path


def findings(path: Path, *options: str) -> list[dict[str, Any]]:
    result = run("check", path, "--json", *options)
    answer = json.loads(result.stdout)
    assert result.exit_code == (0 if answer["ok"] else 3)
    found: list[dict[str, Any]] = answer["problems"]
    assert answer["ok"] == (not found)
    assert {problem["code"] for problem in found} <= CODES.keys()
    return found


def only(path: Path, *options: str) -> dict[str, Any]:
    (problem,) = findings(path, *options)
    return problem


def test_a_good_config(tmp_path: Path) -> None:
    result = run("check", changed(tmp_path))
    assert (result.stdout, result.exit_code) == ("ok: btc-maker, 2 venues, 2 strategies\n", 0)


def test_a_wrong_file_prints_every_finding_and_ends_with_3(tmp_path: Path) -> None:
    path = changed(tmp_path, ("seed = 7", "sede = 7"), ('"150"', "150.0"))
    result = run("check", path)
    assert result.exit_code == 3
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{path}:7:1 E-CFG-014 run.sede is not a key; did you mean seed?")
    assert "E-CFG-021 risk.price_collar_bps" in second
    assert "2 problems" in result.stderr


@pytest.mark.parametrize(
    ("new", "code", "expected", "came", "hint"),
    [
        (
            "sample_strategis:Maker",
            "E-CFG-050",
            "a module",
            "sample_strategis",
            "did you mean",
        ),
        ("nowhere.at.all:Maker", "E-CFG-050", "a module", "no module nowhere", "looked in"),
        ("broken_module:Maker", "E-CFG-058", "a module", "no such luck (", ""),
        ("sample_strategies:Makr", "E-CFG-051", "a class of", "Makr", "did you mean Maker?"),
        ("sample_strategies:NotAStrategy", "E-CFG-052", "a subclass", "another class", "valid"),
        ("sample_strategies:some_number", "E-CFG-052", "a subclass", "a int", "valid"),
        ("sample_strategies:Strategy", "E-CFG-052", "a subclass", "another class", "valid"),
    ],
)
def test_a_strategy_that_does_not_import(
    tmp_path: Path, new: str, code: str, expected: str, came: str, hint: str
) -> None:
    path = changed(tmp_path, ("sample_strategies:Maker", new))
    problem = only(path)
    row = path.read_text().splitlines()[problem["line"] - 1]
    assert row == f'path = "{new}"'
    assert (problem["code"], problem["key"]) == (code, "strategies[0].path")
    assert expected in problem["expected"]
    assert came in problem["came"]
    assert hint in problem["hint"]


def test_a_strategy_beside_the_config_is_found(tmp_path: Path) -> None:
    (tmp_path / "beside_the_config.py").write_text("from sample_strategies import Maker\n")
    path = changed(tmp_path, ("sample_strategies:Maker", "beside_the_config:Maker"))
    assert findings(path) == []


def test_the_nearest_module_beside_the_config_is_told(tmp_path: Path) -> None:
    (tmp_path / "my_own_maker.py").write_text("")
    path = changed(tmp_path, ("sample_strategies:Maker", "my_own_makr:Maker"))
    assert only(path)["hint"] == "did you mean my_own_maker?"


def test_parameters_are_told_with_their_lines(tmp_path: Path) -> None:
    path = changed(tmp_path, ('order_quantity = "0.002"', 'order_quantty = "0.002"'))
    unknown, missing = sorted(findings(path), key=lambda problem: str(problem["code"]))
    assert (unknown["code"], unknown["hint"]) == ("E-CFG-054", "did you mean order_quantity?")
    assert "order_quantty" in path.read_text().splitlines()[unknown["line"] - 1]
    assert (missing["code"], missing["key"]) == ("E-CFG-055", "strategies[0].params.order_quantity")
    assert path.read_text().splitlines()[missing["line"] - 1] == "[strategies.params]"


def test_what_the_venue_cannot_do_is_named(tmp_path: Path) -> None:
    found = findings(changed(tmp_path, ("sample_strategies:Maker", "sample_strategies:Stopper")))
    assert [(problem["code"], problem["came"]) for problem in found] == [
        ("E-CFG-060", "STOP_LIMIT, which Stopper sends"),
        ("E-CFG-061", "FOK, which Stopper sends"),
        ("E-CFG-062", "post_only of Stopper"),
    ]
    assert "an order type that stubex has (LIMIT, MARKET)" in found[0]["expected"]


def test_post_only_by_parameter(tmp_path: Path) -> None:
    edit = ('half_spread_bps = "4.0"', 'half_spread_bps = "4.0"\npost_only = true')
    problem = only(changed(tmp_path, edit))
    assert (problem["code"], problem["key"]) == ("E-CFG-062", "strategies[0].params.post_only")


def test_a_recorded_venue_only_backtests(tmp_path: Path) -> None:
    path = changed(tmp_path)
    assert [p["code"] for p in findings(path, "--mode", "backtest")] == ["E-CFG-070"]
    for mode in ("live", "paper"):
        problem = only(path, "--mode", mode)
        assert (problem["code"], problem["key"]) == ("E-CFG-038", "venues.binance.adapter")


def test_secrets_are_looked_for_where_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STUBEX_KEY")
    path = changed(tmp_path)
    problem = only(path)
    assert (problem["code"], problem["key"]) == ("E-SEC-002", "venues.stubex.credentials.key")
    assert "STUBEX_KEY is not set" in problem["hint"]
    assert [p["code"] for p in findings(path, "--mode", "backtest")] == ["E-CFG-070"]
    bare = changed(tmp_path, ('[venues.stubex.credentials]\nkey = "env:STUBEX_KEY"\n', ""))
    assert findings(bare) == []
    codes = [problem["code"] for problem in findings(bare, "--mode", "live")]
    assert codes == ["E-CFG-042", "E-CFG-038"]


def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("hunter2-hunter2")
    (tmp_path / "key.txt").chmod(0o644)
    result = run("check", changed(tmp_path, ("env:STUBEX_KEY", "file:key.txt")))
    assert result.exit_code == 3
    assert "E-SEC-006" in result.stdout
    assert f"run: chmod 600 {tmp_path / 'key.txt'}" in result.stdout
    assert "hunter2" not in result.output


def test_a_mode_needs_a_strategy(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "x"\n[venues.stubex]\nadapter = "stubex"\ninstruments = ["A.STUBEX"]\n')
    assert findings(path) == []
    assert only(path, "--mode", "paper")["code"] == "E-CFG-010"


# the documentation of the keys


@pytest.fixture
def only_stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "FOLDER", tmp_path / "empty")


def structs(kind: msgspec.inspect.Type) -> Iterator[type]:
    from fairlead.engine.config.explain import _walk_structs

    yield from _walk_structs(kind)


def test_every_field_of_every_section_has_a_description() -> None:
    kinds = list(structs(msgspec.inspect.type_info(model.Config)))
    assert len(kinds) >= 9
    for kind in kinds:
        assert kind.__doc__
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        for field in info.fields:
            assert isinstance(field.type, msgspec.inspect.Metadata), f"{kind}.{field.name}"
            assert (field.type.extra_json_schema or {}).get("description"), f"{kind}.{field.name}"


def test_every_key_with_a_unit_in_its_name_has_that_unit() -> None:
    units = {"_ms": "ms", "_secs": "s", "_bps": "bps", "_mb": "MiB"}
    for kind in structs(msgspec.inspect.type_info(model.Config)):
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        for field in info.fields:
            for suffix, unit in units.items():
                if field.name.endswith(suffix):
                    assert isinstance(field.type, msgspec.inspect.Metadata)
                    assert (field.type.extra_json_schema or {}).get("x-unit") == unit, field.name


@pytest.mark.usefixtures("only_stub")
def test_the_schema_accepts_the_full_config_and_refuses_wrong_ones() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def builtins() -> Any:
        return json.loads(msgspec.json.encode(tomllib.loads(FULL.read_text())))

    assert list(validator.iter_errors(builtins())) == []
    for section, key, value in [
        ("risk", "max_dayly_loss", "5 USDT"),
        ("risk", "price_collar_bps", 1.5),
        ("risk", "max_open_orders", 0),
        ("run", "on_stop", "maybe"),
    ]:
        broken = builtins()
        broken[section][key] = value
        assert list(validator.iter_errors(broken)), key
    broken = builtins()
    broken["venues"]["stubex"]["options"] = {"dept": 1}
    assert list(validator.iter_errors(broken))


@pytest.mark.usefixtures("only_stub")
def test_the_schema_has_a_default_for_every_optional_key() -> None:
    for name, component in json_schema()["$defs"].items():
        required = set(component.get("required", ()))
        for key, entry in component["properties"].items():
            assert key in required or "default" in entry, f"{name}.{key}"


def test_the_schema_verb_documents_the_real_adapters_too() -> None:
    result = run("config", "--schema")
    assert result.exit_code == 0
    schema = json.loads(result.stdout)
    assert schema == json.loads(msgspec.json.encode(json_schema()))
    for name in registry.names():
        options = schema["$defs"][registry.spec(name).options.__name__]
        for key, entry in options["properties"].items():
            assert entry.get("description"), f"{name}: {key}"
            assert "default" in entry, f"{name}: {key}"


def test_one_key_explained() -> None:
    result = run("config", "--explain", "risk.price_collar_bps")
    assert result.exit_code == 0
    assert "risk.price_collar_bps\n" in result.stdout
    for row in ("unit: bps", 'default: "500"', "limits: more than 0", "exact decimal"):
        assert row in result.stdout


def test_the_overview_of_the_keys_names_every_one() -> None:
    result = run("config")
    assert result.exit_code == 0
    for section in ("[venues.NAME]", "[venues.NAME.fees]", "[strategies]", "[record]"):
        assert section in result.stdout
    for kind in structs(msgspec.inspect.type_info(model.Config)):
        for name in kind.__struct_fields__:
            assert f"    {name} " in result.stdout, name
    assert run("config", "--schema", "--explain", "risk").exit_code == 2


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("name", ["required", "of the form", 'example: "btc-maker"']),
        ("run.on_stop", ['one of "cancel", "keep"', 'default: "cancel"']),
        ("venues.stubex.account", ['default: "main"']),
        ("venues.stubex.fees.maker", ["unit: fraction", "rebate"]),
        ("venues.stubex.options.depth", ["Levels of the book", "at least 1, at most 50"]),
        ("venues.stubex.options", ["default: {}"]),
        ("strategies.id", ["NAME-TAG"]),
        ("strategies[0].path", ["module:Class"]),
        ("risk.max_order_notional", ["default: absent", 'example: "500 USDT"']),
        ("record.rotate_mb", ["unit: MiB", "default: 64"]),
        ("execution.unknown_query_ms", ["list of whole number", "default: [250,", "each at least"]),
        ("risk", ["max_open_orders", "Most orders open"]),
        ("record", ["rotate_secs"]),
        ("", ["the file", "venues", "strategies"]),
    ],
)
def test_keys_and_sections_explained(key: str, words: list[str]) -> None:
    text = explain(key)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("risk.max_dayly_loss", "max_dayly_loss is not a key of risk"),
        ("rsik", "did you mean risk?"),
        ("venues.stubex.options.dpth", "did you mean depth?"),
        ("risk.max_open_orders.deeper", "deeper is not a key of risk.max_open_orders"),
    ],
)
def test_a_key_that_is_not_there(key: str, hint: str) -> None:
    with pytest.raises(FairleadError) as caught:
        explain(key)
    assert hint in caught.value.message


# the command


def test_the_overview_names_the_verbs_and_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for verb, (_, line) in VERBS.items():
        assert verb in result.stdout
        assert line in result.stdout
    for code in Exit:
        assert f"{code.value:>4}  {MEANING[code]}" in result.stdout


def test_wrong_usage_ends_with_2() -> None:
    for words in (["chekc"], ["check"], ["check", "x.toml", "--mode", "dry"]):
        result = run(*words)
        assert result.exit_code == 2, words
        assert "Traceback" not in result.output
    assert "Did you mean 'check'?" in run("chekc").output


@pytest.mark.parametrize(("debug", "traced"), [(None, False), ("1", True)])
@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (FairleadError("E-X-1", "what came", 9), 9, "error E-X-1: what came"),
        (ValueError("odd\nmore"), 1, "error E-UNEXPECTED: ValueError: odd (FAIRLEAD_DEBUG=1"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    line: str,
    debug: str | None,
    traced: bool,
) -> None:
    def fail(_: str) -> str:
        raise error

    monkeypatch.setattr("fairlead.engine.run.config.explain", fail)
    if debug:
        monkeypatch.setenv("FAIRLEAD_DEBUG", debug)
    result = run("config", "--explain", "x")
    assert result.exit_code == code
    assert line in result.stderr
    assert ("Traceback" in result.stderr) == traced
    assert traced or result.stderr.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fairlead.engine.cli.app import app\n"
        "try: app(['--help'], prog_name='fairlead')\n"
        "except SystemExit: pass\n"
        "heavy = {'nautilus_trader', 'aiohttp', 'rich', 'cryptography'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=PATIENCE_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Exit codes:" in done.stdout


def minimal(folder: Path, venue: str, more: str = "") -> Path:
    path = folder / "run.toml"
    named = f'adapter = "{venue}"\ninstruments = ["BTC_USDT.{venue.upper()}"]\n'
    path.write_text(f'name = "x"\n{more}[venues.{venue}]\n{named}')
    return path


def test_fees_that_the_venue_tells_to_nobody_are_missing_on_paper(tmp_path: Path) -> None:
    path = minimal(tmp_path, "poloniex")
    codes = [problem["code"] for problem in findings(path, "--mode", "paper")]
    assert codes.count("FEES-MISSING") == 1
    started = run("paper", path)
    assert started.exit_code == Exit.CONFIG
    assert "FEES-MISSING" in started.stderr, "the start says the same, before it connects"
    assert "FEES-MISSING" not in [p["code"] for p in findings(path, "--mode", "live")]
    with path.open("a") as file:
        file.write('fees = { maker = "0.001", taker = "0.001" }\n')
    assert "FEES-MISSING" not in [p["code"] for p in findings(path, "--mode", "paper")]


def test_fees_that_are_public_are_not_asked_for(tmp_path: Path) -> None:
    path = minimal(tmp_path, "oceanex")
    assert "FEES-MISSING" not in [p["code"] for p in findings(path, "--mode", "paper")]


@pytest.mark.parametrize(
    ("options", "modes"),
    [
        ('balances = { BTC = "1" }, balances_at = 2999-01-01T00:00:00Z', ("", "live")),
        ('balances = { BTC = "1" }', ("live",)),  # on paper it may do without
        ('balances = { BTC = "1" }, balances_at = 2025-01-01T00:00:00Z', ()),
    ],
)
def test_options_that_a_start_refuses_are_found(
    tmp_path: Path, options: str, modes: tuple[str, ...]
) -> None:
    path = minimal(tmp_path, "zerocap")
    with path.open("a") as file:
        file.write(f"options = {{ {options} }}\n")
    for mode in ("", "live", "paper"):
        found = findings(path, *(("--mode", mode) if mode else ()))
        assert ("E-CFG-049" in [one["code"] for one in found]) is (mode in modes)
    if modes:
        started = run("live", path)
        assert started.exit_code == Exit.CONFIG
        assert "E-CFG-049" in started.stderr, "the start says the same, before it connects"


@pytest.mark.parametrize("where", ["/proc/1/state", "/sys/kernel/state", "file/state"])
@pytest.mark.parametrize("section", ["run.state_dir", "record.dir"])
def test_a_folder_that_takes_no_file(tmp_path: Path, where: str, section: str) -> None:
    (tmp_path / "file").write_text("")
    table, _, key = section.partition(".")
    path = minimal(tmp_path, "oceanex", f'[{table}]\n{key} = "{where}"\n')
    for mode in ([], ["--mode", "paper"]):
        (problem,) = [p for p in findings(path, *mode) if p["code"] == "STATE-UNWRITABLE"]
        assert problem["key"] == section


def test_a_state_folder_that_is_not_there_yet_stays_so(tmp_path: Path) -> None:
    path = minimal(tmp_path, "oceanex", '[run]\nstate_dir = "deep/state"\n')
    assert findings(path) == []
    assert [one.name for one in tmp_path.iterdir()] == ["run.toml"]


def test_a_backtest_without_data_is_found(tmp_path: Path) -> None:
    path = minimal(tmp_path, "oceanex")
    codes = {p["code"]: p["text"] for p in findings(path, "--mode", "backtest")}
    assert "data/catalog" in codes["E-CFG-070"]


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('no such luck')\n",
        "from sample_strategies import Maker as Base\nclass Maker(Base):\n"
        "    def __init__(self, config):\n        raise RuntimeError('no such luck')\n",
        "from sample_strategies import Maker as Base\nclass Config(Base.config_class):\n"
        "    def __init__(self, **_):\n        raise RuntimeError('no such luck')\n"
        "class Maker(Base):\n    config_class = Config\n",
    ],
)
def test_one_fault_of_code_is_told_once_for_all_strategies_of_it(tmp_path: Path, body: str) -> None:
    (tmp_path / "twice_broken.py").write_text(body)
    text = FULL.read_text()
    params = text[text.index("[strategies.params]") : text.index('[[strategies]]\nid = "trend-2"')]
    second = f'\n[[strategies]]\nid = "maker-9"\npath = "twice_broken:Maker"\n{params}\n[risk]'
    path = changed(
        tmp_path, ("sample_strategies:Maker", "twice_broken:Maker"), ("\n[risk]", second)
    )
    sys.modules.pop("twice_broken", None)
    problem = only(path)
    assert (problem["code"], problem["key"].split(".")[0]) == ("E-CFG-058", "strategies[0]")
    assert problem["hint"].startswith("the same stops strategies[2]")
    result = run("check", path)
    assert result.stdout.count("E-CFG-058") == 1
    assert result.stderr.count("Traceback") == 1
