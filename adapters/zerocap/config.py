"""Zerocap adapter options: the dialect, and what dialect A has no endpoint for."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fairlead.adapters.base.urls import HttpUrl, WsUrl

Dialect = Literal["A", "C"]
SideCorrection = Literal["auto", "never", "always"]


Moment = Annotated[datetime, Meta(tz=True)]


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class ZerocapMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market by the config: dialect A has no endpoint that tells it."""

    symbol: Annotated[str, _doc("The venue's name, BASE/QUOTE")]
    price_precision: Annotated[
        int, _doc("Decimals of prices; ladders are rounded to it, against us", ge=0, le=12)
    ]
    quantity_precision: Annotated[int, _doc("Decimals of quantities", ge=0, le=12)]
    min_quantity: Annotated[Decimal, _doc("Least quantity of an order, base units")] = Decimal(0)
    max_quantity: Annotated[
        Decimal | None, _doc("Largest quantity of an order, base units; None: not told")
    ] = None

    def __post_init__(self) -> None:
        if not (self.min_quantity.is_finite() and self.min_quantity >= 0):
            raise ValueError(f"min_quantity: expected 0 or more, received {self.min_quantity}")
        most = self.max_quantity
        if most is not None and not (most.is_finite() and most > 0 and most >= self.min_quantity):
            text = (
                f"expected more than 0 and no less than min_quantity, received {self.max_quantity}"
            )
            raise ValueError(f"max_quantity: {text}")


class ZerocapOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.NAME.options]` of a Zerocap account."""

    dialect: Annotated[
        Dialect,
        _doc(
            "A: the venue as client 0.1.15 (2023) talks to it; C: as client 0.1.38 (today's) does"
        ),
    ] = "A"
    http_url: Annotated[HttpUrl, _doc("Base URL of REST v2, without a slash at the end")] = (
        "https://dma-api.zerocap.com/v2"
    )
    ws_url: Annotated[WsUrl, _doc("URL of the WebSocket")] = "wss://dma-ws.zerocap.com/v2"
    customer_id: Annotated[str, _doc("Dialect A: the header customer-id of an order")] = ""
    markets: Annotated[
        tuple[ZerocapMarket, ...],
        _doc("Dialect A: the markets; C: instead of what the venue tells of these"),
    ] = ()
    balances: Annotated[
        dict[str, Decimal],
        _doc("Dialect A: the account's balances at `balances_at`, by currency; C asks the venue"),
    ] = {}
    balances_at: Annotated[
        Moment | None,
        _doc("Dialect A: when they were read; what the venue has executed since is added"),
    ] = None
    balance_account: Annotated[
        str, _doc("Dialect C: the account type whose balances are traded with")
    ] = "prime"
    side_correction: Annotated[
        SideCorrection,
        _doc("Whether bids and asks of a ladder change places: auto does it where they cross"),
    ] = "auto"
    stale_secs: Annotated[
        float, _doc("Silence of a ladder after which its book is cleared, seconds", gt=0)
    ] = 15.0
    market_slippage: Annotated[
        Decimal,
        _doc(
            "Dialect C has no market orders: how much worse than its tier the limit may be, "
            "a part of 1"
        ),
    ] = Decimal("0.005")
    request_timeout_secs: Annotated[float, _doc("Longest wait for one answer, seconds", gt=0)] = (
        10.0
    )
    ping_secs: Annotated[
        float, _doc("Dialect C: a ping is sent so often, seconds", gt=0, le=25)
    ] = 5.0
    idle_close_secs: Annotated[
        float, _doc("Silence after which the stream is given up, seconds", gt=0)
    ] = 60.0
    max_clock_offset_secs: Annotated[
        float,
        _doc("Dialect C: largest difference to the venue's clock for trading", gt=0, le=30),
    ] = 10.0
    requests_per_sec: Annotated[
        int, _doc("The venue's limit of requests, per second and endpoint", ge=2)
    ] = 50
    rate_reserve: Annotated[
        float, _doc("Share of each rate limit kept for cancels and queries", ge=0, lt=1)
    ] = 0.2
    rate_wait_secs: Annotated[
        float,
        _doc("Longest wait for room in a rate limit, seconds; then the request is refused", ge=0),
    ] = 2.0
    allow_withdrawals: Annotated[
        bool, _doc("Whether transfers and withdrawals may be asked for at all")
    ] = False

    def __post_init__(self) -> None:
        if not (self.market_slippage.is_finite() and 0 <= self.market_slippage < 1):
            text = f"expected 0 to less than 1, received {self.market_slippage}"
            raise ValueError(f"market_slippage: {text}")
        for currency, amount in self.balances.items():
            if not (amount.is_finite() and amount >= 0):
                raise ValueError(f"balances: expected 0 or more {currency}, received {amount}")
