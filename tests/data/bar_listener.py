"""A plain NautilusTrader strategy that keeps the volume of each bar it hears."""

from typing import Any

from nautilus_trader.model import BarType
from nautilus_trader.trading import Strategy


class BarListener(Strategy):
    def on_start(self) -> None:
        self.volumes: list[Any] = []
        self.subscribe_bars(BarType.from_str("BTCUSDT.TEST-1-SECOND-LAST-INTERNAL"))

    def on_bar(self, bar: Any) -> None:
        self.volumes.append(bar.volume.as_decimal())
