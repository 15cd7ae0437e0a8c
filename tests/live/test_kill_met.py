"""A kill that flattens one strategy, beside another's quote that is the touch.

Poloniex ends the closing order that would meet it; at OceanEx the account would trade with itself,
so that the other strategy had what was closed.
"""

from __future__ import annotations

from collections import Counter

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.table import MET_OWN
from tests.live.blocked_run import Run
from tests.live.test_close_own import DUST, FIRST, SECOND, Pair
from tests.support import configs
from tests.support.processes import command, start, wait_for


class Pinning(Pair):
    """The first is short; the second's SELL always is the best ask."""

    def start(self) -> None:
        live = self.live
        params = {"instrument_id": live.instrument, "folder": str(live.folder)}
        strategies = [
            {
                "id": name,
                "path": f"tests.live.{path}",
                "params": {**params, "quantity": str(self.quantities[name])},
            }
            for name, path in ((FIRST, "sharing:Sharing"), (SECOND, "pinning:Pinned"))
        ]
        live.config = configs.write(live.folder, live.served, strategies=strategies, more=self.more)
        live.process = start("live", live.config, log=live.log)
        wait_for(lambda: abs(self.own(FIRST) - self.quantities[FIRST]) < DUST, "the short")
        (live.folder / f"{SECOND}.ask").write_text("1.5")
        wait_for(lambda: bool(live.open()), f"an ask to rest; see {live.log}")


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("live", ["poloniex", "oceanex"], indirect=True)
def test_a_kill_of_one_strategy_meets_no_order_of_another(live: Run, is_up: bool) -> None:
    Pinning(live, "-0.010", "0").start()
    if not is_up:
        live.process.kill()
        live.process.wait(10)
    more = ("--action", "flatten", "--config", str(live.config))
    done = command("kill", "strategy", FIRST, *more)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    text = live.log.read_text()
    assert MET_OWN not in text
    is_named = f"({SECOND} " in (text if is_up else done.stdout)
    assert is_named or "FREE_BALANCE" in text, "it was cancelled first, unless all of it was bought"
    fills = [one for one in live.served.ledger()["entries"] if one["type"] == "fill"]
    trades = Counter(one["trade_id"] for one in fills)
    assert max(trades.values()) == 1, "the account traded with itself"
    assert dict(live.journaled("SELECT strategy, quantity FROM positions"))[FIRST] == "0"
