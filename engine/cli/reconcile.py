"""`fairlead reconcile`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli.asking import ConfigFile, grid, print_json, show
from fairlead.engine.errors import Exit

if TYPE_CHECKING:
    from fairlead.engine.run.differences import Compared

# Of several accounts the worst is the exit code.
ORDER = (Exit.DRIFT, Exit.VENUE)


def command(
    config: ConfigFile,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object an account.")
    ] = False,
) -> None:
    """Compare each account of the config with its journal: open orders on both sides, executed
    quantities, positions, balances. Nothing is sent, and nothing is written.

    What differs is looked at three times, 2 s apart, as a run that is up changes both meanwhile.
    Exit code 6 where they differ, 5 where an account can't be compared. NautilusTrader's own
    adapters are compared by their run alone.
    """
    from fairlead.engine.cli.out import progress
    from fairlead.engine.run.config import load
    from fairlead.engine.run.differences import compare_account

    loaded = load(config)
    found: list[Compared] = []
    for key in loaded.traded:
        progress(f"asking {key}")
        found.append(asyncio.run(compare_account(loaded, key)))
    if as_json:
        print_json(found)
    else:
        for one in found:
            _show(one)
        if not found:
            show("no venue of the config has an account")
    codes = {one.exit for one in found}
    for code in ORDER:
        if code in codes:
            raise typer.Exit(int(code))


def _show(one: Compared) -> None:
    name = f"{one.venue} {one.account}"
    if not one.is_compared:
        show(f"{name}: NOT COMPARED: {one.why}")
        return
    count = len(one.findings)
    verdict = "no difference" if not count else f"{count} difference{'s' if count > 1 else ''}"
    orders = (
        f"{one.journal_orders} open orders by the journal, "
        f"{one.venue_orders} in the list of the venue"
    )
    show(f"{name}: {verdict}; {orders}")
    for note in one.notes:
        show(f"note: {note}")
    if one.findings:
        rows = [(f.code, f.instrument, f.subject, f.journal, f.venue) for f in one.findings]
        show(grid(("code", "instrument", "what", "journal", "venue"), rows))
    balances = [(b.currency, b.expected, b.venue) for b in one.balances]
    show(grid(("balance", ">by the journal", ">at the venue"), balances))
    if one.positions:
        held = [(p.instrument, p.journal, f"{p.venue} {p.base}") for p in one.positions]
        show(grid(("position", ">journal", ">of the account"), held))
