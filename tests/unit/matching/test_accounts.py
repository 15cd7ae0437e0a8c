"""Balances at the simulated exchange, held against sums done by hand."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.matching.kit import BUY, SELL, Bench, base_fee, listing, quote_fee

BIDS, ASKS = {"99": 5, "98": 5}, {"100": 2, "101": 3}


def bench(**more):
    made = Bench(**more)
    made.book(0, BIDS, ASKS)
    return made


def test_a_cash_account_locks_what_an_order_may_cost():
    b = bench(balances={"USDT": 1000}, fees=quote_fee)
    b.order(10, "bid", BUY, 2, "90")
    assert b.balance("USDT") == ("1000", "180.18")  # 180 and the fee of a taker
    b.order(11, "too much", BUY, 10, "90")
    assert b.of("too much") == ["rejected INSUFFICIENT-FUNDS"]
    b.modify(12, "bid", quantity=12)
    assert b.of("bid")[-1] == "modify rejected INSUFFICIENT-FUNDS"
    b.modify(13, "bid", quantity=1)
    assert b.balance("USDT") == ("1000", "90.09")
    b.cancel(14, "bid")
    assert b.balance("USDT") == ("1000", "0")


def test_fills_move_both_currencies_and_the_rest_stays_locked():
    b = bench(balances={"USDT": 1000}, fees=quote_fee)
    b.order(10, "buy", BUY, 3, "100.50")
    # 2 at 100 and 0.2 of fee; 1 at 100.50 and 0.1005 wait
    assert b.balance("USDT") == ("799.8", "100.6005")
    assert b.balance("BTC") == ("2", "0")
    b.trade(20, "100.50", 1)
    assert b.balance("USDT") == ("699.24975", "0")  # as a maker half the rate: 0.05025
    assert b.balance("BTC") == ("3", "0")
    b.order(30, "ask", SELL, 2, "110")
    assert b.balance("BTC") == ("3", "2")
    b.order(31, "ask too", SELL, 2, "111")
    assert b.of("ask too") == ["rejected INSUFFICIENT-FUNDS"]


def test_a_fee_in_base_currency_is_taken_from_what_was_bought():
    b = bench(balances={"USDT": 200}, fees=base_fee)
    b.order(10, "buy", BUY, 2, "100")
    assert b.balance("USDT") == ("0", "0")
    assert b.balance("BTC") == ("1.998", "0")
    b.order(20, "sell", SELL, "1.998")
    assert b.balance("BTC") == ("0", "0")
    assert b.balance("USDT") == ("197.604198", "0")  # 197.802 less 0.197802


def test_a_market_order_that_can_not_be_paid_is_refused():
    b = bench(balances={"USDT": 300}, fees=quote_fee)
    b.order(10, "buy", BUY, 3)  # 301 and a fee
    assert b.of("buy") == ["rejected INSUFFICIENT-FUNDS"]
    b.order(11, "less", BUY, "2.9")
    assert b.filled_of("less") == ["2@100 T", "0.9@101 T"]


def test_a_stop_that_turns_out_dearer_buys_what_is_paid_for():
    b = bench(balances={"USDT": 210}, fees=quote_fee)
    b.trade(5, "100")
    b.order(10, "stop", BUY, 2, stop="104")
    assert b.balance("USDT") == ("210", "208.208")
    b.book(15, {"119": 5}, {"120": 5})
    b.trade(20, "120", 2, side=BUY)
    assert b.filled_of("stop") == ["1.748@120 T"]  # 209.76 and 0.20976
    assert b.of("stop")[-1] == "canceled INSUFFICIENT-FUNDS for the rest"
    assert b.balance("USDT") == ("0.03024", "0")


def test_a_margin_account_holds_shorts_and_books_results():
    b = bench(margin=True, balances={"USDT": 1000}, fees=quote_fee)
    b.order(10, "short", SELL, 6)  # 5 at 99, 1 at 98: 593, average 98.8333..
    assert b.balance("USDT") == ("999.407", "0")
    assert b.account.positions.quantity("S-001", "BTC_USDT.TEST") == -6
    b.order(11, "cover", BUY, 3)  # 2 at 100, 1 at 101: 301 against 296.5
    total = Decimal(b.balance("USDT")[0])
    assert round(total, 10) == Decimal("999.407") - Decimal("4.5") - Decimal("0.301")
    b.book(20, {"89": 9}, {"90": 9})
    b.order(21, "turn", BUY, 5)  # covers 3 at 90 for 26.5, opens 2
    assert round(Decimal(b.balance("USDT")[0]), 10) == total + Decimal("26.5") - Decimal("0.45")
    assert b.account.positions.quantity("S-001", "BTC_USDT.TEST") == 2
    b.order(22, "out", SELL, 2)
    assert round(Decimal(b.balance("USDT")[0]), 10) == total + Decimal("26.5") - Decimal(
        "0.45"
    ) - 2 - Decimal("0.178")


def test_initial_and_maintenance_margin_are_locked_where_the_instrument_has_them():
    known = (listing(margin_init=Decimal("0.1"), margin_maint=Decimal("0.05")),)
    b = bench(margin=True, balances={"USDT": 100}, listings=known)
    b.order(10, "bid", BUY, 5, "90")
    assert b.balance("USDT") == ("100", "45")
    b.order(11, "more", BUY, 7, "90")
    assert b.of("more") == ["rejected INSUFFICIENT-FUNDS"]
    b.trade(20, "89", 2)
    assert b.balance("USDT") == ("100", "36")  # 27 for the rest, 9 for the position
    (margin,) = b.account.margins()
    assert (margin.instrument, margin.maintenance) == ("BTC_USDT.TEST", 9)
    b.cancel(21, "bid")
    b.book(21, BIDS, ASKS)
    b.order(22, "out", SELL, 2, "99", reduce_only=True)
    assert b.balance("USDT") == ("118", "0")
    b.order(30, "large", BUY, 5)  # would need 50.1
    assert b.filled_of("large") == ["2@100 T", "3@101 T"]
    b.order(31, "larger", SELL, 500)
    assert b.of("larger")[0] == "accepted"  # what it meets, 3 and 5 of it closing


def test_an_inverse_contract_settles_in_base():
    known = (listing(settlement="BTC", is_inverse=True, multiplier=Decimal(100)),)
    b = bench(margin=True, balances={"BTC": 1}, listings=known)
    b.order(10, "buy", BUY, 1)  # 100 of quote at 100: 1 BTC
    b.book(20, {"125": 5}, {"126": 5})
    b.order(21, "sell", SELL, 1)  # 100 of quote at 125: 0.8 BTC
    assert b.balance("BTC") == ("1.2", "0")


def test_balances_are_told_before_the_fill_that_changed_them_and_else_once():
    b = bench()
    b.order(10, "buy", BUY, 4)
    told = [one.kind for one in b.told]
    assert told == ["accepted", "balances", "filled", "balances", "filled"]
    b.trade(20, "97", 1)
    assert len(b.told) == 5


def test_a_fee_in_base_currency_is_no_part_of_the_position():
    """NautilusTrader's position and the gate's have it taken off: so has a reduce-only order."""
    b = bench(fees=base_fee)
    b.order(10, "buy", BUY, 2)
    b.order(20, "out", SELL, 2, reduce_only=True)
    assert b.filled_of("out") == ["1.998@99 T"]
    b.order(30, "short", SELL, 1)
    b.order(40, "back", BUY, 1, reduce_only=True)
    assert b.filled_of("back")[0].startswith("1@")
    left = b.account.positions.quantity("S-001", "BTC_USDT.TEST")
    assert left == Decimal("-0.001")  # the fee of what was bought back
