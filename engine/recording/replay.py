"""A raw recording through a parser again: the same frames must give the same events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from fairlead.engine.recording.raw import read
from fairlead.engine.recording.rawformat import Direction, RawFault, RawRecord

OPENED = b"opened"
CLOSED = b"closed"


class ReplayProtocol(Protocol):
    """What replay needs of a venue's stream protocol."""

    def opened(self, now_ns: int) -> Sequence[str]: ...
    def received(self, frame: bytes | str, ts_init: int) -> Iterable[Any]: ...
    def closed(self, ts_init: int) -> Iterable[Any]: ...


class ReplayFault(msgspec.Struct, frozen=True):
    """A recorded frame that the parser refused; live, it was refused too."""

    record: RawRecord
    error: Exception


def replay_raw(
    raw_dir: Path | str,
    protocol: ReplayProtocol,
    *,
    refusals: tuple[type[Exception], ...],
    wanted: Callable[[str], bool] | None = None,
    on_fault: Callable[[RawFault], None] | None = None,
) -> Iterator[Any]:
    """Items of `protocol` for the recorded frames; `ts_init` is the recorded receive time.

    `refusals` are the exceptions that the parser may raise (ParseError); such a frame comes as a
    ReplayFault. `wanted` chooses connections by name (default: all but HTTP). Feeds that were
    subscribed live are subscribed on `protocol` by the caller before. Damaged places of the
    recording raise RawFault, or go to `on_fault`.
    """
    records = read(raw_dir, on_fault)
    if wanted is not None:
        chosen = wanted
        records = (record for record in records if chosen(record.connection))
    yield from replay_records(records, protocol, refusals=refusals)


def replay_records(
    records: Iterable[RawRecord],
    protocol: ReplayProtocol,
    *,
    refusals: tuple[type[Exception], ...],
) -> Iterator[Any]:
    """As `replay_raw`, of records that are at hand."""
    is_open: dict[str, int] = {}  # connection: when something of it was last recorded
    for record in records:
        name = record.connection
        if record.exchange:
            continue
        if record.direction is Direction.MARK:
            yield from _mark(record, protocol, is_open)
        elif record.direction is Direction.IN:
            if name not in is_open:  # the recording began within a connection
                protocol.opened(record.ts_ns)
            is_open[name] = record.ts_ns
            try:
                yield from protocol.received(record.frame(), record.ts_ns)
            except refusals as e:
                yield ReplayFault(record, e)


def _mark(record: RawRecord, protocol: ReplayProtocol, is_open: dict[str, int]) -> Iterable[Any]:
    name = record.connection
    if record.payload.startswith(OPENED):
        for dead in _left_open(name, is_open):
            yield from protocol.closed(is_open.pop(dead) + 1)
        is_open[name] = record.ts_ns
        protocol.opened(record.ts_ns)
    elif record.payload.startswith(CLOSED) and name in is_open:
        del is_open[name]
        yield from protocol.closed(record.ts_ns)


def _left_open(name: str, is_open: Iterable[str]) -> list[str]:
    """Connections whose run was killed: what they knew ends there.

    Within a run each connection has a higher number (`host#number`) than the ones before it, so
    one that does not belongs to a later run.
    """
    host, number = _parts(name)
    return [one for one in is_open if _parts(one)[0] == host and _parts(one)[1] >= number]


def _parts(name: str) -> tuple[str, int]:
    host, _, number = name.rpartition("#")
    return (host, int(number)) if number.isdecimal() else (name, 0)


class Difference(msgspec.Struct, frozen=True):
    """The first place where two event streams differ; a side that has ended is None."""

    index: int
    expected: str | None
    received: str | None


class Comparison(msgspec.Struct, frozen=True):
    """How far two event streams are the same."""

    events: int
    difference: Difference | None = None

    @property
    def is_equal(self) -> bool:
        return self.difference is None


def compare(
    expected: Iterable[Any], received: Iterable[Any], *, ignore_ts_init: bool = True
) -> Comparison:
    """Compare event by event, in constant memory, up to the first difference.

    `ts_init` is when this machine saw an event. The wire tap and the parser read the clock one
    after the other, so it is left out unless asked for.
    """
    left, right = iter(expected), iter(received)
    index = 0
    while True:
        a, b = next(left, None), next(right, None)
        if a is None and b is None:
            return Comparison(index)
        shown_a, shown_b = _shown(a, ignore_ts_init), _shown(b, ignore_ts_init)
        if a is None or b is None or shown_a != shown_b:
            return Comparison(index, Difference(index, shown_a, shown_b))
        index += 1


def _shown(event: Any, ignore_ts_init: bool) -> str | None:
    """An exact text of an event: every field, deltas one by one."""
    if event is None:
        return None
    if (deltas := getattr(event, "deltas", None)) is not None:
        return "; ".join(str(_shown(each, ignore_ts_init)) for each in deltas)
    to_dict = getattr(event, "to_dict", None)
    if to_dict is None:
        return repr(event)
    fields = dict(to_dict())
    if ignore_ts_init:
        fields.pop("ts_init", None)
    return f"{type(event).__name__} {fields}"
