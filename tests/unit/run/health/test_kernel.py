"""Facts of NautilusTrader that `fairlead doctor` tries; tests/kernel has them all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.engine.run.health import kernel


@pytest.mark.parametrize("fact", kernel.FACTS)
def test_each_holds_on_the_pinned_version(fact: Callable[[], bool]) -> None:
    assert fact()


def test_one_that_does_not_hold_or_can_not_be_tried_is_named() -> None:
    def prices_are_whole() -> bool:
        return False

    def it_has_a_field() -> bool:
        raise AttributeError("no such field")

    found = kernel.look((kernel.amounts_are_exact, prices_are_whole, it_has_a_field))
    assert [one.code for one in found.troubles] == ["KERNEL", "KERNEL"]
    assert "that prices are whole does not hold" in found.troubles[0].text
    assert "AttributeError: no such field" in found.troubles[1].text
    assert all(one.remedy for one in found.troubles)
