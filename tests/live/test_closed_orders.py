"""Orders that are over leave NautilusTrader's cache within a run: no fill is doubled, none comes
back, and the run is summed up as if they had stayed."""

from __future__ import annotations

import json
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.orders.journal import Journal
from tests.live.blocked_run import ACCOUNTS
from tests.support import configs
from tests.support.processes import Venue, run_until, venue

COMPARED_SECS = 35.0  # NautilusTrader compares open orders each 10 s, positions each 30 s
GONE = 8


def told(seen: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(seen.read_text()) if seen.exists() else {"gone": 0}
    return found


def config(folder: Path, served: Venue, key: str) -> Path:
    params = {"instrument_id": f"BTC_USDT.{key.upper()}", "seen": str(folder / "seen.json")}
    strategy = {"id": "C-1", "path": "tests.live.churning:Churning", "params": params}
    more = f"{configs.ROOMY}closed_orders_secs = 0.3\nclosed_orders = 0\n"
    return configs.write(folder, served, strategies=[strategy], more=more)


def executed(served: Venue, key: str) -> list[Any]:
    entries = served.ledger()["entries"]
    return [e for e in entries if e["type"] == "fill" and e["account"] == ACCOUNTS[key]]


def until(folder: Path, named: Path, secs: float, gone: int) -> tuple[dict[str, Any], Any]:
    seen = folder / "seen.json"
    seen.unlink(missing_ok=True)
    begun = time.monotonic()

    def done() -> bool:
        return time.monotonic() - begun > secs and told(seen)["gone"] >= gone

    ended = run_until("live", named, done, "orders that are gone", folder=folder)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout), told(seen)


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_nothing_changes_but_the_cache(tmp_path: Path, key: str) -> None:
    with venue(key, tmp_path / "venue", "--seed", "5") as served:
        named = config(tmp_path, served, key)
        for secs, gone in ((COMPARED_SECS, GONE), (0.0, 2)):  # and once more after a restart
            began = len(executed(served, key))
            before = held(tmp_path, key)
            figures, seen = until(tmp_path, named, secs, gone)
            fills = executed(served, key)[began:]
            assert seen["closed"] == [False]
            assert seen["cached"] < seen["sent"]
            assert all(name.startswith(("S-", "O-")) for name in seen["others"]), seen
            true = sum((Decimal(one["quantity"]) for one in fills), Decimal(0))
            assert figures["fills"] == len(fills)
            unheard = true - Decimal(seen["filled"])  # of the order that was on its way at the stop
            assert unheard in (0, Decimal(fills[-1]["quantity"]))
            assert figures["orders"] == sum(figures["orders_by_status"].values())
            whole_and_told(tmp_path, figures)
            paid = [Decimal(one["fee"]) for one in fills if one["fee_currency"] == "BTC"]
            assert held(tmp_path, key) - before == true - sum(paid, Decimal(0))
            codes = {note.split()[0] for note in figures["notes"]}
            assert codes <= {"HELD", "HELD:"}, figures["notes"]


def held(folder: Path, key: str) -> Decimal:
    """By the account's journal."""
    path = folder / "state" / f"{key}-main.journal.sqlite"
    if not path.exists():
        return Decimal(0)
    with closing(Journal.reading(path)) as journal:
        return sum((one.quantity for one in journal.positions()), Decimal(0))


def whole_and_told(folder: Path, figures: dict[str, Any]) -> None:
    """Each order of the run has its row, with what only NautilusTrader's order knew."""
    runs = sorted(
        (folder / "state" / "runs").glob("*/orders.jsonl"), key=lambda p: p.stat().st_mtime
    )
    rows = [json.loads(line) for line in runs[-1].read_text().splitlines()]
    never = figures["orders_by_status"].get("REJECTED", 0)  # as the run stopped: in no journal
    assert len(rows) >= figures["orders"] - never
    for row in rows:
        if row["status"] != "REJECTED":
            assert row["ts_accepted"], row
            assert row["market"] is not None, row
