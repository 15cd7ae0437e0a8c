"""A position that was changed outside the journal is set to what is held, by a person's word.

What was traded by hand, or by another program, is booked as that: an order that the word alone
tells of, with its execution, so that results, balances and the story of it add up as of any other.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Intent, Kind, OrderState, Role, Side
from fairlead.engine.orders.resolve import Word, executions

ROUNDED = Decimal("0.000001")  # of what is held: fees that a venue rounds


class HeldWord(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of an instrument: so much is `held` (net, signed, base units), and what
    changed it was traded at `price`. `strategy` is whose; empty: there is one alone."""

    instrument: str
    held: Decimal
    price: Decimal
    reason: str
    by: str
    strategy: str = ""
    fee: Decimal = Decimal(0)
    fee_currency: str = ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue tells: the net `position`, None where it tells none, as of a spot account;
    then `total` is all that the account has of the base currency, and `drift` what of it nothing in
    the journal explains (None: nothing was agreed on yet)."""

    position: Decimal | None
    base: str = ""
    total: Decimal = Decimal(0)
    drift: Decimal | None = None


class Change(msgspec.Struct, frozen=True):
    """By how much a strategy's position changes, base units."""

    strategy: str
    quantity: Decimal


def changes(journal: Journal, word: HeldWord) -> list[Change]:
    """What makes the journal's position the one that is said.

    Raises FairleadError `RESOLVE-OPEN` while an order could change it, `RESOLVE-WHOSE`,
    `RESOLVE-SAME`; JournalError.
    """
    if open_orders := journal.open_orders():
        raise FairleadError(
            "RESOLVE-OPEN",
            f"{len(open_orders)} orders are open in {journal.path}, the first "
            f"{open_orders[0].intent.client_order_id}: what they execute would be counted twice. A "
            "live start books what the venue tells of them, also one that is then refused; cancel "
            "what rests (fairlead kill), settle what the venue forgot (fairlead resolve ORDER). "
            "Nothing was booked",
            Exit.DRIFT,
        )
    mine = {
        one.strategy: one.quantity
        for one in journal.positions()
        if one.instrument == word.instrument and one.quantity
    }
    if not word.held:
        found = [Change(name, -quantity) for name, quantity in mine.items()]
    else:
        whose = word.strategy or (next(iter(mine)) if len(mine) == 1 else "")
        if not whose or whose == KILL_STRATEGY:
            holders = ", ".join(f"{name} {q.normalize():f}" for name, q in mine.items()) or "nobody"
            raise FairleadError(
                "RESOLVE-WHOSE",
                f"expected --strategy: in {word.instrument} the journal has {holders}, and a "
                "position that is not zero needs an owner. Nothing was booked",
                Exit.USAGE,
            )
        others = sum((q for name, q in mine.items() if name != whose), Decimal(0))
        change = word.held - others - mine.get(whose, Decimal(0))
        found = [Change(whose, change)] if change else []
    if not found:
        raise FairleadError(
            "RESOLVE-SAME",
            f"the journal {journal.path} holds {word.held.normalize():f} in {word.instrument} "
            "already. Nothing was booked",
            Exit.USAGE,
        )
    return found


def require_told(word: HeldWord, told: Told, found: list[Change], *, force: bool) -> None:
    """The word is what the venue tells. Raises FairleadError `RESOLVE-HELD`.

    `force` takes a change that balances do not show, never more than the account has.
    """
    if told.position is not None:
        if told.position != word.held:
            raise _refused(
                f"the venue tells a position of {told.position.normalize():f} in "
                f"{word.instrument}, received --held {word.held.normalize():f}"
            )
        return
    if not 0 <= word.held <= told.total * (1 + ROUNDED):
        raise _refused(
            f"the account has {told.total.normalize():f} {told.base} in all, received --held "
            f"{word.held.normalize():f}"
        )
    change = sum((one.quantity for one in found), Decimal(0))
    drift = told.drift or Decimal(0)
    if abs(drift - change) > ROUNDED * max(abs(change), abs(told.total)) and not force:
        raise _refused(
            f"{told.base} of the account differs from what the journal makes it by "
            f"{drift.normalize():f}, this word changes it by {change.normalize():f}; if it is true "
            "all the same, as where accept_drift took the difference over before, say so with "
            "--force"
        )


def _refused(text: str) -> FairleadError:
    return FairleadError("RESOLVE-HELD", f"{text}. Nothing was booked", Exit.DRIFT)


def book(
    journal: Journal,
    word: HeldWord,
    found: list[Change],
    *,
    quote: str,
    new_id: Callable[[], str],
    now_ns: int,
) -> list[str]:
    """Book each change as the execution that it was; gives the ids of the orders made for it.

    The first has the fee. Each is one transaction: cut off between two, the same word again books
    the rest. Raises JournalError.
    """
    made: list[str] = []
    for change in found:
        side = Side.BUY if change.quantity > 0 else Side.SELL
        name, quantity = new_id(), abs(change.quantity)
        intent = Intent(
            client_order_id=name,
            strategy=change.strategy,
            instrument=word.instrument,
            side=side,
            kind=Kind.MARKET,
            quantity=quantity,
            role=Role.EXIT,
        )
        said = Word(
            reason=word.reason,
            by=word.by,
            fills=((quantity, word.price),),
            fee=Decimal(0) if made else word.fee,
            fee_currency=word.fee_currency or quote,
        )
        (fill,) = executions(intent, said, "", quote=quote, now_ns=now_ns)
        journal.resolved(intent, [(fill, Decimal(0))], OrderState.FILLED, said, is_new=True)
        made.append(name)
    return made
