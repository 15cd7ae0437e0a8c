"""What can be known of a config before it runs: strategies, capabilities, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from adapters import registry
from engine.config import model
from engine.config.loaded import LoadedConfig
from engine.config.problems import ConfigError, ConfigProblem, KeyPath
from engine.config.rules import RECORDED
from engine.config.strategies import import_strategy
from engine.orders.model import Capabilities
from engine.secrets import read_credentials

Mode = Literal["live", "paper", "backtest"]

_VENUE_OF = re.compile(r"[^\s.]+\.([A-Z][A-Z0-9_]*)(?:-\d+-.+)?")


def check_loaded(loaded: LoadedConfig, mode: Mode | None) -> list[ConfigProblem]:
    """Every problem beyond the file's own text.

    Secrets are read for `live`, and without a mode for the venues that name any. A recorded venue
    is refused for `live` and `paper`.
    """
    problems: list[ConfigProblem] = []
    for key, venue in loaded.config.venues.items():
        if venue.adapter == RECORDED:
            problems += _recorded(loaded, key, mode)
        elif mode == "live" or (mode is None and venue.credentials):
            problems += _secrets(loaded, key, venue)
        if mode == "paper" and venue.adapter != RECORDED:
            problems += _fees(loaded, key, venue)
    if not loaded.config.strategies and mode is not None:
        problems.append(
            loaded.problem(
                ("strategies",), "E-CFG-010", expected="at least one strategy", came="nothing"
            )
        )
    for position, strategy in enumerate(loaded.config.strategies):
        try:
            cls = import_strategy(loaded, position)
        except ConfigError as e:
            problems += e.problems
            continue
        problems += _params(loaded, position, cls)
        problems += _capabilities(loaded, position, cls, strategy)
    return sorted(problems, key=lambda problem: (problem.line, problem.col, problem.code))


def _recorded(loaded: LoadedConfig, key: str, mode: Mode | None) -> Iterator[ConfigProblem]:
    if mode in ("live", "paper"):
        yield loaded.problem(
            ("venues", key, "adapter"),
            "E-CFG-038",
            expected=f"one of {', '.join(registry.names())} to run {mode}",
            came=f'"{RECORDED}"',
            hint="a recorded venue exists only in a catalog: backtest it",
        )


def missing_fees_hint(key: str) -> str:
    """What to do where nobody tells the fees of venue `key`."""
    return (
        f'add [venues.{key}.fees] with maker = "..." and taker = "...", '
        f'or fees = "{model.NO_FEES}" in [venues.{key}] to trade without fees'
    )


def _fees(loaded: LoadedConfig, key: str, venue: model.Venue) -> Iterator[ConfigProblem]:
    """Paper runs read no secret, and some venues tell their fees to account holders only."""
    if venue.fees is None and not registry.spec(venue.adapter).capabilities.public_fees:
        yield loaded.problem(
            ("venues", key, "fees"),
            "FEES-MISSING",
            expected="the maker and taker rates, which the venue tells only to an account",
            came="nothing",
            hint=missing_fees_hint(key),
        )


def _secrets(loaded: LoadedConfig, key: str, venue: model.Venue) -> Iterator[ConfigProblem]:
    spec = registry.spec(venue.adapter)
    _, failed = read_credentials(venue.credentials, spec.credentials, loaded.path.parent)
    for name, error in failed.items():
        path: KeyPath = ("venues", key, "credentials", name)
        yield loaded.problem(path, error.code, expected="a usable secret", hint=error.message)


def _params(loaded: LoadedConfig, position: int, cls: type[Any]) -> list[ConfigProblem]:
    from engine.config.strategy_params import param_problems, placed

    return placed(loaded, position, param_problems(cls, loaded.config.strategies[position]))


def _capabilities(
    loaded: LoadedConfig, position: int, cls: type[Any], strategy: model.Strategy
) -> Iterator[ConfigProblem]:
    """Compare what the strategy says it sends with what its venues can do."""
    kinds = _declared(cls, "order_kinds")
    times = _declared(cls, "times_in_force")
    post_only = bool(strategy.params.get("post_only", getattr(cls, "post_only", False)))
    path: KeyPath = ("strategies", position, "path")
    for key, able in _venues_of(loaded, strategy):
        lacks = [
            ("E-CFG-060", "an order type", sorted(kinds - able.kinds), able.kinds),
            (
                "E-CFG-061",
                "a time in force",
                sorted(times - able.time_in_force),
                able.time_in_force,
            ),
        ]
        for code, what, missing, has in lacks:
            for name in missing:
                yield loaded.problem(
                    path,
                    code,
                    expected=f"{what} that {key} has ({', '.join(sorted(has))})",
                    came=f"{name}, which {cls.__name__} sends",
                )
        if post_only and not able.post_only:
            where = ("strategies", position, "params", "post_only")
            yield loaded.problem(
                where if loaded.line_of(where) else path,
                "E-CFG-062",
                expected=f"no post-only orders, which {key} does not have",
                came=f"post_only of {cls.__name__}",
            )


def _declared(cls: type[Any], attribute: str) -> frozenset[str]:
    return frozenset(str(item) for item in getattr(cls, attribute, ()) or ())


def _venues_of(
    loaded: LoadedConfig, strategy: model.Strategy
) -> Iterator[tuple[str, Capabilities]]:
    """The venues named in the parameters; all of them when none is. Recorded ones can all."""
    named = set(_venue_names(strategy.params))
    for key, venue in loaded.config.venues.items():
        if venue.adapter != RECORDED and (not named or key.upper() in named):
            yield key, registry.spec(venue.adapter).capabilities


def _venue_names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _venue_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _venue_names(inner)
    elif isinstance(value, str) and (match := _VENUE_OF.fullmatch(value)):
        yield match[1]
