"""The first cancels of a kill from a thread of the live run, over a connection of its own.

A strategy that blocks the event loop blocks the run's watch with it, and `fairlead kill` needs
0.15 s of imports before its first cancel. This thread has everything imported. It does one thing:
once for each new kill that cancels, it cancels what the journal names. Its answers are not kept:
the command, and the run's watch, ask again and look until all are gone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.kill.account import Reach
from fairlead.engine.kill.command import VenueKill, covered
from fairlead.engine.kill.first import FirstCancels, FirstWords
from fairlead.engine.kill.state import ALL, FOLDER, Action, Kill, KillState

logger = logging.getLogger(__name__)

LOOK_SECS = 0.02  # one `stat` call each
CANCEL_SECS = 10.0
JOIN_SECS = 1.0


class KillThread:
    """In a with block around a live run. Kills in force before it are the start's to act on.

    `run_state` is the run's own look at the kills: what no disk took is known to it alone.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        run_state: KillState,
        reach: Reach,
        left_out: Collection[str] = (),
    ) -> None:
        """`left_out` are venues that only the run's own loop can ask."""
        self._loaded = loaded
        self._left_out = left_out
        self._reach = reach
        self._run_state = run_state
        self._state = KillState(loaded.state_dir / FOLDER)
        self._seen: tuple[Kill, ...] = ()
        self._words = {key: FirstWords(account_files(loaded, key).cancels) for key in loaded.traded}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="kill", daemon=True)

    def __enter__(self) -> KillThread:
        self._seen = self._state.in_force()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(JOIN_SECS)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECS):
            try:
                self._look()
            except Exception:
                logger.exception("the thread of the kills")

    def _look(self) -> None:
        kills = self._state.in_force()
        kills += tuple(kill for kill in self._run_state.without_file if kill not in kills)
        if kills == self._seen:
            return
        new = [kill for kill in kills if kill not in self._seen]
        self._seen = kills
        for kill in new:
            if kill.action.rank >= Action.CANCEL.rank:
                asyncio.run(self._act(kill))

    def cancel(self, reason: str) -> str:
        """From another thread: cancel what the journals name, once, with no kill put in force.

        Gives what was done, for a person.
        """
        kill = Kill(
            scope=ALL, action=Action.CANCEL, reason=reason, by="the run", ts_ns=time.time_ns()
        )
        return asyncio.run(self._act(kill))

    async def _act(self, kill: Kill) -> str:
        keys = [key for key in covered(self._loaded, kill) if key not in self._left_out]
        works = [
            VenueKill(
                self._loaded, key, kill, self._reach, time.time_ns(), CANCEL_SECS, logger.info
            )
            for key in keys
        ]
        done = await asyncio.gather(*(work.first() for work in works), return_exceptions=True)
        orders, failed = 0, list[str]()
        for key, came in zip(keys, done, strict=True):
            if isinstance(came, BaseException):
                failed.append(key)
                logger.error("%s: the first cancels failed: %s: %s", key, type(came).__name__, came)
            elif came.asked:
                orders += came.asked
                if came.heeded:
                    self._words[key].add(FirstCancels(came.ts_ns, frozenset(came.heeded)))
                logger.warning("%s: cancels of %d orders went out past the loop", key, came.asked)
        more = f", and failed at {', '.join(failed)}" if failed else ""
        return f"cancels of {orders} orders went out{more}"
