"""A run takes its accounts: nobody else trades them, and their state is what it last was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import msgspec

from fairlead.engine.config.loaded import account_files
from fairlead.engine.config.resolved import Resolved
from fairlead.engine.kill.elsewhere import Place, note_place, require_no_halt_elsewhere
from fairlead.engine.orders.files import AccountLock, key_lock
from fairlead.engine.risk.continuity import require_continued


def hold_accounts(
    held: ExitStack,
    resolved: Resolved,
    *,
    live: bool,
) -> dict[str, Callable[[], None]]:
    """Take the locks of the config's accounts until `held` ends. Raises FairleadError.

    By venue key, what is to be called once the account's journal is there.
    """
    kept: dict[str, Callable[[], None]] = {}
    loaded = resolved.loaded
    for key, venue in loaded.config.venues.items():
        files = account_files(loaded, key, paper=not live)
        held.enter_context(AccountLock(files.lock))
        if not live:
            continue
        options = msgspec.to_builtins(loaded.options[key])
        addresses = {n: str(value) for n, value in options.items() if n.endswith("url")}
        lock = key_lock(venue.adapter, addresses, resolved.secrets[key], loaded.state_dir)
        held.enter_context(lock)
        here = Place(
            folder=str(loaded.state_dir),
            venue=key,
            account=venue.account,
            config=str(loaded.path.absolute()),
        )
        require_no_halt_elsewhere(lock, here)
        require_continued(files, accept=loaded.config.execution.accept_unjournaled)
        kept[key] = partial(note_place, lock, here)
    return kept
