"""A machine whose clock is set in the middle of a run, and a strategy that goes on ordering.

The module takes the place of the clock before the run is built, as a tool like faketime would:
every part of the run that asks for the time gets the one that was set.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.live.scripted import Scripted, ScriptedConfig

_true_ns = time.time_ns
_shift_ns = 0


def _shifted_ns() -> int:
    return _true_ns() + _shift_ns


time.time_ns = _shifted_ns


class Stepping(Scripted):
    """Sets the clock by the seconds that a file beside `seen` holds, once per file."""

    config_class = ScriptedConfig

    def on_book_deltas(self, deltas: Any) -> None:
        global _shift_ns
        asked = Path(self.config.seen).with_suffix(".step")
        if asked.exists():
            _shift_ns += int(float(asked.read_text()) * 1e9)
            asked.unlink()
        super().on_book_deltas(deltas)
