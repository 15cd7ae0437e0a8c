"""NautilusTrader's built-in DataTester finds nothing wrong with the data client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.support.patience import PATIENCE_SECS
from tests.venues.base.data_tester import QUOTES

ROOT = Path(__file__).resolve().parents[3]


def test_data_tester_runs_without_an_error_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.venues.base.data_tester", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [log] = tmp_path.glob("node*")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    bad = [line for line in lines if line["level"] in {"ERROR", "WARN", "WARNING"}]
    assert bad == []
    kinds = ("QuoteTick {", "TradeTick {", "Bar {", "OrderBookDepth {", "InstrumentStatus {")
    received = Counter(kind for line in lines for kind in kinds if line["message"].startswith(kind))
    assert received["QuoteTick {"] == QUOTES
    assert received["TradeTick {"] == received["Bar {"] == 20
    assert received["OrderBookDepth {"] >= 22  # every batch, and the empty book of the gap
    assert received["InstrumentStatus {"] == 1
    texts = [line["message"] for line in lines]
    assert "Received 1 historical trades" in texts
    assert "Received 1 historical bars" in texts
    own = [line for line in done.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    # The connection dropped on purpose: lost, gap, connected again, whole again.
    assert len(own) == 4, own
    operations = Counter(json.loads(done.stdout.splitlines()[-1]))
    assert operations["hello"] == 2
    for feed in ("book", "trades", "bars"):
        assert operations[f"sub {feed}"] == 2
        assert operations[f"unsub {feed}"] == 1
