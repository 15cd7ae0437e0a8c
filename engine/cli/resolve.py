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
    order_id: Annotated[str, typer.Argument(help="Client order id or venue order id.")],
    config: Annotated[Path, typer.Option("--config", help="The run's TOML file.")],
    reason: Annotated[str, typer.Option("--reason", help="Why you know; kept in the journal.")],
    gone: Annotated[
        bool, typer.Option("--gone", help="Nothing more of it was executed, and nothing will be.")
    ] = False,
    filled: Annotated[
        list[str] | None,
        typer.Option("--filled", metavar="QTY@PRICE", help="Executed so; the rest is gone."),
    ] = None,
    fee: Annotated[
        str, typer.Option("--fee", help='Fee of what was executed, as "0.1 USDT".')
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Take an unlikely price or fee: you have looked twice.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Settle an order that the venue has forgotten, by a person's word.

    \b
    fairlead resolve ID --gone --reason "venue was reset" --config run.toml
    fairlead resolve ID --filled 0.5@27010 --fee "0.0005 BTC" --reason "statement" --config run.toml

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

    if gone == bool(filled):
        raise typer.BadParameter("expected either --gone or --filled QTY@PRICE")
    if not reason.strip():
        raise typer.BadParameter("--reason is empty: it is kept in the journal")
    if fee and not filled:
        raise typer.BadParameter("--fee needs --filled")
    amount, _, currency = fee.partition(" ")
    word = Word(
        reason=reason,
        by=who("resolve"),
        fills=tuple(_fill(text) for text in filled or ()),
        fee=_number(amount, "--fee") if fee else Decimal(0),
        fee_currency=currency.strip().upper(),
    )
    if fee and not word.fee_currency:
        raise typer.BadParameter('--fee: expected an amount and a currency, as "0.1 USDT"')
    done = resolve_order(load(config), order_id, word, force=force)
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    typer.echo(
        f"{done.client_order_id} ({done.venue} {done.account}): {done.before} -> {done.state}, "
        f"{done.filled} executed\n"
        f"the journal from before, to take this back until the next start: {done.copy}"
    )


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
