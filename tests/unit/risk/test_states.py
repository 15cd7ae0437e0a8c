"""Each account keeps its own risk state, also where runs share a state folder."""

from __future__ import annotations

import json
import stat
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Role, Side
from fairlead.engine.risk.facts import InstrumentFacts
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import (
    Counter,
    CurrencyEquity,
    DayFlow,
    Halt,
    Held,
    RiskState,
    RiskStateFile,
    Trip,
)
from fairlead.engine.risk.states import Clearing, RiskStates, clearing_file
from tests.unit.orders.conftest import intent
from tests.unit.risk.test_gate_books import DAY_NS, FACTS, NOW

A, B = "BTC_USDT.OCEANEX", "BTC_USDT.POLONIEX"
LOSS = Risk(max_daily_loss=["10 USDT"])


def files(folder: Path, *venues: str) -> dict[str, RiskStateFile]:
    return {venue: RiskStateFile(folder / f"{venue.lower()}-main.risk.json") for venue in venues}


def gate(folder: Path, *venues: str, risk: Risk = LOSS, old: Path | None = None) -> RiskGate:
    states = RiskStates(files(folder, *venues), old and RiskStateFile(old))
    made = RiskGate(risk, state=states)
    for instrument in (A, B):
        made.know(instrument, _facts())
    return made


def trade(made: RiskGate, instrument: str, loss: str, strategy: str = "S-1") -> None:
    """A round trip that loses so much."""
    made.filled("", strategy, instrument, Side.BUY, D(1), D(100), None, NOW)
    made.filled("", strategy, instrument, Side.SELL, D(1), D(100) - D(loss), None, NOW)


def test_a_halt_and_a_loss_outlive_another_accounts_run_in_the_same_folder(tmp_path: Path) -> None:
    one, other = gate(tmp_path, "OCEANEX"), gate(tmp_path, "POLONIEX")
    trade(one, A, "11")
    trade(other, B, "3")
    other.persist()
    one.persist()
    other.persist()  # the last to end
    again = gate(tmp_path, "OCEANEX")
    assert again.halt_in_force is not None
    assert again.halt_in_force.code == "DAILY_LOSS"
    assert again.books.equity.lost_today("USDT") == 11
    assert gate(tmp_path, "POLONIEX").halt_in_force is None
    assert gate(tmp_path, "POLONIEX").books.equity.lost_today("USDT") == 3


def test_a_runs_loss_is_the_sum_of_its_accounts(tmp_path: Path) -> None:
    both = gate(tmp_path, "OCEANEX", "POLONIEX")
    trade(both, A, "6")
    assert both.halt_in_force is None
    trade(both, B, "5")
    assert [venue for venue, _ in both.halts()] == ["OCEANEX", "POLONIEX"]
    assert gate(tmp_path, "POLONIEX").halt_in_force is not None
    alone = RiskStateFile(tmp_path / "poloniex-main.risk.json").load()
    assert alone.equity["USDT"].cash == -5
    assert alone.flow.keys() <= {"POLONIEX"}


def test_an_instruments_halt_is_its_accounts_and_stops_the_whole_run(tmp_path: Path) -> None:
    both = gate(tmp_path, "OCEANEX", "POLONIEX")
    both.halt("OVERFILL of 7", NOW, B)
    assert both.is_stopped("S-1", A)
    assert both.is_stopped("S-1", B)
    assert gate(tmp_path, "OCEANEX").halt_in_force is None
    assert gate(tmp_path, "POLONIEX").halt_in_force is not None


def test_the_peak_of_a_run_is_kept_by_its_accounts(tmp_path: Path) -> None:
    risk = Risk(max_drawdown=["10 USDT"])
    both = gate(tmp_path, "OCEANEX", "POLONIEX", risk=risk)
    trade(both, A, "-20")  # won 20: the peak
    trade(both, B, "6")
    trade(both, A, "3")
    assert both.books.equity.drawdown("USDT") == 9
    both.persist()
    again = gate(tmp_path, "OCEANEX", "POLONIEX", risk=risk)
    assert again.books.equity.drawdown("USDT") == 9
    trade(again, B, "1")
    assert again.halt_in_force is not None
    assert again.halt_in_force.code == "DRAWDOWN"


def test_losing_trips_of_a_strategy_count_together(tmp_path: Path) -> None:
    risk = Risk(cooldown_losses=2, cooldown_secs=10)
    both = gate(tmp_path, "OCEANEX", "POLONIEX", risk=risk)
    trade(both, A, "1")
    both.filled("", "S-1", B, Side.BUY, D(1), D(100), None, NOW + 1)
    both.filled("", "S-1", B, Side.SELL, D(1), D(99), None, NOW + 1)
    assert both.books.trips.paused_until("S-1") > NOW
    both.persist()
    again = gate(tmp_path, "OCEANEX", "POLONIEX", risk=risk)
    assert again.books.trips.paused_until("S-1") > NOW


def shared() -> RiskState:
    """As one file of all accounts of a folder was: A and B hold one each, 12 USDT are lost."""
    return RiskState(
        halt=Halt(reason="DAILY_LOSS: lost", ts_ns=NOW, code="DAILY_LOSS"),
        counters={"PRICE_COLLAR": Counter(evaluated=5, refused=2)},
        flow={"OCEANEX": DayFlow(day=1, orders=3), "POLONIEX": DayFlow(day=1, orders=4)},
        equity={"USDT": CurrencyEquity(cash=D(-212), day=NOW // DAY_NS, day_start=D(0), peak=D(5))},
        held={
            A: Held(quantity=D(1), mark=D(90), currency="USDT"),
            B: Held(quantity=D(1), mark=D(110), currency="USDT"),
        },
        trips={"S-1": {A: Trip(quantity=D(1)), B: Trip(quantity=D(1))}},
        losses={"S-1": [NOW]},
        cooldowns={"S-2": NOW + 9},
    )


def test_the_file_that_accounts_shared_is_read_over_and_no_halt_is_lost(tmp_path: Path) -> None:
    old = tmp_path / "risk-live.json"
    old.write_bytes(msgspec.json.encode(shared()))
    for _ in range(2):  # what was read over is written, and is the account's own from then on
        both = gate(tmp_path, "OCEANEX", "POLONIEX", old=old)
        both.seed_positions({A: D(1), B: D(1)}, "S-1")
        both.books.marked(A, _facts(), D(90))
        both.books.marked(B, _facts(), D(110))
        assert [venue for venue, _ in both.halts()] == ["OCEANEX", "POLONIEX"]
        assert both.books.equity.lost_today("USDT") == 12
        assert both.books.equity.drawdown("USDT") == 17
        assert both.books.trips.paused_until("S-2") == NOW + 9
        both.persist()
    saved = {venue: file.load() for venue, file in files(tmp_path, "OCEANEX", "POLONIEX").items()}
    assert {venue: list(state.held) for venue, state in saved.items()} == {
        "OCEANEX": [A],
        "POLONIEX": [B],
    }
    assert {venue: list(state.flow) for venue, state in saved.items()} == {
        "OCEANEX": ["OCEANEX"],
        "POLONIEX": ["POLONIEX"],
    }
    assert saved["OCEANEX"].counters["PRICE_COLLAR"].refused == 2
    other = gate(tmp_path, "ZEROCAP", old=old)
    assert other.halt_in_force is not None, "nobody can tell whose halt it was"
    assert other.books.equity.lost_today("USDT") == 0
    assert json.loads(old.read_bytes())["halt"]["code"] == "DAILY_LOSS"


def _facts() -> InstrumentFacts:
    return next(iter(FACTS.values()))


def test_a_persons_word_ends_a_halt_of_the_running_gate_and_no_later_one(tmp_path: Path) -> None:
    told: list[tuple[str, str, Clearing | None]] = []
    one = gate(tmp_path, "OCEANEX")
    one.on_halt = lambda venues, halt, clearing: told.append((venues[0], halt.code, clearing))
    trade(one, A, "11")
    assert one.halt_in_force is not None
    word = clearing_file(files(tmp_path, "OCEANEX")["OCEANEX"])
    stale = Clearing(halt_ts_ns=1, reason="of an older halt", by="me", ts_ns=NOW)
    word.write(stale)
    one.take_clearings()
    assert one.halt_in_force is not None
    assert word.read() is None
    meant = Clearing(halt_ts_ns=one.halt_in_force.ts_ns, reason="looked", by="me", ts_ns=NOW)
    word.write(meant)
    one.take_clearings()
    assert one.halt_in_force is None
    assert word.read() is None
    assert told == [("OCEANEX", "DAILY_LOSS", None), ("OCEANEX", "DAILY_LOSS", meant)]
    trade(one, A, "9")  # the loss is counted anew from there
    assert one.halt_in_force is None
    trade(one, A, "1")
    assert one.halt_in_force is not None
    assert gate(tmp_path, "OCEANEX").halt_in_force is not None


def test_a_state_file_that_goes_away_during_a_run_is_written_anew_and_told(tmp_path: Path) -> None:
    told: list[str] = []
    one = gate(tmp_path, "OCEANEX")
    one.on_problem = told.append
    trade(one, A, "11")
    path = tmp_path / "oceanex-main.risk.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not told
    path.unlink()
    one.persist()
    assert "was removed" in told[0]
    path.write_text("{}")
    one.persist()
    assert "was changed" in told[1]
    assert gate(tmp_path, "OCEANEX").halt_in_force is not None


@pytest.mark.parametrize(
    ("more", "may_leave"),
    [
        ({}, False),
        ({"role": Role.QUOTE}, False),
        ({"role": Role.STOP}, True),
        ({"reduce_only": True}, True),
        ({"role": Role.TARGET}, True),
    ],
)
def test_what_waits_to_be_sent_is_recalled_by_a_halt(
    tmp_path: Path, more: dict[str, Any], may_leave: bool
) -> None:
    """One request an order: the last of a queue leaves long after the gate let it through."""
    made = gate(tmp_path, "OCEANEX")
    waiting = intent(instrument=A, **more)
    assert made.recalled(waiting) is None
    made.halt("daily loss", NOW, A)
    told = made.recalled(waiting)
    assert (told is None) == may_leave
    assert told is None or "daily loss" in told
