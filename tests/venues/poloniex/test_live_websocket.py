"""A live run whose trade requests go over the private WebSocket has the outcomes of one by REST."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from tests.crash.test_kill9 import PROOF_SECS, hammer
from tests.support import configs
from tests.support.audit import audit, smart_id
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, run, run_until, venue

OPTIONS = "options = { "


def trade_requests(served: Venue) -> dict[str, int]:
    """How many of each the venue was sent over its private WebSocket."""
    url = f"{str(served.line['control']).rstrip('/')}/venue"
    with urllib.request.urlopen(url, data=b"{}", timeout=PATIENCE_SECS) as answer:
        counts: dict[str, int] = json.load(answer)["trade_requests"]
    return counts


@pytest.mark.parametrize("transport", ["rest", "websocket"])
def test_live_run(transport: str, tmp_path: Path) -> None:
    journal = tmp_path / "state" / "poloniex-main.journal.sqlite"

    def has_traded() -> bool:
        """Some more of each than is asserted below."""
        if not journal.exists():
            return False
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
            try:
                ((fills,),) = db.execute("SELECT count(*) FROM fills")
                ((orders,),) = db.execute("SELECT count(*) FROM orders WHERE state != 'REFUSED'")
            except sqlite3.OperationalError:
                return False  # its tables are not there yet
        return fills > 4 and orders > 24

    with venue("poloniex", tmp_path / "venue", "--seed", "5") as served:
        for idle in (False, True):
            strategies = hammer("poloniex", idle=idle, seed=2, every_ms=120)
            config = configs.write(tmp_path, served, strategies=strategies, more=configs.ROOMY)
            option = f'{OPTIONS}"order_transport" = "{transport}", '
            config.write_text(config.read_text().replace(OPTIONS, option, 1))
            if idle:
                ended = run("live", config, "--for", PROOF_SECS)
            else:
                ended = run_until("live", config, has_traded, "orders", folder=tmp_path)
            if ended.returncode != Exit.UNRESOLVED:
                break  # else the next run proves the order that the stop has cut off
        assert ended.returncode == Exit.OK, ended.stdout + ended.stderr[-3000:]
        ledger, sent = served.ledger(), trade_requests(served)
        ((account, balances),) = served.balances().items()
    counts = audit(journal, ledger, account, smart_id)
    assert counts["unknown"] == 0
    assert counts["accepted"] > 8, counts
    assert counts["fills"] > 2, counts
    assert not [b for b in balances.values() if Decimal(b["locked"])]
    if transport == "rest":
        assert sent == {}
    else:
        assert sent["createOrder"] > 4, sent
        assert sent["cancelOrders"] > 0, sent
