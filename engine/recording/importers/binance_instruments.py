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
    Money,
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


class Rules(msgspec.Struct, frozen=True):
    """What a stream file cannot tell; None is what it shows, or no limit.

    Price and size increments, and the least value of an order in quote currency.
    """

    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_notional: Decimal | None = None

    def decimals(self, name: str, found: tuple[int, int]) -> tuple[int, int]:
        """Decimals of price and size to write with. Raises ImportFailed where the file is finer."""
        wanted = []
        for what, step, seen in (
            ("price", self.tick_size, found[0]),
            ("size", self.step_size, found[1]),
        ):
            of_step = seen if step is None else decimals_of(step)
            if seen > of_step:
                raise ImportFailed(
                    "IMPORT-PRECISION",
                    f"{name} has {seen} {what} decimals in the file, and the {what} increment "
                    f"that was given, {step}, has {of_step}; give a finer one",
                )
            wanted.append(of_step)
        return wanted[0], wanted[1]


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
    symbol: str,
    market: Market,
    precision: tuple[int, int],
    fees: Fees,
    ts: int,
    rules: Rules,
) -> Any:
    """A CurrencyPair or CryptoPerpetual; `precision` is decimals of price and of size.

    NautilusTrader's instruments have no fee fields: `info` has `maker_fee` and `taker_fee` as text.
    """
    base, quote = currencies(symbol)
    default_maker, default_taker = DEFAULT_FEES[market]
    maker = default_maker if fees.maker is None else fees.maker
    taker = default_taker if fees.taker is None else fees.taker
    price_precision, size_precision = precision
    step = Quantity.from_str(_step(size_precision, rules.step_size))
    least = rules.min_notional
    common: dict[str, Any] = {
        "price_precision": price_precision,
        "size_precision": size_precision,
        "price_increment": Price.from_str(_step(price_precision, rules.tick_size)),
        "size_increment": step,
        "min_quantity": step,
        "ts_event": ts,
        "ts_init": ts,
        "info": {"maker_fee": str(maker), "taker_fee": str(taker), "source": "binance stream file"},
    }
    identity = InstrumentId.from_str(instrument_name(symbol, market))
    base_currency, quote_currency = currency(base), currency(quote)
    if least is not None:
        common["min_notional"] = Money.from_decimal(least, quote_currency)
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


def decimals_of(step: Decimal) -> int:
    """How many decimals a finite number has."""
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    return max(0, -exponent)


def _step(precision: int, given: Decimal | None) -> str:
    if given is not None:
        return f"{given:.{precision}f}"
    return f"0.{'0' * (precision - 1)}1" if precision else "1"
