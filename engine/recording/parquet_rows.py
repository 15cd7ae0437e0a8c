"""The number of rows of a Parquet file, from its footer alone.

Reads the Thrift compact encoding of `FileMetaData` (Parquet format, section "Metadata") as far as
its field 3, `num_rows`. A whole catalog is counted without loading it.
"""

from __future__ import annotations

import struct
from pathlib import Path

_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")
_FOOTER_BYTES_MAX = 64 << 20
_DEPTH_MAX = 16
_ROWS_FIELD = 3
# Thrift compact types
_TRUE, _FALSE, _I8, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class ParquetFault(Exception):
    """A file that is not Parquet, or whose footer is damaged."""


class _Compact:
    """A cursor over Thrift compact bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ParquetFault("a number of the footer is too long")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def field(self, last: int) -> tuple[int, int]:
        """Field id and type; type 0 ends the struct."""
        head = self.byte()
        if head == 0:
            return 0, 0
        delta = head >> 4
        return (last + delta if delta else self.zigzag()), head & 0x0F

    def skip(self, kind: int, depth: int = 0) -> None:
        if depth > _DEPTH_MAX:
            raise ParquetFault("the footer is nested too deep")
        if kind in (_TRUE, _FALSE):
            return
        if kind == _I8:
            self._at += 1
        elif kind in (_I16, _I32, _I64):
            self.varint()
        elif kind == _DOUBLE:
            self._at += 8
        elif kind == _BINARY:
            length = self.varint()
            self._at += length
        elif kind in (_LIST, _SET):
            self._skip_list(depth)
        elif kind == _STRUCT:
            last = 0
            while True:
                last, inner = self.field(last)
                if not inner:
                    return
                self.skip(inner, depth + 1)
        else:
            raise ParquetFault(f"type {kind} in the footer")

    def _skip_list(self, depth: int) -> None:
        head = self.byte()
        count = head >> 4 if head >> 4 != 15 else self.varint()
        kind = head & 0x0F
        if count > len(self._data) - self._at:  # each takes a byte at least
            raise ParquetFault("a list of the footer is longer than the footer")
        for _ in range(count):
            if kind in (_TRUE, _FALSE):
                self._at += 1
            else:
                self.skip(kind, depth + 1)


def parquet_rows(path: Path) -> int:
    """Rows of one file. Raises ParquetFault, OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 2 * len(_MAGIC) + 4:
            raise ParquetFault(f"{path}: {size} bytes are no Parquet file")
        file.seek(size - _TAIL.size)
        length, magic = _TAIL.unpack(file.read(_TAIL.size))
        if magic != _MAGIC or not 0 < length <= min(size - 12, _FOOTER_BYTES_MAX):
            raise ParquetFault(f"{path}: no Parquet footer at its end")
        file.seek(size - _TAIL.size - length)
        cursor = _Compact(file.read(length))
    try:
        last = 0
        while True:
            last, kind = cursor.field(last)
            if not kind:
                raise ParquetFault(f"{path}: the footer has no row count")
            if last == _ROWS_FIELD and kind == _I64:
                rows = cursor.zigzag()
                if rows < 0:
                    raise ParquetFault(f"{path}: the footer tells {rows} rows")
                return rows
            cursor.skip(kind)
    except IndexError as e:
        raise ParquetFault(f"{path}: the footer ends early") from e
