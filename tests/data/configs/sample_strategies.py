"""Strategies that the config tests load; they never run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal

from nautilus_trader.model import BarType, InstrumentId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.orders.model import Kind, Tif


class BaseConfig(StrategyConfig):
    def __init__(self, *, instrument_id: InstrumentId, **native: Any) -> None:
        self.instrument_id = instrument_id


class MakerConfig(BaseConfig):
    def __init__(
        self,
        *,
        order_quantity: Decimal,
        half_spread_bps: Decimal = Decimal(10),
        levels: int = 1,
        style: Literal["join", "improve"] = "join",
        post_only: bool = False,
        note: str | None = None,
        bar_type: BarType | None = None,
        offsets: tuple[Decimal, ...] = (),
        weights: dict[str, Decimal] | None = None,
        threshold: float = 0.5,
        guess=3,
        **native: Any,
    ) -> None:
        super().__init__(**native)
        if order_quantity <= 0:
            raise ValueError(f"order_quantity: expected above 0, received {order_quantity}")
        self.order_quantity = order_quantity
        self.half_spread_bps = half_spread_bps
        self.levels = levels
        self.style = style
        self.post_only = post_only
        self.note = note
        self.bar_type = bar_type
        self.offsets = offsets
        self.weights = weights
        self.threshold = threshold
        self.guess = guess


class Maker(Strategy):
    order_kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.LIMIT})
    times_in_force: ClassVar[frozenset[Tif]] = frozenset({Tif.GTC})

    def __init__(self, config: MakerConfig) -> None:
        self.c = config


class Stopper(Maker):
    order_kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.LIMIT, Kind.STOP_LIMIT})
    times_in_force: ClassVar[frozenset[Tif]] = frozenset({Tif.GTC, Tif.FOK})
    post_only = True


@dataclass(frozen=True, kw_only=True)
class TrendConfig(StrategyConfig):
    instrument_id: InstrumentId
    fast: int = 10


class Trend(Strategy):
    config_class = TrendConfig

    def __init__(self, config=None) -> None:
        self.c = config


class Plain(Strategy):
    """No config class, as a small strategy from elsewhere may be."""

    def __init__(self, config=None) -> None:
        self.c = config


class NotAStrategy:
    pass


some_number = 5
