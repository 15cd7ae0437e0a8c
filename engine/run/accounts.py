"""A run takes its accounts: nobody else trades them, and their state is what it last was.

It goes on looking that the locks are still where a second start would meet them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import msgspec

from fairlead.engine.config.loaded import account_files
from fairlead.engine.config.resolved import Resolved
from fairlead.engine.kill.elsewhere import Place, note_place, require_no_halt_elsewhere
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.journal_upgrade import upgrade
from fairlead.engine.orders.key_lock import addresses_of, key_lock
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.risk.continuity import require_continued
from fairlead.engine.status import RunStatus

LOOK_SECS = 1.0

logger = logging.getLogger(__name__)


class HeldAccounts:
    """The locks of a run, and by venue key how it is noted where the account's state is kept."""

    def __init__(self) -> None:
        self.locks: list[AccountLock] = []
        self.remarks: list[str] = []  # what a person is to know of where they are
        self.places: dict[str, Callable[[], None]] = {}
        self._noted: list[Callable[[], None]] = []

    def kept(self, key: str) -> None:
        """The account's journal is there."""
        self.places[key]()
        self._noted.append(self.places[key])

    async def watch(self, switch: KillSwitch, status: RunStatus) -> None:
        """Until cancelled: tell loudly what becomes of a lock, and make it anew.

        With one that another process holds by now, nothing is created any more.
        """
        told: list[str] = []
        while True:
            found = self._look()
            for problem in found:
                if problem not in told:
                    logger.critical("LOCK-LOST: %s", problem)
                    status.problem(time.time_ns(), "LOCK-LOST", problem)
            told = found
            lost = [str(lock.path) for lock in self.locks if lock.is_lost]
            if lost and switch.lost is None:
                switch.lost = (
                    f"another process holds {lost[0]}, the lock of this account, which was taken "
                    "away; end one of the two, and start the other again"
                )
            await asyncio.sleep(LOOK_SECS)

    def _look(self) -> list[str]:
        found = [problem for lock in self.locks if (problem := lock.look()) is not None]
        if found:  # what lay beside them may be gone, too
            for note in self._noted:
                note()
        return found


def hold_accounts(held: ExitStack, resolved: Resolved, *, live: bool) -> HeldAccounts:
    """Take the locks of the config's accounts until `held` ends. Raises FairleadError."""
    taken = HeldAccounts()
    loaded = resolved.loaded
    for key in loaded.traded:
        venue = loaded.config.venues[key]
        files = account_files(loaded, key, paper=not live)
        taken.locks.append(held.enter_context(AccountLock(files.lock)))
        if not live:
            continue
        options = msgspec.to_builtins(loaded.options[key])
        addresses = addresses_of(options)
        lock = key_lock(venue.adapter, addresses, resolved.secrets[key], loaded.state_dir)
        taken.locks.append(held.enter_context(lock))
        if lock.remark and lock.remark not in taken.remarks:
            taken.remarks.append(lock.remark)
        here = Place(
            folder=str(loaded.state_dir),
            venue=key,
            account=venue.account,
            config=str(loaded.path.absolute()),
        )
        require_no_halt_elsewhere(lock, here)
        upgrade(files.journal, time.time_ns)
        require_continued(files, accept=loaded.config.execution.accept_unjournaled)
        taken.places[key] = partial(note_place, lock, here)
    return taken
