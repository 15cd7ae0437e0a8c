"""What the gate and a strategy count is what the journal has: to the last digit, and over restarts.

A buyer's fee is a part of the quantity, of more digits than NautilusTrader's money has.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from tests.live import hosted
from tests.support import configs
from tests.support.processes import Venue, run_until

OPTIONS = {"oceanex": OceanexSimOptions(), "poloniex": PoloniexSimOptions()}
STEP = Decimal("0.000001")
LOTS = Decimal("0.010003")  # a fee of 9 digits at one venue, of 11 at the other


class Bench:
    def __init__(self, folder: Path, key: str, served: Venue) -> None:
        self.folder, self.key, self.served = folder, key, served
        self.told = folder / "told"

    def run(
        self, orders: list[str], last: str, count: int = 1, mode: str = "live", losses: int = 1
    ) -> list[str]:
        """What the strategy was told in a run, until it was told `last` so often."""
        self.told.write_text("")
        params = {
            "instrument_id": f"BTC_USDT.{self.key.upper()}",
            "orders": orders,
            "told": str(self.told),
        }
        strategy = {"id": "F-1", "path": "tests.data.figures:Figures", "params": params}
        more = configs.ROOMY_RISK + f"cooldown_losses = {losses}\ncooldown_secs = 600\n"
        more += configs.QUICK_DESK
        if mode == "paper":
            more += '[simulated]\nbalances = ["100000 USDT", "2 BTC"]\n'
            more += f'[venues.{self.key}.fees]\nmaker = "0.00145"\ntaker = "0.00155"\n'
        config = configs.write(self.folder, self.served, strategies=[strategy], more=more)
        done = lambda: self.told.read_text().count(f'["{last}"') >= count  # noqa: E731
        ended = run_until(mode, config, done, "its orders", folder=self.folder)
        assert ended.returncode == 0, ended.stderr[-3000:]
        self.summary: dict[str, Any] = json.loads(ended.stdout)
        lines = [json.loads(line) for line in self.told.read_text().splitlines()]
        return [" ".join(line) for line in lines]

    @property
    def position(self) -> Decimal:
        """By the journal."""
        with sqlite3.connect(self.folder / "state" / f"{self.key}-main.journal.sqlite") as db:
            ((quantity,),) = db.execute("SELECT quantity FROM positions").fetchall()
        return Decimal(quantity)

    @property
    def kept(self) -> dict[str, Any]:
        """The gate's file."""
        path = self.folder / "state" / f"{self.key}-main.risk.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture(params=sorted(OPTIONS))
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    key = str(request.param)
    with hosted.simulated(tmp_path / "keys", OPTIONS[key]) as line:
        yield Bench(tmp_path, key, Venue(None, line))  # type: ignore[arg-type]


def own(told: list[str]) -> Decimal:
    """The last position that the strategy was told."""
    return Decimal([line for line in told if line.startswith("own ")][-1].removeprefix("own "))


def test_a_losing_trip_over_a_restart_counts_by_the_journals_position(bench: Bench) -> None:
    told = bench.run([f"{LOTS}"], "own")
    held = bench.position
    assert held != round(held, 8), "the fee has no more digits than a balance"
    assert told == ["start none", f"own {held}"]
    (trip,) = bench.kept["trips"]["F-1"].values()
    (valued,) = bench.kept["held"].values()
    assert Decimal(trip["quantity"]) == Decimal(valued["quantity"]) == held
    told = bench.run(["-0.020", "-0.001"], "denied")
    assert (told[0], told[-1]) == (f"start {held}", "denied COOLDOWN")
    assert own(told) == bench.position == held - Decimal("0.020")


def test_dust_of_a_base_fee_ends_a_trip_and_is_no_position_to_go_on_with(bench: Bench) -> None:
    bought = "0.011111"
    told = bench.run([bought, "all", bought, "all", bought], "denied", losses=2)
    assert told[-1] == "denied COOLDOWN"
    assert 0 < own(told) == bench.position < STEP
    told = bench.run([bought], "denied", losses=2)
    assert told == ["start none", "denied COOLDOWN"]


def test_on_paper_the_strategys_position_is_the_summarys(bench: Bench) -> None:
    told = bench.run([f"{LOTS}", "all", f"{LOTS}"], "own", 3, "paper", losses=9)
    assert own(told) == Decimal(bench.summary["instruments"][0]["position"])
