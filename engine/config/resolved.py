"""A config with what it refers to: keys read, strategies imported, parameters converted, each once.

A check tells what is wrong with them; a run takes the same objects.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

import msgspec

from fairlead.engine.config import model
from fairlead.engine.config.execution import able_with
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.people import People, people_of
from fairlead.engine.config.problems import ConfigError, ConfigProblem, KeyPath, told_once
from fairlead.engine.config.rules import RECORDED
from fairlead.engine.config.strategies import import_strategy
from fairlead.engine.config.strategy_params import Configured, ParamsError, configure, placed
from fairlead.engine.orders.model import UNSIMULATED, Capabilities, Kind, Tif
from fairlead.engine.secrets import Secret, read_credentials, redact

Mode = Literal["live", "paper", "record", "backtest"]

NOT_SET = "E-SEC-002"
_VENUE_OF = re.compile(r"[^\s.]+\.([A-Z][A-Z0-9_]*)(?:-[0-9]+-.+)?")


class ResolvedStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """One of the config: its class, and what is given to that."""

    position: int
    cls: type[Any]
    configured: Configured


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`secrets` are by venue key and name; none of the venues whose keys the mode does not need.

    `strategies` are those without a problem of their own; `people` are whom a run tells of itself.
    """

    loaded: LoadedConfig
    secrets: Mapping[str, Mapping[str, Secret]]
    strategies: tuple[ResolvedStrategy, ...]
    problems: tuple[ConfigProblem, ...]
    people: People = People()

    def require(self) -> Resolved:
        """Raises ConfigError with every problem."""
        if self.problems:
            raise ConfigError(told_once(list(self.problems)))
        return self


def resolve(loaded: LoadedConfig, mode: Mode | None) -> Resolved:
    """Follow every reference, and find every problem beyond the file's own text.

    Secrets are read for `live`, for a venue that tells its market data to none without, and
    without a mode for the venues that name any. A recorded venue is refused where venues are
    connected, and a recorder takes no strategies.
    """
    problems: list[ConfigProblem] = []
    secrets: dict[str, Mapping[str, Secret]] = {key: {} for key in loaded.config.venues}
    for key, venue in loaded.config.venues.items():
        problems += _clash(loaded, key, venue)
        if venue.adapter == RECORDED:
            problems += _recorded(loaded, key, mode)
        elif _needs_secrets(loaded, key, mode):
            secrets[key], failed = _secrets(loaded, key, venue, mode)
            problems += failed
        if mode in (None, "live") and venue.adapter != RECORDED:
            problems += _options(loaded, key, mode)
        if mode == "paper" and venue.adapter != RECORDED:
            problems += _fees(loaded, key, venue)
            problems += _market(loaded, key, venue)
        if venue.adapter != RECORDED:
            problems += _held(loaded, key, venue)
    people = People()
    if mode != "backtest":
        people, failed = people_of(loaded)
        problems += failed
    strategies: tuple[ResolvedStrategy, ...] = ()
    if mode != "record":
        if not loaded.config.strategies and mode is not None:
            problems.append(
                loaded.problem(
                    ("strategies",), "E-CFG-010", expected="at least one strategy", came="nothing"
                )
            )
        strategies, failed = _strategies(loaded, mode)
        problems += failed
    return Resolved(
        loaded=loaded,
        secrets=secrets,
        strategies=strategies,
        people=people,
        problems=tuple(sorted(problems, key=lambda one: (one.line, one.col, one.code))),
    )


def _strategies(
    loaded: LoadedConfig, mode: Mode | None
) -> tuple[tuple[ResolvedStrategy, ...], list[ConfigProblem]]:
    """Classes and parameters; those that do not fit are problems, and left out."""
    found: list[ResolvedStrategy] = []
    problems: list[ConfigProblem] = []
    for position, strategy in enumerate(loaded.config.strategies):
        try:
            cls = import_strategy(loaded, position)
            problems += _capabilities(loaded, position, cls, mode)
            configured = configure(cls, strategy)
        except ConfigError as error:
            problems += error.problems
        except ParamsError as error:
            problems += placed(loaded, position, error.problems)
        else:
            found.append(ResolvedStrategy(position=position, cls=cls, configured=configured))
    return tuple(found), problems


def _recorded(loaded: LoadedConfig, key: str, mode: Mode | None) -> Iterator[ConfigProblem]:
    if mode in ("live", "paper", "record"):
        yield loaded.problem(
            ("venues", key, "adapter"),
            "E-CFG-038",
            expected=f"one of {', '.join(loaded.adapters)} to run {mode}",
            came=f'"{RECORDED}"',
            hint="a recorded venue exists only in a catalog: backtest it",
        )


def _clash(loaded: LoadedConfig, key: str, venue: model.Venue) -> Iterator[ConfigProblem]:
    """Not found when the file is loaded: a kill goes on with the adapter that is ours."""
    if offered := loaded.clashes.get(key):
        yield loaded.problem(
            ("venues", key, "adapter"),
            "E-CFG-044",
            expected="a name that one package has",
            came=f'"{venue.adapter}": {offered}',
            hint="uninstall the one that is not meant",
        )


def missing_fees_hint(key: str) -> str:
    """What to do where nobody tells the fees of venue `key`."""
    return (
        f'add [venues.{key}.fees] with maker = "..." and taker = "...", '
        f'or fees = "{model.NO_FEES}" in [venues.{key}] to trade without fees'
    )


def _fees(loaded: LoadedConfig, key: str, venue: model.Venue) -> Iterator[ConfigProblem]:
    """Paper runs read no secret, and some venues tell their fees to account holders only."""
    if venue.data_only:
        return
    if venue.fees is None and not loaded.specs[key].capabilities.public_fees:
        yield loaded.problem(
            ("venues", key, "fees"),
            "FEES-MISSING",
            expected="the maker and taker rates, which the venue tells only to an account",
            came="nothing",
            hint=missing_fees_hint(key),
        )


def _options(loaded: LoadedConfig, key: str, mode: Mode | None) -> Iterator[ConfigProblem]:
    """What an adapter does not trade with; without a mode only what is wrong in every one."""
    found = None
    if key in loaded.traded:
        found = loaded.specs[key].refuses(loaded.options[key], time.time_ns())
    if found is None or (mode is None and found.option is None):
        return
    path: KeyPath = ("venues", key, "options")
    yield loaded.problem(
        path if found.option is None else (*path, found.option),
        "E-CFG-049",
        expected=f"options that {key} can be traded with",
        hint=f"{found.code}: {found.text}",
    )


def _market(loaded: LoadedConfig, key: str, venue: model.Venue) -> Iterator[ConfigProblem]:
    """A simulated exchange trades in a book; a ticker is none."""
    if venue.data_only or not loaded.specs[key].capabilities.ticker:
        return
    for position, name in enumerate(venue.instruments):
        if name not in loaded.config.prices_from:
            yield loaded.problem(
                ("venues", key, "instruments", position),
                "E-CFG-046",
                expected=f"an instrument with a book: {key} has a ticker only",
                came=f'"{name}"',
                hint=f'name one that has: [prices_from] "{name}" = "..."',
            )


def _held(loaded: LoadedConfig, key: str, venue: model.Venue) -> Iterator[ConfigProblem]:
    source = venue.held.source
    if source is None:
        return
    able = able_with(
        loaded.specs[key].capabilities, msgspec.structs.replace(venue.held, source=None)
    )
    expected, hint = f"a price of {key}'s data ({', '.join(able.sources)})", ""
    if not able.holds:
        expected = f"no source, as the engine holds no order for {key}"
        hint = "leave it out"
        if Tif.GTC not in able.time_in_force:
            hint += ", or hold GTC limits with limits = true"
    elif source in able.sources:
        return
    yield loaded.problem(
        ("venues", key, "held", "source"),
        "E-CFG-063",
        expected=expected,
        came=f'"{source}"',
        hint=hint,
    )


def _needs_secrets(loaded: LoadedConfig, key: str, mode: Mode | None) -> bool:
    if mode is None:
        return bool(loaded.config.venues[key].credentials)
    if mode == "backtest":
        return False
    if mode == "live" and key in loaded.traded:
        return True
    return loaded.specs[key].keyed_data or loaded.specs[key].uses_keys


def _secrets(
    loaded: LoadedConfig, key: str, venue: model.Venue, mode: Mode | None
) -> tuple[dict[str, Secret], list[ConfigProblem]]:
    spec = loaded.specs[key]
    found, failed = read_credentials(venue.credentials, spec.credentials, loaded.path.parent)
    if mode in ("paper", "record") and not spec.keyed_data:  # it may do without
        failed = {name: error for name, error in failed.items() if error.code != NOT_SET}
    return found, [
        loaded.problem(
            ("venues", key, "credentials", name),
            error.code,
            expected="a usable secret",
            hint=error.message,
        )
        for name, error in failed.items()
    ]


def _capabilities(
    loaded: LoadedConfig, position: int, cls: type[Any], mode: Mode | None
) -> Iterator[ConfigProblem]:
    """Compare what the strategy says it sends with what its venues can do."""
    strategy = loaded.config.strategies[position]
    path: KeyPath = ("strategies", position, "path")
    for attribute in ("order_kinds", "times_in_force"):
        if not _is_many(came := getattr(cls, attribute, ())):
            expected = f"{attribute} of the class to be a set of names"
            yield loaded.problem(path, "E-CFG-064", expected=expected, came=redact(repr(came)))
            return
    kinds = _declared(cls, "order_kinds")
    times = _declared(cls, "times_in_force")
    post_only = bool(strategy.params.get("post_only", getattr(cls, "post_only", False)))
    for key, able in _venues_of(loaded, strategy):
        has_kinds = able.kinds | able.held
        if mode in ("paper", "backtest"):
            has_kinds -= UNSIMULATED
        is_any_held = bool(kinds & able.held) or able.holds_limits
        has_times = able.time_in_force | ({Tif.GTC} if is_any_held else frozenset())
        # What is sent at the market has no time in force: the gate does not look at one either.
        is_timed = not kinds or kinds != {Kind.MARKET}
        lacks = [
            ("E-CFG-060", "an order type", sorted(kinds - has_kinds), has_kinds),
            (
                "E-CFG-061",
                "a time in force",
                sorted(times - has_times) if is_timed else [],
                has_times,
            ),
        ]
        for code, what, missing, has in lacks:
            for name in missing:
                venue = f"a simulated {key}" if name in able.kinds else key
                yield loaded.problem(
                    path,
                    code,
                    expected=f"{what} that {venue} has ({', '.join(sorted(has))})",
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


def _is_many(came: object) -> bool:
    """Whether it is a collection of names, or none at all."""
    return came is None or (isinstance(came, Collection) and not isinstance(came, str | bytes))


def _declared(cls: type[Any], attribute: str) -> frozenset[str]:
    return frozenset(str(item) for item in getattr(cls, attribute, ()) or ())


def _venues_of(
    loaded: LoadedConfig, strategy: model.Strategy
) -> Iterator[tuple[str, Capabilities]]:
    """The venues named in the parameters; all of them when none is. Recorded ones can all."""
    named = set(_venue_names(strategy.params))
    for key, venue in loaded.config.venues.items():
        if venue.adapter == RECORDED or venue.data_only:
            continue
        if not named or key.upper() in named:
            yield key, able_with(loaded.specs[key].capabilities, venue.held)


def _venue_names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _venue_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _venue_names(inner)
    elif isinstance(value, str) and (match := _VENUE_OF.fullmatch(value)):
        yield match[1]
