"""Parity's verdict: what is not compared at all is not alike."""

from __future__ import annotations

import pytest

from fairlead.engine.research.parity import Difference, Parity


def judged(orders: int, *kinds: str) -> Parity:
    differences = [
        Difference(
            kind=kind,
            ts=1,
            order=str(at),
            strategy="S-1",
            instrument="A",
            run="accepted",
            replay="refused",
            why="",
        )
        for at, kind in enumerate(kinds)
    ]
    return Parity(
        run="run",
        orders=orders,
        fills=0,
        events=0,
        inputs=(),
        lacking=(),
        differences=tuple(differences),
        nets={},
    )


@pytest.mark.parametrize(
    ("orders", "kinds", "beyond"),
    [
        (20, ["refusal", "gap"], []),
        (19, ["refusal", "gap"], ["2 of 19 orders not compared"]),
        (4, ["latency", "queue", "kill", "own"], []),
        (1, ["unexplained"], ["1 unexplained"]),
    ],
)
def test_a_tenth_at_most(orders: int, kinds: list[str], beyond: list[str]) -> None:
    assert judged(orders, *kinds).beyond({}) == beyond
