"""PiexGo adapter options. Every field has a default; where the document is silent, an option."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fairlead.adapters.base.urls import HttpUrl, WsUrl


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class PiexgoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.NAME.options]` of a PiexGo account."""

    http_url: Annotated[HttpUrl, _doc("Base URL of REST, without /api and a slash at the end")] = (
        "https://api.piexgo.com"
    )
    ws_url: Annotated[WsUrl, _doc("The WebSocket")] = "wss://api.piexgo.com/ws"
    request_timeout_secs: Annotated[float, _doc("Longest wait for one answer, seconds", gt=0)] = 5.0
    recv_window_ms: Annotated[
        int, _doc("How old a signed request may be when it arrives, milliseconds", ge=1, le=60_000)
    ] = 5000
    clock_check_secs: Annotated[
        float, _doc("Age after which the venue's clock is measured again, seconds", gt=0)
    ] = 300.0
    requests_per_second: Annotated[
        int, _doc("Our own limit of requests, public and private each; the venue names none", ge=2)
    ] = 10
    rate_reserve: Annotated[
        float, _doc("Share of the limit kept for cancels and queries", ge=0, lt=1)
    ] = 0.2
    rate_wait_secs: Annotated[
        float,
        _doc("Longest wait for room in the limit, seconds; then the request is refused", ge=0),
    ] = 2.0
    idle_ping_secs: Annotated[
        float, _doc("Silence after which a WebSocket ping is sent, seconds", gt=0)
    ] = 20.0
    idle_close_secs: Annotated[
        float, _doc("Time without a frame after which market data is given up, seconds", gt=0)
    ] = 90.0
    quiet_account_secs: Annotated[
        float, _doc("As idle_close_secs, of orders and balances: they may be quiet", gt=0)
    ] = 600.0
    pinfo: Annotated[
        Literal["signed", "unsigned"],
        _doc("How orders and balances are subscribed; the first document shows no key"),
    ] = "signed"
    early_order_secs: Annotated[
        float,
        _doc("How long an order event waits for the answer that names its order, seconds", ge=0),
    ] = 5.0
    market_buy: Annotated[
        Literal["base", "refuse"],
        _doc("The document does not say in which currency a market buy is sized: base, or refuse"),
    ] = "base"
    lists_triggers: Annotated[
        bool,
        _doc(
            "Whether open orders are known to list stops that wait; if not, a lost one stays"
            " unknown until one is seen there"
        ),
    ] = False
