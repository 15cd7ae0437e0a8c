"""`fairlead gateway`: what a venue offers beside trading, by the commands of its adapter."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairlead.adapters.base.venue import AdapterCommand, Told
    from fairlead.engine.config.loaded import LoadedConfig


NONE = "no venue of {} has commands of its own"


def command(
    name: Annotated[str, typer.Argument(help="The command; without one, all are listed.")] = "",
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Of the command, in its order.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file (required).")] = None,
    venue: Annotated[
        str, typer.Option("--venue", help="The venue's key, where several have commands.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Ask a venue of the config what only that venue has, or tell it so.

    \b
    fairlead gateway --config run.toml                      the commands of the config's venues
    fairlead gateway COMMAND ARGUMENTS --config run.toml    one of them
    """
    from fairlead.engine.run.config import load

    if config is None:
        raise typer.BadParameter("name the run's TOML file: --config CONFIG")
    loaded = load(config)
    offered = _offered(loaded, venue)
    if not offered and not (as_json or name):
        typer.echo(NONE.format(loaded.file))
        return
    if not name:
        _show(_listed(offered), as_json=as_json)
        return
    if not offered:
        raise typer.BadParameter(NONE.format(loaded.file))
    key, chosen = _chosen(offered, name)
    given = _given(chosen, arguments or [])
    _show(asyncio.run(_told(loaded, key, chosen, given)), as_json=as_json)


def _offered(loaded: LoadedConfig, venue: str) -> dict[str, tuple[AdapterCommand, ...]]:
    """The commands by venue key."""
    from fairlead.adapters import registry

    if venue and venue not in loaded.specs:
        raise typer.BadParameter(f"--venue: expected one of {', '.join(loaded.specs)}")
    keys = [key for key in loaded.specs if venue in ("", key)]
    names = {key: loaded.config.venues[key].adapter for key in keys}
    ours = registry.names()
    told = {key: registry.spec(name).commands for key, name in names.items() if name in ours}
    return {key: commands for key, commands in told.items() if commands}


def _chosen(
    offered: dict[str, tuple[AdapterCommand, ...]], name: str
) -> tuple[str, AdapterCommand]:
    having = [(key, one) for key, all_ in offered.items() for one in all_ if one.name == name]
    if len(having) > 1:
        keys = ", ".join(key for key, _ in having)
        raise typer.BadParameter(f"several venues have {name} ({keys}): name one with --venue")
    if not having:
        names = [one.name for all_ in offered.values() for one in all_]
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise typer.BadParameter(f"expected one of {', '.join(names)}, received {name!r}{hint}")
    return having[0]


def _given(chosen: AdapterCommand, arguments: Sequence[str]) -> dict[str, str]:
    names = [name.strip("[]") for name in chosen.arguments]
    needed = sum(not name.startswith("[") for name in chosen.arguments)
    if not needed <= len(arguments) <= len(names):
        usage = " ".join((chosen.name, *chosen.arguments))
        raise typer.BadParameter(f"expected {usage}, received {len(arguments)} arguments")
    return dict(zip(names, arguments, strict=False))


async def _told(
    loaded: LoadedConfig, key: str, chosen: AdapterCommand, given: dict[str, str]
) -> Told:
    """Raises FairleadError for what the venue refuses."""
    from fairlead.adapters.base.venue import VenueError
    from fairlead.engine.errors import Exit, FairleadError
    from fairlead.engine.run.reach import PlainReach

    reach = PlainReach(loaded, key)
    try:
        return await chosen.run(reach.adapter, given)
    except VenueError as error:
        raise FairleadError(error.code, error.message, Exit.VENUE) from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    finally:
        await reach.close()


def _listed(offered: dict[str, tuple[AdapterCommand, ...]]) -> Told:
    from fairlead.adapters.base.venue import Told

    rows = [(key, one) for key, all_ in offered.items() for one in all_]
    return Told(
        columns=("venue", "command", ""),
        rows=tuple((key, " ".join((one.name, *one.arguments)), one.line) for key, one in rows),
        data=[
            {"venue": key, "command": one.name, "arguments": one.arguments, "help": one.line}
            for key, one in rows
        ],
    )


def _show(told: Told, *, as_json: bool) -> None:
    """Nothing that was remembered as a secret is printed, whatever a venue puts into a name."""
    import msgspec

    from fairlead.engine.secrets import redact

    if as_json:
        typer.echo(redact(msgspec.json.encode(told.data).decode()))
        return
    from rich.console import Console
    from rich.table import Table

    from fairlead.engine.cli.out import WIDE

    table = Table(box=None, pad_edge=False)
    for column in told.columns:
        table.add_column(column, overflow="fold")
    for row in told.rows:
        table.add_row(*(_plain(redact(cell)) for cell in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    console.print(table)


def _plain(text: str) -> str:
    """One line without control characters: a venue's names are not the terminal's commands."""
    return "".join(char if char.isprintable() else "?" for char in text)
