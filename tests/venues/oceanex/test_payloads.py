"""Every payload of the venue's document through the schemas and parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import AggressorSide, BarType, InstrumentId

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.oceanex import parse
from fairlead.adapters.oceanex import schemas as s
from fairlead.adapters.oceanex.http import NewOrder
from fairlead.engine.orders.model import Kind, OrderState, Side, TriggerCondition

DATA = Path(__file__).parents[2] / "data" / "oceanex"
SHARED = Path(__file__).parents[4] / "shared" / "venues" / "samples" / "oceanex"

REST = {
    "rest_deposit_address.json": s.DepositAddress,
    "rest_deposit_addresses.json": s.DepositAddressesData,
    "extra_public/rest_deposit_addresses_2023.json": s.DepositAddressesData,
    "rest_deposit_history.json": s.Deposits,
    "rest_fees_trading.json": list[s.TradingFee],
    "rest_k.json": list[s.Candle],
    "rest_key.json": list[s.ApiKey],
    "rest_markets.json": list[s.Market],
    "rest_members_me.json": s.Member,
    "rest_order_book.json": s.OrderBook,
    "rest_order_book_multi.json": list[s.OrderBook],
    "rest_order_delete.json": s.Order,
    "rest_order_delete_multi.json": list[s.Order],
    "rest_order_new_limit.json": s.Order,
    "rest_orders_clear.json": list[s.Order],
    "rest_orders_filter.json": list[s.OrderGroup],
    "rest_orders_multi.json": list[s.Order],
    "rest_orders_status.json": list[s.Order],
    "rest_ticker.json": s.TickerAt,
    "rest_tickers_all.repaired.json": dict[str, s.MarketTicker],
    "rest_tickers_multi.json": list[s.TickerAt],
    "rest_timestamp.json": int,
    "rest_trades.json": list[s.Trade],
    "rest_withdraw_history.json": s.Withdrawals,
    "rest_withdraw_special_new.json": s.Withdrawal,
}
ROWS = {
    "extra_public/rest_markets_show_details_row.json": s.Market,
    "extra_public/rest_order_row_2023.json": s.Order,
    "extra_public/rest_trades_row_2022.json": s.Trade,
}
PUSH = (
    "ws_order_book_update.json",
    "ws_tickers.json",
    "ws_trades.json",
    "extra_public/ws_order_book_update_double_encoded.json",
    "extra_public/ws_tickers_double_encoded.json",
    "extra_public/ws_trades_double_encoded.json",
    "extra_public/pusher_connection_established.json",
    "extra_public/pusher_error_4001.json",
    "extra_public/pusher_error_4007.json",
    "extra_public/pusher_error_5001.json",
    "extra_public/pusher_error_duplicate_subscription.json",
    "extra_public/pusher_ping.json",
    "extra_public/pusher_pong.json",
    "extra_public/pusher_subscription_succeeded.json",
    "extra_public/pusher_unsubscribe.json",
    "ws_sub_order_book.json",
    "ws_sub_tickers.json",
    "ws_sub_trades.json",
)
ERRORS = (
    "err_1008_key_disabled.json",
    "err_1010_token_verification_failed.json",
    "err_1011_ip_not_allowed.repaired.json",
    "err_1011_ip_not_allowed.raw.txt",
    "err_9003_no_permission.repaired.json",
    "err_9003_no_permission.raw.txt",
    "extra_public/err_rate_limit_wrapped.json",
)
# Payloads of the query WebSocket, which the adapter doesn't use, and requests.
UNUSED = ("req_", "extra_public/wsv1_", "extra_public/req_", "rest_tickers_all.raw.txt")


def data_of(name: str, type_: Any) -> Any:
    answer = parse.envelope((DATA / name).read_bytes())
    assert answer.code == 0
    return Answer(type_)(answer.data)


def test_every_sample_has_a_test() -> None:
    names = {str(path.relative_to(DATA)) for path in DATA.rglob("*.*")}
    covered = set(REST) | set(ROWS) | set(PUSH) | set(ERRORS)
    assert {name for name in names - covered if not name.startswith(UNUSED)} == set()
    assert covered <= names


def test_samples_are_the_ones_of_the_document() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the venue document's samples are not at {SHARED}")
    for path in SHARED.rglob("*.*"):
        assert (DATA / path.relative_to(SHARED)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", REST)
def test_rest_payload_decodes_without_loss(name: str) -> None:
    """Every field of the payload that the schema names comes back with its value."""
    decoded = msgspec.to_builtins(data_of(name, REST[name]))
    raw = json.loads((DATA / name).read_bytes(), parse_float=Decimal)["data"]
    assert_contains(decoded, raw, name)


def assert_contains(decoded: Any, raw: Any, where: str) -> None:
    if isinstance(raw, dict):
        missing = set(raw) - set(decoded)
        assert not missing, f"{where}: fields {missing} are not in the schema"
        for name, value in raw.items():
            assert_contains(decoded[name], value, f"{where}.{name}")
    elif isinstance(raw, list):
        assert len(decoded) == len(raw)
        for index, value in enumerate(raw):
            assert_contains(decoded[index], value, f"{where}[{index}]")
    elif raw is None or isinstance(raw, bool):
        assert decoded is raw, where
    elif str(decoded) != str(raw):
        assert Decimal(str(decoded)) == Decimal(str(raw)), where


@pytest.mark.parametrize("name", ROWS)
def test_row_decodes(name: str) -> None:
    body = (DATA / name).read_bytes()
    decoded = msgspec.to_builtins(Answer(ROWS[name])(body))
    assert_contains(decoded, json.loads(body), name)


@pytest.mark.parametrize("name", PUSH)
def test_push_frame_opens(name: str) -> None:
    body = (DATA / name).read_bytes()
    assert parse.frame(body).event == json.loads(body)["event"]


@pytest.mark.parametrize("name", ERRORS)
def test_error_opens_with_its_code(name: str) -> None:
    answer = parse.envelope((DATA / name).read_bytes())
    code, message, wrapped = parse.opened_error(answer)
    assert message
    if "wrapped" in name:
        assert (code, wrapped) == (2002, True)
    else:
        assert (code, wrapped) == (int(name.split("_")[1]), False)


def test_order_rows_become_orders() -> None:
    rows = data_of("rest_order_delete_multi.json", list[s.Order])
    done, waiting = (parse.order(row, "VET_ETH.OCEANEX") for row in rows)
    assert (done.state, done.filled, done.avg_price) == (
        OrderState.FILLED,
        Decimal("0.2"),
        Decimal("1001.0"),
    )
    assert (waiting.state, waiting.filled, waiting.avg_price) == (OrderState.OPEN, 0, None)
    assert done.ts_created == 1547771898 * 10**9
    assert (done.side, waiting.side) == (Side.BUY, Side.SELL)
    assert done.trades_count == 1


@pytest.mark.parametrize("created_on", ['"1547771898"', "1547771898"])
def test_created_on_is_text_or_number(created_on: str) -> None:
    body = (
        b'{"id":1,"side":"buy","volume":"1","state":"wait","created_on":%s}' % created_on.encode()
    )
    row = Answer(s.Order)(body)
    assert parse.order(row, "X.Y").ts_created == 1547771898 * 10**9


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("wait", OrderState.OPEN),
        ("wait_trigger", OrderState.WAITING),
        ("cancelling", OrderState.CANCELLING),
        ("cancel", OrderState.CANCELED),
        ("done", OrderState.FILLED),
    ],
)
def test_states(state: str, expected: OrderState) -> None:
    row = s.Order(id=1, side="buy", volume=Decimal(1), state=state)
    assert parse.order(row, "X.Y").state is expected


@pytest.mark.parametrize(
    ("side", "condition", "kind"),
    [
        ("buy", "gte", Kind.STOP_LIMIT),
        ("buy", "lte", Kind.LIMIT_IF_TOUCHED),
        ("sell", "lte", Kind.STOP_LIMIT),
        ("sell", "gte", Kind.LIMIT_IF_TOUCHED),
    ],
)
def test_trigger_direction_comes_from_the_condition(side: str, condition: str, kind: Kind) -> None:
    row = s.Order(
        id=1,
        side=side,
        volume=Decimal(1),
        state="wait",
        ord_type="stop_limit",
        price=Decimal(10),
        stop_price=Decimal(9),
        trigger_condition=condition,
    )
    order = parse.order(row, "X.Y")
    assert (order.kind, order.trigger_condition, order.triggered) == (
        kind,
        TriggerCondition(condition),
        True,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"side": "both"},
        {"state": "gone"},
        {"ord_type": "stop_market"},
        {"executed_volume": Decimal(2)},
        {"executed_volume": Decimal(-1)},
        {"volume": Decimal("NaN")},
        {"volume": Decimal("1e500")},
        {"created_on": -1},
        {"created_on": 10**18},
        {"trigger_condition": "above"},
    ],
)
def test_impossible_orders_are_parse_errors(change: dict[str, Any]) -> None:
    row = s.Order(id=1, side="buy", volume=Decimal(1), state="wait")
    with pytest.raises(ParseError):
        parse.order(msgspec.structs.replace(row, **change), "X.Y")


def test_trades_of_2019_have_no_aggressor_and_of_2022_have() -> None:
    iid = InstrumentId.from_str("VET_ETH.OCEANEX")
    old = data_of("rest_trades.json", list[s.Trade])[0]
    tick = parse.trade(old, iid, Numbers(8, 4))
    assert tick.aggressor_side == AggressorSide.NO_AGGRESSOR
    assert (str(tick.price), str(tick.size), str(tick.trade_id)) == (
        "0.00003526",
        "6953.0000",
        "1018348",
    )
    new = Answer(s.Trade)((DATA / "extra_public/rest_trades_row_2022.json").read_bytes())
    assert parse.trade(new, iid, Numbers(2, 5)).aggressor_side == AggressorSide.BUY


def test_candles_are_stamped_with_their_close() -> None:
    bar_type = BarType.from_str("BTC_USDT.OCEANEX-5-MINUTE-LAST-EXTERNAL")
    candles = data_of("rest_k.json", list[s.Candle])
    first = parse.bar(candles[0], bar_type, Numbers(2, 6), 5)
    assert first.ts_event == (1559232000 + 300) * 10**9
    assert [str(x) for x in (first.open, first.high, first.low, first.close, first.volume)] == [
        "8889.22",
        "9028.52",
        "8889.22",
        "9028.52",
        "0.312100",
    ]


def test_candle_floats_are_rounded_to_the_precision() -> None:
    bar_type = BarType.from_str("BTC_USDT.OCEANEX-1-MINUTE-LAST-EXTERNAL")
    candle = Answer(s.Candle)(b"[1559232000,1.1,1.1,1.1,1.1,0.31210000000000004]")
    assert str(parse.bar(candle, bar_type, Numbers(2, 6), 1).volume) == "0.312100"


def test_balances_are_upper_case() -> None:
    found = parse.balances(data_of("rest_members_me.json", s.Member))
    assert [(b.currency, b.free, b.locked) for b in found] == [
        ("VET", Decimal("1967.031"), 0),
        ("BTC", 0, 0),
        ("ETH", 0, 0),
    ]


def test_requests_have_the_document_s_fields() -> None:
    documented = json.loads((DATA / "req_order_new_stop_limit.json").read_bytes())
    order = NewOrder(
        market="veteth",
        side="buy",
        volume="20",
        price="1000",
        ord_type="stop_limit",
        stop_price="900",
        trigger_condition="lte",
    )
    assert msgspec.to_builtins(order) == {
        name: str(value) if isinstance(value, int) else value for name, value in documented.items()
    }


TOTAL: dict[str, Callable[[bytes], object]] = {
    "frame": parse.frame,
    "envelope": parse.envelope,
    "order": lambda data: parse.order(Answer(s.Order)(data), "X.Y"),
    "member": lambda data: parse.balances(Answer(s.Member)(data)),
}


@pytest.mark.parametrize("name", TOTAL)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"a":' * 3_000,
        b"1e999999999",
        b'{"id":1,"side":"buy","volume":"1e999999","state":"wait"}',
        b'{"id":1,"side":"buy","volume":"sNaN","state":"wait"}',
        b'{"accounts":[{"currency":"x","balance":"Infinity","locked":"0"}]}',
    ],
    ids=range(8),
)
def test_hostile_bytes_are_parse_errors(name: str, data: bytes) -> None:
    with pytest.raises(ParseError):
        TOTAL[name](data)


def test_frames_are_bounded() -> None:
    with pytest.raises(ParseError, match="at most"):
        parse.frame(b" " * (parse.MAX_FRAME_BYTES + 1))
