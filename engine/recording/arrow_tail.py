"""Where an Arrow stream that a crash cut short ends whole.

A stream is a row of encapsulated messages (Arrow columnar format, "Serialization and
Interprocess Communication"): `0xFFFFFFFF`, the length of the metadata, the metadata (a flatbuffer
`Message`, whose field 3 is the length of the body), the body. A length of 0 ends the stream.
"""

from __future__ import annotations

import struct

_HEAD = struct.Struct("<Ii")
_CONTINUES = 0xFFFFFFFF
_BODY_LENGTH_FIELD = 3
_VTABLE_HEAD = 4  # bytes: two lengths


def whole_bytes(data: bytes) -> int:
    """Length of the whole messages at the start of `data`; the rest is torn, or the end mark."""
    at = 0
    while at + _HEAD.size <= len(data):
        mark, length = _HEAD.unpack_from(data, at)
        if mark != _CONTINUES or length <= 0:
            break
        meta = at + _HEAD.size
        if meta + length > len(data):
            break
        try:
            body = body_length(data, meta)
        except struct.error:
            break
        end = meta + length + body
        if body < 0 or end > len(data):
            break
        at = end
    return at


def body_length(data: bytes | bytearray, meta: int) -> int:
    """Field 3 of the flatbuffer at `meta`. Raises struct.error where it points outside."""
    table = meta + int(struct.unpack_from("<I", data, meta)[0])
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    if vtable < 0:
        raise struct.error("a table before the data")
    entry = _VTABLE_HEAD + 2 * _BODY_LENGTH_FIELD
    if struct.unpack_from("<H", data, vtable)[0] <= entry:
        return 0
    offset = struct.unpack_from("<H", data, vtable + entry)[0]
    return int(struct.unpack_from("<q", data, table + offset)[0]) if offset else 0
