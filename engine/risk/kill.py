"""The kill switch in the order path: a file that stops everything, and the durable kills."""

from __future__ import annotations

import os
from pathlib import Path

from engine.risk.killswitch import Action, Kill, KillState, Scope


class KillSwitch:
    """Looked at for each order: one `stat` of the file and one of the kills' folder, about 4 us.

    `path` is the file of `kill_switch_file`, `state` the durable kills; None turns either off.
    """

    __slots__ = ("_path", "path", "state")

    def __init__(self, path: Path | None, state: KillState | None = None) -> None:
        self.path = path
        self.state = state
        self._path = os.fspath(path) if path is not None else None

    def reason(self, strategy: str = "", instrument: str = "") -> str | None:
        """Why an order of this strategy and instrument id may not be created, or None.

        Without them: why nothing at all may be. A file that can't be looked at counts as there.
        """
        if self._path is not None:
            try:
                os.stat(self._path)
            except FileNotFoundError:
                pass
            except OSError as error:
                return f"the kill switch file {self._path} can't be looked at ({error.strerror})"
            else:
                return f"the kill switch file {self._path} exists; remove it to allow orders again"
        if self.state is None:
            return None
        kill = self.state.of_order(strategy, instrument)
        if kill is None:
            return None
        return f"{kill}; a person clears it: fairlead kill {kill.scope} --clear"

    def engage(self, scope: Scope, action: Action, *, reason: str, by: str) -> Kill | None:
        """Put a durable kill in force, as a breached limit does; None where nothing is kept.

        Raises KillStateError.
        """
        if self.state is None:
            return None
        return self.state.engage(scope, action, reason=reason, by=by)
