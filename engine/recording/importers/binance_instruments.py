"""Instruments of Binance symbols, as far as a stream file tells them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import (
    CryptoPerpetual,
    CurrencyPair,
    InstrumentId,
    Price,
    Quantity,
    Symbol,
)
from nautilus_trader.persistence import ParquetDataCatalog

from engine.currencies import currency
from engine.recording.importers.binance_wire import Market
from engine.recording.importers.staging import ImportFailed

# Binance's fee schedule for an account without volume or discounts, fractions of executed value.
DEFAULT_FEES = {
    Market.SPOT: (Decimal("0.001"), Decimal("0.001")),
    Market.USDM: (Decimal("0.0002"), Decimal("0.0005")),
}
# What USD-M's exchangeInfo gives for its perpetuals (requiredMarginPercent, maintMarginPercent).
MARGIN_INIT = Decimal("0.05")
MARGIN_MAINT = Decimal("0.025")
# Quote currencies; the longest that a symbol ends in is its own.
QUOTES = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "DAI", "BTC", "ETH", "BNB", "EUR", "GBP"),
    *("TRY", "BRL", "JPY", "AUD", "ARS", "PLN", "RON", "UAH", "ZAR", "IDRT", "NGN", "RUB"),
)


class Fees(msgspec.Struct, frozen=True):
    """Fee rates as fractions of executed value; None means the market's default."""

    maker: Decimal | None = None
    taker: Decimal | None = None


def instrument_name(symbol: str, market: Market) -> str:
    """`BTCUSDT.BINANCE` on spot, `BTCUSDT-PERP.BINANCE` on USD-M.

    Raises ImportFailed for a delivery contract.
    """
    if "_" in symbol:
        raise ImportFailed("IMPORT-SYMBOL", f"{symbol} is a delivery contract, which is not known")
    return f"{symbol}-PERP.BINANCE" if market is Market.USDM else f"{symbol}.BINANCE"


def currencies(symbol: str) -> tuple[str, str]:
    """Base and quote. Raises ImportFailed when the symbol ends in no known quote currency."""
    for quote in sorted(QUOTES, key=len, reverse=True):
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    raise ImportFailed("IMPORT-SYMBOL", f"{symbol} ends in no known quote currency")


def build_instrument(
    symbol: str, market: Market, precision: tuple[int, int], fees: Fees, ts: int
) -> Any:
    """A CurrencyPair or CryptoPerpetual; `precision` is decimals of price and of size.

    NautilusTrader's instruments have no fee fields: `info` has `maker_fee` and `taker_fee` as text.
    """
    base, quote = currencies(symbol)
    default_maker, default_taker = DEFAULT_FEES[market]
    maker = default_maker if fees.maker is None else fees.maker
    taker = default_taker if fees.taker is None else fees.taker
    price_precision, size_precision = precision
    step = Quantity.from_str(_step(size_precision))
    common: dict[str, Any] = {
        "price_precision": price_precision,
        "size_precision": size_precision,
        "price_increment": Price.from_str(_step(price_precision)),
        "size_increment": step,
        "min_quantity": step,
        "ts_event": ts,
        "ts_init": ts,
        "info": {"maker_fee": str(maker), "taker_fee": str(taker), "source": "binance stream file"},
    }
    identity = InstrumentId.from_str(instrument_name(symbol, market))
    base_currency, quote_currency = currency(base), currency(quote)
    if market is Market.SPOT:
        return CurrencyPair(identity, Symbol(symbol), base_currency, quote_currency, **common)
    return CryptoPerpetual(
        identity,
        Symbol(symbol),
        base_currency,
        quote_currency,
        quote_currency,
        False,  # linear
        margin_init=MARGIN_INIT,
        margin_maint=MARGIN_MAINT,
        **common,
    )


def settled_precision(
    catalog: Path, name: str, decimals: tuple[int, int]
) -> tuple[tuple[int, int], bool]:
    """Precision to write with, and whether the catalog lacks the instrument.

    A catalog keeps one precision per instrument. Raises ImportFailed where the file is finer.
    """
    if not (catalog / "data").is_dir():
        return decimals, True
    held = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=[name])
    if not held:
        return decimals, True
    precision = (held[0].price_precision, held[0].size_precision)
    if decimals[0] > precision[0] or decimals[1] > precision[1]:
        text = (
            f"{name} has {decimals[0]} price and {decimals[1]} size decimals in the file, and "
            f"{precision[0]} and {precision[1]} in {catalog}; import into a new catalog"
        )
        raise ImportFailed("IMPORT-PRECISION", text)
    return precision, False


def _step(precision: int) -> str:
    return f"0.{'0' * (precision - 1)}1" if precision else "1"
