"""`fairlead sweep`: many backtests of one config with other values, side by side."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import Settings, progress, progress_console, result_console
from fairlead.engine.config.changes import parsed
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.space import GRID_MAX
from fairlead.engine.run.config import load

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.research.luck import Luck
    from fairlead.engine.research.pool import Job, Pool, Task
    from fairlead.engine.research.screening import Screening
    from fairlead.engine.research.search import Plan
    from fairlead.engine.research.sweep import Done, Forms, Sweep, Trial, Watch
    from fairlead.engine.research.trials import Registry
    from fairlead.engine.run.trial import Basis

SHOWN = 10  # trials in the table
LINE_SECS = 10.0  # between two lines of progress where stderr is no terminal


def command(
    config: Annotated[Path, typer.Argument(help="TOML file of the run")],
    params: Annotated[
        list[str],
        typer.Option(
            "--param",
            metavar="KEY=SPEC",
            help="Values to try: 1..10:0.5, a,b,c, or 1..10 (not on a grid); repeatable. Keys as "
            "`--set` takes them, or the last part if only one key has it.",
        ),
    ],
    metric: Annotated[
        str,
        typer.Option(help="What is to be high: net, ratio, pnl_drawdown, fill_ratio, net.USDT."),
    ] = "net",
    minimize: Annotated[bool, typer.Option("--minimize", help="It is to be low.")] = False,
    search: Annotated[
        str, typer.Option(help="grid, random, or a sampler of Optuna: tpe, nsga2.")
    ] = "grid",
    trials: Annotated[
        int | None, typer.Option(min=1, max=GRID_MAX, help="How many; default: the grid.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 1,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=1024, help="Processes; default: one a core.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="On a Ray cluster (HOST:PORT, ray://HOST:PORT, auto; local starts one), which "
            "reads the same paths; --jobs actors, default one a processor of it.",
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Whose trial each counts as; default: the config's name.")
    ] = None,
    walk_forward: Annotated[
        str | None,
        typer.Option(
            "--walk-forward",
            metavar="TRAIN/TEST",
            help="Search a span of the data, try the best on the one after, and so on: 7d/1d.",
        ),
    ] = None,
    embargo: Annotated[str, typer.Option(help="Left out between the two: 1h.")] = "0s",
    screen: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=GRID_MAX,
            metavar="N",
            help="Screen all variants by the strategy's `screen` function, and backtest the best "
            "N. What is screened is no result, and counts as tried.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Try those that failed again.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the tables; default: the study's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: Settings = None,
) -> None:
    """Backtest CONFIG with each of the values, and list the best.

    One row a trial in trials.json and trials.parquet, the same whatever --jobs; one that fails is a
    row with its error (exit 1 where all do). Every trial of a study is kept for good: a search that
    was killed goes on where it was, by the same command, and how many were tried is told with the
    best.
    """
    from fairlead.engine.research.holdout import held_of, require_open
    from fairlead.engine.research.pool import Job
    from fairlead.engine.research.search import KINDS, Plan
    from fairlead.engine.research.space import param_of
    from fairlead.engine.research.trials import STUDIES, Registry
    from fairlead.engine.research.walk import spans
    from fairlead.engine.run.spending import before_held
    from fairlead.engine.run.trial import Forms as Typed
    from fairlead.engine.run.trial import basis

    if search not in KINDS:
        raise FairleadError(
            "SEARCH-KIND", f"expected --search {', '.join(KINDS)}; came {search}", int(Exit.USAGE)
        )
    changes = parsed(settings or ())
    loaded = load(config, changes)
    study = _study_name(study or loaded.config.name)
    with process.logs_on_stderr(), Registry(loaded.state_dir / STUDIES / study) as kept:
        changes = {**changes, **before_held(loaded, held_of(kept))}
        loaded = load(config, changes)
        rests = basis(loaded)
        require_open(loaded.state_dir, Path(rests.catalog), rests.instruments, rests.span_ns)
        plan = Plan(
            params=tuple(param_of(one, rests.keys) for one in params),
            kind=search,
            trials=trials,
            seed=seed,
            metric=metric,
            minimize=minimize,
            screen=screen,
        )
        job = Job(str(loaded.path.resolve()), changes)
        asked = Asked(kept, rests, job, loaded, Typed(loaded), again=again)
        pool = partial(_pool, asked.job, jobs, ray)
        if walk_forward is not None:
            _require_unscreened(plan)
            parts = spans(walk_forward, embargo, rests.span_ns)
            _walk(asked, plan, pool, parts, out, as_json)
        else:
            _search(asked, plan, pool, out, as_json)


def _require_unscreened(plan: Plan) -> None:
    if plan.screen is not None:
        text = "expected --walk-forward or --screen; came both"
        raise FairleadError("SCREEN-SEARCH", text, int(Exit.USAGE))


def _study_name(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum():
        text = f"expected a --study of letters, digits, - and _; came {name}"
        raise FairleadError("STUDY-NAME", text, int(Exit.USAGE))
    return name


class Asked:
    """What a command has settled before its first trial."""

    def __init__(
        self,
        registry: Registry,
        rests: Basis,
        job: Job,
        loaded: LoadedConfig,
        forms: Forms,
        *,
        again: bool,
    ) -> None:
        self.registry, self.rests, self.job, self.again = registry, rests, job, again
        self._loaded, self._forms = loaded, forms

    def screened(self, plan: Plan, sweep: Sweep) -> tuple[Screening, Sequence[Task]] | None:
        """What a screen says, kept as tried before anybody is told, and what it leaves to run."""
        from fairlead.engine.run.screened import chosen, screening

        if plan.screen is None:
            return None
        found = screening(self._loaded, plan)
        sweep.screened(found)
        text = f"{len(found.variants)} variants screened on {found.bars:,} bars"
        progress(f"{text} in {found.secs:.2f} s, which is no result; the best run exactly")
        return found, chosen(found, plan)

    def sweep(self, plan: Plan, fixed: dict[str, Any] | None = None) -> Sweep:
        from fairlead.engine.research.sweep import Sweep

        return Sweep(self.registry, plan, self.rests.key, self.about, fixed, self._forms)

    @property
    def about(self) -> dict[str, Any]:
        names = ("name", "config", "data", "code", "versions", "span_ns", "instruments")
        command = shlex.join(["fairlead", *sys.argv[1:]])
        return {**{name: getattr(self.rests, name) for name in names}, "command": command}

    def page(
        self,
        folder: Path,
        plan: Plan,
        told: dict[str, Any],
        trials: list[Trial],
        luck: Luck | None,
    ) -> None:
        """Where plotly is installed."""
        from fairlead.engine.research.extra import has
        from fairlead.engine.research.sweep_page import sweep_page, write_page

        if has("plotly"):
            steps = told.get("steps", ())
            write_page(folder, sweep_page({**told, **self.about}, plan, trials, luck, steps))


def _search(
    asked: Asked, plan: Plan, pool: Callable[[], Pool], out: Path | None, as_json: bool
) -> None:
    from fairlead.engine.research.study import luck_of, told_of

    sweep = asked.sweep(plan)
    looked, chosen = asked.screened(plan, sweep) or (None, None)
    with _running(pool) as (running, watch):
        found = sweep.run(running, watch, again=asked.again, chosen=chosen)
    luck = luck_of(asked.registry, found, plan)
    screen = None if looked is None else looked.told(plan)
    told = {**told_of(asked.registry), "luck": luck}
    where = sweep.write(found, told, out, screen)
    if screen is not None:
        told["screened"] = screen
    asked.page(where, plan, told, found, luck)
    _show(plan, found, told, luck, where, as_json)
    if all(one.outcome.error for one in found):
        raise typer.Exit(int(Exit.FAILED))


def _walk(
    asked: Asked,
    plan: Plan,
    pool: Callable[[], Pool],
    parts: list[Any],
    out: Path | None,
    as_json: bool,
) -> None:
    import msgspec

    from fairlead.engine.research.study import told_of
    from fairlead.engine.research.walk import walk, written_walk

    with _running(pool) as (running, watch):
        steps = list(walk(plan, parts, asked.sweep, running, watch))
    told = {**told_of(asked.registry), **plan.told(), "steps": [step.told() for step in steps]}
    folder = asked.sweep(plan).folder if out is None else out
    where = written_walk(folder, told)
    asked.page(where, plan, told, [], None)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    _show_walk(plan, told, where)


def _show_walk(plan: Plan, told: dict[str, Any], where: Path) -> None:
    from rich.table import Table

    from fairlead.engine.research.study import trials_words

    names = [one.name for one in plan.params]
    table = Table("tried on", *names, f"{plan.metric} before", "then", box=None)
    for step in told["steps"]:
        values = step["values"] or {}
        given = [values.get(one.key, "-") for one in plan.params]
        numbers = ("-" if one is None else f"{one:,.6g}" for one in _both(step))
        table.add_row(f"{step['test'][0][:19]} to {step['test'][1][:19]}", *given, *numbers)
    result_console().print(table)
    known = [one["out_of_sample"] for one in told["steps"] if one["out_of_sample"] is not None]
    total = f"{plan.metric} out of sample: {sum(known):,.6g} in all of {len(known)} spans, "
    typer.echo(f"{total}{sum(one > 0 for one in known)} of them above 0")
    typer.echo(f"the study {told['study']} has tried {trials_words(told)}")
    typer.echo(f"written to {where}")


def _both(step: dict[str, Any]) -> tuple[float | None, float | None]:
    return step["in_sample"], step["out_of_sample"]


def _pool(job: Job, jobs: int | None, ray: str | None) -> Pool:
    from fairlead.engine.research.pool import Processes
    from fairlead.engine.run.trial import Trials

    if ray is not None:
        from fairlead.engine.research.ray_pool import OnRay

        return OnRay(Trials, job, ray, jobs)
    return Processes(Trials, job, jobs or os.process_cpu_count() or 1)


@contextmanager
def _running(make: Callable[[], Pool]) -> Iterator[tuple[Pool, Watch]]:
    pool = make()
    try:
        with _progress() as watch:
            yield pool, watch
    finally:
        pool.close()


@contextmanager
def _progress() -> Iterator[Watch]:
    """On stderr: a bar with rate and remaining time, or a line now and then."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    console = progress_console()
    if not console.is_terminal:
        yield _Lines().tell
        return
    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), rate, Elapsed())
    with Progress(*columns, Remaining(), console=console, transient=True) as bars:
        bar = bars.add_task("trials", total=None, rate="")
        lines = _Lines()

        def watch(done: Done) -> None:
            failed = f", {done.failed} failed" if done.failed else ""
            text = f"{lines.rate(done):.2f}/s{failed}"
            bars.update(bar, total=done.total, completed=done.done, rate=text)

        yield watch


class _Lines:
    """How far it is, as a line of text: the first, the last, and one each LINE_SECS."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._next = self._begun

    def rate(self, done: Done) -> float:
        """Of the trials that are run: those that are known take no time."""
        if not done.ran:  # it begins, or the next of several
            self._begun = time.monotonic()
        return done.ran / max(time.monotonic() - self._begun, 1e-3)

    def tell(self, done: Done) -> None:
        now, rate = time.monotonic(), self.rate(done)
        if now < self._next and done.done < done.total:
            return
        self._next = now + LINE_SECS
        left = f", {(done.total - done.done) / rate:.0f} s left" if rate else ""
        text = f"{done.done} of {done.total} trials, {done.failed} failed, {rate:.2f}/s{left}"
        progress(text)


def _show(
    plan: Plan,
    trials: list[Trial],
    told: dict[str, Any],
    luck: Luck,
    where: Path,
    as_json: bool,
) -> None:
    import msgspec

    from fairlead.engine.research.screening import screen_words
    from fairlead.engine.research.study import trials_words, words
    from fairlead.engine.research.sweep import best_first, rows_of

    ranked = best_first(trials, plan)
    without = [one for one in trials if one.value is None and one.outcome.error is None]
    if as_json:
        rows = list(rows_of(trials, plan))
        best = ranked[0].number if ranked else None
        answer = {"best": best, "folder": str(where), **told, "trials": rows}
        typer.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
        return
    from rich.table import Table

    screen = told.get("screened")
    guesses = {row["trial"]: row for row in (() if screen is None else screen["rows"])}
    names = [] if screen is None else [screen["ranked_by"]]
    table = Table(
        "trial", *(one.name for one in plan.params), plan.metric, "fills", *names, box=None
    )
    shown = [*ranked, *without][:SHOWN]
    any_ended = any(one.outcome.figures.get("ended") for one in shown)
    if any_ended:
        table.add_column("ended by its strategy")
    for one in shown:
        given = (one.values[param.key] for param in plan.params)
        fills = str(one.outcome.figures["fills"])
        guess = [f"~{guesses[one.number][name]:,.6g}" for name in names]
        ended = [one.outcome.figures.get("ended") or "no"] if any_ended else []
        value = "-" if one.value is None else f"{one.value:,.6g}"
        table.add_row(str(one.number), *given, value, fills, *guess, *ended)
    console = result_console()
    console.print(table)
    failed = [one for one in trials if one.outcome.error]
    for one in failed[:SHOWN]:
        typer.echo(f"trial {one.number} failed: {one.outcome.error}")
    if len(failed) > SHOWN:
        typer.echo(f"... and {len(failed) - SHOWN} more failed")
    told_without = f", {len(without)} without {plan.metric}" if without else ""
    typer.echo(f"{len(trials)} trials, {len(failed)} failed{told_without}")
    for line in () if screen is None else screen_words(screen):
        typer.echo(line)
    for line in (f"study {told['study']}: {trials_words(told)} in all", *words(luck)):
        typer.echo(line)
    typer.echo(f"written to {where}")
