"""A desk that holds orders, over a scripted venue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Capabilities,
    Intent,
    Kind,
    OrderState,
    Side,
    Tif,
    TriggerCondition,
    TriggerSource,
)
from fairlead.engine.orders.trigger import condition_of
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent

STOPS = (Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED, Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED)
ABLE = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
    time_in_force=frozenset({Tif.FOK}),
    held=frozenset(STOPS),
    trigger_sources=(TriggerSource.TOUCH, TriggerSource.LAST, TriggerSource.MID),
    client_order_ids=True,
)


class HeldBench(Bench):
    """A desk that holds; `gate` is what its gate answers at a release."""

    def __init__(self, path: Path, settings: HeldSettings, **traits: Any) -> None:
        self.settings = settings
        self.able = msgspec.structs.replace(ABLE, **traits)
        self.asked: list[Intent] = []
        self.halts: list[str] = []
        self.gate: Callable[[Intent], Any] = lambda sent: approved(sent)[0]
        super().__init__(path)

    def make_desk(self, journal: Journal) -> OrderDesk:
        desk = OrderDesk(
            venue=self.venue,
            journal=journal,
            sink=self.sink,
            capabilities=self.able,
            settings=self.desk_settings,
            base_currency=lambda _: "BTC",
            now_ns=self.loop_ns,
            killed=lambda one: self.killed(one),
            held=self.settings,
        )
        desk.held.regate = self._regate
        desk.held.on_asked = lambda instrument, why: self.halts.append(why)
        return desk

    @property
    def desk_settings(self) -> Any:
        from fairlead.engine.orders.live import DeskSettings

        return DeskSettings()

    def loop_ns(self) -> int:
        return self.loop.now_ns()

    def _regate(self, held: Intent, sent: Intent) -> Any:
        self.asked.append(sent)
        return self.gate(sent)

    async def at(self, bid: str, ask: str, *, age_ns: int = 0) -> None:
        """The book is this, received so long ago; until what it fires has been sent."""
        ts = self.loop_ns() - age_ns
        levels = [((Decimal(one), Decimal(9)),) for one in (bid, ask)]
        self.desk.held.book(INSTRUMENT, levels[0], levels[1], ts, ts)
        await asyncio.sleep(0.01)

    def state(self, cid: str = "A") -> OrderState:
        order = self.desk.journal.order(cid)
        assert order is not None
        return order.state

    def kinds(self, cid: str = "A") -> list[str]:
        return [kind for _, _, kind, _ in self.desk.journal.story(cid)]


def benches(tmp_path: Path) -> Iterator[Callable[..., HeldBench]]:
    """Makes them, and closes their journals; for a fixture."""
    made: list[HeldBench] = []

    def build(settings: HeldSettings | None = None, **traits: Any) -> HeldBench:
        path = tmp_path / f"journal-{len(made)}.sqlite"
        made.append(HeldBench(path, settings or HeldSettings(), **traits))
        return made[-1]

    yield build
    for one in made:
        assert one.journal is not None
        one.journal.close()


def stop(kind: Kind = Kind.STOP_LIMIT, side: Side = Side.SELL, **changes: Any) -> Intent:
    """Waits at 100; a limit 1 beyond it."""
    limit = {Side.BUY: Decimal(101), Side.SELL: Decimal(99)}[side]
    has_limit = kind in (Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED)
    return intent(
        side=side,
        kind=kind,
        price=limit if has_limit else None,
        trigger_price=Decimal(100),
        trigger_condition=condition_of(kind, side),
        **changes,
    )


def far_and_met(one: Intent) -> tuple[tuple[str, str], tuple[str, str]]:
    """A book on the far side of 100, and one at it, by the price that the order takes."""
    low, high = ("98", "98.5"), ("101.5", "102")
    below = ("99.8", "99.9") if one.side is Side.BUY else ("99.9", "100.1")
    above = ("99.9", "100.1") if one.side is Side.BUY else ("100.1", "100.2")
    if one.trigger_condition is TriggerCondition.GTE:
        return low, above
    return high, below
