"""Markets, fees and options of the simulated Poloniex, and how it writes numbers and times.

Sources: the venue document's sections 1 (market object), 2.4 (rate limits), 2.2 and 2.1 (choices).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.orders import FeeSchedule, MarketSpec
from fairlead.adapters.simulation.shell import SimOptions


class SimMarket(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `/markets` with a price to start from."""

    symbol: str
    price_scale: int
    quantity_scale: int
    amount_scale: int
    min_quantity: Decimal
    min_amount: Decimal
    start_price: Decimal
    leverage_max: int = 0  # above 0: a cross-margin symbol, which has a mark price

    @property
    def base(self) -> str:
        return self.symbol.partition("_")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("_")[2]

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"

    def spec(self, fees: FeeSchedule) -> MarketSpec:
        """Minimums are checked by the venue's own rules, which have codes of their own."""
        return MarketSpec(
            id=self.symbol,
            base=self.base,
            quote=self.quote,
            price_precision=self.price_scale,
            size_precision=self.quantity_scale,
            fees=fees,
        )


def _market(
    symbol: str,
    scales: tuple[int, int, int],
    minimums: tuple[str, str],
    start_price: str,
    leverage_max: int = 0,
) -> SimMarket:
    return SimMarket(
        symbol=symbol,
        price_scale=scales[0],
        quantity_scale=scales[1],
        amount_scale=scales[2],
        min_quantity=Decimal(minimums[0]),
        min_amount=Decimal(minimums[1]),
        start_price=Decimal(start_price),
        leverage_max=leverage_max,
    )


# Scales and minimums as captured from the venue (2022-08-21).
DEFAULT_MARKETS = (
    _market("BTC_USDT", (2, 6, 2), ("0.000001", "1"), "60000", 3),
    _market("ETH_USDT", (2, 6, 2), ("0.000001", "1"), "3000", 3),
    _market("TRX_USDT", (5, 3, 5), ("1", "1"), "0.12"),
    _market("ETH_BTC", (6, 4, 8), ("0.001", "0.0001"), "0.05"),
    _market("BTS_BTC", (10, 0, 8), ("100", "0.00001"), "0.0000001666"),
)

DEFAULT_BALANCES = {
    "USDT": Decimal(100_000),
    "BTC": Decimal(2),
    "ETH": Decimal(20),
    "TRX": Decimal(100_000),
}


class PoloniexSimOptions(SimOptions, frozen=True, kw_only=True):
    """How the simulated Poloniex behaves where the document leaves it open, and its account.

    `error_status` is the HTTP status of a business error. `post_only_cross` is what a LIMIT_MAKER
    that would trade gets: an id, and then a `canceled` event with state FAILED, or an error at
    once. `child_client_id` is what a triggered child carries. `smart_get` is how one smart order is
    answered: ccxt takes element 0. `smart_events` pushes `orders` events of smart orders before
    they trigger. `client_ids` is whether a client order id can be used again once its order is
    over. `id_jump` is the share of book updates whose id is not `lastId` + 1.
    """

    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    states: dict[str, str] = msgspec.field(default_factory=dict)  # by symbol; NORMAL where absent
    balances: dict[str, Decimal] = msgspec.field(default_factory=DEFAULT_BALANCES.copy)
    active_markets: tuple[str, ...] = ("BTC_USDT", "ETH_USDT")
    replay_market: str = "BTC_USDT"
    account_id: str = "7000000000008"
    user_id: int = 12345
    account_state: Literal["NORMAL", "LOCKED"] = "NORMAL"
    maker_rate: Decimal = Decimal("0.00145")
    taker_rate: Decimal = Decimal("0.00155")
    clock_tolerance_ms: int = 1000
    public_rate: int = 200
    private_rate: int = 50
    bulk_rate: int = 10
    error_status: int = 400
    settle_ms: int = 20
    post_only_cross: Literal["event", "error"] = "event"
    child_client_id: Literal["parent", "none"] = "parent"
    smart_get: Literal["list", "object"] = "list"
    smart_events: bool = False
    client_ids: Literal["ever", "open"] = "ever"
    markets_get: Literal["list", "object"] = "list"  # GET /markets/{symbol}
    id_jump: float = 0.1
    silence_secs: float = 30.0
    book_interval_ms: int = 10
    ticker_interval_ms: int = 1000
    withdraw_secs: int = 60  # until a withdrawal is done


def number(value: Decimal) -> str:
    """A decimal as the venue writes it: no exponent, no padding."""
    if value == 0:
        return "0"
    return format(value.normalize(), "f")


def millis(ts_ns: int) -> int:
    return ts_ns // MS
