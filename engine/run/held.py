"""What the journals hold in instruments that the config names no more.

Such a position is still the account's, and such an order may still fill: a live run loads the
instrument all the same, so that both are kept and counted, though no strategy trades them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec

from engine.config.loaded import LoadedConfig, account_files
from engine.errors import Exit, FairleadError
from engine.orders.journal import Journal, JournalError


class Held(msgspec.Struct, kw_only=True):
    """One instrument's share of a journal: net position in base units, orders not over."""

    instrument: str
    position: Decimal = Decimal(0)
    strategies: set[str] = msgspec.field(default_factory=set)
    open_orders: list[str] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        parts = []
        if self.position:
            parts.append(f"a position of {self.position.normalize():f}")
        if self.open_orders:
            several = "s" if len(self.open_orders) > 1 else ""
            parts.append(f"{len(self.open_orders)} open order{several}")
        whose = ", ".join(sorted(self.strategies))
        return f"{' and '.join(parts)} in {self.instrument} ({whose})"


def held_beyond(journal: Journal, configured: Collection[str]) -> list[Held]:
    """What the journal holds beyond these instruments, by instrument. Raises JournalError."""
    found: dict[str, Held] = {}

    def of(instrument: str, strategy: str) -> Held:
        held = found.setdefault(instrument, Held(instrument=instrument))
        held.strategies.add(strategy)
        return held

    for position in journal.positions():
        if position.quantity and position.instrument not in configured:
            of(position.instrument, position.strategy).position += position.quantity
    for order in journal.open_orders():
        if order.intent.instrument not in configured:
            held = of(order.intent.instrument, order.intent.strategy)
            held.open_orders.append(order.intent.client_order_id)
    return sorted(found.values(), key=lambda held: held.instrument)


def unlisted(held: Iterable[Held], listed: Collection[str], journal: Path) -> FairleadError | None:
    """Why a run can't start: the venue lists an instrument no more that the journal holds."""
    gone = [one for one in held if one.instrument not in listed]
    if not gone:
        return None
    return FairleadError(
        "JRN-INSTRUMENT",
        f"{journal} holds {'; '.join(map(str, gone))}, which the venue does not list any more, so "
        "that it can't be counted; cancel and close it at the venue, then move the journal away "
        "and start with a new one (docs/journal.md)",
        Exit.DRIFT,
    )


def notes(loaded: LoadedConfig) -> Iterator[str]:
    """A line for each that `fairlead check` tells: it prevents nothing, but nobody trades it."""
    for key, venue in loaded.config.venues.items():
        path = account_files(loaded, key).journal
        if not path.exists():
            continue
        try:
            with closing(Journal.reading(path)) as journal:
                found = held_beyond(journal, venue.instruments)
        except JournalError:
            continue  # a start says what is wrong with it, and so does `check --journals`
        for held in found:
            yield (
                f"{path} holds {held}, which [venues.{key}] does not name: a live run loads and "
                "counts it, and no strategy trades it; what is open in it is cancelled at an "
                f'ordered stop unless run.on_stop = "keep"; add "{held.instrument}" to '
                "instruments for a strategy that does, or close it with `fairlead kill`"
            )
