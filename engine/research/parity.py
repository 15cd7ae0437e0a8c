"""A run's orders beside those of its commands in a backtest, event by event: what differs, and why.

Pure: rows in, differences out. What the run tells of several executions as one, as its venue tells
their sum, is compared as such (`merged`). Each order has at most one difference: its first that is
more than a fee, else its first. It is explained by the first of these that fits:

- `kill`: an order of the kill switch. No backtest plays it: what it closed is open there.
- `refusal`: one of both was refused, by the venue or by the gate, or a change of it was before they
  differ (within a gap that of the backtest is the gap's doing); or it is the same where the
  backtest refuses and cuts what the run did, and no more: what an order takes, or stands before,
  the others have no more.
- `end`: all is the same, but the run ended it after the end of the data, as it ended itself or by a
  command that was on its way then: in the backtest it is open. Or it was given after it.
- `fee`: the same execution, at another fee, or called a maker's in one and a taker's in the other.
  What the venue did not tell of it, maker or taker, differs from neither.
- `gap`: the data lacks what the run saw of its instrument while the order lived, from before they
  differ on, or says itself that it lacks some.
- `rounding`: the same execution, at a price that its venue tells finer than its ticks: the book has
  it rounded against whoever takes.
- `latency`: it arrived at another time; or all is the same with the config's latency, or with none.
- `exit`: a reduce-only order that rests was cut to its strategy's position in one of both only,
  which has less from then on, at no other price or time: a backtest does it by a command, a paper
  run when it fills, a venue without such orders never. Or one that takes at once was cut to it on
  paper or in the backtest, as they held different ones.
- `own`: live, it met an order of the run at rest: its venue ended one of both for it, or let them
  trade. In a backtest none of a run's orders meets another, so it took what others had behind.
- `queue`: a maker's execution at the order's own limit came earlier, later or not at all; one that
  came earlier is there without a queue. None of a paper run, which reckons queues as a backtest of
  the same config does. So may a stop's rest: NautilusTrader calls it a taker's.
- `race`: live, its venue went on executing it after it had taken its cancel, until it ended it.
- `booking`: the matching decided on the same, then; the backtest books it later, as NautilusTrader
  asks about a resting order at the next event that reaches it, or never, as it ended before.
- `liquidity`: a live order took behind a trade that the book did not show yet, at that trade's
  price in one of both: how much the trade left of its level no data tells, so the backtest gives
  no more than was shown less what was traded. Or the backtest took what the next book tells had
  left: when, between two books, no data tells.
- `unexplained`: everything else. A backtest that has such a one can't be trusted about this run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import msgspec

from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.research import merged
from fairlead.engine.research.columns import NOT_TOLD, Row
from fairlead.engine.research.cuts import Cut, cuts_of, filled_by, raced
from fairlead.engine.research.events import (
    Event,
    Pair,
    begins,
    detail_of,
    events_of,
    is_rounded,
    plain,
)
from fairlead.engine.research.own import Met, Own

ZERO = Decimal(0)
REFUSAL, FEE, GAP, LATENCY = "refusal", "fee", "gap", "latency"
EXIT, BOOKING, QUEUE, UNEXPLAINED = "exit", "booking", "queue", "unexplained"
LIQUIDITY, OWN, KILL, END = "liquidity", "own", "kill", "end"
ROUNDING, RACE = "rounding", "race"
CLASSES = (
    LATENCY,
    QUEUE,
    FEE,
    GAP,
    ROUNDING,
    REFUSAL,
    EXIT,
    BOOKING,
    LIQUIDITY,
    OWN,
    RACE,
    KILL,
    END,
    UNEXPLAINED,
)
WEAK = frozenset({UNEXPLAINED, QUEUE})
UNCOMPARED_MAX = Decimal("0.1")  # of a run's orders, beyond which nobody can call it alike
STOPPING = frozenset({"STOP_LIMIT", "LIMIT_IF_TOUCHED"})
Span = tuple[int, int]
Lack = tuple[int, int, str]  # a span, and of which instrument; empty: of all


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first of one order. `kind` is of `CLASSES`; `run` and `replay` say what each had."""

    kind: str
    ts: int
    order: str
    strategy: str
    instrument: str
    run: str
    replay: str
    why: str


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Of one instrument: what the run counted (None: it did not), and what the data has."""

    instrument: str
    what: str
    run: int | None
    data: int

    @property
    def differ(self) -> bool:
        return self.run is not None and self.run != self.data


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """`lacking` are spans in which the data is not what the run saw; `nets` are by currency, of the
    run and of the replay."""

    run: str
    orders: int
    fills: int
    events: int
    inputs: tuple[Inputs, ...]
    lacking: tuple[Lack, ...]
    differences: tuple[Difference, ...]
    nets: Mapping[str, tuple[Decimal, Decimal]]
    notes: tuple[str, ...] = ()
    own: Own | None = None  # of a live run

    @property
    def classes(self) -> dict[str, int]:
        counted = Counter(one.kind for one in self.differences)
        return {name: counted[name] for name in CLASSES if counted[name]}

    @property
    def uncompared(self) -> int:
        """Orders of which nothing says whether they would have been alike: refused in one of both,
        or in a gap."""
        return sum(self.classes.get(kind, 0) for kind in (REFUSAL, GAP))

    def beyond(self, tolerance: Mapping[str, Decimal]) -> list[str]:
        """What is too much, in words: what nobody explains, what is not compared, and nets that
        differ by more."""
        found = []
        if count := self.classes.get(UNEXPLAINED):
            found.append(f"{count} unexplained")
        if self.uncompared > self.orders * UNCOMPARED_MAX:
            found.append(f"{self.uncompared} of {self.orders} orders not compared")
        for name, (mine, theirs) in self.nets.items():
            if name in tolerance and abs(mine - theirs) > tolerance[name]:
                found.append(f"net differs by {abs(mine - theirs)} {name}")
        return found


class Slack(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the same may differ: in time, what came before `since_ns` and what is later than
    the end of the data in any time, and fees, by their currency, in their last decimal; `each` is
    what every further part of a sum of the replay's was rounded by."""

    ns: int
    since_ns: int
    until_ns: int | None
    fees: Mapping[str, Decimal]
    each: Mapping[str, Decimal]


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """The same commands under another assumption: rows by the order's id in the run."""

    words: str
    rows: Mapping[str, Row]

    def as_told(self, rows: Iterable[Row], told: merged.Telling) -> Variant:
        return Variant(words=self.words, rows=merged.together(rows, self.rows, told))


def compared(
    rows: Iterable[Row],
    replayed: Mapping[str, Row],
    *,
    lacking: Sequence[Lack],
    latencies: Sequence[Variant] = (),
    queueless: Variant | None = None,
    as_refused: Variant | None = None,
    denied: Mapping[str, str] | None = None,
    unchanged: Mapping[str, tuple[int, str]] | None = None,
    slack_ns: int = 0,
    poll_ns: int = 0,
    late: Mapping[str, int] = MappingProxyType({}),
    since_ns: int = 0,
    until_ns: int | None = None,
    cuts_at_fills: bool = False,
    is_changed: bool = False,
    behind: Mapping[str, Collection[str]] | None = None,
    own: Mapping[str, Met] | None = None,
) -> list[Difference]:
    """By time. `replayed` are rows by the order's id in the run; what is later than `until_ns`, the
    end of the data, may be so at another time, as what the run had before `since_ns`, its begin; so
    may anything by `slack_ns`, and what the run told of executions by their sum by `poll_ns` more
    and, later, by `late` of its instrument.
    `cuts_at_fills`: the run was on paper; `is_changed`: by another config file. `behind`: prices of
    the trades that were newer than the book when the backtest filled or ended an order of a live
    run, by its id; `denied`: why its gate refused one; `own`: where it met one of its run. What it
    neither has nor refused it was never given. `unchanged`: when it refused a change, and why.
    """
    rows, found = list(rows), list[Difference]()
    slack = _slack(rows, replayed.values(), slack_ns, (since_ns, until_ns))
    told = merged.telling(
        rows, replayed.values(), ns=slack_ns + poll_ns, until_ns=until_ns, late=late
    )
    single, replayed = replayed.values(), merged.together(rows, replayed, told)
    latencies = [one.as_told(rows, told) for one in latencies]
    as_refused, others = as_refused and as_refused.as_told(rows, told), list(replayed.values())
    for row in rows:
        other, no = replayed.get(row["client_order_id"]), (denied or {}).get(row["client_order_id"])
        events = events_of(row), events_of(other, is_refused=no is not None)
        pair = _first(*events, slack, but_fees=True) or _first(*events, slack)
        if pair is None:
            continue
        changed = (unchanged or {}).get(row["client_order_id"])
        if changed is not None and begins(pair) + slack_ns < changed[0]:
            changed = None
        cut = _cut(row, other, pair, (rows if cuts_at_fills else (), others, single), slack)
        kind, why = _explained(row, other, pair, lacking, slack, cut, no, changed and changed[1])
        met = (own or {}).get(row["client_order_id"])
        if kind == UNEXPLAINED and not why and met is not None and met.explains(pair[1]):
            kind, why = OWN, met.words
        if kind == UNEXPLAINED and not why:
            kind, why = _like_another(row, latencies, as_refused, slack)
        if kind == UNEXPLAINED and not why:
            is_same = cuts_at_fills and not is_changed
            kind, why = _queued(row, pair, queueless, slack, is_same=is_same)
        prices = (behind or {}).get(row["client_order_id"], ())
        if kind == UNEXPLAINED and (price := _took_behind(row, pair, prices)) is not None:
            kind, why = LIQUIDITY, f"what was left at {price} the book told only later"
        mine, theirs = pair
        found.append(
            Difference(
                kind=kind,
                ts=begins(pair),
                order=row["client_order_id"],
                strategy=row["strategy"],
                instrument=row["instrument"],
                run="nothing more" if mine is None else str(mine),
                replay="nothing more" if theirs is None else str(theirs),
                why=why,
            )
        )
    found.sort(key=lambda one: (one.ts, one.order))
    return _shared(found, rows, replayed)


def _shared(
    found: Sequence[Difference], rows: Sequence[Row], replayed: Mapping[str, Row]
) -> list[Difference]:
    """What nobody explains of an order, or its queue alone, is explained where others, each of
    which differs for a reason of its own by then, were executed just so much more or less in that
    moment: they share what was there."""
    told = {one.order: one for one in found}
    sides = {row["client_order_id"]: row.get("side") for row in rows}
    for one in (each for each in found if each.kind in WEAK and each.order in replayed):
        had = {
            row["client_order_id"]: size
            for row in rows
            if (row["instrument"], row.get("side")) == (one.instrument, sides[one.order])
            if (size := _more(row, replayed.get(row["client_order_id"]), one.ts))
        }
        mine = had.pop(one.order, ZERO)
        causes = [told[name] for name in had if name in told and told[name].ts <= one.ts]
        is_known = len(causes) == len(had) and all(cause.kind not in WEAK for cause in causes)
        if mine and is_known and sum(had.values()) == -mine:
            why = f"{causes[0].order} had it in one of both, which differs itself"
            told[one.order] = msgspec.structs.replace(one, kind=causes[0].kind, why=why)
    return list(told.values())


def _more(row: Row, other: Row | None, ts: int) -> Decimal:
    """By how much it was executed more in the run at a moment."""
    mine, theirs = (
        sum((Decimal(f["quantity"]) for f in one["fills"] if f["ts_event"] == ts), Decimal(0))
        for one in (row, other or {"fills": ()})
    )
    return mine - theirs


def _slack(
    rows: Iterable[Row], replayed: Iterable[Row], ns: int, span: tuple[int, int | None]
) -> Slack:
    """A fee's is that of the coarser of both."""
    mine, theirs = _decimals(rows), _decimals(replayed)
    fees = {name: _half(min(mine[name], theirs[name])) for name in mine.keys() & theirs.keys()}
    each = {name: _half(count) for name, count in theirs.items()}
    return Slack(ns=ns, since_ns=span[0], until_ns=span[1], fees=fees, each=each)


def _half(decimals: int) -> Decimal:
    """Of a unit of the last one."""
    return Decimal(5).scaleb(-1 - decimals)


def _decimals(rows: Iterable[Row]) -> dict[str, int]:
    """The most that a fee has, by currency: one alone may end in zeros that nobody wrote."""
    found: dict[str, int] = {}
    for fill in (fill for row in rows for fill in row["fills"] if fill["fee"]):
        amount, _, currency = fill["fee"].partition(" ")
        found[currency] = max(found.get(currency, 0), len(amount.partition(".")[2]))
    return found


def _first(
    mine: Sequence[Event], theirs: Sequence[Event], slack: Slack, *, but_fees: bool = False
) -> Pair | None:
    for one, other in zip_longest(mine, theirs):
        if one is None or other is None:
            return one, other
        same = (one.what, one.detail) == (other.what, other.detail)
        parts = max(one.parts, other.parts)
        same = same and (but_fees or _is_same_fee(one.fee, other.fee, slack, parts))
        if one.what == other.what == "refused":  # by whomever: nothing of it traded in either
            return None
        if not same or not _is_same_time(one, other, slack):
            return one, other
    return None


def _is_same_fee(one: tuple[str, ...], other: tuple[str, ...], slack: Slack, parts: int) -> bool:
    """As far as both tell it: to the decimal that both have, and maker or taker where both do."""
    if one == other:
        return True
    if one[1] != other[1] and NOT_TOLD not in (one[1], other[1]):
        return False
    mine, theirs = (told[0].partition(" ") for told in (one, other))
    apart = abs(Decimal(mine[0]) - Decimal(theirs[0]))
    most = slack.fees.get(mine[2], ZERO) + (parts - 1) * slack.each.get(mine[2], ZERO)
    return mine[2] == theirs[2] and apart <= most


def _is_same_time(one: Event, other: Event, slack: Slack) -> bool:
    if one.what in ("refused", "ended", "filled", "open"):
        return True  # told by what came before, or nothing that trades
    if one.ts < slack.since_ns:  # of an earlier run: the replay is given it when it begins
        return True
    if slack.until_ns is not None and min(one.ts, other.ts) >= slack.until_ns:
        return True
    return abs(one.ts - other.ts) <= slack.ns


def _explained(
    row: Row,
    other: Row | None,
    pair: Pair,
    lacking: Sequence[Lack],
    slack: Slack,
    cut: str | None,
    denied: str | None,
    unchanged: str | None,
) -> tuple[str, str]:
    """Class and reason, by the order alone; no reason of what others may explain."""
    if row["strategy"] == KILL_STRATEGY:
        return KILL, "the kill switch's own order: no backtest plays it"
    mine, theirs = pair
    if other is None and denied is None:
        return _never_given(row, slack)
    gap = _gap(row, other, lacking, begins(pair) + slack.ns)
    refused = "refused" in {one.what for one in pair if one is not None}
    if refused and (gap is None or mine is None or mine.what == "refused"):
        found = (other or {}).get("reason") or denied or row.get("reason") or "the gate refused"
        return REFUSAL, str(found)
    if (found := _ended_later(row, pair, slack)) is not None:
        return END, found
    if mine is not None and theirs is not None and _is_same_fill(mine, theirs, slack):
        return FEE, f"{' '.join(mine.fee)} against {' '.join(theirs.fee)}"
    if _is_rounded(pair, row, other, slack):
        return ROUNDING, "the venue tells it finer than the ticks that its book has"
    if gap is not None:
        of = f" of {gap[2]}" if gap[2] else ""
        return GAP, f"the data lacks what the run saw{of} for {(gap[1] - gap[0]) / 1e9:.3f} s"
    if mine is not None and theirs is not None and mine.what == theirs.what == "accepted":
        return LATENCY, f"arrived {(theirs.ts - mine.ts) / 1e6:+.3f} ms apart"
    if unchanged is not None:
        return REFUSAL, f"its change: {unchanged}"
    if cut is not None:
        return EXIT, cut
    if _is_decided(row, other, slack) or _is_lost(row, other, slack, mine):
        return BOOKING, "the same, decided then: NautilusTrader books it later, or not at all"
    return UNEXPLAINED, ""


def _is_rounded(pair: Pair, row: Row, other: Row | None, slack: Slack) -> bool:
    mine, theirs = pair
    if mine is None or theirs is None or other is None:
        return False
    return is_rounded(mine, theirs, row, other) and _is_same_time(mine, theirs, slack)


def _cut(row: Row, other: Row | None, pair: Pair, of: Any, slack: Slack) -> str | None:
    cuts: Iterable[Cut] = () if other is None else cuts_of(row, other, *of)
    return next((one.why for one in cuts if _is_cut(pair, one, slack)), None)


def _is_cut(pair: Pair, cut: Cut, slack: Slack) -> bool:
    """Whether what differs is that one has less from then on: no other price, no other time."""
    less, more = pair if cut.is_run else reversed(pair)
    if more is None or more.what != "fill":
        return less is None or less.what != "fill"  # the same executions, and another end
    if less is None or less.what != "fill":
        return more.ts + slack.ns >= cut.ts
    is_smaller = Decimal(less.detail[0]) < Decimal(more.detail[0])
    same = is_smaller and less.detail[1] == more.detail[1] and _is_same_time(less, more, slack)
    return same and more.ts + slack.ns >= cut.ts


def _never_given(row: Row, slack: Slack) -> tuple[str, str]:
    if slack.until_ns is not None and row["ts_init"] >= slack.until_ns:
        return END, "it was given when the data was over"
    return UNEXPLAINED, "the backtest was never given it"


def _ended_later(row: Row, pair: Pair, slack: Slack) -> str | None:
    """Why the run alone has an end of it, after that of the data; None: it is not for that."""
    mine, theirs = pair
    if mine is None or theirs is None or (mine.what, theirs.what) != ("ended", "open"):
        return None
    if slack.until_ns is None or mine.ts < slack.until_ns:
        return None
    asked = [one["ts"] for one in row.get("asked") or () if one["what"] == "cancel"]
    if any(ts < slack.until_ns for ts in asked):
        return "its cancel was on its way when the data ended"
    if asked:
        return "its cancel was given when the data was over"
    return "no command of its strategy: the run ended it, as it ended itself, after the data"


def _like_another(
    row: Row, latencies: Sequence[Variant], as_refused: Variant | None, slack: Slack
) -> tuple[str, str]:
    """Class and reason, where another assumption gives what the run had."""
    if _is_same_but_booked(row, as_refused, slack):
        assert as_refused is not None
        return REFUSAL, f"the same {as_refused.words}"
    for one in latencies:
        known = one.rows.get(row["client_order_id"])
        if known is not None and _same_fills(row, known, slack):
            return LATENCY, f"the same {one.words}"
    return UNEXPLAINED, ""


def _is_same_but_booked(row: Row, variant: Variant | None, slack: Slack) -> bool:
    """Whether the variant has the same executions, were it at another fee, or booked later."""
    known = None if variant is None else variant.rows.get(row["client_order_id"])
    if known is None:
        return False
    is_same = _first(_trading(row), _trading(known), slack, but_fees=True) is None
    return is_same or _is_decided(row, known, slack)


def _is_decided(row: Row, other: Row | None, slack: Slack, until: float = math.inf) -> bool:
    """Whether the matching of the backtest decided on just the run's fills of before `until`,
    whenever they were booked, and if they were."""
    if other is None or not row["fills"] or not other.get("decided"):
        return False
    mine, decided = (
        [event for event in _fills(fills) if event.ts < until]
        for fills in (row["fills"], other["decided"])
    )
    return _first(mine, decided, slack, but_fees=True) is None


def _is_lost(row: Row, other: Row | None, slack: Slack, first: Event | None) -> bool:
    """Whether a fill that was decided on then was not booked before the order was changed: it had
    another limit then, and more to get than the run's had."""
    if other is None or first is None or first.what != "fill":
        return False
    later = [one["ts_event"] for one in row["changes"][1:] if one["ts_event"] > first.ts]
    if not later or not _is_decided(row, other, slack, min(later)):
        return False
    decided = [one for one in other["decided"] if one["ts_event"] < min(later)]
    booked = sum((Decimal(one["quantity"]) for one in other["fills"] if _is_of(one, decided)), ZERO)
    return booked < sum((Decimal(one["quantity"]) for one in decided), ZERO)


def _is_of(fill: Row, decided: Iterable[Row]) -> bool:
    return Decimal(fill["price"]) in {Decimal(one["price"]) for one in decided}


def _fills(rows: Iterable[Row]) -> list[Event]:
    return [Event("fill", one["ts_event"], detail_of(one)) for one in rows]


def _own(row: Row) -> set[str]:
    """The limits that it had."""
    return {plain(one["price"]) for one in (row, *row["changes"]) if one["price"] is not None}


def _took_behind(row: Row, pair: Pair, prices: Collection[str]) -> str | None:
    """The price, of `prices`, at which the order took in one of both, and makes in none."""
    fills = [one for one in pair if one is not None and one.what == "fill"]
    made = [one for one in fills if one.fee[1] == "MAKER" or _may_make(one, row)]
    if pair[0] not in fills or made:
        return None
    return next((one.detail[1] for one in fills if one.detail[1] in prices), None)


def _may_make(fill: Event, row: Row) -> bool:
    return fill.fee[1] == NOT_TOLD and fill.detail[1] in _own(row)


def _gap(row: Row, other: Row | None, lacking: Sequence[Lack], until: int) -> Lack | None:
    """What the data lacks of its instrument while the order lived, and from before `until` on, when
    both differ."""
    end = min(until, max(one["ts_last"] for one in (row, other) if one is not None))
    found = (
        span
        for span in lacking
        if span[2] in ("", row["instrument"]) and span[0] <= end and row["ts_init"] <= span[1]
    )
    return next(found, None)


def _is_same_fill(mine: Event, theirs: Event, slack: Slack) -> bool:
    """But for its fee."""
    same = (mine.what, mine.detail) == (theirs.what, theirs.detail)
    return same and mine.what == "fill" and _is_same_time(mine, theirs, slack)


def _same_fills(row: Row, other: Row, slack: Slack) -> bool:
    return _first(_trading(row), _trading(other), slack) is None


def _trading(row: Row) -> list[Event]:
    return [event for event in events_of(row) if event.what != "accepted"]


def _queued(
    row: Row, pair: Pair, queueless: Variant | None, slack: Slack, *, is_same: bool
) -> tuple[str, str]:
    mine, theirs = pair
    own = _own(row)
    fills = [one for one in pair if one is not None and one.what == "fill"]
    made = {"MAKER", NOT_TOLD}
    odd = [one for one in fills if one.fee[1] not in made or one.detail[1] not in own]
    if row.get("kind") in STOPPING:  # the rest of one that was fired, in a backtest
        odd = [one for one in odd if one is not theirs or one.detail[1] not in own]
    if odd:
        return UNEXPLAINED, "no assumption of the backtest gives it"
    is_earlier = theirs is not None and theirs.what == "fill"
    if is_earlier and mine is not None and mine.what == "fill":
        assert theirs is not None
        is_earlier = theirs.ts < mine.ts
    if is_same and fills:
        return UNEXPLAINED, "a paper run reckons the queue as the backtest does"
    if is_earlier:
        return QUEUE, "longer than what was displayed"
    if mine is None or mine.what != "fill":
        return UNEXPLAINED, "the same executions, and another end"
    known = None if queueless is None else queueless.rows.get(row["client_order_id"])
    if known is not None and filled_by(known, mine.ts + slack.ns) >= filled_by(row, mine.ts):
        return QUEUE, "shorter than what was displayed"
    after = raced(row, pair, slack.ns)
    return (RACE, after) if after else (UNEXPLAINED, "not even without a queue")


def event_count(rows: Iterable[Row]) -> int:
    return sum(len(events_of(row)) for row in rows)


def as_told(found: Parity) -> dict[str, Any]:
    """For `--json`: amounts as text, the first difference by itself."""
    differences = [msgspec.structs.asdict(one) for one in found.differences]
    return {
        "run": found.run,
        "orders": found.orders,
        "fills": found.fills,
        "events": found.events,
        "inputs": [{**msgspec.structs.asdict(one), "differ": one.differ} for one in found.inputs],
        "lacking": [
            {"from_ns": begin, "to_ns": end, "instrument": name}
            for begin, end, name in found.lacking
        ],
        "first": differences[0] if differences else None,
        "own": None if found.own is None else msgspec.structs.asdict(found.own),
        "classes": found.classes,
        "uncompared": found.uncompared,
        "differences": differences,
        "net": {
            name: {"run": format(mine, "f"), "replay": format(theirs, "f")}
            for name, (mine, theirs) in found.nets.items()
        },
        "notes": list(found.notes),
    }
