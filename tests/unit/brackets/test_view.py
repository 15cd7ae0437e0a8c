"""What brackets read of the gate: market, position, and what else is on its way out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from fairlead.engine.brackets.keeper import Brackets, MemoryStore
from fairlead.engine.brackets.steps import Bracket, Place
from fairlead.engine.brackets.view import BracketView
from fairlead.engine.config.model import Risk
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Capabilities, Kind, OrderState, Side, Tif, VenueFill
from fairlead.engine.risk.facts import Reference
from fairlead.engine.risk.gate import RiskGate
from tests.unit.orders.conftest import intent
from tests.unit.risk.test_gate import BTC, NOW, View, order

D = Decimal


def test_what_else_is_on_its_way_out() -> None:
    gate = RiskGate(Risk())
    view = BracketView("S-001", gate, View(gate), {})
    out = {"side": Side.SELL, "quantity": "0.5"}
    gate.approve(order("105", client_order_id="X", reduce_only=True, **out), NOW)
    assert view.leaving(BTC, Side.SELL, frozenset({"X"})) == 0
    assert view.leaving(BTC, Side.SELL, frozenset()) == D("0.5")
    gate.approve(order(None, client_order_id="M", **out), NOW)
    gate.approve(order("120", client_order_id="quote", **out), NOW)  # may never fill
    gate.approve(order(None, client_order_id="other", strategy="S-002", **out), NOW)
    gate.approve(order(None, client_order_id="in", quantity="1"), NOW)
    assert view.leaving(BTC, Side.SELL, frozenset({"X"})) == D("0.5")


def test_an_exit_is_heard_of_once_the_gate_counts_it_no_more() -> None:
    gate = RiskGate(Risk())
    view = BracketView("S-001", gate, View(gate), {})
    gate.approve(order("105", client_order_id="X", side=Side.SELL, reduce_only=True), NOW)
    leg = view.approved_leg("X", "")
    assert leg is not None
    assert not view.is_heard(leg)
    gate.closed("X")
    assert view.is_heard(leg)


def test_position_is_the_strategys_own() -> None:
    gate = RiskGate(Risk())
    view = BracketView("S-001", gate, View(gate), {})
    gate.seed_positions({BTC: D(2)}, "S-001")
    gate.seed_positions({BTC: D(-3)}, "S-002")
    assert view.position(BTC) == 2


def test_position_is_what_both_journal_and_gate_have_counted(tmp_path: Path) -> None:
    """The gate hears of a fill after the journal, and refuses an exit of more than it knows."""
    with closing(Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: NOW)) as journal:
        first = intent("A", strategy="S-001", instrument=BTC)
        journal.intend([first])
        for number, quantity in enumerate(("0.4", "0.6"), 1):
            fill = VenueFill(
                venue_order_id="1",
                trade_id=str(number),
                instrument=BTC,
                side=Side.BUY,
                quantity=D(quantity),
                price=D(100),
                fee=D(0),
                fee_currency="USDT",
                is_maker=False,
                ts_event=NOW,
            )
            journal.fill(first, fill, base_fee=D(0))
        gate = RiskGate(Risk())
        view = BracketView("S-001", gate, View(gate), {BTC.rpartition(".")[2]: journal})
        assert view.position(BTC) == 0
        gate.filled("A", "S-001", BTC, Side.BUY, D("0.4"))
        assert view.position(BTC) == D("0.4")
        gate.filled("A", "S-001", BTC, Side.BUY, D("0.6"))
        assert view.position(BTC) == 1


class Keeper(BracketView):
    """An owner of brackets whose exits are approved and journaled, and stand at once."""

    def __init__(self, gate: RiskGate, journal: Journal) -> None:
        super().__init__("S-001", gate, View(gate), {BTC.rpartition(".")[2]: journal})
        self.journal = journal
        self.placed: list[tuple[str, Decimal]] = []
        self.cancelled: list[str] = []

    def place(self, bracket: Bracket, client_order_id: str, exit_: Place) -> bool:
        size = str(exit_.quantity)
        facts = order(
            str(exit_.price),
            client_order_id=client_order_id,
            side=Side.SELL,
            quantity=size,
            reduce_only=True,
        )
        self._gate.approve(facts, NOW)
        out = intent(
            client_order_id,
            strategy="S-001",
            instrument=BTC,
            side=Side.SELL,
            kind=exit_.kind,
            quantity=exit_.quantity,
            price=exit_.price,
        )
        self.journal.intend([out])
        self.journal.accepted(client_order_id, f"V-{client_order_id}", instrument=BTC)
        self.placed.append((bracket.entry, exit_.quantity))
        return True

    def cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None:
        self.cancelled += client_order_ids

    def enters(self, name: str) -> Bracket:
        """A bracket of one unit, whose entry is at the venue."""
        bought = intent(name, strategy="S-001", instrument=BTC, quantity=D(1))
        self.journal.intend([bought])
        self.journal.accepted(name, f"V-{name}", instrument=BTC)
        self._gate.approve(order("100", client_order_id=name, quantity="1"), NOW)
        return Bracket(
            entry=name,
            strategy="S-001",
            instrument=BTC,
            side=Side.BUY,
            quantity=D(1),
            stop=D(95),
            stop_limit=D(94),
            target=D(110),
        )

    def fills(self, name: str) -> None:
        """In the journal; the gate hears of it later, see `hears`."""
        bought = self.journal.order(name)
        assert bought is not None
        fill = VenueFill(
            venue_order_id=f"V-{name}",
            trade_id=f"T-{name}",
            instrument=BTC,
            side=Side.BUY,
            quantity=D(1),
            price=D(100),
            fee=D(0),
            fee_currency="USDT",
        )
        self.journal.fill(bought.intent, fill, base_fee=D(0))
        self.journal.state(name, OrderState.FILLED)
        self._gate.order_over(name)

    def hears(self, name: str) -> None:
        self._gate.filled(name, "S-001", BTC, Side.BUY, D(1), D(100), None, NOW)


def test_a_bracket_goes_on_when_the_gate_has_counted_its_entry(tmp_path: Path) -> None:
    """A look between journal and gate: it is not over, as if nothing were held."""
    with closing(Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: NOW)) as journal:
        keeper = Keeper(RiskGate(Risk()), journal)
        brackets = Brackets("S-001", keeper, MemoryStore())
        brackets.add(keeper.enters("A"))
        keeper.fills("A")
        brackets.look()
        assert [one.entry for one in brackets] == ["A"]
        keeper.hears("A")
        brackets.look()
        assert keeper.placed == [("A", D(1))]


def test_what_the_gate_has_not_counted_takes_nothing_of_another_bracket(tmp_path: Path) -> None:
    """Whichever is older."""
    for first, second in (("A", "B"), ("B", "A")):
        path = tmp_path / f"{first}.sqlite"
        with closing(Journal(path, fsync=False, now_ns=lambda: NOW)) as journal:
            keeper = Keeper(RiskGate(Risk()), journal)
            brackets = Brackets("S-001", keeper, MemoryStore())
            for name in (first, second):
                brackets.add(keeper.enters(name))
            keeper.fills("B")
            keeper.hears("B")
            brackets.look()
            assert keeper.placed == [("B", D(1))]
            keeper.fills("A")
            brackets.look()
            assert keeper.cancelled == []
            assert keeper.placed == [("B", D(1))]
            keeper.hears("A")
            brackets.look()
            assert keeper.placed == [("B", D(1)), ("A", D(1))]
            assert keeper.cancelled == []


def test_what_is_held_and_what_stands_for_it_is_by_the_journal(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: NOW)) as journal:
        keeper = Keeper(RiskGate(Risk()), journal)
        brackets = Brackets("S-001", keeper, MemoryStore())
        brackets.add(keeper.enters("A"))

        def cover() -> tuple[Decimal, Decimal, Decimal]:
            (found,) = keeper.covers(brackets).values()
            return found.held, found.live, found.standing

        assert cover() == (0, 0, 0)
        keeper.fills("A")
        assert cover() == (1, 0, 0)  # whatever the gate has heard of it
        keeper.hears("A")
        brackets.look()
        (exit_,) = (name for one in brackets for name in one.exits)
        assert cover() == (1, 1, 1)
        journal.state(exit_, OrderState.UNKNOWN)
        assert cover() == (1, 1, 0)
        journal.state(exit_, OrderState.REFUSED)
        assert cover() == (1, 0, 0)
        sold = intent("B", strategy="S-001", instrument=BTC, side=Side.SELL, quantity=D(1))
        journal.intend([sold])
        fill = VenueFill(
            venue_order_id="V-B",
            trade_id="T-B",
            instrument=BTC,
            side=Side.SELL,
            quantity=D("0.7"),
            price=D(100),
            fee=D(0),
            fee_currency="USDT",
        )
        journal.fill(sold, fill, base_fee=D(0))
        assert cover() == (D("0.3"), 0, 0)  # what its strategy has sold beside it


def test_market_is_whole_and_fresh_or_not_known() -> None:
    gate = RiskGate(Risk())
    market = View(gate)
    view = BracketView("S-001", gate, market, {})
    assert view.price(BTC, Side.SELL) == D("99.9")
    assert view.price(BTC, Side.BUY) == D("100.1")
    market.now += gate.limits.stale_after_ns + 1
    assert view.price(BTC, Side.SELL) is None
    market.market = Reference("book", market.now, D(101), D(100), None, valid=False)
    assert view.price(BTC, Side.SELL) is None
    market.market = Reference("trade", market.now, last=D(98))
    assert view.price(BTC, Side.SELL) == view.price(BTC, Side.BUY) == 98


def test_orders_on_their_way_count_with_what_they_may_take() -> None:
    gate = RiskGate(Risk())
    market = View(gate)
    view = BracketView("S-001", gate, market, {})
    assert view.approved_leg("A", "BTC") is None
    gate.approve(order("105", client_order_id="A", quantity="2"), NOW)
    gate.filled("A", "S-001", BTC, Side.BUY, D("0.5"))
    leg = view.approved_leg("A", "BTC")
    assert leg is not None
    assert (leg.remaining, leg.price, leg.is_over) == (D("1.5"), D(105), False)


def test_venue_without_stops() -> None:
    gate = RiskGate(Risk())
    market = View(gate)
    view = BracketView("S-001", gate, market, {})
    grid = view.grid(BTC)
    assert grid is not None
    assert (grid.step, grid.has_stops) == (D("0.001"), True)

    market.able = Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
        time_in_force=frozenset({Tif.GTC}),
        post_only=False,
        replace=False,
    )
    grid = view.grid(BTC)
    assert grid is not None
    assert not grid.has_stops


def test_market_is_not_known_while_nothing_may_be_created(tmp_path: Path) -> None:
    """A stop stays where it is then: the target that would take its place is refused."""
    gate = RiskGate(Risk(), kill=KillSwitch(tmp_path / "KILL"))
    view = BracketView("S-001", gate, View(gate), {})
    assert view.price(BTC, Side.SELL) is not None
    (tmp_path / "KILL").touch()
    assert view.price(BTC, Side.SELL) is None
    (tmp_path / "KILL").unlink()
    gate.halt("a person says so", NOW)
    assert view.price(BTC, Side.SELL) is None
    gate.clear_halt()
    assert view.price(BTC, Side.SELL) is not None
    gate.fault("S-001", "raised")
    assert view.price(BTC, Side.SELL) is None


def test_position_of_a_journal_has_the_fees_taken_off(tmp_path: Path) -> None:
    gate = RiskGate(Risk())
    instrument = "BTC_USDT.OCEANEX"
    with closing(Journal(tmp_path / "j", fsync=False, now_ns=lambda: NOW)) as journal:
        view = BracketView("S-001", gate, View(gate), {"OCEANEX": journal})
        assert view.position(instrument) == 0
        bought = intent("A", strategy="S-001", instrument=instrument)
        journal.intend([bought])
        execution = VenueFill(
            venue_order_id="V-1",
            trade_id="T-1",
            instrument=instrument,
            side=Side.BUY,
            quantity=D("0.5"),
            price=D(100),
            fee=D("0.001"),
            fee_currency="BTC",
        )
        journal.fill(bought, execution, base_fee=execution.fee)
        gate.seed_positions({instrument: D("0.5")}, "S-001")
        assert view.position(instrument) == D("0.499")
