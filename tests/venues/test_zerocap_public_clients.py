"""The vendor's own clients, of both dialects, use the simulated Zerocap unmodified.

Their hosts and their TLS too: a proxy that their environment names takes them to the simulator.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.simulation.server import Served, serve
from fairlead.adapters.zerocap import parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.parse import Source
from fairlead.adapters.zerocap.simulator import ZerocapSimulator
from fairlead.engine.orders.model import OrderState
from tests.support.patience import PATIENCE_SECS
from tests.support.tls_front import tls_front

CLIENTS = Path(__file__).parent / "zerocap" / "clients"
HOSTS = {
    "a": ("dma-uat-api.defi.wiki", "dma-uat-ws.defi.wiki"),
    "c": ("sandbox-api.zerocap.com", "sandbox-ws.zerocap.com"),
}


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    running = await serve(ZerocapSimulator(now_ns=time.time_ns(), seed=7))
    yield running
    await running.stop()


@pytest.fixture(scope="module")
def client_a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of client 0.1.15, which can not be installed beside what is pinned."""
    folder = tmp_path_factory.mktemp("client_a")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    kept = ["--require-hashes", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    made = subprocess.run(
        [*pip, *kept, "-r", str(CLIENTS / "requirements-a.txt")], capture_output=True, check=False
    )
    if made.returncode:
        lines = made.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        pytest.skip(f"client 0.1.15 can not be had from the package index: {lines[-1][:200]}")
    return folder


async def drive(served: Served, name: str, folder: Path, paths: str = "") -> dict[str, Any]:
    """What the driver `name` printed."""
    credentials: Any = served.describe()["credentials"]
    arguments = [credentials["api_key"], credentials["api_secret"]]
    async with tls_front(folder, HOSTS[name], served.port) as environment:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CLIENTS / f"drive_{name}.py"),
            *arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, **environment},
        )
        try:
            async with asyncio.timeout(2 * PATIENCE_SECS):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, err.decode(errors="replace")[-2000:]
    told: dict[str, Any] = json.loads(out)
    return told


def read(value: Any, type_: Any = s.OrderRow) -> Any:
    return parse.Reader(type_)(json.dumps(value).encode())


def check_orders(served: Served, told: dict[str, Any]) -> None:
    """Orders, pushes and the ledger say the same of one fill, and the adapter reads them so."""
    fill = served.venue.exchange.ledger.fills("main")[0]
    created = parse.order(read(told["created"]), "ZEROCAP", Source.CREATE)
    assert (created.state, created.filled) == (OrderState.FILLED, fill.quantity)
    assert served.venue.ledger_id(created.venue_order_id) == fill.order_id
    (execution,) = parse.fills(read(told["created"]), "ZEROCAP", Source.CREATE)
    assert (execution.price, execution.quantity) == (fill.price, fill.quantity)
    pushed: Any = parse.frame(json.dumps(told["trade"]))
    again = parse.fill(pushed.row, "ZEROCAP")
    assert (again.trade_id, again.price) == (execution.trade_id, execution.price)
    order: Any = parse.frame(json.dumps(told["order"]))
    assert parse.order(order.row, "ZEROCAP", Source.PUSH).venue_order_id == created.venue_order_id
    killed = parse.order(read(told["killed"]), "ZEROCAP", Source.CREATE)
    assert killed.state is OrderState.CANCELED
    fetched = told["fetched"].get("order_list", [told["fetched"]])[0]
    (looked_up,) = parse.fills(read(fetched), "ZEROCAP", Source.FETCH)
    assert (looked_up.price, looked_up.trade_id) == (execution.price, execution.trade_id)
    listed = read(told["listed"], s.OrderPage)
    assert {row.id for row in listed.order_list} == {created.venue_order_id, killed.venue_order_id}


def check_prices(told: dict[str, Any], is_swapped: bool) -> None:
    assert told["greeting"]["message"] == "Successfully connected."
    ladder: Any = parse.frame(json.dumps(told["prices"][-1]))
    sided = ladder.sided("auto")
    assert sided.is_swapped is is_swapped
    assert sided.bids[0].price < sided.asks[0].price


async def test_client_0_1_15_reads_prices_and_trades(
    served: Served, client_a: Path, tmp_path: Path
) -> None:
    told = await drive(served, "a", tmp_path, str(client_a))
    check_prices(told, is_swapped=True)
    check_orders(served, told)
    assert told["created"]["clientOrderId"] == "cid-1"
    assert "side" in told["refused"]
    assert told["wrong_key"] == "ZerocapRestClient init fail"
    assert len(served.venue.exchange.ledger.fills("main")) == 1


async def test_client_0_1_38_reads_prices_trades_and_quotes(served: Served, tmp_path: Path) -> None:
    told = await drive(served, "c", tmp_path)
    check_prices(told, is_swapped=False)
    check_orders(served, told)
    assert told["refused"][0] == 422
    assert told["wrong_key"] == [401, "encryption check is fail"]

    assert told["indicative"]["client_order_id"] == "q-1"
    assert told["accepted"]["average"] == told["firm"]["price"]
    _, accepted = served.venue.exchange.ledger.fills("main")
    assert Decimal(str(told["firm"]["price"])) == accepted.price

    held = {b.currency: b for b in parse.balances(read_balances(told["balances"]), "prime")}
    assert held["USDT"].free == 100_000
    assert {row["name"] for row in told["instruments"]["instruments"]} >= {"USDT/AUD", "BTC/AUD"}
    assert abs(int(told["time"]["server_time"]) - time.time()) < PATIENCE_SECS
    assert told["withdrawal"]["transfer"]["status"] == "COMPLETED"
    assert told["transfers"]["total"] == 2


def read_balances(value: Any) -> s.Balances:
    return parse.balances_payload(json.dumps(value).encode())
