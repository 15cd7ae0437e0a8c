"""What a start would find beside the config's own text, asked before there is a run.

`fairlead check` shows it. Each question is the start's own code, so that the two can't differ.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.config.checks import Mode
from engine.config.loaded import LoadedConfig
from engine.config.priced import currencies_of, idle_balances, idle_by_name
from engine.config.problems import ConfigError, ConfigProblem, KeyPath
from engine.errors import FairleadError


def start_problems(loaded: LoadedConfig, mode: Mode | None) -> list[ConfigProblem]:
    """Folders that take no file, and what a backtest's catalog lacks. Nothing is written."""
    if mode == "backtest":
        return list(_backtest(loaded))
    return list(_folders(loaded))


def start_notes(loaded: LoadedConfig, mode: Mode | None) -> list[str]:
    """What prevents nothing, and that a person should know of."""
    from engine.run.held import notes

    found = list(notes(loaded)) if mode in (None, "live") else []
    if mode == "backtest":
        found += _idle_in_catalog(loaded)
    elif mode != "live":
        found += idle_by_name(loaded, stated=mode is None)
    return found


def _idle_in_catalog(loaded: LoadedConfig) -> list[str]:
    from engine.run.backtest_data import select

    try:
        selected = select(loaded.config, loaded.resolve(loaded.config.backtest.catalog))
    except FairleadError:
        return []  # a problem, and told as one
    known = currencies_of(source.instrument for source in selected.sources)
    return list(idle_balances(loaded, known.__contains__))


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


def unwritable(folder: Path) -> str | None:
    """Why no file can be made in the folder, or in the nearest one above it that is there."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"{there}: {error.strerror}"


def _backtest(loaded: LoadedConfig) -> Iterator[ConfigProblem]:
    from engine.run.backtest import venue_configs
    from engine.run.backtest_data import select

    try:
        venue_configs(loaded, select(loaded.config, loaded.resolve(loaded.config.backtest.catalog)))
    except ConfigError as error:
        yield from error.problems
    except FairleadError as error:
        yield loaded.problem(
            ("backtest", "catalog"),
            "E-CFG-070",
            expected="a catalog that this backtest can run on",
            hint=f"{error.code}: {error.message}",
        )
