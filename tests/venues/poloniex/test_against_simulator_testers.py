"""NautilusTrader's DataTester and ExecTester find nothing wrong with the adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def run(what: str, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """NautilusTrader's log lines, what the venue saw, and the adapter's own log."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.venues.poloniex.testers", what, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [log] = folder.glob("node*")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if line["level"] in {"ERROR", "WARN", "WARNING"}] == []
    return lines, json.loads(done.stdout.splitlines()[-1]), done.stderr


def counts(lines: list[dict[str, Any]], *kinds: str) -> Counter[str]:
    return Counter(kind for line in lines for kind in kinds if kind in line["message"])


def test_data_tester(tmp_path: Path) -> None:
    lines, _, own = run("data", tmp_path)
    kinds = ("QuoteTick {", "TradeTick {", "OrderBookDepth {", "InstrumentStatus {")
    received = counts(lines, *kinds)
    assert all(received[kind] for kind in kinds), received
    texts = [line["message"] for line in lines]
    for kind in ("bars", "trades"):
        (told,) = [text for text in texts if text.endswith(f"historical {kind}")]
        assert int(told.split()[1]) >= 3, told
    commands = counts(lines, "[CMD]--> Subscribe", "[CMD]--> Unsubscribe")
    assert commands["[CMD]--> Subscribe"] == commands["[CMD]--> Unsubscribe"] > 0
    # The connection was dropped on purpose: lost, gap, whole again.
    assert len([line for line in own.splitlines() if line.startswith("WARNING")]) == 3, own


def test_exec_tester(tmp_path: Path) -> None:
    lines, told, own = run("exec", tmp_path)
    events = counts(
        lines,
        "<--[EVT] OrderSubmitted",
        "<--[EVT] OrderAccepted",
        "<--[EVT] OrderFilled",
        "<--[EVT] OrderUpdated",
        "<--[EVT] OrderCanceled",
        "Rejected",
        "Denied",
    )
    # A market order opens and one closes; two limits and two stops rest; modifies replace.
    assert events["<--[EVT] OrderSubmitted"] == events["<--[EVT] OrderAccepted"] == 6
    assert events["<--[EVT] OrderCanceled"] == 4
    assert events["<--[EVT] OrderUpdated"] >= 1
    assert events["<--[EVT] OrderFilled"] >= 2
    assert events["Rejected"] == events["Denied"] == 0
    assert told["open"] == 0
    assert told["stops"] == 2
    assert told["fills"] == events["<--[EVT] OrderFilled"]
    assert [line for line in own.splitlines() if line.startswith(("WARNING", "ERROR"))] == []
