"""Quotes of which one is taken whenever a start has looked at the account, before its own node.

The simulated market goes to the next price of the file that MOVES names, a line each; an empty file
moves nothing.
"""

from __future__ import annotations

import json
import os
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import OrderSide

from fairlead.engine.orders.model import Role
from fairlead.engine.run.native.adapter import NativeAdapter
from tests.live.taking import Taking, TakingConfig
from tests.support.patience import PATIENCE_SECS

MOVES, CONTROL = "FAIRLEAD_TEST_MOVES", "FAIRLEAD_TEST_CONTROL"
QUOTES = ("0.97", "0.94", "0.91")  # of what was paid
_connect = NativeAdapter.connect


async def _connect_and_move(self: NativeAdapter, *, trading: bool) -> None:
    await _connect(self, trading=trading)
    if MOVES not in os.environ:
        return
    prices = Path(os.environ[MOVES])
    first, *rest = [*prices.read_text().split(), ""]
    if first:
        prices.write_text("\n".join(rest))
        body = json.dumps({"market": "BTCUSDT-PERP", "mid": first}).encode()
        asked = urllib.request.Request(f"{os.environ[CONTROL]}/market", data=body)
        urllib.request.urlopen(asked, timeout=PATIENCE_SECS).close()


NativeAdapter.connect = _connect_and_move  # type: ignore[method-assign]


class Quoting(Taking):
    """Buys at the market once, and rests quotes below it."""

    config_class = TakingConfig

    def on_order_filled(self, event: Any) -> None:
        if not self.config.rests or self.events[-1] == "rested":
            return
        self.events.append("rested")
        price = event.last_px.as_decimal()
        size = self.round_quantity(self.name, self.config.each)
        for share in QUOTES:
            at = self.round_price(self.name, OrderSide.BUY, price * Decimal(share))
            self.submit_order(
                self.order_factory.limit(self.name, OrderSide.BUY, size, at, tags=[Role.QUOTE.tag])
            )
