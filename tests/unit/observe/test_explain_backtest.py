"""`fairlead explain` on a backtest: each id, the reasons, and the market as it was known."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.observe.backtest_story import BacktestStory, explain_backtest
from fairlead.engine.research.runs import newest
from tests.support.patience import PATIENCE_SECS
from tests.unit import backtest_kit as kit

PERP = "BTCUSDT.TEST"
IID = InstrumentId.from_str(PERP)
PATH = "tests.unit.observe.test_explain_backtest:Several"


class Several(GuardedStrategy):
    """A market order, one that is rejected, one that the gate refuses, one changed and canceled."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.books = 0
        self.resting: Any = None

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        known = self.cache.instrument(IID)
        make, quantity = self.order_factory, known.make_qty(Decimal(1))
        price = known.make_price
        if self.books == 1:
            self.submit_order(make.market(IID, OrderSide.BUY, quantity))
        elif self.books == 2:
            ask = self.cache.top_of_book(IID)[2]
            self.submit_order(make.limit(IID, OrderSide.BUY, quantity, ask, post_only=True))
        elif self.books == 3:
            self.submit_order(make.limit(IID, OrderSide.BUY, quantity, price(Decimal(2000))))
        elif self.books == 4:
            self.resting = make.limit(IID, OrderSide.BUY, quantity, price(Decimal("999.5")))
            self.submit_order(self.resting)
        elif self.books == 5:
            self.modify_order(self.resting.client_order_id, price=price(Decimal("999.0")))
        elif self.books == 6:
            self.cancel_order(self.resting.client_order_id)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose backtest has been run by the command."""
    folder: Path = tmp_path_factory.mktemp("explained")
    root = kit.scripted(folder / "c", kit.perpetual(PERP), [Decimal(1000)] * 8)
    file = kit.config(folder, root, PATH, {})
    done = CliRunner().invoke(app, ["backtest", str(file)])
    assert done.exit_code == 0, done.output
    return file


def run_of(config: Path) -> Path:
    return next(newest(config.parent / "state"))


def told(config: Path, at: int, name: str = "orders.jsonl") -> BacktestStory:
    rows = [json.loads(line) for line in (run_of(config) / name).read_text().splitlines()]
    found = explain_backtest(rows[at]["client_order_id"], run_of(config))
    assert found is not None
    return found


def test_a_fill_with_the_market_as_it_was_known(config: Path) -> None:
    story = told(config, 0)
    assert story.what == "BUY 1.000 BTCUSDT.TEST MARKET, GTC"
    assert story.state == "FILLED, 1.000 of 1.000 filled"
    assert story.strategy == "Test-001"
    decided, _, filled = (line.text for line in story.lines)
    market = "bid 999.9 x 5.000, ask 1000.1 x 5.000"
    assert decided == f"decided, and approved by the risk gate; {market}"
    assert re.fullmatch(rf"filled 1\.000 @ 1000\.1 as taker, fee 0\.5\d* USDT; {market}", filled)
    assert [line.ts_ns for line in story.lines] == sorted(line.ts_ns for line in story.lines)


def test_a_rejection_with_its_reason(config: Path) -> None:
    story = told(config, 1)
    assert story.state == "REJECTED, 0.000 of 1.000 filled"
    assert "POST_ONLY" in story.lines[-1].text
    assert "bid 999.9" in story.lines[-1].text


def test_a_change_and_a_cancel(config: Path) -> None:
    story = told(config, 2)
    assert story.what.startswith("BUY 1.000 BTCUSDT.TEST LIMIT @ 999.5")
    assert [line.text.partition(":")[0].partition(";")[0] for line in story.lines] == [
        "decided, and approved by the risk gate",
        "accepted by the venue",
        "changed",
        "CANCELED",
    ]
    assert "price 999.0" in story.lines[2].text


def test_what_the_gate_refused(config: Path) -> None:
    story = told(config, 0, "denials.jsonl")
    assert story.state == "refused by the risk gate: PRICE_COLLAR"
    assert "LIMIT @ 2000.0" in story.what
    assert "PRICE_COLLAR: " in story.lines[0].text
    assert story.lines[0].text.endswith("; bid 999.9 x 5.000, ask 1000.1 x 5.000")
    assert story.lines[0].ts_ns == kit.START_NS + 2_000_000_000


def test_the_command_finds_the_newest_run_of_a_config_and_a_folder_that_is_named(
    config: Path, tmp_path: Path
) -> None:
    row = json.loads((run_of(config) / "orders.jsonl").read_text().splitlines()[0])
    ids = [row["client_order_id"], row["fills"][0]["trade_id"]]
    for words in (["--config", str(config)], ["--run", str(run_of(config))]):
        for name in ids:
            done = CliRunner().invoke(app, ["explain", name, *words])
            assert done.exit_code == 0, done.output
            assert "FILLED, 1.000 of 1.000" in done.output
            assert "2023-11-14 22:13:20" in done.output
            assert "run      test (backtest), inputs " in done.output
    out = tmp_path / "out"
    assert CliRunner().invoke(app, ["backtest", str(config), "--out", str(out)]).exit_code == 0
    done = CliRunner().invoke(app, ["explain", ids[0], "--run", str(out), "--json"])
    assert json.loads(done.stdout)["client_order_id"] == ids[0]


def test_what_is_not_found_names_every_place(config: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["explain", "no-such", "--config", str(config)])
    assert done.exit_code == Exit.NO_DATA
    told = done.output.replace("\n", "")
    runs = config.parent / "state" / "runs"
    count = len([*runs.iterdir()])
    assert f"no journal at all and the {count} runs in {runs}; a simulated run" in told
    assert "--run FOLDER" in done.output
    done = CliRunner().invoke(app, ["explain", "no-such", "--run", str(tmp_path)])
    assert done.exit_code == Exit.NO_DATA
    assert f"{tmp_path}, which has no orders.jsonl" in done.output
    assert CliRunner().invoke(app, ["explain", "no-such"]).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    "line",
    [
        b'{"client_order_id":"X","strategy":',
        b'{"client_order_id":"X"}',
        b'{"client_order_id":"X","strategy":"S","instrument":"I","fills":[1]}',
        b'{"client_order_id":"X","strategy":"S","instrument":"I","code":1}',
        b'{"client_order_id":"X","side":"BUY","changes":3}',
        b'["X"]',
        b'{"client_order_id":"X",\xff}',
    ],
)
def test_a_row_that_no_run_wrote_is_told_as_such(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "orders.jsonl").write_bytes(b"\n" + line + b"\n")
    with pytest.raises(FairleadError, match=r"RUN-DAMAGED.*orders\.jsonl:2: expected a row"):
        explain_backtest("X", tmp_path)


def test_a_backtest_whose_files_can_t_be_written_runs_all_the_same(
    config: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(config.read_text())
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "runs").write_text("a file, in the place of the folder")
    done = fairlead("backtest", file, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["fills"] == 1
    assert "orders" not in told["files"]
    assert "OUT-UNWRITABLE" not in done.stderr
    asked = fairlead("backtest", file, "--json", "--out", tmp_path / "state" / "runs")
    told = asked.stderr + asked.stdout
    assert asked.returncode == 2
    assert "OUT-UNWRITABLE" in told
    assert "nothing was run" in told
    assert "nothing was sent" not in told


@contextlib.contextmanager
def gone(out: str) -> Iterator[int]:
    """A stdout that takes nothing."""
    if out == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(out, os.O_WRONLY)
    try:
        yield writing
    finally:
        os.close(writing)


@pytest.mark.parametrize("out", ["/dev/full", "pipe"])
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_backtest_whose_stdout_is_lost_fails_and_says_so_and_where_the_files_are(
    config: Path, words: list[str], out: str
) -> None:
    with gone(out) as stdout:
        done = fairlead("backtest", config, *words, stdout=stdout)
    assert done.returncode == 1
    assert "error OUTPUT-LOST: stdout: " in done.stderr
    assert "net" in done.stderr.partition("OUTPUT-LOST")[2]
    assert f"orders: {run_of(config) / 'orders.jsonl'}" in done.stderr.splitlines()


@pytest.mark.parametrize("depth", ["out", "some/where/out"])
@pytest.mark.parametrize("wrong", ["parameter", "catalog", "file"])
def test_a_run_that_a_wrong_config_refuses_leaves_no_folder(
    tmp_path: Path, config: Path, wrong: str, depth: str
) -> None:
    file = tmp_path / "run.toml"
    path, params = (kit.MAKER, {"no_such": 1}) if wrong == "parameter" else (PATH, {})
    catalog = tmp_path / "none" if wrong == "catalog" else config.parent / "c"
    kit.config(tmp_path, catalog, path, params)
    if wrong == "file":
        file.write_text("name = 1")
    done = fairlead("backtest", file, "--out", tmp_path / depth)
    assert done.returncode in (Exit.CONFIG, Exit.NO_DATA), done.stderr
    assert not (tmp_path / depth.partition("/")[0]).exists()


@pytest.mark.parametrize("verb", ["backtest", "paper"])
def test_a_folder_that_was_there_stays(tmp_path: Path, verb: str) -> None:
    kit.config(tmp_path, tmp_path / "none", PATH, {})
    (tmp_path / "out").mkdir()
    done = fairlead(verb, tmp_path / "run.toml", "--out", tmp_path / "out")
    assert done.returncode != 0
    assert list((tmp_path / "out").iterdir()) == []


def fairlead(*words: str | Path, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fairlead.engine.cli.main", *map(str, words)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )


def test_an_order_that_nothing_answered_says_so(config: Path, tmp_path: Path) -> None:
    lines = (run_of(config) / "orders.jsonl").read_text().splitlines()
    row = json.loads(lines[0]) | {"status": "SUBMITTED", "ts_accepted": None, "fills": []}
    (tmp_path / "orders.jsonl").write_text(json.dumps(row) + "\n")
    story = explain_backtest(row["client_order_id"], tmp_path)
    assert story is not None
    assert "the run ended before it was accepted" in story.lines[-1].text
