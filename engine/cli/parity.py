"""`fairlead parity`: whether a backtest gives what a run really had."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli.runs import Where
from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from fairlead.engine.research.parity import Parity

SHOWN = 20


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's folder, (the begin of) its id, or `last`: the last live or paper run, "
            "with --config the last of that config's name.",
        ),
    ] = "last",
    where: Where = Path(),
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The run's file, where it lies elsewhere than it did."),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="AMOUNT",
            help="The most by which the net result may differ, '0.5 USDT'; one a currency.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare RUN, live or on paper, with a backtest of its recording, event by event.

    Its orders, changes and cancels are given again when they were given, and arrive when they
    arrived. Each difference has a class: latency, queue, fee, gap, rounding, refusal, exit,
    booking, liquidity, own, kill, end, or unexplained. Exit 16 where one is unexplained, more than
    a tenth of the orders are not compared (refusal, gap), or the net differs by more than
    --tolerance.
    """
    import msgspec

    from fairlead.engine.cli import process
    from fairlead.engine.research.find import find_run
    from fairlead.engine.research.parity import as_told
    from fairlead.engine.run.config import load
    from fairlead.engine.run.parity import MODES, parity_of

    allowed = _amounts(tolerance or ())
    of = "" if config is None else load(config).config.name
    run = find_run(name, where, MODES, of)
    with process.logs_on_stderr():
        found = parity_of(run, config, lambda what: typer.echo(f"parity: {what}", err=True))
    beyond = found.beyond(allowed)
    if as_json:
        told = {"ok": not beyond, "beyond": beyond, **as_told(found)}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        _show(found, beyond)
    if beyond:
        raise typer.Exit(int(Exit.NOT_LIKE))


def _amounts(texts: list[str] | tuple[()]) -> dict[str, Decimal]:
    found = {}
    for text in texts:
        amount, _, currency = text.strip().partition(" ")
        try:
            value = Decimal(amount)
        except InvalidOperation:
            value = Decimal(-1)
        if not value.is_finite() or value < 0 or not currency.strip():
            raise FairleadError(
                "TOLERANCE-FORM",
                f"expected --tolerance 'AMOUNT CURRENCY', as '0.5 USDT', came {text!r}",
                int(Exit.USAGE),
            )
        found[currency.strip()] = value
    return found


def _show(found: Parity, beyond: list[str]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from fairlead.engine.cli.out import print_whole
    from fairlead.engine.observe.table import shown
    from fairlead.engine.recording.catalog import utc
    from fairlead.engine.research.parity import KILL

    typer.echo(f"run      {found.run}: {found.orders} orders, {found.fills} fills")
    for one in found.inputs:
        mine = "not counted" if one.run is None else f"{one.run:,}"
        words = f"{one.what.replace('_', ' ')}: run {mine}, data {one.data:,}"
        typer.echo(f"input    {one.instrument} {words}{' DIFFER' if one.differ else ''}")
    for begin, end, instrument in found.lacking:
        of = instrument or "all instruments"
        typer.echo(f"lacking  {of} {utc(begin)} to {utc(end)}: the data is not what the run saw")
    if found.own is not None:
        own = found.own
        words = (
            f"{own.trades:,} trades, and its orders at rest out of {own.book_rows:,} rows of books"
        )
        typer.echo(f"own      left out of the data: the run's {words}")
        if own.unfound:
            typer.echo(f"own      not in the data: a trade of {', '.join(own.unfound)}")
    for currency, (net, again) in found.nets.items():
        words = f"run {shown(net, signed=True)}, backtest {shown(again, signed=True)}"
        typer.echo(f"net      {words} {currency}")
    for note in found.notes:
        typer.echo(f"note     {note}")
    if found.differences:
        first = found.differences[0]
        typer.echo(f"first    {first.kind}: {first.order} at {utc(first.ts)}: {first.why}")
        # Times and ids are what other commands take: they are never cut
        whole = (Column(name, no_wrap=True) for name in ("time (UTC)", "class", "order"))
        folded = (Column(name, overflow="fold") for name in ("run", "backtest", "why"))
        table = Table(*whole, *folded, box=None)
        for odd in found.differences[:SHOWN]:
            cells = (utc(odd.ts), odd.kind, odd.order, odd.run, odd.replay, odd.why)
            table.add_row(*(Text(cell) for cell in cells))
        print_whole(table)
        if len(found.differences) > SHOWN:
            typer.echo(f"... and {len(found.differences) - SHOWN} more (--json has all)")
    counts = ", ".join(f"{count} {kind}" for kind, count in found.classes.items())
    verdict = f"NOT alike: {', '.join(beyond)}" if beyond else "alike"
    if not beyond and (kills := found.classes.get(KILL)):
        verdict += f" but for {kills} by the kill switch, which no backtest plays"
    if not beyond and found.uncompared:
        verdict += f", as far as compared: {found.uncompared} of {found.orders} orders were not"
    told = f"{found.events} events of orders: {counts or 'no difference'}"
    typer.echo(f"parity   {verdict}; {told}")
