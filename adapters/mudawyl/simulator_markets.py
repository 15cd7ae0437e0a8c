"""Markets and options of the simulated gateway, and how it writes numbers and times.

Source: the gateway's document; what it leaves open is an option here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

import msgspec

from fairlead.adapters.simulation.orders import FeeSchedule, MarketSpec
from fairlead.adapters.simulation.shell import SimOptions

MS = 1_000_000
SECOND_NS = 1_000_000_000
DECIMALS = Decimal("0.00000001")


class SimMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A perpetual of the exchange behind the gateway; `max_leverage` is of its bracket."""

    symbol: str
    price_precision: int
    quantity_precision: int
    min_notional: Decimal
    start_price: Decimal
    max_leverage: int = 50
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0004")

    @property
    def base(self) -> str:
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.split("/")[1]

    @property
    def spec(self) -> MarketSpec:
        return MarketSpec(
            id=self.symbol,
            base=self.base,
            quote=self.quote,
            price_precision=self.price_precision,
            size_precision=self.quantity_precision,
            fees=FeeSchedule.maker_taker(self.maker_fee, self.taker_fee, buyer_pays_base=False),
            min_notional=self.min_notional,
        )


DEFAULT_MARKETS = (
    SimMarket(
        symbol="BTC/USDT",
        price_precision=1,
        quantity_precision=3,
        min_notional=Decimal(5),
        start_price=Decimal(60_000),
    ),
    SimMarket(
        symbol="ETH/USDT",
        price_precision=2,
        quantity_precision=3,
        min_notional=Decimal(5),
        start_price=Decimal(3_000),
        max_leverage=25,
    ),
)
DEFAULT_BALANCES = {"USDT": Decimal(10_000)}


class MudawylSimOptions(SimOptions, frozen=True, kw_only=True):
    """How the simulated gateway behaves where the document leaves it open, and its account.

    `clears` is what a new order closes and cancels first: its symbol's, or the whole account's.
    `flat_position` is how a position that is none looks. `partial` is how a bracket is told whose
    leg the exchange refused: as the orders that were made, or as the exchange's refusal (433 1500).
    `captcha` takes tokens that the gateway issued, once and for two minutes, or any text.
    `refusal_clears` is whether an order that the exchange refuses has cleared before.
    """

    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    balances: dict[str, Decimal] = msgspec.field(default_factory=DEFAULT_BALANCES.copy)
    active_markets: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")
    replay_market: str = "BTC/USDT"
    clears: Literal["symbol", "account"] = "symbol"
    refusal_clears: bool = True
    flat_position: Literal["zero", "nulls", "empty"] = "zero"
    partial: Literal["short", "error"] = "short"
    market_stop_closes: bool = True  # a stop to market has no amount: it closes the position
    reduces_amount: bool = False  # a leg with less left to close has that amount, and is closed
    authorization: Literal["raw", "bearer", "either"] = "either"
    captcha: Literal["issued", "any"] = "issued"
    captcha_secs: int = 120
    captcha_status: int = 403
    token_secs: int = 3600
    requests_per_sec: int = 50
    history_has_open: bool = False  # a history of orders shows those that are open, too
    history_kept: int = 500  # orders, and trades, that a history shows
    leverage: int = 4


def number(value: Decimal | None) -> Decimal | None:
    """As the gateway writes one: at most eight decimals, no zeros at the end."""
    if value is None:
        return None
    rounded = value.quantize(DECIMALS, ROUND_HALF_EVEN).normalize()
    exponent = rounded.as_tuple().exponent
    return rounded.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else rounded


def iso(ts_ns: int) -> str:
    """`2022-10-04T16:44:56.193Z`."""
    at = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ts_ns // MS % 1000:03d}Z"


def day(ts_ns: int) -> str:
    """`2022-10-04`."""
    return f"{datetime.fromtimestamp(ts_ns // SECOND_NS, UTC):%Y-%m-%d}"
