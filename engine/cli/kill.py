"""`fairlead kill`: the verb's arguments; `fairlead.engine.cli.killing` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.engine.cli.killing import (
    TIMEOUT_SECS,
    TIMEOUT_SECS_LEAST,
    TIMEOUT_SECS_MOST,
    Misspelt,
    Wanted,
    carry_out,
)
from fairlead.engine.kill.state import Action


def command(
    scope: Annotated[
        str, typer.Argument(help="all, or account, venue, strategy with a KEY.")
    ] = "all",
    key: Annotated[
        str, typer.Argument(help="The account's name, the venue's key, or the strategy's id.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option("--config", help="The run's TOML file (required).")
    ] = None,
    action: Annotated[
        Action, typer.Option("--action", help="Each includes the ones before it.")
    ] = Action.CANCEL,
    reason: Annotated[
        str, typer.Option("--reason", help="Kept with the kill, and in the journal.")
    ] = "",
    clear: Annotated[
        bool,
        typer.Option(
            "--clear", help="End the kill of this scope, and the halts of its accounts; a reason."
        ),
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what is in force.")] = False,
    timeout_secs: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=TIMEOUT_SECS_LEAST,
            max=TIMEOUT_SECS_MOST,
            help="Longest time for all of it, in seconds.",
        ),
    ] = TIMEOUT_SECS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Stop creating orders, cancel what is open, close positions: also when the run hangs.

    \b
    fairlead kill all --config run.toml                        halt and cancel everything
    fairlead kill venue VENUE --config run.toml                one venue
    fairlead kill account main --config run.toml               every venue with this account name
    fairlead kill strategy maker-1 --config run.toml           one strategy
    fairlead kill all --action flatten --config run.toml       and close the positions
    fairlead kill --status --config run.toml                   exit 8 while something is in force
    fairlead kill all --clear --reason TEXT --config run.toml  a person lets orders through again

    Halt is durable before anything else happens, and survives restarts until it is cleared; so
    does a halt that a limit of the run brought. Exit 0 only when nothing is left open.
    """
    if config is None:
        raise typer.BadParameter("name the run's TOML file: --config CONFIG")
    wanted = Wanted(
        config=config,
        scope=scope,
        key=key,
        action=action,
        reason=reason,
        clear=clear,
        status=status,
        timeout_secs=timeout_secs,
        as_json=as_json,
    )
    try:
        code = carry_out(wanted)
    except Misspelt as error:
        raise typer.BadParameter(str(error)) from error
    if code:
        raise typer.Exit(code)
