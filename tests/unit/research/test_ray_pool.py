"""The same rows on a Ray cluster of two processes; needs the extra `ray`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.research.pool import InProcess, Job, Pool
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import param_of
from fairlead.engine.research.sweep import Sweep
from fairlead.engine.research.trials import Registry
from fairlead.engine.run.config import load
from fairlead.engine.run.trial import Trials, basis
from tests.unit import backtest_kit as kit


@pytest.mark.long
def test_rows_of_a_cluster_of_two_are_those_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from fairlead.engine.research.ray_pool import OnRay

    catalog = kit.write_catalog(tmp_path / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=20)
    params = {**kit.MAKER_PARAMS, "allow_short": True}
    path = kit.config(tmp_path, catalog, kit.MAKER, params)
    rests = basis(load(path))
    job = Job(str(path), {})

    def rows(pool: Pool, name: str) -> bytes:
        given = ("half_spread_bps=0.02..0.06:0.02", "requote_ms=100,200,x")
        plan = Plan(params=tuple(param_of(one, rests.keys) for one in given))
        try:
            with Registry(tmp_path / name) as registry:
                sweep = Sweep(registry, plan, rests.key, {})
                folder = sweep.write(sweep.run(pool), {}, None)
        finally:
            pool.close()
        return (folder / "trials.json").read_bytes()

    alone = rows(InProcess(Trials, job), "one")
    assert alone.count(b'"orders_digest"') == 9
    assert rows(OnRay(Trials, job, "local", 2), "ray") == alone
