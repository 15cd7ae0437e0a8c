"""What goes over the wire for every endpoint, and what partial answers of a batch prove."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.adapters.base.clock import Offset
from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.base.venue import VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.http import NewOrder, OceanexHttp
from fairlead.adapters.oceanex.orders import OceanexOrders
from fairlead.adapters.oceanex.signing import Signer
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    Found,
    Intent,
    Kind,
    OrderRef,
    Refused,
    Side,
    Unknown,
    Unsure,
    VenueUnavailable,
)

BASE = "https://venue.test/v1"
VETETH = "VET_ETH.OCEANEX"
NOW_NS = 1_700_000_000_000_000_000
NONE: frozenset[str] = frozenset()
Answer = bytes | TransportError


class Script:
    """An `HttpTransport` that keeps requests and answers from a list, the last one for ever."""

    def __init__(self, *answers: Answer, key: rsa.RSAPrivateKey) -> None:
        self.requests: list[HttpRequest] = []
        self._answers = list(answers)
        self._key = key

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, TransportError):
            raise answer
        return HttpResponse(status=200, body=answer)

    async def close(self) -> None: ...

    def data(self, index: int = -1) -> Any:
        """The verified `data` of a request's token."""
        request = self.requests[index]
        form = dict(parse_qsl(request.body.decode() or request.url.partition("?")[2]))
        assert list(form) == ["user_jwt"]
        payload = jwt.decode(form["user_jwt"], self._key.public_key(), algorithms=["RS256"])
        assert payload["uid"] == "ID1"
        return payload["data"]


def client(script: Script, key: rsa.RSAPrivateKey, **options: Any) -> OceanexHttp:
    signer = Signer("ID1", "KID1", key, lambda: NOW_NS)
    once = ReadLimits(tries_max=1)  # what is scripted is answered once
    return OceanexHttp(OceanexOptions(http_url=BASE, **options), script, signer, reads=once)


def ok(data: object) -> bytes:
    return json.dumps({"code": 0, "message": "Operation successful", "data": data}).encode()


Call = Callable[[OceanexHttp], Any]
LIMIT = NewOrder(market="veteth", side="buy", volume="0.75", price="1000", ord_type="limit")

PUBLIC: dict[str, tuple[Call, str, dict[str, str]]] = {
    "markets": (lambda h: h.markets(), "/markets", {"show_details": "true"}),
    "ticker": (lambda h: h.ticker("veteth"), "/tickers/veteth", {}),
    "tickers_multi": (
        lambda h: h.tickers_multi(["veteth"]),
        "/tickers_multi",
        {"markets[]": "veteth"},
    ),
    "tickers": (lambda h: h.tickers(), "/tickers", {}),
    "order_book": (
        lambda h: h.order_book("veteth", 4),
        "/order_book",
        {"market": "veteth", "limit": "4"},
    ),
    "order_book_multi": (
        lambda h: h.order_book_multi(["veteth"], 4),
        "/order_book/multi",
        {"markets[]": "veteth", "limit": "4"},
    ),
    "trades": (
        lambda h: h.trades(
            "veteth", limit=10, start=1547451655, end=1547778117, from_id=1000, to_id=1200000
        ),
        "/trades",
        {
            "market": "veteth",
            "limit": "10",
            "start": "1547451655",
            "end": "1547778117",
            "from": "1000",
            "to": "1200000",
        },
    ),
    "k": (
        lambda h: h.candles("btcusdt", period=5, limit=2, timestamp=1559232000),
        "/k",
        {"market": "btcusdt", "period": "5", "limit": "2", "timestamp": "1559232000"},
    ),
    "fees": (lambda h: h.trading_fees(), "/fees/trading", {}),
    "timestamp": (lambda h: h.timestamp(), "/timestamp", {}),
}
PRIVATE: dict[str, tuple[Call, str, str, dict[str, Any]]] = {
    "key": (lambda h: h.key(), "POST", "/key", {}),
    "member": (lambda h: h.member(), "POST", "/members/me", {}),
    "create": (
        lambda h: h.create_order(LIMIT),
        "POST",
        "/orders",
        {
            "market": "veteth",
            "side": "buy",
            "volume": "0.75",
            "price": "1000",
            "ord_type": "limit",
        },
    ),
    "create_many": (
        lambda h: h.create_orders("veteth", [NewOrder(side="sell", volume="0.2", price="1002")]),
        "POST",
        "/orders/multi",
        {"market": "veteth", "orders": [{"side": "sell", "volume": "0.2", "price": "1002"}]},
    ),
    "orders": (lambda h: h.orders([473797, 473798]), "GET", "/orders", {"ids": [473797, 473798]}),
    "filter": (
        lambda h: h.orders_filter(
            "veteth", states=["cancel", "done"], limit=3, from_id=50, to_id=51
        ),
        "POST",
        "/orders/filter",
        {
            "market": "veteth",
            "states": ["cancel", "done"],
            "limit": 3,
            "page": 1,
            "from": 50,
            "to": 51,
            "order_by": "desc",
            "need_price": "True",
        },
    ),
    "cancel": (lambda h: h.cancel_order(473797), "POST", "/order/delete", {"id": 473797}),
    "cancel_many": (
        lambda h: h.cancel_orders([473797, 473798]),
        "POST",
        "/order/delete/multi",
        {"ids": [473797, 473798]},
    ),
    "clear": (lambda h: h.clear_orders(), "POST", "/orders/clear", {}),
    "clear_side": (lambda h: h.clear_orders("sell"), "POST", "/orders/clear", {"side": "sell"}),
    "withdraw": (
        lambda h: h.withdraw("0x77", "vet", Decimal(10), tid="t", memo="A note"),
        "POST",
        "/withdraws/special/new",
        {"rid": "0x77", "currency": "vet", "amount": "10", "tid": "t", "memo": "A note"},
    ),
    "deposit_address": (
        lambda h: h.deposit_address("vet"),
        "POST",
        "/deposit_address",
        {"currency": "vet"},
    ),
    "deposit_addresses": (
        lambda h: h.deposit_addresses("vet"),
        "POST",
        "/deposit_addresses",
        {"currency": "vet"},
    ),
    "deposit_history": (
        lambda h: h.deposit_history("vet", limit=5, state="accepted"),
        "POST",
        "/deposit_history",
        {"currency": "vet", "limit": 5, "state": "accepted", "page": 1},
    ),
    "withdraw_history": (
        lambda h: h.withdraw_history("vet", limit=3),
        "POST",
        "/withdraw_history",
        {"currency": "vet", "limit": 3, "page": 1},
    ),
}
SAMPLES = {
    "markets": "rest_markets.json",
    "ticker": "rest_ticker.json",
    "tickers_multi": "rest_tickers_multi.json",
    "tickers": "rest_tickers_all.repaired.json",
    "order_book": "rest_order_book.json",
    "order_book_multi": "rest_order_book_multi.json",
    "trades": "rest_trades.json",
    "k": "rest_k.json",
    "fees": "rest_fees_trading.json",
    "timestamp": "rest_timestamp.json",
    "key": "rest_key.json",
    "member": "rest_members_me.json",
    "create": "rest_order_new_limit.json",
    "create_many": "rest_orders_multi.json",
    "orders": "rest_orders_status.json",
    "filter": "rest_orders_filter.json",
    "cancel": "rest_order_delete.json",
    "cancel_many": "rest_order_delete_multi.json",
    "clear": "rest_orders_clear.json",
    "clear_side": "rest_orders_clear.json",
    "withdraw": "rest_withdraw_special_new.json",
    "deposit_address": "rest_deposit_address.json",
    "deposit_addresses": "rest_deposit_addresses.json",
    "deposit_history": "rest_deposit_history.json",
    "withdraw_history": "rest_withdraw_history.json",
}


@pytest.mark.parametrize("name", PUBLIC)
async def test_public_requests(name: str, payload: Any, key: rsa.RSAPrivateKey) -> None:
    call, path, form = PUBLIC[name]
    script = Script(payload(SAMPLES[name]), key=key)
    assert await call(client(script, key)) is not None
    (request,) = script.requests
    assert (request.method, request.url) == ("POST", f"{BASE}{path}")
    assert dict(parse_qsl(request.body.decode())) == form


@pytest.mark.parametrize("name", PRIVATE)
async def test_private_requests(name: str, payload: Any, key: rsa.RSAPrivateKey) -> None:
    call, method, path, data = PRIVATE[name]
    script = Script(payload(SAMPLES[name]), key=key)
    assert await call(client(script, key, allow_withdrawals=True)) is not None
    (request,) = script.requests
    assert (request.method, request.url) == (method, f"{BASE}{path}")
    assert script.data() == data


async def test_order_status_may_carry_its_token_in_the_query(
    payload: Any, key: rsa.RSAPrivateKey
) -> None:
    script = Script(payload("rest_orders_status.json"), key=key)
    await client(script, key, orders_get_jwt="query").orders([1])
    assert script.requests[0].body == b""
    assert script.data() == {"ids": [1]}


async def test_private_calls_need_credentials(key: rsa.RSAPrivateKey) -> None:
    script = Script(ok({}), key=key)
    with pytest.raises(VenueError) as caught:
        await OceanexHttp(OceanexOptions(), script).member()
    assert caught.value.kind is VenueErrorKind.AUTH
    assert script.requests == []


async def test_a_market_can_t_leave_its_path(key: rsa.RSAPrivateKey) -> None:
    script = Script(ok({}), key=key)
    with pytest.raises(VenueError, match="OCEANEX-UNKNOWN-MARKET"):
        await client(script, key).ticker("../orders")
    assert script.requests == []


async def test_errors_never_hold_the_token(key: rsa.RSAPrivateKey) -> None:
    broken = TransportError("HTTP-RESET", "broken", sent=True)
    script = Script(broken, key=key)
    with pytest.raises(VenueError) as caught:
        await client(script, key, orders_get_jwt="query").orders([1])
    token = script.requests[0].url.partition("user_jwt=")[2]
    assert len(token) > 100
    assert token not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_creates_over_the_budget_are_refused_and_cancels_pass(
    payload: Any, key: rsa.RSAPrivateKey
) -> None:
    script = Script(payload("rest_order_new_limit.json"), key=key)
    http = client(script, key, orders_per_minute=10, rate_reserve=0.5, rate_wait_secs=0.0)
    for _ in range(5):
        await http.create_order(LIMIT)
    with pytest.raises(VenueError) as caught:
        await http.create_order(LIMIT)
    assert (caught.value.kind, caught.value.code) == (
        VenueErrorKind.RATE_LIMITED,
        "OCEANEX-RATE-BUDGET",
    )
    await http.cancel_order(1)
    assert [r.url.removeprefix(BASE) for r in script.requests] == ["/orders"] * 5 + [
        "/order/delete"
    ]


async def test_a_refusal_for_rate_holds_creates_back(payload: Any, key: rsa.RSAPrivateKey) -> None:
    script = Script(payload("extra_public/err_rate_limit_wrapped.json"), key=key)
    http = client(script, key, rate_wait_secs=0.0)
    codes = []
    for _ in range(2):
        with pytest.raises(VenueError) as caught:
            await http.create_order(LIMIT)
        codes.append(caught.value.code)
    assert codes == ["OCEANEX-2002", "OCEANEX-RATE-BUDGET"]
    assert len(script.requests) == 1


# -- orders over scripted answers ------------------------------------------------------------------


def intent(**fields: Any) -> Intent:
    base: dict[str, Any] = {
        "client_order_id": "c",
        "strategy": "S-1",
        "instrument": VETETH,
        "side": Side.BUY,
        "kind": Kind.LIMIT,
        "quantity": Decimal("0.2"),
        "price": Decimal(1001),
    }
    return Intent(**(base | fields))


def row(number: int, **fields: Any) -> dict[str, Any]:
    base = {
        "id": number,
        "side": "buy",
        "ord_type": "limit",
        "price": "1001.0",
        "volume": "0.2",
        "executed_volume": "0.0",
        "state": "wait",
        "market": "veteth",
        "created_on": str(NOW_NS // 10**9),
    }
    return base | fields


def orders_of(
    script: Script, key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> OceanexOrders:
    http = client(script, key)
    http.clock = Steady()  # type: ignore[assignment]
    return OceanexOrders(http, instruments)


class Steady:
    """A clock that is the venue's own, and is never asked for."""

    was_set = False

    async def known(self) -> Offset:
        return Offset(0, 0, NOW_NS)


BUY = intent()
SELL = intent(side=Side.SELL, price=Decimal(1002))


@pytest.mark.parametrize("plain", [SELL, intent(kind=Kind.MARKET, side=Side.SELL, price=None)])
async def test_a_reduce_only_order_is_a_plain_one_on_the_wire(
    plain: Intent, key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    sent = []
    for wanted in (plain, msgspec.structs.replace(plain, reduce_only=True)):
        script = Script(ok(row(1)), key=key)
        (told,) = await orders_of(script, key, instruments).submit([wanted])
        assert isinstance(told, Accepted)
        sent.append(script.data())
    assert sent[0] == sent[1]


async def test_batch_rows_are_matched_by_position(
    payload: Any, key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    script = Script(payload("rest_orders_multi.json"), key=key)
    first, second = await orders_of(script, key, instruments).submit([BUY, SELL])
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.venue_order_id, second.venue_order_id) == ("473797", "473798")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(2, side="sell", price="1002"), row(1)], ["1", "2"]),
        ([row(1)], ["1", None]),
        ([row(2, side="sell", price="1002")], [None, "2"]),
        ([None, row(2, side="sell", price="1002")], [None, "2"]),
        ([{"code": 2002, "message": "no"}, row(2, side="sell", price="1002")], [None, "2"]),
        ([row(1, price="1000.9"), row(2, side="sell", price="1002")], [None, "2"]),
        ([row(1), row(2)], ["1", None]),
        ([], [None, None]),
    ],
)
async def test_batch_rows_that_do_not_match_leave_unknown(
    rows: list[Any],
    expected: list[str | None],
    key: rsa.RSAPrivateKey,
    instruments: Mapping[str, VenueInstrument],
) -> None:
    outcomes = await orders_of(Script(ok(rows), key=key), key, instruments).submit([BUY, SELL])
    found = [o.venue_order_id if isinstance(o, Accepted) else None for o in outcomes]
    assert found == expected
    assert all(isinstance(o, Accepted | Unknown) for o in outcomes)


async def test_equal_intents_take_one_row_each(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    orders = orders_of(Script(ok([row(1), row(2)]), key=key), key, instruments)
    outcomes = await orders.submit([BUY, BUY])
    assert [o.venue_order_id for o in outcomes if isinstance(o, Accepted)] == ["1", "2"]


@pytest.mark.parametrize(
    ("answer", "type_"),
    [
        (b"<html>", Unknown),
        (b'{"code":2002,"message":"price is bad","data":{}}', Unknown),
        (b'{"code":1010,"message":"","data":{}}', Refused),
        (TransportError("HTTP-RESET", "x", sent=True), Unknown),
        (TransportError("HTTP-CONNECT", "x", sent=False), Refused),
    ],
)
async def test_failures_of_a_batch(
    answer: Answer,
    type_: type,
    key: rsa.RSAPrivateKey,
    instruments: Mapping[str, VenueInstrument],
) -> None:
    script = Script(answer, key=key)
    outcomes = await orders_of(script, key, instruments).submit([BUY, SELL])
    assert {type(o) for o in outcomes} == {type_}
    assert len(script.requests) == 1  # never sent again


async def test_an_answer_that_can_t_be_read_is_unknown(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    orders = orders_of(Script(ok({"id": "?"}), key=key), key, instruments)
    (outcome,) = await orders.submit([BUY])
    assert isinstance(outcome, Unknown)


async def test_an_order_of_unknown_state_is_accepted_by_its_id(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    orders = orders_of(Script(ok(row(9, state="new_state")), key=key), key, instruments)
    assert await orders.submit([BUY]) == [Accepted("9", None)]


async def test_a_cancel_is_tried_one_by_one_when_the_batch_is_refused(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    refused = b'{"code":2003,"message":"Failed to cancel order","data":{}}'
    script = Script(refused, refused, ok(row(2)), key=key)
    refs = [OrderRef(instrument=VETETH, venue_order_id=i) for i in ("1", "2")]
    outcomes = await orders_of(script, key, instruments).cancel(refs)
    assert isinstance(outcomes[1], CancelAccepted)
    assert [r.url.removeprefix(BASE) for r in script.requests] == [
        "/order/delete/multi",
        "/order/delete",
        "/order/delete",
    ]


def groups(state: str, *rows: dict[str, Any]) -> bytes:
    return ok([{"state": state, "num_of_orders": len(rows), "orders": list(rows)}])


def states_answers(**rows: list[dict[str, Any]]) -> list[bytes]:
    """Answers to a look through all states, each ending with an empty page."""
    answers = []
    for state in ("wait_trigger", "wait", "cancelling", "done", "cancel"):
        if rows.get(state):
            answers.append(groups(state, *rows[state]))
        answers.append(groups(state))
    return answers


class Listing(Script):
    """Answers `/orders/filter` from rows by state, one page each."""

    def __init__(self, key: rsa.RSAPrivateKey, **rows: list[dict[str, Any]]) -> None:
        super().__init__(ok({}), key=key)
        self._rows = rows

    async def request(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        data = self.data()
        (state,) = data["states"]
        rows = self._rows.get(state, []) if data["page"] == 1 else []
        return HttpResponse(status=200, body=groups(state, *rows))


@pytest.mark.parametrize(
    ("change", "is_found"),
    [
        ({}, True),
        ({"created_on": NOW_NS // 10**9 - 2}, True),
        ({"created_on": None}, True),
        ({"created_on": NOW_NS // 10**9 - 3}, False),
        ({"side": "sell"}, False),
        ({"price": "1001.1"}, False),
        ({"volume": "0.3"}, False),
        ({"ord_type": "market"}, False),
        ({"ord_type": "stop_limit"}, False),
        ({"id": 77}, False),  # belongs to another order
    ],
)
@pytest.mark.parametrize("state", ["wait", "cancelling", "done", "cancel"])
async def test_find_matches_every_field(
    state: str,
    change: dict[str, Any],
    is_found: bool,
    key: rsa.RSAPrivateKey,
    instruments: Mapping[str, VenueInstrument],
) -> None:
    listed = row(5, state=state) | change
    orders = orders_of(Listing(key, **{state: [listed]}), key, instruments)
    result = await orders.find(BUY, frozenset({"77"}), NOW_NS)
    assert isinstance(result, Found if is_found else Absent), result


async def test_find_of_two_is_ambiguous(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    answers = states_answers(wait=[row(5)], done=[row(4, state="done")])
    result = await orders_of(Script(*answers, key=key), key, instruments).find(BUY, NONE, NOW_NS)
    assert isinstance(result, Unsure)
    assert result.ambiguous


async def test_find_meets_an_order_that_moves_on_once(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    """Seen in `wait` and again in `done`: one order, in its last state."""
    done = row(5, state="done", executed_volume="0.2", avg_price="1001")
    answers = states_answers(wait=[row(5)], done=[done])
    result = await orders_of(Script(*answers, key=key), key, instruments).find(BUY, NONE, NOW_NS)
    assert isinstance(result, Found)
    assert result.order.filled == Decimal("0.2")


@pytest.mark.parametrize("broken", range(10))
async def test_find_is_unsure_when_any_page_fails(
    broken: int, key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    other = {"price": "5"}
    answers: list[Answer] = list(
        states_answers(
            wait_trigger=[row(1, state="wait_trigger", **other)],
            wait=[row(2, **other)],
            cancelling=[row(3, state="cancelling", **other)],
            done=[row(4, state="done", **other)],
            cancel=[row(5, state="cancel", **other)],
        )
    )
    assert len(answers) == 10
    whole = orders_of(Script(*answers, key=key), key, instruments)
    assert isinstance(await whole.find(BUY, NONE, NOW_NS), Absent)
    answers[broken] = TransportError("HTTP-TIMEOUT", "late", sent=True)
    result = await orders_of(Script(*answers, key=key), key, instruments).find(BUY, NONE, NOW_NS)
    assert isinstance(result, Unsure)
    assert not result.ambiguous


async def test_reads_raise_venue_unavailable(
    key: rsa.RSAPrivateKey, instruments: Mapping[str, VenueInstrument]
) -> None:
    orders = orders_of(Script(b"<html>", key=key), key, instruments)
    ref = OrderRef(instrument=VETETH, venue_order_id="1")
    for read in (orders.balances(), orders.open_orders([VETETH]), orders.orders([ref])):
        with pytest.raises(VenueUnavailable):
            await read
