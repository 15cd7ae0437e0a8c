"""What the documents of Zerocap and PiexGo list, one by one: a typed function, an answer, a test.

Each endpoint is asked by its function, of a transport that answers with the document's sample, or,
where it prints none, with what its table describes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse
from fairlead.adapters.piexgo import http as piexgo
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.zerocap import http as zerocap
from fairlead.adapters.zerocap.config import ZerocapOptions
from fairlead.adapters.zerocap.signing import Signer
from fairlead.engine.secrets import Secret

HERE = Path(__file__).parent
SHARED = Path(__file__).parents[3] / "shared" / "venues"
NOW_NS = 1_700_000_000_000_000_000
ONCE = ReadLimits(tries_max=1)
D = Decimal


class Endpoint(NamedTuple):
    """`answer` is a sample's name, or the bytes of one that the document only describes."""

    method: str
    path: str
    ask: Callable[[Any], Awaitable[object]]
    answer: str | bytes
    dialect: Any = ""


NEW = zerocap.NewOrder(
    symbol="USDT/AUD", side="buy", type="limit", amount="1", price="2", client_order_id="c"
)
FIRM = (
    b'{"rfq_id":"r","quote_id":"q","client_order_id":"","side":"buy","symbol":"USDT/AUD",'
    b'"currency":"USDT","base_amount":100.0,"quote_amount":148.82,"price":1.4882,'
    b'"created":"2024-01-15T02:49:17Z","expires_at":1705286960000}'
)
WALLETS = b'{"external_wallets":[{"external_wallet_id":"w","asset_id":"AUD","name":"n"}]}'
MOVED = b'{"transfer":{"status":"PENDING","transaction_id":"t","message":""}}'
ZEROCAP = [
    Endpoint(
        *("POST", "/orders/api_key_signature_valid", lambda http: http.verify_key()),
        *("zc_A_rest_signature_valid_response", "A"),
    ),
    Endpoint(
        *("POST", "/orders/create_order", lambda http: http.create_order(NEW)),
        *("zc_A_rest_create_order_response", "A"),
    ),
    Endpoint(
        *("POST", "/orders/fetch_order", lambda http: http.fetch_order("i")),
        *("zc_A_rest_fetch_order_response_rejected", "A"),
    ),
    Endpoint(
        *("POST", "/orders/fetch_orders", lambda http: http.fetch_orders()),
        *("zc_A_rest_fetch_orders_response", "A"),
    ),
    Endpoint(
        *("POST", "/orders/create_order", lambda http: http.create_order(NEW)),
        *("zc_C_rest_create_order_response", "C"),
    ),
    Endpoint(
        *("GET", "/orders/fetch_order", lambda http: http.fetch_order("i")),
        *("zc_C_rest_fetch_order_response", "C"),
    ),
    Endpoint(
        *("POST", "/orders/fetch_orders", lambda http: http.fetch_orders()),
        *("zc_C_rest_fetch_orders_response", "C"),
    ),
    Endpoint(
        *("GET", "/orders/get_instruments", lambda http: http.instruments()),
        *("zc_C_rest_instruments_response", "C"),
    ),
    Endpoint(
        *("GET", "/orders/get_balances", lambda http: http.balances()),
        *("zc_C_rest_balances_response", "C"),
    ),
    Endpoint(
        *("POST", "/orders/request_for_quote"),
        lambda http: http.request_for_quote("USDT/AUD", "buy", D(100)),
        *("zc_C_rest_rfq_response", "C"),
    ),
    Endpoint(
        *("POST", "/orders/request_for_firm_quote"),
        lambda http: http.request_for_firm_quote("USDT/AUD", "buy", D(100)),
        *(FIRM, "C"),
    ),
    Endpoint(
        *("POST", "/orders/accept_quote", lambda http: http.accept_quote("q")),
        *("zc_C_rest_create_order_response", "C"),
    ),
    Endpoint(
        *("GET", "/orders/get_risk", lambda http: http.risk(), "zc_C_rest_risk_response", "C")
    ),
    Endpoint(
        *("POST", "/orders/get_transfers", lambda http: http.transfers()),
        *("zc_C_rest_transfers_response", "C"),
    ),
    Endpoint(
        *("GET", "/systems/get_time", lambda http: http.server_time()),
        *("zc_C_rest_time_response", "C"),
    ),
    Endpoint(
        *("GET", "/accounts/get_external_wallets", lambda http: http.external_wallets()),
        *(WALLETS, "C"),
    ),
    Endpoint(
        *("POST", "/accounts/initiate_withdrawal"),
        lambda http: http.withdraw("AUD", D(1), "w", "trading"),
        *(MOVED, "C"),
    ),
    Endpoint(
        *("POST", "/accounts/initiate_transfer"),
        lambda http: http.transfer("AUD", D(1), "custody"),
        *(MOVED, "C"),
    ),
]

BUY = piexgo.NewOrder(symbol="BTC_USDT", side="BUY", type="LIMIT", quantity="1", price="2")
BTC = "BTC_USDT"
SYMBOLS_V2 = b'["BTC_USDT","ETH_USDT"]'
BOOK_V2 = (
    b'{"BTC_USDT":{"asks":[{"price":"2","quantity":"1"}],"bids":[{"price":"1","quantity":"1"}],'
    b'"timestamp":1571901738933}}'
)
VOLUME_V2 = b'{"BTC_USDT":{"BTC":264.5,"USDT":1411528.22}}'
PIEXGO = [
    Endpoint("GET", "/api/v1/time", lambda http: http.server_time(), "rest_time"),
    Endpoint("GET", "/api/v1/symbols", lambda http: http.symbols(), "rest_v1_symbols"),
    Endpoint("GET", "/api/v1/orderBook", lambda http: http.order_book(BTC), "rest_v1_order_book"),
    Endpoint("GET", "/api/v1/trades", lambda http: http.trades(BTC), "rest_v1_trades"),
    Endpoint("GET", "/api/v1/tickers", lambda http: http.tickers(), "rest_v1_tickers"),
    Endpoint("GET", "/api/v1/ticker", lambda http: http.ticker(BTC), "rest_v1_ticker"),
    Endpoint("GET", "/api/v2/symbols", lambda http: http.symbols_v2(), SYMBOLS_V2),
    Endpoint("GET", "/api/v2/assets", lambda http: http.assets_v2(), "rest_v2_assets"),
    Endpoint("GET", "/api/v2/orderBook", lambda http: http.order_books_v2(), BOOK_V2),
    Endpoint("GET", "/api/v2/trades", lambda http: http.trades_v2(BTC), "rest_v2_trades"),
    Endpoint("GET", "/api/v2/24hVolume", lambda http: http.volumes_v2(), VOLUME_V2),
    Endpoint("GET", "/api/v2/ticker", lambda http: http.tickers_v2(), "rest_v2_ticker"),
    Endpoint(
        "POST", "/api/v1/order", lambda http: http.create_order(BUY), "rest_order_new_response"
    ),
    Endpoint(
        *("POST", "/api/v1/cancelOrder", lambda http: http.cancel_order(BTC, "1")),
        "rest_cancel_response",
    ),
    Endpoint(
        *("POST", "/api/v1/cancelOrders", lambda http: http.cancel_orders(BTC, ["1", "2"])),
        "rest_cancel_response",
    ),
    Endpoint(
        "POST", "/api/v1/orderInfo", lambda http: http.order_info(BTC, "1"), "rest_order_info"
    ),
    Endpoint("POST", "/api/v1/openOrders", lambda http: http.open_orders(), "rest_open_orders"),
    Endpoint(
        *("POST", "/api/v1/tradeOrderHistory", lambda http: http.trade_order_history()),
        "rest_canceled_history",
    ),
    Endpoint(
        *("POST", "/api/v1/canceledOrderHistory", lambda http: http.canceled_order_history()),
        "rest_canceled_history",
    ),
    Endpoint(
        *("POST", "/api/v1/orderHistory", lambda http: http.order_history(BTC)),
        "rest_canceled_history",
    ),
    Endpoint("POST", "/api/v1/account", lambda http: http.account(), "rest_account"),
]
VENUES = {"zerocap": ZEROCAP, "piexgo": PIEXGO}
NOTHING = {"/orders/api_key_signature_valid", "/api/v1/cancelOrder", "/api/v1/cancelOrders"}


class Answering:
    """A transport that gives one answer, and the time where that is asked first."""

    def __init__(self, body: bytes) -> None:
        self.requests: list[HttpRequest] = []
        self._body = body

    async def request(self, request: HttpRequest) -> HttpResponse:
        path, body = urlsplit(request.url).path, self._body
        if path == "/api/v1/time" or path.endswith("/systems/get_time"):
            body = b'{"server_time":%d}' % (NOW_NS // (10**6 if "api" in path else 10**9))
        self.requests.append(request)
        return HttpResponse(status=200, body=body)

    async def close(self) -> None: ...


def client(venue: str, transport: Any, dialect: Any) -> Any:
    key, secret = Secret("k", "test"), Secret("s", "test")
    if venue == "piexgo":
        secrets = {"key": key, "secret": secret}
        options = PiexgoOptions(http_url="http://venue")
        return piexgo.PiexgoHttp(options, transport, secrets, lambda: NOW_NS, ONCE)
    made = ZerocapOptions(dialect=dialect, http_url="http://venue", allow_withdrawals=True)
    return zerocap.ZerocapHttp(
        made, transport, lambda now_ns: Signer(dialect, key, secret, now_ns), reads=ONCE
    )


def answer_of(venue: str, answer: str | bytes) -> bytes:
    if isinstance(answer, bytes):
        return answer
    (found,) = (HERE / venue / "samples").rglob(f"{answer}.json")
    return found.read_bytes()


CASES = [
    pytest.param(venue, one, id=f"{venue} {one.dialect} {one.method} {one.path}")
    for venue, endpoints in VENUES.items()
    for one in endpoints
]


@pytest.mark.parametrize(("venue", "endpoint"), CASES)
async def test_an_endpoint_has_a_typed_function_and_an_answer(
    venue: str, endpoint: Endpoint
) -> None:
    transport = Answering(answer_of(venue, endpoint.answer))
    read = await endpoint.ask(client(venue, transport, endpoint.dialect))
    sent = [(one.method, urlsplit(one.url).path) for one in transport.requests]
    assert sent[-1] == (endpoint.method, endpoint.path)
    assert (read is None) == (endpoint.path in NOTHING)
    assert not isinstance(read, bytes)


@pytest.mark.parametrize("venue", VENUES)
def test_every_endpoint_is_asked_by_a_test_of_the_venue(venue: str) -> None:
    """Against its simulator: the names of the functions stand in `test_http.py`."""
    text = (HERE / venue / "test_http.py").read_text()
    names = {name for one in VENUES[venue] for name in one.ask.__code__.co_names}  # type: ignore[attr-defined]
    asked = {name for name in names if name.islower()}
    assert {name for name in asked if f".{name}(" not in text} == set()


@pytest.mark.parametrize("venue", VENUES)
def test_the_list_is_the_documents(venue: str) -> None:
    page = SHARED / f"{venue}.md"
    if not page.exists():
        pytest.skip(f"the venue document is not at {page}")
    text = page.read_text()
    if venue == "piexgo":
        told = set(re.findall(r"^\| (GET|POST) `(/api/[^`]+)`", text, re.MULTILINE))
    else:
        paths = set(re.findall(r"`(/(?:orders|systems|accounts)/[a-z_]+)`", text))
        assert paths == {one.path for one in VENUES[venue]}
        return
    assert told == {(one.method, one.path) for one in VENUES[venue]}


@pytest.mark.parametrize("venue", VENUES)
def test_every_sample_is_read_by_a_test(venue: str) -> None:
    tests = [*(HERE / venue).rglob("*.py"), Path(__file__)]
    text = "".join(test.read_text() for test in tests)
    samples = list((HERE / venue / "samples").rglob("*.json"))
    assert samples
    assert [one.name for one in samples if one.stem not in text] == []
