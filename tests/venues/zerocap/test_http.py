"""Every endpoint of the document, in each dialect, against the simulated venue and by its bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.adapters.zerocap.config import ZerocapOptions
from fairlead.adapters.zerocap.http import NewOrder, WithdrawalsDisabled, ZerocapHttp
from fairlead.adapters.zerocap.signing import Signer
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator
from fairlead.engine.secrets import Secret

D = Decimal
KIND = VenueErrorKind
BUY = NewOrder(
    symbol="USDT/AUD", side="buy", type="limit", amount="100", price="21.1", client_order_id="cid"
)
ONCE = ReadLimits(tries_max=1)
BOTH = pytest.mark.parametrize("dialect", ["A", "C"])


class Script:
    """An `HttpTransport` that answers each request with the same."""

    def __init__(self, status: int = 200, body: bytes = b"{}", error: Any = None) -> None:
        self.requests: list[HttpRequest] = []
        self._answer = HttpResponse(status=status, body=body)
        self._error = error

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        if request.url.endswith("/systems/get_time"):
            now = str(time.time_ns() // 10**9).encode()
            return HttpResponse(status=200, body=b'{"server_time":"%s"}' % now)
        if self._error is not None:
            raise self._error
        return self._answer

    async def close(self) -> None: ...


def signer(dialect: Any, key: str, secret: str) -> Callable[[Callable[[], int]], Signer]:
    return lambda now_ns: Signer(dialect, Secret(key, "test"), Secret(secret, "test"), now_ns)


def scripted(dialect: Any, script: Script, **options: Any) -> ZerocapHttp:
    made = ZerocapOptions(dialect=dialect, http_url="http://venue/v2", **options)
    return ZerocapHttp(made, script, signer(dialect, "coinroutes", "secret"), reads=ONCE)


def simulated(
    dialect: Any, sim: dict[str, Any] | None = None, secret: str = "", **options: Any
) -> tuple[ZerocapHttp, ZerocapSimulator]:
    settings = ZerocapSimOptions(**{"is_market_live": False, **(sim or {})})
    venue = ZerocapSimulator(now_ns=time.time_ns(), seed=7, options=settings)
    http = ZerocapHttp(
        ZerocapOptions(dialect=dialect, http_url="http://venue/v2", **options),
        InMemoryHttp(venue, time.time_ns),
        signer(dialect, settings.api_key, secret or settings.api_secret),
        reads=ONCE,
    )
    return http, venue


async def refused(call: Any) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await call
    return caught.value


# -- orders ----------------------------------------------------------------------------------------


@BOTH
async def test_orders(dialect: Any) -> None:
    http, venue = simulated(dialect)
    created = await http.create_order(BUY)
    (fill,) = venue.exchange.ledger.fills("main")
    assert (created.status, created.average) == ("closed", fill.price)
    fetched = await http.fetch_order(created.id)
    assert fetched is not None
    assert (fetched.id, fetched.average) == (created.id, created.average)
    page = await http.fetch_orders(symbol="USDT/AUD", side="buy")
    assert ([row.id for row in page.order_list], page.total, page.page) == (
        [created.id],
        1,
        http.first_page,
    )
    assert (await http.fetch_orders(start_ms=int(time.time() * 1000) + 60_000)).total == 0


@BOTH
async def test_a_business_refusal_is_an_order(dialect: Any) -> None:
    http, _ = simulated(dialect)
    order = NewOrder(**{**{f: getattr(BUY, f) for f in BUY.__struct_fields__}, "price": "0.1"})
    assert (await http.create_order(order)).status == "rejected"


async def test_a_market_order_of_dialect_a() -> None:
    http, _ = simulated("A")
    order = NewOrder(
        symbol="USDT/AUD",
        side="sell",
        type="market",
        amount="100",
        price="0",
        client_order_id="cid",
    )
    assert (await http.create_order(order)).status == "closed"


async def test_an_order_that_is_not_there_is_none() -> None:
    http, _ = simulated("A")
    assert await http.fetch_order("none") is None


async def test_a_create_goes_out_as_the_vendor_s_client_sends_it(sample: Any) -> None:
    script = Script(body=sample("zc_A_rest_create_order_response.json"))
    http = scripted("A", script, customer_id="ZCStreamingLiquidity1")
    documented = json.loads(sample("zc_A_rest_create_order_request_wire.json"))
    await http.create_order(NewOrder(**documented))
    (request,) = script.requests
    assert json.loads(request.body) == documented
    assert (request.method, request.url) == ("POST", "http://venue/v2/orders/create_order")
    named = json.loads(sample("zc_A_rest_create_order_headers.json"))
    assert set(request.headers) == set(named)
    assert request.headers["customer-id"] == named["customer-id"]


async def test_reads_go_out_as_the_vendor_s_clients_send_them(sample: Any) -> None:
    script = Script(body=b'{"order_list":[]}')
    http = scripted("A", script)
    await http.fetch_order("476b0262-8689-4bc4-b5ff-380bb4ccc5e1")
    assert json.loads(script.requests[-1].body) == json.loads(
        sample("zc_A_rest_fetch_order_request.json")
    )
    await http.fetch_orders(symbol="USDT/AUD", page=0, limit=0, sort_order="")
    assert json.loads(script.requests[-1].body) == json.loads(
        sample("zc_A_rest_fetch_orders_request.json")
    )
    assert "customer-id" not in script.requests[-1].headers

    today = Script(body=b"{}")
    await scripted("C", today).fetch_order("o 1")
    request = today.requests[-1]
    assert (request.method, request.body) == ("GET", b"")
    assert request.url == "http://venue/v2/orders/fetch_order?id=o+1"
    assert set(request.headers) == {"api-key", "signature", "timestamp"}


# -- key and clock ---------------------------------------------------------------------------------


async def test_dialect_a_proves_its_key() -> None:
    http, _ = simulated("A")
    await http.verify_key()
    wrong, _ = simulated("A", secret="wrong")
    assert (await refused(wrong.verify_key())).kind is KIND.AUTH


@BOTH
async def test_a_wrong_key_is_refused_and_its_secret_is_in_no_text(dialect: Any) -> None:
    http, _ = simulated(dialect, secret="the-wrong-secret")
    error = await refused(http.create_order(BUY))
    assert (error.kind, error.code) == (KIND.AUTH, "ZEROCAP-401")
    assert "the-wrong-secret" not in str(error)


@BOTH
async def test_without_a_key_nothing_is_sent(dialect: Any) -> None:
    script = Script()
    options = ZerocapOptions(dialect=dialect, http_url="http://venue/v2")
    http = ZerocapHttp(options, script)
    assert (await refused(http.create_order(BUY))).code == "ZEROCAP-NO-KEY"
    if dialect == "A":
        assert (await refused(http.verify_key())).code == "ZEROCAP-NO-KEY"
    assert script.requests == []


async def test_dialect_c_signs_the_venue_s_time() -> None:
    http, venue = simulated("C")
    assert abs(await http.server_time() - time.time()) < 5
    await http.risk()
    assert http.clock.offset is not None
    venue.change(clock_tolerance_secs=-1)  # any time is refused now
    assert (await refused(http.risk())).kind is KIND.CLOCK
    assert http.clock.offset is None, "it is measured again before it is used"


# -- dialect C's account and quotes ----------------------------------------------------------------


async def test_the_account() -> None:
    http, _ = simulated("C")
    (first, *_) = (await http.instruments()).instruments
    assert (first.name, first.price_precision, first.is_tradable) == ("USDT/AUD", 4, True)
    assert (await http.balances()).accounts["prime"]["USDT"].free == 100_000
    assert (await http.risk()).max_risk_limit == 100_000
    assert (await http.transfers()).total == 0


async def test_quotes() -> None:
    http, venue = simulated("C")
    quote = await http.request_for_quote("USDT/AUD", "buy", D(100), client_order_id="q1")
    assert (quote.client_order_id, quote.amount) == ("q1", 100)
    firm = await http.request_for_firm_quote("USDT/AUD", "buy", D(100))
    assert (firm.price, firm.base_amount) == (quote.price, 100)
    order = await http.accept_quote(firm.quote_id, "q2")
    assert (order.average, order.client_order_id) == (firm.price, "q2")
    assert len(venue.exchange.ledger.fills("main")) == 1
    again = await refused(http.accept_quote(firm.quote_id))
    assert (again.kind, again.code) == (KIND.REFUSED, "ZEROCAP-422")


async def test_funds_move_only_where_the_config_allows_it() -> None:
    http, _ = simulated("C", allow_withdrawals=True)
    (wallet,) = (await http.external_wallets()).external_wallets
    moved = await http.transfer("AUD", D(10), "custody")
    assert moved.transfer.status == "COMPLETED"
    for asset, source in (("AUD", "custody"), ("AUD", "trading"), ("BTC", "trading")):
        refusal = http.withdraw(asset, D(10), wallet.external_wallet_id, source, "note")
        assert (await refused(refusal)).code == "ZEROCAP-422", "fiat is no crypto wallet's"
    out = await http.withdraw("USDT", D(10), wallet.external_wallet_id, "trading", "note")
    assert out.transfer.transaction_id
    rows = await http.transfers(type_="external_withdrawal", asset_id="USDT")
    assert [row.tx_id for row in rows.crypto_transactions] == [out.transfer.transaction_id]

    closed, venue = simulated("C")
    for call in (
        lambda: closed.external_wallets(),
        lambda: closed.transfer("AUD", D(10), "custody"),
        lambda: closed.withdraw("AUD", D(10), "w", "trading"),
    ):
        with pytest.raises(WithdrawalsDisabled):
            await call()
    assert venue.transactions == []


async def test_what_a_dialect_does_not_have_is_not_sent() -> None:
    script = Script()
    old, today = scripted("A", script, allow_withdrawals=True), scripted("C", script)
    calls = [
        *(old.instruments(), old.balances(), old.risk(), old.transfers(), old.server_time()),
        *(old.external_wallets(), old.transfer("AUD", D(1), "custody"), old.accept_quote("q")),
        *(old.request_for_quote("A/B", "buy", D(1)),),
        *(old.request_for_firm_quote("A/B", "buy", D(1)), today.verify_key()),
        old.withdraw("AUD", D(1), "w", "trading"),
    ]
    for call in calls:
        error = await refused(call)
        assert (error.code, error.is_sent) == ("ZEROCAP-DIALECT", False)
    assert script.requests == []


# -- what failures prove ---------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", KIND.UNKNOWN),
        (200, b"<html>", KIND.UNKNOWN),
        (200, b"[]", KIND.UNKNOWN),
        (200, b'{"amount":"NaN"}', KIND.UNKNOWN),
        (200, b'{"error_code":"401","error_message":"Unauthorized"}', KIND.AUTH),
        (200, b'{"error_code":500,"error_message":"x"}', KIND.UNKNOWN),
        (400, b"bad", KIND.UNKNOWN),
        (422, b'{"detail":"no"}', KIND.REFUSED),
        (429, b"", KIND.RATE_LIMITED),
        (502, b"<html>", KIND.UNKNOWN),
    ],
)
async def test_what_a_create_s_answer_proves(
    dialect: Any, status: int, body: bytes, kind: KIND
) -> None:
    script = Script(status, body)
    assert (await refused(scripted(dialect, script).create_order(BUY))).kind is kind
    creates = [r for r in script.requests if r.url.endswith("/create_order")]
    assert len(creates) == 1, "no create is ever repeated"


@BOTH
@pytest.mark.parametrize(("sent", "kind"), [(True, KIND.UNKNOWN), (False, KIND.REFUSED)])
async def test_a_create_without_an_answer_is_unknown(dialect: Any, sent: bool, kind: KIND) -> None:
    script = Script(error=TransportError("HTTP-RESET", "broken", sent=sent))
    error = await refused(scripted(dialect, script).create_order(BUY))
    assert (error.kind, error.code) == (kind, "ZEROCAP-HTTP-RESET")


async def test_each_endpoint_has_its_own_budget() -> None:
    script = Script(body=b'{"order_list":[]}')
    http = scripted("A", script, requests_per_sec=2, rate_wait_secs=0.0, rate_reserve=0.0)
    for _ in range(2):
        await http.fetch_orders()
    assert (await refused(http.fetch_orders())).code == "ZEROCAP-RATE-BUDGET"
    await http.fetch_order("o1")
    assert len(script.requests) == 3
