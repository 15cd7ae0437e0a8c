"""`fairlead explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import FairleadError

if TYPE_CHECKING:
    from engine.observe.backtest_story import BacktestStory


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
    raw frames; then from the files of the config's newest backtest. With --run, from the files of
    that run alone.
    """
    import msgspec

    from engine.observe.backtest_story import FOLDER
    from engine.observe.explain import clock, explain

    if run is not None:
        _tell_backtest(_backtest(order_id, run), as_json)
        return
    if config is None:
        raise typer.BadParameter("expected --config FILE, or --run FOLDER of a run's files")
    state_dir, raw = _folders(config)
    journals = sorted(state_dir.glob("*.journal.sqlite"))
    newest = state_dir / FOLDER
    try:
        story = explain(order_id, journals, raw if raw is not None and raw.exists() else None)
    except FairleadError as error:
        if error.code != "ORDER-NOT-FOUND":
            raise
        _tell_backtest(_backtest(order_id, newest, error.message), as_json)
        return
    if as_json:
        typer.echo(msgspec.json.encode(story).decode())
        return
    typer.echo(f"order    {story.client_order_id}")
    typer.echo(f"at venue {', '.join(story.venue_order_ids) or 'never accepted'}")
    typer.echo(f"state    {story.state}")
    typer.echo(f"journal  {story.journal}")
    if story.bracket is not None:
        typer.echo(f"bracket  {story.bracket}")
        for member in story.bracket.orders:
            typer.echo(f"         {member}")
    for line in story.lines:
        typer.echo(f"{clock(line.ts_ns)} {line.source:8} {line.text}")


def _backtest(order_id: str, folder: Path, before: str = "") -> BacktestStory:
    """Raises FairleadError ORDER-NOT-FOUND, naming all that was searched."""
    from engine.errors import Exit
    from engine.observe.backtest_story import ORDERS_FILE, explain_backtest

    if (found := explain_backtest(order_id, folder)) is not None:
        return found
    none = f"no order has the client order id {order_id}; searched "
    there = f"{before} and " if before else none
    if (folder / ORDERS_FILE).is_file():
        where = f"the run in {folder}"
    else:
        where = f"{folder}, which has no {ORDERS_FILE}"
    hint = "; of a run with --out, add --run FOLDER" if before else ""
    raise FairleadError("ORDER-NOT-FOUND", f"{there}{where}{hint}", Exit.NO_DATA)


def _tell_backtest(story: BacktestStory, as_json: bool) -> None:
    import msgspec

    from engine.observe.explain import clock

    if as_json:
        typer.echo(msgspec.json.encode(story).decode())
        return
    typer.echo(f"order    {story.client_order_id}")
    typer.echo(f"strategy {story.strategy}")
    typer.echo(f"what     {story.what}")
    typer.echo(f"state    {story.state}")
    typer.echo(f"run      {story.run}")
    typer.echo(f"file     {story.file}")
    for line in story.lines:
        typer.echo(f"{clock(line.ts_ns)} {line.text}")


def _folders(config: Path) -> tuple[Path, Path | None]:
    """The state folder, and that of the raw frames where the run is recorded.

    Only these two tables of the config are read: that needs no adapter, whose import takes longer
    than all the rest, and a config that is wrong elsewhere has sent orders all the same.
    Raises ConfigError, FairleadError `EXPLAIN-CONFIG` for a folder that can't be.
    """
    import tomllib

    import msgspec

    from engine.config import model

    try:
        tables = tomllib.loads(config.read_text())
        run = msgspec.convert(tables.get("run", {}), model.Run)
        record = msgspec.convert(tables.get("record"), model.Record | None)
        home = config.absolute().parent
        raw = home / Path(record.dir).expanduser() / "raw" if record and record.raw else None
        return (home / Path(run.state_dir).expanduser()).resolve(), raw and raw.resolve()
    except (OSError, ValueError, msgspec.MsgspecError, RuntimeError) as error:
        from engine.config.loader import load
        from engine.errors import Exit

        load(config)  # tells what is wrong, and where
        raise FairleadError("EXPLAIN-CONFIG", f"{config}: {error}", Exit.CONFIG) from error
