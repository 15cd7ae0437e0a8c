"""One trial of a search: a backtest with other values, on data that its process has read before."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from statistics import fmean, stdev
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId, OrderFilled

from fairlead.engine.config.changes import key_path, plain, written
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import KeyPath
from fairlead.engine.config.resolved import resolve
from fairlead.engine.config.strategy_params import (
    Unfit,
    config_class_of,
    convert_param,
    params_of,
)
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.account import Account
from fairlead.engine.observe.assumptions import canonical, digest, versions
from fairlead.engine.observe.assumptions import plain as exact
from fairlead.engine.research.marks import Top, edges_of, last_known
from fairlead.engine.research.numbers import drawdown
from fairlead.engine.research.pool import Job, Outcome, Task
from fairlead.engine.research.space import Values, keys_of
from fairlead.engine.run.assumed import strategy_used
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.prepared import Prepared, Shared


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What all trials of a search rest on. `key` is the hash of it: config, code, data, versions.

    `keys` are those that a parameter can name, `span_ns` is the data's.
    """

    key: str
    name: str
    config: str
    data: str
    code: dict[str, str]
    versions: dict[str, str]
    keys: tuple[str, ...]
    span_ns: tuple[int, int]
    catalog: str
    instruments: tuple[str, ...]


def basis(loaded: LoadedConfig) -> Basis:
    """Raises FairleadError as a backtest of the config does."""
    resolved = resolve(loaded, "backtest").require()
    used = [strategy_used(loaded, one) for one in resolved.strategies]
    with Shared() as shared:
        prepared = shared.prepared(loaded)
        data, span = prepared.data.sha256, prepared.selection.range_ns
        catalog = str(prepared.selection.catalog)
    whole = canonical(loaded.config)
    for venue in whole["venues"].values():
        venue.pop("credentials")
    code = {one.id: one.code for one in used}
    config = digest((whole, {key: canonical(one) for key, one in loaded.options.items()}))
    return Basis(
        key=digest((config, data, code, versions())),
        name=loaded.config.name,
        config=config,
        data=data,
        code=code,
        versions=versions(),
        keys=tuple(keys_of(whole, [one.params for one in used])),
        span_ns=span,
        catalog=catalog,
        instruments=tuple(loaded.config.instruments),
    )


class Forms:
    """Values of a search, each in one form for what it means by its declared type: `"5"`, `5` and
    `5.0` of an exact number are one trial. What does not fit its type stays as it was given."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self._loaded = loaded
        self._params = [
            params_of(config_class_of(one.cls, loaded.config.strategies[one.position]))
            for one in resolve(loaded, "backtest").require().strategies
        ]
        self._known: dict[tuple[str, str], str] = {}

    def __call__(self, values: Values) -> dict[str, str]:
        return {key: self._form(key, value) for key, value in values.items()}

    def _form(self, key: str, value: Any) -> str:
        text = written(value)
        if (key, text) not in self._known:
            number = self._number(key, value)
            self._known[key, text] = text if number is None else exact(number)
        return self._known[key, text]

    def _number(self, key: str, value: Any) -> Decimal | None:
        """None: it is none by its type."""
        try:
            found = self._typed(key, value)
        except (FairleadError, Unfit, LookupError):
            return None
        if isinstance(found, bool) or not isinstance(found, Decimal | int | float):
            return None
        number = Decimal(repr(found)) if isinstance(found, float) else Decimal(found)
        return number if number.is_finite() else None

    def _typed(self, key: str, value: Any) -> Any:
        """As it comes to be. Raises FairleadError, Unfit, LookupError where it does not."""
        path = placed_path(self._loaded, key)
        match path:
            case ("strategies", int(at), "params", str(name)):
                return convert_param(plain({key: value})[key], self._params[at][name])
        found: Any = load(self._loaded.path, {**self._loaded.changes, key: value}).config
        for part in path:
            found = _part(found, part)
        return found


def _part(value: Any, name: Any) -> Any:
    """Of a table, a list, or a part of the config. Raises LookupError."""
    if isinstance(value, msgspec.Struct):
        if name in value.__struct_fields__:
            return getattr(value, name)
        raise LookupError(str(name))
    try:
        return value[name]
    except TypeError:
        raise LookupError(str(name)) from None


def placed_path(loaded: LoadedConfig, key: str) -> KeyPath:
    """With the position of a strategy in place of its id."""
    path = key_path(key)
    if len(path) > 1 and path[0] == "strategies" and isinstance(path[1], str):
        ids = [one.id for one in loaded.config.strategies]
        if path[1] in ids:
            return ("strategies", ids.index(path[1]), *path[2:])
    return path


class Trials:
    """Runs trials of a job, one after another, on data that is read once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._shared = Shared()

    def __call__(self, task: Task) -> Outcome:
        """Whatever happens is an outcome."""
        began = time.perf_counter()
        try:
            found = self._tried(task)
        except FairleadError as error:
            found = Outcome(error=f"{error.code}: {error.message}", exit_code=error.exit_code)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            found = Outcome(error=text, exit_code=int(Exit.FAILED))
        return msgspec.structs.replace(found, wall_secs=time.perf_counter() - began)

    def close(self) -> None:
        self._shared.close()

    def _tried(self, task: Task) -> Outcome:
        loaded = load(self._job.path, {**self._job.changes, **task.changes})
        data = self._shared.prepared(loaded)
        result = run_backtest(loaded, marks=data.marks is None, shared=self._shared)
        try:
            return outcome(result, data)
        finally:
            result.dispose()


def outcome(result: RunResult, data: Prepared) -> Outcome:
    """Of a run that is not closed yet. The prices of one that ran to its end are kept in `data`."""
    summary = result.summary
    is_whole = not (result.node.is_cut or result.ended)
    marks = data.marks
    if marks is None:
        marks = result.marks
        marks.finish(summary.end_ns)
        if is_whole:
            data.marks = marks
    tops = marks.by_parts()
    if not is_whole:
        tops = _until(summary.end_ns, tops, result.cache)
    # Of one that its strategy ended, all of the data's: it has been tried over that time.
    whole = data.selection.range_ns
    span = (summary.start_ns, summary.end_ns) if result.node.is_cut else whole
    pnl = slices(result.cache, result.loaded.config.instruments, tops, span)
    assumed = summary.assumptions
    assert assumed is not None, "a backtest has assumptions"
    figures: dict[str, Any] = {
        "orders": summary.orders,
        "fills": summary.fills,
        "maker_fills": summary.maker_fills,
        "fill_ratio": summary.fill_ratio,
        "denials": sum(summary.denials.values()),
        "rejections": summary.rejections,
    }
    none = dict.fromkeys(pnl, Decimal(0))
    for name, amounts in (("net", summary.net or none), ("fees", summary.fees or none)):
        figures |= {f"{name}.{code}": format(value, "f") for code, value in amounts.items()}
    turnover: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in summary.instruments:
        turnover[one.quote] += one.turnover
    figures |= {f"turnover.{code}": format(value, "f") for code, value in turnover.items()}
    for code, values in pnl.items():
        figures[f"pnl_drawdown.{code}"] = drawdown([0.0, *values])[0]
        figures[f"ratio.{code}"] = ratio(values)
    figures |= {
        "ended": result.ended or None,
        "orders_digest": summary.orders_digest,
        "inputs": assumed.inputs,
        "data": None if assumed.data is None else assumed.data.sha256,
    }
    return Outcome(
        error=summary.outcome if summary.exit_code else None,
        exit_code=summary.exit_code,
        figures=figures,
        pnl=pnl,
        span_ns=span,
        run_secs=summary.wall_secs or 0.0,
    )


def ratio(pnl: Sequence[float]) -> float | None:
    """Mean / deviation of what each part of the time brought; None where nothing moved."""
    moves = [after - before for before, after in zip([0.0, *pnl], pnl, strict=False)]
    deviation = stdev(moves) if len(moves) > 1 else 0.0
    return fmean(moves) / deviation if deviation else None


def _until(end_ns: int, tops: Mapping[str, Sequence[Top]], cache: Any) -> dict[str, list[Top]]:
    """Without those of the time after a run's end: what is held then is worth so from there on."""
    found = {}
    for name, of in tops.items():
        found[name] = [top for top in of if top.ts < end_ns]
        if (known := last_known(cache, InstrumentId.from_str(name))) is not None:
            found[name].append(Top(end_ns, *known))
    return found


def slices(
    cache: Any,
    instruments: Sequence[str],
    tops: Mapping[str, Sequence[Top]],
    span_ns: tuple[int, int],
) -> dict[str, list[float]]:
    """Profit and loss after each of SLICES equal parts of the time, by quote currency, at the mids
    that were known then (`tops`, by instrument), after fees."""
    ids = {name: cache.instrument(InstrumentId.from_str(name)) for name in instruments}
    accounts = {name: Account(known) for name, known in ids.items() if known is not None}
    fills = _fills(cache)
    times = {name: [top.ts for top in of] for name, of in tops.items()}
    edges = edges_of(span_ns)
    found: dict[str, list[float]] = {one.quote: [] for one in accounts.values()}
    booked = 0
    for part, edge in enumerate(edges, 1):
        while booked < len(fills) and (part == len(edges) or fills[booked].ts_event <= edge):
            fill = fills[booked]
            accounts[str(fill.instrument_id)].apply(fill)
            booked += 1
        for quote, value in _worth(accounts, times, tops, edge).items():
            found[quote].append(float(value))
    return found


def _fills(cache: Any) -> list[OrderFilled]:
    """In the order in which a summary books them."""
    placed = []
    for order in cache.orders():
        for index, event in enumerate(order.events()):
            if isinstance(event, OrderFilled):
                place = (event.ts_event, order.ts_init, str(order.client_order_id), index)
                placed.append((place, event))
    return [event for _, event in sorted(placed, key=lambda one: one[0])]


def _worth(
    accounts: Mapping[str, Account],
    times: Mapping[str, Sequence[int]],
    tops: Mapping[str, Sequence[Top]],
    edge: int,
) -> dict[str, Decimal]:
    total: defaultdict[str, Decimal] = defaultdict(Decimal)
    for name, account in accounts.items():
        at = bisect_right(times.get(name, ()), edge)
        mid = tops[name][at - 1].mid if at else None
        total[account.quote] += account.summary(mid).net
    return total
