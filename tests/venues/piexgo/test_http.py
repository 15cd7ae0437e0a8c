"""Every endpoint against the simulated venue, and what broken answers prove."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.errors import ERROR_CODES
from fairlead.adapters.piexgo.http import NewOrder, PiexgoHttp
from fairlead.adapters.piexgo.signing import sign
from fairlead.adapters.piexgo.simulator import PiexgoSimulator
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.engine.secrets import Secret
from tests.venues.piexgo.simulator_kit import MS, T0, Desk
from tests.venues.piexgo.test_payloads import SAMPLES

KEY = {"key": Secret("the-key", "test"), "secret": Secret("the-secret", "test")}
BUY = NewOrder(symbol="BTC_USDT", side="BUY", type="LIMIT", quantity="0.5", price="50000")


class World:
    """A client of a simulated venue whose clock stands still."""

    def __init__(self, **options: Any) -> None:
        self.desk = Desk(**options)
        self.sim: PiexgoSimulator = self.desk.sim
        secrets = {"key": Secret(self.desk.key, "test"), "secret": Secret(self.desk.secret, "test")}
        transport = InMemoryHttp(self.sim, lambda: self.desk.now_ns)
        self.http = PiexgoHttp(PiexgoOptions(http_url="http://x"), transport, secrets, lambda: T0)
        self.desk.print("60000")


@pytest.fixture
def world() -> World:
    return World()


async def order(world: World) -> str:
    return (await world.http.create_order(BUY)).order_id


async def server_time(world: World) -> None:
    assert (await world.http.server_time()).server_time == T0 // MS


async def symbols(world: World) -> None:
    rows = await world.http.symbols()
    assert rows[0] == s.Symbol("BTC_USDT", Decimal("0.0005"), Decimal("0.0015"), 4, 2)


async def order_book(world: World) -> None:
    book = await world.http.order_book("BTC_USDT")
    assert book.bids[0].price < book.asks[0].price
    assert book.ts == T0 // 10**9


async def trades(world: World) -> None:
    (deal,) = await world.http.trades("BTC_USDT")
    assert (deal.direct, deal.price, deal.vol) == (1, 60000, Decimal("0.1"))


async def tickers(world: World) -> None:
    rows = await world.http.tickers()
    assert {row.symbol for row in rows} == set(world.sim.markets)


async def ticker(world: World) -> None:
    assert (await world.http.ticker("BTC_USDT")).last_price == 60000


async def symbols_v2(world: World) -> None:
    assert await world.http.symbols_v2() == list(world.sim.markets)


async def assets_v2(world: World) -> None:
    assert {row.market for row in await world.http.assets_v2()} == {"BTC", "ETH", "EOS", "USDT"}


async def order_books_v2(world: World) -> None:
    books = await world.http.order_books_v2()
    assert set(books) == set(world.sim.markets)
    (book,) = (await world.http.order_books_v2("BTC_USDT", 5)).values()
    assert (len(book.asks), book.timestamp) == (5, T0 // MS)


async def trades_v2(world: World) -> None:
    assert [deal.price for deal in await world.http.trades_v2("BTC_USDT")] == [60000]


async def volumes_v2(world: World) -> None:
    assert (await world.http.volumes_v2())["BTC_USDT"]["BTC"] > 0


async def tickers_v2(world: World) -> None:
    assert (await world.http.tickers_v2())["BTC_USDT"].last_price == 60000
    assert set(await world.http.tickers_v2("ETH_BTC")) == {"ETH_BTC"}


async def create_order(world: World) -> None:
    created = await world.http.create_order(BUY)
    (found,) = world.sim.exchange.orders("main")
    assert created.order_id == str(found.id)
    stop = NewOrder(
        symbol="BTC_USDT", side="SELL", type="STOP_LIMIT", quantity="0.5", price="50000",
        stop_price="55000",
    )  # fmt: skip
    await world.http.create_order(stop)
    assert world.sim.exchange.orders("main")[1].trigger_price == 55000
    market = NewOrder(symbol="BTC_USDT", side="SELL", type="MARKET", quantity="0.5")
    await world.http.create_order(market)
    assert world.sim.exchange.orders("main")[2].is_market


async def cancel_order(world: World) -> None:
    await world.http.cancel_order("BTC_USDT", await order(world))
    assert world.sim.exchange.open_orders("main") == []


async def cancel_orders(world: World) -> None:
    ids = [await order(world), await order(world)]
    await world.http.cancel_orders("BTC_USDT", ids)
    assert world.sim.exchange.open_orders("main") == []


async def order_info(world: World) -> None:
    order_id = await order(world)
    found = await world.http.order_info("BTC_USDT", order_id)
    assert (found.order_id, found.status, found.volume) == (order_id, 0, Decimal("0.5"))


async def open_orders(world: World) -> None:
    order_id = await order(world)
    page = await world.http.open_orders()
    assert ([row.order_id for row in page.orders], page.next_page) == ([order_id], False)
    assert (await world.http.open_orders(1)).orders == []


async def trade_order_history(world: World) -> None:
    order_id = await order(world)
    world.desk.print("49000", "9")
    assert [row.order_id for row in (await world.http.trade_order_history()).orders] == [order_id]


async def canceled_order_history(world: World) -> None:
    order_id = await order(world)
    await world.http.cancel_order("BTC_USDT", order_id)
    (row,) = (await world.http.canceled_order_history()).orders
    assert (row.order_id, row.status) == (order_id, 4)


async def order_history(world: World) -> None:
    order_id = await order(world)
    await world.http.cancel_order("BTC_USDT", order_id)
    assert [row.order_id for row in (await world.http.order_history("BTC_USDT")).orders] == [
        order_id
    ]
    assert (await world.http.order_history("ETH_USDT")).orders == []


async def account(world: World) -> None:
    await order(world)
    rows = {row.market: row for row in (await world.http.account()).data}
    assert (rows["USDT"].balance, rows["USDT"].locked) == (75_000, 25_000)


CASES: dict[str, Callable[[World], Awaitable[None]]] = {
    case.__name__: case
    for case in (
        *(server_time, symbols, order_book, trades, tickers, ticker, symbols_v2, assets_v2),
        *(order_books_v2, trades_v2, volumes_v2, tickers_v2, create_order, cancel_order),
        *(cancel_orders, order_info, open_orders, trade_order_history, canceled_order_history),
        *(order_history, account),
    )
}


def test_every_endpoint_has_a_case() -> None:
    own = {name for name, _ in inspect.getmembers(PiexgoHttp, inspect.iscoroutinefunction)}
    assert {name for name in own if not name.startswith("_")} - {"admit"} == set(CASES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("demands_time", [False, True])
async def test_an_endpoint(name: str, demands_time: bool) -> None:
    await CASES[name](World(demands_time=demands_time))


# -- what an answer proves -------------------------------------------------------------------------


class Script:
    """An `HttpTransport` with one answer; the venue's time is always told."""

    def __init__(self, body: bytes | TransportError, status: int = 200) -> None:
        self.requests: list[HttpRequest] = []
        self._body = body
        self._status = status

    async def request(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/api/v1/time"):
            return HttpResponse(status=200, body=b'{"server_time":%d}' % (T0 // MS))
        self.requests.append(request)
        if isinstance(self._body, TransportError):
            raise self._body
        return HttpResponse(status=self._status, body=self._body)

    async def close(self) -> None: ...


def client(script: Script, secrets: dict[str, Secret] = KEY, **options: Any) -> PiexgoHttp:
    once = ReadLimits(tries_max=1)  # what is scripted is answered once
    made = PiexgoOptions(http_url="http://x", **options)
    return PiexgoHttp(made, script, secrets, lambda: T0, once)


async def refusal(script: Script, ask: Callable[[PiexgoHttp], Awaitable[object]]) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await ask(client(script))
    assert len(script.requests) == 1
    return caught.value


async def test_a_signed_request_is_signed_as_it_is_sent() -> None:
    script = Script((SAMPLES / "extra_public" / "rest_order_new_response.json").read_bytes())
    created = await client(script, recv_window_ms=3000).create_order(BUY)
    assert created.order_id == "1234567890"
    (request,) = script.requests
    assert (request.method, request.url) == ("POST", "http://x/api/v1/order")
    sent = dict(parse_qsl(request.body.decode()))
    assert sent == {
        "symbol": "BTC_USDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.5",
        "price": "50000",
        "recv_window": "3000",
        "timestamp": str(T0 // MS),
    }
    assert request.headers["signature"] == sign(KEY["secret"], sent)
    assert request.headers["KEY"] == "the-key"
    assert "the-secret" not in str(request)


async def test_the_account_is_asked_without_parameters() -> None:
    script = Script((SAMPLES / "extra_public" / "rest_account.json").read_bytes())
    await client(script).account()
    assert script.requests[0].body == b""
    assert script.requests[0].headers["signature"] == sign(KEY["secret"], {})


@pytest.mark.parametrize("code", ERROR_CODES)
@pytest.mark.parametrize("status", [200, 400])
async def test_every_code_of_a_create(code: int, status: int) -> None:
    body = json.dumps({"err_code": -code, "msg": "why"}).encode()
    error = await refusal(Script(body, status), lambda http: http.create_order(BUY))
    assert (error.kind, error.code, error.message) == (
        ERROR_CODES[code].kind,
        f"PIEXGO-{code}",
        "why",
    )


async def test_a_clock_that_is_refused_is_measured_again() -> None:
    body = b'{"err_code":10440,"msg":"timestamp expired"}'
    http = client(Script(body))
    with pytest.raises(VenueError) as caught:
        await http.account()
    assert caught.value.kind is VenueErrorKind.CLOCK
    assert http.clock.offset is None


@pytest.mark.parametrize(
    ("body", "status", "kind", "code"),
    [
        (b"<html>", 502, VenueErrorKind.UNKNOWN, "PIEXGO-HTTP-502"),
        (b"<html>", 200, VenueErrorKind.UNKNOWN, "PIEXGO-NOT-JSON"),
        (b"", 200, VenueErrorKind.UNKNOWN, "PIEXGO-NOT-JSON"),
        (b"slow down", 429, VenueErrorKind.RATE_LIMITED, "PIEXGO-HTTP-429"),
        (b'{"err_code":0}', 500, VenueErrorKind.UNKNOWN, "PIEXGO-HTTP-500"),
        (b'{"err_code":0,"msg":"ok"}', 200, VenueErrorKind.UNKNOWN, "PIEXGO-BAD-ANSWER"),
        (b"{}", 200, VenueErrorKind.UNKNOWN, "PIEXGO-BAD-ANSWER"),
        (b'{"err_code":0,"order_id":""}', 200, VenueErrorKind.UNKNOWN, "PIEXGO-BAD-ANSWER"),
        (b'{"err_code":12345,"msg":"new"}', 200, VenueErrorKind.UNKNOWN, "PIEXGO-12345"),
    ],
)
async def test_what_is_no_answer_of_the_document_proves_nothing(
    body: bytes, status: int, kind: VenueErrorKind, code: str
) -> None:
    error = await refusal(Script(body, status), lambda http: http.create_order(BUY))
    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize(("sent", "kind"), [(True, "UNKNOWN"), (False, "REFUSED")])
async def test_what_was_not_sent_did_not_happen(sent: bool, kind: str) -> None:
    script = Script(TransportError("HTTP-RESET", "broken", sent=sent))
    error = await refusal(script, lambda http: http.create_order(BUY))
    assert (error.kind, error.code, error.is_sent) == (kind, "PIEXGO-HTTP-RESET", sent)


async def test_v2_gives_no_reasons() -> None:
    for ask in (lambda h: h.trades_v2("X"), lambda h: h.tickers_v2("X"), lambda h: h.symbols_v2()):
        error = await refusal(Script(b" {} "), ask)
        assert (error.kind, error.code) == (VenueErrorKind.UNKNOWN, "PIEXGO-EMPTY")
    error = await refusal(Script(b"<html>", 503), lambda http: http.symbols_v2())
    assert error.code == "PIEXGO-HTTP-503"


async def test_a_time_in_another_unit_is_no_time() -> None:
    class Seconds(Script):
        async def request(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(status=200, body=b'{"server_time":%d}' % (T0 // 10**9))

    with pytest.raises(VenueError, match="milliseconds"):
        await client(Seconds(b"")).clock.measure()


async def test_without_a_key_nothing_is_sent() -> None:
    script = Script(b"")
    with pytest.raises(VenueError) as caught:
        await client(script, {}).account()
    assert (caught.value.kind, caught.value.code) == (VenueErrorKind.AUTH, "PIEXGO-NO-KEY")
    assert script.requests == []
