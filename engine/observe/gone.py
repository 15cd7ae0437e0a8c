"""Orders that NautilusTrader's cache holds no more, as far as a run is summed up by them.

They are in a file of the run that has no name and goes with it: what must outlive the run is in the
journal. It grows by a few hundred bytes an order, on the disk of the state folder.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.observe.summary import order_line

BLOCK = 64  # orders that are compressed and written together
_LENGTH = 4  # bytes before each block


class Unsent(msgspec.Struct, frozen=True, kw_only=True):
    """What a summary tells of an order that the venue gave no id."""

    client_order_id: str
    kind: str
    status: str
    line: str  # as of `summary.order_line`
    denials: list[str] = []  # reasons of NautilusTrader's own


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """`row` is that of `order_rows`, `refused` the venue's whole reason, `after` the mid after each
    fill by trade id and seconds."""

    row: dict[str, Any]
    refused: str | None = None
    unsent: Unsent | None = None
    after: dict[str, dict[int, Decimal]] = {}


def unsent(order: Any) -> Unsent | None:
    """None of one that the venue has, or had. `order` is NautilusTrader's."""
    if order.venue_order_id is not None:
        return None
    events = (one for one in order.events() if type(one).__name__ == "OrderDenied")
    return Unsent(
        client_order_id=str(order.client_order_id),
        kind=order.order_type.name,
        status=order.status.name,
        line=order_line(order),
        denials=[str(one.reason) for one in events],
    )


def refusal(order: Any) -> str | None:
    """Why the venue, or the desk, refused NautilusTrader's order; also where it was accepted
    before, as one is that the engine holds."""
    reasons = [one.reason for one in order.events() if type(one).__name__ == "OrderRejected"]
    return str(reasons[-1]) if reasons else None


class GoneOrders:
    """Written while the run goes on, read when it is summed up; oldest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Any = None
        self._end = 0  # of what is whole
        self._newest: list[Gone] = []
        self.problem: str | None = None  # why they could not all be read

    def add(self, one: Gone) -> None:
        """Raises OSError, as of a full disk: then it is not kept, and what was added before is."""
        if len(self._newest) >= BLOCK:
            self._write()
        self._newest.append(one)

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - to `close`
        packed = zlib.compress(msgspec.json.encode(self._newest))
        block = memoryview(len(packed).to_bytes(_LENGTH) + packed)
        written = 0
        while written < len(block):  # from the end of what is whole: a part of it is no harm
            written += os.pwrite(self._file.fileno(), block[written:], self._end + written)
        self._end += written
        self._newest = []

    def __iter__(self) -> Iterator[Gone]:
        """Of what can't be read, `problem` tells."""
        place = 0
        while place < self._end:
            try:
                size = int.from_bytes(self._read(_LENGTH, place))
                packed = zlib.decompress(self._read(size, place + _LENGTH))
                block = msgspec.json.decode(packed, type=list[Gone])
            except (OSError, zlib.error, msgspec.MsgspecError) as error:
                self.problem = f"{error}"
                break
            yield from block
            place += _LENGTH + size
        yield from tuple(self._newest)

    def _read(self, size: int, place: int) -> bytes:
        found = b""
        while len(found) < size:
            part = os.pread(self._file.fileno(), size - len(found), place + len(found))
            if not part:
                raise OSError(f"cut off at byte {place + len(found)}")
            found += part
        return found

    def close(self) -> None:
        """What it holds is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._end, self._newest = 0, []
