"""A live run in its own recording: which of the recorded trades it made itself.

Pure. A trade that a run made as a taker is in the market's trades, too: a replay that has both
takes twice. A trade that met an order of the run at rest is another's, and fills that in a replay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import takewhile
from typing import Any

import msgspec

from fairlead.engine.research import merged
from fairlead.engine.research.columns import NOT_TOLD, Row

ZERO = Decimal(0)
SWEEP_NS = 1_000_000_000  # from the first to the last trade of one order that takes
ENDED = ("CANCELED", "EXPIRED")
WAITING = frozenset({"STOP_LIMIT", "LIMIT_IF_TOUCHED"})  # for their trigger: nobody meets them
OPPOSITE = {"BUY": "SELL", "SELL": "BUY"}


class Print(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of the market; `side` is the aggressor's, empty where the venue tells none."""

    ts: int  # when it was received
    id: str
    side: str
    price: Decimal
    size: Decimal


class Prints(msgspec.Struct, frozen=True, kw_only=True):
    """`of`: by the order's id, the trades that it made by taking; `unfound`: executions that were
    takers', of which the recorded trades have none."""

    of: Mapping[str, Sequence[Print]]
    unfound: Sequence[str]

    @property
    def count(self) -> int:
        return sum(map(len, self.of.values()))


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """What of the run itself its replay was not given: trades, and its orders out of rows of books;
    `unfound` are orders that took, of which the data has no trade."""

    trades: int
    book_rows: int
    unfound: Sequence[str]


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """The price at which an order met one of the same run, as the one of `side` that takes, or
    None: as the one at rest."""

    side: str | None
    price: Decimal
    words: str

    def explains(self, theirs: Any) -> bool:
        """Whether the backtest has nothing at a better price: that it would have had before."""
        if theirs is None or theirs.what != "fill" or self.side is None:
            return True
        price = Decimal(theirs.detail[1])
        return price >= self.price if self.side == "BUY" else price <= self.price


class _Tape:
    """The prints of one instrument, each of which is one order's at most."""

    def __init__(self, prints: Iterable[Print]) -> None:
        self._all = sorted(prints, key=lambda one: one.ts)
        self._times = [one.ts for one in self._all]
        self._ids = {one.id: at for at, one in enumerate(self._all)}
        self._used = set[int]()

    def use(self, found: Iterable[int]) -> list[Print]:
        numbers = list(found)
        self._used.update(numbers)
        return [self._all[at] for at in numbers]

    def by_id(self, name: str) -> tuple[int, Print] | None:
        """Some venues put their market before the number in what they tell of an account."""
        for one in (name, name.rpartition("-")[2]):
            if (at := self._ids.get(one)) is not None and at not in self._used:
                return at, self._all[at]
        return None

    def between(self, span: tuple[int, int], side: str) -> Iterator[tuple[int, Print]]:
        begin, end = bisect_left(self._times, span[0]), bisect_right(self._times, span[1])
        for at in range(begin, end):
            if at not in self._used and self._all[at].side in (side, ""):
                yield at, self._all[at]


def own_prints(rows: Iterable[Row], prints: Mapping[str, Iterable[Print]], reach_ns: int) -> Prints:
    """One to one: by the venue's id where the prints bear it, else by price, size and side, none
    from before the order was sent, nor later than `reach_ns` after its execution was told. An
    instrument of which no trades are recorded lacks none."""
    rows = list(rows)
    averages = merged.telling(rows, (), ns=0, until_ns=None).averages
    tapes = {name: _Tape(known) for name, known in prints.items()}
    found, unfound = dict[str, list[Print]](), list[str]()
    for row in sorted(rows, key=lambda one: (sent_at(one), one["client_order_id"])):
        if not row["fills"] or not (tape := tapes.get(row["instrument"])) or not tape._all:
            continue
        half = averages.get(row["instrument"], merged.HALF_COST)
        mine, lacks = _of_order(row, tape, reach_ns, half)
        if mine:
            found[row["client_order_id"]] = sorted(mine, key=lambda one: one.ts)
        if lacks:
            unfound.append(row["client_order_id"])
    return Prints(of=found, unfound=unfound)


def sent_at(row: Row) -> int:
    sent: int | None = row.get("ts_sent")
    return row["ts_init"] if sent is None else sent


def limits(row: Row) -> set[Decimal]:
    return {Decimal(one["price"]) for one in (row, *row["changes"]) if one["price"] is not None}


def _of_order(row: Row, tape: _Tape, reach_ns: int, half: Decimal) -> tuple[list[Print], bool]:
    found, lacks, sums, left = list[Print](), False, list[tuple[Row, Decimal]](), list[Row]()
    filled = ZERO
    for fill in row["fills"]:
        is_sum = merged.is_sum(fill, filled)
        filled += Decimal(fill["quantity"])
        if is_sum:
            sums.append((fill, filled))
        elif fill["liquidity"] != "MAKER" and not _by_id(row, fill, tape, found):
            left.append(fill)
    for fills in _by_price(left).values():
        taken, is_all = _at_price(row, fills, tape, reach_ns)
        found += taken
        lacks = lacks or not is_all
    for fill, until in sums:
        taken = _by_sum(row, fill, tape, reach_ns, max(half * until, merged.HALF_COST))
        found += taken
        lacks = lacks or (not taken and not _may_have_made(row, fill))
    return found, lacks


def _may_have_made(row: Row, fill: Row) -> bool:
    return fill["liquidity"] == NOT_TOLD and Decimal(fill["price"]) in limits(row)


def _span(row: Row, fill: Row, reach_ns: int) -> tuple[int, int]:
    return sent_at(row), fill["ts_event"] + reach_ns


def _by_id(row: Row, fill: Row, tape: _Tape, found: list[Print]) -> bool:
    """Whether the venue's id names the print of an execution: its own, or that of who met it at
    rest."""
    known = tape.by_id(str(fill["trade_id"]))
    terms = Decimal(fill["price"]), Decimal(fill["quantity"])
    if known is None or (known[1].price, known[1].size) != terms:
        return False
    if known[1].side != OPPOSITE[row["side"]]:
        found += tape.use([known[0]])
    return True


def _at_price(
    row: Row, fills: Sequence[Row], tape: _Tape, reach_ns: int
) -> tuple[list[Print], bool]:
    """The prints of what one price gave an order, and whether that is all: one of each execution,
    else one of all together, else of those that have one, and one of the rest."""
    own = dict[int, int]()  # by execution, its print
    for number, fill in enumerate(fills):
        size = Decimal(fill["quantity"])
        at = _printed(row, fill, size, tape, reach_ns, own.values())
        if at is not None:
            own[number] = at
    if len(own) == len(fills):
        return tape.use(own.values()), True
    if whole := _as_one(row, fills, tape, reach_ns):
        return whole, True
    found = tape.use(own.values())
    left = [fill for number, fill in enumerate(fills) if number not in own]
    rest = _as_one(row, left, tape, reach_ns)
    is_all = bool(rest) or all(_may_have_made(row, fill) for fill in left)
    return [*found, *rest], is_all


def _printed(
    row: Row, fill: Row, size: Decimal, tape: _Tape, reach_ns: int, apart: Container[int] = ()
) -> int | None:
    price = Decimal(fill["price"])
    for at, one in tape.between(_span(row, fill, reach_ns), row["side"]):
        if (one.price, one.size) == (price, size) and at not in apart:
            return at
    return None


def _is_within(price: Decimal, row: Row) -> bool:
    known = limits(row)
    if not known:
        return True
    return price <= max(known) if row["side"] == "BUY" else price >= min(known)


def _by_price(fills: Iterable[Row]) -> dict[Decimal, list[Row]]:
    found = defaultdict[Decimal, list[Row]](list)
    for fill in fills:
        found[Decimal(fill["price"])].append(fill)
    return found


def _as_one(row: Row, fills: Sequence[Row], tape: _Tape, reach_ns: int) -> list[Print]:
    """The print of all that one price gave an order, which met several there."""
    size = sum((Decimal(fill["quantity"]) for fill in fills), ZERO)
    at = _printed(row, fills[-1], size, tape, reach_ns)
    return [] if at is None else tape.use([at])


def _by_sum(row: Row, fill: Row, tape: _Tape, reach_ns: int, most: Decimal) -> list[Print]:
    """Prints, one right after the other, that make up a sum at its average to `most` of its worth;
    or with a rest at the order's limit, which then was made, if the first came as it arrived."""
    quantity = Decimal(fill["quantity"])
    worth = quantity * Decimal(fill["price"])
    near = [
        one
        for one in tape.between(_span(row, fill, reach_ns), row["side"])
        if _is_within(one[1].price, row)
    ]
    arrived = (row["ts_accepted"] or sent_at(row)) + reach_ns
    part: list[int] = []
    for first, (_, begin) in enumerate(near):
        size = value = ZERO
        sweep = takewhile(lambda one: one[1].ts - begin.ts <= SWEEP_NS, near[first:])  # noqa: B023
        for count, (_, one) in enumerate(sweep, 1):
            size += one.size
            value += one.size * one.price
            if size > quantity:
                break
            numbers = [at for at, _ in near[first : first + count]]
            if size == quantity and abs(value - worth) <= most:
                return tape.use(numbers)
            rests = (value + (quantity - size) * limit for limit in limits(row))
            if not part and begin.ts <= arrived and any(abs(one - worth) <= most for one in rests):
                part = numbers
    return tape.use(part)


def meetings(
    orders: Iterable[str], rows: Iterable[Row], prints: Prints, slack_ns: int
) -> dict[str, Met]:
    """Of `orders`, those that met another of the run's `rows`, by proof: the venue ended one that
    took at once, by no command, while another of the other side stood within its limit; or a trade
    of the one has price and time of an execution of the other."""
    by_id = {row["client_order_id"]: row for row in rows}
    found: dict[str, Met] = {}
    for row in (by_id[name] for name in orders):
        facing = (row["instrument"], OPPOSITE[row["side"]])
        mets = [
            met
            for other in by_id.values()
            if (other["instrument"], other["side"]) == facing
            if (met := _met(row, other, prints, slack_ns)) is not None
        ]
        if mets:  # the one that stood before the others
            sign = 1 if row["side"] == "BUY" else -1
            found[row["client_order_id"]] = min(mets, key=lambda one: sign * one.price)
    return found


def _met(row: Row, other: Row, prints: Prints, slack_ns: int) -> Met | None:
    name = other["client_order_id"]
    if (price := _traded(row, other, prints, slack_ns)) is not None:
        words = f"it traded with {name} of the same run, which no backtest lets it"
        return Met(side=row["side"], price=price, words=words)
    if (price := _traded(other, row, prints, slack_ns)) is not None:
        words = f"{name} of the same run traded with it, which no backtest lets it"
        return Met(side=None, price=price, words=words)
    if row["status"] not in ENDED or any(one["what"] == "cancel" for one in row.get("asked") or ()):
        return None
    sign = 1 if row["side"] == "BUY" else -1
    price = min(_in_the_way(row, other, slack_ns), key=lambda one: sign * one, default=None)
    if price is None or row["ts_last"] - (row["ts_accepted"] or sent_at(row)) > slack_ns:
        return None
    words = f"the venue ended it, as it met {name} of the same run, which no backtest has it meet"
    return Met(side=row["side"], price=price, words=words)


def _traded(taker: Row, maker: Row, prints: Prints, slack_ns: int) -> Decimal | None:
    """The price of a trade of both."""
    for one in prints.of.get(taker["client_order_id"], ()):
        for fill in maker["fills"]:
            is_then = abs(fill["ts_event"] - one.ts) <= slack_ns
            is_its = fill["liquidity"] != "TAKER" and one.price in limits(maker)
            if is_then and is_its and Decimal(fill["price"]) == one.price:
                return one.price
    return None


def _in_the_way(row: Row, other: Row, slack_ns: int) -> Iterator[Decimal]:
    """Prices of `other` within the limit of `row` when that came."""
    came = row["ts_accepted"] or sent_at(row)
    over = other.get("ts_cancelled") or other["ts_last"]
    is_open = other["status"] not in (*ENDED, "FILLED")
    if other["kind"] in WAITING or not other["ts_accepted"]:
        return
    if other["ts_accepted"] > came or not (is_open or over >= came):
        return
    sign = 1 if row["side"] == "BUY" else -1
    terms = [*other["changes"]] or [{**other, "ts_event": other["ts_init"]}]
    for now, after in zip(terms, [*terms[1:], None], strict=True):
        is_gone = after is not None and after["ts_event"] < came
        if now["price"] is None or is_gone or now["ts_event"] > came + slack_ns:
            continue
        price = Decimal(now["price"])
        if row["price"] is None or sign * price <= sign * Decimal(row["price"]):
            yield price
