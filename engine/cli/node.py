"""`fairlead live`, `fairlead paper`, `fairlead record`: what runs on a node until it is stopped."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import Settings, begun, exit_with, kept, out_folder, show_result

if TYPE_CHECKING:
    from fairlead.engine.run.modes import NodeMode


ConfigFile = Annotated[Path, typer.Argument(help="The run's TOML file.")]
FOR_SECS_MAX = 315_360_000  # ten years: what is longer ends by a signal
RunSeconds = Annotated[
    float | None,
    typer.Option(
        "--for", min=0, max=FOR_SECS_MAX, help="Stop in order so many seconds after the run is up."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for the run's files; default: one of its own in `runs` of the state folder "
        "(`fairlead runs ls`).",
    ),
]


def run(
    config: Path,
    mode: NodeMode,
    *,
    seconds: float | None,
    as_json: bool,
    out: Path | None = None,
    settings: list[str] | None = None,
) -> None:
    """Run, keep it, print the summary on stdout, and exit with the run's code.

    `out` is a folder for the run's files; its own is in the state folder.
    """
    from fairlead.engine.config.changes import parsed
    from fairlead.engine.config.resolved import resolve
    from fairlead.engine.research.runs import Stamp
    from fairlead.engine.run.config import load
    from fairlead.engine.run.keeping import record_of_node, traded_by_node
    from fairlead.engine.run.modes import MODES
    from fairlead.engine.run.node import run_node
    from fairlead.engine.run.slowly import said_if_slow
    from fairlead.engine.run.summary import sum_up

    stamp = Stamp(begun_ns=time.time_ns())
    loaded = load(config, parsed(settings or ()))
    resolved = resolve(loaded, mode).require()
    with out_folder(out), process.logs_on_stderr(waits=False):
        with begun(loaded, mode, stamp) if MODES[mode].trades else nullcontext():
            ended = run_node(resolved, mode, run_secs=seconds)
            process.ended(int(ended.exit))
            with said_if_slow("what it traded is added up"):
                left = traded_by_node(loaded, mode, ended)  # before the cache is gone
            figures = sum_up(loaded, mode, ended)
            if left is not None:
                with said_if_slow("it is written to its folder"):
                    made = record_of_node(loaded, figures, left, ended, stamp)
                    figures = kept(made, out, loaded.state_dir)
        process.hurry()
        show_result(figures, as_json=as_json)
    exit_with(figures)


def live(
    config: ConfigFile,
    seconds: RunSeconds = None,
    as_json: AsJson = False,
    out: Out = None,
    settings: Settings = None,
) -> None:
    """Trade live, with real orders, until SIGINT, SIGTERM or SIGHUP (or --for SECONDS)."""
    run(config, "live", seconds=seconds, as_json=as_json, out=out, settings=settings)


def paper(
    config: ConfigFile,
    seconds: RunSeconds = None,
    as_json: AsJson = False,
    out: Out = None,
    settings: Settings = None,
) -> None:
    """Trade live data with simulated execution: fees, latency and queue position on.

    `fairlead explain` tells the story of one of its orders, once the run has ended.
    """
    run(config, "paper", seconds=seconds, as_json=as_json, out=out, settings=settings)


def record(
    config: ConfigFile,
    seconds: RunSeconds = None,
    as_json: AsJson = False,
    settings: Settings = None,
) -> None:
    """Record market data without trading: raw frames and a normalized catalog."""
    run(config, "record", seconds=seconds, as_json=as_json, settings=settings)
