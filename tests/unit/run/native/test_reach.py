"""A kill beside a run at a venue of NautilusTrader's own: who cancels, and who must not log in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import (
    CancelAccepted,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Side,
    VenueUnavailable,
)
from fairlead.engine.run.native import reach

NAME = "BTCUSDT.BINANCE"
MINE = OrderRef(instrument=NAME, client_order_id="MINE", venue_order_id="VMINE")
NODE = "the venue is asked by another client"


@pytest.fixture
def files(tmp_path: Path) -> AccountFiles:
    """Of an account where two strategies have an open order each."""
    files = AccountFiles(tmp_path, "binance-main")
    with closing(Journal(files.journal, fsync=False, now_ns=time.time_ns)) as journal:
        for name, strategy in (("MINE", "S-1"), ("OTHERS", "S-2")):
            one = Intent(
                client_order_id=name,
                strategy=strategy,
                instrument=NAME,
                side=Side.BUY,
                kind=Kind.LIMIT,
                quantity=Decimal(1),
                price=Decimal(100),
            )
            journal.intend([one])
            journal.accepted(name, f"V{name}", instrument=NAME)
    return files


@pytest.fixture
def orders(files: AccountFiles, monkeypatch: pytest.MonkeyPatch) -> reach.NativeOrders:
    @asynccontextmanager
    async def session(*_: Any, **__: Any) -> AsyncIterator[None]:
        raise VenueError(VenueErrorKind.UNKNOWN, "NODE", NODE)
        yield

    monkeypatch.setattr(reach, "session", session)
    monkeypatch.setattr(reach, "RUN_SECS", 0.3)
    return reach.NativeOrders(None, None, [NAME], files)  # type: ignore[arg-type]


def ended(files: AccountFiles, name: str) -> None:
    with closing(Journal(files.journal, fsync=False, now_ns=time.time_ns)) as journal:
        journal.state(name, OrderState.CANCELED)


def test_another_strategys_open_order_is_no_sign_of_a_run_that_hangs(
    files: AccountFiles, orders: reach.NativeOrders
) -> None:
    """A second client beside a run that lives would take its private stream away."""
    ended(files, "MINE")

    async def kill() -> None:
        assert [type(one) for one in await orders.cancel([MINE])] == [CancelAccepted]
        (listed,) = await orders.open_orders([NAME])
        assert listed.client_order_id == "OTHERS"
        assert [one.state for one in await orders.orders([MINE])] == [OrderState.CANCELED]

    with AccountLock(files.lock):  # the run's
        asyncio.run(kill())


def test_a_run_that_does_not_end_what_is_killed_hangs(
    files: AccountFiles, orders: reach.NativeOrders
) -> None:
    with AccountLock(files.lock), pytest.raises(VenueUnavailable, match=NODE):
        asyncio.run(orders.cancel([MINE]))


def test_where_no_run_has_the_account_a_client_of_its_own_asks(
    orders: reach.NativeOrders,
) -> None:
    with pytest.raises(VenueUnavailable, match=NODE):
        asyncio.run(orders.open_orders([NAME]))
