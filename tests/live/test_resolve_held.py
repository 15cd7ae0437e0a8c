"""A position that was traded by hand is set in the journal, at NautilusTrader's Binance."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from tests.live.native import PERP, Native, taking
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import command, run, start, venue, wait_for

pytestmark = pytest.mark.slow
D = Decimal


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Native]:
    with venue("binance", tmp_path / "venue", "--seed", "5") as served:
        yield Native(served, tmp_path)


def _sell_by_hand(native: Native, quantity: str) -> None:
    assert native.served is not None
    line = native.served.line
    key, secret = (
        Path(line["credentials"][name].removeprefix("file:")).read_text().strip()
        for name in ("api_key", "api_secret")
    )
    words = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": quantity}
    text = urllib.parse.urlencode({**words, "timestamp": int(time.time() * 1000)})
    signed = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    url = f"{str(line['usdm_rest']).rstrip('/')}/fapi/v1/order?{text}&signature={signed}"
    asked = urllib.request.Request(url, method="POST", headers={"X-MBX-APIKEY": key})
    with urllib.request.urlopen(asked, timeout=PATIENCE_SECS) as answer:
        assert answer.status == 200


def test_a_contract_that_was_closed_over_rest_is_out_of_the_journal(native: Native) -> None:
    process = start("live", native.config(taking(native.seen, rests=True)), log=native.log)
    try:
        wait_for(lambda: native.states()["WAITING"] and native.states()["OPEN"], "both orders")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECS)
    assert (native.position(), native.open_at_venue()) == (D("0.010"), [])
    _sell_by_hand(native, "0.010")
    assert native.position_at_venue() == 0
    config = native.config(taking(native.seen))
    refused = run("live", config, "--for", "2")
    assert refused.returncode == Exit.DRIFT, refused.stderr[-3000:]
    assert f"fairlead resolve {PERP} --held 0" in refused.stderr
    price = native.fills_at_venue()[-1]["price"]
    said = ("--price", price, "--reason", "closed over REST", "--config", config, "--json")
    wrong = command("resolve", PERP, "--held", "0.005", *said)
    assert wrong.returncode == Exit.DRIFT, wrong.stderr
    assert "RESOLVE-HELD" in wrong.stderr
    settled = command("resolve", PERP, "--held", "0", *said)
    assert settled.returncode == Exit.OK, settled.stderr
    assert json.loads(settled.stdout)["before"] == "0.01"
    assert native.position() == 0
    with closing(Journal.reading(native.journal)) as journal:
        assert journal.problems() == []
    (order,) = json.loads(settled.stdout)["orders"]
    assert "closed over REST" in run("explain", Path(order), "--config", str(config)).stdout
    again = run("live", config, "--for", "2", "--json")
    assert again.returncode == Exit.OK, again.stderr[-3000:]
    assert "DRIFT" not in again.stderr
    same = command("resolve", PERP, "--held", "0", *said)
    assert same.returncode == Exit.USAGE, same.stderr
    assert "RESOLVE-SAME" in same.stderr
    trades = start("live", native.config(taking(native.seen, rests=True)), log=native.log)
    try:
        wait_for(lambda: native.position() == D("0.010"), "it trades again")
    finally:
        trades.send_signal(signal.SIGTERM)
        assert trades.wait(PATIENCE_SECS) in (Exit.OK, Exit.UNRESOLVED)
