"""The oracle finds each kind of fill that could not have been, and lets right ones pass."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tests.parity.oracle import judge
from tests.parity.orders import Order, Rules
from tests.parity.tape import Event, Print, Told

MS = 1_000_000
NAME = "AAA.TEST"
RULES = Rules(latency_ns=5 * MS)
BIDS = {"99.5": "5", "99.4": "5", "99.3": "5"}
ASKS = {"99.6": "5", "99.7": "5", "99.8": "5"}


def book(ms: int, bids: dict[str, str], asks: dict[str, str], kind: str = "levels") -> Told:
    def side(told: dict[str, str]) -> dict[Decimal, Decimal]:
        return {Decimal(price): Decimal(size) for price, size in told.items()}

    return Told(ms * MS, kind, side(bids), side(asks), ms * MS, ms)


def trade(ms: int, price: str, size: str, taker: str) -> Print:
    return Print(ms * MS, Decimal(price), Decimal(size), taker, ms * MS)


START = book(1, BIDS, ASKS, "snapshot")
LAST = book(9000, {}, {})


def fill(ms: float, price: str, quantity: str, liquidity: str = "TAKER") -> dict[str, Any]:
    ts = int(ms * MS)
    terms = {"price": price, "quantity": quantity, "liquidity": liquidity}
    return {"trade_id": f"T-{ms}-{price}", "ts_event": ts, **terms}


def order(
    ms: int, side: str, quantity: str, *fills: dict[str, Any], kind: str = "MARKET", **more: Any
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "client_order_id": f"O-{ms}",
        "strategy": "S-1",
        "instrument": NAME,
        "side": side,
        "kind": kind,
        "quantity": quantity,
        "price": None,
        "trigger_price": None,
        "trigger_type": "LAST_PRICE" if "trigger_price" in more else None,
        "time_in_force": "GTC",
        "post_only": False,
        "reduce_only": False,
        "entry": None,
        "status": "FILLED",
        "reason": None,
        "ts_init": ms * MS,
        "ts_last": 8000 * MS,
        "changes": [],
        "fills": list(fills),
    }
    return row | more


def kinds(
    rows: Sequence[dict[str, Any]], events: Sequence[Event], rules: Rules = RULES
) -> set[str]:
    tape = sorted([START, *events, LAST], key=lambda event: event.ts)
    found = judge([Order(row, rules) for row in rows], {NAME: tape}, rules)
    return {one.kind for one in found}


def stop(*fills: dict[str, Any], side: str = "SELL", **more: Any) -> dict[str, Any]:
    terms = {"trigger_price": "99.0", "price": "97.0"} | more
    return order(10, side, "1", *fills, kind="STOP_LIMIT", **terms)


def resting(*fills: dict[str, Any], quantity: str = "2", **more: Any) -> dict[str, Any]:
    return order(10, "BUY", quantity, *fills, kind="LIMIT", **{"price": "99.5"} | more)


def offer(*fills: dict[str, Any], **more: Any) -> dict[str, Any]:
    return order(10, "SELL", "9", *fills, kind="LIMIT", **{"price": "99.55"} | more)


COMES = book(20, {"99.57": "3"}, {})  # upon the offer
RUN_THROUGH = [trade(30, "99.5", "5", "SELL"), trade(30, "98.95", "3", "SELL")]
WHOLE_AT_ONCE = [trade(30, "99.5", "5", "SELL")]
WHOLE_QUEUE = [trade(40, "99.5", "5", "SELL")]
MINE = trade(50, "99.5", "2", "SELL")

TWICE = [book(15, {}, {"99.55": "5"}), book(15, {}, {"99.55": "5"})]


def three(last: str) -> list[dict[str, Any]]:
    """Orders of one moment that take 1, 4 and 1, and `last` of the same level."""
    both = [fill(15, "99.55", "4"), fill(15, "99.55", "1") | {"trade_id": "T-again"}]
    return [
        order(10, "BUY", "1", fill(15, "99.55", "1")),
        order(10, "BUY", "5", *both, client_order_id="O-b"),
        order(10, "BUY", last, fill(15, "99.55", last), client_order_id="O-c"),
    ]


def two_stops(by_book: str, by_trade: str) -> list[dict[str, Any]]:
    """One that a level's end fires, and a later one that a trade of the same nanosecond fires."""
    more: dict[str, Any] = {"kind": "STOP_LIMIT", "price": "99.65"}
    return [
        order(
            10,
            "BUY",
            by_book,
            fill(30, "99.6", by_book),
            trigger_price="99.58",
            **more | {"trigger_type": "BID_ASK"},
        ),
        order(12, "BUY", by_trade, fill(30, "99.6", by_trade), trigger_price="99.6", **more),
    ]


TRADED = [book(5, {}, {"99.57": "1"}), trade(30, "99.6", "2", "BUY")]
TOLD_AGAIN = [*TRADED, book(30, {}, {"99.57": "0", "99.6": "3"})]
NOT_TOLD = [*TRADED, book(30, {}, {"99.57": "0"})]


RIGHT: dict[str, tuple[list[dict[str, Any]], list[Event]]] = {
    "a walk of the levels": (
        [order(10, "BUY", "7", fill(15, "99.6", "5"), fill(15, "99.7", "2"))],
        [],
    ),
    "a stop that gets what the trade that fires it left": (
        [stop(fill(30, "99.5", "1"), trigger_price="99.5")],
        [trade(30, "99.5", "4", "SELL")],
    ),
    "a market order behind two trades, of what they left, and of the next level": (
        [order(10, "BUY", "4", fill(15, "99.6", "2"), fill(15, "99.7", "2"))],
        [trade(11, "99.6", "1", "BUY"), trade(12, "99.6", "2", "BUY")],
    ),
    "a level that may show already what the trade left of it, as it is shown or less": (
        [
            order(10, "BUY", "4", fill(15, "99.6", "4")),
            order(11, "BUY", "1", fill(16, "99.7", "1")),
        ],
        [
            Told(11 * MS, "levels", {}, {Decimal("99.6"): Decimal(4)}, 11 * MS),
            Print(12 * MS, Decimal("99.6"), Decimal(2), "BUY", 10 * MS),
        ],
    ),
    "a stop at the level that is left": (
        [stop(fill(30, "98.9", "1"))],
        [
            book(20, {"98.9": "5"}, {}),
            trade(30, "99.5", "5", "SELL"),
            trade(30, "98.95", "3", "BUY"),
        ],
    ),
    "a stop that found nothing, and the book of later": (
        [stop(fill(40, "98.9", "1"))],
        [*RUN_THROUGH, book(40, {"99.5": "0", "99.4": "0", "99.3": "0", "98.9": "5"}, {})],
    ),
    "a stop beyond its limit, resting, that the market comes back to": (
        [stop(fill(60, "99.2", "1"), price="99.2")],
        [*RUN_THROUGH, trade(60, "99.3", "1", "BUY")],
    ),
    "a touched order": (
        [
            order(
                10,
                "SELL",
                "1",
                fill(30, "99.5", "1"),
                kind="LIMIT_IF_TOUCHED",
                trigger_price="99.6",
                price="99.0",
            )
        ],
        [trade(30, "99.6", "1", "BUY")],
    ),
    "a maker after its queue": ([resting(fill(50, "99.5", "2", "MAKER"))], [*WHOLE_QUEUE, MINE]),
    "a maker that shares a trade with its queue": (
        [resting(fill(40, "99.5", "1", "MAKER"), status="CANCELED")],
        [trade(40, "99.5", "6", "SELL")],
    ),
    "a maker whose queue a trade took, after the book that told of it": (
        [resting(fill(61, "99.5", "1", "MAKER"), fill(120, "99.5", "1", "MAKER"))],
        [
            book(60, {"99.5": "1"}, {}),
            trade(61, "99.5", "6", "SELL"),
            book(65, {"99.5": "3"}, {}),
            trade(120, "99.5", "1", "SELL"),
        ],
    ),
    "a maker whose queue was cancelled long before the trade": (
        [resting(fill(111, "99.5", "2", "MAKER"))],
        [book(60, {"99.5": "0"}, {}), trade(111, "99.5", "2", "SELL")],
    ),
    "a maker whose queue was cancelled": (
        [resting(fill(90, "99.5", "1", "MAKER"), quantity="1")],
        [book(30, {"99.5": "1"}, {}), trade(90, "99.5", "2", "SELL")],
    ),
    "a maker that the market went through": (
        [resting(fill(40, "99.5", "2", "MAKER"))],
        [trade(40, "99.4", "2", "SELL")],
    ),
    "a maker that met a level, and what a trade took besides": (
        [offer(fill(20, "99.55", "3", "MAKER"), fill(40, "99.55", "1", "MAKER"))],
        [COMES, trade(40, "99.57", "4", "SELL")],
    ),
    "a maker that met a level that was told again": (
        [offer(fill(20, "99.55", "3", "MAKER"), fill(40, "99.55", "2", "MAKER"))],
        [COMES, book(40, {"99.57": "2"}, {})],
    ),
    "a trade of the moment in which its level was told, before or after it": (
        [offer(fill(20, "99.55", "3", "MAKER"), fill(20, "99.55", "3", "MAKER"))],
        [COMES, trade(20, "99.57", "3", "SELL")],
    ),
    "a trade at a level that nobody knows any more": (
        [offer(fill(20, "99.55", "3", "MAKER"), fill(40, "99.55", "3", "MAKER"))],
        [COMES, book(30, {}, {}, "silence"), trade(40, "99.57", "3", "SELL")],
    ),
    "makers of which one is booked late": (
        [
            order(10, "SELL", "2", fill(40, "99.55", "2", "MAKER"), kind="LIMIT", price="99.55"),
            order(
                25,
                "SELL",
                "2",
                fill(40, "99.56", "2", "MAKER"),
                kind="LIMIT",
                price="99.56",
            ),
        ],
        [trade(22, "99.58", "2", "SELL"), trade(40, "99.6", "2", "BUY")],
    ),
    "a maker that met a level in its way, and a buyer": (
        [offer(fill(20, "99.55", "3", "MAKER"), fill(40, "99.55", "3", "MAKER"))],
        [COMES, trade(40, "99.6", "3", "BUY")],
    ),
    "a level that was told again at the same size": (
        [
            order(10, "BUY", "5", fill(15, "99.6", "5")),
            order(20, "BUY", "5", fill(25, "99.6", "5")),
        ],
        [book(18, {}, {"99.6": "5"})],
    ),
    "a level told twice in one nanosecond": (three("4"), TWICE),
    "a level before it is told again in one nanosecond, and after": (
        two_stops("3", "3"),
        TOLD_AGAIN,
    ),
    "either side of the same nanosecond": (
        [
            order(10, "BUY", "1", fill(15, "99.6", "1")),
            order(10, "BUY", "1", fill(15, "99.55", "1"), client_order_id="O-b"),
        ],
        [book(15, {}, {"99.55": "5"})],
    ),
    "a changed order is judged by what it was changed to": (
        [
            resting(
                fill(60, "99.4", "2", "MAKER"),
                price="99.4",
                changes=[
                    {"quantity": "2", "price": "99.5", "trigger_price": None, "ts_event": 10 * MS},
                    {"quantity": "2", "price": "99.4", "trigger_price": None, "ts_event": 30 * MS},
                ],
            )
        ],
        [trade(50, "99.4", "5", "SELL"), trade(60, "99.4", "2", "SELL")],
    ),
    "exits of their own entry": (
        [
            order(10, "BUY", "1", fill(15, "99.6", "1")),
            order(20, "SELL", "1", fill(25, "99.5", "1"), reduce_only=True, entry="O-10"),
        ],
        [],
    ),
}

WRONG: dict[str, tuple[str, list[dict[str, Any]], list[Event]]] = {
    "a stop at its own limit": (
        "at its own limit, where nothing stood",
        [stop(fill(30, "97.0", "1"))],
        RUN_THROUGH,
    ),
    "a touched order at its own limit": (
        "at its own limit, where nothing stood",
        [
            order(
                10,
                "BUY",
                "1",
                fill(30, "100.3", "1"),
                kind="LIMIT_IF_TOUCHED",
                trigger_price="99.5",
                price="100.3",
            )
        ],
        [trade(30, "99.5", "1", "SELL")],
    ),
    "a price that nobody named": (
        "where nothing stood",
        [order(10, "BUY", "1", fill(15, "99.65", "1"))],
        [],
    ),
    "a stop that gets what the trade that fires it took": (
        "where nothing stood",
        [stop(fill(30, "98.95", "1"))],
        RUN_THROUGH,
    ),
    "a stop at a level that the trade emptied": (
        "better than the market",
        [stop(fill(30, "99.5", "1"), trigger_price="99.5")],
        WHOLE_AT_ONCE,
    ),
    "a stop that gets more than the trade left": (
        "more than stood there",
        [stop(fill(30, "99.5", "1"), trigger_price="99.5")],
        [trade(30, "99.5", "4.1", "SELL")],
    ),
    "a market order behind a trade, of what it took": (
        "more than stood there",
        [order(10, "BUY", "4", fill(15, "99.6", "4"))],
        [trade(12, "99.6", "2", "BUY")],
    ),
    "a level that was told before the trade, as if it showed what that left": (
        "more than stood there",
        [order(10, "BUY", "4", fill(15, "99.6", "4"))],
        [
            Told(11 * MS, "levels", {}, {Decimal("99.6"): Decimal(4)}, 11 * MS),
            Print(12 * MS, Decimal("99.6"), Decimal(2), "BUY", 12 * MS),
        ],
    ),
    "what a trade took of a level behind a best quote": (
        "more than stood there",
        [order(10, "BUY", "6", fill(15, "99.55", "1"), fill(15, "99.6", "5"))],
        [trade(11, "99.6", "2", "BUY"), book(12, {"99.5": "1"}, {"99.55": "1"}, "quote")],
    ),
    "an old book": (
        "better than the market",
        [stop(fill(30, "99.5", "1"))],
        [book(20, {"98.9": "5"}, {}), *RUN_THROUGH],
    ),
    "levels that a trade ran through": (
        "better than the market",
        [order(10, "BUY", "1", fill(15, "99.6", "1"))],
        [trade(12, "99.7", "1", "BUY")],
    ),
    "better than the best quote": (
        "better than the market",
        [order(10, "BUY", "1", fill(15, "99.6", "1"))],
        [book(12, {"99.5": "1"}, {"99.7": "1"}, "quote")],
    ),
    "more than the level's size": (
        "more than stood there",
        [order(10, "BUY", "7", fill(15, "99.6", "7"))],
        [],
    ),
    "the same liquidity twice": (
        "more than stood there",
        [
            order(10, "BUY", "5", fill(15, "99.6", "5")),
            order(20, "BUY", "5", fill(25, "99.6", "5")),
        ],
        [],
    ),
    "more than a level told twice in one nanosecond": (
        "more than stood there",
        three("5"),
        TWICE,
    ),
    "more than a level after it is told again": (
        "more than stood there",
        two_stops("4", "3"),
        TOLD_AGAIN,
    ),
    "more than a level before it is told again": (
        "more than stood there",
        two_stops("3", "4"),
        TOLD_AGAIN,
    ),
    "a level twice in the nanosecond in which another is told": (
        "more than stood there",
        two_stops("3", "3"),
        NOT_TOLD,
    ),
    "a better level left out": (
        "worse than it met",
        [order(10, "BUY", "7", fill(15, "99.6", "2"), fill(15, "99.7", "5"))],
        [],
    ),
    "a refilled level that counts as taken": (
        "worse than it met",
        [
            order(10, "BUY", "5", fill(15, "99.6", "5")),
            order(20, "BUY", "5", fill(25, "99.7", "5")),
        ],
        [book(18, {}, {"99.6": "5"})],
    ),
    "no market where there is one": (
        "not filled",
        [order(10, "BUY", "5", status="REJECTED", reason="No market for AAA.TEST")],
        [],
    ),
    "a part of what stood": (
        "not filled",
        [order(10, "BUY", "7", fill(15, "99.6", "5"), status="CANCELED")],
        [],
    ),
    "a stop that nothing fired": ("not triggered", [stop(fill(30, "99.5", "1"))], []),
    "a stop before the trade that fires it": (
        "not triggered",
        [stop(fill(29, "99.5", "1"))],
        RUN_THROUGH,
    ),
    "a stop that a trade before it fired": (
        "not triggered",
        [stop(fill(20, "99.5", "1"))],
        [trade(3, "98.0", "1", "SELL"), trade(5, "99.5", "1", "SELL")],
    ),
    "a maker before its queue": (
        "before its queue",
        [resting(fill(50, "99.5", "2", "MAKER"))],
        [MINE],
    ),
    "a queue that a book and the trade after it both shorten": (
        "before its queue",
        [resting(fill(61, "99.5", "2", "MAKER"))],
        [book(60, {"99.5": "2"}, {}), trade(61, "99.5", "4", "SELL")],
    ),
    "a trade that ended the queue, which the book told of before": (
        "more than was traded",
        [resting(fill(61, "99.5", "2", "MAKER"))],
        [book(60, {"99.5": "0"}, {}), trade(61, "99.5", "5", "SELL")],
    ),
    "a maker who was alone in a trade": (
        "more than was traded",
        [resting(fill(40, "99.5", "2", "MAKER"))],
        [trade(40, "99.5", "6", "SELL")],
    ),
    "a maker that met a level, and the trade that took it": (
        "more than was traded",
        [offer(fill(20, "99.55", "3", "MAKER"), fill(40, "99.55", "3", "MAKER"))],
        [COMES, trade(40, "99.57", "3", "SELL")],
    ),
    "a maker that met a level twice": (
        "more than was traded",
        [offer(fill(20, "99.55", "3", "MAKER"), fill(40, "99.55", "3", "MAKER"))],
        [COMES, book(40, {"99.3": "1"}, {})],
    ),
    "two makers that met one level": (
        "more than was traded",
        [
            offer(fill(20, "99.55", "3", "MAKER")),
            offer(fill(20, "99.55", "3", "MAKER"), client_order_id="O-b"),
        ],
        [COMES],
    ),
    "more than a trade beyond a maker's price was": (
        "more than was traded",
        [resting(fill(40, "99.5", "2", "MAKER"))],
        [trade(40, "99.4", "1.9", "SELL")],
    ),
    "one trade for two orders": (
        "more than was traded",
        [
            resting(fill(50, "99.5", "2", "MAKER")),
            resting(fill(50, "99.5", "2", "MAKER"), client_order_id="O-b"),
        ],
        [*WHOLE_QUEUE, MINE],
    ),
    "a maker at another price than its own": (
        "maker at another price",
        [resting(fill(50, "99.4", "2", "MAKER"))],
        [*WHOLE_QUEUE, MINE],
    ),
    "a queue forgotten by a change": (
        "before its queue",
        [
            resting(
                fill(50, "99.4", "2", "MAKER"),
                price="99.4",
                changes=[
                    {"quantity": "2", "price": "99.5", "trigger_price": None, "ts_event": 10 * MS},
                    {"quantity": "2", "price": "99.4", "trigger_price": None, "ts_event": 30 * MS},
                ],
            )
        ],
        [trade(50, "99.4", "2", "SELL")],
    ),
    "beyond its limit": (
        "beyond its limit",
        [order(10, "BUY", "5", fill(15, "99.7", "5"), kind="LIMIT", price="99.6")],
        [],
    ),
    "more than it asked": (
        "more than asked",
        [order(10, "BUY", "2", fill(15, "99.6", "3"))],
        [],
    ),
    "before the latency": ("early", [order(10, "BUY", "1", fill(14, "99.6", "1"))], []),
    "after the latency": ("late", [order(10, "BUY", "1", fill(17, "99.6", "1"))], []),
    "a fired stop that waits for a better market": (
        "not filled",
        [stop(fill(50, "99.2", "1"))],
        [book(20, {"98.9": "5"}, {}), *RUN_THROUGH, book(40, {"99.2": "5"}, {})],
    ),
    "post-only that takes": (
        "post-only took",
        [order(10, "BUY", "1", fill(15, "99.6", "1"), kind="LIMIT", price="99.6", post_only=True)],
        [],
    ),
    "an exit of another entry's units": (
        "exit of what is not its own",
        [
            order(10, "BUY", "1", fill(15, "99.6", "1")),
            order(11, "BUY", "1", fill(16, "99.6", "1")),
            order(20, "SELL", "2", fill(25, "99.5", "2"), reduce_only=True, entry="O-10"),
        ],
        [],
    ),
    "reduce-only that turns the position": (
        "exit of what is not its own",
        [
            order(10, "BUY", "1", fill(15, "99.6", "1")),
            order(20, "SELL", "2", fill(25, "99.5", "2"), reduce_only=True),
        ],
        [],
    ),
}


def test_of_two_things_that_came_the_first_fill_leaves_the_second_what_it_needs() -> None:
    """Where moments are not exact a fill is judged when more has come: the level that it met stands
    still then, and the trade that came meanwhile is another order's."""
    met, other = (
        order(10, "SELL", "3", fill(ms, price, "3", "MAKER"), kind="LIMIT", price=price)
        | {"client_order_id": f"O-{price}"}
        for ms, price in ((20, "99.55"), (40, "99.58"))
    )
    events = [COMES, trade(40, "99.59", "3", "BUY"), book(45, {"99.3": "1"}, {})]
    rules = RULES._replace(slack_ns=50 * MS)
    assert kinds([met, other], events, rules) == set()
    one_more = other | {"client_order_id": "O-more"}
    assert kinds([met, other, one_more], events, rules) == {"more than was traded"}


@pytest.mark.parametrize("name", RIGHT)
def test_what_could_happen_passes(name: str) -> None:
    rows, events = RIGHT[name]
    assert kinds(rows, events) == set()


@pytest.mark.parametrize("name", WRONG)
def test_what_could_not_happen_is_found(name: str) -> None:
    kind, rows, events = WRONG[name]
    assert kind in kinds(rows, events)


def test_without_a_queue_and_consumption_they_are_not_asked_for() -> None:
    rules = RULES._replace(queue=False, consumption=False)
    assert kinds([resting(fill(50, "99.5", "2", "MAKER"))], [MINE], rules) == set()
    _, rows, events = WRONG["the same liquidity twice"]
    assert kinds(rows, events, rules) == set()


def test_slack_allows_what_came_about_then() -> None:
    rows = [order(10, "BUY", "1", fill(17, "99.65", "1"))]
    events = [book(16, {}, {"99.6": "0", "99.65": "2"}), book(18, {}, {"99.65": "0"})]
    assert kinds(rows, events, RULES._replace(slack_ns=5 * MS)) == set()
    assert kinds(rows, events) == {"late"}


def test_a_trade_through_a_resting_order_has_to_fill_it() -> None:
    bid = {"kind": "LIMIT", "price": "99.5"}
    through = [trade(50, "99.5", "1", "SELL"), trade(60, "99.4", "0.6", "SELL")]
    rest = {"status": "CANCELED", **bid}
    assert kinds([order(10, "BUY", "1", **rest)], through) == {"maker not filled"}
    half = fill(60, "99.5", "0.5", "MAKER")
    assert kinds([order(10, "BUY", "1", half, **rest)], through) == {"maker not filled"}
    right = fill(60, "99.5", "0.6", "MAKER")
    assert kinds([order(10, "BUY", "1", right, **rest)], through) == set()
    shared = order(11, "BUY", "1", **rest)
    assert kinds([order(10, "BUY", "1", right, **rest), shared], through) == set()
    assert kinds([order(10, "BUY", "1", **rest)], [trade(60, "99.4", "1", "BUY")]) == set()
    gone = order(10, "BUY", "1", **rest, ts_last=55 * MS)
    assert kinds([gone], through) == set()
