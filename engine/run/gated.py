"""Whether a trial bears what its study requires, on the data that is open to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fairlead.engine.config.latency import FIXED, parsed
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.gates import Gate
from fairlead.engine.research.numbers import of_trades, trades
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.prepared import Shared
from fairlead.engine.run.sensitivity import fees_times, latency_times

Progress = Callable[[str], None]


def require_borne(
    loaded: LoadedConfig, gates: list[Gate], name: str, told: Progress = lambda _: None
) -> list[str]:
    """What was borne, in words. `loaded` ends before what is held out.

    Raises FairleadError STUDY-GATE with each gate that fails and by what, and as a backtest does.
    """
    borne: list[str] = []
    failed: list[str] = []
    with Shared() as shared:
        for gate in gates:
            told(f"gate: {gate.words}")
            why = _failing(loaded, gate, shared)
            (failed if why else borne).append(f"{gate.words}{f': {why}' if why else ''}")
    if failed:
        raise FairleadError(
            "STUDY-GATE",
            f"the trial does not bear what the study {name} requires ({'; '.join(failed)}); the "
            "held-out data stays closed",
            int(Exit.FAILED),
        )
    return borne


def _failing(loaded: LoadedConfig, gate: Gate, shared: Shared) -> str:
    """Why it is not borne; empty: it is."""
    stressed = _stressed(loaded, gate, shared)
    if gate.draws:
        if parsed(stressed.config.simulated.latency).kind == FIXED:
            return "simulated.latency is fixed: there is nothing to draw"
        wins = 0
        for seed in range(1, gate.draws + 1):
            nets, _ = _run(load(stressed.path, {**stressed.changes, "run.seed": seed}), shared)
            wins += bool(nets) and all(net > 0 for net in nets.values())
        share = Decimal(wins) / gate.draws
        return "" if share >= gate.share else f"{wins} of {gate.draws} draws win"
    nets, drawn = _run(stressed, shared, trades_too=gate.orders is not None)
    losing = [f"net {net:f} {code}" for code, net in nets.items() if net <= 0]
    if losing or not nets:
        return ", ".join(losing) or "it traded nothing"
    return "" if gate.orders is None else _of_trades(drawn, gate.orders)


def _of_trades(drawn: Mapping[str, Any], most: Decimal) -> str:
    if not drawn:
        return "no trade came to its end"
    for code, one in drawn.items():
        if one["shuffled"] is None:
            return f"{code}: too few trades to draw from"
        if one["shuffled"]["loses"] > float(most):
            return f"{one['shuffled']['loses']:.3f} of the draws of its trades lose {code}"
    return ""


def _run(
    loaded: LoadedConfig, shared: Shared, *, trades_too: bool = False
) -> tuple[dict[str, Decimal], dict[str, Any]]:
    """Nets, and what its trades are, by currency."""
    result = run_backtest(loaded, shared=shared, marks=False)
    try:
        if result.exit_code:
            raise FairleadError("STUDY-GATE", result.summary.outcome, result.exit_code)
        nets = dict(result.summary.net)
        fills = result.record().tables["fills"] if trades_too else []
    finally:
        result.dispose()
    return nets, of_trades(trades(fills)) if fills else {}


def _stressed(loaded: LoadedConfig, gate: Gate, shared: Shared) -> LoadedConfig:
    changes: dict[str, Any] = {}
    if gate.latency != 1:
        changes |= latency_times(loaded, gate.latency)
    if gate.fees != 1:
        result = run_backtest(loaded, shared=shared, marks=False)
        try:
            assumed = result.summary.assumptions
            assert assumed is not None, "a backtest has them"
            changes |= fees_times(loaded, assumed.fees, gate.fees)
        except ValueError as error:
            text = f"fees can't be stressed: {error}"
            raise FairleadError("STUDY-GATE", text, int(Exit.USAGE)) from error
        finally:
            result.dispose()
    return load(loaded.path, {**loaded.changes, **changes})
