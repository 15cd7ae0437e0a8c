"""The log that a run leaves in its state folder, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.run.kernel import FOLDER

LEVELS = ("debug", "info", "warning", "error")
BACK_BYTES_MAX = 64 * 1024 * 1024  # that are looked through for the last lines
LINE_BYTES_MAX = 64 * 1024  # of a line that is shown
# `2026-01-01T00:00:00.000000000Z [WARN] TRADER-001.Component: text`
_LINE = re.compile(r"(?P<time>\S+) \[(?P<level>[A-Z]+)\] (?P<who>[^:]+): (?P<text>.*)")
_NAMES = {"WARN": "warning", "DEBUG": "debug", "INFO": "info", "ERROR": "error"}


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """`raw` is the line as it stands; a line of another form has no time and no level."""

    time: str
    level: str
    who: str
    text: str
    raw: str


class Log:
    """One file, and what is written to it from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._inode = 0
        self._rest = b""

    @classmethod
    def of(cls, loaded: LoadedConfig, mode: str) -> Log | None:
        """The newest log of the config's runs of this mode; None: there is none."""
        found = (loaded.state_dir / FOLDER).glob(f"{_escaped(loaded.config.name)}-{mode}*")
        files = [path for path in found if path.is_file() and not path.is_symlink()]
        files = [path for path in files if path.suffix in (".log", ".txt", ".jsonl")]
        newest = max(files, key=lambda path: path.stat().st_mtime_ns, default=None)
        return None if newest is None else cls(newest)

    def last(self, most: int, level: str) -> list[LogLine]:
        """The last lines of this level or a worse one. Raises FairleadError `LOG-READ`."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                begin = max(size - BACK_BYTES_MAX, 0)
                file.seek(begin)
                data = file.read(BACK_BYTES_MAX)
                self._inode = self.path.stat().st_ino
        except OSError as error:
            raise self._unread(error) from error
        self._at = begin + len(data)
        return self._lines(data, level)[-most:]

    def more(self, level: str) -> list[LogLine]:
        """What came since; of a file that was begun anew, from its begin."""
        try:
            found = self.path.stat()
            if found.st_ino != self._inode or found.st_size < self._at:
                self._inode, self._at, self._rest = found.st_ino, 0, b""
            with self.path.open("rb") as file:
                file.seek(self._at)
                data = file.read(BACK_BYTES_MAX)
        except FileNotFoundError:
            return []  # rotated just now
        except OSError as error:
            raise self._unread(error) from error
        self._at += len(data)
        return self._lines(data, level)

    def _lines(self, data: bytes, level: str) -> list[LogLine]:
        whole, _, self._rest = (self._rest + data).rpartition(b"\n")
        lines = [parsed(one) for one in whole.split(b"\n") if one]
        if not level:
            return lines
        wanted = LEVELS[LEVELS.index(level) :]
        return [line for line in lines if line.level in wanted]

    def _unread(self, error: OSError) -> FairleadError:
        return FairleadError(
            "LOG-READ", f"{self.path} can't be read: {error.strerror}", Exit.FAILED
        )


def parsed(line: bytes) -> LogLine:
    """Any bytes are a line."""
    text = line[:LINE_BYTES_MAX].decode(errors="replace")
    found = _LINE.fullmatch(text)
    if found is None:
        return LogLine(time="", level="", who="", text=text, raw=text)
    return LogLine(
        time=found["time"],
        level=_NAMES.get(found["level"], found["level"].lower()),
        who=found["who"],
        text=found["text"],
        raw=text,
    )


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[\]])", r"[\1]", name)
