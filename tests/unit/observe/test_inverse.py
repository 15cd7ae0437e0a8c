"""Inverse contracts: quoted in USD, worth quantity x multiplier / price of the coin."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import InstrumentId

from fairlead.engine.observe.account import Account, Books
from fairlead.engine.observe.alerts import texts
from fairlead.engine.observe.page import rows
from fairlead.engine.observe.summary import unvalued
from fairlead.engine.research import numbers, page
from fairlead.engine.research.marks import Marks, Top
from fairlead.engine.research.tables import Traded, tables
from tests.unit.backtest_kit import perpetual

D = Decimal
COIN = "BTCUSD_PERP.BINANCE"
NEAR = D("1e-14")
LIMITED = ("price", "quantity", "notional")


def coin() -> Any:
    """100 USD a contract."""
    return SimpleNamespace(
        id=COIN,
        base_currency=SimpleNamespace(code="BTC"),
        quote_currency=SimpleNamespace(code="USD"),
        settlement_currency=SimpleNamespace(code="BTC"),
        multiplier=SimpleNamespace(as_decimal=lambda: D(100)),
        is_inverse=True,
        margin_init=None,
        price_increment=SimpleNamespace(as_decimal=lambda: D("0.01")),
        size_increment=SimpleNamespace(as_decimal=lambda: D(1)),
        price_precision=2,
        size_precision=0,
        info=None,
        **dict.fromkeys(f"{one}_{of}" for one in ("min", "max") for of in LIMITED)
        | {"min_quantity": SimpleNamespace(as_decimal=lambda: D(10))},
    )


def booked(*executions: tuple[str, str], fee: str = "0") -> Account:
    """Signed contracts at prices."""
    account = Account(coin())
    for signed, price in executions:
        account.book(D(signed) > 0, abs(D(signed)), D(price), D(fee), "BTC")
    return account


def test_a_round_trip_is_reckoned_in_the_coin() -> None:
    """15 contracts of 100 USD: 1500 x (1/102500.44 - 1/102500.32), and two fees of 0.00000732."""
    told = booked(("15", "102500.44"), ("-15", "102500.32"), fee="0.00000732").summary(None)
    assert told.quote == "BTC"
    assert abs(told.realized - 1500 * (1 / D("102500.44") - 1 / D("102500.32"))) < NEAR
    assert round(told.net, 8) == D("-0.00001466")
    assert abs(told.turnover - 1500 * (1 / D("102500.44") + 1 / D("102500.32"))) < NEAR
    assert not told.position
    assert not told.unrealized


@pytest.mark.parametrize(
    ("is_inverse", "multiplier", "unit"),
    [
        (True, "100", "contracts of 100 USD"),
        (True, "1", "contracts of 1 USD"),
        (False, "0.010", "contracts of 0.01 BTC"),
        (False, "1", "BTC"),
    ],
)
def test_contracts_are_not_told_as_coins(is_inverse: bool, multiplier: str, unit: str) -> None:
    contract = coin()
    contract.is_inverse = is_inverse
    contract.multiplier = SimpleNamespace(as_decimal=lambda: D(multiplier))
    told = Account(contract).summary(None)
    assert told.unit == unit
    assert page.unit_of(msgspec.to_builtins(told)) == unit


def test_a_position_that_runs_is_told_in_contracts() -> None:
    """On the page, by `positions` and by the bot: it was "-328 BTC"."""
    contract = coin()
    contract.id = InstrumentId.from_str(COIN)
    nothing = dict.fromkeys(("top_of_book", "quote", "trade"), lambda _: None)
    sources: Any = SimpleNamespace(
        gate=SimpleNamespace(
            ledger=SimpleNamespace(by_strategy={("I-006", COIN): D(-328)}),
        ),
        cache=SimpleNamespace(
            instrument=lambda _: contract, account_for_venue=lambda _: None, **nothing
        ),
        accounts=[],
        is_real=False,
        loaded=SimpleNamespace(config=SimpleNamespace(instruments=())),
    )
    ((_, told),) = rows.positions(sources)
    assert (told.engine, told.unit) == ("-328", "contracts of 100 USD")
    assert texts.positions(sources) == f"{COIN}: -328 contracts of 100 USD"


def test_a_short_wins_what_its_contracts_are_worth_more() -> None:
    told = booked(("-10", "50000"), ("10", "40000")).summary(None)
    assert (told.realized, told.net) == (D("0.005"), D("0.005"))


@pytest.mark.parametrize(("sign", "unrealized"), [(1, "0.005"), (-1, "-0.005")])
def test_the_average_entry_is_the_harmonic_mean(sign: int, unrealized: str) -> None:
    """10 at 40000 and 10 at 60000 are 1000/40000 + 1000/60000 = 1/24 BTC: 2000 x 24 = 48000."""
    account = booked((f"{10 * sign}", "40000"), (f"{10 * sign}", "60000"))
    assert round(account.average, 12) == 48000
    at = 2000 / (D(1) / 24 - D("0.005"))  # where they are worth 0.005 BTC less
    told = account.summary(at)
    assert abs(told.unrealized - D(unrealized)) < D("1e-11")
    assert abs(told.realized) < D("1e-11")


def test_what_turns_a_position_closes_one_and_opens_another() -> None:
    told = booked(("10", "40000"), ("-20", "50000")).summary(D(62500))
    assert (told.realized, told.unrealized, told.net) == (D("0.005"), D("-0.004"), D("0.001"))


def test_parts_of_strategies_add_up_and_the_journals_cost_is_its_average_price() -> None:
    """The journal keeps quantity x price of every contract."""
    books = Books({COIN: coin()})
    books.open([(("a", COIN), (D(10), D(400000))), (("b", COIN), (D(-4), D(-240000)))])
    for strategy, signed, price in (("a", "7", "43210.7"), ("b", "-3", "51234.9")):
        for account in books.accounts(strategy, COIN):
            account.book(D(signed) > 0, abs(D(signed)), D(price), D("0.00001"), "BTC")
    (whole,) = books.instruments({COIN: D("45678.9")})
    parts = books.strategies({COIN: D("45678.9")})
    assert abs(whole.opening_cost - (D(1000) / 40000 - D(400) / 60000)) < NEAR
    assert whole.net == sum(one.net for one in parts)
    assert parts[0].opening_cost == D("0.025")
    won = [D(1000) / 40000 - 1000 / D("45678.9"), 400 / D("45678.9") - D(400) / 60000]
    assert all(abs(part.opening_gain - one) < NEAR for part, one in zip(parts, won, strict=True))
    assert abs(whole.opening_gain - sum(won)) < NEAR
    gained = 1000 * (1 / D(40000) - 1 / D("45678.9")) + 700 * (1 / D("43210.7") - 1 / D("45678.9"))
    assert abs(parts[0].net - gained + D("0.00001")) < NEAR


def test_an_opening_linear_position_counts_its_multiplier() -> None:
    """3 contracts of 10 units each at 50, by the journal 3 x 50: they have cost 1500."""
    contract = coin()
    contract.is_inverse = False
    contract.multiplier = SimpleNamespace(as_decimal=lambda: D(10))
    contract.settlement_currency = contract.quote_currency
    books = Books({COIN: contract})
    books.open([(("a", COIN), (D(3), D(150)))])
    for account in books.accounts("a", COIN):
        account.book(False, D(3), D(52), D(0), "USD")
    (whole,) = books.instruments({})
    (part,) = books.strategies({})
    assert (whole.opening_cost, part.opening_cost) == (1500, 1500)
    assert (whole.realized, whole.net, part.net) == (60, 60, 60)
    (marked,) = books.instruments({COIN: D(53)})
    assert (marked.net, marked.opening_gain) == (60, 90)


def top(ts: int, price: int) -> Top:
    known = SimpleNamespace(as_decimal=lambda: D(price))
    return Top(ts, known, known)


def order(name: str, side: str, quantity: str, price: str, ts: int) -> dict[str, Any]:
    fill = {"trade_id": name, "quantity": quantity, "price": price, "liquidity": "TAKER"}
    return {
        "client_order_id": name,
        "strategy": "s",
        "instrument": COIN,
        "side": side,
        "kind": "MARKET",
        "ts_init": ts,
        "ts_accepted": ts,
        "fills": [{**fill, "fee": "0.00001 BTC", "ts_event": ts}],
    }


def test_the_tables_and_the_trades_of_a_report_are_in_the_coin() -> None:
    """A contract of a thousand is left, of which none can be sold: at its last price."""
    marks = Marks()
    marks.samples[COIN] = [top(1, 40000), top(9, 50000)]
    traded = Traded(
        orders=[order("1", "BUY", "1000", "40000", 2), order("2", "SELL", "999", "50000", 3)],
        denials=[],
        instruments={COIN: coin()},
        started={"BINANCE": {"BTC": D(10)}},
        margin=frozenset({"BINANCE"}),
    )
    found = tables(traded, marks, [], 9)
    told = [(D(row["value"]), D(row["cash"])) for row in found["fills"]]
    assert told == [(D("2.5"), D("2.49999")), (D("1.998"), D("-1.99801"))]
    first, last = found["equity"]
    assert [D(one["equity"]) for one in (first, last)] == [D(10), D("10.49998")]
    held = msgspec.structs.replace(traded, opening=[(("s", COIN), (D(-20), D(-800000)))])
    opened = tables(held, marks, [], 9)["equity"]
    assert [D(one["equity"]) for one in opened] == [D(10), D("10.48998")], "20 short at 40000"
    assert [one["pnl"] for one in opened] == [first["pnl"], last["pnl"]]
    assert D(last["held"]) == 12  # a long of 10 BTC: 10 x 40000 x (1/40000 - 1/50000) more
    (trade,) = numbers.trades(found["fills"])
    assert trade["pnl"] == pytest.approx(0.49998)
    assert trade["currency"] == "BTC"


def test_a_linear_contracts_fee_in_its_coin_is_no_part_of_the_position() -> None:
    """It costs what it was worth; one in a third currency has no price, and that is told."""
    account = Account(perpetual("BTCUSDT.TEST"))
    for buying, price in ((True, D(100)), (False, D(110))):
        account.book(buying, D(2), price, D("0.01"), "BTC")
    found = account.summary(D(200))
    assert (found.position, found.realized) == (0, 20)
    assert (found.fees_value, found.net) == (D("2.1"), D("17.9"))
    assert unvalued([found]) == []
    account.book(True, D(1), D(100), D("0.02"), "BNB")
    account.book(False, D(1), D(100), D("0.03"), "BNB")
    found = account.summary(None)
    assert (found.net, found.fees_unvalued) == (D("17.9"), {"BNB": D("0.05")})
    (told,) = unvalued([found])
    assert told.startswith("FEES-UNVALUED BTCUSDT.TEST: 0.05 BNB of fees")
