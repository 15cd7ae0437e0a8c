"""How the run is, in the few lines that fit a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead.engine.observe.assumptions import plain
from fairlead.engine.observe.page import rows
from fairlead.engine.observe.page.status import losses_of, unknown_orders, wrong_now

if TYPE_CHECKING:
    from fairlead.engine.observe.page.snapshot import Snapshot
    from fairlead.engine.observe.page.sources import Sources
    from fairlead.engine.observe.page.told import Wrong

SHOWN_MAX = 8  # of a list; the rest is counted
SECOND_NS = 1_000_000_000

Worth = Mapping[tuple[str, str], Decimal]


class Since:
    """What was counted before, so that a summary tells what came since the last one."""

    def __init__(self) -> None:
        self.fills = 0
        self.denials: Counter[str] = Counter()
        self.alerts = 0
        self.named = "since the start"


def wrongs(sources: Sources) -> list[Wrong]:
    """The page's reasons why not all is well."""
    return wrong_now(sources, sources.now_ns())


def summary(sources: Sources, snapshot: Snapshot, worth: Worth, since: Since | None) -> str:
    """Worth, result, fills, denials, orders, and what is in force; counts are since `since`, None
    is of the whole run.
    """
    if not sources.trades:
        return f"{sources.state()} for {_age(sources)}; {_streams(sources)}"
    lines = [
        f"{sources.state()} for {_age(sources)}",
        f"worth: {_worth(worth)}",
        f"result of all runs, as the loss limits count it: {_results(sources)}",
        counts(sources, snapshot, since),
        f"orders: {_orders(sources, snapshot)}",
        f"in force: {_in_force(sources)}",
    ]
    return "\n".join(lines)


def ended(sources: Sources, snapshot: Snapshot, worth: Worth) -> str:
    """Of the whole run, at its end. The result that the loss limits look at is not among it: it
    goes on over runs, and is no figure of the summary, which a person compares with.
    """
    if not sources.trades:
        return summary(sources, snapshot, worth, None)
    lines = [
        f"{sources.state()} after {_age(sources)}",
        f"worth: {_worth(worth)}",
        counts(sources, snapshot, None),
        f"orders: {_orders(sources, snapshot)}",
        f"in force: {_in_force(sources)}",
    ]
    return "\n".join(lines)


def counts(sources: Sources, snapshot: Snapshot, since: Since | None) -> str:
    """Fills and denials, and since when."""
    before = since or Since()
    when = "in the whole run" if since is None else since.named
    fills = snapshot.fill_count - before.fills
    return f"{when}: fills: {fills}, denials: {_denials(sources, before)}"


def status(sources: Sources, snapshot: Snapshot, worth: Worth) -> str:
    """For who asks: whether all is well, and the figures of the whole run."""
    found = wrongs(sources)
    head = [f"{one.code}: {one.text}" for one in found[:SHOWN_MAX]]
    if len(found) > SHOWN_MAX:
        head.append(f"and {len(found) - SHOWN_MAX} more")
    return "\n".join([*(head or ["all is well"]), summary(sources, snapshot, worth, None)])


def positions(sources: Sources) -> str:
    """Of each instrument, as engine, journal and venue see it. Raises JournalError, and
    RuntimeError where NautilusTrader lends its cache."""
    lines = []
    for name, one in rows.positions(sources):
        seen = f"{name}: {one.engine} {one.unit}"
        if one.journal is not None:
            seen += f", journal {one.journal}"
        if one.venue is not None:
            seen += f", venue's balance {one.venue}"
        if one.worth is not None:
            seen += f", worth {one.worth} {one.quote}"
        lines.append(seen + (" - THEY DIFFER" if one.is_apart else ""))
    return "\n".join(_few(lines)) or "no instrument is known yet"


def _few(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN_MAX
    return lines if more <= 0 else [*lines[:SHOWN_MAX], f"and {more} more"]


def _age(sources: Sources) -> str:
    minutes, _ = divmod((sources.now_ns() - sources.started_ns) // SECOND_NS, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"


def _streams(sources: Sources) -> str:
    streams = sources.status.streams.values()
    up = sum(one.state == "CONNECTED" for one in streams)
    return f"{up} of {len(streams)} streams are up"


def _worth(worth: Worth) -> str:
    told = [
        f"{venue.lower()} {plain(round(value, 8))} {currency}"
        for (venue, currency), value in worth.items()
    ]
    return ", ".join(_few(told)) or "not known"


def _results(sources: Sources) -> str:
    told = []
    for one in losses_of(sources):
        limit = "" if one.daily_loss_limit is None else f" of {one.daily_loss_limit}"
        told.append(f"{one.result} {one.currency} (lost today {one.lost_today}{limit})")
    return ", ".join(_few(told)) or "nothing traded"


def _denials(sources: Sources, since: Since) -> str:
    counts = denied(sources) - since.denials
    by_code = ", ".join(f"{code} {count}" for code, count in counts.most_common(SHOWN_MAX))
    return f"{counts.total()} ({by_code})" if counts else "0"


def denied(sources: Sources) -> Counter[str]:
    """By code, of the whole run."""
    parts = sources.parts
    return Counter() if parts is None else Counter(parts.run_state.denial_counts)


def _orders(sources: Sources, snapshot: Snapshot) -> str:
    return f"{snapshot.open_orders()} open, {unknown_orders(sources)} unknown"


def _in_force(sources: Sources) -> str:
    return "; ".join(_few(list(_stops(sources)))) or "no kill, no halt"


def _stops(sources: Sources) -> Iterator[str]:
    for kill in sources.kills.in_force() if sources.kills is not None else ():
        yield str(kill)
    for venue, halt in () if sources.gate is None else sources.gate.halts():
        yield f"halt of {venue.lower() or 'every venue'}: {halt.reason}"
