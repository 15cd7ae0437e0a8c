"""A snapshot names no symbol: it is of the one whose update ids and price it has, or of nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.recording.test_import_faults import Side, depth, imported, shown, snapshot, trade

L, X = "LLLUSDT", "XXXUSDT"
LEFT_OUT = "snapshot without symbol"
ORDERS = pytest.mark.parametrize("order", [(L, X), (X, L)])


def sides(price: float) -> tuple[Side, Side]:
    bids = {f"{price - i / 100:.2f}": f"{i}.25" for i in range(1, 31)}
    return bids, {f"{price + i / 100:.2f}": f"{i}.25" for i in range(1, 31)}


def stream(symbol: str, after: int, begin_ms: float, price: float, trades: bool) -> list[bytes]:
    """Six messages of three updates each, after update `after`, and trades at `price`."""
    lines = []
    for i in range(6):
        ms, first = begin_ms + 100 * i, after + 1 + 3 * i
        lines.append(depth(ms, first, first + 2, {f"{price - 0.3:.2f}": f"{i}.75"}, {}, symbol))
        if trades:
            lines.append(trade(ms + 1, i + 1, f"{price:.2f}", "1", symbol))
    return lines


def recorded(
    order: tuple[str, str],
    ids: dict[str, int],
    prices: dict[str, float],
    *,
    trades: tuple[str, ...] = (),
) -> list[bytes]:
    """A snapshot of each in this `order`, then the streams of both, L first."""
    lines = [snapshot(i, ids[each], *sides(prices[each])) for i, each in enumerate(order)]
    streams = [
        *stream(L, ids[L], 10, prices[L], L in trades),
        *stream(X, ids[X], 40, prices[X], X in trades),
    ]
    return lines + sorted(streams, key=lambda line: int(line.split(b" ", 1)[0]))


def books(folder: Path, lines: list[bytes]) -> tuple[dict[str, list[dict[str, Side]]], dict]:
    report, catalog = imported(folder, lines)
    seen = {each: [book for _, book in shown(catalog, f"{each}.BINANCE")] for each in (L, X)}
    return seen, report.skipped


@ORDERS
@pytest.mark.parametrize("trades", [(), (L,), (X,)])
def test_one_update_id_of_two_symbols_is_nobodys(order, trades, tmp_path):
    prices = {L: 100.0, X: 100.5}  # prices do not tell them apart
    seen, skipped = books(tmp_path, recorded(order, {L: 500, X: 500}, prices, trades=trades))
    assert seen == {L: [], X: []}
    assert skipped == {LEFT_OUT: 2}


@ORDERS
@pytest.mark.parametrize("trades", [(), (X,)])
def test_two_books_of_one_id_are_nobodys_where_a_price_is_not_known(order, trades, tmp_path):
    lines = recorded(order, {L: 500, X: 500}, {L: 100.0, X: 3.0}, trades=trades)
    seen, skipped = books(tmp_path, lines)
    assert seen[L] == []
    assert all(float(price) < 4 for book in seen[X] for side in book.values() for price in side)
    assert skipped[LEFT_OUT] >= 1


@ORDERS
def test_prices_tell_apart_what_ids_do_not(order, tmp_path):
    prices = {L: 100.0, X: 3.0}
    lines = recorded(order, {L: 500, X: 500}, prices, trades=(L, X))
    seen, skipped = books(tmp_path, lines)
    assert skipped == {}
    for symbol, price in prices.items():
        bids, asks = sides(price)
        bids[f"{price - 0.3:.2f}"] = "0.75"
        assert seen[symbol][-6]["BUY"] == bids
        assert seen[symbol][0]["SELL"] == asks


@ORDERS
@pytest.mark.parametrize("near", [1, 2, 3, 17])
def test_a_snapshot_within_the_ids_that_another_symbol_will_have_is_nobodys(order, near, tmp_path):
    lines = recorded(order, {L: 500, X: 500 - near}, {L: 100.0, X: 100.5})
    seen, skipped = books(tmp_path, lines)
    for symbol, price in ((L, 100.0), (X, 100.5)):
        asks = sides(price)[1]
        assert all(book["SELL"] == asks for book in seen[symbol] if book["SELL"])
    assert sum(skipped.values()) <= 2


def test_ids_far_from_another_symbols_are_clear(tmp_path):
    lines = recorded((X, L), {L: 500, X: 900_500}, {L: 100.0, X: 100.5})
    seen, skipped = books(tmp_path, lines)
    assert skipped == {}
    assert {symbol: len(each) >= 6 for symbol, each in seen.items()} == {L: True, X: True}
