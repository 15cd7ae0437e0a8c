"""The adapter, connected for trading, at a simulated gateway whose clock is moved by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.base.venue import AdapterContext
from fairlead.adapters.mudawyl.config import MudawylMarket, MudawylOptions
from fairlead.adapters.mudawyl.tokens import CaptchaProvider
from fairlead.adapters.mudawyl.venue import MudawylAdapter
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.engine.orders.model import (
    Accepted,
    Intent,
    Kind,
    OrderRef,
    Outcome,
    Role,
    Side,
    VenueOrder,
)
from fairlead.engine.secrets import Secret
from tests.venues.mudawyl.simulator_kit import Desk

BTC, ETH = "BTC_USDT.MUDAWYL", "ETH_USDT.MUDAWYL"
D = Decimal
MARKETS = (
    MudawylMarket(
        symbol="BTC/USDT", price_precision=1, quantity_precision=3, min_quantity=D("0.001")
    ),
    MudawylMarket(symbol="ETH/USDT", price_precision=2, quantity_precision=3),
)


class Wire:
    """Counts what leaves, and may lose the answer of the next change."""

    def __init__(self, inner: InMemoryHttp) -> None:
        self._inner = inner
        self.sent: list[HttpRequest] = []
        self.loses = ""  # "answer" or "request", of the next POST
        self.fails_reads = False

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        lost = TransportError("HTTP-TIMEOUT", "no answer", sent=True)
        if request.method in ("POST", "DELETE") and self.loses:
            how, self.loses = self.loses, ""
            if how == "answer":
                await self._inner.request(request)
            raise lost
        if request.method == "GET" and self.fails_reads:
            raise lost
        return await self._inner.request(request)

    async def close(self) -> None: ...

    def changes(self) -> list[str]:
        return [f"{r.method} {r.url.partition('/v1')[2]}" for r in self.sent if r.method != "GET"]


class Person:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def token(self, purpose: str) -> Secret:
        return Secret(self._desk.sim.new_captcha(), "test")


class World:
    def __init__(
        self, *, venue: dict[str, Any] | None = None, has_person: bool = True, **options: Any
    ) -> None:
        self.desk = Desk(**{"requests_per_sec": 10_000, **(venue or {})})
        self.sim = self.desk.sim
        self.wire = Wire(InMemoryHttp(self.sim, lambda: self.desk.now_ns))
        fields: dict[str, Any] = {"key_id": self.desk.key, "markets": MARKETS, **options}
        person: CaptchaProvider | None = Person(self.desk) if has_person else None
        self.adapter = MudawylAdapter(
            AdapterContext(
                venue="MUDAWYL",
                options=MudawylOptions(http_url="http://x", requests_per_second=10_000, **fields),
                secrets={"token": Secret(self.sim.token, "test")},
                http=self.wire,
                now_ns=lambda: self.desk.now_ns,
                instruments=(BTC, ETH),
                reads=ReadLimits(tries_max=1),
            ),
            person,
        )
        self.orders = self.adapter.trading

    async def submit(self, *intents: Intent) -> list[Outcome]:
        return await self.orders.submit(intents)

    async def accepted(self, *intents: Intent) -> list[VenueOrder]:
        """Every intent's first state."""
        states = []
        for outcome in await self.submit(*intents):
            assert isinstance(outcome, Accepted), outcome
            assert outcome.order is not None
            states.append(outcome.order)
        return states

    def held(self) -> Decimal:
        return self.sim.holdings["BTC/USDT"].quantity

    def open(self) -> list[str]:
        return [row.type for row in self.sim.open_rows("BTC/USDT")]


async def world(**fields: Any) -> World:
    made = World(**fields)
    await made.adapter.connect(trading=True)
    made.wire.sent.clear()
    return made


def entry(number: int = 1, **fields: Any) -> Intent:
    base: dict[str, Any] = {
        "client_order_id": f"C-{number}",
        "strategy": "S-1",
        "instrument": BTC,
        "side": Side.BUY,
        "kind": Kind.MARKET,
        "quantity": D("0.05"),
        "role": Role.ENTRY,
    }
    return Intent(**(base | fields))


def target(number: int, price: str, quantity: str = "0.025", **fields: Any) -> Intent:
    base: dict[str, Any] = {
        "side": Side.SELL,
        "kind": Kind.LIMIT,
        "price": D(price),
        "quantity": D(quantity),
        "role": Role.TARGET,
        "reduce_only": True,
    }
    return entry(number, **(base | fields))


def stop(number: int, trigger: str = "59000", limit: str = "58900", **fields: Any) -> Intent:
    base: dict[str, Any] = {
        "side": Side.SELL,
        "kind": Kind.STOP_LIMIT,
        "price": D(limit),
        "trigger_price": D(trigger),
        "role": Role.STOP,
        "reduce_only": True,
    }
    return entry(number, **(base | fields))


def trailing(number: int, begin: str = "59000", offset: int = 100, **fields: Any) -> Intent:
    """An entry that follows the market from `begin` on, by `offset` basis points."""
    base: dict[str, Any] = {
        "kind": Kind.TRAILING_STOP_MARKET,
        "trigger_price": D(begin),
        "trailing_offset": D(offset),
    }
    return entry(number, **(base | fields))


def bracket() -> tuple[Intent, ...]:
    return entry(1), target(2, "60500"), target(3, "61000"), stop(4)


def leaving(quantity: str = "0.05", **fields: Any) -> Intent:
    base: dict[str, Any] = {"side": Side.SELL, "quantity": D(quantity), "role": Role.EXIT}
    return entry(9, **(base | fields))


def ref(order_id: str, instrument: str = BTC) -> OrderRef:
    return OrderRef(instrument=instrument, venue_order_id=order_id)
