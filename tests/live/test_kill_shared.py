"""Two strategies hold one instrument, and a kill closes what one of them holds: the other hears
nothing of it, holds what it held, and can close that.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.page import OBSERVE
from tests.support.processes import command, start, wait_for

pytestmark = pytest.mark.slow

FIRST, SECOND = "First-001", "Second-002"
QUANTITIES = {FIRST: "0.01", SECOND: "0.02"}
DUST = {"oceanex": Decimal("0.000001"), "poloniex": Decimal("0.00001")}


class Shared:
    def __init__(self, live: Run) -> None:
        self.live = live
        self.live.more = configs.ROOMY + OBSERVE

    def start(self, *names: str) -> None:
        """Of both strategies where none is named."""
        params = {"instrument_id": self.live.instrument, "folder": str(self.live.folder)}
        strategies = [
            {
                "id": name,
                "path": "tests.live.sharing:Sharing",
                "params": {**params, "quantity": quantity},
            }
            for name, quantity in QUANTITIES.items()
            if name in (names or QUANTITIES)
        ]
        live = self.live
        for name in QUANTITIES:
            self.file(name, "json").unlink(missing_ok=True)
        live.config = configs.write(live.folder, live.served, strategies=strategies, more=live.more)
        live.process = start("live", live.config, log=live.log)

    def held(self, *names: str) -> None:
        for name in names or QUANTITIES:
            least = Decimal(QUANTITIES[name]) * Decimal("0.99")
            wait_for(
                lambda name=name, least=least: self.own(name) > least,
                f"{name} to hold it; see {self.live.log}",
            )

    def file(self, name: str, ending: str) -> Path:
        return self.live.folder / f"{name}.{ending}"

    def seen(self, name: str) -> dict[str, Any]:
        path = self.file(name, "json")
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def own(self, name: str) -> Decimal:
        return Decimal(self.seen(name).get("own", "0"))

    def cached(self, name: str) -> Decimal:
        return Decimal(self.seen(name).get("cached", "0"))

    def agrees(self) -> bool:
        """Whether engine and journal have the same of each strategy."""
        done = command("positions", str(self.live.config), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        (told,) = json.loads(done.stdout)
        parts = told["strategies"]
        differ = any(Decimal(one["engine"]) != Decimal(one["journal"]) for one in parts)
        assert differ or not told["is_apart"]
        return not differ


@pytest.fixture
def shared(live: Run) -> Shared:
    made = Shared(live)
    made.start()
    made.held()
    return made


@pytest.mark.parametrize("killed", [FIRST, SECOND])
@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_only_whose_position_was_closed_has_lost_it(shared: Shared, killed: str) -> None:
    before = shared.own(other_than(killed))
    kill = shared.live.kill("strategy", killed, "--action", "flatten")
    assert kill["is_clean"]
    is_closed_alone(shared, killed, before)


def other_than(killed: str) -> str:
    return next(name for name in QUANTITIES if name != killed)


def has_heard_its_own_buy_alone(shared: Shared) -> None:
    """Each strategy, in as many parts as it had."""
    for name, quantity in QUANTITIES.items():
        parts = [one.split() for one in shared.seen(name)["fills"]]
        assert {side for side, _ in parts} == {"BUY"}
        assert sum(Decimal(size) for _, size in parts) == Decimal(quantity)


def is_closed_alone(shared: Shared, killed: str, before: Decimal) -> None:
    """The other has the position that it had before, and its exit closes that."""
    live, other, dust = shared.live, other_than(killed), DUST[shared.live.key]
    wait_for(lambda: abs(shared.own(killed)) < dust, "its own position to be closed")
    wait_for(lambda: abs(shared.cached(killed)) < dust, "NautilusTrader to have it closed")
    wait_for(shared.agrees, "engine and journal to agree")
    assert shared.own(other) == before
    assert abs(shared.cached(other) - before) < dust
    has_heard_its_own_buy_alone(shared)

    shared.file(other, "exit").touch()
    wait_for(lambda: "SELL" in str(shared.seen(other)["fills"]), f"its exit; see {live.log}")
    wait_for(lambda: abs(shared.own(other)) < dust, "the exit to be booked")
    assert shared.seen(other)["denied"] == []
    assert shared.agrees()
    assert live.end() == Exit.OK
    assert abs(live.held()) < 2 * dust


@pytest.mark.parametrize("killed", [FIRST, SECOND])
def test_so_it_is_where_the_command_closed_it_and_the_run_was_blocked(
    shared: Shared, killed: str
) -> None:
    before = shared.own(other_than(killed))
    shared.file(FIRST, "block").touch()
    wait_for(shared.file(FIRST, "blocked").exists, "the block")
    kill = shared.live.kill("strategy", killed, "--action", "flatten")
    assert kill["is_clean"]
    assert "kill switch" not in shared.live.log.read_text(), "the loop was blocked to the end"
    shared.file(FIRST, "block").unlink()
    is_closed_alone(shared, killed, before)


def test_a_kill_of_all_closes_both_and_neither_hears_of_it(shared: Shared) -> None:
    live, dust = shared.live, DUST[shared.live.key]
    assert live.kill("all", "--action", "flatten")["is_clean"]
    for name in QUANTITIES:
        wait_for(lambda name=name: abs(shared.own(name)) < dust, f"{name} to have nothing")
    wait_for(shared.agrees, "engine and journal to agree")
    net = sum((shared.cached(name) for name in QUANTITIES), Decimal(0))
    assert abs(net) < 2 * dust
    has_heard_its_own_buy_alone(shared)
    assert live.end() == Exit.KILLED


def test_after_a_restart_too_each_has_its_own(shared: Shared) -> None:
    """NautilusTrader has all of it under the first then."""
    live = shared.live
    assert live.end() == Exit.OK
    shared.start()
    shared.held()
    before = shared.own(FIRST)
    assert live.kill("strategy", SECOND, "--action", "flatten")["is_clean"]
    dust = DUST[live.key]
    wait_for(lambda: abs(shared.own(SECOND)) < dust, "its own position to be closed")
    wait_for(shared.agrees, "engine and journal to agree")
    assert shared.own(FIRST) == before
    wait_for(lambda: abs(shared.cached(FIRST) - before) < dust, "NautilusTrader to have it")
    assert [shared.seen(name)["fills"] for name in QUANTITIES] == [[], []]
    shared.file(FIRST, "exit").touch()
    wait_for(lambda: len(shared.seen(FIRST)["fills"]) == 1, f"its exit; see {live.log}")
    wait_for(lambda: abs(live.held()) < 2 * dust, "the exit to be booked")
    assert live.end() == Exit.OK
