"""What a result rests on: latency, queue, consumption, fees, marks, data, config, strategies.

A number without these is no statement. They stand whole in `--json` and in `summary.json`, and in
short in the table. The hashes say whether two runs had the same inputs:

- `config`: everything that the config file says, defaults included, credentials left out. Comments,
  the order of keys, and how a number is written (`5`, `"5.0"`) do not change it.
- `data`: see `fairlead.engine.run.data_used`.
- `strategies[].code`: the source files of the strategy's class and of its bases that are neither
  NautilusTrader's nor the engine's. Other modules that they import are not covered.
- `inputs`: all of these, with the fees, the parameters and the versions. Two backtests with equal
  `inputs` give equal results, and an `orders.jsonl` that is equal byte for byte, also
  where several strategies trade one instrument (engine/guard/turns.py).
"""

from __future__ import annotations

import enum
import hashlib
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from nautilus_trader.model import LiquiditySide, OrderSide

from fairlead.engine.secrets import REDACTED, redact

SHOWN_CHARS = 12  # of a hash, in the table
PARAMS_CHARS = 110  # of a strategy's parameters, in the table
_MONEY = re.compile(r"(\d+(?:\.\d+)?) ([A-Z0-9]+)")
_SECRET_NAME = re.compile(r"secret|passw|passphrase|token|api_?key|private", re.IGNORECASE)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class FeeRates(msgspec.Struct, frozen=True, kw_only=True):
    """What one instrument's fills are charged, as fractions of their value.

    `source` is "config", "none" (the config says so), "recorded" (the catalog's instrument) or
    "venue" (a connected venue's instrument). `buy` and `sell` win over `maker` and `taker`.
    """

    maker: Decimal
    taker: Decimal
    buy: Decimal | None = None
    sell: Decimal | None = None
    buy_in_base: bool = False
    source: str = ""

    def rate(self, side: OrderSide, liquidity: LiquiditySide) -> Decimal:
        per_side = self.buy if side == OrderSide.BUY else self.sell
        if per_side is not None:
            return per_side
        return self.maker if liquidity == LiquiditySide.MAKER else self.taker

    @property
    def is_plain(self) -> bool:
        return self.buy is None and self.sell is None and not self.buy_in_base

    def __str__(self) -> str:
        if self.source == "none":
            return 'none (fees = "none")'
        if self.buy is not None and self.sell is not None:
            rates = f"{plain(self.buy)} buy, {plain(self.sell)} sell"
        else:
            rates = f"{plain(self.maker)} maker, {plain(self.taker)} taker"
        return f"{rates} ({self.source}{', a buyer pays in base' if self.buy_in_base else ''})"


class Execution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the simulated exchange executes."""

    latency_ms: Decimal
    queue_position: bool
    liquidity_consumption: bool
    latency: str = ""  # where commands differ: how; `latency_ms` is the median then
    latency_sha256: str | None = None  # of the latencies that a run measured

    @property
    def latency_told(self) -> str:
        return self.latency or f"{plain(self.latency_ms)} ms"

    def __str__(self) -> str:
        queue, used = (
            "on" if on else "off" for on in (self.queue_position, self.liquidity_consumption)
        )
        return f"latency {self.latency_told}, queue position {queue}, liquidity consumption {used}"


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The recording that was read. Times are UNIX nanoseconds, None where the config has none."""

    folder: str
    sha256: str
    start_ns: int | None
    end_ns: int | None
    files: int
    bytes: int


class StrategyUsed(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy. `params` are in force, as text; `given` names those that the config sets."""

    id: str
    path: str
    params: dict[str, Any]
    given: tuple[str, ...]
    code: str

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {told(self.params[name])}" for name in self.given)
        return listed if len(listed) <= PARAMS_CHARS else f"{listed[:PARAMS_CHARS]}..."


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `execution` is None in a live run, `data` where nothing recorded was read.

    `marks` says what values the open position of each instrument.
    """

    execution: Execution | None
    fees: dict[str, FeeRates]
    marks: dict[str, str]
    data: Data | None
    config: str
    strategies: list[StrategyUsed]
    versions: dict[str, str]
    inputs: str


def plain(number: Decimal) -> str:
    """Without exponent and trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def told(value: Any) -> str:
    """A parameter for people."""
    if isinstance(value, list):
        return f"[{', '.join(map(told, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def canonical(value: Any) -> Any:
    """Plain JSON values, one form for each meaning: exact numbers as text, sets in order."""
    if isinstance(value, msgspec.Struct):
        return {name: canonical(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((canonical(one) for one in value), key=str)
    if isinstance(value, (list, tuple)):
        return [canonical(one) for one in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and (money := _MONEY.fullmatch(value)):
        return f"{plain(Decimal(money[1]))} {money[2]}"
    return _ADDRESS.sub("", str(value))  # where an object lies in memory says nothing


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical form."""
    text = msgspec.json.encode(canonical(value), order="sorted")
    return hashlib.sha256(text).hexdigest()


def config_hash(config: Any, options: Mapping[str, Any], strategies: Iterable[StrategyUsed]) -> str:
    """Of the effective config, as `config_told` tells it."""
    return hashlib.sha256(config_told(config, options, strategies)).hexdigest()


def config_told(
    config: Any, options: Mapping[str, Any], strategies: Iterable[StrategyUsed]
) -> bytes:
    """The effective config as JSON: adapters' options and parameters with their defaults.

    Credentials are no part of it, nor what is shown of a run.
    """
    whole = canonical(config)
    whole.pop("observe", None)  # what is shown decides nothing
    for name, venue in whole["venues"].items():
        venue.pop("credentials")
        venue["options"] = canonical(options.get(name, {}))
    for strategy, used in zip(whole["strategies"], strategies, strict=True):
        strategy["params"] = used.params
    return msgspec.json.encode(canonical(whole), order="sorted")


def params_told(params: Mapping[str, Any]) -> dict[str, Any]:
    """A strategy's parameters as they may be shown: what is named like a secret is none to show."""
    return {
        name: REDACTED if _SECRET_NAME.search(name) else _shown(canonical(value))
        for name, value in params.items()
    }


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    return redact(value) if isinstance(value, str) else value


@cache
def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    return {
        "fairlead": version("fairlead"),
        "nautilus-trader": version("nautilus-trader"),
        "python": platform.python_version(),
    }


def rows(assumed: Assumptions, *, brief: bool = False) -> Iterator[tuple[str, str]]:
    """Label and text for the table; `brief`: the least that tells two runs apart."""
    where = "at the venue, at its fees"
    yield "execution", where if assumed.execution is None else str(assumed.execution)
    if brief:
        yield "inputs", f"config {assumed.config[:SHOWN_CHARS]}"
        return
    yield from (("fee rates", text) for text in _alike(assumed.fees))
    yield from (("marks", text) for text in _alike(assumed.marks))
    for one in assumed.strategies:
        if text := str(one):  # whole in `--json`
            yield "parameters", f"{one.id}: {text}"
    parts = [f"config {assumed.config[:SHOWN_CHARS]}"]
    if assumed.data is not None:
        parts.insert(0, f"data {assumed.data.sha256[:SHOWN_CHARS]}")
    yield "inputs", f"{assumed.inputs[:SHOWN_CHARS]} ({', '.join(parts)})"
    named = (f"{name} {number}" for name, number in assumed.versions.items())
    yield "versions", ", ".join(named)


def _alike(of: Mapping[str, Any]) -> Iterator[str]:
    """One line for all of which the same is to be said; those of several venues by full id."""
    groups: dict[str, list[str]] = {}
    venues = {name.rpartition(".")[2] for name in of}
    for name, what in of.items():
        shown = name if len(venues) > 1 else name.rpartition(".")[0]
        groups.setdefault(str(what), []).append(shown)
    for text, names in groups.items():
        yield text if len(groups) == 1 else f"{', '.join(names)}: {text}"
