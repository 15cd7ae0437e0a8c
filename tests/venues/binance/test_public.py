"""Public data of the simulated Binance: both products, limits and refusals."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from tests.venues.binance.kit import START_NS, ask, get, quiet, refused, run, told, venue

BOTH = ("/api/v3", "/fapi/v1")


@pytest.mark.parametrize("api", BOTH)
def test_the_clock_and_the_symbols(api: str) -> None:
    at = venue()
    assert get(at, f"{api}/ping") == {}
    assert get(at, f"{api}/time") == {"serverTime": START_NS // 1_000_000}
    info = get(at, f"{api}/exchangeInfo")
    rows = {row["symbol"]: row for row in info["symbols"]}
    assert set(rows) == (
        {"BTCUSDT", "ETHUSDT", "ETHBTC"} if "v3" in api else {"BTCUSDT", "ETHUSDT"}
    )
    filters = {one["filterType"]: one for one in rows["BTCUSDT"]["filters"]}
    if api == "/api/v3":
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
        assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
        assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    else:
        assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
        assert filters["LOT_SIZE"]["stepSize"] == "0.001"
        assert filters["MIN_NOTIONAL"]["notional"] == "100"
        assert rows["BTCUSDT"]["contractType"] == "PERPETUAL"


@pytest.mark.parametrize("api", BOTH)
def test_book_trades_klines_and_tickers_are_of_one_market(api: str) -> None:
    at = venue()
    run(at, 20, step_ms=100)
    depth = get(at, f"{api}/depth", symbol="BTCUSDT", limit=20)
    assert len(depth["bids"]) == len(depth["asks"]) == 20
    best = get(at, f"{api}/ticker/bookTicker", symbol="BTCUSDT")
    assert [best["bidPrice"], best["bidQty"]] == depth["bids"][0]
    assert [best["askPrice"], best["askQty"]] == depth["asks"][0]
    trades = get(at, f"{api}/trades", symbol="BTCUSDT", limit=10)
    ids = [trade["id"] for trade in trades]
    assert ids == sorted(ids)
    assert len(ids) == 10
    assert get(at, f"{api}/ticker/price", symbol="BTCUSDT")["price"] == trades[-1]["price"]
    aggregates = get(at, f"{api}/aggTrades", symbol="BTCUSDT", fromId=ids[3], limit=2)
    assert [one["a"] for one in aggregates] == ids[3:5]
    klines = get(at, f"{api}/klines", symbol="BTCUSDT", interval="1m", limit=5)
    assert [len(kline) for kline in klines] == [12] * 5
    assert klines[-1][4] == trades[-1]["price"]
    opens = [kline[0] for kline in klines]
    assert opens == sorted(opens)
    day = get(at, f"{api}/ticker/24hr", symbol="BTCUSDT")
    assert Decimal(day["lowPrice"]) <= Decimal(day["lastPrice"]) <= Decimal(day["highPrice"])
    assert {row["symbol"] for row in get(at, f"{api}/ticker/24hr")} >= {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize("interval", ["1m", "3m", "15m", "1h", "4h", "1d"])
def test_klines_of_every_length_open_where_they_should(interval: str) -> None:
    klines = get(venue(), "/api/v3/klines", symbol="BTCUSDT", interval=interval, limit=3)
    assert klines, interval
    for kline in klines:
        assert kline[0] < kline[6]
    for one, next_one in pairwise(klines):
        assert one[6] + 1 == next_one[0]


@pytest.mark.parametrize("api", BOTH)
@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("depth?symbol=NOSUCH", 400, -1121),
        ("depth", 400, -1102),
        ("depth?symbol=BTCUSDT&limit=x", 400, -1100),
        ("klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("klines?symbol=BTCUSDT", 400, -1102),
        ("nothing", 404, -5000),
    ],
)
def test_what_is_wrong_has_the_venues_code(api: str, query: str, status: int, code: int) -> None:
    path, _, rest = query.partition("?")
    assert refused(ask(quiet(), "GET", f"{api}/{path}", rest)) == (status, code)


def test_futures_take_only_the_documents_depths() -> None:
    response = ask(quiet(), "GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=7")
    assert refused(response) == (400, -4021)


def test_weights_are_counted_refused_and_then_banned() -> None:
    at = quiet(spot_weights=20)
    first = ask(at, "GET", "/api/v3/depth", "symbol=BTCUSDT&limit=100")
    assert first.headers["x-mbx-used-weight-1m"] == "5"
    for _ in range(3):
        ask(at, "GET", "/api/v3/depth", "symbol=BTCUSDT&limit=100")
    over = ask(at, "GET", "/api/v3/time")
    assert refused(over) == (429, -1003)
    assert 0 < int(over.headers["retry-after"]) <= 60
    assert ask(at, "GET", "/fapi/v1/time").status == 200, "futures count by themselves"
    for _ in range(60):
        banned = ask(at, "GET", "/api/v3/time")
    assert refused(banned) == (418, -1003)
    assert 60 < int(banned.headers["retry-after"]) <= 120
    run(at, 121, step_ms=1000)
    assert ask(at, "GET", "/api/v3/time").status == 200


def test_a_new_minute_has_its_own_weights() -> None:
    at = quiet(usdm_weights=2)
    assert [ask(at, "GET", "/fapi/v1/time").status for _ in range(3)] == [200, 200, 429]
    run(at, 61, step_ms=1000)
    assert ask(at, "GET", "/fapi/v1/time").status == 200


def test_other_products_have_no_symbols() -> None:
    assert told(ask(quiet(), "GET", "/dapi/v1/exchangeInfo"))["symbols"] == []
