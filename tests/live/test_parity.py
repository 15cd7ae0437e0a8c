"""Parity of a live run, whose own trades and orders are in the market that it recorded."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support import configs
from tests.support.processes import Venue, run, venue

SIMULATED = """
[simulated]
balances = ["1000000 USDT", "10 BTC"]
[record]
dir = "data"
[backtest]
catalog = "data/catalog"
"""


def config_of(folder: Path, served: Venue, cls: str = "Pairing") -> Path:
    key = str(served.line["venue"])
    params = {"instrument_id": f"BTC_USDT.{key.upper()}"}
    strategy = {"id": "Pairing-1", "path": f"tests.live.pairing:{cls}", "params": params}
    return configs.write(folder, served, strategies=[strategy], more=configs.ROOMY + SIMULATED)


def parity(run_folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("parity", run_folder, "--json").stdout)
    return told


@pytest.mark.parametrize("key", ["poloniex", "oceanex", "piexgo"])
def test_what_a_run_took_is_not_taken_once_more_by_its_own_trades(key: str, tmp_path: Path) -> None:
    """The second order of each pair meets what the first has left, as it did at the venue."""
    with venue(key, tmp_path / key, "--seed", "5") as served:
        config = config_of(tmp_path, served)
        done = run("live", config, "--for", "12", "--json")
        assert done.returncode == 0, done.stderr[-3000:]
    (orders,) = tmp_path.rglob("orders.jsonl")
    found = parity(orders.parent)
    rows = [json.loads(line) for line in orders.read_text().splitlines()]
    executed = [row for row in rows if row["fills"]]
    assert len(executed) >= 8
    assert found["own"]["unfound"] == []
    assert found["own"]["trades"] >= len(executed)  # one or more of each
    twice = [one["order"] for one in found["differences"] if is_twice(one)]
    assert twice == [], found["differences"]


def is_twice(one: dict[str, Any]) -> bool:
    """Whether the backtest has less at the run's own price: what was left there was taken again."""
    mine, theirs = (told.split(" fee ")[0].rstrip(",") for told in (one["run"], one["replay"]))
    if " at " not in mine or " at " not in theirs:
        return False
    (size, price), (less, at) = (told.split()[-3::2] for told in (mine, theirs))
    return Decimal(price) == Decimal(at) and Decimal(less) < Decimal(size)


def test_a_position_that_was_taken_over_is_the_replays_too(tmp_path: Path) -> None:
    """Its exits are refused by no gate that thinks the strategy has nothing."""
    with venue("poloniex", tmp_path / "poloniex", "--seed", "5") as served:
        config = config_of(tmp_path, served, "Turning")
        runs = []
        for _ in ("buys", "sells"):
            done = run("live", config, "--for", "4", "--json")
            assert done.returncode == 0, done.stderr[-3000:]
            runs += [one.parent for one in tmp_path.rglob("orders.jsonl") if one.parent not in runs]
    bought, sold = (json.loads((one / "orders.jsonl").read_text()) for one in runs)
    assert (bought["side"], sold["side"], sold["reduce_only"]) == ("BUY", "SELL", True)
    (opening,) = json.loads((runs[1] / "summary.json").read_text())["strategies"]
    assert Decimal(opening["opening_position"]) > 0
    found = parity(runs[1])
    assert found["differences"] == []
    assert found["ok"]
