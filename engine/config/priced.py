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
from fairlead.engine.config.rules import RECORDED, is_priced_in, money_limits, priced_in


def require_priced(loaded: LoadedConfig, currencies: Collection[str]) -> None:
    """`currencies` are those of the run's instruments. Raises ConfigError with each limit."""
    problems = [
        loaded.problem(path, "E-CFG-040", expected=priced_in(currencies), came=came_text(text))
        for path, text in money_limits(msgspec.structs.asdict(loaded.config.risk))
        if text.rpartition(" ")[2] not in currencies
    ]
    if problems:
        raise ConfigError(problems)


def shut_out(loaded: LoadedConfig, is_in: Callable[[str, str], bool]) -> Iterator[str]:
    """A line for each limit that leaves instruments out, all of whose orders it then refuses.

    `is_in` tells of an instrument's id whether it is priced in a currency.
    """
    limits: dict[str, list[str]] = {}
    for path, text in money_limits(msgspec.structs.asdict(loaded.config.risk)):
        limits.setdefault(str(path[1]), []).append(text.rpartition(" ")[2])
    names = [name for key in loaded.traded for name in loaded.config.venues[key].instruments]
    for option, currencies in limits.items():
        out = [name for name in names if not any(is_in(name, one) for one in currencies)]
        if out:
            how = (
                "it takes one currency, so that these need a config of their own"
                if option == "max_order_notional"
                else "add an amount in theirs"
            )
            yield (
                f"risk.{option} is in {', '.join(currencies)}: every order in {', '.join(out)}, "
                f"priced otherwise, is refused; {how}"
            )


def shut_out_by_name(loaded: LoadedConfig) -> list[str]:
    """The same by what the instruments are called; of others than fairlead's own, a run tells."""
    adapters = [loaded.config.venues[key].adapter for key in loaded.traded]
    if any(name == RECORDED or ":" in name for name in adapters):
        return []
    return list(shut_out(loaded, lambda name, one: is_priced_in(name.rpartition(".")[0], one)))


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
