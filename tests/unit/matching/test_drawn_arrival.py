"""Latencies that are drawn, in a backtest and on paper: each command arrives when its draw says."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from fairlead.engine.errors import FairleadError
from fairlead.engine.matching.line import Line
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.latency import measured_by
from tests.unit.backtest_kit import MAKER, MAKER_PARAMS, config, perpetual, write_catalog
from tests.unit.matching.kit import BTC, BUY, SELL, new
from tests.unit.matching.test_arrival import (
    ANSWERS,
    IID,
    LOOSE,
    MS,
    TIMED,
    named,
    steady,
)
from tests.unit.matching.test_line import ASKS, BIDS, Way

LATENCY = "lognormal median=20 p99=80 max=120"


def loaded(folder: Path, catalog: Path, path: str, params: dict[str, Any], **changes: Any) -> Any:
    file = config(folder, catalog, path, named(path, params), risk=LOOSE)
    file.write_text(file.read_text().replace('latency_ms = "1"\n', f'latency = "{LATENCY}"\n'))
    return load(file, changes)


def draws(seed: int = 1) -> Iterator[int]:
    """As the config's words say, reckoned apart from the engine."""
    normal, source = NormalDist(), random.Random(f"{seed} latency TEST")
    sigma = math.log(4) / normal.inv_cdf(0.99)
    while True:
        ms = 20 * math.exp(sigma * normal.inv_cdf(source.random()))
        yield min(round(ms * 1000) * 1000, 120 * MS)


def arrivals(result: RunResult) -> list[tuple[int, str, int | None]]:
    """When each command arrived, what it was, and when a submit was decided."""
    found = []
    for order in result.cache.orders():
        events = [(type(event).__name__, event.ts_event) for event in order.events()]
        for at, (name, _) in enumerate(events):
            if (answers := ANSWERS.get(name)) is not None:
                due = next(ts for kind, ts in events[at + 1 :] if kind in answers)
                found.append((due, name, order.ts_init if name == "OrderSubmitted" else None))
    return sorted(found, key=lambda one: (one[0], one[1]))


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steady(tmp_path_factory.mktemp("steady") / "sparse", 3_000, 6)


@pytest.mark.parametrize("seed", [1, 2])
def test_commands_of_a_backtest_arrive_as_drawn(tmp_path: Path, sparse: Path, seed: int) -> None:
    params = {"every_us": 150_300}
    result = run_backtest(loaded(tmp_path, sparse, TIMED, params, **{"run.seed": seed}))
    found, source, checked = arrivals(result), draws(seed), 0
    assert (result.summary.faults, result.summary.denials) == ([], {})
    submits = {decided: due for due, _, decided in found if decided is not None}  # of lists: one
    for decided, due in sorted(submits.items()):
        others = 0  # commands in between, which have draws of their own
        while due != decided + next(source):
            others += 1
            assert others <= 4, f"no draw is that of {decided}"
        checked += 1
    assert checked > 30
    assert {name for _, name, _ in found} == set(ANSWERS)
    result.dispose()


def test_equal_runs_are_equal_and_other_seeds_trade_otherwise(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "catalog", perpetual(IID), seconds=60, seed=11)
    digests = []
    for seed in (1, 1, 2):
        changes = {"run.seed": seed}
        result = run_backtest(loaded(tmp_path, catalog, MAKER, MAKER_PARAMS, **changes))
        assert result.exit_code == 0
        assumed = result.summary.assumptions
        assert assumed is not None
        assert assumed.execution is not None
        assert str(assumed.execution).startswith(
            "latency lognormal, median 20 ms, 99 % below 80 ms, at most 120 ms, seed"
        )
        digests.append(result.summary.orders_digest)
        result.dispose()
    assert digests[0] == digests[1] != digests[2]


def test_a_run_that_measured_gives_its_latencies_to_another(tmp_path: Path, sparse: Path) -> None:
    first = run_backtest(loaded(tmp_path, sparse, TIMED, {"every_us": 150_300}))
    first.record().write(tmp_path / "measured")
    first.dispose()
    made_live(tmp_path / "measured")
    measured = {due - decided for due, _, decided in arrivals_of(tmp_path) if decided is not None}
    changes = {"simulated.latency": "journal:measured"}
    second = run_backtest(loaded(tmp_path, sparse, TIMED, {"every_us": 150_300}, **changes))
    told = second.summary.assumptions
    assert told is not None
    assert told.execution is not None
    assert told.execution.latency_sha256 is not None
    assert "journal, median" in str(told.execution)
    last = 0
    for due, _, decided in arrivals(second):
        if decided is not None and due != last:
            assert due - decided in measured
        last = due
    second.dispose()


def made_live(run: Path) -> None:
    """What a backtest wrote, as if a venue had answered."""
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(told | {"mode": "live"}))


def test_only_a_live_run_measures_and_the_last_one_is_last(tmp_path: Path, sparse: Path) -> None:
    """A backtest that takes its latency of `last` does not measure itself."""
    made = run_backtest(loaded(tmp_path, sparse, TIMED, {"every_us": 150_300}))
    known = loaded(tmp_path, sparse, TIMED, {"every_us": 150_300})
    live, later = (known.state_dir / "runs" / name for name in ("a-live", "z-later"))
    for folder in (live, later):
        made.record().write(folder)
    made.dispose()
    with pytest.raises(FairleadError, match=r"none of the 2 runs in .* was of mode live"):
        measured_by(known, "last")
    made_live(live)
    stamp = json.loads((later / "stamp.json").read_text())
    (later / "stamp.json").write_text(json.dumps(stamp | {"begun_ns": stamp["begun_ns"] + 1}))
    (later / "latencies.jsonl").write_text("")
    assert len(measured_by(known, "last")) > 30
    assert measured_by(known, "last") == measured_by(known, str(live))
    for name in ("z-later", str(later)):
        with pytest.raises(FairleadError, match=r"LATENCY-MODE: .*z-later is of mode backtest"):
            measured_by(known, name)


def arrivals_of(folder: Path) -> list[tuple[int, str, int | None]]:
    from fairlead.engine.research.runs import Run

    rows = Run.at(folder / "measured").rows("orders")
    return [(row["ts_accepted"], "", row["ts_init"]) for row in rows if row["ts_accepted"]]


def test_a_run_that_is_not_there_is_told(tmp_path: Path, sparse: Path) -> None:
    changes = {"simulated.latency": "journal:nowhere"}
    with pytest.raises(FairleadError, match="RUN-NOT-FOUND"):
        run_backtest(loaded(tmp_path, sparse, TIMED, {"every_us": 150_300}, **changes))


def test_paper_draws_and_no_command_overtakes_another() -> None:
    way = Way(100)
    delays = iter([40 * MS, 5 * MS, 20 * MS])
    way.line = Line(
        way.bench.exchange,
        latency_ns=100 * MS,
        now_ns=way.loop.now_ns,
        on_error=way.errors.append,
        delay_ns=lambda: next(delays),
    )

    async def main() -> None:
        way.line.market(
            way.loop.now_ns(),
            lambda now: way.bench.exchange.book(BTC, [*BIDS, *ASKS], now, is_whole=True),
        )
        way.send(new("first", BUY, 1))
        await asyncio.sleep(0.01)
        way.send(new("second", SELL, 1))
        await asyncio.sleep(0.05)
        way.send(new("third", BUY, 1))
        await asyncio.sleep(0.2)

    bench = way.run(main)
    assert not way.errors
    assert [bench.at(name, "accepted") for name in ("first", "second", "third")] == [
        [40.0],
        [40.0],
        [80.0],
    ]
