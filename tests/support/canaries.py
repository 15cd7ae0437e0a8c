"""Looks for credentials and signatures in everything that a run of the test suite has written.

What to look for: every credential and signature that a process of the suite had (see
`spy/sitecustomize.py`), and every credential file below the suite's folder. On top of these, the
shapes of a whole signature are found whoever made them. A credential is cut into pieces of
`PIECE` characters, so that a part of it is found, too: any part of 23 characters, and a short one
whole. Texts are looked at as they are, out of their compression, and decoded where they are base64.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import os
import re
import sqlite3
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import msgspec
import zstandard

PIECE = 12
UNPACKED_BYTES_MAX = 256 * 1024 * 1024  # of one file
FOUND_MAX = 50
ALONE_MAX = 1000  # files that one process looks through in less time than others take to start
SQLITE = b"SQLite format 3\x00"
GZIP = b"\x1f\x8b\x08"

# Files that `fairlead venue` and the tests' own key files have: nothing but one credential inside.
CREDENTIAL_NAMES = frozenset(
    {"uid", "key_id", "private_key", "key", "secret", "token", "api_key", "api_secret"}
    | {"ed25519_api_key", "ed25519_api_secret"}
)
_RUN = re.compile(rb"[A-Za-z0-9+/=_%%\\-]{%d,}" % PIECE)
_RUN_TEXT = re.compile(_RUN.pattern.decode())
BASE64_CHARS_MIN = 80
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % BASE64_CHARS_MIN)
# Public, and alike in places: its algorithm's name stands in every other certificate.
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SHAPES = {
    "a token": re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"),
    "a private key": re.compile(rb"PRIVATE KEY-----\W{1,6}[A-Za-z0-9+/]{20}"),
}
# In small letters, in which it is looked for: many times faster than without regard to case.
_SMALL_SHAPES = {
    "an HMAC-SHA256": re.compile(rb"sign(?:ature)?\W{1,12}(?:[a-z0-9+/]|\\/|%2[bf]){43}(?:=|%3d)"),
}


class Found(msgspec.Struct, frozen=True):
    """A credential in a file. It is not told itself: reports are artefacts, too."""

    path: str
    place: str  # what of the file: as it is, or which unpacked part
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what} at {self.offset} of {self.place}"


class Canaries:
    """The pieces to look for, and where each came from."""

    def __init__(self) -> None:
        self._pieces: dict[bytes, str] = {}
        self._clean: set[bytes] = set()  # runs that were looked at already, decoded too
        self.texts: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, text: str, source: str) -> None:
        """Spellings in which it may be written: as it is, in JSON, in a URL, line by line."""
        text = _CERTIFICATE.sub("", text)
        if text.startswith("eyJ"):
            text = text.rpartition(".")[2]  # the rest of a token says nothing that is secret
        if not text.strip():
            return
        self.texts.add(text.strip().encode())
        lines = [line for line in text.splitlines() if not line.startswith("-----")]
        if len(lines) > 1:
            lines = lines[1:]  # a PEM's first line is alike in all keys
        for line in lines:
            for spelt in {line, json.dumps(line)[1:-1], line.replace("/", "\\/"), quote(line, "")}:
                for run in _RUN_TEXT.findall(spelt):
                    self._add_run(run.encode(), source)

    def _add_run(self, run: bytes, source: str) -> None:
        last = len(run) - PIECE
        for start in {*range(0, last + 1, PIECE), last}:
            self._pieces.setdefault(run[start : start + PIECE], source)

    def find(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Offset and source of what is in `data`, as it is or in what its base64 says."""
        for offset, what, _ in self.look(data):
            yield offset, what

    def look(self, data: bytes) -> Iterator[tuple[int, str, bool]]:
        """The same, and whether in base64; the offset is in what that says then."""
        for run in set(_RUN.findall(data)) - self._clean:
            pieces = (run[at : at + PIECE] for at in range(len(run) - PIECE + 1))
            hit = next((piece for piece in pieces if piece in self._pieces), None)
            if hit is not None:
                yield data.index(hit), self._pieces[hit], False
                continue
            found = False
            for inner in decoded(run):
                for at, what in self.find(inner):
                    found = True
                    yield at, what, True
            if not found:
                self._clean.add(run)
        for what, shape in _SHAPES.items():
            if match := shape.search(data):
                yield match.start(), what, False
        small = data.lower()
        for what, shape in _SMALL_SHAPES.items():
            if match := shape.search(small):
                yield match.start(), what, False


def told(folder: Path) -> Iterator[tuple[str, str]]:
    """What the processes of the suite have written down, and whose it is."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):  # the last line of a process that was killed
                yield json.loads(line), f"a credential or signature of process {path.stem}"


def is_credential_file(path: Path) -> bool:
    """A key file as `write_credentials` makes it."""
    return path.name in CREDENTIAL_NAMES and not stat.S_IMODE(path.stat().st_mode) & 0o077


def is_one_credential(path: Path, known: Canaries, hidden: int = 0o077) -> bool:
    """Nothing but one credential, in a file whose mode has none of the bits of `hidden`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return not mode & hidden and path.read_bytes().strip() in known.texts


def unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    """The file as it is, and each part of it that is packed."""
    data = path.read_bytes()
    yield "the file", data
    yield from _frames(data)
    if data.startswith(GZIP):
        with suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
            yield "the gzip", file.read(UNPACKED_BYTES_MAX)
    if data.startswith(SQLITE):
        yield "its rows", b"\n".join(_rows(path))


def _frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every zstd frame, wherever it begins: raw recordings, and the pages of Parquet files."""
    view = memoryview(data)
    start = data.find(zstandard.FRAME_HEADER)
    while start >= 0:
        with suppress(zstandard.ZstdError):  # bytes that only look like a frame's start
            reader = zstandard.ZstdDecompressor().stream_reader(view[start:])
            yield f"the zstd frame at {start}", reader.read(UNPACKED_BYTES_MAX)
        start = data.find(zstandard.FRAME_HEADER, start + 4)


def _rows(path: Path) -> Iterator[bytes]:
    """Every text of every table: a long one is spread over pages of the file."""
    with (
        suppress(sqlite3.Error),  # a journal that a test has damaged
        closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db,
    ):
        db.text_factory = bytes
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            for row in db.execute(f'SELECT * FROM "{name.decode()}"'):
                yield b"\t".join(cell for cell in row if isinstance(cell, bytes))


def decoded(run: bytes) -> Iterator[bytes]:
    """What long base64 says, such as the schema in a Parquet file."""
    if len(run) < BASE64_CHARS_MIN:
        return
    for text in _BASE64.findall(run):
        text = text.replace(b"-", b"+").replace(b"_", b"/")
        with suppress(binascii.Error, ValueError):
            yield base64.b64decode(text[: len(text) // 4 * 4])


def scan(files: Iterable[Path], canaries: Canaries) -> Iterator[Found]:
    """What is in a file and must not be, the first of each part of the file.

    And the first of what is said in base64 there.
    """
    for path in files:
        for place, data in unpacked(path):
            told: set[bool] = set()
            for offset, what, is_inner in canaries.look(data):
                if is_inner not in told:
                    told.add(is_inner)
                    yield Found(
                        str(path), f"base64 in {place}" if is_inner else place, offset, what
                    )
                if len(told) == 2:
                    break


def scan_all(files: Sequence[Path], canaries: Canaries) -> list[Found]:
    """The same by a process for each core, in no order."""
    cores = os.process_cpu_count() or 1
    if cores == 1 or len(files) <= ALONE_MAX:
        return list(scan(files, canaries))
    parts = [files[first::cores] for first in range(cores)]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        return [one for part in pool.map(_scanned, parts, repeat(canaries)) for one in part]


def _scanned(files: Sequence[Path], canaries: Canaries) -> list[Found]:
    return list(scan(files, canaries))
