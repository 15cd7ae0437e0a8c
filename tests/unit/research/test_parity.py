"""What differs between two rows of one order, and of which class it is."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.parity import Difference, compared

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * SECOND_NS


def fill(fee: str, liquidity: str, ts: int = BEGIN_NS + SECOND_NS, size: str = "0.02") -> Any:
    return {
        "trade_id": "1",
        "quantity": size,
        "price": "59282.2",
        "fee": fee,
        "liquidity": liquidity,
        "ts_event": ts,
    }


def row(*fills: Any, name: str = "O-1", **other: Any) -> dict[str, Any]:
    return {
        "client_order_id": name,
        "strategy": "Maker-001",
        "instrument": "BTC_USDT.OCEANEX",
        "price": "59282.2",
        "changes": [],
        "status": "FILLED",
        "reason": None,
        "ts_init": BEGIN_NS,
        "ts_accepted": BEGIN_NS,
        "ts_last": BEGIN_NS + 2 * SECOND_NS,
        "fills": list(fills),
    } | other


def differences(mine: Any, theirs: Any, *more: Any, slack_ns: int = SECOND_NS) -> list[Difference]:
    """`more` are rows of both."""
    replayed = {one["client_order_id"]: one for one in (theirs, *more)}
    return compared([mine, *more], replayed, lacking=(), slack_ns=slack_ns)


@pytest.mark.parametrize("liquidity", ["MAKER", "TAKER"])
def test_a_liquidity_that_the_venue_did_not_tell_differs_from_none(liquidity: str) -> None:
    found = differences(row(fill("1.5 USDT", "NOT TOLD")), row(fill("1.50 USDT", liquidity)))
    assert found == []


def test_fees_are_equal_to_the_decimal_that_both_have() -> None:
    """A venue tells more decimals than the account's currency has."""
    told, kept = "0.05928220284 USDT", "0.05928220 USDT"
    assert differences(row(fill(told, "NOT TOLD")), row(fill(kept, "MAKER"))) == []
    assert differences(row(fill(told, "MAKER")), row(fill(kept, "MAKER"))) == []
    half, beyond = "0.059282205 USDT", "0.0592822050001 USDT"
    assert differences(row(fill(half, "MAKER")), row(fill(kept, "MAKER"))) == []
    (found,) = differences(row(fill(beyond, "MAKER")), row(fill(kept, "MAKER")))
    assert found.kind == "fee"
    (found,) = differences(row(fill("0.05928220 BTC", "MAKER")), row(fill(kept, "MAKER")))
    assert found.kind == "fee"


def test_zeros_that_nobody_wrote_make_no_fee_coarse() -> None:
    """The venue leaves them out: by its other fees it tells eight decimals."""
    other = row(fill("0.12345678 USDT", "MAKER"), name="O-2")
    (found,) = differences(
        row(fill("0.1 USDT", "NOT TOLD")), row(fill("0.14000000 USDT", "MAKER")), other
    )
    assert (found.kind, found.order) == ("fee", "O-1")


def test_the_same_execution_at_another_fee_within_the_slack_is_a_fee() -> None:
    later = BEGIN_NS + SECOND_NS + SECOND_NS // 2
    mine, theirs = row(fill("2 USDT", "NOT TOLD", later)), row(fill("1.00 USDT", "TAKER"))
    (found,) = differences(mine, theirs)
    assert (found.kind, found.why) == ("fee", "2 USDT NOT TOLD against 1 USDT TAKER")
    (found,) = differences(mine, theirs, slack_ns=1)
    assert found.kind == "unexplained"
    (found,) = differences(row(fill("1.00 USDT", "MAKER", later)), row(fill("1.00 USDT", "TAKER")))
    assert found.kind == "fee"


def test_an_execution_whose_liquidity_is_not_told_may_have_waited_for_its_turn() -> None:
    """It came earlier in the run than the queue lets it, or the backtest has it first."""
    far = BEGIN_NS + 30 * SECOND_NS
    early, late = fill("1 USDT", "NOT TOLD", far), fill("1 USDT", "MAKER", BEGIN_NS + SECOND_NS)
    (found,) = differences(row(early), row(late))
    assert found.kind == "queue"
    taker = fill("1 USDT", "TAKER", BEGIN_NS + SECOND_NS)
    (found,) = differences(row(early), row(taker))
    assert found.kind == "unexplained"
    (found,) = differences(row(early), row(status="CANCELED"))
    assert found.kind == "unexplained"
