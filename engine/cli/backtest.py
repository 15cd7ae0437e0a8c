"""`fairlead backtest`: run a config over recorded data."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import Settings, begun, exit_with, kept, out_folder, show_result
from fairlead.engine.config.changes import parsed
from fairlead.engine.errors import Exit
from fairlead.engine.run.config import load

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.run.backtest import RunResult
    from fairlead.engine.run.sensitivity import Sensitivity

Progress = Callable[[float], None]


def command(
    config: Annotated[Path, typer.Argument(help="TOML file of the run")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the run's files; default: one of its own in `runs` of the state "
            "folder (`fairlead runs ls`).",
        ),
    ] = None,
    sensitivity: Annotated[
        bool,
        typer.Option(
            "--sensitivity",
            help="Also at half and double latency, without queue, with fees up by half, and a "
            "maker's and a taker's alone: a table of what the result hangs on. Each is kept.",
        ),
    ] = False,
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            min=0,
            max=10_000,
            help="With --sensitivity: so many other draws of a latency that is drawn.",
        ),
    ] = 0,
    settings: Settings = None,
) -> None:
    """Run the strategies of CONFIG over the data of its [backtest] section.

    Prints orders, fills, fees and profit and loss, and what they rest on. The same file runs live
    and on paper. `fairlead explain` tells the story of one of its orders.
    """
    from fairlead.engine.research.runs import Stamp
    from fairlead.engine.run.backtest import run_backtest

    stamp = Stamp(begun_ns=time.time_ns())
    loaded = load(config, parsed(settings or ()))
    if sensitivity:
        _sensitivity(loaded, out, draws, as_json=as_json)
        return
    if draws:
        raise typer.BadParameter("expected --sensitivity with --draws")
    with out_folder(out), process.logs_on_stderr():
        with begun(loaded, "backtest", stamp):
            with _progress() as progress:
                result = run_backtest(loaded, progress=progress)
            process.end_by_signals(int(Exit.INTERRUPTED))
            try:
                summary = kept(result.record(stamp), out, loaded.state_dir)
            finally:
                result.dispose()
        show_result(summary, as_json=as_json)
    exit_with(summary)


@contextlib.contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress as Bars

    from fairlead.engine.cli.out import progress_console

    with Bars(console=progress_console(), transient=True) as bars:
        task = bars.add_task("backtest", total=1.0)
        yield lambda done: bars.update(task, completed=done)


def _sensitivity(loaded: LoadedConfig, out: Path | None, draws: int, *, as_json: bool) -> None:
    import msgspec

    from fairlead.engine.observe.summary import plain_numbers
    from fairlead.engine.run.sensitivity import sensitivity

    def keep(name: str, result: RunResult) -> str:
        where = None if out is None else out / name.replace(" ", "-")
        summary = kept(result.record(), where, loaded.state_dir)
        return str(Path(summary.files["summary"]).parent) if "summary" in summary.files else ""

    with out_folder(out), process.logs_on_stderr():
        found = sensitivity(
            loaded, keep, lambda what: typer.echo(f"backtest {what}", err=True), draws=draws
        )
        process.end_by_signals(int(Exit.INTERRUPTED))
    if as_json:
        told = msgspec.to_builtins(found, builtin_types=(Decimal,))
        told |= {"hangs_on": list(found.hangs_on()), "quantiles": found.spreads()}
        typer.echo(msgspec.json.format(msgspec.json.encode(plain_numbers(told))).decode())
    else:
        _show(found)


def _show(found: Sensitivity) -> None:
    from rich.table import Table
    from rich.text import Text

    from fairlead.engine.cli.out import result_console
    from fairlead.engine.observe.table import shown

    base = found.cases[0]
    table = Table("case", "net", "against it", "fees", "orders", "fills", "run", box=None)
    for one in found.cases:
        if one.why:
            table.add_row(one.name, f"not run: {one.why}")
            continue
        moved = {code: net - base.net.get(code, Decimal(0)) for code, net in one.net.items()}
        amounts = (
            ", ".join(f"{shown(value, signed=True)} {code}" for code, value in told.items())
            for told in (one.net, {} if one is base else moved, one.fees)
        )
        cells = (*amounts, str(one.orders), str(one.fills), Path(one.run).name)
        table.add_row(one.name, *(Text(cell) for cell in cells))
    result_console().print(table)
    for one in found.cases:
        if one.ended:
            typer.echo(f"ended     {one.name}: by its strategy at {one.ended}")
    for words in found.hangs_on():
        typer.echo(f"hangs on  {words}")
    for code, spread in found.spreads().items():
        told = ", ".join(f"{name} {shown(net, signed=True)}" for name, net in spread.items())
        typer.echo(f"draws     {len(found.draws[code])} of the latency: net {told} {code}")
    if found.draws_why:
        typer.echo(f"draws     none: {found.draws_why}")
