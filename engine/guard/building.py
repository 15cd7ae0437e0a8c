"""A config's strategies as objects: put behind the gate's methods, built."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigError, ConfigProblem, KeyPath, told_once
from fairlead.engine.config.resolved import ResolvedStrategy
from fairlead.engine.config.strategies import raised, told
from fairlead.engine.guard.answers import BadAnswerError, declared
from fairlead.engine.guard.assigned import advice, assignments, undo
from fairlead.engine.guard.overrides import own_classes
from fairlead.engine.guard.signatures import unfit
from fairlead.engine.guard.strategy import GuardedStrategy, guard


def build_strategy(loaded: LoadedConfig, resolved: ResolvedStrategy) -> Any:
    """One strategy, not bound to a gate yet.

    Raises ConfigError, with the exit code of a fault when the strategy's own code raised.
    """
    cls = resolved.cls
    path: KeyPath = ("strategies", resolved.position, "path")
    try:
        wrapped = guard(cls)
    except TypeError as error:
        expected = "a strategy whose orders pass the risk gate"
        problem = loaded.problem(path, "E-CFG-059", expected=expected, came=str(error))
        raise ConfigError([problem]) from error
    if (wrong := _signature(loaded, resolved, path)) is not None:
        raise ConfigError([wrong])
    is_plain = bool(getattr(wrapped, "_guard_is_plain"))  # noqa: B009 - a class of ours by now
    if wrongs := list(_callbacks(loaded, cls, is_plain, path)):
        raise ConfigError(wrongs)
    hides: frozenset[str] = getattr(wrapped, "_guard_methods")  # noqa: B009 - as above
    own = own_classes(cls, GuardedStrategy)
    if told := [_assigned(loaded, cls, path, *one) for one in assignments(own, hides)]:
        raise ConfigError(told)
    try:
        built = wrapped(resolved.configured.config)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit() in its __init__
        expected = f"{cls.__name__}.__init__ to build the strategy"
        who = f"{loaded.config.strategies[resolved.position].id}: "
        raise ConfigError([raised(loaded, path, expected, who, error)]) from error
    if (found := undo(built, {})) is not None:  # by setattr, or a function beside the class
        raise ConfigError([_assigned(loaded, cls, path, found.name, found.place)])
    return built


def _assigned(
    loaded: LoadedConfig, cls: type[Any], path: KeyPath, name: str, place: str
) -> ConfigProblem:
    """What hides a method: the gate would not hear what it must, or nobody could call it."""
    return loaded.problem(
        path,
        "E-CFG-068",
        expected=f"the methods of {cls.__name__} to be those of its class",
        came=f"self.{name} = ... in {place or 'its own code'}",
        hint=advice(name),
    )


def _signature(
    loaded: LoadedConfig, resolved: ResolvedStrategy, path: KeyPath
) -> ConfigProblem | None:
    """An `__init__` that can't be given its config, by its place: the call is a line of ours."""
    cls, config = resolved.cls, resolved.configured.config
    init = cls.__init__
    if not inspect.isfunction(init):
        return None
    signature = inspect.signature(init, follow_wrapped=False)
    try:
        signature.bind(None, config)
    except TypeError as error:
        wanted = f"def __init__(self, config: {type(config).__name__})"
        code = init.__code__
        return loaded.problem(
            path,
            "E-CFG-066",
            expected=f"{cls.__name__}.__init__ to take its config, and nothing else",
            came=f"def __init__{signature} in {code.co_filename}:{code.co_firstlineno}, {error}",
            hint=f"write `{wanted}`, with `super().__init__(config)` in it",
        )
    return None


def _callbacks(
    loaded: LoadedConfig, cls: type[Any], is_plain: bool, path: KeyPath
) -> Iterator[ConfigProblem]:
    """Callbacks that can't be called with what they are told: a run would end at the first."""
    for wanted, came, why in unfit(cls, is_plain=is_plain):
        expected = f"callbacks of {cls.__name__} to take what they are told"
        yield loaded.problem(
            path, "E-CFG-067", expected=expected, came=f"{came}, {why}", hint=f"write `{wanted}`"
        )


def build_strategies(loaded: LoadedConfig, resolved: Iterable[ResolvedStrategy]) -> list[Any]:
    """Every strategy. Raises ConfigError with what is wrong with any of them."""
    built: list[Any] = []
    problems: list[ConfigProblem] = []
    for one in resolved:
        try:
            built.append(build_strategy(loaded, one))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(told_once(problems))
    return built


def build_problems(
    loaded: LoadedConfig,
    resolved: Iterable[ResolvedStrategy],
    known: Collection[ConfigProblem],
) -> list[ConfigProblem]:
    """What building the strategies finds, those aside that `known` has a problem of."""
    problems: list[ConfigProblem] = []
    for one in resolved:
        if any(problem.key.startswith(f"strategies[{one.position}]") for problem in known):
            continue
        try:
            _look_at_declared(loaded, one, build_strategy(loaded, one))
        except ConfigError as error:
            problems += [found for found in error.problems if found not in known]
    return problems


def _look_at_declared(loaded: LoadedConfig, resolved: ResolvedStrategy, built: Any) -> None:
    """What a strategy says of itself, where it can say so before it is started. Raises ConfigError
    for what no start takes."""
    if built._guard_is_plain:
        return
    names = loaded.config.instruments
    try:
        declared(built, names, lambda one: str(one) in names)
    except BadAnswerError as error:
        path: KeyPath = ("strategies", resolved.position, "path")
        expected = f"what {resolved.cls.__name__} declares to be of this run"
        problem = loaded.problem(path, "E-CFG-069", expected=expected, came=told(error))
        raise ConfigError([problem]) from error
    except Exception:  # it needs what a started strategy has: the start looks at it
        return
