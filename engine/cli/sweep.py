"""`fairlead sweep`: many backtests of one config with other values, side by side."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import Settings, result_console
from fairlead.engine.config.changes import parsed
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.run.config import load

if TYPE_CHECKING:
    from fairlead.engine.research.pool import Job, Pool
    from fairlead.engine.research.search import Plan
    from fairlead.engine.research.sweep import Done, Sweep, Trial, Watch

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
        str, typer.Option(help="What is to be high: net, ratio, drawdown, fill_ratio, net.USDT ...")
    ] = "net",
    minimize: Annotated[bool, typer.Option("--minimize", help="It is to be low.")] = False,
    search: Annotated[
        str, typer.Option(help="grid, random, or a sampler of Optuna: tpe, nsga2.")
    ] = "grid",
    trials: Annotated[int | None, typer.Option(min=1, help="How many; default: the grid.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 1,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes; default: one a core.")
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
    again: Annotated[bool, typer.Option("--again", help="Try those that failed again.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the tables; default: the study's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: Settings = None,
) -> None:
    """Backtest CONFIG with each of the values, and list the best.

    One row a trial in trials.json and trials.parquet, the same whatever --jobs; one that fails is a
    row with its error. Every trial of a study is kept for good: a search that was killed goes on
    where it was, by the same command, and how many were tried is told with the best.
    """
    from fairlead.engine.research.pool import Job
    from fairlead.engine.research.search import KINDS, Plan
    from fairlead.engine.research.space import param_of
    from fairlead.engine.research.sweep import Sweep
    from fairlead.engine.research.trials import STUDIES, Registry
    from fairlead.engine.run.trial import basis

    if search not in KINDS:
        raise FairleadError(
            "SEARCH-KIND", f"expected --search {', '.join(KINDS)}; came {search}", int(Exit.USAGE)
        )
    changes = parsed(settings or ())
    loaded = load(config, changes)
    with process.logs_on_stderr():
        rests = basis(loaded)
        plan = Plan(
            params=tuple(param_of(one, rests.keys) for one in params),
            kind=search,
            trials=trials,
            seed=seed,
            metric=metric,
            minimize=minimize,
        )
        folder = loaded.state_dir / STUDIES / _study_name(study or loaded.config.name)
        with Registry(folder) as registry:
            sweep = Sweep(registry, plan, rests.key, _about(rests))
            job = Job(str(loaded.path.resolve()), changes)
            found = _run(sweep, _pool(job, jobs, ray), again=again)
            head = registry.head
            counted = {"study": registry.name, "study_trials": registry.count("trial")}
            told = {**counted, "registry": {"entries": head.count, "chain": head.chain}}
            where = sweep.write(found, told, out)
        _show(plan, found, told, where, as_json)


def _study_name(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum():
        text = f"expected a --study of letters, digits, - and _; came {name}"
        raise FairleadError("STUDY-NAME", text, int(Exit.USAGE))
    return name


def _about(rests: Any) -> dict[str, Any]:
    import shlex

    names = ("name", "config", "data", "code", "versions", "span_ns", "instruments")
    told = {name: getattr(rests, name) for name in names}
    return {"basis": rests.key, "command": shlex.join(["fairlead", *sys.argv[1:]]), **told}


def _pool(job: Job, jobs: int | None, ray: str | None) -> Pool:
    from fairlead.engine.research.pool import Processes
    from fairlead.engine.run.trial import Trials

    if ray is not None:
        from fairlead.engine.research.ray_pool import OnRay

        return OnRay(Trials, job, ray, jobs)
    return Processes(Trials, job, jobs or os.process_cpu_count() or 1)


def _run(sweep: Sweep, pool: Pool, *, again: bool) -> list[Trial]:
    try:
        with _progress() as watch:
            return sweep.run(pool, watch, again=again)
    finally:
        pool.close()


@contextmanager
def _progress() -> Iterator[Watch]:
    """On stderr: a bar with rate and remaining time, or a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
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
        return done.ran / max(time.monotonic() - self._begun, 1e-3)

    def tell(self, done: Done) -> None:
        now = time.monotonic()
        if now < self._next and done.done < done.total:
            return
        self._next = now + LINE_SECS
        rate = self.rate(done)
        left = f", {(done.total - done.done) / rate:.0f} s left" if rate else ""
        text = f"{done.done} of {done.total} trials, {done.failed} failed, {rate:.2f}/s{left}"
        typer.echo(text, err=True)


def _show(
    plan: Plan, trials: list[Trial], told: dict[str, Any], where: Path, as_json: bool
) -> None:
    import msgspec

    from fairlead.engine.research.sweep import best_first, rows_of

    ranked = best_first(trials, plan)
    if as_json:
        rows = list(rows_of(trials, plan))
        best = ranked[0].number if ranked else None
        answer = {"best": best, "folder": str(where), **told, "trials": rows}
        typer.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
        return
    from rich.table import Table

    table = Table("trial", *(one.name for one in plan.params), plan.metric, "fills", box=None)
    for one in ranked[:SHOWN]:
        given = (one.values[param.key] for param in plan.params)
        fills = str(one.outcome.figures["fills"])
        table.add_row(str(one.number), *given, f"{one.value:,.6g}", fills)
    console = result_console()
    console.print(table)
    failed = [one for one in trials if one.outcome.error]
    for one in failed[:SHOWN]:
        typer.echo(f"trial {one.number} failed: {one.outcome.error}")
    if len(failed) > SHOWN:
        typer.echo(f"... and {len(failed) - SHOWN} more failed")
    typer.echo(
        f"{len(trials)} trials, {len(failed)} failed; the study {told['study']} has tried "
        f"{told['study_trials']}: the best of many looks better than it is"
    )
    typer.echo(f"written to {where}")
