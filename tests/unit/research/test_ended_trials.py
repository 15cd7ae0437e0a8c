"""A trial that its strategy ended is one of the same time as the others, and its row says so."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import FairleadError
from fairlead.engine.recording.catalog import utc
from fairlead.engine.research.marks import SLICES
from fairlead.engine.research.pool import InProcess, Job, Outcome, Task
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import param_of
from fairlead.engine.research.study import luck_of
from fairlead.engine.research.sweep import Sweep, metric, rows_of
from fairlead.engine.research.sweep_page import sweep_page
from fairlead.engine.research.trials import Registry
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.sensitivity import sensitivity
from fairlead.engine.run.trial import Basis, Trials, basis
from tests.support.processes import command
from tests.unit import backtest_kit as kit

ENDING = "tests.data.ending:Ending"
CODE = "USDT"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LoadedConfig:
    folder: Path = tmp_path_factory.mktemp("ended")
    catalog = kit.write_catalog(folder / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=30)
    params = {"instrument_id": "BTCUSDT.TEST", "ends_after": 0, "every": 7}
    return kit.loaded(folder, catalog, ENDING, params)


@pytest.fixture(scope="module")
def rests(config: LoadedConfig) -> Basis:
    return basis(config)


def tried(trials: Trials, ends_after: int) -> Outcome:
    key = "strategies[0].params.ends_after"
    found = trials(Task(0, {key: ends_after}))
    return msgspec.structs.replace(found, wall_secs=0.0, run_secs=0.0)


def test_trials_that_ended_themselves_count_as_tried_over_the_same_time(
    tmp_path: Path, config: LoadedConfig, rests: Basis
) -> None:
    params = ("ends_after=0,30,40,50,60,70,80", "every=5,9")
    plan = Plan(params=tuple(param_of(one, rests.keys) for one in params))
    with Registry(tmp_path / "s") as registry:
        sweep = Sweep(registry, plan, rests.key, {"name": "n"})
        found = sweep.run(InProcess(Trials, Job(str(config.path), {})))
        assert luck_of(registry, found, plan).tried == 14
    assert {one.outcome.span_ns for one in found} == {rests.span_ns}
    assert {len(one.outcome.pnl[CODE]) for one in found} == {SLICES}
    rows = list(rows_of(found, plan))
    for row in rows:
        if row["ends_after"] == "0":
            assert row["ended"] is None
        else:
            assert row["ended"].endswith(": target reached")
    about = {"name": "n", "study": "s", "study_trials": 14, "held_out": None, "command": ""}
    about |= {"registry": {"entries": 1, "chain": "c"}, "data": "d", "config": "c"}
    page = sweep_page(about | {"code": {}, "versions": {}}, plan, found, None)
    assert "target reached" in page


def test_what_a_trial_that_ended_itself_brings_stays_as_it_was_then(config: LoadedConfig) -> None:
    """The same whether the prices of the time after it are known in its process or not."""
    trials = Trials(Job(str(config.path), {}))
    first = tried(trials, 40)
    whole = tried(trials, 0)
    after = tried(trials, 40)
    trials.close()
    assert first == after
    assert first.error is whole.error is whole.figures["ended"] is None
    result = run_backtest(load(config.path, {"strategies[0].params.ends_after": 40}))
    summary = result.summary
    result.dispose()
    assert first.figures["ended"] == f"{utc(summary.end_ns)}: target reached"
    begin, end = first.span_ns
    part = (summary.end_ns - begin) * SLICES // (end - begin)
    assert part < SLICES / 2
    left = first.pnl[CODE][part:]
    assert left == [float(summary.net[CODE])] * (SLICES - part)
    assert summary.net[CODE] != Decimal(0)
    assert first.pnl[CODE][: part - 1] == whole.pnl[CODE][: part - 1]


def test_a_search_says_which_trials_ended_themselves(config: LoadedConfig) -> None:
    args = ("sweep", str(config.path), "--param", "ends_after=0,40", "--jobs", "1")
    shown = command(*args)
    assert shown.returncode == 0
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[1][:2] == ["1", "40"]
    assert lines[1][-2:] == ["target", "reached"]
    assert lines[2][-1] == "no"
    assert "2 trials over this time" in shown.stdout
    told = json.loads(command(*args, "--json").stdout)
    assert [row["ended"] is None for row in told["trials"]] == [True, False]


def test_when_it_ended_is_nothing_to_rank_by(config: LoadedConfig) -> None:
    trials = Trials(Job(str(config.path), {}))
    found = tried(trials, 40)
    trials.close()
    with pytest.raises(FairleadError, match="METRIC"):
        metric(found.figures, "ended")


def test_what_a_result_hangs_on_says_which_cases_ended_themselves(config: LoadedConfig) -> None:
    changed = load(config.path, {"strategies[0].params.ends_after": 40})
    found = sensitivity(changed, lambda _, result: "")
    assert {one.ended.partition(": ")[2] for one in found.cases if not one.why} == {
        "target reached"
    }
