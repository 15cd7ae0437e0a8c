"""Recorded frames through a parser give the events that they gave live."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)

from fairlead.adapters.base.venue import ParseError
from fairlead.engine.recording.raw import RawRecorder, raw_files
from fairlead.engine.recording.rawformat import RawFault
from fairlead.engine.recording.redact import Redactor
from fairlead.engine.recording.replay import ReplayFault, compare, replay_raw

IID = InstrumentId.from_str("BTC_USDT.X")
T0 = 1_700_000_000_000_000_000


class Dialogue:
    """A venue's stream with a sequence: trades, numbered anew with each connection."""

    def __init__(self) -> None:
        self.next = -1
        self.opens = 0

    def opened(self, now_ns: int) -> Sequence[str]:
        self.next = 0
        self.opens += 1
        return ["subscribe"]

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[Any]:
        try:
            message = json.loads(frame)
        except ValueError as e:
            raise ParseError("dialogue", str(e)) from e
        if message["n"] != self.next:
            yield f"gap at {message['n']}"
        self.next = message["n"] + 1
        yield trade(message["n"], ts_init, message["p"])

    def closed(self, ts_init: int) -> Iterable[Any]:
        yield "closed"


def trade(number: int, ts: int, price: str) -> TradeTick:
    return TradeTick(
        IID,
        Price.from_str(price),
        Quantity.from_str("1"),
        AggressorSide.BUY,
        TradeId(str(number)),
        number,
        ts,
    )


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, list[Any]]:
    """A session of two connections, as it was recorded and what it gave live."""
    tap = RawRecorder(tmp_path, "X", redactor=Redactor())
    live: list[Any] = []
    dialogue = Dialogue()
    ts = T0
    for connection, numbers in (("public#1", (0, 1, 3)), ("public#2", (0, 1))):
        tap.frame(connection, "mark", "opened wss://x", ts)
        for frame in dialogue.opened(ts):
            tap.frame(connection, "out", frame, ts)
        for number in numbers:
            ts += 1000
            text = json.dumps({"n": number, "p": f"{100 + number}.50"})
            tap.frame(connection, "in", text, ts)
            live += dialogue.received(text, ts + 7)  # the parser reads the clock a little later
        tap.frame("other", "in", '{"n":0,"p":"1"}', ts)
        tap.frame(connection, "mark", "closed by the venue", ts + 1)
        live += dialogue.closed(ts + 1)
    assert tap.close()
    return tmp_path, live


def public(name: str) -> bool:
    return name.startswith("public")


def test_the_same_frames_give_the_same_events(recorded):
    root, live = recorded
    again = list(replay_raw(root, Dialogue(), refusals=(ParseError,), wanted=public))
    result = compare(live, again)
    assert result.is_equal
    assert result.events == len(live) == 8
    assert not compare(live, again, ignore_ts_init=False).is_equal


@pytest.mark.parametrize("killed_at", ["public#1", "public#2"])
def test_a_connection_of_a_killed_run_ends_where_the_next_run_begins(tmp_path, killed_at):
    """As it was live: the new run knew nothing of the old one's book."""
    for start, name in ((T0, killed_at), (T0 + 10_000, "public#1")):
        tap = RawRecorder(tmp_path, "X", redactor=Redactor())
        tap.frame("private#7", "mark", "opened wss://x", start)
        tap.frame(name, "mark", "opened wss://x", start)
        tap.frame(name, "in", '{"n":0,"p":"1.00"}', start + 5)
        assert tap.close()  # what was written by then; there is no mark that it ended
    items = list(replay_raw(tmp_path, Dialogue(), refusals=(ParseError,), wanted=public))
    assert items == [trade(0, T0 + 5, "1.00"), "closed", trade(0, T0 + 10_005, "1.00")]


def test_a_changed_parser_is_caught_at_the_first_difference(recorded):
    root, live = recorded

    class Changed(Dialogue):
        def received(self, frame: bytes | str, ts_init: int) -> Iterable[Any]:
            message = json.loads(frame)
            for item in super().received(frame, ts_init):
                is_second = isinstance(item, TradeTick) and message["n"] == 1
                yield trade(1, ts_init, "101.51") if is_second else item

    again = replay_raw(root, Changed(), refusals=(ParseError,), wanted=public)
    difference = compare(live, again).difference
    assert difference is not None
    assert difference.index == 1
    assert "101.50" in str(difference.expected)
    assert "101.51" in str(difference.received)


def test_a_missing_or_an_extra_event_is_a_difference(recorded):
    _, live = recorded
    shorter = compare(live, live[:-1]).difference
    assert shorter is not None
    assert (shorter.index, shorter.received) == (len(live) - 1, None)
    assert not compare(live[:-1], live).is_equal


def test_refused_frames_are_items(tmp_path):
    tap = RawRecorder(tmp_path, "X", redactor=Redactor())
    tap.frame("c", "in", "not json", T0)
    tap.frame("c", "in", '{"n":0,"p":"1"}', T0 + 1)
    tap.close()
    dialogue = Dialogue()
    fault, tick = replay_raw(tmp_path, dialogue, refusals=(ParseError,))
    assert isinstance(fault, ReplayFault)
    assert fault.record.payload == b"not json"
    assert isinstance(tick, TradeTick)
    assert dialogue.opens == 1  # the recording began within the connection


def test_other_exceptions_are_not_hidden(tmp_path):
    tap = RawRecorder(tmp_path, "X", redactor=Redactor())
    tap.frame("c", "in", "{}", T0)
    tap.close()
    with pytest.raises(KeyError):
        list(replay_raw(tmp_path, Dialogue(), refusals=(ParseError,)))


def test_damage_is_raised_or_reported(recorded):
    root, _ = recorded
    (file,) = raw_files(root)
    data = bytearray(file.read_bytes())
    data[80] ^= 1
    file.write_bytes(data)
    with pytest.raises(RawFault):
        list(replay_raw(root, Dialogue(), refusals=(ParseError,)))
    faults: list[RawFault] = []
    assert list(replay_raw(root, Dialogue(), refusals=(ParseError,), on_fault=faults.append)) == []
    assert len(faults) == 1


def test_deltas_are_compared_one_by_one():
    def batch(sequence: int) -> OrderBookDeltas:
        return OrderBookDeltas(IID, [OrderBookDelta.clear(IID, sequence, 1, 1)])

    assert compare([batch(1)], [batch(1)]).is_equal
    assert not compare([batch(1)], [batch(2)]).is_equal
