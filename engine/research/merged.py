"""What a run told of several executions as one: the replay's, put together the same way.

Where a venue tells no executions one by one, the order desk books what a poll tells anew of an
order as one, at its average price; so it books what a venue never lists. The replay has each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec

from fairlead.engine.research.columns import NOT_TOLD, Row
from fairlead.engine.research.events import decimals_of

ZERO = Decimal(0)
MOST_DECIMALS = 12  # beyond them an average is what a division has left
HALF_COST = Decimal("5e-9")  # where what was paid is told, and not its average: to eight decimals


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """How far what a run tells as one may be from its parts: in time (`ns`, by `late` more after
    them, by instrument, whatever is later than `until_ns`), and its average price by half of the
    last decimal that its venue tells, by instrument."""

    ns: int
    late: Mapping[str, int]
    until_ns: int | None
    averages: Mapping[str, Decimal]


def telling(
    rows: Iterable[Row],
    replayed: Iterable[Row],
    *,
    ns: int,
    until_ns: int | None,
    late: Mapping[str, int] = MappingProxyType({}),
) -> Telling:
    """Decimals are those of all averages of an instrument: one may end in zeros that nobody wrote.
    They are no fewer than those of its prices."""
    decimals: defaultdict[str, int] = defaultdict(int)
    for row in replayed:
        told = [decimals_of(fill["price"]) for fill in row["fills"]]
        decimals[row["instrument"]] = max(decimals[row["instrument"]], *told, 0)
    for row in rows:
        if before(row):
            continue
        if row["fills"] and is_sum(row["fills"][0], ZERO):  # later ones are differences of averages
            told = [min(decimals_of(row["fills"][0]["price"]), MOST_DECIMALS)]
            decimals[row["instrument"]] = max(decimals[row["instrument"]], *told)
    averages = {name: Decimal(5).scaleb(-1 - count) for name, count in decimals.items()}
    return Telling(ns=ns, late=late, until_ns=until_ns, averages=averages)


def before(row: Row) -> Decimal:
    """What of an order was executed before the run: its first execution is a difference, too."""
    filled = sum((Decimal(fill["quantity"]) for fill in row["fills"]), ZERO)
    return max(Decimal(row.get("filled") or 0) - filled, ZERO)


def is_sum(fill: Row, before: Decimal) -> bool:
    """Whether the order desk booked it by an order's sum, of which it knew `before`.

    A run of before this was kept tells it by the id alone.
    """
    known = fill.get("synthetic")
    if known is not None:
        return bool(known)
    filled = (before + Decimal(fill["quantity"])).normalize()
    return fill["liquidity"] == NOT_TOLD and str(fill["trade_id"]).endswith(f"-{filled:f}")


def together(rows: Iterable[Row], replayed: Mapping[str, Row], telling: Telling) -> dict[str, Row]:
    """`replayed`, by the order's id in the run, with the fills that the run told as one as one:
    whose quantities make up just its own, their average its price, and their times its time."""
    found = dict(replayed)
    for row in rows:
        other = replayed.get(row["client_order_id"])
        if other is not None and any(_sums(row)):
            kept = {name: other[name] for name in ("fills", "decided") if other.get(name)}
            made = {name: _as_told(row, fills, telling) for name, fills in kept.items()}
            found[row["client_order_id"]] = {**other, **made}
    return found


def _sums(row: Row) -> Iterable[bool]:
    filled = before(row)
    for fill in row["fills"]:
        yield is_sum(fill, filled)
        filled += Decimal(fill["quantity"])


def _as_told(row: Row, parts: Sequence[Row], telling: Telling) -> list[Row]:
    """As far as they are the same: the rest is left as it is."""
    found, left = list[Row](), list(parts)
    mine = theirs = ZERO
    began = filled = before(row)
    for fill, is_one in zip(row["fills"], _sums(row), strict=True):
        count = _making(left, Decimal(fill["quantity"]))
        if not count:
            break
        group, left = left[:count], left[count:]
        filled += Decimal(fill["quantity"])
        mine += _worth(fill)
        theirs += sum(map(_worth, group), ZERO)
        name = row["instrument"]
        half = (began + filled) * telling.averages[name]  # that of `began` was told, too
        is_same = abs(mine - theirs) <= max(half, HALF_COST)
        is_same = is_same and _is_then(fill, group, telling, name)
        if is_one and is_same:
            found.append(_one(fill, group))
        else:
            found += group
        if not is_same:
            break
    return [*found, *left]


def _making(parts: Sequence[Row], quantity: Decimal) -> int:
    """How many of the first make up just a quantity; 0: it is none."""
    made = ZERO
    for count, part in enumerate(parts, 1):
        made += Decimal(part["quantity"])
        if made >= quantity:
            return count if made == quantity else 0
    return 0


def _worth(fill: Row) -> Decimal:
    return Decimal(fill["quantity"]) * Decimal(fill["price"])


def _is_then(fill: Row, parts: Iterable[Row], telling: Telling, name: str) -> bool:
    ts: int = fill["ts_event"]
    until = telling.until_ns
    return all(
        -telling.ns <= ts - part["ts_event"] <= telling.ns + telling.late.get(name, 0)
        or (until is not None and min(ts, part["ts_event"]) >= until)
        for part in parts
    )


def _one(fill: Row, parts: Sequence[Row]) -> Row:
    """The parts as the run has them; their fees summed, and of how many (`parts`) they are."""
    made: dict[str, Any] = {name: fill[name] for name in ("quantity", "price", "ts_event")}
    if "fee" in parts[0]:
        fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        for part in parts:
            amount, _, currency = (part["fee"] or "").partition(" ")
            fees[currency] += Decimal(amount or 0)
        made["fee"] = " + ".join(f"{fee:f} {name}".strip() for name, fee in fees.items())
        known = {part["liquidity"] for part in parts}
        made["liquidity"] = known.pop() if len(known) == 1 else NOT_TOLD
    return {**parts[0], **made, "parts": len(parts)}
