"""Whether the money of a config is in currencies of its instruments.

A limit in another currency would deny every order, once the run is up; a balance is never used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigError, came_text
from fairlead.engine.config.rules import RECORDED, money_limits, priced_in


def require_priced(loaded: LoadedConfig, currencies: Collection[str]) -> None:
    """`currencies` are those of the run's instruments. Raises ConfigError with each limit."""
    problems = [
        loaded.problem(path, "E-CFG-040", expected=priced_in(currencies), came=came_text(text))
        for path, text in money_limits(msgspec.structs.asdict(loaded.config.risk))
        if text.rpartition(" ")[2] not in currencies
    ]
    if problems:
        raise ConfigError(problems)


def idle_balances(loaded: LoadedConfig, has: Callable[[str], bool]) -> Iterator[str]:
    """A line for each simulated balance in a currency that is of no use; `has` says what is."""
    for position, text in enumerate(loaded.config.simulated.balances):
        currency = text.rpartition(" ")[2]
        if not has(currency):
            yield (
                f"simulated.balances[{position}], {text}, is of no use: no instrument of the run "
                f"is bought, sold or settled in {currency}"
            )


def currencies_of(instruments: Iterable[Any]) -> set[str]:
    """The codes that NautilusTrader's `instruments` are bought, sold and settled in."""
    names = ("base_currency", "quote_currency", "settlement_currency")
    found = [getattr(one, name, None) for one in instruments for name in names]
    return {one.code for one in found if one is not None}


def idle_by_name(loaded: LoadedConfig, *, stated: bool) -> list[str]:
    """As `idle_balances`, by what the instruments are called; `stated`: only if the file names any.

    What a recorded venue's instruments are, its catalog says.
    """
    venues = loaded.config.venues.values()
    if any(venue.adapter == RECORDED for venue in venues):
        return []
    if stated and loaded.line_of(("simulated", "balances")) is None:
        return []
    symbols = [name.rpartition(".")[0].upper() for one in venues for name in one.instruments]
    return list(idle_balances(loaded, lambda code: any(_has(one, code) for one in symbols)))


def _has(symbol: str, currency: str) -> bool:
    """`BTC_USDT` says it; of another form it may be any that a part begins or ends with."""
    if "_" in symbol:
        return currency in symbol.split("_")
    parts = re.split(r"[^A-Z0-9]", symbol)
    return any(part.startswith(currency) or part.endswith(currency) for part in parts)
