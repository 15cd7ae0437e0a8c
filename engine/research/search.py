"""Which trials come next: a grid, at random, or by one of Optuna's samplers.

Trials come in rounds. A round is drawn before any of it is run, and does not hang on how many are
run at once: so the same search gives the same trials whatever ran them, and after it was killed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.extra import need
from fairlead.engine.research.pool import Task
from fairlead.engine.research.space import Param, Values, drawn, grid, rounded

GRID, RANDOM = "grid", "random"
# Optuna's, by name; each takes a seed
SAMPLERS = {"tpe": "TPESampler", "nsga2": "NSGAIISampler"}
LISTED = (GRID, RANDOM)  # whose trials hang on no other's result
KINDS = (*LISTED, *SAMPLERS)
ROUND = 8  # trials that an Optuna sampler gives before it hears of any of them
OPTUNA_FILE = "optuna.log"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A search as it was asked for. `trials` is how many; None: the whole grid. `screen` is how
    many of them run, the best of a screen; None: all, and there is none."""

    params: tuple[Param, ...]
    kind: str = GRID
    trials: int | None = None
    seed: int = 1
    metric: str = "net"
    minimize: bool = False
    screen: int | None = None

    def told(self) -> dict[str, Any]:
        """What makes it this search."""
        screen = {} if self.screen is None else {"screen": self.screen}
        return {
            "params": {one.key: one.spec for one in self.params},
            "search": self.kind,
            "trials": self.trials,
            "seed": None if self.kind == GRID else self.seed,
            "metric": self.metric,
            "minimize": self.minimize,
            **screen,
        }


class Search(Protocol):
    @property
    def total(self) -> int: ...
    def rounds(self) -> Iterator[Sequence[Task]]: ...
    def tell(self, results: Sequence[tuple[Task, float | None]], /) -> None:
        """Of the round that was drawn last, in its order; None: it failed."""


def search_of(plan: Plan, folder: Path) -> Search:
    """`folder` is the search's own. Raises FairleadError PARAM-GRID, SEARCH-TRIALS."""
    if plan.kind in LISTED:
        return Listed(tasks_of(plan))
    return _Optuna(plan, _count(plan), folder)


def tasks_of(plan: Plan) -> list[Task]:
    """Of a kind of LISTED, all. Raises FairleadError PARAM-GRID, SEARCH-TRIALS."""
    if plan.kind == GRID:
        values = list(grid(plan.params))[: plan.trials]
    else:
        values = list(drawn(plan.params, plan.seed, _count(plan)))
    return [Task(number, one) for number, one in enumerate(values)]


def _count(plan: Plan) -> int:
    if plan.trials is None:
        text = f"--search {plan.kind} needs --trials N"
        raise FairleadError("SEARCH-TRIALS", text, int(Exit.USAGE))
    return plan.trials


class Listed:
    """All are known before the first."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks

    @property
    def total(self) -> int:
        return len(self._tasks)

    def rounds(self) -> Iterator[Sequence[Task]]:
        yield self._tasks

    def tell(self, results: Sequence[tuple[Task, float | None]], /) -> None:
        """It hangs on none."""


class _Optuna:
    """Optuna's own store keeps what it was told; each draw has a seed of its own, so that a search
    that was killed goes on as it would have."""

    def __init__(self, plan: Plan, total: int, folder: Path) -> None:
        self._optuna = need("optuna", f"--search {plan.kind}")
        self._plan, self.total = plan, total
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        storages = self._optuna.storages
        backend = storages.journal.JournalFileBackend(str(folder / OPTUNA_FILE))
        self._study = self._optuna.create_study(
            storage=storages.JournalStorage(backend),
            study_name="search",
            direction="minimize" if plan.minimize else "maximize",
            load_if_exists=True,
            sampler=self._sampler(0),
        )
        self._asked: list[Any] = []

    def rounds(self) -> Iterator[Sequence[Task]]:
        for begin in range(0, self.total, ROUND):
            numbers = range(begin, min(begin + ROUND, self.total))
            yield [Task(number, self._values(number)) for number in numbers]

    def _values(self, number: int) -> Values:
        """Of a trial that Optuna knows from before the search was killed, or of a new one."""
        known = self._study.get_trials(deepcopy=False)
        if number < len(known):
            return {one.key: self._value(one, known[number].params) for one in self._plan.params}
        self._study.sampler = self._sampler(number)
        asked = self._study.ask({one.key: self._distribution(one) for one in self._plan.params})
        return {one.key: self._value(one, asked.params) for one in self._plan.params}

    def tell(self, results: Sequence[tuple[Task, float | None]], /) -> None:
        state = self._optuna.trial.TrialState
        for task, value in results:
            if value is None:
                self._study.tell(task.number, state=state.FAIL, skip_if_finished=True)
            else:
                self._study.tell(task.number, value, skip_if_finished=True)

    def _sampler(self, number: int) -> Any:
        samplers, seed = self._optuna.samplers, self._plan.seed * 1_000_003 + number
        if self._plan.kind == "tpe":
            return samplers.TPESampler(seed=seed, constant_liar=True)
        return getattr(samplers, SAMPLERS[self._plan.kind])(seed=seed)

    def _distribution(self, one: Param) -> Any:
        of = self._optuna.distributions
        if one.low is not None and one.high is not None:
            return of.FloatDistribution(float(one.low), float(one.high))
        if _is_even(one.values):  # near ones are alike: a place among them, not a name
            return of.IntDistribution(0, len(one.values) - 1)
        return of.CategoricalDistribution(list(range(len(one.values))))

    def _value(self, one: Param, params: dict[str, Any]) -> Any:
        drawn_value = params[one.key]
        return rounded(drawn_value) if one.is_range else one.values[drawn_value]


def _is_even(values: Sequence[Any]) -> bool:
    return all(isinstance(one, int | Decimal) and not isinstance(one, bool) for one in values)
