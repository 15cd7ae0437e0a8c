"""What a held order waits for comes, whether its strategy has subscribed it or not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import InstrumentId

from fairlead.engine.guard.feeds import Feeds
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource

IID = InstrumentId.from_str("BTC_USDT.SPOT")
ABLE = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.STOP_LIMIT}),
    time_in_force=frozenset({Tif.GTC}),
    held=frozenset({Kind.LIMIT_IF_TOUCHED}),
    trigger_sources=(TriggerSource.LAST,),
)
ASKS = Capabilities(
    kinds=frozenset({Kind.LIMIT}),
    time_in_force=frozenset({Tif.FOK}),
    held=frozenset({Kind.STOP_LIMIT}),
    trigger_sources=(TriggerSource.TOUCH,),
)


class Noting(Feeds):
    """Notes the instruments whose trades it would subscribe."""

    def __init__(self, able: Capabilities) -> None:
        run = SimpleNamespace(offer=None)
        gate = SimpleNamespace(capabilities={"SPOT": able})
        core: Any = SimpleNamespace(id="S-1", run=run, gate=gate)
        stop: Any = None
        super().__init__(core, stop, "book")
        self.subscribed: list[InstrumentId] = []

    def need_trades(self, instrument_id: InstrumentId) -> None:
        self.subscribed.append(instrument_id)


@pytest.mark.parametrize(
    ("kind", "traits", "needs"),
    [
        (Kind.LIMIT_IF_TOUCHED, {}, True),
        (Kind.STOP_LIMIT, {}, False),
        (Kind.STOP_LIMIT, {"hold_passed": True}, True),
        (Kind.LIMIT, {"hold_passed": True}, False),
        (Kind.LIMIT, {"holds_limits": True}, False),  # it waits for what it trades at
    ],
)
def test_trades_come_for_all_that_may_be_held_by_them(
    kind: Kind, traits: dict[str, Any], needs: bool
) -> None:
    """The venue's own stop too, where one that is passed is held: it waited for ever."""
    feeds = Noting(msgspec.structs.replace(ABLE, **traits))
    feeds.need_held(IID, kind)
    assert feeds.subscribed == [IID] * needs


def test_what_the_book_fires_needs_no_trades() -> None:
    feeds = Noting(ASKS)
    feeds.need_held(IID, Kind.STOP_LIMIT)
    assert feeds.subscribed == []
