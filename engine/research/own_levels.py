"""A live run in its own recording: how much of each recorded level is its own, from when on.

Pure. The venue tells of an order that rests in its level, before or after it answers, and together
with what others do there. When a message has it is known by arithmetic where the level changes by
just as much; else by the first change that is large enough, else by its answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.research.columns import Row
from fairlead.engine.research.own import WAITING, sent_at

LAG_NS = 250_000_000  # after its answer a message may still be of before
AT_ONCE = frozenset({"IOC", "FOK"})
Level = tuple[str, str, Decimal]  # instrument, side, price


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Of a level by a message. `is_anew`: it told the whole book; `is_told`: and of this level."""

    ts: int
    before: Decimal
    after: Decimal
    is_anew: bool = False
    is_told: bool = True


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """An order adds `size` to its level (less than 0: takes it away) in a message not earlier than
    `begin`, nor much later than `end`; None: nothing tells, so only a change of just as much is."""

    begin: int
    end: int | None
    size: Decimal


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a row of the book tells without the run: what a level becomes; None: nothing."""

    action: str  # ADD, UPDATE, DELETE
    size: Decimal


def steps(row: Row, taken: Decimal, slack_ns: int) -> Iterator[tuple[Level, list[Step]]]:
    """By level that it rested at, as it did so; `taken` of it took when it came."""
    if row["kind"] == "MARKET" or row["time_in_force"] in AT_ONCE or not row["ts_accepted"]:
        return
    begin, end = sent_at(row), None if row["kind"] in WAITING else row["ts_accepted"]
    terms = [*row["changes"]] or [row]
    made = _made(row, taken, slack_ns)
    left = Decimal(terms[0]["quantity"]) - taken
    for now, after in zip(terms, [*terms[1:], None], strict=True):
        if now["price"] is None or left <= 0:
            return
        found = [Step(begin=begin, end=end, size=left)]
        until = None if after is None else after["ts_event"]
        while made and (until is None or made[0][0] <= until):
            ts, size, early_ns = made.pop(0)
            size = min(size, left)
            left -= size
            found.append(Step(begin=max(begin, ts - early_ns), end=ts + slack_ns, size=-size))
        if until is not None:
            found.append(Step(begin=begin, end=until, size=-left))
        elif left and row["status"] in ("CANCELED", "EXPIRED"):
            over = row.get("ts_cancelled") or row["ts_last"]
            found.append(Step(begin=_asked(row, over, slack_ns), end=over, size=-left))
        yield (row["instrument"], row["side"], Decimal(now["price"])), found
        if after is not None:
            left += Decimal(after["quantity"]) - Decimal(now["quantity"])
            begin, end = _asked(row, after["ts_event"], slack_ns, "modify"), after["ts_event"]


def _made(row: Row, taken: Decimal, slack_ns: int) -> list[tuple[int, Decimal, int]]:
    """When it was told of what it made, how much, and how long before it was so at most."""
    found = []
    for fill in row["fills"]:
        size = Decimal(fill["quantity"])
        took, taken = min(size, taken), max(taken - size, Decimal(0))
        if size > took:
            found.append((fill["ts_event"], size - took, max(LAG_NS * 4, slack_ns)))
    return found


def _asked(row: Row, ts: int, slack_ns: int, what: str = "cancel") -> int:
    """When it was asked for, which is before it was so."""
    asked = [one["ts"] for one in row.get("asked") or () if one["what"] == what and one["ts"] <= ts]
    return max(asked, default=max(ts - slack_ns, sent_at(row)))


def held(
    orders: Iterable[tuple[Level, Sequence[Step]]], changes: Mapping[Level, Sequence[Change]]
) -> dict[Level, list[Decimal]]:
    """How much is the run's own after each change of a level."""
    found: dict[Level, list[Decimal]] = {}
    used = defaultdict[Level, set[int]](set)
    for level, made in orders:
        known = changes.get(level, ())
        times = [one.ts for one in known]
        here = found.setdefault(level, [Decimal(0)] * len(known))
        first = 0
        for step in made:
            first, is_just = _since(known, times, step, first, used[level])
            if is_just:
                used[level].add(first)
            elif step.end is None:  # it never came there, so it never goes
                break
            for at in range(first, len(known)):
                here[at] += step.size
    return found


def _since(
    known: Sequence[Change], times: Sequence[int], step: Step, first: int, used: set[int]
) -> tuple[int, bool]:
    """From which change on, and whether that is just as much."""
    begin = max(first, bisect_left(times, step.begin))
    end = len(known) if step.end is None else max(begin, bisect_right(times, step.end + LAG_NS))
    near = range(begin, end)
    moved = {at: known[at].after - known[at].before for at in near}
    just = next((at for at in near if moved[at] == step.size and at not in used), None)
    if just is not None:
        return just, True
    is_up = step.size > 0
    enough = (at for at in near if (moved[at] > step.size if is_up else moved[at] < step.size))
    return next(enough, end), False


def without(known: Sequence[Change], mine: Sequence[Decimal]) -> Iterator[tuple[int, Told | None]]:
    """By time, what the rows of a level tell that are another's without the run."""
    was = Decimal(0)
    for one, own in zip(known, mine, strict=True):
        before = Decimal(0) if one.is_anew else was
        stood = Decimal(0) if one.is_anew else one.before
        was = max(one.after - own, Decimal(0))
        if not one.is_told or (was == one.after and bool(before) == bool(stood)):
            continue
        if not was:
            yield one.ts, Told(action="DELETE", size=was) if before else None
        else:
            yield one.ts, Told(action="UPDATE" if before else "ADD", size=was)
