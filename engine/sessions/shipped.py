"""The strategies that are shipped, with parameters that the seed draws."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from decimal import ROUND_FLOOR, Decimal
from random import Random
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId, StrategyId

from fairlead.engine.sessions.plan import Plan

BAR = "1-SECOND-LAST"


class Allowed(msgspec.Struct, frozen=True):
    """Of one shipped strategy, base units: what it was handed, and what its position may be."""

    inventory: Decimal
    lowest: Decimal
    highest: Decimal


class Kind(msgspec.Struct, frozen=True):
    """A shipped strategy: where it is, what is drawn for it, which orders it knows as its own."""

    module: str
    name: str
    draw: Callable[[Random, Decimal], dict[str, Any]]
    owned: Callable[[Any], Iterable[Any]]


def _breakout(rng: Random, size: Decimal) -> dict[str, Any]:
    return {
        "bar": BAR,
        "lookback": rng.randint(2, 6),
        "buffer_bps": Decimal(rng.choice(("0", "0.5", "2"))),
        "limit_bps": Decimal(rng.choice((1, 5, 20))),
        "stop_bps": Decimal(rng.choice((2, 5, 15))),
        "retry_ms": rng.choice((500, 5000)),
        **_inventory(rng, size),
    }


def _maker(rng: Random, size: Decimal) -> dict[str, Any]:
    return {
        "max_inventory": size * rng.randint(1, 4),
        "half_spread_bps": Decimal(rng.choice(("0.5", "2", "5"))),
        "skew_bps": Decimal(rng.choice((0, 2))),
        "imbalance_levels": rng.choice((1, 3)),
        "requote_bps": Decimal(rng.choice(("0.5", "3"))),
        "requote_ms": rng.choice((250, 1000)),
        "post_only": False,
        **_inventory(rng, size),
    }


def _trend(rng: Random, size: Decimal) -> dict[str, Any]:
    return {
        "bar": BAR,
        "fast": rng.randint(1, 3),
        "slow": rng.randint(4, 7),
        "atr": rng.randint(2, 5),
        "channel_atr": Decimal(rng.choice(("0", "0.2", "0.5"))),
        "flatten_on_stop": rng.random() < 0.5,
        "retry_ms": rng.choice((500, 5000)),
        **_inventory(rng, size),
    }


def _bracketed(rng: Random, size: Decimal) -> dict[str, Any]:
    return {
        "bar": BAR,
        "lookback": rng.randint(1, 4),
        "stop_bps": Decimal(rng.choice((3, 10, 30))),
        "limit_bps": Decimal(rng.choice((1, 5, 20))),
        "target_bps": Decimal(rng.choice((3, 10, 60))),
    }


def _inventory(rng: Random, size: Decimal) -> dict[str, Any]:
    return {
        "allow_short": rng.random() < 0.2,
        "start_inventory": size * rng.choice((0, 0, 1, 2)),
    }


KINDS: dict[str, Kind] = {
    "Breakout": Kind(
        "fairlead.strategies.breakout",
        "Breakout",
        _breakout,
        lambda s: (*(one.client_order_id for one in s._all()), *s._spares._sides),
    ),
    "ImbalanceMaker": Kind(
        "fairlead.strategies.imbalance_maker",
        "ImbalanceMaker",
        _maker,
        lambda s: (s._bid.client_order_id, s._ask.client_order_id, *s._spares._sides),
    ),
    "TrendFollower": Kind(
        "fairlead.strategies.trend_follower", "TrendFollower", _trend, lambda s: s._working
    ),
    "BracketedBreakout": Kind(
        "fairlead.strategies.bracketed_breakout",
        "BracketedBreakout",
        _bracketed,
        lambda s: (
            *(name for b in s.open_brackets() for name in (b.entry, *b.exits)),
            *s._spares._sides,
        ),
    ),
}


class Shipped:
    """One of them in one session: the same in every life of the process."""

    def __init__(self, plan: Plan, number: int, kind: str, instrument: str, price: Decimal) -> None:
        self.id = f"{kind}-{number}"
        self._kind = KINDS[kind]
        self._instrument = instrument
        rng = Random(f"shipped/{plan.venue}/{plan.seed}/{number}")  # noqa: S311 - simulation
        most = min(Decimal(plan.max_order_notional) / price, Decimal(plan.max_position))
        share = Decimal(rng.choice(("0.2", "0.4", "0.7")))
        size = (most * share).quantize(Decimal("0.000001"), ROUND_FLOOR)
        self.params = {"order_quantity": size, **self._kind.draw(rng, size)}

    @property
    def allowed(self) -> Allowed:
        """A sale goes no deeper than what was handed over, or where it may, than a whole short."""
        most = Decimal(self.params.get("max_inventory", self.params["order_quantity"]))
        inventory = Decimal(self.params.get("start_inventory", 0))
        lowest = -max(most, inventory) if self.params.get("allow_short") else -inventory
        return Allowed(inventory=inventory, lowest=lowest, highest=most)

    def strategy_class(self) -> type:
        found: type = getattr(importlib.import_module(self._kind.module), self._kind.name)
        return found

    def config(self) -> Any:
        module = importlib.import_module(self._kind.module)
        return getattr(module, f"{self._kind.name}Config")(
            strategy_id=StrategyId(self.id),
            instrument_id=InstrumentId.from_str(self._instrument),
            **self.params,
        )

    def owned(self, strategy: Any) -> set[str]:
        """Client order ids that the strategy itself knows as its own."""
        return {str(one) for one in self._kind.owned(strategy) if one is not None}


def shipped_of(plan: Plan, instrument: str, price: Decimal) -> list[Shipped]:
    return [
        Shipped(plan, number, kind, instrument, price)
        for number, kind in enumerate(plan.agents)
        if kind in KINDS
    ]
