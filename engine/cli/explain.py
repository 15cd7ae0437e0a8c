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

    Read from the journals of the config's state_dir and, where the run was recorded, from its
    raw frames.
    """
    import msgspec

    from engine.config.loader import load
    from engine.observe.explain import clock, explain

    loaded = load(config)
    record = loaded.config.record
    raw = loaded.resolve(record.dir) / "raw" if record is not None and record.raw else None
    journals = sorted(loaded.state_dir.glob("*.journal.sqlite"))
    story = explain(order_id, journals, raw if raw is not None and raw.exists() else None)
    if as_json:
        typer.echo(msgspec.json.encode(story).decode())
        return
    typer.echo(f"order    {story.client_order_id}")
    typer.echo(f"at venue {', '.join(story.venue_order_ids) or 'never accepted'}")
    typer.echo(f"state    {story.state}")
    typer.echo(f"journal  {story.journal}")
    for line in story.lines:
        typer.echo(f"{clock(line.ts_ns)} {line.source:8} {line.text}")
