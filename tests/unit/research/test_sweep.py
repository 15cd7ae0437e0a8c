"""Searches: the same rows however they are run, no trial twice, and a failing one is a row."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.config.changes import parsed
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import FairleadError
from fairlead.engine.research import sweep as sweeps
from fairlead.engine.research.numbers import drawdown
from fairlead.engine.research.pool import InProcess, Job, Outcome, Processes, Task
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import drawn, grid, param_of
from fairlead.engine.research.sweep import Done, Sweep, Trial, best_first, metric
from fairlead.engine.research.trials import Registry
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.prepared import Chunks
from fairlead.engine.run.trial import Forms, Trials, basis, slices
from tests.support.patience import PATIENCE_SECS
from tests.unit import backtest_kit as kit

KEYS = (
    "strategies[0].params.half_spread_bps",
    "simulated.latency_ms",
    "strategies[0].params.a",
    "b.a",
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LoadedConfig:
    folder: Path = tmp_path_factory.mktemp("sweep")
    catalog = kit.write_catalog(folder / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=20)
    return kit.loaded(folder, catalog, kit.MAKER, {**kit.MAKER_PARAMS, "allow_short": True})


# -- values


def test_a_grid_is_exact_and_its_last_parameter_changes_first() -> None:
    params = [
        param_of("half_spread_bps=0.1..0.3:0.1", KEYS),
        param_of("simulated.latency_ms=1,20", KEYS),
    ]
    found = [list(values.values()) for values in grid(params)]
    tenths = [Decimal(text) for text in ("0.1", "0.2", "0.3")]
    assert found == [[one, ms] for one in tenths for ms in (1, 20)]
    assert next(grid(params)).keys() == {"strategies[0].params.half_spread_bps", KEYS[1]}


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("5..20:5", (5, 10, 15, 20)),
        ("1..2:0.4", tuple(map(Decimal, ("1", "1.4", "1.8")))),
        ("-1..1:1", (-1, 0, 1)),
        ("a,b", ("a", "b")),
        ("true,false", (True, False)),
        ('["3 %"],["5 %"]', (["3 %"], ["5 %"])),
        ('"a,b","c"', ("a,b", "c")),
        ("1,x", (1, "x")),
    ],
)
def test_values_of_a_parameter(spec: str, values: tuple[Any, ...]) -> None:
    assert param_of(f"half_spread_bps={spec}", KEYS).values == values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("half_spread_bps", "PARAM-FORM"),
        ("half_spread_bps=", "PARAM-FORM"),
        ("half_spread_bps=2..1:1", "FROM not above TO"),
        ("half_spread_bps=1..2:0", "a step above 0"),
        ("half_spread_bps=1..2:1e-9", "less than 100,000 values"),
        ("half_spread_bps=1..nan:1", "PARAM-FORM|expected"),
        ("nothing=1,2", "expected a key of the config"),
        ("a=1,2", r"the last part of 2 keys: b.a, strategies\[0\].params.a"),
    ],
)
def test_what_is_no_parameter_is_told(text: str, says: str) -> None:
    if "nan" in text:
        assert param_of(text, KEYS).values == ("1..nan:1",)
        return
    with pytest.raises(FairleadError, match=says):
        param_of(text, KEYS)


def test_a_range_without_a_step_is_for_random_searches() -> None:
    params = [param_of("half_spread_bps=1..2", KEYS), param_of("simulated.latency_ms=1,2,3", KEYS)]
    with pytest.raises(FairleadError, match=r"PARAM-GRID.*--search random"):
        next(grid(params))
    found = list(drawn(params, seed=3, count=50))
    assert found == list(drawn(params, seed=3, count=60))[:50]
    assert found != list(drawn(params, seed=4, count=50))
    values = [one["strategies[0].params.half_spread_bps"] for one in found]
    assert all(1 <= one <= 2 and len(str(one)) <= 7 for one in values)
    assert len(set(values)) > 45


# -- trials


class Counting:
    """Stands in for backtests: what is asked of it."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.asked: list[Task] = []
        self._dies_after = dies_after

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        waiting = list(tasks)
        random.Random(len(waiting)).shuffle(waiting)
        for task in waiting:
            if self._dies_after is not None and len(self.asked) == self._dies_after:
                raise RuntimeError("killed")
            self.asked.append(task)
            x = float(task.changes["x.x"])
            if x == 3:
                yield task, Outcome(error="BAD: three", exit_code=1)
            else:
                yield task, Outcome(figures={"net.USDT": f"{-((x - 5) ** 2)}", "fills": int(x)})

    def close(self) -> None: ...


def _plan(spec: str, **more: Any) -> Plan:
    return Plan(params=(param_of(f"x.x={spec}", ()),), **more)


def _swept(folder: Path, plan: Plan, pool: Counting, **more: Any) -> list[Trial]:
    with Registry(folder / "studies" / "s") as registry:
        return Sweep(registry, plan, "basis", {"name": "n"}).run(pool, **more)


def test_a_search_that_died_goes_on_without_repeating_a_trial(tmp_path: Path) -> None:
    plan, dying = _plan("1..9:1"), Counting(dies_after=4)
    with pytest.raises(RuntimeError):
        _swept(tmp_path, plan, dying)
    rest = Counting()
    found = _swept(tmp_path, plan, rest)
    assert len(dying.asked) == 4
    assert sorted(task.number for task in (*dying.asked, *rest.asked)) == list(range(9))
    assert [one.number for one in found] == list(range(9))
    assert _swept(tmp_path, plan, last := Counting()) == found
    assert last.asked == []
    assert found == _swept(tmp_path / "other", plan, Counting())
    assert [one.number for one in best_first(found, plan)][:2] == [4, 3]


def test_a_wider_grid_runs_only_what_is_new(tmp_path: Path) -> None:
    _swept(tmp_path, _plan("4..6:1"), Counting())
    wider = Counting()
    found = _swept(tmp_path, _plan("1..9:1"), wider)
    assert {task.changes["x.x"] for task in wider.asked} == {1, 2, 3, 7, 8, 9}
    assert found[2].outcome.error == "BAD: three"
    assert found[2].value is None
    again = Counting()
    _swept(tmp_path, _plan("1..9:1"), again, again=True)
    assert [task.changes["x.x"] for task in again.asked] == [3]


def test_equal_trials_of_a_search_are_run_once(tmp_path: Path) -> None:
    pool = Counting()
    told: list[Done] = []
    found = _swept(tmp_path, _plan("5,5,6,5"), pool, watch=told.append)
    assert len(pool.asked) == 2
    assert [one.value for one in found] == [0, 0, -1, 0]
    assert (told[-1].done, told[-1].total, told[-1].ran, told[-1].failed) == (4, 4, 2, 0)


@pytest.mark.parametrize("kind", ["tpe", "nsga2"])
def test_a_sampler_of_optuna_goes_on_as_it_would_have(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    plan = Plan(
        params=(
            param_of("x.x=4..20", ()),
            param_of("x.y=1..9:1", ()),
            param_of("x.z=a,b", ()),
        ),
        kind=kind,
        trials=20,
        seed=7,
    )
    whole = _swept(tmp_path / "whole", plan, Counting())
    for dies_after in (0, 3, 8, 13):
        folder = tmp_path / str(dies_after)
        with pytest.raises(RuntimeError):
            _swept(folder, plan, Counting(dies_after))
        rest = Counting()
        assert _swept(folder, plan, rest) == whole
        assert len(rest.asked) <= 20 - dies_after
    assert {one.values["x.z"] for one in whole} == {"a", "b"}
    found = [float(one.values["x.x"]) for one in whole]
    assert all(4 <= x <= 20 for x in found)
    if kind == "tpe":  # it has learned that less is better
        assert sum(found[14:]) / 6 < sum(found[:8]) / 8


def test_a_search_at_random_needs_a_number(tmp_path: Path) -> None:
    with pytest.raises(FairleadError, match=r"SEARCH-TRIALS: --search random needs --trials N"):
        _swept(tmp_path, _plan("1..9", kind="random"), Counting())


def test_a_figure_is_found_by_its_name() -> None:
    figures = {"net.USDT": "1.5", "fills": 3, "ratio.USDT": None, "data": "12"}
    assert metric(figures, "net") == metric(figures, "net.USDT") == 1.5
    assert metric(figures, "ratio") is None
    for name in ("nett", "data"):
        with pytest.raises(FairleadError, match=r"a --metric of net.USDT, fills, ratio.USDT"):
            metric(figures, name)
    with pytest.raises(FairleadError, match="METRIC"):
        metric({**figures, "net.BTC": "1"}, "net")


def test_a_trial_of_before_has_its_figures_by_their_names_now(tmp_path: Path) -> None:
    class Before(Counting):
        def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
            for task, done in super().run(tasks):
                figures = {**done.figures, "drawdown.USDT": 2.5}
                yield task, msgspec.structs.replace(done, figures=figures)

    plan, rest = _plan("1..2:1"), Counting()
    _swept(tmp_path, plan, Before())
    found = _swept(tmp_path, plan, rest)
    assert rest.asked == []
    assert [one.outcome.figures["pnl_drawdown.USDT"] for one in found] == [2.5, 2.5]
    assert all("drawdown.USDT" not in one.outcome.figures for one in found)


# -- the registry


def _filled(folder: Path) -> Path:
    with Registry(folder) as registry:
        for number in range(5):
            registry.append("trial", f"k{number}", {"n": number})
        registry.append("trial", "k1", {"n": 10})
        assert registry.count("trial") == 5
        assert (found := registry.find("trial", "k1")) is not None
        assert found.body == {"n": 10}
    return folder / "trials.sqlite"


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM entries WHERE seq = 6", "1 of 6 entries are missing"),
        ("DELETE FROM entries", "6 of 6 entries are missing"),
        ("DELETE FROM entries WHERE seq = 2", "entry 2 is missing or was changed"),
        (
            "UPDATE entries SET body = '{\"n\":9}' WHERE seq = 3",
            "entry 3 is missing or was changed",
        ),
    ],
)
def test_a_study_that_was_cut_says_so(tmp_path: Path, sql: str, says: str) -> None:
    file = _filled(tmp_path / "s")
    with sqlite3.connect(file) as db:
        db.execute(sql)
    db.close()
    with pytest.raises(FairleadError, match=f"STUDY-CUT.*{says}"):
        Registry(tmp_path / "s")


def test_a_chain_that_was_made_anew_is_not_the_one_that_was_written(tmp_path: Path) -> None:
    _filled(tmp_path / "s")
    _filled(tmp_path / "t")  # other times, so another chain
    (tmp_path / "t" / "head.json").write_bytes((tmp_path / "s" / "head.json").read_bytes())
    with pytest.raises(FairleadError, match="entry 6 is not the one that was written"):
        Registry(tmp_path / "t")
    (tmp_path / "s" / "head.json").unlink()
    with pytest.raises(FairleadError, match=r"head.json, which counts the entries, is missing"):
        Registry(tmp_path / "s")


def test_a_search_killed_before_the_head_was_written_goes_on(tmp_path: Path) -> None:
    with Registry(tmp_path / "s") as registry:
        registry.append("trial", "a", {})
        before = (tmp_path / "s" / "head.json").read_bytes()
        registry.append("trial", "b", {})
    (tmp_path / "s" / "head.json").write_bytes(before)
    with Registry(tmp_path / "s") as registry, Registry(tmp_path / "s") as other:
        assert registry.head.count == 2
        other.append("trial", "c", {})
        assert registry.append("trial", "d", {}).seq == 4


# -- one trial, however its values are written


def test_values_of_one_meaning_are_one_trial(config: LoadedConfig, tmp_path: Path) -> None:
    forms = Forms(config)
    exact, whole, named = (
        "strategies[0].params.half_spread_bps",
        "strategies[0].params.requote_ms",
        "strategies[0].params.instrument_id",
    )

    def form(key: str, text: str) -> str:
        return forms(parsed([f"{key}={text}"]))[key]

    for same in ('"5"', "5", "5.0", '"5.00"'):
        assert form(exact, same) == "5"
        assert form(f"strategies.{config.config.strategies[0].id}.params.half_spread_bps", same)
        assert form("simulated.latency_ms", same) == "5"
    assert forms({exact: Decimal("5.0")}) == {exact: "5"}
    assert form(exact, "50") == "50"
    assert form(whole, "100") == "100"
    assert form(whole, "100.0") == "100.0"  # is refused, as it always was
    assert form(named, "A.B") == "A.B"
    assert form("simulated.queue_position", "true") == "true"
    assert form("no.such", "5.0") == "5.0"
    assert form("strategies[7].params.a", "5.0") == "5.0"

    plan = Plan(params=(param_of(f'{exact}="5",5.0,5,6', ()),))
    with Registry(tmp_path / "s") as registry:
        found = Sweep(registry, plan, "b", {}, forms=forms).run(pool := Same())
        assert registry.count("trial") == 2
    assert [one.changes[exact] for one in pool.asked] == ["5", 6]
    assert [one.outcome.figures["fills"] for one in found] == [0, 0, 0, 3]


class Same:
    """Says which trial it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Task] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        for task in tasks:
            self.asked.append(task)
            yield task, Outcome(figures={"net.USDT": "1", "fills": task.number})

    def close(self) -> None: ...


# -- backtests


def _swept_backtests(config: LoadedConfig, study: Path, jobs: int | None) -> list[Trial]:
    job = Job(str(config.path), {})
    rests = basis(config)
    params = (
        param_of("half_spread_bps=0.02..0.06:0.02", rests.keys),
        param_of("requote_ms=100,x", rests.keys),
    )
    pool = InProcess(Trials, job) if jobs is None else Processes(Trials, job, jobs)
    try:
        with Registry(study) as registry:
            sweep = Sweep(registry, plan := Plan(params=params), rests.key, {"name": "n"})
            found = sweep.run(pool)
            sweep.write(found, {}, study / "out")
    finally:
        pool.close()
    assert all(one.values.keys() == {p.key for p in plan.params} for one in found)
    return found


def test_rows_are_the_same_however_many_run_them_and_those_of_a_backtest(
    config: LoadedConfig, tmp_path: Path
) -> None:
    one = _swept_backtests(config, tmp_path / "one", None)
    _swept_backtests(config, tmp_path / "two", 2)
    rows = (tmp_path / "one" / "out" / "trials.json").read_bytes()
    assert rows == (tmp_path / "two" / "out" / "trials.json").read_bytes()
    told = json.loads(rows)
    assert [row["half_spread_bps"] for row in told] == [
        "0.02",
        "0.02",
        "0.04",
        "0.04",
        "0.06",
        "0.06",
    ]
    for number in (0, 4):
        changes = parsed(f"{key}={value}" for key, value in one[number].values.items())
        result = run_backtest(load(config.path, changes))
        try:
            summary = result.summary
            assert told[number]["net.USDT"] == format(summary.net["USDT"], "f")
            assert told[number]["orders_digest"] == summary.orders_digest
            assert summary.assumptions is not None
            assert told[number]["inputs"] == summary.assumptions.inputs
            assert told[number]["fills"] == summary.fills > 0
            marks, span = result.marks, (summary.start_ns, summary.end_ns)
            marks.finish(summary.end_ns)
            pnl = slices(result.cache, config.config.instruments, marks.by_parts(), span)
            assert pnl == one[number].outcome.pnl
            # By the report's name: what is `drawdown` there is of the account
            assert told[number]["pnl_drawdown.USDT"] == drawdown([0.0, *pnl["USDT"]])[0]
            assert "drawdown.USDT" not in told[number]
            assert pnl["USDT"][-1] == pytest.approx(float(summary.net["USDT"]))
        finally:
            result.dispose()
    failed = [row for row in told if row["error"]]
    assert len(failed) == 3
    assert all("requote_ms" in row["error"] and row["value"] is None for row in failed)


def test_rows_are_parquet_too(config: LoadedConfig, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [
        {"trial": 0, "x": "1.5", "y": "a", "value": 1.0, "error": None, "data": "12"},
        {"trial": 1, "x": "2", "y": "1", "value": None, "error": "E", "data": "13"},
    ]
    (tmp_path / "t.parquet").write_bytes(sweeps.parquet(rows))
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.to_pylist() == [
        {"trial": 0, "x": 1.5, "y": "a", "value": 1.0, "error": None, "data": "12"},
        {"trial": 1, "x": 2.0, "y": "1", "value": None, "error": "E", "data": "13"},
    ]


def test_data_is_read_once_and_one_that_is_too_large_each_time() -> None:
    class Part:
        changes = 3

    reads = []

    def read() -> Iterator[tuple[int, list[Any]]]:
        reads.append(1)
        yield from ((at, [Part()]) for at in range(4))

    small, large = Chunks(rows_max=12), Chunks(rows_max=11)
    cut = small.of(read)
    next(cut)
    cut.close()
    assert [len(list(small.of(read))) for _ in range(3)] == [4, 4, 4]
    assert len(reads) == 2, "once for the run that was cut, and once for all"
    assert [len(list(large.of(read))) for _ in range(2)] == [4, 4]
    assert len(reads) == 4


def _dies(job: Job) -> Any:
    def run(task: Task) -> Outcome:
        if task.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(figures={"pid": os.getpid()})

    return run


def test_a_worker_that_dies_is_a_row() -> None:
    pool = Processes(_dies, Job("", {}), 1)
    found = {task.number: outcome for task, outcome in pool.run(Task(n, {}) for n in range(3))}
    pool.close()
    assert found[1].error == "WORKER-DIED: by SIGKILL"
    assert found[0].figures["pid"] != found[2].figures["pid"]


def test_a_command_that_is_killed_goes_on(config: LoadedConfig, tmp_path: Path) -> None:
    """By kill -9, in the middle; what was done then is not done again."""
    argv = [sys.executable, "-m", "fairlead.engine.cli.main", "sweep", str(config.path)]
    argv += ["--param", "half_spread_bps=0.5..1.5:0.1", "--jobs", "1", "--study", "killed"]
    argv += ["--out", str(tmp_path / "out"), "--set", f"run.state_dir={tmp_path / 'state'}"]
    file = tmp_path / "state" / "studies" / "killed" / "trials.sqlite"
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        end = time.monotonic() + PATIENCE_SECS
        while len(before := _tried(file)) < 3:
            assert running.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        running.kill()
    before = _tried(file)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = _tried(file)
    assert after[: len(before)] == before
    assert len(before) < len(after) == len(set(after)) == 11
    assert len(json.loads((tmp_path / "out" / "trials.json").read_bytes())) == 11
    assert "11 trials, 0 failed\nstudy killed: 11 trials in all\n" in done.stdout


def _tried(file: Path) -> list[str]:
    if not file.exists():
        return []
    db = sqlite3.connect(file, timeout=60)
    try:
        rows = db.execute("SELECT key FROM entries WHERE kind = 'trial' ORDER BY seq").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        db.close()
    return [row[0] for row in rows]
