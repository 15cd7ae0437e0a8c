"""Fields of comma-separated lines, by the names of their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from fairlead.engine.recording.importers.binance_wire import Malformed
from fairlead.engine.recording.importers.events import Refused
from fairlead.engine.recording.importers.lines import GZIP_MAGIC, ZIP_MAGIC, LineReader

SHOWN_CHARS = 200
CUT = "the file has no newline at its end: the line may be cut"

_EXPONENT = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,30})?[eE][+-]?[0-9]{1,2}")


def plain(number: str) -> str:
    """Without an exponent, with which programs write small numbers (`9.97e-05`); exact."""
    text = number.strip()
    return f"{Decimal(text):f}" if _EXPONENT.fullmatch(text) else text


class CsvLines:
    """Lines of a file, plain, gzip or zip, as lists of fields.

    The last line of plain text that does not end in a newline may be cut in the middle of a number,
    and is none. `damage` as of LineReader.
    """

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._may_be_cut = _ends_without_newline(reader.path)

    @property
    def damage(self) -> str:
        return self._reader.damage

    def head(self) -> tuple[int, list[str], Iterator[tuple[int, list[str] | Malformed]]] | None:
        """The first line with its number, and those after it; None of a file without lines.

        Raises Refused where it is malformed, and as they do.
        """
        lines = iter(self)
        first = next(lines, None)
        if first is None:
            return None
        number, fields = first
        if isinstance(fields, Malformed):
            raise Refused(f"{self._reader.path}: line {number}: {fields}")
        return number, fields, lines

    def __iter__(self) -> Iterator[tuple[int, list[str] | Malformed]]:
        """Empty lines are left out. Raises OSError, Unreadable."""
        held: tuple[int, bytes | None] | None = None
        for numbered in self._reader:
            if held is not None and held[1] != b"":
                yield held[0], _fields(held[1])
            held = numbered
        if held is None or held[1] == b"":
            return
        yield held[0], Malformed(CUT) if self._may_be_cut else _fields(held[1])


def text_lines(reader: LineReader) -> Iterator[tuple[int, bytes | Malformed]]:
    """As CsvLines, of lines that are no fields."""
    may_be_cut = _ends_without_newline(reader.path)
    held: tuple[int, bytes | None] | None = None
    for numbered in reader:
        if held is not None and held[1] != b"":
            yield held[0], _whole(held[1])
        held = numbered
    if held is not None and held[1] != b"":
        yield held[0], Malformed(CUT) if may_be_cut else _whole(held[1])


def _whole(line: bytes | None) -> bytes | Malformed:
    return Malformed("the line is longer than the limit") if line is None else line


def _fields(line: bytes | None) -> list[str] | Malformed:
    if line is None:
        return Malformed("the line is longer than the limit")
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        return Malformed(f"it is no text: {error}")
    if "\0" in text:
        return Malformed("it has a NUL character")
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        return Malformed(f"it is no line of fields: {error}")


def _ends_without_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(4).startswith((GZIP_MAGIC, ZIP_MAGIC)):
            return False  # their ends show whether they are whole
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"\n", b"")


class Columns:
    """Where the wanted columns are. Raises Refused where one is missing."""

    def __init__(self, path: Path, header: Sequence[str], wanted: Sequence[str]) -> None:
        names = [name.strip() for name in header]
        missing = [name for name in wanted if name not in names]
        if missing:
            shown = ",".join(names)[:SHOWN_CHARS]
            raise Refused(
                f"{path}: expected the columns {', '.join(wanted)}; received {shown!r} without "
                f"{', '.join(missing)}"
            )
        self.count = len(names)
        self.places = [names.index(name) for name in wanted]

    def of(self, fields: Sequence[str]) -> list[str]:
        """The wanted fields. Raises Malformed."""
        if len(fields) != self.count:
            raise Malformed(f"{self.count} fields expected, {len(fields)} received")
        return [fields[place] for place in self.places]
