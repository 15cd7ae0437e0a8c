"""Orders of an earlier run in a live run: the backtest is given what was left of them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.research.runs import Run
from fairlead.engine.run.parity import parity_of
from tests.unit.run.conftest import changed
from tests.unit.run.test_parity import SECOND_NS, edited, rows_of

JOURNAL_LACKS = ("changes", "asked", "trigger_type", "market", "market_at_end")


BROUGHT = "of orders of earlier runs in "


@pytest.mark.parametrize(
    "told",
    [None, {"ts_event": -SECOND_NS}, {"ts_event": SECOND_NS // 50, "at_start": True}],
    ids=["never", "by the venue", "as a sum"],
)
def test_half_of_it_was_executed_before(copied: Path, told: dict[str, Any] | None) -> None:
    """It was twice as large; `told`: the run's start books the first half, as of then or of now."""
    start, names = Run.at(copied).summary["start_ns"], list[str]()

    def twice(rows: list[dict[str, Any]]) -> None:
        row = next(
            one
            for one in rows
            if one["kind"] == "LIMIT" and one["status"] == "FILLED" and not one["reduce_only"]
            if [fill["liquidity"] for fill in one["fills"]] == ["MAKER"]
        )
        size = Decimal(row["quantity"])
        row |= {"quantity": str(2 * size), "filled": str(2 * size), "changes": []}
        if told:
            ts = start + told["ts_event"]
            size = f"{row['fills'][0]['quantity']}00"  # a sum, as the desk has it
            row["fills"].insert(0, {**row["fills"][0], **told, "ts_event": ts, "quantity": size})
        names.append(row["client_order_id"])
        row["ts_init"] = start - 100 * SECOND_NS

    changed(copied, mode="live")
    found = parity_of(edited(copied, twice))
    assert [one for one in found.differences if one.order in names] == []
    assert any(f"1 execution {BROUGHT}" in note for note in found.notes) is bool(told)


def test_what_was_left_has_the_digits_of_its_instrument(copied: Path) -> None:
    """Some venues tell eight of what was executed."""
    start, names = Run.at(copied).summary["start_ns"], list[str]()

    def earlier(rows: list[dict[str, Any]]) -> None:
        row = next(one for one in rows if one["kind"] == "LIMIT" and one["status"] == "FILLED")
        row |= {"filled": f"{Decimal(row['filled']):.10f}", "ts_init": start - SECOND_NS}
        names.append(row["client_order_id"])

    changed(copied, mode="live")
    found = parity_of(edited(copied, earlier))
    assert [str(one) for one in found.differences if one.order in names] == []


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("status", ["FILLED", "CANCELED"])
def test_what_was_over_when_the_run_began_is_not_given_again(
    copied: Path, status: str, is_known: bool
) -> None:
    """The journal alone knows it, or NautilusTrader knew it as ended before."""
    start = Run.at(copied).summary["start_ns"]

    def add(rows: list[dict[str, Any]]) -> None:
        like = next(one for one in rows if one["kind"] == "LIMIT" and one["status"] == "FILLED")
        fills = [{**like["fills"][0], "ts_event": start - 50 * SECOND_NS}]
        row = {
            **like,
            "client_order_id": "earlier",
            "status": status,
            "ts_init": start - 100 * SECOND_NS,
            "ts_accepted": start - 99 * SECOND_NS,
            "ts_last": start - 50 * SECOND_NS,
            "ts_cancelled": None,
            "fills": fills if status == "FILLED" else [],
        }
        if not is_known:
            for key in JOURNAL_LACKS:
                row.pop(key, None)
            row |= {"ts_accepted": None, "ts_last": None}
        rows.append(row)

    changed(copied, mode="live")
    before = parity_of(Run.at(copied))
    found = parity_of(edited(copied, add))
    found_rows, mark = rows_of(copied), Run.at(copied).summary["instruments"][0]["mark"]
    assert found.orders == before.orders
    assert found.differences == before.differences
    (row,) = (one for one in found_rows if one["client_order_id"] == "earlier")
    for (net, again), (mine, theirs) in zip(before.nets.values(), found.nets.values(), strict=True):
        assert again == theirs
        assert net - mine == sum(_brought(row, fill, mark) for fill in row["fills"])
    assert "1 orders had ended when the run began: they are not compared" in found.notes


def _brought(row: dict[str, Any], fill: dict[str, Any], mark: str) -> Decimal:
    size = Decimal(fill["quantity"]) * (1 if row["side"] == "BUY" else -1)
    fee = Decimal(fill["fee"].split()[0])
    return size * (Decimal(mark) - Decimal(fill["price"])) - fee


def test_one_that_rested_before_the_run_is_not_late(copied: Path) -> None:
    """Were it told as accepted long before: the backtest is given it when it begins."""
    start, names = Run.at(copied).summary["start_ns"], list[str]()

    def rested(rows: list[dict[str, Any]]) -> None:
        row = next(one for one in rows if one["kind"] == "LIMIT" and one["status"] == "CANCELED")
        names.append(row["client_order_id"])
        row |= {"ts_init": start - 9 * SECOND_NS, "ts_accepted": start - 8 * SECOND_NS}

    changed(copied, mode="live")
    found = parity_of(edited(copied, rested))
    assert not [one for one in found.differences if one.kind == "latency"], found.differences
