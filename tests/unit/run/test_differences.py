"""What a comparison without a run says beside its differences."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.engine.run.differences import _unlisted


def order(name: str, number: str | None) -> Any:
    return SimpleNamespace(
        is_proven=number is not None,
        venue_order_id=number,
        intent=SimpleNamespace(client_order_id=name),
    )


@pytest.mark.parametrize(
    ("listed", "differ", "said"),
    [
        ((), (), "2 that"),
        (("1",), (), "1 that"),
        (("1", "2"), (), ""),
        ((), ("a",), "1 that"),
        ((), ("a", "b"), ""),
    ],
)
def test_what_the_list_of_the_venue_lacks_and_is_there_is_told(
    listed: tuple[str, ...], differ: tuple[str, ...], said: str
) -> None:
    live = [order("a", "1"), order("b", "2"), order("c", None)]
    found: list[Any] = [SimpleNamespace(venue_order_id=one) for one in listed]
    findings: list[Any] = [SimpleNamespace(subject=one) for one in differ]
    notes = list(_unlisted(live, found, findings))
    assert len(notes) == bool(said)
    assert all(one.startswith(said) for one in notes)
