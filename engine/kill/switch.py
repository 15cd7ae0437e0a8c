"""The kill switch in the order path: a file that stops everything, and the durable kills."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import clear_command
from fairlead.engine.kill.absence import Absence
from fairlead.engine.kill.state import FOLDER, Action, Kill, KillState, Scope

if TYPE_CHECKING:
    from fairlead.engine.kill.account import TradedAccount

logger = logging.getLogger(__name__)

# A backtest reaches no venue: an order may pass this long after the kill switch file came.
FILE_NS = 100_000_000
NEW_RUN = "it is cleared, and this run does not trade on with it: end the run and start a new one"
NONE_CLOSED = (
    "closed no position, as none is at a venue of NautilusTrader's own; the run that is up trades "
    "on with what it holds"
)


def kill_state(loaded: LoadedConfig) -> KillState:
    """The durable kills of a config's state folder."""
    accounts = {key: venue.account for key, venue in loaded.config.venues.items()}
    return KillState(loaded.state_dir / FOLDER, accounts)


def tell_flattened(scope: Scope, accounts: Iterable[TradedAccount]) -> None:
    """What becomes of a run whose accounts a kill that is cleared had flattened, where it could."""
    accounts = list(accounts)
    if any(one.can_flatten for one in accounts):
        logger.error("FLATTENED: what the kill of %s closed: %s", scope, NEW_RUN)
    for one in accounts:
        if not one.can_flatten:
            logger.warning("%s %s: %s %s", one.venue.lower(), one.account, scope, NONE_CLOSED)


class KillSwitch:
    """Looked at for each order: the file and the kills' folder, by one call of the system each.

    `path` is the file of `kill_switch_file`, `state` the durable kills; None turns either off.
    `lost` is why this run alone may create nothing more, whatever a person clears.
    `config` is the run's file, for the command that clears. `look_every_ns` of the `monotonic_ns`
    clock may pass between two looks at the file that find nothing: 0 (each order looks) where
    orders reach a venue, more in a backtest.
    """

    __slots__ = (
        "_absence",
        "_config",
        "_path",
        "lost",
        "path",
        "state",
    )

    def __init__(
        self,
        path: Path | None,
        state: KillState | None = None,
        *,
        config: Path | None = None,
        look_every_ns: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = path
        self.state = state
        self.lost: str | None = None
        self._config = config
        self._path = None if path is None else os.fspath(path)
        places = (path, None if state is None else state.folder)
        self._absence = Absence(
            *(one for one in places if one is not None),
            trust_ns=look_every_ns,
            monotonic_ns=monotonic_ns,
        )

    def reason(self, strategy: str = "", instrument: str = "") -> str | None:
        """Why an order of this strategy and instrument id may not be created, or None: a kill is in
        force, or this run has flattened it.

        Without them: why nothing at all may be. A file that can't be looked at counts as there.
        """
        if self.lost is not None:
            return self.lost
        if (self.state is None or self.state.was_empty) and self._absence.is_sure():
            return None  # as mostly
        if (found := self.by_file()) is not None:
            return found
        if self.state is None:
            return None
        kill = self.state.of_order(strategy, instrument)
        if kill is not None:
            return f"{kill}; a person clears it: {clear_command(kill.scope, self._config)}"
        done = self.state.flattened_of(strategy, instrument) if instrument else None
        return None if done is None else f"FLATTENED by {done}; {NEW_RUN}"

    def by_file(self) -> str | None:
        """Why nothing at all may be created, by the file alone."""
        if self._path is None:
            return None
        try:
            os.lstat(self._path)  # a link counts wherever it leads
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"the kill switch file {self._path} can't be looked at ({error.strerror})"
        return f"the kill switch file {self._path} exists; remove it to allow orders again"

    def engage(self, scope: Scope, action: Action, *, reason: str, by: str) -> Kill | None:
        """Put a durable kill in force, as a breached limit does; None where nothing is kept.

        Raises KillStateError.
        """
        if self.state is None:
            return None
        return self.state.engage(scope, action, reason=reason, by=by)


def switch_of(loaded: LoadedConfig, state: KillState | None) -> KillSwitch:
    """A config's kill switch: the file, and in a run that reaches venues the durable kills."""
    return KillSwitch(
        loaded.state_dir / loaded.config.risk.kill_switch_file,
        state,
        config=loaded.path,
        look_every_ns=FILE_NS if state is None else 0,
    )
