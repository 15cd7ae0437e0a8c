"""The market that a live run recorded, without that run's own orders and executions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    OrderBookDelta,
    Quantity,
    RecordFlag,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.research.columns import Row
from fairlead.engine.research.own import OPPOSITE, WAITING, Own, Print, Prints, own_prints, sent_at
from fairlead.engine.research.own_levels import Change, Level, Told, held, steps, without
from fairlead.engine.run.replayed import Command

WINDOW_NS = 600_000_000_000
F_LAST = RecordFlag.F_LAST.value
_TS_INIT = attrgetter("ts_init")
Span = tuple[int, int]


def windows(span: Span) -> Iterator[Span]:
    begin, end = span
    while begin <= end:
        yield begin, min(begin + WINDOW_NS - 1, end)
        begin += WINDOW_NS


class Others:
    """A recording without its run: `rows` gives what others did; `shown` has, by order of the run,
    when the market first tells of what it took; `untold` those that took what no book had told."""

    def __init__(self, prints: Prints, told: Mapping[Level, Mapping[int, Told | None]]) -> None:
        self.prints, self.shown = prints, dict[str, int]()
        self.untold = set[str]()
        self._trades = {(one.ts, one.id) for made in prints.of.values() for one in made}
        self._levels = told
        self._times = frozenset(ts for known in told.values() for ts in known)

    @property
    def told(self) -> Own:
        return Own(
            trades=self.prints.count,
            book_rows=sum(map(len, self._levels.values())),
            unfound=self.prints.unfound,
        )

    def rows(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Of trades, or of changes of a book in their order."""
        if not rows:
            return rows
        if isinstance(rows[0], TradeTick):
            return [r for r in rows if (r.ts_init, str(r.trade_id)) not in self._trades]
        if not isinstance(rows[0], OrderBookDelta) or not self._times:
            return rows
        found: list[OrderBookDelta] = []
        for row in rows:
            new = self._told(row) if row.ts_init in self._times else row
            if new is not None:
                found.append(new)
            elif row.flags & F_LAST and found and found[-1].ts_init == row.ts_init:
                found[-1] = _changed(found[-1], flags=found[-1].flags | F_LAST)
        return found

    def _told(self, row: OrderBookDelta) -> OrderBookDelta | None:
        if row.action == BookAction.CLEAR:
            return row
        level = (str(row.instrument_id), *_level(row.order))
        known = self._levels.get(level, {})
        if row.ts_init not in known:
            return row
        if (new := known[row.ts_init]) is None:
            return None
        size = Quantity.from_decimal_dp(new.size, row.order.size.precision)
        return _changed(row, action=getattr(BookAction, new.action), size=size)


def _level(order: BookOrder) -> tuple[str, Decimal]:
    assert order.side is not None  # as in all but a CLEAR
    return order.side.name, order.price.as_decimal()


def _changed(
    row: OrderBookDelta,
    action: BookAction | None = None,
    size: Quantity | None = None,
    flags: int | None = None,
) -> OrderBookDelta:
    old = row.order
    order = old if size is None else BookOrder(old.side, old.price, size, old.order_id)
    return OrderBookDelta(
        row.instrument_id,
        row.action if action is None else action,
        order,
        row.flags if flags is None else flags,
        row.sequence,
        row.ts_event,
        row.ts_init,
    )


def others_of(
    catalog: Path, rows: Iterable[Row], span: Span, slack_ns: int, poll_ns: int
) -> Others:
    """`rows` are a live run's orders, `span` its time; its clock and its venue's are `slack_ns`
    apart at most, and it asked each `poll_ns`."""
    known = ParquetDataCatalog(str(catalog))
    here = [{**row, "fills": [f for f in row["fills"] if f["ts_event"] >= span[0]]} for row in rows]
    reach_ns = slack_ns + poll_ns
    prints = own_prints(here, _prints(known, here, span, reach_ns), reach_ns)
    taken = {name: sum((one.size for one in made), Decimal(0)) for name, made in prints.of.items()}
    resting = [
        one
        for row in here
        for one in steps(row, taken.get(row["client_order_id"], Decimal(0)), reach_ns)
    ]
    executed = {
        (row["instrument"], OPPOSITE[row["side"]], one.price)
        for row in here
        for one in prints.of.get(row["client_order_id"], ())
    }
    changes = _changes(known, {level for level, _ in resting} | executed, span)
    told = {
        level: dict(without(changes[level], mine))
        for level, mine in held(resting, changes).items()
        if level in changes
    }
    found = Others(prints, {level: ours for level, ours in told.items() if ours})
    for row in here:
        if made := prints.of.get(row["client_order_id"]):
            name = row["client_order_id"]
            found.shown[name] = _shown(row, made, changes)
            if _is_untold(row, made, changes, found.shown[name]):
                found.untold.add(name)
    return found


def as_shown(row: Row, others: Others) -> Row:
    """As the market tells of it: an order that took had arrived then, were it answered later, and
    what is told by its sum alone was executed by then."""
    name = row["client_order_id"]
    if (ts := others.shown.get(name)) is None or row["kind"] in WAITING:
        return row
    made, fills = others.prints.of[name], row["fills"]
    if all(fill.get("synthetic") for fill in fills):
        quantity = sum((Decimal(fill["quantity"]) for fill in fills), Decimal(0))
        if quantity == sum(one.size for one in made):
            fills = [{**fill, "ts_event": min(fill["ts_event"], made[-1].ts)} for fill in fills]
    accepted = row["ts_accepted"]
    here = accepted and max(min(accepted, ts - 1), sent_at(row) + 1)
    return {**row, "fills": fills, "ts_accepted": here}


def at_prints(played: Iterable[Command], others: Others) -> list[Command] | None:
    """The commands of orders that took so that they arrive right before their first print, where
    the answer came first. None: there are none."""
    found, late = [], 0
    for one in played:
        made = others.prints.of.get(one.order["client_order_id"])
        is_at_once = one.what == "submit" and one.order["kind"] not in WAITING
        if is_at_once and made and one.due is not None and one.due < made[0].ts - 1:
            late += 1
            found.append(msgspec.structs.replace(one, due=made[0].ts - 1))
        else:
            found.append(one)
    return found if late else None


def _shown(row: Row, made: Sequence[Print], changes: Mapping[Level, Sequence[Change]]) -> int:
    """When the market first tells of what an order took: its print, or a level that lost just as
    much since it was sent."""
    first = made[0].ts
    for price, size in _sizes(made).items():
        for one in changes.get((row["instrument"], OPPOSITE[row["side"]], price), ()):
            if one.ts >= first:
                break
            if one.ts > sent_at(row) and one.before - one.after == size:
                first = one.ts
    return first


def _sizes(made: Iterable[Print]) -> dict[Decimal, Decimal]:
    found = defaultdict[Decimal, Decimal](Decimal)
    for one in made:
        found[one.price] += one.size
    return found


def _is_untold(
    row: Row, made: Sequence[Print], changes: Mapping[Level, Sequence[Change]], ts: int
) -> bool:
    """Whether the book of before `ts` had less at a price than the order took there."""
    for price, size in _sizes(made).items():
        known = changes.get((row["instrument"], OPPOSITE[row["side"]], price), ())
        stood = next((one.after for one in reversed(known) if one.ts < ts), Decimal(0))
        if stood < size:
            return True
    return False


def _prints(known: Any, rows: Sequence[Row], span: Span, reach_ns: int) -> dict[str, list[Print]]:
    """Of the times in which orders may have taken: an instrument of which nothing is recorded has
    none."""
    found = dict[str, list[Print]]()
    for name in {row["instrument"] for row in rows if row["fills"]}:
        spans = [
            (sent_at(row), max(fill["ts_event"] for fill in row["fills"]) + reach_ns)
            for row in rows
            if row["instrument"] == name and any(f["liquidity"] != "MAKER" for f in row["fills"])
        ]
        for begin, end in _joined(spans):
            for window in windows((max(begin, span[0]), min(end, span[1] + reach_ns))):
                ticks = known.query_trade_ticks([name], start=window[0], end=window[1])
                found.setdefault(name, []).extend(map(_print, ticks))
    return found


def _joined(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _print(tick: TradeTick) -> Print:
    side = tick.aggressor_side.name
    return Print(
        ts=tick.ts_init,
        id=str(tick.trade_id),
        side=side if side in OPPOSITE else "",
        price=tick.price.as_decimal(),
        size=tick.size.as_decimal(),
    )


def _changes(known: Any, levels: set[Level], span: Span) -> dict[Level, list[Change]]:
    """Of the levels that are asked for, message by message."""
    found = defaultdict[Level, list[Change]](list)
    for name in sorted({level[0] for level in levels}):
        mine = {(side, price) for one, side, price in levels if one == name}
        stood = dict.fromkeys(mine, Decimal(0))
        for window in windows(span):
            rows = known.query_order_book_deltas([name], start=window[0], end=window[1])
            for ts, batch in groupby(rows, key=_TS_INIT):
                for level, change in _of_batch(ts, list(batch), stood):
                    found[name, *level].append(change)
    return found


def _of_batch(
    ts: int, batch: Sequence[OrderBookDelta], stood: dict[tuple[str, Decimal], Decimal]
) -> Iterator[tuple[tuple[str, Decimal], Change]]:
    """What is received in one moment."""
    is_anew, after = False, dict[tuple[str, Decimal], Decimal]()
    for row in batch:
        if row.action == BookAction.CLEAR:
            is_anew = True
            after.clear()
            continue
        level = _level(row.order)
        if level in stood:
            is_gone = row.action == BookAction.DELETE
            after[level] = Decimal(0) if is_gone else row.order.size.as_decimal()
    for level in stood if is_anew else after:
        size, is_told = after.get(level, Decimal(0)), level in after
        if is_told or stood[level]:
            change = Change(
                ts=ts, before=stood[level], after=size, is_anew=is_anew, is_told=is_told
            )
            yield level, change
        stood[level] = size
