"""The rebuilt book against a true one, over seeded sessions with losses and late snapshots."""

from __future__ import annotations

import random

import pytest
from nautilus_trader.model import BookAction, InstrumentId, OrderBookDelta, Price, Quantity

from engine.recording.importers.diffbook import (
    OLD_CHANGES_MAX,
    Change,
    DiffBook,
    Level,
    Place,
    Snapshot,
    Top,
)

IID = InstrumentId.from_str("BTCUSDT.BINANCE")
MID = 1000
SIDES = {"BUY": -1, "SELL": 1}
TrueBook = dict[str, dict[int, int]]


def level(price: int, size: int) -> Level:
    made = Price.from_str(f"{price}.0")
    return (made.raw, made, Quantity.from_str(f"{size}.0"))


def change(previous: int, last: int, bids=(), asks=()) -> Change:
    made = [[level(p, q) for p, q in side] for side in (bids, asks)]
    return Change(previous, last, made[0], made[1], last, last)


def new_book(*, needs_proof: bool = False) -> DiffBook:
    return DiffBook(IID, 1, 1, needs_proof=needs_proof)


class Shown:
    """The book that a reader of the deltas has."""

    def __init__(self) -> None:
        self.book: TrueBook = {"BUY": {}, "SELL": {}}

    def apply(self, deltas: list[OrderBookDelta]) -> None:
        if deltas:
            assert [d.flags & 128 for d in deltas] == [0] * (len(deltas) - 1) + [128]
        for delta in deltas:
            if delta.action == BookAction.CLEAR:
                self.book = {"BUY": {}, "SELL": {}}
                continue
            side = self.book[str(delta.order.side)]
            price = int(delta.order.price.as_decimal())
            if delta.action == BookAction.DELETE:
                del side[price]
            else:
                assert (price in side) == (delta.action == BookAction.UPDATE)
                side[price] = int(delta.order.size.as_decimal())

    def top(self) -> tuple[int | None, int | None]:
        return top_of(self.book)


def top_of(book: TrueBook) -> tuple[int | None, int | None]:
    return max(book["BUY"], default=None), min(book["SELL"], default=None)


class Exchange:
    """A true book that moves at random; each change has the next update id."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.id = 0
        self.mid = MID
        self.book: TrueBook = {"BUY": {}, "SELL": {}}
        for step in range(1, 30):
            self.book["BUY"][MID - step] = rng.randrange(1, 99)
            self.book["SELL"][MID + step] = rng.randrange(1, 99)

    def message(self) -> Change:
        """Several updates as one message."""
        previous = self.id
        touched: dict[str, dict[int, int]] = {"BUY": {}, "SELL": {}}
        for _ in range(self.rng.randrange(1, 8)):
            self.id += 1
            self._update(touched)
        return change(previous, self.id, touched["BUY"].items(), touched["SELL"].items())

    def _update(self, touched: TrueBook) -> None:
        side = self.rng.choice(list(SIDES))
        best = top_of(self.book)[side == "SELL"]
        other = top_of(self.book)[side == "BUY"]
        assert best is not None
        assert other is not None
        if self.rng.random() < 0.45 and len(self.book[side]) > 5:
            price = best if self.rng.random() < 0.5 else self.rng.choice(list(self.book[side]))
            del self.book[side][price]
            touched[side][price] = 0
            return
        price = other + SIDES[side] * self.rng.randrange(1, 25)
        self.book[side][price] = touched[side][price] = self.rng.randrange(1, 99)

    def top(self) -> Top:
        bid, ask = top_of(self.book)
        assert bid is not None
        assert ask is not None
        return Top(self.id, level(bid, self.book["BUY"][bid]), level(ask, self.book["SELL"][ask]))

    def snapshot(self) -> Snapshot:
        bids = [level(p, q) for p, q in self.book["BUY"].items()]
        asks = [level(p, q) for p, q in self.book["SELL"].items()]
        return Snapshot(self.id, bids, asks, self.id, self.id)


@pytest.mark.parametrize("seed", range(30))
def test_a_visible_book_is_never_wrong(seed):
    rng = random.Random(seed)
    exchange, book, shown = Exchange(rng), new_book(needs_proof=True), Shown()
    late_snapshot: tuple[int, Snapshot] | None = None
    proven = gaps = 0
    for number in range(400):
        sent = exchange.message()
        if rng.random() < 0.8:
            book.top(exchange.top())
        if rng.random() < 0.03:
            late_snapshot = (number + rng.randrange(0, 12), exchange.snapshot())
        if rng.random() < 0.02:
            continue  # lost
        for received in [sent] * (2 if rng.random() < 0.02 else 1):
            place = book.place(received)
            if place is Place.OLD:
                continue
            if place is Place.GAP:
                gaps += 1
                shown.apply(book.lose(received.last, 1, 1))
                assert shown.book == {"BUY": {}, "SELL": {}}
            shown.apply(book.change(received))
        if late_snapshot is not None and late_snapshot[0] <= number:
            shown.apply(book.snapshot(late_snapshot[1]))
            late_snapshot = None
        if book.proven and book.last_id == exchange.id:
            proven += 1
            for side, levels in shown.book.items():
                assert levels.items() <= exchange.book[side].items()
            bid, ask = shown.top()
            assert bid is None or ask is None or bid < ask
    assert proven > 100
    assert gaps > 0
    assert book.counts.crossed_levels == 0


def test_book_is_withheld_until_the_venues_top_is_its_own():
    book = new_book(needs_proof=True)
    assert book.change(change(0, 5, [(99, 1)], [(103, 1)])) == []
    book.top(Top(7, level(99, 1), level(101, 4)))
    deltas = book.change(change(5, 8, [(98, 2)]))
    shown = Shown()
    shown.apply(deltas)
    assert deltas[0].action == BookAction.CLEAR
    # 101 never changed since the start: the venue's top gives it
    assert shown.book == {"BUY": {99: 1, 98: 2}, "SELL": {103: 1, 101: 4}}
    assert (book.counts.seeded_levels, book.counts.withheld_changes) == (1, 1)


def test_top_newer_than_the_book_waits():
    book = new_book(needs_proof=True)
    book.top(Top(20, level(99, 1), level(101, 1)))
    assert book.change(change(0, 10, [(99, 1)], [(101, 1)])) == []
    assert book.change(change(10, 20, [(98, 1)])) != []


def test_level_that_the_venues_top_contradicts_is_deleted():
    book, shown = new_book(), Shown()
    shown.apply(book.change(change(0, 10, [(100, 5), (99, 1)], [(103, 1)])))
    book.top(Top(15, level(99, 1), level(103, 1)))  # 100 was gone by id 15, untold
    shown.apply(book.change(change(10, 16, [(90, 1)])))
    assert shown.top() == (99, 103)
    assert book.counts.contradicted_levels == 1


def test_level_of_the_same_message_is_not_contradicted_by_an_older_top():
    book, shown = new_book(), Shown()
    shown.apply(book.change(change(0, 10, [(99, 1)], [(103, 1)])))
    book.top(Top(11, level(99, 1), level(103, 1)))
    shown.apply(book.change(change(10, 16, [(101, 1)])))
    assert shown.top() == (101, 103)
    assert book.counts.contradicted_levels == 0


def test_older_of_two_crossing_levels_is_deleted():
    book, shown = new_book(), Shown()
    shown.apply(book.change(change(0, 1, [(100, 5)], [(102, 5)])))
    shown.apply(book.change(change(1, 2, [(103, 1)])))
    assert shown.book == {"BUY": {100: 5, 103: 1}, "SELL": {}}
    assert book.counts.crossed_levels == 1


def test_zero_size_of_an_unknown_level_is_counted_not_written():
    book = new_book()
    book.change(change(0, 1, [(100, 5)], [(102, 5)]))
    assert book.change(change(1, 2, [(50, 0)])) == []
    assert book.counts.unknown_deletes == 1


def test_late_snapshot_is_brought_forward():
    book, shown = new_book(), Shown()
    for last in range(1, 6):
        shown.apply(book.change(change(last - 1, last, [(90 + last, last)], [(110, last)])))
    old = Snapshot(3, [level(80, 8), level(93, 3)], [level(120, 2), level(110, 3)], 3, 9)
    shown.apply(book.snapshot(old))
    assert shown.book == {"BUY": {80: 8, 93: 3, 94: 4, 95: 5}, "SELL": {120: 2, 110: 5}}
    assert book.place(change(5, 6)) is Place.NEXT


def test_snapshot_from_before_the_sequence_is_refused():
    book = new_book()
    book.change(change(50, 51, [(99, 1)], [(101, 1)]))
    assert book.snapshot(Snapshot(10, [level(1, 1)], [level(2, 1)], 1, 1)) == []
    assert book.counts.snapshots_unconnected == 1


def test_snapshot_ahead_of_the_stream_bridges_to_the_message_that_spans_it():
    book = new_book()
    book.snapshot(Snapshot(10, [level(99, 1)], [level(101, 1)], 1, 1))
    assert book.place(change(5, 9)) is Place.OLD
    spanning = change(9, 12, [(98, 1)])
    assert book.place(spanning) is Place.NEXT
    book.change(spanning)
    assert book.place(change(11, 14)) is Place.GAP


def test_ids_that_were_reset_become_a_gap_in_the_end():
    book = new_book()
    book.change(change(1000, 1001, [(99, 1)], [(101, 1)]))
    places = [book.place(change(i, i + 1)) for i in range(OLD_CHANGES_MAX + 1)]
    assert set(places[:-1]) == {Place.OLD}
    assert places[-1] is Place.GAP
