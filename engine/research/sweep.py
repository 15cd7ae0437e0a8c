"""A search from its first trial to its table: what is known already is not run again.

Trials are of a study (`trials.Registry`). One is known by its values and by what it rests on
(config, code, data, versions): the same asked for by two searches is one trial.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder
from fairlead.engine.research.columns import Row
from fairlead.engine.research.extra import has, need
from fairlead.engine.research.pool import INTERRUPTED, Outcome, Pool, Task
from fairlead.engine.research.screening import Screening
from fairlead.engine.research.search import Listed, Plan, Search, search_of, tasks_of
from fairlead.engine.research.space import Values, told
from fairlead.engine.research.trials import Registry, key_of

SWEEP_FILE, ROWS_FILE, PARQUET_FILE = "sweep.json", "trials.json", "trials.parquet"
SCREEN_FILE = "screened.json"  # figures of no trial
FIRST = ("trial", "value", "error", "exit_code")  # columns
TEXTS = frozenset({"error", "ended", "orders_digest", "inputs", "data"})
ID_CHARS = 10
AMOUNTS = frozenset({"net", "fees", "turnover"})  # of which a trial without any says nothing
_OUTCOME = tuple(Outcome.__struct_fields__)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One of a search that is done. `value` is the metric's, None where it has none."""

    number: int
    values: dict[str, str]  # by key, as `--set` takes them
    given: dict[str, Any]  # the same as they are
    value: float | None
    outcome: Outcome


class Done(msgspec.Struct, frozen=True):
    """How far a search is."""

    done: int
    total: int
    ran: int  # of them in this process
    failed: int


Watch = Callable[[Done], None]
Forms = Callable[[Values], dict[str, str]]


class Sweep:
    """`basis` is the hash of what all trials rest on, `about` what is to be told of it.

    `fixed` are values of every trial, beside its own: a span of the data. `forms` gives values as
    they are to be compared: two trials of equal ones are one.
    """

    def __init__(
        self,
        registry: Registry,
        plan: Plan,
        basis: str,
        about: Mapping[str, Any],
        fixed: Values | None = None,
        forms: Forms = told,
    ) -> None:
        self._forms = forms
        self._registry, self._plan, self._basis = registry, plan, basis
        self._about, self._fixed = dict(about), dict(fixed or {})
        if self._fixed:
            self._about["fixed"] = told(self._fixed)
        self.id = key_of(basis, plan.told(), told(self._fixed))[:ID_CHARS]
        self.folder = registry.folder / f"sweep-{self.id}"
        self._done: dict[int, Trial] = {}
        self._ran = 0

    def screened(self, found: Screening) -> None:
        """Every variant that a screen has looked at counts as tried, for good; none is a trial."""
        if self._registry.find("screen", self.id) is None:
            tasks, looked = tasks_of(self._plan), [one for one in found.variants if not one.error]
            keys = [self._key(tasks[one.number]) for one in looked]
            ratios = [one.ratio for one in looked]
            body = {"basis": self._basis, "sweep": self.id, "span_ns": found.span_ns}
            told = {"currency": found.currency, "variants": keys, "screened_ratios": ratios}
            self._registry.append("screen", self.id, {**body, **told})

    def run(
        self,
        pool: Pool,
        watch: Watch | None = None,
        *,
        again: bool = False,
        chosen: Sequence[Task] | None = None,
    ) -> list[Trial]:
        """All trials, by number. `again`: those that failed are tried once more. `chosen`: those
        alone that a screen chose.

        Raises KeyboardInterrupt where a trial was cut short by a signal; what was done is kept.
        """
        make_folder(self.folder)
        if self._registry.find("sweep", self.id) is None:
            self._registry.append("sweep", self.id, {**self._about, **self._plan.told()})
        search = Listed(chosen) if chosen is not None else search_of(self._plan, self.folder)
        for tasks in search.rounds():
            self._round(tasks, search, pool, watch, again)
            search.tell([(task, self._done[task.number].value) for task in tasks])
        return [self._done[number] for number in sorted(self._done)]

    def _round(
        self, tasks: Sequence[Task], search: Search, pool: Pool, watch: Watch | None, again: bool
    ) -> None:
        keys = {task.number: self._key(task) for task in tasks}
        waiting: dict[str, list[Task]] = {}  # one of equal trials is run
        for task in tasks:
            known = self._registry.find("trial", keys[task.number])
            if known is None or (again and known.body["error"] is not None):
                waiting.setdefault(keys[task.number], []).append(task)
            else:
                self._take(task, _outcome(known.body))
        self._tell(search, watch)
        given = {same[0].number: same[0] for same in waiting.values()}
        asked = [Task(one.number, {**one.changes, **self._fixed}) for one in given.values()]
        for ran, outcome in pool.run(asked):
            first = given[ran.number]
            if outcome.exit_code == INTERRUPTED:
                raise KeyboardInterrupt
            self._ran += 1
            self._registry.append("trial", keys[first.number], self._body(first, outcome))
            for task in waiting[keys[first.number]]:
                self._take(task, outcome)
            self._tell(search, watch)

    def _key(self, task: Task) -> str:
        return key_of(self._basis, self._forms({**task.changes, **self._fixed}))

    def _body(self, task: Task, outcome: Outcome) -> dict[str, Any]:
        return {
            "basis": self._basis,
            "sweep": self.id,
            "values": told({**task.changes, **self._fixed}),
            **{name: getattr(outcome, name) for name in _OUTCOME},
        }

    def _take(self, task: Task, outcome: Outcome) -> None:
        value = None if outcome.error else metric(outcome.figures, self._plan.metric)
        self._done[task.number] = Trial(
            number=task.number,
            values=told(task.changes),
            given=dict(task.changes),
            value=value,
            outcome=outcome,
        )

    def _tell(self, search: Search, watch: Watch | None) -> None:
        if watch is not None:
            failed = sum(one.outcome.error is not None for one in self._done.values())
            watch(Done(len(self._done), search.total, self._ran, failed))

    def write(
        self,
        trials: Sequence[Trial],
        told_of: Mapping[str, Any],
        out: Path | None,
        screen: Mapping[str, Any] | None = None,
    ) -> Path:
        """Tables and what is said of them, into a folder; what a screen said has a file of its own.

        Raises FairleadError OUT-UNWRITABLE.
        """
        folder = self.folder if out is None else out
        rows = list(rows_of(trials, self._plan))
        about = {"id": self.id, **self._about, **self._plan.told(), **told_of}
        files = {SWEEP_FILE: _json(about), ROWS_FILE: _json(rows)}
        if screen is not None:
            files[SCREEN_FILE] = _json(screen)
        if has("pyarrow"):
            files[PARQUET_FILE] = parquet(rows)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / SCREEN_FILE).unlink(missing_ok=True)  # of another search
            for name, data in files.items():
                (folder / name).write_bytes(data)
        except OSError as error:
            text = f"the trials can't be written to {folder} ({error.strerror})"
            raise FairleadError("OUT-UNWRITABLE", text, int(Exit.FAILED)) from error
        return folder


def _outcome(body: Mapping[str, Any]) -> Outcome:
    found = msgspec.convert({name: body[name] for name in _OUTCOME}, Outcome)
    return msgspec.structs.replace(
        found, figures={_named(name): value for name, value in found.figures.items()}
    )


def _named(figure: str) -> str:
    """As it is called now: earlier trials had what falls of the PnL by the account's name."""
    return f"pnl_{figure}" if figure.startswith("drawdown.") else figure


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def metric(figures: Mapping[str, Any], name: str) -> float | None:
    """A figure by its name; `net` where there is one currency, else `net.USDT`.

    Raises FairleadError METRIC for one that there is not.
    """
    found = [key for key in figures if key == name or key.startswith(f"{name}.")]
    numbers = [key for key in figures if key not in TEXTS]
    if len(found) != 1 or found[0] in TEXTS:
        raise FairleadError(
            "METRIC", f"expected a --metric of {', '.join(numbers)}; came {name}", int(Exit.USAGE)
        )
    value = figures[found[0]]
    return None if value is None else float(value)


def best_first(trials: Iterable[Trial], plan: Plan) -> list[Trial]:
    """Those that have a value."""
    valued = [one for one in trials if one.value is not None]
    sign = 1.0 if plan.minimize else -1.0
    return sorted(valued, key=lambda one: (sign * (one.value or 0.0), one.number))


def rows_of(trials: Iterable[Trial], plan: Plan) -> Iterator[Row]:
    """A row a trial, in order, with the same columns: equal searches give equal rows."""
    trials = list(trials)
    names = list(dict.fromkeys(name for one in trials for name in one.outcome.figures))
    for one in trials:
        yield {
            "trial": one.number,
            **{param.name: one.values[param.key] for param in plan.params},
            "value": one.value,
            "error": one.outcome.error,
            "exit_code": one.outcome.exit_code,
            **{name: one.outcome.figures.get(name, _unsaid(one, name)) for name in sorted(names)},
        }


def _unsaid(trial: Trial, name: str) -> str | None:
    """An amount of which a trial says nothing: it had none of it, unless it failed."""
    is_amount = name.partition(".")[0] in AMOUNTS
    return "0" if is_amount and trial.outcome.error is None else None


def parquet(rows: Sequence[Row]) -> bytes:
    """Numbers as float64 or int64, the rest as text. Raises FairleadError RESEARCH-EXTRA."""
    pa, pq = need("pyarrow", "a table"), need("pyarrow.parquet", "Parquet")
    names = list(rows[0]) if rows else []
    columns = [_column(pa, name, [row[name] for row in rows]) for name in names]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, names=names), out, compression="zstd")
    return out.getvalue()


def _column(pa: Any, name: str, values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    if name not in TEXTS and known:
        if all(isinstance(value, int) and not isinstance(value, bool) for value in known):
            return pa.array(values, type=pa.int64())
        if all(_is_number(value) for value in known):
            numbers = [None if value is None else float(value) for value in values]
            return pa.array(numbers, type=pa.float64())
    return pa.array([None if one is None else str(one) for one in values], type=pa.string())


def _is_number(value: Any) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False
