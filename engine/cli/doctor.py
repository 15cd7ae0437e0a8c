"""`fairlead doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli.asking import plain, print_json, show

if TYPE_CHECKING:
    from fairlead.engine.run.health.found import Check


def command(
    config: Annotated[
        Path | None, typer.Argument(help="A run's TOML file; without: of this machine alone.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no venue.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for what would keep a run from working, each with its remedy: Python and packages
    against what is pinned, facts of NautilusTrader that are relied on, disks, open files; of a
    config its state folder, journals, kills, file modes, keys, locks, page, and the venues' clocks.

    Nothing is sent but questions, and nothing is written. Exit code 0 where nothing is wrong, else
    that of the first trouble: the one with which a start would be refused for it, or 1. What is
    marked `look` keeps no run from working.
    """
    from fairlead.engine.cli import process
    from fairlead.engine.cli.out import progress
    from fairlead.engine.run.health.look import look

    with process.logs_on_stderr():
        found: list[Check] = []
        for one in look(config, asks=not offline, tell=progress):
            found.append(one)
            if not as_json:
                _show(one)
        bad = [t for one in found for t in one.troubles if t.level == "bad"]
        if as_json:
            print_json({"is_well": not bad, "checks": found})
        elif not bad:
            show("nothing is wrong")
    if bad:
        raise typer.Exit(bad[0].exit_code)


def _show(one: Check) -> None:
    mark = "ok" if not one.troubles else "  "
    show(f"{mark} {one.name}: {plain(one.seen)}")
    for trouble in one.troubles:
        word = "TROUBLE" if trouble.level == "bad" else "look"
        show(f"   {word} {trouble.code}: {plain(trouble.text)}")
        show(f"   remedy: {plain(trouble.remedy)}")
