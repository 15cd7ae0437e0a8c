"""Fixtures of the Zerocap adapter's tests: payloads of the venue's document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def sample() -> Any:
    """`sample("zc_A_ws_trade_info.json")`: a whole payload as bytes."""
    return lambda name: (SAMPLES / name).read_bytes()
