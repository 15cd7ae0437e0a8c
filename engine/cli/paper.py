"""`fairlead paper`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.node import RunSeconds


def command(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.")],
    seconds: RunSeconds = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for summary.json, orders.jsonl and denials.jsonl; default: paper in "
            "the state folder, where each run replaces the one before.",
        ),
    ] = None,
) -> None:
    """Trade live data with simulated execution: fees, latency and queue position on.

    `fairlead explain` tells the story of one of its orders, once the run has ended.
    """
    from engine.cli import node

    node.run(config, "paper", seconds=seconds, as_json=as_json, out=out)
