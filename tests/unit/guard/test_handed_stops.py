"""Which condition a stop order fires on, and what a strategy is told about a wrong one."""

from __future__ import annotations

import pytest

from fairlead.engine.guard.handed import chosen_condition
from fairlead.engine.orders.model import Side, TriggerCondition


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("wrong", ["above", "GTE", ">=", "", 1])
def test_a_wrong_condition_names_the_two_right_ones(side: Side, wrong: str) -> None:
    with pytest.raises(ValueError, match=r'expected "gte" .* or "lte" .*, received'):
        chosen_condition(side, wrong)


def test_what_is_chosen() -> None:
    assert chosen_condition(Side.BUY, None) is TriggerCondition.GTE
    assert chosen_condition(Side.SELL, None) is TriggerCondition.LTE
    assert chosen_condition(Side.BUY, "lte") is TriggerCondition.LTE
    assert chosen_condition(Side.SELL, TriggerCondition.GTE) is TriggerCondition.GTE
