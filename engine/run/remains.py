"""What a run holds when it has ended, and whether that breaks a strategy's word."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.kill.state import Kill
from fairlead.engine.orders.journal_reads import JournalError, Position
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run.taken import Gone, gone_stops
from fairlead.engine.run.trading import TradingAccount
from fairlead.engine.run.unprotected import STOP_GONE, UNPROTECTED

logger = logging.getLogger(__name__)
people = logging.getLogger("fairlead")
NAMES_MAX = 10


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A position, signed base units; `broken`: why it is there though its strategy was to close
    it at the stop ("": no reason is known), or None where nobody said so. `bare`: why nothing at
    the venue protects it though its bracket or its strategy wanted that ("": nobody arranged for
    it), or None.
    """

    strategy: str
    instrument: str
    quantity: Decimal
    broken: str | None = None
    bare: str | None = None
    took: str = ""  # what became of its stop, where that is known and nobody arranged it

    @property
    def is_bare(self) -> bool:
        """Whether it was to be protected at the venue now, and is not."""
        return self.bare == ""

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} {self.instrument} ({self.strategy})"


def remains(
    trading: Sequence[TradingAccount],
    strategies: Iterable[Any],
    *,
    cancels: bool = False,
    flattens: bool = False,
    kills: Collection[Kill] = (),
    since_ns: int | None = None,
) -> list[Held]:
    """Of real accounts by their journals, dust left out; of simulated ones only broken words.

    `cancels`: the stop of the run takes orders away, stops too; `flattens`: so does a broken loss
    limit, to close. `kills` are in force, `since_ns` is when the run began (None: what became of
    stops is not looked for).
    """
    strategies = list(strategies)
    found: dict[tuple[str, str], Position] = {}
    known: dict[str, VenueInstrument] = {}
    for account in trading:
        known |= account.instruments
        try:
            for position in account.journal.positions():
                found[position.strategy, position.instrument] = position
        except JournalError:
            continue  # it is told what is wrong with it
    broken = dict(_broken(strategies, found if trading else None))
    bare = dict(_bare(strategies, found, cancels=cancels))
    took: dict[tuple[str, str], str] = {}
    guards = {s._guard.id: s._guard for s in strategies if s._guard.view is not None}
    gone: Iterable[Gone] = ()
    if since_ns is not None:
        gone = gone_stops(trading, guards, kills, since_ns, flattens=flattens)
    for key, why, is_arranged in gone:
        if key not in bare and not _is_bracketed(guards.get(key[0]), key[1]):
            bare[key] = why if is_arranged else ""
        if not is_arranged:
            took[key] = why
    held = [
        Held(
            strategy=strategy,
            instrument=name,
            quantity=position.quantity,
            bare=bare.get((strategy, name)),
            took=took.get((strategy, name), ""),
        )
        for (strategy, name), position in found.items()
        if (strategy, name) not in broken and not _is_dust(position, known.get(name), strategies)
    ]
    return [*broken.values(), *held]


def _broken(
    strategies: Iterable[Any], journaled: Mapping[tuple[str, str], Position] | None
) -> Iterator[tuple[tuple[str, str], Held]]:
    for strategy in strategies:
        guard = strategy._guard
        if guard.view is None:
            continue  # it was never started
        for instrument_id in sorted(guard.winddown.promised(), key=str):
            key = guard.id, str(instrument_id)
            quantity, cost = _position(guard, instrument_id), None
            if journaled is not None:
                position = journaled.get(key)
                quantity = Decimal(0) if position is None else position.quantity
                cost = None if position is None else position.avg_price
            if quantity and guard.winddown.is_held(instrument_id, quantity, cost):
                yield (
                    key,
                    Held(
                        strategy=key[0],
                        instrument=key[1],
                        quantity=quantity,
                        broken=guard.winddown.refusal,
                    ),
                )


def _bare(
    strategies: Iterable[Any], held: Iterable[tuple[str, str]], *, cancels: bool
) -> Iterator[tuple[tuple[str, str], str]]:
    """By strategy and instrument, why what a bracket or a strategy wanted to protect is not."""
    for strategy in strategies:
        guard = strategy._guard
        if guard.view is None:
            continue  # it was never started
        try:
            bare = guard.brackets.bare(cancels=cancels)
        except JournalError:
            continue  # its account is told what is wrong with it
        bracketed = {one.instrument for one in guard.brackets.open()}
        for owner, name in held:
            if owner != guard.id:
                continue
            if name in bare:
                yield (owner, name), bare[name]
            elif name not in bracketed and guard.exits.is_unprotected(InstrumentId.from_str(name)):
                yield (owner, name), ""


def _is_bracketed(guard: Any, instrument: str) -> bool:
    """Whether its brackets know what protects the position, and tell it."""
    if guard is None:
        return False
    return any(one.instrument == instrument for one in guard.brackets.open())


def _position(guard: Any, instrument_id: InstrumentId) -> Decimal:
    position: Decimal = guard.handover.own_position(instrument_id)
    return position


def _is_dust(
    position: Position, instrument: VenueInstrument | None, strategies: Iterable[Any]
) -> bool:
    """Whether the venue takes no order so small, by what a strategy knows of the market."""
    if instrument is None:
        return not position.quantity
    quantity, cost = abs(position.quantity), position.avg_price
    instrument_id = InstrumentId.from_str(position.instrument)
    for strategy in strategies:
        guard = strategy._guard
        if guard.view is not None and guard.view.instrument(position.instrument) is not None:
            return guard.exits.sendable(instrument_id, quantity, cost) is None
    return is_flat(position, instrument)


def is_flat(position: Position, instrument: VenueInstrument | None) -> bool:
    """At what it has cost, where no market is known; of an instrument of which nothing is, zero."""
    if instrument is None:
        return not position.quantity
    facts = instrument_facts(instrument.nautilus)
    return facts.is_flat(position.quantity, position.avg_price)


def not_flat(held: Sequence[Held]) -> str | None:
    """A line for people on what was to be closed and is not, and on what no stop protects."""
    broken = [one for one in held if one.broken is not None]
    bare = [one for one in held if one.is_bare]
    parts = []
    if broken:
        reasons = sorted({one.broken for one in broken if one.broken})
        why = f" (the last refusal: {'; '.join(reasons)})" if reasons else ""
        parts.append(
            f"to be closed at the stop, and still held: {', '.join(map(str, broken))}{why}"
        )
    if bare:
        names = ", ".join(f"{one}{_of_stop(one)}" for one in bare)
        parts.append(f"held without its stop at the venue: {names}")
    if not parts:
        return None
    return (
        f"NOT-FLAT: {'; '.join(parts)}; "
        "close it at the venue or with `fairlead kill`, or start again: the next run has it"
    )


def tell(held: Sequence[Held], outcome: str) -> None:
    """On the screen, a line each, where the outcome does not say it."""
    broken = not_flat(held)
    if broken is not None and broken not in outcome:
        logger.error("%s", broken)
    kept = ", ".join(_told(one) for one in held if one.broken is None and not one.is_bare)
    if kept:
        people.info("the run ends holding %s", kept)


def _told(one: Held) -> str:
    return f"{one}{UNPROTECTED}{one.bare}" if one.bare else str(one)


def counted_ids(names: Sequence[str]) -> str:
    """How many orders, and which: not all of many."""
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    plural = "" if len(names) == 1 else "s"
    return f"{len(names)} order{plural} ({', '.join(names[:NAMES_MAX])}{more})"


def left_words(trading: Sequence[TradingAccount], named: Collection[str] = ()) -> Iterator[str]:
    """In words, the orders that are not over, but for those `named` already: where each is."""
    held = [name for account in trading for name in account.held() if name not in named]
    live = [name for account in trading for name in account.live() if name not in named]
    if at_venue := [name for name in live if name not in held]:
        yield f"{counted_ids(at_venue)} open at the venue"
    if held:
        yield f"{counted_ids(held)} held by the engine: nothing fires it while no run is up"


def notes(held: Sequence[Held]) -> Iterator[str]:
    """A line each for the summary."""
    for one in held:
        if one.is_bare:
            yield f"NOT-FLAT {one}{STOP_GONE}{_because(one.took)}"
        elif one.broken is None:
            yield f"HELD {_told(one)}"
        else:
            yield f"NOT-FLAT {one}: it was to be closed at the stop{_because(one.broken)}"


def _of_stop(one: Held) -> str:
    return f" ({one.took})" if one.took else ""


def _because(why: str) -> str:
    return f"; {why}" if why else ""
