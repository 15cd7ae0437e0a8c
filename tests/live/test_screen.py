"""What a person sees of the demo's config, live, on paper and in a backtest: no kernel warning.

The recordings cross connections and restarts, which must not be told as disorder either.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.data import command as data
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT, Venue, run, start, venue, wait_for

LINES_MAX = 60
RUN_LINES_MAX = 80  # of one run: what its result rests on is part of it
KERNEL = re.compile(r"\[(WARN|ERROR)\] FAIRLEAD-001\.")
DISORDER = "Out-of-order"  # the kernel's word for a sequence or a time that goes back
STREAM = {"oceanex": "/app", "poloniex": "/ws/public"}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with venue("oceanex", tmp_path_factory.mktemp("demo") / "venue", "--seed", "7") as served:
        yield served


def demo_config(folder: Path, served: Venue) -> Path:
    """The demo's file with the port of this venue, beside its credentials."""
    text = (ROOT / "configs" / "demo.toml").read_text()
    address = str(served.line["rest"]).removeprefix("http://").removesuffix("/v1")
    assert text.count("127.0.0.1:8610") == 2
    text = text.replace("127.0.0.1:8610", address)
    for name, reference in served.line["credentials"].items():
        text = text.replace(f'"file:venue/{name}"', f'"{reference}"')
    path = folder / "demo.toml"
    path.write_text(text)
    return path


def is_quiet(
    ended: subprocess.CompletedProcess[str], code: int = 0, lines_max: int = RUN_LINES_MAX
) -> None:
    lines = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == code, "\n".join(lines[-40:])
    assert [line for line in lines if KERNEL.search(line)] == []
    assert len(lines) <= lines_max, "\n".join(lines)


def says_what_runs_where(told: str, verb: str, config: Path, market: Venue) -> None:
    address = str(market.line["rest"]).split("/")[2]
    state, data = config.parent / "state", config.parent / "data"
    parts = [f"demo {verb}: ", f"connected to OCEANEX ({address})", "VET_USDT.OCEANEX", "Ctrl-C"]
    parts += [f"log: {state / 'logs' / f'demo-{verb}.log'}", f"recording: {data}"]
    if verb != "record":
        parts.append("Maker-001 (ImbalanceMaker), Trend-002 (TrendFollower)")
    if verb == "live":
        parts += ["account main", f"journal of oceanex: {state / 'oceanex-main.journal.sqlite'}"]
    for part in parts:
        assert part in told, told


def test_the_demos_config_in_every_mode(market: Venue, tmp_path: Path) -> None:
    config = demo_config(tmp_path, market)
    for verb in ("live", "live", "paper", "record"):
        ended = run(verb, config, "--for", "3")
        is_quiet(ended)
        says_what_runs_where(ended.stderr, verb, config, market)
    is_quiet(run("backtest", config))
    log = tmp_path / "state" / "logs" / "demo-backtest.log"
    assert DISORDER not in log.read_text()


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_a_recording_across_connections_replays_without_disorder(key: str, tmp_path: Path) -> None:
    with venue(key, tmp_path / "venue", "--seed", "3") as served:
        config = configs.write(
            tmp_path,
            served,
            strategies=[
                {
                    "id": "S-1",
                    "path": "tests.live.scripted:Scripted",
                    "params": {"instrument_id": f"BTC_USDT.{key.upper()}", "does": "nothing"},
                }
            ],
            more=f'[venues.{key}.fees]\nmaker = "0.001"\ntaker = "0.001"\n'
            '[backtest]\ncatalog = "data/catalog"\n',
        )
        log, gaps = tmp_path / "run.log", tmp_path / "data" / "catalog" / "gaps.jsonl"
        recording = start("record", config, log=log)
        for cuts in (1, 2):
            served.post("faults", method="WS", path=STREAM[key], kind="drop")
            wait_for(
                lambda n=cuts: gaps.exists() and gaps.read_text().count('"reconnect"') >= n,
                f"gap {cuts} in {gaps}",
            )
        recording.terminate()
        assert recording.wait(PATIENCE_SECS) == 0, log.read_text()[-2000:]
    is_quiet(run("backtest", config))
    assert DISORDER not in (tmp_path / "state" / "logs" / "test-backtest.log").read_text()
    replays_to_the_same_rows(tmp_path / "data")


def replays_to_the_same_rows(folder: Path) -> None:
    """Today's parser is that of the run: both instruments' rows, on every connection."""
    told = CliRunner().invoke(data, ["replay", str(folder), "--json"])
    assert told.exit_code == 0, told.output[-2000:]
    (venue,) = json.loads(told.stdout)
    assert {one["kind"] for one in venue["streams"]} == {"order_book_deltas", "trades"}
    assert all(one["equal"] and not one["differences"] for one in venue["streams"])
    assert CliRunner().invoke(data, ["verify", str(folder)]).exit_code == 0


@pytest.mark.parametrize("columns", [80, 118])
def test_the_whole_demo_fits_a_screen(columns: int, tmp_path: Path) -> None:
    ended = subprocess.run(
        [FAIRLEAD, "demo", "--seconds", "8", "--dir", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": str(columns)},
        timeout=PATIENCE_SECS,
        check=False,
    )
    is_quiet(ended, lines_max=LINES_MAX)
    assert "0 lost, 0 doubled" in ended.stdout
