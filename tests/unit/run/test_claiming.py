"""Which strategy NautilusTrader gives an instrument's orders to that it does not know."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId

from fairlead.engine.orders.journal_reads import Position
from fairlead.engine.run.remains import is_flat
from fairlead.engine.run.takeover import Claiming, claims
from tests.unit.run.test_remains import MARKET

BTC, ETH = InstrumentId.from_str("BTC_USDT.TEST"), InstrumentId.from_str("ETH_USDT.TEST")


class Claimant:
    """Refuses what NautilusTrader refuses: an instrument that another claims."""

    def __init__(self, name: str, all_of: dict[str, list[InstrumentId]]) -> None:
        self.strategy_id = name
        self._all = all_of

    def set_external_order_instrument_ids(self, mine: list[InstrumentId]) -> None:
        others = [
            one for name, ones in self._all.items() if name != self.strategy_id for one in ones
        ]
        assert not set(mine) & set(others)
        self._all[self.strategy_id] = list(mine)


def test_a_claim_is_lent_and_given_back() -> None:
    now: dict[str, list[InstrumentId]] = {}
    strategies = [Claimant(name, now) for name in ("A", "B")]
    claiming = Claiming(strategies, {"A": [BTC, ETH], "B": []})
    assert now == {"A": [BTC, ETH], "B": []}
    claiming.lend(str(BTC), "B")
    claiming.lend(str(BTC), "B")
    assert now == {"A": [ETH], "B": [BTC]}
    for _ in range(2):
        claiming.give_back(str(BTC))
        assert now == {"A": [ETH, BTC], "B": []}
    claiming.lend(str(BTC), "A")
    claiming.lend(str(BTC), "GONE-1")
    assert now == {"A": [ETH, BTC], "B": []}


def test_of_one_that_nobody_claims() -> None:
    now: dict[str, list[InstrumentId]] = {}
    claiming = Claiming([Claimant("A", now)], {"A": []})
    claiming.lend(str(BTC), "A")
    assert now == {"A": [BTC]}
    claiming.give_back(str(BTC))
    assert now == {"A": []}


@pytest.mark.parametrize(
    ("held", "claimant"), [("0.0000004", "B-1"), ("0.000016", "B-1"), ("0.000017", "A-1")]
)
def test_what_is_flat_claims_nothing_from_one_that_holds(held: str, claimant: str) -> None:
    """Dust of a buyer's fee, and what is worth less than the venue's least order."""
    name = MARKET.id
    strategies = [SimpleNamespace(id=one, params={"instrument_id": name}) for one in ("A-1", "B-1")]
    loaded: Any = SimpleNamespace(config=SimpleNamespace(instruments=[name], strategies=strategies))
    positions = [
        Position(strategy, name, Decimal(quantity), Decimal(quantity) * 60_000)
        for strategy, quantity in (("A-1", held), ("B-1", "0.01"))
    ]
    journal: Any = SimpleNamespace(open_orders=list, positions=lambda: positions)
    found = claims(loaded, [journal], lambda one: is_flat(one, MARKET))
    assert {owner: list(map(str, mine)) for owner, mine in found.items() if mine} == {
        claimant: [name]
    }
