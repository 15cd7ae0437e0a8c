"""Raw recording: every frame, request and answer, before anything decodes it.

`RawRecorder` is the wire tap of a live or paper run. Its methods never block and never raise: they
queue, and a writer thread redacts, compresses and writes. What does not fit is counted and marked
in the recording; when the disk fails, recording stops loudly and trading goes on.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import zstandard

from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow
from fairlead.engine.recording.rawformat import (
    RECORD_BYTES_MAX,
    SUFFIX,
    Direction,
    RawFault,
    RawRecord,
    pack_block,
    pack_record,
    read_blocks,
)
from fairlead.engine.recording.redact import Redactor

logger = logging.getLogger(__name__)

QUEUE_RECORDS_MAX = 100_000
QUEUE_BYTES_MAX = 64 << 20
BLOCK_BYTES = 256 << 10  # a block is written when this full,
LOOK_SECS = 0.02  # between two looks at the queue
BLOCK_SECS = 0.5  # or when no more came for this long, or its first record is this old
ROTATE_BYTES = 64 << 20
ROTATE_SECS = 3600
CLOSE_SECS = 10.0
COMPRESSION_LEVEL = 3
RAW_STOPPED = "RAW-STOPPED"  # the code of a recording that has ended before its run
_SECOND_NS = 1_000_000_000
_NAME_TRIES_MAX = 1000
_DIRECTIONS = {"in": Direction.IN, "out": Direction.OUT, "mark": Direction.MARK}


class RequestLike(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class ResponseLike(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class RawSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one recorder; sizes in bytes of compressed data, ages in seconds."""

    rotate_bytes: int = ROTATE_BYTES
    rotate_secs: float = ROTATE_SECS
    block_bytes: int = BLOCK_BYTES
    block_secs: float = BLOCK_SECS
    queue_records: int = QUEUE_RECORDS_MAX
    queue_bytes: int = QUEUE_BYTES_MAX
    fsync: bool = True  # when a file is closed


class RawStatus(msgspec.Struct):
    """Counters, for the status page and the run's report."""

    records: int = 0
    blocks: int = 0
    files: int = 0
    bytes_written: int = 0
    redactions: int = 0
    dropped: int = 0  # the queue was full
    oversized: int = 0  # beyond RECORD_BYTES_MAX; cut
    lost: int = 0  # after recording stopped
    stopped: bool = False
    error: str = ""


class _Dropped(msgspec.Struct, frozen=True):
    count: int
    from_ns: int
    to_ns: int


Opener = Callable[[Path], int]  # a file descriptor, for appending to a new file


def open_new(path: Path) -> int:
    """Create a file only its owner can read. Raises OSError, FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)


class RawRecorder:
    """Records to `<root>/raw/<venue>/`; implements the transport's `WireTap`.

    Call `frame` and `http` from one thread. `on_stop` is called once from the writer thread when
    the disk fails, with the error's text. `close` writes what is queued and ends the thread; where
    recording had stopped before, a row then says what was lost until the end.
    """

    def __init__(
        self,
        root: Path,
        venue: str,
        *,
        redactor: Redactor,
        settings: RawSettings | None = None,
        gaps: GapLog | None = None,
        on_stop: Callable[[str], None] | None = None,
        opener: Opener = open_new,
    ) -> None:
        self.status = RawStatus()
        self.folder = Path(root) / "raw" / venue.lower()
        self._settings = settings or RawSettings()
        self._venue = venue
        self._gaps = gaps
        self._on_stop = on_stop
        self._queue: queue.SimpleQueue[RawRecord | _Dropped] = queue.SimpleQueue()
        self._exchange = 0
        self._put_bytes = 0  # written by the caller's thread only
        self._got_bytes = 0  # written by the writer thread only
        self._dropped_from_ns = self._dropped_to_ns = self._dropped_now = 0
        self._last_ns = 0
        self._lost_from_ns = 0  # by no row yet, once recording has stopped
        self._lost_why = ""
        self._writer = _Writer(self.folder, self._settings, redactor, self.status, opener)
        self._closed = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"raw-{venue}", daemon=True)
        self._thread.start()

    def frame(self, connection: str, direction: str, payload: bytes | str, ts_ns: int) -> None:
        """One WebSocket frame, or a mark (`opened`, `closed`, ...); see WireTap."""
        kind = _DIRECTIONS.get(direction, Direction.MARK)
        if isinstance(payload, str):
            data = payload.encode("utf-8", "backslashreplace")
            self._put(RawRecord(ts_ns, kind, connection, data, True))
        else:
            self._put(RawRecord(ts_ns, kind, connection, bytes(payload)))

    def http(
        self,
        request: RequestLike,
        response: ResponseLike | None,
        error: str,
        ts_sent_ns: int,
        ts_done_ns: int,
    ) -> None:
        """One request and its answer, as two records."""
        self._exchange += 1
        number = self._exchange
        self._put(
            RawRecord(
                ts_sent_ns,
                Direction.REQUEST,
                "http",
                request.body,
                exchange=number,
                method=request.method,
                url=request.url,
                headers=dict(request.headers),
            )
        )
        body, status, headers = b"", 0, dict[str, str]()
        if response is not None:
            body, status, headers = response.body, response.status, dict(response.headers)
        self._put(
            RawRecord(
                ts_done_ns,
                Direction.ANSWER,
                "http",
                body,
                exchange=number,
                status=status,
                headers=headers,
                error=error,
            )
        )

    def close(self, timeout_secs: float = CLOSE_SECS) -> bool:
        """Write the rest. False if the writer did not finish in time; then the rest may be lost."""
        if not self._closed:
            self._closed = True
            self._note_dropped()
            self._ending.set()
        self._thread.join(timeout_secs)
        if self._thread.is_alive():
            return False
        if self._lost_from_ns < self._last_ns and self.status.stopped:
            self._append_stopped()
        return True

    def _put(self, record: RawRecord) -> None:
        self._last_ns = record.ts_ns
        if self.status.stopped or self._closed:
            self.status.lost += 1
            return
        size = len(record.payload) + len(record.url) + 200
        waiting = self._put_bytes - self._got_bytes
        full = self._queue.qsize() >= self._settings.queue_records
        if full or waiting + size > self._settings.queue_bytes:
            self._dropped_from_ns = self._dropped_from_ns or record.ts_ns
            self._dropped_to_ns = record.ts_ns
            self._dropped_now += 1
            self.status.dropped += 1
            return
        self._note_dropped()
        self._put_bytes += size
        self._queue.put(record)

    def _note_dropped(self) -> None:
        if self._dropped_now:
            note = _Dropped(self._dropped_now, self._dropped_from_ns, self._dropped_to_ns)
            self._dropped_now = self._dropped_from_ns = 0
            self._queue.put(note)

    # -- writer thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        """Not woken by each record: then it would take the interpreter from the one who records,
        in the very moment in which a strategy answers to the frame.
        """
        try:
            quiet_secs = 0.0
            while not self._ending.wait(LOOK_SECS):
                quiet_secs = 0.0 if self._take() else quiet_secs + LOOK_SECS
                if quiet_secs >= self._settings.block_secs:
                    self._writer.flush()
            self._take()
            self._writer.close()
        except Exception as e:  # the thread's edge: nobody else would hear of it
            self._stop(e)

    def _take(self) -> int:
        """Write what is queued; how many there were."""
        count = 0
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return count
            count += 1
            if isinstance(item, _Dropped):
                self._write_dropped(item)
                continue
            self._writer.write(item)
            self._got_bytes += len(item.payload) + len(item.url) + 200

    def _write_dropped(self, note: _Dropped) -> None:
        reason = f"{note.count} records dropped: the recorder's queue was full"
        record = RawRecord(
            note.to_ns, Direction.LOST, self._venue, reason.encode(), status=note.count
        )
        self._writer.write(record)
        self._append_gap(GapKind.OVERFLOW, reason, note.from_ns, note.to_ns, note.count)

    def _append_gap(
        self, kind: GapKind, reason: str, from_ns: int, to_ns: int, count: int = 0
    ) -> None:
        if self._gaps is not None:
            self._gaps.append(
                GapRow(
                    kind=kind,
                    instrument="",
                    reason=f"{self._venue}: {reason}",
                    from_ns=from_ns,
                    to_ns=to_ns,
                    count=count,
                )
            )

    def _stop(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self.status.error = text
        self.status.stopped = True
        self.status.lost += self._writer.pending + self._drain()
        message = f"{RAW_STOPPED}: raw recording of {self._venue} stopped, trading goes on: {text}"
        logger.error(message)
        self._lost_why = text
        self._lost_from_ns = self._writer.lost_from_ns or self._last_ns
        self._append_stopped()
        self._writer.abandon()
        if self._on_stop is not None:
            self._on_stop(message)

    def _append_stopped(self) -> None:
        """What was lost since the last such row; of a run that is killed, what the first said."""
        to_ns = self._last_ns
        try:
            self._append_gap(GapKind.STOPPED, self._lost_why, self._lost_from_ns, to_ns)
            self._lost_from_ns = to_ns
        except OSError as e:
            logger.error(f"{RAW_STOPPED}: nor can the gap be written: {e}")

    def _drain(self) -> int:
        count = 0
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return count
            count += isinstance(item, RawRecord)


class _Writer:
    """Blocks and files; runs in the writer thread only. Raises OSError."""

    def __init__(
        self,
        folder: Path,
        settings: RawSettings,
        redactor: Redactor,
        status: RawStatus,
        opener: Opener,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._redactor = redactor
        self._status = status
        self._opener = opener
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
        self._block = bytearray()
        self.pending = 0  # records of the block not yet written
        self._first_ns = self._last_ns = 0
        self._is_removed = False  # the file that was written
        self._fd: int | None = None
        self._file_bytes = 0
        self._file_start_ns = 0

    def write(self, record: RawRecord) -> None:
        clean = self._clean(record)
        age_ns = record.ts_ns - self._first_ns
        if self.pending and age_ns >= self._settings.block_secs * _SECOND_NS:
            self.flush()
        if not self.pending:
            self._first_ns = record.ts_ns
        self._block += pack_record(clean)
        self.pending += 1
        self._last_ns = record.ts_ns
        if len(self._block) >= self._settings.block_bytes:
            self.flush()

    def _clean(self, record: RawRecord) -> RawRecord:
        redactor = self._redactor
        payload = record.payload
        if len(payload) > RECORD_BYTES_MAX // 2:
            self._status.oversized += 1
            payload = payload[: RECORD_BYTES_MAX // 2]
        before = redactor.found
        clean = msgspec.structs.replace(
            record,
            payload=redactor.payload(payload),
            connection=redactor.text(record.connection),
            url=redactor.text(record.url) if record.url else "",
            headers=redactor.headers(record.headers) if record.headers else {},
            error=redactor.text(record.error) if record.error else "",
        )
        self._status.redactions += redactor.found - before
        return clean

    @property
    def lost_from_ns(self) -> int:
        """Of the first record that is in no file, should it end now; 0: all are in one."""
        if self._is_removed:
            return self._file_start_ns
        return self._first_ns if self.pending else 0

    def flush(self) -> None:
        if not self.pending:
            return
        data = pack_block(
            bytes(self._block), self.pending, self._first_ns, self._last_ns, self._compressor
        )
        self._rotate(len(data))
        if self._fd is None:
            self._fd = self._open(self._first_ns)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        if not os.fstat(self._fd).st_nlink:
            self._is_removed = True
            raise OSError(f"{self._folder}: the file of the recording was removed under the run")
        self._file_bytes += len(data)
        self._status.bytes_written += len(data)
        self._status.records += self.pending
        self._status.blocks += 1
        self.pending = 0
        self._block.clear()

    def _rotate(self, more: int) -> None:
        if self._fd is None:
            return
        too_big = self._file_bytes and self._file_bytes + more > self._settings.rotate_bytes
        age_ns = self._first_ns - self._file_start_ns
        if too_big or age_ns >= self._settings.rotate_secs * _SECOND_NS:
            self._close_file()

    def _open(self, start_ns: int) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        for bump in range(_NAME_TRIES_MAX):
            try:
                fd = self._opener(self._folder / f"{start_ns + bump}{SUFFIX}")
            except FileExistsError:
                continue
            self._file_bytes = 0
            self._file_start_ns = start_ns
            self._status.files += 1
            return fd
        raise OSError(f"{self._folder}: {_NAME_TRIES_MAX} files from {start_ns} exist")

    def _close_file(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            try:
                if self._settings.fsync:
                    os.fsync(fd)
            finally:
                os.close(fd)

    def close(self) -> None:
        self.flush()
        self._close_file()

    def abandon(self) -> None:
        """Give up the file after an error, without touching the disk again."""
        self.pending = 0
        self._block.clear()
        if self._fd is not None:
            fd, self._fd = self._fd, None
            try:
                os.close(fd)
            except OSError as e:
                logger.error(f"{RAW_STOPPED}: closing the file: {e}")


# -- reading --------------------------------------------------------------------------------------


def raw_files(path: Path | str) -> list[Path]:
    """A raw file itself, or all of a folder, oldest first."""
    root = Path(path)
    if root.is_file():
        return [root]
    return sorted(root.rglob(f"*{SUFFIX}"), key=_start_ns)


def _start_ns(path: Path) -> tuple[int, str]:
    start = path.name.removesuffix(SUFFIX)
    return (int(start) if start.isdigit() else 0, str(path))


def read(
    path: Path | str, on_fault: Callable[[RawFault], None] | None = None
) -> Iterator[RawRecord]:
    """Records of a file or folder in the order written.

    A torn end (a crash) ends a file quietly. Other damage raises RawFault, which names the byte;
    or, with `on_fault`, is reported to it, skipped, and reading goes on with the next block.
    """
    for file in raw_files(path):
        for block in read_blocks(file):
            if not isinstance(block, RawFault):
                yield from block[1]
            elif on_fault is not None:
                on_fault(block)
            elif not block.reason.startswith("torn"):
                raise block


class FileCheck(msgspec.Struct):
    """What `verify` found in one file; `torn_bytes` were cut off by a crash."""

    path: str
    records: int = 0
    blocks: int = 0
    bytes: int = 0
    plain_bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0
    dropped: int = 0
    torn: str = ""
    faults: list[str] = []

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(path: Path | str) -> list[FileCheck]:
    """Read every file of a folder and check every checksum."""
    checks = []
    for file in raw_files(path):
        check = FileCheck(str(file), bytes=file.stat().st_size)
        for block in read_blocks(file):
            if isinstance(block, RawFault):
                if block.reason.startswith("torn"):
                    check.torn = str(block)
                else:
                    check.faults.append(str(block))
                continue
            header, records = block
            check.blocks += 1
            check.records += header.records
            check.plain_bytes += header.plain_bytes
            check.first_ns = check.first_ns or header.first_ns
            check.last_ns = header.last_ns
            check.dropped += sum(r.status for r in records if r.direction is Direction.LOST)
        checks.append(check)
    return checks
