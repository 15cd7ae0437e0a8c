"""The demo's own processes: what does not end is told as what it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairlead.engine.errors import FairleadError
from fairlead.engine.run import demo


def test_a_live_run_that_does_not_end_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def endless(*arguments: str) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(600)", *arguments]

    monkeypatch.setattr(demo, "_fairlead", endless)
    monkeypatch.setattr(demo, "END_SECS", 0.1)
    with pytest.raises(FairleadError, match="expected live run 2 to end within") as caught:
        demo._trade(tmp_path / "demo.toml", tmp_path, 0.2, print)
    assert caught.value.code == "DEMO-LIVE"
