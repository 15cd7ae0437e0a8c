"""Instruments, status, history, bars, tickers, and what every other sample becomes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import BarType, InstrumentStatus, MarketStatusAction, OrderBookDeltas

from fairlead.adapters.base.venue import Feed, FeedKind, ParseError, Subscribed, VenueError
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.instruments import venue_instruments
from fairlead.adapters.poloniex.symbols import INTERVALS, bar_type_text
from fairlead.adapters.poloniex.venue import SPEC, PoloniexAdapter
from fairlead.adapters.poloniex.websocket import PublicStream
from tests.venues.poloniex.conftest import Clock, make_adapter
from tests.venues.poloniex.support import (
    BTC,
    DATA,
    HTML,
    INSTRUMENTS,
    ScriptedRest,
    http_error,
    payload,
    recorded_markets,
)


def stream(**kwargs: Any) -> PublicStream:
    return PublicStream(url="", venue="POLONIEX", instruments=INSTRUMENTS, **kwargs)


def take(public: PublicStream, message: Any, ts: int = 1) -> list[Any]:
    return list(public.received(json.dumps(message), ts))


# -- instruments ----------------------------------------------------------------------------------


def test_markets_become_instruments_with_their_precisions() -> None:
    fees = msgspec.json.decode((DATA / "polo_rest_feeinfo.json").read_bytes(), type=s.FeeInfo)
    found = venue_instruments(recorded_markets(), "POLONIEX", fees)
    btc = found[BTC]
    assert (btc.price_precision, btc.size_precision) == (2, 6)
    assert str(btc.nautilus.price_increment) == "0.01"
    assert str(btc.nautilus.size_increment) == "0.000001"
    assert (btc.min_quantity, btc.min_notional) == (Decimal("0.000001"), Decimal(1))
    assert (btc.maker_fee, btc.taker_fee) == (Decimal("0.00145"), Decimal("0.00155"))
    assert btc.buy_fee_in_base


def test_coarse_minimum_and_fine_tick() -> None:
    markets = msgspec.json.decode(
        (DATA / "polo_rest_markets_4.json").read_bytes(), type=list[s.Market]
    )
    bts = venue_instruments(markets, "POLONIEX", None)["BTS_BTC.POLONIEX"]
    assert str(bts.nautilus.price_increment) == "0.0000000001"
    assert str(bts.nautilus.size_increment) == "1"
    assert str(bts.nautilus.min_quantity) == "100"


@pytest.mark.parametrize(
    ("state", "tradable"),
    [
        ("NORMAL", True),
        ("POST_ONLY", True),
        ("PAUSE", False),
        ("OFFLINE", False),
        ("NEW", False),
        ("UNKNOWN", False),
        ("ALL", False),
    ],
)
def test_markets_of_every_state_are_kept(state: str, tradable: bool) -> None:
    market = msgspec.structs.replace(recorded_markets()[0], state=state)
    (found,) = venue_instruments([market], "POLONIEX", None).values()
    assert (found.tradable, found.state) == (tradable, state)


def test_a_market_that_cant_be_read_is_left_out() -> None:
    good = recorded_markets()[0]
    bad = msgspec.structs.replace(good, symbol="", base_currency_name="")
    assert len(venue_instruments([bad, good], "POLONIEX", None)) == 1


async def test_connect_for_data_and_for_trading(rest: ScriptedRest, clock: Clock) -> None:
    rest.on("GET", "/markets", json.loads((DATA / "recorded_markets.json").read_text()))
    rest.on("GET", "/feeinfo", payload("rest_feeinfo"))
    rest.on("GET", "/accounts/balances", payload("rest_accounts_balances"))
    account = {"accountId": "1", "accountType": "SPOT", "accountState": "NORMAL"}
    rest.on("GET", "/accounts", [account])
    adapter = make_adapter(rest, clock)
    await adapter.connect(trading=True)
    assert adapter.instruments[BTC].taker_fee == Decimal("0.00155")
    assert [c.path for c in rest.calls] == [
        "/timestamp",
        "/accounts/balances",
        "/accounts",
        "/feeinfo",
        "/markets",
    ]
    rest.on("GET", "/accounts", [account | {"accountState": "LOCKED"}])
    with pytest.raises(VenueError) as caught:
        await adapter.connect(trading=True)
    assert caught.value.code == "POLONIEX-ACCOUNT"
    rest.on("GET", "/markets", HTML)
    with pytest.raises(VenueError):
        await adapter.connect(trading=False)


async def test_the_switch_is_armed_renewed_and_disarmed(rest: ScriptedRest, clock: Clock) -> None:
    rest.on("GET", "/markets", json.loads((DATA / "recorded_markets.json").read_text()))
    rest.on("GET", "/feeinfo", payload("rest_feeinfo"))
    rest.on("GET", "/accounts/balances", payload("rest_accounts_balances"))
    rest.on(
        "GET", "/accounts", [{"accountId": "1", "accountType": "SPOT", "accountState": "NORMAL"}]
    )
    rest.on("POST", "/orders/killSwitch", {"startTime": 1, "cancellationTime": 2})
    adapter = make_adapter(rest, clock, dead_mans_switch_secs=30)
    await adapter.connect(trading=True)
    await adapter.close()
    sent = [c.body["timeout"] for c in rest.sent("POST", "/orders/killSwitch")]
    assert sent == ["30", "-1"]


# -- status ---------------------------------------------------------------------------------------


def test_symbol_and_exchange_states_become_instrument_status() -> None:
    public = stream()
    public.subscribe(Feed(FeedKind.TRADES, BTC))
    paused = {"channel": "symbols", "data": [{"symbol": "BTC_USDT", "state": "PAUSE"}]}
    (status,) = take(public, paused | {"action": "update"})
    assert isinstance(status, InstrumentStatus)
    assert (status.action, status.is_trading) == (MarketStatusAction.PAUSE, False)
    assert take(public, paused) == []  # told once
    exchange = {"channel": "exchange", "action": "snapshot"}
    assert take(public, exchange | {"data": [{"MM": "OFF", "POM": "OFF"}]}) == []
    (status,) = take(public, exchange | {"data": [{"MM": "ON", "POM": "OFF"}]})
    assert status.action == MarketStatusAction.SUSPEND
    (status,) = take(public, exchange | {"data": [{"MM": False, "POM": True}]})
    assert status.action == MarketStatusAction.QUOTING
    (status,) = take(public, exchange | {"data": [{"MM": "OFF", "POM": "OFF"}]})
    assert status.action == MarketStatusAction.PAUSE  # the symbol's own state again


# -- subscriptions --------------------------------------------------------------------------------


def frames(sent: Any) -> list[dict[str, Any]]:
    return [json.loads(f) for f in sent]


def test_subscribe_and_unsubscribe() -> None:
    public = stream(status_channels=False)
    book = Feed(FeedKind.BOOK, BTC)
    assert frames(public.subscribe(book)) == [
        {"event": "subscribe", "channel": ["book_lv2"], "symbols": ["BTC_USDT"]}
    ]
    assert public.subscribe(book) == ()
    ack = payload("ws_sub_ack_book_lv2")
    assert take(public, ack) == [Subscribed(book)]
    del ack["symbols"]  # may be missing
    assert take(public, ack) == [Subscribed(book)]
    assert frames(public.unsubscribe(book)) == [
        {"event": "unsubscribe", "channel": ["book_lv2"], "symbols": ["BTC_USDT"]}
    ]
    assert public.unsubscribe(book) == ()
    assert public.opened(0) == []


def test_shallow_depths_use_the_book_channel() -> None:
    public = stream(status_channels=False)
    five = Feed(FeedKind.BOOK, BTC, depth=5)
    assert frames(public.subscribe(five)) == [
        {"event": "subscribe", "channel": ["book"], "symbols": ["BTC_USDT"], "depth": 5}
    ]
    whole = payload("ws_book_lv2_snapshot") | {"channel": "book"}
    del whole["action"]
    for side in ("asks", "bids"):
        whole["data"][0][side] = whole["data"][0][side][:5]
    (deltas,) = take(public, whole)
    assert isinstance(deltas, OrderBookDeltas)
    assert len(deltas.deltas) == 11
    older = json.loads(json.dumps(whole))
    older["data"][0]["ts"] -= 1
    assert take(public, older) == []
    deep = Feed(FeedKind.BOOK, BTC, depth=20)
    assert [(f["event"], f["channel"]) for f in frames(public.subscribe(deep))] == [
        ("unsubscribe", ["book"]),
        ("subscribe", ["book_lv2"]),
    ]
    assert take(public, whole) == []  # on its way when the channel changed
    assert public.unsubscribe(five) == []
    assert len(public.unsubscribe(deep)) == 1


def test_unknown_instruments_and_bar_lengths_are_refused() -> None:
    public = stream()
    with pytest.raises(KeyError):
        public.subscribe(Feed(FeedKind.BOOK, "NO_SUCH.POLONIEX"))
    with pytest.raises(KeyError):
        public.subscribe(Feed(FeedKind.BARS, BTC, bar_minutes=7))


# -- bars, ticker ---------------------------------------------------------------------------------


def test_a_bar_closes_when_a_later_candle_begins() -> None:
    public = stream(status_channels=False)
    assert frames(public.subscribe(Feed(FeedKind.BARS, BTC, bar_minutes=1)))[0]["channel"] == [
        "candles_minute_1"
    ]
    candle = payload("ws_candles")
    assert take(public, candle) == []
    last = json.loads(json.dumps(candle))
    last["data"][0] |= {"close": "24840.00", "high": "24840.00", "ts": 1676942519000}
    assert take(public, last) == []
    later = json.loads(json.dumps(candle))
    later["data"][0] |= {"startTime": 1676942520000, "closeTime": 1676942579999}
    (bar,) = take(public, later, 9)
    assert str(bar.bar_type) == f"{BTC}-1-MINUTE-LAST-EXTERNAL"
    assert (str(bar.open), str(bar.high), str(bar.low), str(bar.close)) == (
        "24832.35",
        "24840.00",
        "24832.35",
        "24840.00",
    )
    assert str(bar.volume) == "0.033856"
    assert bar.ts_event == 1676942520000 * 1_000_000
    assert take(public, candle) == []  # older than the open one
    public.opened(10)
    assert take(public, later) == []  # a candle from before a gap is not closed by guess


def test_every_interval_is_a_nautilus_bar_type() -> None:
    for minutes in INTERVALS:
        BarType.from_str(bar_type_text(BTC, minutes))


def test_the_ticker_gives_the_mark_price() -> None:
    public = stream()
    public.subscribe(Feed(FeedKind.TICKER, BTC))
    (mark,) = take(public, payload("ws_ticker"))
    assert str(mark.value) == "23151.09"
    ticker = payload("ws_ticker")
    del ticker["data"][0]["markPrice"]
    assert take(public, ticker) == []


# -- history --------------------------------------------------------------------------------------


async def test_history_trades_oldest_first(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    row = payload("rest_public_trades")[0]
    rows = [row | {"id": str(9 - i), "createTime": row["createTime"] - i} for i in range(3)]
    rest.on("GET", "/markets/BTC_USDT/trades", rows)
    ticks = await adapter.market_data.history_trades(BTC, None, None, 2)
    assert [str(t.trade_id) for t in ticks] == ["8", "9"]
    assert str(ticks[0].size) == "0.000090"
    assert ticks[0].aggressor_side.name == "SELL"


async def test_history_bars_page_and_leave_the_open_one_out(
    adapter: PoloniexAdapter, rest: ScriptedRest, clock: Clock
) -> None:
    base = payload("rest_candles")[0]
    now_ms = clock.ns // 1_000_000
    first = now_ms - now_ms % 300_000 - 699 * 300_000

    def page(call: Any) -> list[Any]:
        start, end = int(call.query["startTime"]), int(call.query["endTime"])
        starts = [first + i * 300_000 for i in range(700)]
        assert end - start < 500 * 300_000
        return [[*base[:12], t, t + 299_999] for t in starts if start <= t <= end]

    rest.on("GET", "/markets/BTC_USDT/candles", page)
    bars = await adapter.market_data.history_bars(
        f"{BTC}-5-MINUTE-LAST-EXTERNAL", first * 1_000_000, None, 10_000
    )
    assert len(bars) == 699  # the last one is open
    assert len(rest.calls) == 2
    assert [b.ts_event for b in bars] == sorted({b.ts_event for b in bars})
    assert (str(bars[0].low), str(bars[0].high)) == ("22814.01", "22937.42")
    assert (str(bars[0].open), str(bars[0].close)) == ("22832.57", "22937.42")
    few = await adapter.market_data.history_bars(f"{BTC}-5-MINUTE-LAST-EXTERNAL", None, None, 10)
    assert few == bars[-10:]
    with pytest.raises(VenueError):
        await adapter.market_data.history_bars(f"{BTC}-3-MINUTE-LAST-EXTERNAL", None, None, 10)


async def test_rest_book(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/markets/BTC_USDT/orderBook", payload("rest_orderbook"))
    deltas = await adapter.market_data.book_snapshot(BTC, 7)
    assert rest.calls[-1].query["limit"] == "10"
    assert len(deltas.deltas) == 21
    odd = payload("rest_orderbook")
    odd["asks"].pop()
    rest.on("GET", "/markets/BTC_USDT/orderBook", odd)
    with pytest.raises(VenueError):
        await adapter.market_data.book_snapshot(BTC, 10)
    rest.on("GET", "/markets/BTC_USDT/orderBook", http_error(400, 24101))
    with pytest.raises(VenueError) as caught:
        await adapter.market_data.book_snapshot(BTC, 10)
    assert caught.value.code == "POLONIEX-24101"


# -- samples and options --------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(DATA.glob("polo_ws_*.json")), ids=lambda p: p.stem)
def test_every_websocket_sample_is_understood(path: Any, adapter: PoloniexAdapter) -> None:
    """Either stream takes each sample that the venue sends, whole and as bytes."""
    public, private = stream(), adapter.private_stream()
    assert private is not None
    private.opened(0)
    for kind in (FeedKind.BOOK, FeedKind.TRADES, FeedKind.TICKER):
        public.subscribe(Feed(kind, BTC))
    frame = path.read_bytes()
    if path.stem == "polo_ws_orders_trade_record":
        frame = b'{"channel":"orders","data":[' + frame + b"]}"
    if path.stem.endswith("_request"):
        return  # what clients send
    is_private = any(w in path.stem for w in ("orders", "balances", "auth", "Order", "trade_req"))
    list((private if is_private else public).received(frame, 1))
    if not is_private:
        assert list(stream().received(frame, 1)) is not None


def test_options_are_strict_and_documented() -> None:
    assert msgspec.convert({}, PoloniexOptions) == PoloniexOptions()
    for bad in ({"no_such": 1}, {"market_buy": "guess"}, {"dead_mans_switch_secs": 5}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, PoloniexOptions)
    schema = msgspec.json.schema(PoloniexOptions)
    properties = schema["$defs"]["PoloniexOptions"]["properties"]
    assert all("description" in p for p in properties.values())


def test_spec() -> None:
    can = SPEC.capabilities
    assert can.client_order_ids
    assert can.private_stream
    assert can.reports_fills
    assert can.replace
    assert can.post_only
    assert can.batch_submit_max == 20
    assert [c.name for c in SPEC.credentials] == ["key", "secret"]


def test_parse_error_names_its_parser() -> None:
    with pytest.raises(ParseError) as caught:
        stream().received(b"<html>", 1)
    assert caught.value.where == "frame"
