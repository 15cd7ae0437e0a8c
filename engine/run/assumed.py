"""What a run's result rests on, put together from its config, data and instruments."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.model import NO_FEES
from fairlead.engine.config.resolved import ResolvedStrategy
from fairlead.engine.config.strategies import plain_name
from fairlead.engine.observe.assumptions import (
    Assumptions,
    Data,
    Execution,
    FeeRates,
    StrategyUsed,
    config_hash,
    digest,
    params_told,
    versions,
)
from fairlead.engine.observe.summary import mark_source
from fairlead.engine.run.fees import known_rates
from fairlead.engine.run.latency import Latency, latency_of

_LIBRARIES = ("nautilus_trader.", "fairlead.engine.", "builtins.")


def assumptions(
    loaded: LoadedConfig,
    cache: Any,
    strategies: Sequence[StrategyUsed],
    *,
    fees_from: str,
    data: Data | None = None,
    simulated: bool = True,
    latency: Latency | None = None,
    with_book: Collection[str] = (),
) -> Assumptions:
    """Of a run over the instruments in `cache`; those `with_book` had one until its stop began.

    `fees_from` is where rates come from that the config does not tell: "recorded" or "venue". A
    run that is not `simulated` executes at its venues: they charge what they charge.
    """
    config = loaded.config
    execution = _execution(loaded, latency or latency_of(loaded)) if simulated else None
    fees = _fees(loaded, cache.instrument, fees_from) if simulated else {}
    settled = config_hash(config, loaded.options, strategies)
    ids = {name: InstrumentId.from_str(name) for name in config.instruments}
    found = Assumptions(
        execution=execution,
        fees=fees,
        marks={
            name: mark_source(cache, one, had_book=name in with_book)
            for name, one in ids.items()
            if cache.instrument(one) is not None
        },
        data=data,
        config=settled,
        strategies=[*strategies],
        versions=versions(),
        inputs="",
    )
    return _sealed(found)


def _execution(loaded: LoadedConfig, latency: Latency) -> Execution:
    simulated = loaded.config.simulated
    return Execution(
        latency_ms=simulated.latency_ms if latency.is_fixed else latency.median_ms,
        queue_position=simulated.queue_position,
        liquidity_consumption=simulated.liquidity_consumption,
        latency=latency.told,
        latency_sha256=latency.sha256,
    )


def _sealed(found: Assumptions) -> Assumptions:
    """With the hash of all that decides the result: neither where data lies, nor the marks."""
    decides: tuple[Any, ...] = (
        found.config,
        None if found.data is None else found.data.sha256,
        found.fees,
        [(one.id, one.path, one.params, one.code) for one in found.strategies],
        found.versions,
    )
    if found.execution is not None and (measured := found.execution.latency_sha256) is not None:
        decides = (*decides, measured)
    return msgspec.structs.replace(found, inputs=digest(decides))


def _fees(
    loaded: LoadedConfig, instrument: Callable[[InstrumentId], Any], told_by: str
) -> dict[str, FeeRates]:
    """By instrument, of the venues that are traded. What could be missing was asked for before the
    start: a run that has run is told all the same."""
    found = {}
    for key in loaded.traded:
        venue = loaded.config.venues[key]
        source = told_by if venue.fees is None else "config"
        for name in venue.instruments:
            known = instrument(InstrumentId.from_str(name))
            if known is None:  # of a run that ended before it was connected
                continue
            rates = known_rates(venue.fees, known)
            if rates is None:
                continue
            source_of = NO_FEES if venue.fees == NO_FEES else source
            found[name] = msgspec.structs.replace(rates, source=source_of)
    return found


def strategy_used(loaded: LoadedConfig, resolved: ResolvedStrategy) -> StrategyUsed:
    """What is told of a strategy: its parameters in force, the hash of its source."""
    configured = loaded.config.strategies[resolved.position]
    return StrategyUsed(
        id=configured.id,
        path=configured.path,
        params=params_told(resolved.configured.params),
        given=tuple(configured.params),
        code=_code(resolved.cls),
    )


def _code(cls: type) -> str:
    """SHA-256 of the source files of the class and its bases, those of libraries left out."""
    found = hashlib.sha256()
    for name in sorted({base.__module__ for base in cls.__mro__}):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or f"{name}.".startswith(_LIBRARIES):
            continue
        found.update(f"{plain_name(name)}\n".encode())
        with contextlib.suppress(OSError):  # gone meanwhile: no reason to lose a run's summary
            found.update(Path(file).read_bytes())
    return found.hexdigest()
