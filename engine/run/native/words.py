"""What NautilusTrader says on the screen while a short node looks: kept back until that is over.

Its log is global to the process, and prints each error as it comes. Of a look that failed the last
of them is part of the one line that tells of it; all of them are in the log's file anyhow. A run's
own lines go another way (`engine/cli/process.py`), and are not touched.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nautilus_trader.common import logger_flush

from fairlead.engine.processes import speech
from fairlead.engine.secrets import redact

_PLACES = (1, 2)
# `2026-01-01T00:00:00.000000000Z [ERROR] TRADER-001.Component: text`
_LINE = re.compile(r"\S+Z \[(?P<level>[A-Z]+)\] [^\s.]+\.(?P<who>\S+): (?P<text>.+)")
_QUERY = re.compile(r"\?[^\s)\"']+")  # of a URL: it may be signed
CHARS_MAX = 300  # of what is told
LATE_SECS = 0.2  # its log is written by a thread of its own
BYTES_MAX = 1024 * 1024  # of what is kept back


class Words:
    """`last` is its last error, empty: there was none."""

    def __init__(self) -> None:
        self.last = ""
        self.has_failed = False  # what it said is not shown: one line tells of it

    def read(self, raw: bytes) -> bytes:
        """What is to be shown of it; a look that failed leaves what is no line of its log."""
        rest = []
        for line in raw.splitlines(keepends=True):
            found = _LINE.match(line.decode(errors="replace").rstrip())
            if found is not None and found["level"] == "ERROR":
                said = redact(_QUERY.sub("?...", found["text"]))
                self.last = f"{found['who']}: {said}"[:CHARS_MAX]
            if found is None or not self.has_failed:
                rest.append(line)
        return b"".join(rest)


@contextmanager
def kept_back(words: Words) -> Iterator[None]:
    """Nothing is, where this process has its own lines in the same place."""
    if speech.fd in _PLACES:
        yield
        return
    sys.stdout.flush()
    before = [os.dup(fd) for fd in _PLACES]
    with tempfile.TemporaryFile() as file:
        for fd in _PLACES:
            os.dup2(file.fileno(), fd)
        try:
            yield
        except BaseException:
            words.has_failed = True
            raise
        finally:
            logger_flush()
            if words.has_failed:
                time.sleep(LATE_SECS)
            for fd, kept in zip(_PLACES, before, strict=True):
                os.dup2(kept, fd)
                os.close(kept)
            file.seek(0)
            shown = words.read(file.read(BYTES_MAX))
            if shown:
                with suppress(OSError):  # a screen that takes nothing
                    os.write(_PLACES[1], shown)
