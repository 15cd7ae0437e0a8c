"""What a run of weeks keeps of long ago is bounded, and a shorter one keeps all."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace as Event
from typing import Any

from fairlead.engine.guard.run_state import RunState
from fairlead.engine.newest import Newest
from fairlead.engine.research.marks import SECOND_NS, Marks, Top


def test_the_oldest_entries_go_and_are_counted() -> None:
    kept: Newest[str, int] = Newest(3)
    for number in range(5):
        kept[f"{number}"] = number
    kept["4"] = 40  # known already
    assert (dict(kept), kept.dropped) == ({"2": 2, "3": 3, "4": 40}, 2)


def test_the_market_of_orders_long_ago_is_not_kept() -> None:
    state = RunState()
    state.markets = Newest(2)
    cache: Any = Event(top_of_book=lambda name: ("1", "2", "3", "4"))
    for name in ("a", "b", "c"):
        state.note_market(name, cache, "X")
    assert list(state.markets) == ["b", "c"]


def _marked(most: int | None) -> Marks:
    price: Any = Event(as_decimal=lambda: Decimal(7))
    marks = Marks(most)
    marks.told("X", Top(0, price, price))
    for number in range(4):
        told = {"client_order_id": number, "trade_id": 1, "instrument_id": "X"}
        marks.filled(Event(ts_event=number * 1000 * SECOND_NS, **told))
    marks.finish(10_000 * SECOND_NS)
    return marks


def test_marks_after_fills_long_ago_are_not_kept() -> None:
    """All of them below the limit: the record is the same as without one."""
    assert _marked(4).after == _marked(None).after
    few, every = _marked(2).after, _marked(None).after
    assert len(few) == 2
    assert few == {name: every[name] for name in few}
