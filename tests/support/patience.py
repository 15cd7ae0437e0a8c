"""How long a test waits for what must come."""

from __future__ import annotations

import threading
import time
from typing import Self

# Reached only when what a test waits for never comes: also on a machine whose cores are all busy
# with other work, where everything takes many times as long.
PATIENCE_SECS = 300.0


class Lateness:
    """How late this machine gave a sleeping process its core, at most, while it was held.

    What a run did at a moment of its own is judged within that: a busy machine is no fault of it.
    """

    LOOK_SECS = 0.005

    def __init__(self) -> None:
        self.most_ns = 0
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        due = time.monotonic_ns()
        while not self._is_over.is_set():
            due += round(self.LOOK_SECS * 1e9)
            self._is_over.wait(max(due - time.monotonic_ns(), 0) / 1e9)
            now = time.monotonic_ns()
            self.most_ns, due = max(self.most_ns, now - due), now

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watch.join()
