"""`fairlead journal`: the order journals of a config's accounts, over years."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from fairlead.engine.orders.files import AccountFiles
    from fairlead.engine.orders.journal_compact import Compacted
    from fairlead.engine.orders.journal_look import JournalLook

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List order journals, move the detail of old orders away, bring old ones up to date.",
)
ConfigFile = Annotated[Path, typer.Argument(help="The run's TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Days = Annotated[
    int,
    typer.Option(
        "--older-than",
        min=0,
        max=36_500,
        metavar="DAYS",
        help="Only orders that ended before that.",
    ),
]


@command.command()
def ls(config: ConfigFile, as_json: AsJson = False) -> None:
    """List each account's journal: size, orders, archives, copies. Also while a run is up."""
    from fairlead.engine.orders.journal_look import look

    found = [look(files.journal) for files in _accounts(config)]
    if as_json:
        _print_json(found)
        return
    for one in found:
        typer.echo("\n".join(_lines(one)))


@command.command()
def compact(config: ConfigFile, days: Days = 90, as_json: AsJson = False) -> None:
    """Move the detail of orders that ended long ago to an archive beside the journal.

    Positions, executions, and whatever a start or a search for late orders needs, stay;
    `fairlead explain` reads the archive too. Refused (exit 12) while a run holds the account.
    """
    from fairlead.engine.orders.journal_compact import compact as compacted

    done = [compacted(one, days=days, now_ns=time.time_ns) for one in _accounts(config)]
    if as_json:
        _print_json(done)
        return
    for one in done:
        typer.echo("\n".join(_told(one, days)))


@command.command()
def upgrade(config: ConfigFile, as_json: AsJson = False) -> None:
    """Bring journals that an earlier version wrote to today's schema, as a live start does.

    A copy of each stays beside it. Refused (exit 12) while a run holds the account.
    """
    from fairlead.engine.orders.journal import Journal
    from fairlead.engine.orders.journal_upgrade import upgrade as upgraded
    from fairlead.engine.orders.lock import AccountLock

    done = []
    for files in _accounts(config):
        with AccountLock(files.lock, " (upgrades)"):
            copy = upgraded(files.journal, time.time_ns)
            Journal.reading(files.journal, at_rest=True).close()  # a newer one is refused
        done.append({"journal": str(files.journal), "copy": None if copy is None else str(copy)})
    if as_json:
        _print_json(done)
        return
    for one in done:
        what = "is of today" if one["copy"] is None else f"upgraded; as it was: {one['copy']}"
        typer.echo(f"{one['journal']}: {what}")


def _accounts(config: Path) -> list[AccountFiles]:
    """Those that have a journal. Raises FairleadError `JOURNAL-NONE` where there is none."""
    from fairlead.engine.config.loaded import account_files
    from fairlead.engine.risk.continuity import require_known
    from fairlead.engine.run.config import load

    loaded = load(config)
    every = [account_files(loaded, key) for key in loaded.traded]
    for one in every:
        require_known(one)
    found = [one for one in every if one.journal.exists()]
    if not found:
        names = ", ".join(str(one.journal) for one in every)
        raise FairleadError(
            "JOURNAL-NONE",
            f"no account of {config} has a journal yet; expected {names}, which the first live "
            "run makes",
            Exit.NO_DATA,
        )
    return found


def _lines(one: JournalLook) -> Iterator[str]:
    span = "" if one.first_ts is None else f", {_day(one.first_ts)} to {_day(one.last_ts)}"
    yield (
        f"{one.journal}: {_mb(one.bytes)}, {one.records} records of {one.orders} orders "
        f"({one.open_orders} open), {one.executions} executions{span}; schema {one.schema}"
    )
    for archive in one.archives:
        size = "NOT THERE: put it back" if archive.bytes is None else _mb(archive.bytes)
        yield (
            f"  archive {archive.name}: {size}, {archive.records} records of {archive.orders} "
            f"orders, {_day(archive.first_ts)} to {_day(archive.last_ts)}"
        )
    for name in one.copies:
        yield f"  copy {name}"


def _told(done: Compacted, days: int) -> Iterator[str]:
    for name in done.removed:
        yield f"removed {name}: left by a compaction that died, and all of it is in the journal"
    if done.archive is None:
        yield f"{done.journal}: nothing to move: no detail of orders that ended {days} days ago"
        return
    yield (
        f"{done.journal}: {done.records} records of {done.orders} orders are in {done.archive} "
        f"now; {_mb(done.bytes_before)} before, {_mb(done.bytes_after)} after"
    )


def _day(ts_ns: int | None) -> str:
    return f"{datetime.fromtimestamp((ts_ns or 0) // 1_000_000_000, UTC):%Y-%m-%d}"


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _print_json(found: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
