"""No secret in anything that a recorded live run writes or prints."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import zstandard

from tests.live.desk import QUICK, Desk

NOISY = '[run]\nlog_level = "DEBUG"\n' + QUICK + '\n[record]\ndir = "data"\n'
JWT_START = b"eyJ"


def canaries(desk: Desk) -> list[bytes]:
    pem = desk.served.credential("private_key").splitlines()
    lines = [line.strip().encode() for line in pem if len(line) > 20 and "-----" not in line]
    return [*lines, str(desk.served.line["uid"]).encode(), JWT_START]


def content(path: Path) -> bytes:
    """What is in a file, unpacked where it is compressed, whole frames only."""
    raw = path.read_bytes()
    unpacked = b""
    start = raw.find(zstandard.FRAME_HEADER)
    while start >= 0:
        with suppress(zstandard.ZstdError):  # bytes that only look like a frame's start
            unpacked += zstandard.ZstdDecompressor().decompressobj().decompress(raw[start:])
        start = raw.find(zstandard.FRAME_HEADER, start + 4)
    return raw + unpacked


def test_no_artefact_holds_a_secret(desk: Desk) -> None:
    config = desk.config("buy", more=NOISY)
    desk.fault("POST", "/v1/order/delete", "bad_gateway")
    desk.fault("WS", "/app", "malformed")
    ended = desk.run_until("live", config, desk.did("filled"), "a fill")
    assert ended.returncode == 0, ended.stderr[-3000:]
    files = [
        path
        for folder in (desk.folder / "state", desk.folder / "data")
        for path in folder.rglob("*")
        if path.is_file()
    ]
    written = {str(path): content(path) for path in files}
    written |= {"stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    frames = b"".join(body for name, body in written.items() if name.endswith(".zst"))
    assert b"/v1/orders" in frames  # requests are in the recording, and were read here
    for name, body in written.items():
        for canary in canaries(desk):
            assert canary not in body, f"{name} holds {canary[:6]!r}..."
