"""A reduce-only order that a backtest cuts to NautilusTrader's position, and a run to ours."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.parity import Difference, compared
from tests.unit.research.test_parity import BEGIN_NS, SECOND_NS, row

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
