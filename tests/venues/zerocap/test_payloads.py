"""Every payload of the venue's document, in each dialect, through the schemas and parsers."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.zerocap import parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.ladder import Ladder
from fairlead.adapters.zerocap.parse import Fault, Notice, OrderTold, Said, Source, TradeTold
from fairlead.engine.orders.model import Kind, OrderState, Side, Tif
from tests.venues.zerocap.conftest import SAMPLES

SHARED = Path(__file__).parents[4] / "shared" / "venues" / "samples" / "zerocap"

REST: dict[str, Any] = {
    "zc_A_rest_create_order_response.json": s.OrderRow,
    "zc_A_rest_fetch_order_response_rejected.json": s.OrderPage,
    "zc_A_rest_fetch_orders_response.json": s.OrderPage,
    "zc_A_rest_signature_valid_response.json": s.KeyProof,
    "zc_B_rest_create_order_response.json": s.OrderRow,
    "zc_C_rest_create_order_response.json": s.OrderRow,
    "zc_C_rest_fetch_order_response.json": s.OrderRow,
    "zc_C_rest_fetch_orders_response.json": s.OrderPage,
    "zc_C_rest_instruments_response.json": s.Instruments,
    "zc_C_rest_rfq_response.json": s.Quote,
    "zc_C_rest_risk_response.json": s.Risk,
    "zc_C_rest_time_response.json": s.ServerTime,
    "zc_C_rest_transfers_response.json": s.Transactions,
}
FRAMES: dict[str, type] = {
    "zc_A_ws_invalid_message.json": Fault,
    "zc_A_ws_order_info_open.json": OrderTold,
    "zc_A_ws_price_ladder_data_as_object.json": Ladder,
    "zc_A_ws_price_ladder_data_as_string.json": Ladder,
    "zc_A_ws_trade_info.json": TradeTold,
    "zc_A_ws_unauthorized.json": Fault,
    "zc_C_ws_order_closed.json": OrderTold,
    "zc_C_ws_order_open.json": OrderTold,
    "zc_C_ws_ping_timeout.json": Fault,
    "zc_C_ws_pong.json": Said,
    "zc_C_ws_price.json": Ladder,
    "zc_C_ws_trade.json": TradeTold,
    "zc_C_ws_unauthorized.json": Fault,
    "zc_ws_connected.json": Said,
    "zc_ws_price_sub_ok.json": Said,
    "zc_ws_price_unavailable.json": Said,
}
# Elsewhere: the balances below, what we send where it is sent, the vectors in test_signing.
ELSEWHERE = {
    "zc_C_rest_balances_response.json",
    "auth_vectors.json",
    "zc_A_rest_create_order_headers.json",
    "zc_A_rest_create_order_request_doc.json",
    "zc_A_rest_create_order_request_wire.json",
    "zc_A_rest_fetch_order_request.json",
    "zc_A_rest_fetch_orders_request.json",
    "zc_A_rest_signature_valid_request.json",
    "zc_A_ws_subscribe_orders.json",
    "zc_A_ws_subscribe_price.json",
    "zc_C_ws_ping_request.json",
    "zc_C_ws_subscribe_price.json",
}


def row_of(sample: Any, name: str) -> s.OrderRow:
    return parse.Reader(s.OrderRow)(sample(name))


def pushed(sample: Any, name: str) -> Any:
    return parse.frame(sample(name)).row  # type: ignore[union-attr]


def test_every_sample_has_a_test() -> None:
    names = {path.name for path in SAMPLES.glob("*.json")}
    assert names == set(REST) | set(FRAMES) | ELSEWHERE


def test_samples_are_the_ones_of_the_document() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the venue document's samples are not at {SHARED}")
    for path in SHARED.glob("*.json"):
        assert (SAMPLES / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", REST)
def test_rest_payload_decodes_without_loss(sample: Any, name: str) -> None:
    """Every field of the payload that says something comes back with its value."""
    decoded = msgspec.to_builtins(parse.Reader(REST[name])(sample(name)))
    assert_contains(decoded, json.loads(sample(name), parse_float=Decimal), name)


def assert_contains(decoded: Any, raw: Any, where: str) -> None:
    if isinstance(raw, dict):
        for name, value in raw.items():
            if value in ("", None):
                continue
            assert s.bare(name) in decoded, f"{where}: {name} is not in the schema"
            assert_contains(decoded[s.bare(name)], value, f"{where}.{name}")
    elif isinstance(raw, list):
        assert len(decoded) == len(raw), where
        for index, value in enumerate(raw):
            assert_contains(decoded[index], value, f"{where}[{index}]")
    elif raw is None or isinstance(raw, bool):
        assert decoded is raw, where
    elif str(decoded) != str(raw):
        assert Decimal(str(decoded)) == Decimal(str(raw)), where


@pytest.mark.parametrize("name", FRAMES)
def test_frame_is_what_it_says(sample: Any, name: str) -> None:
    assert type(parse.frame(sample(name))) is FRAMES[name]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("zc_A_ws_order_info_open.json", {}),
        ("zc_A_ws_trade_info.json", {}),
        ("zc_C_ws_order_closed.json", {}),
        ("zc_C_ws_trade.json", {}),
    ],
)
def test_pushed_row_decodes_without_loss(sample: Any, name: str, fields: Any) -> None:
    raw = json.loads(sample(name), parse_float=Decimal)["data"]
    raw = json.loads(raw, parse_float=Decimal) if isinstance(raw, str) else raw
    assert_contains(msgspec.to_builtins(pushed(sample, name)), raw, name)


def test_messages() -> None:
    def said(words: str) -> Any:
        return parse.frame(json.dumps({"type": "message", "message": words}))

    assert said("Successfully connected.") == Said(Notice.CONNECTED)
    assert said("Price stream unavailable.") == Said(Notice.UNAVAILABLE)
    assert said("price Subscription successful.") == Said(Notice.SUBSCRIBED, "price")
    assert said("order Subscription successful.") == Said(Notice.SUBSCRIBED, "order")
    assert said("pong") == Said(Notice.PONG)
    assert said("anything else") == Said(Notice.OTHER)
    assert parse.frame(b"{}") == Said(Notice.OTHER)


def test_faults_have_their_codes_as_text_and_as_number(sample: Any) -> None:
    assert parse.frame(sample("zc_A_ws_unauthorized.json")) == Fault(401, "Unauthorized")
    assert parse.frame(sample("zc_C_ws_unauthorized.json")) == Fault(401, "Unauthorized")
    assert parse.frame(sample("zc_A_ws_invalid_message.json")) == Fault(400, "invalid message")
    assert parse.frame(sample("zc_C_ws_ping_timeout.json")) == Fault(400, "ping timeout")
    assert parse.frame(b'{"error_code":"E1","error_message":"x"}') == Fault(0, "x")


# -- orders ----------------------------------------------------------------------------------------


def test_the_create_s_answer_holds_the_order_and_its_fills(sample: Any) -> None:
    row = row_of(sample, "zc_A_rest_create_order_response.json")
    order = parse.order(row, "ZEROCAP", Source.CREATE)
    assert (order.venue_order_id, order.instrument) == (row.id, "USDT_AUD.ZEROCAP")
    assert (order.side, order.kind, order.state) == (Side.BUY, Kind.MARKET, OrderState.FILLED)
    assert (order.quantity, order.filled, order.avg_price) == (9, 9, Decimal("1.685133171"))
    assert (order.price, order.time_in_force) == (None, Tif.FOK)
    assert order.client_order_id == "e7f80d34-0d80-4256-9de3-cd37310a55dabe"
    assert order.ts_created == 1690535984 * 10**9

    (fill,) = parse.fills(row, "ZEROCAP", Source.CREATE)
    assert fill.trade_id == "12424971-f51d-4144-a205-9e306eb6351c"
    assert (fill.quantity, fill.price) == (9, Decimal("1.685133171"))
    assert (fill.fee, fill.fee_currency, fill.is_maker) == (0, "AUD", False)
    assert (fill.venue_order_id, fill.ts_event) == (row.id, 1690535984 * 10**9)


def test_a_rejected_order_has_no_fills(sample: Any) -> None:
    page = parse.Reader(s.OrderPage)(sample("zc_A_rest_fetch_orders_response.json"))
    assert (page.total, page.page) == (100, 1)
    (row,) = page.order_list
    order = parse.order(row, "ZEROCAP", Source.FETCH)
    assert (order.state, order.filled, order.avg_price) == (OrderState.REFUSED, 0, None)
    assert order.trades_count == 0
    assert parse.fills(row, "ZEROCAP", Source.FETCH) == []


def test_a_fetched_trade_s_price_is_the_order_s_limit_and_never_taken(sample: Any) -> None:
    row = row_of(sample, "zc_C_rest_fetch_order_response.json")
    assert row.trades[0].price == row.price == 1
    order = parse.order(row, "ZEROCAP", Source.FETCH)
    assert (order.price, order.avg_price) == (1, Decimal("1.48249"))
    (fetched,) = parse.fills(row, "ZEROCAP", Source.FETCH)
    created = row_of(sample, "zc_C_rest_create_order_response.json")
    assert parse.fills(created, "ZEROCAP", Source.CREATE) == [fetched]
    assert fetched.price == Decimal("1.48249")


def test_a_fetched_fill_without_average_takes_cost_by_amount(sample: Any) -> None:
    page = parse.Reader(s.OrderPage)(sample("zc_C_rest_fetch_orders_response.json"))
    (row,) = page.order_list
    assert parse.fills(row, "ZEROCAP", Source.FETCH)[0].price == Decimal("2.98442")
    without = msgspec.structs.replace(row, average=None)
    (fill,) = parse.fills(without, "ZEROCAP", Source.FETCH)
    assert abs(fill.price - Decimal("2.98442")) < Decimal("0.00001")
    nothing = [msgspec.structs.replace(row.trades[0], cost=None)]
    with pytest.raises(ParseError, match="price"):
        parse.fills(msgspec.structs.replace(without, trades=nothing), "ZEROCAP", Source.FETCH)


def test_a_pushed_order_s_cost_is_its_limit_s_and_never_taken(sample: Any) -> None:
    row = pushed(sample, "zc_C_ws_order_closed.json")
    assert row.cost == 9  # limit 3 times amount 3
    order = parse.order(row, "ZEROCAP", Source.PUSH)
    assert (order.state, order.avg_price) == (OrderState.FILLED, Decimal("1.474899"))
    (fill,) = parse.fills(row, "ZEROCAP", Source.PUSH)
    assert parse.fill(pushed(sample, "zc_C_ws_trade.json"), "ZEROCAP") == fill
    without = msgspec.structs.replace(row, average=None)
    assert parse.order(without, "ZEROCAP", Source.PUSH).avg_price is None


def test_pushes_of_dialect_a(sample: Any) -> None:
    order = parse.order(pushed(sample, "zc_A_ws_order_info_open.json"), "ZEROCAP", Source.PUSH)
    assert order.venue_order_id == "d8be1f41-9e8e-4af0-899b-c1334916aa0e"
    assert order.client_order_id == "e7f80d34-0d80-4256-9de3-cd37310a55da"
    assert (order.state, order.quantity, order.filled) == (OrderState.OPEN, 1000, 0)
    assert order.ts_created == 1690538950 * 10**9
    fill = parse.fill(pushed(sample, "zc_A_ws_trade_info.json"), "ZEROCAP")
    assert (fill.side, fill.quantity, fill.price) == (Side.SELL, 101, Decimal("1.662902412"))
    assert fill.venue_order_id == "41969863-1f32-4eaa-b679-a5b0e6fb5542"
    assert fill.client_order_id is None


@pytest.mark.parametrize("channel", ["dma_trade_info", "dma_trader_info"])
def test_trades_come_by_either_name_of_their_channel(sample: Any, channel: str) -> None:
    told = json.loads(sample("zc_A_ws_trade_info.json"))
    event = parse.frame(json.dumps({**told, "channel": channel}))
    assert event == parse.frame(sample("zc_A_ws_trade_info.json"))


def test_a_text_with_raw_newlines_is_read(sample: Any) -> None:
    """The document prints its pushed objects so, within quotes."""
    told = json.loads(sample("zc_A_ws_trade_info.json"))
    pretty = json.dumps(json.loads(told["data"]), indent=2)
    assert parse.frame(json.dumps({**told, "data": pretty})) == parse.frame(json.dumps(told))


BASE = s.OrderRow(
    id="o1",
    status="closed",
    symbol="USDT/AUD",
    type="limit",
    side="buy",
    price=Decimal(2),
    average=Decimal("1.5"),
    amount=Decimal(10),
    filled=Decimal(10),
)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, OrderState.FILLED),
        ({"status": "Closed", "type": "LIMIT", "side": "BUY"}, OrderState.FILLED),
        ({"filled": Decimal(0)}, OrderState.CANCELED),
        ({"filled": Decimal(4)}, OrderState.CANCELED),
        ({"status": "open", "filled": None, "average": Decimal(0)}, OrderState.OPEN),
        ({"status": "rejected", "filled": None}, OrderState.CANCELED),
        ({"status": "rejected", "filled": None, "type": "Market"}, OrderState.REFUSED),
    ],
)
def test_states(change: dict[str, Any], state: OrderState) -> None:
    order = parse.order(msgspec.structs.replace(BASE, **change), "ZEROCAP", Source.FETCH)
    assert order.state is state


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"symbol": ""},
        {"symbol": "USDTAUD"},
        {"side": "both"},
        {"side": ""},
        {"type": "stop"},
        {"status": "expired"},
        {"status": ""},
        {"status": "rejected"},  # and filled
        {"filled": None},  # and closed
        {"filled": Decimal(11)},
        {"filled": Decimal(-1)},
        {"amount": None},
        {"amount": Decimal(0)},
        {"average": Decimal(-1)},
    ],
)
def test_impossible_orders_are_parse_errors(change: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        parse.order(msgspec.structs.replace(BASE, **change), "ZEROCAP", Source.FETCH)


TRADE = s.TradeRow(
    id="t1", symbol="USDT/AUD", order="o1", side="buy", price=Decimal(1), amount=Decimal(10)
)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"order": ""},
        {"symbol": ""},
        {"side": ""},
        {"price": None},
        {"price": Decimal(0)},
        {"amount": None},
        {"amount": Decimal(-1)},
    ],
)
def test_impossible_trades_are_parse_errors(change: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        parse.fill(msgspec.structs.replace(TRADE, **change), "ZEROCAP")


def test_a_trade_of_an_order_says_what_the_order_says() -> None:
    short = s.TradeRow(id="t1", price=Decimal(1), amount=Decimal(10))
    row = msgspec.structs.replace(BASE, trades=[short], client_order_id="c1")
    (fill,) = parse.fills(row, "ZEROCAP", Source.CREATE)
    assert (fill.venue_order_id, fill.instrument) == ("o1", "USDT_AUD.ZEROCAP")
    assert (fill.side, fill.client_order_id) == (Side.BUY, "c1")


def test_a_trade_told_twice_is_one_fill() -> None:
    row = msgspec.structs.replace(BASE, trades=[TRADE, TRADE, s.TradeRow()])
    assert len(parse.fills(row, "ZEROCAP", Source.CREATE)) == 1


@pytest.mark.parametrize(
    "trade",
    [
        msgspec.structs.replace(TRADE, order="another"),
        msgspec.structs.replace(TRADE, amount=Decimal(11)),
    ],
)
def test_trades_that_contradict_their_order_are_parse_errors(trade: s.TradeRow) -> None:
    row = msgspec.structs.replace(BASE, trades=[trade])
    with pytest.raises(ParseError):
        parse.fills(row, "ZEROCAP", Source.CREATE)


@pytest.mark.parametrize("wrong", [1690535984, 1690535984000000, -1, 0])
def test_a_time_in_another_unit_is_not_told(wrong: int) -> None:
    row = msgspec.structs.replace(BASE, timestamp=Decimal(wrong), trades=[TRADE])
    assert parse.order(row, "ZEROCAP", Source.FETCH).ts_created == 0


# -- names, numbers, texts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("clientOrderId", "lastTradeTimestamp"),
        ("client_order_id", "last_trade_timestamp"),
        ("ClientOrderId", "LastTradeTimestamp"),
    ],
)
def test_names_come_in_any_case(names: tuple[str, str]) -> None:
    body = json.dumps({names[0]: "c1", names[1]: "1690535984000"}).encode()
    row = parse.Reader(s.OrderRow)(body)
    assert (row.client_order_id, row.last_trade_timestamp) == ("c1", 1690535984000)


def test_a_name_that_comes_twice_is_a_parse_error() -> None:
    with pytest.raises(ParseError, match="twice"):
        parse.Reader(s.OrderRow)(b'{"OrderId":"a","order_id":"b"}')


@pytest.mark.parametrize("text", ['""', "null"])
def test_blank_numbers_are_not_told(text: str) -> None:
    row = parse.Reader(s.OrderRow)(f'{{"filled":{text},"average":{text}}}'.encode())
    assert (row.filled, row.average) == (None, None)


@pytest.mark.parametrize(
    "number", ['"NaN"', '"sNaN"', '"Infinity"', '"-inf"', "1e999", '"1e999"', "1e-99", "NaN"]
)
def test_numbers_that_are_no_money_are_parse_errors(number: str) -> None:
    with pytest.raises(ParseError):
        parse.Reader(s.OrderRow)(f'{{"amount":{number}}}'.encode())
    with pytest.raises(ParseError):
        parse.frame(f'{{"type":"price","data":{{"symbol":"A/B","bids":[[{number},1]]}}}}')


def test_decimals_are_kept_as_they_stand() -> None:
    row = parse.Reader(s.OrderRow)(b'{"price":0.1000000000000000055511,"amount":"15.16619854"}')
    assert str(row.price) == "0.1000000000000000055511"
    assert str(row.amount) == "15.16619854"


# -- balances --------------------------------------------------------------------------------------


def test_balances_are_read_by_account_type(sample: Any) -> None:
    payload = parse.BalancesReader()(sample("zc_C_rest_balances_response.json"))
    assert payload.timestamp == 1705382498277
    assert set(payload.accounts) == {
        *("custody", "prime", "prime_locked", "DiscountNote", "YieldEntryNotes")
    }
    prime = {b.currency: b for b in parse.balances(payload, "prime")}
    assert prime["AUD"].free == Decimal("3024064.624523521")
    assert prime["BTC"].free == Decimal("10.387466098753459")
    with pytest.raises(ParseError, match="custody, prime"):
        parse.balances(payload, "trading")


def test_balances_as_a_text_of_texts() -> None:
    """Dialect B's."""
    inner = json.dumps({"AUD": {"prime": {"free": "5", "total": "7", "used": "2"}}})
    body = json.dumps({"balances_data": inner, "status": "successful"}).encode()
    (balance,) = parse.balances(parse.balances_payload(body), "prime")
    assert (balance.currency, balance.free, balance.locked) == ("AUD", 5, 2)


def test_balances_that_contradict_each_other_are_a_parse_error() -> None:
    leaf, other = {"free": 1, "used": 0}, {"free": 2, "used": 0}
    with pytest.raises(ParseError, match="two ways"):
        parse.balances_payload(
            json.dumps({"AUD": {"prime": leaf}, "prime": {"AUD": other}}).encode()
        )


HOSTILE = [
    b"",
    b"\xff\xfe",
    b"[" * 5_000,
    b'{"data":' * 3_000,
    b'{"data":"' + b"\\" * 5_000 + b'"}',
    b"1e999999999",
    b'{"type":"price"}',
    b'{"type":"price","data":"{"}',
    b'{"type":"price","data":{"bids":[],"asks":[]}}',
    b'{"type":"price","data":{"symbol":"USDT/AUD","bids":[[1]],"asks":[]}}',
    b'{"type":"price","data":{"symbol":"USDT/AUD","bids":[[-1,1]],"asks":[]}}',
    b'{"type":"price","data":{"symbol":"USDT/AUD","bids":[],"asks":[],"timestamp":1692004676000}}',
    b'{"channel":"dma_ladder_price_A/B","data":{"symbol":"C/D","data":{"bids":[],"asks":[]}}}',
    b'{"channel":"dma_order_info","data":[]}',
    b'{"channel":"dma_order_info","data":"\\"\\"" }',
    b'{"type":"trade","data":{"id":7}}',
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_frames_are_parse_errors(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse.frame(data)


def test_frames_are_bounded() -> None:
    with pytest.raises(ParseError, match="at most"):
        parse.frame(b" " * (parse.MAX_FRAME_BYTES + 1))
