"""What the gate let through: remembered with its terms, given to the desk as a value.

Nobody else makes an `Approved`: the gate does of what it has checked and counts, and a kill, which
acts whatever the gate says, of what can only close.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.model import Intent, Side

if TYPE_CHECKING:
    from fairlead.engine.risk.facts import OrderFacts

PENDING_MODIFIES_MAX = 16  # approved modifies of one order that the venue has not answered
NOT_APPROVED = "NOT_APPROVED: the risk gate never approved this {}; it was not sent"

# What an approval binds: instrument, side, kind, quantity, price, trigger price, trailing offset.
Terms = tuple[str, Side, str, Decimal, Decimal | None, Decimal | None, Decimal | None]
# What a modify asks for: quantity, price, trigger price; None leaves a field as it is.
Change = tuple[Decimal | None, Decimal | None, Decimal | None]


def terms_of(order: OrderFacts | Intent) -> Terms:
    return (
        order.instrument,
        order.side,
        order.kind,
        order.quantity,
        order.price,
        order.trigger_price,
        order.trailing_offset,
    )


class Approvals:
    """By client order id, until the order is over."""

    def __init__(self) -> None:
        self._terms: dict[str, Terms] = {}
        self._changes: dict[str, list[Change]] = {}  # that the venue has not answered
        self._asked: dict[str, list[Change]] | None = None  # all of an order, where they are kept

    def __contains__(self, client_order_id: str) -> bool:
        return client_order_id in self._terms

    def add(self, order: OrderFacts) -> None:
        self._terms[order.client_order_id] = terms_of(order)

    def has(self, order: OrderFacts | Intent) -> bool:
        """Whether exactly this order was let through."""
        return self._terms.get(order.client_order_id) == terms_of(order)

    def add_change(self, client_order_id: str, change: Change) -> None:
        pending = self._changes.setdefault(client_order_id, [])
        pending.append(change)
        del pending[:-PENDING_MODIFIES_MAX]
        if self._asked is not None:
            self._asked.setdefault(client_order_id, []).append(change)

    def keep(self) -> None:
        """From now on `asked` knows the answered ones, too: of a run that ends."""
        self._asked = {}

    def asked(self, client_order_id: str) -> Sequence[Change]:
        """All changes of an order that is not over, the oldest first."""
        return (self._asked or {}).get(client_order_id, ())

    def changes(self, client_order_id: str) -> list[Change]:
        """Those not answered yet, the oldest first."""
        return self._changes.get(client_order_id, [])

    def answered(self, client_order_id: str) -> None:
        """The oldest change was done or refused."""
        if pending := self._changes.get(client_order_id):
            pending.pop(0)

    def over(self, client_order_id: str) -> None:
        self._terms.pop(client_order_id, None)
        self._changes.pop(client_order_id, None)
        if self._asked is not None:
            self._asked.pop(client_order_id, None)

    def order(self, intent: Intent) -> Approved | None:
        """For the desk: None where not exactly this order was let through."""
        return Approved(intent) if self.has(intent) else None

    def replacement(self, before: Intent, change: Change) -> Approved | None:
        """For the desk: what the order becomes; None where this change was not let through."""
        if change not in self.changes(before.client_order_id):
            return None
        named = zip(("quantity", "price", "trigger_price"), change, strict=True)
        changes = {name: value for name, value in named if value is not None}
        return Approved(msgspec.structs.replace(before, **changes))


def approve_closing(intent: Intent, held: Decimal) -> Approved:
    """A kill's order, which only brings the position of `held` base units (signed) nearer to zero.

    Raises ValueError for any other.
    """
    out = Side.SELL if held > 0 else Side.BUY
    if intent.side is not out or not 0 < intent.quantity <= abs(held):
        raise ValueError(
            f"{intent.side} {intent.quantity} {intent.instrument} does not close {held}; not sent"
        )
    return Approved(intent)
