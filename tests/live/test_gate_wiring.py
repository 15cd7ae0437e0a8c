"""What only a live run knows reaches the gate: unproven outcomes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.crash.test_kill9 import hammer
from tests.support import configs
from tests.support.processes import run_until, venue

MORE = f"""{configs.ROOMY_RISK}
max_unknown_outcomes = 2

[execution]
absent_quarantine_secs = 60.0
settle_timeout_secs = 0.5
"""


def test_orders_stop_when_too_many_outcomes_are_unknown(tmp_path: Path) -> None:
    with venue("oceanex", tmp_path / "venue", "--seed", "5") as served:
        # No create is executed, and its answer proves nothing.
        for path in ("/v1/orders$", "/v1/orders/multi"):
            served.post("faults", method="POST", path=path, kind="unavailable", times=999)
        config = configs.write(
            tmp_path, served, strategies=hammer("oceanex", idle=False, seed=1), more=MORE
        )
        logs = tmp_path / "state" / "logs"

        def is_refused() -> bool:
            return any("(16 of this code)" in file.read_text() for file in logs.glob("*.log"))

        ended = run_until("live", config, is_refused, "16 refusals", folder=tmp_path)
    summary = json.loads(ended.stdout)
    assert summary["denials"].get("UNKNOWN_OUTCOMES", 0) > 10, summary["denials"]
    assert summary["orders"] <= 12, "orders went on though nothing was known of the last ones"
