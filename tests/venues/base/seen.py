"""A strategy that keeps what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.trading import Strategy, StrategyConfig


class Seen(Strategy):
    """Subscribes what the test says and keeps what it gets."""

    begin: Callable[[Seen], None]

    def __init__(self, config: StrategyConfig) -> None:
        self.got: list[tuple[str, Any]] = []

    def on_start(self) -> None:
        self.begin(self)

    def of(self, kind: str) -> list[Any]:
        return [item for name, item in self.got if name == kind]


def _keeper(name: str) -> Callable[[Seen, Any], None]:
    def keep(self: Seen, item: Any) -> None:
        self.got.append((name, item))

    return keep


for _name in (
    "book_deltas",
    "book_depth",
    "book",
    "quote",
    "trade",
    "bar",
    "instrument",
    "instrument_status",
    "historical_bars",
    "historical_trades",
    "historical_quotes",
):
    setattr(Seen, f"on_{_name}", _keeper(_name))
