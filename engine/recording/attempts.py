"""What was begun and not ended: a file that takes the process down is not tried for ever.

NautilusTrader's readers abort the process on some damaged files, which no `except` sees.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from fairlead.engine.files import decoded, write_whole
from fairlead.engine.recording.commit import JOURNAL

ATTEMPTS_MAX = 3  # a kill may have come from outside: once is no proof
_FILE = "attempts.json"


class Attempts:
    """Counted on disk by name. The caller holds the catalog's exclusive lock. Raises OSError."""

    def __init__(self, catalog: Path) -> None:
        self._path = catalog / JOURNAL / _FILE
        self._counts = self._read()

    def _read(self) -> dict[str, int]:
        try:
            return decoded(self._path.read_bytes(), dict[str, int]) or {}
        except FileNotFoundError:
            return {}

    def failed(self, name: str) -> int:
        """How often it was begun and not ended."""
        return self._counts.get(name, 0)

    def begin(self, *names: str) -> None:
        for name in names:
            self._counts[name] = self.failed(name) + 1
        self._write()

    def end(self, *names: str) -> None:
        for name in names:
            self._counts.pop(name, None)
        self._write()

    def _write(self) -> None:
        write_whole(self._path, msgspec.json.encode(self._counts), durable=False)
