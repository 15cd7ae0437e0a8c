"""Which positions a kill has left without their stop, by the journal alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.kill.bare import BareLook, bare_positions
from fairlead.engine.kill.records import KillRecord, note
from fairlead.engine.kill.state import ALL, Action, Cleared, Kill, Scope
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Intent, Kind, OrderState, Role, Side, VenueFill

NAME = "BTC_USDT.OCEANEX"
SECOND = 1_000_000_000


class Story:
    """One account's journal; the clock goes on a second with each step."""

    def __init__(self, path: Path) -> None:
        self.now = 1_000 * SECOND
        self.journal = Journal(path, fsync=False, now_ns=lambda: self.now)
        self.kills: list[Kill] = []
        self._count = 0

    def order(self, role: Role, side: Side, quantity: str = "1") -> Intent:
        self.now += SECOND
        self._count += 1
        sent = Intent(
            client_order_id=f"C{self._count}",
            strategy="S-1",
            instrument=NAME,
            side=side,
            kind=Kind.LIMIT,
            quantity=Decimal(quantity),
            price=Decimal(100),
            ts_init=self.now,
            role=role,
        )
        self.journal.intend([sent])
        self.journal.accepted(sent.client_order_id, f"V{self._count}", instrument=NAME)
        return sent

    def executed(self, role: Role, side: Side, quantity: str = "1") -> None:
        order = self.order(role, side, quantity)
        self.now += SECOND
        fill = VenueFill(
            venue_order_id=f"V{self._count}",
            trade_id=str(self._count),
            instrument=NAME,
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )
        assert self.journal.fill(order, fill, Decimal(0))
        self.journal.state(order.client_order_id, OrderState.FILLED)

    def cancelled(self, order: Intent) -> None:
        self.now += SECOND
        self.journal.state(order.client_order_id, OrderState.CANCELED)

    def kill(self, action: Action = Action.CANCEL, scope: Scope = ALL) -> Kill:
        self.now += SECOND
        kill = Kill(scope=scope, action=action, reason="r", by="b", ts_ns=self.now)
        self.kills.append(kill)
        note(self.journal, KillRecord(kill=kill))
        return kill

    def clear(self, kill: Kill, *, is_noted: bool = True) -> None:
        self.now += SECOND
        self.kills.remove(kill)
        word = Cleared(scope=kill.scope, reason="r", by="b", ts_ns=self.now)
        if is_noted:
            note(self.journal, KillRecord(kill=kill, cleared=word))

    def bought(self) -> Intent:
        """The stop under it."""
        self.executed(Role.ENTRY, Side.BUY)
        return self.order(Role.STOP, Side.SELL)

    def bare(self) -> list[str]:
        found = bare_positions(self.journal, "oceanex", "main", self.kills)
        look = BareLook(self.journal, "oceanex", "main").now(self.kills)
        assert look == found
        return [one.stop for one in found]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path / "journal.sqlite")
    with closing(made.journal):
        yield made


def taken(story: Story) -> Intent:
    stop = story.bought()
    kill = story.kill()
    story.cancelled(stop)
    story.clear(kill)
    return stop


def test_a_stop_that_a_kill_took_is_missed_in_force_and_cleared(story: Story) -> None:
    stop = story.bought()
    assert story.bare() == []
    kill = story.kill()
    assert story.bare() == [], "it is not cancelled yet"
    story.cancelled(stop)
    assert story.bare() == [stop.client_order_id]
    story.clear(kill)
    assert story.bare() == [stop.client_order_id]
    found = bare_positions(story.journal, "oceanex", "main", [])
    assert "S-1 holds 1 of BTC_USDT.OCEANEX without a stop: C2 was cancelled" in str(found[0])


def test_its_cancel_may_be_booked_after_the_clear(story: Story) -> None:
    stop = story.bought()
    story.clear(story.kill())
    story.cancelled(stop)
    assert story.bare() == [stop.client_order_id]


def test_a_kill_that_grew_took_it_too(story: Story) -> None:
    stop = story.bought()
    first = story.kill()
    story.cancelled(stop)
    story.kills.remove(first)
    story.kill(Action.FLATTEN)
    assert story.bare() == [stop.client_order_id]


def test_one_that_the_strategy_took_itself_is_its_own_decision(story: Story) -> None:
    story.cancelled(story.bought())
    story.clear(story.kill())
    assert story.bare() == []
    story.executed(Role.EXIT, Side.SELL)
    stop = story.bought()
    story.cancelled(stop)
    assert story.bare() == []


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        (Action.HALT, ALL),
        (Action.CANCEL, Scope("strategy", "S-2")),
        (Action.CANCEL, Scope("venue", "poloniex")),
    ],
)
def test_a_kill_that_does_not_cancel_it_did_not_take_it(
    story: Story, action: Action, scope: Scope
) -> None:
    stop = story.bought()
    story.kill(action, scope)
    story.cancelled(stop)
    assert story.bare() == []


def test_another_stop_protects_again(story: Story) -> None:
    taken(story)
    again = story.order(Role.STOP, Side.SELL)
    assert story.bare() == []
    story.cancelled(again)
    assert story.bare() == [], "the strategy's own decision"


@pytest.mark.parametrize("sold", ["1", "0.995"])
def test_a_position_that_is_over_needs_none_and_a_new_one_neither(story: Story, sold: str) -> None:
    taken(story)
    story.executed(Role.EXIT, Side.SELL, "0.4")
    assert story.bare() == ["C2"]
    story.executed(Role.EXIT, Side.SELL, str(Decimal(sold) - Decimal("0.4")))
    assert story.bare() == []
    story.executed(Role.ENTRY, Side.BUY)
    assert story.bare() == [], "without a stop, as its strategy wants it"


def test_a_clear_that_no_journal_has_does_not_last_for_ever(story: Story) -> None:
    story.clear(story.kill(), is_noted=False)
    story.now += 3600 * SECOND
    stop = story.bought()
    story.cancelled(stop)
    assert story.bare() == []
