"""Options of the Poloniex adapter (`[venues.NAME.options]`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fairlead.adapters.base.urls import HttpUrl, WsUrl


def _doc(text: str, ge: int | None = None, formerly: str = "") -> Meta:
    """`formerly` is a name that the option had: the config error names the one of today."""
    schema = {"formerly": [formerly]} if formerly else None
    return Meta(description=text, ge=ge, extra_json_schema=schema)


class PoloniexOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """URLs, choices where the venue leaves one, and limits. Unknown keys are refused."""

    http_url: Annotated[
        HttpUrl, _doc("Base of the REST API, no trailing slash", formerly="rest_url")
    ] = "https://api.poloniex.com"
    ws_url: Annotated[WsUrl, _doc("Public WebSocket", formerly="public_ws_url")] = (
        "wss://ws.poloniex.com/ws/public"
    )
    private_ws_url: Annotated[WsUrl, _doc("Private WebSocket")] = "wss://ws.poloniex.com/ws/private"
    order_transport: Annotated[
        Literal["rest", "websocket"],
        _doc("Where creates and cancels go; REST is used while the private WebSocket is down"),
    ] = "rest"
    market_buy: Annotated[
        Literal["convert", "refuse"],
        _doc(
            "A market buy sized in base currency, which the venue lacks: converted to a LIMIT IOC "
            "at best ask plus market_buy_slippage_bps, or refused"
        ),
    ] = "convert"
    market_buy_slippage_bps: Annotated[
        Decimal, _doc("How far above the best ask a converted market buy may pay, basis points")
    ] = Decimal(100)
    trigger_crossed: Annotated[
        Literal["refuse", "limit"],
        _doc("A stop whose condition is true already: refused, or sent as a plain LIMIT"),
    ] = "refuse"
    self_trade_prevention: Annotated[
        Literal["EXPIRE_TAKER", "NONE"], _doc("stpMode of every order")
    ] = "EXPIRE_TAKER"
    dead_mans_switch_secs: Annotated[
        int,
        _doc("Venue-side timer that cancels all orders unless renewed: 0 is off, else 10 to 600"),
    ] = 0
    recv_window_ms: Annotated[
        int | None, _doc("recvWindow header in milliseconds; absent: the venue's default")
    ] = None
    request_timeout_secs: Annotated[float, _doc("Longest wait for one answer, seconds")] = 5.0
    clock_check_secs: Annotated[
        int, _doc("Age after which the offset to the venue's clock is measured again, seconds")
    ] = 300
    status_channels: Annotated[
        bool, _doc("Subscribe to `symbols` and `exchange` for instrument status")
    ] = True
    public_rate: Annotated[int, _doc("Public requests a second (200 documented)", ge=1)] = 200
    private_rate: Annotated[int, _doc("Private requests a second (50 documented)", ge=1)] = 50
    bulk_rate: Annotated[
        int, _doc("Requests a second of lists, batches and histories (10 documented)", ge=1)
    ] = 10

    def __post_init__(self) -> None:
        secs = self.dead_mans_switch_secs
        if secs != 0 and not 10 <= secs <= 600:
            raise ValueError(f"dead_mans_switch_secs: expected 0 or 10 to 600, received {secs}")
        if not 0 <= self.market_buy_slippage_bps <= 1000:
            raise ValueError(
                "market_buy_slippage_bps: expected 0 to 1000, received "
                f"{self.market_buy_slippage_bps}"
            )
