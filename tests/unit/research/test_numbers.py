"""Numbers of a report against values reckoned by hand."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.numbers import worth


def look(second: int, equity: str, pnl: str) -> dict[str, Any]:
    money = {"equity": equity, "pnl": pnl, "kept": "0", "held": "0"}
    return {"ts": second * 10**9, "venue": "X", "currency": "USDT", **money}


def test_equity_begins_before_the_first_fills_and_falls_from_there() -> None:
    """The first look is a second in; what was lost until then is no part of the start."""
    (found,) = worth([look(1, "99", "-1"), look(2, "99.5", "-0.5"), look(3, "98", "-2")])
    assert found["start"] == 100
    assert found["end"] - found["start"] == found["pnl"] == -2
    assert found["drawdown"] == found["pnl_drawdown"] == 2
    assert found["drawdown_share"] == pytest.approx(0.02)
    assert found["looks_secs"] == 1
