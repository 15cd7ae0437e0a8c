"""A promotion in a process of its own: nobody waits for it, and it takes nobody down with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fairlead.engine.files import decoded
from fairlead.engine.processes import module_command
from fairlead.engine.recording.compact import Joins
from fairlead.engine.recording.promote import Promoted


class Promotion:
    """One `promote`, that outlives a killed run. Raises OSError where it can't be started."""

    def __init__(self, catalog: Path, joins: Joins, wait_secs: float = 0.0) -> None:
        how = [str(catalog), f"{wait_secs}", joins.value]
        command = module_command("fairlead.engine.recording.promote", *how)
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt from the terminal is not for it
        )

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def result(self, limit_secs: float) -> Promoted:
        """Waits for it, and ends it after `limit_secs`. Raises OSError with its last words."""
        try:
            out, err = self._process.communicate(timeout=limit_secs)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise OSError(f"the promotion took longer than {limit_secs:g} s") from None
        told = decoded(out, Promoted)
        if told is None:
            words = (err.strip().splitlines() or ["nothing said"])[-1][:300]
            raise OSError(f"the promotion ended with {self._process.returncode}: {words}")
        return told
