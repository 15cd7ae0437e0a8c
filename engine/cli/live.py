"""`fairlead live`."""

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
    """Trade live, with real orders, until SIGINT, SIGTERM or SIGHUP (or --for SECONDS)."""
    from engine.cli import node

    node.run(config, "live", seconds=seconds, as_json=as_json)
