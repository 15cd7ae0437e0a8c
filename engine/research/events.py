"""What an order of a run, or of its replay, went through, to be compared one by one."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from fairlead.engine.research.columns import Row

REFUSED = frozenset({"REJECTED", "DENIED"})
NOT_GIVEN = "never given"
_ENDS = {"CANCELED": "ended", "EXPIRED": "ended", "FILLED": "filled"}


class Event(msgspec.Struct, frozen=True):
    """Of an order: accepted, refused, filled, or how it ended."""

    what: str
    ts: int
    detail: tuple[str, ...] = ()  # of a fill: quantity, price
    fee: tuple[str, ...] = ()  # and its fee, and whether it made or took
    parts: int = 1  # of how many executions it is the sum

    def __str__(self) -> str:
        if self.what != "fill":
            return " ".join((self.what, *self.detail))
        quantity, price = self.detail
        return f"{self.fee[1].lower()} {quantity} at {price}, fee {self.fee[0]}"


Pair = tuple[Event | None, Event | None]


def begins(pair: Pair) -> int:
    """From when on both differ: what is open has not ended yet."""
    times = [(one.what == "open", one.ts) for one in pair if one is not None and one.ts]
    return min(times)[1]


def events_of(row: Row | None, *, is_refused: bool = False) -> list[Event]:
    """In the order of time. None: it never came to be, as the gate refused it, or was not given."""
    if row is None:
        return [Event("refused", 0, ("by the gate",)) if is_refused else Event(NOT_GIVEN, 0)]
    if row["status"] in REFUSED:
        return [Event("refused", row["ts_last"])]
    found = []
    if row["ts_accepted"]:
        found.append(Event("accepted", row["ts_accepted"]))
    for fill in row["fills"]:
        amount, _, currency = (fill["fee"] or "").partition(" ")
        fee = (f"{plain(amount or '0')} {currency}".strip(), fill["liquidity"])
        found.append(
            Event("fill", fill["ts_event"], detail_of(fill), fee, parts=fill.get("parts", 1))
        )
    found.append(Event(_ENDS.get(row["status"], "open"), row["ts_last"]))
    return found


def is_rounded(mine: Event, theirs: Event, row: Row, other: Row) -> bool:
    """Whether both are one execution of a venue that tells prices finer than ticks, which a book
    has rounded against whoever takes."""
    if (mine.what, theirs.what) != ("fill", "fill"):
        return False
    told = next((one for one in row["fills"] if detail_of(one) == mine.detail), None)
    if mine.detail[0] != theirs.detail[0] or told is None or told.get("synthetic") is not False:
        return False  # a sum's average is finer for another reason
    tick = Decimal(1).scaleb(-max(decimals_of(fill["price"]) for fill in other["fills"]))
    price, rounding = Decimal(mine.detail[1]), ROUND_CEILING
    if row["side"] == "SELL":
        rounding = ROUND_FLOOR
    rounded = price.quantize(tick, rounding)
    return rounded != price and rounded == Decimal(theirs.detail[1])


def decimals_of(number: str) -> int:
    return len(number.partition(".")[2])


def detail_of(fill: Row) -> tuple[str, str]:
    return plain(fill["quantity"]), plain(fill["price"])


def plain(number: str) -> str:
    """Without zeros at its end."""
    text = format(Decimal(number), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
