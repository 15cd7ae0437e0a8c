"""Markets, fees and options of the simulated OceanEx, and how it writes numbers and times.

Sources: the venue document's sections 1.1 (precisions, fees) and 4.9 (minimum notionals).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from fairlead.adapters.simulation.orders import FeeSchedule, MarketSpec
from fairlead.adapters.simulation.shell import QUOTE_VALUES, SimOptions


class SimMarket(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `/markets?show_details=true` with its fee rates and a price to start from."""

    id: str
    base: str
    quote: str
    price_precision: int
    amount_precision: int
    ask_fee: Decimal
    bid_fee: Decimal
    minimum_trading_amount: Decimal
    start_price: Decimal

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"

    @property
    def spec(self) -> MarketSpec:
        return MarketSpec(
            id=self.id,
            base=self.base,
            quote=self.quote,
            price_precision=self.price_precision,
            size_precision=self.amount_precision,
            fees=FeeSchedule.per_side(buy=self.bid_fee, sell=self.ask_fee),
            min_notional=self.minimum_trading_amount,
        )


def _market(
    name: str, precisions: tuple[int, int], fee: str, minimum: str, start_price: str
) -> SimMarket:
    base, quote = name.split("/")
    return SimMarket(
        id=f"{base}{quote}".lower(),
        base=base,
        quote=quote,
        price_precision=precisions[0],
        amount_precision=precisions[1],
        ask_fee=Decimal(fee),
        bid_fee=Decimal(fee),
        minimum_trading_amount=Decimal(minimum),
        start_price=Decimal(start_price),
    )


DEFAULT_MARKETS = (
    _market("BTC/USDT", (2, 6), "0.001", "10.0", "60000"),
    _market("ETH/USDT", (2, 5), "0.001", "10.0", "3000"),
    _market("VET/USDT", (6, 1), "0.0005", "10.0", "0.025"),
    _market("ETH/BTC", (6, 4), "0.001", "0.001", "0.05"),
    _market("VET/BTC", (10, 1), "0.0005", "0.001", "0.0000004166"),
    # The rules that the document's own orders of VET/ETH need: 0.75 and 20 VET.
    _market("VET/ETH", (8, 2), "0.0005", "0.0001", "0.00003531"),
    _market("VTHO/VET", (5, 1), "0.0005", "100.0", "0.08"),
    _market("SHA/VET", (5, 1), "0.0005", "100.0", "0.04"),
    _market("SHA/BTC", (10, 1), "0.001", "0.001", "0.0000000166"),
)

DEFAULT_BALANCES = {
    "USDT": Decimal(100_000),
    "BTC": Decimal(2),
    "ETH": Decimal(25_000),  # the document's stop order locks 20,000
    "VET": Decimal(1_000_000),
}


class OceanexSimOptions(SimOptions, frozen=True, kw_only=True):
    """How the simulated OceanEx behaves where the document leaves it open, and its account.

    `scopes`, `key_enabled`, `allowed_ips` (empty: any), `balances` describe the test account.
    `create_reply` is the state that a create answers: `entry` is the order as it entered (matching
    comes after, as on the venue), `matched` what became of it at once. `filter_hides_waiting`
    leaves `wait_trigger` and `cancelling` out of `/orders/filter`. `excess_precision` is what
    happens to decimals beyond the market's. `post_status` is the HTTP status of a successful POST.
    `funds_error` is how a short balance is told: as its own text, or wrapped in -2 as rate limits
    are.
    """

    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    balances: dict[str, Decimal] = msgspec.field(default_factory=DEFAULT_BALANCES.copy)
    active_markets: tuple[str, ...] = ("btcusdt", "ethusdt", "vetusdt")
    quote_values: dict[str, float] = msgspec.field(
        default_factory=lambda: QUOTE_VALUES | {"VET": 0.025}
    )
    replay_market: str = "btcusdt"
    app_key: str = "03e22cd99036bbfee126ce6b9725"
    uid: str = "ID6A9EAFD896"
    key_id: str = "KIDF4A8334E1E"
    scopes: tuple[str, ...] = ("query", "sell/buy", "withdraws/deposits")
    key_enabled: bool = True
    allowed_ips: tuple[str, ...] = ()
    orders_per_minute: int = 1200
    requests_per_minute: int = 3000
    settle_ms: int = 150
    create_reply: Literal["entry", "matched"] = "entry"
    filter_hides_waiting: bool = True
    excess_precision: Literal["refuse", "round"] = "refuse"
    post_status: int = 201
    funds_error: Literal["plain", "wrapped"] = "plain"
    trade_sides: bool = True  # False: `side` of public trades is null, as in 2019
    double_encoded: bool = True  # False: push `data` is an object, as the document prints it
    push_levels: int = 40
    push_interval_ms: int = 100
    ticker_interval_ms: int = 1000
    activity_timeout_secs: int = 120
    withdraw_rids: tuple[str, ...] = ("0x7781a6C9B25B529037a85ad637669D848a1F9796",)
    withdraw_secs: int = 60  # until a requested withdrawal is done


def number(value: Decimal) -> str:
    """A decimal as OceanEx writes it: no exponent, no padding, a trailing `.0` when whole."""
    text = format(value.normalize(), "f")
    return text if "." in text else f"{text}.0"


def epoch(ts_ns: int) -> int:
    """Whole seconds."""
    return ts_ns // 1_000_000_000


def iso(ts_ns: int) -> str:
    """`2019-01-18T00:38:18Z`."""
    return datetime.fromtimestamp(epoch(ts_ns), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
