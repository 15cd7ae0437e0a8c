"""An Arrow stream with other rows than it was made with.

What a stream says of its columns (schema, dictionaries, the metadata of a record batch) is the work
of whoever made an example of it; only the numbers that depend on the rows are written anew: their
count, and where each buffer is. Formats: Arrow columnar format, "Serialization and Interprocess
Communication"; FlatBuffers, "Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from fairlead.engine.recording.arrow_tail import body_length

_HEAD = struct.Struct("<Ii")  # the mark, and the length of the metadata
_LENGTH = struct.Struct("<q")
_PAIR = struct.Struct("<qq")  # a field's rows and nulls; a buffer's place and length
_ALIGNED = 64  # bytes
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3  # fields of a Message
_ROWS, _NODES, _BUFFERS = 0, 1, 2  # fields of a RecordBatch
_RECORD_BATCH = 3  # header type

Column = tuple[bytes, ...]  # a column's buffers: values, or of texts offsets (int32) and characters


def filled(example: bytes, rows: int, columns: Sequence[Column]) -> list[bytes]:
    """The stream `example`, of one record batch, with `rows` rows of `columns`; none is null.

    In pieces. `columns` are in the order of the schema and of its types, indices of those that have
    a dictionary. Raises ValueError where the example is of another kind.
    """
    at, length = _batch_at(example)
    end = at + _HEAD.size + length
    meta = bytearray(example[at + _HEAD.size : end])
    message = _pointed(meta, 0)
    batch = _pointed(meta, _field(meta, message, _HEADER))
    end += body_length(meta, 0)
    nodes, buffers = (_pointed(meta, _field(meta, batch, field)) for field in (_NODES, _BUFFERS))
    parts = [part for column in columns for part in (b"", *column)]  # b"": no nulls
    if [_count(meta, nodes), _count(meta, buffers)] != [len(columns), len(parts)]:
        raise ValueError("an Arrow stream of other columns")
    _LENGTH.pack_into(meta, _field(meta, batch, _ROWS), rows)
    for number in range(len(columns)):
        _PAIR.pack_into(meta, nodes + 4 + number * _PAIR.size, rows, 0)
    body: list[bytes] = []
    body_bytes = 0
    for number, part in enumerate(parts):
        _PAIR.pack_into(meta, buffers + 4 + number * _PAIR.size, body_bytes, len(part))
        padding = -len(part) % _ALIGNED
        body += (part, bytes(padding))
        body_bytes += len(part) + padding
    _LENGTH.pack_into(meta, _field(meta, message, _BODY_LENGTH), body_bytes)
    return [example[: at + _HEAD.size], bytes(meta), *body, example[end:]]


def _batch_at(stream: bytes) -> tuple[int, int]:
    """Where the message of the record batch begins, and the length of its metadata."""
    at = 0
    while at + _HEAD.size <= len(stream):
        _, length = _HEAD.unpack_from(stream, at)
        if length <= 0:
            break
        meta = stream[at + _HEAD.size : at + _HEAD.size + length]
        message = _pointed(meta, 0)
        if meta[_field(meta, message, _HEADER_TYPE)] == _RECORD_BATCH:
            return at, length
        at += _HEAD.size + length + body_length(meta, 0)
    raise ValueError("an Arrow stream without a record batch")


def _pointed(meta: bytes | bytearray, at: int) -> int:
    """What the offset at `at` points to."""
    return at + int(struct.unpack_from("<I", meta, at)[0])


def _count(meta: bytearray, vector: int) -> int:
    return int(struct.unpack_from("<I", meta, vector)[0])


def _field(meta: bytes | bytearray, table: int, number: int) -> int:
    """Where a table's field is."""
    vtable = table - int(struct.unpack_from("<i", meta, table)[0])
    entry = 4 + 2 * number
    length = struct.unpack_from("<H", meta, vtable)[0]
    offset = int(struct.unpack_from("<H", meta, vtable + entry)[0]) if entry < length else 0
    if not offset:
        raise ValueError(f"an Arrow message without field {number}")
    return table + offset
