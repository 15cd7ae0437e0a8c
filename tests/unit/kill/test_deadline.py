"""`fairlead kill --timeout` at a venue that stops answering: over in time, all left is named."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

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
    VenueFill,
    VenueOrder,
)
from tests.unit.kill.test_command import BTC, CONFIG, Answering, Orders


async def never() -> Any:
    """As a venue that is frozen: no answer, and no end."""
    await asyncio.Event().wait()


class Frozen(Orders):
    """Cancels and looks until it is asked for `at`."""

    def __init__(self, journal: Path, at: str) -> None:
        super().__init__(journal, is_booked=False)
        self._at = at

    async def cancel(self, refs: list[OrderRef]) -> list[CancelAccepted]:
        return await (never() if self._at == "cancel" else super().cancel(refs))

    async def open_orders(self, names: object) -> list[VenueOrder]:
        return await (never() if self._at == "look" else super().open_orders(names))


class FrozenReach(Answering):
    def __init__(self, orders: Frozen, at: str) -> None:
        super().__init__(orders)
        self._at = at

    async def connect(self) -> None:
        if self._at == "connect":
            await never()

    async def close(self) -> None:
        if self._at == "close":
            await never()

    def markets(self) -> Any:
        from fairlead.engine.kill.account import Market, Markets

        one = Decimal("0.001")
        market = Market(base="BTC", quote="USDT", step=one, min_quantity=one, tick=one)
        return Markets({BTC: market}, never)  # type: ignore[arg-type]


def _journal(folder: Path) -> Path:
    """One order that rests, one whose answer was lost, and a position."""
    (folder / "run.toml").write_text(CONFIG)
    (folder / "state").mkdir()
    path = folder / "state" / "oceanex-main.journal.sqlite"
    with closing(Journal(path, fsync=False, now_ns=time.time_ns)) as journal:
        for name in ("RESTS", "HELD"):
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
        journal.fill(
            one,
            VenueFill(
                trade_id="T1",
                venue_order_id="VHELD",
                client_order_id="HELD",
                instrument=BTC,
                side=Side.BUY,
                quantity=Decimal(1),
                price=Decimal(100),
                fee=Decimal(0),
                fee_currency="USDT",
                ts_event=1,
            ),
            Decimal(0),
        )
        journal.state("HELD", OrderState.FILLED)
    return path


def _kill(
    monkeypatch: pytest.MonkeyPatch, folder: Path, at: str, *more: str
) -> tuple[int, str, dict[str, Any]]:
    path = _journal(folder)
    monkeypatch.setattr(VenueKill, "_reached", lambda _: FrozenReach(Frozen(path, at), at))
    monkeypatch.setattr("fairlead.engine.kill.command.CLOSE_SECS", 0.1)
    told = []
    for form in ((), ("--json",)):
        arguments = ["kill", "all", "--config", str(folder / "run.toml"), "--timeout", "1.5"]
        done = CliRunner().invoke(app, [*arguments, *more, *form])
        gc.enable()
        told.append(done)
    (report,) = json.loads(told[1].stdout)["venues"]
    assert told[0].exit_code == told[1].exit_code
    return told[0].exit_code, told[0].output, report


@pytest.mark.parametrize(
    ("at", "late"),
    [
        ("cancel", "the first cancels are not answered"),
        ("connect", "the venue's markets are not read"),
        ("look", "the last look was not answered in time"),
    ],
)
def test_a_venue_that_answers_nothing_more_ends_the_command_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, late: str
) -> None:
    code, output, report = _kill(monkeypatch, tmp_path, at)
    assert code == Exit.VENUE
    assert "KILL-TIMEOUT" in report["problem"]
    assert late in report["problem"]
    assert f"{BTC} VRESTS (S-1 RESTS): LEFT OPEN; nothing proves it gone" in output
    assert "oceanex: 0 orders gone, 1 left" in output


def test_what_a_flatten_had_no_time_for_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The markets are never read, so that nothing is closed."""
    code, output, _ = _kill(monkeypatch, tmp_path, "connect", "--action", "flatten")
    assert code == Exit.VENUE
    assert f"{BTC} position 1: LEFT 1 by the journal; this command did not close it" in output


def test_a_connection_that_does_not_close_is_left_to_the_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output, report = _kill(monkeypatch, tmp_path, "close", "--timeout", "3")
    assert code == Exit.OK, output
    assert not report["problem"]
    assert "oceanex: 1 orders gone, 0 left" in output
