"""Where a run's own log goes: stderr, for people, and the file of its `[log]`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.logs import TEXT, JsonFormatter, RotatingFile
from fairlead.engine.processes import say, speech
from fairlead.engine.run.kernel import FOLDER, MIB
from fairlead.engine.run.modes import Mode
from fairlead.engine.secrets import RedactingFilter

LOST = "LOG-LOST"
people = logging.getLogger("fairlead")  # shown at INFO, whatever the run's log level


def own_log_path(loaded: LoadedConfig, mode: Mode) -> Path | None:
    """None: the config has no `[log]`."""
    log = loaded.config.log
    end = None if log is None else ("jsonl" if log.format == "json" else "txt")
    return None if end is None else loaded.state_dir / FOLDER / f"{loaded.config.name}-{mode}.{end}"


def begin_logs(loaded: LoadedConfig, mode: Mode) -> None:
    """Before anything of the run is said. Raises FairleadError `LOG-UNWRITABLE`."""
    settings = loaded.config.log
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter(TEXT))
    path = own_log_path(loaded, mode)
    if settings is not None and path is not None:
        try:
            file = RotatingFile(
                path,
                settings.rotate_mb * MIB,
                settings.keep,
                lambda why: say(f"warning {LOST}: {why}"),
            )
        except OSError as error:
            raise FairleadError(
                "LOG-UNWRITABLE",
                f"the log {path} can't be opened: {error.strerror}; nothing was sent. Free the "
                "disk, make the folder this user's, or take [log] out of the config",
                Exit.FAILED,
            ) from error
        file.setFormatter(JsonFormatter() if settings.format == "json" else logging.Formatter(TEXT))
        handlers.append(file)
    for handler in handlers:
        handler.addFilter(RedactingFilter())
    for old in logging.getLogger().handlers[:]:
        if isinstance(old, RotatingFile):
            old.close()
    logging.basicConfig(level=loaded.config.run.log_level, handlers=handlers, force=True)
    people.setLevel(logging.WARNING if speech.is_quiet else logging.INFO)
