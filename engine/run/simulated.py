"""The simulated account of a paper run, as its config says, and the end of its time."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.live import NodeState
from nautilus_trader.model import LiquiditySide, OrderSide

from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.config.execution import able_with, held_of
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.model import Config
from fairlead.engine.currencies import money
from fairlead.engine.matching.client import (
    SimulatedClientFactory,
    SimulatedExecutionClient,
    Simulation,
)
from fairlead.engine.matching.delays import Sent
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.matching.orders import Fee, Fees
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.approval import Approvals
from fairlead.engine.run.fees import commission, fee_rates
from fairlead.engine.run.latency import Latency, latency_of

PAPER = Sent("", "", 0)  # whatever a command is, its delay is drawn alike
POST_STOP_SECS = 1.0  # for the orders that strategies send in on_stop
POST_STOP_SHARE = 0.7  # of the longest time that a stop may take
SETTLE_SECS = 0.5  # of that time, for NautilusTrader to hear the last answers
LOOK_SECS = 0.1
_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}


def simulated_account(
    config: Config,
    key: str,
    runtime: VenueRuntime,
    approvals: Approvals | None,
    latency: Latency,
    on_client: Callable[[SimulatedExecutionClient], None],
    on_arrival: Callable[[int, int], None] | None = None,
) -> SimulatedClientFactory:
    """Of the connected venue `key`, with its instruments, fees and market.

    Raises FairleadError `FEES-MISSING`.
    """
    venue, simulated = config.venues[key], config.simulated
    delays = latency.of(key.upper())
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
        latency_ns=latency.most_ns,
        delay_ns=None if delays is None else lambda: delays.next_ns(PAPER),
        on_arrival=on_arrival,
        queue_position=simulated.queue_position,
        liquidity_consumption=simulated.liquidity_consumption,
        cancel_at_stop=config.run.on_stop == "cancel",
        now_ns=time.time_ns,
        on_defect=runtime.fatal,
        approvals=approvals,
        held=HeldRules(
            able=able_with(runtime.adapter.capabilities, venue.held), settings=held_of(venue.held)
        ),
        tier_price=runtime.adapter.capabilities.tier_price,
    )

    def connect(client: SimulatedExecutionClient) -> None:
        runtime.on_market = client.show
        on_client(client)

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


def post_stop_secs(loaded: LoadedConfig, *, simulated: bool) -> float:
    """On paper, what is on its way at the stop arrives, and what answers it (a cancel, an exit),
    while the market is there: no outcome is left open, and none made up."""
    if not simulated:
        return POST_STOP_SECS
    latency_secs = latency_of(loaded).most_ns / 1e9
    limit_secs = loaded.config.run.stop_timeout_secs * POST_STOP_SHARE
    return max(POST_STOP_SECS, min(POST_STOP_SECS + 2 * latency_secs, limit_secs))


async def leave_in_time(
    handle: Any, clients: Sequence[SimulatedExecutionClient], loaded: LoadedConfig
) -> None:
    """Once the node stops, whoever asked for it: what would come too late is told so, before
    NautilusTrader looks for orders without an outcome, and calls them an error."""
    is_up = False
    while not is_up or handle.state == NodeState.RUNNING:
        await asyncio.sleep(LOOK_SECS)
        is_up = is_up or handle.state == NodeState.RUNNING
    await asyncio.sleep(post_stop_secs(loaded, simulated=True) - SETTLE_SECS - LOOK_SECS)
    for client in clients:
        client.leave()
