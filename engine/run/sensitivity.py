"""What a result hangs on: the same config under other assumptions, one at a time.

Half and double the latency, no queue, fees up by half, both and each side's alone; and, where the
latency is drawn, other draws of it. Each is a run of its own over data that is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.engine.config.latency import FIXED, parsed
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.model import NO_FEES
from fairlead.engine.errors import FairleadError
from fairlead.engine.observe.assumptions import FeeRates
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.prepared import Shared

BASE = "as configured"
SHARES = (5, 25, 50, 75, 95)  # of a hundred
HALF, DOUBLE, FEES = Decimal("0.5"), Decimal(2), Decimal("1.5")
MAKER, TAKER = "maker", "taker"
Keep = Callable[[str, RunResult], str]
Progress = Callable[[str], None]
Changes = dict[str, Any]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` make it of the config. `why` says why it can't be made."""

    name: str
    changes: Changes = {}
    why: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of one case. `net` and `fees` are by currency, `run` is the folder that is kept of it,
    `ended` says when and why its strategy ended it before its data was over."""

    name: str
    changes: dict[str, str] = {}
    net: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}
    orders: int = 0
    fills: int = 0
    run: str = ""
    ended: str = ""
    why: str = ""


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """`cases` begin with the config as it is. `draws` are the nets of other draws of the latency,
    by currency; `draws_why` says why there are none."""

    cases: tuple[Outcome, ...]
    draws: dict[str, list[Decimal]] = {}
    draws_why: str = ""

    def spreads(self) -> dict[str, dict[str, Decimal]]:
        """Quantiles of the draws, by currency: each is one of them."""
        found = {}
        for code, nets in self.draws.items():
            ordered = sorted(nets)
            found[code] = {
                f"p{share}": ordered[min(share * len(ordered) // 100, len(ordered) - 1)]
                for share in SHARES
            }
        return found

    def hangs_on(self) -> Iterator[str]:
        """In words, by currency: the case that moves the net most, and those that turn it."""
        base = self.cases[0]
        others = [one for one in self.cases[1:] if not one.why]
        for code, net in base.net.items():
            moved = [(one.net.get(code, Decimal(0)) - net, one) for one in others]
            if not moved:
                continue
            by, most = max(moved, key=lambda pair: abs(pair[0]))
            turned = [one.name for by_one, one in moved if (by_one + net > 0) != (net > 0)]
            words = f"{code}: most on {most.name} ({by:+f})" if by else f"{code}: on none of these"
            yield f"{words}; its sign on {', '.join(turned)}" if turned else words


def latency_times(loaded: LoadedConfig, by: Decimal) -> Changes:
    """The change that makes every command take `by` as long."""
    simulated = loaded.config.simulated
    spec = parsed(simulated.latency)
    if spec.kind == FIXED:
        return {"simulated.latency_ms": simulated.latency_ms * by}
    return {"simulated.latency": spec.scaled(by)}


def fees_times(
    loaded: LoadedConfig,
    fees: Mapping[str, FeeRates],
    by: Decimal,
    sides: Collection[str] = (MAKER, TAKER),
) -> Changes:
    """The change that makes the fees of `sides` `by` as high, and a rebate as much lower.

    `fees` are the rates in force by instrument. Raises ValueError: why there is no such.
    """
    changes: Changes = {}
    moved = False
    for key, venue in loaded.config.venues.items():
        if venue.fees == NO_FEES:
            continue
        rates = {fees[name] for name in venue.instruments if name in fees}
        if len({(one.maker, one.taker, one.buy, one.sell) for one in rates}) != 1:
            raise ValueError(f"the instruments of {key} have different fees")
        (one, *_) = rates
        if one.buy is not None or one.sell is not None:
            raise ValueError(f"{key} charges by side, which a config can't say")
        for name, rate in ((MAKER, one.maker), (TAKER, one.taker)):
            dear = rate * by if rate > 0 else rate / by
            changes[f"venues.{key}.fees.{name}"] = dear if name in sides else rate
            moved |= name in sides and rate != 0
    if not changes:
        raise ValueError('every venue says fees = "none"')
    if not moved:
        raise ValueError(f"no venue charges a fee as {' or '.join(sides)}")
    return changes


def cases(loaded: LoadedConfig, fees: Mapping[str, FeeRates]) -> Iterator[Case]:
    """All but the config as it is."""
    yield Case(name="half the latency", changes=latency_times(loaded, HALF))
    yield Case(name="double latency", changes=latency_times(loaded, DOUBLE))
    if loaded.config.simulated.queue_position:
        yield Case(name="without queue", changes={"simulated.queue_position": False})
    else:
        yield Case(name="without queue", why="the config has none")
    for name, sides in (("", (MAKER, TAKER)), (f"{MAKER} ", (MAKER,)), (f"{TAKER} ", (TAKER,))):
        words = f"{name}fees up by half"
        try:
            yield Case(name=words, changes=fees_times(loaded, fees, FEES, sides))
        except ValueError as error:
            yield Case(name=words, why=str(error))


def sensitivity(
    loaded: LoadedConfig, keep: Keep, told: Progress = lambda _: None, *, draws: int = 0
) -> Sensitivity:
    """Every case, each kept by `keep`. Raises FairleadError as a backtest does."""
    with Shared() as shared:
        told(BASE)
        base, summary = _run(loaded, BASE, {}, keep, shared)
        assert summary.assumptions is not None, "a backtest has them"
        found = [base]
        for case in cases(loaded, summary.assumptions.fees):
            told(case.name)
            if case.why:
                found.append(Outcome(name=case.name, why=case.why))
                continue
            found.append(_run(loaded, case.name, case.changes, keep, shared)[0])
        nets, why = _draws(loaded, draws, shared, told)
    return Sensitivity(cases=tuple(found), draws=nets, draws_why=why)


def _run(
    loaded: LoadedConfig, name: str, changes: Changes, keep: Keep, shared: Shared
) -> tuple[Outcome, RunSummary]:
    changed = load(loaded.path, {**loaded.changes, **changes})
    result = run_backtest(changed, shared=shared)
    try:
        summary = result.summary
        folder = keep(name, result)
    finally:
        result.dispose()
    if summary.exit_code:
        raise FairleadError(
            "SENSITIVITY-ENDED",
            f"{name}: the run ended before its data, {summary.outcome}; what it hangs on can't be "
            "said",
            summary.exit_code,
        )
    outcome = Outcome(
        name=name,
        changes={key: str(value) for key, value in changes.items()},
        net=dict(summary.net),
        fees=dict(summary.fees),
        orders=summary.orders,
        fills=summary.fills,
        run=folder,
        ended=result.ended,
    )
    return outcome, summary


def _draws(
    loaded: LoadedConfig, count: int, shared: Shared, told: Progress
) -> tuple[dict[str, list[Decimal]], str]:
    """Nets with seeds 1 to `count`."""
    if not count:
        return {}, ""
    if parsed(loaded.config.simulated.latency).kind == FIXED:
        return {}, "simulated.latency is fixed: there is nothing to draw"
    nets: dict[str, list[Decimal]] = {}
    for seed in range(1, count + 1):
        told(f"draw {seed} of {count}")
        changed = load(loaded.path, {**loaded.changes, "run.seed": seed})
        result = run_backtest(changed, shared=shared, marks=False)
        try:
            for code, net in result.summary.net.items():
                nets.setdefault(code, []).append(net)
        finally:
            result.dispose()
    return nets, ""


def failing(outcomes: Sequence[Outcome]) -> list[str]:
    """Which of them do not bring a profit in every currency, in words."""
    return [
        f"{one.name}: net {net:f} {code}"
        for one in outcomes
        for code, net in one.net.items()
        if net <= 0
    ]
