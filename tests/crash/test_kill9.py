"""`kill -9` at random moments of a live run; the venue's true ledger is the judge."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.crash.launch import Request
from tests.crash.lives import Forked, Starter
from tests.support import configs
from tests.support.audit import ORDER_IDS, audit, plain_id
from tests.support.processes import Venue, run, venue, wait_for
from tests.support.venues import able, unprovable

EVERY_MS = {"oceanex": 20, "poloniex": 60}  # between actions: within the venue's rate limits
ORDERS = (2, 16)  # of a life, before it is killed
PROOF_SECS = "14"  # of a run that proves orders absent: the venue's lag, and the looks


def hammer(key: str, *, idle: bool, seed: int, every_ms: int = 0) -> list[dict[str, object]]:
    params = {
        "instrument_id": f"BTC_USDT.{key.upper()}",
        "idle": idle,
        "seed": seed,
        "every_ms": every_ms or EVERY_MS[key],
    }
    return [{"id": "Hammer-1", "path": "tests.crash.hammer:Hammer", "params": params}]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_no_order_is_lost_or_doubled_by_kills(key: str, kills: int, tmp_path: Path) -> None:
    """A few here; twenty in `make test-long`."""
    moments = random.Random(f"kills of {key}")
    log = tmp_path / "live.log"
    with venue(key, tmp_path / "venue", "--seed", "5") as served:
        journal = tmp_path / "state" / f"{key}-main.journal.sqlite"
        for kill in range(kills):
            config = configs.write(
                tmp_path, served, strategies=hammer(key, idle=False, seed=kill), more=configs.ROOMY
            )
            _run_and_kill(Forked(), config, journal, log, moments)
            if kill % 4 == 3 or kills < 20:
                _trigger_stops(served, ledger_id(key))
        config = configs.write(
            tmp_path, served, strategies=hammer(key, idle=True, seed=0), more=configs.ROOMY
        )
        ended = run("live", config, "--for", "5")
        if ended.returncode == Exit.UNRESOLVED:
            ended = run("live", config, "--for", PROOF_SECS)
        assert ended.returncode in (Exit.OK, Exit.UNRESOLVED), ended.stdout + ended.stderr[-3000:]
        ledger = served.ledger()
        balances = served.balances()
    account_name = next(iter(balances))
    id_of = ORDER_IDS.get(key, plain_id)
    counts = audit(journal, ledger, account_name, id_of, unprovable(able(key)))
    assert (ended.returncode == Exit.UNRESOLVED) == bool(counts["unknown"]), counts
    assert counts["accepted"] > kills, counts
    assert counts["fills"] > kills, counts
    stops = Counter(e["event"] for e in ledger["entries"] if e["type"] == "order" and _is_stop(e))
    assert stops["accepted"] > kills // 4, stops
    assert stops["triggered"] > 0 or kills < 20, stops
    (account,) = balances.values()
    held = {name: b["locked"] for name, b in account.items() if Decimal(b["locked"])}
    assert not held, f"orders still hold {held}"


def ledger_id(key: str) -> str:
    return {"oceanex": "btcusdt"}.get(key, "BTC_USDT")


def _trigger_stops(served: Venue, market: str) -> None:
    """Trades far on either side, while nobody is there: the venue holds the triggers."""
    book = served.book(market)
    for side, aggressor, factor in (("asks", "BUY", "1.004"), ("bids", "SELL", "0.996")):
        price = (Decimal(book[side][0][0]) * Decimal(factor)).quantize(Decimal("0.1"))
        served.post(
            "market", market=market, price=str(price), quantity="0.001", aggressor=aggressor
        )


def _is_stop(entry: dict[str, Any]) -> bool:
    return entry["order"]["trigger_price"] is not None


def _run_and_kill(
    starter: Starter, config: Path, journal: Path, log: Path, moments: random.Random
) -> None:
    """Start a run, and kill it some moment after so many orders: however slow the machine is."""
    before, orders = _intents(journal), moments.randint(*ORDERS)
    life = starter.start(Request(arguments=["live", str(config)], log=str(log)))
    try:
        wait_for(
            lambda: _intents(journal) >= before + orders or life.poll() is not None,
            f"{orders} orders; see {log}",
        )
        assert life.poll() is None, log.read_text()[-3000:]
        time.sleep(moments.uniform(0.0, 0.1))
    finally:
        life.send_signal(signal.SIGKILL)
        wait_for(lambda: life.poll() is not None, "the end of a killed process")


def _intents(journal: Path) -> int:
    if not journal.exists():
        return 0
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
        try:
            return int(db.execute("SELECT count(*) FROM orders").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # the file is there, its tables are not yet
