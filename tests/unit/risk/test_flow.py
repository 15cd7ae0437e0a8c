"""What fills took, by the time of the balance that is asked about."""

from __future__ import annotations

from decimal import Decimal as D

from fairlead.engine.risk.flow import SPENT_MAX, Spent


def test_what_a_fill_took_counts_until_a_balance_shows_it() -> None:
    spent = Spent()
    spent.add("TEST", "USDT", D(10), 100)
    spent.add("TEST", "USDT", D(5), 200)
    assert spent.since("TEST", "USDT", 99) == 15
    assert spent.since("TEST", "USDT", 100) == 5
    assert spent.since("TEST", "USDT", 200) == 0
    assert spent.since("TEST", "BTC", 0) == 0
    # Another reader's balance is older: what the newer one has shown is still missing in his
    assert spent.since("TEST", "USDT", 100) == 5
    assert spent.since("TEST", "USDT", 99) == 15


def test_fills_are_known_apart_for_long_and_summed_for_ever() -> None:
    spent = Spent()
    for at in range(3 * SPENT_MAX):
        spent.add("TEST", "USDT", D(1), at)
    assert spent.since("TEST", "USDT", 3 * SPENT_MAX - 4) == 3
    assert spent.since("TEST", "USDT", 2 * SPENT_MAX - 1) == SPENT_MAX
    assert spent.since("TEST", "USDT", -1) == 3 * SPENT_MAX  # a balance that is never renewed
    spent.add("TEST", "USDT", D(2), 5)  # the clock went back
    assert spent.since("TEST", "USDT", 3 * SPENT_MAX - 2) == 3
