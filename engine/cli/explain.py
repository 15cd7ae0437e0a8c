"""`fairlead explain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.errors import FairleadError

if TYPE_CHECKING:
    from fairlead.engine.observe.backtest_story import BacktestStory
    from fairlead.engine.observe.explain import Story


def command(
    order_id: Annotated[str, typer.Argument(help="Client order id or venue order id.")],
    config: Annotated[Path | None, typer.Option("--config", help="The run's TOML file.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of a run's files (its --out).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell the story of one order: signal, journal, wire, answers and fills, in time order.

    Of an order of a bracket, also the bracket's other orders and their ends.

    Read from the journals of the config's state_dir and, where the run was recorded, from its
    raw frames; then from the files of the runs that are kept there, the newest first. With --run,
    from the files of that run alone.
    """
    from fairlead.engine.observe.explain import explain
    from fairlead.engine.research.places import RUNS
    from fairlead.engine.research.runs import newest

    story: Story | BacktestStory
    if run is not None:
        story = _of_files(order_id, [run])
    elif config is None:
        raise typer.BadParameter("expected --config FILE, or --run FOLDER of a run's files")
    else:
        state_dir, raw = _folders(config)
        journals = sorted(state_dir.glob("*.journal.sqlite"))
        try:
            story = explain(order_id, journals, raw if raw is not None and raw.exists() else None)
        except FairleadError as error:
            if error.code != "ORDER-NOT-FOUND":
                raise
            story = _of_files(order_id, [*newest(state_dir)], error.message, state_dir / RUNS)
    _tell(story, as_json)


def _of_files(
    order_id: str, folders: Sequence[Path], before: str = "", root: Path | None = None
) -> BacktestStory:
    """Raises FairleadError ORDER-NOT-FOUND, naming all that was searched."""
    from fairlead.engine.errors import Exit
    from fairlead.engine.observe.backtest_story import ORDERS_FILE, explain_backtest

    searched = []
    for folder in folders:
        if (found := explain_backtest(order_id, folder)) is not None:
            return found
        has_file = (folder / ORDERS_FILE).is_file()
        searched.append(
            f"the run in {folder}" if has_file else f"{folder}, which has no {ORDERS_FILE}"
        )
    none = f"no order has the client order id {order_id}; searched "
    there = f"{before} and " if before else none
    if root is not None:
        searched = [f"the {len(folders)} runs in {root}"]
    hint = "; a simulated run is told once it has ended, one with --out by --run FOLDER"
    text = f"{there}{' and '.join(searched)}{hint if before else ''}"
    raise FairleadError("ORDER-NOT-FOUND", text, Exit.NO_DATA)


def _tell(story: Story | BacktestStory, as_json: bool) -> None:
    import msgspec

    from fairlead.engine.observe.backtest_story import BacktestStory
    from fairlead.engine.observe.explain import clock

    if as_json:
        typer.echo(msgspec.json.encode(story).decode())
        return
    head: list[tuple[str, object]] = [("order", story.client_order_id)]
    if isinstance(story, BacktestStory):
        head += [("strategy", story.strategy), ("what", story.what), ("state", story.state)]
        head += [("run", story.run), ("file", story.file)]
        told = [(line.ts_ns, line.text) for line in story.lines]
    else:
        head += [("at venue", ", ".join(story.venue_order_ids) or "never accepted")]
        head += [("state", story.state), ("journal", story.journal)]
        if story.bracket is not None:
            head += [("bracket", story.bracket), *(("", one) for one in story.bracket.orders)]
        told = [(line.ts_ns, f"{line.source:8} {line.text}") for line in story.lines]
    for name, value in head:
        typer.echo(f"{name:8} {value}")
    for ts_ns, text in told:
        typer.echo(f"{clock(ts_ns)} {text}")


def _folders(config: Path) -> tuple[Path, Path | None]:
    """The state folder, and that of the raw frames where the run is recorded.

    Only these two tables of the config are read: that needs no adapter, whose import takes longer
    than all the rest, and a config that is wrong elsewhere has sent orders all the same.
    Raises ConfigError, FairleadError `EXPLAIN-CONFIG` for a folder that can't be.
    """
    import tomllib

    import msgspec

    from fairlead.engine.config import model

    try:
        tables = tomllib.loads(config.read_text())
        run = msgspec.convert(tables.get("run", {}), model.Run)
        record = msgspec.convert(tables.get("record"), model.Record | None)
        home = config.absolute().parent
        raw = home / Path(record.dir).expanduser() / "raw" if record and record.raw else None
        return (home / Path(run.state_dir).expanduser()).resolve(), raw and raw.resolve()
    except (OSError, ValueError, msgspec.MsgspecError, RuntimeError) as error:
        from fairlead.engine.errors import Exit
        from fairlead.engine.run.config import load

        load(config)  # tells what is wrong, and where
        raise FairleadError("EXPLAIN-CONFIG", f"{config}: {error}", Exit.CONFIG) from error
