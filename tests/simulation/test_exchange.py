"""The simulated exchange: matching, stops, holds, fees, and the refusal of what is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.adapters.simulation.exchange import Exchange, ExchangeListener, ExchangeOptions
from fairlead.adapters.simulation.orders import (
    FeeSchedule,
    FillEntry,
    MarketSpec,
    NewOrder,
    OrderEntry,
    Refusal,
    RefusalCode,
    SimOrder,
    Status,
)
from fairlead.engine.orders.model import Side, Tif, TriggerCondition

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
M = "btcusdt"


def make_exchange(fees: FeeSchedule | None = None, **options: object) -> Exchange:
    spec = MarketSpec(
        id=M,
        base="BTC",
        quote="USDT",
        price_precision=2,
        size_precision=4,
        fees=fees or FeeSchedule.per_side(buy=D("0.001"), sell=D("0.002")),
        min_notional=D(10),
    )
    exchange = Exchange([spec], ExchangeOptions(**options))  # type: ignore[arg-type]
    for account in ("alice", "bob"):
        exchange.open_account(account)
        exchange.adjust(account, "USDT", D(100_000), D(0), "deposit", 1)
        exchange.adjust(account, "BTC", D(10), D(0), "deposit", 1)
    return exchange


def order(side: Side, quantity: str, price: str | None = None, **more: object) -> NewOrder:
    return NewOrder(
        market=M,
        side=side,
        quantity=D(quantity),
        price=None if price is None else D(price),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("side", "price", "limit"), [(BUY, "101.5", "150"), (SELL, "98", "50")])
@pytest.mark.parametrize("is_market", [False, True])
def test_a_dealer_fills_an_order_whole_at_its_own_price(
    side: Side, price: str, limit: str, is_market: bool
) -> None:
    """A limit far beyond holds no more than the deal costs; the book has no part in it."""
    exchange = make_exchange(FeeSchedule())
    for each, at in ((BUY, "99"), (SELL, "101")):
        exchange.set_level(M, each, D(at), D(1), 2)
    new = order(side, "2", None if is_market else limit, time_in_force=Tif.FOK)
    done = accepted(exchange.deal("alice", new, D(price), 3))
    assert (done.status, done.executed, done.avg_price, done.hold) == (
        *(Status.FILLED, D(2), D(price), D(0)),
    )
    (fill,) = exchange.ledger.fills("alice")
    assert (fill.quantity, fill.price) == (D(2), D(price))
    sign = 1 if side is BUY else -1
    assert exchange.ledger.balance("alice", "BTC").free == 10 + sign * 2
    assert exchange.ledger.balance("alice", "USDT").free == 100_000 - sign * 2 * D(price)
    assert exchange.ledger.balance("alice", "USDT").locked == 0
    assert exchange.ledger.total("USDT") == 200_000
    book = exchange.markets[M].book
    assert (book.bids.levels(9), book.asks.levels(9)) == ([(D(99), D(1))], [(D(101), D(1))])


@pytest.mark.parametrize(
    ("side", "price", "limit"), [(BUY, None, "150"), (BUY, "101", "100.99"), (SELL, "99", "99.01")]
)
def test_a_dealer_kills_what_it_has_no_price_for(side: Side, price: str | None, limit: str) -> None:
    exchange = make_exchange()
    before = exchange.ledger.balances("alice")
    new = order(side, "2", limit, time_in_force=Tif.FOK)
    done = accepted(exchange.deal("alice", new, None if price is None else D(price), 3))
    assert (done.status, done.executed, done.reason) == (Status.CANCELED, 0, "fill or kill")
    assert exchange.ledger.fills("alice") == []
    assert exchange.ledger.balances("alice") == before


def test_a_dealer_refuses_what_can_not_be_paid() -> None:
    exchange = make_exchange(FeeSchedule())
    refused = exchange.deal("alice", order(SELL, "11", "100"), D(100), 3)
    assert isinstance(refused, Refusal)
    assert refused.code is RefusalCode.INSUFFICIENT_FUNDS


def accepted(result: SimOrder | Refusal) -> SimOrder:
    assert isinstance(result, SimOrder), result
    return result


def refused(result: SimOrder | Refusal) -> RefusalCode:
    assert isinstance(result, Refusal), result
    return result.code


def test_buyer_pays_in_base_and_seller_in_quote() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D("100"), D("1"), 2)
    exchange.set_level(M, BUY, D("99"), D("1"), 2)

    bought = accepted(exchange.submit("alice", order(BUY, "0.5", "101"), 3))
    sold = accepted(exchange.submit("alice", order(SELL, "0.5"), 4))

    assert (bought.status, bought.avg_price, bought.hold) == (Status.FILLED, D(100), 0)
    assert (sold.status, sold.avg_price) == (Status.FILLED, D(99))
    first, second = exchange.ledger.fills("alice")
    assert (first.fee, first.fee_currency) == (D("0.0005"), "BTC")
    assert (second.fee, second.fee_currency) == (D("0.099"), "USDT")
    balances = exchange.ledger.balances("alice")
    assert (balances["BTC"].free, balances["BTC"].locked) == (D("9.9995"), 0)
    assert balances["USDT"].free == D(100_000) - 50 + D("49.5") - D("0.099")


def test_maker_and_taker_fees_in_quote_are_held_in_full() -> None:
    fees = FeeSchedule.maker_taker(D("0.001"), D("0.003"), buyer_pays_base=False)
    exchange = make_exchange(fees)
    exchange.set_level(M, SELL, D("100"), D("0.4"), 2)

    resting = accepted(exchange.submit("alice", order(BUY, "1", "100"), 3))

    assert resting.executed == D("0.4")
    usdt = exchange.ledger.balance("alice", "USDT")
    assert usdt.locked == D("60") * D("1.003")
    exchange.sweep(M, SELL, D("0.6"), 4)
    taker, maker = exchange.ledger.fills("alice")
    assert (taker.fee, maker.fee) == (D("0.12"), D("0.06"))
    assert exchange.ledger.balance("alice", "USDT").total == D(100_000) - 100 - D("0.18")
    assert exchange.ledger.balance("alice", "USDT").locked == 0


def test_time_priority_and_the_queue_ahead() -> None:
    exchange = make_exchange()
    exchange.set_level(M, BUY, D("99"), D("2"), 2)
    first = accepted(exchange.submit("alice", order(BUY, "1", "99"), 3))
    exchange.set_level(M, BUY, D("99"), D("3"), 4)  # one more behind alice
    second = accepted(exchange.submit("bob", order(BUY, "1", "99"), 5))

    exchange.sweep(M, SELL, D("2.5"), 6)
    assert (first.executed, second.executed) == (D("0.5"), 0)
    exchange.sweep(M, SELL, D("1"), 7)  # alice's rest, then half of the one behind her
    assert (first.executed, second.executed) == (D("1"), 0)
    exchange.sweep(M, SELL, D("1"), 8)
    assert second.executed == D("0.5")


def test_background_that_shrinks_leaves_from_behind() -> None:
    exchange = make_exchange()
    exchange.set_level(M, BUY, D("99"), D("5"), 2)
    mine = accepted(exchange.submit("alice", order(BUY, "1", "99"), 3))
    exchange.set_level(M, BUY, D("99"), D("2"), 4)
    exchange.print_trade(M, D("99"), D("2.25"), SELL, 5)
    assert mine.executed == D("0.25")


def test_a_recorded_trade_through_the_price_fills_first() -> None:
    exchange = make_exchange()
    exchange.set_level(M, BUY, D("99"), D("5"), 2)
    mine = accepted(exchange.submit("alice", order(BUY, "1", "99.5"), 3))
    exchange.print_trade(M, D("98"), D("1.5"), SELL, 4)
    assert (mine.status, mine.avg_price) == (Status.FILLED, D("99.5"))
    assert [t.price for t in exchange.markets[M].tape.trades] == [D("99.5"), D("98")]
    assert exchange.markets[M].book.bids.levels(5) == [(D("99"), D("5"))]


def test_background_that_crosses_a_user_fills_it_and_shows_the_rest() -> None:
    exchange = make_exchange()
    mine = accepted(exchange.submit("alice", order(SELL, "1", "101"), 3))
    exchange.set_level(M, BUY, D("102"), D("3"), 4)
    assert (mine.status, mine.avg_price) == (Status.FILLED, D("101"))
    assert exchange.markets[M].book.bids.levels(1) == [(D("102"), D("2"))]


def test_taken_liquidity_is_gone_until_the_level_is_set_again() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D("100"), D("1"), 2)
    accepted(exchange.submit("alice", order(BUY, "1", "100"), 3))
    assert exchange.markets[M].book.asks.levels(1) == []
    exchange.set_level(M, SELL, D("100"), D("1"), 4)
    assert exchange.markets[M].book.asks.levels(1) == [(D("100"), D("1"))]


@pytest.mark.parametrize(
    ("side", "condition", "trigger", "before", "fires_at"),
    [
        (BUY, TriggerCondition.GTE, "105", "104.99", "105"),
        (BUY, TriggerCondition.LTE, "95", "95.01", "94"),
        (SELL, TriggerCondition.LTE, "95", "95.01", "95"),
        (SELL, TriggerCondition.GTE, "105", "104.99", "106"),
    ],
)
def test_stops_of_both_conditions_and_sides(
    side: Side, condition: TriggerCondition, trigger: str, before: str, fires_at: str
) -> None:
    exchange = make_exchange()
    exchange.print_trade(M, D("100"), D("1"), BUY, 2)
    limit = "110" if side is BUY else "90"
    stop = accepted(
        exchange.submit(
            "alice",
            order(side, "1", limit, trigger_price=D(trigger), trigger_condition=condition),
            3,
        )
    )
    assert stop.status is Status.WAIT_TRIGGER
    currency = "USDT" if side is BUY else "BTC"
    assert exchange.ledger.balance("alice", currency).locked == stop.hold > 0

    exchange.print_trade(M, D(before), D("1"), BUY, 4)
    assert stop.status is Status.WAIT_TRIGGER
    exchange.print_trade(M, D(fires_at), D("1"), BUY, 5)
    assert (stop.status, stop.ts_triggered) == (Status.OPEN, 5)
    book_side = exchange.markets[M].book.side(side)
    assert book_side.levels(1) == [(D(limit), D("1"))]


def test_a_stop_already_satisfied_fires_at_submit() -> None:
    exchange = make_exchange()
    exchange.print_trade(M, D("100"), D("1"), BUY, 2)
    exchange.set_level(M, SELL, D("101"), D("1"), 3)
    stop = accepted(
        exchange.submit(
            "alice",
            order(BUY, "1", "102", trigger_price=D("99"), trigger_condition=TriggerCondition.GTE),
            4,
        )
    )
    assert (stop.status, stop.avg_price) == (Status.FILLED, D("101"))
    events = [e.event for e in exchange.ledger.entries if isinstance(e, OrderEntry)]
    assert events == ["accepted", "triggered", "filled"]


def test_stops_cascade() -> None:
    exchange = make_exchange()
    exchange.set_level(M, BUY, D("95"), D("1"), 2)
    exchange.print_trade(M, D("100"), D("1"), BUY, 2)
    sell = {"trigger_condition": TriggerCondition.LTE}
    first = exchange.submit("alice", order(SELL, "1", "90", trigger_price=D("98"), **sell), 3)
    second = exchange.submit("bob", order(SELL, "1", "90", trigger_price=D("96"), **sell), 3)
    exchange.print_trade(M, D("97"), D("1"), SELL, 4)  # fires the first, which trades at 95
    assert accepted(first).status is Status.FILLED
    assert accepted(second).status is Status.OPEN


def test_a_triggered_cancel_is_not_triggered_any_more() -> None:
    exchange = make_exchange(settle_ns=100)
    stop = accepted(
        exchange.submit(
            "alice",
            order(SELL, "1", "90", trigger_price=D("95"), trigger_condition=TriggerCondition.LTE),
            3,
        )
    )
    exchange.cancel("alice", stop.id, 10)
    exchange.print_trade(M, D("90"), D("1"), SELL, 20)
    assert stop.status is Status.CANCELLING
    exchange.advance(110)
    assert stop.status is Status.CANCELED
    assert exchange.ledger.balance("alice", "BTC").locked == 0


def test_a_cancelling_order_can_still_be_filled() -> None:
    exchange = make_exchange(settle_ns=100)
    part = accepted(exchange.submit("alice", order(BUY, "1", "99"), 3))
    whole = accepted(exchange.submit("alice", order(BUY, "1", "98"), 3))
    for resting in (part, whole):
        assert accepted(exchange.cancel("alice", resting.id, 10)).status is Status.CANCELLING
    exchange.sweep(M, SELL, D("0.4"), 20)
    exchange.print_trade(M, D("97"), D("0.1"), SELL, 20)
    assert (part.status, part.executed) == (Status.CANCELLING, D("0.5"))
    assert accepted(exchange.cancel("alice", part.id, 30)) is part  # harmless
    exchange.print_trade(M, D("97"), D("5"), SELL, 40)
    assert part.status is Status.FILLED
    assert whole.status is Status.FILLED
    exchange.advance(200)
    assert whole.status is Status.FILLED
    assert refused(exchange.cancel("alice", whole.id, 300)) is RefusalCode.NOT_OPEN


def test_time_in_force_and_post_only() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D("100"), D("1"), 2)
    killed = accepted(exchange.submit("alice", order(BUY, "2", "100", time_in_force=Tif.FOK), 3))
    assert (killed.status, killed.executed) == (Status.CANCELED, 0)
    assert refused(exchange.submit("alice", order(BUY, "1", "100", post_only=True), 3)) is (
        RefusalCode.WOULD_TAKE
    )
    maker = accepted(exchange.submit("alice", order(BUY, "1", "99.99", post_only=True), 3))
    assert maker.status is Status.OPEN
    part = accepted(exchange.submit("alice", order(BUY, "2", "100", time_in_force=Tif.IOC), 4))
    assert (part.status, part.executed, part.hold) == (Status.CANCELED, D("1"), 0)
    exchange.set_level(M, SELL, D("100"), D("2"), 5)
    full = accepted(exchange.submit("alice", order(BUY, "2", "100", time_in_force=Tif.FOK), 6))
    assert full.status is Status.FILLED


def test_market_orders_by_quantity_and_by_amount() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D("100"), D("1"), 2)
    exchange.set_level(M, SELL, D("110"), D("1"), 2)
    swept = accepted(exchange.submit("alice", order(BUY, "1.5"), 3))
    assert (swept.status, swept.funds) == (Status.FILLED, D("155"))
    spend = NewOrder(market=M, side=BUY, quote_amount=D("33"))
    bought = accepted(exchange.submit("alice", spend, 4))
    assert (bought.status, bought.executed, bought.hold) == (Status.FILLED, D("0.3"), 0)
    rest = accepted(exchange.submit("alice", order(BUY, "5"), 5))
    assert (rest.status, rest.executed) == (Status.CANCELED, D("0.2"))
    empty = accepted(exchange.submit("alice", order(BUY, "5"), 6))
    assert (empty.status, empty.executed) == (Status.CANCELED, 0)
    assert exchange.ledger.balance("alice", "USDT").locked == 0


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (order(BUY, "2000", "100"), RefusalCode.INSUFFICIENT_FUNDS),
        (order(SELL, "10.0001", "100"), RefusalCode.INSUFFICIENT_FUNDS),
        (order(BUY, "1", "100.001"), RefusalCode.BAD_PRICE),
        (order(BUY, "1", "-1"), RefusalCode.BAD_PRICE),
        (order(BUY, "1", "NaN"), RefusalCode.BAD_PRICE),
        (order(BUY, "1E+30", "1"), RefusalCode.BAD_QUANTITY),
        (order(BUY, "0.00001", "100000"), RefusalCode.BAD_QUANTITY),
        (order(BUY, "0", "100"), RefusalCode.BAD_QUANTITY),
        (order(BUY, "0.1", "100"), RefusalCode.MIN_NOTIONAL),
        (order(BUY, "1", "100", trigger_price=D("1")), RefusalCode.BAD_ORDER),
        (NewOrder(market=M, side=BUY), RefusalCode.BAD_ORDER),
        (NewOrder(market=M, side=SELL, quote_amount=D("5")), RefusalCode.BAD_ORDER),
        (NewOrder(market="x", side=BUY, quantity=D("5")), RefusalCode.UNKNOWN_MARKET),
    ],
)
def test_refusals_leave_no_trace(new: NewOrder, code: RefusalCode) -> None:
    exchange = make_exchange()
    before = len(exchange.ledger.entries)
    assert refused(exchange.submit("alice", new, 2)) is code
    assert len(exchange.ledger.entries) == before


def test_client_order_ids_are_refused_twice() -> None:
    exchange = make_exchange()
    first = accepted(exchange.submit("alice", order(BUY, "1", "50", client_order_id="a"), 2))
    again = order(BUY, "1", "50", client_order_id="a")
    assert refused(exchange.submit("alice", again, 3)) is RefusalCode.DUPLICATE_CLIENT_ID
    accepted(exchange.submit("bob", again, 3))
    assert exchange.order_by_client_id("alice", "a") is first
    exchange.cancel("alice", first.id, 4)
    assert refused(exchange.submit("alice", again, 5)) is RefusalCode.DUPLICATE_CLIENT_ID

    reusing = make_exchange(duplicate_client_ids="open")
    first = accepted(reusing.submit("alice", again, 2))
    assert refused(reusing.submit("alice", again, 3)) is RefusalCode.DUPLICATE_CLIENT_ID
    reusing.cancel("alice", first.id, 4)
    accepted(reusing.submit("alice", again, 5))


def test_self_trade_is_allowed_or_expires_the_taker() -> None:
    allowing = make_exchange()
    accepted(allowing.submit("alice", order(SELL, "1", "100"), 2))
    taker = accepted(allowing.submit("alice", order(BUY, "1", "100"), 3))
    assert taker.status is Status.FILLED

    expiring = make_exchange(self_trade="expire_taker")
    maker = accepted(expiring.submit("alice", order(SELL, "1", "100"), 2))
    taker = accepted(expiring.submit("alice", order(BUY, "1", "100"), 3))
    assert (maker.status, taker.status) == (Status.OPEN, Status.CANCELED)
    other = accepted(expiring.submit("bob", order(BUY, "1", "100"), 4))
    assert (other.status, maker.status) == (Status.FILLED, Status.FILLED)


def test_an_order_of_another_account_does_not_exist() -> None:
    exchange = make_exchange()
    mine = accepted(exchange.submit("alice", order(BUY, "1", "50"), 2))
    assert refused(exchange.cancel("bob", mine.id, 3)) is RefusalCode.UNKNOWN_ORDER
    assert exchange.order("bob", mine.id) is None


def test_halted_market_takes_cancels_only() -> None:
    exchange = make_exchange()
    mine = accepted(exchange.submit("alice", order(BUY, "1", "50"), 2))
    exchange.halt(M, True)
    new = order(BUY, "1", "50")
    assert refused(exchange.submit("alice", new, 3)) is RefusalCode.MARKET_HALTED
    assert accepted(exchange.cancel("alice", mine.id, 4)).status is Status.CANCELED


def test_listeners_rebuild_the_book_and_hear_every_fill() -> None:
    class Recorder(ExchangeListener):
        def __init__(self) -> None:
            self.levels: dict[tuple[Side, Decimal], Decimal] = {}
            self.fills: list[FillEntry] = []

        def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
            self.levels[side, price] = size
            if size == 0:
                del self.levels[side, price]

        def filled(self, fill: FillEntry) -> None:
            self.fills.append(fill)

    exchange = make_exchange()
    heard = Recorder()
    exchange.listeners.append(heard)
    exchange.replace_background(
        M, {D("99"): D("1"), D("98"): D("2")}, {D("101"): D("1"), D("102"): D("2")}, 2
    )
    exchange.submit("alice", order(BUY, "1.5", "101"), 3)
    exchange.submit("bob", order(SELL, "0.7", "99"), 4)
    exchange.replace_background(M, {D("98"): D("3")}, {D("103"): D("2")}, 5)
    book = exchange.markets[M].book
    shown = {(BUY, p): s for p, s in book.bids.levels(100)}
    shown |= {(SELL, p): s for p, s in book.asks.levels(100)}
    assert heard.levels == shown
    told = exchange.ledger.fills("alice") + exchange.ledger.fills("bob")
    assert sorted(heard.fills, key=lambda f: f.seq) == sorted(told, key=lambda f: f.seq)
    assert heard.fills == [e for e in exchange.ledger.entries if isinstance(e, FillEntry)]
    assert len(heard.fills) >= 3


def test_time_never_goes_back() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D("100"), D("1"), 500)
    late = accepted(exchange.submit("alice", order(BUY, "1", "100"), 3))
    assert late.ts_created == 500
