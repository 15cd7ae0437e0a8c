"""What the page of each venue says of its options and of its simulated venue is so."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters import registry
from fairlead.engine.cli.venues import of
from fairlead.engine.config.capabilities import markdown
from tests.documents.extract import commands
from tests.documents.session import Session, free_port
from tests.support.processes import ROOT, venue

SIMULATED = "## The simulated venue\n"
TOML = re.compile(r"```toml\n(.*?)```", re.S)


def page(adapter: str) -> str:
    return (ROOT / "adapters" / adapter / "README.md").read_text()


@pytest.mark.parametrize("adapter", registry.names())
def test_every_option_has_a_row_and_no_row_is_of_an_option_that_is_gone(adapter: str) -> None:
    table = page(adapter).partition("| option | default |")[2].partition("\n\n")[0]
    cells = " ".join(re.findall(r"^\| (`[^|]*)\|", table, re.M))
    options = registry.spec(adapter).options
    assert sorted(re.findall(r"`(\w+)`", cells)) == sorted(
        field.name for field in msgspec.structs.fields(options)
    )


@pytest.mark.parametrize("adapter", registry.names())
def test_the_table_of_capabilities_is_what_the_command_prints(adapter: str) -> None:
    section = page(adapter).partition("## Capabilities\n")[2].partition("\n## ")[0]
    assert f"`fairlead venues {adapter}`" in section
    assert markdown(of(adapter)) in section


def test_the_commands_of_the_simulated_piexgo(tmp_path: Path) -> None:
    """One config in three modes, the backtest on what the live and the paper run have recorded."""
    section = page("piexgo").partition(SIMULATED)[2].partition("\n## ")[0]
    serve, check, live, paper, backtest = commands(section)
    session = Session(tmp_path)
    line = session.serve(serve)
    try:
        text = (tmp_path / "configs" / "piexgo-demo.toml").read_text()
        for option, field in (("http_url", "rest"), ("ws_url", "ws")):
            assert f'{option} = "{line[field]}"' in text
        checked = session.run(check)
        assert checked.returncode == 0, checked.stdout
        for command in (live, paper, backtest):
            ended = session.run(command)
            assert ended.returncode == 0, ended.stderr[-3000:]
            assert re.search(r"fills\s+│ [1-9]", ended.stdout), ended.stdout
            assert re.search(r"order kinds\s+│ .*STOP_LIMIT", ended.stdout), ended.stdout
    finally:
        assert session.end() == 0


def test_the_commands_of_the_simulated_poloniex(tmp_path: Path) -> None:
    section = page("poloniex").partition(SIMULATED)[2].partition("\n## ")[0]
    serve, check, live, paper = commands(section)
    (text,) = TOML.findall(section)
    session = Session(tmp_path)
    (tmp_path / "poloniex.toml").write_text(session.at_port(text))
    line = session.serve(serve)
    try:
        assert set(line) >= {"rest", "public_ws", "private_ws", "credentials", "markets"}
        for option, field in (("http_url", "rest"), ("private_ws_url", "private_ws")):
            assert f'{option} = "{line[field]}"' in session.at_port(text)
        checked = session.run(check)
        assert checked.returncode == 0, checked.stdout
        for command in (live, paper):
            ended = session.run(command)
            assert ended.returncode == 0, ended.stderr[-3000:]
            assert re.search(r"fills\s+│ [\d,]+ ", ended.stdout), ended.stdout
    finally:
        assert session.end() == 0


def test_the_commands_of_the_simulated_mudawyl(tmp_path: Path) -> None:
    """Orders at the gateway, prices of another venue: one shipped config in every mode."""
    section = page("mudawyl").partition(SIMULATED)[2].partition("\n## ")[0]
    serve, prices, check, *runs = commands(section)
    session = Session(tmp_path)
    file, port = tmp_path / "configs" / "mudawyl-bracket.toml", free_port()
    assert "--port 8620 " in prices
    file.write_text(file.read_text().replace("8620", port))
    line = session.serve(serve)
    try:
        assert f'key_id = "{line["key_id"]}"' in file.read_text()
        assert f'http_url = "{line["rest"]}"' in file.read_text()
        with venue("oceanex", tmp_path / "configs" / "venue", "--port", port):
            checked = session.run(check)
            assert checked.returncode == 0, checked.stdout
            *runs, kill = runs
            assert [run.split()[1] for run in runs] == ["live", "paper", "backtest"]
            for command in runs:
                ended = session.run(command)
                assert ended.returncode == 0, ended.stderr[-3000:]
                least = 0 if "paper" in command else 1  # twenty seconds may be without a break
                (fills,) = re.findall(r"│ fills\s+│ ([\d,]+) ", ended.stdout)
                assert int(fills) >= least, ended.stdout
            killed = session.run(kill)
            assert killed.returncode == 0, killed.stdout + killed.stderr
    finally:
        assert session.end() == 0


def test_the_commands_of_the_simulated_zerocap(tmp_path: Path) -> None:
    """One shipped config in every mode; the backtest is of what the runs before it recorded."""
    section = page("zerocap").partition(SIMULATED)[2].partition("\n## ")[0]
    serve, check, *runs = commands(section)
    session = Session(tmp_path)
    line = session.serve(serve)
    try:
        assert set(line) >= {"rest", "ws", "credentials", "markets", "options"}
        checked = session.run(check)
        assert checked.returncode == 0, checked.stdout
        assert [run.split()[1] for run in runs] == ["live", "paper", "backtest"]
        for command in runs:
            ended = session.run(command)
            assert ended.returncode == 0, ended.stderr[-3000:]
            least = 0 if "paper" in command else 1  # ten seconds may be without a trend
            (fills,) = re.findall(r"│ fills\s+│ ([\d,]+) ", ended.stdout)
            assert int(fills) >= least, ended.stdout
        again = session.run(runs[0].replace("20", "3"))
        assert again.returncode == 0, "the balances go on from the journal's fills"
        assert "DRIFT" not in again.stdout + again.stderr
    finally:
        assert session.end() == 0
