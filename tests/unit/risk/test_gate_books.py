"""What the gate keeps account of: running sums against brute force, results, state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.facts import CountedOrder, InstrumentFacts, Limits, RateWindow, Reference
from fairlead.engine.risk.flow import DAY_NS, Tape
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.ledger import Ledger
from fairlead.engine.risk.money import RoundTrips
from fairlead.engine.risk.state import RiskState, RiskStateError, RiskStateFile
from fairlead.engine.risk.states import RiskStates
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order

ETH = "ETH_USDT.TEST"
XBT = "XBT_USD.OTHER"
FACTS = {
    BTC: InstrumentFacts(
        price_increment=D("0.01"),
        size_increment=D("0.001"),
        price_precision=2,
        size_precision=3,
        quote="USDT",
        base="BTC",
        fee=D("0.001"),
    ),
    ETH: InstrumentFacts(
        price_increment=D("0.01"),
        size_increment=D("0.001"),
        price_precision=2,
        size_precision=3,
        quote="USDT",
        base="ETH",
        fee=D("0.002"),
        margin=D("0.1"),
        multiplier=D(10),
    ),
    XBT: InstrumentFacts(
        price_increment=D("0.5"),
        size_increment=D(1),
        price_precision=1,
        size_precision=0,
        quote="USD",
        base="XBT",
        inverse=True,
    ),
}
ACCOUNTS = {"TEST": "main", "OTHER": "main"}
prices = st.integers(1, 500).map(D)
sizes = st.integers(1, 9).map(D)
instruments = st.sampled_from(sorted(FACTS))
sides = st.sampled_from(list(Side))
names = st.integers(0, 7).map(str)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("open"), names, instruments, sides, sizes, st.none() | prices, st.booleans()
        ),
        st.tuples(st.just("close"), names),
        st.tuples(st.just("resize"), names, sizes),
        st.tuples(st.just("reprice"), names, prices),
        st.tuples(st.just("fill"), names, instruments, sides, sizes),
        st.tuples(st.just("mark"), instruments, prices),
        st.tuples(st.just("know"), instruments),
    ),
    max_size=40,
)


def do(ledger: Ledger, step: tuple[Any, ...]) -> None:
    match step:
        case ("open", name, instrument, side, size, price, reduce_only):
            ledger.opened(
                CountedOrder(
                    name, "S", instrument, side, size, reduce_only=reduce_only, price=price
                )
            )
        case ("close", name):
            ledger.closed(name)
        case ("resize", name, size):
            ledger.resized(name, size)
        case ("reprice", name, price):
            live = ledger.live.get(name)
            facts = live and ledger.exposure.facts(live.instrument)
            ledger.repriced(name, price, facts.notional(D(1), price) if facts else None)
        case ("fill", name, instrument, side, size):
            live = ledger.live.get(name)
            if live is not None:
                instrument, side = live.instrument, live.side
            ledger.filled(name, "S", instrument, side, size)
        case ("mark", instrument, price):
            ledger.exposure.mark(instrument, price)
        case ("know", instrument):
            ledger.exposure.know(instrument, FACTS[instrument])


def gross(ledger: Ledger, instrument: str) -> Decimal:
    """|position| at the mark + live orders that may enlarge it, summed up anew."""
    facts = FACTS[instrument]
    mark = ledger.exposure.mark_of(instrument)
    position = abs(ledger.positions[instrument])
    total = facts.notional(position, mark) if mark is not None else D(0)
    for live in ledger.live.values():
        if live.instrument == instrument and not live.reduce_only:
            total += live.remaining * (live.unit_value or D(0))
    return total


def close_to(left: Decimal, right: Decimal) -> bool:
    return abs(left - right) < D("1e-18")


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_running_sums_equal_brute_force(steps: list[tuple[Any, ...]]) -> None:
    ledger = Ledger(ACCOUNTS)
    for step in steps:
        do(ledger, step)
    for instrument, facts in FACTS.items():
        ledger.exposure.know(instrument, facts)
    exposure = ledger.exposure
    by_currency = {"USDT": D(0), "XBT": D(0)}
    for instrument, facts in FACTS.items():
        expected = gross(ledger, instrument)
        assert close_to(exposure.entry(instrument).gross, expected)
        by_currency[facts.currency] += expected
    assert close_to(exposure.of_venue("TEST", "USDT").gross, by_currency["USDT"])
    assert exposure.entry(BTC).venue is exposure.of_venue("TEST", "USDT")
    assert exposure.entry(BTC).account is exposure.entry(ETH).account
    assert close_to(exposure.entry(BTC).account.gross, by_currency["USDT"])
    assert close_to(exposure.entry(XBT).account.gross, by_currency["XBT"])
    live = [(one, FACTS[one.instrument]) for one in ledger.live.values()]
    worth = {id(one): one.remaining * (one.unit_value or D(0)) for one, _ in live}
    usdt = [(one, facts) for one, facts in live if facts.currency == "USDT"]
    resting = sum((worth[id(o)] for o, _ in usdt), D(0))
    assert close_to(exposure.entry(ETH).run.resting, resting)
    spending = sum((worth[id(o)] * (1 + f.fee) for o, f in usdt if o.side is Side.BUY), D(0))
    assert close_to(exposure.of_venue("TEST", "USDT").spending, spending)
    selling = sum(
        (
            o.remaining
            for o, _ in usdt
            if o.side is Side.SELL and o.instrument == BTC and o.unit_value is not None
        ),
        D(0),
    )
    assert close_to(exposure.of_venue("TEST", "BTC").spending, selling)
    margin = sum((worth[id(o)] * f.margin for o, f in usdt if not o.reduce_only), D(0))
    for instrument in (BTC, ETH):
        mark = exposure.mark_of(instrument)
        if mark is not None:
            held = FACTS[instrument].notional(abs(ledger.positions[instrument]), mark)
            margin += held * FACTS[instrument].margin
    assert close_to(exposure.of_venue("TEST", "USDT").margin, margin)
    for instrument in FACTS:
        for side, best in ((Side.BUY, max), (Side.SELL, min)):
            own = [
                o.price
                for o in ledger.live.values()
                if o.instrument == instrument and o.side is side and o.price is not None
            ]
            assert ledger.best_price(instrument, side) == (best(own) if own else None)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(sides, sizes, prices), max_size=20), prices)
def test_equity_is_what_flat_would_leave(
    fills: list[tuple[Side, Decimal, Decimal]], mark: Decimal
) -> None:
    """Also when the process is restarted after every fill."""
    state, straight, expected, position = RiskState(), RiskState(), D(0), D(0)
    for side, size, price in fills:
        signed = size if side is Side.BUY else -size
        fee = size * price / 1000
        expected -= signed * price + fee
        position += signed
        for kept in (state, straight):
            gate = _gate_over(kept, {BTC: position - signed}, restart=kept is state)
            gate.filled("", "S", BTC, side, size, price, (fee, "USDT"), NOW)
    for kept in (state, straight):
        gate = _gate_over(kept, {BTC: position}, restart=kept is state)
        gate.books.marked(BTC, FACTS[BTC], mark)
        assert gate.books.equity.equity("USDT") == expected + position * mark


_running: dict[int, RiskGate] = {}


def _gate_over(state: RiskState, positions: dict[str, Decimal], *, restart: bool) -> RiskGate:
    """A gate that goes on from `state`, or the one that is running on it."""
    if not restart and id(state) in _running and _running[id(state)]._states.all[0].state is state:
        return _running[id(state)]

    class Kept(RiskStateFile):
        def load(self) -> RiskState:
            return state

        def write(self, content: bytes) -> None:
            pass

    gate = RiskGate(Risk(), state=Kept(Path("unused")))
    gate.know(BTC, FACTS[BTC])
    gate.seed_positions(positions, "S")
    _running[id(state)] = gate
    return gate


def test_reference_moves_daily_loss_and_the_day_rolls(tmp_path: Path) -> None:
    file = RiskStateFile(tmp_path / "risk.json")
    gate = RiskGate(Risk(max_daily_loss=["10 USDT"]), state=file)
    view = View(gate)
    view.now = NOW
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), (D(1), "USDT"), NOW)
    view.market = Reference("book", NOW, D("91.4"), D("91.6"))
    assert code(gate, order("91"), view) is None  # 8.5 + 1 of fees lost
    again = RiskGate(Risk(max_daily_loss=["10 USDT"]), state=file)
    again.seed_positions({BTC: D(1)}, "S-001")
    view = View(again)
    view.market = Reference("book", NOW, D("90.9"), D("91.1"))
    again.tick(view)
    assert again.halt_in_force is not None
    assert again.halt_in_force.code == "DAILY_LOSS"
    assert file.load().halt == again.halt_in_force
    assert code(again, order("90"), view) == "HALTED"
    again.clear_halt()
    assert code(again, order("90"), view) is None  # counted anew from here
    view.market = Reference("book", NOW, D("80.9"), D("81.1"))
    assert code(again, order("80"), view) == "DAILY_LOSS"
    again.clear_halt()
    view.now = (NOW // DAY_NS + 1) * DAY_NS
    view.market = Reference("book", view.now, D("90.9"), D("91.1"))
    assert code(again, order("90"), view) is None


def test_drawdown_is_measured_from_the_peak_across_restarts(tmp_path: Path) -> None:
    file = RiskStateFile(tmp_path / "risk.json")
    risk = Risk(max_drawdown=["10 USDT"], max_daily_loss=["1000 USDT"])
    gate = RiskGate(risk, state=file)
    view = View(gate)
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), None, NOW)
    view.market = Reference("book", NOW, D(119), D(121))
    gate.tick(view)
    view.now += 2 * RateWindow.SPAN_NS
    gate.tick(view)
    again = RiskGate(risk, state=file)
    again.seed_positions({BTC: D(1)}, "S-001")
    view = View(again)
    view.market = Reference("book", NOW, D("109.9"), D("110.1"))
    assert code(again, order("109"), view) == "DRAWDOWN"
    again.clear_halt()
    assert code(again, order("109"), view) is None


def test_what_no_strategy_has_heard_of_is_in_the_state_at_the_end(tmp_path: Path) -> None:
    file = RiskStateFile(tmp_path / "risk.json")
    gate = RiskGate(Risk(), state=file)
    View(gate)
    gate.know(ETH, FACTS[ETH])
    gate.filled("", "S", BTC, Side.BUY, D(1), D(100), (D("0.001"), "BTC"), NOW)
    before = gate.books.equity.equity("USDT")
    gate.settle("S", BTC, D("0.999"), D(100))
    gate.persist()
    assert file.load().held[BTC].quantity == D("0.999")
    gate.settle("S", BTC, D("2.999"), D(107))
    gate.settle("T", BTC, D("0.5"), D(107))
    gate.settle("T", ETH, D(3), D(20))
    gate.settle("T", XBT, D(3), D(20))  # which this run knows nothing of
    gate.persist()
    state = file.load()
    assert {name: (one.quantity, one.mark) for name, one in state.held.items()} == {
        BTC: (D("3.499"), D(100)),
        ETH: (D(3), D(20)),
    }
    assert gate.books.equity.equity("USDT") == before, "neither a gain nor a loss"


def test_the_fee_of_an_inverse_contract_is_in_no_position() -> None:
    """It settles in its base: ten contracts are ten, whatever of the coin was paid."""
    gate = RiskGate(Risk(), fees={})
    for name, base in ((XBT, "XBT"), (BTC, "BTC")):
        gate.ledger.exposure.know(name, FACTS[name])
        gate.filled("", "S", name, Side.BUY, D(10), D(50000), (D("0.001"), base), NOW)
    assert gate.ledger.by_strategy == {("S", XBT): D(10), ("S", BTC): D("9.999")}


@pytest.mark.parametrize("code_of_fee", ["USDT", "BTC", "BNB"])
def test_fees_count_in_the_instruments_currency(code_of_fee: str) -> None:
    gate = RiskGate(Risk())
    View(gate)
    gate.filled("", "S", BTC, Side.BUY, D(1), D(100), (D("0.5"), code_of_fee), NOW)
    lost = {"USDT": D("0.5"), "BTC": D(50), "BNB": D(0)}[code_of_fee]
    assert gate.books.equity.equity("USDT") == -lost


def limits(**options: Any) -> Limits:
    return Limits.of(Risk(**options))


def test_round_trips_pause_after_losses_in_the_window() -> None:
    state = RiskState()
    trips = RoundTrips(
        RiskStates.only(state), limits(cooldown_losses=2, cooldown_window_secs=60, cooldown_secs=10)
    )
    second, facts = 1_000_000_000, View(RiskGate(Risk())).facts

    def trip(entry: int, way_out: int, at: int) -> bool:
        assert not trips.filled("S", BTC, facts, D(1), D(entry), D(0), at * second)
        return trips.filled("S", BTC, facts, D(-1), D(way_out), D(0), at * second)

    assert not trip(100, 99, 1)
    assert not trip(100, 101, 2)  # a gain
    assert not trip(100, 99, 62)  # the first loss is out of the window
    assert trip(100, 99, 63)
    assert trips.paused_until("S") == 73 * second
    assert trips.paused_until("T") == 0
    assert state.cooldowns == {"S": 73 * second}


def test_round_trip_through_zero_and_with_an_unknown_beginning() -> None:
    trips = RoundTrips(RiskStates(), limits(cooldown_losses=1))
    trips.seed("S", {BTC: D(1)})
    filled = partial(trips.filled, "S", BTC, View(RiskGate(Risk())).facts)
    assert not filled(D(-2), D(1), D(0), NOW)  # ends what was not seen to begin
    assert filled(D(3), D(2), D(0), NOW)  # short at 1, back at 2: a loss
    assert not filled(D(-2), D(3), D(0), NOW)  # long at 2, out at 3: a gain


def test_cooldown_survives_a_restart_and_lets_exits_pass(tmp_path: Path) -> None:
    file = RiskStateFile(tmp_path / "risk.json")
    risk = Risk(cooldown_losses=1, cooldown_secs=10)
    gate = RiskGate(risk, state=file)
    View(gate)
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), None, NOW)
    gate.filled("", "S-001", BTC, Side.SELL, D(1), D(99), None, NOW)
    again = RiskGate(risk, state=file)
    view = View(again)
    assert code(again, order(), view) == "COOLDOWN"
    assert code(again, order(strategy="S-002"), view) is None
    again.seed_positions({BTC: D(1)}, "S-001")
    assert code(again, order(side=Side.SELL), view) is None
    assert code(again, order(side=Side.SELL, quantity="1.5"), view) == "COOLDOWN"
    view.now += 10_000_000_000
    view.market = Reference("book", view.now, D("99.9"), D("100.1"))
    assert code(again, order(), view) is None


# Balance


def test_cash_pays_with_fees_and_live_orders() -> None:
    gate = RiskGate(Risk(), fees={})
    view = View(gate)
    view.facts = FACTS[BTC]
    view.money = {"USDT": D("200.2"), "BTC": D(3)}
    assert code(gate, order(quantity="2"), view) is None  # 200 + 0.1 %
    assert code(gate, order(quantity="2.001"), view) == "FREE_BALANCE"
    gate.approve(order(client_order_id="B", quantity="1"), NOW)
    assert code(gate, order(quantity="1"), view) is None
    assert code(gate, order(quantity="1.001"), view) == "FREE_BALANCE"
    sell = {"side": Side.SELL, "price": "101"}
    gate.approve(order(client_order_id="C", quantity="2", **sell), NOW)
    assert code(gate, order(quantity="1", **sell), view) is None
    assert code(gate, order(quantity="1.001", **sell), view) == "FREE_BALANCE"
    live = gate.ledger.live["B"]
    assert code(gate, order(client_order_id="B", quantity="2", existing=live), view) is None
    more = order(client_order_id="B", quantity="2.001", existing=live)
    assert code(gate, more, view) == "FREE_BALANCE"


def test_an_exit_right_after_its_entry_is_paid_with_what_the_entry_brought() -> None:
    """The balance is from before the fill, whose fee was taken in base currency."""
    gate = RiskGate(Risk())
    view = View(gate)
    view.facts = FACTS[BTC]
    view.money = {"USDT": D(1000), "BTC": D("0.5")}
    gate.know(BTC, FACTS[BTC])
    gate.approve(order(None, client_order_id="B", quantity="2"), NOW)
    gate.filled("B", "S-001", BTC, Side.BUY, D(2), D(100), (D("0.002"), "BTC"), NOW + 1)
    assert gate.base_held(BTC, view) == D("2.498")
    leave = {"price": None, "side": Side.SELL}
    assert code(gate, order(quantity="0.6", **leave), view) == "FREE_BALANCE"
    assert code(gate, order(quantity="1.999", reduce_only=True, **leave), view) == "REDUCE_ONLY"
    assert code(gate, order(quantity="1.998", reduce_only=True, **leave), view) is None
    gate.seed_positions({BTC: D(3)}, "S-001")
    view.money["BTC"] = D(0)
    assert code(gate, order(quantity="1.998", reduce_only=True, **leave), view) is None
    assert code(gate, order(quantity="1.999", reduce_only=True, **leave), view) == "FREE_BALANCE"
    gate.approve(order("101", client_order_id="C", quantity="1", side=Side.SELL), NOW)
    assert code(gate, order(quantity="0.999", reduce_only=True, **leave), view) == "FREE_BALANCE"
    assert code(gate, order(quantity="0.998", reduce_only=True, **leave), view) is None
    view.cash = False
    assert gate.base_held(BTC, view) is None


def test_unknown_account_is_refused() -> None:
    class Blind(View):
        def funds(self, instrument: str, currency: str) -> None:  # type: ignore[override]
            return None

    gate = RiskGate(Risk())
    assert code(gate, order(), Blind(gate)) == "FREE_BALANCE"
    off = RiskGate(Risk(off=["FREE_BALANCE"]))
    assert code(off, order(), Blind(off)) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(sizes, min_size=1, max_size=30), st.integers(1, 10))
def test_tape_keeps_the_last_trades(trades: list[Decimal], keep: int) -> None:
    tape = Tape(keep)
    for size in trades:
        tape.add(BTC, size)
    last = sorted(trades[-keep:])
    assert tape.size(BTC, largest=True) == last[-1]
    assert tape.size(BTC, largest=False) == last[len(last) // 2]
    assert tape.size(ETH, largest=True) is None
    assert tape.feeds(BTC, "A")
    assert not tape.feeds(BTC, "B")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=30), st.integers(1, 8), st.integers(0, 4000))
def test_rate_window_counts_the_last_second(times: list[int], limit: int, now_ms: int) -> None:
    window = RateWindow(limit)
    for at in sorted(times):
        window.add(at * 1_000_000)
    inside = [at for at in sorted(times)[-limit:] if at > now_ms - 1000]
    assert window.used(now_ms * 1_000_000) == len(inside)


# Exposure, self-cross and the like at their limits


def test_exposure_lets_an_order_pass_that_only_closes() -> None:
    gate = RiskGate(Risk(max_venue_exposure=["150 USDT"]))
    view = View(gate)
    gate.seed_positions({BTC: D("1.4")}, "S-001")
    assert code(gate, order(quantity="0.1"), view) is None
    assert code(gate, order(quantity="0.2"), view) == "VENUE_EXPOSURE"
    assert code(gate, order(quantity="1.4", side=Side.SELL), view) is None
    assert code(gate, order(quantity="1.5", side=Side.SELL), view) == "VENUE_EXPOSURE"


def test_account_exposure_adds_up_venues_of_one_name() -> None:
    gate = RiskGate(Risk(max_account_exposure=["150 USDT"]), accounts={"TEST": "a", "ELSE": "a"})
    view = View(gate)
    gate.know("BTC_USDT.ELSE", view.facts)
    gate.approve(order(client_order_id="B", instrument="BTC_USDT.ELSE"), NOW)
    assert code(gate, order(quantity="0.5"), view) is None
    assert code(gate, order(quantity="0.51"), view) == "ACCOUNT_EXPOSURE"


def test_pending_modify_counts_at_the_worse_price_for_sums_and_crossing() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    gate.approve(order("99", side=Side.SELL, client_order_id="A"), NOW)
    live = gate.ledger.live["A"]
    change = order("102", side=Side.SELL, client_order_id="A", existing=live)
    gate.approve_modify(change, (None, D(102), None), NOW)
    assert gate.ledger.exposure.entry(BTC).run.resting == 102
    assert code(gate, order("99", client_order_id="B"), view) == "SELF_CROSS"
    gate.modify_answered("A", D(1), D(102))
    assert code(gate, order("101", client_order_id="B"), view) is None
    assert code(gate, order("102", client_order_id="B"), view) == "SELF_CROSS"
    gate.closed("A")
    assert gate.ledger.exposure.entry(BTC).run.resting == 0
    assert code(gate, order("102", client_order_id="B"), view) is None


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "expected"),
    [
        (Side.BUY, "STOP_LIMIT", "99.91", None),
        (Side.BUY, "STOP_LIMIT", "99.9", "STOP_SIDE"),
        (Side.SELL, "STOP_MARKET", "100.09", None),
        (Side.SELL, "STOP_MARKET", "100.1", "STOP_SIDE"),
        (Side.BUY, "LIMIT_IF_TOUCHED", "100.09", None),
        (Side.BUY, "LIMIT_IF_TOUCHED", "100.1", "STOP_SIDE"),
        (Side.SELL, "LIMIT_IF_TOUCHED", "99.91", None),
        (Side.SELL, "LIMIT_IF_TOUCHED", "99.9", "STOP_SIDE"),
    ],
)
def test_stop_side_at_the_touch(side: Side, kind: str, trigger: str, expected: str | None) -> None:
    gate = RiskGate(Risk())
    price = None if kind == "STOP_MARKET" else trigger
    facts = order(price, side=side, kind=kind, trigger_price=D(trigger))
    assert code(gate, facts, View(gate)) == expected
    assert code(gate, msgspec.structs.replace(facts, fired=True), View(gate)) is None


# State


def test_counters_are_written_within_a_second_and_halts_at_once(tmp_path: Path) -> None:
    file = RiskStateFile(tmp_path / "risk.json")
    gate = RiskGate(Risk(), state=file)
    view = View(gate)
    for second in range(3):
        view.now = NOW + second * RateWindow.SPAN_NS
        view.market = Reference("book", view.now, D("99.9"), D("100.1"))
        assert code(gate, order(), view) is None
        gate.tick(view)
        assert file.load().counters["PRICE_COLLAR"].evaluated == second + 1
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), None, view.now)
    assert file.load().equity["USDT"].cash == -100


@contextmanager
def unwritable(gate: RiskGate, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "file").write_text("no folder")
    (account,) = gate._states.all
    good, account.file = account.file, RiskStateFile(tmp_path / "file" / "risk.json")
    yield
    account.file = good


def test_state_that_can_not_be_written_refuses_orders_until_it_can(tmp_path: Path) -> None:
    gate = RiskGate(Risk(), state=RiskStateFile(tmp_path / "risk.json"))
    view = View(gate)
    assert code(gate, order(), view) is None
    with unwritable(gate, tmp_path):
        gate.tick(view)
        assert code(gate, order(), view) == "STATE_UNWRITABLE"
        with pytest.raises(RiskStateError):
            gate.persist()
    gate.tick(view)
    assert code(gate, order(), view) is None


def test_exits_pass_a_halt_only_where_it_was_asked_for() -> None:
    gate = RiskGate(Risk(on_breach="halt+cancel+flatten", max_daily_loss=["1 USDT"]))
    view = View(gate)
    gate.seed_positions({BTC: D(1)}, "S-001")
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(102), None, NOW)
    gate.tick(view)
    assert gate.breach_action == {"cancel", "flatten"}
    leave = order(None, quantity="2", side=Side.SELL, reduce_only=True)
    assert code(gate, leave, view) == "HALTED"
    with gate.exits():
        assert code(gate, order(side=Side.SELL), view) == "HALTED"
        assert code(gate, leave, view) is None
    assert code(gate, leave, view) == "HALTED"


@pytest.mark.parametrize("name", ["STALE_REFERENCE", "PRICE_COLLAR", "SELF_CROSS", "INVALID_BOOK"])
def test_a_check_that_is_switched_off_does_not_run(name: Any) -> None:
    gate = RiskGate(Risk(off=[name]))
    view = View(gate)
    gate.approve(order("99", side=Side.SELL, client_order_id="S"), NOW)
    view.market = Reference("book", NOW - 6_000_000_000, D(90), D("90.1"))
    gate.check(order("99"), view)
    gate.persist()
    assert gate.snapshot().counters[name].evaluated == 0


def test_an_order_that_passes_was_evaluated_by_every_check_that_is_on() -> None:
    gate = RiskGate(Risk(max_modifies_per_second=5))
    view = View(gate)
    assert code(gate, order(), view) is None
    assert code(gate, order("101", quantity="-1"), view) == "QUANTITY"
    assert code(gate, order("101", kind="STOP_LIMIT", trigger_price=D(101)), view) is None
    counters = gate.snapshot().counters
    every = ("KILL_SWITCH", "EMULATION", "REDUCE_ONLY", "STOP_SIDE", "MODIFY_RATE", "ORDER_RATE")
    assert [counters[name].evaluated for name in every] == [3, 2, 2, 2, 2, 2]
    assert counters["MAX_POSITION"].evaluated == 0
    assert (counters["QUANTITY"].evaluated, counters["QUANTITY"].refused) == (3, 1)
    gate.approve(order(), NOW)
    change = order(quantity="2", existing=gate.ledger.live["A"])
    assert code(gate, change, view) is None
    counters = gate.snapshot().counters
    assert (counters["MODIFY_RATE"].evaluated, counters["DUPLICATE_ORDER_ID"].evaluated) == (3, 3)
