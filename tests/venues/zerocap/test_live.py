"""`fairlead check` and a live run on the simulated venue, in both dialects."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.simulation.server import Served, serve
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator
from fairlead.engine.orders.model import Side
from tests.support.configs import inline
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT

BOTH = pytest.mark.parametrize("dialect", ["A", "C"])
USDT = "USDT_AUD.ZEROCAP"
RISK = """
[risk]
max_order_notional = "100000 AUD"
max_open_orders = 10
max_orders_per_second = 100
price_collar_bps = "1000"
[execution]
poll_ms = 100
absent_quarantine_secs = 1.0
"""


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    options = ZerocapSimOptions(push_interval_ms=50)
    running = await serve(ZerocapSimulator(now_ns=time.time_ns(), seed=7, options=options))
    yield running
    await running.stop()


def write(folder: Path, served: Served, dialect: str, strategy: str, **params: Any) -> Path:
    told: Any = served.describe()
    options: dict[str, Any] = {
        "dialect": dialect,
        "http_url": told["rest"],
        "ws_url": told["ws"],
    }
    if dialect == "A":
        options |= told["options"]
    for name, text in told["credentials"].items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text)
    text = [
        'name = "dealing"',
        "[venues.zerocap]",
        'adapter = "zerocap"',
        f"instruments = {json.dumps([USDT])}",
        f"options = {inline(options)}",
        "credentials = " + inline({name: f"file:{name}" for name in told["credentials"]}),
        "[[strategies]]",
        'id = "Dealing-1"',
        f"path = {json.dumps(strategy)}",
        f"params = {inline({'instrument_id': USDT, **params})}",
        RISK,
    ]
    path = folder / "dealing.toml"
    path.write_text("\n".join(text))
    return path


class Running:
    """A command of ours, and what it has told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @staticmethod
    async def begin(*arguments: str) -> Running:
        return Running(
            await asyncio.create_subprocess_exec(
                *(FAIRLEAD, *arguments),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )

    async def end(self) -> tuple[int | None, str]:
        try:
            async with asyncio.timeout(PATIENCE_SECS):
                out, err = await self.process.communicate()
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
        return self.process.returncode, (out + err).decode(errors="replace")


async def dealt(verb: str, config: Path, seen: Path) -> tuple[list[dict[str, str]], str]:
    """A run that is stopped once the strategy has seen the end of its last order."""
    running = await Running.begin(verb, str(config), "--json")
    async with asyncio.timeout(PATIENCE_SECS):
        while not (seen.exists() and '"denied"' in seen.read_text()):
            if running.process.returncode is not None:
                break
            await asyncio.sleep(0.05)
    if running.process.returncode is None:
        running.process.send_signal(signal.SIGINT)
    code, told = await running.end()
    lines = [json.loads(line) for line in seen.read_text().splitlines()] if seen.exists() else []
    assert code == 0, told[-3000:]
    return lines, told


@BOTH
async def test_a_live_run_deals_and_books_what_the_venue_did(
    served: Served, dialect: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.jsonl"
    config = write(
        tmp_path, served, dialect, "tests.venues.zerocap.dealing:Dealing", seen=str(seen)
    )
    code, told = await (await Running.begin("check", str(config))).end()
    assert code == 0, told

    lines, told = await dealt("live", config, seen)
    assert [line["what"] for line in lines] == ["filled", "canceled", "filled", "denied"]
    assert "ZEROCAP has FOK, GTC came" in told, "the gate's word on the order that would rest"
    truth = served.venue.exchange.ledger.fills("main")
    assert [(f.side, f.quantity) for f in truth] == [
        (Side.BUY, Decimal(3000)),
        (Side.SELL, Decimal(50)),
    ]
    assert [Decimal(line["quantity"]) for line in lines if line["what"] == "filled"] == [3000, 50]
    for line, fill in zip((lines[0], lines[2]), truth, strict=True):
        assert abs(Decimal(line["price"]) - fill.price) <= Decimal("0.0001")
    assert len(served.venue.deals) == 3  # type: ignore[attr-defined]  # no create was repeated


@BOTH
async def test_a_paper_run_sees_the_venue_s_ladders_and_sends_it_nothing(
    served: Served, dialect: str, tmp_path: Path
) -> None:
    """The venue tells its prices to none without a key, so that paper reads the credentials."""
    seen = tmp_path / "seen.jsonl"
    config = write(
        tmp_path, served, dialect, "tests.venues.zerocap.dealing:Dealing", seen=str(seen)
    )
    with config.open("a") as file:
        file.write('[simulated]\nbalances = ["150000 AUD", "100000 USDT"]\n')
    lines, _ = await dealt("paper", config, seen)
    assert [line["what"] for line in lines] == ["filled", "canceled", "filled", "denied"]
    # Whole, at one price: tiers are not walked as the levels of a book are.
    assert [Decimal(line["quantity"]) for line in lines if "quantity" in line] == [3000, 50]
    assert served.venue.deals == {}  # type: ignore[attr-defined]
