"""The one run that looks at what a study held back."""

from __future__ import annotations

from typing import Any

from fairlead.engine.config.changes import Changes, parsed
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.holdout import Held, time_of
from fairlead.engine.research.sweep import Forms
from fairlead.engine.research.trials import Registry
from fairlead.engine.run.config import load

SPAN = ("backtest.start", "backtest.end")


def require_trial(registry: Registry, changes: Changes, forms: Forms) -> dict[str, str]:
    """The values of a trial that the study has tried. Raises FairleadError HELD-TRIAL."""
    wanted = forms({key: value for key, value in changes.items() if key not in SPAN})
    for entry in registry.entries("trial"):
        values = {key: value for key, value in entry.body["values"].items() if key not in SPAN}
        same = forms(parsed(f"{key}={value}" for key, value in values.items()))
        if entry.body["error"] is None and values and same.items() <= wanted.items():
            return values
    raise FairleadError(
        "HELD-TRIAL",
        f"the study {registry.name} has tried no trial of these values; give those of one, each "
        "as --set KEY=VALUE with the whole key",
        int(Exit.USAGE),
    )


def before_held(loaded: LoadedConfig, held: Held | None) -> dict[str, Any]:
    """What a search of the study changes, to end before what that holds back, spent or not."""
    if held is None:
        return {}
    last, end = time_of(held.start_ns - 1000), loaded.config.backtest.end
    return {} if end is not None and end <= last else {SPAN[1]: last}


def on_held(loaded: LoadedConfig, held: Held) -> LoadedConfig:
    """The config over the held span. Raises ConfigError."""
    span = dict(zip(SPAN, (time_of(held.start_ns), time_of(held.end_ns + 999)), strict=True))
    return load(loaded.path, {**loaded.changes, **span})
