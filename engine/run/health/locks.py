"""Who holds the accounts: a run that lives, one that hangs, or something else."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.elsewhere import Place, require_no_halt_elsewhere
from fairlead.engine.orders.key_lock import addresses_of, key_lock
from fairlead.engine.orders.lock import holder_of
from fairlead.engine.risk.continuity import require_continued
from fairlead.engine.run.health.found import Check, Trouble, check
from fairlead.engine.secrets import Secret

STOPPED = {
    "T": "is stopped",
    "t": "is stopped by a debugger",
    "Z": "has ended, and waits for its parent",
}


def look(loaded: LoadedConfig, secrets: Mapping[str, Mapping[str, Secret]]) -> Iterator[Check]:
    """`secrets` are those of each venue whose credentials are whole."""
    for key in loaded.traded:
        for is_paper in (False, True):
            files = account_files(loaded, key, paper=is_paper)
            pid = holder_of(files.lock)
            seen = "free" if pid is None else f"held by process {pid}"
            yield check(f"lock {files.name}", seen, _lock(files.lock, pid))
        if key in secrets:
            yield check(f"account of {key}", "by its key", _account(loaded, key, secrets[key]))


def _lock(path: Path, pid: int | None) -> Iterator[Trouble]:
    if path.is_symlink():
        yield Trouble(
            code="LOCK-LINK",
            text=f"the lock {path} is a link: no run takes it",
            remedy=f"rm {shlex.quote(str(path))}",
        )
    if pid is None:
        return
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, IndexError):  # it ends just now
        return
    if state in STOPPED:
        yield Trouble(
            code="LOCK-HUNG",
            text=f"process {pid}, which holds {path}, {STOPPED[state]}: nobody looks after its "
            "orders",
            remedy=f"kill -CONT {pid}; or `fairlead kill all --config CONFIG`, then kill -9 {pid}",
            exit_code=int(Exit.LOCKED),
        )
    elif not _is_run(words):
        yield Trouble(
            code="LOCK-FOREIGN",
            text=f"process {pid} ({' '.join(words).strip()[:80]}) holds {path}, and is no run",
            remedy=f"end it: kill {pid}",
            exit_code=int(Exit.LOCKED),
        )


def _is_run(words: list[str]) -> bool:
    """By its command line: a Python, or our command."""
    names = [os.path.basename(word) for word in words[:2]]
    return names[0].startswith(("python", "fairlead")) or names[-1].startswith("fairlead")


def _account(loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret]) -> Iterator[Trouble]:
    """Whatever the state folder: one account is traded by one process of this user."""
    venue, files = loaded.config.venues[key], account_files(loaded, key)
    options = msgspec.to_builtins(loaded.options[key])
    addresses = addresses_of(options)
    try:
        lock = key_lock(venue.adapter, addresses, secrets, loaded.state_dir)
    except FairleadError as error:
        yield _of(error, "make it yours alone (chmod 700), or name another folder by that variable")
        return
    if lock.remark:
        remedy = "unset it, unless every run of this user has the same"
        yield Trouble(code="LOCK-FOLDER", text=lock.remark, remedy=remedy, level="look")
    pid = holder_of(lock.path)
    if pid is not None and pid != holder_of(files.lock):
        yield Trouble(
            code="LOCK-ELSEWHERE",
            text=f"process {pid} trades this account from another state folder: {_note(lock.path)}",
            remedy=f"end one of the two: kill {pid}, or give this config another account",
            exit_code=int(Exit.LOCKED),
        )
    here = Place(
        folder=str(loaded.state_dir),
        venue=key,
        account=venue.account,
        config=str(loaded.path.absolute()),
    )
    try:
        require_no_halt_elsewhere(lock, here)
        if not loaded.config.execution.accept_unjournaled:  # what is accepted is noted, by a start
            require_continued(files, accept=False)
    except FairleadError as error:
        yield _of(error, "see docs/kill.md and docs/restarts.md: the text names what to look for")


def _note(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:200]
    except OSError as error:
        return os.strerror(error.errno or 0)


def _of(error: FairleadError, remedy: str) -> Trouble:
    return Trouble(
        code=error.code, text=error.message, remedy=remedy, exit_code=int(error.exit_code)
    )
