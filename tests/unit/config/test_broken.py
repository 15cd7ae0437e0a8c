"""Deliberately broken configs: each is answered with the line, the key, and what to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fairlead.engine.codes.config import CODES
from fairlead.engine.config.loader import CONFIG_BYTES_MAX
from fairlead.engine.config.problems import ConfigError, ConfigProblem
from fairlead.engine.run.config import load
from tests.unit.config_stub import stub_adapter

BASE = """\
name = "btc-maker"
[run]
seed = 7
[venues.stubex]
adapter = "stubex"
instruments = ["BTC_USDT.STUBEX", "ETH_USDT.STUBEX"]
[[strategies]]
id = "maker-1"
path = "strategies.maker:Maker"
[strategies.params]
instrument_id = "BTC_USDT.STUBEX"
size = "0.002"
[risk]
price_collar_bps = "150"
max_open_orders = 20
max_position = { "BTC_USDT.STUBEX" = "0.05" }
[backtest]
start = 2026-11-01T00:00:00Z
end = 2026-11-08T00:00:00Z
"""


class Case(NamedTuple):
    """`old` of BASE is replaced by `new`; the finding then holds the rest."""

    name: str
    old: str
    new: str
    line: int
    code: str
    key: str
    expected: str
    came: str
    hint: str


SECOND = '[[strategies]]\nid = "{}"\npath = "a:B"\n[risk]'
CASES = [
    Case("missing name", 'name = "btc-maker"', "", 1, "E-CFG-010", "name", "Name of", "nothing",
         ""),
    Case("missing path", 'path = "strategies.maker:Maker"', "", 7, "E-CFG-010",
         "strategies[0].path", "module:Class", "nothing", ""),
    Case("missing venues", '[venues.stubex]\nadapter = "stubex"\ninstruments = '
         '["BTC_USDT.STUBEX", "ETH_USDT.STUBEX"]', "", 1, "E-CFG-010", "venues", "Venue accounts",
         "nothing", ""),
    Case("typo in risk", "max_open_orders", "max_open_order", 15, "E-CFG-014",
         "risk.max_open_order", "max_open_orders", "max_open_order",
         "did you mean max_open_orders?"),
    Case("typo in run", "seed", "sede", 3, "E-CFG-014", "run.sede", "seed", "sede", "mean seed?"),
    Case("typo in section", "[risk]", "[riks]", 13, "E-CFG-014", "riks", "risk", "riks",
         "did you mean risk?"),
    Case("singular section", "[[strategies]]", "[[strategy]]", 7, "E-CFG-014", "strategy",
         "strategies", "strategy", "did you mean strategies?"),
    Case("typo in venue", "instruments", "instrument", 6, "E-CFG-014",
         "venues.stubex.instrument", "instruments", "instrument", "did you mean instruments?"),
    Case("typo in strategy", "\nid =", "\nname_ =", 8, "E-CFG-014", "strategies[0].name_",
         "id", "name_", "name"),
    Case("nothing like it", "seed", "zzz", 3, "E-CFG-014", "run.zzz", "seed", "zzz",
         "valid: log_level"),
    Case("quoted typo", "seed", '"se ed"', 3, "E-CFG-014", 'run."se ed"', "seed", "se ed", "seed?"),
    Case("dotted typo", "[run]\nseed", "run.sede", 2, "E-CFG-014", "run.sede", "seed", "sede",
         "did you mean seed?"),
    Case("wrong section", "seed = 7", "max_open_orders = 7", 3, "E-CFG-015",
         "run.max_open_orders", "this section", "max_open_orders", "belongs in [risk]"),
    Case("top-level key below", "seed = 7", 'name = "x"', 3, "E-CFG-015", "run.name",
         "this section", "name", "at the top of the file, above the first [table]"),
    Case("venue's key in risk", "max_open_orders = 20", 'account = "main"', 15, "E-CFG-015",
         "risk.account", "this section", "account", "belongs in [venues.NAME]"),
    Case("strategy's key in run", "seed = 7", "params = {}", 3, "E-CFG-015", "run.params",
         "this section", "params", "belongs in [[strategies]]"),
    Case("seed as text", "seed = 7", 'seed = "7"', 3, "E-CFG-020", "run.seed", "a whole number",
         '"7"', "write 7, without quotes"),
    Case("seed as float", "seed = 7", "seed = 7.0", 3, "E-CFG-020", "run.seed", "a whole number",
         "the float 7.0", ""),
    Case("boolean as text", "[backtest]", '[record]\nraw = "true"\n[backtest]', 18, "E-CFG-020",
         "record.raw", "true or false", '"true"', "write true, without quotes"),
    Case("boolean as number", "[backtest]", "[record]\nraw = 1\n[backtest]", 18, "E-CFG-020",
         "record.raw", "true or false", "the integer 1", ""),
    Case("section as value", "[run]\nseed = 7", "run = 5", 2, "E-CFG-020", "run", "a table, [run]",
         "the integer 5", ""),
    Case("one bracket", "[[strategies]]", "[strategies]", 7, "E-CFG-020", "strategies",
         "a list of tables", "a table", "[[strategies]] with two brackets"),
    Case("instruments as text", '["BTC_USDT.STUBEX", "ETH_USDT.STUBEX"]', '"BTC_USDT.STUBEX"', 6,
         "E-CFG-020", "venues.stubex.instruments", "a list", "BTC_USDT", "in brackets"),
    Case("number in a list", '"ETH_USDT.STUBEX"', "7", 6, "E-CFG-020",
         "venues.stubex.instruments[1]", "a text in quotes", "the integer 7", ""),
    Case("date as text", "2026-11-01T00:00:00Z", '"2026-11-01"', 18, "E-CFG-020",
         "backtest.start", "a UTC date-time", "2026-11-01", "without quotes"),
    Case("no date as text", "2026-11-01T00:00:00Z", '"2026-13-01"', 18, "E-CFG-020",
         "backtest.start", "a UTC date-time", "2026-13-01", "is no date-time (month must be in"),
    Case("date only", "2026-11-01T00:00:00Z", "2026-11-01", 18, "E-CFG-020", "backtest.start",
         "2026-11-01T00:00:00Z", "the date 2026-11-01", ""),
    Case("decimal as boolean", '"150"', "true", 14, "E-CFG-020", "risk.price_collar_bps",
         "an exact decimal", "the boolean true", ""),
    Case("decimal as float", '"150"', "150.0", 14, "E-CFG-021", "risk.price_collar_bps",
         'an exact decimal as a string, e.g. "150"', "the float 150.0", ""),
    Case("float in a table", '"0.05"', "0.05", 16, "E-CFG-021",
         'risk.max_position."BTC_USDT.STUBEX"', 'e.g. "0.05"', "the float 0.05", ""),
    Case("float in params", '"0.002"', "0.002", 12, "E-CFG-021", "strategies[0].params.size",
         "an exact decimal as a string", "the float 0.002", 'write it as a string, "0.002"'),
    Case("float deep in params", '"0.002"', "[1, { a = 2.5 }]", 12, "E-CFG-021",
         "strategies[0].params.size[1].a", "an exact decimal", "the float 2.5", '"2.5"'),
    Case("infinite decimal", '"150"', "inf", 14, "E-CFG-021", "risk.price_collar_bps",
         "an exact decimal", "the float inf", ""),
    Case("decimal with unit", '"150"', '"150 bps"', 14, "E-CFG-022", "risk.price_collar_bps",
         "an exact decimal", "150 bps", "no exponent, separator, unit"),
    Case("decimal with exponent", '"150"', '"1.5e2"', 14, "E-CFG-022", "risk.price_collar_bps",
         "an exact decimal", "1.5e2", "no exponent"),
    Case("decimal with comma", '"150"', '"150,5"', 14, "E-CFG-022", "risk.price_collar_bps",
         "an exact decimal", "150,5", "the point is ."),
    Case("unknown level", "seed = 7", 'log_level = "WARN"', 3, "E-CFG-023", "run.log_level",
         '"DEBUG", "ERROR", "INFO", "WARNING"', '"WARN"', 'did you mean "WARNING"?'),
    Case("unknown stop", "seed = 7", 'on_stop = "cancell"', 3, "E-CFG-023", "run.on_stop",
         '"cancel", "keep"', '"cancell"', 'did you mean "cancel"?'),
    Case("newer schema", "[run]", "schema = 2\n[run]", 2, "E-CFG-023", "schema", "1",
         "the integer 2", ""),
    Case("zero orders", "max_open_orders = 20", "max_open_orders = 0", 15, "E-CFG-024",
         "risk.max_open_orders", "at least 1", "the integer 0", ""),
    Case("too slow a stop", "seed = 7", "stop_timeout_secs = 61", 3, "E-CFG-024",
         "run.stop_timeout_secs", "at most 60", "the integer 61", ""),
    Case("negative collar", '"150"', '"-1"', 14, "E-CFG-024", "risk.price_collar_bps",
         "more than 0", '"-1"', ""),
    Case("no instruments", '["BTC_USDT.STUBEX", "ETH_USDT.STUBEX"]', "[]", 6, "E-CFG-024",
         "venues.stubex.instruments", "at least 1", "none", ""),
    Case("option outside", "[[strategies]]", "options.depth = 51\n[[strategies]]", 7, "E-CFG-024",
         "venues.stubex.options.depth", "at most 50", "the integer 51", ""),
    Case("zero wait", "[backtest]",
         "[execution]\nunknown_query_ms = [\n  100,\n  0,\n]\n[backtest]", 20,
         "E-CFG-024", "execution.unknown_query_ms[1]", "at least 1", "the integer 0", ""),
    Case("name with blank", '"btc-maker"', '"btc maker"', 1, "E-CFG-025", "name",
         'such as "btc-maker"', '"btc maker"', 'write "btc-maker"'),
    Case("id without tag", '"maker-1"', '"maker"', 8, "E-CFG-025", "strategies[0].id",
         'such as "maker-1"', '"maker"', 'write "maker-1"'),
    Case("path without class", '"strategies.maker:Maker"', '"strategies.maker.Maker"', 9,
         "E-CFG-025", "strategies[0].path", '.strategies.breakout:Breakout" or "./mine.py:Mine"',
         "maker.Maker", ""),
    Case("money without blank", "max_open_orders = 20", 'max_order_notional = "500usdt"', 15,
         "E-CFG-025", "risk.max_order_notional", 'such as "500 USDT"', '"500usdt"',
         'write "500 USDT"'),
    Case("money without currency", "max_open_orders = 20", 'max_order_notional = "500"', 15,
         "E-CFG-025", "risk.max_order_notional", 'such as "500 USDT"', '"500"', ""),
    Case("balance in lower case", "[backtest]", '[simulated]\nbalances = ["1 btc"]\n[backtest]', 18,
         "E-CFG-025", "simulated.balances[0]", 'such as "500 USDT"', '"1 btc"', 'write "1 BTC"'),
    Case("local date-time", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00", 18, "E-CFG-026",
         "backtest.start", "a UTC date-time", "2026-11-01", "write 2026-11-01T00:00:00Z"),
    Case("home of nobody", "seed = 7", 'state_dir = "~nobody-of-this-name/x"', 3, "E-CFG-027",
         "run.state_dir", "a folder", '"~nobody-of-this-name/x"', "for ~nobody-of-this-name: "),
    Case("recorded at nobody's", "[backtest]", '[record]\ndir = "~nobody-of-this-name"\n[backtest]',
         18, "E-CFG-027", "record.dir", "a folder", '"~nobody', "the whole path"),
    Case("catalog with a NUL", "[backtest]", '[backtest]\ncatalog = "a\\u0000b"', 18, "E-CFG-027",
         "backtest.catalog", "a folder", "a\\x00b", "can't hold a NUL"),
    Case("no venue suffix", '["BTC_USDT.STUBEX", "ETH', '["BTC_USDT", "BTC_USDT.STUBEX", "ETH', 6,
         "E-CFG-030", "venues.stubex.instruments[0]", "ends with .STUBEX", '"BTC_USDT"',
         'did you mean "BTC_USDT.STUBEX"?'),
    Case("venue in lower case", '"ETH_USDT.STUBEX"', '"ETH_USDT.stubex"', 6, "E-CFG-030",
         "venues.stubex.instruments[1]", "ends with .STUBEX", "ETH_USDT.stubex",
         'did you mean "ETH_USDT.STUBEX"?'),
    Case("other venue in params", 'instrument_id = "BTC_USDT.STUBEX"',
         'instrument_id = "BTC_USDT.STUBBEX"', 11, "E-CFG-030",
         "strategies[0].params.instrument_id", "ends with .STUBEX", "STUBBEX",
         "did you mean BTC_USDT.STUBEX?"),
    Case("same strategy twice", "[risk]", SECOND.format("maker-1"), 14, "E-CFG-031",
         "strategies[1].id", "strategies[0] does not have", '"maker-1"', 'write "maker-2"'),
    Case("same tag twice", "[risk]", SECOND.format("trend-1"), 14, "E-CFG-031",
         "strategies[1].id", "a tag after the last dash", '"trend-1"', 'write "trend-2"'),
    Case("unlisted in params", 'instrument_id = "BTC_USDT.STUBEX"',
         'instrument_id = "BTC_USD.STUBEX"', 11, "E-CFG-032",
         "strategies[0].params.instrument_id", "venues.stubex.instruments", "BTC_USD.STUBEX",
         "did you mean BTC_USDT.STUBEX?"),
    Case("a market that the list lacks", 'instrument_id = "BTC_USDT.STUBEX"',
         'instrument_id = "SOL_USDT.STUBEX"', 11, "E-CFG-032",
         "strategies[0].params.instrument_id", "venues.stubex.instruments", "SOL_USDT.STUBEX",
         'add "SOL_USDT.STUBEX" to venues.stubex.instruments, or name one of it: BTC_USDT.STUBEX'),
    Case("one at a venue that is misspelled, too", 'instrument_id = "BTC_USDT.STUBEX"',
         'instrument_id = "SOL_USDT.STUBBEX"', 11, "E-CFG-030",
         "strategies[0].params.instrument_id", "ends with .STUBEX", "SOL_USDT.STUBBEX",
         'add "SOL_USDT.STUBEX" to venues.stubex.instruments'),
    Case("unlisted in a bar type", 'size = "0.002"',
         'bar_type = "BTCUSDT.STUBEX-1-MINUTE-LAST-INTERNAL"', 12, "E-CFG-032",
         "strategies[0].params.bar_type", "venues.stubex.instruments", "BTCUSDT.STUBEX",
         "did you mean BTC_USDT.STUBEX?"),
    Case("unlisted in a list", 'size = "0.002"',
         'legs = [\n  "ETH_USDT.STUBEX",\n  "ETH_USTD.STUBEX",\n]', 14, "E-CFG-032",
         "strategies[0].params.legs[1]", "venues.stubex.instruments", "ETH_USTD.STUBEX",
         "did you mean ETH_USDT.STUBEX?"),
    Case("unlisted position", '{ "BTC_USDT.STUBEX"', '{ "BCT_USDT.STUBEX"', 16, "E-CFG-032",
         'risk.max_position."BCT_USDT.STUBEX"', "venues.stubex.instruments", "BCT_USDT.STUBEX",
         "did you mean BTC_USDT.STUBEX?"),
    Case("unlisted least position", 'max_position = { "BTC_USDT.STUBEX"',
         'min_position = { "BCT_USDT.STUBEX"', 16, "E-CFG-032",
         'risk.min_position."BCT_USDT.STUBEX"', "venues.stubex.instruments", "BCT_USDT.STUBEX",
         "did you mean BTC_USDT.STUBEX?"),
    Case("end before start", "2026-11-08", "2026-10-08", 18, "E-CFG-033", "backtest.start",
         "a moment before backtest.end", "2026-11-01", ""),
    Case("a name that no file can have", 'name = "btc-maker"', f'name = "{"x" * 101}"', 1,
         "E-CFG-025", "name", "at most 100", "one of 101", "files are called by it"),
    Case("an account that no file can have", "[[strategies]]",
         f'account = "{"x" * 101}"\n[[strategies]]', 7, "E-CFG-025", "venues.stubex.account",
         "at most 100", "one of 101", ""),
    Case("a folder that no folder can have", "seed = 7", f'state_dir = "a/{"x" * 256}"', 3,
         "E-CFG-027", "run.state_dir", "a folder", '"a/xxx', "255 bytes a name, 3500 in all"),
    Case("a path that none can be", "seed = 7", f'state_dir = "{"x/" * 1800}"', 3,
         "E-CFG-027", "run.state_dir", "a folder", '"x/x', "255 bytes a name, 3500 in all"),
    Case("no balance", "[backtest]", "[simulated]\nbalances = []\n[backtest]", 18, "E-CFG-024",
         "simulated.balances", "at least 1", "none", ""),
    Case("no native venue's name", 'adapter = "stubex"', 'adapter = "nautilus:"', 5, "E-CFG-035",
         "venues.stubex.adapter", "one of", '"nautilus:"', "`fairlead venues` lists them"),
    Case("recorded without fees", 'adapter = "stubex"', 'adapter = "recorded"', 4, "E-CFG-034",
         "venues.stubex.fees", "maker and taker", "nothing", 'fees = { maker = "0.001", taker'),
    Case("recorded futures without fees", 'adapter = "stubex"',
         'adapter = "recorded"\naccount_type = "margin"', 4, "E-CFG-034", "venues.stubex.fees",
         "maker and taker", "nothing", 'fees = { maker = "0.0002", taker = "0.0005" }'),
    Case("unknown adapter", 'adapter = "stubex"', 'adapter = "stubx"', 5, "E-CFG-035",
         "venues.stubex.adapter", "recorded", '"stubx"', 'did you mean "stubex"?'),
    Case("instrument twice", "ETH_USDT", "BTC_USDT", 6, "E-CFG-036",
         "venues.stubex.instruments[1]", "each instrument once", "BTC_USDT.STUBEX", "remove"),
    Case("venue in capitals", "[venues.stubex]", "[venues.STUBEX]", 4, "E-CFG-037",
         "venues.STUBEX", "a lower-case name", '"STUBEX"', "write [venues.stubex]"),
    *[
        Case(f"account {name!r}", "[[strategies]]", f'account = "{name}"\n[[strategies]]', 7,
             "E-CFG-039", "venues.stubex.account", expected, f'"{name}"', 'account = "main"')
        for name, expected in (
            ("paper", 'a name other than "paper"'),
            ("my-Paper", 'a name other than "paper"'),
            ("../other", "part of a file's"),
            (" ", "part of a file's"),
        )
    ],
    Case("unknown option", "[[strategies]]", "options.dept = 5\n[[strategies]]", 7, "E-CFG-014",
         "venues.stubex.options.dept", "depth", "dept", "did you mean depth?"),
    Case("credential among options", "[[strategies]]", 'options.key = "x"\n[[strategies]]', 7,
         "E-CFG-015", "venues.stubex.options.key", "section", "key",
         "key belongs in [venues.stubex.credentials]"),
    Case("unknown credential", "[[strategies]]", 'credentials.kye = "env:K"\n[[strategies]]', 7,
         "E-CFG-041", "venues.stubex.credentials.kye", "key", "", "did you mean key?"),
    Case("inline secret", "[[strategies]]", 'credentials.key = "hunter2hunter2"\n[[strategies]]', 7,
         "E-SEC-001", "venues.stubex.credentials.key", "env:NAME or file:PATH", "not shown",
         "inline secrets are refused"),
    Case("no closing quote", '"btc-maker"', '"btc-maker', 1, "E-CFG-003", "", "TOML",
         "illegal character", ""),
    Case("no value", "seed = 7", "seed =", 3, "E-CFG-003", "", "TOML", "invalid value", ""),
    Case("key twice", "seed = 7", "seed = 7\nseed = 8", 4, "E-CFG-003", "", "TOML", "overwrite",
         ""),
    Case("open list at the end", "end = 2026-11-08T00:00:00Z\n", "end = [", 19, "E-CFG-003", "",
         "TOML", "at the end of the file", ""),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _stub() -> Iterator[None]:
    with stub_adapter():
        yield


def problems_of(path: Path, text: str) -> tuple[ConfigProblem, ...]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.exit_code == 3
    return caught.value.problems


def test_the_base_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(BASE)
    assert load(path).config.name == "btc-maker"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_config(case: Case, tmp_path: Path) -> None:
    assert BASE.count(case.old) >= 1
    path = tmp_path / "live.toml"
    problems = problems_of(path, BASE.replace(case.old, case.new, 1))
    found = [problem for problem in problems if problem.code == case.code]
    assert found, [str(problem) for problem in problems]
    problem = next((problem for problem in found if problem.key == case.key), found[0])
    assert (problem.file, problem.line, problem.key) == (str(path), case.line, case.key)
    assert problem.col >= 1
    assert case.expected in problem.expected
    assert case.came in problem.came
    assert case.hint in problem.hint
    assert str(problem).startswith(f"{path}:{case.line}:{problem.col} {case.code} ")


def test_the_table_covers_every_code_that_a_file_alone_can_cause() -> None:
    by_file = {code for code in CODES if code < "E-CFG-038"} | {
        "E-CFG-039",
        "E-CFG-041",
        "E-SEC-001",
    }
    elsewhere = {"E-CFG-001", "E-CFG-002", "E-CFG-004"}
    assert {case.code for case in CASES} == by_file - elsewhere


def test_the_promised_spelling_of_a_typo(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    (problem,) = problems_of(path, BASE.replace("max_open_orders", "max_opn_orders"))
    assert str(problem) == (
        f"{path}:15:1 E-CFG-014 risk.max_opn_orders is not a key; did you mean max_open_orders?"
    )


def test_the_promised_spelling_of_a_float(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    (problem,) = problems_of(path, BASE.replace('"150"', "150.0"))
    assert str(problem) == (
        f"{path}:14:20 E-CFG-021 risk.price_collar_bps: expected an exact decimal as a string, "
        'e.g. "150"; came the float 150.0'
    )


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = BASE
    chosen = ("typo in run", "unknown adapter", "float in params", "decimal as float",
              "zero orders", "end before start")  # fmt: skip
    picked = [case for name in chosen for case in CASES if case.name == name]
    for case in picked:
        text = text.replace(case.old, case.new, 1)
    problems = problems_of(tmp_path / "live.toml", text)
    assert [(p.line, p.code) for p in problems] == [(case.line, case.code) for case in picked]


@pytest.mark.parametrize(
    "value",
    [
        '"s3cr3t-s3cr3t-s3cr3t"',
        '"-----BEGIN PRIVATE KEY-----s3cr3t"',
        '"env:s3cr3t s3cr3t"',
        '"env:"',
        '"file:"',
        '"vault:s3cr3t"',
        "1234567",
        '["s3cr3t"]',
        '{ s3 = "s3cr3t" }',
        '"""\n-----BEGIN PRIVATE KEY-----\ns3cr3t\n"""',
    ],
)
def test_an_inline_secret_is_refused_and_never_shown(value: str, tmp_path: Path) -> None:
    text = BASE.replace("[[strategies]]", f"credentials.key = {value}\n[[strategies]]")
    problems = problems_of(tmp_path / "live.toml", text)
    assert "E-SEC-001" in {problem.code for problem in problems}
    assert all(problem.line == 7 for problem in problems)
    told = "\n".join(map(str, problems)) + str(ConfigError(problems))
    assert "s3cr3t" not in told
    assert "1234567" not in told
    assert "BEGIN" not in told


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    (problem,) = caught.value.problems
    assert str(problem) == (
        f"{tmp_path / 'none.toml'} E-CFG-001 expected a readable TOML file; "
        "came no such file or directory"
    )


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    (problem,) = caught.value.problems
    assert str(problem) == f"{tmp_path} E-CFG-001 expected a readable TOML file; came a folder"
    for name in ("b.toml", "a.toml"):
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(caught.value.problems[0]).endswith("came a folder, which holds a.toml, b.toml")


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_bytes(BASE.encode() + b"# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.col) == ("E-CFG-002", 20, 6)
    assert problem.came == "the byte 0xe9"


def test_a_byte_order_mark_is_no_statement(tmp_path: Path) -> None:
    """As some editors write it; what comes after it keeps its place."""
    plain, marked = tmp_path / "live.toml", tmp_path / "marked" / "live.toml"
    marked.parent.mkdir()
    plain.write_text(BASE)
    marked.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load(marked).config.venues == load(plain).config.venues
    marked.write_bytes(b"\xef\xbb\xbf" + b"what\n" + BASE.encode())
    with pytest.raises(ConfigError) as caught:
        load(marked)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("E-CFG-003", 1)


def test_a_file_too_large(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_text(BASE + "#" * CONFIG_BYTES_MAX)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.problems[0].code == "E-CFG-004"


def test_an_empty_file(tmp_path: Path) -> None:
    problems = problems_of(tmp_path / "live.toml", "")
    assert {(p.code, p.key, p.line, p.col) for p in problems} == {
        ("E-CFG-010", "name", 1, 1),
        ("E-CFG-010", "venues", 1, 1),
    }
