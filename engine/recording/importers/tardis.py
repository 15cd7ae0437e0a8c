"""Tardis CSV files: trades, quotes, incremental_book_L2, book_snapshot_N; csv or csv.gz.

Times are microseconds: `timestamp` is the exchange's, `local_timestamp` that of receipt, by which
files are in order. A message of a book is the lines of one symbol that follow one another with one
`local_timestamp` and one `is_snapshot`: it was received at once, while an exchange may stamp each
of its levels apart (its newest stamp is the message's). Between such lines there was no book: half
a message may cross, and a level that it seems to cross is there. Source: docs.tardis.dev,
"Downloadable CSV files".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.recording.importers.binance_wire import Malformed
from fairlead.engine.recording.importers.csv_lines import Columns, CsvLines, plain
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.events import (
    Contract,
    Event,
    Levels,
    Market,
    Numbered,
    Quote,
    Refused,
    Taker,
    Told,
    Trade,
    positive,
)
from fairlead.engine.recording.importers.flat import Asked, market_of
from fairlead.engine.recording.importers.left_out import DEPTH, QUOTE, TRADE
from fairlead.engine.recording.importers.lines import LineReader
from fairlead.engine.recording.importers.messages import Row, messages

_HEAD = ("exchange", "symbol", "timestamp", "local_timestamp")
_TRADE = (*_HEAD, "id", "side", "price", "amount")
_QUOTE = (*_HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount")
_LEVEL = (*_HEAD, "is_snapshot", "side", "price", "amount")
_WIDE = re.compile(r"asks\[([0-9]{1,3})\]\.price")
_TAKERS = {"buy": Taker.BUYER, "sell": Taker.SELLER, "unknown": Taker.UNKNOWN}
_NAME = re.compile(r'[^\s\x00-\x1f"\\]{1,40}')  # `XBT/USD`, `@107`, Chinese: venues' own
# Exchanges whose contracts are counted, worth so much quote currency each
_INVERSE = {
    "bitmex": Decimal(1),
    "deribit": Decimal(1),
    "cryptofacilities": Decimal(1),
    "bybit-inverse": Decimal(1),
}
_LINEAR = ("binance-futures", "bybit", "okex-swap", "huobi-dm-linear-swap", "gate-io-futures")
_DERIVED = re.compile("futures|swap|delivery|options|derivatives|-dm|perp")
_QUOTED = ("USDT", "USDC", "USDE", "USD", "EUR", "BTC", "ETH")


class _Message(msgspec.Struct, eq=False, gc=False):
    """What the lines of one message have in common; `ts_event` is the newest of theirs."""

    market: Market
    ts_init: int
    is_snapshot: bool
    ts_event: int = 0


class TardisSource:
    """One reading of a file (`Source`)."""

    def __init__(self, reader: LineReader, asked: Asked, numbers: Numbered) -> None:
        self._path = reader.path
        self._lines = CsvLines(reader)
        self._asked = asked
        self._numbered = numbers
        self._markets: dict[tuple[str, str], Market] = {}

    @property
    def damage(self) -> str:
        return self._lines.damage

    def events(self) -> Iterator[Told]:
        """Raises Refused, Unreadable, OSError."""
        if (head := self._lines.head()) is None:
            return
        _, header, lines = head
        names = set(header)
        if "is_snapshot" in names:
            rows = self._levels(lines, Columns(self._path, header, _LEVEL))
            yield from messages(rows, self._message, lambda: self.damage)
            return
        wide = sorted(int(found[1]) for one in header if (found := _WIDE.fullmatch(one)))
        if wide:
            wanted = [
                f"{side}[{at}].{what}"
                for at in wide
                for side in ("asks", "bids")
                for what in ("price", "amount")
            ]
            columns, read, kind = Columns(self._path, header, (*_HEAD, *wanted)), self._wide, DEPTH
        elif "ask_price" in names:
            columns, read, kind = Columns(self._path, header, _QUOTE), self._quote, QUOTE
        else:
            columns, read, kind = Columns(self._path, header, _TRADE), self._trade, TRADE
        good: set[str] = set()  # ids of markets
        for number, fields in lines:
            market: Market | None = None
            try:
                if isinstance(fields, Malformed):
                    raise fields
                told = columns.of(fields)
                market = self._market_of(told)
                event = read(told)
            except Malformed as error:
                # A symbol that no other line tells may be what is damaged.
                name = "" if market is None else market.id
                error.symbol, error.kind = name if name in good else "", kind
                yield number, error
                continue
            good.add(event.market.id)
            yield number, event

    def _trade(self, fields: Sequence[str]) -> Event:
        market, ts_event, ts_init = self._head(fields)
        name, side = fields[4:6]
        price, size = map(plain, fields[6:])
        if side not in _TAKERS:
            raise Malformed(f"side buy, sell or unknown expected, {side[:20]!r} received")
        numbers = self._numbered[market.id]
        return Trade(
            market,
            name.strip(),
            positive(numbers.prices[price], "price", price),
            positive(numbers.sizes[size], "amount", size),
            _TAKERS[side],
            ts_event,
            ts_init,
        )

    def _quote(self, fields: Sequence[str]) -> Event:
        """A side that is empty has no numbers."""
        market, ts_event, ts_init = self._head(fields)
        ask_size, ask, bid, bid_size = (text or "0" for text in fields[4:])
        numbers = self._numbered[market.id]
        prices, sizes = numbers.prices, numbers.sizes
        bid_level, ask_level = (prices[bid], sizes[bid_size]), (prices[ask], sizes[ask_size])
        return Quote(market, bid_level, ask_level, ts_event, ts_init)

    def _wide(self, fields: Sequence[str]) -> Event:
        """Asks and bids in turn, price and amount; those that are not there are empty."""
        market, ts_event, ts_init = self._head(fields)
        numbers = self._numbered[market.id]
        sides: tuple[list[Level], list[Level]] = ([], [])
        for at in range(4, len(fields), 2):
            price, size = map(plain, fields[at : at + 2])
            if price:
                level = positive(numbers.prices[price], "price", price), numbers.sizes[size]
                sides[at // 2 % 2].append(level)  # the first pair, at 4, is an ask
        asks, bids = sides
        return Levels(market, True, None, 0, bids, asks, ts_event, ts_init, is_whole=True)

    def _levels(
        self, lines: Iterator[tuple[int, list[str] | Malformed]], columns: Columns
    ) -> Iterator[Row]:
        message: _Message | None = None
        for number, fields in lines:
            known: _Message | None = None
            try:
                if isinstance(fields, Malformed):
                    raise fields
                told = columns.of(fields)
                market, ts_init, is_snapshot = self._key(told)
                if (
                    message is None
                    or message.market is not market
                    or message.ts_init != ts_init
                    or message.is_snapshot != is_snapshot
                ):
                    message = _Message(market, ts_init, is_snapshot)
                known = message
                ts_event, side = _micros(told[2], "timestamp"), told[5]
                if side not in ("bid", "ask"):
                    raise Malformed(f"side bid or ask expected, {side[:20]!r} received")
                price, size = map(plain, told[6:])
                numbers = self._numbered[market.id]
                level = positive(numbers.prices[price], "price", price), numbers.sizes[size]
            except Malformed as error:
                error.symbol, error.kind = "" if known is None else known.market.id, DEPTH
                yield number, known, False, error
                continue
            message.ts_event = max(message.ts_event, ts_event)
            yield number, message, side == "bid", level

    def _key(self, fields: Sequence[str]) -> tuple[Market, int, bool]:
        """What a line's message is known by. Raises Malformed, Refused."""
        is_snapshot = fields[4]
        if is_snapshot not in ("true", "false"):
            raise Malformed(f"is_snapshot true or false expected, {is_snapshot[:20]!r} received")
        market = self._market_of(fields)
        return market, _micros(fields[3], "local_timestamp"), is_snapshot == "true"

    @staticmethod
    def _message(message: _Message, bids: Sequence[Level], asks: Sequence[Level]) -> Levels:
        is_snapshot, ts_event, ts_init = message.is_snapshot, message.ts_event, message.ts_init
        return Levels(message.market, is_snapshot, None, 0, bids, asks, ts_event, ts_init)

    def _head(self, fields: Sequence[str]) -> tuple[Market, int, int]:
        """Market, and times in ns. Raises Malformed, Refused."""
        market = self._market_of(fields)
        return market, _micros(fields[2], "timestamp"), _micros(fields[3], "local_timestamp")

    def _market_of(self, fields: Sequence[str]) -> Market:
        """Raises Malformed, Refused."""
        exchange, symbol = fields[:2]
        market = self._markets.get((exchange, symbol))
        if market is None:
            if not (_NAME.fullmatch(exchange) and _NAME.fullmatch(symbol)):
                text = f"{exchange[:20]!r}, {symbol[:20]!r}"
                raise Malformed(f"an exchange and a symbol expected, {text} received")
            market = self._markets[exchange, symbol] = self._market(exchange, symbol)
        return market

    def _market(self, exchange: str, symbol: str) -> Market:
        base, quote = parted(symbol)
        is_stable = quote in ("USDT", "USDC", "USDE")
        contract, multiplier = Contract.SPOT, None
        if exchange in _INVERSE and not is_stable:
            contract, multiplier = Contract.INVERSE, _INVERSE[exchange]
        elif exchange in _LINEAR or exchange in _INVERSE:
            contract = Contract.LINEAR
        elif _DERIVED.search(exchange):
            contract, multiplier = self._contracts(exchange)
        market = Market(
            id=f"{symbol}.{exchange.upper()}",
            symbol=symbol,
            contract=contract,
            base=base,
            quote=quote,
            multiplier=multiplier,
        )
        return market_of(self._asked, market)

    def _contracts(self, exchange: str) -> tuple[Contract, Decimal | None]:
        """Those of an exchange that is not known here must be named. Raises Refused."""
        asked = self._asked
        if asked.contract is None or (
            asked.contract is Contract.INVERSE and asked.multiplier is None
        ):
            raise Refused(
                f"{self._path}: what a contract of {exchange} is the file does not tell; expected "
                "--contract linear, or --contract inverse with --multiplier (quote currency a "
                "contract)"
            )
        return asked.contract, asked.multiplier


def parted(symbol: str) -> tuple[str, str]:
    """Base and quote currency of a venue's symbol; empty where it does not tell."""
    text = symbol.upper()
    for end in ("-PERPETUAL", "-PERP", "-SWAP", "_PERP", "_PERPETUAL"):
        text = text.removesuffix(end)
    for mark in ("/", "-", "_", ":"):
        base, _, quote = text.partition(mark)
        if quote.isalnum():
            return base, quote
    if text != symbol.upper():
        return text, "USD"  # a perpetual that is named by its base alone
    for quote in _QUOTED:
        if text.endswith(quote) and len(text) > len(quote):
            return text.removesuffix(quote), quote
    return "", ""


def _micros(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and 15 <= len(text) <= 16):
        raise Malformed(f"{what}: microseconds expected, {text[:40]!r} received")
    return int(text) * 1_000
