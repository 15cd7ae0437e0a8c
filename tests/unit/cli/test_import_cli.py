"""`fairlead import` as a person and as a script sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fairlead.engine.cli.import_ import command

DATA = Path(__file__).resolve().parents[2] / "data" / "recording"
USDM = DATA / "binance_usdm_400.gz"


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(command)

    def invoke(*arguments: object):
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return invoke


def test_text_report_says_what_was_read(run, tmp_path):
    result = run(USDM, "--catalog", tmp_path / "cat")
    assert result.exit_code == 0
    for text in (
        "lines          400 (0 malformed)",
        "BTCUSDT-PERP.BINANCE (usdm; 1 price and 3 size decimals",
        "fees 0.0002 maker, 0.0005 taker",
        "gaps           0",
        "2024-08-08 23:54:15.030 UTC",
        "MB read",
    ):
        assert text in result.stdout
    assert "import: 0.0 MB" in result.stderr


def test_json_is_alone_on_stdout(run, tmp_path):
    result = run(
        USDM, "--catalog", tmp_path / "cat", "--json", "--maker-fee", "0", "--taker-fee=0.0004"
    )
    report = json.loads(result.stdout)
    assert report["lines"] == 400
    assert report["gaps"] == 0
    (each,) = report["instruments"]
    assert (each["maker_fee"], each["taker_fee"]) == ("0", "0.0004")


def test_damage_is_said_and_has_its_own_exit_code(run, tmp_path):
    cut = tmp_path / "cut.gz"
    cut.write_bytes(USDM.read_bytes()[:15_000])
    result = run(cut, "--catalog", tmp_path / "cat")
    assert result.exit_code == 9
    assert "WARNING: gzip file is truncated at byte 15000" in result.stderr
    assert "lines" in result.stdout
    assert (tmp_path / "cat" / "data").is_dir()


def test_malformed_lines_are_shown(run, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text(
        "nonsense\n"
        * 9
        + '1723161255030314667 {"stream":"btcusdt@trade","data":{"e":"trade","T":1723161256322,'
        '"s":"BTCUSDT","t":1,"p":"1.5","q":"1","m":true,"X":"MARKET"}}\n'
    )
    result = run(path, "--catalog", tmp_path / "cat")
    assert result.exit_code == 0
    assert "10 (9 malformed)" in result.stdout
    assert "line 1: it does not begin with a local time" in result.stdout
    assert "and 4 more" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("/nowhere/x.gz",), 4, "IMPORT-FILE"),
        ((USDM, "--instrument", "X.Y"), 4, "IMPORT-INSTRUMENT"),
        ((__file__,), 9, "IMPORT-FORMAT"),
        ((USDM, "--format", "csv"), 2, "expected one of binance"),
        ((USDM, "--maker-fee", "abc"), 2, "expected a fraction"),
        ((USDM, "--taker-fee", "0.06"), 2, "expected a fraction"),
        ((USDM, "--taker-fee", "10"), 2, "expected a fraction"),
    ],
)
def test_each_mistake_has_one_clear_error(run, tmp_path, arguments, code, message):
    result = run(*arguments, "--catalog", tmp_path / "cat")
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert not (tmp_path / "cat").exists()


def test_a_second_import_is_refused(run, tmp_path):
    assert run(USDM, "--catalog", tmp_path / "cat").exit_code == 0
    result = run(USDM, "--catalog", tmp_path / "cat")
    assert result.exit_code == 9
    assert "IMPORT-OVERLAP" in result.stderr
