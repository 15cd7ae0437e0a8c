"""What a venue says of its instruments: rules that a stream file cannot tell.

From Binance's `exchangeInfo` answer (spot and USD-M, as it is downloaded), or from a catalog that
holds the instruments already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance_wire import SIZE_MAX, Malformed, Market, parts
from fairlead.engine.recording.importers.staging import NO_DATA, ImportFailed, unreadable

FILE_BYTES_MAX = 256 << 20
NAMED_MAX = 8  # instruments named in an error
PERCENT = Decimal(100)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument; None where the venue does not say, or sets no limit.

    Increments and sizes in units of the instrument, `min_notional` in quote currency, fees and
    margins as fractions.
    """

    base: str
    quote: str
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    min_notional: Decimal | None = None
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    margin_init: Decimal | None = None
    margin_maint: Decimal | None = None


class Listing(msgspec.Struct, frozen=True):
    """The instruments of one file, by instrument id."""

    path: Path
    listed: dict[str, Listed]

    def find(self, name: str) -> Listed:
        """Raises ImportFailed where the file has no such instrument."""
        found = self.listed.get(name)
        if found is None:
            some = sorted(self.listed)
            text = ", ".join(some[:NAMED_MAX]) + (" ..." if len(some) > NAMED_MAX else "")
            raise ImportFailed(
                "IMPORT-INSTRUMENT", f"{self.path} has no {name}; it has {text}", NO_DATA
            )
        return found


class _Filter(msgspec.Struct):
    filterType: str
    tickSize: str | None = None
    stepSize: str | None = None
    minQty: str | None = None
    maxQty: str | None = None
    minNotional: str | None = None  # spot: MIN_NOTIONAL, today NOTIONAL
    notional: str | None = None  # USD-M: MIN_NOTIONAL


class _Symbol(msgspec.Struct):
    symbol: str
    baseAsset: str
    quoteAsset: str
    filters: list[_Filter]
    contractType: str | None = None  # of futures only
    contractSize: int | None = None  # of COIN-M only
    requiredMarginPercent: str | None = None
    maintMarginPercent: str | None = None


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


def read_listing(path: Path, name_of: Callable[[str, Market], str]) -> Listing:
    """The instruments of a file of a venue, or of a catalog folder.

    `name_of` gives the instrument id of a symbol, and raises ImportFailed for one that is not known
    here. Raises ImportFailed: no such file, another kind of file, a number that is none.
    """
    try:
        if path.is_dir():
            listed = dict(_of_catalog(path))
        else:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise _wrong(path, f"it is larger than {FILE_BYTES_MAX >> 20} MB")
            listed = dict(_of_exchange_info(path, path.read_bytes(), name_of))
    except OSError as e:
        raise unreadable(e, path) from e
    if not listed:
        raise _wrong(path, "it has no spot pair and no USD-M perpetual")
    return Listing(path, listed)


def _of_exchange_info(
    path: Path, content: bytes, name_of: Callable[[str, Market], str]
) -> Iterator[tuple[str, Listed]]:
    try:
        info = msgspec.json.decode(content.removeprefix(BYTE_ORDER_MARK), type=_ExchangeInfo)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise _wrong(path, str(e)) from e
    for symbol in info.symbols:
        market = Market.SPOT if symbol.contractType is None else Market.USDM
        if symbol.contractSize is not None:
            market = Market.COINM
        try:
            name = name_of(symbol.symbol, market)
        except ImportFailed:
            continue  # a delivery contract
        yield name, _of_symbol(path, symbol)


def _of_symbol(path: Path, symbol: _Symbol) -> Listed:
    said: dict[str, str | None] = {}
    for each in symbol.filters:
        if each.filterType == "PRICE_FILTER":
            said["tick_size"] = each.tickSize
        elif each.filterType == "LOT_SIZE":
            said |= {"step_size": each.stepSize, "min_size": each.minQty, "max_size": each.maxQty}
        elif each.filterType in ("MIN_NOTIONAL", "NOTIONAL"):
            said["min_notional"] = each.minNotional or each.notional
    where = f"{symbol.symbol} in {path}"
    numbers = {field: _number(where, field, text) for field, text in said.items()}
    most = numbers.get("max_size")
    if most is not None and most >= SIZE_MAX:
        numbers["max_size"] = None  # more than can be held is no limit here
    margins = {
        field: None if percent is None else percent / PERCENT
        for field, percent in (
            ("margin_init", _number(where, "margin_init", symbol.requiredMarginPercent)),
            ("margin_maint", _number(where, "margin_maint", symbol.maintMarginPercent)),
        )
    }
    return Listed(base=symbol.baseAsset, quote=symbol.quoteAsset, **numbers, **margins)


def _number(where: str, field: str, text: str | None) -> Decimal | None:
    """A number of a venue; None for none, and for zero, which says that there is no such rule."""
    if text is None:
        return None
    try:
        parts(text)
    except Malformed as e:
        raise ImportFailed("IMPORT-INSTRUMENTS", f"{where}: {field}: {e}") from e
    return Decimal(text).normalize() or None


def _of_catalog(path: Path) -> Iterator[tuple[str, Listed]]:
    if not (path / "data").is_dir():
        raise _wrong(path, "it is a folder without a catalog's data/")
    for one in sorted(ParquetDataCatalog(str(path)).instruments(), key=lambda each: each.ts_init):
        if type(one).__name__ in ("CurrencyPair", "CryptoPerpetual"):  # the newest is the one
            yield str(one.id), of_instrument(one)


def of_instrument(one: Any) -> Listed:
    """What a NautilusTrader instrument says; fees are in its `info`, as importers write them."""
    info = one.info or {}
    least, most = one.min_quantity, one.max_quantity
    return Listed(
        base=one.base_currency.code,
        quote=one.quote_currency.code,
        tick_size=one.price_increment.as_decimal(),
        step_size=one.size_increment.as_decimal(),
        min_size=None if least is None else least.as_decimal(),
        max_size=None if most is None else most.as_decimal(),
        min_notional=None if one.min_notional is None else one.min_notional.as_decimal(),
        maker_fee=_fee(info.get("maker_fee")),
        taker_fee=_fee(info.get("taker_fee")),
        margin_init=one.margin_init or None,
        margin_maint=one.margin_maint or None,
    )


def _fee(text: object) -> Decimal | None:
    try:
        fee = Decimal(str(text))
    except InvalidOperation:
        return None
    return fee if fee.is_finite() else None


def _wrong(path: Path, why: str) -> ImportFailed:
    text = f"{path}: expected Binance's exchangeInfo answer (JSON) or a catalog folder; {why}"
    return ImportFailed("IMPORT-INSTRUMENTS", text)
