"""Every payload of the venue's document through the schemas and parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import AggressorSide, InstrumentId

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.piexgo import parse
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.symbols import instrument_id, rest_symbol, split_symbol, topic
from fairlead.engine.orders.model import Kind, OrderState, Side

SAMPLES = Path(__file__).parent / "samples"
SHARED = Path(__file__).parents[4] / "shared" / "venues" / "samples" / "piexgo"
BTC = InstrumentId.from_str("BTC_USDT.PIEXGO")

REST = {
    "extra_public/rest_account.json": s.Account,
    "extra_public/rest_cancel_response.json": s.Envelope,
    "extra_public/rest_canceled_history.json": s.OrderPage,
    "extra_public/rest_error.json": s.Envelope,
    "extra_public/rest_open_orders.json": s.OrderPage,
    "extra_public/rest_order_info.json": s.OrderInfo,
    "extra_public/rest_order_new_response.json": s.Created,
    "extra_public/rest_time.json": s.ServerTime,
    "extra_public/rest_v1_order_book.json": s.OrderBook,
    "extra_public/rest_v1_symbols.json": s.Symbols,
    "extra_public/rest_v1_ticker.json": s.OneTicker,
    "extra_public/rest_v1_tickers.json": s.Tickers,
    "extra_public/rest_v1_trades.json": s.Trades,
    "extra_public/rest_v2_assets.json": list[s.AssetV2],
    "extra_public/rest_v2_ticker.json": dict[str, s.TickerV2],
    "extra_public/rest_v2_trades.json": list[s.Deal],
}
STREAM = ("ws_dealinfo.json", "ws_depth.json", "ws_pinfo_balance.json", "ws_pinfo_order.json")
SUBSCRIPTIONS = {
    "ws_sub_dealinfo.json": ("subscribe", "dealinfo.btc_usdt"),
    "ws_sub_depth.json": ("subscribe", "depth.btc_usdt"),
    "ws_sub_pinfo_seed_unauthenticated.json": ("subscribe", "pinfo"),
    "ws_unsub_dealinfo.json": ("unsubscribe", "dealinfo.btc_usdt"),
    "ws_unsub_depth.json": ("unsubscribe", "depth.btc_usdt"),
    "ws_unsub_pinfo.json": ("unsubscribe", "pinfo"),
    "extra_public/ws_sub_pinfo_signed.json": ("subscribe", "pinfo"),
}
# Payloads that the document describes in a table, without an example.
BOOK_V2 = (
    b'{"BTC_USDT":{"asks":[{"price":"11003","quantity":"0.5"},{"price":"11002.5","quantity":"1"}],'
    b'"bids":[{"price":"11001","quantity":"0.3"},{"price":"11001.5","quantity":"2"}],'
    b'"timestamp":1571901738933}}'
)
VOLUME_V2 = b'{"BTC_USDT":{"BTC":264.5,"USDT":1411528.22}}'


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def frame(name: str) -> s.Frame:
    return parse.frame(sample(name))


def test_every_sample_has_a_test() -> None:
    names = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*.*")}
    assert set(REST) | set(STREAM) | set(SUBSCRIPTIONS) == names


def test_samples_are_the_ones_of_the_document() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the venue document's samples are not at {SHARED}")
    for path in SHARED.rglob("*.*"):
        assert (SAMPLES / path.relative_to(SHARED)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", REST)
def test_rest_payload_decodes_without_loss(name: str) -> None:
    """Every field of the payload comes back with its value, to the last digit."""
    body = sample(name)
    decoded = msgspec.to_builtins(parse.Reader(REST[name])(body))
    assert_contains(decoded, json.loads(body, parse_float=Decimal), name)


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
    elif isinstance(raw, bool):
        assert decoded is raw, where
    elif str(decoded) != str(raw):
        assert Decimal(str(decoded)) == Decimal(str(raw)), where


def test_payloads_that_the_document_only_describes() -> None:
    books = parse.Reader(dict[str, s.OrderBookV2])(BOOK_V2)
    asks, bids = parse.sides(books["BTC_USDT"], 2, 4)
    assert asks == [("11003", "0.5"), ("11002.5", "1")]
    assert bids == [("11001", "0.3"), ("11001.5", "2")]
    volumes = parse.Reader(dict[str, dict[str, Decimal]])(VOLUME_V2)
    assert volumes["BTC_USDT"]["USDT"] == Decimal("1411528.22")


def test_one_trade_or_one_ticker_where_an_array_belongs() -> None:
    one = parse.Reader(s.Trades)(sample("extra_public/rest_v1_trades.json"))
    many = json.loads(sample("extra_public/rest_v1_trades.json"))
    many["data"] = [many["data"]] * 2
    assert parse.Reader(s.Trades)(json.dumps(many).encode()).deals == one.deals * 2
    tickers = parse.Reader(s.Tickers)(sample("extra_public/rest_v1_tickers.json"))
    assert [ticker.symbol for ticker in tickers.tickers] == ["ETH_BTC"]


# -- names -----------------------------------------------------------------------------------------


def test_symbols_are_in_the_case_of_their_channel() -> None:
    for symbol in ("btc_usdt", "BTC_USDT"):
        assert split_symbol(symbol) == ("BTC", "USDT")
        assert rest_symbol(symbol) == "BTC_USDT"
        assert instrument_id(symbol, "PIEXGO") == "BTC_USDT.PIEXGO"
        assert topic("depth", symbol) == "depth.btc_usdt"


@pytest.mark.parametrize("text", ["", "btcusdt", "BTC_USDT_X", "BTC-USDT", "_", "\u0131_b", "a_b "])
def test_what_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        split_symbol(text)


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_topics_of_subscriptions(name: str) -> None:
    op, asked = SUBSCRIPTIONS[name]
    message = json.loads(sample(name))
    assert (message["op"], message["topic"]) == (op, asked)
    channel, _, symbol = asked.partition(".")
    assert not symbol or topic(channel, symbol) == asked


# -- stream ----------------------------------------------------------------------------------------


def test_a_book_has_the_digits_that_came() -> None:
    book = parse.depth(frame("ws_depth.json"), 2, 4)
    assert book.change_id == 36296
    assert book.bids[0] == ("3990.67", "0.21")
    assert book.asks == [
        ("3990.69", "0.07"),
        ("3990.89", "0.18"),
        ("3991.01", "1.4"),
        ("3991.28", "1.97"),
        ("3991.29", "0.46"),
    ]


def test_deals_get_ids_that_are_always_the_same() -> None:
    rows, faults = parse.deals(frame("ws_dealinfo.json"))
    assert faults == []
    names, numbers = parse.DealNames(), Numbers(2, 4)
    first, second = [parse.tick(row, names, BTC, numbers, 7) for row in rows]
    assert first.ts_event == 1553326491272 * 10**6
    assert first.ts_init == 7
    assert first.aggressor_side == AggressorSide.BUY
    assert (str(first.price), str(first.size)) == ("4003.90", "0.0151")
    again = [parse.tick(row, parse.DealNames(), BTC, numbers, 9) for row in rows]
    assert [tick.trade_id for tick in again] == [first.trade_id, second.trade_id]
    assert first.trade_id.value == "1553326491272-2bd53ed8cd27-0"
    by_rest = parse.ticks(reversed(rows), BTC, numbers)
    assert [tick.trade_id for tick in by_rest] == [first.trade_id, second.trade_id]


def test_identical_deals_are_told_apart() -> None:
    rows, _ = parse.deals(frame("ws_dealinfo.json"))
    names = parse.DealNames()
    found = [parse.tick(rows[0], names, BTC, Numbers(2, 4), 7).trade_id.value for _ in range(3)]
    assert len(set(found)) == 3
    assert [name.rsplit("-", 1)[1] for name in found] == ["0", "1", "2"]


def test_rest_trades_come_oldest_first() -> None:
    rows = parse.Reader(list[s.Deal])(sample("extra_public/rest_v2_trades.json"))
    found = parse.ticks(rows, BTC, Numbers(4, 4))
    assert [tick.ts_event // 10**6 for tick in found] == [1553821666904, 1571901738933]


def test_a_pushed_order() -> None:
    found = parse.private(frame("ws_pinfo_order.json"), "PIEXGO")
    assert not isinstance(found, s.BalanceEvent)
    assert (found.venue_order_id, found.instrument) == ("1136203593297424385", "BTC_USDT.PIEXGO")
    assert (found.side, found.kind, found.state) == (Side.BUY, Kind.LIMIT, OrderState.FILLED)
    assert found.price == Decimal("7831.16")
    assert found.avg_price == Decimal("7828.0752")  # `price` is that, rounded
    assert found.ts_created == 1559734776 * 10**9
    assert found.ts_updated == 1559734776923657000
    assert (found.trigger_price, found.client_order_id) == (None, None)


def test_a_pushed_balance() -> None:
    found = parse.private(frame("ws_pinfo_balance.json"), "PIEXGO")
    assert isinstance(found, s.BalanceEvent)
    assert (found.token, found.value) == ("BTC", Decimal("10000991076.10471725"))
    assert (found.type, found.id) == ("balance", 10897125)


# -- orders and balances of REST -------------------------------------------------------------------


def orders(name: str) -> list[s.Order]:
    return parse.Reader(s.OrderPage)(sample(name)).orders


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("extra_public/rest_open_orders.json", OrderState.OPEN),
        ("extra_public/rest_canceled_history.json", OrderState.CANCELED),
    ],
)
def test_rows_of_lists(name: str, state: OrderState) -> None:
    (row,) = orders(name)
    found = parse.order(row, "PIEXGO")
    assert (found.state, found.quantity, found.filled, found.avg_price) == (state, 2, 0, None)
    assert (found.price, found.trigger_price) == (Decimal("3330.48"), None)
    assert (found.ts_created, found.ts_updated) == (1553831017 * 10**9, 0)


def test_order_info() -> None:
    info = parse.Reader(s.OrderInfo)(sample("extra_public/rest_order_info.json"))
    found = parse.detail(info.data, "PIEXGO")
    # The example is open by its status, and filled by its volumes: those are counted.
    assert (found.state, found.filled, found.avg_price) == (
        OrderState.FILLED,
        2,
        Decimal("3330.48"),
    )
    assert (found.ts_created, found.ts_updated) == (1553831017 * 10**9, 1553848365 * 10**9)
    assert info.data.fee == Decimal("0.00029486")


def test_balances() -> None:
    account = parse.Reader(s.Account)(sample("extra_public/rest_account.json"))
    (usdt,) = parse.balances(account)
    assert (usdt.currency, usdt.free, usdt.locked) == ("USDT", Decimal("10048.28242756"), 0)


def row_of(**changes: Any) -> s.Order:
    (row,) = orders("extra_public/rest_open_orders.json")
    return msgspec.structs.replace(row, **changes)


@pytest.mark.parametrize(
    ("status", "remain", "amount", "state"),
    [
        (0, "2", "0", OrderState.OPEN),
        (0, "1.5", "1665", OrderState.OPEN),
        (0, "0", "6660", OrderState.FILLED),
        (2, "0", "6660", OrderState.FILLED),
        (4, "2", "0", OrderState.CANCELED),
        (4, "1.5", "1665", OrderState.CANCELED),
        (4, "0", "6660", OrderState.FILLED),
        (5, "2", "0", OrderState.REFUSED),
        (5, "1.5", "1665", OrderState.CANCELED),
    ],
)
def test_statuses(status: int, remain: str, amount: str, state: OrderState) -> None:
    row = row_of(status=status, remain=Decimal(remain), amount=Decimal(amount))
    found = parse.order(row, "PIEXGO")
    assert found.state is state
    assert found.filled == 2 - Decimal(remain)


@pytest.mark.parametrize(
    ("flag", "kind"), [(0, Kind.LIMIT), (1, Kind.MARKET), (2, Kind.STOP_LIMIT)]
)
def test_flags(flag: int, kind: Kind) -> None:
    found = parse.order(row_of(flag=flag, stop=Decimal(3300)), "PIEXGO")
    assert found.kind is kind
    assert found.price == (None if kind is Kind.MARKET else Decimal("3330.48"))
    assert found.trigger_price == (3300 if kind is Kind.STOP_LIMIT else None)
    assert found.trigger_condition is None  # the venue does not tell it


def test_a_stop_waits_and_has_fired() -> None:
    waiting = parse.order(row_of(flag=2, status=-1, stop=Decimal(3300)), "PIEXGO")
    assert (waiting.state, waiting.triggered) == (OrderState.WAITING, False)
    fired = parse.order(row_of(flag=2, status=0, stop=Decimal(3300)), "PIEXGO")
    assert (fired.state, fired.triggered) == (OrderState.OPEN, True)
    cancelled = parse.order(row_of(flag=2, status=4, stop=Decimal(3300)), "PIEXGO")
    assert (cancelled.state, cancelled.triggered) == (OrderState.CANCELED, False)


def test_a_market_order_that_found_no_more_is_over() -> None:
    row = row_of(flag=1, status=2, remain=Decimal("0.5"), amount=Decimal(4995))
    found = parse.order(row, "PIEXGO")
    assert (found.state, found.filled, found.avg_price) == (
        OrderState.CANCELED,
        Decimal("1.5"),
        3330,
    )


def test_differences_of_amounts_are_exact() -> None:
    """The average times what is filled is the amount again, so that differences are the fills."""
    fills = [("0.3", "3330.47"), ("0.0001", "3330.479"), ("1.6999", "3329.1")]
    filled = amount = Decimal(0)
    for quantity, price in fills:
        filled += Decimal(quantity)
        amount += Decimal(quantity) * Decimal(price)
        row = row_of(remain=2 - filled, amount=amount, price=round(amount / filled, 2))
        found = parse.order(row, "PIEXGO")
        assert found.avg_price is not None
        assert found.avg_price * found.filled == amount
        before = amount - Decimal(quantity) * Decimal(price)
        assert (found.avg_price * found.filled - before) / Decimal(quantity) == Decimal(price)


DECIMALS: list[tuple[Callable[[], object], str]] = [
    (lambda: parse.order(row_of(remain=Decimal(3)), "PIEXGO"), "remain"),
    (lambda: parse.order(row_of(remain=Decimal(-1)), "PIEXGO"), "remain"),
    (lambda: parse.order(row_of(volume=Decimal(0), remain=Decimal(0)), "PIEXGO"), "volume"),
    (lambda: parse.order(row_of(volume=Decimal("NaN")), "PIEXGO"), "finite"),
    (lambda: parse.order(row_of(volume=Decimal("Infinity")), "PIEXGO"), "finite"),
    (lambda: parse.order(row_of(volume=Decimal("1e400")), "PIEXGO"), "finite"),
    (lambda: parse.order(row_of(order_price=Decimal(0)), "PIEXGO"), "order_price"),
    (lambda: parse.order(row_of(order_price=Decimal(-1)), "PIEXGO"), "order_price"),
    (lambda: parse.order(row_of(amount=Decimal(1)), "PIEXGO"), "nothing is filled"),
    (lambda: parse.order(row_of(remain=Decimal(1), price=None), "PIEXGO"), "neither"),
    (lambda: parse.order(row_of(remain=Decimal(1), status=2), "PIEXGO"), "remain"),
    (lambda: parse.order(row_of(status=-1), "PIEXGO"), "status -1"),
    (lambda: parse.order(row_of(status=1), "PIEXGO"), "unknown status"),
    (lambda: parse.order(row_of(flag=3), "PIEXGO"), "flag"),
    (lambda: parse.order(row_of(type="limit"), "PIEXGO"), "buy or sell"),
    (lambda: parse.order(row_of(market=""), "PIEXGO"), "BASE_QUOTE"),
    (lambda: parse.order(row_of(order_id=""), "PIEXGO"), "order_id"),
    (lambda: parse.order(row_of(order_id="1,2"), "PIEXGO"), "order_id"),
    (lambda: parse.order(row_of(timestamp=1553831017000), "PIEXGO"), "seconds"),
    (lambda: parse.order(row_of(timestamp=1553831017 * 10**9), "PIEXGO"), "seconds"),
]


@pytest.mark.parametrize(("make", "words"), DECIMALS, ids=[f"{n}" for n in range(len(DECIMALS))])
def test_an_order_that_can_not_be_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ParseError, match=words):
        make()


def test_an_event_id_that_is_no_time_is_none() -> None:
    assert parse.order(row_of(id=10897125), "PIEXGO").ts_updated == 0


# -- bad input -------------------------------------------------------------------------------------


def changed(name: str, change: Callable[[Any], None]) -> s.Frame:
    message = json.loads(sample(name))
    change(message)
    return parse.frame(json.dumps(message).encode())


def test_numbers_that_are_empty_texts_are_not_there() -> None:
    def empty(message: Any) -> None:
        message["data"] |= {"stop": "", "market_price": "", "price": "", "id": ""}

    found = parse.private(changed("ws_pinfo_order.json", empty), "PIEXGO")
    assert not isinstance(found, s.BalanceEvent)
    assert (found.avg_price, found.ts_updated) == (Decimal("7828.0752"), 0)
    for needed in ("volume", "remain", "order_id", "market", "status", "flag"):
        with pytest.raises(ParseError):
            parse.private(
                changed("ws_pinfo_order.json", lambda m, n=needed: m["data"].update({n: ""})),
                "PIEXGO",
            )
    page = sample("extra_public/rest_open_orders.json").replace(b'"3330.4800000000"', b'""', 1)
    with pytest.raises(ParseError, match="order_price"):
        parse.order(parse.Reader(s.OrderPage)(page).orders[0], "PIEXGO")


def test_blank_deals_are_told_and_the_others_read() -> None:
    def blank(message: Any) -> None:
        whole = message["deals"][0]
        message["deals"] = [
            {},
            whole,
            None,
            whole | {"price": ""},
            whole,
            "",
            whole | {"time": None},
        ]

    rows, faults = parse.deals(changed("ws_dealinfo.json", blank))
    assert (len(rows), len(faults)) == (2, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"time": 1553326491},
        {"time": 1553326491272000},
        {"time": -1},
        {"direct": 2},
        {"price": "0"},
        {"vol": "0.0000"},
        {"price": "-1"},
        {"price": "NaN"},
        {"vol": "Infinity"},
        {"vol": "0.00001"},
        {"price": "1e30"},
    ],
)
def test_a_deal_that_can_not_be_is_refused(change: dict[str, Any]) -> None:
    message = changed("ws_dealinfo.json", lambda m: m["deals"][0].update(change))
    rows, faults = parse.deals(message)
    names = parse.DealNames()
    if not faults:
        with pytest.raises(ParseError):
            parse.tick(rows[0], names, BTC, Numbers(2, 4), 7)
    # Nothing is counted of what was refused.
    tick = parse.tick(rows[-1], names, BTC, Numbers(2, 4), 7)
    assert tick.trade_id.value.endswith("-0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.3", "0.3"),
        ("0.30000000000000004", "0.3000"),
        ("1e-4", "0.0001"),
        ("0.21", "0.21"),
        ("12", "12"),
        ("1.20000000", "1.2000"),
        ("3E+2", "300.0000"),
        ("0", "0"),
    ],
)
def test_levels_are_read_exactly(text: str, expected: str) -> None:
    raw = b'{"topic":"depth","sell_book":[{"price":5,"qty":%s}],"buy_book":[],"change_id":1}'
    book = parse.depth(parse.frame(raw % text.encode()), 2, 4)
    assert book.asks == [("5", expected)]


@pytest.mark.parametrize(
    "text", ["-1", "0.00015", "1.23456", '""', '"x"', "null", "1e400", '"NaN"', '"Infinity"', "[]"]
)
def test_levels_that_can_not_be_are_refused(text: str) -> None:
    raw = b'{"topic":"depth","sell_book":[{"price":5,"qty":%s}],"buy_book":[],"change_id":1}'
    with pytest.raises(ParseError):
        parse.depth(parse.frame(raw % text.encode()), 2, 4)


def test_json_in_a_text_is_opened() -> None:
    def quoted(message: Any) -> None:
        message["data"] = json.dumps(message["data"])

    plain = parse.private(frame("ws_pinfo_order.json"), "PIEXGO")
    assert parse.private(changed("ws_pinfo_order.json", quoted), "PIEXGO") == plain


@pytest.mark.parametrize("name", ["orderId", "OrderId", "order_Id"])
def test_another_spelling_of_a_field_is_no_field(name: str) -> None:
    def renamed(message: Any) -> None:
        message["data"][name] = message["data"].pop("order_id")

    with pytest.raises(ParseError, match="order_id"):
        parse.private(changed("ws_pinfo_order.json", renamed), "PIEXGO")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff", b'{"topic":1}', "\ud800"])
def test_a_frame_that_is_none(data: bytes | str) -> None:
    with pytest.raises(ParseError):
        parse.frame(data)


def test_a_frame_beyond_the_limit() -> None:
    with pytest.raises(ParseError, match="bytes"):
        parse.frame(b'{"topic":"%s"}' % (b"a" * parse.MAX_FRAME_BYTES))
