"""NautilusTrader's own log: a file of the state folder, and on the screen its errors only.

Its warnings are many, and some describe what is right (an order book that begins anew, an order
that is filled as it triggers). They are kept, in the file, where a person can look them up.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nautilus_trader.common import FileWriterConfig, LoggerConfig, LogLevel

from engine.config.loaded import LoadedConfig

FOLDER = "logs"  # in the state folder
# A backtest's orders that go on waiting are failures there, an ERROR each time
EXCHANGE = "nautilus_execution::matching_engine"
LEVELS = {name: getattr(LogLevel, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")}


def log_path(loaded: LoadedConfig, mode: str) -> Path:
    """The file that a run of this mode appends to."""
    return loaded.state_dir / FOLDER / f"{loaded.config.name}-{mode}.log"


def logger_config(loaded: LoadedConfig, mode: str) -> LoggerConfig:
    """Of a run; one that may not write its state folder (a backtest may run so) has no file."""
    path = log_path(loaded, mode)
    return LoggerConfig(
        stdout_level=LogLevel.ERROR,
        fileout_level=LEVELS[loaded.config.run.log_level],
        component_levels={EXCHANGE: "OFF"} if mode == "backtest" else None,
        is_colored=False,
        file_config=FileWriterConfig(str(path.parent), path.stem) if _is_ready(path) else None,
    )


def _is_ready(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.fchmod(fd, 0o600)  # one of before, or of a mode that made it for all
        finally:
            os.close(fd)
    except OSError:
        return False
    return True
