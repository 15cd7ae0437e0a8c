"""What a strategy promises to hold at the end of a run is held, or loudly not."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.live import hosted
from tests.live.test_exits import CREATE, OPTIONS, STEP, Exit
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, start

QUICK = """
[execution]
poll_ms = 100
absent_quarantine_secs = 0.5
"""
TREND = {"path": "fairlead.strategies.trend_follower:TrendFollower"} | {
    "params": {
        "order_quantity": "0.01",
        "bar": "1-SECOND-LAST",
        "fast": 1,
        "slow": 2,
        "atr": 1,
        "channel_atr": "0",
        "flatten_on_stop": True,
    }
}
LATE_SECS = 2.2  # of the answer to the entry: longer than NautilusTrader waits after on_stop


class Leave(Exit):
    """A run whose strategy holds a position at the stop, or is about to."""

    def begin(self, strategy: dict[str, Any], verb: str = "live", more: str = "") -> None:
        params = {"instrument_id": f"BTC_USDT.{self.key.upper()}"} | strategy["params"]
        strategies = [{"id": "Leaving-1", **strategy, "params": params}]
        text = configs.ROOMY_RISK + QUICK + more
        config = configs.write(self.folder, self.served, strategies=strategies, more=text)
        self.process = start(verb, config, log=self.log)

    def leaving(self, how: str) -> dict[str, Any]:
        params = {"how": how, "told": str(self.told)}
        return {"path": "tests.live.leaving:Leaving", "params": params}

    def delay(self, secs: float, times: int = 1) -> None:
        fault = {"method": "POST", "path": CREATE[self.key], "kind": "delay"}
        self.served.post("faults", **fault, secs=secs, times=times)

    def heard(self, what: str) -> int:
        return self.told.read_text().split().count(what) if self.told.exists() else 0


@pytest.fixture(params=sorted(OPTIONS))
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Leave]:
    with hosted.simulated(tmp_path / "keys", OPTIONS[str(request.param)]) as line:
        made = Leave(tmp_path, Venue(None, line))  # type: ignore[arg-type]  # no process of its own
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(PATIENCE_SECS)


@pytest.mark.parametrize("how", ["trend", "market_exit", "close_all_positions"])
def test_an_entry_that_is_answered_late_is_left_again(run: Leave, how: str) -> None:
    """The stop comes when the venue has filled the entry and its answer is still on the way."""
    run.delay(LATE_SECS)
    run.begin(TREND if how == "trend" else run.leaving(how))
    run.wait(lambda: run.orders("BUY", "filled"), "the entry to be filled at the venue")
    run.end()
    assert 0 <= run.btc() < STEP
    assert [order["status"] for order in run.orders("SELL")] == ["filled"]
    ((held,),) = run.journal("SELECT quantity FROM positions")
    assert Decimal(held) == run.btc()
    told = run.log.read_text()
    assert "recovery incomplete" not in told
    assert "abandoned" not in told
