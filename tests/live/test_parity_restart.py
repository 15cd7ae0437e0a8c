"""Parity of a live run that took over an order of an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.research.runs import newest
from tests.live.desk import Desk
from tests.live.test_restart import KEEP
from tests.support import configs
from tests.support.processes import run, venue, wait_for

MORE = (
    KEEP
    + """
[simulated]
balances = ["1000000 USDT", "10 BTC"]
[record]
dir = "data"
[backtest]
catalog = "data/catalog"
"""
)


def meet(desk: Desk, price: str, size: str) -> None:
    """Someone sells down to our price, which is under the market."""
    desk.served.post("market", action="pause")
    try:
        desk.served.post("market", market="btcusdt", price=price, quantity=size, aggressor="SELL")
        desk.served.post("market", market="btcusdt", side="SELL", price=price, size=size)
    finally:
        desk.served.post("market", market="btcusdt", side="SELL", price=price, size="0")
        desk.served.post("market", action="resume")


@pytest.mark.parametrize("ends_away", [False, True])
def test_of_an_earlier_runs_order_the_backtest_has_what_was_left(
    desk: Desk, ends_away: bool
) -> None:
    """A part of it was executed before, as was the rest while no run was there."""
    process = desk.start("live", desk.config("rest", more=MORE))
    desk.wait_resting(process)
    (order,) = desk.open_orders()
    told = [e["order"] for e in desk.entries("order") if str(e["order"]["id"]) == order][-1]
    meet(desk, told["price"], "0.0001")
    wait_for(lambda: desk.position() > 0, "a part of it")
    assert desk.stop(process) == 0, desk.log.read_text()[-2000:]
    assert desk.states() == ["OPEN"]
    if ends_away:
        meet(desk, told["price"], "0.001")
    done = desk.run_until("live", desk.config("nothing", more=MORE), desk.did("book"), "a book")
    assert done.returncode == 0, done.stderr[-3000:]
    found = run("parity", next(newest(desk.folder / "state")), "--json")
    if ends_away:
        assert desk.states() == ["FILLED"]
        assert found.returncode == Exit.NO_DATA, found.stdout
        assert "PARITY-EMPTY" in found.stderr
    else:
        parity = json.loads(found.stdout)
        assert parity["orders"] == 1
        assert parity["differences"] == []


def kept_bids(folder: Path, key: str) -> list[dict[str, Any]]:
    """The second of two runs of one bid each in two instruments, as parity has it; and its rows."""
    sizes = {"ETH_USDT": "0.5", "BTC_USDT": "0.01"}
    strategies = [
        {
            "id": f"Rest-00{number}",
            "path": "tests.live.kept_bid:KeptBid",
            "params": {"instrument_id": f"{name}.{key.upper()}", "quantity": size, "at": "0.99"},
        }
        for number, (name, size) in enumerate(sizes.items())
    ]
    with venue(key, folder / key, "--seed", "5") as served:
        config = configs.write(
            folder, served, strategies=strategies, instruments=tuple(sizes), more=MORE
        )
        for secs in ("2", "8"):
            done = run("live", config, "--for", secs)
            assert done.returncode == 0, done.stderr[-3000:]
    last = next(newest(folder / "state"))
    found = json.loads(run("parity", last, "--json").stdout)
    rows = [json.loads(line) for line in (Path(last) / "orders.jsonl").read_text().splitlines()]
    return [found, *rows]


@pytest.mark.parametrize("key", ["poloniex", "piexgo"])
def test_orders_of_several_instruments_are_given_when_their_markets_are_told(
    key: str, tmp_path: Path
) -> None:
    """Before, the backtest's gate knew no price of the one whose data began later."""
    found, *rows = kept_bids(tmp_path, key)
    assert [row["status"] for row in rows] == ["ACCEPTED", "ACCEPTED"]
    assert found["differences"] == []
    assert found["orders"] == 2
