"""What a stop closes by its word waits for what may still change the position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId

from fairlead.engine.guard.winddown import WindDown

IID = InstrumentId.from_str("BTC_USDT.SPOT")


def accepted(kind: str, tif: str) -> Any:
    """At the venue, and not over."""
    return SimpleNamespace(
        client_order_id="A",
        order_type=SimpleNamespace(name=kind),
        time_in_force=SimpleNamespace(name=tif),
        is_inflight=False,
        is_closed=False,
        is_active_local=False,
        status=SimpleNamespace(name="ACCEPTED"),
    )


class Stopping(WindDown):
    """Of a strategy that is short by 1, with one order beside that is no exit."""

    def __init__(self, order: Any, account: Decimal | None = Decimal(1)) -> None:
        self.sent: list[Any] = []
        strategy = SimpleNamespace(
            submit_order=self.sent.append,
            order_factory=SimpleNamespace(market=lambda *args, **kw: args),
        )
        core: Any = SimpleNamespace(
            id="S-1",
            strategy=strategy,
            gate=SimpleNamespace(is_stopped=lambda *_: False, exits=lambda **_: nullcontext()),
            ready=lambda: SimpleNamespace(now_ns=lambda: 0),
            can_cancel=lambda _: True,
        )
        self.account = account  # what of it the account's balance shows
        exits: Any = SimpleNamespace(
            closable=lambda *_: self.account, sendable=lambda _, most: most if most >= 1 else None
        )
        self.held = Decimal(-1)
        handover: Any = SimpleNamespace(own_position=lambda _: self.held)
        none: Any = None
        super().__init__(core, none, none, exits, handover)
        self._order = order

    def _live(self, instrument_id: InstrumentId | None = None) -> Iterator[tuple[bool, Any]]:
        yield False, self._order


@pytest.mark.parametrize(
    ("kind", "tif", "waits"),
    [
        ("MARKET", "GTC", True),
        ("LIMIT", "FOK", True),
        ("LIMIT", "IOC", True),
        ("LIMIT", "GTC", False),
        ("STOP_LIMIT", "GTC", False),
    ],
)
def test_an_order_that_never_rests_is_waited_for(kind: str, tif: str, waits: bool) -> None:
    """It is accepted, and its fill told later: the exit was sent beside it, and closed twice."""
    down = Stopping(accepted(kind, tif))
    assert not down._close(IID)
    assert bool(down.sent) is not waits


def test_what_the_account_does_not_show_yet_is_waited_for() -> None:
    """The fill came before the balance that has it: nothing was closed, and the run ended."""
    down = Stopping(accepted("LIMIT", "GTC"), account=None)
    assert not down._close(IID)
    assert not down.sent
    down.account = Decimal(1)
    assert not down._close(IID)
    assert len(down.sent) == 1
    down.account, down.held = None, Decimal("-0.1")  # dust is nothing to wait for
    assert down._close(IID)
