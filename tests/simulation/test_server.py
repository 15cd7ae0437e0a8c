"""The shells that serve a venue, on loopback and in memory, and the faults they apply."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest

from fairlead.adapters.base.transport import HttpRequest, TransportError
from fairlead.adapters.oceanex.simulator import OceanexSimOptions, OceanexSimulator
from fairlead.adapters.oceanex.simulator_auth import generated_key_pair
from fairlead.adapters.simulation.faults import Faults, HttpFault, WsFault
from fairlead.adapters.simulation.memory import InMemoryHttp, InMemoryWs, tick
from fairlead.adapters.simulation.server import Served, serve
from fairlead.adapters.simulation.virtual_time import START_NS, run_virtual
from tests.support.patience import PATIENCE_SECS

FORM = {"content-type": "application/x-www-form-urlencoded"}
NEW_ORDER = {"market": "btcusdt", "side": "buy", "volume": "0.1", "price": "1000"}


def make_venue(now_ns: int, **options: Any) -> OceanexSimulator:
    return OceanexSimulator(now_ns=now_ns, options=OceanexSimOptions(**options))


def signed(venue: OceanexSimulator, data: dict[str, Any]) -> bytes:
    token = jwt.encode(
        {"uid": venue.options.uid, "data": data}, generated_key_pair()[0], algorithm="RS256"
    )
    return urlencode({"user_jwt": token}).encode()


def count_orders(venue: OceanexSimulator) -> int:
    return len(venue.exchange.orders("main"))


# -- loopback --------------------------------------------------------------------------------------


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    running = await serve(make_venue(time.time_ns()))
    yield running
    await running.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


async def create(http: aiohttp.ClientSession, served: Served) -> tuple[int, bytes]:
    body = signed(served.venue, NEW_ORDER)  # type: ignore[arg-type]
    async with http.post(f"{served.http_base}/v1/orders", data=body, headers=FORM) as response:
        return response.status, await response.read()


async def test_get_with_a_body_and_unknown_paths(
    served: Served, http: aiohttp.ClientSession
) -> None:
    body = signed(served.venue, {"ids": [1]})  # type: ignore[arg-type]
    async with http.get(f"{served.http_base}/v1/orders", data=body, headers=FORM) as response:
        assert await response.json() == {
            "code": 0,
            "message": "Operation successful",
            "data": [],
        }
    async with http.put(f"{served.http_base}/elsewhere") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("kind", "status", "executed"),
    [
        ("lose_request", None, 0),
        ("lose_answer", None, 1),
        ("too_many", 429, 0),
        ("unavailable", 503, 0),
        ("bad_gateway", 502, 1),
        ("delay", 201, 1),
    ],
)
async def test_programmed_faults_on_loopback(
    served: Served, http: aiohttp.ClientSession, kind: str, status: int | None, executed: int
) -> None:
    venue = served.venue
    venue.faults.next("POST", "/v1/orders", kind, secs=0.05)
    async with http.get(f"{served.http_base}/v1/timestamp") as response:
        assert response.status == 200  # another method and path: the fault waits
    if status is None:
        with pytest.raises(aiohttp.ClientConnectionError):
            await create(http, served)
    else:
        assert (await create(http, served))[0] == status
    assert count_orders(venue) == executed  # type: ignore[arg-type]
    assert (await create(http, served))[0] == 201
    assert venue.faults.counts == {kind: 1}


async def test_late_execution_after_the_client_was_told_nothing(
    served: Served, http: aiohttp.ClientSession
) -> None:
    served.venue.faults.next("POST", "/v1/orders", "late", secs=0.1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await create(http, served)
    assert count_orders(served.venue) == 0  # type: ignore[arg-type]
    deadline = time.monotonic() + PATIENCE_SECS
    while count_orders(served.venue) == 0:  # type: ignore[arg-type]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_control_door(served: Served, http: aiohttp.ClientSession) -> None:
    base = f"{served.http_base}/_sim"
    fault = {"method": "POST", "path": "/v1/orders", "kind": "lose_answer"}
    async with http.post(f"{base}/faults", json=fault) as response:
        assert (await response.json())["waiting"] == 1
    with pytest.raises(aiohttp.ClientConnectionError):
        await create(http, served)
    async with http.get(f"{base}/ledger") as response:
        ledger = await response.json()
    orders = [e for e in ledger["entries"] if e["type"] == "order"]
    assert [e["event"] for e in orders] == ["accepted"]
    assert orders[0]["order"]["quantity"] == "0.1"
    async with http.get(f"{base}/ledger?since={ledger['next']}") as response:
        assert (await response.json())["entries"] == []
    async with http.get(f"{base}/balances") as response:
        assert (await response.json())["main"]["USDT"] == {"free": "99900.0", "locked": "100.0"}
    async with http.post(f"{base}/market", json={"action": "pause"}) as response:
        assert (await response.json()) == {"paused": True}
    level = {"market": "btcusdt", "side": "BUY", "price": "59999.99", "size": "7"}
    async with http.post(f"{base}/market", json=level) as response:
        assert response.status == 200
    async with http.get(f"{base}/book?market=btcusdt") as response:
        assert ["59999.99", "7"] in (await response.json())["bids"]
    trade = {"market": "btcusdt", "price": "500", "quantity": "1", "aggressor": "SELL"}
    async with http.post(f"{base}/market", json=trade) as response:
        assert response.status == 200
    assert served.venue.exchange.orders("main")[0].status == "filled"
    async with http.post(f"{base}/faults", json={"kind": "nonsense"}) as response:
        assert response.status == 400
    async with http.post(f"{base}/faults", json={"profile": "mild", **fault}) as response:
        set_before = await response.json()
    for bad in (
        {"profile": "bad", "kind": "nonsense"},
        {"clear": True, "profile": "nonsense"},
        {"clear": True, "kind": "late", "secs": "soon"},
        {"profile": "bad", "kind": "late", "times": 20_000},
        {"profile": ["bad"]},
    ):
        async with http.post(f"{base}/faults", json=bad) as response:
            assert response.status == 400
        async with http.get(f"{base}/faults") as response:
            assert await response.json() == set_before
    async with http.post(f"{base}/faults", json={"clear": True}) as response:
        assert (await response.json())["waiting"] == 0
    async with http.get(f"{base}/nothing") as response:
        assert response.status == 404


async def next_event(socket: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(PATIENCE_SECS):
        return await socket.receive()


async def test_websocket_faults(served: Served, http: aiohttp.ClientSession) -> None:
    url = str(served.describe()["ws_url"])
    async with http.ws_connect(url) as socket:
        assert "connection_established" in (await next_event(socket)).data
        served.venue.faults.next("WS", "/app/", "duplicate")
        await socket.send_json({"event": "pusher:ping", "data": {}})
        assert (await next_event(socket)).data == (await next_event(socket)).data
        served.venue.faults.next("WS", "/app/", "malformed")
        await socket.send_json({"event": "pusher:ping", "data": {}})
        with pytest.raises(json.JSONDecodeError):
            json.loads((await next_event(socket)).data)
        served.venue.faults.next("WS", "/app/", "drop")
        await socket.send_json({"event": "pusher:ping", "data": {}})
        ended = await next_event(socket)
        assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    async with http.ws_connect(url) as socket:
        await next_event(socket)
        served.venue.faults.next("WS", "/app/", "mute")
        for _ in range(3):
            await socket.send_json({"event": "pusher:ping", "data": {}})
        async with http.get(f"{served.http_base}/v1/timestamp") as response:
            assert response.status == 200
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await socket.receive()
    refused = url.replace("/app/", "/app/x")
    async with http.ws_connect(refused) as socket:
        assert "4001" in (await next_event(socket)).data
        assert (await next_event(socket)).type is aiohttp.WSMsgType.CLOSE
        assert (socket.close_code or 1000) < 4000


async def test_stop_ends_open_connections(http: aiohttp.ClientSession) -> None:
    running = await serve(make_venue(time.time_ns()))
    async with http.ws_connect(str(running.describe()["ws_url"])) as socket:
        await next_event(socket)
        async with asyncio.timeout(PATIENCE_SECS):
            await running.stop()
        assert (await next_event(socket)).type is not aiohttp.WSMsgType.TEXT
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(f"{running.http_base}/v1/timestamp")


async def test_a_venue_whose_clock_fails_does_not_go_on_in_silence() -> None:
    class Broken(OceanexSimulator):
        is_broken = False

        def advance(self, now_ns: int) -> None:
            if self.is_broken:
                raise ArithmeticError("broken on purpose")
            super().advance(now_ns)

    venue = Broken(now_ns=time.time_ns())
    running = await serve(venue)
    venue.is_broken = True
    with pytest.raises(ArithmeticError, match="on purpose"):
        async with asyncio.timeout(PATIENCE_SECS):
            await running.run_until(asyncio.Event())
    with pytest.raises(ArithmeticError, match="on purpose"):
        await running.stop()


async def test_a_taken_port_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match=r"address already in use|Address already in use"):
        await serve(make_venue(time.time_ns()), port=served.port)


# -- in memory -------------------------------------------------------------------------------------


def post(venue: OceanexSimulator, data: dict[str, Any]) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url="http://venue/v1/orders",
        headers=FORM,
        body=signed(venue, data),
        timeout_secs=5,
    )


def loop_clock(start_ns: int) -> Callable[[], int]:
    """Nanoseconds since the epoch by the running loop's clock, which is `start_ns` now."""
    loop = asyncio.get_running_loop()
    offset_ns = start_ns - int(loop.time() * 1e9)
    return lambda: offset_ns + int(loop.time() * 1e9)


@pytest.mark.parametrize(
    ("kind", "code", "executed", "secs"),
    [
        ("lose_request", "HTTP-RESET", 0, 0.2),
        ("lose_answer", "HTTP-RESET", 1, 0.2),
        ("hang_request", "HTTP-TIMEOUT", 0, 5.0),
        ("hang_answer", "HTTP-TIMEOUT", 1, 5.0),
    ],
)
def test_faults_in_memory_take_virtual_time(
    kind: str, code: str, executed: int, secs: float
) -> None:
    async def session() -> float:
        now_ns = loop_clock(START_NS)
        venue = make_venue(now_ns())
        http = InMemoryHttp(venue, now_ns, latency_secs=0.1)
        venue.faults.next("POST", "/v1/orders", kind)
        started = asyncio.get_running_loop().time()
        with pytest.raises(TransportError) as raised:
            await http.request(post(venue, NEW_ORDER))
        elapsed = asyncio.get_running_loop().time() - started
        assert raised.value.code == code
        assert raised.value.sent
        assert count_orders(venue) == executed
        response = await http.request(post(venue, NEW_ORDER))
        assert response.status == 201
        return elapsed

    assert run_virtual(session()) == pytest.approx(secs)


def test_a_session_in_memory_is_the_same_each_time() -> None:
    async def session() -> list[str]:
        now_ns = loop_clock(START_NS)
        venue = make_venue(now_ns())
        clock = asyncio.create_task(tick(venue, now_ns, 0.02))
        connection = await InMemoryWs(venue, now_ns).connect(
            str(venue.describe("http://venue", "ws://venue")["ws_url"])
        )
        frames = [await connection.receive()]
        for channel in ("market-btcusdt-2-global", "market-btcusdt-trade-global"):
            await connection.send(
                json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}})
            )
        while len(frames) < 200:
            frames.append(await connection.receive())
        await connection.close()
        with pytest.raises(TransportError, match="WS-CLOSED"):
            await connection.receive()
        clock.cancel()
        return frames

    first, second = run_virtual(session()), run_virtual(session())
    assert first == second
    assert sum('"update"' in frame for frame in first) > 50
    assert sum('"trades"' in frame for frame in first) > 20


# -- faults by themselves --------------------------------------------------------------------------


def test_profiles_are_seeded_and_none_is_silent() -> None:
    def draw(seed: int, profile: Any) -> list[Any]:
        faults = Faults(seed, profile)
        return [faults.for_request("GET", "/") for _ in range(10_000)] + [
            faults.for_frame("/") for _ in range(10_000)
        ]

    assert draw(1, "bad") == draw(1, "bad") != draw(2, "bad")
    assert not any(draw(1, "none"))
    bad = {fault.kind for fault in draw(1, "bad") if fault}
    assert bad == {*HttpFault, *WsFault}
    assert (
        0 < sum(f is not None for f in draw(1, "mild")) < sum(f is not None for f in draw(1, "bad"))
    )


def test_programmed_faults_are_taken_in_order_and_bounded() -> None:
    faults = Faults()
    faults.next("POST", "/v1/orders", "lose_answer")
    faults.next("POST", "/v1", "too_many", times=2)
    taken = [faults.for_request("POST", "/v1/orders") for _ in range(4)]
    assert [fault and fault.kind for fault in taken] == [
        HttpFault.LOSE_ANSWER,
        HttpFault.TOO_MANY,
        HttpFault.TOO_MANY,
        None,
    ]
    with pytest.raises(ValueError, match="is not a valid HttpFault"):
        faults.next("POST", "/", "explode")
    with pytest.raises(ValueError, match="at most"):
        faults.next("POST", "/", "delay", times=20_000)
    faults.next("POST", "/", "delay")
    faults.clear()
    assert faults.for_request("POST", "/") is None
