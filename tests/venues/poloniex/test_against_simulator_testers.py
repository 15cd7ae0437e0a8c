"""NautilusTrader's DataTester and ExecTester find nothing wrong with the adapter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE_SECS

ROOT = Path(__file__).resolve().parents[3]


def run(
    what: str, folder: Path, *, quiet: bool = True
) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """NautilusTrader's log lines, what the venue saw, and the adapter's own log."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.venues.poloniex.testers", what, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [log] = folder.glob("node*")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    bad = {"ERROR", "WARN", "WARNING"} if quiet else {"ERROR"}  # a refusal is a warning
    assert [line for line in lines if line["level"] in bad] == []
    return lines, json.loads(done.stdout.splitlines()[-1]), done.stderr


def counts(lines: list[dict[str, Any]], *kinds: str) -> Counter[str]:
    return Counter(kind for line in lines for kind in kinds if kind in line["message"])


def done_orders(lines: list[dict[str, Any]]) -> set[str]:
    """Orders of which all was executed."""
    sizes: dict[str, Decimal] = {}
    executed: dict[str, Decimal] = {}
    for line in lines:
        found = re.search(r"<--\[EVT\] Order(?:Initialized|Filled)\(.*", line["message"])
        if not found:
            continue
        (name,) = re.findall(r"client_order_id=([^,]+)", found[0])
        for size in re.findall(r" quantity=([\d.]+)", found[0])[:1]:
            sizes.setdefault(name, Decimal(size))
        for size in re.findall(r"last_qty=([\d.]+)", found[0]):
            executed[name] = executed.get(name, Decimal(0)) + Decimal(size)
    return {name for name, size in executed.items() if size == sizes[name]}


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
    # The connection was dropped on purpose: lost, gap, connected again, whole again.
    assert len([line for line in own.splitlines() if line.startswith("WARNING")]) == 4, own


def test_exec_tester(tmp_path: Path) -> None:
    lines, told, own = run("exec", tmp_path)
    events = counts(
        lines,
        "<--[EVT] OrderInitialized",
        "<--[EVT] OrderSubmitted",
        "<--[EVT] OrderAccepted",
        "<--[EVT] OrderFilled",
        "<--[EVT] OrderUpdated",
        "<--[EVT] OrderCanceled",
        "Rejected",
        "Denied",
    )
    # A market order opens and one closes; two limits and two stops rest; modifies replace. The
    # market may fill a limit on a slow machine: then the tester puts another in its place.
    made = events["<--[EVT] OrderInitialized"]
    assert events["<--[EVT] OrderSubmitted"] == events["<--[EVT] OrderAccepted"] == made >= 6
    assert events["<--[EVT] OrderCanceled"] == made - len(done_orders(lines))
    assert events["<--[EVT] OrderUpdated"] >= 1
    assert events["<--[EVT] OrderFilled"] >= 2
    assert events["Rejected"] == events["Denied"] == 0
    assert told["open"] == 0
    assert told["stops"] == 2
    assert told["fills"] == events["<--[EVT] OrderFilled"]
    assert [line for line in own.splitlines() if line.startswith(("WARNING", "ERROR"))] == []


def cards(lines: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """Order events of each card's tester."""
    told: dict[str, Counter[str]] = {}
    for line in lines:
        found = re.match(r"CARD-(E\d+) <--\[EVT\] Order(\w+)", line["message"])
        if found:
            told.setdefault(found[1], Counter())[found[2]] += 1
    return told


def reasons(lines: list[dict[str, Any]], card: str) -> list[str]:
    return [x["message"] for x in lines if x["message"].startswith(f"CARD-{card} ")]


def test_cards_of_order_types_and_refusals(tmp_path: Path) -> None:
    lines, told, _ = run("orders", tmp_path, quiet=False)
    events = cards(lines)
    for card in ("E02", "E03", "E04"):
        assert events[card]["Submitted"] == events[card]["Accepted"] == 1
        assert events[card]["Filled"] >= 1
        assert not events[card]["Canceled"] + events[card]["Rejected"]
    assert events["E12"]["Submitted"] == events["E12"]["Accepted"] >= 2
    assert events["E70"]["Rejected"] == 2
    assert sum("due_post_only=true" in reason for reason in reasons(lines, "E70")) == 2
    for card, why in (
        ("E05", "quote currency"),
        ("E62", "display quantity"),
        ("E72", "order type"),
    ):
        assert events[card]["Denied"] == events[card]["Initialized"] >= 1
        assert any(why in reason for reason in reasons(lines, card))
    assert told["open"] == 0


def test_cards_of_changes_and_cancels(tmp_path: Path) -> None:
    lines, told, _ = run("changes", tmp_path, quiet=False)
    events = cards(lines)
    for card in ("E26", "E32", "E34", "E35", "E42", "E43"):
        assert events[card]["Submitted"] == events[card]["Accepted"] >= 2, card
        assert not events[card]["Rejected"] + events[card]["Denied"], card
        ended = events[card]["Canceled"] + events[card]["Filled"]
        assert ended == events[card]["Accepted"], card
    assert events["E34"]["Updated"] == events["E34"]["PendingUpdate"] >= 1
    assert events["E32"]["Accepted"] + events["E35"]["Accepted"] > 4  # replaced as prices moved
    assert told["open"] == 0


def test_cards_of_times_in_force(tmp_path: Path) -> None:
    lines, told, _ = run("tif", tmp_path, quiet=False)
    events = cards(lines)
    for card, end in (
        ("E13", "Filled"),
        ("E14", "Canceled"),
        ("E15", "Filled"),
        ("E16", "Canceled"),
    ):
        assert events[card]["Accepted"] == events[card]["Submitted"] >= 2, card
        assert events[card][end] >= events[card]["Accepted"], card
        assert not events[card]["Rejected"], card
    assert events["E73"]["Denied"] == events["E73"]["Initialized"] >= 2
    assert told["open"] == 0
