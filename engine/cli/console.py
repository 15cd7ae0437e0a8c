"""Where results are printed."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDE = 118  # columns where nothing says how many there are: rich's 80 break every second line


def result_console(record: bool = False) -> Console:
    """Stdout as wide as the terminal; into a file or a pipe as wide as two runs need.

    `record` keeps what is printed, to export it.
    """
    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(record=record, width=WIDE if record or not told else None)
