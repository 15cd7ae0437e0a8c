"""Instruments of Binance symbols, as far as a stream file tells them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance_wire import COIN_SUFFIX, Market
from fairlead.engine.recording.importers.events import Contract
from fairlead.engine.recording.importers.events import Market as Told
from fairlead.engine.recording.importers.listing import Listed, of_instrument
from fairlead.engine.recording.importers.markets import build, decimals_of
from fairlead.engine.recording.importers.staging import ImportFailed

# Binance's fee schedule for an account without volume or discounts, fractions of executed value.
DEFAULT_FEES = {
    Market.SPOT: (Decimal("0.001"), Decimal("0.001")),
    Market.USDM: (Decimal("0.0002"), Decimal("0.0005")),
    Market.COINM: (Decimal("0.0002"), Decimal("0.0005")),
}
CONTRACTS = {
    Market.SPOT: Contract.SPOT,
    Market.USDM: Contract.LINEAR,
    Market.COINM: Contract.INVERSE,
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
    """Fee rates, fractions of executed value; None: what the venue's file says, or the default."""

    maker: Decimal | None = None
    taker: Decimal | None = None


class Rules(msgspec.Struct, frozen=True):
    """What a stream file cannot tell; None: what the venue's file says, or the stream shows.

    Price and size increments, and the least value of an order in quote currency.
    """

    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_notional: Decimal | None = None


def terms_of(symbol: str, fees: Fees, rules: Rules, listed: Listed | None) -> Listed:
    """What holds of a symbol: what was given, else what the venue's file says, else nothing.

    Raises ImportFailed where there is no file and the symbol ends in no known quote currency.
    """
    if listed is None:
        base, quote = currencies(symbol)
        listed = Listed(base=base, quote=quote)
    given = {
        "tick_size": rules.tick_size,
        "step_size": rules.step_size,
        "min_notional": rules.min_notional,
        "maker_fee": fees.maker,
        "taker_fee": fees.taker,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(listed, **known)


def decimals_within(
    terms: Listed, name: str, found: tuple[int, int], finest: tuple[str, str] = ("", "")
) -> tuple[int, int]:
    """Decimals of price and size to write with. Raises ImportFailed where the file is finer.

    `finest`: numbers with so many decimals, as the file tells them.
    """
    wanted = []
    for what, step, seen, text in (
        ("price", terms.tick_size, found[0], finest[0]),
        ("size", terms.step_size, found[1], finest[1]),
    ):
        of_step = seen if step is None else decimals_of(step)
        if seen > of_step:
            raise ImportFailed(
                "IMPORT-PRECISION",
                f"{name} has {seen} {what} decimals in the file"
                + (f" ({text[:40]}, more than float error off)" if text else "")
                + f", and the {what} increment that was given, {step}, has {of_step}; give a "
                + ("finer one, or round the numbers of the file" if text else "finer one"),
            )
        wanted.append(of_step)
    return wanted[0], wanted[1]


def instrument_name(symbol: str, market: Market) -> str:
    """`BTCUSDT.BINANCE` on spot, `BTCUSDT-PERP.BINANCE` on USD-M, `BTCUSD_PERP.BINANCE` on COIN-M.

    Raises ImportFailed for a delivery contract.
    """
    if "_" in symbol.removesuffix(COIN_SUFFIX):
        raise ImportFailed("IMPORT-SYMBOL", f"{symbol} is a delivery contract, which is not known")
    return f"{symbol}-PERP.BINANCE" if market is Market.USDM else f"{symbol}.BINANCE"


def currencies(symbol: str) -> tuple[str, str]:
    """Base and quote. Raises ImportFailed when the symbol ends in no known quote currency."""
    if symbol.endswith(f"USD{COIN_SUFFIX}"):
        return symbol.removesuffix(f"USD{COIN_SUFFIX}"), "USD"
    for quote in sorted(QUOTES, key=len, reverse=True):
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    raise ImportFailed("IMPORT-SYMBOL", f"{symbol} ends in no known quote currency")


def build_instrument(
    symbol: str, market: Market, precision: tuple[int, int], terms: Listed, ts: int
) -> Any:
    """A CurrencyPair or CryptoPerpetual; `precision` is decimals of price and of size.

    NautilusTrader's instruments have no fee fields: `info` has `maker_fee` and `taker_fee` as text.
    """
    default_maker, default_taker = DEFAULT_FEES[market]
    maker = default_maker if terms.maker_fee is None else terms.maker_fee
    taker = default_taker if terms.taker_fee is None else terms.taker_fee
    told = Told(
        id=instrument_name(symbol, market),
        symbol=symbol,
        contract=CONTRACTS[market],
        multiplier=coin_multiplier(terms.base) if market is Market.COINM else None,
    )
    info = {"maker_fee": str(maker), "taker_fee": str(taker), "source": "binance stream file"}
    return build(told, precision, terms, ts, info, (MARGIN_INIT, MARGIN_MAINT))


def coin_multiplier(base: str) -> Decimal:
    """USD a contract of COIN-M is worth."""
    return Decimal(100 if base == "BTC" else 10)


def held_instrument(catalog: Path, name: str) -> Any:
    """The newest definition that a catalog has of it; None for none."""
    if not (catalog / "data").is_dir():
        return None
    found = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=[name])
    return max(found, key=lambda one: int(one.ts_init), default=None)


def require_as_held(catalog: Path, held: Any, decimals: tuple[int, int], terms: Listed) -> None:
    """A catalog keeps one definition of an instrument.

    Raises ImportFailed where the file is finer, or where other rules or fees were given.
    """
    name = held.id
    precision = (held.price_precision, held.size_precision)
    if decimals[0] > precision[0] or decimals[1] > precision[1]:
        text = (
            f"{name} has {decimals[0]} price and {decimals[1]} size decimals in the file, and "
            f"{precision[0]} and {precision[1]} in {catalog}; import into a new catalog"
        )
        raise ImportFailed("IMPORT-PRECISION", text)
    there = of_instrument(held)
    for field in ("tick_size", "step_size", "min_notional", "maker_fee", "taker_fee"):
        given, known = getattr(terms, field), getattr(there, field)
        if given is not None and given != known:
            text = (
                f"{name} is in {catalog} with {field} {'none' if known is None else known}, and "
                f"{given} was given; give the same, or import into a new catalog"
            )
            raise ImportFailed("IMPORT-RULES", text)
