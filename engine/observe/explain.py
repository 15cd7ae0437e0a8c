"""The story of one order: intent, wire, answers, fills, in the order in which they happened.

Told from the journal alone, and from the raw recording where there is one.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.engine.brackets.story import BracketStory, bracket_of
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.bare import kill_that_took
from fairlead.engine.kill.state import FOLDER, KillState
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY, UNASKED
from fairlead.engine.orders.model import Intent

if TYPE_CHECKING:
    from fairlead.engine.recording.rawformat import RawRecord

WIRE_MARGIN_NS = 2_000_000_000  # before the intent and after the last record
WIRE_LINES_MAX = 200
EXCERPT_CHARS = 240
NAMING = frozenset({"ACCEPTED", "REPLACED", "RENAMED", "LATE"})  # records that tell a venue id
DAMAGED = " (DAMAGED: this is not what was written)"
_NEVER_WRITTEN = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)
FILE_SPAN_NS = 24 * 3_600 * 1_000_000_000  # a raw file is rotated long before this


class Line(msgspec.Struct, frozen=True):
    """One thing that happened. `ts_ns` is local UNIX nanoseconds."""

    ts_ns: int
    source: str  # signal, journal, wire
    text: str


class _Named(msgspec.Struct):
    venue_order_id: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    client_order_id: str
    venue_order_ids: tuple[str, ...]
    journal: str
    intent: Intent
    state: str
    lines: list[Line]
    bracket: BracketStory | None = None


def explain(order_id: str, journals: list[Path], raw: Path | None) -> Story:
    """Find the order by client or venue order id and tell all that is known of it.

    Raises FairleadError ORDER-NOT-FOUND, naming the journals that were searched, and
    JOURNAL-DAMAGED; JournalError for a file that is no journal of this version.
    """
    for path in journals:
        try:
            with closing(Journal.reading(path)) as journal, journal.one_moment():
                found = journal.find(order_id)
                if found is not None:
                    return _story(journal, found, raw)
        except (sqlite3.Error, LookupError, *_NEVER_WRITTEN) as error:
            raise FairleadError(
                "JOURNAL-DAMAGED",
                f"{path}, order {order_id}: expected what the engine wrote, came "
                f"{str(error)[:EXCERPT_CHARS]}",
                Exit.FAILED,
            ) from error
    searched = ", ".join(str(path) for path in journals) or "no journal at all"
    raise FairleadError(
        "ORDER-NOT-FOUND",
        f"no order has the client or venue order id {order_id}; searched {searched}",
        Exit.NO_DATA,
    )


def _story(journal: Journal, cid: str, raw: Path | None) -> Story:
    order = journal.order(cid)
    if order is None:
        raise LookupError(f"an id of {cid}, and not the order itself")
    held, _ = journal.held_story(cid)
    intent = held or order.intent  # as it was decided, whatever it became
    records = journal.story(cid)
    damaged = journal.damaged(cid)
    lines = [
        Line(ts, "journal", f"#{seq} {kind} {_body(body)}{DAMAGED if seq in damaged else ''}")
        for seq, ts, kind, body in records
    ]
    venue_ids = _venue_ids(records)
    if intent.ts_init:
        asked = _unasked(intent) if _is_unasked(records) else _signal(intent, is_held=bool(held))
        lines.append(Line(intent.ts_init, "signal", asked))
    if raw is not None and records:
        first = min(intent.ts_init or records[0][1], records[0][1])
        names = (cid, *venue_ids)
        lines += _wire(raw, names, first - WIRE_MARGIN_NS, records[-1][1] + WIRE_MARGIN_NS)
    in_force = KillState(journal.path.parent / FOLDER).in_force()
    if (kill := kill_that_took(journal, order, in_force)) is not None:
        yet = "" if order.state.is_terminal else ", and its end is not in the journal yet"
        lines.append(Line(kill.ts_ns, "signal", f"{kill}; it cancels this order{yet}"))
    lines.sort(key=lambda line: line.ts_ns)
    return Story(
        client_order_id=cid,
        venue_order_ids=venue_ids,
        journal=str(journal.path),
        intent=intent,
        state=order.state.value,
        lines=lines,
        bracket=bracket_of(journal, order, records[0][0]) if records else None,
    )


def _venue_ids(records: list[tuple[int, int, str, bytes]]) -> tuple[str, ...]:
    """Every id that the order had at the venue, oldest first."""
    ids: dict[str, None] = {}
    for _, _, kind, body in records:
        if kind not in NAMING:
            continue
        with suppress(*_NEVER_WRITTEN):  # its line says that it is damaged
            ids[msgspec.json.decode(body, type=_Named).venue_order_id] = None
    return tuple(ids)


def _is_unasked(records: list[tuple[int, int, str, bytes]]) -> bool:
    """Whether it was booked as it was found. One that was over when it was told of was asked for:
    other records follow its intent."""
    kind, body = records[1][2:] if len(records) > 1 else ("", b"")
    return kind == "FINDING" and f'"{UNASKED}"'.encode() in body


def _unasked(intent: Intent) -> str:
    return (
        f"NautilusTrader tells of it: {intent.side} {intent.quantity} {intent.instrument}; no "
        f"strategy sent it, no gate approved it, and it counts as {intent.strategy}'s"
    )


def _signal(intent: Intent, *, is_held: bool) -> str:
    kept = ", and the engine holds it for the venue" if is_held else ""
    price = "" if intent.price is None else f" @ {intent.price}"
    stop = (
        ""
        if intent.trigger_price is None
        else f", fires when the price is {intent.trigger_condition} {intent.trigger_price}"
    )
    if intent.trailing_offset is not None:
        stop = f", follows the market by {intent.trailing_offset:f} basis points"
        stop += "" if intent.trigger_price is None else f" from {intent.trigger_price} on"
    role = f", as its {intent.role}" if intent.role else ""
    room = ""
    if intent.room_for:
        room = f" (it makes room for {intent.room_for}, which its venue would else sell it for)"
    if intent.strategy == KILL_STRATEGY:
        return (
            f"a flatten closes: {intent.side} {intent.quantity} {intent.instrument} {intent.kind}"
            f"{price}; no limit of the risk gate keeps it back"
        )
    return (
        f"{intent.strategy} decides: {intent.side} {intent.quantity} {intent.instrument} "
        f"{intent.kind}{price}{stop}{role}{room}; the risk gate approves it{kept}"
    )


def _body(body: bytes) -> str:
    """A record's JSON without what is absent."""
    try:
        value: Any = msgspec.json.decode(body)
    except _NEVER_WRITTEN:  # the rest of the story is worth telling
        return f"not what was written: {body[:EXCERPT_CHARS]!r}"
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if item not in (None, "", 0, False)}
        if "reason" in value:  # what comes last is cut
            value = {"reason": value["reason"]} | value
    text = "" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "..."


def _wire(raw: Path, names: tuple[str, ...], from_ns: int, to_ns: int) -> list[Line]:
    """Frames and answers that name the order, and the requests that were answered so.

    Of a list of orders the order's own part. A poll that tells the same of it again is told once,
    with how often and until when.
    """
    from fairlead.engine.recording.raw import (  # most runs have none, and it takes a while
        raw_files,
        read,
    )
    from fairlead.engine.recording.rawformat import Direction

    naming = _naming(names)
    requests: dict[tuple[str, int], RawRecord] = {}
    lines: list[Line] = []
    polls: dict[tuple[str, str, int, str], tuple[int, int]] = {}  # its line, times told again
    told = 0
    for file in raw_files(raw):
        start = file.name.split(".")[0]
        if start.isdigit() and not from_ns - FILE_SPAN_NS <= int(start) <= to_ns:
            continue
        for record in read(file, on_fault=lambda _: None):
            if not from_ns <= record.ts_ns <= to_ns:
                continue
            key = (file.parent.name, record.exchange)
            if record.direction is Direction.REQUEST:
                requests[key] = record
            if not naming.search(record.payload):
                continue
            own = _own(record.payload, names)
            if record.direction is Direction.ANSWER and (asked := requests.pop(key, None)):
                path = asked.url.partition("?")[0]  # what follows has the time in it
                poll = (asked.method, path, record.status, own)
                if poll in polls:
                    at, times = polls[poll]
                    polls[poll] = (at, times + 1)
                    again = f" (and {times + 1} times more, until {clock(record.ts_ns)})"
                    lines[at] = Line(lines[at].ts_ns, "wire", _frame(record, own) + again)
                    continue
                lines.append(Line(asked.ts_ns, "wire", f"-> {asked.method} {asked.url}"))
                polls[poll] = (len(lines), 0)
            lines.append(Line(record.ts_ns, "wire", _frame(record, own)))
            told += 1
            if told == WIRE_LINES_MAX:
                text = f"(only the first {WIRE_LINES_MAX} are told)"
                return [*lines, Line(record.ts_ns, "wire", text)]
    return lines


def _naming(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Where one of the names stands, and not a longer number that has it within."""
    either = b"|".join(re.escape(name.encode()) for name in names)
    return re.compile(rb"(?<![0-9])(?<![0-9]\.)(?:" + either + rb")(?![0-9]|\.[0-9])")


def _own(payload: bytes, names: tuple[str, ...]) -> str:
    """What a frame has of the order: the objects that name it, where it has others beside them."""
    try:
        found = list(_objects(msgspec.json.decode(payload), frozenset(names)))
    except _NEVER_WRITTEN:  # no JSON: told as it is
        found = []
    whole = payload.decode("utf-8", "replace")
    if not found or len(whole) <= EXCERPT_CHARS:
        return whole
    return f"[...] {' '.join(msgspec.json.encode(one).decode() for one in found)}"


def _objects(value: Any, names: frozenset[str]) -> Iterator[dict[str, Any]]:
    """The innermost objects that have one of the names for a value."""
    if isinstance(value, list):
        for item in value:
            yield from _objects(item, names)
    elif isinstance(value, dict):
        inner = list(_objects(list(value.values()), names))
        yield from inner
        if not inner and any(isinstance(i, str | int) and str(i) in names for i in value.values()):
            yield value


def _frame(record: RawRecord, text: str) -> str:
    from fairlead.engine.recording.rawformat import Direction

    short = text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "..."
    arrow = "->" if record.direction in (Direction.OUT, Direction.REQUEST) else "<-"
    status = f" {record.status}" if record.status else ""
    return f"{arrow}{status} {short}"


def clock(ts_ns: int) -> str:
    """UTC with microseconds."""
    whole = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{ts_ns % 1_000_000_000 // 1000:06d}"
