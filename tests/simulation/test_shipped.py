"""Shipped strategies in simulated sessions: hosted as they are, and judged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.simulation.faults import HttpFault
from fairlead.engine.guard.winddown import WindDown
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.risk.look import Look
from fairlead.engine.sessions.plan import SHIPPED, Death, Plan, draw
from fairlead.engine.sessions.run import run_plan
from fairlead.strategies.breakout import Breakout
from fairlead.strategies.imbalance_maker import ImbalanceMaker
from fairlead.strategies.trend_follower import TrendFollower
from tests.support.venues import playable, rests

VENUES = playable()
RESTING = playable(rests)  # quotes and stops can't be sent elsewhere
SEEDS = (1, 2, 3)


def plan(venue: str, *agents: str, **changes: Any) -> Plan:
    fields: dict[str, Any] = {"seed": 1, "secs": 60.0, "volatility_bps": 8.0, "venue": venue}
    return Plan(agents=agents, **(fields | changes))


def codes(result: Any) -> set[str]:
    return {violation.code for violation in result.violations}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("kind", SHIPPED)
def test_each_trades_and_breaks_no_promise(venue: str, kind: str) -> None:
    orders = 0
    for seed in SEEDS:
        result = run_plan(plan(venue, kind, seed=seed))
        assert result.violations == []
        orders += result.counts["sent"]
    assert orders > 3 or (venue not in RESTING and kind != "TrendFollower")


def test_three_share_an_instrument() -> None:
    for venue in VENUES:
        result = run_plan(plan(venue, "Breakout", "ImbalanceMaker", "TrendFollower"))
        assert result.violations == []
        assert result.counts["fills"] > (5 if venue in RESTING else 0)


def test_a_stop_in_a_session_is_that_of_a_run() -> None:
    """The stop waits, closes what was promised, and hands the rest over; in the middle, too."""
    lossy = {HttpFault.LOSE_ANSWER: 0.2, HttpFault.UNAVAILABLE: 0.1}
    one = plan(VENUES[0], "TrendFollower", "ImbalanceMaker", http=lossy, stop_at=30.0)
    result = run_plan(one)
    assert result.violations == []
    assert result.counts["stops"] == 2  # and starts that the venue refuses come between
    assert result.counts.get("stops_cut_off", 0) == 0


def test_a_promise_that_is_not_kept_at_the_stop_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrendFollower, "flat_on_stop", lambda self: (self._c.instrument_id,))
    kept = [run_plan(plan(VENUES[0], "TrendFollower", seed=seed)) for seed in SEEDS]
    assert [one.violations for one in kept] == [[]] * len(SEEDS)
    monkeypatch.setattr(WindDown, "look", lambda self: True)
    monkeypatch.setattr(TrendFollower, "on_stop", lambda self: None)
    lost = [codes(run_plan(plan(VENUES[0], "TrendFollower", seed=seed))) for seed in SEEDS]
    assert {"NOT-FLAT"} in lost


def test_one_seed_is_one_session() -> None:
    for venue in VENUES:
        one = plan(venue, *SHIPPED, secs=30.0, deaths=(Death("committed", 20),))
        assert run_plan(one).journal_hash == run_plan(one).journal_hash


def test_a_third_of_the_agents_is_shipped() -> None:
    agents = [agent for seed in range(1, 301) for agent in draw(seed, VENUES[0]).agents]
    assert 0.28 < sum(agent in SHIPPED for agent in agents) / len(agents) < 0.39
    assert set(SHIPPED) <= set(agents)


def test_an_exception_of_a_strategy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, bar: Any) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(TrendFollower, "on_bar", broken)
    result = run_plan(plan(VENUES[0], "TrendFollower"))
    assert "STRATEGY-FAULT" in codes(result)
    assert "a defect" in result.violations[0].detail


def test_the_strategy_is_lent_to_nobody_inside_a_native_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def touches(self: Any, event: Any) -> None:
        self.cache.orders()

    monkeypatch.setattr(ImbalanceMaker, "on_order_initialized", touches, raising=False)
    result = run_plan(plan(VENUES[0], "ImbalanceMaker"))
    assert "Already mutably borrowed" in result.violations[0].detail


# -- what is broken on purpose is found -----------------------------------------------------------


def test_orders_that_no_strategy_knows_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImbalanceMaker, "on_recovered", lambda self, orders, positions: None)
    plans = [
        plan(VENUES[0], "ImbalanceMaker", deaths=(Death("committed", number),), on_stop="keep")
        for number in range(30, 40)
    ]
    assert any("ORDER-UNOWNED" in codes(run_plan(one)) for one in plans)


def test_a_position_beyond_what_the_strategy_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def wants_more(self: Any) -> Any:
        return self._inventory.position + self._c.order_quantity

    monkeypatch.setattr(TrendFollower, "_wanted", wants_more)
    found = [run_plan(plan(venue, "TrendFollower")) for venue in VENUES]
    assert any("POSITION-BEYOND" in codes(result) for result in found)


def _protects_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    protect = Breakout._protect

    def twice(self: Any) -> None:
        protect(self)
        self._stop.client_order_id = None
        protect(self)

    monkeypatch.setattr(Breakout, "_protect", twice)


def test_exits_beyond_the_position(monkeypatch: pytest.MonkeyPatch) -> None:
    _protects_twice(monkeypatch)
    monkeypatch.setattr(Look, "own_exits", lambda self, order: Decimal(0))
    found = [run_plan(plan(v, "Breakout", seed=seed)) for v in VENUES for seed in SEEDS]
    assert any("EXITS-BEYOND" in codes(result) for result in found)


def test_the_gate_holds_a_strategy_that_doubles_its_exits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _protects_twice(monkeypatch)
    found = [run_plan(plan(v, "Breakout", seed=seed)) for v in VENUES for seed in SEEDS]
    assert not any("EXITS-BEYOND" in codes(result) for result in found)
    assert sum(result.counts.get("denied:EXIT_EXCEEDS", 0) for result in found) > 0


# -- two accounts in one state folder --------------------------------------------------------------


def test_two_accounts_in_one_folder_keep_their_own_halts() -> None:
    for seed in SEEDS:
        result = run_plan(plan(VENUES[0], "walker", seed=seed, shared_folder=True))
        assert result.violations == []


def test_a_state_file_that_two_accounts_share_loses_halts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccountFiles, "risk", property(lambda self: self.folder / "risk-live.json"))
    result = run_plan(plan(VENUES[0], "walker", shared_folder=True))
    assert codes(result) & {"HALT-LOST", "HALT-OF-ANOTHER"}
