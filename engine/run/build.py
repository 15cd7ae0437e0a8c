"""What the modes share of a run: the gate, the strategies behind it, and what they are offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from fairlead.engine.config.execution import able_with
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.config.priced import currencies_of, idle_balances, shut_out
from fairlead.engine.config.resolved import ResolvedStrategy
from fairlead.engine.config.rules import RECORDED
from fairlead.engine.guard.building import build_strategies
from fairlead.engine.guard.near_names import misnamed
from fairlead.engine.guard.offer import (
    BOOK,
    DEPTH,
    INSTRUMENT,
    MARK,
    QUOTES,
    STATUS,
    TRADES,
    Offer,
    Source,
)
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.kill.switch import KillSwitch, switch_of
from fairlead.engine.observe.assumptions import StrategyUsed
from fairlead.engine.orders.files import old_risk_file
from fairlead.engine.orders.model import Capabilities
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import RiskStateFile
from fairlead.engine.risk.states import RiskStates
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run.assumed import strategy_used
from fairlead.engine.run.fees import configured_rates

# What `fairlead.adapters.base.data_client` streams of every venue.
SERVED = frozenset({BOOK, DEPTH, QUOTES, TRADES, STATUS, INSTRUMENT})
TICKER = frozenset({MARK, STATUS, INSTRUMENT})  # of a venue without a stream


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A run's own objects, the same in live, paper and backtest."""

    gate: RiskGate
    run_state: RunState
    strategies: tuple[Any, ...]
    used: tuple[StrategyUsed, ...] = ()  # as they were when they were built


def capabilities(loaded: LoadedConfig) -> dict[str, Capabilities]:
    """Capability tables by NautilusTrader venue name; a recorded venue has none, so no limits."""
    found: dict[str, Capabilities] = {}
    for key, venue in loaded.config.venues.items():
        if venue.adapter != RECORDED:
            able = able_with(loaded.specs[key].capabilities, venue.held)
            if venue.data_only:
                able = msgspec.structs.replace(able, kinds=frozenset(), held=frozenset())
            found[key.upper()] = able
    return found


def venue_offer(loaded: LoadedConfig, more: Sequence[str] = ()) -> Offer:
    """The market data of a live or paper run: what the generic data client serves.

    `more` are instruments that the config does not name.
    """
    sources = {}
    for key, venue in loaded.config.venues.items():
        able = loaded.specs[key].capabilities
        kinds = SERVED if able.public_trades else SERVED - {TRADES}
        if able.ticker:
            kinds = TICKER
        held = (name for name in more if name.rpartition(".")[2] == key.upper())
        for name in (*venue.instruments, *held):
            sources[name] = Source(where=f"venue {key}", kinds=kinds, bar_minutes=able.bar_minutes)
    for name, source in loaded.config.prices_from.items():
        sources[name] = sources[source]
    return Offer(sources=sources)


def risk_states(loaded: LoadedConfig, *, paper: bool) -> RiskStates:
    """Of the config's accounts; their locks are to be held. Raises RiskStateError."""
    files = {
        key.upper(): RiskStateFile(account_files(loaded, key, paper=paper).risk)
        for key in loaded.traded
    }
    return RiskStates(files, RiskStateFile(old_risk_file(loaded.state_dir, paper=paper)))


def build_gate(
    loaded: LoadedConfig,
    state: RiskStates | None = None,
    kill: KillSwitch | None = None,
    *,
    is_simulated: bool = False,
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
        is_simulated=is_simulated,
    )


def build_parts(
    loaded: LoadedConfig,
    strategies: Sequence[ResolvedStrategy],
    state: RiskStates | None = None,
    kill: KillSwitch | None = None,
    *,
    is_simulated: bool = False,
) -> Parts:
    """Gate, run state, and every strategy put behind the gate.

    Raises ConfigError, RiskStateError.
    """
    gate = build_gate(loaded, state, kill, is_simulated=is_simulated)
    run_state = RunState(loaded.config.instruments)
    run_state.closes_bare = loaded.config.execution.missing_stop == "close"
    used = tuple(strategy_used(loaded, one) for one in strategies)
    built = build_strategies(loaded, strategies)
    for one, strategy in zip(strategies, built, strict=True):
        strategy.bind(gate, run_state)
        for line in misnamed(one.cls):
            run_state.warn("CALLBACK-NAME", line)
    return Parts(gate=gate, run_state=run_state, strategies=tuple(built), used=used)


def priced_by(instruments: Iterable[Any]) -> Callable[[str, str], bool]:
    """Whether one of NautilusTrader's `instruments`, by its id, is priced in a currency."""
    known = {str(one.id): instrument_facts(one).currency for one in instruments}
    return lambda name, currency: known.get(name, currency) == currency


def tell_shut_out(loaded: LoadedConfig, run_state: RunState, instruments: Iterable[Any]) -> None:
    """Warn of NautilusTrader's `instruments` whose every order a limit refuses."""
    for line in shut_out(loaded, priced_by(instruments)):
        run_state.warn("LIMIT-CURRENCY", line)


def tell_idle_balances(
    loaded: LoadedConfig, run_state: RunState, instruments: Iterable[Any]
) -> None:
    """Warn of simulated balances in a currency of none of NautilusTrader's `instruments`."""
    for line in idle_balances(loaded, currencies_of(instruments).__contains__):
        run_state.warn("BALANCE-IDLE", line)
