"""The first strategy of the documents: what it holds has one stop, whatever ended the run."""

from __future__ import annotations

import re
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.model import Role
from tests.live.desk import INSTRUMENT, QUICK, Desk
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import ROOT, wait_for

KEEP = '[run]\non_stop = "keep"\n' + QUICK
BOUGHT = Decimal("0.000999")  # less the buyer's fee


def config(desk: Desk, more: str = QUICK) -> Path:
    page = (ROOT / "docs" / "strategies.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (desk.folder / "first.py").write_text(code)
    params = {"instrument_id": INSTRUMENT, "quantity": "0.001", "stop_bps": "900"}
    strategy = {"id": "First-001", "path": "first:First", "params": params}
    return configs.write(desk.folder, desk.served, strategies=[strategy], more=more)


def stops(desk: Desk) -> list[JournaledOrder]:
    """That are live, by the journal."""
    journal = Journal.reading(desk.journal)
    try:
        return [one for one in journal.open_orders() if one.intent.role is Role.STOP]
    finally:
        journal.close()


@pytest.fixture
def killed(desk: Desk) -> Desk:
    """A run that was killed while the stop of what it had bought waited."""
    process = desk.start("live", config(desk))
    wait_for(
        lambda: sorted(desk.states()) == ["FILLED", "WAITING"] or process.poll() is not None,
        "a stop under what was bought",
    )
    assert process.poll() is None, desk.log.read_text()[-3000:]
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECS)
    return desk


def test_a_stop_that_lives_is_the_only_one_after_a_restart(killed: Desk) -> None:
    (before,) = stops(killed)
    ended = killed.run("live", config(killed, KEEP), 2.0)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert sorted(killed.states()) == ["FILLED", "WAITING"], "nothing was bought or stopped twice"
    (after,) = stops(killed)
    assert after.intent.client_order_id == before.intent.client_order_id
    assert after.intent.quantity == BOUGHT


def test_what_is_held_without_a_stop_gets_one(killed: Desk) -> None:
    ended = killed.run("live", config(killed), 1.0)  # its ordered stop cancels the stop
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert stops(killed) == []
    assert killed.position() == BOUGHT
    ended = killed.run_until("live", config(killed, KEEP), lambda: stops(killed), "a new stop")
    assert ended.returncode == 0, ended.stderr[-3000:]
    (stop,) = stops(killed)
    assert stop.intent.quantity == BOUGHT
    assert sorted(killed.states()) == ["CANCELED", "FILLED", "WAITING"]


@pytest.fixture(autouse=True)
def _left_as_it_was(desk: Desk) -> object:
    """What waits holds no funds of the account: a last run takes it away."""
    yield
    if desk.journal.exists() and stops(desk):
        patient = QUICK.replace("settle_timeout_secs = 1.5", "settle_timeout_secs = 20")
        assert desk.run("live", config(desk, patient), 0.5).returncode == 0
        assert stops(desk) == []
