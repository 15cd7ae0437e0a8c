"""A person's word of what is held: checked against the venue, booked as what it was."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders import plausible
from fairlead.engine.orders.balances import Balances
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import OrderState, Side, VenueBalance
from fairlead.engine.orders.resolve_held import (
    Change,
    HeldWord,
    Told,
    book,
    changes,
    require_told,
)
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent
from tests.unit.orders.test_kill import _hold, _positions

D = Decimal


def word(held: str, **fields: Any) -> HeldWord:
    told = dict(instrument=INSTRUMENT, price=D(110), reason="by hand", by="a test")
    return HeldWord(held=D(held), **(told | fields))


def said(bench: Bench, one: HeldWord) -> list[Change]:
    assert bench.journal is not None
    return changes(bench.journal, one)


def booked(bench: Bench, one: HeldWord) -> list[str]:
    assert bench.journal is not None
    ids = iter(f"R{n}" for n in range(9))
    found = changes(bench.journal, one)
    return book(bench.journal, one, found, quote="USDT", new_id=lambda: next(ids), now_ns=7)


def test_a_position_that_was_closed_by_hand_is_booked_as_the_execution_that_it_was(
    bench: Bench,
) -> None:
    assert bench.journal is not None
    _hold(bench, "A", "0.5")
    known = Balances(bench.journal, ["BTC", "USDT"], lambda _: ("BTC", "USDT"))
    known.base_on(
        [
            VenueBalance(currency="BTC", free=D("0.5"), locked=D(0)),
            VenueBalance(currency="USDT", free=D(50), locked=D(0)),
        ]
    )
    (name,) = booked(bench, word("0", fee=D(1), fee_currency="USDT"))
    assert _positions(bench) == {"S-1": 0}
    order = bench.journal.order(name)
    assert order is not None
    assert (order.state, order.filled, order.intent.side) == (
        OrderState.FILLED,
        D("0.5"),
        Side.SELL,
    )
    kinds = [kind for _, _, kind, _ in bench.journal.story(name)]
    assert kinds == ["INTENT", "RESOLVED", "FILL", "FILLED"]
    assert bench.journal.problems() == []
    held = [
        VenueBalance(currency="BTC", free=D(0), locked=D(0)),
        VenueBalance(currency="USDT", free=D(104), locked=D(0)),
    ]
    assert known.drifts(held) == (), "the balances are those of a sale at 110, less its fee"


def test_zero_is_zero_of_each_strategy_so_that_split_books_are_mended(bench: Bench) -> None:
    assert bench.journal is not None
    _hold(bench, "A", "0.5", strategy=KILL_STRATEGY)
    _hold(bench, "B", "0.5", side=Side.SELL)
    assert len(booked(bench, word("0"))) == 2
    assert not any(_positions(bench).values())
    assert bench.journal.problems() == []


def test_what_is_held_still_needs_an_owner(bench: Bench) -> None:
    assert said_whose(bench, word("0.2")) == "RESOLVE-WHOSE"
    _hold(bench, "A", "0.5")
    assert said(bench, word("0.2")) == [Change("S-1", D("-0.3"))]
    _hold(bench, "B", "0.1", strategy="S-2")
    assert said_whose(bench, word("0.2")) == "RESOLVE-WHOSE"
    assert said(bench, word("0.2", strategy="S-2")) == [Change("S-2", D("-0.4"))]
    assert said(bench, word("0.9", strategy="S-3")) == [Change("S-3", D("0.3"))]
    assert said_whose(bench, word("0.6", strategy="S-1")) == "RESOLVE-SAME"


def said_whose(bench: Bench, one: HeldWord) -> str:
    with pytest.raises(FairleadError) as refused:
        said(bench, one)
    assert refused.value.exit_code == Exit.USAGE
    return refused.value.code


def test_while_an_order_is_open_nothing_is_said(bench: Bench) -> None:
    assert bench.journal is not None
    _hold(bench, "A", "0.5")
    bench.journal.intend([intent("B")])
    with pytest.raises(FairleadError, match="would be counted twice") as refused:
        said(bench, word("0"))
    assert refused.value.code == "RESOLVE-OPEN"


@pytest.mark.parametrize(
    ("told", "held", "needs"),
    [
        (Told(position=D(0)), "0", None),
        (Told(position=D("0.1")), "0", "never"),
        (Told(position=None, base="BTC", total=D(2), drift=D("-0.5")), "0", None),
        (Told(position=None, base="BTC", total=D(2), drift=D(0)), "0", "force"),
        (Told(position=None, base="BTC", total=D(2), drift=None), "0", "force"),
        (Told(position=None, base="BTC", total=D("0.1"), drift=D("-0.5")), "0.2", "never"),
        (Told(position=None, base="BTC", total=D(2), drift=D("-0.5")), "-0.1", "never"),
    ],
)
def test_the_word_is_what_the_venue_tells(
    bench: Bench, told: Told, held: str, needs: str | None
) -> None:
    _hold(bench, "A", "0.5")
    one = word(held)
    found = said(bench, one)
    for force in (False, True):
        if needs is None or (needs == "force" and force):
            require_told(one, told, found, force=force)
            continue
        with pytest.raises(FairleadError) as refused:
            require_told(one, told, found, force=force)
        assert (refused.value.code, refused.value.exit_code) == ("RESOLVE-HELD", Exit.DRIFT)


@pytest.mark.parametrize(
    ("price", "fee", "currency", "code"),
    [
        ("110", "0.1", "USDT", None),
        ("11", "0", "USDT", "RESOLVE-PRICE"),
        ("1100", "0", "USDT", "RESOLVE-PRICE"),
        ("110", "20", "USDT", "RESOLVE-FEE"),
        ("110", "0.001", "BTC", "RESOLVE-FEE"),
        ("110", "0.001", "DOGE", "RESOLVE-FEE"),
    ],
)
def test_a_slip_of_the_hand_is_refused(
    price: str, fee: str, currency: str, code: str | None
) -> None:
    told = plausible.Told(fills=((D("0.5"), D(price)),), fee=D(fee), fee_currency=currency)
    market = plausible.Market(base="BTC", quote="USDT")
    if code is None:
        plausible.require_plausible_trade(told, market, D(100), force=False)
        return
    with pytest.raises(FairleadError) as refused:
        plausible.require_plausible_trade(told, market, D(100), force=False)
    assert refused.value.code == code
