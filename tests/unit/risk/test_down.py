"""What is executed while no run is up, or as one dies unheard, reaches the limits."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders import journal_check
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal_compact import compact
from fairlead.engine.orders.model import OrderState, Side
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.heard import MORE_MAX
from fairlead.engine.risk.money import DAY_NS
from fairlead.engine.risk.states import RiskStates
from tests.unit.risk.down_kit import Down, S
from tests.unit.risk.test_flat import FACTS
from tests.unit.risk.test_gate import D, View


@pytest.fixture
def down(tmp_path: Path) -> Down:
    """Holds 1, bought at 100, where the market is."""
    found = Down(tmp_path)
    found.trade(Side.BUY, "100")
    found.kept("100")
    return found


def again(down: Down) -> None:
    down.die()
    down.start()


def test_an_exit_is_a_loss_and_stays_one(down: Down) -> None:
    stop = down.order()
    down.die()
    down.book(stop, "80")  # by the recovery
    down.start()
    assert down.lost == 20
    assert not down.gate.books.equity.is_open
    again(down)
    assert down.lost == 20
    down.end()
    down.start()
    assert down.lost == 20


def test_an_entry_brings_no_loss_of_its_own(down: Down) -> None:
    bid = down.order(side=Side.BUY)
    down.die()
    down.book(bid, "80")
    down.start()
    down.mark("80")
    assert down.lost == 20
    down.mark("70")
    assert down.lost == 40


@pytest.mark.parametrize("is_late", [False, True])
def test_a_limit_that_it_breaks_halts_at_the_start(tmp_path: Path, *, is_late: bool) -> None:
    """Also what a recovery booked that died then."""
    down = Down(tmp_path, risk=Risk(max_daily_loss=["20 USDT"]))
    down.trade(Side.BUY, "100")
    stop = down.order()
    down.die()
    down.book(stop, "80")
    if is_late:
        down.begin()
        down.gate.persist()
        down.die()
    down.start()
    halt = down.gate.halt_in_force
    assert halt is not None
    assert halt.code == "DAILY_LOSS"
    again(down)
    assert down.gate.halt_in_force == halt


@pytest.mark.parametrize("heard", range(4))
def test_a_kill_between_the_journal_and_the_limits(down: Down, heard: int) -> None:
    """Three parts of one order: nothing is counted twice, nothing is missed."""
    stop = down.order()
    fills = [down.book(stop, "80", part) for part in ("0.5", "0.3", "0.2")]
    for fill in fills[:heard]:
        down.hear(stop, fill)
    again(down)
    assert down.lost == 20
    assert not down.gate.ledger.positions[down.name]


def test_a_part_that_was_counted_otherwise_leaves_the_rest(down: Down) -> None:
    """NautilusTrader has fewer digits, or makes one of two."""
    stop = down.order()
    fill = down.book(stop, "80", fee="0.4 USDT")
    part = msgspec.structs.replace(fill, quantity=D("0.25"), fee=D("0.1"))
    down.hear(stop, part)
    again(down)
    assert down.lost == D("20.4")


def test_heard_before_it_is_booked(down: Down) -> None:
    """As of NautilusTrader's own clients."""
    stop = down.order()
    copy = down.path.with_name("copy.sqlite")
    down.journal.copy_to(copy)
    fill = down.book(stop, "80")
    down.hear(stop, fill)
    down.journal.close()
    copy.rename(down.path)
    for more in ("-wal", "-shm"):
        down.path.with_name(f"{down.path.name}{more}").unlink(missing_ok=True)
    down.die()
    down.book(stop, "80")
    down.start()
    assert down.lost == 20


def test_on_the_day_that_it_was(down: Down) -> None:
    """Yesterday's loss is not today's; the equity has it."""
    stop = down.order()
    down.die()
    down.now += DAY_NS
    down.book(stop, "80")
    down.now += DAY_NS
    down.start()
    assert (down.lost, down.result) == (0, -20)


def test_today_though_the_run_died_yesterday(down: Down) -> None:
    stop = down.order()
    down.die()
    down.now += DAY_NS
    down.book(stop, "80")
    down.start()
    assert down.lost == 20


def test_of_a_day_before_the_files_newest_it_counts_to_that(down: Down) -> None:
    stop = down.order()
    fill = down.book(stop, "80", "0.5")
    down.now += DAY_NS
    assert down.lost == 0
    down.kept("90")
    assert down.lost == 10
    again(down)
    assert fill.ts_event < down.now
    down.mark("90")
    assert down.lost == 15  # half of it at 80


def test_a_venue_clock_ahead_begins_no_day(down: Down) -> None:
    stop = down.order()
    down.die()
    down.now += DAY_NS
    down.book(stop, "80")
    down.now -= DAY_NS
    down.start()
    assert down.lost == 20


def test_one_of_several_strategies_of_an_instrument(down: Down) -> None:
    down.trade(Side.BUY, "100", "2", "S-002")
    down.kept("110")
    stop = down.order()
    down.die()
    down.book(stop, "80")
    down.start()
    assert down.gate.ledger.by_strategy[S, down.name] == 0
    assert down.gate.ledger.by_strategy["S-002", down.name] == 2
    down.mark("110")
    assert down.result == -20 + 20


@pytest.mark.parametrize(
    ("fee", "lost"), [("1 USDT", "21"), ("0.01 BTC", "20.8"), ("1 OTHER", "20")]
)
def test_its_fee_counts(down: Down, fee: str, lost: str) -> None:
    """In a third currency it has no price, as in a run."""
    stop = down.order()
    down.die()
    down.book(stop, "80", fee=fee)
    down.start()
    down.mark("80")
    assert down.lost == D(lost)


def test_a_losing_trip_counts_for_the_cooldown(tmp_path: Path) -> None:
    down = Down(tmp_path, risk=Risk(cooldown_losses=1, cooldown_secs=600))
    down.trade(Side.BUY, "100")
    down.gate.persist()
    stop = down.order()
    down.die()
    down.book(stop, "80")
    down.now += 60 * 10**9
    down.start()
    assert down.paused()
    down.now += 600 * 10**9  # from when it was executed
    assert not down.paused()


def test_a_trip_goes_on_behind_a_part_that_was_missed(tmp_path: Path) -> None:
    down = Down(tmp_path, risk=Risk(cooldown_losses=1))
    down.trade(Side.BUY, "100")
    down.gate.persist()
    stop = down.order()
    down.die()
    down.book(stop, "110", "0.5")
    down.start()
    down.hear(stop, down.book(stop, "95", "0.5"))
    assert not down.paused()  # it won 2.5
    down.trade(Side.BUY, "100")
    down.trade(Side.SELL, "99")
    assert down.paused()


def test_what_a_kill_closed_counts_and_is_no_trip(tmp_path: Path) -> None:
    """A flatten of another process booked the position to itself, while no run was up."""
    down = Down(tmp_path, risk=Risk(max_daily_loss=["1000 USDT"], cooldown_losses=1))
    down.trade(Side.BUY, "100")
    down.gate.persist()
    down.die()
    down.journal.hand_over(S, "KILL", down.name, D(100))
    down.book(down.order("KILL"), "80")
    down.start()
    assert down.lost == 20
    assert not down.paused()
    assert not any(down.gate.ledger.by_strategy.values())


def test_handed_over_in_the_run_and_closed_behind_it(down: Down) -> None:
    down.journal.hand_over(S, "KILL", down.name, D(100))
    down.gate.handed(S, "KILL", down.name, D(1))
    down.gate.persist()
    down.book(down.order("KILL"), "80")
    again(down)
    assert down.lost == 20


def test_a_file_without_it_is_as_it_was(down: Down) -> None:
    """Of before, or of a run on paper: what is missed has no price of its own."""
    stop = down.order()
    state = down.file.load()
    state.counted = None
    down.file.write(msgspec.json.encode(state))
    down.die()
    down.book(stop, "80", "0.5")
    down.start()
    assert down.lost == 0
    down.gate.persist()
    down.die()
    down.book(stop, "80", "0.5")
    down.start()
    assert down.lost == 10


def test_another_journal_tells_nothing(down: Down) -> None:
    """It was put back from a copy, which knows less: what it books again was counted."""
    copy = down.path.with_name("copy.sqlite")
    stop = down.order()
    down.journal.copy_to(copy)
    down.hear(stop, down.book(stop, "80"))
    down.gate.persist()
    down.journal.close()
    for path in down.path.parent.glob(f"{down.path.name}*"):
        path.unlink()
    copy.rename(down.path)
    down.die()
    down.order("S-002")
    down.now += 1
    down.book(stop, "80")
    down.start()
    assert down.lost == 20


def test_a_start_that_fails_before_takes_nothing_over(down: Down) -> None:
    """The venue is away: the file is written at the end."""
    down.gate.halt("somebody looks", down.now)
    stop = down.order()
    down.die()
    down.begin()
    down.end()
    down.begin()
    assert down.gate.halt_in_force is not None
    down.gate.clear_halt()
    down.end()
    down.book(stop, "80")
    down.start()
    assert down.gate.halt_in_force is None
    assert down.lost == 20


def test_a_loss_that_was_cleared_before_the_takeover_is_measured_anew(tmp_path: Path) -> None:
    down = Down(tmp_path, risk=Risk(max_daily_loss=["20 USDT"]))
    down.trade(Side.BUY, "100")
    down.mark("80")
    assert down.lost == 20
    down.gate._watch(down.now)
    assert down.gate.halt_in_force is not None
    stop = down.order()
    down.die()
    down.begin()
    down.gate.clear_halt()
    down.end()
    down.book(stop, "75")
    down.start()
    assert down.gate.halt_in_force is None
    assert down.lost == 5


def test_a_start_that_dies_behind_the_takeover_forgets_no_price(down: Down) -> None:
    """No market's price has come yet, and the file is written."""
    again(down)
    down.gate.persist()
    again(down)
    down.mark("80")
    assert down.lost == 20


def test_an_exit_that_nobody_heard_at_the_end_has_its_own_price(down: Down) -> None:
    stop = down.order()
    down.mark("90")
    down.book(stop, "80")
    down.end()
    assert down.file.load().equity["USDT"].cash == -20
    down.start()
    assert down.lost == 20


def test_what_is_counted_one_by_one_stays_short(down: Down) -> None:
    view = View(down.gate)
    view.facts = FACTS
    late = down.order()
    unheard = down.book(late, "80", "0.25")
    for number in range(4 * MORE_MAX):
        down.trade(Side.BUY, "100")
        down.trade(Side.SELL, "99")
        down.gate.tick(view)
        if number == MORE_MAX:
            down.hear(late, unheard)
    counted = down.file.load().counted
    assert counted is not None
    assert len(counted.more) <= MORE_MAX + 2
    down.mark("100")
    result = down.result
    down.gate.persist()
    again(down)
    assert down.result == result
    assert down.gate.ledger.positions[down.name] == D("0.75")


def test_the_record_that_it_tells_of_is_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_check, "NEWEST_RECORDS", 2)
    down = Down(tmp_path)
    bought = down.trade(Side.BUY, "100")
    down.journal.state(bought.client_order_id, OrderState.FILLED)
    again(down)
    stop, _ = down.order(), down.order()
    down.journal.close()
    files = AccountFiles(tmp_path, down.venue)
    assert compact(files, days=7, now_ns=lambda: down.now + 8 * DAY_NS).orders == 1
    down.die()
    down.book(stop, "80")
    down.start()
    assert down.lost == 20


def test_an_instrument_that_nothing_is_known_of_counts_as_it_is_held(down: Down) -> None:
    stop = down.order()
    down.die()
    down.book(stop, "80")
    down.facts = {}
    down.start()
    assert (down.lost, down.gate.ledger.positions[down.name]) == (0, 0)


@pytest.mark.parametrize("days", [0, 1])
def test_the_loss_of_two_accounts_adds_up(tmp_path: Path, days: int) -> None:
    """On the day that it was; no halt before both have told of it."""
    risk = Risk(max_daily_loss=["30 USDT"])
    both = [Down(tmp_path, venue, risk) for venue in ("ONE", "TWO")]
    for one in both:
        one.trade(Side.BUY, "100")
        one.gate.persist()
        stop = one.order()
        one.die()
        one.book(stop, "80")
        one.now += days * DAY_NS
    gate = RiskGate(risk, state=RiskStates({one.venue: one.file for one in both}))
    for one in both:
        one.begin(gate)
    for one in both:
        assert gate.halt_in_force is None
        one.start(gate)
    assert gate.books.equity.equity("USDT") == -40
    assert (gate.halt_in_force is None) is bool(days)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_dies_when_the_result_is_what_was_executed(tmp_path: Path, seed: int) -> None:
    """Against the sum of all executions at the last price."""
    rng = random.Random(seed)
    down = Down(tmp_path)
    cash, position, unheard = Decimal(0), Decimal(0), []
    down.mark("100")

    def executed() -> None:
        nonlocal cash, position
        side, price = rng.choice(list(Side)), str(rng.randint(80, 120))
        order = down.order(rng.choice(["S-1", "S-2"]), side, "1")
        for part in rng.choice([["1"], ["0.5", "0.5"], ["0.2", "0.7", "0.1"]]):
            fee = rng.choice(["0 USDT", "0.1 USDT", "0.001 BTC"])
            fill = down.book(order, price, part, fee)
            unheard.append((order, fill))
            signed = fill.quantity if side is Side.BUY else -fill.quantity
            taken = fill.fee if fill.fee_currency == "BTC" else Decimal(0)
            cash -= signed * fill.price + (fill.fee - taken)
            position += signed - taken

    def heard() -> None:
        if unheard:
            down.hear(*unheard.pop(0))

    def died() -> None:
        again(down)
        unheard.clear()

    def ended() -> None:
        down.end()
        down.start()
        unheard.clear()

    def failed() -> None:
        down.die()
        down.begin()
        down.end()
        died()

    def written() -> None:
        down.kept(str(rng.randint(80, 120)))

    steps: list[Callable[[], None]] = [executed, executed, heard, heard, written, died]
    for _ in range(60):
        rng.choice([*steps, ended, failed] if rng.random() < 0.2 else steps)()
    died()
    down.mark("90")
    assert down.gate.ledger.positions[down.name] == position
    assert down.result == cash + position * 90
