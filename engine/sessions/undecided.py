"""Orders of which nobody but a person can say which is which."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Protocol

import msgspec


class Record(Protocol):
    """Of the journal."""

    @property
    def client_order_id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def body(self) -> bytes: ...


def number_of(venue_order_id: str) -> int:
    """The ledger's number of an order, from the venue's text for it (`smart-12` is 12)."""
    digits = re.sub(r"\D", "", venue_order_id)
    return int(digits) if digits else -1


def undecided(records: Iterable[Record], owners: Container[int]) -> set[int]:
    """The ledger's numbers of orders that were given up, came after all, and look like another
    whose answer was lost; `owners` has those of which the journal knows whose they are.

    The desk tells them as ambiguous, and a person decides. One of the candidates is the other.
    """
    bodies = {one.client_order_id: one.body for one in records if one.kind == "UNSURE"}  # the last
    found: set[int] = set()
    for body in bodies.values():
        candidates = msgspec.json.decode(body)["candidates"]
        named = {number_of(one["venue_order_id"]) for one in candidates}
        found.update(sorted(number for number in named if number not in owners)[:-1])
    return found
