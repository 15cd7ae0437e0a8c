"""Cards of market data: instruments, books, gaps, reconnects, trades, histories, times."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random
from typing import Any, cast

from nautilus_trader.model import AggressorSide, BarType, OrderBookDeltas, TradeTick

from fairlead.adapters.base.venue import Feed, FeedKind, TickerData, VenueError, VenueErrorKind
from fairlead.engine.conformance.card import Card, books
from fairlead.engine.conformance.listening import Listener
from fairlead.engine.conformance.stage import BOOK_SECS, Stage
from fairlead.engine.conformance.verdict import Broken, NotOffered, require
from fairlead.engine.orders.model import Capabilities, Side
from fairlead.engine.recording.gaps import GapKind
from fairlead.engine.sessions.feed import BookFeed, whole
from fairlead.engine.sessions.plan import FrameFault

CHANGES = 60
TRADES = 12
SECOND_NS = 1_000_000_000
OLDEST_NS = 5 * SECOND_NS  # an event's own time, before it is heard
AHEAD_NS = SECOND_NS
HISTORY_SECS = 200.0


async def instruments(stage: Stage) -> str:
    """The market as the venue has it."""
    process = await stage.begin()
    told = process.instruments[stage.instrument]
    spec = stage.venue.exchange.markets[stage.market].spec
    pairs = (
        ("base", told.base, spec.base),
        ("quote", told.quote, spec.quote),
        ("price_precision", told.price_precision, spec.price_precision),
        ("size_precision", told.size_precision, spec.size_precision),
        ("min_quantity", max(told.min_quantity, spec.size_step), _least(spec)),
    )
    for name, came, wanted in pairs:
        require(came == wanted, f"{stage.instrument}: {name} is {wanted}, {came} was told")
    for name, one in process.instruments.items():
        require(one.id == name, f"{name}: its id is {one.id}")
        require(name.endswith(f".{stage.venue_name}"), f"{name}: not of {stage.venue_name}")
    return f"{len(process.instruments)} instruments; {stage.instrument} is as the venue has it"


def _least(spec: Any) -> Decimal:
    least: Decimal = max(spec.min_quantity, spec.size_step)
    return least


async def book(stage: Stage) -> str:
    """A snapshot, then changes: each book that is shown was the venue's, and is never crossed."""
    feed = _feed(await stage.begin())
    rng = Random(stage.plan.seed)  # noqa: S311 - simulation
    for number in range(CHANGES):
        side = Side.BUY if number % 2 else Side.SELL
        levels = stage.bids() if side is Side.BUY else stage.asks()
        price, size = levels[rng.randrange(min(len(levels), 5))]
        is_gone = number % 5 == 0 and len(levels) > 5
        more = size + stage.trader().worth(Decimal(rng.randrange(1, 9)))
        stage.set_level(side, price, Decimal(0) if is_gone else more)
        if number % 10 == 9:  # the market moves through what it shows
            taken = levels[0]
            aggressor = Side.SELL if side is Side.BUY else Side.BUY
            stage.sweep(aggressor, min(stage.trader().step * 100, taken[1]), taken[0])
        await asyncio.sleep(rng.uniform(0.05, 0.5))
    await _whole(stage, feed, "after the changes")
    _no_problem(stage)
    return f"{stage.trace.counts['books']} books shown, each was the venue's; none crossed"


async def gap(stage: Stage) -> str:
    """A frame that is cut, or that is lost where that shows: cleared, told, whole again."""
    feed = _feed(await stage.begin())
    kinds = [FrameFault.CUT, FrameFault.CORRUPT]
    if stage.can.sequenced_books:
        kinds += [FrameFault.LOSE, FrameFault.SWAP]
    for kind in kinds:
        before, rows = stage.trace.counts["book_gaps"], len(feed.shown.rows)
        stage.frame_script.next.append(kind)
        await stage.until(lambda: not stage.frame_script.next, f"{kind}: no frame of the book came")
        await _move(stage)
        await _whole(stage, feed, f"after a frame was spoilt ({kind})")
        _no_problem(stage)
        if kind is FrameFault.LOSE or not stage.can.sequenced_books:
            count = stage.trace.counts["book_gaps"] - before
            require(count > 0, f"{kind}: no gap was told, and the book was shown on")
            recorded = [row for row in feed.shown.rows[rows:] if row.kind is GapKind.GAP]
            require(bool(recorded), f"{kind}: the gap is not recorded")
    lost = "lost, swapped" if stage.can.sequenced_books else "no sequence tells of one lost"
    return f"frames cut, unreadable ({lost}): book cleared, gap recorded, whole again"


async def reconnect(stage: Stage) -> str:
    """The connection ends, and one goes silent: cleared, connected again, whole again."""
    feed = _feed(await stage.begin())
    for kind in (FrameFault.CLOSE, FrameFault.SILENT):
        rows = len(feed.shown.rows)
        stage.frame_script.next.append(kind)
        await stage.until(lambda: not stage.frame_script.next, f"{kind}: no frame of the book came")
        await stage.until(
            lambda rows=rows: any(r.kind is GapKind.RECONNECT for r in feed.shown.rows[rows:]),  # type: ignore[misc]
            f"{kind}: not connected again",
        )
        await _whole(stage, feed, f"after a connection ended ({kind})")
        _no_problem(stage)
    return "a connection closed, one silent: book cleared, reconnect recorded, whole again"


async def trades(stage: Stage) -> str:
    """Each trade of the market is told once, with its side, price and size."""
    process = await stage.begin()
    feed = Feed(FeedKind.TRADES, stage.instrument)
    try:
        process.runtime.adapter.market_data.public_stream().subscribe(feed)
    except VenueError as error:
        raise NotOffered(error.message) from error
    heard = Listener(stage, [feed])
    await asyncio.sleep(5.0)
    old = {str(tick.trade_id) for _, tick in heard.of(TradeTick)}
    wanted = []
    for number in range(TRADES):
        side = Side.BUY if number % 2 else Side.SELL
        levels = stage.asks() if side is Side.BUY else stage.bids()
        quantity = stage.trader().worth(Decimal(50 + number))
        stage.sweep(side, quantity, levels[0][0])
        wanted.append((side.value, levels[0][0], quantity))
        await asyncio.sleep(0.3)
    await asyncio.sleep(5.0)
    await heard.stop()
    ticks = [tick for _, tick in heard.of(TradeTick) if str(tick.trade_id) not in old]
    came = [
        (
            "BUY" if tick.aggressor_side == AggressorSide.BUY else "SELL",
            tick.price.as_decimal(),
            tick.size.as_decimal(),
        )
        for tick in ticks
    ]
    require(came == wanted, _difference(came, wanted))
    return f"{TRADES} trades, each told once with its side, price and size"


async def times(stage: Stage) -> str:
    """Times of events are nanoseconds since the epoch, of when it happened."""
    await stage.begin()
    feeds = [Feed(kind, stage.instrument) for kind in (FeedKind.BOOK, FeedKind.TRADES)]
    heard = Listener(stage, feeds)
    await asyncio.sleep(3.0)
    live = stage.loop.now_ns()
    for number in range(6):
        stage.sweep(Side.SELL, stage.trader().worth(Decimal(50 + number)), stage.bids()[0][0])
        await _move(stage)
    await asyncio.sleep(3.0)
    await heard.stop()
    seen = 0
    for now_ns, item in heard.items:
        if isinstance(item, OrderBookDeltas | TradeTick) and now_ns > live:
            seen += 1
            off = (now_ns - item.ts_event) / 1e9
            is_right = -AHEAD_NS <= now_ns - item.ts_event <= OLDEST_NS
            name = type(item).__name__
            require(is_right, f"ts_event of {name} is {item.ts_event}, {off:.3f} s before it came")
    require(seen > 0, "no book and no trade came in 6 s")
    orders = await _order_times(stage)
    return f"{seen} events within {OLDEST_NS // SECOND_NS} s of the clock, {orders}"


async def _order_times(stage: Stage) -> str:
    (cid,) = await stage.submit(stage.trader().plain(stage.can))
    await stage.settled(cid)
    started = stage.loop.now_ns()
    live = stage.process.desk.get(cid)
    if live is None:
        return "its order was over at once"
    found = await stage.process.trading.orders.orders([live.ref()])
    for order in found:
        for name, ts in (("ts_created", order.ts_created), ("ts_updated", order.ts_updated)):
            off = abs(started - ts)
            require(ts == 0 or off <= OLDEST_NS, f"{name} of an order is {ts}, at {started}")
    await stage.end(cid)
    return f"and those of {len(found)} order"


async def histories(stage: Stage) -> str:
    """Trades and closed bars, oldest first, of the window that was asked for."""
    if not stage.can.public_trades and not stage.can.bar_minutes:
        raise NotOffered("it tells neither trades nor bars (`public_trades`, `bar_minutes`)")
    await stage.begin()
    stage.venue.driver.paused = False
    await asyncio.sleep(HISTORY_SECS)
    stage.venue.driver.paused = True
    await asyncio.sleep(2.0)
    data = stage.process.runtime.adapter.market_data
    now_ns = stage.loop.now_ns()
    start_ns = now_ns - int(HISTORY_SECS * 0.5) * SECOND_NS
    try:
        ticks = await data.history_trades(stage.instrument, start_ns, now_ns, 0)
    except VenueError as error:
        if error.kind is VenueErrorKind.REFUSED:
            raise NotOffered(error.message) from error
        raise
    _in_order("trade", [tick.ts_event for tick in ticks], start_ns, now_ns)
    some = await data.history_trades(stage.instrument, None, None, 5)
    require(len(some) <= 5, f"asked for 5 trades, {len(some)} came")
    seen = f"{len(ticks)} trades in their window"
    if stage.can.bar_minutes:
        minutes = min(stage.can.bar_minutes)
        bar_type = BarType.from_str(f"{stage.instrument}-{minutes}-MINUTE-LAST-EXTERNAL")
        bars = await data.history_bars(bar_type, None, None, 0)
        ends = [bar.ts_event for bar in bars]
        _in_order("bar", ends, 0, now_ns)
        odd = [end for end in ends if end % (minutes * 60 * SECOND_NS)]
        require(not odd, f"a bar of {minutes} minutes ends at {odd[:1]} ns")
        seen += f", {len(bars)} closed bars"
    return seen


def _in_order(what: str, stamps: list[int], start_ns: int, end_ns: int) -> None:
    require(stamps == sorted(stamps), f"{what}s come not oldest first")
    for stamp in stamps:
        if not start_ns <= stamp <= end_ns:
            raise Broken(f"a {what} of {stamp} ns, asked for {start_ns} to {end_ns}")


async def ticker(stage: Stage) -> str:
    """The last price is polled: after each trade it is that trade's, with its time."""
    process = await stage.begin()
    data = cast(TickerData, process.runtime.adapter.market_data)
    for number in range(TRADES):
        side = Side.BUY if number % 2 else Side.SELL
        levels = stage.asks() if side is Side.BUY else stage.bids()
        stage.sweep(side, stage.trader().worth(Decimal(50 + number)), levels[0][0])
        await asyncio.sleep(1.0)
        price, ts_event = await data.last_price(stage.instrument)
        require(price == levels[0][0], f"the last trade was at {levels[0][0]}, told is {price}")
        age_ns = stage.loop.now_ns() - ts_event
        is_right = -AHEAD_NS <= age_ns <= OLDEST_NS
        require(is_right, f"its time is {ts_event} ns, at {stage.loop.now_ns()}")
    return f"{TRADES} trades, each the last price when it is polled; {await _order_times(stage)}"


def _only_ticker(can: Capabilities) -> str:
    return "" if can.ticker else "the venue has streams (`ticker`)"


# -- parts ----------------------------------------------------------------------------------------


def _feed(process: Any) -> BookFeed:
    feed: BookFeed | None = process.book
    assert feed is not None, "a stage has a book"
    return feed


async def _move(stage: Stage) -> None:
    """A change that the venue tells of."""
    for _ in range(3):
        price, size = stage.asks()[0]
        stage.set_level(Side.SELL, price, size + stage.trader().worth(Decimal(10)))
        await asyncio.sleep(0.6)


async def _whole(stage: Stage, feed: BookFeed, when: str) -> None:
    _no_problem(stage)
    if not await whole(feed, BOOK_SECS):
        raise Broken(f"{when}: the book is not the venue's, {BOOK_SECS:g} s later")


def _no_problem(stage: Stage) -> None:
    for one in stage.problems:
        raise Broken(f"{one.code} {one.detail}")


def _difference(came: list[Any], wanted: list[Any]) -> str:
    for number, (one, other) in enumerate(zip(came, wanted, strict=False)):
        if one != other:
            return f"trade {number} was {other}, told as {one}"
    return f"{len(wanted)} trades happened, {len(came)} were told"


CARDS = (
    Card("data.instruments", "instruments are the venue's", instruments),
    Card("data.book", "each book that is shown was the venue's, and never crossed", book, books),
    Card("data.gap", "a hole clears the book until it is whole again", gap, books),
    Card("data.reconnect", "no book outlives its connection, and it comes again", reconnect, books),
    Card("data.trades", "each trade is told once", trades, books),
    Card("data.times", "times are nanoseconds since the epoch, of the event", times, books),
    Card("data.ticker", "a price that is polled is the venue's last", ticker, _only_ticker),
    Card("data.histories", "histories are of their window, oldest first", histories, books),
)
