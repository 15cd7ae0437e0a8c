"""`fairlead new`: the beginning of a strategy, or of a venue in a distribution of its own."""

from __future__ import annotations

import json
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class What(StrEnum):
    STRATEGY = "strategy"
    VENUE = "venue"


def command(
    what: Annotated[What, typer.Argument(help="What to begin")],
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits and _")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where to; a venue's must be new or empty")
    ] = None,
    venue: Annotated[
        str, typer.Option("--venue", help="The venue of a strategy's config; empty: the first")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write files that run as they are, and say how.

    A strategy: its module and its config. A venue: a distribution with an adapter, a simulator and
    a test, which `fairlead conformance` passes; docs/new-venue.md goes through it.
    """
    from fairlead.engine.scaffold import write

    if what is What.VENUE:
        place = folder or Path(name)
        written = write.venue(name, place)
        told = [
            *write.build_needs(),
            f"pip install --no-build-isolation --no-deps -e {shlex.quote(str(place))}",
            f"fairlead conformance {name} --seeds 20",
        ]
    else:
        place = folder or Path()
        written = write.strategy(name, place, venue)
        config = shlex.quote(str(place / f"{name}.toml"))
        chosen = write.chosen(venue)
        account = shlex.quote(str(place / "venue"))
        told = [
            f"fairlead venue {chosen} --port {write.PORT} --account-dir {account}",
            f"fairlead paper {config}",
            f"fairlead live {config}",
        ]
    if as_json:
        typer.echo(json.dumps({"written": [str(path) for path in written], "next": told}))
        return
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo("\n".join(["", "next:", *(f"  {line}" for line in told)]))
