"""Executions that a run tells as one, as its venue told their sum, beside the replay's own."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.parity import Variant, compared
from tests.unit.research.test_parity import BEGIN_NS, SECOND_NS, row

MS_NS = 1_000_000
POLL_NS = 250 * MS_NS


def part(size: str, price: str, fee: str, ms: int = 1000, liquidity: str = "TAKER") -> Any:
    return {
        "trade_id": f"T-{size}-{price}",
        "quantity": size,
        "price": price,
        "fee": fee,
        "liquidity": liquidity,
        "ts_event": BEGIN_NS + ms * MS_NS,
    }


def told(size: str, price: str, fee: str, ms: int = 1200, synthetic: bool | None = True) -> Any:
    """By the venue as a sum; None: by a run of before that was kept."""
    more = {} if synthetic is None else {"synthetic": synthetic}
    return part(size, price, fee, ms, "NOT TOLD") | {"trade_id": f"17-{size}"} | more


PARTS = (
    part("0.031328", "59973.60", "0.00003133 BTC"),
    part("0.088672", "59971.2", "0.00008867 BTC"),
)
AVERAGE = "59971.82656"


def kinds(mine: Any, theirs: Any, **more: Any) -> list[str]:
    given: dict[str, Any] = {"lacking": (), "slack_ns": 0, "poll_ns": POLL_NS, **more}
    return [one.kind for one in compared([mine], {"O-1": theirs}, **given)]


@pytest.mark.parametrize("synthetic", [True, None])
@pytest.mark.parametrize("liquidities", [("TAKER", "TAKER"), ("TAKER", "MAKER")])
def test_executions_that_a_poll_told_as_one_are_the_same(
    synthetic: bool | None, liquidities: tuple[str, str]
) -> None:
    mine = row(told("0.12", AVERAGE, "0.00012 BTC", synthetic=synthetic))
    parts = [one | {"liquidity": name} for one, name in zip(PARTS, liquidities, strict=True)]
    assert kinds(mine, row(*parts)) == []


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((PARTS[0], PARTS[1] | {"quantity": "0.088671"}), "unexplained"),  # another sum
        ((PARTS[0], PARTS[1] | {"price": "59971.3"}), "unexplained"),  # another average
        ((PARTS[0], PARTS[1] | {"ts_event": BEGIN_NS + 1451 * MS_NS}), "unexplained"),  # later
        ((PARTS[0] | {"ts_event": BEGIN_NS + 949 * MS_NS}, PARTS[1]), "unexplained"),  # earlier
        ((PARTS[0], PARTS[1] | {"fee": "0.00009867 BTC"}), "fee"),
        ((PARTS[0], PARTS[1], part("0.01", "59971.2", "0.00001 BTC")), "unexplained"),
        ((PARTS[0],), "unexplained"),
        ((), "unexplained"),
    ],
)
def test_what_is_no_such_sum_differs(parts: tuple[Any, ...], says: str) -> None:
    mine = row(told("0.12", AVERAGE, "0.00012 BTC"))
    assert kinds(mine, row(*parts)) == [says]


@pytest.mark.parametrize(("ms", "says"), [(6000, []), (-6000, ["unexplained"])])
def test_what_a_venue_never_listed_is_booked_late(ms: int, says: list[str]) -> None:
    """It lists executions, so that the order desk waits for them; none is booked early."""
    mine = row(told("0.12", AVERAGE, "0.00012 BTC", 1000 + ms))
    late = {"BTC_USDT.OCEANEX": 6 * SECOND_NS}
    assert kinds(mine, row(*PARTS), late=late) == says
    assert kinds(mine, row(*PARTS), late={"ETH_USDT.OCEANEX": 6 * SECOND_NS}) == ["unexplained"]


def test_what_the_venue_told_as_one_execution_is_one() -> None:
    mine = row(told("0.12", AVERAGE, "0.00012 BTC", synthetic=False))
    assert kinds(mine, row(*PARTS)) == ["unexplained"]


def test_the_average_is_exact_to_what_the_venue_tells_of_one() -> None:
    """Another order shows that it tells three decimals, this one's end in zeros."""
    other = row(told("0.03", "59971.333", "0.00003 BTC"), name="O-2")
    others = row(
        part("0.01", "59972", "0.00001 BTC"), part("0.02", "59971", "0.00002 BTC"), name="O-2"
    )
    for price, says in (("59971.827", []), ("59971.83", ["unexplained"])):
        mine = row(told("0.12", price, "0.00012 BTC"))
        found = compared(
            [mine, other],
            {"O-1": row(*PARTS), "O-2": others},
            lacking=(),
            slack_ns=0,
            poll_ns=POLL_NS,
        )
        assert [one.kind for one in found] == says


@pytest.mark.parametrize(("price", "says"), [("59971.827", []), ("59971.83", ["unexplained"])])
def test_an_order_of_which_a_part_was_executed_before_tells_no_decimals(
    price: str, says: list[str]
) -> None:
    """Its first execution of the run is what two averages differ by."""
    carried = told("0.07", "59970.914285714286", "0.00007 BTC")
    mine = row(told("0.12", price, "0.00012 BTC"), filled="0.12")
    parts = [part("0.03", "59971", "0.00003 BTC"), part("0.04", "59970.85", "0.00004 BTC")]
    three = row(told("0.03", "59971.333", "0.00003 BTC"), name="O-3", filled="0.03")
    theirs = {
        "O-1": row(*PARTS),
        "O-2": row(*parts, name="O-2"),
        "O-3": row(
            part("0.01", "59972", "0.00001 BTC"), part("0.02", "59971", "0.00002 BTC"), name="O-3"
        ),
    }
    found = compared(
        [mine, row(carried, name="O-2", filled="0.1"), three],
        theirs,
        lacking=(),
        slack_ns=0,
        poll_ns=POLL_NS,
    )
    assert [one.kind for one in found] == says


def test_each_poll_tells_what_is_new() -> None:
    """The price of the new part is what the averages differ by."""
    mine = row(
        told("0.02", "59973.60", "0.00002 BTC", 1100),
        told("0.1", "59971.4718720000001", "0.0001 BTC", 1400) | {"trade_id": "17-0.12"},
    )
    parts = [
        part("0.02", "59973.60", "0.00002 BTC", 1000),
        part("0.011328", "59973.60", "0.00001133 BTC", 1200),
        part("0.088672", "59971.2", "0.00008867 BTC", 1390),
    ]
    assert kinds(mine, row(*parts)) == []
    early = [parts[0], parts[1], parts[2] | {"ts_event": BEGIN_NS + 1100 * MS_NS}]
    assert kinds(mine, row(*early)) == ["unexplained"]


def test_a_maker_met_twice_within_a_poll_waited_no_longer() -> None:
    mine = row(told("0.09", "59282.2", "0.00009 BTC"))
    parts = [
        part("0.007783", "59282.2", "0.00000778 BTC", 1000, "MAKER"),
        part("0.082217", "59282.2", "0.00008222 BTC", 1038, "MAKER"),
    ]
    assert kinds(mine, row(*parts)) == []


def test_another_assumption_that_gives_it_is_known_by_its_sum_too() -> None:
    mine = row(told("0.12", AVERAGE, "0.00012 BTC"))
    late = [one | {"ts_event": BEGIN_NS + 30 * SECOND_NS} for one in PARTS]
    without = Variant(words="without a latency", rows={"O-1": row(*PARTS)})
    assert kinds(mine, row(*late), latencies=[without]) == ["latency"]
    refused = Variant(words="where it refuses", rows={"O-1": row(*PARTS)})
    assert kinds(mine, row(*late), as_refused=refused) == ["refusal"]


def test_what_was_decided_on_is_put_together_too() -> None:
    mine = row(told("0.12", AVERAGE, "0.00012 BTC"))
    bare = [{name: one[name] for name in ("quantity", "price", "ts_event")} for one in PARTS]
    assert kinds(mine, row(status="CANCELED") | {"decided": bare}) == ["booking"]


@pytest.mark.parametrize(
    ("side", "price", "shown", "says"),
    [
        ("BUY", "1.5029014", "1.5030", "rounding"),
        ("SELL", "1.499509682", "1.4995", "rounding"),
        ("BUY", "1.5029014", "1.5029", "unexplained"),  # better than the venue was
        ("BUY", "1.5029014", "1.5031", "unexplained"),  # another tick
        ("SELL", "1.4995", "1.4994", "unexplained"),  # on a tick: nothing was rounded
    ],
)
def test_a_price_finer_than_ticks_is_that_of_the_book_against_whoever_takes(
    side: str, price: str, shown: str, says: str
) -> None:
    one = part("200", price, "0 AUD") | {"synthetic": False}
    mine, theirs = row(one) | {"side": side}, row(part("200", shown, "0 AUD")) | {"side": side}
    assert kinds(mine, theirs) == [says]
    assert kinds(row(one | {"synthetic": True}) | {"side": side}, theirs) == ["unexplained"]
