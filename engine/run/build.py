"""What the three modes share: the gate, the strategies behind it, and the meaning of an end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from adapters import registry
from engine.config.loaded import LoadedConfig, account_files
from engine.config.priced import currencies_of, idle_balances
from engine.config.rules import RECORDED
from engine.errors import MEANING, Exit
from engine.guard.building import build_strategies
from engine.guard.offer import BOOK, DEPTH, INSTRUMENT, QUOTES, STATUS, TRADES, Offer, Source
from engine.guard.run_state import RunState
from engine.kill.switch import KillSwitch, switch_of
from engine.orders.files import old_risk_file
from engine.orders.model import Capabilities
from engine.risk.gate import RiskGate
from engine.risk.state import RiskStateFile
from engine.risk.states import RiskStates
from engine.run.fees import configured_rates

# What `adapters.base.data_client` streams of every venue.
SERVED = frozenset({BOOK, DEPTH, QUOTES, TRADES, STATUS, INSTRUMENT})


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A run's own objects, the same in live, paper and backtest."""

    gate: RiskGate
    run_state: RunState
    strategies: tuple[Any, ...]


def instrument_ids(loaded: LoadedConfig) -> tuple[str, ...]:
    """Every instrument id that the config names, in its order."""
    return tuple(name for venue in loaded.config.venues.values() for name in venue.instruments)


def capabilities(loaded: LoadedConfig) -> dict[str, Capabilities]:
    """Capability tables by NautilusTrader venue name; a recorded venue has none, so no limits."""
    found: dict[str, Capabilities] = {}
    for key, venue in loaded.config.venues.items():
        if venue.adapter != RECORDED:
            found[key.upper()] = registry.spec(venue.adapter).capabilities
    return found


def venue_offer(loaded: LoadedConfig) -> Offer:
    """The market data of a live or paper run: what the generic data client serves."""
    sources = {}
    for key, venue in loaded.config.venues.items():
        for name in venue.instruments:
            sources[name] = Source(
                where=f"venue {key}",
                kinds=SERVED,
                bar_minutes=registry.spec(venue.adapter).capabilities.bar_minutes,
            )
    return Offer(sources=sources)


def risk_states(loaded: LoadedConfig, *, paper: bool) -> RiskStates:
    """Of the config's accounts; their locks are to be held. Raises RiskStateError."""
    files = {
        key.upper(): RiskStateFile(account_files(loaded, key, paper=paper).risk)
        for key in loaded.config.venues
    }
    return RiskStates(files, RiskStateFile(old_risk_file(loaded.state_dir, paper=paper)))


def build_gate(
    loaded: LoadedConfig, state: RiskStates | None = None, kill: KillSwitch | None = None
) -> RiskGate:
    """The run's risk gate.

    `state` keeps halts and counters across restarts, `kill` knows the durable kills: both live and
    on paper.

    Raises RiskStateError.
    """
    return RiskGate(
        loaded.config.risk,
        state=state,
        kill=switch_of(loaded, None) if kill is None else kill,
        capabilities=capabilities(loaded),
        accounts={key.upper(): venue.account for key, venue in loaded.config.venues.items()},
        fees={
            key.upper(): max(rates.maker, rates.taker)
            for key, venue in loaded.config.venues.items()
            if (rates := configured_rates(venue.fees)) is not None
        },
    )


def build_parts(
    loaded: LoadedConfig,
    state: RiskStates | None = None,
    kill: KillSwitch | None = None,
    **extra: Any,
) -> Parts:
    """Gate, run state, and every strategy of the config, put behind the gate.

    `extra` are NautilusTrader's own settings for each strategy's config. Raises ConfigError,
    RiskStateError.
    """
    gate = build_gate(loaded, state, kill)
    run_state = RunState(instrument_ids(loaded))
    strategies = build_strategies(loaded, **extra)
    for strategy in strategies:
        strategy.bind(gate, run_state)
    return Parts(gate=gate, run_state=run_state, strategies=tuple(strategies))


def tell_idle_balances(
    loaded: LoadedConfig, run_state: RunState, instruments: Iterable[Any]
) -> None:
    """Warn of simulated balances in a currency of none of NautilusTrader's `instruments`."""
    for line in idle_balances(loaded, currencies_of(instruments).__contains__):
        run_state.warn("BALANCE-IDLE", line)


def ending(run_state: RunState) -> tuple[Exit, str]:
    """Exit code and a line for people. A breach outweighs a fault, a fault everything else."""
    if run_state.breach is not None:
        breach = run_state.breach
        return Exit.BREACH, f"{MEANING[Exit.BREACH]}: {breach.strategy}: {breach.what}"
    if run_state.fault_count:
        return Exit.FAULTED, f"{MEANING[Exit.FAULTED]}: {run_state.faults[0]}"
    if run_state.interrupted:
        return Exit.FAILED, "interrupted"
    if run_state.stop_reason:
        return Exit.OK, f"stopped: {run_state.stop_reason}"
    return Exit.OK, MEANING[Exit.OK]
