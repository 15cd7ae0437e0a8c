"""What an order is for: given by its strategy, carried as an order tag, kept in the journal."""

from __future__ import annotations

from collections.abc import Sequence

from engine.orders.model import ROLE_TAG, Role

__all__ = ["Role", "with_role"]


def with_role(tags: Sequence[str] | None, role: Role) -> list[str] | None:
    """`tags` for the order factory, with the role; a role that they tell already stays."""
    given = list(tags or ())
    if role is not Role.NONE and not any(tag.startswith(ROLE_TAG) for tag in given):
        given.append(role.tag)
    return given or None
