"""Lines of a gzip, zip or plain text file, however damaged: what can be read is read."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

READ_BYTES = 1 << 20
LINE_BYTES_MAX = 8 << 20
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
ZIP_DAMAGE = (zipfile.BadZipFile, zipfile.LargeZipFile, struct.error)
UTF8_MARK = b"\xef\xbb\xbf"
# What a file may begin with that can't be read here, and what it then is.
FOREIGN = {
    b"\x28\xb5\x2f\xfd": "compressed with zstandard",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PAR1": "a Parquet file",
}
GZIP_WINDOW = 31  # zlib: gzip header and trailer, largest window
CORRUPT_STEP_BYTES = 64  # how near to the damage the last readable bytes are looked for


class Unreadable(Exception):
    """A file of a kind that has no lines; the text says what it is and what would do."""


class LineReader:
    """Iterates `(line number, line)` once. Lines have no newline; numbers start at 1.

    Damage ends the iteration after the last readable line, and `damage` says what happened. A last
    line without a newline in a damaged file is dropped, since it was cut. A line beyond
    LINE_BYTES_MAX comes as None. `on_bytes` is told the position in the file as it is read.

    A byte order mark of UTF-8 is no part of the first line. Of a zip archive the only file in it
    is read. Raises OSError when the file cannot be opened or read, Unreadable for another kind.
    """

    def __init__(self, path: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        self.path = path
        self.damage = ""
        self._on_bytes = on_bytes

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        for first, lines in self.blocks():
            yield from enumerate(lines, first)

    def blocks(self) -> Iterator[tuple[int, Sequence[bytes | None]]]:
        """Lines as they are read, several at once, and the number of the first; also once."""
        with self.path.open("rb") as file:
            yield from self._blocks(self._chunks(file))

    def _chunks(self, file: BinaryIO) -> Iterator[bytes]:
        first = file.read(READ_BYTES)
        if first.startswith(GZIP_MAGIC):
            yield from self._inflate(file, first)
            return
        if first.startswith(ZIP_MAGIC):
            yield from self._unzip(file)
            return
        for magic, kind in FOREIGN.items():
            if first.startswith(magic):
                raise Unreadable(f"it is {kind}; expected lines of text, plain, gzip or zip")
        data = first
        while data:
            self._progress(file)
            yield data
            data = file.read(READ_BYTES)

    def _unzip(self, file: BinaryIO) -> Iterator[bytes]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = [each for each in archive.infolist() if not each.is_dir()]
                if len(members) != 1:
                    raise Unreadable(
                        f"it is a zip archive of {len(members)} files; expected one file in it"
                    )
                with archive.open(members[0]) as member:
                    while data := member.read(READ_BYTES):
                        self._progress(file)
                        yield data
        except (NotImplementedError, RuntimeError) as e:  # another method; a password
            raise Unreadable(f"it is a zip archive that can't be read: {e}") from e
        except (*ZIP_DAMAGE, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError) as e:
            self.damage = f"zip archive is damaged: {e}"

    def _inflate(self, file: BinaryIO, data: bytes) -> Iterator[bytes]:
        inflater = zlib.decompressobj(GZIP_WINDOW)
        while True:
            self._progress(file)
            while data:
                if inflater.eof:  # members follow each other when files were concatenated
                    data = data.lstrip(b"\0")
                    if not data:
                        break
                    inflater = zlib.decompressobj(GZIP_WINDOW)
                before = inflater.copy()
                try:
                    text = inflater.decompress(data, READ_BYTES)
                except zlib.error as e:
                    self.damage = f"gzip data is corrupt before byte {file.tell()}: {e}"
                    yield from _until_corrupt(before, data)
                    return
                if text:
                    yield text
                data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            data = file.read(READ_BYTES)
            if not data:
                break
        rest = inflater.flush()
        if rest:
            yield rest
        if not inflater.eof:
            self.damage = f"gzip file is truncated at byte {file.tell()}"

    def _blocks(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, Sequence[bytes | None]]]:
        first = 1
        tail = b""
        overlong = False
        is_first = True
        for chunk in chunks:
            if is_first:
                chunk, is_first = chunk.removeprefix(UTF8_MARK), False
            *lines, tail = (tail + chunk).split(b"\n") if tail else chunk.split(b"\n")
            if lines:
                yield first, [None, *lines[1:]] if overlong else lines
                first += len(lines)
                overlong = False
            if len(tail) > LINE_BYTES_MAX:
                overlong = True
                tail = b""
        if (tail or overlong) and not self.damage:
            yield first, [None if overlong else tail]

    def _progress(self, file: BinaryIO) -> None:
        if self._on_bytes is not None:
            self._on_bytes(file.tell())


def _until_corrupt(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What decompresses before the damage; the failed call itself gives none of it."""
    for at in range(0, len(data), CORRUPT_STEP_BYTES):
        try:
            yield inflater.decompress(data[at : at + CORRUPT_STEP_BYTES])
        except zlib.error:
            return
