"""The logs that a config's runs leave in its state folder, line by line, oldest first."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.run.kernel import FOLDER, begun, is_log

LEVELS = ("debug", "info", "warning", "error")
BACK_BYTES_MAX = 64 * 1024 * 1024  # of one log, that are looked through for the last lines
LINE_BYTES_MAX = 64 * 1024  # of a line that is shown
NAUTILUS, OWN = "log", ("jsonl", "txt")  # how the files end, before a rotation's number
# `2026-01-01T00:00:00.000000000Z [WARN] TRADER-001.Component: text`, NautilusTrader's
_LINE = re.compile(r"(?P<time>\S+) \[(?P<level>[A-Z]+)\] (?P<who>[^:]+): (?P<text>.*)")
# `2026-01-01 00:00:00,000 WARNING fairlead.x: text`, local time: `TEXT` of engine/logs.py
_TEXT = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]+) (?P<who>\S+): (?P<text>.*)"
)
_NAMES = {"warn": "warning", "critical": "error", "trace": "debug"}


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """`raw` is the line as it stands, `time` is UTC; a line of no known form (of a traceback, say)
    has the time and the level of the one before, if there is one."""

    time: str
    level: str
    who: str
    text: str
    raw: str


class _Object(msgspec.Struct):
    """A line of `[log] format = "json"`."""

    ts_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    level: str
    message: str
    logger: str = ""
    traceback: str = ""


_decoder = msgspec.json.Decoder(_Object)
NOTHING = LogLine(time="", level="", who="", text="", raw="")


class Log:
    """Of one config and mode: NautilusTrader's files and those of `[log]`, as one by time."""

    def __init__(self, files: Iterable[_File]) -> None:
        self._files = list(files)

    @classmethod
    def of(cls, loaded: LoadedConfig, mode: str) -> Log | None:
        """None: there is none."""
        begin = loaded.state_dir / FOLDER / f"{loaded.config.name}-{mode}"
        files: list[_File] = [_Begun(begin.with_name(f"{begin.name}.{NAUTILUS}"))]
        files += [_File(begin.with_name(f"{begin.name}.{end}")) for end in OWN]
        found = [file for file in files if any(is_log(file.at(number)) for number in (0, 1))]
        return cls(found) if found else None

    @property
    def has_own(self) -> bool:
        """Whether what a run says on stderr is in one of the files, too."""
        return any(file.path.suffix[1:] in OWN for file in self._files)

    def last(self, most: int, level: str) -> list[LogLine]:
        """The last lines of this level or a worse one, of closed files too.

        Raises FairleadError `LOG-READ`.
        """
        return _merged(file.last(most, level) for file in self._files)[-most:]

    def more(self, level: str) -> list[LogLine]:
        """What came since. Raises FairleadError `LOG-READ`."""
        return _merged(file.more(level) for file in self._files)


class _File:
    """One file, those that a rotation has closed, and what is written from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._before = NOTHING

    def at(self, number: int) -> Path:
        """0 is written now, 1 was closed last; beyond those that are there, one that is not."""
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def last(self, most: int, level: str) -> list[LogLine]:
        try:
            lines = self._wanted(self._open(), level)
            number, left = 1, BACK_BYTES_MAX
            while len(lines) < most and left > 0:
                path = self.at(number)
                if not is_log(path):
                    break
                data = _end_of(path, left)
                lines = _filtered(_lines(data, NOTHING), level) + lines
                number, left = number + 1, left - max(len(data), 1)
        except OSError as error:
            raise self._unread(error) from error
        return lines[-most:]

    def more(self, level: str) -> list[LogLine]:
        try:
            if self._file is None:
                return self._wanted(self._open(), level)
            at, size = self._file.tell(), os.fstat(self._file.fileno()).st_size
            if size < at:  # cut, and begun anew
                self._file.seek(0)
                self._rest = b""
            lines = self._wanted(self._file.read(BACK_BYTES_MAX), level)
            if self._file.tell() >= size and self._has_moved():
                for path in self._closed_since():
                    lines += self._wanted(_end_of(path, BACK_BYTES_MAX), level)
                lines += self._wanted(self._open(), level)
        except OSError as error:
            raise self._unread(error) from error
        return lines

    def _open(self) -> bytes:
        """Its last bytes; none while it is being rotated. Raises OSError."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""
        path = self.at(0)
        if not is_log(path):
            return b""
        self._file = path.open("rb")
        self._file.seek(max(self._file.seek(0, os.SEEK_END) - BACK_BYTES_MAX, 0))
        return self._file.read(BACK_BYTES_MAX)

    def _has_moved(self) -> bool:
        assert self._file is not None
        try:
            return not os.path.samestat(os.stat(self.at(0)), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False  # rotated just now: what is still written goes into the old one

    def _closed_since(self) -> list[Path]:
        """Files that were begun after ours and closed by now, oldest first."""
        assert self._file is not None
        mine, found, number = os.fstat(self._file.fileno()), list[Path](), 1
        while is_log(path := self.at(number)):
            if os.path.samestat(path.stat(), mine):
                return found[::-1]
            found.append(path)
            number += 1
        return []  # ours is gone: none is known to be newer

    def _wanted(self, data: bytes, level: str) -> list[LogLine]:
        whole, _, self._rest = (self._rest + data).rpartition(b"\n")
        lines = _lines(whole, self._before)
        self._before = lines[-1] if lines else self._before
        return _filtered(lines, level)

    def _unread(self, error: OSError) -> FairleadError:
        return FairleadError(
            "LOG-READ", f"{self.path} can't be read: {error.strerror}", Exit.FAILED
        )


class _Begun(_File):
    """NautilusTrader's: with `[log]` each is begun under another name; `path` is one without."""

    def at(self, number: int) -> Path:
        files = begun(self.path)
        if is_log(self.path):  # of a config without [log], before or since
            newer = [one for one in files if _written(one) > _written(self.path)]
            files.insert(len(newer), self.path)
        return files[number] if number < len(files) else super().at(number + 1)


def _written(path: Path) -> int:
    """ns; one that has just gone is the oldest."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _end_of(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - most, 0))
        return file.read(most)


def _merged(parts: Iterable[list[LogLine]]) -> list[LogLine]:
    """By time; what one file says stays in its order."""
    return list(heapq.merge(*parts, key=attrgetter("time")))


def _filtered(lines: list[LogLine], level: str) -> list[LogLine]:
    if not level:
        return lines
    wanted = LEVELS[LEVELS.index(level) :]
    return [line for line in lines if line.level in wanted]


def _lines(data: bytes, before: LogLine) -> list[LogLine]:
    found = []
    for one in data.split(b"\n"):
        if one:
            before = parsed(one, before)
            found.append(before)
    return found


def parsed(line: bytes, before: LogLine = NOTHING) -> LogLine:
    """Any bytes are a line."""
    raw = line[:LINE_BYTES_MAX].decode(errors="replace")
    if line.startswith(b"{") and (told := _of_object(line, raw)) is not None:
        return told
    found = _LINE.fullmatch(raw)
    if found is not None:
        return _line(found["time"], found["level"], found["who"], found["text"], raw)
    found = _TEXT.fullmatch(raw)
    if found is not None and (time := _local(found["time"])) is not None:
        return _line(time, found["level"], found["who"], found["text"], raw)
    return LogLine(time=before.time, level=before.level, who="", text=raw, raw=raw)


def _of_object(line: bytes, raw: str) -> LogLine | None:
    try:
        told = _decoder.decode(line)
        time = _time(told.ts_ns)
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError, RecursionError):
        return None
    text = f"{told.message}\n{told.traceback}" if told.traceback else told.message
    return _line(time, told.level, told.logger, text[:LINE_BYTES_MAX], raw)


def _line(time: str, level: str, who: str, text: str, raw: str) -> LogLine:
    name = level.lower()
    return LogLine(time=time, level=_NAMES.get(name, name), who=who, text=text, raw=raw)


def _local(text: str) -> str | None:
    """None where there is no such moment."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").astimezone()
        return _time(round(moment.timestamp() * 1e3) * 1_000_000)
    except (ValueError, OverflowError, OSError):
        return None


def _time(ts_ns: int) -> str:
    """As NautilusTrader writes it."""
    secs, ns = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(secs, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09}Z"
