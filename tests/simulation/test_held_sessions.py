"""Seeded sessions at a venue without stops: what the engine holds is neither lost nor doubled."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.engine.orders.held import Held
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import Intent
from fairlead.engine.sessions.plan import draw
from fairlead.engine.sessions.run import run_plan
from fairlead.engine.sessions.session import Result
from tests.support.bare import laid_bare

SEEDS = {"oceanex": (20, 23), "poloniex": (12, 19, 20)}  # some that release several


def play(venue: str) -> list[Result]:
    with laid_bare(venue):
        return [run_plan(draw(seed, venue)) for seed in SEEDS[venue]]


@pytest.mark.parametrize("venue", SEEDS)
def test_held_orders_are_released_once_by_their_price(venue: str) -> None:
    played = play(venue)
    assert [one.violations for one in played] == [[] for _ in played]
    assert all(one.counts["released"] for one in played)


@pytest.mark.parametrize(
    ("venue", "seed"),
    [
        ("zerocap", 61000216),  # a release that came late and to nothing ended the order again
        ("zerocap", 70001998),  # an order of an earlier run came late, and no strategy had its fill
        ("zerocap", 71000253),  # a release that was given up came after a restart
        ("zerocap", 71000839),  # a page that was asked for before a release ended the next one
        ("zerocap", 71001800),  # what a stop was to close had become more than one order may be
        ("piexgo", 62000068),  # a promise was closed beside a market order whose fill came later
        ("piexgo", 62000457),  # a held stop fires after a loss limit has halted the account
    ],
)
def test_at_a_venue_that_holds_no_promise_is_broken(venue: str, seed: int) -> None:
    assert run_plan(draw(seed, venue)).violations == []


def codes(venue: str) -> set[str]:
    return {violation.code for one in play(venue) for violation in one.violations}


def test_a_desk_that_releases_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def eager(intent: Intent, price: Decimal | None) -> bool:
        return price is not None

    monkeypatch.setattr("fairlead.engine.orders.held.fires", eager)
    assert "RELEASED-EARLY" in codes("oceanex")


def test_a_desk_that_releases_what_is_not_journaled_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Journal, "release", lambda self, intent, why: self._now_ns())
    assert codes("oceanex")


def test_a_desk_that_forgets_what_it_holds_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a cancel that it did not carry out."""

    def cancel(self: Held, order: LiveOrder) -> None:
        """Told, and not done."""

    monkeypatch.setattr(Held, "cancel", cancel)
    assert "LIVENESS" in codes("oceanex")
