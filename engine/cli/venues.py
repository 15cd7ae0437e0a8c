"""`fairlead venues`: which venues there are, and what each can do, from their Capabilities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli.out import progress
from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from fairlead.engine.config.capabilities import Described
    from fairlead.engine.run.native.described import NativeDescribed


def of(name: str) -> Described:
    """Raises KeyError for a name that nobody offers, FairleadError as `registry.spec`."""
    from fairlead.adapters import registry
    from fairlead.engine.config.capabilities import described

    spec = registry.spec(name)
    return described(
        name,
        spec.capabilities,
        has_simulator=name in registry.simulated(),
        keyed_data=spec.keyed_data,
    )


def command(
    name: Annotated[str, typer.Argument(help="One venue; all without it.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object a venue.")
    ] = False,
) -> None:
    """Tell what the venues can do: order kinds, which of them the engine holds, times in force,
    streams, histories, what is told of orders and fees; of NautilusTrader's own adapters
    (nautilus:NAME), which clients, options and credentials they have, and what they lack here. No
    venue is asked.
    """
    import msgspec

    from fairlead.adapters import registry
    from fairlead.engine.run.native import described as native
    from fairlead.engine.run.native import found as builtins

    known = (*registry.names(), *builtins.names())
    others = registry.only_simulated()
    if name in others:
        raise typer.BadParameter(_elsewhere([name]), param_hint="NAME")
    if name and name not in known:
        raise typer.BadParameter(f"no venue {name!r}; known: {', '.join(known)}", param_hint="NAME")
    found: list[Described | NativeDescribed] = []
    broken: list[FairleadError] = []
    for one in [name] if name else known:
        try:
            is_builtin = one.startswith(builtins.PREFIX)
            found.append(native.described(one) if is_builtin else of(one))
        except FairleadError as error:  # an installed package's adapter that can't be imported
            broken.append(error)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo("\n\n".join(_table(venue) for venue in found))
    if others and not name:
        progress(_elsewhere(others))
    for fault in broken:
        typer.echo(f"error {fault.code}: {fault.message}", err=True)
    if broken:
        raise typer.Exit(Exit.FAILED)


def _elsewhere(names: Iterable[str]) -> str:
    """Of venues that are only simulated here."""
    each = (f'{name} (adapter = "nautilus:{name}")' for name in names)
    return (
        "only simulated, by `fairlead venue NAME`, and traded through NautilusTrader's own "
        f"adapter: {', '.join(each)}"
    )


def _table(venue: Described | NativeDescribed) -> str:
    from fairlead.engine.config import capabilities
    from fairlead.engine.run.native import described as native

    if isinstance(venue, capabilities.Described):
        told = capabilities.rows(venue)
    else:
        told = native.rows(venue)
    width = max(len(what) for what, _ in told)
    return "\n".join([venue.name, *(f"  {what:<{width}}  {text}" for what, text in told)])
