"""The simulated exchange of a paper run."""

from __future__ import annotations

from nautilus_trader.adapters.sandbox import SandboxExecutionClientConfig
from nautilus_trader.execution import StaticLatencyModel
from nautilus_trader.model import AccountType, BookType, OmsType, Venue

from adapters.base.runtime import VenueRuntime
from engine.config.model import Config
from engine.currencies import money
from engine.modes.fees import fee_model

MS_NS = 1_000_000


def simulated_exchange(
    config: Config, key: str, runtime: VenueRuntime
) -> SandboxExecutionClientConfig:
    """Of the connected venue `key`, with its instruments and fees.

    Raises FairleadError `FEES-MISSING`.
    """
    venue, simulated = config.venues[key], config.simulated
    instruments = [runtime.adapter.instruments[name].nautilus for name in venue.instruments]
    margin = venue.account_type == "margin"
    return SandboxExecutionClientConfig(
        Venue(key.upper()),
        [money(text) for text in simulated.balances],
        account_type=AccountType.MARGIN if margin else AccountType.CASH,
        oms_type=OmsType.NETTING,
        book_type=BookType.L2_MBP,
        fee_model=fee_model(key, venue.fees, instruments),
        latency_model=StaticLatencyModel(base_latency_nanos=int(simulated.latency_ms * MS_NS)),
        liquidity_consumption=simulated.liquidity_consumption,
        queue_position=simulated.queue_position,
    )
