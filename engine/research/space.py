"""Which values a search may set: `--param KEY=SPEC`, and the trials of a grid or at random.

SPEC is `1..10:0.5` (from, to, step; both ends in), `1..10` (any number between; not on a grid), or
values of TOML, `a,b,c`. Numbers are exact decimals.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from fairlead.engine.config.changes import key_path, parsed, written
from fairlead.engine.errors import Exit, FairleadError

DIGITS = 6  # of a number drawn from a range without a step
VALUES_MAX = 100_000  # of one parameter
GRID_MAX = 1_000_000  # trials
_RANGE = re.compile(r"([-+0-9.eE]+?)\.\.([-+0-9.eE]+?)(?::([-+0-9.eE]+))?")
Values = dict[str, Any]  # of one trial, by key as `--set` has it


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """A key and what it may be: `values`, or any number from `low` to `high`."""

    key: str
    name: str  # as it was given
    values: tuple[Any, ...] = ()
    low: Decimal | None = None
    high: Decimal | None = None
    spec: str = ""

    @property
    def is_range(self) -> bool:
        return self.low is not None

    def draw(self, rng: random.Random) -> Any:
        if self.low is None or self.high is None:
            return self.values[rng.randrange(len(self.values))]
        return rounded(self.low + (self.high - self.low) * Decimal(rng.random()))


def rounded(value: Decimal | float) -> Decimal:
    """To DIGITS significant digits, without an exponent."""
    number = Decimal(value)
    places = DIGITS - 1 - number.adjusted() if number else 0
    return Decimal(format(round(number, max(places, 0)).normalize(), "f"))


def param_of(text: str, known: Iterable[str]) -> Param:
    """Of `KEY=SPEC`; `known` are the config's keys, of which the last part is enough if only one
    has it. Raises FairleadError PARAM-FORM, PARAM-KEY."""
    name, equals, spec = (part.strip() for part in text.partition("="))
    if not equals or not name or not spec:
        raise _form(text, "KEY=1..10:0.5, KEY=1..10 or KEY=a,b,c")
    key = _key(name, known)
    if (match := _RANGE.fullmatch(spec)) is None:
        return Param(key=key, name=name, values=_listed(spec), spec=spec)
    try:
        low, high = Decimal(match[1]), Decimal(match[2])
        step = None if match[3] is None else Decimal(match[3])
    except InvalidOperation:
        raise _form(text, "numbers in FROM..TO:STEP") from None
    if not all(one is None or one.is_finite() for one in (low, high, step)) or low > high:
        raise _form(text, "FROM..TO with FROM not above TO")
    if step is None:
        return Param(key=key, name=name, low=low, high=high, spec=spec)
    if step <= 0 or (high - low) / step >= VALUES_MAX:
        raise _form(text, f"a step above 0, and less than {VALUES_MAX:,} values")
    return Param(key=key, name=name, values=tuple(_steps(low, high, step)), spec=spec)


def _steps(low: Decimal, high: Decimal, step: Decimal) -> Iterator[Any]:
    whole = all(one == int(one) for one in (low, step))
    for at in range(int((high - low) / step) + 1):
        value = low + at * step
        yield int(value) if whole else Decimal(format(value.normalize(), "f"))


def _listed(spec: str) -> tuple[Any, ...]:
    """As TOML has them; bare words are text."""
    found = _toml(f"[{spec}]")
    if isinstance(found, list) and found:
        return tuple(found)
    return tuple(_toml(part.strip()) for part in spec.split(","))


def _toml(text: str) -> Any:
    return parsed([f"value={text}"])["value"]


def _key(name: str, known: Iterable[str]) -> str:
    if len(key_path(name)) > 1:
        return name  # whether there is such a key, the config says
    found = sorted({key for key in known if _last(key) == name})
    if len(found) == 1:
        return found[0]
    if not found:
        raise FairleadError(
            "PARAM-KEY",
            f"expected a key of the config or a strategy's parameter, came {name}; "
            "`fairlead config` lists the keys, and strategies[0].params.NAME is a parameter",
            int(Exit.USAGE),
        )
    text = f"{name} is the last part of {len(found)} keys: {', '.join(found)}; name one whole"
    raise FairleadError("PARAM-KEY", text, int(Exit.USAGE))


def _last(key: str) -> str:
    return str(key_path(key)[-1])


def _form(text: str, expected: str) -> FairleadError:
    return FairleadError("PARAM-FORM", f"expected {expected}, came --param {text}", int(Exit.USAGE))


def keys_of(config: Any, params: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every key of a config that has a value, and each strategy's parameters in force."""
    yield from _leaves(config, "")
    for at, one in enumerate(params):
        yield from (f"strategies[{at}].params.{name}" for name in one)


def _leaves(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            part = str(name) if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else f'"{name}"'
            yield from _leaves(one, f"{path}.{part}" if path else part)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        for at, one in enumerate(value):
            yield from _leaves(one, f"{path}[{at}]")
    elif path:
        yield path


def grid(params: Sequence[Param]) -> Iterator[Values]:
    """Each combination, the last parameter changing first.

    Raises FairleadError PARAM-GRID for a range without a step, or too many.
    """
    for one in params:
        if one.is_range:
            raise FairleadError(
                "PARAM-GRID",
                f"a grid needs values or a step: {one.name}={one.spec}:STEP; `--search random` "
                "takes any number between",
                int(Exit.USAGE),
            )
    if (count := math.prod(len(one.values) for one in params)) > GRID_MAX:
        raise FairleadError(
            "PARAM-GRID", f"{count:,} trials are more than {GRID_MAX:,}", int(Exit.USAGE)
        )
    keys = [one.key for one in params]
    for values in itertools.product(*(one.values for one in params)):
        yield dict(zip(keys, values, strict=True))


def drawn(params: Sequence[Param], seed: int, count: int) -> Iterator[Values]:
    """Random trials: each by the seed and its number alone, whatever ran before."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 - a search that can be repeated
        yield {one.key: one.draw(rng) for one in params}


def told(values: Values) -> dict[str, str]:
    """As `--set` takes them."""
    return {key: written(value) for key, value in values.items()}
