"""Whether a reduce-only order was cut to another position in one of run and replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.research.columns import Row
from fairlead.engine.research.events import Pair

ZERO = Decimal(0)
AT_ONCE = frozenset({"IOC", "FOK"})
GIVEN_NS = 1000  # a replay gives commands so much later at most, one after another


class Cut(msgspec.Struct, frozen=True):
    """Why one of both had less of an order, from when on, and whether that is the run."""

    why: str
    ts: int = 0
    is_run: bool = False


def cuts_of(
    row: Row, other: Row, rows: Sequence[Row], others: Sequence[Row], single: Iterable[Row]
) -> Iterator[Cut]:
    """Each of these that a reduce-only order could have less for, in one of both.

    `rows` are all of a run that cuts what fills, else none; `others` the replay's, as the run tells
    them, `single` with each fill by itself.
    """
    if not row.get("reduce_only"):
        return
    if row["kind"] != "MARKET" and row["time_in_force"] not in AT_ONCE:
        yield from _resting(row, other, rows)
        return
    found = (held_other(row, other, rows, others) if rows else None, native_cut(row, other, single))
    yield from (one for one in found if one is not None)


def _resting(row: Row, other: Row, rows: Sequence[Row]) -> Iterator[Cut]:
    cancels = [one["ts"] for one in row.get("asked") or () if one["what"] == "cancel"]
    # One of later has ended nothing, here or there
    is_ended, is_asked = (any(ts <= one["ts_last"] for ts in cancels) for one in (row, other))
    is_met = any(fill["ts_event"] == row["ts_last"] for fill in other["fills"])  # by no command
    is_its_own = row["status"] == "FILLED" and not is_asked
    if other["status"] == "CANCELED" and (is_its_own or _ended_itself(row, other)):
        yield Cut("the backtest ended it by a command: its position was smaller", other["ts_last"])
    if (size := Decimal(other["quantity"])) < Decimal(row["quantity"]):
        begins = [one["ts_event"] for one in other["changes"] if Decimal(one["quantity"]) == size]
        yield Cut("the backtest cut it to its position by a command", min(begins, default=0))
    is_cut = row["status"] == "CANCELED" and (is_met or not is_ended)
    if is_cut and rows and not _reducible(row, rows):
        yield Cut("the run cut it when it filled: its position was closed", row["ts_last"], True)


def _ended_itself(row: Row, other: Row) -> bool:
    """Whether the backtest gave a cancel that the run has not given."""
    given = [one["ts"] for one in row.get("asked") or () if one["what"] == "cancel"]
    given += [row["ts_last"], ended_at(row)]  # of one that ended without
    return any(
        all(abs(one["ts"] - ts) > GIVEN_NS for ts in given)
        for one in other.get("asked") or ()
        if one["what"] == "cancel"
    )


def ended_at(row: Row) -> int:
    """When the venue answered that it takes the order's cancel, where the run kept that; a live run
    books the end later. It is not before an execution, which the venue may tell of after it."""
    booked: int = row["ts_last"]
    taken: int | None = row.get("ts_cancelled")
    if taken is None:
        return booked
    last: int = max((fill["ts_event"] for fill in row["fills"]), default=-1)
    return min(booked, max(taken, last + 1))


def raced(row: Row, pair: Pair, slack_ns: int) -> str | None:
    """How long after its venue had taken its cancel a live order was executed, which the backtest
    ended by that cancel without it: its own comes right after the execution, whose trade the data
    may have later. None: it is not for that."""
    mine, theirs = pair
    taken: int | None = row.get("ts_cancelled")
    if taken is None or mine is None or theirs is None:
        return None
    if (mine.what, theirs.what) != ("fill", "ended") or theirs.ts > mine.ts + slack_ns:
        return None
    if mine.ts <= taken or theirs.ts < taken - GIVEN_NS:
        return None
    return f"executed {(mine.ts - taken) / 1e6:.3f} ms after its venue had taken its cancel"


def held_other(row: Row, other: Row, rows: Sequence[Row], others: Sequence[Row]) -> Cut | None:
    """Why a reduce-only order that takes at once got less in one of both: its strategy held just so
    much when it came, by orders that differ themselves. None: it is not for that."""
    both = []
    for one, all_of in ((row, rows), (other, others)):
        before = [each for each in all_of if each is not one]
        held, unit = held_by(one, before, one["ts_accepted"] or one["ts_last"])
        both.append((filled_by(one, one["ts_last"]), held - held % unit, held))
    (less, most, held), (more, most_there, held_there) = sorted(both)
    if less == more or less != max(most, ZERO) or most_there <= most:
        return None
    told = (f"{each.normalize():f}" for each in sorted((held, held_there)))
    why = f"of {' and '.join(told)} in run and backtest that it was to reduce, by other orders"
    return Cut(why, is_run=both[0][0] == less)


def _reducible(row: Row, rows: Sequence[Row]) -> bool:
    """Whether its strategy held a whole unit for it to close when it ended, before that's fee."""
    held, unit = held_by(row, rows, row["ts_last"])
    return held >= unit


def held_by(row: Row, rows: Iterable[Row], until: int) -> tuple[Decimal, Decimal]:
    """What its strategy held for it to close at a time, before the fee of its own last fill then;
    and a unit of that."""
    held, unit = ZERO, Decimal(1)
    for move in _moves(row, rows, until):
        held += move.signed - (ZERO if move.is_last else move.fee)  # a fee in base is held no more
        unit = min(unit, move.unit)
    return -held if row["side"] == "BUY" else held, unit


class _Move(msgspec.Struct, frozen=True):
    """What an execution moved: base units, signed, and its fee in them."""

    ts: int
    signed: Decimal
    fee: Decimal
    unit: Decimal
    is_last: bool


def _moves(row: Row, rows: Iterable[Row], until: int) -> Iterator[_Move]:
    """Of the strategy of `row`, in its instrument; `is_last`: those of `row` itself at `until`."""
    for one in rows:
        if (one["strategy"], one["instrument"]) != (row["strategy"], row["instrument"]):
            continue
        sign = 1 if one["side"] == "BUY" else -1
        for fill in (fill for fill in one["fills"] if fill["ts_event"] <= until):
            size = Decimal(fill["quantity"])
            amount, _, currency = (fill["fee"] or "").partition(" ")
            is_base = bool(currency) and row["instrument"].startswith(currency)
            yield _Move(
                ts=fill["ts_event"],
                signed=sign * size,
                fee=Decimal(amount) if is_base else ZERO,
                unit=Decimal(1).scaleb(int(size.as_tuple().exponent)),
                is_last=one is row and fill["ts_event"] == until,
            )


def native_cut(row: Row, other: Row, others: Iterable[Row]) -> Cut | None:
    """Why the backtest alone gave less to a reduce-only order that takes at once: NautilusTrader
    cuts it to a position of its own. None: it is not for that, or not for that alone. `others` are
    the replay's, each fill by itself."""
    name, until = other["client_order_id"], other["ts_accepted"] or other["ts_last"]
    before = [each for each in others if each["client_order_id"] != name]
    held, unit = held_by(other, before, until)
    native = _native(other, before, until, unit)
    mine, theirs = filled_by(row, row["ts_last"]), filled_by(other, other["ts_last"])
    if not theirs < mine <= held or abs(native - theirs) >= unit or not _is_begin(other, row):
        return None
    return Cut(
        f"its position is {held.normalize():f}; NautilusTrader cut it to its own, which is "
        f"{native.normalize():f}: it takes no fee of the part that closed one which a fill turned"
    )


def _native(row: Row, rows: Iterable[Row], until: int, unit: Decimal) -> Decimal:
    """What NautilusTrader's position of it is then, for it to close: a fill that turns a position
    closes it whole, and opens one by the rest, which alone has paid its share of the fee."""
    held = ZERO
    for move in sorted(_moves(row, rows, until), key=lambda one: one.ts):
        closes = abs(held).quantize(unit)
        if held * move.signed < 0 and abs(move.signed) > closes:
            share = (abs(move.signed) - closes) / abs(move.signed)
            held = move.signed * share - move.fee * share
        else:
            held += move.signed - move.fee
    return -held if row["side"] == "BUY" else held


def _is_begin(short: Row, whole: Row) -> bool:
    """Whether its fills are the first of those of the other, but for what the last lacks."""
    if not 0 < len(short["fills"]) <= len(whole["fills"]):
        return False
    pairs = list(zip(short["fills"], whole["fills"], strict=False))
    last, of_whole = (Decimal(one["quantity"]) for one in pairs[-1])
    same = [
        all(Decimal(one[name]) == Decimal(other[name]) for name in ("price", "quantity"))
        for one, other in pairs[:-1]
    ]
    return all(same) and last <= of_whole and _price(pairs[-1][0]) == _price(pairs[-1][1])


def _price(fill: Row) -> Decimal:
    return Decimal(fill["price"])


def filled_by(row: Row, ts: int) -> Decimal:
    sizes = (Decimal(one["quantity"]) for one in row["fills"] if one["ts_event"] <= ts)
    return sum(sizes, ZERO)
