"""The streams of the simulated Binance: a book built by the venue's own rules is the true one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from fairlead.adapters.binance.simulator import BinanceSimulator
from tests.venues.binance.kit import Stream, get, quiet, run, venue

SPOT, USDM = "/ws", "/usdm/ws"
Levels = tuple[dict[str, str], dict[str, str]]


def built(depth: Any, events: list[Any], *, is_spot: bool) -> Levels:
    """As the venue's document says how to keep a local book."""
    last, previous = depth["lastUpdateId"], None
    bids: dict[str, str] = dict(depth["bids"])
    asks: dict[str, str] = dict(depth["asks"])
    for event in events:
        if event["u"] < last or (is_spot and event["u"] == last):
            continue
        if previous is None:
            assert event["U"] <= last + is_spot <= event["u"], "no event overlaps the snapshot"
        else:
            first = event["U"] - 1 if is_spot else event["pu"]
            assert first == previous, "an event is missing"
        previous = event["u"]
        for side, name in ((bids, "b"), (asks, "a")):
            for price, size in event[name]:
                side[price] = size
                if float(size) == 0:
                    del side[price]
    return bids, asks


def true_book(at: BinanceSimulator, api: str) -> Levels:
    depth = get(at, f"{api}/depth", symbol="BTCUSDT", limit=1000)
    return dict(depth["bids"]), dict(depth["asks"])


@pytest.mark.parametrize(("path", "api"), [(SPOT, "/api/v3"), (USDM, "/fapi/v1")])
@pytest.mark.parametrize("speed", ["@100ms", ""])
def test_a_local_book_by_the_documents_rules_is_the_true_one(
    path: str, api: str, speed: str
) -> None:
    at = venue()
    stream = Stream(at, path)
    stream.subscribe(f"btcusdt@depth{speed}")
    run(at, 2.0)
    depth = get(at, f"{api}/depth", symbol="BTCUSDT", limit=1000)
    run(at, 5.0)
    at.driver.paused = True
    run(at, 1.5)  # what waits for its interval is told
    events = stream.of("depthUpdate")
    assert len(events) > 3
    assert built(depth, events, is_spot=path == SPOT) == true_book(at, api)


@pytest.mark.parametrize(("path", "api"), [(SPOT, "/api/v3"), (USDM, "/fapi/v1")])
def test_a_snapshot_right_after_the_subscription_overlaps_the_first_event(
    path: str, api: str
) -> None:
    at = venue()
    stream = Stream(at, path)
    stream.subscribe("btcusdt@depth@100ms")
    depth = get(at, f"{api}/depth", symbol="BTCUSDT", limit=1000)
    run(at, 5.0, step_ms=500)
    at.driver.paused = True
    run(at, 0.2)
    events = stream.of("depthUpdate")
    assert built(depth, events, is_spot=path == SPOT) == true_book(at, api)


def test_futures_ids_jump_by_what_other_symbols_use_and_spots_do_not() -> None:
    at = venue()
    spot, usdm = Stream(at, SPOT), Stream(at, USDM)
    for stream in (spot, usdm):
        stream.subscribe("btcusdt@depth@100ms")
    run(at, 5.0)
    assert all(one["u"] + 1 == two["U"] for one, two in pairwise(spot.frames))
    pairs = list(pairwise(usdm.frames))
    assert all(two["pu"] == one["u"] for one, two in pairs)
    assert any(two["U"] > one["u"] + 1 for one, two in pairs)


@pytest.mark.parametrize(("path", "api"), [(SPOT, "/api/v3"), (USDM, "/fapi/v1")])
def test_trades_and_the_best_prices_are_told_as_they_are(path: str, api: str) -> None:
    at = venue()
    stream = Stream(at, path)
    stream.subscribe("btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker")
    run(at, 10.0, step_ms=50)
    told = [frame["t"] for frame in stream.of("trade")]
    assert told == [row["id"] for row in get(at, f"{api}/trades", symbol="BTCUSDT", limit=1000)]
    assert [frame["a"] for frame in stream.of("aggTrade")] == told
    last = [frame for frame in stream.frames if "A" in frame and "B" in frame][-1]
    best = get(at, f"{api}/ticker/bookTicker", symbol="BTCUSDT")
    assert (last["b"], last["a"]) == (best["bidPrice"], best["askPrice"])


@pytest.mark.parametrize("path", [SPOT, USDM])
def test_each_kline_closes_once_and_the_next_begins_there(path: str) -> None:
    at = venue(active_markets=())
    stream = Stream(at, path)
    stream.subscribe("btcusdt@kline_1m")
    run(at, 190.0, step_ms=250)
    closed = [frame["k"] for frame in stream.of("kline") if frame["k"]["x"]]
    assert len(closed) == 3
    assert [one["T"] + 1 for one in closed[:-1]] == [one["t"] for one in closed[1:]]
    assert any(not frame["k"]["x"] for frame in stream.of("kline"))


def test_the_combined_stream_names_each() -> None:
    at = venue()
    stream = Stream(at, "/stream", "streams=btcusdt@bookTicker/ethusdt@trade")
    run(at, 5.0)
    assert {frame["stream"] for frame in stream.frames} == {"btcusdt@bookTicker", "ethusdt@trade"}
    assert all("data" in frame for frame in stream.frames)


def test_whole_books_and_lists_come_on_their_intervals() -> None:
    at = venue()
    spot, usdm = Stream(at, SPOT), Stream(at, USDM)
    spot.subscribe("btcusdt@depth5@100ms", "!miniTicker@arr")
    usdm.subscribe("btcusdt@markPrice@1s", "!markPrice@arr")
    run(at, 3.0)
    whole = [frame for frame in spot.frames if isinstance(frame, dict)]
    assert all(len(frame["bids"]) == len(frame["asks"]) == 5 for frame in whole)
    assert 25 <= len(whole) <= 31
    lists = [frame for frame in spot.frames if isinstance(frame, list)]
    assert 2 <= len(lists) <= 4
    assert {row["s"] for row in lists[0]} == {"BTCUSDT", "ETHUSDT", "ETHBTC"}
    marks = [f for f in usdm.frames if isinstance(f, dict) and f["e"] == "markPriceUpdate"]
    assert 2 <= len(marks) <= 4


def test_commands_are_answered_and_what_is_none_is_refused() -> None:
    at = quiet()
    stream = Stream(at, SPOT)
    stream.subscribe("btcusdt@trade", "nosuch@trade")
    listed = stream.send(method="LIST_SUBSCRIPTIONS", id=2)
    assert listed == {"result": ["btcusdt@trade"], "id": 2}
    gone = stream.send(method="UNSUBSCRIBE", params=["btcusdt@trade"], id=3)
    assert gone == {"result": None, "id": 3}
    assert stream.send(method="LIST_SUBSCRIPTIONS", id=4)["result"] == []
    assert stream.send(method="DANCE", id=5)["error"]["code"] == 2


@pytest.mark.parametrize("frame", ["", "[]", "1", '{"method":1}', '{"params":7}', "{" * 5000])
def test_any_frame_is_answered(frame: str) -> None:
    stream = Stream(quiet(), SPOT)
    stream.text(frame)
    assert "error" in stream.frames[0]


def test_who_sends_more_than_the_venue_takes_is_disconnected() -> None:
    stream = Stream(quiet(), SPOT)
    for number in range(6):
        stream.text(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
    assert stream.is_closed


def test_who_left_is_told_nothing() -> None:
    at = venue()
    stream = Stream(at, SPOT)
    stream.subscribe("btcusdt@trade")
    stream.leave()
    run(at, 3.0)
    assert stream.frames == []
