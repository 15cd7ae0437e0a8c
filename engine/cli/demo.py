"""`fairlead demo`."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli import process
from fairlead.engine.errors import Exit

if TYPE_CHECKING:
    from fairlead.engine.run.demo import DemoResult

TEMPLATE = Path(__file__).resolve().parents[2] / "configs" / "demo.toml"


def command(
    folder: Annotated[
        Path, typer.Option("--dir", help="Folder of the demo; emptied first.")
    ] = Path("out/demo"),
    seconds: Annotated[float, typer.Option(min=4, max=86_400, help="Seconds of trading.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated market.")] = 7,
    svg: Annotated[
        Path | None, typer.Option(help="Also write what is printed as a picture.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Trade a simulated venue live for a minute, kill and restart the run in the middle, record
    it, backtest the recording with the same config, and show both side by side.
    """
    from fairlead.engine.cli.out import progress, result_console
    from fairlead.engine.observe.table import show
    from fairlead.engine.run.demo import demo_files, run_demo

    started = time.monotonic()

    def tell(text: str) -> None:
        progress(f"[{time.monotonic() - started:5.1f} s] {text}")

    files = demo_files(TEMPLATE, folder)
    process.name_files({name: str(path) for name, path in files.items()})
    result = run_demo(TEMPLATE, folder, seconds=seconds, seed=seed, tell=tell)
    report = _report(result.kept)
    if as_json:
        _print_json(result, {**files, "report": report})
        _exit(result)
        return
    console = result_console(record=svg is not None)
    show([result.live, result.backtest], console, "The same config, live and as a backtest")
    console.print(f"kill -9 and restart: {result.proof}")
    for name, path in files.items():
        console.print(f"{name:>10}  {path}", soft_wrap=True)
    console.print(f"{'report':>10}  {report}", soft_wrap=True)
    if svg is not None:
        # Without the web fonts that it would load from elsewhere.
        picture = console.export_svg(title="make demo")
        try:
            svg.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))
        except OSError as error:
            typer.echo(f"error OUT-UNWRITABLE: {svg}: {error.strerror}; no picture", err=True)
    _exit(result)


def _exit(result: DemoResult) -> None:
    if not result.is_whole:
        raise typer.Exit(int(Exit.DRIFT))


def _print_json(result: DemoResult, files: Mapping[str, object]) -> None:
    import msgspec

    told = {
        "live": msgspec.Raw(result.live.json()),
        "backtest": msgspec.Raw(result.backtest.json()),
        "restart": result.proof,
        "files": {name: str(path) for name, path in files.items()},
    }
    typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())


def _report(kept: Path) -> str:
    """The page about the backtest, or how to have it."""
    from fairlead.engine.research.extra import HOW
    from fairlead.engine.research.report import write_report
    from fairlead.engine.research.runs import Run

    with contextlib.suppress(ValueError):  # below this folder: shorter, as the others are told
        kept = kept.relative_to(Path.cwd())
    html, _ = write_report(Run.at(kept))
    return f"fairlead report {kept}, after {HOW}" if html is None else str(html)
