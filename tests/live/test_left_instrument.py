"""A live run whose journal holds an instrument that the config names no more: it is counted, in
summary, report and tables, and parity leaves it out and says so."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.research.marks import LOOK_SECS
from fairlead.engine.research.report import report
from fairlead.engine.research.runs import Run, newest
from tests.live.desk import Desk
from tests.live.test_parity_restart import MORE, meet
from tests.support import configs
from tests.support.processes import run, wait_for

pytestmark = pytest.mark.slow


def other(desk: Desk, does: str) -> Path:
    """A config of another market alone."""
    named = {
        "instrument_id": "ETH_USDT.OCEANEX",
        "does": does,
        "seen": str(desk.seen),
        "quantity": "0.01",
    }
    strategy = {"id": "Scripted-1", "path": "tests.live.scripted:Scripted", "params": named}
    return configs.write(
        desk.folder, desk.served, strategies=[strategy], instruments=("ETH_USDT",), more=MORE
    )


def begun(desk: Desk) -> str:
    """A run that buys, and leaves an order; its id."""
    process = desk.start("live", desk.config("buy", more=MORE))
    desk.wait_resting(process)
    wait_for(lambda: "FILLED" in desk.states(), "the market order to fill")
    assert desk.stop(process) == 0, desk.log.read_text()[-2000:]
    (order,) = desk.open_orders()
    return order


def test_parity_compares_what_is_in_the_config(desk: Desk) -> None:
    begun(desk)
    done = desk.run_until("live", other(desk, "rest"), desk.did("accepted"), "an order")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(run("parity", next(newest(desk.folder / "state")), "--json").stdout)
    assert found["orders"] == 1
    assert "not in the config, and not compared: BTC_USDT.OCEANEX" in found["notes"]
    assert found["beyond"] == []


def test_a_report_has_its_executions_too(desk: Desk) -> None:
    order = begun(desk)
    told = [e["order"] for e in desk.entries("order") if str(e["order"]["id"]) == order][-1]
    process = desk.start("live", other(desk, "nothing"))
    wait_for(lambda: "subscribed" in desk.log.read_text(), "the run to be up")
    before = desk.position()
    meet(desk, told["price"], "0.001")
    wait_for(lambda: desk.position() > before, "its fill")
    until = time.monotonic() + 3 * LOOK_SECS
    wait_for(lambda: time.monotonic() > until, "the market to be looked at")
    assert desk.stop(process) == 0, desk.log.read_text()[-2000:]
    kept = Run.at(next(newest(desk.folder / "state")))
    (traded,) = (one for one in report(kept)["execution"] if one["fills"])
    assert (traded["instrument"], traded["fills"]) == ("BTC_USDT.OCEANEX", 1)
    assert traded["turnover"] > 0
    (fill,) = kept.rows("fills")
    assert fill["moved"] is not None
    assert kept.rows("positions")
    _one_figure(kept)


def _one_figure(kept: Run) -> None:
    """What the report has won is the summary's net without what was held at the start, which the
    report has in `kept`; and it is looked at all the while, as the rest is."""
    summed = kept.summary["instruments"]
    held = sum(Decimal(one["opening_gain"]) for one in summed)
    assert held, "something was held at the start"
    equity = kept.rows("equity")
    assert Decimal(equity[-1]["pnl"]) == Decimal(kept.summary["net"]["USDT"]) - held
    seen = {one["instrument"] for one in kept.rows("marks")}
    assert seen == {one["instrument"] for one in summed}
    assert len(equity) > 1, "a curve, and not its end alone"
