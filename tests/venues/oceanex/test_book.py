"""Books: changes rebuild what the venue said, gaps are told, numbers are exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import (
    BookAction,
    BookType,
    InstrumentId,
    OrderBook,
    OrderBookDeltas,
    Price,
    Quantity,
)

from fairlead.adapters.base.book import (
    F_LAST,
    F_SNAPSHOT,
    MAX_LEVELS,
    BookGap,
    Numbers,
    SequencedBook,
    SnapshotBook,
    padded,
)
from fairlead.adapters.base.venue import ParseError

IID = InstrumentId.from_str("BTC_USDT.OCEANEX")
Levels = list[tuple[str, str]]
ASKS: Levels = [("101.5", "1.0"), ("102.0", "2.0"), ("103.0", "3.0")]
BIDS: Levels = [("100.5", "1.0"), ("100.0", "2.0"), ("99.0", "3.0")]


def snapshot_book() -> SnapshotBook:
    return SnapshotBook(IID, 2, 6)


def sequenced_book() -> SequencedBook:
    return SequencedBook(IID, 2, 6)


def actions(deltas: OrderBookDeltas | None) -> list[tuple[BookAction, str, str]]:
    assert deltas is not None
    return [(d.action, str(d.order.price), str(d.order.size)) for d in deltas.deltas]


def contents(book: OrderBook) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    return (
        {level.price.as_decimal(): Decimal(str(level.size())) for level in book.bids()},
        {level.price.as_decimal(): Decimal(str(level.size())) for level in book.asks()},
    )


def expected(asks: Levels, bids: Levels) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    def side(levels: Levels) -> dict[Decimal, Decimal]:
        return {Decimal(p): Decimal(q) for p, q in levels if Decimal(q)}

    return side(bids), side(asks)


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "precision", "result"),
    [
        ("50000.1", 2, "50000.10"),
        ("50000", 2, "50000.00"),
        ("50000.100", 2, "50000.10"),
        ("12.0", 0, "12"),
        ("0.00000001", 8, "0.00000001"),
    ],
)
def test_numbers_have_the_instrument_s_precision(text: str, precision: int, result: str) -> None:
    assert padded(text, precision) == result
    price = Numbers(precision, precision).prices[text]
    assert (str(price), price.precision) == (result, precision)


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e5", "1_0", " 1", "1.", ".5", "1.2.3", "nan", "inf", "٣", "1.123", "9" * 25],
)
def test_numbers_that_are_not_plain_decimals_are_parse_errors(text: str) -> None:
    numbers = Numbers(2, 2)
    with pytest.raises(ParseError):
        _ = numbers.prices[text]
    with pytest.raises(ParseError):
        _ = numbers.sizes[text]


@given(
    st.decimals(min_value=0, max_value=Decimal("9999999999999"), places=8, allow_nan=False),
    st.integers(0, 8),
)
def test_numbers_are_exact_by_every_way(value: Decimal, precision: int) -> None:
    """The quick ways through a double give what `from_str` gives."""
    text = f"{round(value, precision):f}"
    numbers = Numbers(precision, precision)
    whole = padded(text, precision)
    assert numbers.prices[text] == Price.from_str(whole)
    assert numbers.sizes[text] == Quantity.from_str(whole)
    _, many = numbers.prices.many([text, text])
    assert many == [Price.from_str(whole)] * 2
    assert str(many[0]) == whole


# -- snapshots -------------------------------------------------------------------------------------


def test_first_frame_is_clear_and_adds() -> None:
    deltas = snapshot_book().diff(ASKS, BIDS, 5, 5)
    assert deltas is not None
    assert [d.action for d in deltas.deltas] == [BookAction.CLEAR] + [BookAction.ADD] * 6
    assert [d.flags for d in deltas.deltas] == [F_SNAPSHOT] * 6 + [F_SNAPSHOT | F_LAST]
    assert str(deltas.deltas[1].order.price) == "100.50"


def test_equal_frame_is_nothing() -> None:
    book = snapshot_book()
    book.diff(ASKS, BIDS, 1, 1)
    assert book.diff(list(ASKS), list(BIDS), 2, 2) is None
    assert book.diff(ASKS[::-1], BIDS[::-1], 3, 3) is None


def test_only_changed_levels_travel() -> None:
    book = snapshot_book()
    book.diff(ASKS, BIDS, 1, 1)
    deltas = book.diff([("101.5", "4.0"), *ASKS[1:]], [*BIDS[:2], ("98.0", "1.0")], 2, 2)
    assert actions(deltas) == [
        (BookAction.UPDATE, "101.50", "4.000000"),
        (BookAction.DELETE, "99.00", "0.000000"),
        (BookAction.ADD, "98.00", "1.000000"),
    ]
    assert deltas is not None
    assert [d.flags for d in deltas.deltas] == [0, 0, F_LAST]


def test_sizes_of_zero_are_not_levels() -> None:
    book = snapshot_book()
    first = book.diff([*ASKS, ("104.0", "0.0")], BIDS, 1, 1)
    assert first is not None
    assert len(first.deltas) == 7
    second = book.diff([*ASKS[:2], ("103.0", "0"), ("104.0", "0.00")], BIDS, 2, 2)
    assert actions(second) == [(BookAction.DELETE, "103.00", "0.000000")]


@pytest.mark.parametrize("ask", ["100.5", "100.4", "100.50"])
def test_crossed_and_locked_frames_clear_the_book(ask: str) -> None:
    book = snapshot_book()
    book.diff(ASKS, BIDS, 1, 1)
    deltas = book.diff([(ask, "1.0"), *ASKS], BIDS, 2, 2)
    assert actions(deltas) == [(BookAction.CLEAR, "0", "0")]
    assert (book.is_valid, book.crossed_count) == (False, 1)
    assert book.diff([(ask, "1.0"), *ASKS], BIDS, 3, 3) is None
    again = book.diff(ASKS, BIDS, 4, 4)
    assert again is not None
    assert again.is_snapshot
    assert (book.is_valid, book.crossed_count) == (True, 2)


@pytest.mark.parametrize(
    "asks",
    [
        [("101.555", "1.0")],
        [("101.5", "0.0000001")],
        [("101.5", "-1")],
        [("101.5", "1.0"), ("101.50", "2.0")],
        [("101.5", "1.0"), ("101.5", "2.0")],
        [("x", "1.0")],
        [("101.5",)],
        [("101.5", "1.0", "2")],
        [("101.5", "1.0")] * (MAX_LEVELS + 1),
    ],
)
def test_malformed_levels_leave_the_book_as_it_was(asks: Levels) -> None:
    for prior in (False, True):
        book = snapshot_book()
        if prior:
            book.diff([*ASKS, ("104.0", "1.0")], BIDS, 1, 1)
        before = book.levels()
        with pytest.raises(ParseError):
            book.diff(asks + ASKS[1:], BIDS, 2, 2)
        assert (book.levels(), book.is_valid) == (before, prior)


def test_best_and_one_sided_books() -> None:
    book = snapshot_book()
    assert book.best() == (None, None)
    book.diff(ASKS, [], 1, 1)
    assert book.best() == (None, ("101.5", "1.0"))
    book.diff(ASKS, [("9.5", "1"), ("10.5", "2")], 1, 1)
    assert book.best() == (("10.5", "2"), ("101.5", "1.0"))
    cleared = book.diff([], [], 2, 2)
    assert actions(cleared) == [(BookAction.CLEAR, "0", "0")]
    assert cleared is not None
    assert cleared.deltas[0].flags & F_LAST


def sides(offset: int) -> st.SearchStrategy[Levels]:
    prices = st.integers(offset + 1, offset + 40).map(lambda n: f"{n / 10:.1f}")
    sizes = st.integers(0, 9).map(lambda n: f"{n}.0")
    return st.dictionaries(prices, sizes, max_size=12).map(lambda side: list(side.items()))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(sides(1000), sides(900)), min_size=1, max_size=8))
def test_applied_changes_equal_the_venue_s_book(frames: list[tuple[Levels, Levels]]) -> None:
    book, copy = snapshot_book(), OrderBook(IID, BookType.L2_MBP)
    for asks, bids in frames:
        deltas = book.diff(asks, bids, 1, 1)
        if deltas is not None:
            copy.apply_deltas(deltas)
        assert contents(copy) == expected(asks, bids)


# -- sequences -------------------------------------------------------------------------------------


def test_updates_follow_their_snapshot() -> None:
    book = sequenced_book()
    assert book.update(1, 2, [], [], 1, 1) is BookGap.NO_SNAPSHOT
    first = book.snapshot(10, ASKS, BIDS, 1, 1)
    assert isinstance(first, OrderBookDeltas)
    change = book.update(10, 11, [("101.50", "0"), ("104", "1")], [("100.5", "9")], 2, 2)
    assert isinstance(change, OrderBookDeltas)
    assert actions(change) == [
        (BookAction.DELETE, "101.50", "0.000000"),
        (BookAction.ADD, "104.00", "1.000000"),
        (BookAction.UPDATE, "100.50", "9.000000"),
    ]
    assert book.update(11, 12, [("500", "0")], [], 3, 3) is None
    assert book.last_id == 12


def test_old_updates_are_counted_and_ignored() -> None:
    book = sequenced_book()
    book.snapshot(10, ASKS, BIDS, 1, 1)
    assert book.update(8, 9, [("50", "1")], [], 2, 2) is None
    assert book.update(9, 10, [("50", "1")], [], 2, 2) is None
    assert (book.stale_count, book.is_valid) == (2, True)


def test_a_missing_update_is_a_gap_until_the_next_snapshot() -> None:
    book = sequenced_book()
    book.snapshot(10, ASKS, BIDS, 1, 1)
    assert book.update(12, 13, [], [], 2, 2) is BookGap.SEQUENCE
    assert actions(book.clear(2)) == [(BookAction.CLEAR, "0", "0")]
    assert book.update(13, 14, [], [], 3, 3) is BookGap.NO_SNAPSHOT
    assert isinstance(book.snapshot(20, ASKS, BIDS, 4, 4), OrderBookDeltas)
    assert (book.is_valid, book.gap_count, book.last_id) == (True, 1, 20)


def test_a_crossing_update_and_a_crossed_snapshot_are_gaps() -> None:
    book = sequenced_book()
    book.snapshot(10, ASKS, BIDS, 1, 1)
    assert book.update(10, 11, [], [("102.5", "1")], 2, 2) is BookGap.CROSSED
    assert book.snapshot(20, ASKS, [("101.5", "1")], 3, 3) is BookGap.CROSSED
    assert (book.is_valid, book.crossed_count) == (False, 2)


def test_a_malformed_update_drops_the_book() -> None:
    book = sequenced_book()
    book.snapshot(10, ASKS, BIDS, 1, 1)
    with pytest.raises(ParseError):
        book.update(10, 11, [("101.0", "1")], [("x", "1")], 2, 2)
    assert book.update(10, 11, [], [], 3, 3) is BookGap.NO_SNAPSHOT


@settings(max_examples=100, deadline=None)
@given(sides(1000), sides(900), st.lists(st.tuples(sides(1000), sides(900)), max_size=8))
def test_applied_updates_equal_the_merged_book(
    asks: Levels, bids: Levels, updates: list[tuple[Levels, Levels]]
) -> None:
    book, copy = sequenced_book(), OrderBook(IID, BookType.L2_MBP)
    deltas = book.snapshot(0, asks, bids, 1, 1)
    assert isinstance(deltas, OrderBookDeltas)
    copy.apply_deltas(deltas)
    merged_asks, merged_bids = dict(asks), dict(bids)
    for number, (ask_change, bid_change) in enumerate(updates):
        change = book.update(number, number + 1, ask_change, bid_change, 1, 1)
        if isinstance(change, OrderBookDeltas):
            copy.apply_deltas(change)
        merged_asks |= dict(ask_change)
        merged_bids |= dict(bid_change)
        assert contents(copy) == expected(list(merged_asks.items()), list(merged_bids.items()))


def test_an_empty_book_stays_empty_in_silence() -> None:
    book = snapshot_book()
    assert actions(book.diff([], [], 1, 1)) == [(BookAction.CLEAR, "0", "0")]
    assert book.diff([], [], 2, 2) is None
    book.diff([("101.0", "0.0")], [], 3, 3)
    assert book.levels() == ({}, {})


def test_a_side_that_only_loses_levels_keeps_the_best_of_the_other() -> None:
    """The cached best prices follow every way a level can come and go."""
    book = snapshot_book()
    book.diff(ASKS, BIDS, 1, 1)
    book.diff(ASKS[1:], BIDS, 2, 2)  # best ask 101.5 is gone
    assert book.diff(ASKS[1:], [("101.7", "1.0"), *BIDS[1:]], 3, 3) is not None
    assert book.is_valid
    crossed = book.diff([("101.7", "1.0"), *ASKS[2:]], [("101.7", "1.0"), *BIDS[1:]], 4, 4)
    assert actions(crossed) == [(BookAction.CLEAR, "0", "0")]
    assert not book.is_valid
