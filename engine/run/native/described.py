"""What one of NautilusTrader's own adapters has and lacks here, in words: one source for
`fairlead venues` and `fairlead check`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigProblem
from fairlead.engine.config.resolved import Mode
from fairlead.engine.run.native.found import PREFIX, find
from fairlead.engine.run.native.options import options_of, secrets_of, unset

PAGE = "docs/nautilus-venues.md"
LACKS = (
    "no order desk of ours (a lost answer is settled by NautilusTrader)",
    "no raw frames",
    "no flatten by a kill",
    "no orders that the engine holds",
    "no clock of the venue",
)


class NativeDescribed(msgspec.Struct, frozen=True, kw_only=True):
    """`unset` are options of the adapter that a TOML file can't write."""

    name: str
    module: str
    market_data: bool
    execution: bool
    options: tuple[str, ...]
    credentials: tuple[str, ...]
    unset: tuple[str, ...]
    lacks: tuple[str, ...] = LACKS


def described(name: str) -> NativeDescribed:
    """Of one of `found.names()`. Raises KeyError."""
    builtin = find(name)
    return NativeDescribed(
        name=name,
        module=builtin.module,
        market_data=builtin.data is not None,
        execution=builtin.execution is not None,
        options=options_of(builtin).__struct_fields__,  # type: ignore[attr-defined]
        credentials=tuple(one.name for one in secrets_of(builtin)),
        unset=unset(builtin),
    )


def rows(venue: NativeDescribed) -> list[tuple[str, str]]:
    """What is told of it: (what, in words)."""
    return [
        ("client", f"NautilusTrader's own, {venue.module}"),
        ("market data", "yes" if venue.market_data else "no"),
        ("execution", "yes" if venue.execution else "no: record, paper and backtest only"),
        ("orders", "what the adapter takes; it refuses the rest"),
        ("lacks", "; ".join(venue.lacks)),
        ("options", ", ".join(venue.options) or "none"),
        ("credentials", ", ".join(venue.credentials) or "none"),
        ("not in a config", ", ".join(venue.unset) or "none"),
    ]


def problems(loaded: LoadedConfig, mode: Mode | None) -> Iterator[ConfigProblem]:
    """What a start in this mode would be refused for."""
    for key, told in _natives(loaded):
        lacking = ""
        if mode == "live" and not told.execution:
            lacking = "an adapter with an execution client"
        elif mode in ("live", "paper", "record") and not told.market_data:
            lacking = "an adapter with a market data client"
        if lacking:
            yield loaded.problem(
                ("venues", key, "adapter"),
                "E-CFG-045",
                expected=f"{lacking} to run {mode}",
                came=f'"{told.name}"',
                hint=f"`fairlead venues {told.name}` tells what it has",
            )


def notes(loaded: LoadedConfig, mode: Mode | None) -> Iterator[str]:
    """What a person should know of, and prevents nothing."""
    for key, told in _natives(loaded):
        if mode == "backtest":
            continue
        yield (
            f"[venues.{key}] is NautilusTrader's own adapter and lacks here: "
            f"{'; '.join(told.lacks)} ({PAGE})"
        )
        given = loaded.config.venues[key].credentials
        if mode in (None, "live") and told.execution and told.credentials and not given:
            yield (
                f"[venues.{key}] names no credentials ({', '.join(told.credentials)}): the adapter "
                "looks for its own environment variables"
            )


def _natives(loaded: LoadedConfig) -> Iterator[tuple[str, NativeDescribed]]:
    for key, venue in loaded.config.venues.items():
        if venue.adapter.startswith(PREFIX):
            yield key, described(venue.adapter)
