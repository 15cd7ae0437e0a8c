"""A live run at a venue that tells of an order its sum alone: parity with what really happened."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, start, venue

MARKET = "BTC_USDT"
# The first two take more than the best level has
SCRIPT = [[ms, "market", side, "0.6"] for ms, side in ((500, "BUY"), (1500, "SELL"), (2500, "BUY"))]
MORE = """
[risk]
max_order_notional = "100000 USDT"
price_collar_bps = "1000"
[execution]
poll_ms = 250
absent_quarantine_secs = 1.0
[simulated]
balances = ["1000000 USDT", "100 BTC"]
[record]
dir = "data"
promote_secs = 1
"""


def traded(served: Venue, folder: Path) -> Path:
    """A run of `SCRIPT` in a market that nobody else moves; its folder."""
    key = str(served.line["venue"])
    params = {"instrument_id": f"{MARKET}.{key.upper()}", "script": json.dumps(SCRIPT)}
    path = "tests.parity.scripted:Scripted"
    config = configs.write(
        folder, served, strategies=[{"id": "s-1", "path": path, "params": params}], more=MORE
    )
    out, log = folder / "out", folder / "log"
    process = start("live", config, "--for", "8", "--out", str(out), log=log)
    deadline, count = time.monotonic() + PATIENCE_SECS, 0
    market = served.line["markets"][0]
    price, _ = served.book(market)["bids"][7]  # below all that is sold
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            count += 1  # data, by which the strategy knows the time
            served.post("market", market=market, side="BUY", price=price, size=f"0.{1 + count % 2}")
            time.sleep(0.1)
    finally:
        process.kill()
    assert process.wait(PATIENCE_SECS) == Exit.OK, log.read_text()[-3000:]
    return out


@pytest.mark.parametrize("key", ["oceanex", "piexgo"])
def test_a_live_run_is_like_a_backtest_that_has_its_true_executions(
    key: str, tmp_path: Path
) -> None:
    with venue(key, tmp_path / "venue", "--seed", "5") as served:
        served.post("market", action="pause")
        out = traded(served, tmp_path)
        entries = served.ledger()["entries"]
    true: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in entries:
        if one["type"] == "fill":
            true[str(one["order_id"])].append(one)
    rows = [json.loads(line) for line in (out / "orders.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["FILLED"] * len(SCRIPT)
    merged = 0
    for row in rows:
        # The run has one execution at the average of those that there really were
        (fill,) = row["fills"]
        assert fill["synthetic"] is True
        parts = true[fill["trade_id"].split("-")[0]]
        merged += len(parts) > 1
        worth = sum(Decimal(one["price"]) * Decimal(one["quantity"]) for one in parts)
        assert abs(worth / Decimal(fill["quantity"]) - Decimal(fill["price"])) < Decimal("1e-6")
    assert merged >= 2
    ended = command("parity", out, "--json")
    found = json.loads(ended.stdout)
    assert found["differences"] == []
    assert ended.returncode == Exit.OK
