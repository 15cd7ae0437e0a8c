"""A big Binance stream file, parsed by a process beside the import's own, on another core.

The import reads the first lines itself, since it has to know all of what they say before it begins,
and meanwhile the helper starts: it parses the lines from there on, and waits where nobody takes
them, so that it holds one block of lines at most. It says of each line what `Parser.line` does,
which is made the same again here. A helper that cannot be started or ends before the file does
costs time and nothing else: the import begins again without one. It is killed with the import, and
ends by itself where that was killed.

What goes through the pipe is of `marshal`, from our own child of the same Python: prices and sizes
are greater than what 64 bits hold, and there are millions of them.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from fairlead.engine.processes import module_command
from fairlead.engine.recording.importers import binance_wire as wire
from fairlead.engine.recording.importers.binance_lines import Parsed, parsed_blocks
from fairlead.engine.recording.importers.converting import HelperEnded
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.lines import LineReader

MODULE = "fairlead.engine.recording.importers.binance_reading"
_MARSHAL = 4  # tells a number once a block, and it is one object where it arrives
_LENGTH = struct.Struct("<Q")
_DEPTH, _SNAPSHOT, _TRADE, _TICKER, _MALFORMED, _TOO_LARGE, _OTHER = range(7)

# Number of the first line, what is said of each, each symbol's decimals so far of prices and sizes,
# and the position in the file. The last one has no lines and says the damage.
Block = tuple[int, list[Any], list[tuple[str, int, int]], int]
End = tuple[str]


class OwnReader:
    """The same without a helper."""

    def __init__(
        self, path: Path, parser: wire.Parser, on_bytes: Callable[[int], None] | None
    ) -> None:
        self._lines, self._parser = LineReader(path, on_bytes), parser

    @property
    def damage(self) -> str:
        return self._lines.damage

    def __enter__(self) -> OwnReader:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Parsed]:
        return parsed_blocks(self._lines.blocks(), self._parser)


class HelpedReader:
    """Iterates the parsed lines of a file once, those from `begin` on by a helper.

    `damage`: see `LineReader`. A context, which ends the helper. Raises HelperEnded while iterated.
    """

    def __init__(
        self, path: Path, parser: wire.Parser, begin: int, on_bytes: Callable[[int], None] | None
    ) -> None:
        self.damage = ""
        self._path, self._parser, self._begin, self._on_bytes = path, parser, begin, on_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: IO[bytes] | None = None

    def __enter__(self) -> HelpedReader:
        ours, theirs = os.pipe()  # no stdout: anything of the interpreter's may print there
        self._pipe = os.fdopen(ours, "rb")
        place = (str(self._path.absolute()), str(self._begin), str(theirs))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                module_command(MODULE, *place),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs,),
                start_new_session=True,  # a Ctrl-C is the import's, which ends this
            )
        except OSError:
            self._process = None  # it has ended: the pipe says so when it is needed
        finally:
            os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._pipe is not None:
            self._pipe.close()

    def __iter__(self) -> Iterator[Parsed]:
        own = LineReader(self._path, self._on_bytes)
        number = 0
        for parsed in islice(parsed_blocks(own.blocks(), self._parser), self._begin - 1):
            number = parsed[0]
            yield parsed
        if number < self._begin - 1:
            self.damage = own.damage
            return
        assert self._pipe is not None
        while len(block := _received(self._pipe)) > 1:
            yield from self._unpacked(*block)
        (self.damage,) = block

    def _unpacked(
        self, first: int, lines: list[Any], decimals: list[tuple[str, int, int]], at: int
    ) -> Iterator[Parsed]:
        if self._on_bytes is not None:
            self._on_bytes(at)
        for symbol, prices, sizes in decimals:
            numbers = self._parser.numbers(symbol)
            numbers.prices.decimals = max(numbers.prices.decimals, prices)
            numbers.sizes.decimals = max(numbers.sizes.decimals, sizes)
        for number, (local_ns, kind, fields) in enumerate(lines, first):
            yield number, local_ns, _MAKE[kind](*fields)


def _received(pipe: IO[bytes]) -> Any:
    """A Block, or the End. Raises HelperEnded."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise HelperEnded
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    if len(data) < length:
        raise HelperEnded
    return marshal.loads(data)  # noqa: S302 - of our own child


def _packed(local_ns: int, event: wire.Event | wire.Malformed | wire.Other) -> tuple[Any, ...]:
    """What `_MAKE` makes the event of again."""
    if isinstance(event, wire.Ticker):
        market = _NUMBERS[event.market]
        fields = (event.last, event.bid, event.ask, event.symbol, market, event.ts_event)
        return local_ns, _TICKER, fields
    if isinstance(event, wire.Malformed):
        kind = _TOO_LARGE if isinstance(event, wire.TooLarge) else _MALFORMED
        return local_ns, kind, (str(event), event.symbol, event.kind, event.is_blank)
    if isinstance(event, wire.Other):
        return local_ns, _OTHER, (str(event),)
    if isinstance(event, wire.Snapshot):
        return local_ns, _SNAPSHOT, msgspec.structs.astuple(event)
    symbol, market, *rest = msgspec.structs.astuple(event)
    kind = _DEPTH if isinstance(event, wire.Depth) else _TRADE
    return local_ns, kind, (symbol, _NUMBERS[market], *rest)


def _depth(
    symbol: str,
    market: int,
    previous: int,
    last: int,
    bids: list[Level],
    asks: list[Level],
    ts_event: int,
) -> wire.Depth:
    return wire.Depth(symbol, _MARKETS[market], previous, last, bids, asks, ts_event)


def _trade(symbol: str, market: int, *rest: Any) -> wire.Trade:
    return wire.Trade(symbol, _MARKETS[market], *rest)


def _ticker(
    last: int, bid: Level, ask: Level, symbol: str, market: int, ts_event: int
) -> wire.Ticker:
    return wire.Ticker(last, bid, ask, symbol, _MARKETS[market], ts_event)


def _malformed(text: str, symbol: str, kind: str, is_blank: bool) -> wire.Malformed:
    return _named(wire.Malformed(text), symbol, kind, is_blank)


def _too_large(text: str, symbol: str, kind: str, is_blank: bool) -> wire.Malformed:
    return _named(wire.TooLarge(text), symbol, kind, is_blank)


def _named(error: wire.Malformed, symbol: str, kind: str, is_blank: bool) -> wire.Malformed:
    error.symbol, error.kind, error.is_blank = symbol, kind, is_blank
    return error


Reader = OwnReader | HelpedReader
_MARKETS = tuple(wire.Market)
_NUMBERS = {market: number for number, market in enumerate(_MARKETS)}
_MAKE: tuple[Callable[..., Any], ...] = (
    _depth,
    wire.Snapshot,
    _trade,
    _ticker,
    _malformed,
    _too_large,
    wire.Other,
)


def main(file: str, begin: str, pipe: str) -> None:
    """The helper. What goes wrong ends it, and the import sees that it has ended."""
    gc.disable()  # there are no circles
    out = os.fdopen(int(pipe), "wb")
    parser = wire.Parser()
    first_wanted, at = int(begin), 0

    def on_bytes(position: int) -> None:
        nonlocal at
        at = position

    reader = LineReader(Path(file), on_bytes)
    for first, lines in reader.blocks():
        passed = max(0, first_wanted - first)
        if passed >= len(lines):
            continue
        block = [(first + passed, lines[passed:])]
        told = [_packed(ns, event) for _, ns, event in parsed_blocks(block, parser)]
        _send(out, (first + passed, told, list(parser.decimals()), at))
    _send(out, (reader.damage,))


def _send(out: IO[bytes], block: Block | End) -> None:
    data = marshal.dumps(block, _MARSHAL)
    out.write(_LENGTH.pack(len(data)))
    out.write(data)
    out.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody takes it any more
        main(*sys.argv[1:])
