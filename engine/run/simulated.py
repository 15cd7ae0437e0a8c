"""The simulated account of a paper run, as its config says."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import LiquiditySide, OrderSide

from adapters.base.runtime import VenueRuntime
from engine.config.model import Config
from engine.currencies import money
from engine.matching.client import (
    Approvals,
    SimulatedClientFactory,
    SimulatedExecutionClient,
    Simulation,
)
from engine.matching.orders import Fee, Fees
from engine.orders.model import Side
from engine.run.fees import commission, fee_rates

MS_NS = 1_000_000
_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}


def simulated_account(
    config: Config, key: str, runtime: VenueRuntime, approvals: Approvals | None
) -> SimulatedClientFactory:
    """Of the connected venue `key`, with its instruments, fees and market.

    Raises FairleadError `FEES-MISSING`.
    """
    venue, simulated = config.venues[key], config.simulated
    instruments = [runtime.adapter.instruments[name].nautilus for name in venue.instruments]
    balances: defaultdict[str, Decimal] = defaultdict(Decimal)
    for text in simulated.balances:
        amount = money(text)
        balances[amount.currency.code] += amount.as_decimal()
    simulation = Simulation(
        venue=key.upper(),
        account=venue.account,
        instruments=instruments,
        balances=balances,
        fees=_fees(config, key, instruments),
        is_margin=venue.account_type == "margin",
        latency_ns=int(simulated.latency_ms * MS_NS),
        queue_position=simulated.queue_position,
        liquidity_consumption=simulated.liquidity_consumption,
        cancel_at_stop=config.run.on_stop == "cancel",
        now_ns=time.time_ns,
        on_defect=runtime.fatal,
        approvals=approvals,
    )

    def connect(client: SimulatedExecutionClient) -> None:
        runtime.on_market = client.show

    return SimulatedClientFactory(simulation, connect)


def _fees(config: Config, key: str, instruments: Sequence[Any]) -> Fees:
    rates = {
        str(one.id): (one, fee_rates(key, config.venues[key].fees, one)) for one in instruments
    }

    def fee(
        instrument: str, side: Side, *, is_maker: bool, quantity: Decimal, price: Decimal
    ) -> Fee:
        one, charged = rates[instrument]
        liquidity = LiquiditySide.MAKER if is_maker else LiquiditySide.TAKER
        paid = commission(charged, one, _SIDES[side], liquidity, quantity, price)
        return Fee(paid.as_decimal(), paid.currency.code)

    return fee
