"""Studies: how much of the best is luck, what is held back, and what is tried on later data."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fairlead.engine.cli.app import app
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import FairleadError
from fairlead.engine.research.holdout import Held, held_of, hold, require_open
from fairlead.engine.research.luck import Curve, luck
from fairlead.engine.research.pool import Job, Outcome, Task
from fairlead.engine.research.runs import Run, newest
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import param_of
from fairlead.engine.research.study import luck_of, words
from fairlead.engine.research.sweep import Sweep
from fairlead.engine.research.trials import Registry
from fairlead.engine.research.walk import duration_ns, spans, walk
from fairlead.engine.run.config import load
from fairlead.engine.run.trial import Trials, basis
from tests.unit import backtest_kit as kit

SECOND = 10**9
HELD_FROM = kit.START_NS + 15 * SECOND


# -- luck


def _curves(skill: float, count: int = 8, parts: int = 240) -> list[Curve]:
    rng, found = random.Random(5), []
    for number in range(count):
        total, pnl = 0.0, []
        for _ in range(parts):
            total += rng.gauss(skill * number, 1)
            pnl.append(total)
        found.append(Curve(str(number), pnl))
    return found


def test_luck_is_what_two_libraries_say() -> None:
    """`vetted` 0.1.0, of the same numbers: PBO 0.2867965, deflated Sharpe 0.9048 against an
    expected 0.1193: it takes the spread of the trials as that of a sample, which eight are."""
    pytest.importorskip("trialgate")
    curves = _curves(0.02)
    found = luck(curves[7], [*curves, curves[3], Curve("idle", [0.0] * 240)])
    assert (found.tried, found.effective, found.parts, found.splits) == (10, 8, 240, 924)
    assert found.sharpe == pytest.approx(0.2057408)
    assert found.pbo == pytest.approx(0.2867965)
    assert found.deflated == pytest.approx(0.9231, abs=1e-4)
    assert found.deflated == pytest.approx(0.9048, abs=0.02)
    assert found.expected == pytest.approx(0.1116, abs=1e-4)
    assert found.parts_needed is not None
    assert found.parts_needed > 240
    assert any("deflated Sharpe ratio 0.923" in line for line in words(found))


def test_vetted_agrees() -> None:
    overfitting = pytest.importorskip("vetted.overfitting", reason="the oracle is not installed")
    import numpy

    for skill in (0.0, 0.05):
        curves = _curves(skill, count=12)
        moves = numpy.array([one.moves() for one in curves]).T
        found = luck(curves[-1], curves)
        assert found.pbo == pytest.approx(overfitting.pbo(moves, n_blocks=12).statistic, abs=1e-4)
        told = overfitting.deflated_sharpe(moves[:, -1], moves, periods=1).statistic
        assert found.deflated == pytest.approx(told, abs=0.02)


def test_what_can_not_be_said_of_luck_is_not_said() -> None:
    (one,) = _curves(0, count=1)
    for best, trials in ((None, []), (one, [one, one]), (Curve("x", [0.0]), [one, one])):
        found = luck(best, trials)
        assert (found.deflated, found.pbo) == (None, None)
        assert "fewer than two" in found.why
        assert list(words(found))[-1].startswith("not said")


def test_the_reason_is_of_the_best_where_others_traded() -> None:
    idle, curves = Curve("idle", [0.0] * 240), _curves(0, count=2)
    for best, why in ((idle, "the best trial has no profit or loss"), (None, "no trial is best")):
        found = luck(best, [*curves, idle])
        assert (found.tried, found.effective, found.deflated) == (3, 2, None)
        assert why in found.why
        assert list(words(found)) == [
            "3 trials over this time, 2 of them traded differently",
            f"not said: {found.why}",
        ]


# -- a span that is held back


def _held(**more: Any) -> Held:
    told = {"study": "s", "catalog": "/c", "instruments": ("A.B",), "start_ns": 100, "end_ns": 200}
    return Held(**{**told, **more})


def test_a_held_span_is_closed_to_all_until_it_is_spent(tmp_path: Path) -> None:
    catalog = Path("/c")
    with Registry(tmp_path / "studies" / "s") as registry:
        require_open(tmp_path, catalog, ["A.B"], (0, 300))
        hold(registry, _held())
        assert held_of(registry) == _held()
        for span in ((0, 100), (200, 300), (120, 130), (0, 300)):
            with pytest.raises(FairleadError, match="HELD-OUT: the study s holds 1970-01-01"):
                require_open(tmp_path, catalog, ["X.Y", "A.B"], span)
            require_open(tmp_path, catalog, ["A.B"], span, spends="s")
        require_open(tmp_path, catalog, ["A.B"], (0, 99))
        require_open(tmp_path, catalog, ["A.B"], (201, 300))
        require_open(tmp_path, Path("/d"), ["A.B"], (0, 300))
        require_open(tmp_path, catalog, ["X.Y"], (0, 300))
        with pytest.raises(FairleadError, match="HELD-BEFORE"):
            hold(registry, _held(start_ns=150))
        registry.append("spend", "begun", {})
        require_open(tmp_path, catalog, ["A.B"], (0, 300))


def test_what_a_trial_has_seen_can_not_be_held(tmp_path: Path) -> None:
    with Registry(tmp_path / "s") as registry:
        registry.append("trial", "k", {"span_ns": (0, 150)})
        with pytest.raises(FairleadError, match="HELD-SEEN: 1 trials"):
            hold(registry, _held())
        hold(registry, _held(start_ns=151))


# -- walk-forward


def test_spans_follow_one_another_with_an_embargo_between() -> None:
    whole = (0, 100 * SECOND)
    found = spans("30s/20s", "5s", whole)
    assert found[0] == ((0, 30 * SECOND - 1), (35 * SECOND, 55 * SECOND - 1))
    assert [test[0] // SECOND for _, test in found] == [35, 55, 75]
    assert duration_ns("1.5h") == 5400 * SECOND
    for text, code in (("30s", "WALK-FORM"), ("0s/1s", "above 0"), ("9d/1d", "WALK-SHORT")):
        with pytest.raises(FairleadError, match=code):
            spans(text, "0s", whole)
    with pytest.raises(FairleadError, match="came 5 days"):
        spans("1d/1d", "5 days", whole)


class Later:
    """In each span the best x is its number of begun tens of seconds; -x is worth nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, str]] = []

    def run(self, tasks: Any) -> Iterator[tuple[Task, Outcome]]:
        for task in tasks:
            start: datetime = task.changes["backtest.start"]
            end: datetime = task.changes["backtest.end"]
            x, best = float(task.changes["x.x"]), start.second // 10
            self.asked.append((x, f"{start:%S.%f}", f"{end:%S.%f}"))
            yield task, Outcome(figures={"net.USDT": str(-abs(x - best))})

    def close(self) -> None: ...


def test_the_best_of_a_span_is_tried_on_the_next(tmp_path: Path) -> None:
    plan, pool = Plan(params=(param_of("x.x=0..5:1", ()),)), Later()
    with Registry(tmp_path / "s") as registry:

        def make(some: Plan, fixed: dict[str, Any]) -> Sweep:
            return Sweep(registry, some, "b", {}, fixed)

        parts = spans("10s/10s", "0s", (0, 40 * SECOND - 1))
        steps = [step.told() for step in walk(plan, parts, make, pool, None)]
        assert [step["values"] for step in steps] == [{"x.x": "0"}, {"x.x": "1"}, {"x.x": "2"}]
        assert [(one["in_sample"], one["out_of_sample"]) for one in steps] == [(0, -1)] * 3
        assert pool.asked[6] == (0, "10.000000", "19.999999")
        assert registry.count("trial") == len(pool.asked) == 19, "two were of a search, too"
        again = Later()
        assert [step.told() for step in walk(plan, parts, make, again, None)] == steps
        assert again.asked == []


# -- the commands


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LoadedConfig:
    folder: Path = tmp_path_factory.mktemp("study")
    catalog = kit.write_catalog(folder / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=20)
    params = {**kit.MAKER_PARAMS, "allow_short": True}
    return kit.loaded(folder, catalog, kit.MAKER, params)


def _fairlead(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_study_from_its_hold_to_its_end(config: LoadedConfig) -> None:
    file, key = config.path, "strategies[0].params.half_spread_bps"
    held = _fairlead("study", "hold", "s", file, "--from", "2023-11-14T22:13:35")
    assert held.exit_code == 0, held.stderr
    assert "study s holds 2023-11-14T22:13:35Z to 2023-11-14T22:13:40.000297Z" in held.stdout
    refused = _fairlead("backtest", file)
    assert refused.exit_code == 2
    assert "HELD-OUT" in refused.stderr
    values = ("--param", "half_spread_bps=0.02..0.06:0.02", "--jobs", 1)
    other = _fairlead("sweep", file, *values, "--study", "other")
    assert other.exit_code == 2
    assert "HELD-OUT" in other.stderr
    out = config.path.parent / "out"
    swept = _fairlead("sweep", file, *values, "--study", "s", "--out", out)
    assert swept.exit_code == 0, swept.stderr
    told = json.loads((out / "sweep.json").read_bytes())
    assert (told["study_trials"], told["luck"]["tried"]) == (3, 3)
    with Registry(config.state_dir / "studies" / "s") as registry:
        ends = {entry.body["span_ns"][1] for entry in registry.entries("trial")}
        assert max(ends) < HELD_FROM
    strange = _fairlead("study", "spend", "s", file, "--set", f"{key}=9")
    assert "HELD-TRIAL" in strange.stderr
    spent = _fairlead("study", "spend", "s", file, "--set", f"{key}=0.04")
    assert spent.exit_code == 0, spent.stderr
    run = Run.at(next(iter(newest(config.state_dir))))
    assert run.manifest.start_ns >= HELD_FROM
    assert run.manifest.study is not None
    assert (run.manifest.study["study"], run.manifest.study["trials"]) == ("s", 3)
    again = _fairlead("study", "spend", "s", file, "--set", f"{key}=0.04")
    assert again.exit_code == 2
    assert "HELD-SPENT: the study s has spent 2023-11-14T22:13:35Z" in again.stderr
    assert _fairlead("backtest", file).exit_code == 0
    shown = _fairlead("study", "show", "s", file)
    assert "study s: 3 trials, whole" in shown.stdout
    assert "spent" in shown.stdout
    assert "STUDY-NOT-FOUND: no study t in" in _fairlead("study", "show", "t", file).stderr


def test_studies_are_listed(config: LoadedConfig, tmp_path: Path) -> None:
    file = tmp_path / "listed.toml"
    file.write_text(config.path.read_text())
    state = load(file).state_dir
    assert state.is_relative_to(tmp_path)
    assert "no studies in" in _fairlead("study", "ls", file).stdout
    for name, count in (("b", 1), ("a", 3)):
        with Registry(state / "studies" / name) as registry:
            registry.append("sweep", "one", {})
            for number in range(count):
                registry.append("trial", str(number), {"error": None, "span_ns": [1, 2]})
    with Registry(state / "studies" / "a") as registry:
        hold(registry, _held(catalog=str(tmp_path), start_ns=HELD_FROM, end_ns=HELD_FROM + 1))
    listed = json.loads(_fairlead("study", "ls", file, "--json").stdout)
    assert [(one["study"], one["trials"], one["searches"]) for one in listed] == [
        ("a", 3, 1),
        ("b", 1, 1),
    ]
    assert [one["held_out"] is None for one in listed] == [False, True]
    assert all(0 < one["begun_ns"] < one["last_ns"] for one in listed)
    table = _fairlead("study", "ls", file)
    assert table.exit_code == 0
    assert "closed until" in table.stdout  # the rest of it may stand a line below
    (state / "studies" / "b" / "head.json").unlink()
    cut = _fairlead("study", "ls", file)
    assert cut.exit_code == 9
    assert "STUDY-CUT" in cut.stdout
    assert "error STUDY-CUT: the study b was cut" in cut.stderr


def test_luck_counts_every_search_of_the_study(tmp_path: Path) -> None:
    pytest.importorskip("trialgate")
    curves = _curves(0.02)

    class Known:
        def run(self, tasks: Any) -> Iterator[tuple[Task, Outcome]]:
            for task in tasks:
                one = curves[task.changes["x.x"]]
                figures = {"net.USDT": str(one.pnl[-1]), "orders_digest": one.orders}
                yield task, Outcome(figures=figures, pnl={"USDT": one.pnl}, span_ns=(1, 2))

        def close(self) -> None: ...

    with Registry(tmp_path / "s") as registry:
        for spec in ("0..6:1", "7"):
            plan = Plan(params=(param_of(f"x.x={spec}", ()),))
            found = Sweep(registry, plan, "b", {}).run(Known())
        assert luck_of(registry, found, plan) == luck(curves[7], curves)


def test_trials_without_a_figure_are_tried_all_the_same(tmp_path: Path) -> None:
    """One that never traded has no ratio; it is counted, and shown."""

    class Idle:
        def run(self, tasks: Any) -> Iterator[tuple[Task, Outcome]]:
            for task in tasks:
                figures = {"ratio.USDT": None, "orders_digest": "none"}
                yield task, Outcome(figures=figures, pnl={"USDT": [0.0] * 240}, span_ns=(1, 2))

        def close(self) -> None: ...

    plan = Plan(params=(param_of("x.x=1,2,3", ()),), metric="ratio")
    with Registry(tmp_path / "s") as registry:
        found = Sweep(registry, plan, "b", {}).run(Idle())
        told = luck_of(registry, found, plan)
    assert (told.tried, told.effective) == (3, 0)
    assert next(iter(words(told))) == "3 trials over this time, 0 of them traded differently"


def test_an_amount_that_a_trial_had_none_of_is_nought(config: LoadedConfig) -> None:
    trials = Trials(Job(str(config.path), {"strategies[0].params.half_spread_bps": "9000"}))
    try:
        found = trials(Task(0, {}))
    finally:
        trials.close()
    assert found.error is None
    assert found.figures["fills"] == 0
    assert found.figures["fees.USDT"] == "0"


def test_what_the_workers_of_a_held_study_are_given(config: LoadedConfig, tmp_path: Path) -> None:
    """A trial that names another end is refused there, and is a row."""
    from fairlead.engine.run.trial import Trials

    state = {"run.state_dir": str(tmp_path / "state")}
    loaded = load(config.path, state)
    rests = basis(loaded)
    with Registry(loaded.state_dir / "studies" / "s") as registry:
        start, end = HELD_FROM, rests.span_ns[1]
        names = {"catalog": rests.catalog, "instruments": rests.instruments}
        hold(registry, _held(**names, start_ns=start, end_ns=end))
    trials = Trials(Job(str(config.path), state))
    outcome = trials(Task(0, {}))
    trials.close()
    assert outcome.error is not None
    assert outcome.error.startswith("HELD-OUT")
