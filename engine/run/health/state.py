"""A config's state folder: who may write to it, and what journals, risk states and kills say."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from fairlead.engine.config.loaded import LoadedConfig, folders_of
from fairlead.engine.errors import Exit, clear_command
from fairlead.engine.observe.page.announced import UP
from fairlead.engine.observe.page.sign import SIGN
from fairlead.engine.orders.files import CANCELS, unwritable
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_reads import REPAIR
from fairlead.engine.research.places import RUNS
from fairlead.engine.risk.continuity import JOURNAL_EMPTY, lost_beside
from fairlead.engine.run.at_rest import AtRest
from fairlead.engine.run.health.found import Check, Trouble, check
from fairlead.engine.secrets import redact

PRIVATE = (
    "*.journal.sqlite*",
    "*.risk.json",
    "*.clear.json",
    f"*{CANCELS}",
    f"*{SIGN}",
    f"*{UP}",
    "page*.token",
    "kill-switch/*",
)
WHOLE_BYTES_MAX = 256 * 1024 * 1024  # of a journal whose every checksum is read
SAVED = "*.journal.sqlite.saved-*"
OTHERS_READ, OTHERS_WRITE = 0o077, 0o022


def look(loaded: LoadedConfig, files: AtRest) -> Iterator[Check]:
    folder = loaded.state_dir
    yield check("folders", ", ".join(map(str, folders_of(loaded))), _folders(loaded))
    yield check("file modes", f"of {folder}", _modes(folder))
    journals = sorted(folder.glob("*.journal.sqlite"))
    yield check("journals", f"{len(journals)} in {folder}", _journals(journals, files))
    yield check("kills and halts", "of the config's accounts", _stops(loaded, files))
    yield check("what is left over", f"in {folder}", _left(folder))


def _folders(loaded: LoadedConfig) -> Iterator[Trouble]:
    for folder in folders_of(loaded):
        if (why := unwritable(folder)) is not None:
            yield Trouble(
                code="STATE-UNWRITABLE",
                text=f"{folder} takes no file: {why}",
                remedy="make it this user's own folder, or name another in the config",
            )
        elif folder.exists() and os.stat(folder).st_mode & OTHERS_WRITE:
            yield Trouble(
                code="STATE-MODE",
                text=f"others can write to {folder}: they can take a journal away, or a kill",
                remedy=f"chmod 700 {shlex.quote(str(folder))}",
            )


def _modes(folder: Path) -> Iterator[Trouble]:
    for path in sorted({one for pattern in PRIVATE for one in folder.glob(pattern)}):
        try:
            found = os.lstat(path)
        except OSError:  # gone meanwhile
            continue
        name = shlex.quote(str(path))
        if not stat.S_ISREG(found.st_mode):
            yield Trouble(
                code="FILE-KIND",
                text=f"{path} is no file of its own; a run refuses it",
                remedy=f"see where it leads to, then rm {name}",
            )
        elif found.st_uid != os.geteuid():
            yield Trouble(
                code="FILE-OWNER",
                text=f"{path} is another user's (uid {found.st_uid})",
                remedy=f"run as that user, or chown {os.geteuid()} {name}",
            )
        elif found.st_mode & OTHERS_READ:
            yield Trouble(
                code="FILE-MODE",
                text=f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: it is not yours alone",
                remedy=f"chmod 600 {name}",
            )


def _journals(paths: list[Path], files: AtRest) -> Iterator[Trouble]:
    for path in paths:
        try:
            with closing(Journal.reading(path, at_rest=not files.pid)) as journal:
                is_small = path.stat().st_size <= WHOLE_BYTES_MAX
                problems = journal.problems() if is_small else []
                journal.open_orders()
        except JournalError as error:
            remedy = REPAIR
            if error.code == "JRN-SCHEMA":
                remedy = "run the fairlead that wrote it, or move it away (docs/journal.md)"
            yield _damaged(error.code, error.message, remedy)
            continue
        if problems:
            text = f"{path}: {'; '.join(problems[:3])}"
            yield _damaged("JRN-CORRUPT", text, REPAIR)
    try:
        known = [] if files.pid else files.orders() or []
        unproven = [one for one in known if one.is_unknown]
    except JournalError as error:
        if error.code == JOURNAL_EMPTY:  # else it is told above, or of what is left over
            yield _damaged(error.code, error.message, "put the journal back (docs/journal.md)")
        return
    if unproven:
        yield Trouble(
            code="UNKNOWN",
            text=f"{len(unproven)} orders have no proven outcome, and no run asks for it: "
            f"{', '.join(one.client_order_id for one in unproven[:3])}",
            remedy="start the run, which asks until the venue proves it; one that the venue has "
            "forgotten: `fairlead resolve` (docs/journal.md)",
            exit_code=int(Exit.UNRESOLVED),
        )


def _damaged(code: str, text: str, remedy: str) -> Trouble:
    return Trouble(code=code, text=redact(text), remedy=remedy, exit_code=int(Exit.BAD_DATA))


def _stops(loaded: LoadedConfig, files: AtRest) -> Iterator[Trouble]:
    for kill in files.kills():
        yield Trouble(
            code="KILLED",
            text=redact(str(kill)),
            remedy=clear_command(kill.scope, loaded.path),
            exit_code=int(Exit.KILLED),
        )
    if (file := files.kill_file()) is not None:
        yield Trouble(
            code="KILL-FILE",
            text=file,
            remedy=clear_command("all", loaded.path),
            exit_code=int(Exit.KILLED),
        )
    for halt in files.halts(every=True):
        if halt.problem:
            remedy = "look whether a halt was in force, then move the file away (docs/risk.md)"
            yield _damaged("RISK-STATE", str(halt), remedy)
        else:
            yield Trouble(
                code="HALTED",
                text=redact(str(halt)),
                remedy=clear_command(halt.scope, loaded.path),
                exit_code=int(Exit.KILLED),
            )


def _left(folder: Path) -> Iterator[Trouble]:
    named = {one.with_name(one.name.partition(".saved-")[0]) for one in folder.glob(SAVED)}
    saved = (one for path in sorted(named) for one in lost_beside(path))
    for path in saved:
        yield Trouble(
            code="JRN-SAVED",
            text=f"a journal was taken away under its run, which has saved it as {path}",
            remedy="put it back if the one in its place knows less (docs/journal.md), else remove "
            "it",
        )
    for path in sorted((*folder.glob(".*.new"), *(folder / RUNS).glob(".*.new"))):
        yield Trouble(
            code="UNFINISHED",
            text=f"{path} was being written when its process died",
            remedy=f"rm -r {shlex.quote(str(path))}, while no run is up",
            level="look",
        )
