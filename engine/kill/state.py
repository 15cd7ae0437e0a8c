"""The durable kill switch: a folder of small files, one for each scope that is killed.

Any process may write one, every order of every process looks, and only a person takes one away
(`fairlead kill --clear`, which leaves their word beside it): a run that sees a kill's file go
without that word stays killed, and writes it again. A file is written whole, synced, and renamed
into the folder, so that a kill is in force or is not, whatever dies in between. A file that can't
be understood counts as a kill of everything.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder, sync, write_whole

FOLDER = "kill-switch"  # within state_dir
KILL_BYTES_MAX = 64 * 1024
REASON_CHARS_MAX = 500
PAST_MAX = 16  # kills that a word names: what ended since a run looked last is among them
# Folder times move in steps (4 ms on Linux, 2 s at worst): a change this young is read again.
SETTLED_NS = 2_500_000_000
_SUFFIX = ".json"
_TEMPORARY = ".new-"
_CLEARED = ".cleared-"
_DAMAGED = "damaged-"
_FOLDER_ITSELF = ""  # stands for a file's name where the folder can't be listed
_NEVER_SEEN = -1  # no inode

ScopeKind = Literal["all", "account", "venue", "strategy"]
SCOPE_KINDS: tuple[ScopeKind, ...] = ("all", "account", "venue", "strategy")


class Action(StrEnum):
    """What a kill does beyond refusing creates; each includes the ones before it."""

    HALT = "halt"
    CANCEL = "cancel"
    FLATTEN = "flatten"

    @property
    def rank(self) -> int:
        return tuple(Action).index(self)


class Scope(msgspec.Struct, frozen=True):
    """What is killed. `key` is the account's name, the venue's config key, or the strategy's id."""

    kind: ScopeKind = "all"
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.key}".rstrip()

    @property
    def file_name(self) -> str:
        return "-".join(part for part in (self.kind, quote(self.key, safe="")) if part) + _SUFFIX

    def covers(self, *, strategy: str, venue: str, account: str) -> bool:
        """Whether an order of this strategy, venue (config key) and account is within."""
        if self.kind == "all":
            return True
        found = {"account": account, "venue": venue, "strategy": strategy}[self.kind]
        return found == self.key


ALL = Scope()


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One kill in force. `ts_ns` is when it was asked for, UNIX nanoseconds."""

    scope: Scope
    action: Action
    reason: str
    by: str
    ts_ns: int
    version: int = 1
    is_readable: bool = True

    def __str__(self) -> str:
        return f"kill switch ({self.scope}, {self.action}) by {self.by}: {self.reason}"


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that a scope's kills of until then are over.

    `kills` are the newest that such words have ended, for a run that saw none of them.
    """

    scope: Scope
    reason: str
    by: str
    ts_ns: int
    kills: tuple[Kill, ...] = ()


class KillStateError(FairleadError):
    """The kill switch can't be written: what it was to stop is not stopped."""

    def __init__(self, message: str, kill: Kill | None = None) -> None:
        super().__init__("KILL-STATE", message, Exit.FAILED if kill is None else Exit.NOT_STORED)
        self.kill = kill  # the one that is in force in this process only; None for a clear


_decode = msgspec.json.Decoder(Kill).decode
_decode_cleared = msgspec.json.Decoder(Cleared).decode


class KillState:
    """The kills of one state folder. `accounts` are account names by venue key.

    Reading costs one `stat` while nothing changes. Reading, writing and a reader in another
    process need no lock of each other; `engage` is safe in a signal handler.
    """

    def __init__(
        self,
        folder: Path,
        accounts: Mapping[str, str] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.folder = folder
        self._folder = os.fspath(folder)
        self._accounts = {key.lower(): name for key, name in (accounts or {}).items()}
        self._now_ns = now_ns
        self._read_at: tuple[int, int] | None = None  # the folder's inode and time when read
        self.asked_again = 0  # how often, in this process, for a flatten that is in force already
        self._kills: tuple[Kill, ...] = ()
        self._by_name: dict[str, Kill] = {}  # by the name of the file that was read
        self._inode: int | None = _NEVER_SEEN  # of what was last at the folder's path
        # In force in this process only: the disk refused them, or lost their files.
        # A dict, as a signal handler adds to it in the midst of a look.
        self._unwritten: dict[Kill, None] = {}
        # By scope: what was flattened under this process, which does not trade on with it,
        # cleared or not; nothing where no kill closes positions, as on paper
        self.flattened: dict[str, Kill] = {}
        self._closes = False
        self.kept: frozenset[str] = frozenset()  # venue keys where no kill closes positions
        self._words: tuple[Cleared, ...] = ()
        self._before: frozenset[Kill] | None = None  # that were over at the first look

    # -- reading -------------------------------------------------------------------------------

    def in_force(self) -> tuple[Kill, ...]:
        """Every kill, the widest first; empty when there is none. Never raises."""
        written = self._written()
        if not self._unwritten:
            return written
        for kill in tuple(self._unwritten):
            if self.cleared(kill) is not None:
                self._unwritten.pop(kill, None)
        kept = tuple(self._unwritten)
        return kept + tuple(kill for kill in written if kill not in kept)

    @property
    def was_empty(self) -> bool:
        """Whether the last look found nothing at the folder's path, and nothing is in force in
        this process, or flattened under it."""
        return not (self._inode is not None or self._by_name or self._unwritten or self.flattened)

    @property
    def without_file(self) -> tuple[Kill, ...]:
        """Those of `in_force` that no other process knows of."""
        return tuple(self._unwritten)

    def cleared(self, kill: Kill) -> Cleared | None:
        """The word by which a person ended the kill, or None."""
        word = self._word(kill.scope)
        return word if word is not None and word.ts_ns >= kill.ts_ns else None

    def past(self) -> list[tuple[Kill, Cleared]]:
        """Kills that a person has ended since this process looked first, and by what word.

        Also those that came and went while it did not look.
        """
        before = self._before or frozenset()
        return [(kill, word) for word in self._words for kill in word.kills if kill not in before]

    def _word(self, scope: Scope) -> Cleared | None:
        """The last word that ended a kill of the scope."""
        word = self._word_in(_CLEARED + scope.file_name)
        return word if word is not None and word.scope == scope else None

    def _word_in(self, name: str) -> Cleared | None:
        try:
            with open(os.path.join(self._folder, name), "rb") as file:
                return _decode_cleared(file.read(KILL_BYTES_MAX))
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def _written(self) -> tuple[Kill, ...]:
        try:
            found = os.lstat(self._folder)
        except FileNotFoundError:  # as mostly: one call tells that nothing has that name
            if self._by_name or self._inode is not None:
                self._seen({}, None)
            return ()
        except OSError as error:
            return self._hidden(error)
        if stat.S_ISLNK(found.st_mode):
            try:
                found = os.stat(self._folder)
            except OSError as error:  # a link that leads nowhere does not say that there is none
                return self._hidden(error)
        mark = (found.st_ino, found.st_mtime_ns)
        if mark != self._read_at:
            read = self._read()
            self._seen(read, found.st_ino)
            is_settled = self._now_ns() - found.st_mtime_ns > SETTLED_NS
            self._read_at = mark if is_settled and _FOLDER_ITSELF not in read else None
        return self._kills

    def _hidden(self, error: OSError) -> tuple[Kill, ...]:
        """Something is there, and nobody can look into it."""
        seen = {_FOLDER_ITSELF: self._out_of_sight(error)}
        self._seen(seen, _inode_of(self._folder, self._inode))
        return self._kills

    def _out_of_sight(self, error: OSError) -> Kill:
        """The same at each look while that lasts."""
        before = self._by_name.get(_FOLDER_ITSELF)
        now = self._unreadable(self._folder, error.strerror or "unknown error")
        if before is not None and before.reason == now.reason:
            return before
        return msgspec.structs.replace(now, ts_ns=self._now_ns())  # no earlier word is about it

    def _seen(self, found: dict[str, Kill], inode: int | None) -> None:
        """Keep what was read, of the folder with this inode (None: there is nothing).

        A kill whose file is gone, damaged or weaker than it was, without a person's word, stays in
        force; so does a damaged file that is gone, and what stood in the folder's place. A folder
        that could not be listed and is there again has nothing to hide.
        """
        for name, kill in self._by_name.items():
            now = found.get(name)
            if now is None and name == _FOLDER_ITSELF:
                is_followed = inode == self._inode
            else:
                is_followed = (
                    now is not None
                    and now.is_readable >= kill.is_readable
                    and now.action.rank >= kill.action.rank
                )
            if not is_followed and self.cleared(kill) is None:
                self._unwritten[kill] = None
        for kill in found.values():
            self._unwritten.pop(kill, None)  # its file is back
        self._by_name, self._inode = found, inode
        if self._before is None:
            self._before = frozenset(kill for word in self._words for kill in word.kills)
        if self._closes:
            self._flatten(found.values())
        self._kills = tuple(
            sorted(found.values(), key=lambda k: (SCOPE_KINDS.index(k.scope.kind), k.scope.key))
        )

    def of_order(self, strategy: str, instrument: str) -> Kill | None:
        """The kill that an order of this strategy in this instrument id is under, or None."""
        kills = self.in_force()
        if not kills:
            return None
        venue = instrument.rpartition(".")[2].lower()
        account = self._accounts.get(venue, "")
        for kill in kills:
            if kill.scope.covers(strategy=strategy, venue=venue, account=account):
                return kill
        return None

    def closes_positions(self) -> None:
        """From now on: a kill that flattens is one of `flattened`, however soon it is cleared."""
        self._closes = True
        self._flatten(self.in_force())

    def _flatten(self, kills: Iterable[Kill]) -> None:
        for kill in (*kills, *(kill for kill, _ in self.past())):
            if kill.action is Action.FLATTEN:
                self.flattened[str(kill.scope)] = kill

    def flattened_of(self, strategy: str, instrument: str) -> Kill | None:
        """The kill that had this process flatten what such an order would trade, or None."""
        if not self.flattened or (venue := instrument.rpartition(".")[2].lower()) in self.kept:
            return None
        account = self._accounts.get(venue, "")
        for kill in self.flattened.values():
            if kill.scope.covers(strategy=strategy, venue=venue, account=account):
                return kill
        return None

    def action_of(self, strategy: str, instrument: str) -> Action | None:
        """The strongest action that an order of this strategy and instrument is under."""
        venue = instrument.rpartition(".")[2].lower()
        account = self._accounts.get(venue, "")
        actions = [
            kill.action
            for kill in self.in_force()
            if kill.scope.covers(strategy=strategy, venue=venue, account=account)
        ]
        return max(actions, key=lambda action: action.rank, default=None)

    def _read(self) -> dict[str, Kill]:
        """The kills by their file's name; a folder that can't be listed is one without a name."""
        try:
            every = os.listdir(self._folder)
        except OSError as error:
            if _is_nothing(self._folder, error):
                return {}
            why = error.strerror or "unknown error"
            return {_FOLDER_ITSELF: self._unreadable(self._folder, why)}
        words = (self._word_in(name) for name in every if name.startswith(_CLEARED))
        self._words = tuple(word for word in words if word is not None)
        names = [name for name in every if not name.startswith((_TEMPORARY, _CLEARED))]
        return {name: kill for name in names if (kill := self._read_one(name)) is not None}

    def _read_one(self, name: str) -> Kill | None:
        """The kill of one file; None when a person's word has ended it, or it is gone."""
        path = os.path.join(self._folder, name)
        try:
            with open(path, "rb") as file:
                raw = file.read(KILL_BYTES_MAX + 1)
        except OSError as error:
            if _is_nothing(path, error):
                return None
            return self._unreadable(path, error.strerror or "unknown error")
        if len(raw) > KILL_BYTES_MAX:
            return self._unreadable(path, f"larger than {KILL_BYTES_MAX} bytes")
        try:
            kill = _decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return self._unreadable(path, f"expected a kill as JSON: {error}")
        if kill.version != 1 or kill.scope.file_name != name:
            return self._unreadable(path, "it is of another version or another scope's file")
        return kill if self.cleared(kill) is None else None

    def _unreadable(self, path: str, why: str) -> Kill:
        return Kill(
            scope=ALL,
            action=Action.HALT,
            reason=f"{path} can't be read ({why}); it counts as a kill of everything. Make sure "
            "that nothing has to stay stopped, then clear it",
            by="unreadable state",
            ts_ns=_changed_ns(path),
            is_readable=False,
        )

    # -- writing -------------------------------------------------------------------------------

    def engage(self, scope: Scope, action: Action, *, reason: str, by: str) -> Kill:
        """Put a kill in force; durable when this returns. A stronger one in force stays as it is.

        Raises KillStateError.
        """
        before = self._known(scope)
        if before is not None and before.action.rank >= action.rank:
            self.asked_again += action is Action.FLATTEN
            return before
        kill = self._after_word(
            Kill(scope=scope, action=action, reason=reason[:REASON_CHARS_MAX], by=by, ts_ns=0)
        )
        try:
            self._set_aside(scope)
            self._write(kill)
            while self.cleared(kill) is not None:  # one that was said while it was written
                kill = self._after_word(kill)
                self._write(kill)
        except OSError as error:
            self._unwritten[kill] = None
            kept = "" if before is None else f", only by the {before.action} of before"
            raise KillStateError(
                f"the kill of {scope} ({action}) is NOT STORED: {self._folder} can't be written "
                f"({error.strerror or error}); no other process and no later run is stopped by it"
                f"{kept}. Stop the run; free or repair the disk, then kill again",
                kill,
            ) from error
        return kill

    def _after_word(self, kill: Kill) -> Kill:
        """The last word on its scope is of an earlier kill, by whatever clock."""
        word = self._word(kill.scope)
        ts_ns = max(self._now_ns(), 0 if word is None else word.ts_ns + 1)
        return msgspec.structs.replace(kill, ts_ns=ts_ns)

    def restore(self) -> list[Kill]:
        """Write again what is in force in this process only; gives those that are written.

        A damaged file stays: it is a person's to look at, and stops everybody already.
        """
        written = []
        for kill in tuple(self._unwritten):
            name = kill.scope.file_name
            there = self._read_one(name) if os.path.isdir(self._folder) else None
            if there is not None and not there.is_readable:
                continue
            if there is not None and there.action.rank >= kill.action.rank:
                self._unwritten.pop(kill, None)  # the file says as much
                continue
            try:
                self._write(msgspec.structs.replace(kill, is_readable=True))
            except OSError:
                continue  # the same disk
            self._unwritten.pop(kill, None)
            written.append(kill)
        return written

    def _known(self, scope: Scope) -> Kill | None:
        found = self._read_one(scope.file_name) if os.path.isdir(self._folder) else None
        return found if found is not None and found.is_readable else None

    def _set_aside(self, scope: Scope) -> None:
        """A damaged file counts as a kill of everything: a narrower kill is not to end that."""
        found = self._read_one(scope.file_name) if scope.kind != "all" else None
        if found is not None and not found.is_readable:
            path = os.path.join(self._folder, scope.file_name)
            os.replace(path, os.path.join(self._folder, _DAMAGED + scope.file_name))

    def _write(self, kill: Kill) -> None:
        """Written under another name, synced, and renamed, so that it is there whole or not."""
        make_folder(self._folder)
        temporary = os.path.join(self._folder, f"{_TEMPORARY}{os.getpid()}-{kill.ts_ns}")
        path = os.path.join(self._folder, kill.scope.file_name)
        write_whole(path, msgspec.json.encode(kill) + b"\n", temporary=temporary)

    def clear(self, scope: Scope, *, reason: str, by: str) -> list[str]:
        """Take a kill away: a person's decision. Gives the names of the files removed.

        Files that can't be understood count as a kill of everything: clearing `all` removes them,
        and nothing narrower does. Raises KillStateError.
        """
        over = [kill for kill in self.in_force() if kill.scope == scope]
        # A clock may have been set back since
        ts_ns = max([self._now_ns(), *(kill.ts_ns for kill in over)])
        is_known = self._known(scope) is not None
        before = self._word(scope)
        past = () if before is None else before.kills
        past += tuple(kill for kill in over if kill.is_readable and kill not in past)
        word = Cleared(
            scope=scope,
            reason=reason[:REASON_CHARS_MAX],
            by=by,
            ts_ns=ts_ns,
            kills=past[-PAST_MAX:],
        )
        self._say(word)
        names = [scope.file_name] if scope.kind == "all" or is_known else []
        if scope.kind == "all" and os.path.isdir(self._folder):
            names += [
                name
                for name in self._names()
                if name != scope.file_name and not name.startswith(_CLEARED)
            ]
        removed = []
        for name in names:
            if name != scope.file_name and self._stays(name):
                continue
            try:
                os.unlink(os.path.join(self._folder, name))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise KillStateError(
                    f"{name} can't be removed from {self._folder}: {error.strerror}; "
                    "the kill stays in force",
                ) from error
            removed.append(name)
        if removed:
            sync(self._folder)
        return removed

    def _say(self, word: Cleared) -> None:
        """Leave the word before the kill goes: runs look for it."""
        path = os.path.join(self._folder, _CLEARED + word.scope.file_name)
        temporary = os.path.join(self._folder, f"{_TEMPORARY}{os.getpid()}-{word.ts_ns}")
        try:
            make_folder(self._folder)
            write_whole(path, msgspec.json.encode(word) + b"\n", temporary=temporary)
        except OSError as error:
            raise KillStateError(
                f"the word that clears {word.scope} can't be written in {self._folder}: "
                f"{error.strerror}; the kill stays in force. Free or repair the disk",
            ) from error

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except OSError as error:
            raise KillStateError(
                f"{self._folder} can't be listed: {error.strerror}; repair its mode"
            ) from error

    def _stays(self, name: str) -> bool:
        """Whether the file is the readable kill of another scope."""
        if name.startswith(_TEMPORARY):
            return False
        kill = self._read_one(name)
        return kill is None or kill.is_readable


def _is_nothing(path: str, error: OSError) -> bool:
    """Whether nothing has that name; a link that leads nowhere has it."""
    return isinstance(error, FileNotFoundError) and not os.path.lexists(path)


def _inode_of(path: str, otherwise: int | None) -> int | None:
    """Of what is there, a link that leads nowhere included; `otherwise` where nobody can tell."""
    try:
        return os.lstat(path).st_ino
    except OSError:
        return otherwise


def _changed_ns(path: str) -> int:
    """When the file became what it is, UNIX nanoseconds: only a later word can be about it."""
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0
