"""Which positions a kill has left without their stop, by the journal alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.kill import bare
from fairlead.engine.kill.bare import BareLook, bare_positions
from fairlead.engine.kill.records import KILL_SUBJECT, KillRecord, note
from fairlead.engine.kill.state import ALL, FOLDER, Action, Cleared, Kill, KillState, Scope
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Intent, Kind, OrderState, Role, Side, VenueFill
from fairlead.engine.orders.taken_over import give_back

NAME = "BTC_USDT.OCEANEX"
SECOND = 1_000_000_000


def executed(
    venue_order_id: str, trade: str, side: Side = Side.SELL, quantity: str = "1"
) -> VenueFill:
    return VenueFill(
        venue_order_id=venue_order_id,
        trade_id=trade,
        instrument=NAME,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(100),
        fee=Decimal(0),
        fee_currency="USDT",
    )


class Story:
    """One account's journal; the clock goes on a second with each step."""

    def __init__(self, path: Path) -> None:
        self.now = 1_000 * SECOND
        self.journal = Journal(path, fsync=False, now_ns=lambda: self.now)
        self.kills: list[Kill] = []
        self._count = 0

    def order(
        self,
        role: Role,
        side: Side,
        quantity: str = "1",
        *,
        strategy: str = "S-1",
        kind: Kind = Kind.LIMIT,
        reduce_only: bool = False,
    ) -> Intent:
        self.now += SECOND
        self._count += 1
        sent = Intent(
            client_order_id=f"C{self._count}",
            strategy=strategy,
            instrument=NAME,
            side=side,
            kind=kind,
            quantity=Decimal(quantity),
            price=Decimal(100),
            reduce_only=reduce_only,
            ts_init=self.now,
            role=role,
        )
        self.journal.intend([sent])
        self.journal.accepted(sent.client_order_id, f"V{self._count}", instrument=NAME)
        return sent

    def executed(
        self, role: Role, side: Side, quantity: str = "1", *, strategy: str = "S-1"
    ) -> None:
        order = self.order(role, side, quantity, strategy=strategy)
        self.now += SECOND
        fill = executed(f"V{self._count}", f"T{self._count}", side, quantity)
        assert self.journal.fill(order, fill, Decimal(0))
        self.journal.state(order.client_order_id, OrderState.FILLED)

    def asked(self, order: Intent) -> None:
        self.now += SECOND
        self.journal.cancel_requested([order.client_order_id])

    def cancelled(self, order: Intent) -> None:
        self.now += SECOND
        self.journal.state(order.client_order_id, OrderState.CANCELED)

    def kill(
        self, action: Action = Action.CANCEL, scope: Scope = ALL, *, is_noted: bool = True
    ) -> Kill:
        self.now += SECOND
        kill = Kill(scope=scope, action=action, reason="r", by="b", ts_ns=self.now)
        self.kills.append(kill)
        if is_noted:
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
        look = BareLook(self.journal, "oceanex", "main")
        look.now(self.kills)
        look.wait()
        is_noted = self.journal.last_note(KILL_SUBJECT, KillRecord) is not None
        assert look.now(self.kills) == (found if is_noted else []), "a run notes what it sees"
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


@pytest.mark.parametrize("later_secs", [0, 600])
@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.parametrize("is_noted", [True, False])
def test_its_cancel_may_be_booked_after_the_clear(
    story: Story, later_secs: int, is_asked: bool, is_noted: bool
) -> None:
    """By the start after a run that died, or by one that hung: that has noted no kill."""
    stop = story.bought()
    kill = story.kill(is_noted=is_noted)
    if is_asked:  # by the run, before it died
        story.asked(stop)
    story.clear(kill)
    story.now += later_secs * SECOND
    story.cancelled(stop)
    assert story.bare() == [stop.client_order_id]


def test_a_kill_that_no_journal_has_yet_took_it_too(story: Story) -> None:
    stop = story.bought()
    story.kill(is_noted=False)
    story.cancelled(stop)
    assert story.bare() == [stop.client_order_id]


@pytest.mark.parametrize("is_cleared", [True, False])
def test_the_story_of_an_order_that_a_kill_took_names_the_kill(
    story: Story, is_cleared: bool
) -> None:
    stop = story.bought()
    kill = story.kill()
    story.cancelled(stop)
    if is_cleared:
        story.clear(kill)
    own = story.bought()
    story.asked(own)
    story.cancelled(own)

    def told(order: Intent) -> list[str]:
        found = explain(order.client_order_id, [story.journal.path], None)
        return [one.text for one in found.lines if "it cancels this order" in one.text]

    assert told(stop) == [f"{kill}; it cancels this order"]
    assert told(own) == [], "its strategy did"
    closing = story.order(Role.EXIT, Side.SELL, strategy=KILL_STRATEGY)
    lines = explain(closing.client_order_id, [story.journal.path], None).lines
    (signal,) = [one.text for one in lines if one.source == "signal"]
    assert signal.startswith("a flatten closes: SELL 1")
    assert "the risk gate approves it" not in signal


@pytest.mark.parametrize(
    ("scope", "is_its"),
    [(ALL, True), (Scope("venue", "oceanex"), True), (Scope("venue", "poloniex"), False)],
)
def test_the_story_of_an_order_names_a_kill_that_no_journal_has(
    tmp_path: Path, scope: Scope, is_its: bool
) -> None:
    """Of a run that hangs, or died: the command has it in force by a file alone."""
    story = Story(tmp_path / "oceanex-main.journal.sqlite")
    with closing(story.journal):
        stop, early = story.bought(), story.order(Role.QUOTE, Side.BUY)
        story.cancelled(early)
        story.now += SECOND
        state = KillState(tmp_path / FOLDER, now_ns=lambda: story.now)
        kill = state.engage(scope, Action.CANCEL, reason="r", by="x")

        def told(order: Intent) -> list[str]:
            found = explain(order.client_order_id, [story.journal.path], None)
            return [one.text for one in found.lines if "it cancels this order" in one.text]

        yet = f"{kill}; it cancels this order, and its end is not in the journal yet"
        assert told(stop) == [yet] * is_its
        story.now += SECOND
        story.cancelled(stop)
        assert told(stop) == [f"{kill}; it cancels this order"] * is_its
        assert told(early) == []


def test_a_halt_that_grew_to_a_cancel_took_it(story: Story) -> None:
    stop = story.bought()
    story.kill(Action.HALT)
    story.kills.clear()
    kill = story.kill(is_noted=False)
    story.clear(kill)
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


def test_one_that_the_venue_kept_and_the_strategy_took_later_is_its_own_too(story: Story) -> None:
    stop = story.bought()
    story.clear(story.kill())
    story.now += 600 * SECOND
    story.asked(stop)
    story.cancelled(stop)
    assert story.bare() == []


def test_one_of_two_that_the_strategy_took_before_does_not_hide_the_other(story: Story) -> None:
    stop = story.bought()
    story.cancelled(story.order(Role.STOP, Side.SELL))
    story.clear(story.kill())
    story.cancelled(stop)
    assert story.bare() == [stop.client_order_id]


@pytest.mark.parametrize(
    ("role", "kind", "reduce_only", "is_one"),
    [
        (Role.EXIT, Kind.STOP_MARKET, True, True),  # NautilusTrader's own, without a tag
        (Role.NONE, Kind.TRAILING_STOP_MARKET, True, True),
        (Role.EXIT, Kind.STOP_LIMIT, False, True),
        (Role.STOP, Kind.LIMIT_IF_TOUCHED, False, True),
        (Role.ENTRY, Kind.STOP_MARKET, False, False),
        (Role.EXIT, Kind.LIMIT, True, False),
        (Role.TARGET, Kind.LIMIT, True, False),
    ],
)
def test_what_a_stop_is(
    story: Story, role: Role, kind: Kind, reduce_only: bool, is_one: bool
) -> None:
    story.executed(Role.ENTRY, Side.BUY)
    stop = story.order(role, Side.SELL, kind=kind, reduce_only=reduce_only)
    story.clear(story.kill())
    story.cancelled(stop)
    assert story.bare() == ([stop.client_order_id] if is_one else [])


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


def test_one_that_the_venue_refused_protects_nothing(story: Story) -> None:
    stop = taken(story)
    again = story.order(Role.STOP, Side.SELL)
    story.journal.state(again.client_order_id, OrderState.REFUSED)
    assert story.bare() == [stop.client_order_id]


@pytest.mark.parametrize("sold", ["1", "0.995"])
def test_a_position_that_is_over_needs_none_and_a_new_one_neither(story: Story, sold: str) -> None:
    taken(story)
    story.executed(Role.EXIT, Side.SELL, "0.4")
    assert story.bare() == ["C2"]
    story.executed(Role.EXIT, Side.SELL, str(Decimal(sold) - Decimal("0.4")))
    assert story.bare() == []
    story.executed(Role.ENTRY, Side.BUY)
    assert story.bare() == [], "without a stop, as its strategy wants it"


def test_a_position_that_turned_is_another(story: Story) -> None:
    taken(story)
    story.executed(Role.NONE, Side.SELL, "2")
    assert story.bare() == []
    story.executed(Role.NONE, Side.BUY, "2")
    assert story.bare() == []


def test_one_that_was_handed_over_is_the_takers(story: Story) -> None:
    taken(story)
    story.journal.hand_over("S-1", "S-2", NAME, Decimal(100))
    assert story.bare() == []
    story.journal.hand_over("S-2", "S-1", NAME, Decimal(100))
    assert story.bare() == []


def test_what_a_flatten_could_not_close_and_gave_back_is_the_position_of_before(
    story: Story,
) -> None:
    stop = taken(story)
    story.journal.hand_over("S-1", KILL_STRATEGY, NAME, Decimal(100))
    assert story.bare() == [], "KILL has it"
    assert give_back(story.journal, NAME, Decimal("0.001")) == {"S-1": Decimal(1)}
    assert story.bare() == [stop.client_order_id]
    story.executed(Role.EXIT, Side.SELL)
    story.executed(Role.ENTRY, Side.BUY)
    assert story.bare() == [], "another position, without a stop as its strategy wants it"


def test_it_is_told_however_much_the_journal_gets(story: Story) -> None:
    """And the loop of the run that looks is not kept for it."""
    stop = taken(story)
    with story.journal._transaction():  # of one, as each takes its time
        for number in range(6_000):  # of another strategy: INTENT, CANCEL, CANCELED, FILL
            quote = msgspec.structs.replace(
                stop, client_order_id=f"Q{number}", strategy="S-2", role=Role.QUOTE
            )
            story.journal._add_intents([quote], story.now)
            story.journal._event("CANCEL", f"Q{number}", None)
            story.journal._book(quote, executed(f"V{number}", f"Q{number}"), Decimal(0))
            story.journal._set_state(f"Q{number}", OrderState.CANCELED, None)
    assert story.journal.newest() > 20_000
    assert story.bare() == [stop.client_order_id]
    costs = []
    for _ in range(5):
        look = BareLook(story.journal, "oceanex", "main")
        began = time.perf_counter()
        look.now(story.kills)
        costs.append(time.perf_counter() - began)
        look.wait()
        assert [one.stop for one in look.now(story.kills)] == [stop.client_order_id]
    assert min(costs) < 0.005, "it takes a hundred times as long to look through all of it"


def test_a_look_is_only_where_there_is_something_new(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    monkeypatch.setattr(bare, "LOOK_SECS", 0.0)
    monkeypatch.setattr(bare, "LOOK_SHARE", 0)
    monkeypatch.setattr(
        bare, "bare_positions", lambda *them: looks.append(them) or bare_positions(*them)
    )
    look = BareLook(story.journal, "oceanex", "main")

    def looked() -> int:
        look.now(story.kills)
        look.wait()
        return len(looks)

    stop = story.bought()
    assert looked() == 0, "no kill was ever noted"
    kill = story.kill()
    assert looked() == looked() == 1
    story.cancelled(stop)
    assert looked() == looked() == 2
    story.clear(kill)
    assert looked() == 3
    story.executed(Role.EXIT, Side.SELL)
    assert (looked(), look.now(story.kills)) == (4, [])
    story.bought()
    assert looked() == 4, "that kill is over for good"


def test_a_journal_that_can_not_be_read_is_told_and_looked_at_again(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = taken(story)
    monkeypatch.setattr(bare, "LOOK_SECS", 0.0)
    look = BareLook(story.journal, "oceanex", "main")
    look.now([])
    look.wait()

    def fails(*_: object) -> list[object]:
        raise JournalError("JRN-READ", "why")

    story.order(Role.NONE, Side.BUY)
    with monkeypatch.context() as broken:
        broken.setattr(bare, "bare_positions", fails)
        broken.setattr(look, "_look_at", 0.0)
        look.now([])
        look.wait()
    assert look.problem == "JRN-READ: why"
    monkeypatch.setattr(look, "_look_at", 0.0)
    assert [one.stop for one in look.now([])] == [stop.client_order_id], "as it was found"
    look.wait()
    assert look.problem == ""


def test_a_clear_that_no_journal_has_does_not_last_for_ever(story: Story) -> None:
    story.clear(story.kill(), is_noted=False)
    story.now += 3600 * SECOND
    stop = story.bought()
    story.cancelled(stop)
    assert story.bare() == []
