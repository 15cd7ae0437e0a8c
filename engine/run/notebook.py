"""A backtest in one call, as a notebook wants it: a run whose tables are DataFrames."""

from __future__ import annotations

import time
from pathlib import Path

from fairlead.engine.config.changes import Changes
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.research.runs import Run, Stamp
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load


def changed(config: LoadedConfig, changes: Changes) -> LoadedConfig:
    """The same config with other values, as `load` takes them; earlier changes stay.

    Raises ConfigError.
    """
    return load(config.path, {**config.changes, **changes})


def backtest(
    config: LoadedConfig | Path | str, changes: Changes | None = None, *, keep: bool = False
) -> Run:
    """Run the config over its catalog. `keep`: in a folder of the state folder, else in memory.

    Raises FairleadError as `run_backtest` does; a strategy's fault does not raise: it is in the
    run's `summary["faults"]`, and `manifest.exit_code` is not 0.
    """
    stamp = Stamp(begun_ns=time.time_ns())
    loaded = config if isinstance(config, LoadedConfig) else load(config)
    if changes:
        loaded = changed(loaded, changes)
    result = run_backtest(loaded)
    try:
        record = result.record(stamp)
    finally:
        result.dispose()
    if not keep:
        return record.run()
    return Run.at(Path(record.keep(loaded.state_dir).files["summary"]).parent)
