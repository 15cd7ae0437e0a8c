"""`fairlead report`: a run as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.engine.cli.runs import OfConfig, RunName, Where, looked_in


def command(
    name: RunName = "last",
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="RUN2", help="Show this run beside it.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The HTML file; default: report.html in the run's folder."),
    ] = None,
    where: Where = Path(),
    config: OfConfig = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as JSON, write nothing.")
    ] = False,
) -> None:
    """Write a report of RUN: one HTML file that needs no network, and its numbers as JSON.

    RUN is a folder, (the begin of) an id of `fairlead runs ls`, or `last`.
    """
    import msgspec

    from fairlead.engine.research.extra import need
    from fairlead.engine.research.find import find_run
    from fairlead.engine.research.report import compared, report, write_report

    where = looked_in(where, config)
    run = find_run(name, where)
    other = None if compare is None else find_run(compare, where)
    if as_json:
        told = report(run)
        if other is not None:
            told["compare"] = compared(told, report(other), run, other)
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    need("plotly", "an HTML report")
    for path in write_report(run, other, out):
        typer.echo(path)
