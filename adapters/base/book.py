"""Order books between wire and NautilusTrader: only what changed travels on.

Levels come as `(price, size)` pairs of decimal text, the way venues send them. A book keeps the
last text per level; equal text is an unchanged level, so that an unchanged level costs one
dictionary lookup and no object. Nothing here reads a clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import chain, repeat

from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
)

from fairlead.adapters.base.venue import ParseError

MAX_LEVELS = 5_000  # per side of one frame
MAX_CACHED_NUMBERS = 8_192  # price or size objects kept by text, per instrument
MAX_NUMBER_CHARS = 40

F_LAST = RecordFlag.F_LAST.value
F_SNAPSHOT = RecordFlag.F_SNAPSHOT.value

_ADD = BookAction.ADD
_UPDATE = BookAction.UPDATE
_DELETE = BookAction.DELETE
_BUY = OrderSide.BUY
_SELL = OrderSide.SELL

# Shows the shape of numbers: any digit is 0, points and commas stay, all else is x.
_SHAPE = bytes(
    ord("0") if chr(code).isdigit() and code < 128 else code if chr(code) in ".," else ord("x")
    for code in range(256)
)
_NUMBER = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,18}))?")

Level = Sequence[str]  # (price, size), decimal text


def padded(text: str, precision: int) -> str:
    """Return decimal `text` with exactly `precision` decimals.

    Zeros beyond the precision are dropped. Raises ParseError for anything that isn't a plain
    non-negative decimal, and for digits beyond the precision.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_NUMBER_CHARS else None
    if match is None:
        raise ParseError("number", f"expected a decimal, received {text[:MAX_NUMBER_CHARS]!r}")
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > precision:
        if fraction[precision:].strip("0"):
            raise ParseError(
                "number", f"expected at most {precision} decimals, received {text[:40]!r}"
            )
        fraction = fraction[:precision]
    if precision == 0:
        return whole
    return f"{whole}.{fraction.ljust(precision, '0')}"


def _simple_pattern(precision: int) -> re.Pattern[str]:
    """Matches the decimals that a double holds exactly at this precision."""
    if not 1 <= precision <= 14:
        return re.compile(r"[0-9]{1,15}" if precision == 0 else r"(?!)")
    return re.compile(rf"[0-9]{{1,{15 - precision}}}(?:\.[0-9]{{1,{precision}}})?")


class _Cache[T: (Price, Quantity)](dict[str, T]):
    """Numbers of one precision by the venue's text; a miss converts and keeps.

    `zeros` are the texts seen that mean zero. A float is used only where it is exact: below
    10^(15 - precision) a double determines every decimal of the precision.
    """

    def __init__(
        self,
        precision: int,
        from_text: Callable[[str], T],
        from_float: Callable[[float, int], T],
        name: str,
    ) -> None:
        super().__init__()
        self.precision = precision
        self.zeros: set[str] = set()
        self._from_text: Callable[[str], T] = from_text
        self._from_float: Callable[[float, int], T] = from_float
        self._limit = 10.0 ** (15 - precision)
        self._is_simple = _simple_pattern(precision).fullmatch
        self._excess = b"." + b"0" * (precision + 1)
        self._name = name

    def __missing__(self, text: str) -> T:
        if len(self) >= MAX_CACHED_NUMBERS:
            self.clear()
            self.zeros.clear()
        if self._is_simple(text):
            value = float(text)
            if value > 0.0:
                simple: T = self._from_float(value, self.precision)
                self[text] = simple
                return simple
        try:
            number = self._from_text(padded(text, self.precision))
        except ValueError as e:
            raise ParseError(self._name, f"out of range: {text[:MAX_NUMBER_CHARS]!r}") from e
        if number.raw == 0:
            self.zeros.add(text)
        self[text] = number
        return number

    def many(self, texts: Iterable[str]) -> tuple[list[float], list[T]]:
        """Convert all of `texts`, past the cache: cheaper than misses when most are new.

        Returns the numbers, and their float neighbours (for comparing only). Raises ParseError.
        """
        texts = list(texts)
        if self._are_plain(",".join(texts)):
            try:
                values = list(map(float, texts))
            except ValueError as e:
                raise ParseError(self._name, "expected decimals") from e
            # None is negative, so the sum bounds each.
            if 0.0 not in values and sum(values) < self._limit:
                return values, list(map(self._from_float, values, repeat(self.precision)))
        numbers = [self[text] for text in texts]
        return list(map(float, texts)), numbers

    def _are_plain(self, joined: str) -> bool:
        """Whether texts joined by commas hold digits and points only, none with more decimals."""
        shape = joined.encode(errors="replace").translate(_SHAPE)
        return b"x" not in shape and self._excess not in shape


class Numbers:
    """Price and Quantity objects of one instrument by text: `numbers.prices["50000.1"]`.

    Both mappings raise ParseError for text that isn't a decimal within the precision.
    """

    __slots__ = ("prices", "sizes")

    def __init__(self, price_precision: int, size_precision: int) -> None:
        self.prices = _Cache(price_precision, Price.from_str, Price, "price")
        self.sizes = _Cache(size_precision, Quantity.from_str, Quantity, "size")


def _refuse_twice(side: dict[str, str], values: list[float]) -> None:
    """Raise ParseError if a side has one price under two texts: a delete would hit both.

    `values` are the keys as floats. Two prices may share a float, so Decimal has the last word.
    """
    if len(set(values)) != len(values) and len(set(map(Decimal, side))) != len(side):
        raise ParseError("book", "one price appears twice on a side")


def _is_crossed(
    asks: dict[str, str], bids: dict[str, str], best_ask: float, best_bid: float
) -> bool:
    """Whether the best ask is at or below the best bid.

    Rounding to float is monotonic, so `ask > bid` as floats proves it; only the rest needs Decimal.
    """
    if best_ask > best_bid:
        return False
    return min(map(Decimal, asks)) <= max(map(Decimal, bids))


class _Ladder:
    """State that both kinds of book share: last text per level, own sequence, building of deltas.

    `sequence` numbers what is emitted by its receive time (`ts_init`, ns), or by one more than the
    last where that is not later. So it goes on across connections, restarts and recordings: a
    count of each connection's own would begin again, and NautilusTrader would warn of every update
    that its sequence went back. `is_valid` is False until the first snapshot and after a CLEAR. The
    price's text is the key of a level, so a frame that writes one price in two ways is refused.
    """

    def __init__(
        self, instrument_id: InstrumentId, price_precision: int, size_precision: int
    ) -> None:
        self.instrument_id = instrument_id
        self.numbers = Numbers(price_precision, size_precision)
        self.is_valid = False
        self.crossed_count = 0
        self.sequence = 0
        self._ts_event = 0  # of what was emitted last
        self._best_ask = math.inf
        self._best_bid = -math.inf
        self._asks: dict[str, str] = {}
        self._bids: dict[str, str] = {}
        self._nothing = Quantity.zero(size_precision)
        self._null_order = OrderBookDelta.clear(instrument_id, 0, 0, 0).order

    def best(self) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
        """Best bid and best ask, each `(price, size)` as text, or None."""
        bid = max(self._bids, key=Decimal, default=None)
        ask = min(self._asks, key=Decimal, default=None)
        return (
            None if bid is None else (bid, self._bids[bid]),
            None if ask is None else (ask, self._asks[ask]),
        )

    def levels(self) -> tuple[dict[str, str], dict[str, str]]:
        """Copies of the last bids and asks: price text to size text."""
        return dict(self._bids), dict(self._asks)

    def clear(self, ts_init: int) -> OrderBookDeltas:
        """Drop the book, and return the CLEAR that tells so.

        Its `ts_event` is that of the last update, the venue's time from which on nothing is known:
        our own clock may be ahead, and then the snapshot that follows would seem to come before it.
        """
        self.is_valid = False
        self._asks, self._bids = {}, {}
        ts_event = self._ts_event or ts_init
        self._number(ts_event, ts_init)
        return OrderBookDeltas(
            self.instrument_id, [self._clear_delta(F_SNAPSHOT | F_LAST, ts_event, ts_init)]
        )

    def _number(self, ts_event: int, ts_init: int) -> int:
        """The sequence of what is emitted now."""
        self._ts_event = ts_event
        self.sequence = ts_init if ts_init > self.sequence else self.sequence + 1
        return self.sequence

    def _clear_delta(self, flags: int, ts_event: int, ts_init: int) -> OrderBookDelta:
        return OrderBookDelta(
            self.instrument_id,
            BookAction.CLEAR,
            self._null_order,
            flags,
            self.sequence,
            ts_event,
            ts_init,
        )

    def _whole(
        self, asks: dict[str, str], bids: dict[str, str], ts_event: int, ts_init: int
    ) -> OrderBookDeltas | None:
        """Take both sides as the book, zero sizes left out; return CLEAR and ADDs.

        Returns None, and moves no state, if the sides cross. Raises ParseError.
        """
        values, sizes = self.numbers.sizes.many([*bids.values(), *asks.values()])
        if 0.0 in values:
            self._drop_zeros(asks)
            self._drop_zeros(bids)
            _, sizes = self.numbers.sizes.many([*bids.values(), *asks.values()])
        values, prices = self.numbers.prices.many([*bids, *asks])
        count = len(bids)
        bid_values, ask_values = values[:count], values[count:]
        _refuse_twice(asks, ask_values)
        _refuse_twice(bids, bid_values)
        best_ask, best_bid = min(ask_values, default=math.inf), max(bid_values, default=-math.inf)
        if _is_crossed(asks, bids, best_ask, best_bid):
            return None
        iid = self.instrument_id
        sequence = self._number(ts_event, ts_init)
        sides = chain(repeat(_BUY, count), repeat(_SELL, len(asks)))
        orders = list(map(BookOrder, sides, prices, sizes, repeat(0)))
        if not orders:
            deltas = [self._clear_delta(F_SNAPSHOT | F_LAST, ts_event, ts_init)]
        else:
            flags = chain(repeat(F_SNAPSHOT, len(orders) - 1), (F_SNAPSHOT | F_LAST,))
            deltas = [self._clear_delta(F_SNAPSHOT, ts_event, ts_init)]
            deltas += map(
                OrderBookDelta,
                repeat(iid),
                repeat(_ADD),
                orders,
                flags,
                repeat(sequence),
                repeat(ts_event),
                repeat(ts_init),
            )
        self._asks, self._bids = asks, bids
        self._best_ask, self._best_bid = best_ask, best_bid
        self.is_valid = True
        return OrderBookDeltas(iid, deltas)

    def _drop_zeros(self, levels: dict[str, str]) -> None:
        """Take levels of size 0 out, checking that the price of such a level is well-formed."""
        sizes, prices = self.numbers.sizes, self.numbers.prices
        for price in [price for price, size in levels.items() if sizes[size].raw == 0]:
            _ = prices[price]
            del levels[price]

    def _emit(
        self, changes: list[tuple[BookAction, BookOrder]], ts_event: int, ts_init: int
    ) -> OrderBookDeltas:
        """Pack changes (at least one) into one message, the last flagged F_LAST."""
        sequence = self._number(ts_event, ts_init)
        iid = self.instrument_id
        last_action, last_order = changes.pop()
        deltas = [
            OrderBookDelta(iid, action, order, 0, sequence, ts_event, ts_init)
            for action, order in changes
        ]
        deltas.append(
            OrderBookDelta(iid, last_action, last_order, F_LAST, sequence, ts_event, ts_init)
        )
        return OrderBookDeltas(iid, deltas)


def _as_side(levels: Sequence[Level]) -> dict[str, str]:
    if len(levels) > MAX_LEVELS:
        raise ParseError("book", f"expected at most {MAX_LEVELS} levels, received {len(levels)}")
    try:
        side: dict[str, str] = dict(levels)  # type: ignore[arg-type]
    except (TypeError, ValueError) as e:
        raise ParseError("book", "expected [price, size] pairs") from e
    if len(side) != len(levels):
        raise ParseError("book", "one price appears twice on a side")
    return side


class SnapshotBook(_Ladder):
    """The book of a venue that sends its whole book every time.

    `diff` compares with the last frame and gives the change only. `is_valid` tells, after each
    call, whether the strategy's book is whole: it turns False on a crossed or locked frame, which
    is counted and answered with a CLEAR, and True again with the next sound frame.
    """

    def diff(
        self, asks: Sequence[Level], bids: Sequence[Level], ts_event: int, ts_init: int
    ) -> OrderBookDeltas | None:
        """Return what this frame changes, or None if nothing.

        Levels come in any order; levels of size 0 are ignored. The first frame, and one that
        changes most of the book, gives CLEAR and ADDs. Raises ParseError on levels that
        aren't decimal pairs within the instrument's precision, and leaves the book as it was.
        """
        new_asks, new_bids = _as_side(asks), _as_side(bids)
        old_asks, old_bids = self._asks, self._bids
        levels = len(new_asks) + len(new_bids)
        changed_asks = _changed(old_asks, new_asks)
        # A side that changed wholly settles it: the other one needs no look.
        if not self.is_valid or (changed_asks and 2 * len(changed_asks) >= levels):
            return self._anew(new_asks, new_bids, ts_event, ts_init)
        changed_bids = _changed(old_bids, new_bids)
        changed = len(changed_asks) + len(changed_bids)
        if 2 * changed > levels:
            return self._anew(new_asks, new_bids, ts_event, ts_init)
        added_asks, gone_asks = _moved(old_asks, new_asks, changed_asks)
        added_bids, gone_bids = _moved(old_bids, new_bids, changed_bids)
        gone = len(gone_asks) + len(gone_bids)
        if not changed and not gone:
            return None
        if changed + gone > levels:
            return self._anew(new_asks, new_bids, ts_event, ts_init)
        changes: list[tuple[BookAction, BookOrder]] = []
        self._collect(_SELL, old_asks, new_asks, gone_asks, changed_asks, changes)
        self._collect(_BUY, old_bids, new_bids, gone_bids, changed_bids, changes)
        best_ask, best_bid = self._best_ask, self._best_bid
        if added_asks or len(new_asks) != len(old_asks):
            best_ask = min(_floats(new_asks), default=math.inf)
        if added_bids or len(new_bids) != len(old_bids):
            best_bid = max(_floats(new_bids), default=-math.inf)
        if _is_crossed(new_asks, new_bids, best_ask, best_bid):
            return self._crossed(ts_init)
        self._asks, self._bids = new_asks, new_bids
        self._best_ask, self._best_bid = best_ask, best_bid
        return self._emit(changes, ts_event, ts_init) if changes else None

    def again(self, ts_event: int, ts_init: int) -> OrderBookDeltas | None:
        """The whole valid book once more: the venue said anew that it stands."""
        return self._anew(self._asks, self._bids, ts_event, ts_init)

    def _anew(
        self, asks: dict[str, str], bids: dict[str, str], ts_event: int, ts_init: int
    ) -> OrderBookDeltas | None:
        whole = self._whole(asks, bids, ts_event, ts_init)
        return self._crossed(ts_init) if whole is None else whole

    def _crossed(self, ts_init: int) -> OrderBookDeltas | None:
        self.crossed_count += 1
        return self.clear(ts_init) if self.is_valid else None

    def _collect(
        self,
        side: OrderSide,
        old: dict[str, str],
        new: dict[str, str],
        gone: Sequence[str],
        changed: list[str],
        into: list[tuple[BookAction, BookOrder]],
    ) -> None:
        """Append the changes of one side, deletes first; take zero sizes out of `new`."""
        prices, sizes, nothing = self.numbers.prices, self.numbers.sizes, self._nothing
        into += [(_DELETE, BookOrder(side, prices[p], nothing, 0)) for p in gone]
        for price in changed:
            text = new[price]
            size, known = sizes[text], price in old
            if text not in sizes.zeros:
                into.append((_UPDATE if known else _ADD, BookOrder(side, prices[price], size, 0)))
                continue
            del new[price]
            if known:
                into.append((_DELETE, BookOrder(side, prices[price], nothing, 0)))


def _floats(side: dict[str, str]) -> list[float]:
    """The prices of a side as floats. Raises ParseError if one is there twice."""
    values = list(map(float, side))
    _refuse_twice(side, values)
    return values


def _changed(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return the prices of `new` that `old` lacks or has with another size."""
    if new == old:
        return []
    get = old.get
    return [price for price, size in new.items() if get(price) != size]


def _moved(
    old: dict[str, str], new: dict[str, str], changed: list[str]
) -> tuple[int, Sequence[str]]:
    """Return how many of the changed prices `old` lacks, and the prices that `new` lacks."""
    added = 0
    for price in changed:
        if price not in old:
            added += 1
    if len(old) + added == len(new):
        return added, ()
    return added, [price for price in old if price not in new]


class BookGap(StrEnum):
    """Why a sequenced book can't go on; a fresh snapshot is needed."""

    NO_SNAPSHOT = "update before any snapshot"
    SEQUENCE = "an update is missing"
    CROSSED = "best bid at or above best ask"


class SequencedBook(_Ladder):
    """The book of a venue that sends a snapshot with an id, then chained updates.

    An update carries the id of the one before it (`last_id`); a break of the chain is a gap. On a
    gap the caller emits `clear(...)` and asks for a new snapshot; until then every update gives
    `BookGap.NO_SNAPSHOT`.
    """

    def __init__(
        self, instrument_id: InstrumentId, price_precision: int, size_precision: int
    ) -> None:
        super().__init__(instrument_id, price_precision, size_precision)
        self.last_id = -1
        self.stale_count = 0
        self.gap_count = 0
        self._keys: dict[str, tuple[str, Price]] = {}  # by the venue's text: padded text, price
        # Bounds of the best prices: a cross is impossible while they are apart. A deleted level
        # leaves them as they are, so that they may claim a cross that a full look then denies.
        self._low_ask = math.inf
        self._high_bid = -math.inf

    def snapshot(
        self,
        book_id: int,
        asks: Sequence[Level],
        bids: Sequence[Level],
        ts_event: int,
        ts_init: int,
    ) -> OrderBookDeltas | BookGap:
        """Take a whole book; return CLEAR and ADDs, or `BookGap.CROSSED`.

        Raises ParseError on malformed levels.
        """
        new_asks, new_bids = _as_side(asks), _as_side(bids)
        precision = self.numbers.prices.precision
        new_asks = {padded(price, precision): size for price, size in new_asks.items()}
        new_bids = {padded(price, precision): size for price, size in new_bids.items()}
        deltas = self._whole(new_asks, new_bids, ts_event, ts_init)
        if deltas is None:
            self.crossed_count += 1
            self._drop()
            return BookGap.CROSSED
        self.last_id = book_id
        self._bound_best()
        return deltas

    def update(
        self,
        last_id: int,
        book_id: int,
        asks: Sequence[Level],
        bids: Sequence[Level],
        ts_event: int,
        ts_init: int,
    ) -> OrderBookDeltas | BookGap | None:
        """Apply one update; size 0 deletes a level.

        Returns the deltas; None for an update that is already contained (`book_id` not above the
        last) or that changes nothing; a `BookGap` when the chain is broken or the book crosses.
        Raises ParseError on malformed levels, after dropping the book: the chain has a hole then.
        """
        if not self.is_valid:
            return BookGap.NO_SNAPSHOT
        if book_id <= self.last_id:
            self.stale_count += 1
            return None
        if last_id != self.last_id:
            self.gap_count += 1
            self._drop()
            return BookGap.SEQUENCE
        changes: list[tuple[BookAction, BookOrder]] = []
        try:
            if asks:
                self._apply(_SELL, self._asks, asks, changes)
            if bids:
                self._apply(_BUY, self._bids, bids, changes)
        except ParseError:
            self._drop()
            raise
        if self._low_ask <= self._high_bid:
            self._bound_best()
            if _is_crossed(self._asks, self._bids, self._low_ask, self._high_bid):
                self.crossed_count += 1
                self._drop()
                return BookGap.CROSSED
        self.last_id = book_id
        return self._emit(changes, ts_event, ts_init) if changes else None

    def _drop(self) -> None:
        self.is_valid = False
        self.last_id = -1
        self._asks, self._bids = {}, {}

    def clear(self, ts_init: int) -> OrderBookDeltas:
        """Drop the book, and return the CLEAR that tells so."""
        self.last_id = -1
        return super().clear(ts_init)

    def _apply(
        self,
        side: OrderSide,
        book: dict[str, str],
        levels: Sequence[Level],
        into: list[tuple[BookAction, BookOrder]],
    ) -> None:
        sizes, known = self.numbers.sizes, self._keys
        zeros, nothing, append = sizes.zeros, self._nothing, into.append
        if len(book) + len(levels) > 2 * MAX_LEVELS:
            raise ParseError("book", f"expected at most {MAX_LEVELS} levels")
        try:
            for text, size_text in levels:
                # One price may be written in several ways across updates: the key is padded.
                key, price = known.get(text) or self._key(text)
                size = sizes[size_text]
                if size_text in zeros:
                    if book.pop(key, None) is not None:
                        append((_DELETE, BookOrder(side, price, nothing, 0)))
                    continue
                old = book.get(key)
                if old == size_text:
                    continue
                book[key] = size_text
                if old is not None:
                    append((_UPDATE, BookOrder(side, price, size, 0)))
                    continue
                append((_ADD, BookOrder(side, price, size, 0)))
                value = float(key)
                if side is _SELL:
                    if value < self._low_ask:
                        self._low_ask = value
                elif value > self._high_bid:
                    self._high_bid = value
        except (TypeError, ValueError) as e:
            raise ParseError("book", "expected [price, size] pairs of decimal text") from e

    def _key(self, text: str) -> tuple[str, Price]:
        if len(self._keys) >= MAX_CACHED_NUMBERS:
            self._keys.clear()
        prices = self.numbers.prices
        padded_text = padded(text, prices.precision)
        found = self._keys[text] = padded_text, prices[padded_text]
        return found

    def _bound_best(self) -> None:
        self._low_ask = min(map(float, self._asks), default=math.inf)
        self._high_bid = max(map(float, self._bids), default=-math.inf)
