from __future__ import annotations

import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.venue import AdapterContext
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.secrets import Secret
from tests.venues.poloniex.support import INSTRUMENTS, KEY, NOW_NS, SECRET, ScriptedRest


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.ns = NOW_NS

    def now(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rest(clock: Clock) -> ScriptedRest:
    return ScriptedRest(clock.now)


def make_adapter(rest: ScriptedRest, clock: Clock, **options: object) -> PoloniexAdapter:
    adapter = PoloniexAdapter(
        AdapterContext(
            venue="POLONIEX",
            options=PoloniexOptions(**options),  # type: ignore[arg-type]
            secrets={"key": Secret(KEY, "test"), "secret": Secret(SECRET, "test")},
            http=rest,
            now_ns=clock.now,
            instruments=("BTC_USDT.POLONIEX",),
            reads=ReadLimits(tries_max=1),  # what is scripted is answered once
        )
    )
    adapter._list(INSTRUMENTS)
    adapter._precisions.update({i.symbol: i.size_precision for i in INSTRUMENTS.values()})
    return adapter


@pytest.fixture
def adapter(rest: ScriptedRest, clock: Clock) -> PoloniexAdapter:
    return make_adapter(rest, clock)
