"""A reduce-only order that a backtest cuts to NautilusTrader's position, and a run to ours."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.parity import Difference, compared
from tests.unit.research.test_parity import BEGIN_NS, SECOND_NS, at, exit_row, row

# A short turned by a BUY whose fee is in base currency, and short again: the part of 0.01006 that
# closed the first has paid 0.00001006, which NautilusTrader's position does not know
TRADED = (("SELL", "0.01006"), ("BUY", "0.10000"), ("SELL", "0.14000"))
# -0.01006 + 0.1 - 0.0001 - 0.14
HELD, NATIVE = "0.05016", "0.05015"


def fill(side: str, size: str, at: int, price: str = "3000.1") -> dict[str, Any]:
    fee = f"{float(size) / 1000:.8f} ETH" if side == "BUY" else "0 USDT"
    return {
        "trade_id": f"{at}",
        "quantity": size,
        "price": price,
        "fee": fee,
        "liquidity": "TAKER",
        "ts_event": BEGIN_NS + at * SECOND_NS,
    }


def order(name: str, side: str, at: int, *fills: Any, **more: Any) -> dict[str, Any]:
    ts = BEGIN_NS + at * SECOND_NS
    times = {"ts_init": ts, "ts_accepted": ts, "ts_last": ts}
    own = {"instrument": "ETH_USDT.OCEANEX", "side": side, "kind": "MARKET", "quantity": HELD}
    rest = {"time_in_force": "GTC", "reduce_only": True, "asked": []}
    return row(*fills, name=name) | times | own | rest | more


def found(mine: list[Any], theirs: list[Any]) -> list[Difference]:
    """Of a way out at 9 s, after `TRADED`."""
    before = [
        order(f"O-{at}", side, at, fill(side, size, at), reduce_only=False)
        for at, (side, size) in enumerate(TRADED)
    ]
    run, replayed = (order("O-9", "BUY", 9, *fills) for fills in (mine, theirs))
    known = {one["client_order_id"]: one for one in (*before, replayed)}
    return compared([*before, run], known, lacking=(), slack_ns=1)


def test_a_way_out_that_nautilus_cuts_to_its_own_position_is_an_exit() -> None:
    (one,) = found([fill("BUY", HELD, 9)], [fill("BUY", NATIVE, 9)])
    assert (one.kind, one.order) == ("exit", "O-9")
    assert "its position is 0.05016; NautilusTrader cut it to its own, which is 0.05015" in one.why


def test_of_several_executions_the_last_alone_may_lack() -> None:
    first, rest = fill("BUY", "0.03", 9), fill("BUY", "0.02016", 9, "3000.2")
    short = fill("BUY", "0.02015", 9, "3000.2")
    (one,) = found([first, rest], [first, short])
    assert one.kind == "exit"
    (one,) = found([first, rest], [fill("BUY", "0.03", 9, "3000.3"), short])
    assert one.kind == "unexplained"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (fill("BUY", HELD, 9), fill("BUY", "0.05013", 9)),  # less than NautilusTrader's, too
        (fill("BUY", "0.05018", 9), fill("BUY", NATIVE, 9)),  # more than there was to close
        (fill("BUY", HELD, 9), fill("BUY", NATIVE, 9, "3000.2")),  # and at another price
    ],
)
def test_what_that_position_does_not_explain_is_unexplained(mine: Any, theirs: Any) -> None:
    (one,) = found([mine], [theirs])
    assert one.kind == "unexplained"


@pytest.mark.parametrize("changed", [{"reduce_only": False}, {"side": "SELL"}])
def test_another_order_is_not_cut_to_a_position(changed: dict[str, Any]) -> None:
    before = [
        order(f"O-{at}", side, at, fill(side, size, at), reduce_only=False)
        for at, (side, size) in enumerate(TRADED)
    ]
    run, replayed = (
        order("O-9", "BUY", 9, fill("BUY", size, 9)) | changed for size in (HELD, NATIVE)
    )
    known = {one["client_order_id"]: one for one in (*before, replayed)}
    (one,) = compared([*before, run], known, lacking=(), slack_ns=1)
    assert one.kind == "unexplained"


WHOLE = at(1, "0.06")


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ([at(1, "0.04")], "exit"),
        ([at(0.5, "0.04", "59000.0")], "unexplained"),  # another price, before it was cut
        ([at(1, "0.04", "59000.0")], "unexplained"),
        ([at(0.5, "0.04")], "unexplained"),  # another time
        ([at(1, "0.07")], "unexplained"),  # and more is no cut
        ([], "exit"),
    ],
)
@pytest.mark.parametrize("is_ended", [True, False])
def test_a_cut_explains_that_one_has_less_and_no_other_price_or_time(
    theirs: list[Any], says: str, is_ended: bool
) -> None:
    """The backtest ends it at 1 s, or lowers its quantity."""
    mine = exit_row(WHOLE, status="FILLED")
    other = exit_row(*theirs, status="CANCELED")
    if not is_ended:
        other |= {"status": "FILLED", "quantity": "0.04"}
    for on_paper in (True, False):
        (one,) = compared([mine], {"O-1": other}, lacking=(), slack_ns=1, cuts_at_fills=on_paper)
        assert (one.kind == "exit") is (says == "exit"), one


@pytest.mark.parametrize(("secs", "says"), [(1, "exit"), (3, "unexplained")])
@pytest.mark.parametrize("is_ended", [True, False])
@pytest.mark.parametrize("fills", [(), (at(1, "0.04"),)])
def test_what_the_run_had_before_the_cut_the_cut_took_from_nobody(
    secs: int, says: str, is_ended: bool, fills: tuple[Any, ...]
) -> None:
    """The backtest cut it when the run had its fill at 1 s, or long after."""
    mine = exit_row(WHOLE | {"liquidity": "TAKER"}, status="FILLED")
    then = BEGIN_NS + secs * SECOND_NS
    other = exit_row(*fills, status="CANCELED") | {"ts_last": then}
    if not is_ended:
        sizes = ((BEGIN_NS, "0.06"), (then, "0.04"))
        changes = [{"ts_event": ts, "quantity": size, "price": "59282.2"} for ts, size in sizes]
        other |= {"status": "ACCEPTED", "quantity": "0.04", "changes": changes}
    (one,) = compared([mine], {"O-1": other}, lacking=(), slack_ns=1)
    assert one.kind == says


def test_live_the_end_that_the_venue_told_is_given_again_and_is_no_cut() -> None:
    """The run booked it at 5 s, and no strategy asked for it: a replay gives it when it was."""
    ended, booked = BEGIN_NS + 3 * SECOND_NS, BEGIN_NS + 5 * SECOND_NS
    mine = exit_row(status="CANCELED") | {"ts_last": booked, "ts_cancelled": ended}
    asked = [{"what": "cancel", "ts": ended + 1}]
    theirs = exit_row(WHOLE, status="CANCELED") | {"asked": asked, "ts_last": ended + 2}
    (one,) = compared([mine], {"O-1": theirs}, lacking=(), slack_ns=SECOND_NS)
    assert one.kind != "exit"


@pytest.mark.parametrize(("secs", "says"), [(0.5, "refusal"), (2, "unexplained")])
@pytest.mark.parametrize("reduce_only", [True, False])
def test_what_the_gate_did_not_let_the_backtest_change_is_no_cut(
    secs: float, says: str, reduce_only: bool
) -> None:
    """The run enlarged it, and moved its limit; in the backtest it stayed as it was."""
    moved = [(BEGIN_NS, "0.04", "59282.2"), (BEGIN_NS + SECOND_NS // 2, "0.06", "59282.1")]
    names = ("ts_event", "quantity", "price")
    changes = [dict(zip(names, one, strict=True)) for one in moved]
    mine = exit_row(at(1, "0.06", "59282.1"), status="FILLED") | {"changes": changes}
    theirs = exit_row(at(1, "0.04"), status="FILLED") | {"quantity": "0.04"}
    denied = {"O-1": (BEGIN_NS + int(secs * SECOND_NS), "REDUCE_ONLY: expected at most 0.04")}
    for one in (mine, theirs):
        one["reduce_only"] = reduce_only
    (found,) = compared(
        [mine], {"O-1": theirs}, lacking=(), slack_ns=1, unchanged=denied, cuts_at_fills=True
    )
    assert found.kind == says
    assert (found.why == "its change: REDUCE_ONLY: expected at most 0.04") is (says == "refusal")
