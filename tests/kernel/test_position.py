"""NautilusTrader's average of entries: why equity of inverse contracts is reckoned from fills. Of
the bare library."""

from __future__ import annotations

from decimal import Decimal

import pytest
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    CryptoPerpetual,
    Currency,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderFilled,
    OrderSide,
    OrderType,
    Position,
    PositionId,
    Price,
    Quantity,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)

INVERSE = InstrumentId.from_str("BTCUSD_PERP.TEST")
BTC = Currency.from_str("BTC")


def perpetual() -> CryptoPerpetual:
    """100 USD a contract."""
    return CryptoPerpetual(
        instrument_id=INVERSE,
        raw_symbol=INVERSE.symbol,
        base_currency=BTC,
        quote_currency=Currency.from_str("USD"),
        settlement_currency=BTC,
        is_inverse=True,
        multiplier=Quantity.from_int(100),
        price_precision=1,
        size_precision=0,
        price_increment=Price.from_str("0.1"),
        size_increment=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )


def fill(number: int, side: OrderSide, contracts: int, price: int) -> OrderFilled:
    return OrderFilled(
        trader_id=TraderId("T-1"),
        strategy_id=StrategyId("S-1"),
        instrument_id=INVERSE,
        client_order_id=ClientOrderId(f"O-{number}"),
        venue_order_id=VenueOrderId(f"V-{number}"),
        account_id=AccountId("TEST-1"),
        trade_id=TradeId(f"T-{number}"),
        order_side=side,
        order_type=OrderType.MARKET,
        last_qty=Quantity.from_int(contracts),
        last_px=Price(price, 1),
        currency=BTC,
        liquidity_side=LiquiditySide.TAKER,
        event_id=UUID4(),
        ts_event=number,
        ts_init=number,
        reconciliation=False,
        position_id=PositionId("P-1"),
        commission=Money(0, BTC),
    )


def test_an_inverse_contract_s_entries_have_an_arithmetic_mean() -> None:
    """Bought at 40,000 and 60,000, sold at 50,000: 0.025 BTC were won, none are told. The mean at
    which nothing would be is the harmonic one, 48,000."""
    position = Position(perpetual(), fill(1, OrderSide.BUY, 150, 40_000))
    position.apply(fill(2, OrderSide.BUY, 150, 60_000))
    assert position.avg_px_open == pytest.approx(50_000)
    position.apply(fill(3, OrderSide.SELL, 300, 50_000))
    assert position.realized_pnl == Money(0, BTC)
    won = 100 * (Decimal(150) / 40_000 + Decimal(150) / 60_000 - Decimal(300) / 50_000)
    assert won == Decimal("0.025")
