"""Streams of an import that become Parquet files in a process beside it, on another core.

NautilusTrader holds Python's lock while it converts one, so that a thread would not do. The helper
ends by itself where the import was killed. What goes wrong ends it: the import then begins again
without helpers, and meets what is wrong, if anything is.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from pathlib import Path

from fairlead.engine.processes import module_command

MODULE = "fairlead.engine.recording.importers.converting"
_DONE = b"done\n"


class HelperEnded(Exception):
    """A process beside the import's has ended before its work."""


class Converter:
    """One helper for the catalog below `folder`, at work on one stream at most."""

    def __init__(self, folder: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # then `result` says so
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                module_command(MODULE, str(folder)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # a Ctrl-C is the import's, which ends this
            )

    def give(self, run: str, data_type: str) -> None:
        """Have it convert the stream of that run. Where it has ended, `result` says so."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{run} {data_type}\n".encode())

    @property
    def is_done(self) -> bool:
        """Whether `result` need not wait."""
        if self._process is None or self._process.stdout is None:
            return True
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        return bool(poll.poll(0))

    def result(self) -> bool:
        """Whether the stream that was given is converted. Waits for it."""
        if self._process is None or self._process.stdout is None:
            return False
        return self._process.stdout.readline() == _DONE

    def close(self) -> None:
        """End it, whatever it is at."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def main(folder: str) -> None:
    """The helper: a line for each stream, its run and NautilusTrader's name of its data type."""
    from nautilus_trader.model import NautilusDataType
    from nautilus_trader.persistence import ParquetDataCatalog

    from fairlead.engine.recording.rows import ROW_GROUP_SIZE

    catalog = ParquetDataCatalog(folder, max_row_group_size=ROW_GROUP_SIZE)
    for line in sys.stdin:
        run, name = line.split()
        catalog.convert_stream_to_data(run, getattr(NautilusDataType, name))
        sys.stdout.buffer.write(_DONE)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        main(*sys.argv[1:])
