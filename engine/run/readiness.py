"""What a start would find beside the config's own text, asked before there is a run.

`fairlead check` shows it. Each question is the start's own code, so that the two can't differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.priced import (
    currencies_of,
    idle_balances,
    idle_by_name,
    shut_out,
    shut_out_by_name,
)
from fairlead.engine.config.problems import ConfigError, ConfigProblem, KeyPath
from fairlead.engine.config.resolved import Mode
from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.files import unwritable


def start_look(loaded: LoadedConfig, mode: Mode | None) -> tuple[list[ConfigProblem], list[str]]:
    """Folders that take no file, what a backtest's catalog lacks; and notes of what prevents
    nothing, and that a person should know of. Nothing is written.
    """
    from fairlead.engine.run.native import described
    from fairlead.engine.run.takeover import held_notes

    if mode == "backtest":
        return _backtest(loaded)
    native = list(described.notes(loaded, mode))
    notes = list(held_notes(loaded)) if mode in (None, "live") else []
    if mode in (None, "live"):
        notes += [*_unseen(loaded), *_shared(loaded)]
    if mode != "live":
        notes += idle_by_name(loaded, stated=mode is None)
    if mode != "record":
        notes += shut_out_by_name(loaded)
    return [*_folders(loaded), *described.problems(loaded, mode)], notes + native


def _unseen(loaded: LoadedConfig) -> Iterator[str]:
    """What a venue without a stream, or without cancels, means for the run's strategies."""
    for key in loaded.traded:
        spec = loaded.specs.get(key)
        if spec is None:
            continue
        yield from (f"[venues.{key}.options] {one}" for one in spec.notes(loaded.options[key]))
        bare = [
            n for n in loaded.config.venues[key].instruments if n not in loaded.config.prices_from
        ]
        if spec.capabilities.ticker and bare:
            yield (
                f"{key} has no book, trades or bars of {', '.join(bare)}, only a last price that "
                "is polled: a strategy that needs more faults at its start; [prices_from] names "
                "an instrument whose market data stand for it"
            )
        if not spec.capabilities.cancels:
            yield (
                f"{key} can't cancel one order: what rests stays at a stop, and ends with its "
                "position"
            )


def _shared(loaded: LoadedConfig) -> Iterator[str]:
    """Strategies that name one contract of a margin account: the venue knows one position there."""
    for key in loaded.traded:
        venue = loaded.config.venues[key]
        if key not in loaded.specs or venue.account_type != "margin":
            continue
        for instrument in venue.instruments:
            named = [one.id for one in loaded.config.strategies if _names(one.params, instrument)]
            if len(named) > 1:
                yield (
                    f"{', '.join(named)} name one contract, {instrument}, of which {key}'s margin "
                    "account has one net position: the venue takes reduce-only by that, so that a "
                    "stop or target of one may be refused or cut by what another holds "
                    "(docs/nautilus-venues.md); accounts or contracts of their own part them"
                )


def _names(params: Any, instrument: str) -> bool:
    """By an id, or in a bar type, at any depth."""
    if isinstance(params, str):
        return params == instrument or params.startswith(f"{instrument}-")
    if isinstance(params, Mapping):
        return any(_names(one, instrument) for one in (*params, *params.values()))
    return isinstance(params, list | tuple) and any(_names(one, instrument) for one in params)


def _folders(loaded: LoadedConfig) -> Iterator[ConfigProblem]:
    wanted: list[tuple[KeyPath, Path]] = [(("run", "state_dir"), loaded.state_dir)]
    if loaded.config.record is not None:
        wanted.append((("record", "dir"), loaded.resolve(loaded.config.record.dir)))
    for path, folder in wanted:
        if (why := unwritable(folder)) is not None:
            yield loaded.problem(
                path,
                "STATE-UNWRITABLE",
                expected="a folder that takes files",
                came=str(folder),
                hint=why,
            )


def _backtest(loaded: LoadedConfig) -> tuple[list[ConfigProblem], list[str]]:
    from fairlead.engine.research.remote import local_catalog
    from fairlead.engine.run.backtest import venue_configs
    from fairlead.engine.run.backtest_data import select
    from fairlead.engine.run.build import priced_by

    notes: list[str] = []
    try:
        selected = select(loaded.config, local_catalog(loaded))
        known = currencies_of(source.instrument for source in selected.sources)
        notes += idle_balances(loaded, known.__contains__)
        notes += shut_out(loaded, priced_by(source.instrument for source in selected.sources))
        venue_configs(loaded, selected)
    except ConfigError as error:
        return list(error.problems), notes
    except FairleadError as error:
        problem = loaded.problem(
            ("backtest", "catalog"),
            "E-CFG-070",
            expected="a catalog that this backtest can run on",
            hint=f"{error.code}: {error.message}",
        )
        return [problem], notes
    return [], notes
