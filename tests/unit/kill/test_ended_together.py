"""A venue that cancels no single order: what ends all of an instrument closes its position too."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.adapters import registry
from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.kill.command import VenueKill
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.lock import FlattenLock
from fairlead.engine.orders.model import (
    CancelRefused,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Side,
    VenueFill,
    VenueOrder,
)
from tests.unit.kill.test_command import BTC, CONFIG, Answering, Orders

ONE = Decimal(1)


class Gateway(Orders):
    """It has one stop, which `flatten` ends, with whatever is held there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, is_booked=False)
        self.ended: list[str] = []

    async def cancel(self, refs: Sequence[OrderRef]) -> Any:
        return [CancelRefused("NO-CANCEL", "none")] * len(refs)

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        return [self._stop()] if refs else []

    async def open_orders(self, _: object) -> list[VenueOrder]:
        return [] if self.ended else [self._stop()]

    async def flatten(self, instrument: str) -> None:
        self.ended.append(instrument)

    def _stop(self) -> VenueOrder:
        return VenueOrder(
            venue_order_id="VSTOP",
            client_order_id="STOP",
            instrument=BTC,
            side=Side.SELL,
            kind=Kind.STOP_MARKET,
            quantity=ONE,
            filled=Decimal(0),
            trigger_price=Decimal(90),
            state=OrderState.CANCELED if self.ended else OrderState.WAITING,
        )


def intent(name: str, **fields: Any) -> Intent:
    return Intent(client_order_id=name, strategy="S-1", instrument=BTC, quantity=ONE, **fields)


def kill(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, held: bool, flattens_elsewhere: bool
) -> tuple[Gateway, Any]:
    """Of an account with a stop, and what it protects."""
    (folder / "run.toml").write_text(CONFIG)
    (folder / "state").mkdir()
    files = AccountFiles(folder / "state", "oceanex-main")
    with closing(Journal(files.journal, fsync=False, now_ns=time.time_ns)) as journal:
        if held:
            entry = intent("HELD", side=Side.BUY, kind=Kind.LIMIT, price=Decimal(100))
            journal.intend([entry])
            journal.accepted("HELD", "VHELD", instrument=BTC)
            fill = VenueFill(
                trade_id="T1",
                venue_order_id="VHELD",
                client_order_id="HELD",
                instrument=BTC,
                side=Side.BUY,
                quantity=ONE,
                price=Decimal(100),
                fee=Decimal(0),
                fee_currency="USDT",
                ts_event=1,
            )
            journal.fill(entry, fill, Decimal(0))
            journal.state("HELD", OrderState.FILLED)
        stop = intent("STOP", side=Side.SELL, kind=Kind.STOP_MARKET, trigger_price=Decimal(90))
        journal.intend([stop])
        journal.accepted("STOP", "VSTOP", instrument=BTC)
    gateway = Gateway(files.journal)
    able = msgspec.structs.replace(registry.spec("oceanex").capabilities, cancels=False)
    reached = Answering(gateway)
    reached.capabilities = able
    monkeypatch.setattr(VenueKill, "_reached", lambda _: reached)
    monkeypatch.setattr("fairlead.engine.kill.flatten.LOCK_SECS", 0.5)
    lock = FlattenLock(files.flatten_lock)
    if flattens_elsewhere:
        assert lock.take()
    try:
        arguments = ["kill", "all", "--action", "flatten", "--timeout", "4"]
        done = CliRunner().invoke(app, [*arguments, "--config", str(folder / "run.toml")])
        gc.enable()
    finally:
        lock.free()
    return gateway, done


def test_what_another_process_closes_is_not_closed_past_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run, say, that asks a person for a captcha: its own close would be refused then."""
    gateway, done = kill(tmp_path, monkeypatch, held=True, flattens_elsewhere=True)
    assert gateway.ended == []
    assert done.exit_code == Exit.UNRESOLVED
    assert "KILL-FLATTEN: another process" in done.output
    assert f"{BTC}: its orders stay, as what is held there does" in done.output
    assert f"{BTC} position 1: LEFT 1" in done.output


def test_orders_beside_no_position_are_ended_in_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, done = kill(tmp_path, monkeypatch, held=False, flattens_elsewhere=False)
    assert gateway.ended == [BTC]
    assert done.exit_code == Exit.OK, done.output
