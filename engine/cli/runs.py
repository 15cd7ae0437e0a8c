"""`fairlead runs`: the runs that are kept."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.errors import Exit

if TYPE_CHECKING:
    from fairlead.engine.research.begun import Found
    from fairlead.engine.research.runs import Run

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List, show and remove the runs that are kept: one folder each, of every mode.",
)
Where = Annotated[
    Path, typer.Option("--in", help="Folder below which runs are looked for; default: this one.")
]
OfConfig = Annotated[
    Path | None,
    typer.Option("--config", help="Look in the state folder of this config, in place of --in."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, (the begin of) its id, or `last`.")
]


def looked_in(where: Path, config: Path | None) -> Path:
    """The folder in which runs are looked for. Raises FairleadError of a config that is none."""
    if config is None:
        return where
    if where != Path():
        raise typer.BadParameter("expected --in FOLDER or --config CONFIG, received both")
    from fairlead.engine.run.config import load

    return load(config).state_dir


@command.command()
def ls(where: Where = Path(), config: OfConfig = None, as_json: AsJson = False) -> None:
    """List the runs, oldest first, with what came of each: its exit code, or that it is on still,
    or that it was killed or cut short, and left nothing but its log and journal."""
    import msgspec

    from fairlead.engine.research.begun import begun_below
    from fairlead.engine.research.places import Places
    from fairlead.engine.research.runs import runs_below

    places = Places.of(looked_in(where, config))
    listed = [_told(run) for run in runs_below(places)]
    listed += [_told_of_mark(one) for one in begun_below(places)]
    listed.sort(key=lambda one: (one["begun_ns"], one["id"]))
    if left_out := str(places):
        typer.echo(f"warning RUNS-LEFT-OUT: {left_out}", err=True)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(listed)).decode())
    elif not listed:
        typer.echo(f"no runs below {places.where.resolve()}; each run leaves one")
    else:
        _show_list(listed)


def _show_list(listed: list[dict[str, Any]]) -> None:
    from rich.table import Column, Table

    from fairlead.engine.cli.out import result_console

    # The id is what other commands take: it is never cut
    width = max(len(one["id"]) for one in listed)
    table = Table(Column("id", no_wrap=True, min_width=width), box=None)
    for name in ("begun (UTC)", "exit", "fills", "net", "inputs"):
        table.add_column(name)
    for told in listed:
        net = ", ".join(f"{_short(value)} {name}" for name, value in told["net"].items())
        begun = datetime.fromtimestamp(told["begun_ns"] // 1_000_000_000, UTC)
        ended = told["state"] == "ended"
        cells = (
            told["state"] if told["exit_code"] is None else str(told["exit_code"]),
            str(told["fills"]) if ended else "-",
            net,
            told["inputs"][:12],
        )
        table.add_row(told["id"], f"{begun:%Y-%m-%d %H:%M:%S}", *cells)
    result_console().print(table)
    for told in listed:
        if told["end"]:
            typer.echo(f"{told['id']} {told['end']}: its log and journals are in {told['folder']}")


@command.command()
def show(
    name: RunName, where: Where = Path(), config: OfConfig = None, as_json: AsJson = False
) -> None:
    """Show what a run was made of, what came of it, and whether its files are as it wrote them."""
    import msgspec

    from fairlead.engine.research.find import find_run

    run = find_run(name, looked_in(where, config))
    damage = run.damage()
    if as_json:
        told = {**msgspec.to_builtins(run.manifest), "summary": run.summary, "damage": damage}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        _show(run, damage)
    if damage:
        raise typer.Exit(int(Exit.BAD_DATA))


def _show(run: Run, damage: list[str]) -> None:
    found, summary = run.manifest, run.summary
    lines: list[tuple[str, object]] = [
        ("run", run.id),
        ("folder", run.folder),
        ("outcome", f"{found.outcome} (exit {found.exit_code})"),
        ("command", found.command),
        ("orders", f"{summary['orders']}, {summary['fills']} fills"),
        ("net", ", ".join(f"{_short(v)} {name}" for name, v in summary["net"].items()) or "none"),
        ("inputs", found.inputs),
        ("config", found.config),
        ("data", found.data or "none recorded"),
        ("seed", found.seed),
        ("versions", ", ".join(f"{name} {what}" for name, what in found.versions.items())),
    ]
    lines += [("changed", f"{key} = {value}") for key, value in found.changes.items()]
    lines += [("DAMAGED", what) for what in damage]
    for label, value in lines:
        typer.echo(f"{label:8} {value}")


@command.command()
def rm(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Runs as `show` takes them.")
    ] = None,
    where: Where = Path(),
    but_last: Annotated[
        int | None,
        typer.Option("--but-last", min=0, help="Remove all but so many of the newest."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove runs: the folders that are named, or all but the newest ones; of one that was killed
    or cut short what tells of it here, and neither its log nor its journal."""
    import msgspec

    from fairlead.engine.research.begun import begun_below
    from fairlead.engine.research.find import find_run
    from fairlead.engine.research.places import Places
    from fairlead.engine.research.runs import runs_below

    if bool(names) == (but_last is not None):
        raise typer.BadParameter("expected RUN..., or --but-last N")
    places = Places.of(where)
    over = [one for one in begun_below(places) if one.state != "running"]
    if but_last is None:
        marks = [one for one in over if one.begun.id in (names or ())]
        known = {one.begun.id for one in marks}
        wanted = [find_run(name, where) for name in names or () if name not in known]
    else:
        if left_out := str(places):
            typer.echo(f"warning RUNS-LEFT-OUT: {left_out}", err=True)
        runs = runs_below(places)
        wanted = runs[: max(0, len(runs) - but_last)]
        first_ns = min((run.stamp.begun_ns for run in runs[len(wanted) :]), default=None)
        marks = [one for one in over if first_ns is None or one.begun.begun_ns < first_ns]
    removed = []
    for run in wanted:
        assert run.folder is not None, "it was found by its folder"
        _remove(run, run.folder)
        removed.append(str(run.folder))
    for mark in marks:
        mark.path.unlink(missing_ok=True)
        removed.append(str(mark.path))
    if as_json:
        typer.echo(msgspec.json.encode({"removed": removed}).decode())
        return
    for path in removed:
        typer.echo(f"removed {path}")


def _remove(run: Run, folder: Path) -> None:
    """Its own files, and the folder once it is empty: a folder of --out may hold more."""
    from fairlead.engine.research.places import RUN_FILE
    from fairlead.engine.research.runs import REPORT_FILES, STAMP_FILE

    names = {*run.manifest.files, STAMP_FILE, RUN_FILE, *REPORT_FILES}
    if {path.name for path in folder.iterdir()} <= names:
        shutil.rmtree(folder)
        return
    for name in (RUN_FILE, *sorted(names - {RUN_FILE})):
        (folder / name).unlink(missing_ok=True)


def _told(run: Run) -> dict[str, Any]:
    found, summary = run.manifest, run.summary
    return {
        "id": run.id,
        "state": "ended",
        "folder": str(run.folder),
        "begun_ns": run.stamp.begun_ns,
        "mode": found.mode,
        "name": found.name,
        "exit_code": found.exit_code,
        "end": "",
        "fills": summary["fills"],
        "net": summary["net"],
        "inputs": found.inputs,
        "changes": found.changes,
    }


def _told_of_mark(one: Found) -> dict[str, Any]:
    begun = one.begun
    return {
        "id": begun.id,
        "state": one.state,
        "folder": begun.state_dir,
        "begun_ns": begun.begun_ns,
        "mode": begun.mode,
        "name": begun.name,
        "exit_code": begun.exit_code,
        "end": "" if one.state == "running" else one.end,
        "fills": None,
        "net": {},
        "inputs": "",
        "changes": {},
    }


def _short(value: str) -> str:
    from fairlead.engine.observe.table import shown

    return shown(Decimal(value), signed=True)
