"""Markets and options of the simulated Zerocap, and the ladder that its dealer quotes.

Sources: the venue document's sections 3 (precisions), 4 (ladders) and 5 (rounding).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

import msgspec

from fairlead.adapters.simulation.book import BookSide
from fairlead.adapters.simulation.orders import FeeSchedule, MarketSpec
from fairlead.adapters.simulation.shell import QUOTE_VALUES, SimOptions
from fairlead.adapters.zerocap.ladder import Tier
from fairlead.engine.orders.model import Side

DEALT = Decimal("1E-9")  # the step of the dealer's prices


class SimMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `get_instruments`, the sizes that are quoted, and a price to start from."""

    symbol: str
    price_precision: int
    quantity_precision: int
    min_quantity: Decimal
    max_quantity: Decimal
    tiers: tuple[Decimal, ...]
    start_price: Decimal
    is_tradable: bool = True

    @property
    def spec(self) -> MarketSpec:
        base, quote = self.symbol.split("/")
        return MarketSpec(
            id=self.symbol,
            base=base,
            quote=quote,
            price_precision=self.price_precision,
            size_precision=self.quantity_precision,
            fees=FeeSchedule(buyer_pays_base=False),
            min_quantity=self.min_quantity,
        )


def _market(symbol: str, precisions: tuple[int, int], tiers: str, start_price: str) -> SimMarket:
    sizes = tuple(map(Decimal, tiers.split()))
    return SimMarket(
        symbol=symbol,
        price_precision=precisions[0],
        quantity_precision=precisions[1],
        min_quantity=Decimal(1).scaleb(-precisions[1]) * 100,
        max_quantity=sizes[-1],
        tiers=sizes,
        start_price=Decimal(start_price),
    )


DEFAULT_MARKETS = (
    _market("USDT/AUD", (4, 2), "100 5000 10000 20000 50000", "1.5"),
    _market("BTC/AUD", (2, 6), "0.05 0.25 0.5", "90000"),
    _market("ETH/AUD", (2, 5), "1 5 10", "4500"),
    _market("BTC/USDT", (2, 6), "0.01 0.05 0.25 0.5 1", "60000"),
)
DEFAULT_BALANCES = {
    "USDT": Decimal(100_000),
    "AUD": Decimal(150_000),
    "BTC": Decimal(2),
    "ETH": Decimal(30),
}


class ZerocapSimOptions(SimOptions, frozen=True, kw_only=True):
    """How the simulated Zerocap behaves where the document leaves it open, and its account.

    A request, and a handshake, with a timestamp is of dialect C, one without of A; `dialects` are
    the ones that are served. `margin_bps` is what the dealer adds to each side. `id_suffix` is what
    the echo of a client order id has more than what was sent. `push_first` tells the sockets of an
    order before its answer goes out. `error_body` is how a refusal is written where the document
    does not say. `inverts_ladders` is dialect A's way of naming the sides.
    """

    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    balances: dict[str, Decimal] = msgspec.field(default_factory=DEFAULT_BALANCES.copy)
    custody: dict[str, Decimal] = msgspec.field(default_factory=lambda: {"AUD": Decimal(5_000)})
    active_markets: tuple[str, ...] = ("USDT/AUD", "BTC/AUD", "BTC/USDT")
    quote_values: dict[str, float] = msgspec.field(
        default_factory=lambda: QUOTE_VALUES | {"AUD": 0.66}
    )
    replay_market: str = "USDT/AUD"
    dialects: tuple[Literal["A", "C"], ...] = ("A", "C")
    api_key: str = "coinroutes"
    api_secret: str = "sim-Zc9kQ2vT7wXr5mBn"  # noqa: S105 - of a simulation
    allowed_ips: tuple[str, ...] = ()
    clock_tolerance_secs: int = 30
    requests_per_sec: int = 50
    margin_bps: Decimal = Decimal(10)
    id_suffix: str = ""
    push_first: bool = False
    error_body: Literal["text", "detail", "code"] = "text"
    inverts_ladders: bool = True
    data_as_text: bool = True  # False: dialect A's ladders as objects, as the example prints them
    answers_ping_with_error: bool = True  # dialect A knows no ping
    push_interval_ms: int = 250
    repeat_ms: int = 1_000  # a ladder that has not changed is told again so often; 0: never
    pong_secs: int = 5
    idle_secs: int = 30
    quote_secs: int = 10  # how long a firm quote holds
    wallets: tuple[str, ...] = ("7d1f3a3e-0a43-4a3b-8f6f-6b3c6f3f5a10",)


def quoted(side: BookSide, size: Decimal, margin_bps: Decimal) -> Decimal | None:
    """What a dealer asks (or bids) for the whole of `size`, from a side of the market's book."""
    if side.available(None) < size or size <= 0:
        return None
    return _with_margin(side, side.cost(size) / size, margin_bps)


def _with_margin(side: BookSide, average: Decimal, margin_bps: Decimal) -> Decimal:
    is_ask = side.side is Side.SELL
    margin = margin_bps / 10_000 * (1 if is_ask else -1)
    return (average * (1 + margin)).quantize(DEALT, ROUND_CEILING if is_ask else ROUND_FLOOR)


def ladder(side: BookSide, market: SimMarket, margin_bps: Decimal) -> tuple[Tier, ...]:
    """The tiers of a side; a size that the market has not enough for has none.

    But the least is quoted as long as anything stands there: a dealer shows both sides.
    """
    prices = [(size, quoted(side, size, margin_bps)) for size in market.tiers]
    tiers = tuple(Tier(price, size) for size, price in prices if price is not None)
    there = side.available(None)
    if tiers or not there:
        return tiers
    price = _with_margin(side, side.cost(there) / there, margin_bps)
    return (Tier(price, market.tiers[0]),)
