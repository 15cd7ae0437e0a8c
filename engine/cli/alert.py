"""`fairlead alert`: whether messages to people arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Send a message to the endpoints of a config's alerts.",
)


@command.callback()
def _alert() -> None:
    """Messages to people (docs/operate.md)."""


@command.command("test")
def send_test(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.")],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="NAME", help="Only this endpoint; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send one test message to each endpoint, now, and say what became of it.

    Exit code 0 when each has taken it, 5 otherwise; 3 for a config that is wrong, or has none.
    """
    import msgspec

    from fairlead.engine.config.people import people_of
    from fairlead.engine.config.problems import ConfigError
    from fairlead.engine.errors import Exit
    from fairlead.engine.observe.alerts.trial import tried
    from fairlead.engine.run.config import load

    loaded = load(config)
    people, problems = people_of(loaded)
    if problems:
        raise ConfigError(problems)
    found = tried(loaded, people, to)
    if as_json:
        told = {"ok": not any(found.values()), "endpoints": found}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        for name, why in found.items():
            typer.echo(f"{name}: {why or 'sent'}")
    if any(found.values()):
        raise typer.Exit(Exit.VENUE)
