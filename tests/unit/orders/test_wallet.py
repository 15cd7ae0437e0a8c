"""What executions move of a margin account, whatever the venue counts into its total."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from fairlead.engine.orders.model import Side, VenueFill
from fairlead.engine.orders.wallet import Beside, Contract, Wallet

LINEAR, INVERSE = Contract("USDT"), Contract("BTC", D(100), is_inverse=True)
CONTRACTS = {"PERP.X": LINEAR, "COIN.X": INVERSE}


def fill(side: str, quantity: str, price: str, *, fee: str = "0", of: str = "PERP.X") -> VenueFill:
    return VenueFill(
        venue_order_id="1",
        trade_id="1",
        instrument=of,
        side=Side(side),
        quantity=D(quantity),
        price=D(price),
        fee=D(fee),
        fee_currency="USDT",
        client_order_id="C",
    )


def after(*fills: VenueFill) -> tuple[Wallet, dict[str, D]]:
    """The wallet, and what came to each currency."""
    wallet, came = Wallet(CONTRACTS.get), dict[str, D]()
    for one in fills:
        for moved in wallet.moved(one):
            came[moved.currency] = came.get(moved.currency, D(0)) + moved.amount
    return wallet, came


def test_an_open_position_moves_the_wallet_by_its_fee_alone() -> None:
    wallet, came = after(fill("BUY", "0.5", "60000", fee="15"))
    assert came == {"USDT": D(-15)}
    assert not wallet.is_flat
    assert wallet.beside(lambda _: D(61000)) == {"USDT": Beside(D(500), D(30500))}
    assert wallet.beside(lambda _: None) is None


def test_what_is_closed_brings_its_result_at_the_average_price() -> None:
    wallet, came = after(
        fill("BUY", "1", "100"), fill("BUY", "1", "200"), fill("SELL", "0.5", "180")
    )
    assert came == {"USDT": D(15)}  # half a unit, bought at 150
    assert wallet.beside(lambda _: D(150)) == {"USDT": Beside(D(0), D(225))}


def test_a_position_that_turns_is_closed_and_begun_anew() -> None:
    wallet, came = after(fill("SELL", "1", "100"), fill("BUY", "3", "90"), fill("SELL", "2", "95"))
    assert came == {"USDT": D(20)}  # 10 of the short, 2 x 5 of the long
    assert wallet.is_flat
    assert wallet.beside(lambda _: None) == {}


def test_an_inverse_contract_settles_in_its_base() -> None:
    wallet, _ = after(fill("BUY", "10", "50000", of="COIN.X"))
    assert wallet.beside(lambda _: D(40000)) == {"BTC": Beside(D("-0.005"), D("0.025"))}
    wallet.moved(fill("BUY", "10", "25000", of="COIN.X"))  # 0.02 + 0.04 BTC of contracts
    (brought, _) = wallet.moved(fill("SELL", "20", "40000", of="COIN.X"))
    assert (brought.currency, round(brought.amount, 9)) == ("BTC", D("0.01"))


def test_an_instrument_that_is_gone_moves_fees_only() -> None:
    _, came = after(fill("BUY", "1", "100", fee="2", of="GONE.X"))
    assert came == {"USDT": D(-2)}


@pytest.mark.parametrize(("difference", "is_so"), [("500", True), ("200", False), ("0", False)])
def test_a_total_with_the_result_of_what_is_open_is_explained(difference: str, is_so: bool) -> None:
    assert Beside(D(500), D(20000)).explains(D(difference)) is is_so
