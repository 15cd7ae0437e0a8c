"""`fairlead live`, `fairlead paper`, `fairlead record`: what runs on a node until it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import exit_with, out_folder, show_result, written

if TYPE_CHECKING:
    from fairlead.engine.run.modes import NodeMode


ConfigFile = Annotated[Path, typer.Argument(help="The run's TOML file.")]
RunSeconds = Annotated[
    float | None,
    typer.Option("--for", min=0, help="Stop in order so many seconds after the run is up."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for summary.json, orders.jsonl and denials.jsonl; default: paper in "
        "the state folder, where each run replaces the one before.",
    ),
]


def run(
    config: Path,
    mode: NodeMode,
    *,
    seconds: float | None,
    as_json: bool,
    out: Path | None = None,
) -> None:
    """Run, print the summary on stdout, and exit with the run's code.

    `out` is a folder for the results as files; a paper run's own is in the state folder.
    """
    from fairlead.engine.config.resolved import resolve
    from fairlead.engine.observe.backtest_story import FOLDERS
    from fairlead.engine.observe.orders_file import run_files
    from fairlead.engine.run.config import load
    from fairlead.engine.run.node import run_node
    from fairlead.engine.run.summary import sum_up

    loaded = load(config)
    resolved = resolve(loaded, mode).require()
    with out_folder(out), process.logs_on_stderr(waits=False):
        ended = run_node(resolved, mode, run_secs=seconds)
        process.ended(int(ended.exit))
        if out is None and mode in FOLDERS and ended.node is not None:
            out = loaded.state_dir / FOLDERS[mode]
        # Before the cache is gone
        files = None if out is None else run_files(ended.cache, ended.run_state)
        figures = sum_up(loaded, mode, ended)
        if out is not None and files is not None:
            figures = written(out, figures, files)
        process.hurry()
        show_result(figures, as_json=as_json)
    exit_with(figures)


def live(config: ConfigFile, seconds: RunSeconds = None, as_json: AsJson = False) -> None:
    """Trade live, with real orders, until SIGINT, SIGTERM or SIGHUP (or --for SECONDS)."""
    run(config, "live", seconds=seconds, as_json=as_json)


def paper(
    config: ConfigFile, seconds: RunSeconds = None, as_json: AsJson = False, out: Out = None
) -> None:
    """Trade live data with simulated execution: fees, latency and queue position on.

    `fairlead explain` tells the story of one of its orders, once the run has ended.
    """
    run(config, "paper", seconds=seconds, as_json=as_json, out=out)


def record(config: ConfigFile, seconds: RunSeconds = None, as_json: AsJson = False) -> None:
    """Record market data without trading: raw frames and a normalized catalog."""
    run(config, "record", seconds=seconds, as_json=as_json)
