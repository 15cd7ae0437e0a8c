"""`fairlead parity`: a kept run's recording and commands through the backtest, and what differs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import BookAction, BookType, InstrumentId, OrderBook, RecordFlag
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.rules import RECORDED
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.account import Account
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.table import FILL_LAG_READS
from fairlead.engine.recording.gaps import GapKind, crossing, read_gaps
from fairlead.engine.research import parity
from fairlead.engine.research.columns import Row
from fairlead.engine.research.events import REFUSED, plain
from fairlead.engine.research.own import meetings
from fairlead.engine.research.parity import Difference, Inputs, Lack, Parity, Span, Variant
from fairlead.engine.research.runs import Run
from fairlead.engine.run.as_held import AsHeld
from fairlead.engine.run.earlier import Earlier, notes, sent
from fairlead.engine.run.latency import latency_of
from fairlead.engine.run.own import Others, as_shown, at_prints, others_of, windows
from fairlead.engine.run.replayed import (
    AFTER,
    PLAYED,
    UNSENT,
    Command,
    Given,
    commands,
    config_of,
    replay,
    usual_ns,
)

MODES = ("live", "paper")  # what happened, and not what a backtest says of it
LACKS = frozenset(
    (GapKind.GAP, GapKind.MISSING, GapKind.OVERFLOW, GapKind.STOPPED, GapKind.BETWEEN_RUNS)
)
LATE_NS = 250_000_000  # a run looks at its prices this much after they came, at most
SLACK_NS = 1  # by which commands are given later
REAL_SLACK_NS = 1_000_000_000  # a venue's clock, and how often it is asked, against ours
F_TOB = RecordFlag.F_TOB.value
AFTER_NS = AFTER // timedelta(microseconds=1) * 1000
BEHIND_NS = 60_000_000_000  # at most, from a change of the book to a trade that is newer
Progress = Callable[[str], None]


def parity_of(run: Run, config: Path | None = None, told: Progress = lambda _: None) -> Parity:
    """Raises FairleadError: PARITY-MODE, PARITY-UNRECORDED, PARITY-EMPTY, PARITY-KIND,
    PARITY-ENDED, and as a backtest does.

    `config` is the file of the run, where it lies elsewhere now.
    """
    if (mode := run.manifest.mode) not in MODES:
        raise FairleadError(
            "PARITY-MODE",
            f"{run.id}: expected a run of mode {' or '.join(MODES)}, came one of mode {mode}: "
            "there is nothing that happened to compare a backtest with",
            int(Exit.USAGE),
        )
    is_real = run.manifest.mode == "live"
    slack_ns = REAL_SLACK_NS if is_real else SLACK_NS
    loaded = config_of(run, config)
    rows, earlier = _sent(run, loaded.config.instruments)
    catalog = loaded.resolve(loaded.config.backtest.catalog)
    span = (run.summary["start_ns"], run.summary["end_ns"])
    told("the inputs")
    tops, inputs, last_ns = _inputs(run, catalog, loaded.config.instruments, span)
    lacking = [*_unlike(run, tops), *_gaps(catalog, loaded, span)]
    poll_ns, others = loaded.config.execution.poll_ms * 1_000_000, None
    if is_real:  # of a paper run nothing is in the market
        told("its own orders in the data")
        others = others_of(catalog, rows, (span[0], span[1] + AFTER_NS), slack_ns, poll_ns)
        rows = [as_shown(row, others) for row in rows]
    loaded = _with_opening(loaded, run, earlier)
    case = _Case(run.summary, loaded, rows, others, slack_ns, earlier)
    played = commands(rows, slack_ns, usual_ns(loaded, rows))
    more: dict[str, Any] = {
        "lacking": lacking,
        "slack_ns": slack_ns,
        "poll_ns": poll_ns,
        "late": _late(loaded, poll_ns) if is_real else {},
        "since_ns": span[0],
        "until_ns": last_ns,
        "cuts_at_fills": not is_real,
        "is_changed": _is_changed(run, loaded),
    }
    told("its commands through the backtest")
    played_again = _replayed(case, played, "as the run measured it")
    base = played_again.rows
    more |= {"denied": played_again.denied, "unchanged": played_again.unchanged}
    found = parity.compared(rows, base, **more)
    if any(one.kind in (parity.UNEXPLAINED, parity.QUEUE) for one in found):
        if others is not None:  # on paper it is the same rule
            more |= _of_the_market(case, catalog, found, base, slack_ns + poll_ns)
        plain = as_refused(rows, base, found, played)
        again = _variants(case, (played, plain), told)
        found = parity.compared(rows, base, **more, **again)
    return Parity(
        run=run.id,
        orders=len(rows),
        fills=sum(len(row["fills"]) for row in rows),
        events=parity.event_count(rows),
        inputs=tuple(inputs),
        lacking=tuple(lacking),
        differences=tuple(found),
        nets=_nets(run, played_again, loaded.config.instruments),
        notes=(
            *_notes(run, loaded, rows, earlier),
            *notes(run, earlier, played_again.unplayed, loaded.config.instruments),
            *_elsewhere(run, loaded.config.instruments),
        ),
        own=None if others is None else others.told,
    )


def _sent(run: Run, names: Collection[str]) -> tuple[list[Row], Earlier]:
    """Those to compare. Raises FairleadError PARITY-EMPTY, PARITY-KIND."""
    rows, earlier = sent(run, names, UNSENT)
    if not rows:
        text = f"{run.id} sent no orders: there is nothing to compare"
        raise FairleadError("PARITY-EMPTY", text, int(Exit.NO_DATA))
    odd = sorted({row["kind"] for row in rows} - PLAYED)
    if odd:
        raise FairleadError(
            "PARITY-KIND",
            f"{run.id} has orders that no backtest simulates: {', '.join(odd)}; expected "
            f"{', '.join(sorted(PLAYED))}",
            int(Exit.BAD_DATA),
        )
    return rows, earlier


def _elsewhere(run: Run, names: Collection[str]) -> Iterable[str]:
    """What an earlier run has left in instruments that the config names no more."""
    odd = {one["instrument"] for one in run.summary["instruments"]} - set(names)
    odd |= {row["instrument"] for row in run.rows("orders")} - set(names)
    if odd:
        yield f"not in the config, and not compared: {', '.join(sorted(odd))}"


class _Again(msgspec.Struct, frozen=True):
    """What came of the commands: rows, why the gate refused one, when and why it first refused a
    change of one, by the order's id in the run; nets by currency; of the run's what is in
    `unplayed` executions, by instrument: currency, amount, count."""

    rows: dict[str, Row]
    denied: dict[str, str]
    unchanged: dict[str, tuple[int, str]]
    nets: dict[str, Decimal]
    unplayed: dict[str, tuple[str, Decimal, int]]


class _Case(msgspec.Struct, frozen=True):
    """A run that is replayed, by its `summary`; `others`: without itself, of a live one."""

    summary: Mapping[str, Any]
    loaded: LoadedConfig
    rows: Sequence[Row]
    others: Others | None
    slack_ns: int
    earlier: Earlier = Earlier()

    def given(self) -> Given:
        return Given(
            held=AsHeld(self.rows, self.earlier, self.slack_ns),
            seen=None if self.others is None else self.others.rows,
            cuts=self.others is None,
            begin_ns=self.summary["start_ns"],
        )


def _with_opening(loaded: LoadedConfig, run: Run, earlier: Earlier) -> LoadedConfig:
    """With what was held at the start in the balances, too: a cash account sells what it has."""
    balances = {
        currency: Decimal(amount)
        for amount, currency in (text.split() for text in loaded.config.simulated.balances)
    }
    for one in run.summary["instruments"]:
        if one["instrument"] not in loaded.config.instruments:
            continue  # of an earlier run, and kept: nothing of it is replayed
        held = Decimal(one["opening_position"]) + earlier.balance(one["instrument"], one["base"])
        more = max(held, Decimal(0))
        if more and loaded.config.venues[_venue(loaded, one["instrument"])].account_type == "cash":
            balances[one["base"]] = balances.get(one["base"], Decimal(0)) + more
    told = [f"{amount:f} {currency}" for currency, amount in balances.items()]
    simulated = msgspec.structs.replace(loaded.config.simulated, balances=told)
    config = msgspec.structs.replace(loaded.config, simulated=simulated)
    return msgspec.structs.replace(loaded, config=config)


def _venue(loaded: LoadedConfig, instrument: str) -> str:
    return next(key for key, one in loaded.config.venues.items() if instrument in one.instruments)


def _replayed(
    case: _Case, played: Sequence[Command], words: str, loaded: LoadedConfig | None = None
) -> _Again:
    done = replay(loaded or case.loaded, case.rows, played, words, case.given())
    try:
        theirs = {
            row["client_order_id"]: {**row, "decided": done.decided.get(row["client_order_id"], ())}
            for row in done.result.record().tables["orders"]
        }
        marks, cache = _marks(case.summary), done.result.cache
        net = at_marks(done.result.summary, marks, cache)
        unplayed = case.earlier.nets(marks, cache)
    finally:
        done.result.dispose()
    told, ids = done.told, done.told.ids.items()
    return _Again(
        rows={mine: theirs[name] for mine, name in ids if name in theirs},
        denied={mine: told.denied[name] for mine, name in ids if name in told.denied},
        unchanged={mine: told.unchanged[name] for mine, name in ids if name in told.unchanged},
        nets=net,
        unplayed=unplayed,
    )


def _of_the_market(
    case: _Case, catalog: Path, found: Iterable[Difference], base: Mapping[str, Row], ns: int
) -> dict[str, Any]:
    """Of a live run: what its market did behind trades, and what met its own orders."""
    assert case.others is not None
    weak = [one.order for one in found if one.kind in parity.WEAK]
    return {
        "behind": _behind(catalog, found, case.rows, base, case.others),
        "own": meetings(weak, case.rows, case.others.prints, ns),
    }


def _variants(
    case: _Case, given: tuple[Sequence[Command], Sequence[Command] | None], told: Progress
) -> dict[str, Any]:
    """The same commands with other assumptions, one at a time; the second of those `given` are
    those of `as_refused`."""
    (played, others), loaded, own = given, case.loaded, case.others
    usual = latency_of(loaded).kernel_ns
    found = []
    refused = None
    if others is not None:
        told(words := "where the backtest refuses and cuts what the run did, and no more")
        refused = Variant(words=words, rows=_replayed(case, others, words).rows)
    moves = [
        (words, [msgspec.structs.replace(one, due=one.ts + delay) for one in played])
        for words, delay in (("without a latency", 0), ("with the config's latency", usual))
    ]
    if own is not None and (late := at_prints(played, own)) is not None:
        moves.insert(0, ("where its own trade is in the data", late))
    for words, moved in moves:
        told(words)
        found.append(Variant(words=words, rows=_replayed(case, moved, words).rows))
    told(words := "without a queue")
    bare = msgspec.structs.replace(
        loaded,
        config=msgspec.structs.replace(
            loaded.config,
            simulated=msgspec.structs.replace(loaded.config.simulated, queue_position=False),
        ),
    )
    queueless = Variant(words=words, rows=_replayed(case, played, words, bare).rows)
    return {"latencies": found, "queueless": queueless, "as_refused": refused}


def as_refused(
    rows: Sequence[Row],
    base: Mapping[str, Row],
    found: Sequence[Difference],
    played: Iterable[Command],
) -> list[Command] | None:
    """The commands without those of orders that the run alone had refused; those that the backtest
    alone refuses or does not change, and exits that one of both cut or nobody explains, as plain
    orders that are neither post-only nor reduce-only. None: there are none of either."""
    exits = {row["client_order_id"] for row in rows if row.get("reduce_only")}
    weak = {one.order for one in found if one.kind in parity.WEAK} & exits
    cut = {one.order for one in found if one.kind in (parity.EXIT, parity.REFUSAL)}
    dropped, plain = set[str](), weak | cut
    for row in rows:
        name, other = row["client_order_id"], base.get(row["client_order_id"])
        mine = row["status"] in REFUSED
        if mine is (other is None or other["status"] in REFUSED):
            continue
        if mine:
            dropped.add(name)
        elif row["strategy"] != KILL_STRATEGY:
            plain.add(name)
    if not dropped and not plain:
        return None
    return [
        msgspec.structs.replace(one, order={**one.order, "post_only": False, "reduce_only": False})
        if one.order["client_order_id"] in plain
        else one
        for one in played
        if one.order["client_order_id"] not in dropped
    ]


def _behind(
    catalog: Path,
    found: Iterable[Difference],
    rows: Iterable[Row],
    base: Mapping[str, Row],
    others: Others,
) -> dict[str, set[str]]:
    """Of what nobody explains, prices of the trades newer than the book (its best alone is none)
    when the backtest filled or ended the order, by its id in the run; where the next book tells
    that less stands than the backtest took, while the run's own trades are in the data; and where
    by these the run took what no book had told."""
    known, prices = ParquetDataCatalog(str(catalog)), dict[str, set[str]]()
    runs = {row["client_order_id"]: row for row in rows}
    for one in found:
        row = base.get(one.order)
        if one.kind != parity.UNEXPLAINED or row is None:
            continue
        here = prices.setdefault(one.order, set())
        for ts in {row["ts_last"], *(fill["ts_event"] for fill in row["fills"])}:
            since = ts - BEHIND_NS
            for delta in known.query_order_book_deltas([one.instrument], start=since, end=ts - 1):
                if delta.flags & RecordFlag.F_LAST.value and not delta.flags & F_TOB:
                    since = delta.ts_init
            trades = known.query_trade_ticks([one.instrument], start=since, end=ts)
            here.update(plain(str(trade.price)) for trade in others.rows(trades))
        mine = runs[one.order]["fills"]
        if one.order in others.untold:
            here.update(plain(fill["price"]) for fill in mine)
        told = one.order in others.prints.of
        told = told or all(_is_told(known, one.instrument, fill) for fill in mine)
        for fill in row["fills"] if told else ():
            if _had_left(known, one.instrument, row["side"], fill):
                here.add(plain(fill["price"]))
    return prices


def _is_told(known: Any, name: str, fill: Mapping[str, Any]) -> bool:
    """Whether the market's trades have one at the price of a `fill`, at its time."""
    begin, end = fill["ts_event"] - REAL_SLACK_NS, fill["ts_event"] + REAL_SLACK_NS
    trades = known.query_trade_ticks([name], start=begin, end=end)
    return any(one.price.as_decimal() == Decimal(fill["price"]) for one in trades)


def _had_left(known: Any, name: str, side: str, fill: Mapping[str, Any]) -> bool:
    """Whether the book that was told next after a taker's `fill` has less at its price."""
    ts, price, is_whole = fill["ts_event"], Decimal(fill["price"]), False
    size: Decimal | None = None
    for delta in known.query_order_book_deltas([name], start=ts + 1, end=ts + BEHIND_NS):
        if delta.action == BookAction.CLEAR:
            is_whole, size = True, Decimal(0)
        elif delta.order.price.as_decimal() == price and delta.order.side.name != side:
            is_gone = delta.action == BookAction.DELETE
            size = Decimal(0) if is_gone else delta.order.size.as_decimal()
        if delta.flags & RecordFlag.F_LAST.value and (is_whole or not delta.flags & F_TOB):
            break
    return size is not None and size < Decimal(fill["quantity"])


def _nets(run: Run, again: _Again, names: Collection[str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Of the run without what no backtest has: what a position that it took over had won, what
    executions of earlier runs' orders brought, and instruments that the config names no more."""
    mine = {name: Decimal(value) for name, value in run.summary["net"].items()}
    for one in run.summary["instruments"]:
        gain = "opening_gain" if one["instrument"] in names else "net"
        mine[one["quote"]] -= Decimal(one.get(gain, 0))  # an older run told none
    for quote, net, _ in again.unplayed.values():
        mine[quote] -= net
    zero, nets = Decimal(0), again.nets
    return {name: (mine.get(name, zero), nets.get(name, zero)) for name in sorted({*mine, *nets})}


def _marks(summary: Mapping[str, Any]) -> dict[str, Decimal]:
    return {
        one["instrument"]: Decimal(one["mark"])
        for one in summary["instruments"]
        if one["mark"] is not None
    }


def at_marks(summary: RunSummary, marks: Mapping[str, Decimal], cache: Any) -> dict[str, Decimal]:
    """Nets with what is held at the end at the run's marks: its own orders were in those."""
    found = dict(summary.net)
    for one in summary.instruments:
        if (mark := marks.get(one.instrument)) is not None and one.mark is not None:
            account = Account(cache.instrument(InstrumentId.from_str(one.instrument)))
            there, here = (account.value(one.position, price) for price in (mark, one.mark))
            found[one.quote] += there - here
    return found


def _late(loaded: LoadedConfig, poll_ns: int) -> dict[str, int]:
    """How much later an execution may be booked that a venue which lists them never listed."""
    found = dict[str, int]()
    for key, venue in loaded.config.venues.items():
        if venue.adapter == RECORDED or not (can := loaded.specs[key].capabilities).reports_fills:
            continue
        late = int(can.max_order_lag_secs * 1_000_000_000) + FILL_LAG_READS * poll_ns
        found |= dict.fromkeys(venue.instruments, late)
    return found


def _is_changed(run: Run, loaded: LoadedConfig) -> bool:
    return run.manifest.config_file != loaded.sha256


def _notes(run: Run, loaded: LoadedConfig, rows: Iterable[Row], earlier: Earlier) -> Iterable[str]:
    if _is_changed(run, loaded):
        yield f"{loaded.file} was changed since the run: it is compared with what the file says now"
    if damage := run.damage():
        yield f"the run's folder is not as it was written: {', '.join(damage)}"
    if run.manifest.mode == "live":
        held = any(Decimal(one["opening_position"]) for one in run.summary["instruments"])
        more = ", and a position that was taken over" if held or earlier.booked else ""
        yield f"balances are those of [simulated]{more}"
    kills = [row for row in rows if row["strategy"] == KILL_STRATEGY and row["fills"]]
    if kills:
        yield (
            f"net: {len(kills)} orders of the kill switch were executed, which no backtest plays: "
            "what they closed is open in the backtest's, at its last price"
        )


# -- what the run saw, against what the data has ---------------------------------------------------

Tops = tuple[list[int], list[tuple[Decimal, Decimal] | None]]  # from when on, best bid and ask


def _inputs(
    run: Run, catalog: Path, instruments: Iterable[str], span: Span
) -> tuple[dict[str, Tops], list[Inputs], int]:
    """Best prices by time, what was counted, and when the data ends."""
    recorded = (run.summary.get("recorded") or {}).get("events") or []
    counted = {one["instrument"]: one for one in recorded}
    tops, found, ends = {}, [], [0]
    for name in instruments:
        tops[name], updates, last = _tops(catalog, name, span)
        trades, last_trade = _trades(catalog, name, span)
        ends += [last, last_trade]
        mine = counted.get(name, {})
        for what, data in (("book_updates", updates), ("trades", trades)):
            found.append(Inputs(instrument=name, what=what, run=mine.get(what), data=data))
    return tops, found, max(ends)


def _trades(catalog: Path, name: str, span: Span) -> tuple[int, int]:
    """How many, and the time of the last."""
    known, count, last = ParquetDataCatalog(str(catalog)), 0, 0
    for begin, end in windows(span):
        found = known.query_trade_ticks([name], start=begin, end=end)
        count += len(found)
        last = found[-1].ts_init if found else last
    return count, last


def _tops(catalog: Path, name: str, span: Span) -> tuple[Tops, int, int]:
    """Best prices by time, the number of updates of the book, the time of the last that is one of
    the market's."""
    known = ParquetDataCatalog(str(catalog))
    book = OrderBook(InstrumentId.from_str(name), BookType.L2_MBP)
    times: list[int] = []
    prices: list[tuple[Decimal, Decimal] | None] = []
    updates = last = 0
    for begin, end in windows(span):
        for delta in known.query_order_book_deltas([name], start=begin, end=end):
            book.apply_delta(delta)
            if not delta.flags & RecordFlag.F_LAST.value:
                continue
            if delta.action != BookAction.CLEAR:  # at the end a backtest leaves out a gap
                last = delta.ts_init
            updates += 1  # a CLEAR is one, too: the run has counted it
            bid, ask = book.best_bid_price(), book.best_ask_price()
            top = None
            if bid is not None and ask is not None:
                top = (bid.as_decimal(), ask.as_decimal())
            if not prices or prices[-1] != top:
                times.append(delta.ts_init)
                prices.append(top)
    return (times, prices), updates, last


def _unlike(run: Run, tops: Mapping[str, Tops]) -> list[Lack]:
    """Spans in which the run saw other prices than the data has, twice or more in a row."""
    spans = []
    for name, (times, prices) in tops.items():
        if not times:
            continue
        last, odd = None, 0
        for mark in run.rows("marks"):
            if mark["instrument"] != name or mark["bid"] is None:
                continue
            ts, seen = mark["ts"], (Decimal(mark["bid"]), Decimal(mark["ask"]))
            if _was(seen, ts, times, prices):
                if odd > 1:
                    spans.append((last or times[0], ts, name))
                last, odd = ts, 0
            else:
                odd += 1
        if odd > 1:
            spans.append((last or times[0], run.summary["end_ns"], name))
    return spans


def _was(seen: tuple[Decimal, Decimal], ts: int, times: list[int], prices: list[Any]) -> bool:
    """Whether the data has these prices at that time, or shortly before. A book that is cleared
    says nothing: a run may have known its prices until then."""
    end = bisect_right(times, ts)
    begin = max(bisect_left(times, ts - LATE_NS) - 1, 0)
    known = prices[begin:end]
    return not known or None in known or seen in known


def _gaps(catalog: Path, loaded: LoadedConfig, span: Span) -> list[Lack]:
    rows, _ = read_gaps(catalog)
    names = frozenset(loaded.config.instruments)
    found = crossing(rows, start_ns=span[0], end_ns=span[1], instruments=names)
    spans = [
        (max(row.from_ns, span[0]), min(row.to_ns, span[1]), row.instrument)
        for row in found
        if row.kind in LACKS
    ]
    return [one for one in spans if one[0] < one[1]]
