"""The parsers of PiexGo as fuzz targets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId

from adapters.base.book import Numbers
from adapters.base.venue import ParseError
from adapters.piexgo import parse
from adapters.piexgo import schemas as s
from tests.property.fuzzing import ROOT, Target
from tests.property.state_targets import quiet

SAMPLES = ROOT / "tests" / "venues" / "piexgo" / "samples"
BTC = InstrumentId.from_str("BTC_USDT.PIEXGO")
NUMBERS = Numbers(2, 4)


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


READERS: list[Any] = [
    parse.Reader(type_)
    for type_ in (
        *(s.Account, s.Envelope, s.OrderPage, s.OrderInfo, s.Created, s.ServerTime, s.OrderBook),
        *(s.Symbols, s.OneTicker, s.Tickers, s.Trades, list[s.AssetV2], dict[str, s.TickerV2]),
        *(dict[str, s.OrderBookV2], list[s.Deal], dict[str, dict[str, Decimal]], list[str]),
    )
]


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
    yield Target(name="piexgo-frame", corpus=payloads("ws_*.json") * 2, feed=frame)
    yield Target(name="piexgo-rest", corpus=answers(), feed=answer)
