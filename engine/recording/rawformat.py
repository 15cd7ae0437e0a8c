"""The raw recording's file format: `<start_ns>.fraw.zst`, described in docs/recording.md.

A file is a row of blocks. A block is a zstd skippable frame with the block's header, and a zstd
frame with its records; so `zstd -dc` reads the whole file too. A record is its length, the CRC-32
of its body, and its body in MessagePack.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

VERSION = 1
SUFFIX = ".fraw.zst"
# skippable frame magic, its length; then: mark, version, records, plain and packed bytes, CRC-32
# of the packed bytes, first and last ns, CRC-32 of the header up to here
_SKIPPABLE = struct.Struct("<II")
_HEADER = struct.Struct("<4sHxxIIIIqq")
_CRC = struct.Struct("<I")
_RECORD = struct.Struct("<II")
_MAGIC = 0x184D2A5F
_MARK = b"FRAW"
HEADER_BYTES = _SKIPPABLE.size + _HEADER.size + _CRC.size
_PREFIX = _SKIPPABLE.pack(_MAGIC, _HEADER.size + _CRC.size) + _MARK
RECORD_BYTES_MAX = 64 << 20
BLOCK_BYTES_MAX = 128 << 20
_SCAN_BYTES_FIRST = 256
_SCAN_BYTES = 1 << 20


class RawFault(Exception):
    """A record or block that can't be what was written. `offset` is in bytes of the file."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"{path}: byte {offset}: {reason}")
        self.path = path
        self.offset = offset
        self.reason = reason


class Direction(StrEnum):
    IN = "in"
    OUT = "out"
    MARK = "mark"  # the connection was opened or closed; the payload says which
    REQUEST = "request"
    ANSWER = "answer"  # of the request with the same `exchange`; status 0 and `error` if none came
    LOST = "lost"  # the recorder dropped `status` records before this one


class RawRecord(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One thing that went over the wire. `ts_ns` is local UNIX nanoseconds.

    `payload` is the frame's or body's bytes; `is_text` says that it was a text frame.
    """

    ts_ns: int
    direction: Direction
    connection: str
    payload: bytes
    is_text: bool = False
    exchange: int = 0
    method: str = ""
    url: str = ""
    status: int = 0
    headers: dict[str, str] = {}
    error: str = ""

    def frame(self) -> bytes | str:
        """The payload as it was received: text or bytes."""
        return self.payload.decode("utf-8", "replace") if self.is_text else self.payload


class BlockHeader(msgspec.Struct, frozen=True):
    records: int
    plain_bytes: int
    packed_bytes: int
    packed_crc: int
    first_ns: int
    last_ns: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RawRecord)


def pack_record(record: RawRecord) -> bytes:
    body = _encoder.encode(record)
    return _RECORD.pack(len(body), zlib.crc32(body)) + body


def pack_block(
    records: bytes, count: int, first_ns: int, last_ns: int, compressor: zstandard.ZstdCompressor
) -> bytes:
    """A whole block, to be written at once."""
    packed = compressor.compress(records)
    head = _SKIPPABLE.pack(_MAGIC, _HEADER.size + _CRC.size) + _HEADER.pack(
        _MARK,
        VERSION,
        count,
        len(records),
        len(packed),
        zlib.crc32(packed),
        first_ns,
        last_ns,
    )
    return head + _CRC.pack(zlib.crc32(head)) + packed


def _unpack_header(path: Path, offset: int, head: bytes) -> BlockHeader:
    (crc,) = _CRC.unpack_from(head, HEADER_BYTES - _CRC.size)
    if not head.startswith(_PREFIX) or crc != zlib.crc32(head[: -_CRC.size]):
        raise RawFault(path, offset, "no block header here")
    _, version, *numbers = _HEADER.unpack_from(head, _SKIPPABLE.size)
    if version != VERSION:
        raise RawFault(path, offset, f"version {VERSION} expected, {version} received")
    return BlockHeader(*numbers)


def _records(path: Path, offset: int, plain: bytes, count: int) -> Iterator[RawRecord]:
    at = 0
    for _ in range(count):
        if at + _RECORD.size > len(plain):
            raise RawFault(path, offset, "the block ends within a record")
        length, crc = _RECORD.unpack_from(plain, at)
        body = plain[at + _RECORD.size : at + _RECORD.size + length]
        if length > RECORD_BYTES_MAX or len(body) != length or zlib.crc32(body) != crc:
            raise RawFault(path, offset, f"checksum of the record at byte {at} of the block")
        at += _RECORD.size + length
        try:
            yield _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
            raise RawFault(path, offset, f"record at byte {at} of the block: {e}") from e


def _body(path: Path, offset: int, header: BlockHeader, packed: bytes) -> bytes:
    if zlib.crc32(packed) != header.packed_crc:
        raise RawFault(path, offset, "checksum of the block")
    try:
        # The frame's own word sizes the buffer: a few bytes must not ask for gigabytes.
        told = zstandard.frame_content_size(packed)
        if max(told, header.plain_bytes) > BLOCK_BYTES_MAX:
            raise RawFault(path, offset, f"at most {BLOCK_BYTES_MAX} bytes of records expected")
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=header.plain_bytes)
    except zstandard.ZstdError as e:
        raise RawFault(path, offset, f"the block does not decompress: {e}") from e
    if len(plain) != header.plain_bytes:
        raise RawFault(path, offset, f"{header.plain_bytes} bytes expected, {len(plain)} received")
    return plain


def read_blocks(path: Path) -> Iterator[tuple[BlockHeader, list[RawRecord]] | RawFault]:
    """Blocks in order; a RawFault for each damaged place, after which reading goes on.

    A fault whose reason begins with `torn` is the end that a crash cut off.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        offset = 0
        while offset < size:
            file.seek(offset)
            head = file.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES:
                yield RawFault(path, offset, f"torn: {size - offset} bytes of a block header")
                return
            try:
                header = _unpack_header(path, offset, head)
            except RawFault as fault:
                yield fault
                offset = _next_block(file, offset + 1)
                continue
            end = offset + HEADER_BYTES + header.packed_bytes
            if end > size:
                left = size - offset
                yield RawFault(path, offset, f"torn: {left} of {end - offset} bytes of a block")
                return
            try:
                plain = _body(path, offset, header, file.read(header.packed_bytes))
                yield header, list(_records(path, offset, plain, header.records))
            except RawFault as fault:
                yield fault
            offset = end


def _next_block(file: BinaryIO, offset: int) -> int:
    """Where the next block header seems to begin; the file's end if nowhere."""
    overlap = len(_PREFIX) - 1
    wanted = _SCAN_BYTES_FIRST  # then more and more, so that many false headers cost little each
    while True:
        file.seek(offset)
        window = file.read(wanted)
        found = window.find(_PREFIX)
        if found >= 0:
            return offset + found
        if len(window) < wanted:
            return offset + len(window)
        offset += len(window) - overlap
        wanted = min(2 * wanted, _SCAN_BYTES)
