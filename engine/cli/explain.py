"""`fairlead explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    order_id: Annotated[str, typer.Argument(help="Client order id or venue order id.")],
    config: Annotated[Path, typer.Option("--config", help="The run's TOML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell the story of one order: signal, journal, wire, answers and fills, in time order.

    Of an order of a bracket, also the bracket's other orders and their ends.

    Read from the journals of the config's state_dir and, where the run was recorded, from its
    raw frames.
    """
    import msgspec

    from engine.observe.explain import clock, explain

    state_dir, raw = _folders(config)
    journals = sorted(state_dir.glob("*.journal.sqlite"))
    story = explain(order_id, journals, raw if raw is not None and raw.exists() else None)
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
        from engine.cli.exits import Exit
        from engine.config.loader import load
        from engine.errors import FairleadError

        load(config)  # tells what is wrong, and where
        raise FairleadError("EXPLAIN-CONFIG", f"{config}: {error}", Exit.CONFIG) from error
