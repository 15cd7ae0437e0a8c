"""Our own venues pass the cards that everybody's must; an adapter with a fault fails its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterContext
from fairlead.engine.cli.app import app
from fairlead.engine.conformance.card import Card
from fairlead.engine.conformance.run import CARDS, play
from fairlead.engine.conformance.verdict import Result
from fairlead.engine.errors import Exit
from fairlead.engine.orders import held
from fairlead.engine.orders.model import Intent, Kind, Outcome
from fairlead.engine.scaffold.toy import adapter, simulator
from fairlead.engine.sessions.plan import draw
from fairlead.engine.sessions.run import run_plan
from tests.conformance.mutants import MUTANTS, SOUND, Wrapped, planted
from tests.support.bare import SentIds, bared
from tests.support.venues import able, playable

VENUES = playable()
SEEDS = 2


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_our_venues_pass(venue: str, card: Card) -> None:
    verdict = play(venue, card, seeds=SEEDS)
    assert verdict.result is not Result.FAILED, verdict.seen
    assert verdict.seen


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_fails_its_card(fault: str) -> None:
    """And no other: `python -m tests.conformance.matrix` plays each with all cards."""
    wanted, _ = MUTANTS[fault]
    (card,) = [one for one in CARDS if one.name == wanted]
    with planted(fault) as venue:
        verdict = play(venue, card)
    assert verdict.result is Result.FAILED, verdict.seen


def test_every_card_can_fail() -> None:
    """That of the sessions, which lie under all others, has the promises' own mutants too."""
    failing = {card for card, _ in MUTANTS.values()}
    assert {card.name for card in CARDS} - failing == {"sessions.seeds"}
    (sessions,) = [one for one in CARDS if one.name == "sessions.seeds"]
    with planted("a lost answer is a rejection") as venue:
        verdict = play(venue, sessions, seeds=4)
    assert verdict.result is Result.FAILED, verdict.seen
    assert "sessions broke a promise" in verdict.seen


HELD_KINDS = [Kind.STOP_LIMIT, Kind.MARKET_IF_TOUCHED]


@pytest.mark.parametrize("kind", HELD_KINDS)
@pytest.mark.parametrize("change", [None, "early", "half"])
def test_what_the_engine_holds_is_played(kind: Kind, change: str | None) -> None:
    """It was "not offered": the venue has no such orders."""
    (card,) = [one for one in CARDS if one.name == f"orders.{kind.lower().replace('_', '-')}"]
    sound = registry.spec(SOUND)
    able = bared(sound.capabilities)

    def create(context: AdapterContext) -> Any:
        adapter = sound.create(context)
        adapter.capabilities = able
        adapter.orders = Changing(SentIds(adapter.orders), change == "half")
        return adapter

    spec = msgspec.structs.replace(sound, name="bare", create=create, capabilities=able)
    with (
        registry.registered(spec, registry.simulator(SOUND)),
        pytest.MonkeyPatch.context() as patch,
    ):
        if change == "early":
            patch.setattr(held, "fires", lambda *_: True)
        verdict = play("bare", card)
    told = {None: "then one order as asked", "early": "before its trigger", "half": "quantity"}
    assert verdict.result is (Result.PASSED if change is None else Result.FAILED), verdict.seen
    assert told[change] in verdict.seen


class Changing(Wrapped):
    """Sends half of what it is asked for, where `is_half`."""

    def __init__(self, sound: Any, is_half: bool) -> None:
        super().__init__(sound)
        self.parts = 2 if is_half else 1

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        sent = [msgspec.structs.replace(o, quantity=o.quantity / self.parts) for o in intents]
        found: list[Outcome] = await self.sound.submit(sent)
        return found


def test_the_command_prints_a_table_and_its_exit_code_tells() -> None:
    words = ["conformance", SOUND, "--cards", "orders.lost-answer"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == Exit.OK, told.output
    assert "orders.lost-answer       passed" in told.stdout
    assert told.stdout.splitlines()[-1] == f"{SOUND}: 1 cards, 1 passed"
    with planted("a lost answer is a rejection") as venue:
        told = CliRunner().invoke(app, ["conformance", venue, *words[2:], "--json"])
    assert told.exit_code == Exit.NOT_CONFORMING
    row = msgspec.json.decode(told.stdout)
    assert (row["failed"], row["cards"][0]["result"]) == (1, "FAILED")
    assert "the venue has the order, and it was told REJECTED" in row["cards"][0]["seen"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere"], "E-VENUE-NONE"),
        (["poloniex", "--cards", "orders.none"], "E-CARD"),
    ],
)
def test_what_is_not_there_is_named(words: list[str], code: str) -> None:
    told = CliRunner().invoke(app, ["conformance", *words])
    assert told.exit_code == Exit.USAGE
    assert code in told.output


def test_an_order_behind_another_hears_of_the_kill_switch() -> None:
    """Where a request takes one order, others wait for its answer: 10 was sent after the kill."""
    spec = msgspec.structs.replace(adapter.SPEC, name="harbour")
    with registry.registered(spec, simulator.create):
        assert run_plan(draw(10, "harbour")).violations == []


TICKERS = [name for name in registry.names() if name in registry.simulated() and able(name).ticker]


@pytest.mark.parametrize("venue", TICKERS)
@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_venue_without_a_stream_passes_what_it_offers_and_tells_why_not_the_others(
    venue: str, card: Card
) -> None:
    """It was offered none: for want of a book, and of cancels."""
    verdict = play(venue, card, seeds=SEEDS)
    assert verdict.result is not Result.FAILED, verdict.seen
    is_offered = verdict.result is Result.PASSED
    assert is_offered or "`" in verdict.seen, "why not names a capability"
    assert is_offered is (card.name in PLAYED), verdict.seen


PLAYED = {
    *("orders.lost-answer", "orders.slow-answer", "orders.limit", "orders.market"),
    *("orders.trailing-stop", "orders.bracket", "orders.fills", "data.instruments", "data.ticker"),
    *("restart.death", "limits.429", "secrets.nowhere", "parsers.answers", "loopback.sockets"),
}


@pytest.mark.parametrize("venue", TICKERS)
def test_sessions_do_not_play_it_and_say_why(venue: str) -> None:
    """It was told to be a venue without a simulator."""
    told = CliRunner().invoke(app, ["simulate", "--venues", venue, "--seeds", "1"])
    assert told.exit_code == Exit.USAGE
    assert "ticker only" in " ".join(told.output.split())
