"""Markets, fees and options of the simulated Binance, and how it writes numbers and times.

Sources: the venue's Spot REST API ("Exchange information", "Filters", "LIMITS") and USD-M futures
API ("Exchange Information", "Common Definition"). One exchange holds both products: a perpetual is
the market `SYMBOL-PERP` of it, whose units are contracts.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.orders import FeeSchedule, MarketSpec
from fairlead.adapters.simulation.shell import SimOptions

PERP = "-PERP"


class Product(StrEnum):
    SPOT = "spot"
    USDM = "usdm"


class SimMarket(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of one product with its filters and a price to start from.

    The tick is 10^-`tick_scale`, the step of quantities 10^-`step_scale`.
    """

    product: Product
    base: str
    quote: str
    tick_scale: int
    step_scale: int
    min_notional: Decimal
    start_price: Decimal
    max_quantity: Decimal = Decimal(9000)

    @property
    def symbol(self) -> str:
        return f"{self.base}{self.quote}"

    @property
    def id(self) -> str:
        return self.symbol + (PERP if self.product is Product.USDM else "")

    @property
    def tick(self) -> Decimal:
        return Decimal(1).scaleb(-self.tick_scale)

    @property
    def step(self) -> Decimal:
        return Decimal(1).scaleb(-self.step_scale)

    @property
    def max_price(self) -> Decimal:
        return Decimal(1_000_000) if self.product is Product.SPOT else Decimal(4_529_764)

    def spec(self, fees: FeeSchedule) -> MarketSpec:
        """Minimums are checked by the venue's own filters, which have codes of their own."""
        return MarketSpec(
            id=self.id,
            base=self.base if self.product is Product.SPOT else self.id,
            quote=self.quote,
            price_precision=self.tick_scale,
            size_precision=self.step_scale,
            fees=fees,
        )

    def price_text(self, value: Decimal) -> str:
        """Spot writes 8 decimals, futures those of its tick and one more at the least."""
        decimals = 8 if self.product is Product.SPOT else max(2, self.tick_scale)
        return fixed(value, decimals)

    def size_text(self, value: Decimal) -> str:
        return fixed(value, 8 if self.product is Product.SPOT else self.step_scale)


def _market(
    product: Product, pair: tuple[str, str], scales: tuple[int, int], least: str, start_price: str
) -> SimMarket:
    return SimMarket(
        product=product,
        base=pair[0],
        quote=pair[1],
        tick_scale=scales[0],
        step_scale=scales[1],
        min_notional=Decimal(least),
        start_price=Decimal(start_price),
    )


# Steps and least values as the venue has them.
DEFAULT_MARKETS = (
    _market(Product.SPOT, ("BTC", "USDT"), (2, 5), "5", "60000"),
    _market(Product.SPOT, ("ETH", "USDT"), (2, 4), "5", "3000"),
    _market(Product.SPOT, ("ETH", "BTC"), (5, 4), "0.0001", "0.05"),
    _market(Product.USDM, ("BTC", "USDT"), (1, 3), "100", "60000"),
    _market(Product.USDM, ("ETH", "USDT"), (2, 3), "20", "3000"),
)
DEFAULT_BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(20)}


class BinanceSimOptions(SimOptions, frozen=True, kw_only=True):
    """How the simulated Binance behaves, and what its accounts start with.

    `balances` are of the spot account, `margin` (USDT) is the futures wallet. The limits are the
    venue's own: weights a minute, orders in ten seconds.
    """

    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    balances: dict[str, Decimal] = msgspec.field(default_factory=DEFAULT_BALANCES.copy)
    margin: Decimal = Decimal(100_000)
    active_markets: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "BTCUSDT-PERP", "ETHUSDT-PERP")
    replay_market: str = "BTCUSDT"
    spot_maker_rate: Decimal = Decimal("0.001")
    spot_taker_rate: Decimal = Decimal("0.001")
    usdm_maker_rate: Decimal = Decimal("0.0002")
    usdm_taker_rate: Decimal = Decimal("0.0005")
    spot_weights: int = 6000
    usdm_weights: int = 2400
    spot_orders_10s: int = 100
    usdm_orders_10s: int = 300
    leverage: int = 20  # of each futures symbol until it is changed

    def fees(self, product: Product) -> FeeSchedule:
        if product is Product.SPOT:
            return FeeSchedule.maker_taker(self.spot_maker_rate, self.spot_taker_rate)
        return FeeSchedule.maker_taker(
            self.usdm_maker_rate, self.usdm_taker_rate, buyer_pays_base=False
        )


def fixed(value: Decimal, decimals: int) -> str:
    """Padded to `decimals`; what is finer (an average) is rounded."""
    return f"{value:.{decimals}f}"


def plain(value: Decimal) -> str:
    """No exponent, no padding."""
    return "0" if value == 0 else format(value.normalize(), "f")


def millis(ts_ns: int) -> int:
    return ts_ns // MS
