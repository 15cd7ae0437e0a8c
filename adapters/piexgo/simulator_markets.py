"""Markets, fees and options of the simulated PiexGo, and how it writes numbers and times.

Source: the venue document, sections 2, 3.2 and 7 (what it leaves open is an option here).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from fairlead.adapters.simulation.orders import FeeSchedule, MarketSpec
from fairlead.adapters.simulation.shell import SimOptions

PRICE_DECIMALS, SIZE_DECIMALS = 10, 8  # as texts are padded, whatever the market's precision
LEAST_VOLUME = Decimal("0.0001")  # must be exceeded


class SimMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/api/v1/symbols` with a least value of an order and a price to start from."""

    base: str
    quote: str
    price_precision: int
    amount_precision: int
    maker_fee: Decimal
    taker_fee: Decimal
    least_value: Decimal
    start_price: Decimal

    @property
    def id(self) -> str:
        return f"{self.base}_{self.quote}"

    @property
    def least_volume(self) -> Decimal:
        """The first step beyond what must be exceeded."""
        step = Decimal(1).scaleb(-self.amount_precision)
        return (LEAST_VOLUME // step + 1) * step

    @property
    def spec(self) -> MarketSpec:
        return MarketSpec(
            id=self.id,
            base=self.base,
            quote=self.quote,
            price_precision=self.price_precision,
            size_precision=self.amount_precision,
            fees=FeeSchedule.maker_taker(self.maker_fee, self.taker_fee),
            min_quantity=self.least_volume,
            min_notional=self.least_value,
        )


def _market(name: str, precisions: tuple[int, int], least: str, start_price: str) -> SimMarket:
    base, quote = name.split("_")
    return SimMarket(
        base=base,
        quote=quote,
        price_precision=precisions[0],
        amount_precision=precisions[1],
        maker_fee=Decimal("0.0005"),
        taker_fee=Decimal("0.0015"),
        least_value=Decimal(least),
        start_price=Decimal(start_price),
    )


DEFAULT_MARKETS = (
    _market("BTC_USDT", (2, 4), "1", "60000"),
    _market("ETH_USDT", (2, 4), "1", "3000"),
    _market("ETH_BTC", (5, 3), "0.0001", "0.05"),
    _market("EOS_USDT", (4, 2), "1", "5"),
)
DEFAULT_BALANCES = {
    "USDT": Decimal(100_000),
    "BTC": Decimal(2),
    "ETH": Decimal(30),
    "EOS": Decimal(10_000),
}


class PiexgoSimOptions(SimOptions, frozen=True, kw_only=True):
    """How the simulated PiexGo behaves where the document leaves it open, and its account.

    `stop_direction` is which way a stop waits: as its side does (a buy for the price to rise),
    inferred from where the last price is when it comes, or refused when that is not the side's.
    `unsigned_pinfo` takes the first document's private subscription too. `acks` answers
    subscriptions. `first_depth` sends a book as soon as it is subscribed. `error_status` is the
    HTTP status of a refusal, `demands_time` refuses a query without a timestamp. `hides_waiting`
    leaves stops that wait out of the open orders.
    """

    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    balances: dict[str, Decimal] = msgspec.field(default_factory=DEFAULT_BALANCES.copy)
    active_markets: tuple[str, ...] = ("BTC_USDT", "ETH_USDT")
    replay_market: str = "BTC_USDT"
    settle_ms: int = 20
    stop_direction: Literal["side", "infer", "refuse"] = "side"
    unsigned_pinfo: bool = False
    acks: bool = False
    first_depth: bool = True
    error_status: int = 200
    demands_time: bool = False
    hides_waiting: bool = False
    push_levels: int = 20
    push_interval_ms: int = 100
    history_kept: int = 1000  # orders that each of the two histories shows


def price_text(value: Decimal | None) -> str:
    """As orders and deals write prices: ten decimals, zeros for none."""
    return f"{value or Decimal(0):.{PRICE_DECIMALS}f}"


def size_text(value: Decimal) -> str:
    return f"{value:.{SIZE_DECIMALS}f}"


def money_text(value: Decimal) -> str:
    """As balances and fees are written: eight decimals, and more where the value has them."""
    exponent = value.normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return f"{value:.{max(decimals, SIZE_DECIMALS)}f}"


def bare(value: Decimal) -> str:
    """As books write numbers: no zeros at the end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds(ts_ns: int) -> int:
    return ts_ns // 1_000_000_000


def millis(ts_ns: int) -> int:
    return ts_ns // 1_000_000
