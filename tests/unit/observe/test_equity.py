"""What an account was worth: a venue's wallet nets positions, a balance has its own decimals."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import AccountType, Currency

from fairlead.engine.observe.account import InstrumentSummary
from fairlead.engine.observe.equity import balance_changes, equity

D = Decimal


def cache(kind: AccountType, **totals: str) -> Any:
    balances = {
        Currency.from_str(code): SimpleNamespace(
            total=SimpleNamespace(as_decimal=lambda total=total: D(total))
        )
        for code, total in totals.items()
    }
    account = SimpleNamespace(account_type=kind, balances=lambda: balances)
    return SimpleNamespace(account_for_venue=lambda _: account)


def traded(
    position: str, unrealized: str, net: str, *, fills: int = 1, quote: str = "USDT"
) -> InstrumentSummary:
    zero = D(0)
    return InstrumentSummary(
        instrument="BTC.TEST",
        base="BTC",
        quote=quote,
        fills=fills,
        bought=zero,
        sold=zero,
        turnover=zero,
        opening_position=zero,
        opening_cost=zero,
        position=D(position),
        position_max=zero,
        mark=D(100),
        realized=zero,
        unrealized=D(unrealized),
        fees_value=zero,
        net=D(net),
    )


@pytest.mark.parametrize(
    ("started", "expected"), [(None, (100_000, "99971.5")), (["100000 USDT"], (99_995, "99966.5"))]
)
def test_two_strategies_against_each_other_are_netted_in_a_wallet_of_a_venue(
    started: list[str] | None, expected: tuple[Any, Any]
) -> None:
    """A simulated account has a position of each strategy instead, and what each realized."""
    whole = traded("0.08", "-3", "-28.5")
    parts = [traded("0.37", "-6", "-26"), traded("-0.29", "-2", "-2.5")]
    found = equity(cache(AccountType.MARGIN, USDT="99974.5"), ["TEST"], [whole], parts, started)
    worth = found["TEST"]["USDT"]
    assert (worth.start, worth.end) == (D(expected[0]), D(expected[1]))


@pytest.mark.parametrize(("base", "quote"), [("0.05", "6915.25"), ("-0.05", "13030.75")])
def test_a_margin_account_that_tells_its_positions_as_paid_is_worth_its_wallet(
    base: str, quote: str
) -> None:
    """9,973 USDT and 0.05 BTC at 61,155, bought or sold: marked at 61,155, it is worth 9,973."""
    held = {"BTC": base, "USDT": quote}
    whole = msgspec.structs.replace(traded(base, "-1.5", "-3.5"), mark=D(61_155))
    account = cache(AccountType.MARGIN, **held)
    found = equity(account, ["TEST"], [whole], [whole], None, ["TEST"])["TEST"]["USDT"]
    assert (found.start, found.end) == (D("9976.5"), D("9973.0"))


@pytest.mark.parametrize(
    ("kind", "balance", "unrealized", "start", "end"),
    [
        (AccountType.CASH, "1000", "0", "1199", "1198"),
        (AccountType.MARGIN, "1000", "50", "1051", "1050"),
    ],
)
def test_what_was_taken_over_is_in_start_and_end_at_the_same_marks(
    kind: AccountType, balance: str, unrealized: str, start: str, end: str
) -> None:
    """2 were held that had cost 150, and are worth 200; what was traded since lost 1."""
    whole = msgspec.structs.replace(
        traded("1.98", unrealized, "49"), opening_position=D(2), opening_gain=D(50)
    )
    account = cache(kind, USDT=balance, BTC="1.98")
    worth = equity(account, ["TEST"], [whole], [whole])["TEST"]["USDT"]
    assert (worth.start, worth.end) == (D(start), D(end))
    assert (worth.change, worth.taken_over) == (-1, 50)
    blind = msgspec.structs.replace(whole, mark=None)
    assert equity(account, ["TEST"], [blind], [blind])["TEST"] == {}


def test_a_balance_in_cents_is_rounded_by_cents() -> None:
    account = cache(AccountType.CASH, AUD="99190.91", BTC="0")
    whole = traded("0", "0", "-809.097", quote="AUD")
    worth = equity(account, ["TEST"], [whole], [], ["100000 AUD"])["TEST"]["AUD"]
    assert (worth.start, worth.rounding) == (D(100_000), D("0.007"))
    assert worth.end == worth.start + worth.change + worth.rounding


def test_more_than_cents_is_no_rounding() -> None:
    account = cache(AccountType.CASH, AUD="99190.95", BTC="0")
    whole = traded("0", "0", "-809.097", quote="AUD")
    worth = equity(account, ["TEST"], [whole], [], ["100000 AUD"])["TEST"]["AUD"]
    assert (worth.start, worth.rounding) == (D("100000.047"), D(0))


def test_an_inverse_contract_counts_by_its_fills_and_not_by_the_kernels_balance() -> None:
    """NautilusTrader's balance lost 0.0946 BTC where 0.0939 were; with 0.01 that is open."""
    one = traded("0", "0.01", "-0.0838", quote="BTC")
    book = cache(AccountType.MARGIN, BTC="1.9054")
    started = ["2 BTC"]
    found = equity(book, ["TEST"], [one], [one], started)
    worth = found["TEST"]["BTC"]
    assert (worth.start, worth.end) == (2, D("1.9162"))
    assert (worth.change, worth.rounding) == (D("-0.0838"), 0)
    moved = balance_changes(book, ["TEST"], started, [one], found)
    assert moved == {"TEST": {"BTC": D("-0.09380000")}}
