"""What a venue executes of a run that was killed is in its losses at the restart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.risk.state import RiskState, RiskStateError, RiskStateFile
from tests.live import hosted
from tests.live.bracketing import MIDDLE, OPTIONS, RISK, Bench
from tests.live.test_brackets import protected
from tests.support.processes import Venue

pytestmark = pytest.mark.slow
LOOSE = RISK + 'max_daily_loss = ["100 USDT"]\n'
TIGHT = RISK + 'max_daily_loss = ["5 USDT"]\n'
MOVED = Decimal(59_300)  # below the stop: a loss of about 8.5
EXACT = Decimal("0.000001")


@pytest.fixture(params=OPTIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with hosted.simulated(tmp_path / "keys", OPTIONS[request.param]) as line:
        made = Bench(request.param, Venue(None, line), tmp_path)  # type: ignore[arg-type]
        yield made
        made.end(signal.SIGKILL)


def state(bench: Bench) -> RiskState:
    path = bench.journal
    name = path.name.removesuffix(".journal.sqlite")
    try:
        return RiskStateFile(path.with_name(f"{name}.risk.json")).load()
    except RiskStateError:
        return RiskState()


def lost(bench: Bench) -> Decimal:
    """By the file, of today."""
    now = state(bench)
    kept = now.equity["USDT"]
    return kept.day_start - kept.cash - sum(h.quantity * h.mark for h in now.held.values())


def paid(bench: Bench) -> Decimal:
    """By the venue, what the account has less, what it still holds at the market's price."""
    less = Decimal(0)
    for entry in bench.entries():
        if entry["type"] == "balance":
            worth = {"USDT": Decimal(1), "BTC": bench.middle}[entry["currency"]]
            less -= worth * (Decimal(entry["free_delta"]) + Decimal(entry["locked_delta"]))
    return less


def killed(bench: Bench) -> None:
    """It holds 0.0123 with its stop at the venue, which is executed while it is down."""
    protected(bench, risk=LOOSE)
    bench.wait(
        lambda: all(h.mark == MIDDLE for h in state(bench).held.values()), "a market's price"
    )
    assert bench.end(signal.SIGKILL) == -signal.SIGKILL
    before = lost(bench)
    bench.move(MOVED)
    assert bench.standing() == []
    assert paid(bench) > before + 8


def test_a_stop_that_executed_while_it_was_down_is_a_loss_once(bench: Bench) -> None:
    killed(bench)
    for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        bench.start(risk=LOOSE)
        bench.wait(bench.started.exists, "a start")
        bench.wait(lambda: abs(lost(bench) - paid(bench)) < EXACT, f"a loss of {paid(bench)}")
        assert state(bench).halt is None
        bench.end(end)
        assert abs(lost(bench) - paid(bench)) < EXACT


def test_the_limit_that_it_breaks_halts_the_restart(bench: Bench) -> None:
    killed(bench)
    orders = len(bench.orders())
    bench.start(risk=TIGHT)
    bench.wait(bench.started.exists, "a start")
    halt = state(bench).halt
    assert halt is not None
    assert halt.code == "DAILY_LOSS"
    bench.command("bracket")
    bench.wait(lambda: "DENIED" in bench.log.read_text(), "its refusal")
    assert "HALTED" in bench.log.read_text()
    assert len(bench.orders()) == orders
