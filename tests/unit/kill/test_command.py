"""What `fairlead kill` says of a venue that answers, and of the journal beside it."""

from __future__ import annotations

import gc
import json
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.adapters import registry
from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.kill.command import VenueKill
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    CancelAccepted,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Side,
    VenueOrder,
)

BTC = "BTC_USDT.OCEANEX"
CONFIG = """
name = "kill"
[venues.oceanex]
adapter = "oceanex"
account = "main"
instruments = ["BTC_USDT.OCEANEX"]
[venues.oceanex.credentials]
uid = "env:NO_SUCH_UID"
private_key = "file:nowhere.pem"
[venues.oceanex.options]
http_url = "http://127.0.0.1:1"
"""


class Orders:
    """Cancels what it is asked to; `books` is what a run that lives does then."""

    def __init__(self, journal: Path, *, is_booked: bool) -> None:
        self._journal, self._is_booked = journal, is_booked

    async def cancel(self, refs: list[OrderRef]) -> list[CancelAccepted]:
        if self._is_booked:
            with closing(Journal(self._journal, fsync=False, now_ns=time.time_ns)) as journal:
                for ref in refs:
                    journal.state(str(ref.client_order_id), OrderState.CANCELED)
        return [CancelAccepted() for _ in refs]

    async def open_orders(self, _: object) -> list[VenueOrder]:
        return []

    async def orders(self, refs: list[OrderRef]) -> list[VenueOrder]:
        return [
            VenueOrder(
                venue_order_id=str(ref.venue_order_id),
                client_order_id=ref.client_order_id,
                instrument=ref.instrument,
                side=Side.BUY,
                kind=Kind.LIMIT,
                quantity=Decimal(1),
                filled=Decimal(0),
                price=Decimal(100),
                state=OrderState.CANCELED,
            )
            for ref in refs
        ]


class Answering:
    capabilities = registry.spec("oceanex").capabilities

    def __init__(self, orders: Orders) -> None:
        self.orders = orders

    async def connect(self) -> None: ...
    async def close(self) -> None: ...


@pytest.mark.parametrize("is_booked", [False, True])
def test_a_kill_says_what_is_open_in_the_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_booked: bool
) -> None:
    """Without a run that books it, and with one."""
    config, state = tmp_path / "run.toml", tmp_path / "state"
    config.write_text(CONFIG)
    state.mkdir()
    path = state / "oceanex-main.journal.sqlite"
    with closing(Journal(path, fsync=False, now_ns=time.time_ns)) as journal:
        for name in ("A", "B"):
            one = Intent(
                client_order_id=name,
                strategy="S-1",
                instrument=BTC,
                side=Side.BUY,
                kind=Kind.LIMIT,
                quantity=Decimal(1),
                price=Decimal(100),
            )
            journal.intend([one])
            journal.accepted(name, f"V{name}", instrument=BTC)
    reached = Answering(Orders(path, is_booked=is_booked))
    monkeypatch.setattr(VenueKill, "_reached", lambda _: reached)
    done = CliRunner().invoke(app, ["kill", "all", "--config", str(config)])
    gc.enable()
    assert done.exit_code == Exit.OK, done.output
    told = "oceanex: 2 orders gone, 0 left"
    more = " (2 of them open in the journal until the run, or the next start, books the end)"
    assert f"{told}{'' if is_booked else more}; first cancel" in done.output
    asked = CliRunner().invoke(app, ["kill", "all", "--json", "--config", str(config)])
    gc.enable()
    (report,) = json.loads(asked.stdout)["venues"]
    assert report["unbooked"] == (0 if is_booked else 2)
