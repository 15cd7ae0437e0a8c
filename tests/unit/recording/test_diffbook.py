"""The rebuilt book against a true one, over seeded sessions with losses and late snapshots."""

from __future__ import annotations

import random

import pytest
from nautilus_trader.model import BookAction, InstrumentId, OrderBookDelta, Price, Quantity

from fairlead.engine.recording.importers.diffbook import (
    OLD_CHANGES_MAX,
    Change,
    Level,
    Place,
    Snapshot,
    Top,
)
from tests.support.delta_book import DeltaBook as DiffBook

IID = InstrumentId.from_str("BTCUSDT.BINANCE")
MID = 1000
SIDES = {"BUY": -1, "SELL": 1}
TrueBook = dict[str, dict[int, int]]


def level(price: int, size: int) -> Level:
    return (Price.from_str(f"{price}.0").raw, Quantity.from_str(f"{size}.0").raw)


def change(previous: int, last: int, bids=(), asks=()) -> Change:
    made = [[level(p, q) for p, q in side] for side in (bids, asks)]
    return Change(previous, last, made[0], made[1], last, last)


def new_book(depth: int = 1, *, fold_tops: bool = False) -> DiffBook:
    return DiffBook(IID, 1, 1, depth=depth, fold_tops=fold_tops)


def begun(bids=((99, 1),), asks=((103, 1),), last: int = 0, **options) -> tuple[DiffBook, Shown]:
    """A book that a snapshot of a whole market has begun."""
    book, shown = new_book(**options), Shown()
    levels = [[level(p, q) for p, q in side] for side in (bids, asks)]
    shown.apply(book.snapshot(Snapshot(last, *levels, last, last)))
    return book, shown


class Shown:
    """The book that a reader of the deltas has; `batches` are the books of the last call."""

    def __init__(self) -> None:
        self.book: TrueBook = {"BUY": {}, "SELL": {}}
        self.batches: list[tuple[int, TrueBook]] = []  # by update id

    def apply(self, deltas: list[OrderBookDelta]) -> None:
        self.batches = []
        for delta in deltas:
            self._one(delta)
            if delta.flags & 128:
                held = {side: dict(levels) for side, levels in self.book.items()}
                self.batches.append((delta.sequence, held))
        assert not deltas or deltas[-1].flags & 128

    def _one(self, delta: OrderBookDelta) -> None:
        if delta.action == BookAction.CLEAR:
            self.book = {"BUY": {}, "SELL": {}}
            return
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


DEPTH = 4  # of the seeded sessions


def require_true(book: TrueBook, truth: TrueBook) -> None:
    for side, levels in book.items():
        assert levels.items() <= truth[side].items()
        near = sorted(truth[side], key=lambda price: SIDES[side] * price)
        assert set(near[: DEPTH // 2]) <= set(levels)
    bid, ask = top_of(book)
    assert bid is None or ask is None or bid < ask


def require_past(batches: list[tuple[int, TrueBook]], truth: dict[int, TrueBook]) -> None:
    """Each is the book as of its update id, as far as that is known; a CLEAR is none."""
    for last, held in batches:
        if last in truth and held != {"BUY": {}, "SELL": {}}:
            require_true(held, truth[last])


@pytest.mark.parametrize("fold_tops", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_a_shown_book_is_never_wrong_and_has_every_level_near_the_top(seed, fold_tops):
    rng = random.Random(seed)
    exchange, book, shown = Exchange(rng), new_book(DEPTH, fold_tops=fold_tops), Shown()
    late_snapshot: tuple[int, Snapshot] | None = None
    seen = gaps = brought = 0
    truth: dict[int, TrueBook] = {}
    for number in range(400):
        sent = exchange.message()
        truth[exchange.id] = {side: dict(levels) for side, levels in exchange.book.items()}
        if rng.random() < 0.8:
            shown.apply(book.top(exchange.top(), 1, 1))
            if fold_tops and book.shown and book.last_id == sent.previous:
                assert shown.top() == top_of(exchange.book)
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
            was_shown = book.shown
            shown.apply(book.snapshot(late_snapshot[1]))
            assert len(shown.batches) <= 1 or not was_shown  # nothing is told twice
            brought += len(shown.batches) > 1
            require_past(shown.batches, {} if fold_tops else truth)
            late_snapshot = None
        if not book.shown:
            assert shown.book == {"BUY": {}, "SELL": {}}
        elif book.last_id == exchange.id:
            seen += 1
            require_true(shown.book, exchange.book)
    assert seen > 50
    assert gaps > 0
    assert brought > 0
    assert book.counts.crossed_levels == 0


def test_book_without_snapshot_or_top_is_never_shown():
    book = new_book()
    for last in range(1, 50):
        assert book.change(change(last - 1, last, [(100 - last, 1)], [(100 + last, 1)])) == []
    assert not book.shown


def test_levels_count_as_complete_down_to_the_lowest_bid_that_was_the_best():
    book, shown = new_book(depth=3), Shown()
    book.top(Top(1, level(90, 1), level(110, 1)), 1, 1)
    shown.apply(book.change(change(0, 1, [(90, 1), (80, 1), (70, 1)], [(110, 1)])))
    assert not book.shown  # of 80 and 70 nothing proves that none is between
    shown.apply(book.change(change(1, 2, [(91, 1), (92, 1)], [(109, 1), (108, 1)])))
    assert book.shown
    assert shown.book["BUY"] == {90: 1, 91: 1, 92: 1, 80: 1, 70: 1}


def test_book_is_hidden_again_when_the_market_leaves_what_is_known():
    book, shown = new_book(depth=4), Shown()
    book.top(Top(1, level(90, 1), level(110, 1)), 1, 1)
    bids = [(90, 1), (91, 1), (92, 1), (93, 1)]
    shown.apply(book.change(change(0, 1, bids, [(110, 1), (109, 1), (108, 1), (107, 1)])))
    assert not book.shown  # the venue's best bid was 90 within the same message: it must agree
    book.top(Top(2, level(93, 1), level(107, 1)), 1, 1)
    shown.apply(book.change(change(1, 2, [(60, 1)])))
    assert book.shown
    shown.apply(book.change(change(2, 3, [(93, 0), (92, 0), (91, 0)])))
    assert not book.shown
    assert shown.book == {"BUY": {}, "SELL": {}}


def test_snapshot_of_a_limit_is_complete_to_its_last_level_only():
    bids = [(100 - step, 1) for step in range(5)]
    asks = [(110 + step, 1) for step in range(5)]
    book, shown = begun(bids, asks, depth=4)
    assert book.shown
    gone = [(price, 0) for price, _ in bids[:4]]
    shown.apply(book.change(change(0, 1, [*gone, (50, 1)])))
    assert not book.shown


def test_zero_sizes_of_a_snapshot_are_no_levels_and_the_last_of_a_price_holds():
    _, shown = begun([(99, 0), (98, 1), (98, 3)], [(103, 2), (101, 0)])
    assert shown.book == {"BUY": {98: 3}, "SELL": {103: 2}}


def test_a_folded_top_is_told_as_the_best_alone():
    book, _ = begun([(99, 5), (98, 1)], [(103, 5)], fold_tops=True)
    rows = book.top(Top(2, level(98, 3), level(104, 1)), 2, 2)
    assert [row.flags for row in rows] == [64, 64, 64, 64 | 128]
    assert [row.flags for row in book.change(change(0, 3, bids=[(97, 1)]))] == [128]


def test_a_folded_top_outlives_older_changes():
    book, shown = begun([(99, 5), (98, 1)], [(103, 5)], fold_tops=True)
    shown.apply(book.top(Top(4, level(98, 7), level(103, 2)), 1, 1))
    assert shown.book == {"BUY": {98: 7}, "SELL": {103: 2}}
    shown.apply(book.change(change(0, 2, [(99, 6)], [(103, 4)])))  # from before the top
    assert shown.book == {"BUY": {98: 7}, "SELL": {103: 2}}
    shown.apply(book.change(change(2, 5, [(99, 0), (98, 9)], [(103, 1)])))
    assert shown.book == {"BUY": {98: 9}, "SELL": {103: 1}}


def test_sequence_and_event_time_never_go_back():
    book, _ = begun([(99, 5), (98, 1)], [(103, 5)], last=100, fold_tops=True)
    out = book.top(Top(104, level(98, 7), level(103, 2)), 50, 1)
    out += book.change(change(100, 102, [(97, 6)]))
    places = [book.place(change(i, i + 1)) for i in range(OLD_CHANGES_MAX + 1)]
    assert places[-1] is Place.GAP  # the ids began anew
    out += book.lose(0, 1, 1)
    out += book.snapshot(Snapshot(1, [level(99, 1)], [level(101, 1)], 1, 1))
    assert [d.sequence for d in out] == sorted(d.sequence for d in out)
    assert [d.ts_event for d in out] == sorted(d.ts_event for d in out)


def test_change_that_ends_where_the_snapshot_stands_is_applied():
    book, shown = begun([(99, 1)], [(103, 1)], last=10)
    same = change(8, 10, [(95, 2)])
    assert book.place(same) is Place.NEXT
    shown.apply(book.change(same))
    assert shown.book["BUY"] == {99: 1, 95: 2}


def test_book_is_withheld_until_the_venues_top_is_its_own():
    book = new_book()
    assert book.change(change(0, 5, [(99, 1)], [(103, 1)])) == []
    book.top(Top(7, level(99, 1), level(101, 4)), 1, 1)
    deltas = book.change(change(5, 8, [(98, 2)]))
    shown = Shown()
    shown.apply(deltas)
    assert deltas[0].action == BookAction.CLEAR
    # 101 never changed since the start: the venue's top gives it
    assert shown.book == {"BUY": {99: 1, 98: 2}, "SELL": {103: 1, 101: 4}}
    assert (book.counts.seeded_levels, book.counts.withheld_changes) == (1, 1)


def test_top_newer_than_the_book_waits():
    book = new_book()
    book.top(Top(20, level(99, 1), level(101, 1)), 1, 1)
    assert book.change(change(0, 10, [(99, 1)], [(101, 1)])) == []
    assert book.change(change(10, 20, [(98, 1)])) != []


def test_level_that_the_venues_top_contradicts_is_deleted():
    book, shown = begun([(100, 5), (99, 1)], last=10)
    book.top(Top(15, level(99, 1), level(103, 1)), 1, 1)  # 100 was gone by id 15, untold
    shown.apply(book.change(change(10, 16, [(90, 1)])))
    assert shown.top() == (99, 103)
    assert book.counts.contradicted_levels == 1


def test_level_of_the_same_message_is_not_contradicted_by_an_older_top():
    book, shown = begun(last=10)
    book.top(Top(11, level(99, 1), level(103, 1)), 1, 1)
    shown.apply(book.change(change(10, 16, [(101, 1)])))
    assert shown.top() == (101, 103)
    assert book.counts.contradicted_levels == 0


def test_older_of_two_crossing_levels_is_deleted():
    book, shown = begun([(100, 5)], [(102, 5)])
    shown.apply(book.change(change(0, 2, [(103, 1)])))
    assert shown.book == {"BUY": {100: 5, 103: 1}, "SELL": {}}
    assert book.counts.crossed_levels == 1


def test_zero_size_of_an_unknown_level_is_counted_not_written():
    book, _ = begun([(100, 5)], [(102, 5)])
    assert book.change(change(0, 2, [(50, 0)])) == []
    assert book.counts.unknown_deletes == 1


def test_late_snapshot_is_brought_forward():
    book, shown = new_book(), Shown()
    for last in range(1, 6):
        shown.apply(book.change(change(last - 1, last, [(90 + last, last)], [(110, last)])))
    assert shown.book == {"BUY": {}, "SELL": {}}
    old = Snapshot(3, [level(80, 8), level(93, 3)], [level(120, 2), level(110, 3)], 3, 9)
    deltas = book.snapshot(old)
    shown.apply(deltas)
    assert shown.batches == [
        (3, {"BUY": {80: 8, 93: 3}, "SELL": {120: 2, 110: 3}}),
        (4, {"BUY": {80: 8, 93: 3, 94: 4}, "SELL": {120: 2, 110: 4}}),
        (5, {"BUY": {80: 8, 93: 3, 94: 4, 95: 5}, "SELL": {120: 2, 110: 5}}),
    ]
    assert [d.ts_init for d in deltas] == [9] * len(deltas)
    assert [d.flags & 32 for d in deltas] == [32] * 5 + [0] * 4
    assert book.place(change(5, 6)) is Place.NEXT


def test_a_snapshot_within_a_sequence_that_is_shown_takes_no_reader_back():
    book, shown = begun([(99, 1)], [(103, 1)], last=2)
    for last in range(3, 7):
        shown.apply(book.change(change(last - 1, last, [(90 + last, last)])))
    shown.apply(book.snapshot(Snapshot(4, [level(99, 1), level(93, 3)], [level(103, 1)], 4, 9)))
    assert shown.batches == [(6, {"BUY": {99: 1, 93: 3, 95: 5, 96: 6}, "SELL": {103: 1}})]


def test_after_a_gap_only_what_was_not_told_follows_the_snapshot():
    book, shown = begun([(99, 1)], [(103, 1)], last=2)
    shown.apply(book.lose(10, 1, 1))
    for last in range(11, 14):
        shown.apply(book.change(change(last - 1, last, [(80 + last, last)])))
    shown.apply(book.snapshot(Snapshot(11, [level(91, 11)], [level(103, 1)], 11, 20)))
    assert [last for last, _ in shown.batches] == [11, 12, 13]
    assert shown.batches[-1][1] == {"BUY": {91: 11, 92: 12, 93: 13}, "SELL": {103: 1}}


def test_a_change_that_was_told_by_hiding_the_book_is_not_told_again():
    near = [(100 - step, 1) for step in range(5)]
    book, shown = begun(near, [(110 + step, 1) for step in range(5)], last=2, depth=4)
    shown.apply(book.change(change(2, 3, [(price, 0) for price, _ in near[:4]])))
    assert shown.batches == [(3, {"BUY": {}, "SELL": {}})]
    shown.apply(book.change(change(3, 4, [(98, 4)])))
    bids = [level(price, 1) for price, _ in near]
    asks = [level(110 + step, 1) for step in range(6)]
    shown.apply(book.snapshot(Snapshot(2, [*bids, level(50, 1)], asks, 2, 9)))
    assert [last for last, _ in shown.batches] == [3, 4]
    assert shown.batches[-1][1]["BUY"] == {98: 4, 96: 1, 50: 1}


def test_a_folded_top_holds_while_a_late_snapshot_is_brought_forward():
    book, shown = new_book(fold_tops=True), Shown()
    for last in range(1, 4):
        shown.apply(book.change(change(last - 1, last, [(95 + last, last)])))
    shown.apply(book.top(Top(5, level(97, 7), level(103, 2)), 5, 1))
    shown.apply(book.snapshot(Snapshot(1, [level(96, 1)], [level(103, 5)], 1, 9)))
    assert [last for last, _ in shown.batches] == [5, 5, 5]
    for _, held in shown.batches:
        assert top_of(held) == (97, 103)
        assert held["BUY"][97] == 7
    assert shown.book == {"BUY": {96: 1, 97: 7}, "SELL": {103: 2}}


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
