"""Two strategies hold one instrument: after a restart each closes what is its own, and only that,
though NautilusTrader has all of it as one strategy's; and what one of them rests there is in no
exit's way.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.table import MET_OWN
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.processes import command, start, wait_for

FIRST, SECOND = "First-001", "Second-002"
DUST = Decimal("0.00005")  # of a fee in base currency, and less than an increment


class Pair:
    """A live run of two `Sharing` strategies."""

    def __init__(self, live: Run, first: str, second: str) -> None:
        self.live = live
        self.quantities = {FIRST: Decimal(first), SECOND: Decimal(second)}
        self.more = configs.ROOMY

    def start(self) -> None:
        live = self.live
        params = {"instrument_id": live.instrument, "folder": str(live.folder)}
        strategies = [
            {
                "id": name,
                "path": "tests.live.sharing:Sharing",
                "params": {**params, "quantity": str(quantity)},
            }
            for name, quantity in self.quantities.items()
        ]
        for name in self.quantities:
            (live.folder / f"{name}.json").unlink(missing_ok=True)
        live.config = configs.write(live.folder, live.served, strategies=strategies, more=self.more)
        live.process = start("live", live.config, log=live.log)
        for name, quantity in self.quantities.items():
            wait_for(
                lambda name=name, most=quantity: abs(self.own(name) - most) < DUST,
                f"{name} to hold {quantity}; see {live.log}",
            )

    def again(self) -> None:
        assert self.live.end() == Exit.OK
        self.start()

    def seen(self, name: str) -> dict[str, Any]:
        path = self.live.folder / f"{name}.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def own(self, name: str) -> Decimal:
        return Decimal(self.seen(name).get("own", "0"))

    def leave(self, name: str, how: str) -> None:
        (self.live.folder / f"{name}.exit").write_text(how)

    def filled(self) -> dict[str, list[str]]:
        return {name: self.seen(name).get("fills", []) for name in self.quantities}

    def journaled(self) -> dict[str, Decimal]:
        rows = self.live.journaled("SELECT strategy, quantity FROM positions")
        return {name: Decimal(quantity) for name, quantity in rows}


@pytest.mark.parametrize("second", ["0.010", "-0.010"])
@pytest.mark.parametrize("how", ["close_all_positions", "market_exit", "close_position"])
@pytest.mark.parametrize("live", ["poloniex"], indirect=True)
def test_each_closes_its_own_after_a_restart(live: Run, how: str, second: str) -> None:
    pair = Pair(live, "0.020", second)
    pair.start()
    pair.again()
    before = {name: pair.own(name) for name in pair.quantities}
    for name in pair.quantities:
        pair.leave(name, how)
        wait_for(lambda name=name: abs(pair.own(name)) < DUST, f"{name} to be flat; {live.log}")
        if how == "close_position" and name == FIRST:
            break  # no position of NautilusTrader's that its strategy could name may be left
    sides = {name: "SELL" if held > 0 else "BUY" for name, held in before.items()}
    for name, fills in pair.filled().items():
        if fills:
            (fill,) = fills  # one order, of what it held
            side, quantity = fill.split()
            assert side == sides[name]
            assert 0 <= abs(before[name]) - Decimal(quantity) < Decimal("0.000001")
    nothing = [pair.seen(name)["denied"] for name in pair.quantities]
    cached = sum(Decimal(pair.seen(name)["cached"]) for name in pair.quantities)
    assert nothing == [[], []]
    assert live.end() == Exit.OK
    assert abs(cached - sum(pair.journaled().values())) < DUST, "NautilusTrader has another sum"
    assert "[ERROR]" not in live.log.read_text()


def offering(live: Run, more: str = "") -> Pair:
    """The first is short, the second's SELL of 0.05 is the best ask."""
    pair = Pair(live, "-0.010", "0")
    pair.more = configs.ROOMY.replace("[risk]", f"[risk]\n{more}")
    pair.start()
    (live.folder / f"{SECOND}.ask").write_text("0.05")
    wait_for(lambda: bool(live.open()), f"an ask to rest; see {live.log}")
    return pair


@pytest.mark.parametrize("how", ["close_all_positions", "submit_order"])
@pytest.mark.parametrize("live", ["poloniex", "oceanex"], indirect=True)
def test_an_exit_meets_no_order_of_the_other_strategy(live: Run, how: str) -> None:
    """Poloniex ends the one that takes, unfilled; others let the account trade with itself."""
    pair = offering(live)
    pair.leave(FIRST, how)
    wait_for(lambda: abs(pair.own(FIRST)) < DUST, f"the exit; see {live.log}")
    (live.folder / f"{SECOND}.ask").unlink()
    assert [fill.split()[0] for fill in pair.filled()[FIRST]][-1] == "BUY"
    assert pair.seen(FIRST)["denied"] == []
    rows = live.journaled("SELECT state FROM orders WHERE intent LIKE '%\"reduce_only\":true%'")
    assert [state for (state,) in rows if state == "CANCELED"] == [], "an exit was ended"
    assert live.end() == Exit.OK
    assert MET_OWN not in live.log.read_text()


@pytest.mark.parametrize("live", ["poloniex"], indirect=True)
def test_why_the_venue_ended_an_order_is_told(live: Run) -> None:
    """It tells no reason itself: a bare CANCELED was all that there was."""
    pair = offering(live, 'off = ["SELF_CROSS"]')
    pair.leave(FIRST, "limit")
    wait_for(lambda: MET_OWN in live.log.read_text(), f"the reason; see {live.log}")
    (live.folder / f"{SECOND}.ask").unlink()
    assert live.end() == Exit.OK
    found = re.search(MET_OWN + r" \S+ (\S+):", live.log.read_text())
    assert found is not None
    name = found[1]
    story = command("explain", name, "--config", str(live.config))
    assert f"{MET_OWN}: ended by the venue" in story.stdout, story.stdout + story.stderr
    (rows,) = live.folder.glob("state/runs/*/orders.jsonl")
    (row,) = [
        one
        for line in rows.read_text().splitlines()
        if (one := json.loads(line))["client_order_id"] == name
    ]
    assert row["reason"].startswith(f"{MET_OWN}: ended by the venue")
