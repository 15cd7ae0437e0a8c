"""A config's strategies as objects: imported, put behind the gate's methods, built."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from engine.config.loaded import LoadedConfig
from engine.config.problems import ConfigError, ConfigProblem, KeyPath, told_once
from engine.config.strategies import import_strategy, raised
from engine.config.strategy_params import ParamsError, build_strategy_config, placed
from engine.guard.strategy import guard


def build_strategy(loaded: LoadedConfig, position: int, **extra: Any) -> Any:
    """The strategy at `position` of the config, not bound to a gate yet.

    `extra` are NautilusTrader's own settings for its config. Raises ConfigError, with the exit code
    of a fault when the strategy's own code raised.
    """
    cls = import_strategy(loaded, position)
    configured = loaded.config.strategies[position]
    path: KeyPath = ("strategies", position, "path")
    try:
        wrapped = guard(cls)
    except TypeError as error:
        expected = "a strategy whose orders pass the risk gate"
        problem = loaded.problem(path, "E-CFG-059", expected=expected, came=str(error))
        raise ConfigError([problem]) from error
    try:
        config = build_strategy_config(wrapped, configured, **extra)
    except ParamsError as error:
        raise ConfigError(placed(loaded, position, error.problems)) from error
    try:
        return wrapped(config)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit() in its __init__
        expected = f"{cls.__name__}.__init__ to build the strategy"
        problem = raised(loaded, path, expected, f"{configured.id}: ", error)
        raise ConfigError([problem]) from error


def build_strategies(loaded: LoadedConfig, **extra: Any) -> list[Any]:
    """Every strategy of the config. Raises ConfigError with what is wrong with any of them."""
    built: list[Any] = []
    problems: list[ConfigProblem] = []
    for position in range(len(loaded.config.strategies)):
        try:
            built.append(build_strategy(loaded, position, **extra))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(told_once(problems))
    return built


def build_problems(loaded: LoadedConfig, known: Collection[ConfigProblem]) -> list[ConfigProblem]:
    """What building the strategies finds, those aside that `known` has a problem of."""
    problems: list[ConfigProblem] = []
    for position in _untold(loaded, known):
        try:
            build_strategy(loaded, position)
        except ConfigError as error:
            problems += [one for one in error.problems if one not in known]
    return problems


def _untold(loaded: LoadedConfig, known: Collection[ConfigProblem]) -> Iterator[int]:
    for position in range(len(loaded.config.strategies)):
        if not any(one.key.startswith(f"strategies[{position}]") for one in known):
            yield position
