"""Bybit's order-book archives: JSON lines of the stream `orderbook.DEPTH.SYMBOL`; zip or plain.

The first line is a snapshot; `u` counts the messages, so that a missing one shows. `cts` is the
matching engine's time, `ts` when the message was made: there is no local time, and `ts_init` is
`ts`. Source: bybit-exchange.github.io, v5 WebSocket "Orderbook"; its archive, "Order Book".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from fairlead.engine.recording.importers.binance_wire import Malformed, Other, need_ns
from fairlead.engine.recording.importers.csv_lines import text_lines
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.events import (
    Contract,
    Levels,
    Market,
    Numbered,
    Told,
    positive,
)
from fairlead.engine.recording.importers.flat import Asked, market_of
from fairlead.engine.recording.importers.lines import LineReader
from fairlead.engine.recording.importers.tardis import parted

_TOPIC = re.compile(r"orderbook\.([0-9]{1,4})\.([A-Z0-9-]{2,30})")
SPOT_DEPTH = 200  # levels of the spot archive; that of contracts has 500


class _Data(msgspec.Struct, gc=False):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int


class _Line(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: _Data
    cts: int = 0


_decoder = msgspec.json.Decoder(_Line)


class BybitSource:
    """One reading of a file (`Source`)."""

    def __init__(self, reader: LineReader, asked: Asked, numbers: Numbered) -> None:
        self._reader = reader
        self._asked = asked
        self._numbered = numbers
        self._markets: dict[str, Market] = {}

    @property
    def damage(self) -> str:
        return self._reader.damage

    def events(self) -> Iterator[Told]:
        """Raises Refused, Unreadable, OSError."""
        for number, line in text_lines(self._reader):
            if isinstance(line, Malformed):
                yield number, line
                continue
            try:
                yield number, self._message(line)
            except (Malformed, Other) as error:
                yield number, error

    def _message(self, text: bytes) -> Levels:
        """Raises Malformed, Other, Refused."""
        try:
            line = _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"it is no order-book message: {error}") from error
        topic = _TOPIC.fullmatch(line.topic)
        if topic is None:
            raise Other(f"topic {line.topic[:40]}")
        if line.type not in ("snapshot", "delta"):
            raise Malformed(f"type snapshot or delta expected, {line.type[:20]!r} received")
        if line.data.s != topic[2] or line.data.u < 0:
            raise Malformed(f"{topic[2]} expected, {line.data.s[:30]!r} received")
        if line.topic not in self._markets:
            self._markets[line.topic] = self._market(topic[2], int(topic[1]))
        market = self._markets[line.topic]
        ts = need_ns(line.ts)
        is_snapshot = line.type == "snapshot"
        return Levels(
            market,
            is_snapshot,
            None if is_snapshot else line.data.u - 1,
            line.data.u,
            self._side(market, line.data.b),
            self._side(market, line.data.a),
            need_ns(line.cts) if line.cts else ts,
            ts,
        )

    def _side(self, market: Market, texts: Sequence[tuple[str, str]]) -> list[Level]:
        numbers = self._numbered[market.id]
        levels = numbers.levels(texts)
        for (price, _), (text, _) in zip(levels, texts, strict=True):
            positive(price, "price", text)
        return levels

    def _market(self, symbol: str, depth: int) -> Market:
        base, quote = parted(symbol)
        contract = Contract.SPOT if depth == SPOT_DEPTH else Contract.LINEAR
        if contract is Contract.LINEAR and quote == "USD":
            contract = Contract.INVERSE
        kind = "SPOT" if contract is Contract.SPOT else contract.value.upper()
        market = Market(
            id=f"{symbol}-{kind}.BYBIT",
            symbol=symbol,
            contract=contract,
            base=base,
            quote=quote,
        )
        return market_of(self._asked, market)
