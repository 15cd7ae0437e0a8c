"""Market states, modes, account and kill switch of the simulated Poloniex; and it as a venue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.poloniex.simulator import PoloniexSimulator, create
from fairlead.adapters.simulation.control import control
from fairlead.adapters.simulation.replay import Print, ReplayItem, Snapshot
from fairlead.adapters.simulation.venue import SimRequest
from fairlead.engine.orders.model import Side
from tests.simulation.poloniex_harness import BTC, T0, Desk, sample, shape


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- modes ----------------------------------------------------------------------------------------


def test_market_states_and_venue_modes(desk: Desk) -> None:
    resting = desk.create()
    desk.sim.control({"symbol": BTC, "state": "PAUSE"})
    assert desk.public(f"/markets/{BTC}")[0]["state"] == "PAUSE"
    assert desk.refused("POST", "/orders", desk.order()) == 10041
    desk.ok("DELETE", f"/orders/{resting}")  # cancels work
    desk.sim.control({"symbol": BTC, "state": "POST_ONLY"})
    assert desk.refused("POST", "/orders", desk.order()) == 21341
    desk.create(type="LIMIT_MAKER")
    desk.sim.control({"symbol": BTC, "state": "NORMAL"})
    desk.sim.control({"maintenance": True})
    assert desk.refused("POST", "/orders", desk.order()) == 21340
    desk.sim.control({"maintenance": False, "post_only": True})
    assert desk.refused("POST", "/orders", desk.order()) == 21341
    desk.sim.control({"post_only": False})
    desk.sim.control({"symbol": BTC, "highest_bid": "29999", "lowest_ask": "70000"})
    assert desk.refused("POST", "/orders", desk.order()) == 21342
    assert desk.refused("POST", "/orders", desk.order("SELL", price="69999")) == 21343
    with pytest.raises(ValueError, match="expected one of"):
        desk.sim.control({"symbol": BTC, "state": "ASLEEP"})


def test_a_locked_account_places_nothing() -> None:
    desk = Desk(account_state="LOCKED")
    assert desk.ok("GET", "/accounts")[0]["accountState"] == "LOCKED"
    assert desk.refused("POST", "/orders", desk.order()) == 21601


# -- account and kill switch ----------------------------------------------------------------------


def test_account(desk: Desk) -> None:
    (account,) = desk.ok("GET", "/accounts")
    by_id = desk.ok("GET", f"/accounts/{account['accountId']}/balances")
    assert by_id == desk.ok("GET", "/accounts/balances", query={"accountType": "SPOT"})
    assert shape(by_id) == shape(sample("rest_accounts_balances"))
    assert desk.refused("GET", "/accounts/1/balances") == 21600
    desk.create("SELL", type="MARKET", price=None)
    fees = desk.ok("GET", "/feeinfo")
    assert shape(fees) == shape(sample("rest_feeinfo"))
    assert Decimal(fees["volume30D"]) > 500


def test_kill_switch_cancels_everything_unless_renewed(desk: Desk) -> None:
    desk.create()
    desk.stop()
    assert desk.refused("GET", "/orders/killSwitchStatus") == 25020
    assert desk.refused("POST", "/orders/killSwitch", {"timeout": "9"}) == 601
    armed = desk.ok("POST", "/orders/killSwitch", {"timeout": "10"})
    assert armed["cancellationTime"] - armed["startTime"] == 10_000
    desk.wait(9_999)
    desk.ok("POST", "/orders/killSwitch", {"timeout": "10"})
    desk.wait(9_999)
    assert len(desk.sim.exchange.open_orders("spot")) == 2
    assert desk.ok("GET", "/orders/killSwitchStatus")["startTime"] > armed["startTime"]
    desk.wait(1)
    assert desk.sim.exchange.open_orders("spot") == []
    assert desk.refused("GET", "/orders/killSwitchStatus") == 25020
    desk.create()
    desk.ok("POST", "/orders/killSwitch", {"timeout": "10"})
    desk.ok("POST", "/orders/killSwitch", {"timeout": "-1"})
    desk.wait(20_000)
    assert len(desk.sim.exchange.open_orders("spot")) == 1


# -- as a venue -----------------------------------------------------------------------------------


def test_switches_over_the_control_door(desk: Desk) -> None:
    def post(body: bytes) -> tuple[int, Any]:
        request = SimRequest(method="POST", path="/_sim/venue", query="", headers={}, body=body)
        response = control(desk.sim, request)
        return response.status, json.loads(response.body)

    status, told = post(b'{"symbol": "BTC_USDT", "state": "PAUSE", "maintenance": true}')
    assert (status, told["states"][BTC], told["maintenance"]) == (200, "PAUSE", True)
    assert post(b'{"symbol": "NO_SUCH", "state": "PAUSE"}')[0] == 400
    assert post(b'{"symbol": "BTC_USDT", "state": "ASLEEP"}')[0] == 400


def test_the_same_seed_is_the_same_market_and_account() -> None:
    def life(seed: int) -> tuple[Any, Any]:
        venue = PoloniexSimulator(now_ns=T0, seed=seed)
        venue.advance(T0 + 20 * 10**9)
        book = venue.exchange.markets[BTC].book
        return (book.bids.levels(20), book.asks.levels(20)), venue.credentials

    assert life(3) == life(3)
    assert life(3) != life(4)


def test_a_recording_drives_the_named_market() -> None:
    class Source:
        def items(self) -> Iterator[ReplayItem]:
            yield Snapshot(0, {Decimal(99): Decimal(2)}, {Decimal(101): Decimal(3)})
            yield Print(10**9, Decimal(101), Decimal("0.5"), Side.BUY)

    venue = create(now_ns=T0, seed=1, replay=Source(), replay_market="ETH_USDT")
    venue.advance(T0 + 10**9)
    market = venue.exchange.markets["ETH_USDT"]
    assert market.book.bids.levels(5) == [(Decimal(99), Decimal(2))]
    assert market.tape.last_price == 101
    with pytest.raises(ValueError, match="replay market NO_SUCH is not a market"):
        create(now_ns=T0, replay=Source(), replay_market="NO_SUCH")
