"""Which orders at the venue nobody can tell from one whose answer was lost."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.engine.sessions.undecided import undecided


class _Record(msgspec.Struct):
    client_order_id: str
    kind: str
    body: bytes


def _unsure(order: str, *candidates: str) -> _Record:
    body: dict[str, Any] = {"candidates": [{"venue_order_id": one} for one in candidates]}
    return _Record(order, "UNSURE", msgspec.json.encode(body))


def test_all_candidates_but_one_came_late() -> None:
    assert undecided([_unsure("a", "12", "10", "11")], {}) == {10, 11}


def test_what_the_journal_knows_is_no_candidate() -> None:
    assert undecided([_unsure("a", "10", "11", "12")], {10: "b"}) == {11}


def test_the_last_word_of_an_order_counts() -> None:
    assert undecided([_unsure("a", "10", "11"), _unsure("a", "11")], {}) == set()


def test_an_order_that_could_not_be_asked_for_has_no_candidates() -> None:
    assert undecided([_unsure("a"), _Record("b", "FILLED", b"null")], {}) == set()
