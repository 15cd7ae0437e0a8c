"""Raw recording: what goes in comes out, whatever happens to the process or the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zstandard

from fairlead.adapters.base.transport import HttpRequest, HttpResponse, WireTap
from fairlead.engine.recording.gaps import GapKind, GapLog, gaps_path, read_gaps
from fairlead.engine.recording.raw import (
    RawRecorder,
    RawSettings,
    open_new,
    raw_files,
    read,
    verify,
)
from fairlead.engine.recording.rawformat import HEADER_BYTES, Direction, RawFault, RawRecord
from fairlead.engine.recording.redact import MARK, Redactor
from fairlead.engine.secrets import Secret
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import wait_for

ROOT = Path(__file__).resolve().parents[3]
T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
CANARY = "CANARY-6b1f9c/+secret"


def recorder(root: Path, **kwargs) -> RawRecorder:
    kwargs.setdefault("redactor", Redactor([Secret(CANARY, "env:CANARY")]))
    return RawRecorder(root, "OCEANEX", **kwargs)


def record(root: Path, count: int, **kwargs) -> RawRecorder:
    tap = recorder(root, **kwargs)
    for i in range(count):
        tap.frame("public#1", "in", f'{{"n":{i}}}', T0 + i * 1000)
    assert tap.close()
    return tap


def test_frames_come_back_as_they_were(tmp_path):
    tap: WireTap = recorder(tmp_path)
    tap.frame("public#1", "mark", "opened wss://x", T0)
    tap.frame("public#1", "out", '{"event":"subscribe"}', T0 + 1)
    tap.frame("public#1", "in", "text £", T0 + 2)
    tap.frame("public#1", "in", b"\x00\xff binary", T0 + 3)
    assert isinstance(tap, RawRecorder)
    assert tap.close()
    records = list(read(tmp_path / "raw" / "oceanex"))
    assert [(r.direction, r.ts_ns) for r in records] == [
        (Direction.MARK, T0),
        (Direction.OUT, T0 + 1),
        (Direction.IN, T0 + 2),
        (Direction.IN, T0 + 3),
    ]
    assert [r.frame() for r in records[2:]] == ["text £", b"\x00\xff binary"]
    assert tap.status.records == 4


def test_request_and_answer_are_two_records_with_one_number(tmp_path):
    tap = recorder(tmp_path)
    request = HttpRequest(
        method="POST", url="https://h/v1/orders?a=1", headers={"key": "abc"}, body=b'{"p":"1"}'
    )
    tap.http(request, HttpResponse(status=200, body=b"{}", headers={"X": "y"}), "", T0, T0 + 5)
    tap.http(request, None, "TIMEOUT: no answer", T0 + 6, T0 + 9)
    tap.close()
    sent, answered, again, lost = read(tmp_path)
    assert (sent.method, sent.url, sent.payload) == ("POST", request.url, request.body)
    assert (answered.status, answered.payload, answered.headers) == (200, b"{}", {"X": "y"})
    assert (lost.status, lost.error, lost.ts_ns) == (0, "TIMEOUT: no answer", T0 + 9)
    assert [r.exchange for r in (sent, answered, again, lost)] == [1, 1, 2, 2]


def test_no_secret_reaches_the_disk(tmp_path):
    tap = recorder(tmp_path)
    headers = {"key": CANARY, "signature": "deadbeef==", "Content-Type": "application/json"}
    body = f'{{"apiSecretKey":"{CANARY}","user_jwt":"eyJhbGciOiJSUzI1NiJ9.eyJ1aWQiOjF9.sig"}}'
    tap.http(
        HttpRequest(method="GET", url=f"https://h/?user_jwt={CANARY}", headers=headers),
        HttpResponse(status=401, body=body.encode()),
        f"refused {CANARY}",
        T0,
        T0,
    )
    tap.frame("private#1", "out", f'{{"params":{{"key":"{CANARY}","signature":"deadbeef=="}}}}', T0)
    tap.frame(f"private {CANARY}", "in", CANARY.encode(), T0)
    tap.close()
    (file,) = raw_files(tmp_path)
    with file.open("rb") as packed:
        plain = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read()
    for secret in (CANARY, "deadbeef", "eyJhbGci"):
        assert secret.encode() not in plain
    assert plain.count(MARK.encode()) >= 8
    assert tap.status.redactions >= 8
    assert file.stat().st_mode & 0o077 == 0


def test_the_plain_zstd_tool_format_reads_it(tmp_path):
    record(tmp_path, 10)
    (file,) = raw_files(tmp_path)
    reader = zstandard.ZstdDecompressor().stream_reader(
        file.open("rb"), read_across_frames=True, closefd=True
    )
    assert reader.read().count(b'{"n":') == 10


def test_files_rotate_by_size_and_by_age(tmp_path):
    settings = RawSettings(rotate_bytes=4000, block_bytes=2000)
    record(tmp_path / "size", 2000, settings=settings)
    files = raw_files(tmp_path / "size")
    assert len(files) > 2
    assert all(file.stat().st_size <= 6000 for file in files)
    assert [r.ts_ns for r in read(tmp_path / "size")] == [T0 + i * 1000 for i in range(2000)]

    tap = recorder(tmp_path / "age", settings=RawSettings(rotate_secs=60))
    for minute in range(5):
        tap.frame("c", "in", "x", T0 + minute * 61 * SECOND)
    tap.close()
    names = [file.name for file in raw_files(tmp_path / "age")]
    assert names == [f"{T0 + minute * 61 * SECOND}.fraw.zst" for minute in range(5)]


def test_an_existing_file_is_never_written_again(tmp_path):
    record(tmp_path, 3)
    record(tmp_path, 4)
    assert [check.records for check in verify(tmp_path)] == [3, 4]


def test_torn_tail_is_read_up_to_the_last_whole_block(tmp_path):
    record(tmp_path, 1000, settings=RawSettings(block_bytes=2000))
    (file,) = raw_files(tmp_path)
    whole = verify(tmp_path)[0]
    data = file.read_bytes()
    for cut in (1, 10, HEADER_BYTES + 1, len(data) // 2):
        file.write_bytes(data[:-cut])
        records = list(read(tmp_path))
        assert records == sorted(records, key=lambda r: r.ts_ns)
        assert 0 < len(records) < 1000
        (check,) = verify(tmp_path)
        assert check.ok
        assert "torn" in check.torn
        assert check.records == len(records) <= whole.records


def test_corrupt_middle_is_named_and_the_rest_is_readable(tmp_path):
    record(tmp_path, 1000, settings=RawSettings(block_bytes=2000))
    (file,) = raw_files(tmp_path)
    data = bytearray(file.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"FRAW"]
    third = starts[2] - 8
    for at in (third + HEADER_BYTES + 20, third + 20):  # in the block's data, in its header
        bad = bytearray(data)
        bad[at] ^= 0x40
        file.write_bytes(bad)
        with pytest.raises(RawFault, match=f"byte {third}:") as caught:
            list(read(tmp_path))
        assert caught.value.offset == third
        faults: list[RawFault] = []
        rest = list(read(tmp_path, faults.append))
        assert [fault.offset for fault in faults] == [third]
        assert 900 < len(rest) < 1000
        (check,) = verify(tmp_path)
        assert not check.ok
        assert check.records == len(rest)


def test_every_flipped_byte_is_noticed(tmp_path):
    record(tmp_path, 20, settings=RawSettings(block_bytes=200))
    (file,) = raw_files(tmp_path)
    data = file.read_bytes()
    for at in range(0, len(data), 7):
        bad = bytearray(data)
        bad[at] ^= 0x01
        file.write_bytes(bad)
        (check,) = verify(tmp_path)
        assert check.faults or check.torn, at


def test_full_queue_is_counted_and_marked_and_never_blocks(tmp_path):
    gate = threading.Event()

    def opener(path: Path) -> int:
        assert gate.wait(PATIENCE_SECS)
        return open_new(path)

    gaps = GapLog(gaps_path(tmp_path))
    settings = RawSettings(queue_records=50, block_bytes=10)
    tap = recorder(tmp_path, settings=settings, opener=opener, gaps=gaps)
    for i in range(500):
        tap.frame("c", "in", f"{i}", T0 + i)
    dropped = tap.status.dropped
    assert dropped >= 440
    gate.set()
    assert tap.close()
    records = list(read(tmp_path))
    lost = [r for r in records if r.direction is Direction.LOST]
    assert sum(r.status for r in lost) == dropped
    assert len(records) - len(lost) == 500 - dropped
    rows, _ = read_gaps(tmp_path)
    assert [(row.kind, row.count) for row in rows] == [(GapKind.OVERFLOW, dropped)]
    assert verify(tmp_path)[0].dropped == dropped


def test_queue_is_bounded_in_bytes(tmp_path):
    gate = threading.Event()

    def opener(path: Path) -> int:
        assert gate.wait(PATIENCE_SECS)
        return open_new(path)

    settings = RawSettings(queue_bytes=100_000, block_bytes=10)
    tap = recorder(tmp_path, settings=settings, opener=opener)
    for i in range(50):
        tap.frame("c", "in", b"x" * 10_000, T0 + i)
    assert tap.status.dropped >= 39
    gate.set()
    assert tap.close()


def test_a_full_disk_stops_recording_loudly_and_nothing_else(tmp_path, caplog):
    heard = threading.Event()
    said: list[str] = []

    def on_stop(message: str) -> None:
        said.append(message)
        heard.set()

    gaps = GapLog(gaps_path(tmp_path))
    tap = recorder(
        tmp_path,
        opener=lambda _: os.open("/dev/full", os.O_WRONLY),
        on_stop=on_stop,
        gaps=gaps,
        settings=RawSettings(block_bytes=10),
    )
    tap.frame("c", "in", "x", T0)
    assert heard.wait(PATIENCE_SECS)
    tap.frame("c", "in", "y", T0 + 1)  # goes on without an exception
    assert tap.close()
    assert tap.status.stopped
    assert "No space left" in tap.status.error
    assert tap.status.lost == 2
    assert said[0].startswith("RAW-STOPPED")
    rows, _ = read_gaps(tmp_path)
    assert {row.kind for row in rows} == {GapKind.STOPPED}
    assert [(row.from_ns, row.to_ns) for row in rows] == [(T0, T0), (T0, T0 + 1)]


def test_frames_after_close_are_counted_as_lost(tmp_path):
    tap = record(tmp_path, 1)
    tap.frame("c", "in", "late", T0)
    assert tap.status.lost == 1
    assert tap.close()


KILLED = """
import sys, time
from pathlib import Path
from fairlead.engine.recording.raw import RawRecorder, RawSettings
from fairlead.engine.recording.redact import Redactor
settings = RawSettings(block_secs=0.05)
tap = RawRecorder(Path(sys.argv[1]), "X", redactor=Redactor(), settings=settings)
i = 0
while True:
    for _ in range(20):
        tap.frame("c", "in", '{"n":%d}' % i, time.time_ns())
        i += 1
    time.sleep(0.001)
    if tap.status.blocks == 3:
        print(tap.status.records, flush=True)
"""


def test_kill_9_loses_at_most_the_last_blocks(tmp_path):
    run = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        written = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    numbers = [r.payload for r in read(tmp_path)]
    assert len(numbers) >= written
    assert numbers == [b'{"n":%d}' % i for i in range(len(numbers))]
    assert all(check.ok for check in verify(tmp_path))


def test_reading_nothing_gives_nothing(tmp_path):
    assert list(read(tmp_path)) == []
    assert verify(tmp_path) == []
    (tmp_path / "5.fraw.zst").write_bytes(b"")
    assert list(read(tmp_path)) == []
    (tmp_path / "5.fraw.zst").write_bytes(b"no raw file " * 9)
    with pytest.raises(RawFault, match="no block header"):
        list(read(tmp_path))


def test_records_round_trip_exactly(tmp_path):
    tap = recorder(tmp_path, redactor=Redactor())
    payloads = [os.urandom(n) for n in (0, 1, 255, 70_000)]
    for payload in payloads:
        tap.frame("c", "in", payload, T0)
    tap.close()
    assert [r.payload for r in read(tmp_path)] == payloads
    assert next(read(tmp_path)) == RawRecord(T0, Direction.IN, "c", b"")


def test_a_file_that_is_removed_under_the_run_stops_it_loudly(tmp_path, caplog):
    gaps = GapLog(gaps_path(tmp_path))
    stopped = threading.Event()
    tap = recorder(
        tmp_path,
        settings=RawSettings(block_bytes=1),
        gaps=gaps,
        on_stop=lambda _: stopped.set(),
    )
    tap.frame("c", "in", b"one", 1)
    wait_for(lambda: raw_files(tmp_path), "the file")
    raw_files(tmp_path)[0].unlink()
    tap.frame("c", "in", b"two", 2)
    assert stopped.wait(PATIENCE_SECS)
    tap.frame("c", "in", b"three", 9)
    tap.close()
    gaps.close()
    assert "removed under the run" in tap.status.error
    assert "RAW-STOPPED" in caplog.text
    rows, _ = read_gaps(tmp_path)
    assert {each.kind for each in rows} == {GapKind.STOPPED}
    told = [(each.from_ns, each.to_ns) for each in rows]
    assert told == [(1, 2), (2, 9)], "from its first frame to the end"
