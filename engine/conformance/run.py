"""Plays the cards on one adapter, and says what they saw."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fairlead.adapters import registry
from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.conformance import alone, data, orders, parsers, process
from fairlead.engine.conformance.card import Card
from fairlead.engine.conformance.stage import Stage
from fairlead.engine.conformance.verdict import Broken, NotOffered, Result, Verdict
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.sessions.faults import SimulatedDeath
from fairlead.engine.sessions.scene import instrument_of
from fairlead.engine.sessions.session import memory_folder, owned
from fairlead.engine.sessions.trace import Trace

CARDS: tuple[Card, ...] = (
    *orders.CARDS,
    *data.CARDS,
    *process.CARDS,
    *parsers.CARDS,
    *alone.CARDS,
)
SEEDS = 200  # of the card of seeded sessions
VIRTUAL_SECS_MAX = 24 * 3600.0  # of one card


def require_venue(name: str) -> None:
    """Raises FairleadError for a name that no adapter has, or that has no simulator."""
    if name not in registry.names():
        known = ", ".join(registry.names())
        raise FairleadError("E-VENUE-NONE", f"no adapter {name!r}; known: {known}", Exit.USAGE)
    if name not in registry.simulated():
        raise FairleadError(
            "E-VENUE-NONE",
            f"adapter {name} has no simulator, which the cards are played on; offer one by the "
            f"entry point group {registry.SIMULATORS}",
            Exit.USAGE,
        )


def chosen(patterns: Sequence[str]) -> list[Card]:
    """The cards of these names or groups, all without any. Raises FairleadError."""
    for one in patterns:
        if not any(one in (card.name, card.group) for card in CARDS):
            names = ", ".join(card.name for card in CARDS)
            raise FairleadError("E-CARD", f"no card {one!r}; known: {names}", Exit.USAGE)
    return [
        card
        for card in CARDS
        if not patterns or any(one in (card.name, card.group) for one in patterns)
    ]


def play_all(
    venue: str,
    cards: Sequence[Card] = CARDS,
    *,
    seeds: int = SEEDS,
    emit: Callable[[str], None] | None = None,
) -> Iterator[Verdict]:
    """Each card on a venue of its own. Raises FairleadError for an adapter that can't be loaded."""
    for card in cards:
        yield play(venue, card, seeds=seeds, emit=emit)


def play(
    venue: str, card: Card, *, seeds: int = SEEDS, emit: Callable[[str], None] | None = None
) -> Verdict:
    """`emit` hears every event, in causal order."""

    def verdict(result: Result, seen: str) -> Verdict:
        return Verdict(card.name, card.asks, result, seen)

    can = registry.spec(venue).capabilities
    if (lack := card.need(can)) != "":
        return verdict(Result.NOT_OFFERED, lack)
    was_disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        if card.alone is not None:
            return verdict(Result.PASSED, card.alone(venue, seeds))
        assert card.play is not None, f"{card.name} has no play"
        return verdict(Result.PASSED, _seen(venue, card.play, emit))
    except NotOffered as lack:
        return verdict(Result.NOT_OFFERED, str(lack))
    except Broken as broken:
        return verdict(Result.FAILED, str(broken))
    except (Exception, SimulatedDeath) as error:  # an adapter's own, wherever it came out
        return verdict(Result.FAILED, f"{type(error).__name__}: {error}")
    finally:
        logging.disable(was_disabled)


def _seen(
    venue: str,
    play: Callable[[Stage], Awaitable[str]],
    emit: Callable[[str], None] | None,
) -> str:
    instrument_of(venue)  # runs a loop of its own
    with tempfile.TemporaryDirectory(prefix="fairlead-card-", dir=memory_folder()) as folder:
        loop = VirtualLoop()
        loop.set_task_factory(owned)

        async def main() -> str:
            stage = Stage(venue, Path(folder), Trace(emit), loop)
            loop.set_exception_handler(lambda _, context: _unhandled(stage, context))
            try:
                async with asyncio.timeout(VIRTUAL_SECS_MAX):
                    seen = await play(stage)
            finally:
                await stage.close()
            for problem in stage.problems:
                if problem.code.startswith("BOOK-"):
                    continue  # those of the cards of books, which have looked
                raise Broken(f"{problem.code} {problem.subject} {problem.detail}")
            return seen

        return run_virtual(main(), loop)


def _unhandled(stage: Stage, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is not None and not isinstance(error, SimulatedDeath):
        stage.defect(str(context.get("message", "")), error)
