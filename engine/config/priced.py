"""Whether the limits of `[risk]` are in currencies that instruments are priced in.

One in another currency would deny every order, once the run is up.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from engine.config.loaded import LoadedConfig
from engine.config.problems import ConfigError, came_text
from engine.config.rules import money_limits, priced_in


def require_priced(loaded: LoadedConfig, currencies: Collection[str]) -> None:
    """`currencies` are those of the run's instruments. Raises ConfigError with each limit."""
    problems = [
        loaded.problem(path, "E-CFG-040", expected=priced_in(currencies), came=came_text(text))
        for path, text in money_limits(msgspec.structs.asdict(loaded.config.risk))
        if text.rpartition(" ")[2] not in currencies
    ]
    if problems:
        raise ConfigError(problems)
