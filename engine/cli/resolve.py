"""`fairlead resolve`."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

DIGITS_MAX = 28  # beyond them sums are rounded
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,4})?")


def command(
    order_id: Annotated[
        str,
        typer.Argument(
            help="Client or venue order id; with --held an instrument.", metavar="ORDER"
        ),
    ],
    config: Annotated[Path, typer.Option("--config", help="The run's TOML file.")],
    reason: Annotated[str, typer.Option("--reason", help="Why you know; kept in the journal.")],
    gone: Annotated[
        bool, typer.Option("--gone", help="Nothing more of it was executed, and nothing will be.")
    ] = False,
    filled: Annotated[
        list[str] | None,
        typer.Option("--filled", metavar="QTY@PRICE", help="Executed so; the rest is gone."),
    ] = None,
    held: Annotated[
        str | None,
        typer.Option("--held", metavar="QTY", help="The position is this; needs --price."),
    ] = None,
    price: Annotated[
        str | None, typer.Option("--price", help="At which what --held leaves out was traded.")
    ] = None,
    strategy: Annotated[
        str, typer.Option("--strategy", help="Whose position --held is, where several are.")
    ] = "",
    fee: Annotated[
        str, typer.Option("--fee", help='Fee of what was executed, as "0.1 USDT".')
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Take an unlikely price or fee: you have looked twice.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Settle an order that the venue has forgotten, or a position, by a person's word.

    \b
    fairlead resolve ID --gone --reason "venue was reset" --config run.toml
    fairlead resolve ID --filled 0.5@27010 --fee "0.0005 BTC" --reason "statement" --config run.toml
    fairlead resolve BTC_USDT.VENUE --held 0 --price 27010 --reason "by hand" --config run.toml

    With --held the journal's position becomes what the venue holds, after a trade by hand: it is
    booked as an execution. A position that the venue does not tell is left alone (exit 6).

    The venue is asked first: an order that it lists, or whose end it tells, is left alone (exit 6).
    While a run holds the account: exit 12. What is booked is in the journal, with who and why. A
    copy of the journal from before is left beside it: put back before the next start, it takes the
    word back.
    """
    import msgspec

    from fairlead.engine.cli.killing import who
    from fairlead.engine.orders.resolve import Word
    from fairlead.engine.run.config import load
    from fairlead.engine.run.resolve import resolve_order

    if [gone, bool(filled), held is not None].count(True) != 1:
        raise typer.BadParameter("expected one of --gone, --filled QTY@PRICE, --held QTY")
    if not reason.strip():
        raise typer.BadParameter("--reason is empty: it is kept in the journal")
    if fee and gone:
        raise typer.BadParameter("--fee needs --filled or --held")
    if (price is None) != (held is None) or (strategy and held is None):
        raise typer.BadParameter("--held and --price go together, --strategy goes with them")
    paid = _fee(fee)
    if held is not None and price is not None:
        _held(config, order_id, held, price, strategy, reason, paid, force=force, as_json=as_json)
        return
    word = Word(
        reason=reason,
        by=who("resolve"),
        fills=tuple(_fill(text) for text in filled or ()),
        fee=paid[0],
        fee_currency=paid[1],
    )
    done = resolve_order(load(config), order_id, word, force=force)
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    typer.echo(
        f"{done.client_order_id} ({done.venue} {done.account}): {done.before} -> {done.state}, "
        f"{done.filled} executed\n"
        f"the journal from before, to take this back until the next start: {done.copy}"
    )


def _held(
    config: Path,
    instrument: str,
    held: str,
    price: str,
    strategy: str,
    reason: str,
    paid: tuple[Decimal, str],
    *,
    force: bool,
    as_json: bool,
) -> None:
    import msgspec

    from fairlead.engine.cli.killing import who
    from fairlead.engine.orders.resolve_held import HeldWord
    from fairlead.engine.run.config import load
    from fairlead.engine.run.resolve_held import resolve_held

    word = HeldWord(
        instrument=instrument,
        held=_number(held, "--held"),
        price=_number(price, "--price"),
        reason=reason,
        by=who("resolve"),
        strategy=strategy,
        fee=paid[0],
        fee_currency=paid[1],
    )
    if word.price <= 0:
        raise typer.BadParameter(f"--price: expected a number above 0, received {price!r}")
    done = resolve_held(load(config), word, force=force)
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    counted = f"\ncounted from now on: {', '.join(done.counted)}" if done.counted else ""
    typer.echo(
        f"{done.instrument} ({done.venue} {done.account}): {done.before} -> {done.held}, booked as "
        f"{', '.join(done.orders)}{counted}\n"
        f"the journal from before, to take this back until the next start: {done.copy}"
    )


def _fee(text: str) -> tuple[Decimal, str]:
    """Amount and currency; zero without one."""
    if not text:
        return Decimal(0), ""
    amount, _, currency = text.partition(" ")
    found = _number(amount, "--fee"), currency.strip().upper()
    if not found[1]:
        raise typer.BadParameter('--fee: expected an amount and a currency, as "0.1 USDT"')
    return found


def _fill(text: str) -> tuple[Decimal, Decimal]:
    quantity, _, price = text.partition("@")
    found = _number(quantity, "--filled"), _number(price, "--filled")
    if min(found) <= 0:
        raise typer.BadParameter(f"--filled: expected QTY@PRICE above 0, received {text!r}")
    return found


def _number(text: str, option: str) -> Decimal:
    # Decimal takes underscores, blanks around, and the digits of every script
    if _NUMBER.fullmatch(text) is None:
        raise typer.BadParameter(f"{option}: expected a number, received {text[:60]!r}")
    number = Decimal(text)
    if len(number.as_tuple().digits) > DIGITS_MAX or abs(number.adjusted()) > DIGITS_MAX:
        raise typer.BadParameter(
            f"{option}: expected a number of at most {DIGITS_MAX} digits, received {text[:60]!r}"
        )
    return number
