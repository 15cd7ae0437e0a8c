"""The parsers of PiexGo as fuzz targets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.venue import Feed, FeedKind, ParseError
from fairlead.adapters.piexgo import http, parse
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.instruments import instrument
from fairlead.adapters.piexgo.websocket import EarlyOrders, PrivateStream, PublicStream
from fairlead.engine.secrets import Secret
from tests.property.fuzzing import ROOT, Target
from tests.property.state_targets import quiet

SAMPLES = ROOT / "tests" / "venues" / "piexgo" / "samples"
BTC = InstrumentId.from_str("BTC_USDT.PIEXGO")
NUMBERS = Numbers(2, 4)
NOW_NS = 1_553_326_491_000_000_000
FRAMES = 200  # of one connection


def payloads(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(SAMPLES.rglob(pattern))]


def frame(data: bytes) -> None:
    message = quiet(lambda: parse.frame(data), ParseError)
    if message is None:
        return
    book = quiet(lambda: parse.depth(message, 2, 4), ParseError)
    if book is not None:
        assert all(Decimal(size) >= 0 for _, size in book.asks + book.bids)
    found = quiet(lambda: parse.deals(message), ParseError)
    names = parse.DealNames()
    for deal in found[0] if found else ():
        quiet(lambda deal=deal: parse.tick(deal, names, BTC, NUMBERS, 7), ParseError)
    quiet(lambda: parse.private(message, "PIEXGO"), ParseError)


READERS: list[Any] = [value for value in vars(http).values() if isinstance(value, parse.Reader)]


def answer(data: bytes) -> None:
    which, _, body = data.partition(b" ")
    reader = READERS[int(which) % len(READERS) if which.isdigit() and len(which) < 9 else 0]
    value = quiet(lambda: reader(body), ParseError)
    if isinstance(value, s.Account):
        quiet(lambda: parse.balances(value), ParseError)
    elif isinstance(value, s.OrderInfo):
        quiet(lambda: parse.detail(value.data, "PIEXGO"), ParseError)
    elif isinstance(value, s.OrderBook):
        quiet(lambda: parse.sides(value, 2, 4), ParseError)
    elif isinstance(value, s.Trades):
        quiet(lambda: parse.ticks(value.deals, BTC, NUMBERS), ParseError)
    elif isinstance(value, s.OrderPage):
        for row in value.orders:
            order = quiet(lambda row=row: parse.order(row, "PIEXGO"), ParseError)
            assert order is None or 0 <= order.filled <= order.quantity


class Streams:
    """Both dialogues, each over many frames and some connections."""

    def __init__(self) -> None:
        row = s.Symbol("BTC_USDT", Decimal("0.0005"), Decimal("0.0015"), 4, 2)
        built = instrument(row, "PIEXGO", NOW_NS)
        self._public = PublicStream(PiexgoOptions(), {built.id: built})
        for kind in (FeedKind.BOOK, FeedKind.TRADES):
            self._public.subscribe(Feed(kind, built.id))
        secret = Secret("x", "test")
        early = EarlyOrders(1_000_000_000)
        self._private = PrivateStream(PiexgoOptions(), "PIEXGO", secret, secret, early)
        self._now = NOW_NS
        self._open()

    def _open(self) -> None:
        self._left = FRAMES
        self._public.opened(self._now)
        self._private.opened(self._now)

    def __call__(self, data: bytes) -> None:
        self._now += 10_000_000
        self._left -= 1
        for stream in (self._public, self._private):
            quiet(lambda stream=stream: list(stream.received(data, self._now)), ParseError)
        if not self._left:
            list(self._public.closed(self._now))
            list(self._private.closed(self._now))
            self._open()


def answers() -> list[bytes]:
    """`<which reader> <body>` for every reader that takes the body, and one that does not."""
    found = []
    for number, body in enumerate(payloads("rest_*.json")):
        found.append(b"%d " % (number % len(READERS)) + body)
        for which, reader in enumerate(READERS):
            if quiet(lambda reader=reader, body=body: reader(body), ParseError) is not None:
                found.append(b"%d " % which + body)
    return found


def piexgo_targets() -> Iterator[Target]:
    frames = payloads("ws_*.json") * 2
    yield Target(name="piexgo-frame", corpus=frames, feed=frame)
    yield Target(name="piexgo-stream", corpus=frames, feed=Streams())
    yield Target(name="piexgo-rest", corpus=answers(), feed=answer)
