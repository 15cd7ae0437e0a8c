"""The fills that a desk books are the venue's, whatever order their tellings come in.

Answers, pushes and polls of one session are told twice, late, in another order, or lost; pages that
are a little old come again. Then the wire is calm, and the ledger is the judge.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters import registry
from fairlead.adapters.base.account import PrivateItems
from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.base.venue import AdapterContext, OrderPush
from fairlead.adapters.piexgo.simulator import PiexgoSimOptions, PiexgoSimulator
from fairlead.adapters.simulation.memory import InMemoryHttp, InMemoryWs, tick
from fairlead.adapters.simulation.virtual_time import START_NS, VirtualLoop, run_virtual
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Intent, Kind, Side, Tif
from fairlead.engine.secrets import Secret
from fairlead.engine.sessions.scene import options_of
from fairlead.engine.status import StreamStatus
from tests.support.approving import approved
from tests.unit.orders.conftest import Sink

STALE_SECS = 2.0  # how old a page may be: less than a venue may lag by
CALM_SECS = 900.0  # virtual, for all to be proven
FEW = settings(max_examples=25, deadline=None)


class Fate(NamedTuple):
    """Of one answer, or push: when it comes, how often, or that it never does."""

    late_secs: float
    copies: int
    is_lost: bool
    is_old: bool


FATES = st.lists(
    st.builds(
        Fate,
        st.sampled_from([0.0, 0.0, 0.05, 0.4, 1.5]),
        st.sampled_from([1, 1, 2, 3]),
        st.sampled_from([False, False, False, True]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


class Act(NamedTuple):
    """An order, and how much of it others take at once; or a cancel of the last."""

    side: Side
    is_market: bool
    tenths: int
    taken: int
    cancels: bool
    pause_secs: float


ACTS = st.lists(
    st.builds(
        Act,
        st.sampled_from(list(Side)),
        st.booleans(),
        st.integers(1, 9),
        st.integers(0, 9),
        st.booleans(),
        st.sampled_from([0.0, 0.1, 1.0]),
    ),
    min_size=1,
    max_size=5,
)


class Wire:
    """An `HttpTransport` whose answers meet their fates, until it is calm."""

    def __init__(self, inner: InMemoryHttp, fates: list[Fate], loop: VirtualLoop) -> None:
        self._inner, self._fates, self._loop = inner, cycle(fates), loop
        self._last: dict[tuple[str, str], tuple[float, HttpResponse]] = {}
        self.is_calm = True

    async def request(self, request: HttpRequest) -> HttpResponse:
        answer = await self._inner.request(request)
        if self.is_calm:
            return answer
        fate, key = next(self._fates), (request.method, request.url.partition("?")[0])
        at, older = self._last.get(key, (-STALE_SECS, answer))
        self._last[key] = (self._loop.time(), answer)
        await asyncio.sleep(fate.late_secs)
        if fate.is_lost:
            raise TransportError("HTTP-RESET", "lost", sent=True)
        is_page = any(word in key[1] for word in PAGES)
        is_fresh = self._loop.time() - at < STALE_SECS
        return older if fate.is_old and is_page and is_fresh else answer

    async def close(self) -> None: ...


PAGES = ("fetch_orders", "openOrders", "OrderHistory")


class Pushes:
    """What is pushed comes by its fate; the rest of the stream as it is."""

    def __init__(self, tell: PrivateItems, fates: list[Fate], loop: VirtualLoop) -> None:
        self._tell, self._fates, self._loop = tell, cycle(fates), loop
        self.is_calm = True

    def __call__(self, item: Any) -> None:
        if self.is_calm or not isinstance(item, OrderPush):
            self._tell(item)
            return
        fate = next(self._fates)
        for copy in range(0 if fate.is_lost else fate.copies):
            self._loop.call_later(fate.late_secs * (1 + copy), self._tell, item)


class Venue(NamedTuple):
    key: str
    make: Callable[[], Any]
    instrument: str
    market: str
    size: Decimal
    options: dict[str, Any]


def dealer(dialect: str) -> Venue:
    sim = ZerocapSimOptions(is_market_live=False)
    more: dict[str, Any] = {"dialect": dialect}
    if dialect == "C":
        more |= {"markets": [], "balances": {}}
    return Venue(
        key="zerocap",
        make=lambda: ZerocapSimulator(sim, now_ns=START_NS, seed=3),
        instrument="USDT_AUD.ZEROCAP",
        market="USDT/AUD",
        size=Decimal(10),
        options=more,
    )


VENUES = {
    "piexgo": Venue(
        key="piexgo",
        make=lambda: PiexgoSimulator(
            PiexgoSimOptions(is_market_live=False, settle_ms=0), now_ns=START_NS, seed=3
        ),
        instrument="BTC_USDT.PIEXGO",
        market="BTC_USDT",
        size=Decimal("0.01"),
        options={},
    ),
    "zerocap/A": dealer("A"),
    "zerocap/C": dealer("C"),
}


class Session:
    """A desk on the adapter, in virtual time."""

    def __init__(self, at: Venue, loop: VirtualLoop, path: Path, fates: list[Fate]) -> None:
        self.at, self.loop, self.sim, self.sink = at, loop, at.make(), Sink()
        facts: Any = self.sim.describe("http://venue", "ws://venue")
        spec = registry.spec(at.key)
        where = {"http_url": facts["rest"], "ws_url": facts["ws"]}
        self.wire = Wire(InMemoryHttp(self.sim, loop.now_ns, latency_secs=0.005), fates, loop)
        self.adapter = spec.create(
            AdapterContext(
                venue=at.key.upper(),
                options=options_of(spec, where | facts.get("options", {}) | at.options),
                secrets={name: Secret(text, "test") for name, text in facts["credentials"].items()},
                http=self.wire,
                now_ns=loop.now_ns,
                instruments=(at.instrument,),
            )
        )
        self.journal = Journal(path, fsync=False, now_ns=loop.now_ns)
        base = at.instrument.partition("_")[0]
        self.desk = OrderDesk(
            venue=self.adapter.orders,
            journal=self.journal,
            sink=self.sink,
            capabilities=spec.capabilities,
            settings=DeskSettings(poll_secs=0.5, settle_timeout_secs=CALM_SECS),
            base_currency=lambda _: base,
            now_ns=loop.now_ns,
        )
        tell = PrivateItems(self.desk, on_fault=lambda _: None, on_error=self.desk.fail)
        self.pushes = Pushes(tell, fates[::-1], loop)
        protocol = self.adapter.private_stream()
        assert protocol is not None
        self.stream = StreamSupervisor(
            status=StreamStatus(name="private"),
            protocol=protocol,
            transport=InMemoryWs(self.sim, loop.now_ns, latency_secs=0.005),
            on_item=self.pushes,
            on_fatal=lambda code, message: self.desk.fail(RuntimeError(f"{code} {message}")),
            now_ns=loop.now_ns,
            rng=random.Random(1),
        )

    async def play(self, acts: list[Act]) -> None:
        ticking = asyncio.ensure_future(tick(self.sim, self.loop.now_ns))
        await self.adapter.connect(trading=True)
        self.stream.start()
        self.desk.start()
        await asyncio.sleep(1)
        self.wire.is_calm = self.pushes.is_calm = False
        sending = [asyncio.ensure_future(self._act(n, act)) for n, act in enumerate(acts)]
        await asyncio.gather(*sending)
        await asyncio.sleep(2)
        self.wire.is_calm = self.pushes.is_calm = True
        assert await self.desk.stop(cancel_open=True) == []
        assert self.desk.failure is None
        await self.stream.stop()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)

    async def _act(self, number: int, act: Act) -> None:
        await asyncio.sleep(number * act.pause_secs)
        cid = f"{number:08d}-0000-4000-8000-000000000000"
        await self.desk.submit(approved(self._intent(cid, number, act)))
        if self.at.key == "piexgo" and act.taken and not act.is_market:
            against = Side.SELL if act.side is Side.BUY else Side.BUY
            price = self._price(act) * (
                Decimal("0.999") if against is Side.SELL else Decimal("1.001")
            )
            quantity = self.at.size * act.taken / 10
            self.sim.exchange.print_trade(
                self.at.market, price, quantity, against, self.loop.now_ns()
            )
        if act.cancels:
            await self.desk.cancel([cid])

    def _price(self, act: Act) -> Decimal:
        """A limit that crosses at a dealer's by half of them; elsewhere it rests."""
        book = self.sim.exchange.markets[self.at.market].book
        middle = (book.bids.best().price + book.asks.best().price) / 2
        part = Decimal("0.01") if self.at.key == "piexgo" or act.cancels else Decimal("-0.01")
        sign = -1 if act.side is Side.BUY else 1
        return (middle * (1 + sign * part)).quantize(Decimal("0.0001"))

    def _intent(self, cid: str, number: int, act: Act) -> Intent:
        is_dealer = self.at.key == "zerocap"
        price = self._price(act)
        return Intent(
            client_order_id=cid,
            strategy="S-1",
            instrument=self.at.instrument,
            side=act.side,
            kind=Kind.MARKET if act.is_market else Kind.LIMIT,
            # No two are alike: a venue without our ids tells orders by their fields.
            quantity=self.at.size * act.tenths / 10 + self.at.size * number,
            price=None
            if act.is_market
            else price
            if is_dealer
            else price.quantize(Decimal("0.01")),
            time_in_force=Tif.FOK if is_dealer else Tif.GTC,
        )


def booked(journal: Journal, sim: Any) -> dict[int, tuple[Decimal, Decimal]]:
    """Quantity and value of the fills, by the ledger's number of their order."""
    found: defaultdict[int, tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for (cid,) in journal._db.execute("SELECT DISTINCT client_order_id FROM orders"):
        for fill in journal.fills_of(cid):
            number = sim.ledger_id(fill.venue_order_id)
            quantity, value = found[number]
            found[number] = quantity + fill.quantity, value + fill.quantity * fill.price
    return dict(found)


@pytest.mark.parametrize("name", VENUES)
@FEW
@given(acts=ACTS, fates=FATES)
def test_the_sum_of_the_fills_is_the_ledger_s(
    name: str, acts: list[Act], fates: list[Fate]
) -> None:
    loop = VirtualLoop()
    with tempfile.TemporaryDirectory() as folder:

        async def main() -> Session:
            session = Session(VENUES[name], loop, Path(folder) / "journal.sqlite", fates)
            await session.play(acts)
            return session

        session = run_virtual(main(), loop)
        told = booked(session.journal, session.sim)
        true = {
            order.id: (order.executed, order.funds)
            for order in session.sim.exchange.orders("main")
            if order.executed
        }
        session.journal.close()
    assert told.keys() == true.keys()
    for number, (quantity, value) in true.items():
        assert told[number][0] == quantity
        assert abs(told[number][1] - value) <= Decimal("1e-9") * max(value, Decimal(1))
