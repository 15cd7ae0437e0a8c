"""Numbers of a report against values reckoned by hand."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.numbers import trades, worth


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


def test_dust_of_before_begins_no_trade() -> None:
    """Else the first round trip would be one of before the run, without a beginning."""
    dust: dict[str, Any] = {
        "ts_event": None,
        "strategy": "S",
        "instrument": "I",
        "side": "BUY",
        "quantity": "0.0000004",
        "quote": "USDT",
        "value": "0.02",
        "moved": "0.0000004",
        "cash": "-0.02",
        "least": "0.0001",
        "is_fill": False,
        "fee": None,
        "fee_currency": None,
    }
    buy = {"ts_event": 1, "quantity": "1", "value": "50000", "moved": "1", "cash": "-50000"}
    sell = {"ts_event": 4, "side": "SELL", "quantity": "1", "value": "50010", "moved": "-1"}
    rows = [dust | buy | {"is_fill": True}, dust | sell | {"cash": "50010", "is_fill": True}]
    (trade,) = trades([dust, *rows])
    assert trade["opened"] == 1
