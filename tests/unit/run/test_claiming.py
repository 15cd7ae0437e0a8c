"""Which strategy NautilusTrader gives an instrument's orders to that it does not know."""

from __future__ import annotations

from nautilus_trader.model import InstrumentId

from fairlead.engine.run.takeover import Claiming

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
