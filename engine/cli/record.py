"""`fairlead record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.node import RunSeconds


def command(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.")],
    seconds: RunSeconds = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Record market data without trading: raw frames and a normalized catalog."""
    from engine.cli import node

    node.run(config, "record", seconds=seconds, as_json=as_json)
