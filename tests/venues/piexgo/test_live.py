"""`fairlead check` and a live run at the simulated venue, served on loopback."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead.adapters.piexgo.simulator import PiexgoSimOptions
from fairlead.adapters.simulation.orders import Status
from fairlead.engine.errors import Exit
from tests.live.hosted import simulated
from tests.support.configs import ROOMY, inline
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT, wait_for

BUYS, RESTS = 2, 3


def write(folder: Path, line: dict[str, Any], **options: Any) -> Path:
    path = folder / "test.toml"
    params = {"instrument_id": "BTC_USDT.PIEXGO", "buys": BUYS, "rests": RESTS, "goes_on": False}
    text = [
        'name = "test"',
        "[venues.piexgo]",
        'adapter = "piexgo"',
        'instruments = ["BTC_USDT.PIEXGO"]',
        f"options = {inline({'http_url': line['rest'], 'ws_url': line['ws']} | options)}",
        f"credentials = {inline(line['credentials'])}",
        "[[strategies]]",
        'id = "B-1"',
        'path = "tests.live.blocker:Blocker"',
        f"params = {inline(params)}",
        ROOMY,
    ]
    path.write_text("\n".join(text))
    return path


def run(verb: str, path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FAIRLEAD, verb, str(path), "--json", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )


def test_check_reads_the_options_of_the_venue(tmp_path: Path) -> None:
    with simulated(tmp_path / "keys", PiexgoSimOptions()) as line:
        found = run("check", write(tmp_path, line))
        assert found.returncode == Exit.OK, found.stdout + found.stderr
        wrong = run("check", write(tmp_path, line, pinfo="secret", apikey="x"))
        assert wrong.returncode == Exit.CONFIG
        for option in ("pinfo", "apikey"):
            assert option in wrong.stdout


def test_a_wrong_key_is_told_and_nothing_is_traded(tmp_path: Path) -> None:
    with simulated(tmp_path / "keys", PiexgoSimOptions()) as line:
        line["simulator"].take_credentials({"key": "other", "secret": "other"})
        found = run("live", write(tmp_path, line))
        assert found.returncode not in (Exit.OK, Exit.FAILED), found.stdout + found.stderr
        assert "PIEXGO-10440" in found.stdout + found.stderr
        assert line["simulator"].exchange.orders("main") == []


def test_a_live_run_trades_and_leaves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "live.log"
    with simulated(tmp_path / "keys", PiexgoSimOptions()) as line, log.open("w") as out:
        exchange = line["simulator"].exchange
        path = write(tmp_path, line)
        process = subprocess.Popen(
            [FAIRLEAD, "live", str(path)], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            wait_for(
                lambda: (
                    line["do"](lambda: len(exchange.open_orders("main"))) == RESTS
                    and line["do"](lambda: len(exchange.orders("main"))) == RESTS + BUYS
                ),
                f"its orders; see {log}",
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECS) == Exit.OK, log.read_text()
        finally:
            process.kill()
            process.wait(PATIENCE_SECS)
        assert exchange.open_orders("main") == []
        orders = {str(order.id): order for order in exchange.orders("main")}
        secret = line["simulator"].credentials.secret
    with closing(sqlite3.connect(tmp_path / "state" / "piexgo-main.journal.sqlite")) as db:
        rows = db.execute("SELECT venue_order_id, state, filled, cost FROM orders").fetchall()
    assert {row[0] for row in rows} == set(orders)
    for venue_id, state, filled, cost in rows:
        order = orders[venue_id]
        assert order.status in (Status.FILLED, Status.CANCELED)
        assert (state, Decimal(filled)) == (order.status.name, order.executed)
        assert abs(Decimal(cost) - order.funds) < Decimal("1e-18")
    assert sum(order.status is Status.FILLED for order in orders.values()) == BUYS
    assert secret not in log.read_text()
    assert json.dumps(secret) not in path.read_text()
